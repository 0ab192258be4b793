package wasm_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/internal/engine"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
	"github.com/ashlar-wasm/ashlar/internal/wasm/wasmgen"
)

// differentialFuel is how many units a generated program may take.
const differentialFuel = 20_000_000

var meterBudgets = []int32{1 << 20, 0, 1, 1000}

// prepare are the rewrites that every module gets besides metering.
func prepare(m *wasm.Module) {
	m.CheckElements(engine.ElementsFunc)
	m.LimitTables(20_000)
}

// checkMetered compares a program with what the rewriters make of it. It tells
// whether the program ended, so that all could be compared.
func checkMetered(t *testing.T, p *wasmgen.Program, budgets []int32, interpreter bool) bool {
	t.Helper()
	var first *outcome
	for _, budget := range budgets {
		x := execution{rewrite: prepare, meter: true, budget: budget, fuel: differentialFuel, interpreter: interpreter}
		if first != nil {
			x.fuel *= 2 // budgets are taken from it in advance
		}
		got := execute(t, p, x)
		if got.overflow {
			return false
		}
		if first == nil {
			first = got
			continue
		}
		if got.stopped && !first.stopped {
			t.Errorf("it ended with a budget of %d, but not with %d", budgets[0], budget)
		}
		if first.stopped || got.stopped {
			// Where the fuel ends depends on the budget; what happens before must not.
			n := min(len(first.events), len(got.events))
			if first.stopped {
				n = min(n, len(first.events)-1)
			}
			if got.stopped {
				n = min(n, len(got.events)-1)
			}
			n = max(n, 0)
			sameEvents(t, fmt.Sprintf("budgets %d and %d", budgets[0], budget), first.events[:n], got.events[:n])
			continue
		}
		same(t, fmt.Sprintf("budgets %d and %d", budgets[0], budget), first, got)
	}
	if first.stopped {
		return false
	}
	prepared := execute(t, p, execution{rewrite: prepare, interpreter: interpreter})
	if prepared.overflow {
		return false
	}
	same(t, "unmetered and metered", prepared, first)
	// The engine ignores element segments that do not fit, unless they are checked.
	ignored := func(e string) bool { return strings.HasPrefix(e, "instantiate") && strings.HasSuffix(e, tableTrap) }
	if !slices.ContainsFunc(prepared.events, ignored) {
		same(t, "original and prepared", execute(t, p, execution{interpreter: interpreter}), prepared)
	}
	return true
}

func same(t *testing.T, what string, want, got *outcome) {
	t.Helper()
	sameEvents(t, what+": events", want.events, got.events)
	sameEvents(t, what+": state", want.state, got.state)
}

func sameEvents(t *testing.T, what string, want, got []string) {
	t.Helper()
	for i := range max(len(want), len(got)) {
		a, b := "nothing", "nothing"
		if i < len(want) {
			a = want[i]
		}
		if i < len(got) {
			b = got[i]
		}
		if a != b {
			t.Errorf("%s: %d: %s, then %s", what, i, a, b)
			return
		}
	}
}

func TestMeterDifferential(t *testing.T) {
	seeds := uint64(200)
	if testing.Short() {
		seeds = 40
	}
	ended := 0
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			p := wasmgen.Generate(wasmgen.FromSeed(seed), wasmgen.Options{})
			budgets := []int32{meterBudgets[0], meterBudgets[1+seed%3]}
			if checkMetered(t, p, budgets, seed%10 == 9) {
				ended++
			}
		})
	}
	// A generator whose programs do not end shows nothing.
	if ended < int(seeds)/2 {
		t.Errorf("%d of %d programs ended", ended, seeds)
	}
	t.Logf("%d of %d programs ended", ended, seeds)
}

// TestMeterBulk compares bulk instructions that are done in several pieces, and of
// which nothing may be done where a part is out of bounds.
func TestMeterBulk(t *testing.T) {
	const size, elements = 40 << 16, 20_000
	b := wasmgen.NewBuilder(false)
	b.Memory(size>>16, size>>16)
	b.Table(wasm.FuncRef, elements, elements)
	b.Table(wasm.FuncRef, elements, elements)
	i3 := []wasm.ValType{wasm.I32, wasm.I32, wasm.I32}
	p := &wasmgen.Program{}
	define := func(name string, op uint32, indices ...uint32) {
		f := b.Func(i3, nil, nil, func(c *wasmgen.Code) {
			for i := range uint32(3) {
				c.Op(0x20, i)
				if i == 1 && op == wasmgen.TableFill { // null or not
					c.Op(0x04, 0x70)
					c.Op(0xd2, 0)
					c.Op(0x05)
					c.RefNull(wasm.HeapFunc)
					c.Op(0x0b)
				}
			}
			c.Bulk(op, indices...)
		})
		b.Export(name, wasm.KindFunc, f)
	}
	define("memory.fill", wasmgen.MemoryFill, 0)
	define("memory.copy", wasmgen.MemoryCopy, 0, 0)
	define("memory.init", wasmgen.MemoryInit, 0, 0)
	define("table.fill", wasmgen.TableFill, 0)
	define("table.copy", wasmgen.TableCopy, 0, 0)
	define("table.copy to another", wasmgen.TableCopy, 1, 0)
	define("table.init", wasmgen.TableInit, 0, 0)
	i32 := []wasm.ValType{wasm.I32}
	m := &wasmgen.Module{Name: "m0", Memory: true}
	for i := range uint32(2) {
		name := fmt.Sprintf("size %d", i)
		b.Export(name, wasm.KindFunc, b.Func(nil, i32, nil, func(c *wasmgen.Code) { c.Prefixed(0xfc, wasmgen.TableSize, i) }))
		m.Probes = append(m.Probes, wasmgen.Func{Name: name, Type: wasm.FuncType{Results: i32}})
		name = fmt.Sprintf("null %d", i)
		b.Export(name, wasm.KindFunc, b.Func(i32, i32, nil, func(c *wasmgen.Code) {
			c.Op(0x20, 0)
			c.Op(0x25, i)
			c.Op(0xd1)
		}))
		m.Elements = append(m.Elements, name)
	}
	b.Export("memory", wasm.KindMemory, 0)
	data := make([]byte, 1_000_000)
	for i := range data {
		data[i] = byte(i * i >> 7)
	}
	one := uint32(1)
	b.Module.DataCount = &one
	b.Module.Data = []wasm.Data{{Mode: wasm.Passive, Init: data}}
	// Some elements of the segment are null.
	segment := wasm.Element{Mode: wasm.Passive, Type: wasm.FuncRef, UsesExprs: true}
	for i := range 15_000 {
		code := []byte{0xd0, 0x70, 0x0b}
		if i*i%7 < 3 {
			code = []byte{0xd2, byte(i % 5), 0x0b}
		}
		segment.Exprs = append(segment.Exprs, wasm.Expr{Code: code})
	}
	b.Module.Elements = []wasm.Element{segment}
	m.Wasm = &b.Module
	p.Modules = []*wasmgen.Module{m}
	calls := func(name string, args ...[3]int) {
		for _, a := range args {
			p.Calls = append(p.Calls, wasmgen.Call{Func: wasmgen.Func{Name: name}, Args: []uint64{uint64(uint32(a[0])), uint64(uint32(a[1])), uint64(uint32(a[2]))}})
		}
	}
	const piece = 1 << 18
	calls("memory.fill", [3]int{5, 7, 2*piece + 3}, [3]int{1, 9, size}, [3]int{1, 9, -1}, [3]int{-1, 9, 2}, [3]int{size, 1, 0})
	calls("memory.init", [3]int{0, 0, len(data)}, [3]int{size - 10, 0, len(data)}, [3]int{3, 5, len(data)}, [3]int{1_200_000, 1, len(data) - 1})
	for _, by := range []int{1, 3, 1000, piece - 1, piece, piece + 1, 3 * piece} {
		for _, n := range []int{1, piece - 1, piece, piece + 1, 2*piece + 5, 5 * piece} {
			calls("memory.copy", [3]int{100, 100 + by, n}, [3]int{100 + by, 100, n})
		}
	}
	calls("memory.copy", [3]int{0, 1, size}, [3]int{1, 0, size}, [3]int{9, 1, -1}, [3]int{1, 9, -1}, [3]int{-5, 0, 10}, [3]int{0, -5, 10}, [3]int{0, 1, size - 1})
	const small = 1 << 13
	calls("table.init", [3]int{0, 0, 15_000}, [3]int{10_000, 0, 15_000}, [3]int{1, 2, 15_000}, [3]int{4500, 3, 14_997})
	for _, by := range []int{1, 5, small - 1, small, small + 1} {
		for _, n := range []int{1, small, small + 1, small + small/4} {
			calls("table.copy", [3]int{10, 10 + by, n}, [3]int{10 + by, 10, n})
			calls("table.copy to another", [3]int{10, 10 + by, n}, [3]int{n % 100, by, n})
		}
	}
	calls("table.copy", [3]int{0, 1, elements}, [3]int{1, 0, elements}, [3]int{0, 1, -1}, [3]int{1, 0, -1})
	calls("table.fill", [3]int{10_001, 1, 9999}, [3]int{3, 0, 9000}, [3]int{10_001, 0, 10_000}, [3]int{1, 0, -1})
	if !checkMetered(t, p, meterBudgets, false) {
		t.Error("it did not end")
	}
	// One call at a time, lest one hide what another did wrong.
	all := p.Calls
	first := map[string]int{"memory": 5, "table": slices.IndexFunc(all, func(c wasmgen.Call) bool { return c.Name == "table.init" })}
	for i, c := range all {
		if i%5 != 0 {
			continue
		}
		p.Calls = []wasmgen.Call{all[first["memory"]], all[first["table"]], c}
		want, got := execute(t, p, execution{}), execute(t, p, execution{meter: true, budget: 1000, fuel: 1 << 40})
		same(t, fmt.Sprintf("%s %d", c.Name, c.Args), want, got)
	}
}

func FuzzMeter(f *testing.F) {
	for seed := range uint64(20) {
		var data []byte
		for i := range uint64(64) {
			data = binary.LittleEndian.AppendUint64(data, (seed+1)*0x9e3779b97f4a7c15^(i+1)*0xbf58476d1ce4e5b9)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<14 {
			return
		}
		p := wasmgen.Generate(wasmgen.FromBytes(data), wasmgen.Options{})
		checkMetered(t, p, meterBudgets[:2], false)
	})
}
