package component_test

import (
	"context"
	"errors"
	"testing"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/canon"
	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// dropCounter counts how often each of the resources that it made was dropped.
type dropCounter struct {
	resource *abi.Resource
	dropped  []int
}

func newDropCounter() *dropCounter {
	c := &dropCounter{}
	c.resource = abi.HostResource("thing", func(_ context.Context, v any) error {
		c.dropped[v.(int)]++
		return nil
	})
	return c
}

func (c *dropCounter) make() int {
	c.dropped = append(c.dropped, 0)
	return len(c.dropped) - 1
}

func (c *dropCounter) handle() *component.Resource {
	return &component.Resource{Type: c.resource.Type, Rep: canon.Rep{Host: c.make()}, Own: true}
}

// check tells that so many were made and each was dropped once.
func (c *dropCounter) check(t *testing.T, made int) {
	t.Helper()
	if len(c.dropped) != made {
		t.Errorf("%d were made, want %d", len(c.dropped), made)
	}
	for n, times := range c.dropped {
		if times != 1 {
			t.Errorf("resource %d was dropped %d times", n, times)
		}
	}
}

// things is what flights import: functions of the host on a resource.
func things(r *abi.Resource) abi.Interface {
	own := abi.Own(r)
	return abi.Interface{Name: "test:h/things", Resources: []*abi.Resource{r}, Funcs: []abi.Func{
		{Name: "make", Type: abi.Function(nil, own)},
		{Name: "take", Type: takeThings(r)},
		{Name: "list", Type: abi.Function([]abi.Field{abi.F("l", abi.List(own)), abi.F("s", abi.String)}, nil)},
		{Name: "some", Type: abi.Function(nil, abi.Tuple(own, abi.String, own))},
	}}
}

func takeThings(r *abi.Resource) *abi.FuncType {
	own := abi.Own(r)
	return abi.Function([]abi.Field{abi.F("a", own), abi.F("s", abi.String), abi.F("b", own)}, nil)
}

const outOfBounds = 0x7ffffff0

// The core functions of flights. Those of the host are imports 0, 1, ...
const makeThing, takeThing, listThings, someThings = 0, 1, 2, 3

func flightFuncs() []guests.Func {
	g, i32 := guests.Seq, []wasm.ValType{wasm.I32}
	made := g(guests.Call(makeThing), guests.Set(0), guests.Call(makeThing), guests.Set(1))
	take := func(p, n int32, b guests.Code) guests.Code {
		return g(made, guests.Get(0), guests.I32(p), guests.I32(n), b, guests.Call(takeThing))
	}
	list := func(n int32, b guests.Code, p int32) guests.Code {
		return g(made, guests.I32(64), guests.Get(0), guests.Store(0), guests.I32(64), b, guests.Store(4),
			guests.I32(64), guests.I32(n), guests.I32(p), guests.I32(1), guests.Call(listThings))
	}
	return []guests.Func{
		{Name: "take", Locals: 2, Body: take(0, 1, guests.Get(1))},
		{Name: "take-string", Locals: 2, Body: take(outOfBounds, 1, guests.Get(1))},
		{Name: "take-handle", Locals: 2, Body: take(0, 1, guests.I32(99))},
		{Name: "take-twice", Locals: 2, Body: take(0, 1, guests.Get(0))},
		{Name: "list", Locals: 2, Body: list(2, guests.Get(1), 0)},
		{Name: "list-handle", Locals: 2, Body: list(2, guests.I32(99), 0)},
		{Name: "list-string", Locals: 2, Body: list(2, guests.Get(1), outOfBounds)},
		{Name: "many", Locals: 2, Body: guests.Loop(g(guests.Call(makeThing), guests.Drop, guests.I32(1)))},
		{Name: "some", Body: g(guests.I32(64), guests.Call(someThings))},
		{Name: "some-pointer", Body: g(guests.I32(outOfBounds), guests.Call(someThings))},
		{Name: "gives", Results: i32, Locals: 2, Body: g(made,
			guests.I32(64), guests.Get(0), guests.Store(0),
			guests.I32(64), guests.I32(outOfBounds), guests.Store(4), guests.I32(64), guests.I32(1), guests.Store(8),
			guests.I32(64), guests.Get(1), guests.Store(12), guests.I32(64))},
	}
}

// libcWithout has a realloc that traps.
func libcWithout(b *guests.Builder) guests.Libc {
	l := b.Libc(nil, 1)
	i32 := wasm.I32
	l.Realloc = b.CoreAlias(binary.SortCoreFunc, b.Core(l, []guests.Func{
		{Name: "realloc", Params: []wasm.ValType{i32, i32, i32, i32}, Results: []wasm.ValType{i32}, Body: guests.Unreachable},
	}), "realloc")
	return l
}

// flights calls things.
func flights(r *abi.Resource) []byte {
	b := guests.NewBuilder()
	iface := things(r)
	inst := b.ImportInstance(iface)
	libc := libcWithout(b)
	var imports []guests.CoreFunc
	for _, f := range iface.Funcs {
		imports = append(imports, b.Lower(b.Alias(binary.SortFunc, inst, f.Name), f.Type, libc.Options()...))
	}
	core := b.Core(libc, flightFuncs(), imports...)
	for _, f := range flightFuncs() {
		ft := abi.Function(nil, nil)
		if f.Name == "gives" {
			ft = abi.Function(nil, iface.Funcs[someThings].Type.Result)
		}
		b.Export(f.Name, binary.SortFunc, b.Lift(b.CoreAlias(binary.SortCoreFunc, core, f.Name), ft, libc.Options()...))
	}
	return b.Bytes()
}

// offerThings offers things by typed functions, as generated ones are.
func (c *dropCounter) offerTyped(l *component.Linker) error {
	r := c.resource
	takeOwn := func(call *abi.Call, handle uint32) int { return call.TakeOwn(r, handle).(int) }
	drop := func(call *abi.Call, v int) { _ = r.Type.Drop(call.Context(), canon.Rep{Host: v}) }
	iface := things(r)
	for n, f := range []func(call *abi.Call, s []uint64){
		makeThing: func(call *abi.Call, s []uint64) {
			call.Context()
			s[0] = uint64(call.PutOwn(r, c.make()))
		},
		takeThing: func(call *abi.Call, s []uint64) {
			a := takeOwn(call, uint32(s[0]))
			call.LoadString(uint32(s[1]), uint32(s[2]))
			b := takeOwn(call, uint32(s[3]))
			drop(call, a)
			drop(call, b)
		},
		listThings: func(call *abi.Call, s []uint64) {
			list := abi.LoadList(call, uint32(s[0]), uint32(s[1]), 4, 4, func(call *abi.Call, p uint32) int { return takeOwn(call, call.U32(p)) })
			call.LoadString(uint32(s[2]), uint32(s[3]))
			for _, v := range list {
				drop(call, v)
			}
		},
		someThings: func(call *abi.Call, s []uint64) {
			call.Context()
			a := c.make()
			call.Check(uint32(s[0]), 16, 4)
			call.PutU32(uint32(s[0]), call.PutOwn(r, a))
			call.StoreString("text")
		},
	} {
		iface.Funcs[n].Call = f
	}
	return l.Define(iface)
}

// offerDynamic offers the same by dynamic ones.
func (c *dropCounter) offerDynamic(l *component.Linker) error {
	in, err := l.Instance("test:h/things")
	if err != nil {
		return err
	}
	if err := in.Resource("thing", c.resource); err != nil {
		return err
	}
	drop := func(ctx context.Context, v component.Val) error { return v.(*component.Resource).Drop(ctx) }
	for n, f := range []component.DynamicFunc{
		makeThing: func(context.Context, []component.Val) (component.Val, error) { return c.handle(), nil },
		takeThing: func(ctx context.Context, args []component.Val) (component.Val, error) {
			return nil, errors.Join(drop(ctx, args[0]), drop(ctx, args[2]))
		},
		listThings: func(ctx context.Context, args []component.Val) (component.Val, error) {
			for _, v := range args[0].(component.ListVal) {
				if err := drop(ctx, v); err != nil {
					return nil, err
				}
			}
			return nil, nil
		},
		someThings: func(context.Context, []component.Val) (component.Val, error) {
			return component.TupleVal{c.handle(), component.StringVal("text"), c.handle()}, nil
		},
	} {
		decl := things(c.resource).Funcs[n]
		if err := in.Func(decl.Name, decl.Type, f); err != nil {
			return err
		}
	}
	return nil
}

// A resource is dropped once, wherever it is when a call traps.
func TestResourcesInFlight(t *testing.T) {
	for mode, offer := range map[string]func(*dropCounter, *component.Linker) error{
		"typed": (*dropCounter).offerTyped, "dynamic": (*dropCounter).offerDynamic,
	} {
		for _, c := range []struct {
			call  string
			made  int
			traps bool
		}{
			{"take", 2, false}, {"take-string", 2, true}, {"take-handle", 2, true}, {"take-twice", 2, true},
			{"list", 2, false}, {"list-handle", 2, true}, {"list-string", 2, true},
			{"many", 6, true}, {"gives", 2, true},
			{"some", map[string]int{"typed": 1, "dynamic": 2}[mode], true},
			{"some-pointer", map[string]int{"typed": 0, "dynamic": 2}[mode], true},
		} {
			t.Run(mode+"/"+c.call, func(t *testing.T) {
				n := newDropCounter()
				p := prepare(t, component.Options{Limits: component.Limits{Handles: 5}}, flights(n.resource), func(l *component.Linker) {
					if err := offer(n, l); err != nil {
						t.Fatal(err)
					}
				})
				i, err := p.Instantiate(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if _, err := call(t, i, "", c.call); (err != nil) != c.traps {
					t.Error(err)
				}
				if err := i.Close(t.Context()); err != nil {
					t.Error(err)
				}
				n.check(t, c.made)
			})
		}
	}
}

// flightPair has one component pass things to another, and back.
func flightPair(r *abi.Resource, realloc bool) []byte {
	iface := things(r)
	iface.Funcs = iface.Funcs[:1]
	gives := abi.Function(nil, abi.Tuple(abi.Own(r), abi.String, abi.Own(r)))
	libc := func(b *guests.Builder) guests.Libc {
		if realloc {
			return b.Libc(nil, 1)
		}
		return libcWithout(b)
	}
	named := func(name string) guests.Func {
		for _, f := range flightFuncs() {
			if f.Name == name {
				return f
			}
		}
		panic(name)
	}
	inner := func() *guests.Builder {
		b := guests.NewBuilder()
		inst := b.ImportInstance(iface)
		l := libc(b)
		core := b.Core(l, []guests.Func{
			{Name: "take", Params: []wasm.ValType{wasm.I32, wasm.I32, wasm.I32, wasm.I32}}, named("gives"),
		}, b.Lower(b.Alias(binary.SortFunc, inst, "make"), iface.Funcs[0].Type))
		b.Export("take", binary.SortFunc, b.Lift(b.CoreAlias(binary.SortCoreFunc, core, "take"), takeThings(r), l.Options()...))
		b.Export("gives", binary.SortFunc, b.Lift(b.CoreAlias(binary.SortCoreFunc, core, "gives"), gives, l.Options()...))
		return b
	}
	outer := func() *guests.Builder {
		b := guests.NewBuilder()
		inst := b.ImportInstance(iface)
		take, give := b.ImportFunc("take", takeThings(r)), b.ImportFunc("gives", gives)
		l := libc(b)
		funcs := []guests.Func{named("take"), named("take-string"), named("take-handle"), named("take-twice"),
			{Name: "gives", Body: guests.Seq(guests.I32(64), guests.Call(2))}}
		core := b.Core(l, funcs, b.Lower(b.Alias(binary.SortFunc, inst, "make"), iface.Funcs[0].Type),
			b.Lower(take, takeThings(r), l.Options()...), b.Lower(give, gives, l.Options()...))
		for _, f := range funcs {
			b.Export(f.Name, binary.SortFunc, b.Lift(b.CoreAlias(binary.SortCoreFunc, core, f.Name), abi.Function(nil, nil)))
		}
		return b
	}
	b := guests.NewBuilder()
	inst := b.ImportInstance(iface)
	imported := binary.Arg{Name: iface.Name, SortIdx: binary.SortIdx{Sort: binary.SortInstance, Index: inst}}
	in := b.Nest(inner(), imported)
	fn := func(name string) binary.Arg {
		return binary.Arg{Name: name, SortIdx: binary.SortIdx{Sort: binary.SortFunc, Index: b.Alias(binary.SortFunc, in, name)}}
	}
	out := b.Nest(outer(), imported, fn("take"), fn("gives"))
	for _, name := range []string{"take", "take-string", "take-handle", "take-twice", "gives"} {
		b.Export(name, binary.SortFunc, b.Alias(binary.SortFunc, out, name))
	}
	return b.Bytes()
}

func TestResourcesInFlightBetweenComponents(t *testing.T) {
	for _, c := range []struct {
		call           string
		realloc, traps bool
	}{
		{"take", true, false}, {"take", false, true}, // where memory for the string is asked for
		{"take-string", true, true}, {"take-handle", true, true}, {"take-twice", true, true},
		{"gives", true, true}, {"gives", false, true},
	} {
		n := newDropCounter()
		p := prepare(t, component.Options{}, flightPair(n.resource, c.realloc), func(l *component.Linker) {
			if err := n.offerTyped(l); err != nil {
				t.Fatal(err)
			}
		})
		i, err := p.Instantiate(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := call(t, i, "", c.call); (err != nil) != c.traps {
			t.Errorf("%s: %v", c.call, err)
		}
		if err := i.Close(t.Context()); err != nil {
			t.Error(err)
		}
		n.check(t, 2)
	}
}

// Where an instance is linked to another, what could not be passed on is dropped.
func TestResourcesInFlightBetweenInstances(t *testing.T) {
	n := newDropCounter()
	r := n.resource
	iface := things(r)
	iface.Funcs = iface.Funcs[:1]

	taker := guests.NewBuilder()
	taker.ImportInstance(iface)
	libc := libcWithout(taker)
	core := taker.Core(libc, []guests.Func{{Name: "take", Params: []wasm.ValType{wasm.I32, wasm.I32, wasm.I32, wasm.I32}}})
	taker.Export("take", binary.SortFunc, taker.Lift(taker.CoreAlias(binary.SortCoreFunc, core, "take"), takeThings(r), libc.Options()...))

	giver := guests.NewBuilder()
	inst := giver.ImportInstance(iface)
	other := giver.ImportInstance(abi.Interface{Name: "test:h/taker", Funcs: []abi.Func{{Name: "take", Type: takeThings(r)}}})
	libc = giver.Libc(nil, 1)
	core = giver.Core(libc, flightFuncs()[:1],
		giver.Lower(giver.Alias(binary.SortFunc, inst, "make"), iface.Funcs[0].Type),
		giver.Lower(giver.Alias(binary.SortFunc, other, "take"), takeThings(r), libc.Options()...))
	giver.Export("take", binary.SortFunc, giver.Lift(giver.CoreAlias(binary.SortCoreFunc, core, "take"), abi.Function(nil, nil)))

	e := component.NewEngine(component.Options{})
	defer e.Close(t.Context())
	l := e.NewLinker()
	if err := n.offerTyped(l); err != nil {
		t.Fatal(err)
	}
	instance := func(b []byte) *component.Instance {
		t.Helper()
		c, err := e.Compile(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		p, err := l.Prepare(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		i, err := p.Instantiate(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	to := instance(taker.Bytes())
	if err := l.DefineInstance("test:h/taker", to); err != nil {
		t.Fatal(err)
	}
	from := instance(giver.Bytes())
	if _, err := call(t, from, "", "take"); err == nil {
		t.Error("memory for the string was not asked for")
	}
	if err := errors.Join(from.Close(t.Context()), to.Close(t.Context())); err != nil {
		t.Error(err)
	}
	n.check(t, 2)
}
