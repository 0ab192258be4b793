package canon

import (
	"encoding/binary"
	"iter"
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

// text is a valid string as it is encoded: how it was decides how new memory is
// allocated for it (store_string_into_range).
type text struct {
	cx    *Context // that polls while the text is read
	b     []byte
	enc   simpleEncoding
	both  bool   // it came from latin1+utf16
	units uint32 // code units in enc
}

// LoadString lifts the string of tagged code units at p (load_string_from_range).
func (cx *Context) LoadString(p, tagged uint32) string {
	t := cx.text(p, tagged)
	if t.enc == utf8Units {
		cx.Charge(uint64(len(t.b)))
		b := cx.Clone(t.b)
		return unsafe.String(unsafe.SliceData(b), len(b))
	}
	n := t.utf8Len()
	cx.Charge(uint64(n))
	out := make([]byte, n)
	t.encodeUTF8(out, 0)
	return unsafe.String(unsafe.SliceData(out), n)
}

// text returns the string of tagged code units at p, which it checks. Its bytes
// are those of the memory.
func (cx *Context) text(p, tagged uint32) text {
	t := cx.textUnchecked(p, tagged)
	switch t.enc {
	case utf8Units:
		cx.checkUTF8(t.b)
	case utf16Units:
		cx.checkUTF16(t.b)
	}
	return t
}

// textUnchecked is text for what may be no valid encoding.
func (cx *Context) textUnchecked(p, tagged uint32) text {
	t := text{cx: cx, units: tagged, both: cx.Encoding == Latin1UTF16}
	align, unit := uint32(1), uint64(1)
	switch cx.Encoding {
	case UTF8:
		t.enc = utf8Units
	case UTF16:
		t.enc, align, unit = utf16Units, 2, 2
	case Latin1UTF16:
		t.enc, align = latin1Units, 2
		if tagged&utf16Tag != 0 {
			t.enc, t.units, unit = utf16Units, tagged&^utf16Tag, 2
		}
	}
	n := uint64(t.units) * unit
	mem := cx.Memory.Bytes()
	if n > maxBytes || uint64(p)+n > uint64(len(mem)) {
		Raise("string content out-of-bounds: string pointer/length out of bounds of memory")
	}
	if p&(align-1) != 0 {
		Raise("unaligned pointer: string pointer not aligned to %d", align)
	}
	t.b = mem[p : uint64(p)+n]
	return t
}

// checkUTF8 traps on invalid UTF-8.
func (cx *Context) checkUTF8(b []byte) {
	for len(b) > 0 {
		n := min(len(b), pollBytes)
		for n < len(b) && n > pollBytes-utf8.UTFMax && !utf8.RuneStart(b[n]) {
			n--
		}
		if !utf8.Valid(b[:n]) {
			raiseUTF8(b)
		}
		b = b[n:]
		cx.Work(uint64(n))
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

// checkUTF16 traps on surrogates that are no pair.
func (cx *Context) checkUTF16(b []byte) {
	for i, poll := 0, pollBytes; i < len(b); i += 2 {
		if i >= poll {
			cx.Work(pollBytes)
			poll += pollBytes
		}
		if b[i+1]&0xf8 != 0xd8 {
			continue
		}
		if i+4 > len(b) || b[i+1]&0xfc != 0xd8 || b[i+3]&0xfc != 0xdc {
			Raise("invalid utf-16 encoding: unpaired surrogate found")
		}
		i += 2
	}
	cx.Work(uint64(len(b) % pollBytes))
}

// next returns the character at a byte, and the bytes it takes.
func (t *text) next(i int) (r rune, n int) {
	switch t.enc {
	case utf8Units:
		if c := t.b[i]; c < utf8.RuneSelf {
			return rune(c), 1
		}
		return utf8.DecodeRune(t.b[i:])
	case utf16Units:
		c := rune(binary.LittleEndian.Uint16(t.b[i:]))
		if utf16.IsSurrogate(c) {
			return utf16.DecodeRune(c, rune(binary.LittleEndian.Uint16(t.b[i+2:]))), 4
		}
		return c, 2
	default:
		return rune(t.b[i]), 1
	}
}

// runes yields the characters from a byte on, each with where it begins.
func (t *text) runes(from int) iter.Seq2[int, rune] {
	return func(yield func(int, rune) bool) {
		poll := from + pollBytes
		for i := from; i < len(t.b); {
			c, n := t.next(i)
			if !yield(i, c) {
				return
			}
			if i += n; i >= poll {
				t.cx.Work(pollBytes)
				poll = i + pollBytes
			}
		}
		t.cx.Work(uint64(len(t.b) % pollBytes))
	}
}

// prefix returns the bytes and characters before the first character beyond limit.
func (t *text) prefix(limit rune) (bytes int, count uint32) {
	for i, c := range t.runes(0) {
		if c > limit {
			return i, count
		}
		count++
	}
	return len(t.b), count
}

// utf8Len returns the length in UTF-8.
func (t *text) utf8Len() int {
	sum := 0
	for _, c := range t.runes(0) {
		sum += utf8.RuneLen(c)
	}
	return sum
}

// encodeUTF8 writes the characters from a byte on, and returns the bytes written.
func (t *text) encodeUTF8(dst []byte, from int) int {
	at := 0
	for _, c := range t.runes(from) {
		if c < utf8.RuneSelf {
			dst[at] = byte(c)
			at++
		} else {
			at += utf8.EncodeRune(dst[at:], c)
		}
	}
	return at
}

// encodeUTF16 writes the characters from a byte on, and returns the bytes written.
func (t *text) encodeUTF16(dst []byte, from int) uint32 {
	at := 0
	for _, c := range t.runes(from) {
		if c >= 0x10000 {
			hi, lo := utf16.EncodeRune(c)
			binary.LittleEndian.PutUint16(dst[at:], uint16(hi))
			at += 2
			c = lo
		}
		binary.LittleEndian.PutUint16(dst[at:], uint16(c))
		at += 2
	}
	return uint32(at)
}

// encodeBytes writes the first count characters, which are of Latin-1, as a byte each.
func (t *text) encodeBytes(dst []byte, count uint32) {
	at := uint32(0)
	for _, c := range t.runes(0) {
		if at == count {
			return
		}
		dst[at] = byte(c)
		at++
	}
}

// StoreString lowers a string of the host (store_string_into_range with a
// source of UTF-8). It must be valid UTF-8.
func (cx *Context) StoreString(s string) (p, tagged uint32) {
	if len(s) > maxBytes {
		Raise("string content out-of-bounds: string is too long")
	}
	return cx.storeText(text{b: unsafe.Slice(unsafe.StringData(s), len(s)), enc: utf8Units, units: uint32(len(s))})
}

// storeText lowers a string, whose bytes must not be of the memory that it goes to.
func (cx *Context) storeText(t text) (p, tagged uint32) {
	t.cx = cx
	switch cx.Encoding {
	case UTF8:
		switch t.enc {
		case utf8Units:
			return cx.copyText(t, 1)
		case utf16Units:
			return cx.storeToUTF8(t, t.units*3)
		default:
			return cx.storeToUTF8(t, t.units*2)
		}
	case UTF16:
		switch t.enc {
		case utf8Units:
			return cx.storeUTF8ToUTF16(t)
		case utf16Units:
			return cx.copyText(t, 2)
		default:
			p = cx.Alloc(2, 2*t.units)
			t.encodeUTF16(cx.at(p, 2*t.units), 0)
			return p, t.units
		}
	default:
		switch {
		case !t.both:
			return cx.storeToLatin1OrUTF16(t)
		case t.enc == latin1Units:
			return cx.copyText(t, 2)
		default:
			return cx.storeProbablyUTF16(t)
		}
	}
}

// copyText lowers a string in the encoding that it has.
func (cx *Context) copyText(t text, align uint32) (uint32, uint32) {
	n := uint32(len(t.b))
	p := cx.Alloc(align, n)
	cx.Move(cx.at(p, n), t.b)
	return p, t.units
}

func (cx *Context) storeToUTF8(t text, worst uint32) (uint32, uint32) {
	p := cx.Alloc(1, t.units)
	bytes, count := t.prefix(utf8.RuneSelf - 1)
	t.encodeBytes(cx.at(p, t.units), count)
	if bytes == len(t.b) {
		return p, t.units
	}
	p = cx.realloc(p, t.units, 1, worst)
	n := count + uint32(t.encodeUTF8(cx.at(p, worst)[count:], bytes))
	if worst > n {
		p = cx.realloc(p, worst, 1, n)
	}
	return p, n
}

func (cx *Context) storeUTF8ToUTF16(t text) (uint32, uint32) {
	worst := 2 * t.units
	p := cx.Alloc(2, worst)
	n := t.encodeUTF16(cx.at(p, worst), 0)
	if n < worst {
		p = cx.realloc(p, worst, 2, n)
	}
	return p, n / 2
}

func (cx *Context) storeToLatin1OrUTF16(t text) (uint32, uint32) {
	p := cx.Alloc(2, t.units)
	bytes, count := t.prefix(0xff)
	t.encodeBytes(cx.at(p, t.units), count)
	if bytes == len(t.b) {
		if count < t.units {
			p = cx.realloc(p, t.units, 2, count)
		}
		return p, count
	}
	worst := 2 * t.units
	p = cx.realloc(p, t.units, 2, worst)
	b := cx.at(p, worst)
	for j := int(count) - 1; j >= 0; j-- {
		b[2*j], b[2*j+1] = b[j], 0
		if j%pollBytes == 0 {
			cx.Work(pollBytes)
		}
	}
	n := 2*count + t.encodeUTF16(b[2*count:], bytes)
	if worst > n {
		p = cx.realloc(p, worst, 2, n)
	}
	return p, n/2 | utf16Tag
}

func (cx *Context) storeProbablyUTF16(t text) (uint32, uint32) {
	size := 2 * t.units
	p := cx.Alloc(2, size)
	b := cx.at(p, size)
	cx.Move(b, t.b)
	if bytes, _ := t.prefix(0xff); bytes != len(t.b) {
		return p, t.units | utf16Tag
	}
	for i := range t.units {
		b[i] = b[2*i]
		if i%pollBytes == pollBytes-1 {
			cx.Work(pollBytes)
		}
	}
	p = cx.realloc(p, size, 1, t.units)
	return p, t.units
}
