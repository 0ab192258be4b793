package wasm

import (
	"fmt"
	"unicode/utf8"
)

// reader reads the input up to the end of b. After an error it stays where it is and
// returns zeros, so that a sequence of reads needs one check.
type reader struct {
	b    []byte
	pos  int
	base int
	err  error
}

func (r *reader) more() bool { return r.pos < len(r.b) && r.err == nil }

// fail records that the input is malformed at pos.
func (r *reader) fail(pos int, rule, format string, args ...any) {
	if r.err == nil {
		r.err = &Error{Offset: r.base + pos, Rule: rule, Detail: fmt.Sprintf(format, args...), Malformed: true}
		r.pos = len(r.b)
	}
}

func (r *reader) unsupported(pos int, f Feature) {
	if r.err == nil {
		r.err = &UnsupportedError{Feature: f, Offset: r.base + pos}
		r.pos = len(r.b)
	}
}

func (r *reader) byte() byte {
	if r.pos >= len(r.b) {
		r.fail(r.pos, "unexpected end", "length out of bounds")
		return 0
	}
	c := r.b[r.pos]
	r.pos++
	return c
}

func (r *reader) bytes(n uint32) []byte {
	if uint64(n) > uint64(len(r.b)-r.pos) {
		r.fail(r.pos, "unexpected end", "length out of bounds: need %d bytes, have %d", n, len(r.b)-r.pos)
		return nil
	}
	b := r.b[r.pos : r.pos+int(n) : r.pos+int(n)]
	r.pos += int(n)
	return b
}

func (r *reader) u32() uint32 {
	if r.pos < len(r.b) && r.b[r.pos] < 0x80 {
		r.pos++
		return uint32(r.b[r.pos-1])
	}
	return uint32(r.leb(32, false))
}

func (r *reader) u64() uint64 { return r.leb(64, false) }
func (r *reader) s32() int32  { return int32(r.leb(32, true)) }
func (r *reader) s33() int64  { return int64(r.leb(33, true)) }
func (r *reader) s64() int64  { return int64(r.leb(64, true)) }

// leb reads a LEB128 integer of the given width, sign-extended to 64 bits if signed.
func (r *reader) leb(width uint, signed bool) uint64 {
	start := r.pos
	var v uint64
	for shift := uint(0); ; shift += 7 {
		if r.pos >= len(r.b) {
			r.fail(r.pos, "unexpected end", "in an integer")
			return 0
		}
		c := r.b[r.pos]
		r.pos++
		v |= uint64(c&0x7f) << shift
		left := width - shift // bits of the value that this byte may hold
		if left < 7 {
			if c&0x80 != 0 {
				r.fail(start, "integer representation too long", "invalid LEB128 of %d bits", width)
				return 0
			}
			unused := c & 0x7f >> left
			ok := unused == 0
			if signed {
				ones := byte(0x7f) >> left
				negative := c>>(left-1)&1 == 1
				ok = !negative && unused == 0 || negative && unused == ones
			}
			if !ok {
				r.fail(start, "integer too large", "invalid LEB128 of %d bits", width)
				return 0
			}
		}
		if c&0x80 == 0 {
			if signed && shift+7 < 64 && c&0x40 != 0 {
				v |= ^uint64(0) << (shift + 7)
			}
			return v
		}
	}
}

// count reads the number of entries of a vector, each at least min bytes long.
func (r *reader) count(what string, limit uint32) int {
	start := r.pos
	n := r.u32()
	if n > limit {
		r.fail(start, what+" count exceeds limit of "+fmt.Sprint(limit), "found %d", n)
		return 0
	}
	if int(n) > len(r.b)-r.pos {
		r.fail(start, "unexpected end", "length out of bounds: %d entries of %s in %d bytes", n, what, len(r.b)-r.pos)
		return 0
	}
	return int(n)
}

func (r *reader) name() string {
	start := r.pos
	n := r.u32()
	if r.err == nil && n > maxString {
		r.fail(start, "string size out of bounds", "%d bytes", n)
		return ""
	}
	start = r.pos
	b := r.bytes(n)
	if !utf8.Valid(b) {
		r.fail(start, "malformed UTF-8 encoding", "")
		return ""
	}
	return string(b)
}
