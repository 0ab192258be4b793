package componentize_test

import (
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/build/componentize"
	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/guests"
)

// FuzzNew makes components of damaged modules with damaged worlds, and links them with
// damaged adapters: nothing panics, and what is made is valid.
func FuzzNew(f *testing.F) {
	const text = `package test:f@0.1.0;
interface t { resource r { constructor(s: string); m: func(o: option<list<u8>>) -> result<u32, string>; } record p { a: u8, b: f64 } }
interface i { use t.{r, p}; f: async func(x: stream<p>, y: borrow<r>) -> future<string>; g: func() -> tuple<u8, list<p>>; enum e { a, b } }
world imports { import i; import h: func(e: u32) -> string; import inline: interface { flags x { a } k: func() -> x; } }
world exports { export t; export q: func(s: string); }
world adapter { import i; }`
	const t, i = "test:f/t@0.1.0", "test:f/i@0.1.0"
	importing := module([]coreImport{
		imported(i, "[async-lower]f", "iii", "i"),
		imported(i, "g", "i", ""),
		imported(t, "[resource-drop]r", "i", ""),
		imported(i, "[stream-new-0]f", "", "I"),
		imported(i, "[stream-read-0]f", "iii", "i"),
		imported("$root", "h", "ii", ""),
		imported("inline", "k", "", "i"),
		imported("old", "go", "", ""),
		imported("$root", "[waitable-set-wait]", "ii", "i"),
	})
	exporting := module([]coreImport{imported("[export]"+t, "[resource-new]r", "i", "i")},
		function(t+"#[constructor]r", "ii", "i", 0, guests.Get(0)),
		function(t+"#[method]r.m", "iiii", "i", 0, guests.Get(0)),
		function(t+"#[dtor]r", "i", "", 0),
		function("q", "ii", "", 0),
		function("_initialize", "", "", 0))
	adapter := bare([]coreImport{
		imported("__main_memory__|"+i, "g", "i", ""),
		imported("__main_memory__", "load8", "i", "i"),
		imported("__main_module__", "cabi_realloc", "iiii", "i"),
	},
		function("go", "", "", 0, guests.I32(0), guests.Call(0)),
		function("cabi_main_realloc", "iiii", "i", 0, guests.Get(0), guests.Call(1)),
		function("dead", "", "", 0, guests.Call(3)))
	withMemory(adapter, "memory")
	a := embed(f, adapter, world(f, text, "adapter"), componentize.UTF8)
	f.Add(embed(f, importing, world(f, text, "imports"), componentize.UTF8), a)
	f.Add(embed(f, exporting, world(f, text, "exports"), componentize.UTF16), a)
	f.Add(embed(f, greeter(), world(f, greeting, "greeter"), componentize.Latin1UTF16), []byte{})
	f.Fuzz(func(t *testing.T, m, adapter []byte) {
		var opts componentize.Options
		if len(adapter) > 0 {
			opts.Adapters = []componentize.Adapter{{Name: "old", Module: adapter}}
		}
		out, err := componentize.New(m, opts)
		if err != nil {
			if strings.Contains(err.Error(), "the component is invalid") {
				t.Error(err)
			}
			return
		}
		c, err := binary.Decode(out)
		if err != nil {
			t.Fatal(err)
		}
		if binary.KindOf(out) != binary.KindComponent || len(c.Defs) == 0 {
			t.Errorf("%d definitions", len(c.Defs))
		}
	})
}

// FuzzLink links damaged libraries.
func FuzzLink(f *testing.F) {
	libraries := twoLibraries(f)
	f.Add(libraries[0].Module, libraries[1].Module)
	f.Fuzz(func(t *testing.T, app, math []byte) {
		_, err := componentize.Link([]componentize.Library{
			{Name: "app", Module: app}, {Name: "math", Module: math, Open: true}}, componentize.LinkOptions{StubMissing: true})
		if err != nil && strings.Contains(err.Error(), "the component is invalid") {
			t.Error(err)
		}
	})
}
