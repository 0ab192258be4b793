package componentize_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/build/componentize"
	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// dylink is a section with the size of a library's data, 2^3-aligned, and of its table,
// and the libraries that it needs.
func dylink(memory, table byte, needs ...string) wasm.Custom {
	data := []byte{1, 4, memory, 3, table, 0}
	var list []byte
	for _, n := range needs {
		list = append(append(list, byte(len(n))), n...)
	}
	if needs != nil {
		data = append(append(data, 2, byte(len(list)+1), byte(len(needs))), list...)
	}
	return wasm.Custom{Name: "dylink.0", Data: data}
}

// sharing adds what libraries import of memory, table and globals: the memory and table,
// and globals 0 and 1 with the bases; then globals of GOT.mem and GOT.func.
func sharing(m *guests.CoreModule, memory, functions []string) {
	global := func(module, name string, mutable bool) {
		m.Imports = append(m.Imports, wasm.Import{Module: module, Name: name,
			Extern: wasm.Extern{Kind: wasm.KindGlobal, Global: wasm.GlobalType{Val: wasm.I32, Mutable: mutable}}})
	}
	m.Imports = append(m.Imports,
		wasm.Import{Module: "env", Name: "memory", Extern: wasm.Extern{Kind: wasm.KindMemory, Memory: wasm.MemoryType{PageSizeLog2: 16}}},
		wasm.Import{Module: "env", Name: "__indirect_function_table", Extern: wasm.Extern{Kind: wasm.KindTable, Table: wasm.TableType{Elem: wasm.FuncRef}}})
	global("env", "__memory_base", false)
	global("env", "__table_base", false)
	for _, name := range memory {
		global("GOT.mem", name, true)
	}
	for _, name := range functions {
		global("GOT.func", name, true)
	}
}

// at is the address of a library's data.
func at(offset int32) guests.Code {
	return guests.Seq(guests.GlobalGet(0), guests.I32(offset), guests.I32Add)
}

const sharedWorld = `package test:lib;
interface host { add: func(s: string) -> u32; }
world app { import host; export go: func() -> u32; export pointer: func() -> u32; export text: func() -> string; }`

// twoLibraries are an application and a library that need one another, and one that
// nobody needs.
func twoLibraries(t testing.TB) []componentize.Library {
	// The application calls a function of the other library and one by its number, reads
	// its data, and is called back: the two need one another.
	app := &guests.CoreModule{}
	app.ImportFunc("env", "double", core("i", "i").Params, core("i", "i").Results)
	app.ImportFunc("test:lib/host", "add", core("ii", "i").Params, core("ii", "i").Results)
	sharing(app, []string{"number"}, []string{"double"})
	for _, f := range []guests.Func{
		function("go", "", "i", 0, guests.I32(4), guests.Call(0), at(0), guests.I32(5), guests.Call(1), guests.I32Add, guests.GlobalGet(2), guests.Load(0), guests.I32Add),
		function("pointer", "", "i", 0, guests.I32(21), guests.GlobalGet(3), guests.Code{0x11, 0, 0}), // call_indirect
		function("callback", "i", "i", 0, guests.Get(0), guests.I32(100), guests.I32Add),
		function("text", "", "i", 0, at(8), at(0), guests.Store(0), at(8), guests.I32(5), guests.Store(4), at(8)),
	} {
		app.Define(&f)
	}
	app.Data = []wasm.Data{{Mode: wasm.Active, At: wasm.Expr{Code: append(guests.GlobalGet(0), 0x0b)}, Init: []byte("hello")}}
	app.Customs = append(app.Customs, dylink(16, 0, "math"))

	math := &guests.CoreModule{}
	math.ImportFunc("env", "callback", core("i", "i").Params, core("i", "i").Results)
	sharing(math, nil, nil)
	for _, f := range []guests.Func{
		function("double", "i", "i", 0, guests.Get(0), guests.Get(0), guests.I32Add, guests.Call(0)),
		function("__wasm_call_ctors", "", "", 0, at(4), at(4), guests.Load(0), guests.I32(1000), guests.I32Add, guests.Store(0)),
		function("__wasm_apply_data_relocs", "", "", 0, at(4), guests.I32(7000), guests.Store(0)),
		allocator("cabi_realloc"),
	} {
		math.Define(&f)
	}
	math.Globals = []wasm.Global{{GlobalType: wasm.GlobalType{Val: wasm.I32}, Init: guests.Constant(4)}}
	math.Exports = append(math.Exports, wasm.Export{Name: "number", Kind: wasm.KindGlobal, Index: 2})
	math.Customs = append(math.Customs, dylink(8, 0))

	unused := bare(nil, function("nothing", "", "", 0))
	return []componentize.Library{
		{Name: "app", Module: embed(t, app, world(t, sharedWorld, "app"), componentize.UTF8)},
		{Name: "math", Module: math.Encode()},
		{Name: "unused", Module: unused.Encode()},
	}
}

func TestLibraries(t *testing.T) {
	libraries := twoLibraries(t)
	c, err := componentize.Link(libraries, componentize.LinkOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := componentize.Link(libraries, componentize.LinkOptions{}); err != nil || !slices.Equal(c, again) {
		t.Errorf("the component differs from one time to the next, %v", err)
	}
	i := run(t, c, func(l *component.Linker) error {
		in, err := l.Instance("test:lib/host")
		if err != nil {
			return err
		}
		return in.Func("add", nil, func(_ context.Context, args []component.Val) (component.Val, error) {
			return component.U32Val(len(args[0].(component.StringVal))) * 10000, nil
		})
	})
	wantU32(t, i, (4+4+100)+50000+8000, "", "go")
	wantU32(t, i, 21+21+100, "", "pointer")
	if v := call(t, i, "", "text"); v != component.StringVal("hello") {
		t.Errorf("text: %v", v)
	}
	if n := len(coreModules(t, c)); n != 4 { // the environment, two libraries, and the fixup
		t.Errorf("%d core modules", n)
	}

	// What is missing is an error, or traps.
	_, err = componentize.Link(libraries[:1], componentize.LinkOptions{})
	if err == nil || !strings.Contains(err.Error(), `library app needs library math, which is not there`) {
		t.Error(err)
	}
	lonely := bare([]coreImport{imported("env", "gone", "i", "i")}, function("g", "", "i", 0, guests.I32(1)), function("h", "", "i", 0, guests.I32(1), guests.Call(0)))
	w := world(t, `package test:l; world w { export g: func() -> u32; export h: func() -> u32; }`, "w")
	libraries = []componentize.Library{{Name: "lonely", Module: embed(t, lonely, w, componentize.UTF8)}}
	_, err = componentize.Link(libraries, componentize.LinkOptions{})
	if err == nil || !strings.Contains(err.Error(), `library lonely needs the function "gone" of type (i32) -> (i32)`) {
		t.Error(err)
	}
	c, err = componentize.Link(libraries, componentize.LinkOptions{StubMissing: true})
	if err != nil {
		t.Fatal(err)
	}
	i = run(t, c, nil)
	wantU32(t, i, 1, "", "g")
	f, _ := i.Func("", "h")
	if _, err := f.Call(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "unreachable") {
		t.Error(err)
	}
}

// TestLibraryStorage checks that each library has thread-local storage of its own, and
// that dlsym's table is where it is said to be.
func TestLibraryStorage(t *testing.T) {
	lib := func(name string, open bool, number int32) componentize.Library {
		m := &guests.CoreModule{}
		m.ImportFunc("env", "__wasm_get_tls_base", nil, core("", "i").Results)
		m.ImportFunc("env", "__wasm_set_tls_base", core("i", "").Params, nil)
		sharing(m, []string{"__wasm_libdl_libraries", "__wasm_program_tls_info"}, nil)
		for _, f := range []guests.Func{
			function("__wasm_call_ctors", "", "", 0, guests.I32(number), guests.Call(1)),
			function(name, "", "i", 0, guests.Call(0)),
			function(name+"-libraries", "", "i", 0, guests.GlobalGet(2), guests.Load(0)),
			function(name+"-symbols", "", "i", 0, guests.GlobalGet(2), guests.Load(4), guests.Load(8)),
			function(name+"-slots", "", "i", 0, guests.GlobalGet(3), guests.Load(0)),
			function(name+"-own", "", "i", 0, guests.GlobalGet(3), guests.Load(4), guests.Load(0)),
			function(name+"-array", "", "i", 0, guests.GlobalGet(3), guests.Load(8), guests.Load(0)),
			function(name+"-base", "", "i", 0, guests.GlobalGet(0)),
		} {
			m.Define(&f)
		}
		m.Globals = []wasm.Global{{GlobalType: wasm.GlobalType{Val: wasm.I32}, Init: guests.Constant(8)}}
		m.Exports = append(m.Exports, wasm.Export{Name: "__wasm_library_tls_info", Kind: wasm.KindGlobal, Index: 4})
		m.Customs = append(m.Customs, dylink(16, 0))
		text := "package test:" + name + "; world w {"
		for _, s := range []string{"", "-libraries", "-symbols", "-slots", "-own", "-array", "-base"} {
			text += " export " + name + s + ": func() -> u32;"
		}
		return componentize.Library{Name: name, Module: embed(t, m, world(t, text+" }", "w"), componentize.UTF8), Open: open}
	}
	c, err := componentize.Link([]componentize.Library{lib("one", false, 111), lib("two", true, 222)}, componentize.LinkOptions{StackSize: 4096})
	if err != nil {
		t.Fatal(err)
	}
	i := run(t, c, nil)
	wantU32(t, i, 111, "", "one")
	wantU32(t, i, 222, "", "two")
	wantU32(t, i, 2, "", "one-slots")
	wantU32(t, i, 111, "", "two-array")
	base := call(t, i, "", "one-base").(component.U32Val)
	wantU32(t, i, uint32(base)+8, "", "two-own")
	wantU32(t, i, 1, "", "one-libraries")
	wantU32(t, i, 7, "", "two-symbols") // its functions but for the constructor
}
