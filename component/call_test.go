package component_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// caller is an instance of guests.Caller whose import is step.
func caller(t *testing.T, o component.Options, step component.DynamicFunc) *component.Instance {
	t.Helper()
	return instantiate(t, o, guests.Caller().Bytes(), func(l *component.Linker) {
		if err := l.Root().Func("step", nil, step); err != nil {
			t.Fatal(err)
		}
	})
}

func increment(_ context.Context, args []component.Val) (component.Val, error) {
	return args[0].(component.U32Val) + 1, nil
}

func TestHostCall(t *testing.T) {
	for mode, o := range modes {
		i := caller(t, o, increment)
		wantU32(t, i, 42, "go", 41)
		wantU32(t, i, 1000, "many", 1000)
		if t.Failed() {
			t.Fatal(mode)
		}
	}
}

// What a host function returns must be of the type that is imported.
func TestHostResultIsChecked(t *testing.T) {
	for _, v := range []component.Val{component.U64Val(1), component.StringVal("1"), nil, component.OptionVal{}} {
		i := caller(t, component.Options{}, func(context.Context, []component.Val) (component.Val, error) { return v, nil })
		_, err := callU32(t, i, "go", 1)
		var host *component.HostError
		if !errors.As(err, &host) || !strings.Contains(err.Error(), "u32") {
			t.Errorf("%v: got %v", v, err)
		}
		if _, err := callU32(t, i, "go", 1); !errors.Is(err, component.ErrPoisoned) {
			t.Errorf("afterwards: %v", err)
		}
	}
}

// A bug in a host function ends the call, not the process.
func TestHostPanic(t *testing.T) {
	for mode, o := range modes {
		i := caller(t, o, func(_ context.Context, args []component.Val) (component.Val, error) { return args[1], nil })
		_, err := callU32(t, i, "go", 1)
		var host *component.HostError
		var bug runtime.Error
		if !errors.As(err, &host) || !errors.As(err, &bug) {
			t.Errorf("%s: got %v", mode, err)
		}
	}
}

func TestReentrance(t *testing.T) {
	for mode, o := range modes {
		t.Run(mode, func(t *testing.T) {
			var i *component.Instance
			i = caller(t, o, func(ctx context.Context, args []component.Val) (component.Val, error) {
				f, _ := i.Func("", "go")
				return f.Call(ctx, args)
			})
			_, err := callU32(t, i, "go", 1)
			trap := wantTrap(t, err, "cannot enter component instance")
			if len(trap.Stack) == 0 || trap.Stack[len(trap.Stack)-1].Function != "go" {
				t.Errorf("stack %v", trap.Stack)
			}
		})
	}
}

func TestCannotLeave(t *testing.T) {
	for mode, o := range modes {
		for name, args := range map[string][]component.Val{"post-return": nil, "allocate": {component.StringVal("x")}} {
			called := false
			i := caller(t, o, func(context.Context, []component.Val) (component.Val, error) {
				called = true
				return component.U32Val(0), nil
			})
			_, err := call(t, i, "", name, args...)
			wantTrap(t, err, "cannot leave component instance")
			if called {
				t.Errorf("%s: %s reached the host", mode, name)
			}
		}
	}
}

func TestConcurrentCallIsRefused(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	i := caller(t, component.Options{}, func(_ context.Context, args []component.Val) (component.Val, error) {
		close(entered)
		<-release
		return args[0], nil
	})
	done := make(chan error)
	go func() {
		f, _ := i.Func("", "go")
		_, err := f.Call(t.Context(), []component.Val{component.U32Val(1)})
		done <- err
	}()
	<-entered
	if _, err := callU32(t, i, "go", 1); !errors.Is(err, component.ErrBusy) {
		t.Errorf("got %v", err)
	}
	close(release)
	// The call that was under way is none the worse.
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestCancellationReachesHost(t *testing.T) {
	i := caller(t, component.Options{}, func(ctx context.Context, _ []component.Val) (component.Val, error) {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	})
	enough := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(10*time.Millisecond, func() { cancel(enough) })
	f, _ := i.Func("", "go")
	_, err := f.Call(ctx, []component.Val{component.U32Val(1)})
	var host *component.HostError
	if !errors.As(err, &host) || !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}

	// A context that has ended enters nothing.
	i = caller(t, component.Options{}, increment)
	f, _ = i.Func("", "go")
	if _, err := f.Call(ctx, []component.Val{component.U32Val(1)}); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
	wantU32(t, i, 2, "go", 1)
}

func TestNoGoroutineStays(t *testing.T) {
	p := prepare(t, component.Options{}, guests.Caller().Bytes(), func(l *component.Linker) {
		if err := l.Root().Func("step", nil, increment); err != nil {
			t.Fatal(err)
		}
	})
	before := runtime.NumGoroutine()
	for n := range 50 {
		i, err := p.Instantiate(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		wantU32(t, i, 2, "go", 1)
		if n%2 == 0 {
			_, err := call(t, i, "", "post-return")
			wantTrap(t, err, "cannot leave")
		}
		if err := i.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines before, %d after", before, after)
	}
}

func TestAsyncLift(t *testing.T) {
	for mode, o := range modes {
		for name, message := range map[string]string{
			"returns": "", "callback": "", "yields": "",
			"never": "failed to produce a result", "twice": "task.return",
		} {
			i := instantiate(t, o, guests.Async(), nil)
			v, err := callU32(t, i, name, 4)
			if message != "" {
				wantTrap(t, err, message)
			} else if v != 5 || err != nil {
				t.Errorf("%s: %s: %d, %v", mode, name, v, err)
			}
		}
		for name, feature := range map[string]string{"waits": "WAIT", "waitable-set": "canon waitable-set.new"} {
			i := instantiate(t, o, guests.Async(), nil)
			_, err := callU32(t, i, name, 4)
			var unsupported *component.UnsupportedError
			if !errors.As(err, &unsupported) || !strings.Contains(err.Error(), feature) {
				t.Errorf("%s: %s: %v", mode, name, err)
			}
		}
	}
}

func TestImportedModule(t *testing.T) {
	e := component.NewEngine(component.Options{})
	defer e.Close(t.Context())
	c, err := e.Compile(t.Context(), guests.ImportsModule())
	if err != nil {
		t.Fatal(err)
	}
	offer := func(results []wasm.ValType, body guests.Code) (*component.Prepared, error) {
		m := &guests.CoreModule{}
		m.Define(&guests.Func{Name: "answer", Results: results, Body: body})
		module, err := e.CompileModule(m.Encode())
		if err != nil {
			t.Fatal(err)
		}
		l := e.NewLinker()
		if err := l.Root().Module("m", module); err != nil {
			t.Fatal(err)
		}
		return l.Prepare(t.Context(), c)
	}
	p, err := offer([]wasm.ValType{wasm.I32}, guests.I32(42))
	if err != nil {
		t.Fatal(err)
	}
	i, err := p.Instantiate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantU32(t, i, 42, "answer")
	if err := errors.Join(i.Close(t.Context()), p.Close(t.Context())); err != nil {
		t.Error(err)
	}
	if _, err := offer([]wasm.ValType{wasm.I64}, guests.I64(42)); err == nil || !strings.Contains(err.Error(), `export "answer"`) {
		t.Errorf("a module of another type: %v", err)
	}
	if _, err := e.NewLinker().Prepare(t.Context(), c); err == nil {
		t.Error("prepared without the module")
	}
}

func TestTableLimit(t *testing.T) {
	// Two tables, of which the first grows by one element and then by another.
	for minimum, grown := range map[uint64]uint32{2: 2, 3: 1<<32 - 1, 5: 0, 1 << 20: 0} {
		b := guests.NewBuilder()
		m := &guests.CoreModule{}
		m.Tables = []wasm.Table{{TableType: wasm.TableType{Elem: wasm.FuncRef, Limits: wasm.Limits{Min: minimum - 1}}}, {TableType: wasm.TableType{Elem: wasm.FuncRef, Limits: wasm.Limits{Min: minimum}}}}
		grow := guests.Code{0xd0, 0x70, 0x41, 1, 0xfc, 0x0f, 0}
		m.Define(&guests.Func{Name: "grow", Results: []wasm.ValType{wasm.I32}, Body: guests.Seq(grow, guests.Drop, grow)})
		b.Instantiate(m, "grow")
		e := component.NewEngine(component.Options{Limits: component.Limits{TableElements: 7}})
		c, err := e.Compile(t.Context(), b.Bytes())
		if grown == 0 {
			wantLimit(t, err, component.LimitedTables)
		} else if err != nil {
			t.Errorf("minimum %d: %v", minimum, err)
		}
		if err == nil {
			p, err := e.NewLinker().Prepare(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			i, err := p.Instantiate(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			wantU32(t, i, grown, "grow")
			if err := i.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if err := e.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// Exported functions as generated bindings call them.
func TestTypedCall(t *testing.T) {
	i := instantiate(t, component.Options{}, guests.Calc(), nil)
	u32s := []abi.Field{abi.F("a", abi.U32), abi.F("b", abi.U32)}
	add, err := i.ExportedFunc("", "add", abi.Function(u32s, abi.U32))
	if err != nil {
		t.Fatal(err)
	}
	var sum uint64
	for range 2 {
		err = add.Invoke(t.Context(),
			func(_ *abi.Call, s []uint64) { s[0], s[1] = 20, 22 },
			func(_ *abi.Call, s []uint64) { sum = s[0] })
		if sum != 42 || err != nil {
			t.Errorf("%d, %v", sum, err)
		}
	}
	echo, err := i.ExportedFunc("", "echo", abi.Function([]abi.Field{abi.F("s", abi.String)}, abi.String))
	if err != nil {
		t.Fatal(err)
	}
	var text string
	if err := echo.Invoke(t.Context(),
		func(c *abi.Call, s []uint64) {
			p, n := c.StoreString("héllo")
			s[0], s[1] = uint64(p), uint64(n)
		},
		func(c *abi.Call, s []uint64) {
			p := uint32(s[0])
			c.Check(p, 8, 4)
			text = c.LoadString(c.U32(p), c.U32(p+4))
		}); err != nil || text != "héllo" {
		t.Errorf("%q, %v", text, err)
	}
	for name, ft := range map[string]*abi.FuncType{
		"sub": abi.Function(u32s, abi.U32),
		"add": abi.Function(u32s[:1], abi.U32),
		"div": abi.Function(u32s, abi.S32),
	} {
		if _, err := i.ExportedFunc("", name, ft); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", name)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	div, err := i.ExportedFunc("", "div", abi.Function(u32s, abi.U32))
	if err != nil {
		t.Fatal(err)
	}
	lifted := false
	err = div.Invoke(t.Context(), func(*abi.Call, []uint64) {}, func(*abi.Call, []uint64) { lifted = true })
	wantTrap(t, err, "integer divide by zero")
	if lifted {
		t.Error("a result was lifted of a call that trapped")
	}
}

// A resource of the guest, by its placeholder in generated bindings.
func TestTypedGuestResource(t *testing.T) {
	i := instantiate(t, component.Options{}, guests.Nodes().Bytes(), nil)
	node := abi.GuestResource("node")
	own, borrow := abi.Own(node), abi.Borrow(node)
	export := func(name string, ft *abi.FuncType) abi.Export {
		e, err := i.ExportedFunc("", name, ft)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	n := []abi.Field{abi.F("n", abi.U32)}
	create := export("make", abi.Function(n, own))
	get := export("get", abi.Function([]abi.Field{abi.F("n", borrow)}, abi.U32))
	take := export("take", abi.Function([]abi.Field{abi.F("n", own)}, abi.U32))

	var h *abi.Handle
	if err := create.Invoke(t.Context(), func(_ *abi.Call, s []uint64) { s[0] = 8 },
		func(c *abi.Call, s []uint64) { h = c.LiftHandle(own, uint32(s[0])) }); err != nil {
		t.Fatal(err)
	}
	pass := func(e abi.Export, as *abi.Type) (v uint64, err error) {
		err = e.Invoke(t.Context(), func(c *abi.Call, s []uint64) { s[0] = uint64(c.LowerHandle(as, h)) },
			func(_ *abi.Call, s []uint64) { v = s[0] })
		return v, err
	}
	for range 2 {
		if v, err := pass(get, borrow); v != 8 || err != nil {
			t.Errorf("get: %d, %v", v, err)
		}
	}
	if v, err := pass(take, own); v != 8 || err != nil {
		t.Errorf("take: %d, %v", v, err)
	}
	wantU32(t, i, 8, "dropped")
	if _, err := pass(get, borrow); err == nil {
		t.Error("a node that was passed on was accepted")
	}
	if _, err := i.ExportedFunc("", "make", abi.Function(n, borrow)); err == nil {
		t.Error("own was taken for borrow")
	}
}
