package componentize_test

import (
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/build/componentize"
	"github.com/ashlar-wasm/ashlar/internal/guests"
)

func TestErrors(t *testing.T) {
	const text = `package test:e@1.0.0;
interface i { f: func(s: string) -> u32; resource r; }
world w { import i; import g: func() -> string; export h: func(a: u32) -> u32; export i; }
world empty { }
world text { export t: func() -> string; }
world lists { import l: func() -> list<u8>; }`
	const i = "test:e/i@1.0.0"
	h := function("h", "i", "i", 0, guests.Get(0))
	f := function(i+"#f", "ii", "i", 0, guests.Get(0))
	for _, c := range []struct {
		name, world string
		m           *guests.CoreModule
		want        string
	}{
		{"missing export", "w", module(nil, f), `export "h": the module exports nothing named "h"`},
		{"missing function", "w", module(nil, h), `export "f" of test:e/i@1.0.0: the module exports nothing named "test:e/i@1.0.0#f"`},
		{"type of an export", "w", module(nil, f, function("h", "I", "i", 0, guests.I32(1))),
			`the module's export "h": its type is (i64) -> (i32), expected is (i32) -> (i32)`},
		{"type of an import", "w", module([]coreImport{imported(i, "f", "i", "i")}, h, f),
			`import "f" of "test:e/i@1.0.0": its type is (i32) -> (i32), expected is (i32, i32) -> (i32)`},
		{"no such function", "w", module([]coreImport{imported(i, "nope", "i", "i")}, h, f), `interface test:e/i@1.0.0 has no such function`},
		{"no such interface", "w", module([]coreImport{imported("test:e/j", "f", "i", "i")}, h, f),
			`import "f" of "test:e/j": there is no such import: the embedded world has test:e/i@1.0.0`},
		{"no such root function", "w", module([]coreImport{imported("$root", "x", "i", "i")}, h, f), `import "x" of "$root": the world has no such function`},
		{"another track", "w", module([]coreImport{imported("test:e/i@2.0.0", "f", "ii", "i")}, h, f), `there is no such import`},
		{"rep of an import", "w", module([]coreImport{imported(i, "[resource-rep]r", "i", "i")}, h, f), `has no such function`},
		{"type of a built-in", "w", module([]coreImport{imported("[export]"+i, "[resource-new]r", "i", "")}, h, f), `its type is (i32) -> (), expected is (i32) -> (i32)`},
		{"post-return", "text", module(nil, function("t", "", "i", 0, guests.I32(0)), function("cabi_post_t", "", "", 0)),
			`the module's export "cabi_post_t": its type is () -> (), expected is (i32) -> ()`},
		{"callback", "text", module(nil, function("[async-lift]t", "", "i", 0, guests.I32(0))), `does not export "[callback][async-lift]t"`},
		{"no memory", "text", bare(nil, function("t", "", "i", 0, guests.I32(0))), `it needs a memory, but the module exports none named "memory"`},
		{"no realloc", "lists", withoutRealloc(), `exports no function named "cabi_realloc"`},
		{"no world", "", bare([]coreImport{imported("a", "b", "", "")}), `the module has no embedded world`},
		{"adapter", "empty", bare([]coreImport{imported("adapter", "b", "", "")}), `it does not export the function "b"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := c.m.Encode()
			if c.world != "" {
				m = embed(t, c.m, world(t, text, c.world), componentize.UTF8)
			}
			_, err := componentize.New(m, componentize.Options{Adapters: []componentize.Adapter{{Name: "adapter", Module: bare(nil).Encode()}}})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func withoutRealloc() *guests.CoreModule {
	m := bare([]coreImport{imported("$root", "l", "i", "")})
	withMemory(m, "memory")
	return m
}

func TestWorldsThatDiffer(t *testing.T) {
	m := bare(nil)
	first := embed(t, m, world(t, `package test:d; interface i { record r { a: u32 } f: func(x: r); } world w { import i; }`, "w"), componentize.UTF8)
	for text, want := range map[string]string{
		`package test:d; interface i { record r { a: u64 } } world w { import i; }`:                `import test:d/i: type "r" is defined differently`,
		`package test:d; interface i { record r { a: u32 } f: func(y: r); } world w { import i; }`: `the type of function "f" is func(x: r) in one embedded world and func(y: r) in another`,
	} {
		both, err := componentize.Embed(first, world(t, text, "w"), componentize.EmbedOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := componentize.New(both, componentize.Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	// A function has its strings in one encoding.
	text := world(t, `package test:d; world w { import f: func(s: string); }`, "w")
	both, err := componentize.Embed(embed(t, m, text, componentize.UTF8), text, componentize.EmbedOptions{Encoding: componentize.UTF16})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := componentize.New(both, componentize.Options{}); err == nil || !strings.Contains(err.Error(), "utf16, and elsewhere in utf8") {
		t.Error(err)
	}
}
