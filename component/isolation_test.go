package component_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/internal/guests"
)

// pooled prepares a component whose engine must have nothing in use when the test ends.
func pooled(t *testing.T, o component.Options, wasm []byte, link func(*component.Linker)) *component.Prepared {
	t.Helper()
	e := component.NewEngine(o)
	t.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			t.Errorf("close engine: %v", err)
		}
	})
	c, err := e.Compile(t.Context(), wasm)
	if err != nil {
		t.Fatal(err)
	}
	l := e.NewLinker()
	if link != nil {
		link(l)
	}
	p, err := l.Prepare(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// newPool makes a pool that is closed when the test ends.
func newPool(t *testing.T, p *component.Prepared, o component.PoolOptions) *component.Pool {
	t.Helper()
	pool, err := p.NewPool(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pool.Close(context.Background()); err != nil {
			t.Errorf("close pool: %v", err)
		}
	})
	return pool
}

// do calls f with an instance of the pool's.
func do(t *testing.T, pool *component.Pool, f func(i *component.Instance)) {
	t.Helper()
	if err := pool.Do(t.Context(), func(i *component.Instance) error { f(i); return nil }); err != nil {
		t.Fatal(err)
	}
}

// wantStats compares what became of the sandboxes of a pool.
func wantStats(t *testing.T, pool *component.Pool, made, restored, dropped uint64) {
	t.Helper()
	s := pool.Stats()
	if s.Made != made || s.Restored != restored || s.Dropped != dropped {
		t.Errorf("%d sandboxes made, %d restored, %d dropped; want %d, %d, %d", s.Made, s.Restored, s.Dropped, made, restored, dropped)
	}
}

// number is a result of the type u32 or u64.
func number(t *testing.T, i *component.Instance, name string, args ...component.Val) uint64 {
	t.Helper()
	v, err := call(t, i, "", name, args...)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	switch v := v.(type) {
	case component.U32Val:
		return uint64(v)
	case component.U64Val:
		return uint64(v)
	}
	return 0
}

// hoarders prepares guests.Hoarder.
func hoarders(t *testing.T, o component.Options, starts bool, c *dropCounter) *component.Prepared {
	t.Helper()
	return pooled(t, o, guests.Hoarder(starts), func(l *component.Linker) {
		in, err := l.Instance("test:h/things")
		if err == nil {
			err = in.Resource("thing", c.resource)
		}
		if err == nil {
			err = in.Func("make", nil, func(context.Context, []component.Val) (component.Val, error) { return c.handle(), nil })
		}
		if err != nil {
			t.Fatal(err)
		}
	})
}

// observe is what a Hoarder sees of its state, by the names of functions.
func observe(t *testing.T, i *component.Instance) map[string]uint64 {
	t.Helper()
	seen := make(map[string]uint64)
	for _, name := range []string{"sum", "pages", "i32", "i64", "f32", "f64", "v128-low", "v128-high", "funcref", "peer-i64",
		"table-size", "other-size", "dropped"} {
		seen[name] = number(t, i, name)
	}
	for _, table := range []string{"table", "other"} {
		for n := range seen[table+"-size"] {
			at := table + "-at"
			seen[fmt.Sprint(at, n)] = number(t, i, at, component.U32Val(n))
		}
	}
	return seen
}

// handles are the first handles that are made in an instance: what was there before
// shows in their numbers.
func handles(t *testing.T, i *component.Instance) []uint64 {
	t.Helper()
	return []uint64{number(t, i, "keep-nodes", component.U32Val(1)), number(t, i, "keep-things", component.U32Val(2)), number(t, i, "keep-nodes", component.U32Val(1))}
}

// Instances that follow one another in one sandbox see nothing of what those before them
// left, wherever guests can leave something.
func TestInstancesInOneSandboxAreSeparate(t *testing.T) {
	for mode, o := range modes {
		for _, snapshot := range []component.SnapshotMode{component.SnapshotData, component.SnapshotInit, component.SnapshotWarm} {
			if o.Interpreter && snapshot != component.SnapshotData {
				continue // which differs in how memories are used, not in what is shared
			}
			for _, starts := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%v/starts=%v", mode, snapshot, starts), func(t *testing.T) {
					testSeparate(t, o, snapshot, starts)
				})
			}
		}
	}
}

func testSeparate(t *testing.T, o component.Options, snapshot component.SnapshotMode, starts bool) {
	things := newDropCounter()
	o.Limits.MemoryBytes = 8 << 16
	p := hoarders(t, o, starts, things)
	plain, err := p.Instantiate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want, wantHandles := observe(t, plain), handles(t, plain)
	number(t, plain, "grow", component.U32Val(2))
	grownSum := number(t, plain, "sum")
	if err := plain.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	options := component.PoolOptions{Concurrent: 1, Snapshot: snapshot}
	if snapshot == component.SnapshotWarm {
		options.WarmUp = func(context.Context, *component.Instance) error { return nil }
	}
	pool := newPool(t, p, options)

	hoard := func(i *component.Instance, secret uint64) {
		grown := number(t, i, "grow", component.U32Val(2))
		if pages := want["pages"]; grown != pages {
			t.Errorf("grow: %d pages before, want %d", grown, pages)
		}
		if sum := number(t, i, "sum"); sum != grownSum {
			t.Errorf("memory that was grown has the sum %d, want %d", sum, grownSum)
		}
		number(t, i, "write-memory", component.U32Val(secret))
		if got := number(t, i, "grow", component.U32Val(7)); uint32(got) != 1<<32-1 {
			t.Errorf("growth past the limit: %d", got)
		}
		if i.MemoryExceeded() == nil {
			t.Error("the refusal is not noted")
		}
		number(t, i, "grow", component.U32Val(1))
		number(t, i, "write-memory", component.U32Val(secret+1))
		number(t, i, "write-globals", component.U64Val(secret<<32+secret))
		number(t, i, "write-tables")
		number(t, i, "drop-segments")
		number(t, i, "peer-write", component.U64Val(secret+2))
		number(t, i, "keep-nodes", component.U32Val(5000))
		number(t, i, "keep-things", component.U32Val(300))
		if before := number(t, i, "set-context", component.U32Val(secret)); before != 0 {
			t.Errorf("context of a call before: %d", before)
		}
		number(t, i, "push-back")
	}
	// The next can't grow past the limit either where the last did not grow at all.
	do(t, pool, func(i *component.Instance) { number(t, i, "pages") })
	const rounds = 3
	for round := range uint64(rounds) {
		do(t, pool, func(i *component.Instance) {
			if got := observe(t, i); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("round %d: an instance begins with\n%v, want\n%v", round, got, want)
			}
			if i.MemoryExceeded() != nil {
				t.Error("an instance begins with a refusal of another")
			}
			if used := i.MemoryUsed(); used != 65536+65536+want["pages"]<<16 { // of Nodes and of the handles, too
				t.Errorf("an instance begins with %d bytes", used)
			}
			if v, err := call(t, i, "", "waits", component.U32Val(3)); v != component.U32Val(3) || err != nil {
				t.Errorf("waits: %v, %v", v, err)
			}
			for _, name := range []string{"elements", "data", "peer-data"} {
				number(t, i, name)
			}
			if got := handles(t, i); !slices.Equal(got, wantHandles) {
				t.Errorf("handles %v, want %v", got, wantHandles)
			}
			hoard(i, 1000*round+77)
			got := observe(t, i)
			for name, v := range want {
				// Not all that hoard changes differs; one of each kind does.
				switch name {
				case "sum", "pages", "i32", "i64", "f32", "f64", "v128-low", "v128-high", "funcref", "peer-i64", "table-size", "table-at0", "table-at2", "other-at0":
					if got[name] == v {
						t.Errorf("hoarding left %s as it was", name)
					}
				}
			}
		})
	}
	wantStats(t, pool, 1, rounds+1, 0)
	things.check(t, 2+rounds*302)

	// What was a handle to the last is nothing to the next; neither is what its guest's
	// functions refuse to do without segments, or while calls are held back.
	for name, of := range map[string]struct {
		text string
		args []component.Val
	}{
		"get-node": {"unknown handle index", []component.Val{component.U32Val(4000)}}, "drop-thing": {"unknown handle index", []component.Val{component.U32Val(7)}},
	} {
		do(t, pool, func(i *component.Instance) { hoard(i, 5) })
		do(t, pool, func(i *component.Instance) {
			_, err := call(t, i, "", name, of.args...)
			wantTrap(t, err, of.text)
		})
	}
	for name, text := range map[string]string{"elements": "out of bounds table access", "data": "out of bounds memory access",
		"peer-data": "out of bounds memory access", "waits": "deadlock"} {
		do(t, pool, func(i *component.Instance) {
			hoard(i, 6)
			args := []component.Val{component.U32Val(1)}
			if name != "waits" {
				args = nil
			}
			_, err := call(t, i, "", name, args...)
			wantTrap(t, err, text)
		})
	}
	things.check(t, 2+rounds*302+6*300)
}

// What the host kept of an instance that ended is refused, and never reaches the instance
// that has its sandbox now.
func TestEndedInstanceIsRefused(t *testing.T) {
	for mode, o := range modes {
		t.Run(mode, func(t *testing.T) {
			p := pooled(t, o, guests.Nodes().Bytes(), nil)
			pool := newPool(t, p, component.PoolOptions{Concurrent: 1})
			node := abi.GuestResource("node")
			n := []abi.Field{abi.F("n", abi.U32)}
			var old *component.Instance
			var make, get *component.Func
			var typedMake abi.Export
			var kept component.Val
			var handle *abi.Handle
			do(t, pool, func(i *component.Instance) {
				old = i
				make, _ = i.Func("", "make")
				get, _ = i.Func("", "get")
				var err error
				if typedMake, err = i.ExportedFunc("", "make", abi.Function(n, abi.Own(node))); err != nil {
					t.Fatal(err)
				}
				if kept, err = make.Call(t.Context(), []component.Val{component.U32Val(4)}); err != nil {
					t.Fatal(err)
				}
				if err := typedMake.Invoke(t.Context(), func(_ *abi.Call, s []uint64) { s[0] = 8 },
					func(c *abi.Call, s []uint64) { handle = c.LiftHandle(abi.Own(node), uint32(s[0])) }); err != nil {
					t.Fatal(err)
				}
			})
			refused := func() {
				t.Helper()
				if _, err := make.Call(t.Context(), []component.Val{component.U32Val(1)}); !errors.Is(err, component.ErrClosed) {
					t.Errorf("a function: %v", err)
				}
				if _, err := get.Call(t.Context(), []component.Val{kept}); !errors.Is(err, component.ErrClosed) {
					t.Errorf("a method: %v", err)
				}
				if f, ok := old.Func("", "dropped"); !ok {
					t.Error("no function")
				} else if _, err := f.Call(t.Context(), nil); !errors.Is(err, component.ErrClosed) {
					t.Errorf("the instance: %v", err)
				}
				if err := typedMake.Invoke(t.Context(), func(*abi.Call, []uint64) { t.Error("lowered") },
					func(*abi.Call, []uint64) { t.Error("lifted") }); !errors.Is(err, component.ErrClosed) {
					t.Errorf("a typed function: %v", err)
				}
				if err := old.Close(t.Context()); err != nil {
					t.Errorf("close: %v", err)
				}
			}
			refused()
			do(t, pool, func(i *component.Instance) {
				refused()
				if used := old.MemoryUsed(); used != 65536 {
					t.Errorf("it had %d bytes", used)
				}
				// The next has nodes of its own behind the same handles.
				mine := must(call(t, i, "", "make", component.U32Val(1)))
				if err := errors.Join(kept.(*component.Resource).Drop(t.Context()), handle.Drop(t.Context())); err != nil {
					t.Errorf("drop: %v", err)
				}
				wantU32(t, i, 0, "dropped")
				if v, err := call(t, i, "", "get", mine); v != component.U32Val(1) || err != nil {
					t.Errorf("get: %v, %v", v, err)
				}
			})
			wantStats(t, pool, 1, 2, 0)

			var last component.Val
			do(t, pool, func(i *component.Instance) { last = must(call(t, i, "", "make", component.U32Val(4))) })
			for _, name := range []string{"get", "take"} {
				do(t, pool, func(i *component.Instance) {
					must(call(t, i, "", "make", component.U32Val(1)))
					_, err := call(t, i, "", name, last)
					wantTrap(t, err, "resource type mismatch")
				})
			}
			do(t, pool, func(i *component.Instance) {
				last := last.(*component.Resource)
				take, err := i.ExportedFunc("", "take", abi.Function([]abi.Field{abi.F("n", abi.Own(node))}, abi.U32))
				if err != nil {
					t.Fatal(err)
				}
				err = take.Invoke(t.Context(), func(c *abi.Call, s []uint64) { s[0] = uint64(c.LowerHandle(abi.Own(node), last)) }, func(*abi.Call, []uint64) {})
				wantTrap(t, err, "resource type mismatch")
			})
			wantStats(t, pool, 3, 3, 3)
		})
	}
}

func must(v component.Val, err error) component.Val {
	if err != nil {
		panic(err)
	}
	return v
}

// The context of a call is good for nothing special once that has ended.
func TestContextOfEndedCall(t *testing.T) {
	var kept context.Context
	var inner func(ctx context.Context) error
	p := pooled(t, component.Options{}, guests.Caller().Bytes(), func(l *component.Linker) {
		if err := l.Root().Func("step", nil, func(ctx context.Context, args []component.Val) (component.Val, error) {
			if inner != nil {
				return args[0], inner(ctx)
			}
			kept = ctx
			return args[0], nil
		}); err != nil {
			t.Fatal(err)
		}
	})
	pool := newPool(t, p, component.PoolOptions{Concurrent: 1})
	do(t, pool, func(i *component.Instance) { wantU32(t, i, 1, "go", 1) })
	do(t, pool, func(i *component.Instance) {
		f, _ := i.Func("", "go")
		// As a plain context it serves the next instance as well.
		if v, err := f.Call(kept, []component.Val{component.U32Val(2)}); v != component.U32Val(2) || err != nil {
			t.Errorf("go: %v, %v", v, err)
		}
		inner = func(ctx context.Context) error {
			if _, err := f.Call(kept, []component.Val{component.U32Val(3)}); !errors.Is(err, component.ErrBusy) {
				t.Errorf("a call with the context of an ended one: %v", err)
			}
			_, err := f.Call(ctx, []component.Val{component.U32Val(3)})
			wantTrap(t, err, "cannot enter component instance")
			return nil
		}
		wantU32(t, i, 4, "go", 4)
	})
	wantStats(t, pool, 1, 2, 0)
}
