package canon

import (
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

// Encoding is the string-encoding option.
type Encoding uint8

// The encodings.
const (
	UTF8 Encoding = iota
	UTF16
	Latin1UTF16
)

// simpleEncoding is how one string is encoded.
type simpleEncoding uint8

const (
	utf8Units simpleEncoding = iota
	utf16Units
	latin1Units
)

// utf16Tag in a length marks UTF-16 in the latin1+utf16 encoding.
const utf16Tag = 1 << 31

// LoadString lifts the string of tagged code units at p (load_string_from_range).
func (cx *Context) LoadString(p, tagged uint32) string {
	s, _, _ := cx.loadString(p, tagged)
	return s
}

func (cx *Context) loadString(p, tagged uint32) (s string, enc simpleEncoding, units uint32) {
	align, units, unit := uint32(1), tagged, uint64(1)
	switch cx.Encoding {
	case UTF8:
		enc = utf8Units
	case UTF16:
		enc, align, unit = utf16Units, 2, 2
	case Latin1UTF16:
		enc, align = latin1Units, 2
		if tagged&utf16Tag != 0 {
			enc, units, unit = utf16Units, tagged&^utf16Tag, 2
		}
	}
	n := uint64(units) * unit
	mem := cx.Memory.Bytes()
	if n > maxBytes || uint64(p)+n > uint64(len(mem)) {
		Raise("string content out-of-bounds: string pointer/length out of bounds of memory")
	}
	if p&(align-1) != 0 {
		Raise("unaligned pointer: string pointer not aligned to %d", align)
	}
	cx.charge(n)
	b := mem[p : uint64(p)+n]
	switch enc {
	case utf8Units:
		if !utf8.Valid(b) {
			raiseUTF8(b)
		}
		return string(b), enc, units
	case utf16Units:
		return decodeUTF16(b), enc, units
	default:
		return decodeLatin1(b), enc, units
	}
}

// raiseUTF8 traps on invalid UTF-8, saying whether it ends within a character.
func raiseUTF8(b []byte) {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			break
		}
		b = b[n:]
	}
	if !utf8.FullRune(b) {
		Raise("invalid utf-8 encoding: incomplete utf-8 byte sequence")
	}
	Raise("invalid utf-8 encoding: invalid utf-8 sequence")
}

func decodeLatin1(b []byte) string {
	n := len(b)
	for _, c := range b {
		n += int(c >> 7)
	}
	if n == len(b) {
		return string(b)
	}
	out := make([]byte, 0, n)
	for _, c := range b {
		out = utf8.AppendRune(out, rune(c))
	}
	return unsafe.String(unsafe.SliceData(out), len(out))
}

func decodeUTF16(b []byte) string {
	out := make([]byte, 0, len(b)/2)
	for i := 0; i < len(b); i += 2 {
		c := rune(binary.LittleEndian.Uint16(b[i:]))
		if utf16.IsSurrogate(c) {
			if i+4 > len(b) {
				Raise("invalid utf-16 encoding: unpaired surrogate found")
			}
			i += 2
			if c = utf16.DecodeRune(c, rune(binary.LittleEndian.Uint16(b[i:]))); c == utf8.RuneError {
				Raise("invalid utf-16 encoding: unpaired surrogate found")
			}
		}
		out = utf8.AppendRune(out, c)
	}
	return unsafe.String(unsafe.SliceData(out), len(out))
}

// StoreString lowers a string of the host (store_string_into_range with a
// source of UTF-8). It must be valid UTF-8.
func (cx *Context) StoreString(s string) (p, tagged uint32) {
	return cx.storeString(rawString{s: s, enc: utf8Units, units: uint32(len(s))})
}

func (cx *Context) storeString(r rawString) (p, tagged uint32) {
	if r.enc == utf8Units && len(r.s) > maxBytes {
		Raise("string content out-of-bounds: string is too long")
	}
	switch cx.Encoding {
	case UTF8:
		switch r.enc {
		case utf8Units:
			p = cx.Alloc(1, r.units)
			copy(cx.at(p, r.units), r.s)
			return p, r.units
		case utf16Units:
			return cx.storeToUTF8(r, r.units*3)
		default:
			return cx.storeToUTF8(r, r.units*2)
		}
	case UTF16:
		if r.enc == utf8Units {
			return cx.storeUTF8ToUTF16(r)
		}
		p = cx.Alloc(2, 2*r.units)
		encodeUTF16(cx.at(p, 2*r.units), r.s)
		return p, r.units
	default:
		switch {
		case !r.both:
			return cx.storeToLatin1OrUTF16(r)
		case r.enc == latin1Units:
			p = cx.Alloc(2, r.units)
			encodeLatin1(cx.at(p, r.units), r.s)
			return p, r.units
		default:
			return cx.storeProbablyUTF16(r)
		}
	}
}

func (cx *Context) storeToUTF8(r rawString, worst uint32) (uint32, uint32) {
	p := cx.Alloc(1, r.units)
	n := uint32(len(r.s))
	if n == r.units && ascii(r.s) {
		copy(cx.at(p, n), r.s)
		return p, n
	}
	// What was copied before the first other character stays where realloc
	// moved it, as the specification writes only the rest; writing it all
	// again gives the same bytes.
	i := asciiPrefix(r.s)
	copy(cx.at(p, r.units), r.s[:i])
	p = cx.realloc(p, r.units, 1, worst)
	copy(cx.at(p, worst)[i:], r.s[i:])
	if worst > n {
		p = cx.realloc(p, worst, 1, n)
	}
	return p, n
}

func (cx *Context) storeUTF8ToUTF16(r rawString) (uint32, uint32) {
	worst := 2 * r.units
	p := cx.Alloc(2, worst)
	n := encodeUTF16(cx.at(p, worst), r.s)
	if n < worst {
		p = cx.realloc(p, worst, 2, n)
	}
	return p, n / 2
}

func (cx *Context) storeToLatin1OrUTF16(r rawString) (uint32, uint32) {
	p := cx.Alloc(2, r.units)
	prefix, count := latin1Prefix(r.s)
	encodeLatin1(cx.at(p, r.units), r.s[:prefix])
	if prefix == len(r.s) {
		if count < r.units {
			p = cx.realloc(p, r.units, 2, count)
		}
		return p, count
	}
	worst := 2 * r.units
	p = cx.realloc(p, r.units, 2, worst)
	b := cx.at(p, worst)
	for j := int(count) - 1; j >= 0; j-- {
		b[2*j], b[2*j+1] = b[j], 0
	}
	n := 2*count + encodeUTF16(b[2*count:], r.s[prefix:])
	if worst > n {
		p = cx.realloc(p, worst, 2, n)
	}
	return p, n/2 | utf16Tag
}

func (cx *Context) storeProbablyUTF16(r rawString) (uint32, uint32) {
	size := 2 * r.units
	p := cx.Alloc(2, size)
	b := cx.at(p, size)
	n := encodeUTF16(b, r.s)
	if prefix, _ := latin1Prefix(r.s); prefix != len(r.s) {
		return p, n/2 | utf16Tag
	}
	units := n / 2
	for i := range units {
		b[i] = b[2*i]
	}
	p = cx.realloc(p, size, 1, units)
	return p, units
}

func ascii(s string) bool { return asciiPrefix(s) == len(s) }

func asciiPrefix(s string) int {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return i
		}
	}
	return len(s)
}

// latin1Prefix returns the bytes and characters of s before the first
// character that Latin-1 lacks.
func latin1Prefix(s string) (bytes int, count uint32) {
	for i, c := range s {
		if c > 0xff {
			return i, count
		}
		count++
	}
	return len(s), count
}

func encodeLatin1(b []byte, s string) {
	i := 0
	for _, c := range s {
		b[i] = byte(c)
		i++
	}
}

// encodeUTF16 encodes s into b and returns the bytes written.
func encodeUTF16(b []byte, s string) uint32 {
	i := 0
	for _, c := range s {
		if c >= 0x10000 {
			hi, lo := utf16.EncodeRune(c)
			binary.LittleEndian.PutUint16(b[i:], uint16(hi))
			binary.LittleEndian.PutUint16(b[i+2:], uint16(lo))
			i += 4
			continue
		}
		binary.LittleEndian.PutUint16(b[i:], uint16(c))
		i += 2
	}
	return uint32(i)
}
