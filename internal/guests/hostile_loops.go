package guests

import "github.com/ashlar-wasm/ashlar/internal/wasm"

// hostileLoops compute without calling themselves.
func hostileLoops() []Hostile {
	one := func(locals int, body Code) []byte {
		return hostileModule(1, Func{Locals: locals, Body: body}).command()
	}
	start := hostileModule(0, Func{Body: I32(0)}, Func{Body: Seq(Forever(nil), Drop)})
	start.Start = &wasm.Start{Func: 1}
	tower := []Func{{Body: Seq(Call(1), I32(0))}}
	for n := range uint32(40) {
		tower = append(tower, Func{Body: Seq(Call(n+2), Call(n+2))})
	}
	return []Hostile{
		{Name: "loop", Does: "goes round an empty loop", Bytes: one(0, Forever(nil))},
		{Name: "loop-nested", Does: "goes round ten loops, one in the other, of four rounds each", Bytes: one(10, nested(10))},
		{Name: "loop-br-table", Does: "goes round a loop by br_table from an inner loop, whose own way round it never takes",
			Bytes: one(0, Seq(Code{0x03, 0x40, 0x03, 0x40}, I32(1), Code{0x0e, 1, 0, 1, 0x0b, 0x0b}, I32(0)))},
		{Name: "loop-start", Does: "goes round a loop in the start function", Stage: AtInstantiate, Bytes: start.command()},
		{Name: "loop-divide", Does: "goes round a loop of divisions and roots, the slowest plain instructions", Bytes: one(0, Forever(divisions(50)))},
		{Name: "tower", Does: "has 40 functions without a loop, each calling the next twice", Bytes: hostileModule(0, append(tower, Func{})...).command()},
		{Name: "tower-loop", Does: "calls a tower of functions that takes just less than is checked, in a loop", Bytes: lowTower()},
		{Name: "alternate", Does: "does a million cheap units, then misses the cache with every load, over and over", Bytes: alternate(Seq(chase(20_000)))},
		{Name: "alternate-pages", Does: "does a million cheap units, then touches new pages", Grows: true,
			Bytes: alternate(Seq(I32(64), MemoryGrow, Drop, touch))},
		{Name: "atomic-wait", Does: "waits for ever for a word of shared memory to be notified", Waits: true, Bytes: waiting()},
	}
}

func nested(depth uint32) Code {
	c := Code{0x01}
	for n := range depth {
		c = Seq(I32(4), Set(n), again(n, c))
	}
	return Forever(c)
}

// divisions does n of each, each needing the one before.
func divisions(n int) Code {
	step := Seq(I64(3), i64DivU, I64(-1), i64Or, I64(7), i64RemU, I64(-1), i64Or)
	root := Seq(f64Sqrt)
	return Seq(I64(-1), repeat(n, step), Code{0xba}, repeat(n, root), Drop) // f64.convert_i64_u
}

// lowTower is a loop that calls eight functions of two calls each, the last of which
// has nothing that is charged by itself.
func lowTower() []byte {
	funcs := []Func{{Body: Forever(Call(1))}}
	for n := range uint32(8) {
		funcs = append(funcs, Func{Body: Seq(Call(n+2), Call(n+2))})
	}
	return hostileModule(0, append(funcs, Func{Body: repeat(20, Code{0x01})})...).command()
}

// alternate has 256 MiB, or what it gets, and does cheap work between one bit of
// dear and the next.
func alternate(dear Code) []byte {
	cheap := Seq(I32(250_000), Set(0), again(0, Code{0x01}))
	return hostileModule(16, Func{Locals: 2, Body: Seq(
		I32(15<<8), Set(0), Loop(Seq(I32(16), MemoryGrow, Drop, Get(0), I32(1), I32Sub, tee(0))),
		Forever(Seq(cheap, dear)))}).command()
}

// chase loads from n places that lie all over memory 0, each of which depends on the
// last. Locals 0 and 1 are the count and the place.
func chase(n int32) Code {
	next := Seq(Get(1), I32(1664525), i32Mul, I32(1013904223), I32Add,
		memoryBytes, I32(4), I32Sub, i32And, tee(1), Get(1), Load(0), I32Add, Set(1))
	return Seq(I32(n), Set(0), again(0, next))
}

// touch writes a word of every page of memory 0 of 4 KiB.
var touch = Seq(memoryBytes, Set(0), Loop(Seq(Get(0), I32(4096), I32Sub, tee(0), I32(1), Store(0), Get(0))))

func waiting() []byte {
	wait := Code{0xfe, 0x01, 0x02, 0x00}
	m := hostileModule(1, Func{Body: Forever(Seq(I32(0), I32(0), I64(-1), wait, Drop))})
	m.Memories[0].Limits = wasm.Limits{Min: 1, Max: 1, HasMax: true, Shared: true}
	return m.command()
}
