package component_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// modes are the ways in which tests run guests.
var modes = map[string]component.Options{
	"compiler":    {},
	"interpreter": {Interpreter: true},
}

func prepare(t *testing.T, o component.Options, wasm []byte, link func(*component.Linker)) *component.Prepared {
	t.Helper()
	ctx := t.Context()
	e := component.NewEngine(o)
	t.Cleanup(func() { _ = e.Close(context.Background()) })
	c, err := e.Compile(ctx, wasm)
	if err != nil {
		t.Fatal(err)
	}
	l := e.NewLinker()
	if link != nil {
		link(l)
	}
	p, err := l.Prepare(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func instantiate(t *testing.T, o component.Options, wasm []byte, link func(*component.Linker)) *component.Instance {
	t.Helper()
	i, err := prepare(t, o, wasm, link).Instantiate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return i
}

func call(t *testing.T, i *component.Instance, iface, name string, args ...component.Val) (component.Val, error) {
	t.Helper()
	f, ok := i.Func(iface, name)
	if !ok {
		t.Fatalf("no function %s#%s", iface, name)
	}
	return f.Call(t.Context(), args)
}

func TestCall(t *testing.T) {
	for name, o := range modes {
		t.Run(name, func(t *testing.T) {
			i := instantiate(t, o, guests.Calc(), nil)
			if v, err := call(t, i, "", "add", component.U32Val(20), component.U32Val(22)); v != component.U32Val(42) || err != nil {
				t.Errorf("add: %v, %v", v, err)
			}
			if v, err := call(t, i, "", "echo", component.StringVal("héllo")); v != component.StringVal("héllo") || err != nil {
				t.Errorf("echo: %v, %v", v, err)
			}
			p := func(x, y int32) component.Val {
				return component.RecordVal{{Name: "x", Value: component.S32Val(x)}, {Name: "y", Value: component.S32Val(y)}}
			}
			// Any version of the track finds the interface.
			v, err := call(t, i, "docs:calc/points@0.1.7", "swap", p(1, -2))
			if fmt.Sprint(v) != fmt.Sprint(p(-2, 1)) || err != nil {
				t.Errorf("swap: %v, %v", v, err)
			}
		})
	}
}

func TestArgumentsAreChecked(t *testing.T) {
	i := instantiate(t, component.Options{}, guests.Calc(), nil)
	for _, args := range [][]component.Val{
		{},
		{component.U32Val(1)},
		{component.U32Val(1), component.StringVal("2")},
		{component.U32Val(1), component.U64Val(2)},
		{nil, nil},
	} {
		if _, err := call(t, i, "", "add", args...); err == nil {
			t.Errorf("add(%v) was accepted", args)
		}
	}
	if _, err := call(t, i, "", "echo", component.StringVal("\xff")); err == nil {
		t.Error("a string that is not UTF-8 was accepted")
	}
	// None of that ran the guest, so it is still good.
	if v, err := call(t, i, "", "add", component.U32Val(1), component.U32Val(2)); v != component.U32Val(3) {
		t.Errorf("add: %v, %v", v, err)
	}
}

func TestTrap(t *testing.T) {
	for name, o := range modes {
		t.Run(name, func(t *testing.T) {
			i := instantiate(t, o, guests.Calc(), nil)
			_, err := call(t, i, "", "div", component.U32Val(1), component.U32Val(0))
			var trap *component.Trap
			if !errors.As(err, &trap) || trap.Message != "integer divide by zero" || trap.Kind != component.TrapDivideByZero {
				t.Fatalf("got %v", err)
			}
			if len(trap.Stack) != 2 || trap.Stack[0].String() != "guest.divide" || trap.Stack[1].String() != "guest.div" {
				t.Errorf("stack: %v", trap.Stack)
			}
			// The instance is poisoned.
			if _, err := call(t, i, "", "add", component.U32Val(1), component.U32Val(2)); !errors.Is(err, component.ErrPoisoned) {
				t.Errorf("after a trap: %v", err)
			}
		})
	}
}

func TestInstancesAreSeparate(t *testing.T) {
	p := prepare(t, component.Options{}, guests.Calc(), nil)
	for range 2 {
		i, err := p.Instantiate(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for want := range 3 {
			if v, err := call(t, i, "", "count"); v != component.U32Val(want+1) || err != nil {
				t.Errorf("count: %v, %v", v, err)
			}
		}
		if err := i.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestMemoryLimit(t *testing.T) {
	o := component.Options{Limits: component.Limits{MemoryBytes: 4 << 16}}
	i := instantiate(t, o, guests.Calc(), nil)
	if v, err := call(t, i, "", "grow", component.U32Val(3)); v != component.S32Val(1) || err != nil {
		t.Errorf("growth to the limit: %v, %v", v, err)
	}
	if err := i.MemoryExceeded(); err != nil {
		t.Errorf("exceeded: %v", err)
	}
	if v, err := call(t, i, "", "grow", component.U32Val(1)); v != component.S32Val(-1) || err != nil {
		t.Errorf("growth past the limit: %v, %v", v, err)
	}
	if i.MemoryExceeded() == nil || i.MemoryUsed() != 4<<16 {
		t.Errorf("exceeded: %v, used: %d", i.MemoryExceeded(), i.MemoryUsed())
	}
	// A memory that is too large from the start is refused.
	g := guests.Guest{Pages: 5}
	p := prepare(t, o, g.Component(), nil)
	if _, err := p.Instantiate(t.Context()); err == nil || !strings.Contains(err.Error(), "memory limit exceeded") {
		t.Errorf("instantiate: %v", err)
	}
}

// host is an interface with a function on strings and a resource.
var (
	counter     = abi.GuestResource("counter")
	counterNew  = abi.Function([]abi.Field{abi.F("n", abi.U32)}, abi.Own(counter))
	counterNext = abi.Function([]abi.Field{abi.F("self", abi.Borrow(counter))}, abi.U32)
	counters    = abi.Interface{Name: "test:host/counters@1.2.0", Resources: []*abi.Resource{counter}, Funcs: []abi.Func{
		{Name: "[constructor]counter", Type: counterNew},
		{Name: "[method]counter.next", Type: counterNext},
	}}
)

// counting makes a counter that starts at its argument, takes two steps, and
// drops it if the second argument is not 0; it returns what the last step gave.
func counting() []byte {
	i32 := []wasm.ValType{wasm.I32}
	g := &guests.Guest{
		Imports: []abi.Interface{counters},
		Drops:   []*abi.Resource{counter},
		Funcs: []guests.Func{{Name: "go", Params: []wasm.ValType{wasm.I32, wasm.I32}, Results: i32, Locals: 1, Body: guests.Seq(
			guests.Get(0), guests.Call(0), guests.Set(2),
			guests.Get(2), guests.Call(1), guests.Drop,
			guests.Get(2), guests.Call(1),
			guests.Get(1), guests.If(guests.Seq(guests.Get(2), guests.Call(2))),
		)}},
		Exports: []guests.Export{{Name: "go", Core: "go", Type: abi.Function(
			[]abi.Field{abi.F("n", abi.U32), abi.F("drop", abi.Bool)}, abi.U32)}},
	}
	return g.Component()
}

// offerCounters links counters of the host, of another version of the track.
func offerCounters(l *component.Linker, drops *[]uint32) error {
	r := abi.HostResource("counter", func(_ context.Context, v any) error {
		*drops = append(*drops, *v.(*uint32))
		return nil
	})
	return l.Define(abi.Interface{Name: "test:host/counters@1.4.0", Resources: []*abi.Resource{r}, Funcs: []abi.Func{
		{Name: "[constructor]counter", Type: abi.Function(counterNew.Params, abi.Own(r)), Call: func(c *abi.Call, s []uint64) {
			n := uint32(s[0])
			s[0] = uint64(c.PutOwn(r, &n))
		}},
		{Name: "[method]counter.next", Type: abi.Function([]abi.Field{abi.F("self", abi.Borrow(r))}, abi.U32), Call: func(c *abi.Call, s []uint64) {
			n := c.Lend(r, uint32(s[0])).(*uint32)
			*n++
			s[0] = uint64(*n)
		}},
	}})
}

func TestHostResource(t *testing.T) {
	var drops []uint32
	link := func(l *component.Linker) {
		if err := offerCounters(l, &drops); err != nil {
			t.Fatal(err)
		}
	}
	p := prepare(t, component.Options{}, counting(), link)
	for _, drop := range []bool{true, false} {
		i, err := p.Instantiate(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		drops = nil
		if v, err := call(t, i, "", "go", component.U32Val(40), component.BoolVal(drop)); v != component.U32Val(42) || err != nil {
			t.Errorf("go: %v, %v", v, err)
		}
		if dropped := len(drops) == 1; dropped != drop {
			t.Errorf("dropped: %v, want %v", drops, drop)
		}
		// What the guest kept goes with it.
		if err := i.Close(t.Context()); err != nil || len(drops) != 1 || drops[0] != 42 {
			t.Errorf("close: %v, drops: %v", err, drops)
		}
	}
}

func TestMissingImports(t *testing.T) {
	e := component.NewEngine(component.Options{})
	defer e.Close(t.Context())
	c, err := e.Compile(t.Context(), counting())
	if err != nil {
		t.Fatal(err)
	}
	var link *component.LinkError
	if _, err := e.NewLinker().Prepare(t.Context(), c); !errors.As(err, &link) || len(link.Missing) != 1 {
		t.Fatalf("nothing offered: %v", err)
	}
	l := e.NewLinker()
	in, err := l.Instance("test:host/counters@1.2.0")
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Resource("counter", abi.HostResource("counter", nil)); err != nil {
		t.Fatal(err)
	}
	if err := in.Func("[method]counter.net", nil, nil); err != nil {
		t.Fatal(err)
	}
	wrong := abi.Function([]abi.Field{abi.F("n", abi.U64)}, abi.U32)
	if err := in.Func("[constructor]counter", wrong, nil); err != nil {
		t.Fatal(err)
	}
	_, err = l.Prepare(t.Context(), c)
	if !errors.As(err, &link) || len(link.Missing) != 2 {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{
		"[constructor]counter: type mismatch: the component imports func(n: u32) -> own<counter>, the host offers func(n: u64) -> u32",
		"[method]counter.next: not provided (closest on offer: test:host/counters@1.2.0#[method]counter.net)",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
}

func TestHostErrorUnwinds(t *testing.T) {
	boom := errors.New("boom")
	i := instantiate(t, component.Options{}, counting(), func(l *component.Linker) {
		in, err := l.Instance(counters.Name)
		if err != nil {
			t.Fatal(err)
		}
		fail := func(context.Context, []component.Val) (component.Val, error) { return nil, boom }
		for _, err := range []error{
			in.Resource("counter", abi.HostResource("counter", nil)),
			in.Func("[constructor]counter", nil, fail), in.Func("[method]counter.next", nil, fail),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	})
	_, err := call(t, i, "", "go", component.U32Val(1), component.BoolVal(true))
	var host *component.HostError
	if !errors.Is(err, boom) || !errors.As(err, &host) || len(host.Stack) == 0 || host.Stack[len(host.Stack)-1].Function != "go" {
		t.Errorf("got %#v", err)
	}
}

func TestInvalidComponents(t *testing.T) {
	e := component.NewEngine(component.Options{})
	defer e.Close(t.Context())
	good := guests.Calc()
	for n := range good {
		if _, err := e.Compile(t.Context(), good[:n]); err == nil && n < 8 {
			t.Errorf("the first %d bytes were accepted", n)
		}
	}
	for n := 8; n < len(good); n += 7 {
		bad := append([]byte(nil), good...)
		bad[n] ^= 0xff
		_, _ = e.Compile(t.Context(), bad) // must not panic
	}
}

func TestPool(t *testing.T) {
	pool, err := prepare(t, component.Options{}, guests.Calc(), nil).NewPool(component.PoolOptions{Concurrent: 2, Queue: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := pool.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	release, entered := make(chan struct{}), make(chan struct{}, 3)
	var wg sync.WaitGroup
	errs := make([]error, 3)
	hold := func(n int) {
		wg.Go(func() {
			errs[n] = pool.Do(t.Context(), func(i *component.Instance) error {
				entered <- struct{}{}
				<-release
				f, _ := i.Func("", "count")
				v, err := f.Call(t.Context(), nil)
				if v != component.U32Val(1) {
					return fmt.Errorf("the instance is not fresh: %v, %v", v, err)
				}
				return err
			})
		})
	}
	hold(0)
	hold(1)
	<-entered
	<-entered
	// One may wait, which shows when its context ends it.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := pool.Do(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting with a cancelled context: %v", err)
	}
	close(release)
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}

func Example() {
	ctx := context.Background()
	engine := component.NewEngine(component.Options{})
	defer engine.Close(ctx)
	c, err := engine.Compile(ctx, guests.Calc())
	if err != nil {
		log.Fatal(err)
	}
	prepared, err := engine.NewLinker().Prepare(ctx, c)
	if err != nil {
		log.Fatal(err)
	}
	instance, err := prepared.Instantiate(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer instance.Close(ctx)
	add, _ := instance.Func("", "add")
	sum, err := add.Call(ctx, []component.Val{component.U32Val(20), component.U32Val(22)})
	fmt.Println(sum, err)
	// Output: 42 <nil>
}

// Nobody has to offer an interface of types alone.
func TestImportOfTypes(t *testing.T) {
	const module = "\x00asm\x01\x00\x00\x00" +
		"\x01\x06\x01\x60\x01\x7f\x01\x7f" + "\x03\x02\x01\x00" + "\x07\x05\x01\x01f\x00\x00" + "\x0a\x06\x01\x04\x00\x20\x00\x0b"
	build := func(decls string) []byte {
		types := "\x01\x42" + decls
		return []byte("\x00asm\x0d\x00\x01\x00" +
			"\x07" + string(rune(len(types))) + types + "\x0a\x06\x01\x00\x01i\x05\x00" + // import
			"\x01\x23" + module + "\x02\x04\x01\x00\x00\x00" + "\x06\x07\x01\x00\x00\x01\x00\x01f" + // core instance
			"\x07\x08\x01\x40\x01\x01x\x79\x00\x79" + "\x08\x06\x01\x00\x00\x00\x00\x01" + "\x0b\x09\x01\x00\x03run\x01\x00\x00")
	}
	for _, c := range []struct {
		decls string // of the instance type that is imported
		want  string
	}{
		{"\x02\x01\x70\x7d\x04\x00\x01t\x03\x00\x00", ""},                    // a list
		{"\x01\x04\x00\x01r\x03\x01", "i: not provided"},                     // a resource
		{"\x02\x01\x40\x00\x01\x00\x04\x00\x01f\x01\x00", "i: not provided"}, // a function
	} {
		e := component.NewEngine(component.Options{})
		defer e.Close(t.Context())
		compiled, err := e.Compile(t.Context(), build(c.decls))
		if err != nil {
			t.Fatal(err)
		}
		p, err := e.NewLinker().Prepare(t.Context(), compiled)
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			continue
		}
		if err != nil {
			t.Error(err)
			continue
		}
		i, err := p.Instantiate(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer i.Close(t.Context())
		f, _ := i.Func("", "run")
		if v, err := f.Call(t.Context(), []component.Val{component.U32Val(7)}); err != nil || v != component.U32Val(7) {
			t.Errorf("%v, %v", v, err)
		}
	}
}

func TestPoolWait(t *testing.T) {
	pool, err := prepare(t, component.Options{}, guests.Calc(), nil).NewPool(component.PoolOptions{Concurrent: 1, Wait: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close(context.Background())
	err = pool.Do(t.Context(), func(*component.Instance) error {
		return pool.Do(t.Context(), func(*component.Instance) error { return errors.New("had a turn") })
	})
	if !errors.Is(err, component.ErrPoolFull) {
		t.Error(err)
	}
	if s := pool.Stats(); s.Waiting != 0 || s.InUse != 0 {
		t.Errorf("%+v", s)
	}
}
