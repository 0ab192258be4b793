package guests

import (
	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/canon"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// Things is what Hoarder imports: a resource of the host. r is what the host has for it.
func Things(r *abi.Resource) abi.Interface {
	return abi.Interface{Name: "test:h/things", Resources: []*abi.Resource{r}, Funcs: []abi.Func{
		{Name: "make", Type: abi.Function(nil, abi.Own(r))},
	}}
}

// state is a module under construction that imports no functions.
type state struct{ CoreModule }

func (s *state) fn(name string, params, results []wasm.ValType, body ...Code) {
	s.Define(&Func{Name: name, Params: params, Results: results, Body: Seq(body...)})
}

var i64 = []wasm.ValType{wasm.I64}

// owner is the module that has the memory, a table and globals. Where starts is true,
// its start function changes some of each.
func owner(starts bool) *state {
	s := &state{}
	s.Memories = []wasm.Memory{{MemoryType: wasm.MemoryType{PageSizeLog2: 16, Limits: wasm.Limits{Min: 2, Max: 12, HasMax: true}}}}
	s.Tables = []wasm.Table{
		{TableType: wasm.TableType{Elem: wasm.FuncRef, Limits: wasm.Limits{Min: 4}}},
		{TableType: wasm.TableType{Elem: wasm.FuncRef, Limits: wasm.Limits{Min: 2}}},
	}
	s.Elements = []wasm.Element{
		{Mode: wasm.Active, At: Constant(0), Type: wasm.FuncRef, Funcs: []uint32{0}},
		{Mode: wasm.Passive, Type: wasm.FuncRef, Funcs: []uint32{1, 0}},
	}
	count := uint32(2)
	s.DataCount = &count
	s.Data = []wasm.Data{
		{Mode: wasm.Active, At: Constant(64), Init: []byte("active")},
		{Mode: wasm.Passive, Init: []byte("passive")},
	}
	global := func(t wasm.ValType, code ...byte) {
		s.Globals = append(s.Globals, wasm.Global{GlobalType: wasm.GlobalType{Val: t, Mutable: true}, Init: wasm.Expr{Code: append(code, 0x0b)}})
	}
	global(wasm.I32, I32(11)...)
	global(wasm.I64, I64(12)...)
	global(wasm.F32, 0x43, 0, 0, 0x40, 0x41)
	global(wasm.F64, 0x44, 1, 2, 3, 4, 5, 6, 7, 8)
	global(wasm.V128, append([]byte{0xfd, 0x0c}, "sixteen bytes..."...)...)
	global(wasm.FuncRef, 0xd0, 0x70)
	s.Exports = []wasm.Export{{Name: "memory", Kind: wasm.KindMemory}, {Name: "table", Kind: wasm.KindTable}, {Name: "global", Kind: wasm.KindGlobal}}

	s.fn("", nil, i32, I32(100))
	s.fn("", nil, i32, I32(101))
	fill := func(from, n Code) Code { return Seq(from, Get(0), n, Code{0xfc, 0x0b, 0}) }
	pages := Seq(MemorySize, I32(16), Code{0x74})
	s.fn("write-memory", i32, nil, fill(I32(0), pages))
	s.fn("grow", i32, i32, Get(0), MemoryGrow)
	s.fn("write-globals", i64, nil,
		Get(0), Code{0xa7}, GlobalSet(0), Get(0), GlobalSet(1), Get(0), Code{0xa7, 0xbe}, GlobalSet(2), Get(0), Code{0xbf}, GlobalSet(3),
		Get(0), Code{0xfd, 0x12}, GlobalSet(4), Code{0xd2, 0x01}, GlobalSet(5))
	ref := Code{0xd2, 0x01}
	s.fn("write-tables", nil, nil,
		I32(0), ref, Code{0x26, 0}, // table.set
		ref, I32(3), Code{0xfc, 0x0f, 0, 0x1a}, // table.grow
		I32(4), ref, I32(2), Code{0xfc, 0x11, 0}, // table.fill
		I32(0), I32(0), I32(2), Code{0xfc, 0x0e, 1, 0}, // table.copy
		I32(1), I32(0), I32(1), Code{0xfc, 0x0c, 1, 0}, // table.init
	)
	s.fn("drop-segments", nil, nil, Code{0xfc, 0x0d, 1, 0xfc, 0x09, 1})

	// sum: a polynomial of the bytes of the memory
	s.Define(&Func{Name: "sum", Results: i32, Locals: 2, Body: Seq(
		Loop(Seq(Get(1), I32(31), Code{0x6c}, Get(0), Code{0x2d, 0, 0}, I32Add, Set(1),
			Get(0), I32(1), I32Add, Set(0), Get(0), pages, Code{0x49})), // i32.lt_u
		Get(1))})
	s.fn("pages", nil, i32, MemorySize)
	s.fn("i32", nil, i32, GlobalGet(0))
	s.fn("i64", nil, i64, GlobalGet(1))
	s.fn("f32", nil, i32, GlobalGet(2), Code{0xbc})
	s.fn("f64", nil, i64, GlobalGet(3), Code{0xbd})
	s.fn("v128-low", nil, i64, GlobalGet(4), Code{0xfd, 0x1d, 0})
	s.fn("v128-high", nil, i64, GlobalGet(4), Code{0xfd, 0x1d, 1})
	s.fn("funcref", nil, i32, GlobalGet(5), Code{0xd1})
	for n, name := range []string{"table", "other"} {
		t := byte(n)
		s.fn(name+"-size", nil, i32, Code{0xfc, 0x10, t})
		s.fn(name+"-at", i32, i32, Get(0), Code{0x25, t, 0xd1, 0x04, 0x7f}, I32(0), Code{0x05}, Get(0), Code{0x11, byte(s.typ(nil, i32)), t, 0x0b})
	}
	// They trap if the segments were dropped.
	s.fn("elements", nil, nil, I32(0), I32(1), I32(0), Code{0xfc, 0x0c, 1, 0})
	s.fn("data", nil, nil, I32(0), I32(1), I32(0), Code{0xfc, 0x08, 1, 0})
	if starts {
		s.Define(&Func{Start: true, Body: Seq(I32(77), GlobalSet(0), I32(3), ref, Code{0x26, 0},
			I32(5000), I32(5000), Store(0), I32(1), MemoryGrow, Drop)})
	}
	return s
}

// peer is a module that imports the state of owner and has some of its own.
func peer() *state {
	s := &state{}
	o := owner(false)
	s.Imports = []wasm.Import{
		{Module: "owner", Name: "memory", Extern: wasm.Extern{Kind: wasm.KindMemory, Memory: o.Memories[0].MemoryType}},
		{Module: "owner", Name: "table", Extern: wasm.Extern{Kind: wasm.KindTable, Table: o.Tables[0].TableType}},
		{Module: "owner", Name: "global", Extern: wasm.Extern{Kind: wasm.KindGlobal, Global: o.Globals[0].GlobalType}},
	}
	s.Globals = []wasm.Global{{GlobalType: wasm.GlobalType{Val: wasm.I64, Mutable: true}, Init: wasm.Expr{Code: append(I64(5), 0x0b)}}}
	count := uint32(2)
	s.DataCount = &count
	s.Data = []wasm.Data{{Mode: wasm.Active, At: Constant(66), Init: []byte("peer")}, {Mode: wasm.Passive, Init: []byte("of peer")}}
	s.Elements = []wasm.Element{{Mode: wasm.Declarative, Type: wasm.FuncRef, Funcs: []uint32{0}}}
	s.fn("", nil, i32, I32(200))
	s.fn("peer-write", i64, nil, Get(0), GlobalSet(1), Get(0), Code{0xa7}, GlobalSet(0), I32(2), Code{0xd2, 0, 0x26, 0},
		I32(70000), Get(0), Code{0xa7}, Store(0), Code{0xfc, 0x09, 1})
	s.fn("peer-i64", nil, i64, GlobalGet(1))
	s.fn("peer-data", nil, nil, I32(0), I32(1), I32(0), Code{0xfc, 0x08, 1, 0})
	return s
}

// valTypes are component types for the values of core functions.
func valTypes(ts []wasm.ValType) (out []*abi.Type) {
	for _, t := range ts {
		out = append(out, map[wasm.ValType]*abi.Type{wasm.I32: abi.U32, wasm.I64: abi.U64}[t])
	}
	return out
}

// liftAll exports the functions of a core instance, which have numbers for parameters and
// results. It returns their names.
func (b *Builder) liftAll(core uint32, m *CoreModule) (names []string) {
	imported := uint32(0)
	for _, im := range m.Imports {
		if im.Kind == wasm.KindFunc {
			imported++
		}
	}
	for _, x := range m.Exports {
		if x.Kind != wasm.KindFunc {
			continue
		}
		t := m.Types[m.Functions[x.Index-imported].Type]
		var params []abi.Field
		for n, p := range valTypes(t.Params) {
			params = append(params, abi.F(string(rune('a'+n)), p))
		}
		var result *abi.Type
		if len(t.Results) > 0 {
			result = valTypes(t.Results)[0]
		}
		b.Export(x.Name, binary.SortFunc, b.Lift(b.CoreAlias(binary.SortCoreFunc, core, x.Name), abi.Function(params, result)))
		names = append(names, x.Name)
	}
	return names
}

// Hoarder changes all state that a component can have, and looks at it. It consists of
// two core modules that share a memory, a table and a global, of Nodes, and of a third
// module that has handles of nodes and of Things. Where starts is true a start function
// changes some of the state first. It exports
//
//	write-memory: func(byte: u32)        // all of it
//	grow: func(pages: u32) -> u32
//	write-globals: func(v: u64)          // of every type
//	write-tables: func()                 // by each instruction that does
//	drop-segments: func()                // which can't be undone
//	peer-write: func(v: u64)             // by the module that imports all that
//	sum, pages, i32, i64, f32, f64, v128-low, v128-high, funcref, peer-i64: func() -> u32 or u64
//	table-size, other-size: func() -> u32
//	table-at, other-at: func(n: u32) -> u32 // what the function there returns, or 0
//	elements, data, peer-data: func()    // traps if segments were dropped
//	keep-nodes, keep-things: func(n: u32) -> u32 // makes some, returns the last handle
//	get-node, drop-thing: func(handle: u32) -> u32
//	dropped: func() -> u32               // the sum of the nodes that were dropped
//	set-context: func(v: u32) -> u32     // returns what was there before
//	push-back: func()                    // asks for calls to be held back
//	waits: async func(n: u32) -> u32     // is held back then; returns n
func Hoarder(starts bool) []byte {
	thing := abi.GuestResource("thing")
	things := Things(thing)

	in := NewBuilder()
	nodes := in.ImportInstance(abi.Interface{Name: "test:n/nodes", Resources: []*abi.Resource{Node}, Funcs: nodeFuncs})
	host := in.ImportInstance(things)
	instantiate := func(s *state, args ...binary.CoreArg) uint32 {
		return in.Def(&binary.CoreInstance{Module: in.Def(&binary.CoreModule{Bytes: s.Encode()}), Args: args})
	}
	o, p := owner(starts), peer()
	first := instantiate(o)
	second := instantiate(p, binary.CoreArg{Name: "owner", Instance: first})
	names := append(in.liftAll(first, &o.CoreModule), in.liftAll(second, &p.CoreModule)...)

	node := func(n int) CoreFunc {
		return in.Lower(in.Alias(binary.SortFunc, nodes, nodeFuncs[n].Name), nodeFuncs[n].Type)
	}
	number32 := binary.ValType{Prim: binary.U32}
	imports := []CoreFunc{
		node(0), node(1), node(3), // make, get, dropped
		in.Lower(in.Alias(binary.SortFunc, host, "make"), things.Funcs[0].Type),
		in.ResourceDrop(thing),
		in.Builtin(&binary.Canon{Op: binary.CanonContextGet, ValType: wasm.I32}, nil, i32),
		in.Builtin(&binary.Canon{Op: binary.CanonContextSet, ValType: wasm.I32}, i32, nil),
		in.Builtin(&binary.Canon{Op: binary.CanonBackpressureInc}, nil, nil),
		in.Builtin(&binary.Canon{Op: binary.CanonTaskReturn, Result: &number32}, i32, nil),
	}
	const makeNode, getNode, dropped, makeThing, dropThing, contextGet, contextSet, pushBack, taskReturn = 0, 1, 2, 3, 4, 5, 6, 7, 8
	keep := func(make Code) Code {
		return Seq(Loop(Seq(make, Set(1), Get(0), I32(1), I32Sub, Set(0), Get(0))), Get(1))
	}
	libc := in.Libc(nil, 1)
	funcs := []Func{
		{Name: "keep-nodes", Params: i32, Results: i32, Locals: 1, Body: keep(Seq(I32(7), Call(makeNode)))},
		{Name: "keep-things", Params: i32, Results: i32, Locals: 1, Body: keep(Call(makeThing))},
		{Name: "get-node", Params: i32, Results: i32, Body: Seq(Get(0), Call(getNode))},
		{Name: "drop-thing", Params: i32, Results: i32, Body: Seq(Get(0), Call(dropThing), I32(0))},
		{Name: "dropped", Results: i32, Body: Call(dropped)},
		{Name: "set-context", Params: i32, Results: i32, Body: Seq(Call(contextGet), Get(0), Call(contextSet))},
		{Name: "push-back", Body: Call(pushBack)},
		{Name: "waits", Params: i32, Body: Seq(Get(0), Call(taskReturn))},
	}
	core := in.Core(libc, funcs, imports...)
	for _, f := range funcs {
		ft := abi.Function(nil, nil)
		if len(f.Params) > 0 {
			ft = abi.Function(number, nil)
		}
		if len(f.Results) > 0 {
			ft = abi.Function(ft.Params, abi.U32)
		}
		var opts []binary.CanonOpt
		if f.Name == "waits" {
			ft, opts = canon.Func(true, number, abi.U32), []binary.CanonOpt{{Kind: binary.OptAsync}}
		}
		in.Export(f.Name, binary.SortFunc, in.Lift(in.CoreAlias(binary.SortCoreFunc, core, f.Name), ft, opts...))
		names = append(names, f.Name)
	}

	b := NewBuilder()
	host = b.ImportInstance(things)
	arg := func(name string, instance uint32) binary.Arg {
		return binary.Arg{Name: name, SortIdx: binary.SortIdx{Sort: binary.SortInstance, Index: instance}}
	}
	user := b.Nest(in, arg("test:n/nodes", b.Nest(Nodes())), arg(things.Name, host))
	for _, name := range names {
		b.Export(name, binary.SortFunc, b.Alias(binary.SortFunc, user, name))
	}
	return b.Bytes()
}
