package binary

import (
	"fmt"
	"unicode/utf8"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// Bounds of the decoder: what no real component comes near.
const (
	maxSize    = 1 << 30 // bytes of input
	maxNesting = 100     // components and types within one another
	maxDefs    = 1 << 20 // definitions of one component
	maxString  = 100_000 // bytes of a name
	maxVector  = 1 << 20 // entries of a vector
)

// reader reads from b; positions in errors are base+pos. After an error it
// returns zeros, so that a run of reads needs one check.
type reader struct {
	b    []byte
	pos  int
	base int
	err  error
}

func (r *reader) at() int    { return r.base + r.pos }
func (r *reader) more() bool { return r.err == nil && r.pos < len(r.b) }

// fail records that the input is malformed at the offset.
func (r *reader) fail(offset int, rule, format string, args ...any) {
	if r.err == nil {
		r.err = &Error{Offset: offset, Rule: rule, Detail: fmt.Sprintf(format, args...), Malformed: true}
		r.pos = len(r.b)
	}
}

// unsupported records that what follows is not supported.
func (r *reader) unsupported(f wasm.Feature) {
	if r.err == nil {
		r.err = &wasm.UnsupportedError{Feature: f, Offset: r.at()}
		r.pos = len(r.b)
	}
}

func (r *reader) byte() byte {
	if r.pos >= len(r.b) {
		r.fail(r.at(), "unexpected end-of-file", "")
		return 0
	}
	c := r.b[r.pos]
	r.pos++
	return c
}

func (r *reader) peek() byte {
	if r.pos >= len(r.b) {
		return 0
	}
	return r.b[r.pos]
}

func (r *reader) bytes(n uint32) []byte {
	if uint64(n) > uint64(len(r.b)-r.pos) {
		r.fail(r.at(), "unexpected end-of-file", "need %d bytes, have %d", n, len(r.b)-r.pos)
		return nil
	}
	b := r.b[r.pos : r.pos+int(n) : r.pos+int(n)]
	r.pos += int(n)
	return b
}

// s33 reads a signed LEB128 integer of at most 33 bits.
func (r *reader) s33() int64 {
	start := r.at()
	var v int64
	for shift := uint(0); ; shift += 7 {
		c := r.byte()
		if r.err != nil {
			return 0
		}
		v |= int64(c&0x7f) << shift
		if shift == 28 {
			if c&0x80 != 0 {
				r.fail(start, "integer representation too long", "")
				return 0
			}
			if top := int8(c<<1) >> 5; top != 0 && top != -1 {
				r.fail(start, "integer too large", "")
				return 0
			}
		}
		if c&0x80 == 0 {
			if c&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
}

func (r *reader) u32() uint32 {
	start := r.at()
	var v uint32
	for shift := uint(0); ; shift += 7 {
		c := r.byte()
		if r.err != nil {
			return 0
		}
		if shift == 28 {
			if c&0x80 != 0 {
				r.fail(start, "integer representation too long", "")
				return 0
			}
			if c > 0x0f {
				r.fail(start, "integer too large", "")
				return 0
			}
		}
		v |= uint32(c&0x7f) << shift
		if c&0x80 == 0 {
			return v
		}
	}
}

// count reads the length of a vector whose entries take at least one byte each.
func (r *reader) count(what string) int {
	start := r.at()
	n := r.u32()
	if n > maxVector {
		r.fail(start, fmt.Sprintf("%s count exceeds limit of %d", what, maxVector), "found %d", n)
		return 0
	}
	if int(n) > len(r.b)-r.pos {
		r.fail(start, "unexpected end-of-file", "%d entries of %s in %d bytes", n, what, len(r.b)-r.pos)
		return 0
	}
	return int(n)
}

// vec reads a vector.
func vec[T any](r *reader, what string, item func() T) []T {
	n := r.count(what)
	if n == 0 {
		return nil
	}
	out := make([]T, 0, min(n, 4096))
	for range n {
		v := item()
		if r.err != nil {
			return nil
		}
		out = append(out, v)
	}
	return out
}

func (r *reader) name() string {
	start := r.at()
	n := r.u32()
	if r.err == nil && n > maxString {
		r.fail(start, "name too long", "%d bytes, at most %d", n, maxString)
		return ""
	}
	start = r.at()
	b := r.bytes(n)
	if !utf8.Valid(b) {
		r.fail(start, "malformed UTF-8 encoding", "")
		return ""
	}
	return string(b)
}

// flag reads a byte that must be 0 or 1.
func (r *reader) flag(what string) bool {
	start := r.at()
	switch c := r.byte(); c {
	case 0:
		return false
	case 1:
		return true
	default:
		r.fail(start, fmt.Sprintf("invalid leading byte (0x%x) for %s", c, what), "expected 0 or 1")
		return false
	}
}

// boolean reads a boolean immediate of a built-in.
func (r *reader) boolean() bool {
	start := r.at()
	c := r.byte()
	if c > 1 {
		r.fail(start, "invalid boolean value", "found %#x", c)
	}
	return c == 1
}

// coreValType reads a core value type.
func (r *reader) coreValType() wasm.ValType {
	start := r.at()
	switch c := r.byte(); c {
	case 0x7f, 0x7e, 0x7d, 0x7c, 0x7b:
		return wasm.ValType(c)
	case 0x70:
		return wasm.FuncRef
	case 0x6f:
		return wasm.ExternRef
	case 0x69:
		return wasm.ExnRef
	case 0x63, 0x64:
		return wasm.Ref(r.heapType(), c == 0x63)
	case 0x6e, 0x6d, 0x6c, 0x6b, 0x6a, 0x71, 0x72, 0x73, 0x74:
		r.pos--
		r.unsupported(wasm.GC)
		return 0
	default:
		r.fail(start, "invalid value type", "found byte %#x", c)
		return 0
	}
}

func (r *reader) heapType() wasm.HeapType {
	start := r.at()
	switch v := r.s33(); {
	case v >= 0:
		return wasm.HeapType(v)
	case v == -0x10:
		return wasm.HeapFunc
	case v == -0x11:
		return wasm.HeapExtern
	case v == -0x17:
		return wasm.HeapExn
	default:
		if r.err == nil {
			r.pos = start - r.base
			r.unsupported(wasm.GC)
		}
		return 0
	}
}

func (r *reader) coreFuncType() *wasm.FuncType {
	t := &wasm.FuncType{Offset: r.at()}
	t.Params = vec(r, "parameter", r.coreValType)
	t.Results = vec(r, "result", r.coreValType)
	return t
}

func (r *reader) u64() uint64 {
	start := r.at()
	var v uint64
	for shift := uint(0); ; shift += 7 {
		c := r.byte()
		if r.err != nil {
			return 0
		}
		if shift == 63 && c > 1 {
			r.fail(start, "integer too large", "")
			return 0
		}
		v |= uint64(c&0x7f) << shift
		if c&0x80 == 0 {
			return v
		}
	}
}

func (r *reader) limits() (l wasm.Limits, pageSize bool) {
	start := r.at()
	f := r.byte()
	if f > 0x0f {
		r.fail(start, "malformed limits flags", "found %#x", f)
		return l, false
	}
	l.HasMax, l.Shared, l.Index64 = f&1 != 0, f&2 != 0, f&4 != 0
	l.Min = r.u64()
	if l.HasMax {
		l.Max = r.u64()
	}
	return l, f&8 != 0
}

// coreExtern reads core:externtype.
func (r *reader) coreExtern() (e wasm.Extern) {
	start := r.at()
	switch c := r.byte(); c {
	case 0x00:
		e.Kind, e.Type = wasm.KindFunc, r.u32()
	case 0x01:
		e.Kind = wasm.KindTable
		e.Table.Elem = r.coreValType()
		e.Table.Limits, _ = r.limits()
	case 0x02:
		e.Kind = wasm.KindMemory
		e.Memory.PageSizeLog2 = 16
		e.Memory.Limits, e.Memory.HasPageSize = r.limits()
		if e.Memory.HasPageSize {
			e.Memory.PageSizeLog2 = r.u32()
		}
	case 0x03:
		e.Kind = wasm.KindGlobal
		e.Global.Val = r.coreValType()
		if c := r.peek(); c == 2 || c == 3 {
			r.unsupported(wasm.SharedEverything)
		}
		e.Global.Mutable = r.flag("mutability")
	case 0x04:
		e.Kind = wasm.KindTag
		if c := r.byte(); c != 0 && r.err == nil {
			r.fail(start+1, "invalid tag attribute", "found %#x", c)
		}
		e.Type = r.u32()
	default:
		r.fail(start, "invalid external kind", "found byte %#x", c)
	}
	return e
}
