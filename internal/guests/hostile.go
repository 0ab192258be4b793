package guests

import (
	"slices"

	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/limit"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// Stage is a step on the way of a component from its bytes to its result.
type Stage string

// The stages at which a hostile guest may be stopped.
const (
	AtCompile     Stage = "compiled"
	AtInstantiate Stage = "instantiated"
	AtCall        Stage = "called"
)

// Hostile is a command, a component that exports wasi:cli/run, that would hurt its
// host if it were let.
type Hostile struct {
	Name  string // of its file in testdata/hostile, without ".wasm"
	Does  string // what it does
	Stage Stage  // at which it is stopped
	// Limit is what it reaches. limit.Time stands for one that would go on for ever:
	// a deadline, the limit of CPU time or cancelling ends it.
	Limit limit.Resource
	// Error is part of the text of its error where that is about no limit.
	Error string
	// Waits tells that it does not compute.
	Waits bool
	// Grows tells that it asks for more memory than there is and is refused, which
	// is counted too.
	Grows bool
	Bytes []byte
}

// Hostiles are all of them.
func Hostiles() []Hostile {
	all := slices.Concat(hostileLoops(), hostileCalls(), hostileStorage(), hostileValues(), hostileShapes())
	for i := range all {
		h := &all[i]
		if h.Stage == "" {
			h.Stage = AtCall
		}
		if h.Limit == "" && h.Error == "" {
			h.Limit = limit.Time
		}
	}
	return all
}

const (
	cliRun     = "wasi:cli/run@0.2.0"
	manyLocals = 600
)

// hostileModule is a core module of funcs, of which the first is run, and of a
// memory of so many pages if there are any.
func hostileModule(pages uint64, funcs ...Func) *CoreModule {
	m := &CoreModule{}
	if pages > 0 {
		m.Memories = []wasm.Memory{{MemoryType: wasm.MemoryType{PageSizeLog2: 16, Limits: wasm.Limits{Min: pages}}}}
	}
	for i := range funcs {
		if i == 0 {
			funcs[i].Name, funcs[i].Results = "run", i32
		}
		m.Define(&funcs[i])
	}
	return m
}

// command makes m a component by itself.
func (m *CoreModule) command() []byte {
	b := NewBuilder()
	b.command(b.instance(m))
	return b.Bytes()
}

// table adds a table of functions with those of the given indices in it.
func (m *CoreModule) table(size uint64, funcs ...uint32) *CoreModule {
	m.Tables = append(m.Tables, wasm.Table{TableType: wasm.TableType{Elem: wasm.FuncRef, Limits: wasm.Limits{Min: size}}})
	if len(funcs) > 0 {
		m.Elements = append(m.Elements, wasm.Element{At: Constant(0), Type: wasm.FuncRef, Funcs: funcs})
	}
	return m
}

// instance instantiates a core module.
func (b *Builder) instance(m *CoreModule, args ...binary.CoreArg) uint32 {
	return b.Def(&binary.CoreInstance{Module: b.Def(&binary.CoreModule{Bytes: m.Encode()}), Args: args})
}

// command exports the function run of a core instance.
func (b *Builder) command(core uint32, opts ...binary.CanonOpt) {
	run := b.Lift(b.CoreAlias(binary.SortCoreFunc, core, "run"), runResult, opts...)
	b.Export(cliRun, binary.SortInstance, b.Bundle(inline("run", binary.SortFunc, run)))
}

// Forever runs body again and again. It leaves 0, which nothing ever sees.
func Forever(body Code) Code { return Seq(Code{0x03, 0x40}, body, Code{0x0c, 0x00, 0x0b}, I32(0)) }

// again runs body as often as it takes local n to be counted down to zero.
func again(n uint32, body Code) Code { return Loop(Seq(body, Get(n), I32(1), I32Sub, tee(n))) }

func tee(i uint32) Code { return append(Code{0x22}, uleb(i)...) }

func repeat(n int, c Code) Code { return slices.Repeat(c, n) }

// grow grows memory 0 by pages at a time until it is refused.
func grow(pages int32) Code { return Loop(Seq(I32(pages), MemoryGrow, I32(-1), i32Ne)) }

// memoryBytes is the size of memory 0.
var memoryBytes = Seq(MemorySize, I32(16), i32Shl)

var (
	i32Ne, i32And, i32Shl           = Code{0x47}, Code{0x71}, Code{0x74}
	i32Mul, i64DivU, i64Or, i64RemU = Code{0x6c}, Code{0x80}, Code{0x84}, Code{0x82}
	f64Sqrt                         = Code{0x9f}
)
