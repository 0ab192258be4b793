package wasmgen

import (
	"slices"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// label chooses the depth of a block to branch to; the outermost is the function.
func (f *fn) label() uint32 {
	for range 8 {
		d := f.s.below(len(f.frames))
		if t := f.target(uint32(d)); t.op != opLoop || !t.free || f.s.percent(2) {
			return uint32(d)
		}
	}
	return uint32(len(f.frames) - 1)
}

func (f *fn) target(depth uint32) *frame { return &f.frames[len(f.frames)-1-int(depth)] }

// take pushes the values that a branch to depth takes along; in unreachable code
// perhaps only the last.
func (f *fn) take(types []wasm.ValType) {
	first := 0
	if f.top().dead && len(f.vals) == f.top().height && f.s.percent(50) {
		first = f.s.below(len(types) + 1)
	}
	for _, t := range types[first:] {
		f.value(t)
	}
}

// leave writes an instruction after which nothing is reachable, mostly within an if.
func (f *fn) leave() {
	if f.s.percent(60) {
		f.block(opIf, nil, nil, func() {
			f.statements(f.s.below(2))
			f.jump()
			f.statements(f.s.below(2))
		})
		return
	}
	f.jump()
}

func (f *fn) jump() {
	switch f.s.below(8) {
	case 0, 1, 2:
		d := f.label()
		types := f.target(d).label()
		f.take(types)
		f.pop(len(types))
		f.op(opBr, d)
	case 3:
		f.take(f.typ.Results)
		f.pop(len(f.typ.Results))
		f.op(opReturn)
	case 4, 5:
		f.branchTable()
	case 6:
		f.tailCall()
	case 7:
		f.throw()
	}
	f.die()
}

func (f *fn) throw() {
	if len(f.m.tags) == 0 {
		f.take(f.typ.Results)
		f.op(opReturn)
		return
	}
	i := f.s.below(len(f.m.tags))
	f.take(f.m.tags[i])
	f.op(opThrow, uint32(i))
}

func (f *fn) branchTable() {
	d := f.label()
	types := f.target(d).label()
	var same []uint32
	for i := range f.frames {
		t := f.target(uint32(i))
		if slices.Equal(t.label(), types) && !(t.op == opLoop && t.free) {
			same = append(same, uint32(i))
		}
	}
	labels := []uint32{}
	for range f.s.below(6) {
		if len(same) > 0 {
			labels = append(labels, pick(f.s, same))
		}
	}
	labels = append(labels, d)
	f.take(types)
	f.value(wasm.I32)
	f.c.I32(7)
	f.op(opI32And)
	f.pop(1 + len(types))
	f.c.BrTable(labels...)
}

// caseTable writes what a switch is compiled to: nested blocks around a br_table.
func (f *fn) caseTable() {
	n := f.s.between(1, 4)
	for range n {
		f.c.Block(opBlock, Void)
		f.open(opBlock, nil, nil)
	}
	f.value(wasm.I32)
	f.c.I32(3)
	f.op(opI32And)
	f.pop(1)
	var labels []uint32
	for i := range n {
		labels = append(labels, uint32(i))
	}
	f.c.BrTable(labels...)
	f.die()
	for range n {
		f.end()
		f.statements(f.s.below(3))
	}
}

// branchIf writes a br_if and removes the values that it leaves.
func (f *fn) branchIf(d uint32) {
	types := f.target(d).label()
	f.take(types)
	f.value(wasm.I32)
	f.pop(1 + len(types))
	f.op(opBrIf, d)
	f.push(types...)
	f.enter(types)
}

// branchIfFor pushes a value of type t that a br_if leaves.
func (f *fn) branchIfFor(t wasm.ValType) {
	d := f.label()
	types := f.target(d).label()
	if len(types) == 0 || types[len(types)-1] != t {
		f.leaf(t)
		return
	}
	f.take(types)
	f.value(wasm.I32)
	f.pop(1 + len(types))
	f.op(opBrIf, d)
	f.push(types...)
	if len(types) > 1 {
		i := f.newLocal(t)
		f.pop(1)
		f.op(opLocalSet, i)
		f.enter(types[:len(types)-1])
		f.op(opLocalGet, i)
		f.push(t)
	}
}

// refBranch writes a br_on_null or br_on_non_null within a block that it goes to.
func (f *fn) refBranch() {
	t := wasm.FuncRef
	if f.s.percent(50) {
		t = wasm.Ref(wasm.HeapType(pick(f.s, f.m.plain)), true)
	}
	if f.s.percent(50) {
		f.block(opBlock, nil, nil, func() {
			f.value(t)
			f.pop(1)
			f.op(opBrOnNull, 0)
			f.push(wasm.Ref(t.Heap(), false))
			f.use(t)
			f.statements(f.s.below(3))
		})
		return
	}
	f.block(opBlock, nil, []wasm.ValType{t}, func() {
		f.value(t)
		f.pop(1)
		f.op(opBrOnNonNull, 0)
		f.statements(f.s.below(3))
	})
	f.use(t)
}

// use removes a reference of type t from the stack, perhaps by calling it.
func (f *fn) use(t wasm.ValType) {
	index, concrete := t.Heap().TypeIndex()
	if !concrete || f.s.percent(50) {
		f.pop(1)
		f.op(opDrop)
		return
	}
	i := f.newLocal(wasm.Ref(t.Heap(), true))
	f.pop(1)
	f.op(opLocalSet, i)
	ft := f.m.Module.Types[index]
	for _, p := range ft.Params {
		f.value(p)
	}
	f.op(opLocalGet, i)
	if f.s.percent(20) {
		f.op(opRefAsNonNull)
	}
	f.pop(len(ft.Params))
	f.op(opCallRef, index)
	f.push(ft.Results...)
	f.enter(ft.Results)
}

// call writes a call and removes its results.
func (f *fn) call() {
	results := f.callAny()
	f.enter(results)
}

// callAny writes a call of any kind and returns its results, which are on the stack.
func (f *fn) callAny() []wasm.ValType {
	s := f.s
	switch s.below(8) {
	case 0, 1:
		if i, index, at, ok := f.slot(nil); ok {
			t := f.m.Module.Types[index]
			f.arguments(t.Params)
			f.index(i, at)
			f.pop(len(t.Params))
			f.op(opCallIndirect, index, uint32(i))
			f.push(t.Results...)
			return t.Results
		}
	case 2:
		index := pick(s, f.m.plain)
		t := f.m.Module.Types[index]
		f.arguments(t.Params)
		f.value(wasm.Ref(wasm.HeapType(index), true))
		f.pop(1 + len(t.Params))
		f.op(opCallRef, index)
		f.push(t.Results...)
		return t.Results
	}
	return f.callFunc(s.below(len(f.m.funcs)))
}

func (f *fn) arguments(params []wasm.ValType) {
	for _, t := range params {
		f.value(t)
	}
}

func (f *fn) callFunc(i int) []wasm.ValType {
	t := f.m.funcs[i]
	f.arguments(t.Params)
	f.pop(len(t.Params))
	f.op(opCall, uint32(i))
	f.push(t.Results...)
	return t.Results
}

// callFor pushes a value of type t that a call returns.
func (f *fn) callFor(t wasm.ValType) {
	var candidates []int
	for i, ft := range f.m.funcs {
		if slices.Equal(ft.Results, []wasm.ValType{t}) {
			candidates = append(candidates, i)
		}
	}
	if len(candidates) == 0 {
		f.leaf(t)
		return
	}
	f.callFunc(pick(f.s, candidates))
}

// slot chooses a table, a type and an element that mostly has a function of that
// type; with wanted, one whose results are these.
func (f *fn) slot(wanted *[]wasm.ValType) (table int, typ uint32, at int, ok bool) {
	var tables []int
	for i, t := range f.m.tables {
		// The engine calls through tables of funcref only.
		if t.elem == wasm.FuncRef && len(t.filled) > 0 {
			tables = append(tables, i)
		}
	}
	if len(tables) == 0 {
		return 0, 0, 0, false
	}
	table = pick(f.s, tables)
	var slots []int
	for at, fn := range f.m.tables[table].filled {
		if wanted == nil || slices.Equal(f.m.funcs[fn].Results, *wanted) {
			slots = append(slots, at)
		}
	}
	if len(slots) == 0 {
		return 0, 0, 0, false
	}
	slices.Sort(slots)
	at = pick(f.s, slots)
	t := f.m.funcs[f.m.tables[table].filled[at]]
	if f.s.percent(4) && wanted == nil {
		t = f.m.Module.Types[pick(f.s, f.m.plain)] // perhaps another type: traps
	}
	return table, f.m.Type(t.Params, t.Results), at, true
}

// index writes an index of a table: at, or sometimes another.
func (f *fn) index(table, at int) {
	if f.s.percent(4) {
		f.element(table)
		f.pop(1)
		return
	}
	f.c.I32(int32(at))
}

// tailCall writes a tail call, or a return where no function has the right results.
func (f *fn) tailCall() {
	results := f.typ.Results
	switch f.s.below(3) {
	case 0:
		if i, index, at, ok := f.slot(&results); ok {
			t := f.m.Module.Types[index]
			f.take(t.Params)
			f.index(i, at)
			f.op(opReturnCallIndirect, index, uint32(i))
			return
		}
	case 1:
		for _, index := range f.m.plain {
			if t := f.m.Module.Types[index]; slices.Equal(t.Results, results) {
				f.take(t.Params)
				f.value(wasm.Ref(wasm.HeapType(index), true))
				f.op(opReturnCallRef, index)
				return
			}
		}
	}
	var candidates []int
	for i, t := range f.m.funcs {
		if slices.Equal(t.Results, results) {
			candidates = append(candidates, i)
		}
	}
	i := pick(f.s, candidates) // the function itself is one
	f.take(f.m.funcs[i].Params)
	f.op(opReturnCall, uint32(i))
}

// try writes a block around a try_table that catches what its body throws.
func (f *fn) try() {
	if len(f.m.tags) == 0 && f.s.percent(70) {
		return
	}
	var carried []wasm.ValType
	c := Catch{Kind: byte(f.s.below(4))}
	if len(f.m.tags) == 0 {
		c.Kind |= 2
	}
	if c.Kind < CatchAll {
		c.Tag = uint32(f.s.below(len(f.m.tags)))
		carried = slices.Clone(f.m.tags[c.Tag])
	}
	withRef := c.Kind == CatchTagRef || c.Kind == CatchAllRef
	if withRef {
		carried = append(carried, wasm.ExnRef)
	}
	f.block(opBlock, nil, nil, func() {
		f.block(opBlock, nil, carried, func() {
			f.tryBody(append([]Catch{c}, f.clauses(1)...), nil, nil)
			if f.s.percent(70) { // nothing was thrown: leave both blocks
				f.op(opBr, 1)
				f.die()
			}
		})
		if withRef && f.s.percent(30) {
			f.pop(len(carried))
			f.op(opThrowRef)
			f.die()
			return
		}
		f.enter(carried)
		f.statements(f.s.below(3))
	})
}

// tryTable writes a try_table whose parameters are on the stack.
func (f *fn) tryTable(params, results []wasm.ValType) {
	f.tryBody(f.clauses(2), params, results)
}

// clauses chooses catch clauses that fit blocks that are open.
func (f *fn) clauses(most int) []Catch {
	var catches []Catch
	for range f.s.below(most + 1) {
		d := f.label()
		types := f.target(d).label()
		if len(types) == 0 && f.s.percent(50) {
			catches = append(catches, Catch{Kind: CatchAll, Label: d})
			continue
		}
		for i, t := range f.m.tags {
			if slices.Equal(t, types) {
				catches = append(catches, Catch{Kind: CatchTag, Tag: uint32(i), Label: d})
				break
			}
		}
	}
	return catches
}

func (f *fn) tryBody(catches []Catch, params, results []wasm.ValType) {
	f.c.TryTable(f.blockType(params, results), catches...)
	f.open(opTryTable, params, results)
	f.enter(params)
	f.statements(f.s.between(1, 3))
	if f.s.percent(40) && len(f.m.tags) > 0 {
		f.block(opIf, nil, nil, func() {
			f.throw()
			f.die()
		})
	}
	f.finish()
}
