package abi

import (
	"math"
	"unsafe"
)

// U8 returns the number at an address.
func (c *Call) U8(p uint32) uint8 { return *(*uint8)(pointer(p)) }

// U16 returns the number at an address.
func (c *Call) U16(p uint32) uint16 { return *(*uint16)(pointer(p)) }

// U32 returns the number at an address.
func (c *Call) U32(p uint32) uint32 { return *(*uint32)(pointer(p)) }

// U64 returns the number at an address.
func (c *Call) U64(p uint32) uint64 { return *(*uint64)(pointer(p)) }

// F32 returns the number at an address.
func (c *Call) F32(p uint32) float32 { return *(*float32)(pointer(p)) }

// F64 returns the number at an address.
func (c *Call) F64(p uint32) float64 { return *(*float64)(pointer(p)) }

// PutBool stores a value.
func (c *Call) PutBool(p uint32, v bool) { *(*bool)(pointer(p)) = v }

// PutU8 stores a number.
func (c *Call) PutU8(p uint32, v uint8) { *(*uint8)(pointer(p)) = v }

// PutU16 stores a number.
func (c *Call) PutU16(p uint32, v uint16) { *(*uint16)(pointer(p)) = v }

// PutU32 stores a number.
func (c *Call) PutU32(p uint32, v uint32) { *(*uint32)(pointer(p)) = v }

// PutU64 stores a number.
func (c *Call) PutU64(p uint32, v uint64) { *(*uint64)(pointer(p)) = v }

// PutF32 stores a number.
func (c *Call) PutF32(p uint32, v float32) { *(*float32)(pointer(p)) = v }

// PutF64 stores a number.
func (c *Call) PutF64(p uint32, v float64) { *(*float64)(pointer(p)) = v }

// ToRune returns a character, which is valid.
func ToRune(v uint32) rune { return rune(v) }

// FromRune returns the number of a character. The other side traps if it is no
// Unicode scalar value.
func FromRune(r rune) uint32 { return uint32(r) }

// ToF32 returns the number that a core value holds.
func ToF32(v uint64) float32 { return math.Float32frombits(uint32(v)) }

// ToF64 returns the number that a core value holds.
func ToF64(v uint64) float64 { return math.Float64frombits(v) }

// FromBool returns the core value for a bool.
func FromBool(v bool) uint64 {
	if v {
		return 1
	}
	return 0
}

// FromF32 returns the core value that holds a number.
func FromF32(v float32) uint64 { return uint64(math.Float32bits(v)) }

// FromF64 returns the core value that holds a number.
func FromF64(v float64) uint64 { return math.Float64bits(v) }

// Discriminant returns which of n cases a value is; it panics if it is none.
func Discriminant(v uint32, n int) uint32 {
	if uint64(v) >= uint64(n) {
		panic("abi: value is none of the cases of its type")
	}
	return v
}

// Box returns a pointer to a value that was lifted.
func Box[T any](v T) *T { return &v }

// LoadString lifts a string. It stays in the memory that it is in.
func (c *Call) LoadString(p, n uint32) string {
	if n == 0 {
		return ""
	}
	return unsafe.String((*byte)(pointer(p)), n)
}

// StoreString lowers a string where it is. The other side traps if it is not
// valid UTF-8.
func (c *Call) StoreString(s string) (p, n uint32) {
	return c.lend(unsafe.Pointer(unsafe.StringData(s)), len(s), 1, 1)
}

// LoadBytes lifts a list of bytes, which stays in the memory that it is in.
func (c *Call) LoadBytes(p, n uint32) []byte { return LoadPlain[byte](c, p, n) }

// StoreBytes lowers a list of bytes where it is.
func (c *Call) StoreBytes(v []byte) (p, n uint32) { return StorePlain(c, v) }

// LoadPlain lifts a list whose elements have the same form in Go as in the
// canonical ABI, and no references. It stays in the memory that it is in.
func LoadPlain[T any](_ *Call, p, n uint32) []T {
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*T)(pointer(p)), n)
}

// StorePlain lowers a list like that of LoadPlain where it is.
func StorePlain[T any](c *Call, v []T) (p, n uint32) {
	var elem T
	return c.lend(unsafe.Pointer(unsafe.SliceData(v)), len(v), unsafe.Sizeof(elem), uint32(unsafe.Alignof(elem)))
}

func (c *Call) lend(p unsafe.Pointer, n int, size uintptr, align uint32) (uint32, uint32) {
	if n == 0 {
		return align, 0
	}
	if uint64(n)*uint64(size) >= 1<<32 {
		panic("abi: list is too long for the memory")
	}
	c.keep(p)
	return address(p), uint32(n)
}

// LoadList lifts a list.
func LoadList[T any](c *Call, p, n, size, align uint32, load func(*Call, uint32) T) []T {
	if n == 0 {
		return nil
	}
	v := make([]T, n)
	for i := range v {
		v[i] = load(c, p)
		p += size
	}
	return v
}

// StoreList lowers a list.
func StoreList[T any](c *Call, v []T, size, align uint32, store func(*Call, uint32, T)) (p, n uint32) {
	p = c.AllocList(len(v), size, align)
	at := p
	for i := range v {
		store(c, at, v[i])
		at += size
	}
	return p, uint32(len(v))
}
