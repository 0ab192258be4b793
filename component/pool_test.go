package component_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// eventually waits until something is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// callers prepares guests.Caller with a function of the host to call.
func callers(t *testing.T, step component.DynamicFunc) *component.Prepared {
	return pooled(t, component.Options{}, guests.Caller().Bytes(), func(l *component.Linker) {
		if err := l.Root().Func("step", nil, step); err != nil {
			t.Fatal(err)
		}
	})
}

// What can't be trusted after a call is not used again, and the next call works.
func TestPoolDropsInDoubt(t *testing.T) {
	limits := component.Limits{MemoryBytes: 5 << 16, StackBytes: 1 << 20, Fuel: 1e7}
	panics := func(v any) func(*testing.T, context.Context, *component.Instance) {
		return func(_ *testing.T, _ context.Context, i *component.Instance) {
			if _, err := callU32(t, i, "word", wordAt); err != nil {
				t.Error(err)
			}
			panic(v)
		}
	}
	goodCall := func(t *testing.T, ctx context.Context, i *component.Instance, name string, args ...component.Val) error {
		f, ok := i.Func("", name)
		if !ok {
			t.Fatal(name)
		}
		_, err := f.Call(ctx, args)
		return err
	}
	var cancelled func()
	for name, c := range map[string]struct {
		f       func(t *testing.T, ctx context.Context, i *component.Instance)
		dropped uint64
	}{
		"good": {func(*testing.T, context.Context, *component.Instance) {}, 0},
		"trap": {func(t *testing.T, ctx context.Context, i *component.Instance) {
			wantTrap(t, goodCall(t, ctx, i, "trap"), "unreachable")
		}, 1},
		"panic": {panics("f"), 1},
		"bug":   {panics(&runtime.TypeAssertionError{}), 1},
		"stack": {func(t *testing.T, ctx context.Context, i *component.Instance) {
			wantLimit(t, goodCall(t, ctx, i, "recurse", component.U32Val(1e6)), component.LimitedStack)
		}, 1},
		"fuel": {func(t *testing.T, ctx context.Context, i *component.Instance) {
			for range 10_000 {
				if err := goodCall(t, ctx, i, "recurse", component.U32Val(10)); err != nil {
					t.Fatal(err) // the limit is for each call
				}
			}
		}, 0},
		"cancelled": {func(t *testing.T, ctx context.Context, i *component.Instance) {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			// It did not begin, so there is no doubt.
			if err := goodCall(t, ctx, i, "word", component.U32Val(0)); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}, 0},
		"cancelled under way": {func(t *testing.T, ctx context.Context, i *component.Instance) {
			ctx, cancel := context.WithCancel(ctx)
			cancelled = cancel
			if err := goodCall(t, ctx, i, "note", component.U32Val(15)); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}, 1},
		"host error": {func(t *testing.T, ctx context.Context, i *component.Instance) {
			if err := goodCall(t, ctx, i, "note", component.U32Val(13)); err == nil || !strings.Contains(err.Error(), "unlucky") {
				t.Error(err)
			}
		}, 1},
		"bug in a typed call": {func(t *testing.T, ctx context.Context, i *component.Instance) {
			put, err := i.ExportedFunc("", "put", abi.Function([]abi.Field{abi.F("at", abi.U32), abi.F("v", abi.U32)}, nil))
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if recover() == nil {
					t.Error("the panic did not reach the caller")
				}
				if err := goodCall(t, ctx, i, "word", component.U32Val(0)); !errors.Is(err, component.ErrPoisoned) {
					t.Errorf("a further call: %v", err)
				}
			}()
			_ = put.Invoke(ctx, func(_ *abi.Call, s []uint64) { s[len(s)] = 0 }, func(*abi.Call, []uint64) {})
		}, 1},
		"host panic": {func(t *testing.T, ctx context.Context, i *component.Instance) {
			defer func() { _ = recover() }()
			_ = goodCall(t, ctx, i, "note", component.U32Val(14))
		}, 1},
	} {
		for _, reuse := range []int{1, 3} {
			t.Run(fmt.Sprint(name, "/", reuse), func(t *testing.T) {
				k := newKeeper()
				p := pooled(t, component.Options{Limits: limits}, starting(false, startPure), func(l *component.Linker) {
					k.offer(t)(l)
					in, err := l.Instance("test:h/keep")
					if err != nil {
						t.Fatal(err)
					}
					in.Remove("note")
					if err := in.Func("note", nil, func(_ context.Context, args []component.Val) (component.Val, error) {
						switch args[0] {
						case component.U32Val(13):
							return nil, errors.New("unlucky")
						case component.U32Val(14):
							panic("unlucky")
						case component.U32Val(15):
							cancelled()
						}
						return args[0], nil
					}); err != nil {
						t.Fatal(err)
					}
				})
				pool := newPool(t, p, component.PoolOptions{Concurrent: 1, Reuse: reuse})
				func() {
					defer func() { _ = recover() }()
					_ = pool.Do(t.Context(), func(i *component.Instance) error {
						number(t, i, "put", component.U32Val(wordAt), component.U32Val(1))
						c.f(t, t.Context(), i)
						return nil
					})
				}()
				do(t, pool, func(i *component.Instance) {
					want := uint64(41)
					if reuse > 1 && c.dropped == 0 {
						want = 1
					}
					if got := number(t, i, "word", component.U32Val(wordAt)); got != want {
						t.Errorf("the next begins with %d, want %d", got, want)
					}
				})
				restored := 2 - c.dropped
				if reuse > 1 {
					restored = 0
				}
				wantStats(t, pool, 1+c.dropped, restored, c.dropped)
			})
		}
	}
}

// A memory at its maximum can't be made smaller.
func TestPoolDropsFullMemory(t *testing.T) {
	for mode, o := range modes {
		c := newDropCounter()
		p := hoarders(t, o, false, c)
		pool := newPool(t, p, component.PoolOptions{Concurrent: 1})
		for range 2 {
			do(t, pool, func(i *component.Instance) {
				if got := number(t, i, "grow", component.U32Val(10)); got != 2 {
					t.Errorf("%s: grow: %d", mode, got)
				}
			})
		}
		wantStats(t, pool, 2, 0, 2)
	}
}

// A call that ended makes a deep stack, which is not kept.
func TestPoolKeepsNoDeepStack(t *testing.T) {
	k := newKeeper()
	p := pooled(t, component.Options{}, starting(false, nil), k.offer(t))
	pool := newPool(t, p, component.PoolOptions{Concurrent: 1})
	do(t, pool, func(i *component.Instance) { number(t, i, "recurse", component.U32Val(10)) })
	small, funcs := pool.KeptStack()
	if small == 0 || funcs != 1 {
		t.Skipf("%d bytes for %d functions: the engine does not tell", small, funcs)
	}
	do(t, pool, func(i *component.Instance) { number(t, i, "recurse", component.U32Val(50_000)) })
	if kept, funcs := pool.KeptStack(); kept != 0 || funcs != 0 {
		t.Errorf("%d bytes are kept for %d functions", kept, funcs)
	}
	do(t, pool, func(i *component.Instance) { number(t, i, "recurse", component.U32Val(10)) })
	if kept, _ := pool.KeptStack(); kept != small {
		t.Errorf("%d bytes are kept, %d at first", kept, small)
	}
	wantStats(t, pool, 1, 3, 0)
}

// blocking is a function of the host that waits, and tells when it does.
type blocking struct {
	entered, leave chan struct{}
}

func newBlocking() *blocking { return &blocking{make(chan struct{}), make(chan struct{})} }

// step waits for its argument if that is not 0.
func (b *blocking) step(_ context.Context, args []component.Val) (component.Val, error) {
	if args[0] != component.U32Val(0) {
		b.entered <- struct{}{}
		<-b.leave
	}
	return args[0], nil
}

// A call that is under way when its caller leaves keeps its sandbox and its turn until it
// ends, and nobody else gets them meanwhile.
func TestPoolCallOutlastsCaller(t *testing.T) {
	for _, reuse := range []int{1, 5} {
		for _, closes := range []bool{false, true} {
			b := newBlocking()
			p := callers(t, b.step)
			pool := newPool(t, p, component.PoolOptions{Concurrent: 2, Reuse: reuse})
			left := make(chan error)
			var old *component.Instance
			err := pool.Do(t.Context(), func(i *component.Instance) error {
				old = i
				f, _ := i.Func("", "go")
				go func() {
					_, err := f.Call(context.Background(), []component.Val{component.U32Val(7)})
					left <- err
				}()
				<-b.entered
				if err := i.Close(t.Context()); reuse == 1 && !errors.Is(err, component.ErrBusy) {
					t.Errorf("close: %v", err)
				}
				return nil
			})
			if !errors.Is(err, component.ErrBusy) {
				t.Errorf("the caller that left: %v", err)
			}
			if s := pool.Stats(); s.InUse != 1 || s.Idle != 0 || s.Restored != 0 {
				t.Errorf("while it runs: %+v", s)
			}
			do(t, pool, func(i *component.Instance) { wantU32(t, i, 0, "go", 0) })
			if _, err := callU32(t, old, "go", 0); !errors.Is(err, component.ErrBusy) {
				t.Errorf("a further call: %v", err)
			}
			if closes {
				if err := pool.Close(t.Context()); err != nil {
					t.Error(err)
				}
			}
			close(b.leave)
			if err := <-left; err != nil {
				t.Errorf("the call that was left: %v", err)
			}
			if _, err := callU32(t, old, "go", 0); !errors.Is(err, component.ErrClosed) {
				t.Errorf("after it ended: %v", err)
			}
			if s := pool.Stats(); s.InUse != 0 || s.Dropped != 1 || s.Made != 2 {
				t.Errorf("after it ended: %+v", s)
			}
		}
	}
}

// An instance that is none of a pool's is closed when the call that is under way ends.
func TestCloseDuringCall(t *testing.T) {
	b := newBlocking()
	p := callers(t, b.step)
	i, err := p.Instantiate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	left := make(chan error)
	go func() {
		_, err := callU32(t, i, "go", 7)
		left <- err
	}()
	<-b.entered
	if err := i.Close(t.Context()); !errors.Is(err, component.ErrBusy) {
		t.Errorf("close: %v", err)
	}
	close(b.leave)
	if err := <-left; err != nil {
		t.Error(err)
	}
	if _, err := callU32(t, i, "go", 0); !errors.Is(err, component.ErrClosed) {
		t.Errorf("a further call: %v", err)
	}
	if err := i.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestPoolQueue(t *testing.T) {
	b := newBlocking()
	p := callers(t, b.step)
	pool := newPool(t, p, component.PoolOptions{Concurrent: 2, Queue: 3})
	var all sync.WaitGroup
	use := func(ctx context.Context, want error) {
		all.Add(1)
		go func() {
			defer all.Done()
			if err := pool.Do(ctx, func(i *component.Instance) error { _, err := callU32(t, i, "go", 1); return err }); !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
		}()
	}
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	use(t.Context(), nil)
	use(t.Context(), nil)
	<-b.entered
	<-b.entered
	use(t.Context(), nil)
	use(t.Context(), nil)
	use(ctx, gone)
	eventually(t, "callers wait", func() bool { return pool.Stats().Waiting == 3 })
	if err := pool.Do(t.Context(), func(*component.Instance) error { return nil }); !errors.Is(err, component.ErrPoolFull) {
		t.Errorf("with a full queue: %v", err)
	}
	if s := pool.Stats(); s.InUse != 2 || s.Waiting != 3 || s.Made != 2 {
		t.Errorf("%+v", s)
	}
	cancel(gone)
	eventually(t, "one gave up", func() bool { return pool.Stats().Waiting == 2 })
	close(b.leave)
	<-b.entered
	<-b.entered
	all.Wait()
	if s := pool.Stats(); s.InUse != 0 || s.Waiting != 0 || s.Idle > 2 {
		t.Errorf("%+v", s)
	}
}

// The turn is bounded: never are more instances in use than may be, and all get theirs.
func TestPoolConcurrent(t *testing.T) {
	var now, most atomic.Int32
	p := callers(t, func(_ context.Context, args []component.Val) (component.Val, error) {
		n := now.Add(1)
		for {
			m := most.Load()
			if n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		runtime.Gosched()
		now.Add(-1)
		return args[0], nil
	})
	pool := newPool(t, p, component.PoolOptions{Concurrent: 3, Queue: 100})
	var all sync.WaitGroup
	for range 50 {
		all.Add(1)
		go func() {
			defer all.Done()
			for range 10 {
				if err := pool.Do(t.Context(), func(i *component.Instance) error { _, err := callU32(t, i, "go", 1); return err }); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	all.Wait()
	if s := pool.Stats(); most.Load() > 3 || s.Made > 3 || s.Restored != 500 {
		t.Errorf("%d at a time, %+v", most.Load(), s)
	}
}

func TestPoolIdle(t *testing.T) {
	b := newBlocking()
	p := callers(t, b.step)
	use := func(pool *component.Pool, n int) {
		t.Helper()
		var all sync.WaitGroup
		for range n {
			all.Add(1)
			go func() {
				defer all.Done()
				if err := pool.Do(t.Context(), func(i *component.Instance) error { _, err := callU32(t, i, "go", 1); return err }); err != nil {
					t.Error(err)
				}
			}()
		}
		for range n {
			<-b.entered
		}
		for range n {
			b.leave <- struct{}{}
		}
		all.Wait()
	}
	for _, c := range []struct{ idle, kept int }{{0, 4}, {2, 2}, {-1, 0}} {
		pool := newPool(t, p, component.PoolOptions{Concurrent: 4, Idle: c.idle})
		use(pool, 4)
		if s := pool.Stats(); s.Idle != c.kept || s.Made != 4 {
			t.Errorf("idle bound %d: %+v", c.idle, s)
		}
		use(pool, 4)
		if s := pool.Stats(); s.Idle != c.kept || s.Made != uint64(8-c.kept) {
			t.Errorf("idle bound %d, then: %+v", c.idle, s)
		}
	}
}

// What is not used is given back after a while, and made again.
func TestPoolIdleTime(t *testing.T) {
	c := newDropCounter()
	e := component.NewEngine(component.Options{})
	t.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	comp, err := e.Compile(t.Context(), guests.Calc())
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.NewLinker().Prepare(t.Context(), comp)
	if err != nil {
		t.Fatal(err)
	}
	for _, idle := range []int{0, -1} {
		pool := newPool(t, p, component.PoolOptions{IdleTime: 20 * time.Millisecond, Idle: idle})
		for round := range 3 {
			do(t, pool, func(i *component.Instance) { wantU32(t, i, 1, "count") })
			if comp.SharedSnapshots() != 1 {
				// It may be gone, but only if this took longer than that.
				t.Logf("round %d: the snapshot is gone at once", round)
			}
			eventually(t, "the sandbox is given back", func() bool { return pool.Stats().Idle == 0 })
			eventually(t, "the snapshot is given back", func() bool { return comp.SharedSnapshots() == 0 })
			if s := pool.Stats(); s.Made != uint64(round+1) || s.Dropped != 0 {
				t.Errorf("round %d: %+v", round, s)
			}
		}
		// It still tells what it was.
		if info := pool.Snapshot(); info.Mode != component.SnapshotInit || info.Bytes == 0 {
			t.Errorf("%+v", info)
		}
	}
	// What is used now and then stays: it is quietened at most.
	pool := newPool(t, p, component.PoolOptions{IdleTime: time.Hour})
	do(t, pool, func(i *component.Instance) { wantU32(t, i, 1, "count") })
	pool.Trim()
	if s := pool.Stats(); s.Idle != 0 || comp.SharedSnapshots() != 0 {
		t.Errorf("after Trim: %+v, %d snapshots", s, comp.SharedSnapshots())
	}
	do(t, pool, func(i *component.Instance) {
		pool.Trim() // which leaves what is in use
		wantU32(t, i, 1, "count")
		if comp.SharedSnapshots() != 1 {
			t.Error("the snapshot of an instance was given back")
		}
	})
	wantStats(t, pool, 2, 2, 0)
	c.check(t, 0)
}

// A sandbox that is idle for a quarter of its time gives its pages back, and is good.
func TestPoolQuietens(t *testing.T) {
	p := hoarders(t, component.Options{}, true, newDropCounter())
	plain, err := p.Instantiate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprint(observe(t, plain))
	if err := plain.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	pool := newPool(t, p, component.PoolOptions{Concurrent: 2, IdleTime: 400 * time.Millisecond})
	for range 3 {
		do(t, pool, func(i *component.Instance) {
			if got := fmt.Sprint(observe(t, i)); got != want {
				t.Errorf("begins with\n%s, want\n%s", got, want)
			}
			number(t, i, "write-memory", component.U32Val(9))
		})
		time.Sleep(110 * time.Millisecond) // for it to happen; nothing depends on that
	}
}

func TestPoolPrime(t *testing.T) {
	k := newKeeper()
	p := pooled(t, component.Options{}, starting(false, startPure), k.offer(t))
	pool := newPool(t, p, component.PoolOptions{Concurrent: 4, IdleTime: time.Hour})
	for _, c := range []struct{ n, idle int }{{0, 1}, {3, 3}, {2, 3}, {6, 4}} {
		info, err := pool.Prime(t.Context(), c.n)
		if err != nil || info.Mode != component.SnapshotInit || info.Bytes != 3<<16 {
			t.Errorf("prime %d: %+v, %v", c.n, info, err)
		}
		if s := pool.Stats(); s.Idle != c.idle || s.InUse != 0 {
			t.Errorf("prime %d: %+v, want %d idle", c.n, s, c.idle)
		}
	}
	made := pool.Stats().Made
	do(t, pool, func(*component.Instance) {})
	wantStats(t, pool, made, 1, 0)

	off := newPool(t, p, component.PoolOptions{Snapshot: component.SnapshotOff})
	if info, err := off.Prime(t.Context(), 3); err != nil || info.Mode != component.SnapshotOff || off.Stats().Idle != 0 {
		t.Errorf("without snapshots: %+v, %v, %+v", info, err, off.Stats())
	}
}

// With Reuse an instance has that many callers, who see what those before them left, and
// no more.
func TestPoolReuse(t *testing.T) {
	for _, mode := range []component.SnapshotMode{component.SnapshotOff, component.SnapshotData, component.SnapshotInit} {
		var drops []uint32
		p := pooled(t, component.Options{}, guests.Calc(), nil)
		pool := newPool(t, p, component.PoolOptions{Concurrent: 1, Reuse: 3, Snapshot: mode})
		for n := range 10 {
			do(t, pool, func(i *component.Instance) {
				wantU32(t, i, uint32(n%3+1), "count")
				if err := i.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		made, restored := uint64(4), uint64(0)
		if mode != component.SnapshotOff {
			made, restored = 1, 3
		}
		wantStats(t, pool, made, restored, 0)

		// What the last left is dropped when the instance ends, in whatever way.
		p = pooled(t, component.Options{}, counting(), func(l *component.Linker) {
			if err := offerCounters(l, &drops); err != nil {
				t.Fatal(err)
			}
		})
		pool = newPool(t, p, component.PoolOptions{Concurrent: 1, Reuse: 3, Snapshot: mode})
		leave := func() {
			do(t, pool, func(i *component.Instance) {
				if _, err := call(t, i, "", "go", component.U32Val(1), component.BoolVal(false)); err != nil {
					t.Error(err)
				}
			})
		}
		for n, want := range []int{0, 0, 3, 3, 3, 6, 6} {
			if leave(); len(drops) != want {
				t.Errorf("%v: %d dropped after call %d, want %d", mode, len(drops), n+1, want)
			}
		}
		pool.Trim()
		if len(drops) != 7 {
			t.Errorf("%v: %d dropped after Trim", mode, len(drops))
		}
		leave()
		if err := pool.Close(t.Context()); err != nil || len(drops) != 8 {
			t.Errorf("%v: %d dropped after Close, %v", mode, len(drops), err)
		}
	}
}

// Calls that are under way when the pool is closed end as they would; then nothing is left.
func TestPoolClose(t *testing.T) {
	for _, mode := range []component.SnapshotMode{component.SnapshotOff, component.SnapshotData, component.SnapshotInit} {
		b := newBlocking()
		p := callers(t, b.step)
		pool, err := p.NewPool(component.PoolOptions{Concurrent: 2, Snapshot: mode})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pool.Prime(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		done, waited := make(chan error), make(chan error)
		for range 2 {
			go func() {
				done <- pool.Do(t.Context(), func(i *component.Instance) error { _, err := callU32(t, i, "go", 1); return err })
			}()
			<-b.entered
		}
		go func() {
			waited <- pool.Do(t.Context(), func(*component.Instance) error { t.Error("called"); return nil })
		}()
		eventually(t, "one waits", func() bool { return pool.Stats().Waiting == 1 })
		for range 2 {
			if err := pool.Close(t.Context()); err != nil {
				t.Errorf("%v: %v", mode, err)
			}
		}
		close(b.leave)
		for range 2 {
			if err := <-done; err != nil {
				t.Errorf("%v: a call that was under way: %v", mode, err)
			}
		}
		if err := <-waited; !errors.Is(err, component.ErrPoolClosed) {
			t.Errorf("%v: one that waited: %v", mode, err)
		}
		if err := pool.Do(t.Context(), func(*component.Instance) error { t.Error("called"); return nil }); !errors.Is(err, component.ErrPoolClosed) {
			t.Errorf("%v: use after close: %v", mode, err)
		}
		if _, err := pool.Prime(t.Context(), 1); !errors.Is(err, component.ErrPoolClosed) {
			t.Errorf("%v: prime after close: %v", mode, err)
		}
		pool.Trim()
		if s := pool.Stats(); s.Idle != 0 || s.InUse != 0 {
			t.Errorf("%v: %+v", mode, s)
		}
	}
}

// Pools share what depends on nothing but the component.
func TestPoolsShareSnapshots(t *testing.T) {
	for _, c := range []struct {
		name   string
		mode   component.SnapshotMode
		bytes  []byte
		shared int // snapshots of five pools that can be found
		images int // that they have
	}{
		{"pure", component.SnapshotAuto, starting(false, startPure), 1, 1},
		{"nothing", component.SnapshotAuto, starting(false, nil), 1, 1},
		{"data", component.SnapshotAuto, starting(false, startNotes), 1, 1},
		{"data", component.SnapshotData, starting(true, startNotes), 1, 1},
		{"once", component.SnapshotAuto, starting(true, startNotes), 0, 5},
		{"init", component.SnapshotInit, starting(false, startNotes), 0, 5},
		{"warm", component.SnapshotWarm, starting(false, startPure), 0, 5},
	} {
		t.Run(fmt.Sprint(c.name, "/", c.mode), func(t *testing.T) {
			e := component.NewEngine(component.Options{})
			defer func() {
				if err := e.Close(context.Background()); err != nil {
					t.Error(err)
				}
			}()
			comp, err := e.Compile(t.Context(), c.bytes)
			if err != nil {
				t.Fatal(err)
			}
			var pools []*component.Pool
			var used []int
			for n := range 5 {
				// Each has a host of its own.
				k := newKeeper()
				k.notes = make([]uint32, n)
				l := e.NewLinker()
				k.offer(t)(l)
				p, err := l.Prepare(t.Context(), comp)
				if err != nil {
					t.Fatal(err)
				}
				o := component.PoolOptions{Snapshot: c.mode}
				if c.mode == component.SnapshotWarm {
					o.WarmUp = func(_ context.Context, i *component.Instance) error {
						number(t, i, "put", component.U32Val(wordAt), component.U32Val(n))
						return nil
					}
				}
				pool, err := p.NewPool(o)
				if err != nil {
					t.Fatal(err)
				}
				pools = append(pools, pool)
				do(t, pool, func(i *component.Instance) {
					if got := number(t, i, "word", component.U32Val(wordAt)); c.images == 5 && c.mode != component.SnapshotWarm && got != uint64(n+1) ||
						c.mode == component.SnapshotWarm && got != uint64(n) {
						t.Errorf("pool %d begins with %d", n, got)
					}
				})
				now, _ := e.Core().Mappings()
				used = append(used, now)
			}
			if comp.SharedSnapshots() != c.shared {
				t.Errorf("%d snapshots can be shared, want %d", comp.SharedSnapshots(), c.shared)
			}
			// A mapping takes two (the memory of the image, and the rest) as an image does.
			if grew, want := used[4]-used[3], 2+2*(c.images/5); grew != want {
				t.Errorf("the fifth pool takes %d mappings, want %d: %v", grew, want, used)
			}
			for n, pool := range pools {
				if err := pool.Close(t.Context()); err != nil {
					t.Error(err)
				}
				if n < 4 && comp.SharedSnapshots() != c.shared {
					t.Errorf("pool %d took the snapshot with it", n)
				}
			}
			if comp.SharedSnapshots() != 0 {
				t.Errorf("%d snapshots are left", comp.SharedSnapshots())
			}
		})
	}
}

// Limits are part of what a snapshot depends on.
func TestPoolsOfOtherLimits(t *testing.T) {
	e := component.NewEngine(component.Options{})
	defer e.Close(context.Background())
	comp, err := e.Compile(t.Context(), starting(false, guests.Seq(guests.I32(wordAt), guests.I32(1), guests.MemoryGrow, guests.Store(0))))
	if err != nil {
		t.Fatal(err)
	}
	for pages, want := range map[uint64]uint64{3: 1<<32 - 1, 100: 3} {
		k := newKeeper()
		l := e.NewLinker()
		k.offer(t)(l)
		if err := l.SetLimits(component.Limits{MemoryBytes: pages << 16}); err != nil {
			t.Fatal(err)
		}
		p, err := l.Prepare(t.Context(), comp)
		if err != nil {
			t.Fatal(err)
		}
		pool := newPool(t, p, component.PoolOptions{})
		do(t, pool, func(i *component.Instance) {
			if got := number(t, i, "word", component.U32Val(wordAt)); got != want {
				t.Errorf("%d pages: the start function was told %d when it grew the memory, want %d", pages, got, want)
			}
		})
	}
	if n := comp.SharedSnapshots(); n != 2 {
		t.Errorf("%d snapshots can be shared, want one for each limit", n)
	}
}

// Where mappings run out, pools that are idle give theirs back.
func TestPoolsReclaim(t *testing.T) {
	const bound, count = 60, 1000
	e := component.NewEngineWithMappings(component.Options{}, bound)
	defer func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	comp, err := e.Compile(t.Context(), starting(true, startNotes)) // each pool has a snapshot of its own
	if err != nil {
		t.Fatal(err)
	}
	k := newKeeper()
	l := e.NewLinker()
	k.offer(t)(l)
	p, err := l.Prepare(t.Context(), comp)
	if err != nil {
		t.Fatal(err)
	}
	var pools []*component.Pool
	for range count {
		pool, err := p.NewPool(component.PoolOptions{IdleTime: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		pools = append(pools, pool)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for n := range count + 500 {
		pool := pools[n%count]
		if n >= count {
			pool = pools[r.IntN(count)]
		}
		do(t, pool, func(i *component.Instance) {
			if got := number(t, i, "word", component.U32Val(1000)); got != 0x61746164 {
				t.Fatalf("data %#x", got)
			}
			number(t, i, "put", component.U32Val(1000), component.U32Val(1))
		})
		if used, limit := e.Core().Mappings(); used > limit || limit != bound {
			t.Fatalf("%d mappings of %d", used, limit)
		}
	}
	// More instances at a time than there can be mappings have memory from elsewhere.
	var nest func(n int)
	nest = func(n int) {
		do(t, pools[n], func(i *component.Instance) {
			number(t, i, "put", component.U32Val(1000), component.U32Val(1))
			if n > 0 {
				nest(n - 1)
			}
			if got := number(t, i, "word", component.U32Val(1000)); got != 1 {
				t.Errorf("another instance wrote %#x", got)
			}
		})
	}
	nest(10)
	for _, pool := range pools {
		if err := pool.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// All that a pool can be asked for may be asked for at once.
func TestPoolConcurrentUse(t *testing.T) {
	e := component.NewEngine(component.Options{})
	comp, err := e.Compile(t.Context(), guests.Calc())
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.NewLinker().Prepare(t.Context(), comp)
	if err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	var mappings int
	for round := range 6 {
		var pools []*component.Pool
		for range 3 {
			pool, err := p.NewPool(component.PoolOptions{Concurrent: 4, Queue: 1000, Reuse: 1 + round%2, Idle: 2, IdleTime: 4 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			pools = append(pools, pool)
		}
		var all sync.WaitGroup
		var called atomic.Int32
		for n := range 12 {
			all.Add(1)
			go func() {
				defer all.Done()
				pool := pools[n%len(pools)]
				for k := range 40 {
					err := pool.Do(t.Context(), func(i *component.Instance) error {
						count, err := callU32(t, i, "count")
						if err == nil && count > uint32(1+round%2) {
							err = fmt.Errorf("counted to %d", count)
						}
						called.Add(1)
						if k%10 == 9 {
							_, err := call(t, i, "", "div", component.U32Val(1), component.U32Val(0))
							wantTrap(t, err, "divide")
						}
						return err
					})
					if err != nil && !errors.Is(err, component.ErrPoolClosed) {
						t.Error(err)
					}
				}
			}()
		}
		all.Add(1)
		go func() {
			defer all.Done()
			for range 20 {
				for _, pool := range pools {
					pool.Trim()
					_, _ = pool.Prime(t.Context(), 2)
					_ = pool.Stats()
					_ = pool.Snapshot()
				}
				runtime.Gosched()
			}
		}()
		if round >= 3 {
			eventually(t, "calls are made", func() bool { return called.Load() > 100 })
			for _, pool := range pools {
				all.Add(1)
				go func() {
					defer all.Done()
					if err := pool.Close(t.Context()); err != nil {
						t.Error(err)
					}
				}()
			}
		}
		all.Wait()
		for _, pool := range pools {
			if err := pool.Close(t.Context()); err != nil {
				t.Error(err)
			}
			if s := pool.Stats(); s.InUse != 0 || s.Idle != 0 || s.Waiting != 0 {
				t.Errorf("%+v", s)
			}
		}
		if comp.SharedSnapshots() != 0 {
			t.Error("a snapshot is left")
		}
		// All that stays is memory without contents for the next snapshots to be made in.
		now, _ := e.Core().Mappings()
		if round == 0 {
			mappings = now
		} else if now > mappings+6 {
			t.Errorf("round %d: %d mappings, %d after the first", round, now, mappings)
		}
	}
	eventually(t, "goroutines end", func() bool { return runtime.NumGoroutine() <= before })
	if err := e.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// What is in a module that is imported is not the component's: pools share nothing then.
func TestPoolsOfImportedModules(t *testing.T) {
	bytes := guests.ImportsModule()
	if info, err := component.SnapshotOf(bytes); err != nil || info.Mode != component.SnapshotAuto {
		t.Errorf("without running it: %+v, %v", info, err)
	}
	e := component.NewEngine(component.Options{})
	t.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	comp, err := e.Compile(t.Context(), bytes)
	if err != nil {
		t.Fatal(err)
	}
	for answer := range int32(3) {
		m := &guests.CoreModule{}
		m.Memories = []wasm.Memory{{MemoryType: wasm.MemoryType{PageSizeLog2: 16, Limits: wasm.Limits{Min: 1}}}}
		m.Define(&guests.Func{Name: "answer", Results: []wasm.ValType{wasm.I32}, Body: guests.Seq(
			guests.I32(0), guests.I32(0), guests.Load(0), guests.I32(1), guests.I32Add, guests.Store(0), guests.I32(0), guests.Load(0))})
		m.Define(&guests.Func{Start: true, Body: guests.Seq(guests.I32(0), guests.I32(10*answer), guests.Store(0))})
		module, err := e.CompileModule(m.Encode())
		if err != nil {
			t.Fatal(err)
		}
		l := e.NewLinker()
		if err := l.Root().Module("m", module); err != nil {
			t.Fatal(err)
		}
		p, err := l.Prepare(t.Context(), comp)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := p.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
		pool := newPool(t, p, component.PoolOptions{Concurrent: 1})
		for range 3 {
			do(t, pool, func(i *component.Instance) { wantU32(t, i, uint32(10*answer+1), "answer") })
		}
		wantStats(t, pool, 1, 3, 0)
	}
	if n := comp.SharedSnapshots(); n != 0 {
		t.Errorf("%d snapshots can be shared", n)
	}
}
