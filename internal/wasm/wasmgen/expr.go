package wasmgen

import (
	"encoding/binary"
	"slices"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// operator is an instruction that computes a result and never traps.
type operator struct {
	prefix byte
	op     uint32
	params string
	lanes  int  // it has a lane as immediate, below this
	nan    bool // its result may be a NaN of any kind
}

var letters = map[byte]wasm.ValType{'i': wasm.I32, 'I': wasm.I64, 'f': wasm.F32, 'F': wasm.F64, 'v': wasm.V128}

var operators = func() map[wasm.ValType][]operator {
	ops := map[wasm.ValType][]operator{}
	plain := func(result wasm.ValType, params string, nan bool, first, last uint32) {
		for op := first; op <= last; op++ {
			ops[result] = append(ops[result], operator{op: op, params: params, nan: nan})
		}
	}
	prefixed := func(result wasm.ValType, params string, prefix byte, lanes int, codes ...uint32) {
		for _, op := range codes {
			ops[result] = append(ops[result], operator{prefix: prefix, op: op, params: params, lanes: lanes})
		}
	}
	plain(wasm.I32, "i", false, 0x45, 0x45)
	plain(wasm.I32, "ii", false, 0x46, 0x4f)
	plain(wasm.I32, "I", false, 0x50, 0x50)
	plain(wasm.I32, "II", false, 0x51, 0x5a)
	plain(wasm.I32, "ff", false, 0x5b, 0x60)
	plain(wasm.I32, "FF", false, 0x61, 0x66)
	plain(wasm.I32, "i", false, 0x67, 0x69)
	plain(wasm.I32, "ii", false, 0x6a, 0x6c)
	plain(wasm.I32, "ii", false, 0x71, 0x78)
	plain(wasm.I32, "I", false, 0xa7, 0xa7)
	plain(wasm.I32, "f", false, 0xbc, 0xbc)
	plain(wasm.I32, "i", false, 0xc0, 0xc1)
	prefixed(wasm.I32, "f", prefixBulk, 0, 0, 1)
	prefixed(wasm.I32, "F", prefixBulk, 0, 2, 3)
	prefixed(wasm.I32, "v", prefixSIMD, 0, 83, 99, 100, 131, 163)
	prefixed(wasm.I32, "v", prefixSIMD, 4, 27)
	plain(wasm.I64, "I", false, 0x79, 0x7b)
	plain(wasm.I64, "II", false, 0x7c, 0x7e)
	plain(wasm.I64, "II", false, 0x83, 0x8a)
	plain(wasm.I64, "i", false, 0xac, 0xad)
	plain(wasm.I64, "F", false, 0xbd, 0xbd)
	plain(wasm.I64, "I", false, 0xc2, 0xc4)
	prefixed(wasm.I64, "f", prefixBulk, 0, 4, 5)
	prefixed(wasm.I64, "F", prefixBulk, 0, 6, 7)
	prefixed(wasm.I64, "v", prefixSIMD, 2, 29)
	plain(wasm.F32, "f", false, 0x8b, 0x8c)
	plain(wasm.F32, "f", true, 0x8d, 0x91)
	plain(wasm.F32, "ff", true, 0x92, 0x97)
	plain(wasm.F32, "ff", false, 0x98, 0x98)
	plain(wasm.F32, "i", false, 0xb2, 0xb3)
	plain(wasm.F32, "I", false, 0xb4, 0xb5)
	plain(wasm.F32, "F", true, 0xb6, 0xb6)
	plain(wasm.F32, "i", false, 0xbe, 0xbe)
	plain(wasm.F64, "F", false, 0x99, 0x9a)
	plain(wasm.F64, "F", true, 0x9b, 0x9f)
	plain(wasm.F64, "FF", true, 0xa0, 0xa5)
	plain(wasm.F64, "FF", false, 0xa6, 0xa6)
	plain(wasm.F64, "i", false, 0xb7, 0xb8)
	plain(wasm.F64, "I", false, 0xb9, 0xba)
	plain(wasm.F64, "f", true, 0xbb, 0xbb)
	plain(wasm.F64, "I", false, 0xbf, 0xbf)
	prefixed(wasm.V128, "i", prefixSIMD, 0, 15, 16, 17)
	prefixed(wasm.V128, "I", prefixSIMD, 0, 18)
	prefixed(wasm.V128, "v", prefixSIMD, 0, 77, 96, 128, 160)
	prefixed(wasm.V128, "vv", prefixSIMD, 0, 14, 35, 55, 78, 80, 81, 110, 113, 142, 149, 174, 181, 206, 213)
	prefixed(wasm.V128, "vvv", prefixSIMD, 0, 82)
	prefixed(wasm.V128, "vi", prefixSIMD, 0, 107, 139, 171)
	prefixed(wasm.V128, "vi", prefixSIMD, 4, 28)
	return ops
}()

func (c *Code) v128(low, high uint64) {
	c.Prefixed(prefixSIMD, 12)
	c.b = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(c.b, low), high)
}

// value writes code that pushes a value of type t.
func (f *fn) value(t wasm.ValType) {
	f.left--
	if f.left <= 0 || f.depth > 12 {
		f.leaf(t)
		return
	}
	f.depth++
	defer func() { f.depth-- }()
	s := f.s
	switch s.below(18) {
	case 0, 1, 2, 3:
		f.leaf(t)
	case 4:
		f.block(opBlock, nil, []wasm.ValType{t}, nil)
	case 5:
		f.loop(nil, []wasm.ValType{t})
	case 6:
		f.conditional(nil, []wasm.ValType{t})
	case 7:
		params := f.someTypes(2)
		f.blockOfAnyKind(params, []wasm.ValType{t})
	case 8:
		f.callFor(t)
	case 9:
		i := f.newLocal(t)
		f.value(t)
		f.pop(1)
		f.op(opLocalTee, i)
		f.push(t)
	case 10:
		if t.IsRef() && t != wasm.FuncRef && t != wasm.ExternRef {
			// The engine (wazero v1.12.0) refuses or misreads such a select.
			f.leaf(t)
			return
		}
		f.value(t)
		f.value(t)
		f.value(wasm.I32)
		f.pop(3)
		if t.IsRef() {
			f.c.tick()
			f.c.byte(opSelectTyped, 1, byte(t.Heap()))
		} else {
			f.op(opSelect)
		}
		f.push(t)
	case 11:
		f.branchIfFor(t)
	case 12:
		f.load(t)
	default:
		f.operation(t)
	}
}

// leaf pushes a constant or a variable.
func (f *fn) leaf(t wasm.ValType) {
	s := f.s
	if s.percent(50) {
		var candidates []uint32
		for i, lt := range f.locals {
			if lt == t && i != f.scratch {
				candidates = append(candidates, uint32(i))
			}
		}
		if len(candidates) > 0 {
			f.op(opLocalGet, pick(s, candidates))
			f.push(t)
			return
		}
	}
	if s.percent(25) {
		for _, g := range f.m.globals {
			if g.Val == t {
				f.op(opGlobalGet, g.index)
				f.push(t)
				return
			}
		}
	}
	f.constant(t)
}

func (f *fn) constant(t wasm.ValType) {
	s := f.s
	switch t {
	case wasm.I32:
		f.c.I32(int32(interesting(s)))
	case wasm.I64:
		f.c.I64(interesting(s))
	case wasm.F32:
		f.c.F32(pick(s, []uint32{0, 0x3f800000, 0xbf000000, 0x7f800000, 0x4b000000, 0x7fc00000}))
	case wasm.F64:
		f.c.F64(pick(s, []uint64{0, 0x3ff0000000000000, 0xbfe0000000000000, 0x7ff0000000000000, 0x7ff8000000000000}))
	case wasm.V128:
		f.c.v128(s.bits(), s.bits())
	default:
		f.reference(t)
	}
	f.push(t)
}

// reference writes a ref.func or ref.null.
func (f *fn) reference(t wasm.ValType) {
	if t == wasm.FuncRef && f.s.percent(70) {
		f.op(opRefFunc, uint32(f.s.below(len(f.m.funcs))))
		return
	}
	if index, concrete := t.Heap().TypeIndex(); concrete && f.s.percent(85) {
		if candidates := f.m.ofType(index); len(candidates) > 0 {
			f.op(opRefFunc, pick(f.s, candidates))
			return
		}
	}
	f.c.RefNull(t.Heap())
	if !t.Nullable() {
		f.op(opRefAsNonNull)
	}
}

func (f *fn) operation(t wasm.ValType) {
	ops := operators[t]
	if len(ops) == 0 {
		f.fetch(t)
		return
	}
	o := pick(f.s, ops)
	for i := range len(o.params) {
		f.value(letters[o.params[i]])
	}
	f.pop(len(o.params))
	f.operator(o)
	f.push(t)
	if o.nan {
		f.canonicalNaN(t)
	}
	if t == wasm.I32 && f.s.percent(5) {
		// A division that does not trap.
		f.c.I32(int32(f.s.between(1, 9)))
		f.op(opI32RemU)
	}
}

func (f *fn) operator(o operator) {
	switch {
	case o.prefix == 0:
		f.op(byte(o.op))
	default:
		f.c.Prefixed(o.prefix, o.op)
		if o.lanes > 0 {
			f.c.byte(byte(f.s.below(o.lanes)))
		}
	}
}

// canonicalNaN replaces a NaN on the stack, whose bits the engine may choose.
func (f *fn) canonicalNaN(t wasm.ValType) {
	i := f.newLocal(t)
	f.op(opLocalTee, i)
	equal := byte(opF32Eq)
	if t == wasm.F32 {
		f.c.F32(0x7fc00000)
	} else {
		f.c.F64(0x7ff8000000000000)
		equal = opF64Eq
	}
	f.op(opLocalGet, i)
	f.op(opLocalGet, i)
	f.op(equal)
	f.op(opSelect)
}

// fetch pushes a reference from where references are kept.
func (f *fn) fetch(t wasm.ValType) {
	for i, tab := range f.m.tables {
		if tab.elem == t && f.s.percent(60) {
			f.element(i)
			f.pop(1)
			f.op(opTableGet, uint32(i))
			f.push(t)
			return
		}
	}
	f.leaf(t)
}

// element pushes an index of a table, mostly one within it.
func (f *fn) element(i int) {
	t := f.m.tables[i]
	if f.s.percent(95) {
		f.c.I32(int32(f.s.below(t.min)))
		f.push(wasm.I32)
		return
	}
	f.value(wasm.I32)
}

// loads and stores by type; the first of each has a natural alignment of 2^align.
type access struct {
	op    byte
	align uint32
}

var loads = map[wasm.ValType][]access{
	wasm.I32: {{0x28, 2}, {0x2c, 0}, {0x2d, 0}, {0x2e, 1}, {0x2f, 1}},
	wasm.I64: {{0x29, 3}, {0x30, 0}, {0x31, 0}, {0x32, 1}, {0x34, 2}, {0x35, 2}},
	wasm.F32: {{0x2a, 2}},
	wasm.F64: {{0x2b, 3}},
}

var stores = map[wasm.ValType][]access{
	wasm.I32: {{0x36, 2}, {0x3a, 0}, {0x3b, 1}},
	wasm.I64: {{0x37, 3}, {0x3c, 0}, {0x3d, 1}, {0x3e, 2}},
	wasm.F32: {{0x38, 2}},
	wasm.F64: {{0x39, 3}},
}

// address pushes an address in memory, mostly one with room for 64 bytes.
func (f *fn) address() {
	f.value(wasm.I32)
	if f.s.percent(3) {
		return
	}
	mask := int32(0)
	for size := f.m.pages << 16; mask < 1<<20 && int(mask)*2+1+128 < size; {
		mask = mask*2 + 1
	}
	f.c.I32(mask &^ int32(15*f.s.below(2)))
	f.op(opI32And)
}

func (f *fn) load(t wasm.ValType) {
	if !f.m.memory || f.m.pages == 0 && f.s.percent(90) {
		f.operation(t)
		return
	}
	switch {
	case t == wasm.V128:
		f.address()
		f.c.Prefixed(prefixSIMD, 0, uint32(f.s.below(5)), uint32(f.s.below(64)))
	case t == wasm.I32 && f.s.percent(10):
		f.op(opMemorySize, 0)
		f.push(t)
		return
	case t == wasm.I32 && f.s.percent(10):
		f.c.I32(pick(f.s, []int32{0, 1, 2, 1, -1, 70000}))
		f.op(opMemoryGrow, 0)
		f.push(t)
		return
	case t == wasm.I32 && f.s.percent(15):
		f.atomic()
		return
	case len(loads[t]) > 0:
		a := pick(f.s, loads[t])
		f.address()
		f.c.Mem(a.op, uint32(f.s.below(int(a.align)+1)), uint32(f.s.below(64)))
	default:
		f.fetch(t)
		return
	}
	f.pop(1)
	f.push(t)
}

// atomic pushes the i32 result of an atomic instruction.
func (f *fn) atomic() {
	f.address()
	f.c.I32(^int32(7))
	f.op(opI32And)
	switch f.s.below(5) {
	case 0:
		f.c.Prefixed(prefixAtomic, 0x10, 2, 0) // i32.atomic.load
		f.pop(1)
	case 1:
		f.value(wasm.I32)
		f.c.Prefixed(prefixAtomic, 0x1e, 2, 4) // i32.atomic.rmw.add
		f.pop(2)
	case 2:
		f.value(wasm.I32)
		f.value(wasm.I32)
		f.c.Prefixed(prefixAtomic, 0x48, 2, 8) // i32.atomic.rmw.cmpxchg
		f.pop(3)
	case 3:
		f.value(wasm.I32)
		f.c.Prefixed(prefixAtomic, 0x00, 2, 0) // memory.atomic.notify
		f.pop(2)
	case 4:
		if !f.m.shared && f.s.percent(80) {
			f.c.Prefixed(prefixAtomic, 0x03, 0) // atomic.fence; the address stays
			return
		}
		width := f.s.below(2)
		f.value([]wasm.ValType{wasm.I32, wasm.I64}[width])
		f.c.I64(int64(f.s.below(50_000)))
		f.c.Prefixed(prefixAtomic, uint32(1+width), uint32(2+width), 0) // memory.atomic.wait
		f.pop(2)
	}
	f.push(wasm.I32)
}

func (f *fn) someTypes(most int) []wasm.ValType {
	types := make([]wasm.ValType, f.s.below(most+1))
	for i := range types {
		types[i] = f.m.valType()
	}
	return slices.Clip(types)
}
