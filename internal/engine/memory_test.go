package engine_test

import (
	"errors"
	"testing"

	"github.com/ashlar-wasm/ashlar/internal/engine"
	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/internal/limit"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

const page = 1 << 16

// growing exports a memory and grow(pages), load(at), store(at, value).
func growing(pages, maximum uint64) []byte {
	m := memory(pages, maximum)
	m.Define(&guests.Func{Name: "grow", Params: i32, Results: i32, Body: guests.Seq(guests.Get(0), guests.MemoryGrow)})
	m.Define(&guests.Func{Name: "load", Params: i32, Results: i32, Body: guests.Seq(guests.Get(0), guests.Load(0))})
	m.Define(&guests.Func{Name: "store", Params: twoI32, Body: guests.Seq(guests.Get(0), guests.Get(1), guests.Store(0))})
	return m.Encode()
}

func call(t *testing.T, i *engine.Instance, name string, args ...uint64) uint32 {
	t.Helper()
	stack := append(args, 0)
	if err := i.Func(name).Call(t.Context(), stack); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return uint32(stack[0])
}

const refused = 1<<32 - 1

func TestMemoryGrowth(t *testing.T) {
	for mode, cfg := range configs {
		t.Run(mode, func(t *testing.T) {
			e := newEngine(t, cfg)
			mems := e.NewMemories(10 * page)
			defer mems.Release()
			inst, err := tryWith(t, e, growing(2, 0), nil, mems)
			if err != nil {
				t.Fatal(err)
			}
			if mems.Used() != 2*page || mems.Exceeded() != nil {
				t.Errorf("used %d, exceeded %v", mems.Used(), mems.Exceeded())
			}
			call(t, inst, "store", 2*page-4, 0xfeedbeef)
			for n := uint32(2); n < 10; n++ {
				if got := call(t, inst, "grow", 1); got != n {
					t.Fatalf("grow: %d, want %d", got, n)
				}
				// New pages are zero, old ones keep what they held.
				if v := call(t, inst, "load", uint64(n)*page); v != 0 {
					t.Errorf("new page %d holds %#x", n, v)
				}
				if v := call(t, inst, "load", 2*page-4); v != 0xfeedbeef {
					t.Errorf("after growth to %d: %#x", n+1, v)
				}
				call(t, inst, "store", uint64(n)*page, uint64(n))
			}
			if mems.Used() != 10*page || mems.Exceeded() != nil {
				t.Errorf("used %d, exceeded %v", mems.Used(), mems.Exceeded())
			}
			if got := call(t, inst, "grow", 1); got != refused {
				t.Errorf("growth past the limit: %d", got)
			}
			if l := mems.Exceeded(); l == nil || l.Limit != 10*page || l.Requested != 11*page || l.Resource != "memory" {
				t.Errorf("exceeded: %v", l)
			}
			if got := call(t, inst, "grow", 0); got != 10 {
				t.Errorf("size after a refused growth: %d", got)
			}
			m, ok := inst.Memory("memory")
			if !ok || len(m.Bytes()) != 10*page || m.Bytes()[5*page] != 5 {
				t.Errorf("the host sees %d bytes", len(m.Bytes()))
			}
		})
	}
}

func TestMemoryMaximum(t *testing.T) {
	for mode, cfg := range configs {
		t.Run(mode, func(t *testing.T) {
			e := newEngine(t, cfg)
			mems := e.NewMemories(10 * page)
			defer mems.Release()
			inst, err := tryWith(t, e, growing(1, 3), nil, mems)
			if err != nil {
				t.Fatal(err)
			}
			if got := call(t, inst, "grow", 3); got != refused {
				t.Errorf("growth past the maximum: %d", got)
			}
			// Its own maximum is no limit that anyone set.
			if mems.Exceeded() != nil {
				t.Errorf("exceeded: %v", mems.Exceeded())
			}
			if got := call(t, inst, "grow", 2); got != 1 || mems.Used() != 3*page {
				t.Errorf("grow: %d, used %d", got, mems.Used())
			}
		})
	}
}

// The limit holds for all memories of a group together.
func TestMemoryLimitIsShared(t *testing.T) {
	for mode, cfg := range configs {
		t.Run(mode, func(t *testing.T) {
			e := newEngine(t, cfg)
			mems := e.NewMemories(4 * page)
			defer mems.Release()
			a, err := tryWith(t, e, growing(1, 0), nil, mems)
			if err != nil {
				t.Fatal(err)
			}
			b, err := tryWith(t, e, growing(1, 0), nil, mems)
			if err != nil {
				t.Fatal(err)
			}
			if got := call(t, a, "grow", 2); got != 1 {
				t.Errorf("a: %d", got)
			}
			if got := call(t, b, "grow", 1); got != refused {
				t.Errorf("b: %d", got)
			}
			var over *limit.Error
			if _, err := tryWith(t, e, growing(1, 0), nil, mems); !errors.As(err, &over) || over.Requested != 5*page {
				t.Errorf("a third one: %v", err)
			}
			// Nothing of b is seen through a.
			call(t, a, "store", 8, 1)
			if v := call(t, b, "load", 8); v != 0 {
				t.Errorf("memories are shared: %d", v)
			}
		})
	}
}

func TestMemoryOfNoPages(t *testing.T) {
	for mode, cfg := range configs {
		t.Run(mode, func(t *testing.T) {
			e := newEngine(t, cfg)
			mems := e.NewMemories(page)
			defer mems.Release()
			inst, err := tryWith(t, e, growing(0, 0), nil, mems)
			if err != nil {
				t.Fatal(err)
			}
			if m, ok := inst.Memory("memory"); !ok || len(m.Bytes()) != 0 {
				t.Error("a memory of no pages has bytes")
			}
			if got := call(t, inst, "grow", 1); got != 0 {
				t.Errorf("grow: %d", got)
			}
			call(t, inst, "store", page-4, 5)
			if v := call(t, inst, "load", page-4); v != 5 {
				t.Errorf("load: %d", v)
			}
		})
	}
}

// A memory outlives the instance that defined it for those that import it.
func TestMemoryOutlivesInstance(t *testing.T) {
	for mode, cfg := range configs {
		t.Run(mode, func(t *testing.T) {
			e := newEngine(t, cfg)
			mems := e.NewMemories(4 * page)
			code, err := e.Compile(t.Context(), engine.Source{Wasm: growing(1, 0)})
			if err != nil {
				t.Fatal(err)
			}
			owner, err := e.Instantiate(t.Context(), code, nil, mems)
			if err != nil {
				t.Fatal(err)
			}
			m := &guests.CoreModule{}
			m.Imports = []wasm.Import{{Module: "o", Name: "memory", Extern: wasm.Extern{Kind: wasm.KindMemory, Memory: wasm.MemoryType{PageSizeLog2: 16}}}}
			m.Define(&guests.Func{Name: "load", Params: i32, Results: i32, Body: guests.Seq(guests.Get(0), guests.Load(0))})
			user, err := tryWith(t, e, m.Encode(), provide(owner), mems)
			if err != nil {
				t.Fatal(err)
			}
			call(t, owner, "store", 100, 42)
			if err := owner.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			if v := call(t, user, "load", 100); v != 42 {
				t.Errorf("load: %d", v)
			}
			mems.Release()
			if mems.Used() != 0 {
				t.Errorf("used after release: %d", mems.Used())
			}
		})
	}
}

func TestMemoryOverLimitAtStart(t *testing.T) {
	for mode, cfg := range configs {
		t.Run(mode, func(t *testing.T) {
			e := newEngine(t, cfg)
			for range 3 {
				mems := e.NewMemories(page)
				var over *limit.Error
				if _, err := tryWith(t, e, growing(2, 0), nil, mems); !errors.As(err, &over) || over.Limit != page || over.Requested != 2*page {
					t.Errorf("got %v", err)
				}
				mems.Release()
			}
		})
	}
}

func BenchmarkMemoryGrow(b *testing.B) {
	for mode, cfg := range map[string]engine.Config{"reserved": {}, "heap": {HeapMemories: true}} {
		b.Run(mode, func(b *testing.B) {
			e := newEngine(b, cfg)
			code, err := e.Compile(b.Context(), engine.Source{Wasm: growing(1, 0)})
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				mems := e.NewMemories(32 << 20)
				inst, err := e.Instantiate(b.Context(), code, nil, mems)
				if err != nil {
					b.Fatal(err)
				}
				grow := inst.Func("grow")
				for range 160 {
					if err := grow.Call(b.Context(), []uint64{1}); err != nil {
						b.Fatal(err)
					}
				}
				_ = inst.Close(b.Context())
				mems.Release()
			}
		})
	}
}
