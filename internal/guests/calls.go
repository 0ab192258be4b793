package guests

import (
	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/canon"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

var (
	number = []abi.Field{abi.F("n", abi.U32)}
	// Step is the type of the function that Caller imports.
	Step = abi.Function(number, abi.U32)
)

// Caller imports step: func(n: u32) -> u32. It exports
//
//	go: func(n: u32) -> u32          // calls step
//	many: func(n: u32) -> u32        // calls step n times, on what it returned before
//	post-return: func()              // calls step in its post-return function
//	allocate: func(s: string)        // calls step where memory for s is allocated
func Caller() *Builder {
	b := NewBuilder()
	step := b.Lower(b.ImportFunc("step", Step), Step)
	libc := b.Libc(nil, 1)
	core := b.Core(libc, []Func{
		{Name: "go", Params: i32, Results: i32, Body: Seq(Get(0), Call(0))},
		{Name: "many", Params: i32, Results: i32, Locals: 1, Body: Seq(
			Loop(Seq(Get(1), Call(0), Set(1), Get(0), I32(1), I32Sub, Set(0), Get(0))), Get(1))},
		{Name: "nothing"},
		{Name: "allocate", Params: twoI32},
		{Name: "post-return", Body: Seq(I32(1), Call(0), Drop)},
		{Name: "realloc", Params: []wasm.ValType{wasm.I32, wasm.I32, wasm.I32, wasm.I32}, Results: i32, Body: Seq(I32(1), Call(0))},
	}, step)
	alias := func(name string) uint32 { return b.CoreAlias(binary.SortCoreFunc, core, name) }
	b.Export("go", binary.SortFunc, b.Lift(alias("go"), Step))
	b.Export("many", binary.SortFunc, b.Lift(alias("many"), Step))
	b.Export("post-return", binary.SortFunc, b.Lift(alias("nothing"), abi.Function(nil, nil),
		binary.CanonOpt{Kind: binary.OptPostReturn, Index: alias("post-return")}))
	b.Export("allocate", binary.SortFunc, b.Lift(alias("allocate"), abi.Function([]abi.Field{abi.F("s", abi.String)}, nil),
		binary.CanonOpt{Kind: binary.OptMemory, Index: libc.Memory}, binary.CanonOpt{Kind: binary.OptRealloc, Index: alias("realloc")}))
	return b
}

// Async exports functions of type async func(n: u32) -> u32, lifted as async:
//
//	returns      // n + 1, by task.return
//	callback     // the same, with a callback, which exits at once
//	yields       // the same, from the callback, after it was called n times
//	never        // does not return a value
//	twice        // returns two
//	waits        // asks to be called when something happens
//	waitable-set // makes a waitable set
func Async() []byte {
	b := NewBuilder()
	ft := canon.Func(true, number, abi.U32)
	result := binary.ValType{Prim: binary.U32}
	ret := b.Builtin(&binary.Canon{Op: binary.CanonTaskReturn, Result: &result}, i32, nil)
	set := b.Builtin(&binary.Canon{Op: binary.CanonWaitableSetNew}, nil, i32)
	libc := b.Libc(nil, 1)
	three := []wasm.ValType{wasm.I32, wasm.I32, wasm.I32}
	success := Seq(Get(0), I32(1), I32Add, Call(0))
	core := b.Core(libc, []Func{
		{Name: "returns", Params: i32, Body: success},
		{Name: "callback", Params: i32, Results: i32, Body: Seq(success, I32(0))},
		{Name: "yields", Params: i32, Results: i32, Body: Seq(I32(64), Get(0), Store(0), I32(68), Get(0), Store(0), I32(1))},
		{Name: "never", Params: i32},
		{Name: "twice", Params: i32, Body: Seq(success, success)},
		{Name: "waits", Params: i32, Results: i32, Body: I32(2 | 1<<4)},
		{Name: "waitable-set", Params: i32, Body: Seq(Call(1), Drop)},
		{Name: "resume", Params: three, Results: i32, Body: Seq(
			I32(64), I32(64), Load(0), I32(1), I32Sub, Store(0),
			I32(64), Load(0), If(Seq(I32(1), Return)),
			I32(68), Load(0), I32(1), I32Add, Call(0), I32(0))},
	}, ret, set)
	async := binary.CanonOpt{Kind: binary.OptAsync}
	resume := binary.CanonOpt{Kind: binary.OptCallback, Index: b.CoreAlias(binary.SortCoreFunc, core, "resume")}
	for _, name := range []string{"returns", "callback", "yields", "never", "twice", "waits", "waitable-set"} {
		opts := []binary.CanonOpt{async}
		switch name {
		case "callback", "yields", "waits":
			opts = append(opts, resume)
		}
		b.Export(name, binary.SortFunc, b.Lift(b.CoreAlias(binary.SortCoreFunc, core, name), ft, opts...))
	}
	return b.Bytes()
}

// ImportsModule imports a core module "m", which exports answer: [] -> [i32]
// and imports nothing, and exports answer: func() -> u32.
func ImportsModule() []byte {
	b := NewBuilder()
	t := b.Def(&binary.CoreType{Module: &binary.ModuleType{Decls: []binary.ModuleDecl{
		{Type: &binary.CoreType{Func: &wasm.FuncType{Results: i32}}},
		{Export: &binary.CoreExportDecl{Name: "answer", Extern: wasm.Extern{Kind: wasm.KindFunc}}},
	}}})
	m := b.Def(&binary.Import{Name: binary.ExternName{Name: "m"}, Type: binary.ExternType{Kind: binary.ExternModule, Index: t}})
	core := b.Def(&binary.CoreInstance{Module: m})
	b.Export("answer", binary.SortFunc, b.Lift(b.CoreAlias(binary.SortCoreFunc, core, "answer"), abi.Function(nil, abi.U32)))
	return b.Bytes()
}
