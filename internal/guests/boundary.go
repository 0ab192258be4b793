package guests

import (
	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/canon"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// Thing is the resource of Boundary and Kinds.
var Thing = abi.GuestResource("thing")

var (
	spot  = abi.Tuple(abi.Bool, abi.S32, abi.F64)
	words = abi.List(abi.U32)
	bytes = abi.List(abi.U8)

	// kinds is the interface that Boundary imports.
	kinds = abi.Interface{Name: "bench:boundary/kinds@0.1.0", Resources: []*abi.Resource{Thing}, Funcs: []abi.Func{
		{Name: "number", Type: Step},
		{Name: "swap", Type: abi.Function([]abi.Field{abi.F("p", spot)}, spot)},
		{Name: "make", Type: abi.Function(nil, abi.Own(Thing))},
		{Name: "[method]thing.get", Type: abi.Function([]abi.Field{abi.F("self", abi.Borrow(Thing))}, abi.U32)},
		{Name: "write-text", Type: abi.Function([]abi.Field{abi.F("s", abi.String)}, nil)},
		{Name: "write-bytes", Type: writeBytes},
		{Name: "write-words", Type: abi.Function([]abi.Field{abi.F("w", words)}, nil)},
		{Name: "read-text", Type: abi.Function(number, abi.String)},
		{Name: "read-bytes", Type: readBytes},
		{Name: "read-words", Type: abi.Function(number, words)},
	}}
	writeBytes = abi.Function([]abi.Field{abi.F("b", bytes)}, nil)
	readBytes  = abi.Function(number, bytes)
	runKind    = abi.Function([]abi.Field{abi.F("times", abi.U32), abi.F("len", abi.U32)}, nil)
)

// Where things lie in the memory of Boundary and Kinds, which is of 4 MiB: what
// they give, what they are given, and results that are passed in memory.
const (
	boundaryGiven = 1 << 20
	boundaryTaken = 2 << 20
	boundaryArea  = 1024
)

// boundaryLibc has a realloc that gives the same memory each time, so that a
// call leaves the guest as it was.
func boundaryLibc(b *Builder) Libc {
	l := b.Libc(nil, 64)
	four := []wasm.ValType{wasm.I32, wasm.I32, wasm.I32, wasm.I32}
	l.Realloc = b.CoreAlias(binary.SortCoreFunc, b.Core(l, []Func{{Name: "realloc", Params: four, Results: i32, Body: I32(boundaryTaken)}}), "realloc")
	return l
}

// kindsCore are the functions that take and give values without looking at them.
func kindsCore() []Func {
	give := Seq(I32(boundaryArea), I32(boundaryGiven), Store(0), I32(boundaryArea), Get(0), Store(4), I32(boundaryArea))
	return []Func{
		{Name: "number", Params: i32, Results: i32, Body: Seq(Get(0), I32(1), I32Add)},
		{Name: "swap", Params: []wasm.ValType{wasm.I32, wasm.I32, wasm.F64}, Results: i32, Body: Seq(
			I32(boundaryArea), Get(0), Store(0), I32(boundaryArea), Get(1), Store(4), I32(boundaryArea))},
		{Name: "make", Results: i32, Body: Seq(I32(7), Call(0))},
		{Name: "[method]thing.get", Params: i32, Results: i32, Body: Get(0)},
		{Name: "write-text", Params: twoI32},
		{Name: "write-bytes", Params: twoI32},
		{Name: "write-words", Params: twoI32},
		{Name: "read-text", Params: i32, Results: i32, Body: give},
		{Name: "read-bytes", Params: i32, Results: i32, Body: give},
		{Name: "read-words", Params: i32, Results: i32, Body: give},
	}
}

// Kinds exports the interface that Boundary imports.
func Kinds() *Builder {
	b := NewBuilder()
	libc := boundaryLibc(b)
	b.Resource(Thing, nil)
	core := b.Core(libc, kindsCore(), b.ResourceNew(Thing))
	b.ExportResource(Thing)
	for _, f := range kinds.Funcs {
		b.Export(f.Name, binary.SortFunc, b.Lift(b.CoreAlias(binary.SortCoreFunc, core, f.Name), f.Type, libc.Options()...))
	}
	return b
}

// Boundary calls functions that take and give values of each kind, and has some
// itself; component/internal/boundary has it in WIT. The values are zeros.
func Boundary() *Builder {
	b := NewBuilder()
	libc := boundaryLibc(b)
	inst := b.ImportInstance(kinds)
	var imports []CoreFunc
	index := map[string]uint32{}
	for _, f := range kinds.Funcs {
		index[f.Name] = uint32(len(imports))
		imports = append(imports, b.Lower(b.Alias(binary.SortFunc, inst, f.Name), f.Type, libc.Options()...))
	}
	drop := uint32(len(imports))
	imports = append(imports, b.ResourceDrop(Thing))

	times := func(body Code) Code { return Loop(Seq(body, Get(0), I32(1), I32Sub, Set(0), Get(0))) }
	write := func(name string) Code { return times(Seq(I32(boundaryGiven), Get(1), Call(index[name]))) }
	read := func(name string) Code { return times(Seq(Get(1), I32(boundaryArea), Call(index[name]))) }
	funcs := []Func{
		{Name: "run-number", Params: twoI32, Body: times(Seq(Get(1), Call(index["number"]), Drop))},
		{Name: "run-swap", Params: twoI32, Body: times(Seq(
			I32(1), Get(1), Code{0x44, 0, 0, 0, 0, 0, 0, 0, 0}, I32(boundaryArea), Call(index["swap"])))}, // f64.const 0
		{Name: "run-get", Params: twoI32, Locals: 1, Body: Seq(
			Call(index["make"]), Set(2), times(Seq(Get(2), Call(index["[method]thing.get"]), Drop)), Get(2), Call(drop))},
	}
	for _, name := range []string{"write-text", "write-bytes", "write-words"} {
		funcs = append(funcs, Func{Name: "run-" + name, Params: twoI32, Body: write(name)})
	}
	for _, name := range []string{"read-text", "read-bytes", "read-words"} {
		funcs = append(funcs, Func{Name: "run-" + name, Params: twoI32, Body: read(name)})
	}
	runs := len(funcs)
	for _, f := range kindsCore() {
		switch f.Name {
		case "number", "write-bytes", "read-bytes":
			funcs = append(funcs, f)
		}
	}
	core := b.Core(libc, funcs, imports...)
	for n, f := range funcs {
		ft := runKind
		if n >= runs {
			ft = map[string]*canon.FuncType{"number": Step, "write-bytes": writeBytes, "read-bytes": readBytes}[f.Name]
		}
		b.Export(f.Name, binary.SortFunc, b.Lift(b.CoreAlias(binary.SortCoreFunc, core, f.Name), ft, libc.Options()...))
	}
	return b
}

// BoundaryPair is Boundary with Kinds for what it imports.
func BoundaryPair() []byte {
	b := NewBuilder()
	inst := b.Nest(Kinds())
	user := b.Nest(Boundary(), binary.Arg{Name: kinds.Name, SortIdx: binary.SortIdx{Sort: binary.SortInstance, Index: inst}})
	for _, name := range []string{"number", "swap", "get", "write-text", "write-bytes", "write-words", "read-text", "read-bytes", "read-words"} {
		b.Export("run-"+name, binary.SortFunc, b.Alias(binary.SortFunc, user, "run-"+name))
	}
	return b.Bytes()
}
