package guests

import (
	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/internal/binary"
)

// Echo is a component of two, one of which imports a function of the other.
// It exports
//
//	echo: func(s: string) -> string  // passed on to the inner one and back
//	freed: func() -> u32             // how often the inner one's post-return ran
//
// The outer of the two has strings in one encoding, the inner in another.
func Echo(outer, inner binary.CanonOptKind) []byte {
	echo := abi.Function([]abi.Field{abi.F("s", abi.String)}, abi.String)
	count := abi.Function(nil, abi.U32)

	in := NewBuilder()
	libc := in.Libc(nil, 1)
	core := in.Core(libc, []Func{
		{Name: "echo", Params: twoI32, Results: i32, Body: Seq(I32(64), Get(0), Store(0), I32(64), Get(1), Store(4), I32(64))},
		// It is given what echo returned.
		{Name: "free", Params: i32, Body: Seq(Get(0), I32(64), I32Sub, If(Unreachable), I32(80), I32(80), Load(0), I32(1), I32Add, Store(0))},
		{Name: "freed", Results: i32, Body: Seq(I32(80), Load(0))},
	})
	opts := append(libc.Options(), binary.CanonOpt{Kind: inner},
		binary.CanonOpt{Kind: binary.OptPostReturn, Index: in.CoreAlias(binary.SortCoreFunc, core, "free")})
	in.Export("echo", binary.SortFunc, in.Lift(in.CoreAlias(binary.SortCoreFunc, core, "echo"), echo, opts...))
	in.Export("freed", binary.SortFunc, in.Lift(in.CoreAlias(binary.SortCoreFunc, core, "freed"), count))

	out := NewBuilder()
	imported := out.ImportFunc("echo", echo)
	libc = out.Libc(nil, 1)
	opts = append(libc.Options(), binary.CanonOpt{Kind: outer})
	core = out.Core(libc, []Func{
		{Name: "echo", Params: twoI32, Results: i32, Body: Seq(Get(0), Get(1), I32(64), Call(0), I32(64))},
	}, out.Lower(imported, echo, opts...))
	out.Export("echo", binary.SortFunc, out.Lift(out.CoreAlias(binary.SortCoreFunc, core, "echo"), echo, opts...))

	both := NewBuilder()
	a := both.Nest(in)
	arg := binary.Arg{Name: "echo", SortIdx: binary.SortIdx{Sort: binary.SortFunc, Index: both.Alias(binary.SortFunc, a, "echo")}}
	b := both.Nest(out, arg)
	both.Export("echo", binary.SortFunc, both.Alias(binary.SortFunc, b, "echo"))
	both.Export("freed", binary.SortFunc, both.Alias(binary.SortFunc, a, "freed"))
	return both.Bytes()
}

// Node is the resource of Nodes and NodeUser.
var Node = abi.GuestResource("node")

// nodeFuncs are the functions on it, by name.
var nodeFuncs = []abi.Func{
	{Name: "make", Type: abi.Function([]abi.Field{abi.F("n", abi.U32)}, abi.Own(Node))},
	{Name: "get", Type: abi.Function([]abi.Field{abi.F("n", abi.Borrow(Node))}, abi.U32)},
	{Name: "take", Type: abi.Function([]abi.Field{abi.F("n", abi.Own(Node))}, abi.U32)},
	{Name: "dropped", Type: abi.Function(nil, abi.U32)},
}

// NodeFunc returns the type of one of the functions of Nodes.
func NodeFunc(name string) *abi.FuncType {
	for _, f := range nodeFuncs {
		if f.Name == name {
			return f.Type
		}
	}
	return nil
}

// Nodes implements a resource. It exports
//
//	node: resource                       // of a number
//	make: func(n: u32) -> own<node>
//	get: func(n: borrow<node>) -> u32    // the number; traps where that is 13
//	take: func(n: own<node>) -> u32      // the number; the node is dropped
//	dropped: func() -> u32               // the sum of all that were dropped
//
// and its destructor traps for the number 666.
func Nodes() *Builder {
	b := NewBuilder()
	libc := b.Libc(nil, 1)
	dtor := b.CoreAlias(binary.SortCoreFunc, b.Core(libc, []Func{
		{Name: "dtor", Params: i32, Body: Seq(
			Get(0), I32(666), I32Sub, I32Eqz, If(Unreachable),
			I32(80), I32(80), Load(0), Get(0), I32Add, Store(0))},
	}), "dtor")
	b.Resource(Node, &dtor)
	core := b.Core(libc, []Func{
		{Name: "make", Params: i32, Results: i32, Body: Seq(Get(0), Call(0))},
		// A borrow of an own resource comes as its representation.
		{Name: "get", Params: i32, Results: i32, Body: Seq(Get(0), I32(13), I32Sub, I32Eqz, If(Unreachable), Get(0))},
		{Name: "take", Params: i32, Results: i32, Body: Seq(Get(0), Call(1), Get(0), Call(2))},
		{Name: "dropped", Results: i32, Body: Seq(I32(80), Load(0))},
	}, b.ResourceNew(Node), b.ResourceRep(Node), b.ResourceDrop(Node))
	b.ExportResource(Node)
	for _, f := range nodeFuncs {
		b.Export(f.Name, binary.SortFunc, b.Lift(b.CoreAlias(binary.SortCoreFunc, core, f.Name), f.Type))
	}
	return b
}

// NodeUser imports what Nodes exports, as the instance "test:n/nodes". It exports
//
//	use: func(n: u32) -> u32      // makes a node, gets its number, drops it
//	give: func(n: u32) -> u32     // makes a node and has it taken
//	twice: func(n: u32)           // drops a node twice
//	leak: func(n: u32)            // makes n nodes and drops none
//	spend: func(n: u32) -> u32    // gets the number of a node that was taken
//	dropped: func() -> u32        // of Nodes
func NodeUser() *Builder {
	b := NewBuilder()
	inst := b.ImportInstance(abi.Interface{Name: "test:n/nodes", Resources: []*abi.Resource{Node}, Funcs: nodeFuncs})
	var imports []CoreFunc
	for _, f := range nodeFuncs {
		imports = append(imports, b.Lower(b.Alias(binary.SortFunc, inst, f.Name), f.Type))
	}
	imports = append(imports, b.ResourceDrop(Node))
	const make, get, take, dropped, drop = 0, 1, 2, 3, 4
	libc := b.Libc(nil, 1)
	core := b.Core(libc, []Func{
		{Name: "use", Params: i32, Results: i32, Locals: 1, Body: Seq(Get(0), Call(make), Set(1), Get(1), Call(get), Get(1), Call(drop))},
		{Name: "give", Params: i32, Results: i32, Body: Seq(Get(0), Call(make), Call(take))},
		{Name: "twice", Params: i32, Locals: 1, Body: Seq(Get(0), Call(make), Set(1), Get(1), Call(drop), Get(1), Call(drop))},
		{Name: "leak", Params: i32, Body: Loop(Seq(Get(0), Call(make), Drop, Get(0), I32(1), I32Sub, Set(0), Get(0)))},
		{Name: "spend", Params: i32, Results: i32, Locals: 1, Body: Seq(Get(0), Call(make), Set(1), Get(1), Call(take), Drop, Get(1), Call(get))},
		{Name: "dropped", Results: i32, Body: Call(dropped)},
	}, imports...)
	n := []abi.Field{abi.F("n", abi.U32)}
	for name, ft := range map[string]*abi.FuncType{
		"use": abi.Function(n, abi.U32), "give": abi.Function(n, abi.U32), "twice": abi.Function(n, nil),
		"leak": abi.Function(n, nil), "spend": abi.Function(n, abi.U32), "dropped": abi.Function(nil, abi.U32),
	} {
		b.Export(name, binary.SortFunc, b.Lift(b.CoreAlias(binary.SortCoreFunc, core, name), ft))
	}
	return b
}

// Family is Nodes and NodeUser in one component, with the exports of NodeUser.
func Family() []byte {
	b := NewBuilder()
	nodes := b.Nest(Nodes())
	user := b.Nest(NodeUser(), binary.Arg{Name: "test:n/nodes", SortIdx: binary.SortIdx{Sort: binary.SortInstance, Index: nodes}})
	for _, name := range []string{"use", "give", "twice", "leak", "spend", "dropped"} {
		b.Export(name, binary.SortFunc, b.Alias(binary.SortFunc, user, name))
	}
	return b.Bytes()
}
