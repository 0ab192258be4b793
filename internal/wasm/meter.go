package wasm

import "slices"

// Metering tells how [Module.Meter] is to meter a module.
type Metering struct {
	// Module and Name are those of the imported function
	//
	//	yield: (func (param $left i32) (result i32))
	//
	// which is called when the budget is used up. left is what is left of it,
	// below zero; the result is the next budget, in units, from 0 to 2^30.
	Module, Name string
	// Counter is the name under which what is left of the budget, a mutable i32
	// global, is exported; "" exports nothing. It must not be an export's name.
	Counter string
	// Prefix is what the names of added functions begin with in the name section:
	// "yield" for the one that calls yield, or the instruction that it stands for.
	Prefix string
	// Host tells whether an imported function is one of the host, which checks
	// by itself how long it runs and whom it calls. Nil means that none is.
	Host func(im *Import) bool
}

// Bounds of metering, in units. A unit is about the work of one plain
// instruction.
const (
	// maxUncharged is how much work may be done before it is charged.
	maxUncharged = 256
	// MaxUnchecked is about how much work is done between two checks at most,
	// on the way into calls; see [Module.Meter].
	MaxUnchecked = 8192
	// maxTail is how much of that may follow a call that may have been
	// recursive, since a stack of any height may be unwound by such tails.
	maxTail = 64
	// indirectCharge pays for what a function that is called indirectly does
	// before it charges for itself.
	indirectCharge = 64
	// FrameBytes is how much the stack grows for each unit at most, in bytes.
	FrameBytes = 32
	// maxWays is how many branches back to a loop are charged each by itself; for
	// the code to stay small, one with more is charged at its head.
	maxWays = 4
)

// Meter rewrites a valid module so that the work it does is charged to a budget,
// and a function of the host called when that is used up.
//
// The budget is an i32 global of the module, zero at first. Code is charged by
// its static cost, at the latest when more than a few hundred units have come
// together on some path to a place; of alternative paths the most expensive one
// counts. Checks are charges that also look whether anything is left:
//
//   - on the ways back of a loop, unless every way round passes another check;
//   - at the entry of a function that may call itself by direct calls;
//   - before call_indirect, call_ref, their tail forms, calls of functions that
//     another module provides, and throws;
//   - where otherwise more than MaxUnchecked units of work could pass without
//     one, in a function and all that it calls: so also in towers of functions
//     without a loop;
//   - in bulk instructions, which charge by length and are done in pieces.
//
// So between two calls of yield a module does at most the work of the budget plus a
// few times MaxUnchecked; and where a deep stack is unwound, some 64 units for each
// function on it, which were paid when it was entered. Every cycle of calls is
// charged for the stack it takes, so that the stack grows between two calls of yield
// by at most FrameBytes a unit.
//
// What the module means is not changed, but that ref.func leaves nothing behind in
// the engine, and memory.atomic.wait waits in short turns, with checks between
// them. The yield function becomes the last imported function; functions behind it
// move by one. Sections with debugging information are dropped, since offsets into
// code change.
func (m *Module) Meter(o Metering) {
	w := &meter{module: m, o: o, helpers: make(map[helperKey]uint32), refs: make(map[uint32]uint32)}
	w.space = m.Space()
	w.imported = uint32(len(w.space.Funcs) - len(m.Functions))
	w.counter = uint32(len(w.space.Globals))
	w.slow = uint32(len(w.space.Funcs)) + 1
	w.hosts()
	w.scan()
	w.order()
	for _, f := range w.sorted {
		w.place(f)
		w.cost(f)
	}
	w.write()
}

// meter is the state of metering one module. Function indices in it are those of
// the original unless it says otherwise.
type meter struct {
	module   *Module
	o        Metering
	space    *Space
	imported uint32 // number of imported functions
	counter  uint32 // index of the global
	slow     uint32 // index, in the result, of the function that calls yield
	funcs    []meterFunc
	sorted   []*meterFunc // callees before callers
	throws   bool         // the module has exception tags
	hosted   []bool       // by imported function: the host provides it

	helpers map[helperKey]uint32 // functions that stand for instructions, by index in the result
	bodies  []helper             // of those, in order
	refs    map[uint32]uint32    // globals that stand for ref.func, by function
	globals []Global             // those

	in    instr       // scratch, as are:
	flows []flowLabel // of flow
	costs []costLabel // of cost
	pend  []int       // of cost
	marks []writeMark // of the writer
}

// meterFunc is a function that the module defines.
type meterFunc struct {
	index  int // in Module.Code
	start  int // of the expression in the body, behind the locals
	locals uint32
	loops  []meterLoop
	calls  []uint32 // functions it calls directly, as indices in funcs
	cyclic bool     // may call itself by direct calls
	taken  bool     // may be called by others than functions of the module by name
	frame  int      // what its stack frame costs, in units

	entry int  // charged at the entry
	check bool // with a check

	// What its callers count with. An amount of work is the most on any path.
	uncharged int  // work not charged when it returns
	before    int  // work from the entry to the first check, or to the end
	after     int  // work since the last check, or the entry, when it returns
	always    bool // every path passes a check

	points []meterPoint // in the order of the code
}

// meterLoop is a loop, in the order in which loops begin.
type meterLoop struct {
	// odd tells that the loop takes parameters, has many ways back, or others than
	// br and br_if: it is charged at its head instead of on the ways back.
	odd     bool
	params  bool // takes parameters
	ways    int  // branches back
	checked bool // there is a way round without any other check
	charge  int  // at its head, if it is odd
	split   bool // some way back is checked
}

// meterPoint is a place in a function where something is charged, before the
// instruction at pos.
type meterPoint struct {
	pos    int
	charge int
	check  bool
	back   bool // the instruction is a branch back to a loop, and pays if it is taken
}

// call returns the function of the module with an index, or nil if it is imported.
func (w *meter) call(index uint32) *meterFunc {
	if index < w.imported {
		return nil
	}
	return &w.funcs[index-w.imported]
}

// hosts notes which imported functions the host provides.
func (w *meter) hosts() {
	for i := range w.module.Imports {
		if im := &w.module.Imports[i]; im.Kind == KindFunc {
			w.hosted = append(w.hosted, w.o.Host != nil && w.o.Host(im))
		}
	}
}

// moved returns the index in the result of a function.
func (w *meter) moved(index uint32) uint32 {
	if index < w.imported {
		return index
	}
	return index + 1
}

// write edits the module: what was planned for the functions, and all indices of
// functions.
func (w *meter) write() {
	m := w.module
	names := m.Names()
	functions := make(map[uint32]string, len(names.Functions)+1)
	for index, name := range names.Functions {
		functions[w.moved(index)] = name
	}
	names.Functions = functions

	code := make([]Body, len(m.Code), len(m.Code)+8)
	for i := range w.funcs {
		code[i] = Body{Code: w.body(&w.funcs[i])}
	}
	m.Types = slices.Clip(m.Types)
	m.Functions = slices.Clip(m.Functions)
	define := func(name string, t FuncType, body []byte) {
		names.Functions[w.moved(uint32(len(w.space.Funcs)+len(m.Functions)-len(w.funcs)))] = w.o.Prefix + name
		m.Functions = append(m.Functions, Function{Type: uint32(len(m.Types))})
		m.Types = append(m.Types, t)
		code = append(code, Body{Code: body})
	}
	slow := appendOp([]byte{0}, opGlobalGet, w.counter)
	slow = appendOp(slow, opCall, w.imported)
	define("yield", FuncType{}, append(appendOp(slow, opGlobalSet, w.counter), byte(opEnd)))
	for _, h := range w.bodies {
		define(h.name, h.typ, h.code)
	}
	m.Code = code

	m.Imports = w.imports()
	m.Types = append(m.Types, FuncType{Params: []ValType{I32}, Results: []ValType{I32}})
	m.Exports = slices.Clone(m.Exports)
	for i := range m.Exports {
		if e := &m.Exports[i]; e.Kind == KindFunc {
			e.Index = w.moved(e.Index)
		}
	}
	if w.o.Counter != "" {
		m.Exports = append(m.Exports, Export{Name: w.o.Counter, Kind: KindGlobal, Index: w.counter})
	}
	if m.Start != nil {
		m.Start = &Start{Func: w.moved(m.Start.Func), Offset: m.Start.Offset}
	}
	m.Elements = slices.Clone(m.Elements)
	for i := range m.Elements {
		e := &m.Elements[i]
		e.Funcs = slices.Clone(e.Funcs)
		for k, index := range e.Funcs {
			e.Funcs[k] = w.moved(index)
		}
		e.Exprs = slices.Clone(e.Exprs)
		for k := range e.Exprs {
			e.Exprs[k].Code = w.constant(e.Exprs[k].Code)
		}
		e.At.Code = w.constant(e.At.Code)
	}
	m.Tables = slices.Clone(m.Tables)
	for i := range m.Tables {
		m.Tables[i].Init.Code = w.constant(m.Tables[i].Init.Code)
	}
	m.Globals = slices.Clone(m.Globals)
	for i := range m.Globals {
		m.Globals[i].Init.Code = w.constant(m.Globals[i].Init.Code)
	}
	zero := Expr{Code: []byte{byte(opI32Const), 0, byte(opEnd)}}
	m.Globals = append(m.Globals, Global{GlobalType: GlobalType{Val: I32, Mutable: true}, Init: zero})
	m.Globals = append(m.Globals, w.globals...)
	m.Customs = slices.DeleteFunc(slices.Clone(m.Customs), func(c Custom) bool {
		return len(c.Name) > 6 && c.Name[:7] == ".debug_"
	})
	m.SetNames(names)
}

// imports returns the imports with yield behind the last function.
func (w *meter) imports() []Import {
	yield := Import{Module: w.o.Module, Name: w.o.Name, Extern: Extern{Kind: KindFunc, Type: uint32(len(w.module.Types))}}
	at := 0
	for i := range w.module.Imports {
		if w.module.Imports[i].Kind == KindFunc {
			at = i + 1
		}
	}
	return slices.Insert(slices.Clone(w.module.Imports), at, yield)
}

// constant returns a constant expression with the indices of functions moved.
func (w *meter) constant(code []byte) []byte {
	var out []byte
	from := 0
	for r := (&reader{b: code}); r.more(); {
		r.instr(&w.in)
		if w.in.op == opRefFunc {
			out = append(out, code[from:w.in.pos]...)
			out = appendOp(out, opRefFunc, w.moved(w.in.x))
			from = r.pos
		}
	}
	if out == nil {
		return code
	}
	return append(out, code[from:]...)
}

// ref returns the index of the global that has a reference to a function: in the
// engine, each ref.func would leave a new one behind.
func (w *meter) ref(index uint32) uint32 {
	if g, ok := w.refs[index]; ok {
		return g
	}
	g := w.counter + 1 + uint32(len(w.globals))
	w.refs[index] = g
	t := Ref(HeapType(w.space.Funcs[index]), false)
	code := append(appendOp(nil, opRefFunc, w.moved(index)), byte(opEnd))
	w.globals = append(w.globals, Global{GlobalType: GlobalType{Val: t}, Init: Expr{Code: code}})
	return g
}

func appendOp(b []byte, op opcode, x uint32) []byte { return appendU32(append(b, byte(op)), x) }

func appendI32(b []byte, v int) []byte {
	return appendS33(append(b, byte(opI32Const)), int64(int32(v)))
}
