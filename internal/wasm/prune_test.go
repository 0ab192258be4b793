package wasm_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
	"github.com/ashlar-wasm/ashlar/internal/wasm/wasmgen"
)

// TestPruneDifferential compares programs with what is left of them when all their exports
// are kept, and when functions were added to them in every way.
func TestPruneDifferential(t *testing.T) {
	seeds := uint64(50)
	if testing.Short() {
		seeds = 15
	}
	rewrites := map[string]func(*wasm.Module){
		"pruned": func(m *wasm.Module) { m.Prune(func(*wasm.Export) bool { return true }) },
		"with an import": func(m *wasm.Module) {
			if len(m.Imports) == 0 {
				return
			}
			for _, im := range m.Imports {
				if im.Kind == wasm.KindFunc {
					m.AddFuncImport(im.Module, im.Name, m.Types[im.Type])
					return
				}
			}
		},
		"with an import defined": func(m *wasm.Module) {
			// One that nobody calls, between those that are called.
			added := m.AddFuncImport("env", "not there", wasm.FuncType{})
			if got := m.DefineImport(added, []byte{0x00}); int(got) != len(m.Space().Funcs)-1 {
				t.Errorf("the function that was defined is number %d of %d", got, len(m.Space().Funcs))
			}
		},
	}
	compared, removed := 0, 0
	for seed := range seeds {
		p := wasmgen.Generate(wasmgen.FromSeed(seed), wasmgen.Options{})
		first := execute(t, p, execution{rewrite: prepare, meter: true, budget: 1 << 20, fuel: differentialFuel})
		if first.overflow || first.stopped {
			continue
		}
		for name, rewrite := range rewrites {
			got := execute(t, p, execution{rewrite: func(m *wasm.Module) {
				before := len(m.Space().Funcs)
				rewrite(m)
				if len(m.Space().Funcs) < before {
					removed++
				}
				prepare(m)
			}})
			if !got.overflow {
				same(t, fmt.Sprintf("seed %d, %s", seed, name), first, got)
				compared++
			}
		}
	}
	if compared < int(seeds) || removed == 0 {
		t.Errorf("%d executions were compared, of %d modules something was removed", compared, removed)
	}
}

// TestPrune removes exports one after the other: what is left is valid, and never more.
func TestPrune(t *testing.T) {
	for seed := range uint64(40) {
		for _, module := range wasmgen.Generate(wasmgen.FromSeed(seed), wasmgen.Options{}).Modules {
			b := module.Wasm.Encode()
			names := map[string]bool{}
			for _, e := range module.Wasm.Exports {
				names[e.Name] = true
			}
			last := 1 << 30
			for i := range len(module.Wasm.Exports) + 1 {
				m, err := wasm.Decode(b)
				if err != nil {
					t.Fatal(err)
				}
				m.Start = nil
				keep := module.Wasm.Exports[i:]
				m.Prune(func(e *wasm.Export) bool {
					return slices.ContainsFunc(keep, func(k wasm.Export) bool { return k.Name == e.Name })
				})
				out, err := wasm.Decode(m.Encode())
				if err == nil {
					err = wasm.Validate(out)
				}
				if err != nil {
					t.Fatalf("seed %d, %d exports: %v", seed, len(keep), err)
				}
				if len(out.Exports) != len(keep) {
					t.Fatalf("seed %d: %d exports are left of %d", seed, len(out.Exports), len(keep))
				}
				if n := len(out.Functions) + len(out.Imports); n > last {
					t.Fatalf("seed %d: %d functions and imports are left, after %d", seed, n, last)
				} else {
					last = n
				}
			}
		}
	}
}

// TestPruneNames checks that names of functions and globals move with what they name.
func TestPruneNames(t *testing.T) {
	b := wasmgen.NewBuilder(false)
	global := func(n uint32) uint32 {
		return b.Global(wasm.GlobalType{Val: wasm.I32, Mutable: true}, wasmgen.Expr(func(c *wasmgen.Code) { c.Op(0x41, n) }))
	}
	global(1)
	second := global(2)
	b.Func(nil, nil, nil, func(*wasmgen.Code) {})
	f := b.Func(nil, []wasm.ValType{wasm.I32}, nil, func(c *wasmgen.Code) { c.Op(0x23, second) })
	b.Export("f", wasm.KindFunc, f)
	m := &b.Module
	m.SetNames(wasm.Names{Module: "m", Functions: map[uint32]string{0: "dead", f: "alive"}, Globals: map[uint32]string{0: "dead", second: "alive"}})
	m.Prune(func(*wasm.Export) bool { return true })
	names := m.Names()
	if fmt.Sprint(names) != "{m map[0:alive] map[0:alive]}" {
		t.Errorf("names %v", names)
	}
	if len(m.Functions) != 1 || len(m.Globals) != 1 {
		t.Errorf("%d functions and %d globals are left", len(m.Functions), len(m.Globals))
	}
}
