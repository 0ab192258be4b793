package component_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// wantTrap checks that a call trapped with a message that contains text.
func wantTrap(t *testing.T, err error, text string) *component.Trap {
	t.Helper()
	var trap *component.Trap
	if !errors.As(err, &trap) || !strings.Contains(trap.Message, text) {
		t.Fatalf("got %v, want a trap %q", err, text)
	}
	return trap
}

// callU32 calls a function of u32 values at the root.
func callU32(t *testing.T, i *component.Instance, name string, args ...uint32) (uint32, error) {
	t.Helper()
	vals := make([]component.Val, len(args))
	for n, a := range args {
		vals[n] = component.U32Val(a)
	}
	v, err := call(t, i, "", name, vals...)
	if v == nil {
		return 0, err
	}
	return uint32(v.(component.U32Val)), err
}

// wantU32 checks the result of a call.
func wantU32(t *testing.T, i *component.Instance, want uint32, name string, args ...uint32) {
	t.Helper()
	if v, err := callU32(t, i, name, args...); v != want || err != nil {
		t.Errorf("%s%v: %d, %v, want %d", name, args, v, err, want)
	}
}

func TestNestedComponents(t *testing.T) {
	encodings := []binary.CanonOptKind{binary.OptUTF8, binary.OptUTF16, binary.OptLatin1UTF16}
	for mode, o := range modes {
		for _, outer := range encodings {
			for _, inner := range encodings {
				i := instantiate(t, o, guests.Echo(outer, inner), nil)
				for n, s := range []string{"", "plain", "naïve", "日本語", "a😀b", strings.Repeat("é", 3000) + "€"} {
					v, err := call(t, i, "", "echo", component.StringVal(s))
					if v != component.StringVal(s) || err != nil {
						t.Errorf("%s, %d and %d: %.20q became %.20v, %v", mode, outer, inner, s, v, err)
					}
					wantU32(t, i, uint32(n+1), "freed")
				}
			}
		}
	}
}

func TestGuestResources(t *testing.T) {
	for mode, o := range modes {
		t.Run(mode, func(t *testing.T) {
			i := instantiate(t, o, guests.Family(), nil)
			wantU32(t, i, 5, "use", 5)
			wantU32(t, i, 5, "dropped")
			wantU32(t, i, 7, "give", 7)
			wantU32(t, i, 12, "dropped")
			if _, err := callU32(t, i, "leak", 3); err != nil { // 3, 2 and 1 stay
				t.Error(err)
			}
			wantU32(t, i, 12, "dropped")
		})
	}
}

func TestResourceTraps(t *testing.T) {
	for mode, o := range modes {
		for _, c := range []struct {
			name    string
			arg     uint32
			message string
			where   string // path of the component that ran
			stack   string // functions that must be on the stack, innermost first
		}{
			{"twice", 1, "unknown handle index 1", "component 1", "twice"},
			{"spend", 1, "unknown handle index 1", "component 1", "spend"},
			{"use", 13, "unreachable", "component 0", "get use"},
			{"use", 666, "unreachable", "component 0", "dtor use"},
		} {
			i := instantiate(t, o, guests.Family(), nil)
			_, err := callU32(t, i, c.name, c.arg)
			trap := wantTrap(t, err, c.message)
			if trap.Component != c.where {
				t.Errorf("%s: %s trapped in %q, want %q", mode, c.name, trap.Component, c.where)
			}
			var stack []string
			for _, f := range trap.Stack {
				if f.Module == "guest" {
					stack = append(stack, f.Function)
				}
			}
			if got := strings.Join(stack, " "); got != c.stack {
				t.Errorf("%s: %s: stack %q, want %q", mode, c.name, got, c.stack)
			}
			// What trapped can't be entered again, by any export.
			if _, err := callU32(t, i, "dropped"); !errors.Is(err, component.ErrPoisoned) {
				t.Errorf("%s: after the trap: %v", mode, err)
			}
		}
	}
}

// chain exports run(n), which makes n resources, each holding the one before,
// and drops the last: every destructor drops the next.
func chain() []byte {
	i32 := []wasm.ValType{wasm.I32}
	// The resource type needs its destructor before there is a way to drop it.
	m := &guests.CoreModule{}
	m.Tables = []wasm.Table{{TableType: wasm.TableType{Elem: wasm.FuncRef, Limits: wasm.Limits{Min: 1}}}}
	m.Exports = []wasm.Export{{Name: "table", Kind: wasm.KindTable}}
	m.Define(&guests.Func{Name: "dtor", Params: i32, Body: guests.Seq(guests.Get(0), guests.I32(0), guests.Code{0x11, 0, 0})})
	b := guests.NewBuilder()
	indirect := b.Def(&binary.CoreInstance{Module: b.Def(&binary.CoreModule{Bytes: m.Encode()})})
	dtor := b.CoreAlias(binary.SortCoreFunc, indirect, "dtor")
	link := abi.GuestResource("link")
	b.Resource(link, &dtor)
	const make, drop, next = 0, 1, 2
	m = &guests.CoreModule{}
	m.ImportFunc("host", "make", i32, i32)
	m.ImportFunc("host", "drop", i32, nil)
	m.Imports = append(m.Imports, wasm.Import{Module: "dtor", Name: "table", Extern: wasm.Extern{Kind: wasm.KindTable,
		Table: wasm.TableType{Elem: wasm.FuncRef, Limits: wasm.Limits{Min: 1}}}})
	m.Define(&guests.Func{Params: i32, Body: guests.Seq(guests.Get(0), guests.If(guests.Seq(guests.Get(0), guests.Call(drop))))})
	m.Define(&guests.Func{Name: "run", Params: i32, Locals: 1, Body: guests.Seq(
		guests.Loop(guests.Seq(guests.Get(1), guests.Call(make), guests.Set(1),
			guests.Get(0), guests.I32(1), guests.I32Sub, guests.Set(0), guests.Get(0))),
		guests.Get(1), guests.Call(drop))})
	m.Elements = []wasm.Element{{Mode: wasm.Active, At: guests.Constant(0), Type: wasm.FuncRef, Funcs: []uint32{next}}}
	host := b.Def(&binary.CoreInstance{Inline: true, Exports: []binary.CoreItem{
		{Name: "make", SortIdx: binary.SortIdx{Sort: binary.SortCoreFunc, Index: b.ResourceNew(link).Index}},
		{Name: "drop", SortIdx: binary.SortIdx{Sort: binary.SortCoreFunc, Index: b.ResourceDrop(link).Index}},
	}})
	core := b.Def(&binary.CoreInstance{Module: b.Def(&binary.CoreModule{Bytes: m.Encode()}),
		Args: []binary.CoreArg{{Name: "host", Instance: host}, {Name: "dtor", Instance: indirect}}})
	b.Export("run", binary.SortFunc, b.Lift(b.CoreAlias(binary.SortCoreFunc, core, "run"),
		abi.Function([]abi.Field{abi.F("n", abi.U32)}, nil)))
	return b.Bytes()
}

func TestDestructorsNest(t *testing.T) {
	for mode, o := range modes {
		t.Run(mode, func(t *testing.T) {
			i := instantiate(t, o, chain(), nil)
			for range 3 {
				if _, err := callU32(t, i, "run", 300); err != nil {
					t.Fatal(err)
				}
			}
			_, err := callU32(t, i, "run", 300_000)
			if trap := wantTrap(t, err, "call stack exhausted"); trap.Kind != component.TrapStackExhausted {
				t.Errorf("kind %q", trap.Kind)
			}
			wantLimit(t, err, component.LimitedDepth)
		})
	}
}

// The host holds resources of a guest, lends them and drops them.
func TestGuestResourceInHost(t *testing.T) {
	i := instantiate(t, component.Options{}, guests.Nodes().Bytes(), nil)
	v, err := call(t, i, "", "make", component.U32Val(4))
	if err != nil {
		t.Fatal(err)
	}
	node := v.(*component.Resource)
	for range 2 {
		if v, err := call(t, i, "", "get", node); v != component.U32Val(4) || err != nil {
			t.Errorf("get: %v, %v", v, err)
		}
	}
	wantU32(t, i, 0, "dropped")
	if err := node.Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantU32(t, i, 4, "dropped")
	if _, err := call(t, i, "", "get", node); err == nil {
		t.Error("a dropped node was accepted")
	}

	if v, err = call(t, i, "", "make", component.U32Val(6)); err != nil {
		t.Fatal(err)
	}
	if v, err := call(t, i, "", "take", v); v != component.U32Val(6) || err != nil {
		t.Errorf("take: %v, %v", v, err)
	}
	if _, err := call(t, i, "", "take", v); err == nil {
		t.Error("a node that was passed on was accepted")
	}
	wantU32(t, i, 10, "dropped")

	// A resource of another instance is none of this one's.
	other := instantiate(t, component.Options{}, guests.Nodes().Bytes(), nil)
	if v, err = call(t, other, "", "make", component.U32Val(1)); err != nil {
		t.Fatal(err)
	}
	_, err = call(t, i, "", "get", v)
	wantTrap(t, err, "resource type mismatch")

	// A destructor that traps is reported by Drop.
	if v, err = call(t, other, "", "make", component.U32Val(666)); err != nil {
		t.Fatal(err)
	}
	wantTrap(t, v.(*component.Resource).Drop(t.Context()), "unreachable")
}

// Two sandboxes are linked: one has the nodes, the other uses them.
func TestLinkedInstances(t *testing.T) {
	ctx := t.Context()
	for mode, o := range modes {
		t.Run(mode, func(t *testing.T) {
			e := component.NewEngine(o)
			defer e.Close(ctx)
			compile := func(b *guests.Builder) *component.Component {
				c, err := e.Compile(ctx, b.Bytes())
				if err != nil {
					t.Fatal(err)
				}
				return c
			}
			prepared, err := e.NewLinker().Prepare(ctx, compile(guests.Nodes()))
			if err != nil {
				t.Fatal(err)
			}
			nodes, err := prepared.Instantiate(ctx)
			if err != nil {
				t.Fatal(err)
			}
			defer nodes.Close(ctx)
			l := e.NewLinker()
			if err := l.DefineInstance("test:n/nodes", nodes); err != nil {
				t.Fatal(err)
			}
			if err := l.DefineInstance("test:n/nodes", nodes); err == nil {
				t.Error("defined twice")
			}
			p, err := l.Prepare(ctx, compile(guests.NodeUser()))
			if err != nil {
				t.Fatal(err)
			}
			newUser := func() *component.Instance {
				i, err := p.Instantiate(ctx)
				if err != nil {
					t.Fatal(err)
				}
				return i
			}
			user := newUser()
			wantU32(t, user, 5, "use", 5)
			wantU32(t, nodes, 5, "dropped")
			wantU32(t, user, 7, "give", 7)
			wantU32(t, user, 12, "dropped")

			// A trap over there unwinds this side too; both are gone.
			_, err = callU32(t, user, "use", 13)
			trap := wantTrap(t, err, "unreachable")
			var stack []string
			for _, f := range trap.Stack {
				if f.Module == "guest" {
					stack = append(stack, f.Function)
				}
			}
			if got := strings.Join(stack, " "); got != "get use" {
				t.Errorf("stack %q", got)
			}
			for _, i := range []*component.Instance{user, nodes} {
				if _, err := callU32(t, i, "dropped"); !errors.Is(err, component.ErrPoisoned) {
					t.Errorf("after the trap: %v", err)
				}
			}
			if err := user.Close(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestMissingNestedImports(t *testing.T) {
	e := component.NewEngine(component.Options{})
	defer e.Close(t.Context())
	c, err := e.Compile(t.Context(), guests.NodeUser().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	l := e.NewLinker()
	in, err := l.Instance("test:n/nodes")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"make", "gets"} {
		if err := in.Func(name, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	_, err = l.Prepare(t.Context(), c)
	var link *component.LinkError
	if !errors.As(err, &link) {
		t.Fatalf("got %v", err)
	}
	got := map[string]string{}
	for _, m := range link.Missing {
		got[m.Name] = m.Closest
	}
	for name, closest := range map[string]string{"test:n/nodes#get": "test:n/nodes#gets", "test:n/nodes#node": "", "test:n/nodes#take": "", "test:n/nodes#dropped": ""} {
		if c, ok := got[name]; !ok || closest != "" && c != closest {
			t.Errorf("%s: missing %v, closest %q", name, ok, c)
		}
	}
	if _, ok := got["test:n/nodes#make"]; ok {
		t.Error("what is offered is said to be missing")
	}
}

func TestHandleLimit(t *testing.T) {
	i := instantiate(t, component.Options{Limits: component.Limits{Handles: 3}}, guests.Family(), nil)
	if _, err := callU32(t, i, "leak", 3); err != nil {
		t.Fatal(err)
	}
	_, err := callU32(t, i, "leak", 1)
	wantLimit(t, err, component.LimitedHandles)
}
