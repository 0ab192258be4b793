// Package wasmgen makes random valid core modules whose control flow, calls, bulk
// instructions and exceptions are of every kind that the engine runs, for tests
// which compare a rewritten module with its original. It also has the assembler
// that such tests write modules with by hand.
//
// Generated code makes no NaN whose bits depend on the engine, so that all that it
// computes may be compared.
package wasmgen

import (
	"fmt"
	"slices"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// Options configure [Generate].
type Options struct {
	// Count makes functions count what they execute, in the globals of the module
	// that [Clock] returns. The program is otherwise the same.
	Count bool
}

// Program is one or two modules that import one another, functions of the host
// that they import from "env", and calls to make.
type Program struct {
	// Modules are in the order in which they must be instantiated; each may import
	// from those before it, by name, and "env" and (where code counts) "clock".
	Modules []*Module
	Calls   []Call
}

// Module is a generated module.
type Module struct {
	Name string
	Wasm *wasm.Module
	// Funcs are the exported functions that were generated.
	Funcs []Func
	// Probes are exported functions without parameters, each of which returns a
	// number that is part of the module's state: a global or the size of a table.
	Probes []Func
	// Elements are exported functions (i32) -> (i32) that tell whether an element
	// of a table is null.
	Elements []string
	// Memory tells that a memory is exported as "memory".
	Memory bool
}

// Func is an exported function, or one of the host.
type Func struct {
	Name string
	Type wasm.FuncType
}

// Call is a call of an exported function.
type Call struct {
	Module int
	Func
	Args []uint64 // as the engine takes them: two for a v128
}

// Host are the functions of "env", any of which a program may import. "reenter" is
// to call the exported function "callback" (i32) -> (i32) of some module, "fail" to
// unwind the guest by an error.
func Host() []Func {
	return []Func{
		{"log", wasm.FuncType{Params: []wasm.ValType{wasm.I32}}},
		{"mix", wasm.FuncType{Params: []wasm.ValType{wasm.I64, wasm.I32}, Results: []wasm.ValType{wasm.I64}}},
		{"scale", wasm.FuncType{Params: []wasm.ValType{wasm.F64}, Results: []wasm.ValType{wasm.F32}}},
		{"reenter", wasm.FuncType{Params: []wasm.ValType{wasm.I32}, Results: []wasm.ValType{wasm.I32}}},
		{"fail", wasm.FuncType{}},
	}
}

// module is a module under construction.
type module struct {
	*Builder
	s       *Source
	out     *Module
	funcs   []wasm.FuncType // by index
	own     int             // index of the first function defined
	globals []global
	tables  []table
	tags    [][]wasm.ValType
	elems   []segment
	data    int
	memory  bool
	shared  bool
	pages   int
	steps   uint32 // global that bounds how long the module runs
	plain   []uint32
	reenter int // index of the host function, or -1
}

type global struct {
	wasm.GlobalType
	index uint32
}

type table struct {
	elem wasm.ValType
	min  int
	// filled are functions that are in the table at the start, by element.
	filled map[int]uint32
}

type segment struct {
	typ    wasm.ValType
	length int
	index  uint32
}

// Generate makes a program.
func Generate(s *Source, o Options) *Program {
	p := &Program{}
	var before []*module
	for i := range 1 + s.below(2) {
		m := generate(s, o, fmt.Sprintf("m%d", i), before)
		before = append(before, m)
		p.Modules = append(p.Modules, m.out)
	}
	for range s.between(2, 6) {
		i := s.below(len(p.Modules))
		f := pick(s, p.Modules[i].Funcs)
		p.Calls = append(p.Calls, Call{Module: i, Func: f, Args: arguments(s, f.Type.Params)})
	}
	return p
}

func arguments(s *Source, params []wasm.ValType) []uint64 {
	var args []uint64
	for _, t := range params {
		switch t {
		case wasm.I32:
			args = append(args, uint64(uint32(interesting(s))))
		case wasm.I64:
			args = append(args, uint64(interesting(s)))
		case wasm.F32:
			args = append(args, pick(s, []uint64{0, 0x3f800000, 0xbf000000, 0x7f800000, 0x4b000000}))
		case wasm.F64:
			args = append(args, pick(s, []uint64{0, 0x3ff0000000000000, 0xbfe0000000000000, 0x7ff0000000000000}))
		case wasm.V128:
			args = append(args, s.bits(), s.bits())
		default:
			args = append(args, 0)
		}
	}
	return args
}

func interesting(s *Source) int64 {
	switch s.below(4) {
	case 0:
		return int64(s.below(16))
	case 1:
		return int64(s.below(1 << 16))
	case 2:
		return pick(s, []int64{-1, 1 << 31, 1<<31 - 1, -1 << 31, 65536, 255, -1 << 63, 1<<63 - 1})
	}
	return int64(s.bits())
}

func generate(s *Source, o Options, name string, before []*module) *module {
	m := &module{Builder: NewBuilder(o.Count), s: s, out: &Module{Name: name}, reenter: -1}
	m.signatures()
	m.imports(before)
	m.storage()
	m.declare()
	m.segments()
	for i := m.own; i < len(m.funcs); i++ {
		m.body(i)
	}
	m.exports()
	m.observers()
	m.names()
	m.out.Wasm = &m.Module
	return m
}

var numbers = []wasm.ValType{wasm.I32, wasm.I64, wasm.F32, wasm.F64}

// signatures makes a few types of functions on numbers, which typed references
// refer to.
func (m *module) signatures() {
	i32 := []wasm.ValType{wasm.I32}
	m.plain = append(m.plain, m.Type(nil, nil), m.Type(i32, i32))
	for range m.s.between(1, 3) {
		var params, results []wasm.ValType
		for range m.s.below(4) {
			params = append(params, pick(m.s, numbers))
		}
		for range m.s.below(3) {
			results = append(results, pick(m.s, numbers))
		}
		m.plain = append(m.plain, m.Type(params, results))
	}
}

// valType chooses a type that has a default value.
func (m *module) valType() wasm.ValType {
	switch m.s.below(14) {
	case 0, 1, 2, 3, 4:
		return wasm.I32
	case 5, 6, 7:
		return wasm.I64
	case 8:
		return wasm.F32
	case 9:
		return wasm.F64
	case 10:
		return wasm.V128
	case 11:
		return wasm.FuncRef
	case 12:
		return wasm.Ref(wasm.HeapType(pick(m.s, m.plain)), true)
	}
	return pick(m.s, []wasm.ValType{wasm.ExternRef, wasm.I32})
}

func (m *module) imports(before []*module) {
	for _, h := range Host() {
		share := 50
		if h.Name == "fail" {
			share = 10
		}
		if !m.s.percent(share) {
			continue
		}
		index := m.ImportFunc("env", h.Name, h.Type.Params, h.Type.Results)
		m.funcs = append(m.funcs, h.Type)
		if h.Name == "reenter" {
			m.reenter = int(index)
		}
	}
	for _, b := range before {
		for _, f := range b.out.Funcs {
			if m.s.percent(50) && b.portable(f.Type) {
				m.ImportFunc(b.out.Name, f.Name, f.Type.Params, f.Type.Results)
				m.funcs = append(m.funcs, f.Type)
			}
		}
		for i, t := range b.tables {
			if t.elem == wasm.FuncRef && m.s.percent(70) {
				m.Import(b.out.Name, fmt.Sprintf("table%d", i), wasm.Extern{Kind: wasm.KindTable,
					Table: wasm.TableType{Elem: t.elem, Limits: wasm.Limits{Min: uint64(m.s.below(t.min + 1))}}})
				m.tables = append(m.tables, table{elem: t.elem, min: t.min, filled: map[int]uint32{}})
			}
		}
		if b.memory && !b.shared && m.s.percent(40) && !m.memory {
			m.Import(b.out.Name, "memory", wasm.Extern{Kind: wasm.KindMemory,
				Memory: wasm.MemoryType{Limits: wasm.Limits{Min: 0}, PageSizeLog2: 16}})
			m.memory, m.pages = true, b.pages
		}
		for i, g := range b.globals {
			if !g.Val.IsRef() && m.s.percent(30) {
				index := m.Import(b.out.Name, fmt.Sprintf("g%d", i), wasm.Extern{Kind: wasm.KindGlobal, Global: g.GlobalType})
				m.globals = append(m.globals, global{g.GlobalType, index})
			}
		}
		for i, t := range b.tags {
			if m.s.percent(50) && b.portable(wasm.FuncType{Params: t}) {
				m.Import(b.out.Name, fmt.Sprintf("t%d", i), wasm.Extern{Kind: wasm.KindTag, Type: m.Type(t, nil)})
				m.tags = append(m.tags, t)
			}
		}
	}
	m.own = len(m.funcs)
}

// portable tells that a type means the same in another module.
func (m *module) portable(t wasm.FuncType) bool {
	concrete := func(t wasm.ValType) bool {
		_, ok := t.Heap().TypeIndex()
		return t.IsRef() && ok
	}
	return !slices.ContainsFunc(t.Params, concrete) && !slices.ContainsFunc(t.Results, concrete)
}

// storage defines memory, tables, globals and tags.
func (m *module) storage() {
	s := m.s
	if !m.memory && s.percent(85) {
		m.memory, m.pages = true, pick(s, []int{0, 1, 1, 2, 3, 5, 20})
		m.shared = s.percent(10)
		m.Memory(uint64(m.pages), uint64(m.pages+s.below(4)))
		m.Module.Memories[0].Limits.Shared = m.shared
	}
	for range s.below(3) {
		t := table{elem: wasm.FuncRef, min: s.between(1, 12), filled: map[int]uint32{}}
		switch s.below(6) {
		case 0:
			t.elem = wasm.Ref(wasm.HeapType(pick(s, m.plain)), true)
		case 1:
			t.elem = wasm.ExternRef
		case 2:
			t.min = pick(s, []int{100, 3000})
		}
		m.Table(t.elem, uint64(t.min), uint64(t.min+s.below(40)))
		m.tables = append(m.tables, t)
	}
	m.steps = m.Global(wasm.GlobalType{Val: wasm.I32, Mutable: true}, constI32(stepLimit).Code)
	for range s.below(5) {
		g := global{GlobalType: wasm.GlobalType{Val: m.valType(), Mutable: s.percent(80)}}
		g.index = m.Global(g.GlobalType, m.initial(g.Val))
		m.globals = append(m.globals, g)
	}
	for range s.below(4) {
		var params []wasm.ValType
		for range s.below(3) {
			// The engine has no room for a vector in an exception.
			if t := m.valType(); t != wasm.V128 {
				params = append(params, t)
			}
		}
		m.Tag(params...)
		m.tags = append(m.tags, params)
	}
}

// stepLimit is the number of guarded loops and calls that one call may run.
const stepLimit = 300

// initial returns a constant expression.
func (m *module) initial(t wasm.ValType) []byte {
	var c Code
	switch t {
	case wasm.I32:
		if m.s.percent(30) { // an extended one
			c.I32(int32(interesting(m.s)))
			c.I32(3)
			c.Op(opI32Sub)
			break
		}
		c.I32(int32(interesting(m.s)))
	case wasm.I64:
		c.I64(interesting(m.s))
	case wasm.F32:
		c.F32(0x40490fdb)
	case wasm.F64:
		c.F64(0x400921fb54442d18)
	case wasm.V128:
		c.v128(m.s.bits(), m.s.bits())
	default:
		c.RefNull(t.Heap())
	}
	c.Op(opEnd)
	return c.b
}

// declare fixes the types of all functions.
func (m *module) declare() {
	add := func(params, results []wasm.ValType) {
		m.Declare(params, results)
		m.funcs = append(m.funcs, wasm.FuncType{Params: params, Results: results})
	}
	i32 := []wasm.ValType{wasm.I32}
	add(i32, i32) // callback
	add(nil, nil) // start
	for range m.s.between(2, 9) {
		if m.s.percent(60) {
			t := m.Module.Types[pick(m.s, m.plain)]
			add(t.Params, t.Results)
			continue
		}
		var params, results []wasm.ValType
		for range m.s.below(4) {
			params = append(params, m.valType())
		}
		for range m.s.below(3) {
			results = append(results, m.valType())
		}
		add(params, results)
	}
}

func (m *module) segments() {
	s := m.s
	all := make([]uint32, len(m.funcs))
	for i := range all {
		all[i] = uint32(i)
	}
	// All functions may be named by ref.func.
	m.Elements(wasm.Declarative, 0, 0, all...)
	some := func(n int) []uint32 {
		funcs := make([]uint32, n)
		for i := range funcs {
			funcs[i] = uint32(s.below(len(m.funcs)))
		}
		return funcs
	}
	for i := range m.tables {
		t := &m.tables[i]
		for range s.below(3) {
			n := s.between(0, min(t.min, 8))
			at := s.below(t.min - n + 1)
			if s.percent(3) {
				at = t.min - n + 1 // does not fit: instantiation traps
			}
			switch {
			case t.elem == wasm.FuncRef:
				funcs := some(n)
				index := m.Elements(wasm.Active, uint32(i), int32(at), funcs...)
				if s.percent(30) {
					m.asExprs(index)
				}
				for k, f := range funcs {
					t.filled[at+k] = f
				}
			case t.elem != wasm.ExternRef:
				index, _ := t.elem.Heap().TypeIndex()
				candidates := m.ofType(index)
				if len(candidates) == 0 {
					continue
				}
				funcs := make([]uint32, n)
				for k := range funcs {
					funcs[k] = pick(s, candidates)
					t.filled[at+k] = funcs[k]
				}
				segment := m.Elements(wasm.Active, uint32(i), int32(at), funcs...)
				m.asExprs(segment)
				m.Module.Elements[segment].Type = t.elem
			}
		}
	}
	for range s.below(3) {
		funcs := some(s.below(12))
		m.elems = append(m.elems, segment{typ: wasm.FuncRef, length: len(funcs), index: m.Elements(wasm.Passive, 0, 0, funcs...)})
	}
	if !m.memory {
		return
	}
	for range s.below(4) {
		d := wasm.Data{Mode: wasm.Passive, Init: make([]byte, pick(s, []int{0, 1, 9, 100, 5000, 70000}))}
		for i := range d.Init {
			d.Init[i] = byte(i*7 + len(d.Init))
		}
		if size := m.pages << 16; s.percent(40) && len(d.Init) <= size && s.percent(97) {
			d.Mode, d.At = wasm.Active, constI32(int32(s.below(size-len(d.Init)+1)))
		}
		m.Module.Data = append(m.Module.Data, d)
		m.data++
	}
	count := uint32(m.data)
	m.Module.DataCount = &count
}

// asExprs writes the functions of a segment as expressions.
func (m *module) asExprs(segment uint32) {
	e := &m.Module.Elements[segment]
	e.UsesExprs = true
	for _, f := range e.Funcs {
		var c Code
		c.Op(opRefFunc, f)
		c.Op(opEnd)
		e.Exprs = append(e.Exprs, wasm.Expr{Code: c.b})
	}
	e.Funcs = nil
}

// ofType returns the functions of a type.
func (m *module) ofType(index uint32) []uint32 {
	var funcs []uint32
	t := m.Module.Types[index]
	for i, f := range m.funcs {
		if slices.Equal(f.Params, t.Params) && slices.Equal(f.Results, t.Results) {
			funcs = append(funcs, uint32(i))
		}
	}
	return funcs
}

func (m *module) exports() {
	for i := m.own; i < len(m.funcs); i++ {
		name := fmt.Sprintf("f%d", i)
		if i == m.own {
			name = "callback"
		}
		m.Export(name, wasm.KindFunc, uint32(i))
		m.out.Funcs = append(m.out.Funcs, Func{name, m.funcs[i]})
	}
	if m.memory {
		m.Export("memory", wasm.KindMemory, 0)
		m.out.Memory = true
	}
	for i := range m.tables {
		m.Export(fmt.Sprintf("table%d", i), wasm.KindTable, uint32(i))
	}
	for i, g := range m.globals {
		m.Export(fmt.Sprintf("g%d", i), wasm.KindGlobal, g.index)
	}
	for i := range m.tags {
		m.Export(fmt.Sprintf("t%d", i), wasm.KindTag, uint32(i))
	}
	if m.s.percent(25) {
		m.Module.Start = &wasm.Start{Func: uint32(m.own + 1)}
	}
}

// observers adds functions that show the state of the module, and "reset", which
// lets the next call run as long as the first. They do not count.
func (m *module) observers() {
	counts := m.count
	m.count = false
	defer func() { m.count = counts }()
	export := func(name string, params, results []wasm.ValType, body func(*Code)) {
		m.Export(name, wasm.KindFunc, m.Func(params, results, nil, body))
	}
	i32 := []wasm.ValType{wasm.I32}
	probe := func(name string, t wasm.ValType, body func(*Code)) {
		export(name, nil, []wasm.ValType{t}, body)
		m.out.Probes = append(m.out.Probes, Func{name, wasm.FuncType{Results: []wasm.ValType{t}}})
	}
	for i, g := range m.globals {
		name := fmt.Sprintf("global %d", i)
		if g.Val.IsRef() {
			probe(name, wasm.I32, func(c *Code) { c.Op(opGlobalGet, g.index); c.Op(opRefIsNull) })
			continue
		}
		probe(name, g.Val, func(c *Code) { c.Op(opGlobalGet, g.index) })
	}
	probe("steps", wasm.I32, func(c *Code) { c.Op(opGlobalGet, m.steps) })
	for i := range m.tables {
		probe(fmt.Sprintf("size %d", i), wasm.I32, func(c *Code) { c.Prefixed(prefixBulk, TableSize, uint32(i)) })
		name := fmt.Sprintf("null %d", i)
		export(name, i32, i32, func(c *Code) {
			c.Op(opLocalGet, 0)
			c.Op(opTableGet, uint32(i))
			c.Op(opRefIsNull)
		})
		m.out.Elements = append(m.out.Elements, name)
	}
	export("reset", nil, nil, func(c *Code) {
		c.I32(stepLimit)
		c.Op(opGlobalSet, m.steps)
	})
}

func (m *module) names() {
	if m.s.percent(30) {
		return
	}
	names := wasm.Names{Functions: map[uint32]string{}}
	if m.s.percent(50) {
		names.Module = m.out.Name
	}
	for i := range m.funcs {
		if m.s.percent(90) {
			names.Functions[uint32(i)] = fmt.Sprintf("func%d", i)
		}
	}
	m.Module.SetNames(names)
}
