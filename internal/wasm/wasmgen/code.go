package wasmgen

import (
	"encoding/binary"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// Void is the block type without parameters and results.
const Void = -0x40

// Catch is a clause of try_table. Its kinds are those of the binary format.
type Catch struct {
	Kind       byte
	Tag, Label uint32
}

const (
	CatchTag    byte = 0
	CatchTagRef byte = 1
	CatchAll    byte = 2
	CatchAllRef byte = 3
)

// The globals that counted code adds its work to.
const (
	workGlobal = 0 // instructions executed, i64
	bulkGlobal = 1 // bytes and table elements that bulk instructions have moved, i64
)

// Code writes the instructions of a function. Where it counts, every instruction
// that does something is preceded by four that add to the global of executed
// instructions: 5, since those four are executed too.
type Code struct {
	b       []byte
	count   bool
	scratch uint32 // local for the length of a bulk instruction
}

func (c *Code) byte(b ...byte) { c.b = append(c.b, b...) }

func (c *Code) u32(v uint32) { c.b = binary.AppendUvarint(c.b, uint64(v)) }

func (c *Code) s64(v int64) {
	for {
		b := byte(v & 0x7f)
		v >>= 7
		if v == 0 && b&0x40 == 0 || v == -1 && b&0x40 != 0 {
			c.b = append(c.b, b)
			return
		}
		c.b = append(c.b, b|0x80)
	}
}

func (c *Code) tick() {
	if c.count {
		c.byte(opGlobalGet, workGlobal, opI64Const, 5, opI64Add, opGlobalSet, workGlobal)
	}
}

// Op writes an instruction without immediates, or with indices.
func (c *Code) Op(op byte, indices ...uint32) {
	switch op {
	case opNop, opElse, opEnd: // execute nothing
	default:
		c.tick()
	}
	c.byte(op)
	for _, x := range indices {
		c.u32(x)
	}
}

// I32 writes an i32.const.
func (c *Code) I32(v int32) {
	c.tick()
	c.byte(opI32Const)
	c.s64(int64(v))
}

// I64 writes an i64.const.
func (c *Code) I64(v int64) {
	c.tick()
	c.byte(opI64Const)
	c.s64(v)
}

// F32 writes an f32.const.
func (c *Code) F32(bits uint32) {
	c.tick()
	c.b = binary.LittleEndian.AppendUint32(append(c.b, opF32Const), bits)
}

// F64 writes an f64.const.
func (c *Code) F64(bits uint64) {
	c.tick()
	c.b = binary.LittleEndian.AppendUint64(append(c.b, opF64Const), bits)
}

// Block opens a block, loop or if: blockType is Void, or a type index.
func (c *Code) Block(op byte, blockType int) {
	if op == opIf {
		c.tick()
	}
	c.byte(op)
	c.s64(int64(blockType))
}

// TryTable opens a try_table.
func (c *Code) TryTable(blockType int, catches ...Catch) {
	c.tick()
	c.byte(opTryTable)
	c.s64(int64(blockType))
	c.u32(uint32(len(catches)))
	for _, x := range catches {
		c.byte(x.Kind)
		if x.Kind < CatchAll {
			c.u32(x.Tag)
		}
		c.u32(x.Label)
	}
}

// BrTable writes a br_table; the last label is the default.
func (c *Code) BrTable(labels ...uint32) {
	c.tick()
	c.byte(opBrTable)
	c.u32(uint32(len(labels) - 1))
	for _, l := range labels {
		c.u32(l)
	}
}

// Prefixed writes an instruction of two codes with indices.
func (c *Code) Prefixed(prefix byte, op uint32, indices ...uint32) {
	c.tick()
	c.byte(prefix)
	c.u32(op)
	for _, x := range indices {
		c.u32(x)
	}
}

// Bulk writes a bulk instruction whose topmost operand is a length. Where the
// code counts, the length is added once the instruction is done: one that traps
// does no work.
func (c *Code) Bulk(op uint32, indices ...uint32) {
	if c.count {
		c.byte(opLocalTee)
		c.u32(c.scratch)
	}
	c.Prefixed(0xfc, op, indices...)
	if c.count {
		c.byte(opGlobalGet, bulkGlobal, opLocalGet)
		c.u32(c.scratch)
		c.byte(opI64ExtendU, opI64Add, opGlobalSet, bulkGlobal)
	}
}

// Mem writes a load or a store.
func (c *Code) Mem(op byte, align, offset uint32) {
	c.tick()
	c.byte(op)
	c.u32(align)
	c.u32(offset)
}

// RefNull writes a ref.null.
func (c *Code) RefNull(h wasm.HeapType) {
	c.tick()
	c.byte(opRefNull)
	c.heap(h)
}

func (c *Code) heap(h wasm.HeapType) {
	if index, concrete := h.TypeIndex(); concrete {
		c.s64(int64(index))
		return
	}
	c.byte(byte(h))
}

func (c *Code) valType(t wasm.ValType) {
	switch {
	case !t.IsRef():
		c.byte(byte(t))
	case t.Nullable():
		c.byte(0x63)
		c.heap(t.Heap())
	default:
		c.byte(0x64)
		c.heap(t.Heap())
	}
}

// Opcodes that the generator names.
const (
	opUnreachable        = 0x00
	opNop                = 0x01
	opBlock              = 0x02
	opLoop               = 0x03
	opIf                 = 0x04
	opElse               = 0x05
	opThrow              = 0x08
	opThrowRef           = 0x0a
	opEnd                = 0x0b
	opBr                 = 0x0c
	opBrIf               = 0x0d
	opBrTable            = 0x0e
	opReturn             = 0x0f
	opCall               = 0x10
	opCallIndirect       = 0x11
	opReturnCall         = 0x12
	opReturnCallIndirect = 0x13
	opCallRef            = 0x14
	opReturnCallRef      = 0x15
	opDrop               = 0x1a
	opSelect             = 0x1b
	opSelectTyped        = 0x1c
	opTryTable           = 0x1f
	opLocalGet           = 0x20
	opLocalSet           = 0x21
	opLocalTee           = 0x22
	opGlobalGet          = 0x23
	opGlobalSet          = 0x24
	opTableGet           = 0x25
	opTableSet           = 0x26
	opMemorySize         = 0x3f
	opMemoryGrow         = 0x40
	opI32Const           = 0x41
	opI64Const           = 0x42
	opF32Const           = 0x43
	opF64Const           = 0x44
	opI32Eqz             = 0x45
	opI32LtS             = 0x48
	opI32Add             = 0x6a
	opI32Sub             = 0x6b
	opI32RemU            = 0x70
	opI32And             = 0x71
	opI64Add             = 0x7c
	opF32Eq              = 0x5b
	opF64Eq              = 0x61
	opI64ExtendU         = 0xad
	opRefNull            = 0xd0
	opRefIsNull          = 0xd1
	opRefFunc            = 0xd2
	opRefAsNonNull       = 0xd4
	opBrOnNull           = 0xd5
	opBrOnNonNull        = 0xd6
	prefixBulk           = 0xfc
	prefixSIMD           = 0xfd
	prefixAtomic         = 0xfe
)

// Codes of instructions with the prefix 0xfc.
const (
	MemoryInit = 8
	DataDrop   = 9
	MemoryCopy = 10
	MemoryFill = 11
	TableInit  = 12
	ElemDrop   = 13
	TableCopy  = 14
	TableGrow  = 15
	TableSize  = 16
	TableFill  = 17
)
