package componentize_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/build/componentize"
	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
	"github.com/ashlar-wasm/ashlar/wit"
)

const greeting = `package test:greeting;
world greeter {
	import log: func(s: string);
	export greet: func(s: string) -> string;
	export freed: func() -> u32;
}`

// greeter logs what it is given and returns it.
func greeter() *guests.CoreModule {
	return module([]coreImport{imported("$root", "log", "ii", "")},
		function("greet", "ii", "i", 0, guests.Get(0), guests.Get(1), guests.Call(0),
			guests.I32(64), guests.Get(0), guests.Store(0), guests.I32(64), guests.Get(1), guests.Store(4), guests.I32(64)),
		function("cabi_post_greet", "i", "", 0, guests.I32(80), guests.I32(80), guests.Load(0), guests.I32(1), guests.I32Add, guests.Store(0)),
		function("freed", "", "i", 0, guests.I32(80), guests.Load(0)))
}

func TestFunctions(t *testing.T) {
	w := world(t, greeting, "greeter")
	for _, e := range []componentize.Encoding{componentize.UTF8, componentize.UTF16, componentize.Latin1UTF16} {
		var logged []string
		i := run(t, makeComponent(t, embed(t, greeter(), w, e)), func(l *component.Linker) error {
			return l.Root().Func("log", nil, func(_ context.Context, args []component.Val) (component.Val, error) {
				logged = append(logged, string(args[0].(component.StringVal)))
				return nil, nil
			})
		})
		texts := []string{"", "plain", "naïve", "日本語 😀"}
		for n, s := range texts {
			if v := call(t, i, "", "greet", component.StringVal(s)); v != component.StringVal(s) {
				t.Errorf("%v: %q became %v", e, s, v)
			}
			wantU32(t, i, uint32(n+1), "", "freed")
		}
		if !slices.Equal(logged, texts) {
			t.Errorf("%v: logged %q", e, logged)
		}
	}
}

func TestDeterminism(t *testing.T) {
	m := embed(t, greeter(), world(t, greeting, "greeter"), componentize.UTF8)
	first := makeComponent(t, m)
	for range 5 {
		if !bytes.Equal(first, makeComponent(t, m)) {
			t.Fatal("the component differs from one time to the next")
		}
	}
}

const points = `package test:points@0.1.3;
interface types {
	record point { x: s32, y: s32 }
	variant shape { none, dot(point), name(string) }
}
interface math {
	use types.{point, shape};
	swap: func(p: point) -> point;
	kind: func(s: shape) -> u32;
}
world points { export math; }`

func TestInterface(t *testing.T) {
	const id = "test:points/math@0.1.3"
	m := module(nil,
		function(id+"#swap", "ii", "i", 0, guests.I32(64), guests.Get(1), guests.Store(0), guests.I32(64), guests.Get(0), guests.Store(4), guests.I32(64)),
		function(id+"#kind", "iii", "i", 0, guests.Get(0)))
	c := makeComponent(t, embed(t, m, world(t, points, "points"), componentize.UTF8))
	i := run(t, c, func(l *component.Linker) error {
		_, err := l.Instance("test:points/types@0.1.3")
		return err
	})
	p := func(x, y int32) component.Val {
		return component.RecordVal{{Name: "x", Value: component.S32Val(x)}, {Name: "y", Value: component.S32Val(y)}}
	}
	if v := call(t, i, id, "swap", p(1, -2)); fmt.Sprint(v) != fmt.Sprint(p(-2, 1)) {
		t.Errorf("swap: %v", v)
	}
	wantU32(t, i, 2, id, "kind", component.VariantVal{Case: "name", Payload: component.StringVal("n")})

	// The types are those of an interface that is imported, since it is not exported.
	w := interfaceOf(t, c)
	if got, want := names(w.Imports), []string{"test:points/types@0.1.3"}; !slices.Equal(got, want) {
		t.Errorf("imports %q, want %q", got, want)
	}
	point := w.Export(id).Interface.Type("point")
	if from := point.UsedFrom(); from == nil || from.ID() != "test:points/types@0.1.3" {
		t.Errorf("point is used from %v", from)
	}
}

// counters implements a resource. Its representation is the address of a number.
const counters = `package test:counters;
interface counters {
	resource counter {
		constructor(start: u32);
		next: func() -> u32;
		merge: static func(a: counter, b: counter) -> counter;
	}
	dropped: func() -> u32;
}
world implements { export counters; }
world uses {
	import counters;
	export count: func(start: u32) -> u32;
}`

func counterModule(prefix, drop, add, rep string, name func(string) string) *guests.CoreModule {
	const dropOp, newOp, repOp, realloc = 0, 1, 2, 8
	return module([]coreImport{
		imported(prefix, drop, "i", ""),
		imported(prefix, add, "i", "i"),
		imported(prefix, rep, "i", "i"),
	},
		function(name("[constructor]counter"), "i", "i", 1,
			guests.I32(0), guests.I32(0), guests.I32(4), guests.I32(4), guests.Call(realloc), guests.Set(1),
			guests.Get(1), guests.Get(0), guests.Store(0), guests.Get(1), guests.Call(newOp)),
		function(name("[method]counter.next"), "i", "i", 0,
			guests.Get(0), guests.Get(0), guests.Load(0), guests.I32(1), guests.I32Add, guests.Store(0), guests.Get(0), guests.Load(0)),
		function(name("[static]counter.merge"), "ii", "i", 1,
			// A new one with the sum; the two are dropped.
			guests.I32(0), guests.I32(0), guests.I32(4), guests.I32(4), guests.Call(realloc), guests.Set(2),
			guests.Get(2), guests.Get(0), guests.Call(repOp), guests.Load(0), guests.Get(1), guests.Call(repOp), guests.Load(0), guests.I32Add, guests.Store(0),
			guests.Get(0), guests.Call(dropOp), guests.Get(1), guests.Call(dropOp),
			guests.Get(2), guests.Call(newOp)),
		function(name("dropped"), "", "i", 0, guests.I32(80), guests.Load(0)),
		function(name("dtor"), "i", "", 0, guests.I32(80), guests.I32(80), guests.Load(0), guests.I32(1), guests.I32Add, guests.Store(0)),
	)
}

func TestResources(t *testing.T) {
	const id = "test:counters/counters"
	legacy := func(f string) string {
		if f == "dtor" {
			return id + "#[dtor]counter"
		}
		return id + "#" + f
	}
	standard := func(f string) string {
		if f == "dtor" {
			return "cm32p2|" + id + "|counter_dtor"
		}
		return "cm32p2|" + id + "|" + f
	}
	both := map[string]*guests.CoreModule{
		"legacy": counterModule("[export]"+id, "[resource-drop]counter", "[resource-new]counter", "[resource-rep]counter", legacy),
		"cm32p2": counterModule("cm32p2|_ex_"+id, "counter_drop", "counter_new", "counter_rep", standard),
	}
	for scheme, m := range both {
		t.Run(scheme, func(t *testing.T) {
			w := world(t, counters, "implements")
			i := run(t, makeComponent(t, embed(t, m, w, componentize.UTF8)), nil)
			first := call(t, i, id, "[constructor]counter", component.U32Val(10))
			second := call(t, i, id, "[constructor]counter", component.U32Val(100))
			wantU32(t, i, 11, id, "[method]counter.next", first)
			wantU32(t, i, 101, id, "[method]counter.next", second)
			merged := call(t, i, id, "[static]counter.merge", first, second)
			wantU32(t, i, 2, id, "dropped")
			wantU32(t, i, 113, id, "[method]counter.next", merged)
		})
	}
}

func TestImportedResource(t *testing.T) {
	const id = "test:counters/counters"
	m := module([]coreImport{
		imported(id, "[constructor]counter", "i", "i"),
		imported(id, "[method]counter.next", "i", "i"),
		imported(id, "[resource-drop]counter", "i", ""),
	}, function("count", "i", "i", 1, guests.Get(0), guests.Call(0), guests.Set(0), guests.Get(0), guests.Call(1), guests.Set(1),
		guests.Get(0), guests.Call(2), guests.Get(1)))
	c := makeComponent(t, embed(t, m, world(t, counters, "uses"), componentize.UTF8))
	dropped := 0
	counter := abi.HostResource("counter", func(context.Context, any) error { dropped++; return nil })
	i := run(t, c, func(l *component.Linker) error {
		return l.Define(abi.Interface{Name: id, Resources: []*abi.Resource{counter}, Funcs: []abi.Func{
			{Name: "[constructor]counter", Type: abi.Function([]abi.Field{abi.F("start", abi.U32)}, abi.Own(counter)), Call: func(c *abi.Call, s []uint64) {
				n := uint32(s[0])
				s[0] = uint64(c.PutOwn(counter, &n))
			}},
			{Name: "[method]counter.next", Type: abi.Function([]abi.Field{abi.F("self", abi.Borrow(counter))}, abi.U32), Call: func(c *abi.Call, s []uint64) {
				n := c.Lend(counter, uint32(s[0])).(*uint32)
				*n++
				s[0] = uint64(*n)
			}},
		}})
	})
	wantU32(t, i, 6, "", "count", component.U32Val(5))
	if dropped != 1 {
		t.Errorf("%d counters were dropped", dropped)
	}
	// What is not used is not imported.
	if f := interfaceOf(t, c).Import(id).Interface.Function("dropped"); f != nil {
		t.Error("an unused function is imported")
	}
}

func TestStart(t *testing.T) {
	w := world(t, `package test:start; world w { import next: func(a: list<u32>) -> u32; export get: func() -> u32; }`, "w")
	// Both the start function and _initialize call the import, which needs the memory.
	m := module([]coreImport{imported("$root", "next", "ii", "i")},
		function("get", "", "i", 0, guests.I32(64), guests.Load(0)),
		function("_initialize", "", "", 0, guests.I32(64), guests.I32(64), guests.Load(0), guests.I32(10), guests.Code{0x6c}, guests.I32(0), guests.I32(0), guests.Call(0), guests.I32Add, guests.Store(0)),
		function("begin", "", "", 0, guests.I32(64), guests.I32(0), guests.I32(0), guests.Call(0), guests.Store(0)))
	m.Start = &wasm.Start{Func: 3}
	n := 0
	i := run(t, makeComponent(t, embed(t, m, w, componentize.UTF8)), func(l *component.Linker) error {
		return l.Root().Func("next", nil, func(context.Context, []component.Val) (component.Val, error) {
			n++
			return component.U32Val(n), nil
		})
	})
	wantU32(t, i, 12, "", "get") // 1 of the start function, times 10, and 2
}

func TestTwoWorlds(t *testing.T) {
	a := world(t, `package test:a; interface i { f: func() -> u32; } world a { import i; export x: func() -> u32; }`, "a")
	b := world(t, `package test:b; world b { import g: func() -> u32; export y: func() -> u32; }`, "b")
	m := bare([]coreImport{imported("test:a/i", "f", "", "i"), imported("$root", "g", "", "i")},
		function("x", "", "i", 0, guests.Call(0)), function("y", "", "i", 0, guests.Call(1)))
	once := embed(t, m, a, componentize.UTF8)
	twice, err := componentize.Embed(once, b, componentize.EmbedOptions{})
	if err != nil {
		t.Fatal(err)
	}
	i := run(t, makeComponent(t, twice), func(l *component.Linker) error {
		in, err := l.Instance("test:a/i")
		if err != nil {
			return err
		}
		number := func(n uint32) component.DynamicFunc {
			return func(context.Context, []component.Val) (component.Val, error) { return component.U32Val(n), nil }
		}
		if err := in.Func("f", nil, number(7)); err != nil {
			return err
		}
		return l.Root().Func("g", nil, number(8))
	})
	wantU32(t, i, 7, "", "x")
	wantU32(t, i, 8, "", "y")

	// The worlds that are embedded are those that were given.
	for _, w := range []*wit.World{a, b} {
		data, err := wit.EncodeWorld(w)
		if err != nil {
			t.Fatal(err)
		}
		r, _, err := wit.Decode(data)
		if err != nil || len(r.Main.Worlds) != 1 {
			t.Fatal(err)
		}
		if got, want := wit.Print(r.Main), "world "+w.Name; !strings.Contains(got, want) {
			t.Errorf("%s has no %q", got, want)
		}
	}
}

// A module that has one import twice gets a component all the same.
func TestDuplicateImports(t *testing.T) {
	w := world(t, `package test:d; world w { import f: func() -> u32; export sum: func() -> u32; }`, "w")
	f := imported("$root", "f", "", "i")
	m := bare([]coreImport{f, f, f}, function("sum", "", "i", 0, guests.Call(0), guests.Call(1), guests.Call(2), guests.I32Add, guests.I32Add))
	i := run(t, makeComponent(t, embed(t, m, w, componentize.UTF8)), func(l *component.Linker) error {
		return l.Root().Func("f", nil, func(context.Context, []component.Val) (component.Val, error) { return component.U32Val(5), nil })
	})
	wantU32(t, i, 15, "", "sum")
}

// TestTaskHook checks what a module is told that asks for it.
func TestTaskHook(t *testing.T) {
	w := world(t, `package test:hook;
interface i { resource r { constructor(); } }
world w { export echo: func(s: string) -> string; export log: func() -> list<u8>; export i; }`, "w")
	m := module([]coreImport{imported("[export]test:hook/i", "[resource-new]r", "i", "i")},
		function("echo", "ii", "i", 0, guests.I32(64), guests.Get(0), guests.Store(0), guests.I32(64), guests.Get(1), guests.Store(4), guests.I32(64)),
		function("cabi_post_echo", "i", "", 0),
		// The log's length is at 200, the log behind it.
		function("log", "", "i", 0, guests.I32(72), guests.I32(204), guests.Store(0), guests.I32(72), guests.I32(200), guests.Load(0), guests.Store(4), guests.I32(72)),
		function("__wasm_task_hook", "i", "", 0,
			guests.I32(200), guests.Load(0), guests.Get(0), guests.Code{0x3a, 0, 0xcc, 1}, // i32.store8 offset=204
			guests.I32(200), guests.I32(200), guests.Load(0), guests.I32(1), guests.I32Add, guests.Store(0)),
		function("_initialize", "", "", 0),
		function("test:hook/i#[constructor]r", "", "i", 0, guests.I32(9), guests.Call(0)),
		function("test:hook/i#[dtor]r", "i", "", 0))
	i := run(t, makeComponent(t, embed(t, m, w, componentize.UTF8)), nil)
	call(t, i, "", "echo", component.StringVal("x"))
	r := call(t, i, "test:hook/i", "[constructor]r")
	if err := r.(*component.Resource).Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(call(t, i, "", "log"))
	// initialize, realloc, a call, post-return, a call, a destructor, the call of log
	if want := fmt.Sprint(component.BytesVal{6, 7, 12, 13, 0, 1, 10, 11, 0, 1, 8, 9, 0}); got != want {
		t.Errorf("the hook was told %v, want %v", got, want)
	}
}
