package guests

import (
	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/limit"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// hostileShapes are small files that unfold to much.
func hostileShapes() []Hostile {
	return []Hostile{
		{Name: "compile-slow", Does: "has a function with 600 branches and 4,500 variables, whose product is what compiling takes",
			Stage: AtCompile, Error: "too complex to compile", Bytes: slowToCompile()},
		{Name: "compile-locals", Does: "has a function with 50,000 variables", Stage: AtCompile, Error: "too complex to compile",
			Bytes: hostileModule(0, Func{Locals: 50_000, Body: I32(0)}).command()},
		{Name: "instances-double", Does: "nests components 25 deep, each of which instantiates the next twice", Stage: AtCompile, Limit: limit.Instances, Bytes: doubling(25, true)},
		{Name: "components-double", Does: "does the same without a core module", Stage: AtCompile, Error: "unfolds to too many", Bytes: doubling(25, false)},
		{Name: "globals-many", Does: "has 500 core instances, each with 1,000 globals and references to 1,000 functions", Stage: AtCompile,
			Error: "bytes or more of the host", Bytes: manyGlobals()},
		{Name: "memories-many", Does: "has 900 core instances with a memory each, then goes round a loop", Bytes: manyMemories()},
	}
}

// many instantiates a core module n times.
func (b *Builder) many(m *CoreModule, n int) {
	module := b.Def(&binary.CoreModule{Bytes: m.Encode()})
	for range n {
		b.Def(&binary.CoreInstance{Module: module})
	}
}

func slowToCompile() []byte {
	body := Code{}
	for n := range uint32(600) {
		body = Seq(body, Get(n), If(Seq(Get(n+600), Set(n+1200))))
	}
	return hostileModule(0, Func{Locals: 4500, Body: Seq(body, I32(0))}).command()
}

// doubling is a component that has a core instance if core is set, in others that
// each instantiate the one before twice.
func doubling(depth int, core bool) []byte {
	c := NewBuilder()
	if core {
		c.instance(&CoreModule{})
	}
	for range depth {
		outer := NewBuilder()
		inner := outer.Def(c.c)
		outer.Def(&binary.Instance{Component: inner})
		outer.Def(&binary.Instance{Component: inner})
		c = outer
	}
	c.command(c.instance(hostileModule(0, Func{Body: I32(0)})))
	return c.Bytes()
}

func manyGlobals() []byte {
	b := NewBuilder()
	m := &CoreModule{}
	m.Define(&Func{})
	for range 1000 {
		m.Globals = append(m.Globals, wasm.Global{GlobalType: wasm.GlobalType{Val: wasm.I32}, Init: Constant(0)})
	}
	m.Elements = []wasm.Element{{Mode: wasm.Passive, Type: wasm.FuncRef, Funcs: make([]uint32, 1000)}}
	b.many(m, 500)
	b.command(b.instance(hostileModule(0, Func{Body: I32(0)})))
	return b.Bytes()
}

func manyMemories() []byte {
	b := NewBuilder()
	m := &CoreModule{}
	m.Memories = []wasm.Memory{{MemoryType: wasm.MemoryType{PageSizeLog2: 16, Limits: wasm.Limits{Min: 1}}}}
	b.many(m, 900)
	b.command(b.instance(hostileModule(0, Func{Body: Forever(nil)})))
	return b.Bytes()
}

// A table of one element that two modules share.
var (
	tableExport = wasm.Export{Name: "table", Kind: wasm.KindTable}
	tableImport = wasm.Import{Module: "table", Name: "table",
		Extern: wasm.Extern{Kind: wasm.KindTable, Table: wasm.TableType{Elem: wasm.FuncRef, Limits: wasm.Limits{Min: 1}}}}
)

func tableElement(f uint32) []wasm.Element {
	return []wasm.Element{{At: Constant(0), Type: wasm.FuncRef, Funcs: []uint32{f}}}
}
