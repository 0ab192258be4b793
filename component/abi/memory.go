package abi

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"

	"github.com/ashlar-wasm/ashlar/internal/canon"
)

func validUTF8(s string) string {
	if utf8.ValidString(s) { // faster than finding out by the way
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// bytes returns memory that was checked or allocated before, and since when the
// guest did not run.
func (c *Call) bytes(p, n uint32) []byte { return c.mem[p:][:n:n] }

// U8 loads a u8 from memory that was checked.
func (c *Call) U8(p uint32) uint8 { return c.bytes(p, 1)[0] }

// U16 loads a u16 from memory that was checked.
func (c *Call) U16(p uint32) uint16 { return binary.LittleEndian.Uint16(c.bytes(p, 2)) }

// U32 loads a u32 from memory that was checked.
func (c *Call) U32(p uint32) uint32 { return binary.LittleEndian.Uint32(c.bytes(p, 4)) }

// U64 loads a u64 from memory that was checked.
func (c *Call) U64(p uint32) uint64 { return binary.LittleEndian.Uint64(c.bytes(p, 8)) }

// F32 loads an f32 from memory that was checked.
func (c *Call) F32(p uint32) float32 { return canon.Float32(c.U32(p)) }

// F64 loads an f64 from memory that was checked.
func (c *Call) F64(p uint32) float64 { return canon.Float64(c.U64(p)) }

// PutU8 stores a u8 to memory that was checked or allocated.
func (c *Call) PutU8(p uint32, v uint8) { c.bytes(p, 1)[0] = v }

// PutU16 stores a u16 to memory that was checked or allocated.
func (c *Call) PutU16(p uint32, v uint16) { binary.LittleEndian.PutUint16(c.bytes(p, 2), v) }

// PutU32 stores a u32 to memory that was checked or allocated.
func (c *Call) PutU32(p uint32, v uint32) { binary.LittleEndian.PutUint32(c.bytes(p, 4), v) }

// PutU64 stores a u64 to memory that was checked or allocated.
func (c *Call) PutU64(p uint32, v uint64) { binary.LittleEndian.PutUint64(c.bytes(p, 8), v) }

// PutF32 stores an f32 to memory that was checked or allocated.
func (c *Call) PutF32(p uint32, v float32) { c.PutU32(p, canon.Float32Bits(v)) }

// PutF64 stores an f64 to memory that was checked or allocated.
func (c *Call) PutF64(p uint32, v float64) { c.PutU64(p, canon.Float64Bits(v)) }

// PutBool stores a bool to memory that was checked or allocated.
func (c *Call) PutBool(p uint32, v bool) { c.PutU8(p, uint8(FromBool(v))) }

// FromBool returns the core value of a bool.
func FromBool(v bool) uint64 {
	if v {
		return 1
	}
	return 0
}

// FromF32 returns the core value of an f32.
func FromF32(v float32) uint64 { return uint64(canon.Float32Bits(v)) }

// FromF64 returns the core value of an f64.
func FromF64(v float64) uint64 { return canon.Float64Bits(v) }

// ToF32 returns the f32 of a core value.
func ToF32(v uint64) float32 { return canon.Float32(uint32(v)) }

// ToF64 returns the f64 of a core value.
func ToF64(v uint64) float64 { return canon.Float64(v) }

// ToRune returns the char of a core value, or traps if it is none.
func ToRune(v uint32) rune { return canon.Rune(v) }

// FromRune returns the core value of a char; what is no Unicode scalar value
// becomes the replacement character.
func FromRune(r rune) uint32 {
	if r < 0 || r >= 0xd800 && r <= 0xdfff || r > 0x10ffff {
		return 0xfffd
	}
	return uint32(r)
}

// Discriminant returns the index of one of n cases, or traps.
func Discriminant(i uint32, n int) uint32 { return canon.Discriminant(i, n) }
