package canon

import (
	"encoding/binary"
	"math"
	"strings"
	"unsafe"

	"github.com/ashlar-wasm/ashlar/internal/limit"
)

// Memory is a guest's linear memory.
type Memory interface {
	// Bytes returns the memory as it is now; the slice is invalid after the
	// guest ran.
	Bytes() []byte
}

// Context is where values are lifted from or lowered to: one side of a call
// (LiftLowerContext in CanonicalABI.md).
type Context struct {
	Encoding Encoding
	Memory   Memory
	// Realloc calls the guest's realloc.
	Realloc func(old, oldSize, align, newSize uint32) uint32
	Handles *Table
	// Resources are the runtime types by Resource.Index.
	Resources []*ResourceType
	// Bind gives resources that have no index their runtime types.
	Bind map[*Resource]*ResourceType
	// Scope is the extent of the call, for borrows.
	Scope *Scope
	// Owner identifies the component instance; a borrow of a resource that it
	// implements itself is lowered to the bare representation.
	Owner any
	// Fused keeps what only another guest needs to know of lifted values.
	Fused bool
	// HostBytes bounds the memory of the host, in bytes, that lifting values from
	// this side of the call takes; 0 means DefaultHostBytes. Beyond it, lifting
	// panics with a *limit.Error.
	HostBytes uint64
	// Poll is called now and then while much is lifted or lowered, so that it takes
	// no longer than it may: it panics where the call must end. It may be nil.
	Poll func()

	lifted uint64 // bytes, as Charge counts them
	worked uint64 // bytes since Poll was called
}

// Resource returns the runtime type of a resource.
func (cx *Context) Resource(r *Resource) *ResourceType {
	if r.Type != nil {
		return r.Type
	}
	if r.Index < 0 {
		return cx.Bind[r]
	}
	return cx.Resources[r.Index]
}

// maxBytes bounds the bytes of one string or list (MAX_STRING_BYTE_LENGTH).
const maxBytes = 1<<28 - 1

// DefaultHostBytes is the default of Context.HostBytes.
const DefaultHostBytes = 128 << 20

// Charge counts bytes of the host's memory that a lifted value takes: lists may
// name the same memory any number of times, and what is small in a guest may be
// large here.
func (cx *Context) Charge(n uint64) {
	most := cx.HostBytes
	if most == 0 {
		most = DefaultHostBytes
	}
	if cx.lifted += n; cx.lifted > most {
		panic(&limit.Error{Resource: limit.Host, Limit: most, Requested: cx.lifted})
	}
}

// Alloc returns size bytes of guest memory from the guest's realloc, which are
// checked to be aligned and in bounds.
func (cx *Context) Alloc(align, size uint32) uint32 {
	return cx.realloc(0, 0, align, size)
}

func (cx *Context) realloc(old, oldSize, align, size uint32) uint32 {
	p := cx.Realloc(old, oldSize, align, size)
	if p&(align-1) != 0 {
		Raise("realloc return: result not aligned (unaligned pointer)")
	}
	if uint64(p)+uint64(size) > uint64(len(cx.Memory.Bytes())) {
		Raise("realloc return: beyond end of memory (string content out-of-bounds, list content out-of-bounds)")
	}
	return p
}

// Region returns the bytes of n values of a type at p, which are checked to be
// aligned and in bounds.
func (cx *Context) Region(p, n, size, align uint32) []byte {
	total := uint64(n) * uint64(size)
	if total > maxBytes {
		Raise("list content out-of-bounds: list pointer/length out of bounds of memory")
	}
	if p&(align-1) != 0 {
		Raise("unaligned pointer: list pointer is not aligned")
	}
	mem := cx.Memory.Bytes()
	if uint64(p)+total > uint64(len(mem)) {
		Raise("list content out-of-bounds: list pointer/length out of bounds of memory")
	}
	return mem[p : uint64(p)+total]
}

// Pointer checks that p may hold a value of the type, such as a result pointer.
func (cx *Context) Pointer(p uint32, t *Type) {
	if p&(t.Align-1) != 0 {
		Raise("unaligned pointer: pointer not aligned")
	}
	if uint64(p)+uint64(t.Size) > uint64(len(cx.Memory.Bytes())) {
		Raise("pointer out of bounds of memory")
	}
}

// pollBytes is how many bytes are handled between two calls of Poll. Copying them
// can't be preempted, which others wait for.
const pollBytes = 1 << 18

// Work counts bytes that were handled, so that Poll is called in time.
func (cx *Context) Work(n uint64) {
	if cx.worked += n; cx.worked >= pollBytes {
		cx.worked = 0
		if cx.Poll != nil {
			cx.Poll()
		}
	}
}

// Move copies src to dst, which is as long.
func (cx *Context) Move(dst, src []byte) {
	for len(src) > pollBytes {
		copy(dst[:pollBytes], src)
		dst, src = dst[pollBytes:], src[pollBytes:]
		cx.Work(pollBytes)
	}
	copy(dst, src)
	cx.Work(uint64(len(src)))
}

// Clone returns a copy of b, nil where that is empty.
func (cx *Context) Clone(b []byte) []byte {
	if len(b) <= pollBytes {
		cx.Work(uint64(len(b)))
		return append([]byte(nil), b...)
	}
	var s strings.Builder // whose memory is not cleared first
	for s.Grow(len(b)); len(b) > 0; b = b[min(len(b), pollBytes):] {
		n, _ := s.Write(b[:min(len(b), pollBytes)])
		cx.Work(uint64(n))
	}
	return unsafe.Slice(unsafe.StringData(s.String()), s.Len())
}

func (cx *Context) at(p, n uint32) []byte { return cx.Memory.Bytes()[p:][:n:n] }

func (cx *Context) load8(p uint32) uint8   { return cx.Memory.Bytes()[p] }
func (cx *Context) load16(p uint32) uint16 { return binary.LittleEndian.Uint16(cx.at(p, 2)) }
func (cx *Context) load32(p uint32) uint32 { return binary.LittleEndian.Uint32(cx.at(p, 4)) }
func (cx *Context) load64(p uint32) uint64 { return binary.LittleEndian.Uint64(cx.at(p, 8)) }

func (cx *Context) store8(p uint32, v uint8)   { cx.Memory.Bytes()[p] = v }
func (cx *Context) store16(p uint32, v uint16) { binary.LittleEndian.PutUint16(cx.at(p, 2), v) }
func (cx *Context) store32(p uint32, v uint32) { binary.LittleEndian.PutUint32(cx.at(p, 4), v) }
func (cx *Context) store64(p uint32, v uint64) { binary.LittleEndian.PutUint64(cx.at(p, 8), v) }

// The canonical NaNs.
const (
	nan32 = 0x7fc00000
	nan64 = 0x7ff8000000000000
)

// canonical32 returns the bits of a float, those of a NaN the canonical ones.
func canonical32(bits uint32) uint32 {
	if bits&0x7fffffff > 0x7f800000 {
		return nan32
	}
	return bits
}

// canonical64 returns the bits of a float, those of a NaN the canonical ones.
func canonical64(bits uint64) uint64 {
	if bits&^(1<<63) > 0x7ff0000000000000 {
		return nan64
	}
	return bits
}

// Float32 makes a float of its bits, a NaN the canonical one.
func Float32(bits uint32) float32 { return math.Float32frombits(canonical32(bits)) }

// Float64 makes a float of its bits, a NaN the canonical one.
func Float64(bits uint64) float64 { return math.Float64frombits(canonical64(bits)) }

// Float32Bits returns the bits of f, a NaN's being canonical.
func Float32Bits(f float32) uint32 { return canonical32(math.Float32bits(f)) }

// Float64Bits returns the bits of f, a NaN's being canonical.
func Float64Bits(f float64) uint64 { return canonical64(math.Float64bits(f)) }

// Rune checks that i is a Unicode scalar value.
func Rune(i uint32) rune {
	if i >= 0x110000 || i >= 0xd800 && i <= 0xdfff {
		Raise("invalid `char` bit pattern")
	}
	return rune(i)
}

// Discriminant checks the index of a case of a type with n of them.
func Discriminant(i uint32, n int) uint32 {
	if uint64(i) >= uint64(n) {
		Raise("invalid variant discriminant: discriminant %d out of range [0..%d)", i, n)
	}
	return i
}
