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
func prepare(t *testing.T) func(*wasm.Module) {
	return func(m *wasm.Module) {
		m.CheckElements(engine.ElementsFunc)
		if err := m.LimitTables(20_000); err != nil {
			t.Error(err)
		}
	}
}

// checkMetered compares a program with what the rewriters make of it. It tells
// whether the program ended, so that all could be compared.
func checkMetered(t *testing.T, p *wasmgen.Program, budgets []int32, interpreter bool) bool {
	t.Helper()
	var first *outcome
	for _, budget := range budgets {
		x := execution{rewrite: prepare(t), meter: true, budget: budget, fuel: differentialFuel, interpreter: interpreter}
		got := execute(t, p, x)
		if got.overflow {
			return false
		}
		if first == nil {
			first = got
			continue
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
	prepared := execute(t, p, execution{rewrite: prepare(t), interpreter: interpreter})
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
