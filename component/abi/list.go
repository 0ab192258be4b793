package abi

import (
	"encoding/binary"
	"unsafe"
)

// Make returns a slice of n elements, which counts as memory of the host that the
// guest takes: the call ends where that is too much.
func Make[T any](c *Call, n uint32) []T {
	c.cx.Charge(uint64(n) * uint64(unsafe.Sizeof(*new(T))))
	return make([]T, n)
}

// MakeMap returns a map for n entries, counted likewise.
func MakeMap[M ~map[K]V, K comparable, V any](c *Call, n uint32) M {
	// A table is half empty at times.
	c.cx.Charge(uint64(n) * 2 * uint64(unsafe.Sizeof(struct {
		k K
		v V
	}{})))
	return make(M)
}

// Box returns a pointer to a copy of v, counted likewise.
func Box[T any](c *Call, v T) *T {
	v = Held(c, v)
	return &v
}

// Held returns v, which is about to be put into an interface, counted likewise.
func Held[T any](c *Call, v T) T {
	c.cx.Charge(uint64(unsafe.Sizeof(v)))
	return v
}

// LoadList lifts a list of n elements of the size and alignment, each by load.
func LoadList[T any](c *Call, p, n, size, align uint32, load func(c *Call, p uint32) T) []T {
	c.Region(p, n, size, align)
	v := Make[T](c, n)
	for i := range v {
		v[i] = load(c, p)
		p += size
		c.cx.Work(uint64(size))
	}
	return v
}

// StoreList lowers a list of elements of the size and alignment, each by store.
func StoreList[T any](c *Call, v []T, size, align uint32, store func(c *Call, p uint32, v T)) (p, n uint32) {
	p = c.AllocList(len(v), size, align)
	for i := range v {
		store(c, p+uint32(i)*size, v[i])
		c.cx.Work(uint64(size))
	}
	return p, uint32(len(v))
}

// Integer is an integer of a list that is passed as a whole.
type Integer interface {
	int8 | uint16 | int16 | uint32 | int32 | uint64 | int64
}

// littleEndian tells that integers are laid out here as in a guest.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// LoadInts lifts a list of integers.
func LoadInts[T Integer](c *Call, p, n uint32) []T {
	size := uint32(unsafe.Sizeof(*new(T)))
	b := c.cx.Region(p, n, size, size)
	if n == 0 {
		return []T{}
	}
	c.cx.Charge(uint64(len(b)))
	// The allocator aligns memory by its size.
	b = c.cx.Clone(b)
	swap(b, int(size))
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

// StoreInts lowers a list of integers.
func StoreInts[T Integer](c *Call, v []T) (p, n uint32) {
	size := int(unsafe.Sizeof(*new(T)))
	p = c.AllocList(len(v), uint32(size), uint32(size))
	if len(v) > 0 {
		dst := c.mem[p:][:len(v)*size]
		c.cx.Move(dst, bytesOf(v))
		swap(dst, size)
	}
	return p, uint32(len(v))
}

// bytesOf returns the memory of v, which is not empty.
func bytesOf[T Integer](v []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), len(v)*int(unsafe.Sizeof(v[0])))
}

// swap turns integers of the host in b into those of a guest, or back.
func swap(b []byte, size int) {
	if littleEndian {
		return
	}
	for ; len(b) > 0; b = b[size:] {
		for i, j := 0, size-1; i < j; i, j = i+1, j-1 {
			b[i], b[j] = b[j], b[i]
		}
	}
}
