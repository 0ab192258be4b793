package guests

import (
	"github.com/ashlar-wasm/ashlar/internal/limit"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// hostileStorage use memories, tables and references.
func hostileStorage() []Hostile {
	memory := func(body Code) []byte { return hostileModule(1, Func{Locals: 1, Body: body}).command() }
	fill := Seq(I32(0), I32(7), memoryBytes, Code{0xfc, 11, 0})
	move := Seq(I32(1), I32(0), memoryBytes, I32(1), I32Sub, Code{0xfc, 10, 0, 0})
	init := hostileModule(1, Func{Body: Seq(grow(16), Forever(Seq(I32(0), I32(0), I32(4096), Code{0xfc, 8, 0, 0})))})
	init.Data = []wasm.Data{{Mode: wasm.Passive, Init: make([]byte, 4096)}}
	init.DataCount = new(uint32)
	*init.DataCount = 1

	null := Code{0xd0, 0x70}
	size, growTable := Code{0xfc, 16, 0}, func(n int32) Code { return Seq(null, I32(n), Code{0xfc, 15, 0}) }
	growAll := Loop(Seq(growTable(1000), I32(-1), i32Ne))
	table := func(body Code) []byte { return hostileModule(0, Func{Body: body}).table(1, 0).command() }
	item := Seq(Code{0xd2, 0x00}) // ref.func 0
	largest := func(pages uint64) []byte { return hostileModule(pages, Func{Body: I32(0)}).command() }
	return []Hostile{
		{Name: "memory-grow", Does: "takes all the memory it gets and writes to every page, then traps", Error: "unreachable", Grows: true,
			Bytes: memory(Seq(grow(1), touch, Unreachable))},
		{Name: "memory-minimum", Does: "declares a memory of 4 GiB", Stage: AtInstantiate, Limit: limit.Memory, Bytes: largest(65536)},
		{Name: "memory-fill", Does: "fills all the memory it gets, over and over", Grows: true, Bytes: memory(Seq(grow(16), Forever(fill)))},
		{Name: "memory-copy", Does: "moves all the memory it gets by a byte, over and over", Grows: true, Bytes: memory(Seq(grow(16), Forever(move)))},
		{Name: "memory-init", Does: "copies a data segment of 4 KiB, over and over", Grows: true, Bytes: init.command()},
		{Name: "table-minimum", Does: "declares a table of 2^27 elements", Stage: AtCompile, Limit: limit.Tables,
			Bytes: hostileModule(0, Func{Body: I32(0)}).table(1 << 27).command()},
		{Name: "table-many", Does: "has 500 core instances, each with 100 tables of 10,000 elements", Stage: AtCompile, Limit: limit.Tables, Bytes: manyTables()},
		{Name: "table-grow", Does: "grows a table, also when it is refused", Bytes: table(Forever(Seq(growTable(1000), Drop)))},
		{Name: "table-grow-huge", Does: "grows a table by 2^31 elements, which is refused, over and over", Bytes: table(Forever(Seq(growTable(-1<<31), Drop)))},
		{Name: "table-fill", Does: "fills the largest table it gets, over and over", Bytes: table(Seq(growAll, Forever(Seq(I32(0), item, size, Code{0xfc, 17, 0}))))},
		{Name: "table-copy", Does: "moves the largest table it gets by an element, over and over",
			Bytes: table(Seq(growAll, Forever(Seq(I32(1), I32(0), size, I32(1), I32Sub, Code{0xfc, 14, 0, 0}))))},
		{Name: "ref-func", Does: "makes references to a function without end", Bytes: table(Forever(Seq(I32(0), item, Code{0x26, 0x00})))},
	}
}

// manyTables has many tables in each of many core instances.
func manyTables() []byte {
	m := &CoreModule{}
	for range 100 {
		m.table(10_000)
	}
	b := NewBuilder()
	b.many(m, 500)
	b.command(b.instance(hostileModule(0, Func{Body: I32(0)})))
	return b.Bytes()
}
