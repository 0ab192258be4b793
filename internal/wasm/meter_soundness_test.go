package wasm_test

import (
	"fmt"
	"testing"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
	"github.com/ashlar-wasm/ashlar/internal/wasm/wasmgen"
)

// What metering may be wrong by, in units. A counted program executes the
// instructions that count too, and is charged for them; both are counted here.
const (
	// lag is how much work may not be charged yet.
	lag = 1024
	// gap is how much more than the budget may be done between two calls of yield.
	gap = 4 * wasm.MaxUnchecked
	// tail is how much more may be done for each call on the stack where it unwinds:
	// what follows a call without a check, and what was charged at the entry already
	// (in meter.go, maxTail and maxUncharged).
	tail = 64 + 256
)

// gauge compares the work that is charged with the work that is done.
type gauge struct {
	budget int64 // of all modules together
	last   int64 // work done when yield was called last
	lag    int64 // the largest seen, as is
	gap    int64 // beyond the budget
}

func (g *gauge) watch(charged, done, moved int64, yield bool) {
	g.lag = max(g.lag, done+moved/64-charged)
	g.gap = max(g.gap, done-g.last-g.budget)
	if yield {
		g.last = done
	}
}

// checkSound executes a counted program with a budget and fails where charges or
// checks fall behind.
//
// depth is how high its stack may get.
func checkSound(t *testing.T, p *wasmgen.Program, budget int32, depth int64) *outcome {
	t.Helper()
	g := &gauge{budget: int64(max(0, budget)) * int64(len(p.Modules))}
	out := execute(t, p, execution{rewrite: prepare, meter: true, counted: true, budget: budget, fuel: 5_000_000, watch: g.watch})
	if g.lag > lag {
		t.Errorf("budget %d: %d units of work were not charged", budget, g.lag)
	}
	if g.gap > gap+depth*tail {
		t.Errorf("budget %d: %d units of work beyond it passed without a check", budget, g.gap)
	}
	return out
}

// TestCountedPrograms shows that counting changes nothing else, and does count.
func TestCountedPrograms(t *testing.T) {
	for seed := range uint64(40) {
		plain := wasmgen.Generate(wasmgen.FromSeed(seed), wasmgen.Options{})
		if execute(t, plain, execution{meter: true, budget: 1 << 20, fuel: 2_000_000}).stopped {
			continue
		}
		counted := wasmgen.Generate(wasmgen.FromSeed(seed), wasmgen.Options{Count: true})
		same(t, fmt.Sprintf("seed %d", seed), execute(t, plain, execution{}), execute(t, counted, execution{counted: true}))
	}
}

func TestMeterSoundGenerated(t *testing.T) {
	seeds := uint64(150)
	if testing.Short() {
		seeds = 30
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			p := wasmgen.Generate(wasmgen.FromSeed(seed), wasmgen.Options{Count: true})
			checkSound(t, p, []int32{0, 1, 1000, 50_000}[seed%4], 0)
		})
	}
}

// hostile writes programs by hand, each a module whose function "run" does much.
type hostile struct {
	*wasmgen.Builder
	void, unary uint32 // types of functions
}

const (
	block, loop, ifOp, elseOp, end            = 0x02, 0x03, 0x04, 0x05, 0x0b
	br, brIf                                  = 0x0c, 0x0d
	call, callIndirect, callRef               = 0x10, 0x11, 0x14
	returnCall, returnIndirect, returnCallRef = 0x12, 0x13, 0x15
	localGet, localSet, localTee              = 0x20, 0x21, 0x22
	throwOp, throwRef, refFunc, drop          = 0x08, 0x0a, 0xd2, 0x1a
	i32Sub, i32And, i32Eqz                    = 0x6b, 0x71, 0x45
)

var i32s = []wasm.ValType{wasm.I32}

func newHostile() *hostile {
	h := &hostile{Builder: wasmgen.NewBuilder(true)}
	h.void, h.unary = h.Type(nil, nil), h.Type(i32s, nil)
	return h
}

// program returns the program whose calls are those of "run".
func (h *hostile) program() *wasmgen.Program {
	return &wasmgen.Program{
		Modules: []*wasmgen.Module{{Name: "m0", Wasm: &h.Module}},
		Calls:   []wasmgen.Call{{Func: wasmgen.Func{Name: "run"}}},
	}
}

func (h *hostile) run(body func(c *wasmgen.Code)) {
	h.Export("run", wasm.KindFunc, h.Func(nil, nil, []wasm.ValType{wasm.I32, wasm.I32}, body))
}

// The first locals of run.
const (
	counter = 1
	other   = 2
)

// work writes n instructions.
func work(c *wasmgen.Code, n int) {
	for range n / 2 {
		c.I32(1)
		c.Op(drop)
	}
}

// times writes a loop that runs body n times.
func times(c *wasmgen.Code, local uint32, n int32, body func()) {
	c.I32(n)
	c.Op(localSet, local)
	c.Block(loop, wasmgen.Void)
	body()
	c.Op(localGet, local)
	c.I32(1)
	c.Op(i32Sub)
	c.Op(localTee, local)
	c.Op(brIf, 0)
	c.Op(end)
}

// less writes local 0 less 1.
func less(c *wasmgen.Code) {
	c.Op(localGet, 0)
	c.I32(1)
	c.Op(i32Sub)
}

// ifMore writes an if that is taken while local 0 is not zero.
func ifMore(c *wasmgen.Code, body func()) {
	c.Op(localGet, 0)
	c.Block(ifOp, wasmgen.Void)
	body()
	c.Op(end)
}

// deep is how many functions recursions put on the stack, about.
const deep = 200

// recursive defines f(n), which calls itself with n-1, with work before and after.
func (h *hostile) recursive(before, after int, callSelf func(c *wasmgen.Code, self uint32)) uint32 {
	f := h.Declare(i32s, nil)
	h.Define(f, nil, func(c *wasmgen.Code) {
		ifMore(c, func() {
			work(c, before)
			less(c)
			callSelf(c, f)
			work(c, after)
		})
	})
	return f
}

func direct(c *wasmgen.Code, self uint32) { c.Op(call, self) }

// hostilePrograms are what is known to get round careless metering.
func hostilePrograms() map[string]*wasmgen.Program {
	programs := map[string]*wasmgen.Program{}
	add := func(name string, write func(h *hostile)) {
		h := newHostile()
		write(h)
		programs[name] = h.program()
	}
	for _, levels := range []int{12, 31} {
		for _, size := range []int{0, 30, 400} {
			add(fmt.Sprintf("tower of %d levels, %d", levels, size), func(h *hostile) {
				f := h.Func(nil, nil, nil, func(c *wasmgen.Code) { work(c, size) })
				for range levels - 1 {
					below := f
					f = h.Func(nil, nil, nil, func(c *wasmgen.Code) {
						c.Op(call, below)
						work(c, size)
						c.Op(call, below)
					})
				}
				h.run(func(c *wasmgen.Code) { c.Op(call, f) })
			})
		}
	}
	for _, before := range []int{0, 10, 48, 100, 2000} {
		for _, after := range []int{0, 10, 14, 48, 100, 2000} {
			name := fmt.Sprintf("%d before, %d after", before, after)
			add("recursion, "+name, func(h *hostile) {
				f := h.recursive(before, after, direct)
				h.run(func(c *wasmgen.Code) {
					times(c, counter, 200, func() { c.I32(deep); c.Op(call, f) })
				})
			})
			add("indirect recursion, "+name, func(h *hostile) {
				h.Table(wasm.FuncRef, 1, 1)
				f := h.recursive(before, after, func(c *wasmgen.Code, _ uint32) {
					c.I32(0)
					c.Op(callIndirect, h.unary, 0)
				})
				h.Elements(wasm.Active, 0, 0, f)
				h.run(func(c *wasmgen.Code) { times(c, counter, 100, func() { c.I32(deep); c.Op(call, f) }) })
			})
			add("recursion by reference, "+name, func(h *hostile) {
				f := h.recursive(before, after, func(c *wasmgen.Code, self uint32) {
					c.Op(refFunc, self)
					c.Op(callRef, h.unary)
				})
				h.Elements(wasm.Declarative, 0, 0, f)
				h.run(func(c *wasmgen.Code) { times(c, counter, 100, func() { c.I32(deep); c.Op(call, f) }) })
			})
			add("mutual recursion, "+name, func(h *hostile) {
				g := h.Declare(i32s, nil)
				f := h.recursive(before, after, func(c *wasmgen.Code, _ uint32) { c.Op(call, g) })
				h.Define(g, nil, func(c *wasmgen.Code) {
					work(c, after)
					c.Op(localGet, 0)
					c.Op(call, f)
					work(c, before)
				})
				h.run(func(c *wasmgen.Code) { times(c, counter, 100, func() { c.I32(deep / 2); c.Op(call, f) }) })
			})
		}
		for name, tail := range map[string]func(h *hostile, c *wasmgen.Code, self uint32){
			"return_call":          func(_ *hostile, c *wasmgen.Code, self uint32) { c.Op(returnCall, self) },
			"return_call_indirect": func(h *hostile, c *wasmgen.Code, _ uint32) { c.I32(0); c.Op(returnIndirect, h.unary, 0) },
			"return_call_ref":      func(h *hostile, c *wasmgen.Code, self uint32) { c.Op(refFunc, self); c.Op(returnCallRef, h.unary) },
		} {
			add(fmt.Sprintf("%s, %d before", name, before), func(h *hostile) {
				h.Table(wasm.FuncRef, 1, 1)
				f := h.recursive(before, 0, func(c *wasmgen.Code, self uint32) { tail(h, c, self) })
				h.Elements(wasm.Active, 0, 0, f)
				h.run(func(c *wasmgen.Code) { c.I32(200_000); c.Op(call, f) })
			})
		}
	}
	for _, size := range []int{0, 20, 200, 3000} {
		add(fmt.Sprintf("unwinding by exceptions, %d", size), func(h *hostile) {
			tag := h.Tag()
			f := h.Declare(i32s, nil)
			h.Define(f, nil, func(c *wasmgen.Code) {
				work(c, size)
				ifMore(c, func() { less(c); c.Op(call, f); work(c, size) })
				c.Op(throwOp, tag)
			})
			h.run(func(c *wasmgen.Code) {
				times(c, counter, 500, func() {
					c.Block(block, wasmgen.Void)
					c.TryTable(wasmgen.Void, wasmgen.Catch{Kind: wasmgen.CatchAll})
					c.I32(20)
					c.Op(call, f)
					c.Op(end)
					c.Op(end)
				})
			})
		})
		add(fmt.Sprintf("loop by exceptions, %d", size), func(h *hostile) {
			// catch_all goes straight to the loop.
			tag := h.Tag()
			h.run(func(c *wasmgen.Code) {
				c.Block(loop, wasmgen.Void)
				c.TryTable(wasmgen.Void, wasmgen.Catch{Kind: wasmgen.CatchAll, Label: 0})
				work(c, size)
				c.Op(throwOp, tag)
				c.Op(end)
				c.Op(end)
			})
		})
		add(fmt.Sprintf("loop that avoids the inner one, %d", size), func(h *hostile) {
			h.run(func(c *wasmgen.Code) {
				c.Block(loop, wasmgen.Void)
				c.Block(block, wasmgen.Void)
				c.Block(block, wasmgen.Void)
				c.Op(localGet, other) // always 0
				c.BrTable(1, 0)
				c.Op(end)
				times(c, counter, 3, func() { work(c, 2) })
				c.Op(end)
				work(c, size)
				c.Op(br, 0)
				c.Op(end)
			})
		})
		add(fmt.Sprintf("loop with the inner one in an arm, %d", size), func(h *hostile) {
			h.run(func(c *wasmgen.Code) {
				c.Block(loop, wasmgen.Void)
				c.Op(localGet, other) // always 0
				c.Block(ifOp, wasmgen.Void)
				times(c, counter, 3, func() { work(c, 2) })
				c.Op(elseOp)
				work(c, size)
				c.Op(end)
				c.Op(br, 0)
				c.Op(end)
			})
		})
		add(fmt.Sprintf("continue from an inner loop, %d", size), func(h *hostile) {
			h.run(func(c *wasmgen.Code) {
				c.Block(loop, wasmgen.Void)
				work(c, size)
				c.Block(loop, wasmgen.Void)
				work(c, size)
				c.Op(br, 1)
				c.Op(end)
				c.Op(end)
			})
		})
		add(fmt.Sprintf("dear and cheap ways round, %d", size), func(h *hostile) {
			h.run(func(c *wasmgen.Code) {
				c.Block(loop, wasmgen.Void)
				c.Op(localGet, counter)
				c.Op(i32Eqz)
				c.Block(ifOp, wasmgen.Void) // always
				work(c, size)
				c.Op(br, 1)
				c.Op(end)
				c.Op(br, 0)
				c.Op(end)
			})
		})
		add(fmt.Sprintf("nested loops, %d", size), func(h *hostile) {
			h.run(func(c *wasmgen.Code) {
				times(c, counter, 500, func() {
					work(c, size)
					times(c, other, 3, func() { work(c, size) })
					work(c, size)
				})
			})
		})
		add(fmt.Sprintf("loop that leaves by a dear path, %d", size), func(h *hostile) {
			h.run(func(c *wasmgen.Code) {
				times(c, other, 1000, func() {
					c.Block(block, wasmgen.Void)
					c.Block(loop, wasmgen.Void)
					work(c, size)
					c.Op(localGet, counter)
					c.Op(i32Eqz)
					c.Op(brIf, 1)
					c.Op(br, 0)
					c.Op(end)
					c.Op(end)
				})
			})
		})
		add(fmt.Sprintf("loop of calls, %d", size), func(h *hostile) {
			// The callee passes a check early and does the rest behind it.
			f := h.Func(nil, nil, []wasm.ValType{wasm.I32}, func(c *wasmgen.Code) {
				times(c, 1, 1, func() {})
				work(c, size)
			})
			h.run(func(c *wasmgen.Code) { times(c, counter, 1000, func() { c.Op(call, f) }) })
		})
		add(fmt.Sprintf("loop by br_on_null, %d", size), func(h *hostile) {
			h.run(func(c *wasmgen.Code) {
				c.Block(loop, wasmgen.Void)
				work(c, size)
				c.RefNull(wasm.HeapFunc)
				c.Op(0xd5, 0)
				c.Op(drop)
				c.Op(end)
			})
		})
		add(fmt.Sprintf("loop with a parameter, %d", size), func(h *hostile) {
			h.run(func(c *wasmgen.Code) {
				c.I32(100_000)
				c.Block(loop, int(h.Type(i32s, i32s)))
				work(c, size)
				c.I32(1)
				c.Op(i32Sub)
				c.Op(localTee, counter)
				c.Op(localGet, counter)
				c.Op(brIf, 0)
				c.Op(end)
				c.Op(drop)
			})
		})
		add(fmt.Sprintf("tower of callees with an early check, %d", size), func(h *hostile) {
			f := h.Func(nil, nil, []wasm.ValType{wasm.I32}, func(c *wasmgen.Code) { times(c, 1, 1, func() {}); work(c, size) })
			for range 12 {
				below := f
				f = h.Func(nil, nil, nil, func(c *wasmgen.Code) { c.Op(call, below); c.Op(call, below); work(c, size) })
			}
			h.run(func(c *wasmgen.Code) { c.Op(call, f) })
		})
	}
	add("straight code", func(h *hostile) {
		h.run(func(c *wasmgen.Code) { work(c, 60_000) })
	})
	add("short fills", func(h *hostile) {
		h.Memory(1, 1)
		h.run(func(c *wasmgen.Code) {
			times(c, counter, 20_000, func() { c.I32(0); c.I32(1); c.I32(300); c.Bulk(wasmgen.MemoryFill, 0) })
		})
	})
	add("fills one after the other", func(h *hostile) {
		h.Memory(20, 20)
		h.run(func(c *wasmgen.Code) {
			for range 200 {
				c.I32(0)
				c.I32(1)
				c.I32(1 << 20)
				c.Bulk(wasmgen.MemoryFill, 0)
			}
		})
	})
	add("copies of a table", func(h *hostile) {
		h.Table(wasm.FuncRef, 15_000, 15_000)
		h.run(func(c *wasmgen.Code) {
			times(c, counter, 1000, func() { c.I32(1); c.I32(0); c.I32(14_000); c.Bulk(wasmgen.TableCopy, 0, 0) })
		})
	})
	for _, n := range []int32{-1, -1 << 31, -1<<31 + 1, 1<<31 - 1, 1 << 30} {
		add(fmt.Sprintf("table.grow by %d", n), func(h *hostile) {
			// It fails; its length must not turn into a gift.
			h.Table(wasm.FuncRef, 1, 10)
			h.run(func(c *wasmgen.Code) {
				c.RefNull(wasm.HeapFunc)
				c.I32(n)
				c.Prefixed(0xfc, wasmgen.TableGrow, 0)
				c.Op(drop)
				times(c, counter, 5000, func() { work(c, 40) })
			})
		})
	}
	programs["recursion through two modules"] = ring()
	return programs
}

// ring is two modules that call one another: m0 through a table, m1 by import.
func ring() *wasmgen.Program {
	a := newHostile()
	a.Table(wasm.FuncRef, 1, 1)
	a.Export("table", wasm.KindTable, 0)
	f := a.recursive(10, 40, func(c *wasmgen.Code, _ uint32) { c.I32(0); c.Op(callIndirect, a.unary, 0) })
	a.Export("f", wasm.KindFunc, f)
	b := newHostile()
	imported := b.ImportFunc("m0", "f", i32s, nil)
	b.Import("m0", "table", wasm.Extern{Kind: wasm.KindTable, Table: wasm.TableType{Elem: wasm.FuncRef, Limits: wasm.Limits{Min: 1}}})
	g := b.Func(i32s, nil, nil, func(c *wasmgen.Code) {
		work(c, 40)
		c.Op(localGet, 0)
		c.Op(call, imported)
		work(c, 40)
	})
	b.Elements(wasm.Active, 0, 0, g)
	b.run(func(c *wasmgen.Code) { times(c, counter, 100, func() { c.I32(deep / 2); c.Op(call, imported) }) })
	return &wasmgen.Program{
		Modules: []*wasmgen.Module{{Name: "m0", Wasm: &a.Module}, {Name: "m1", Wasm: &b.Module}},
		Calls:   []wasmgen.Call{{Module: 1, Func: wasmgen.Func{Name: "run"}}},
	}
}

func TestMeterSoundHostile(t *testing.T) {
	for name, p := range hostilePrograms() {
		t.Run(name, func(t *testing.T) {
			for _, budget := range []int32{0, 1000, 50_000} {
				out := checkSound(t, p, budget, deep)
				if out.overflow || out.yields == 0 && budget == 0 {
					t.Errorf("budget %d: %v, %d yields", budget, out.events, out.yields)
				}
			}
		})
	}
}
