package metadata

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Identifiers of sections in which other sections are.
const (
	sectionCustom     = 0
	sectionCoreModule = 1 // of a component
	sectionComponent  = 4 // of a component
)

// maxDepth bounds how deep components stand in one another.
const maxDepth = 100

// section is one of a module or component.
type section struct {
	id     byte
	bytes  []byte // the whole, with identifier and size
	body   []byte
	name   string // of a custom section
	custom []byte // the contents of a custom section
}

// preamble is what stands before the sections: magic number, version and layer.
const preamble = 8

// errNot is that something is neither a module nor a component.
var errNot = errors.New("neither a core module nor a component")

// isComponent tells the kind of a file by its preamble.
func isComponent(b []byte) (bool, error) {
	switch {
	case len(b) < preamble || string(b[:4]) != "\x00asm":
		return false, errNot
	case b[6] == 1:
		return true, nil
	case b[4] == 1 && b[6] == 0:
		return false, nil
	}
	return false, errNot
}

// split cuts a module or component into its sections.
func split(b []byte) ([]section, error) {
	if _, err := isComponent(b); err != nil {
		return nil, err
	}
	var sections []section
	for pos := preamble; pos < len(b); {
		s := section{id: b[pos]}
		size, n := uvarint32(b[pos+1:])
		start := pos + 1 + n
		if n == 0 || uint64(size) > uint64(len(b)-start) {
			return nil, fmt.Errorf("at offset %#x: the size of section %d is wrong", pos, s.id)
		}
		end := start + int(size)
		s.bytes, s.body = b[pos:end], b[start:end]
		if s.id == sectionCustom {
			length, n := uvarint32(s.body)
			if n == 0 || uint64(length) > uint64(len(s.body)-n) {
				return nil, fmt.Errorf("at offset %#x: the name of the custom section is wrong", start)
			}
			s.name, s.custom = string(s.body[n:n+int(length)]), s.body[n+int(length):]
		}
		sections = append(sections, s)
		pos = end
	}
	return sections, nil
}

// uvarint32 reads a number of 32 bits and how many bytes it takes, 0 if it is none.
func uvarint32(b []byte) (uint32, int) {
	v, n := binary.Uvarint(b[:min(5, len(b))])
	if n <= 0 || v > math.MaxUint32 {
		return 0, 0
	}
	return uint32(v), n
}

// appendSection appends a section.
func appendSection(b []byte, id byte, body []byte) []byte {
	b = binary.AppendUvarint(append(b, id), uint64(len(body)))
	return append(b, body...)
}

// appendCustom appends a custom section.
func appendCustom(b []byte, name string, contents []byte) []byte {
	return appendSection(b, sectionCustom, append(appendString(nil, name), contents...))
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// Strip returns a module or component without custom sections, but those whose name is
// kept, also of the modules and components in it.
func Strip(b []byte, keep func(name string) bool) ([]byte, error) { return strip(b, keep, 0) }

func strip(b []byte, keep func(string) bool, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("components nested deeper than %d", maxDepth)
	}
	component, err := isComponent(b)
	if err != nil {
		return nil, err
	}
	sections, err := split(b)
	if err != nil {
		return nil, err
	}
	out := append(make([]byte, 0, len(b)), b[:preamble]...)
	for _, s := range sections {
		switch {
		case s.id == sectionCustom && !keep(s.name):
		case component && (s.id == sectionCoreModule || s.id == sectionComponent):
			inner, err := strip(s.body, keep, depth+1)
			if err != nil {
				return nil, err
			}
			out = appendSection(out, s.id, inner)
		default:
			out = append(out, s.bytes...)
		}
	}
	return out, nil
}
