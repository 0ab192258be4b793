package wasmgen

import (
	"slices"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// frame is an open block, as in the validation algorithm of the specification.
type frame struct {
	op              byte
	params, results []wasm.ValType
	height          int
	dead            bool // after an unconditional branch
	// free tells that a loop has nothing that bounds its repetitions.
	free bool
}

func (f *frame) label() []wasm.ValType {
	if f.op == opLoop {
		return f.params
	}
	return f.results
}

// fn is a function under construction. It follows the types on the stack as the
// validation algorithm does. What writes a value leaves it on the stack, unless the
// code became unreachable: then all values of the frame are gone, and whatever is
// popped exists.
type fn struct {
	m       *module
	s       *Source
	c       *Code
	typ     wasm.FuncType
	locals  []wasm.ValType
	extra   []wasm.ValType // locals that are no parameters, without scratch
	scratch int
	vals    []wasm.ValType
	frames  []frame
	left    int // how many more values and statements to write
	depth   int
}

// body writes the body of a function.
func (m *module) body(index int) {
	t := m.funcs[index]
	f := &fn{m: m, s: m.s, typ: t, scratch: len(t.Params), left: m.s.between(5, 120)}
	f.locals = append(slices.Clone(t.Params), wasm.I32)
	// Blocks need types while code is written, and locals are known only after:
	// Define is given code that is written already.
	f.c = &Code{count: m.count, scratch: uint32(f.scratch)}
	f.frames = []frame{{op: opBlock, results: t.Results}}
	for range m.s.below(3) {
		f.newLocal(m.valType())
	}
	recursive := len(t.Params) > 0 && t.Params[0] == wasm.I32 && m.s.percent(40)
	if recursive || m.s.percent(92) {
		f.guard()
	}
	if recursive {
		f.recursion(uint32(index))
	}
	f.statements(m.s.between(1, 7))
	f.finish()
	code := f.c.b
	m.Define(uint32(index), f.extra, func(c *Code) { c.byte(code...) })
}

func (f *fn) top() *frame { return &f.frames[len(f.frames)-1] }

func (f *fn) push(ts ...wasm.ValType) { f.vals = append(f.vals, ts...) }

func (f *fn) pop(n int) {
	for range n {
		switch {
		case len(f.vals) > f.top().height:
			f.vals = f.vals[:len(f.vals)-1]
		case !f.top().dead:
			panic("wasmgen: pop from an empty stack")
		}
	}
}

func (f *fn) die() {
	f.vals = f.vals[:f.top().height]
	f.top().dead = true
}

func (f *fn) op(op byte, indices ...uint32) { f.c.Op(op, indices...) }

func (f *fn) newLocal(t wasm.ValType) uint32 {
	f.locals = append(f.locals, t)
	f.extra = append(f.extra, t)
	return uint32(len(f.locals) - 1)
}

// blockType encodes the type of a block.
func (f *fn) blockType(params, results []wasm.ValType) int {
	if len(params) == 0 && len(results) == 0 {
		return Void
	}
	if len(params) == 0 && len(results) == 1 && f.s.percent(80) {
		t := results[0]
		if !t.IsRef() {
			return int(t) - 0x80
		}
		if _, concrete := t.Heap().TypeIndex(); !concrete && t.Nullable() {
			return int(byte(t.Heap())) - 0x80
		}
	}
	return int(f.m.Type(params, results))
}

// open begins a block whose parameters are on the stack.
func (f *fn) open(op byte, params, results []wasm.ValType) {
	f.pop(len(params))
	f.frames = append(f.frames, frame{op: op, params: params, results: results, height: len(f.vals)})
	f.push(params...)
}

// enter takes the parameters of a block from the stack, to locals or to nowhere.
func (f *fn) enter(params []wasm.ValType) {
	for i := len(params) - 1; i >= 0; i-- {
		f.drop(params[i])
	}
}

// drop removes the value of type t from the stack.
func (f *fn) drop(t wasm.ValType) {
	f.pop(1)
	if f.s.percent(40) {
		f.op(opDrop)
		return
	}
	f.op(opLocalSet, f.newLocal(t))
}

// finish leaves the results of the frame on the stack and ends it.
func (f *fn) finish() {
	results := f.top().results
	first := 0
	if f.top().dead {
		first = f.s.below(len(results) + 1)
	}
	for _, t := range results[first:] {
		f.value(t)
	}
	f.end()
}

func (f *fn) end() {
	results := f.top().results
	f.pop(len(results))
	if len(f.vals) != f.top().height {
		panic("wasmgen: values left in a block")
	}
	f.frames = f.frames[:len(f.frames)-1]
	if len(f.frames) > 0 { // the function's end is written by Define
		f.op(opEnd)
		f.push(results...)
	}
}

// guard takes a step, and leaves the function where there is none left.
func (f *fn) guard() {
	c := f.c
	c.Op(opGlobalGet, f.m.steps)
	c.I32(1)
	c.Op(opI32Sub)
	c.Op(opGlobalSet, f.m.steps)
	c.Op(opGlobalGet, f.m.steps)
	c.I32(0)
	c.Op(opI32LtS)
	c.Block(opIf, Void)
	f.open(opIf, nil, nil)
	if f.s.percent(70) {
		for _, t := range f.typ.Results {
			f.constant(t)
		}
		f.op(opReturn)
	} else {
		f.op(opUnreachable)
	}
	f.die()
	f.end()
}

// recursion calls the function itself with a smaller first argument, once or twice,
// unless that is zero.
func (f *fn) recursion(self uint32) {
	bound := f.s.between(1, 6)
	f.op(opLocalGet, 0)
	f.c.I32(7)
	f.op(opI32And)
	f.c.Block(opIf, Void)
	f.open(opIf, nil, nil)
	for range f.s.between(1, 2) {
		for i, t := range f.typ.Params {
			if i > 0 {
				f.leaf(t)
				continue
			}
			f.op(opLocalGet, 0)
			f.c.I32(int32(bound))
			f.op(opI32And)
			f.c.I32(1)
			f.op(opI32Sub)
			f.push(t)
		}
		f.pop(len(f.typ.Params))
		f.op(opCall, self)
		f.push(f.typ.Results...)
		f.enter(f.typ.Results)
		f.statements(f.s.below(2))
	}
	f.finish()
}

// statements writes up to n statements, each of which leaves the stack as it is.
func (f *fn) statements(n int) {
	f.depth++
	for range n {
		if f.left <= 0 || f.depth > 12 || f.top().dead && f.s.percent(60) {
			break
		}
		f.left--
		if f.top().dead && f.s.percent(50) {
			f.junk()
			continue
		}
		f.statement()
	}
	f.depth--
}

// junk writes an instruction that takes its operands from nowhere.
func (f *fn) junk() {
	t := pick(f.s, numbers)
	o := pick(f.s, operators[t])
	f.pop(len(o.params))
	if len(f.vals) > f.top().height {
		return
	}
	f.operator(o)
	f.op(opDrop)
}

func (f *fn) statement() {
	s := f.s
	switch s.below(22) {
	case 0, 1:
		t := f.m.valType()
		f.value(t)
		f.pop(1)
		var candidates []uint32
		for i, lt := range f.locals {
			if lt == t && i != f.scratch {
				candidates = append(candidates, uint32(i))
			}
		}
		if len(candidates) == 0 {
			f.op(opDrop)
			return
		}
		f.op(opLocalSet, pick(s, candidates))
	case 2:
		f.setGlobal()
	case 3:
		f.store()
	case 4:
		f.value(f.m.valType())
		f.pop(1)
		f.op(opDrop)
	case 5, 6:
		f.call()
	case 7:
		f.loop(nil, nil)
	case 8:
		f.conditional(nil, nil)
	case 9, 10:
		params, results := f.someTypes(3), f.someTypes(3)
		if s.percent(30) {
			results = params
		}
		f.blockOfAnyKind(params, results)
		f.enter(results)
	case 11:
		f.branchIf(f.label())
	case 12, 13:
		f.leave()
	case 14:
		f.try()
	case 15, 16, 17:
		f.bulk()
	case 18:
		f.refBranch()
	case 19:
		f.op(opNop)
	case 20:
		if s.percent(10) {
			f.op(opUnreachable)
			f.die()
			return
		}
		f.caseTable()
	case 21:
		f.hidden()
	}
}

// hidden writes a block that is entered with values below it on the stack, which
// a branch out of it discards.
func (f *fn) hidden() {
	t := f.m.valType()
	f.value(t)
	f.block(opBlock, nil, nil, nil)
	f.pop(1)
	f.op(opDrop)
}

func (f *fn) setGlobal() {
	var candidates []global
	for _, g := range f.m.globals {
		if g.Mutable {
			candidates = append(candidates, g)
		}
	}
	if len(candidates) == 0 {
		return
	}
	g := pick(f.s, candidates)
	f.value(g.Val)
	f.pop(1)
	f.op(opGlobalSet, g.index)
}

func (f *fn) store() {
	if !f.m.memory || f.m.pages == 0 && f.s.percent(90) {
		return
	}
	t := pick(f.s, numbers)
	f.address()
	f.value(t)
	f.pop(2)
	a := pick(f.s, stores[t])
	f.c.Mem(a.op, uint32(f.s.below(int(a.align)+1)), uint32(f.s.below(64)))
}

// block writes a block or if whose parameters are on the stack; body may be nil.
func (f *fn) block(op byte, params, results []wasm.ValType, body func()) {
	if op == opIf {
		f.value(wasm.I32)
		f.pop(1)
	}
	f.c.Block(op, f.blockType(params, results))
	f.open(op, params, results)
	f.enter(params)
	if body != nil {
		body()
	} else {
		f.statements(f.s.between(0, 4))
	}
	f.finish()
}

// blockOfAnyKind writes a block with its parameters.
func (f *fn) blockOfAnyKind(params, results []wasm.ValType) {
	for _, t := range params {
		f.value(t)
	}
	switch f.s.below(4) {
	case 0:
		f.block(opBlock, params, results, nil)
	case 1:
		f.conditional(params, results)
	case 2:
		f.loop(params, results)
	case 3:
		f.tryTable(params, results)
	}
}

// conditional writes an if, with an else where the types need one or by chance.
func (f *fn) conditional(params, results []wasm.ValType) {
	f.value(wasm.I32)
	f.pop(1)
	f.c.Block(opIf, f.blockType(params, results))
	f.open(opIf, params, results)
	if slices.Equal(params, results) && f.s.percent(40) {
		if f.s.percent(50) { // the parameters stay where they are
			f.end()
			return
		}
		f.enter(params)
		f.statements(f.s.between(0, 4))
		f.finish()
		return
	}
	f.enter(params)
	f.statements(f.s.between(0, 3))
	top := f.top()
	first := 0
	if top.dead {
		first = f.s.below(len(results) + 1)
	}
	for _, t := range results[first:] {
		f.value(t)
	}
	f.pop(len(results))
	f.op(opElse)
	top = f.top()
	f.vals = f.vals[:top.height]
	top.op, top.dead = opBlock, false
	f.push(params...)
	f.enter(params)
	f.statements(f.s.between(0, 3))
	f.finish()
}

// loop writes a loop whose parameters are on the stack.
func (f *fn) loop(params, results []wasm.ValType) {
	s := f.s
	kind := s.below(10)
	counter := uint32(0)
	if kind < 4 {
		counter = f.newLocal(wasm.I32)
		f.c.I32(int32(s.between(1, 6)))
		f.op(opLocalSet, counter)
	}
	f.c.Block(opLoop, f.blockType(params, results))
	f.open(opLoop, params, results)
	f.enter(params)
	guarded := s.percent(93)
	if kind < 4 {
		guarded = s.percent(50)
	}
	if guarded {
		f.guard()
	}
	f.top().free = !guarded
	again := func() {
		for _, t := range params {
			f.value(t)
		}
	}
	// The way round is decided only here or at the end, not by an inner branch.
	switch {
	case kind < 4: // counts down
		f.statements(s.between(0, 4))
		again()
		f.op(opLocalGet, counter)
		f.c.I32(1)
		f.op(opI32Sub)
		f.op(opLocalTee, counter)
		f.pop(len(params))
		f.op(opBrIf, 0)
		f.push(params...)
		f.enter(params)
	case kind < 7: // as long as something holds
		f.statements(s.between(0, 4))
		if guarded || s.percent(20) {
			again()
			f.value(wasm.I32)
			f.pop(1 + len(params))
			f.op(opBrIf, 0)
			f.push(params...)
			f.enter(params)
		}
	case kind < 9: // for ever, unless the guard or a branch leaves it
		f.statements(s.between(0, 4))
		if guarded || s.percent(5) {
			again()
			f.pop(len(params))
			f.op(opBr, 0)
			f.die()
		}
	default: // once
		f.statements(s.between(0, 4))
	}
	f.finish()
}
