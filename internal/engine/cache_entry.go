package engine

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// An entry is a file that is named by its key in hexadecimal. Integers are
// little-endian.
//
//	magic         8 bytes
//	sum          32 bytes, SHA-256 of all that follows
//	key          32 bytes
//	source       32 bytes, SHA-256 of the component or module
//	build length  2 bytes
//	payload length 8 bytes
//	build        text
//	payload
const (
	entryMagic  = "ashlarC2"
	entryPrefix = len(entryMagic) + sha256.Size
	entryFixed  = entryPrefix + 2*sha256.Size + 2 + 8
)

// cacheKey identifies what was compiled, by what and for what.
type cacheKey [sha256.Size]byte

func (k cacheKey) fileName() string { return hex.EncodeToString(k[:]) }

// entryInfo is what an entry says of itself, for people.
type entryInfo struct {
	digest [sha256.Size]byte
	build  string
}

func (i *entryInfo) source() string { return "sha256:" + hex.EncodeToString(i.digest[:]) }

type entryHeader struct {
	sum   [sha256.Size]byte
	key   cacheKey
	about entryInfo
	size  uint64 // of the payload
	raw   []byte // what the sum covers
}

// encodeHeader returns all of an entry that stands before the payload.
func encodeHeader(key cacheKey, about entryInfo, payload [][]byte) []byte {
	about.build = about.build[:min(len(about.build), 1<<16-1)]
	var size uint64
	for _, p := range payload {
		size += uint64(len(p))
	}
	b := append(make([]byte, 0, entryFixed+len(about.build)), entryMagic...)
	b = append(b, make([]byte, sha256.Size)...)
	b = append(b, key[:]...)
	b = append(b, about.digest[:]...)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(about.build)))
	b = binary.LittleEndian.AppendUint64(b, size)
	b = append(b, about.build...)
	h := sha256.New()
	h.Write(b[entryPrefix:])
	for _, p := range payload {
		h.Write(p)
	}
	h.Sum(b[len(entryMagic):len(entryMagic)])
	return b
}

// readHeader reads the part of an entry before the payload. Nothing in it can
// be trusted before the sum was checked.
func readHeader(r io.Reader) (*entryHeader, error) {
	fixed := make([]byte, entryFixed)
	if _, err := io.ReadFull(r, fixed); err != nil {
		return nil, fmt.Errorf("read header: %w", err)
	}
	if string(fixed[:len(entryMagic)]) != entryMagic {
		return nil, errors.New("not an entry of this version")
	}
	h := &entryHeader{}
	b := fixed[copy(h.sum[:], fixed[len(entryMagic):])+len(entryMagic):]
	b = b[copy(h.key[:], b):]
	b = b[copy(h.about.digest[:], b):]
	build := make([]byte, binary.LittleEndian.Uint16(b))
	h.size = binary.LittleEndian.Uint64(b[2:])
	if _, err := io.ReadFull(r, build); err != nil {
		return nil, fmt.Errorf("read header: %w", err)
	}
	h.about.build = string(build)
	h.raw = append(fixed[entryPrefix:], build...)
	return h, nil
}

// readEntry reads the entry of that key from a file of size bytes, and checks
// all of it. No more memory is allocated than the file has bytes.
func readEntry(r io.Reader, size int64, key cacheKey) ([]byte, error) {
	h, err := readHeader(r)
	if err != nil {
		return nil, err
	}
	if h.key != key {
		return nil, errors.New("the entry of another key")
	}
	rest := size - int64(entryPrefix+len(h.raw))
	if rest < 0 || h.size != uint64(rest) {
		return nil, fmt.Errorf("%d bytes of contents, expected %d", rest, h.size)
	}
	payload := make([]byte, rest)
	if _, err := io.ReadFull(r, payload); err != nil {
		return nil, fmt.Errorf("read contents: %w", err)
	}
	d := sha256.New()
	d.Write(h.raw)
	d.Write(payload)
	if !bytes.Equal(d.Sum(nil), h.sum[:]) {
		return nil, errors.New("the checksum is wrong")
	}
	return payload, nil
}

// compiled is a core module in an entry.
type compiled struct {
	shell  []byte // the module without the code of its functions
	held   []byte // see Held.encode
	native []byte // what the engine made of them
}

// encodeCompiled returns modules as the parts of a payload: their number, and
// the length and bytes of shell, what is held, and native code of each.
func encodeCompiled(modules []compiled) [][]byte {
	parts := [][]byte{binary.LittleEndian.AppendUint32(nil, uint32(len(modules)))}
	for _, m := range modules {
		for _, b := range [...][]byte{m.shell, m.held, m.native} {
			parts = append(parts, binary.LittleEndian.AppendUint64(nil, uint64(len(b))), b)
		}
	}
	return parts
}

// decodeCompiled reads what encodeCompiled wrote. The modules alias b.
func decodeCompiled(b []byte) ([]compiled, error) {
	malformed := errors.New("malformed contents")
	if len(b) < 4 {
		return nil, malformed
	}
	n := binary.LittleEndian.Uint32(b)
	b = b[4:]
	if uint64(n)*24 > uint64(len(b)) {
		return nil, malformed
	}
	modules := make([]compiled, n)
	for i := range modules {
		for _, dst := range [...]*[]byte{&modules[i].shell, &modules[i].held, &modules[i].native} {
			if len(b) < 8 {
				return nil, malformed
			}
			size := binary.LittleEndian.Uint64(b)
			if b = b[8:]; size > uint64(len(b)) {
				return nil, malformed
			}
			*dst, b = b[:size:size], b[size:]
		}
	}
	if len(b) > 0 {
		return nil, malformed
	}
	return modules, nil
}

// heldTables is a custom section of what is held where the module writes tables.
const heldTables = "tables"

// encode returns what is held as a module that has nothing else.
func (h *Held) encode() []byte {
	m := &wasm.Module{Data: h.Data}
	if h.WritesTables {
		m.Customs = []wasm.Custom{{Name: heldTables}}
	}
	return m.Encode()
}

// decodeHeld reads what encode wrote. The data aliases b.
func decodeHeld(b []byte) (Held, error) {
	m, err := wasm.Decode(b)
	if err != nil {
		return Held{}, err
	}
	_, writes := m.Custom(heldTables)
	return Held{Data: m.Data, WritesTables: writes}, nil
}

// digestString adds a string to a digest so that no two lists of strings look alike.
func digestString(h hash.Hash, s string) {
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], uint64(len(s)))
	h.Write(n[:])
	io.WriteString(h, s)
}
