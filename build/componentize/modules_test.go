package componentize_test

import (
	"context"
	"testing"

	"github.com/ashlar-wasm/ashlar/build/componentize"
	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
	"github.com/ashlar-wasm/ashlar/wit"
)

// coreImport is a function that a module of a test imports.
type coreImport struct {
	module, name string
	typ          wasm.FuncType
}

// core returns a function type; i is i32 and I is i64.
func core(params, results string) wasm.FuncType {
	types := func(s string) []wasm.ValType {
		var out []wasm.ValType
		for _, c := range s {
			out = append(out, map[rune]wasm.ValType{'i': wasm.I32, 'I': wasm.I64}[c])
		}
		return out
	}
	return wasm.FuncType{Params: types(params), Results: types(results)}
}

func imported(module, name, params, results string) coreImport {
	return coreImport{module, name, core(params, results)}
}

// function defines a function that is exported under its name.
func function(name, params, results string, locals int, body ...guests.Code) guests.Func {
	t := core(params, results)
	return guests.Func{Name: name, Params: t.Params, Results: t.Results, Locals: locals, Body: guests.Seq(body...)}
}

// allocator is a realloc that gives memory from address 1024 on, of which it keeps the
// end at address 1020.
func allocator(name string) guests.Func {
	return function(name, "iiii", "i", 1,
		guests.I32(1020), guests.Load(0), guests.Set(4),
		guests.Get(4), guests.I32Eqz, guests.If(guests.Seq(guests.I32(1024), guests.Set(4))),
		// The next multiple of 8 behind it.
		guests.I32(1020), guests.Get(4), guests.Get(3), guests.I32Add, guests.I32(7), guests.I32Add, guests.I32(-8), guests.Code{0x71}, guests.Store(0),
		guests.Get(4), guests.Get(0), guests.Get(1), guests.Code{0xfc, 0x0a, 0, 0}, // memory.copy
		guests.Get(4))
}

// bare returns a module without a memory: imports are functions 0, 1, ..., then come the
// functions.
func bare(imports []coreImport, funcs ...guests.Func) *guests.CoreModule {
	m := &guests.CoreModule{}
	for _, im := range imports {
		m.ImportFunc(im.module, im.name, im.typ.Params, im.typ.Results)
	}
	for i := range funcs {
		m.Define(&funcs[i])
	}
	return m
}

// module is bare with a memory and an allocator, which are exported.
func module(imports []coreImport, funcs ...guests.Func) *guests.CoreModule {
	m := bare(imports, append(funcs, allocator("cabi_realloc"))...)
	withMemory(m, "memory")
	return m
}

func withMemory(m *guests.CoreModule, name string) {
	m.Memories = []wasm.Memory{{MemoryType: wasm.MemoryType{PageSizeLog2: 16, Limits: wasm.Limits{Min: 1}}}}
	m.Exports = append(m.Exports, wasm.Export{Name: name, Kind: wasm.KindMemory})
}

func world(t testing.TB, text, name string) *wit.World {
	t.Helper()
	r, err := wit.ParseText("test.wit", text, wit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := r.Main.World(name)
	if w == nil {
		t.Fatalf("no world %s", name)
	}
	return w
}

func embed(t testing.TB, m *guests.CoreModule, w *wit.World, e componentize.Encoding) []byte {
	t.Helper()
	out, err := componentize.Embed(m.Encode(), w, componentize.EmbedOptions{Encoding: e})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func makeComponent(t testing.TB, module []byte, adapters ...componentize.Adapter) []byte {
	t.Helper()
	out, err := componentize.New(module, componentize.Options{Adapters: adapters})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// run instantiates a component.
func run(t *testing.T, bytes []byte, link func(*component.Linker) error) *component.Instance {
	t.Helper()
	ctx := t.Context()
	e := component.NewEngine(component.Options{})
	t.Cleanup(func() { _ = e.Close(context.Background()) })
	c, err := e.Compile(ctx, bytes)
	if err != nil {
		t.Fatal(err)
	}
	l := e.NewLinker()
	if link != nil {
		if err := link(l); err != nil {
			t.Fatal(err)
		}
	}
	p, err := l.Prepare(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	i, err := p.Instantiate(ctx)
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

func call(t *testing.T, i *component.Instance, iface, name string, args ...component.Val) component.Val {
	t.Helper()
	f, ok := i.Func(iface, name)
	if !ok {
		t.Fatalf("no function %s#%s", iface, name)
	}
	v, err := f.Call(t.Context(), args)
	if err != nil {
		t.Fatalf("%s#%s: %v", iface, name, err)
	}
	return v
}

func wantU32(t *testing.T, i *component.Instance, want uint32, iface, name string, args ...component.Val) {
	t.Helper()
	if v := call(t, i, iface, name, args...); v != component.U32Val(want) {
		t.Errorf("%s#%s%v: %v, want %d", iface, name, args, v, want)
	}
}

// interfaceOf returns the world of a component.
func interfaceOf(t testing.TB, bytes []byte) *wit.World {
	t.Helper()
	_, w, err := wit.Decode(bytes)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// names returns the names of imports or exports.
func names(items []*wit.WorldItem) []string {
	var out []string
	for _, item := range items {
		out = append(out, item.ExternName())
	}
	return out
}
