package component_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// worker imports rest: func(), and exports
//
//	spin: func()              // calls rest and never returns
//	count: func(n: u32)       // goes round a loop n times
//	recurse: func(n: u32)     // calls itself n times, working after each call
//	rest: func(n: u32)        // calls rest n times
func worker() []byte {
	i32 := []wasm.ValType{wasm.I32}
	down := guests.Seq(guests.Get(0), guests.I32(1), guests.I32Sub)
	number := abi.Function([]abi.Field{abi.F("n", abi.U32)}, nil)
	rest := abi.Function(nil, nil)
	g := guests.Guest{
		Imports: []abi.Interface{{Name: "a:b/c", Funcs: []abi.Func{{Name: "rest", Type: rest}}}},
		Funcs: []guests.Func{
			{Name: "spin", Body: guests.Seq(guests.Call(0), guests.Loop(guests.I32(1)))},
			{Name: "count", Params: i32, Body: guests.Loop(guests.Seq(down, guests.Set(0), guests.Get(0)))},
			{Name: "recurse", Params: i32, Body: guests.Seq(guests.Get(0),
				guests.If(guests.Seq(down, guests.Call(3), guests.I32(64), guests.Get(0), guests.Store(0))))},
			{Name: "rest", Params: i32, Body: guests.Loop(guests.Seq(guests.Call(0), down, guests.Set(0), guests.Get(0)))},
		},
		Exports: []guests.Export{
			{Name: "spin", Type: rest, Core: "spin"}, {Name: "count", Type: number, Core: "count"},
			{Name: "recurse", Type: number, Core: "recurse"}, {Name: "rest", Type: number, Core: "rest"},
		},
	}
	return g.Component()
}

func workers(t *testing.T, o component.Options, rest func(ctx context.Context) error) *component.Prepared {
	t.Helper()
	return prepare(t, o, worker(), func(l *component.Linker) {
		in, err := l.Instance("a:b/c")
		if err == nil {
			err = in.Func("rest", abi.Function(nil, nil), func(ctx context.Context, _ []component.Val) (component.Val, error) { return nil, rest(ctx) })
		}
		if err != nil {
			t.Fatal(err)
		}
	})
}

func nothing(context.Context) error { return nil }

// run calls a function of a fresh instance.
func run(ctx context.Context, t *testing.T, p *component.Prepared, name string, args ...component.Val) (*component.Instance, error) {
	t.Helper()
	i, err := p.Instantiate(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	f, ok := i.Func("", name)
	if !ok {
		t.Fatalf("no function %q", name)
	}
	_, err = f.Call(ctx, args)
	return i, err
}

func wantLimit(t *testing.T, err error, of component.Limited) {
	t.Helper()
	var limit *component.LimitError
	if !errors.As(err, &limit) || limit.Resource != of || limit.Requested < limit.Limit {
		t.Errorf("%v (%#v), want a limit of %s", err, err, of)
	}
}

func TestSpinningGuest(t *testing.T) {
	for mode, o := range modes {
		t.Run(mode, func(t *testing.T) {
			why := errors.New("no longer wanted")
			for name, c := range map[string]struct {
				limits component.Limits
				want   error
				of     component.Limited
			}{
				"deadline":  {want: why},
				"cancelled": {want: why},
				"CPU":       {limits: component.Limits{CPU: 20 * time.Millisecond}, of: component.LimitedCPU},
				"time":      {limits: component.Limits{Time: 20 * time.Millisecond}, of: component.LimitedTime},
				"fuel":      {limits: component.Limits{Fuel: 1e6}, of: component.LimitedFuel},
			} {
				t.Run(name, func(t *testing.T) {
					o := o
					o.Limits = c.limits
					ctx, cancel := context.WithCancelCause(t.Context())
					defer cancel(nil)
					if name == "deadline" {
						var stop context.CancelFunc
						ctx, stop = context.WithTimeoutCause(ctx, time.Second/2, why)
						defer stop()
					}
					p := workers(t, o, func(context.Context) error {
						if name == "cancelled" {
							timer := time.AfterFunc(20*time.Millisecond, func() { cancel(why) })
							t.Cleanup(func() { timer.Stop() })
						}
						return nil
					})
					i, err := run(ctx, t, p, "spin")
					if c.want != nil && !errors.Is(err, c.want) {
						t.Errorf("%v, want %v", err, c.want)
					}
					u := p.Usage()
					if c.of != "" {
						wantLimit(t, err, c.of)
						if u.Limits[c.of] != 1 || len(u.Limits) != 1 {
							t.Errorf("counted %v", u.Limits)
						}
					}
					if u.Calls != 2 || u.CPU <= 0 || i.CPU() != u.CPU {
						t.Errorf("%d calls took %v, the instance's %v", u.Calls, u.CPU, i.CPU())
					}
					if f, _ := i.Func("", "count"); f != nil {
						if _, err := f.Call(t.Context(), []component.Val{component.U32Val(1)}); !errors.Is(err, component.ErrPoisoned) {
							t.Errorf("after it was stopped: %v", err)
						}
					}
				})
			}
		})
	}
}

// The same work takes the same fuel, and one unit less stops it.
func TestFuel(t *testing.T) {
	for mode, o := range modes {
		t.Run(mode, func(t *testing.T) {
			const rounds = 100_000
			o.Limits.Fuel = 1 << 40
			p := workers(t, o, nothing)
			i, err := run(t.Context(), t, p, "count", component.U32Val(rounds))
			if err != nil {
				t.Fatal(err)
			}
			used := i.Fuel()
			// Each round is five instructions and a branch.
			if used < 5*rounds || used > 20*rounds {
				t.Errorf("%d units for %d rounds", used, rounds)
			}
			f, _ := i.Func("", "count")
			for range 3 {
				if _, err := f.Call(t.Context(), []component.Val{component.U32Val(rounds)}); err != nil || i.Fuel() != used {
					t.Errorf("%d units, then %d, %v", used, i.Fuel(), err)
				}
			}
			for _, c := range []struct {
				fuel uint64
				ok   bool
			}{{used, true}, {used + 1, true}, {used - 2, false}, {used / 2, false}, {1, false}} {
				o.Limits.Fuel = c.fuel
				_, err := run(t.Context(), t, workers(t, o, nothing), "count", component.U32Val(rounds))
				if c.ok && err != nil {
					t.Errorf("%d units needed, %d given: %v", used, c.fuel, err)
				} else if !c.ok {
					wantLimit(t, err, component.LimitedFuel)
				}
			}
		})
	}
}

func TestStackLimit(t *testing.T) {
	p := workers(t, component.Options{Limits: component.Limits{StackBytes: 8 << 20}}, nothing)
	if _, err := run(t.Context(), t, p, "recurse", component.U32Val(1000)); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := run(t.Context(), t, p, "recurse", component.U32Val(1<<31))
	runtime.ReadMemStats(&after)
	wantLimit(t, err, component.LimitedStack)
	var trap *component.Trap
	if !errors.As(err, &trap) || trap.Kind != component.TrapStackExhausted || len(trap.Stack) == 0 || trap.Stack[0].Function != "recurse" {
		t.Errorf("%v, %+v", err, trap)
	}
	// Stacks are doubled: all that were allocated on the way are less than twice
	// the last.
	if total := after.TotalAlloc - before.TotalAlloc; total > 2*8<<20+4<<20 {
		t.Errorf("%d bytes were allocated", total)
	}
}

// What the host does is not the guest's CPU time, but the guest's deadline holds
// for it.
func TestHostTime(t *testing.T) {
	o := component.Options{Limits: component.Limits{CPU: 30 * time.Millisecond}}
	p := workers(t, o, func(context.Context) error { time.Sleep(time.Millisecond); return nil })
	i, err := run(t.Context(), t, p, "rest", component.U32Val(50))
	if err != nil || i.CPU() > 30*time.Millisecond {
		t.Errorf("CPU time %v, %v", i.CPU(), err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := run(ctx, t, p, "rest", component.U32Val(1<<31)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	o.Limits = component.Limits{Time: 20 * time.Millisecond}
	p = workers(t, o, func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) })
	_, err = run(t.Context(), t, p, "rest", component.U32Val(1))
	wantLimit(t, err, component.LimitedTime)
}

// Guests that spin, more than there are processors, take turns: all end at their
// deadlines, and other goroutines go on meanwhile.
func TestTurns(t *testing.T) {
	p := workers(t, component.Options{}, nothing)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var group sync.WaitGroup
	n := 2*runtime.GOMAXPROCS(0) + 1
	errs := make([]error, n)
	used := make([]time.Duration, n)
	for k := range n {
		i, err := p.Instantiate(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		f, _ := i.Func("", "spin")
		group.Go(func() {
			_, errs[k] = f.Call(ctx, nil)
			used[k] = i.CPU()
			_ = i.Close(context.Background())
		})
	}
	for range 50 {
		time.Sleep(time.Millisecond)
		runtime.Gosched()
	}
	runtime.GC()
	deadline := time.Now().Add(time.Minute)
	for p.Usage().Calls < uint64(n) && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	cancel()
	group.Wait()
	for k, err := range errs {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("guest %d: %v", k, err)
		}
	}
}

func TestInstancesLimit(t *testing.T) {
	// A memory with an allocator, and the code.
	for limit, ok := range map[int]bool{2: true, 1: false} {
		e := component.NewEngine(component.Options{Limits: component.Limits{Instances: limit}})
		_, err := e.Compile(t.Context(), worker())
		if ok && err != nil {
			t.Error(err)
		} else if !ok {
			wantLimit(t, err, component.LimitedInstances)
		}
		if err := e.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// A linker's limits are those of what it prepares.
func TestSetLimits(t *testing.T) {
	e := component.NewEngine(component.Options{})
	t.Cleanup(func() { _ = e.Close(context.Background()) })
	c, err := e.Compile(t.Context(), worker())
	if err != nil {
		t.Fatal(err)
	}
	l := e.NewLinker()
	in, err := l.Instance("a:b/c")
	if err == nil {
		err = in.Func("rest", nil, func(context.Context, []component.Val) (component.Val, error) { return nil, nil })
	}
	if err != nil {
		t.Fatal(err)
	}
	before, err := l.Prepare(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.SetLimits(component.Limits{Fuel: 1000}); err != nil {
		t.Fatal(err)
	}
	after, err := l.Prepare(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run(t.Context(), t, before, "count", component.U32Val(1000)); err != nil {
		t.Error(err)
	}
	_, err = run(t.Context(), t, after, "count", component.U32Val(1000))
	wantLimit(t, err, component.LimitedFuel)
	for _, limits := range []component.Limits{{TableElements: 5}, {Instances: 5}} {
		if l.SetLimits(limits) == nil {
			t.Errorf("%+v was accepted", limits)
		}
	}
}
