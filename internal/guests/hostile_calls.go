package guests

import (
	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/limit"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// hostileCalls call themselves, and what of it unwinds.
func hostileCalls() []Hostile {
	indirect := Seq(I32(0), Code{0x11, 0x00, 0x00})     // type 0: [] -> [i32]
	tailIndirect := Seq(I32(0), Code{0x13, 0x00, 0x00}) // return_call_indirect
	ref := func(op byte) Code { return Seq(Code{0xd2, 0x00}, Code{op, 0x00}) }
	declared := func(m *CoreModule) []byte {
		m.Elements = append(m.Elements, wasm.Element{Mode: wasm.Declarative, Type: wasm.FuncRef, Funcs: []uint32{0}})
		return m.command()
	}
	run := func(body Code) *CoreModule { return hostileModule(0, Func{Body: body}) }
	throwing := func(body Code) []byte {
		m := &CoreModule{}
		m.Types = []wasm.FuncType{{}}
		m.Tags = []wasm.Tag{{}}
		m.Define(&Func{Name: "run", Results: i32, Body: body})
		return m.command()
	}
	// block; try_table (catch_all 0); body; end; br 1; end
	catching := func(body Code) Code {
		return Seq(Code{0x02, 0x40, 0x1f, 0x40, 0x01, 0x02, 0x00}, body, Code{0x0b, 0x0b})
	}
	return []Hostile{
		{Name: "recurse", Does: "calls itself", Limit: limit.Stack, Bytes: run(Seq(Call(0))).command()},
		{Name: "recurse-mutual", Does: "is three functions that call each other", Limit: limit.Stack,
			Bytes: hostileModule(0, Func{Body: Call(1)}, Func{Results: i32, Body: Call(2)}, Func{Results: i32, Body: Call(0)}).command()},
		{Name: "recurse-indirect", Does: "calls itself through a table", Limit: limit.Stack, Bytes: run(indirect).table(1, 0).command()},
		{Name: "recurse-ref", Does: "calls itself by a reference", Limit: limit.Stack, Bytes: declared(run(ref(0x14)))},
		{Name: "recurse-modules", Does: "is two core modules that call each other, one by an import, one through a table", Limit: limit.Stack, Bytes: twoModules()},
		{Name: "recurse-frames", Does: "calls itself with 600 variables that are needed afterwards", Limit: limit.Stack, Bytes: frames()},
		{Name: "recurse-unwind", Does: "calls itself 5,000 deep and works in each frame on the way back, over and over", Bytes: unwinding()},
		{Name: "recurse-tree", Does: "calls itself twice, 60 deep", Bytes: hostileModule(0,
			Func{Body: Seq(I32(60), Call(1), I32(0))},
			Func{Params: i32, Body: If2(Get(0), Seq(repeat(2, Seq(Get(0), I32(1), I32Sub, Call(1)))))}).command()},
		{Name: "tail-call", Does: "calls itself by return_call", Bytes: run(Code{0x12, 0x00}).command()},
		{Name: "tail-call-mutual", Does: "is two functions that return_call each other", Bytes: hostileModule(0,
			Func{Body: Code{0x12, 0x01}}, Func{Results: i32, Body: Code{0x12, 0x00}}).command()},
		{Name: "tail-call-indirect", Does: "calls itself by return_call_indirect", Bytes: run(tailIndirect).table(1, 0).command()},
		{Name: "tail-call-ref", Does: "calls itself by return_call_ref", Bytes: declared(run(ref(0x15)))},
		{Name: "throw", Does: "throws an exception that nobody catches", Error: "uncaught exception", Bytes: throwing(Seq(Code{0x08, 0x00}))},
		{Name: "throw-loop", Does: "throws and catches in a loop, in 50 handlers", Stage: AtCompile, Error: "handlers of exceptions",
			Bytes: throwing(Forever(nestedCode(50, Code{0x08, 0x00}, catching)))},
		{Name: "catch-all", Does: "goes round a loop where it would catch what ends it", Stage: AtCompile, Error: "handlers of exceptions",
			Bytes: throwing(Forever(catching(Seq(Forever(nil), Drop))))},
	}
}

// If2 runs then where condition is not 0.
func If2(condition, then Code) Code { return Seq(condition, If(then)) }

func nestedCode(n int, c Code, around func(Code) Code) Code {
	for range n {
		c = around(c)
	}
	return c
}

// frames sets its locals, calls itself and adds them up.
func frames() []byte {
	set, sum := Code{}, I32(0)
	for n := range uint32(manyLocals) {
		set = Seq(set, Get(0), I32(int32(n)), i32Mul, Set(n+1))
		sum = Seq(sum, Get(n+1), I32Add)
	}
	return hostileModule(0, Func{Body: Seq(I32(1), Call(1))},
		Func{Params: i32, Results: i32, Locals: manyLocals, Body: Seq(set, Get(0), Call(1), Get(0), I32Add, Set(0), sum)}).command()
}

// unwinding has work behind its recursive call that is just not charged for by
// itself.
func unwinding() []byte {
	return hostileModule(1, Func{Locals: 1, Body: Forever(Seq(I32(5000), Call(1)))},
		Func{Params: i32, Body: Seq(If2(Get(0), Seq(Get(0), I32(1), I32Sub, Call(1))), repeat(30, Seq(I32(0), Get(0), Store(0))))}).command()
}

// twoModules is a module with a table and a function that calls the first element of
// it, and one that has put its own function there, which calls the other's.
func twoModules() []byte {
	b := NewBuilder()
	a := &CoreModule{}
	a.Define(&Func{Name: "call", Results: i32, Body: Seq(I32(0), Code{0x11, 0x00, 0x00})})
	a.table(1)
	a.Exports = append(a.Exports, tableExport)
	first := b.instance(a)
	c := &CoreModule{}
	c.ImportFunc("table", "call", nil, i32)
	c.Imports = append(c.Imports, tableImport)
	c.Define(&Func{Name: "run", Results: i32, Body: Call(0)})
	c.Elements = tableElement(1)
	b.command(b.instance(c, binary.CoreArg{Name: "table", Instance: first}))
	return b.Bytes()
}
