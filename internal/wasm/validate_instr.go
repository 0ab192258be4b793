package wasm

import "math"

// simple checks an instruction whose typing is its signature.
func (f *funcValidator) simple(info *opInfo) {
	addr := I32
	switch info.imm {
	case immMem, immMemLane:
		var ok bool
		if addr, ok = f.memory(f.in.y); !ok {
			return
		}
		if f.in.explicitMemory {
			f.m.need(MultiMemory, f.offset())
		}
		if f.in.x > uint32(info.limit) {
			f.fail("alignment must not be larger than natural", "2^%d > 2^%d", f.in.x, info.limit)
		} else if info.exact && f.in.x != uint32(info.limit) {
			f.fail("atomic instructions must always specify maximum alignment", "2^%d < 2^%d", f.in.x, info.limit)
		}
		if addr == I32 && f.in.value > math.MaxUint32 {
			f.fail("offset out of range", "must be <= 2**32")
		}
		if info.imm == immMemLane && f.in.lanes[0] >= info.lanes {
			f.fail("invalid lane index", "SIMD index out of bounds: %d", f.in.lanes[0])
		}
	case immLane:
		if f.in.x >= uint32(info.limit) {
			f.fail("invalid lane index", "SIMD index out of bounds: %d", f.in.x)
		}
	case immShuffle:
		for _, lane := range f.in.lanes {
			if lane >= 32 {
				f.fail("invalid lane index", "SIMD index out of bounds: %d", lane)
			}
		}
	}
	if info.feature != 0 {
		f.m.need(info.feature, f.offset())
	}
	for i := int(info.nparams) - 1; i >= 0; i-- {
		t := info.params[i]
		if t == address {
			t = addr
		}
		f.pop(t)
	}
	for i := range info.nresults {
		f.push(info.results[i])
	}
}

// instruction checks an instruction with a typing of its own.
func (f *funcValidator) instruction() {
	in := &f.in
	switch in.op {
	case opNop:
	case opUnreachable:
		f.unreachable()
	case opBlock, opLoop:
		if params, results, ok := f.blockType(); ok {
			f.open(in.op, params, results)
		}
	case opIf:
		f.pop(I32)
		if params, results, ok := f.blockType(); ok {
			f.open(in.op, params, results)
		}
	case opTryTable:
		f.tryTable()
	case opElse:
		if f.frames[len(f.frames)-1].op != opIf {
			f.fail("else found outside of an if block", "")
			return
		}
		top := f.close()
		f.frames = append(f.frames, frame{op: opElse, params: top.params, results: top.results, height: len(f.vals), inits: len(f.inits)})
		f.pushAll(top.params)
	case opEnd:
		top := f.close()
		if top.op == opIf && !f.matchAll(top.params, top.results) {
			f.fail("type mismatch", "if without else must leave its parameters %s as results %s", typeList(top.params), typeList(top.results))
		}
		f.pushAll(top.results)
	case opBr:
		if l, ok := f.label(in.x); ok {
			f.popAll(l.label())
			f.unreachable()
		}
	case opBrIf:
		f.pop(I32)
		if l, ok := f.label(in.x); ok {
			f.popAll(l.label())
			f.pushAll(l.label())
		}
	case opBrTable:
		f.brTable()
	case opReturn:
		f.popAll(f.frames[0].results)
		f.unreachable()
	case opThrow:
		if int64(in.x) >= int64(len(f.Tags)) {
			f.unknown("tag", in.x)
			return
		}
		f.popAll(f.types[f.Tags[in.x]].Params)
		f.unreachable()
	case opThrowRef:
		f.pop(ExnRef)
		f.unreachable()
	case opCall, opReturnCall:
		if int64(in.x) >= int64(len(f.Funcs)) {
			f.unknown("function", in.x)
			return
		}
		f.call(&f.types[f.Funcs[in.x]], in.op == opReturnCall)
	case opCallIndirect, opReturnCallIndirect:
		f.callIndirect()
	case opCallRef, opReturnCallRef:
		if int64(in.x) >= int64(len(f.types)) {
			f.unknown("type", in.x)
			return
		}
		f.pop(Ref(HeapType(f.canon[in.x]), true))
		f.call(&f.types[in.x], in.op == opReturnCallRef)
	case opDrop:
		f.popAny()
	case opSelect:
		f.selectUntyped()
	case opSelectTyped:
		if len(in.types) != 1 {
			f.fail("invalid result arity", "select takes one type")
			return
		}
		if t, ok := f.canonical(in.types[0]); ok {
			// The engine takes count and type for one byte each.
			if f.r.pos-in.pos != 3 || t == ExnRef {
				f.m.need(SelectReferences, f.offset())
			}
			f.pop(I32)
			f.pop(t)
			f.pop(t)
			f.push(t)
		}
	case opLocalGet, opLocalSet, opLocalTee, opGlobalGet, opGlobalSet:
		f.variable()
	case opRefNull:
		if t, ok := f.canonical(Ref(in.heap, true)); ok {
			f.push(t)
		}
	case opRefIsNull:
		f.popRef()
		f.push(I32)
	case opRefFunc:
		if int64(in.x) >= int64(len(f.Funcs)) {
			f.unknown("function", in.x)
			return
		}
		if !f.declared[in.x] {
			f.fail("undeclared function reference", "function %d", in.x)
		}
		f.push(Ref(HeapType(f.canon[f.Funcs[in.x]]), false))
	case opRefAsNonNull:
		f.push(f.popRef() &^ nullBit)
	case opBrOnNull:
		t := f.popRef()
		if l, ok := f.label(in.x); ok {
			f.popAll(l.label())
			f.pushAll(l.label())
			f.push(t &^ nullBit)
		}
	case opBrOnNonNull:
		t := f.popRef()
		if l, ok := f.label(in.x); ok {
			types := l.label()
			if len(types) == 0 || !f.matches(t&^nullBit, types[len(types)-1]) {
				f.fail("type mismatch", "br_on_non_null of %s to a label with %s", t, typeList(types))
				return
			}
			f.popAll(types[:len(types)-1])
			f.pushAll(types[:len(types)-1])
		}
	default:
		f.storage()
	}
}

func (f *funcValidator) call(t *FuncType, tail bool) {
	f.popAll(t.Params)
	if !tail {
		f.pushAll(t.Results)
		return
	}
	if !f.matchAll(t.Results, f.frames[0].results) {
		f.fail("type mismatch", "current function requires result type %s but callee returns %s", typeList(f.frames[0].results), typeList(t.Results))
	}
	f.unreachable()
}

func (f *funcValidator) callIndirect() {
	in := &f.in
	t, ok := f.table(in.y)
	if !ok {
		return
	}
	if int64(in.x) >= int64(len(f.types)) {
		f.unknown("type", in.x)
		return
	}
	if !f.matches(t.Elem, FuncRef) {
		f.fail("type mismatch", "indirect calls must go through a table with type <= funcref, found %s", t.Elem)
	}
	f.pop(indexType(t.Limits))
	f.call(&f.types[in.x], in.op == opReturnCallIndirect)
}

func (f *funcValidator) tryTable() {
	params, results, ok := f.blockType()
	if !ok {
		return
	}
	for _, c := range f.in.catches {
		l, ok := f.label(c.label)
		if !ok {
			return
		}
		var carried []ValType
		if c.kind == catchTag || c.kind == catchTagRef {
			if int64(c.tag) >= int64(len(f.Tags)) {
				f.unknown("tag", c.tag)
				return
			}
			carried = append(carried, f.types[f.Tags[c.tag]].Params...)
		}
		if c.kind == catchTagRef || c.kind == catchAllRef {
			carried = append(carried, Ref(HeapExn, false))
		}
		if !f.matchAll(carried, l.label()) {
			f.fail("type mismatch", "catch clause gives %s but its label takes %s", typeList(carried), typeList(l.label()))
		}
	}
	f.open(opTryTable, params, results)
}

func (f *funcValidator) brTable() {
	f.pop(I32)
	labels := f.in.labels
	last, ok := f.label(labels[len(labels)-1])
	if !ok {
		return
	}
	arity := len(last.label())
	for _, depth := range labels {
		l, ok := f.label(depth)
		if !ok {
			return
		}
		if l.table == f.in.pos+1 {
			continue // seen already
		}
		l.table = f.in.pos + 1
		f.work += len(l.label())
		types := l.label()
		if len(types) != arity {
			f.fail("type mismatch", "br_table target labels have different number of types")
			return
		}
		// The values stay for the next label as they are, known or not.
		f.popped = f.popped[:0]
		for i := len(types) - 1; i >= 0; i-- {
			f.popped = append(f.popped, f.pop(types[i]))
		}
		for i := len(f.popped) - 1; i >= 0; i-- {
			f.push(f.popped[i])
		}
		if f.err != nil {
			return
		}
	}
	f.unreachable()
}

func (f *funcValidator) selectUntyped() {
	f.pop(I32)
	a, b := f.popAny(), f.popAny()
	if a.IsRef() || b.IsRef() {
		f.fail("type mismatch", "select only takes integral types, found %s and %s", b, a)
		return
	}
	if a == bottom {
		a = b
	} else if b != bottom && a != b {
		f.fail("type mismatch", "select operands have different types %s and %s", b, a)
	}
	f.push(a)
}

func (f *funcValidator) variable() {
	in := &f.in
	if in.op == opGlobalGet || in.op == opGlobalSet {
		if int64(in.x) >= int64(len(f.Globals)) {
			f.unknown("global", in.x)
			return
		}
		g := f.Globals[in.x]
		if in.op == opGlobalGet {
			f.push(g.Val)
			return
		}
		if !g.Mutable {
			f.fail("global is immutable", "cannot modify it with `global.set`: global %d", in.x)
		}
		f.pop(g.Val)
		return
	}
	if int64(in.x) >= int64(len(f.locals)) {
		f.unknown("local", in.x)
		return
	}
	t := f.locals[in.x]
	if in.op == opLocalGet {
		if len(f.unset) > 0 && f.unset[in.x] {
			f.fail("uninitialized local", "local %d", in.x)
		}
		f.push(t)
		return
	}
	f.pop(t)
	if len(f.unset) > 0 && f.unset[in.x] {
		f.unset[in.x] = false
		f.inits = append(f.inits, in.x)
	}
	if in.op == opLocalTee {
		f.push(t)
	}
}

// storage checks the instructions on whole memories and tables.
func (f *funcValidator) storage() {
	in := &f.in
	switch in.op {
	case opMemorySize, opMemoryGrow:
		addr, ok := f.memory(in.x)
		if !ok {
			return
		}
		if in.op == opMemoryGrow {
			f.pop(addr)
		}
		f.push(addr)
	case opMemoryFill:
		if addr, ok := f.memory(in.x); ok {
			f.pop(addr)
			f.pop(I32)
			f.pop(addr)
		}
	case opMemoryCopy:
		dst, ok1 := f.memory(in.x)
		src, ok2 := f.memory(in.y)
		if ok1 && ok2 {
			f.pop(narrower(dst, src))
			f.pop(src)
			f.pop(dst)
		}
	case opMemoryInit, opDataDrop:
		if f.m.DataCount == nil {
			f.fail("data count section required", "")
			return
		}
		if in.x >= *f.m.DataCount {
			f.unknown("data segment", in.x)
			return
		}
		if in.op == opDataDrop {
			return
		}
		if addr, ok := f.memory(in.y); ok {
			f.pop(I32)
			f.pop(I32)
			f.pop(addr)
		}
	case opTableGet, opTableSet, opTableGrow, opTableSize, opTableFill:
		t, ok := f.table(in.x)
		if !ok {
			return
		}
		addr := indexType(t.Limits)
		switch in.op {
		case opTableGet:
			f.pop(addr)
			f.push(t.Elem)
		case opTableSet:
			f.pop(t.Elem)
			f.pop(addr)
		case opTableGrow:
			f.pop(addr)
			f.pop(t.Elem)
			f.push(addr)
		case opTableSize:
			f.push(addr)
		case opTableFill:
			f.pop(addr)
			f.pop(t.Elem)
			f.pop(addr)
		}
	case opTableCopy:
		dst, ok1 := f.table(in.x)
		src, ok2 := f.table(in.y)
		if !ok1 || !ok2 {
			return
		}
		if !f.matches(src.Elem, dst.Elem) {
			f.fail("type mismatch", "table.copy of %s to a table of %s", src.Elem, dst.Elem)
		}
		f.pop(narrower(indexType(dst.Limits), indexType(src.Limits)))
		f.pop(indexType(src.Limits))
		f.pop(indexType(dst.Limits))
	case opTableInit, opElemDrop:
		if int64(in.x) >= int64(len(f.m.Elements)) {
			f.unknown("elem segment", in.x)
			return
		}
		if in.op == opElemDrop {
			return
		}
		t, ok := f.table(in.y)
		if !ok {
			return
		}
		elem, ok := f.canonical(f.m.Elements[in.x].Type)
		if ok && !f.matches(elem, t.Elem) {
			f.fail("type mismatch", "table.init of %s to a table of %s", elem, t.Elem)
		}
		f.pop(I32)
		f.pop(I32)
		f.pop(indexType(t.Limits))
	default:
		f.fail("illegal opcode", "%#x", uint32(in.op))
	}
}

// narrower is the type of the length of a copy between two index types.
func narrower(a, b ValType) ValType {
	if a == I64 && b == I64 {
		return I64
	}
	return I32
}
