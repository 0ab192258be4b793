package componentize

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	component "github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
	"github.com/ashlar-wasm/ashlar/wit"
)

// Encoding is how a module encodes strings in its memory.
type Encoding uint8

// The encodings, with their codes of the embedded form.
const (
	UTF8        Encoding = iota
	UTF16                // little-endian
	Latin1UTF16          // Latin-1, or UTF-16 where that does not do
)

func (e Encoding) String() string {
	return [...]string{"utf8", "utf16", "latin1+utf16"}[e]
}

// ParseEncoding returns the encoding of that name.
func ParseEncoding(s string) (Encoding, error) {
	for e := UTF8; e <= Latin1UTF16; e++ {
		if e.String() == s {
			return e, nil
		}
	}
	return 0, fmt.Errorf("unknown string encoding %q: want utf8, utf16 or latin1+utf16", s)
}

// EmbedOptions are options of [Embed].
type EmbedOptions struct {
	// Encoding is how the module encodes strings.
	Encoding Encoding
}

const (
	// sectionPrefix begins the names of custom sections with an embedded world.
	// Linkers join sections of one name, so toolchains append what makes it unique.
	sectionPrefix = "component-type"
	// encodingSection is a custom section of the embedded component: the version of
	// the form, and the encoding of strings.
	encodingSection = "wit-component-encoding"
	encodingVersion = 4
	// firstVersion begins the first form of the section, which was no component.
	firstVersion = 3
	producers    = "producers"
)

// Embed returns the module with the world in a custom section, in the form that
// wit-component and toolchains built on it read and write. Worlds that are embedded
// already stay: [New] merges them.
func Embed(module []byte, world *wit.World, opts EmbedOptions) ([]byte, error) {
	m, err := wasm.Decode(module)
	if err != nil {
		return nil, fmt.Errorf("decode module: %w", err)
	}
	data, err := wit.EncodeWorld(world)
	if err != nil {
		return nil, err
	}
	c, err := component.Decode(data)
	if err != nil {
		return nil, err
	}
	c.Customs = append(c.Customs,
		component.Custom{Name: encodingSection, Data: []byte{encodingVersion, byte(opts.Encoding)}},
		component.Custom{Name: producers, Data: wasm.EncodeProducers(processedBy)})
	name := sectionPrefix + ":" + world.ID()
	for n := 2; ; n++ {
		if _, taken := m.Custom(name); !taken {
			break
		}
		name = fmt.Sprintf("%s:%s:%d", sectionPrefix, world.ID(), n)
	}
	m.Customs = append(m.Customs, wasm.Custom{Name: name, Data: component.Encode(c)})
	return m.Encode(), nil
}

// processedBy is what this package adds to producers sections.
var processedBy = []wasm.Producer{{Field: "processed-by", Name: "ashlar"}}

// embedded is a world that was found in a module.
type embedded struct {
	section   string
	world     *wit.World
	encoding  Encoding
	producers []wasm.Producer
}

// extract takes the embedded worlds out of a module.
func extract(m *wasm.Module) ([]embedded, error) {
	var found []embedded
	var rest []wasm.Custom
	for _, c := range m.Customs {
		if !strings.HasPrefix(c.Name, sectionPrefix) {
			rest = append(rest, c)
			continue
		}
		e, err := decodeSection(c.Data)
		if err != nil {
			return nil, fmt.Errorf("custom section %s: %w", c.Name, err)
		}
		e.section = c.Name
		found = append(found, e)
	}
	m.Customs = rest
	return found, nil
}

func decodeSection(data []byte) (embedded, error) {
	if len(data) > 0 && data[0] == firstVersion {
		return decodeFirst(data[1:])
	}
	r, _, err := wit.Decode(data)
	if err != nil {
		return embedded{}, err
	}
	if len(r.Main.Worlds) != 1 {
		return embedded{}, fmt.Errorf("%d worlds where one is expected", len(r.Main.Worlds))
	}
	e := embedded{world: r.Main.Worlds[0]}
	c, err := component.Decode(data)
	if err != nil {
		return embedded{}, err
	}
	known := false
	for _, custom := range c.Customs {
		switch custom.Name {
		case encodingSection:
			if len(custom.Data) != 2 || custom.Data[0] != encodingVersion {
				return embedded{}, fmt.Errorf("custom section %s is %x: want version %d and an encoding", encodingSection, custom.Data, encodingVersion)
			}
			if e.encoding, err = encodingOf(custom.Data[1]); err != nil {
				return embedded{}, err
			}
			known = true
		case producers:
			// They are for people: a section that is malformed says as much as it says.
			e.producers, _ = wasm.DecodeProducers(custom.Data)
		}
	}
	if !known {
		return embedded{}, fmt.Errorf("custom section %s is missing", encodingSection)
	}
	return e, nil
}

// decodeFirst decodes the first form: an encoding, the name of a world, and a
// package with that world.
func decodeFirst(data []byte) (embedded, error) {
	malformed := errors.New("malformed")
	if len(data) < 1 {
		return embedded{}, malformed
	}
	encoding, err := encodingOf(data[0])
	if err != nil {
		return embedded{}, err
	}
	r := bytes.NewReader(data[1:])
	n, err := binary.ReadUvarint(r)
	if err != nil || n > uint64(r.Len()) {
		return embedded{}, malformed
	}
	rest := data[len(data)-r.Len():]
	name := string(rest[:n])
	resolve, _, err := wit.Decode(rest[n:])
	if err != nil {
		return embedded{}, err
	}
	world := resolve.Main.World(name)
	if world == nil {
		return embedded{}, fmt.Errorf("there is no world %q in package %s", name, resolve.Main.Name)
	}
	return embedded{world: world, encoding: encoding}, nil
}

func encodingOf(code byte) (Encoding, error) {
	if code > byte(Latin1UTF16) {
		return 0, fmt.Errorf("unknown string encoding %#x", code)
	}
	return Encoding(code), nil
}
