package wasm

import "fmt"

// Instructions whose work is not bounded, or which wait, are replaced by calls of
// functions that charge by length and do them in pieces, with a check between two.

// isBulk tells whether an instruction is one of those.
func isBulk(op opcode) bool {
	switch op {
	case opMemoryInit, opMemoryCopy, opMemoryFill, opTableInit, opTableCopy, opTableFill, opTableGrow, opWait32, opWait64:
		return true
	}
	return false
}

const (
	opWait32 opcode = 0xfe_0001
	opWait64 opcode = 0xfe_0002

	opI32Ne   opcode = 0x47
	opI32LtU  opcode = 0x49
	opI32GtU  opcode = 0x4b
	opI64GeS  opcode = 0x59
	opI64Eqz  opcode = 0x50
	opI64LtU  opcode = 0x54
	opI32Add  opcode = 0x6a
	opI32Or   opcode = 0x72
	opI32ShrU opcode = 0x76
	opI64Sub  opcode = 0x7d
	opI64Shl  opcode = 0x86
	opI64GtU  opcode = 0x56
	opI64Ext  opcode = 0xad // i64.extend_i32_u
)

// Lengths of the pieces, in bytes and elements, and binary logarithms of how many
// of those cost one unit.
const (
	memoryPiece = 1 << 18
	memoryShift = 4
	tablePiece  = 1 << 13
	tableShift  = 0
	waitPiece   = 1_000_000 // nanoseconds
)

// helperKey tells apart functions that stand for instructions.
type helperKey struct {
	op     opcode
	x, y   uint32
	offset uint64
}

// helper is a function that stands for an instruction.
type helper struct {
	name string
	typ  FuncType
	code []byte
}

// helper returns the index of the function that stands for an instruction.
func (w *meter) helper(in *instr) uint32 {
	key := helperKey{in.op, in.x, in.y, in.value}
	switch in.op {
	case opMemoryInit, opMemoryCopy, opTableInit, opTableCopy:
		key.offset = 0
	case opMemoryFill, opTableFill, opTableGrow:
		key.y, key.offset = 0, 0
	}
	if index, ok := w.helpers[key]; ok {
		return index
	}
	index := w.slow + 1 + uint32(len(w.bodies))
	w.helpers[key] = index
	w.bodies = append(w.bodies, w.makeHelper(key))
	return index
}

func (w *meter) makeHelper(k helperKey) helper {
	i3 := FuncType{Params: []ValType{I32, I32, I32}}
	switch k.op {
	case opMemoryFill:
		return helper{"memory.fill", i3, w.pieces(k, memoryPiece, memoryShift, false, -1)}
	case opMemoryInit:
		return helper{"memory.init", i3, w.pieces(k, memoryPiece, memoryShift, true, -1)}
	case opMemoryCopy:
		return helper{"memory.copy", i3, w.pieces(k, memoryPiece, memoryShift, true, int(opMemorySize))}
	case opTableFill:
		elem := w.space.Tables[k.x].Elem
		return helper{"table.fill", FuncType{Params: []ValType{I32, elem, I32}}, w.pieces(k, tablePiece, tableShift, false, -1)}
	case opTableInit:
		return helper{"table.init", i3, w.pieces(k, tablePiece, tableShift, true, -1)}
	case opTableCopy:
		return helper{"table.copy", i3, w.pieces(k, tablePiece, tableShift, true, int(opTableSize))}
	case opTableGrow:
		elem := w.space.Tables[k.x].Elem
		const init, n, result = 0, 1, 2
		b := []byte{1, 1, byte(I32)}
		b = k.append(appendOp(appendOp(b, opLocalGet, init), opLocalGet, n))
		b = appendOp(b, opLocalSet, result)
		// Charged only if it has grown: a larger length would make the counter
		// overflow.
		b = appendOp(b, opGlobalGet, w.counter)
		b = appendI32(appendOp(b, opLocalGet, n), 0)
		b = appendI32(appendOp(b, opLocalGet, result), -1)
		b = append(b, byte(opI32Ne), byte(opSelect), byte(opI32Sub))
		b = w.appendCheck(appendOp(b, opGlobalSet, w.counter), 16)
		b = append(appendOp(b, opLocalGet, result), byte(opEnd))
		return helper{"table.grow", FuncType{Params: []ValType{elem, I32}, Results: []ValType{I32}}, b}
	case opWait32:
		return helper{"memory.atomic.wait32", FuncType{Params: []ValType{I32, I32, I64}, Results: []ValType{I32}}, w.waiting(k)}
	case opWait64:
		return helper{"memory.atomic.wait64", FuncType{Params: []ValType{I32, I64, I64}, Results: []ValType{I32}}, w.waiting(k)}
	}
	panic(fmt.Sprintf("opcode %#x is not bulk", uint32(k.op)))
}

// append appends the instruction itself.
func (k helperKey) append(b []byte) []byte {
	b = appendU32(append(b, byte(k.op>>16)), uint32(k.op&0xffff))
	switch k.op {
	case opMemoryFill, opTableFill, opTableGrow:
		return appendU32(b, k.x)
	case opWait32, opWait64:
		b = appendU32(b, k.x)
		return appendU64(b, k.offset)
	default:
		return appendU32(appendU32(b, k.x), k.y)
	}
}

// charging charges a few units, and one for each 1<<shift of local n, with a
// check.
func (w *meter) charging(n uint32, shift int) []byte {
	b := appendOp(nil, opGlobalGet, w.counter)
	b = appendOp(b, opLocalGet, n)
	b = append(appendI32(b, shift), byte(opI32ShrU), byte(opI32Sub))
	b = appendOp(b, opGlobalSet, w.counter)
	return w.appendCheck(b, 16)
}

// pieces returns the body of a function that does an instruction with the
// operands (to, from or value, length) in pieces. The instruction must trap before
// it changes anything if any of it is out of bounds. So it begins with the last
// piece, which is out of bounds if any is. Where a copy overlaps such that it must
// begin with the first, bounds are checked against the size, which the instruction
// sizeOf tells, before.
func (w *meter) pieces(k helperKey, piece, shift int, source bool, sizeOf int) []byte {
	const to, from, n = 0, 1, 2
	get := func(b []byte, local uint32) []byte { return appendOp(b, opLocalGet, local) }
	all := func(b []byte) []byte { return k.append(get(get(get(b, to), from), n)) }
	longer := func(b []byte) []byte { return append(appendI32(get(b, n), piece), byte(opI32GtU)) }

	b := []byte{0}
	b = append(longer(b), byte(opIf), blockVoid)

	// Where an end is beyond all addresses, the instruction does nothing but trap.
	overflow := func(b []byte, local uint32) []byte {
		return append(get(append(get(get(b, local), n), byte(opI32Add)), local), byte(opI32LtU))
	}
	b = overflow(b, to)
	if source {
		b = append(overflow(b, from), byte(opI32Or))
	}
	b = append(b, byte(opIf), blockVoid)
	b = append(all(b), byte(opReturn), byte(opEnd))

	step := appendI32(nil, piece)
	if sizeOf >= 0 && k.x == k.y {
		// to < from: the first piece first.
		b = append(get(get(b, to), from), byte(opI32LtU), byte(opIf), blockVoid)
		b = append(append(get(get(b, from), n), byte(opI32Add)), byte(opI64Ext))
		if opcode(sizeOf) == opMemorySize {
			b = append(appendOp(b, opMemorySize, k.x), byte(opI64Ext))
			b = append(b, byte(opI64Const), 16, byte(opI64Shl))
		} else {
			b = append(appendU32(append(b, 0xfc, byte(opTableSize&0xff)), k.x), byte(opI64Ext))
		}
		b = append(b, byte(opI64GtU), byte(opIf), blockVoid)
		b = append(all(b), byte(opReturn), byte(opEnd)) // traps
		b = append(b, byte(opLoop), blockVoid)
		b = k.append(append(get(get(b, to), from), step...))
		for _, local := range []uint32{to, from} {
			b = append(append(get(b, local), step...), byte(opI32Add))
			b = appendOp(b, opLocalSet, local)
		}
		b = append(append(get(b, n), step...), byte(opI32Sub))
		b = appendOp(b, opLocalSet, n)
		b = w.appendCheck(b, piece>>shift)
		b = append(longer(b), byte(opBrIf), 0, byte(opEnd), byte(opElse))
	}
	b = append(b, byte(opLoop), blockVoid)
	b = append(append(get(b, n), step...), byte(opI32Sub))
	b = appendOp(b, opLocalSet, n)
	b = append(get(get(b, to), n), byte(opI32Add))
	b = get(b, from)
	if source {
		b = append(get(b, n), byte(opI32Add))
	}
	b = k.append(append(b, step...))
	b = w.appendCheck(b, piece>>shift)
	b = append(longer(b), byte(opBrIf), 0, byte(opEnd))
	if sizeOf >= 0 && k.x == k.y {
		b = append(b, byte(opEnd))
	}
	b = append(b, byte(opEnd))
	b = append(b, w.charging(n, shift)...)
	return append(all(b), byte(opEnd))
}

// waiting returns the body of a function that waits in short turns.
func (w *meter) waiting(k helperKey) []byte {
	const address, expected, timeout, turn, result = 0, 1, 2, 3, 4
	get := func(b []byte, local uint32) []byte { return appendOp(b, opLocalGet, local) }
	set := func(b []byte, local uint32) []byte { return appendOp(b, opLocalSet, local) }
	wait := append([]byte{byte(opI64Const)}, appendS33(nil, waitPiece)...)

	b := []byte{2, 1, byte(I64), 1, byte(I32)}
	b = append(b, byte(opLoop), blockVoid)
	// turn = min(timeout, piece); a timeout below zero, which has no end, is
	// larger than all others.
	b = append(append(get(b, timeout), wait...), byte(opI64LtU), byte(opIf), byte(I64))
	b = append(get(b, timeout), byte(opElse))
	b = set(append(append(b, wait...), byte(opEnd)), turn)
	b = k.append(get(get(get(b, address), expected), turn))
	b = appendOp(b, opLocalTee, result)
	b = append(b, byte(opI32Const), 2, byte(opI32Ne), byte(opIf), blockVoid)
	b = append(get(b, result), byte(opReturn), byte(opEnd))
	b = append(get(b, timeout), byte(opI64Const), 0, byte(opI64GeS), byte(opIf), blockVoid)
	b = append(get(get(b, timeout), turn), byte(opI64Sub))
	b = appendOp(b, opLocalTee, timeout)
	b = append(b, byte(opI64Eqz), byte(opIf), blockVoid, byte(opI32Const), 2, byte(opReturn), byte(opEnd), byte(opEnd))
	b = w.appendSlow(b)
	b = append(b, byte(opBr), 0, byte(opEnd), byte(opUnreachable), byte(opEnd))
	return b
}
