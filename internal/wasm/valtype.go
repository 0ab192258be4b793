package wasm

import "fmt"

// ValType is a value type: a number, a vector or a reference.
//
// The low byte of a number or vector type is its code in the binary format. A
// reference has refBit set; its heap type is an abstract one (absBit and the code) or a
// type index.
type ValType uint32

const (
	refBit  ValType = 1 << 31
	nullBit ValType = 1 << 30
	absBit  ValType = 1 << 29

	heapMask ValType = absBit | (absBit - 1)
)

const (
	I32  ValType = 0x7f
	I64  ValType = 0x7e
	F32  ValType = 0x7d
	F64  ValType = 0x7c
	V128 ValType = 0x7b

	FuncRef   = refBit | nullBit | ValType(HeapFunc)
	ExternRef = refBit | nullBit | ValType(HeapExtern)
	ExnRef    = refBit | nullBit | ValType(HeapExn)

	// bottom is the type of a value of unknown type in unreachable code.
	bottom ValType = 0
)

// HeapType is what a reference refers to: an abstract heap type or a type index.
type HeapType uint32

const (
	HeapFunc   = HeapType(absBit) | 0x70
	HeapExtern = HeapType(absBit) | 0x6f
	HeapExn    = HeapType(absBit) | 0x69

	// heapBottom is the heap type of a reference of unknown type in unreachable code.
	heapBottom = HeapType(absBit)
)

// Ref returns the reference type to h.
func Ref(h HeapType, nullable bool) ValType {
	t := refBit | ValType(h)
	if nullable {
		t |= nullBit
	}
	return t
}

// IsRef tells whether t is a reference type.
func (t ValType) IsRef() bool { return t&refBit != 0 }

// Nullable tells whether t is a reference type that includes null.
func (t ValType) Nullable() bool { return t&nullBit != 0 }

// Heap returns the heap type of the reference type t.
func (t ValType) Heap() HeapType { return HeapType(t & heapMask) }

// Defaultable tells whether a local of type t need not be set before it is read.
func (t ValType) Defaultable() bool { return !t.IsRef() || t.Nullable() }

// TypeIndex returns the index of the type that h names, if it is not abstract.
func (h HeapType) TypeIndex() (uint32, bool) {
	return uint32(h), h&HeapType(absBit) == 0
}

func (h HeapType) String() string {
	switch h {
	case HeapFunc:
		return "func"
	case HeapExtern:
		return "extern"
	case HeapExn:
		return "exn"
	case heapBottom:
		return "bottom"
	}
	return fmt.Sprintf("$type%d", uint32(h))
}

func (t ValType) String() string {
	switch t {
	case I32:
		return "i32"
	case I64:
		return "i64"
	case F32:
		return "f32"
	case F64:
		return "f64"
	case V128:
		return "v128"
	case FuncRef:
		return "funcref"
	case ExternRef:
		return "externref"
	case ExnRef:
		return "exnref"
	case bottom:
		return "bottom"
	}
	if !t.IsRef() {
		return fmt.Sprintf("valtype(%#x)", uint32(t))
	}
	if t.Nullable() {
		return fmt.Sprintf("(ref null %s)", t.Heap())
	}
	return fmt.Sprintf("(ref %s)", t.Heap())
}
