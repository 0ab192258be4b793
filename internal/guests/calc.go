package guests

import (
	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

var (
	i32       = []wasm.ValType{wasm.I32}
	twoI32    = []wasm.ValType{wasm.I32, wasm.I32}
	u32Params = []abi.Field{abi.F("a", abi.U32), abi.F("b", abi.U32)}
	point     = abi.Record(abi.F("x", abi.S32), abi.F("y", abi.S32))
)

// Calc imports nothing. It exports
//
//	add: func(a: u32, b: u32) -> u32
//	div: func(a: u32, b: u32) -> u32    // traps for b = 0
//	echo: func(s: string) -> string
//	spin: func()                        // never returns
//	grow: func(pages: u32) -> s32       // memory.grow
//	count: func() -> u32                // how often it was called
//	docs:calc/points@0.1.0#swap: func(p: record { x: s32, y: s32 }) -> that record
func Calc() []byte {
	g := &Guest{
		Funcs: []Func{
			{Name: "add", Params: twoI32, Results: i32, Body: Seq(Get(0), Get(1), I32Add)},
			{Name: "div", Params: twoI32, Results: i32, Body: Seq(Get(0), Get(1), Call(2))},
			{Name: "divide", Params: twoI32, Results: i32, Body: Seq(Get(0), Get(1), I32DivU)},
			// The result is the argument, which is the caller's to free.
			{Name: "echo", Params: twoI32, Results: i32, Body: Seq(I32(64), Get(0), Store(0), I32(64), Get(1), Store(4), I32(64))},
			{Name: "spin", Body: Loop(I32(1))},
			{Name: "grow", Params: i32, Results: i32, Body: Seq(Get(0), MemoryGrow)},
			{Name: "count", Results: i32, Body: Seq(I32(80), I32(80), Load(0), I32(1), I32Add, Store(0), I32(80), Load(0))},
			{Name: "swap", Params: twoI32, Results: i32, Body: Seq(I32(72), Get(1), Store(0), I32(72), Get(0), Store(4), I32(72))},
		},
		Exports: []Export{
			{Name: "add", Type: abi.Function(u32Params, abi.U32), Core: "add"},
			{Name: "div", Type: abi.Function(u32Params, abi.U32), Core: "div"},
			{Name: "echo", Type: abi.Function([]abi.Field{abi.F("s", abi.String)}, abi.String), Core: "echo"},
			{Name: "spin", Type: abi.Function(nil, nil), Core: "spin"},
			{Name: "grow", Type: abi.Function([]abi.Field{abi.F("pages", abi.U32)}, abi.S32), Core: "grow"},
			{Name: "count", Type: abi.Function(nil, abi.U32), Core: "count"},
			{Interface: "docs:calc/points@0.1.0", Name: "swap", Type: abi.Function([]abi.Field{abi.F("p", point)}, point), Core: "swap"},
		},
	}
	return g.Component()
}
