package wasm

import (
	"encoding/binary"
	"math"
)

// instr is a decoded instruction.
type instr struct {
	op   opcode
	pos  int // in the reader's bytes
	info *opInfo
	x, y uint32 // indices in the order in which they are written, a lane, or an alignment
	// value is the bits of a constant, or the offset of a memory access whose memory is y.
	value   uint64
	lanes   [16]byte
	heap    HeapType
	block   blockType
	types   []ValType
	labels  []uint32 // br_table: the default is last
	catches []catchClause
	// long tells that the code after a prefix is longer than it has to be.
	long bool
	// explicitMemory tells that a memory access names its memory.
	explicitMemory bool
}

// blockType is the type of a block: a type index, or at most one result.
type blockType struct {
	index  int64 // -1 if there is none
	result ValType
	one    bool // result is meaningful
}

// catchClause is a clause of try_table.
type catchClause struct {
	kind  byte
	tag   uint32
	label uint32
}

const (
	catchTag    = 0
	catchTagRef = 1
	catchAll    = 2
	catchAllRef = 3
)

// instr reads one instruction. Its slices are valid until the next call with the same in.
func (r *reader) instr(in *instr) {
	in.pos = r.pos
	code := r.byte()
	var table []opInfo
	switch code {
	case 0xfc:
		table = opsBulk
	case 0xfd:
		table = opsSIMD
	case 0xfe:
		table = opsAtom
	default:
		in.op = opcode(code)
		in.long = false
		in.info = &opsPlain[code]
	}
	if table != nil {
		sub := r.u32()
		if r.err != nil {
			return
		}
		if code == 0xfe && sub >= uint32(len(table)) && sub < 0x80 {
			r.unsupported(in.pos, SharedEverything)
			return
		}
		if sub >= uint32(len(table)) {
			r.fail(in.pos, "illegal opcode", "%#x %#x", code, sub)
			return
		}
		in.op = opcode(code)<<16 | opcode(sub)
		in.long = r.pos-in.pos > 3 || r.pos-in.pos == 3 && sub < 0x80
		in.info = &table[sub]
	}
	if r.err != nil {
		return
	}
	switch in.info.imm {
	case immNone:
	case immUndefined:
		r.fail(in.pos, "illegal opcode", "%#x", uint32(in.op))
	case immRefused:
		r.unsupported(in.pos, in.info.feature)
	case immIndex:
		in.x = r.u32()
	case immTwo:
		in.x = r.u32()
		in.y = r.u32()
	case immBlock:
		in.block = r.blockType()
	case immTryTable:
		in.block = r.blockType()
		in.catches = in.catches[:0]
		for range r.count("catches", 10_000) {
			if r.err != nil {
				return
			}
			at := r.pos
			c := catchClause{kind: r.byte()}
			if c.kind > catchAllRef {
				r.fail(at, "malformed catch clause", "%#x", c.kind)
			}
			if c.kind < catchAll {
				c.tag = r.u32()
			}
			c.label = r.u32()
			in.catches = append(in.catches, c)
		}
	case immLabels:
		in.labels = in.labels[:0]
		n := r.count("br_table labels", maxBody)
		for range n + 1 {
			if r.err != nil {
				return
			}
			in.labels = append(in.labels, r.u32())
		}
	case immTypes:
		in.types = in.types[:0]
		for range r.count("select types", maxResults) {
			if r.err != nil {
				return
			}
			in.types = append(in.types, r.valType())
		}
	case immHeap:
		in.heap = r.heapType()
	case immI32:
		in.value = uint64(uint32(r.s32()))
	case immI64:
		in.value = uint64(r.s64())
	case immF32:
		if b := r.bytes(4); b != nil {
			in.value = uint64(binary.LittleEndian.Uint32(b))
		}
	case immF64:
		if b := r.bytes(8); b != nil {
			in.value = binary.LittleEndian.Uint64(b)
		}
	case immV128, immShuffle:
		copy(in.lanes[:], r.bytes(16))
	case immLane:
		in.x = uint32(r.byte())
	case immMem:
		r.memArg(in)
	case immMemLane:
		r.memArg(in)
		in.lanes[0] = r.byte()
	case immReserved:
		if at := r.pos; r.byte() != 0 {
			r.fail(at, "zero byte expected", "")
		}
	}
}

func (r *reader) memArg(in *instr) {
	at := r.pos
	in.x = r.u32()
	in.y = 0
	in.explicitMemory = in.x&0x40 != 0
	if in.x >= 0x80 {
		r.fail(at, "malformed memop flags", "alignment %d", in.x)
	}
	if in.explicitMemory {
		in.x &^= 0x40
		in.y = r.u32()
	}
	in.value = r.u64()
}

func (r *reader) blockType() blockType {
	if r.pos < len(r.b) {
		switch c := r.b[r.pos]; {
		case c == 0x40:
			r.pos++
			return blockType{index: -1}
		case c > 0x40 && c < 0x80:
			return blockType{index: -1, result: r.valType(), one: true}
		}
	}
	at := r.pos
	index := r.s33()
	if r.err == nil && (index < 0 || index > math.MaxUint32) {
		r.fail(at, "malformed block type", "%d", index)
	}
	return blockType{index: index}
}
