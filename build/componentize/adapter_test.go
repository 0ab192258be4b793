package componentize_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/build/componentize"
	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// number offers a function that returns one number.
func number(n uint32) component.DynamicFunc {
	return func(context.Context, []component.Val) (component.Val, error) { return component.U32Val(n), nil }
}

// coreModules returns the core modules in a component, by the module in their name
// section.
func coreModules(t *testing.T, bytes []byte) []*wasm.Module {
	t.Helper()
	c, err := binary.Decode(bytes)
	if err != nil {
		t.Fatal(err)
	}
	var out []*wasm.Module
	for _, d := range c.Defs {
		if d, ok := d.(*binary.CoreModule); ok {
			m, err := wasm.Decode(d.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, m)
		}
	}
	return out
}

func TestAdapterIsTrimmed(t *testing.T) {
	const text = `package test:trim;
interface i { f: func() -> u32; g: func() -> u32; h: func() -> u32; }
interface unused { f: func(); }
world main { export sum: func() -> u32; }
world adapter { import i; import unused; }`
	main := bare([]coreImport{imported("old", "one", "", "i"), imported("old", "table", "i", "i")},
		function("sum", "", "i", 0, guests.Call(0), guests.I32(1), guests.Call(1), guests.I32Add))
	adapter := bare([]coreImport{
		imported("test:trim/unused", "f", "", ""),
		imported("test:trim/i", "h", "", "i"),
		imported("test:trim/i", "f", "", "i"),
		imported("test:trim/i", "g", "", "i"),
	},
		function("dead", "", "", 0, guests.Call(0)),
		function("one", "", "i", 0, guests.Call(2)),
		function("alive", "", "i", 0, guests.Call(3), guests.GlobalGet(1), guests.I32Add),
		function("other", "", "i", 0, guests.Call(1), guests.GlobalGet(0), guests.I32Add),
		function("table", "i", "i", 0, guests.Get(0), guests.Code{0x11, 1, 1})) // call_indirect
	adapter.Globals = []wasm.Global{
		{GlobalType: wasm.GlobalType{Val: wasm.I32}, Init: guests.Constant(1)},
		{GlobalType: wasm.GlobalType{Val: wasm.I32}, Init: guests.Constant(1000)},
	}
	table := wasm.Table{TableType: wasm.TableType{Elem: wasm.FuncRef, Limits: wasm.Limits{Min: 2}}}
	adapter.Tables = []wasm.Table{table, table}
	adapter.Elements = []wasm.Element{
		{Mode: wasm.Active, Table: 0, At: guests.Constant(0), Type: wasm.FuncRef, Funcs: []uint32{7}},
		{Mode: wasm.Active, Table: 1, At: guests.Constant(0), Type: wasm.FuncRef, Funcs: []uint32{5, 6}, Explicit: true},
	}
	c := makeComponent(t, embed(t, main, world(t, text, "main"), componentize.UTF8),
		componentize.Adapter{Name: "old", Module: embed(t, adapter, world(t, text, "adapter"), componentize.UTF8)})
	i := run(t, c, func(l *component.Linker) error {
		in, err := l.Instance("test:trim/i")
		if err != nil {
			return err
		}
		if err := in.Func("f", nil, number(10)); err != nil {
			return err
		}
		return in.Func("g", nil, number(200))
	})
	wantU32(t, i, 1210, "", "sum")
	if got := names(interfaceOf(t, c).Imports); !slices.Equal(got, []string{"test:trim/i"}) {
		t.Errorf("imports %q", got)
	}
	for _, m := range coreModules(t, c) {
		if slices.ContainsFunc(m.Exports, func(e wasm.Export) bool { return e.Name == "table" }) {
			if len(m.Functions) != 3 || len(m.Imports) != 2 || len(m.Globals) != 1 || len(m.Tables) != 1 || len(m.Elements) != 1 {
				t.Errorf("%d functions, %d imports, %d globals, %d tables, %d segments are left",
					len(m.Functions), len(m.Imports), len(m.Globals), len(m.Tables), len(m.Elements))
			}
		}
	}

	// An adapter that is not used leaves nothing behind.
	alone := bare(nil, function("sum", "", "i", 0, guests.I32(3)))
	c = makeComponent(t, embed(t, alone, world(t, text, "main"), componentize.UTF8),
		componentize.Adapter{Name: "old", Module: embed(t, adapter, world(t, text, "adapter"), componentize.UTF8)})
	if n := len(coreModules(t, c)); n != 1 {
		t.Errorf("%d core modules", n)
	}
	wantU32(t, run(t, c, nil), 3, "", "sum")
}

func TestAdapterWithMemory(t *testing.T) {
	const text = `package test:io;
interface io { write: func(b: list<u8>) -> u32; read: func(n: u32) -> list<u8>; }
world main { export go: func() -> u32; export at: func(a: u32) -> u32; }
world adapter { import io; }`
	main := module([]coreImport{imported("old", "go", "i", "i")},
		function("go", "", "i", 0, guests.I32(512), guests.Call(0)),
		function("at", "i", "i", 0, guests.Get(0), guests.Load(0)))
	main.Data = []wasm.Data{{Mode: wasm.Active, At: guests.Constant(512), Init: []byte("main")}}
	adapter := bare([]coreImport{
		imported("__main_memory__|test:io/io", "write", "ii", "i"),
		imported("test:io/io", "write", "ii", "i"),
		imported("__main_memory__|test:io/io", "read", "ii", ""),
		imported("__main_memory__", "store32", "ii", ""),
		imported("__main_memory__", "load16", "i", "i"),
		imported("__main_memory__", "size", "", "i"),
	},
		function("go", "i", "i", 0,
			// Four bytes of the main memory, and two of the adapter's.
			guests.Get(0), guests.I32(4), guests.Call(0), guests.I32(512), guests.I32(2), guests.Call(1), guests.I32Add,
			// The host's bytes, of which the address and number go to 600.
			guests.I32(3), guests.I32(600), guests.Call(2),
			guests.I32(620), guests.I32(0x01020304), guests.Call(3),
			guests.I32(620), guests.Call(4), guests.I32Add, guests.Call(5), guests.I32Add),
		function("cabi_main_realloc", "iiii", "i", 0, guests.I32(700)),
		function("cabi_import_realloc", "iiii", "i", 0, guests.Unreachable))
	withMemory(adapter, "memory")
	adapter.Data = []wasm.Data{{Mode: wasm.Active, At: guests.Constant(512), Init: []byte("adapter")}}
	c := makeComponent(t, embed(t, main, world(t, text, "main"), componentize.UTF8),
		componentize.Adapter{Name: "old", Module: embed(t, adapter, world(t, text, "adapter"), componentize.UTF8)})
	var written []string
	i := run(t, c, func(l *component.Linker) error {
		in, err := l.Instance("test:io/io")
		if err != nil {
			return err
		}
		err = in.Func("write", nil, func(_ context.Context, args []component.Val) (component.Val, error) {
			b := args[0].(component.BytesVal)
			written = append(written, string(b))
			return component.U32Val(len(b)), nil
		})
		if err != nil {
			return err
		}
		return in.Func("read", nil, func(context.Context, []component.Val) (component.Val, error) {
			return component.BytesVal("abc"), nil
		})
	})
	wantU32(t, i, 4+2+0x0304+65536, "", "go")
	if !slices.Equal(written, []string{"main", "ad"}) {
		t.Errorf("written: %q", written)
	}
	wantU32(t, i, 700, "", "at", component.U32Val(600))
	wantU32(t, i, 3, "", "at", component.U32Val(604))
	wantU32(t, i, 'a'|'b'<<8|'c'<<16, "", "at", component.U32Val(700))
	wantU32(t, i, 0x01020304, "", "at", component.U32Val(620))
}

// An adapter that calls the main module and exports a function of the component.
func TestAdapterExports(t *testing.T) {
	const text = `package test:run;
interface run { run: func() -> u32; }
world adapter { export run; }`
	main := bare(nil, function("_start", "", "i", 0, guests.I32(42)))
	adapter := bare([]coreImport{imported("__main_module__", "_start", "", "i")},
		function("test:run/run#run", "", "i", 0, guests.Call(0)))
	c := makeComponent(t, main.Encode(), componentize.Adapter{Name: "old", Module: embed(t, adapter, world(t, text, "adapter"), componentize.UTF8)})
	wantU32(t, run(t, c, nil), 42, "test:run/run", "run")
}

func TestVersionsAreMerged(t *testing.T) {
	const old = `package test:v@0.2.0;
interface i { resource r; make: func() -> r; }
world w { import i; }`
	const current = `package test:v@0.2.7;
interface i { resource r; make: func() -> r; get: func(x: borrow<r>) -> u32; }
world w { import i; export go: func() -> u32; }`
	main := bare([]coreImport{
		imported("old", "make", "", "i"),
		imported("test:v/i@0.2.7", "get", "i", "i"),
		imported("test:v/i@0.2.3", "[resource-drop]r", "i", ""), // of the track
	}, function("go", "", "i", 1, guests.Call(0), guests.Set(0), guests.Get(0), guests.Call(1), guests.Get(0), guests.Call(2)))
	adapter := bare([]coreImport{imported("test:v/i@0.2.0", "make", "", "i")}, function("make", "", "i", 0, guests.Call(0)))
	m := embed(t, main, world(t, current, "w"), componentize.UTF8)
	c := makeComponent(t, m, componentize.Adapter{Name: "old", Module: embed(t, adapter, world(t, old, "w"), componentize.UTF8)})
	if got := names(interfaceOf(t, c).Imports); !slices.Equal(got, []string{"test:v/i@0.2.7"}) {
		t.Errorf("imports %q", got)
	}

	// The higher version must have all that the lower has, in the same way.
	for change, want := range map[string]string{
		"resource r; make: func() -> r; more: func();": `has "more", which the higher version has not`,
		"resource r; make: func() -> option<r>;":       `the type of function "make" is func() -> r in one embedded world and func() -> option<r> in another`,
	} {
		different := strings.Replace(old, "resource r; make: func() -> r;", change, 1)
		_, err := componentize.New(m, componentize.Options{Adapters: []componentize.Adapter{
			{Name: "old", Module: embed(t, adapter, world(t, different, "w"), componentize.UTF8)}}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// Adapters that have their stack in the memory of the main module.
func TestAdapterStack(t *testing.T) {
	const text = `package test:stack;
world main { export sp: func() -> u32; export again: func() -> u32; }
world adapter { }`
	for _, c := range []struct {
		name    string
		realloc bool // of the main module
		state   bool // the adapter knows whether it has its stack
		want    uint32
	}{
		{"grown", false, false, 2 << 16},
		{"grown, with state", false, true, 2 << 16},
		{"realloc that could come back", true, false, 2 << 16},
		{"realloc", true, true, 1024 + 1<<16},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := []guests.Func{
				function("sp", "", "i", 0, guests.Call(0)),
				function("again", "", "i", 0, guests.Call(0), guests.Drop, guests.Call(0)),
			}
			if c.realloc {
				// The allocator's memory must be there: it gives 64 KiB behind address 1024.
				body = append(body, allocator("cabi_realloc"))
			}
			main := bare([]coreImport{imported("old", "sp", "", "i")}, body...)
			withMemory(main, "memory")
			adapter := bare(nil, function("sp", "", "i", 0, guests.GlobalGet(0)), function("unused", "", "i", 0, guests.Load(0)))
			adapter.Code[0].Code = slices.Concat([]byte{0}, guests.I32(0), guests.Load(0), guests.Drop, guests.GlobalGet(0), []byte{0x0b})
			adapter.Imports = []wasm.Import{{Module: "env", Name: "memory", Extern: wasm.Extern{Kind: wasm.KindMemory, Memory: wasm.MemoryType{PageSizeLog2: 16}}}}
			adapter.Exports = adapter.Exports[:1]
			mutable := wasm.GlobalType{Val: wasm.I32, Mutable: true}
			adapter.Globals = []wasm.Global{{GlobalType: mutable, Init: guests.Constant(0)}}
			globals := map[uint32]string{0: "__stack_pointer"}
			if c.state {
				adapter.Globals = append(adapter.Globals, wasm.Global{GlobalType: mutable, Init: guests.Constant(0)})
				adapter.Code[0].Code = slices.Concat([]byte{0}, guests.GlobalGet(1), guests.I32(2), guests.I32Sub, guests.If(guests.Unreachable), adapter.Code[0].Code[1:])
				globals[1] = "allocation_state"
			}
			adapter.SetNames(wasm.Names{Globals: globals})
			made := makeComponent(t, embed(t, main, world(t, text, "main"), componentize.UTF8),
				componentize.Adapter{Name: "old", Module: embed(t, adapter, world(t, text, "adapter"), componentize.UTF8)})
			i := run(t, made, nil)
			wantU32(t, i, c.want, "", "sp")
			wantU32(t, i, c.want, "", "again")
		})
	}
}
