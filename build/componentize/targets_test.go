package componentize_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/build/componentize"
	"github.com/ashlar-wasm/ashlar/internal/guests"
)

func TestTargets(t *testing.T) {
	const text = `package test:t@%s;
interface types { resource r; record p { a: u32, b: list<r> } }
interface i { use types.{p}; f: func(x: p) -> result<u32, string>; unused: func(); }
interface e { g: func() -> option<u32>; }
world w { import i; import h: func(); export e; export k: func(s: string); }`
	const i = "test:t/i@0.2.0"
	m := module([]coreImport{imported(i, "f", "iiii", "")},
		function("test:t/e@0.2.0#g", "", "i", 0, guests.I32(0)),
		function("k", "ii", "", 0))
	c := makeComponent(t, embed(t, m, world(t, fmt.Sprintf(text, "0.2.0"), "w"), componentize.UTF8))
	for _, test := range []struct{ change, to, version, want string }{
		{"", "", "0.2.0", ""},
		{"", "", "0.2.9", ""}, // of the same track
		{"", "", "0.3.0", "import test:t/i@0.2.0: the world does not import it"},
		{"", "", "0.3.0", "export test:t/e@0.3.0: the component does not export it"},
		{"export k: func(s: string);", "", "0.2.0", ""},
		{"unused: func();", "", "0.2.0", ""},
		{"import i;", "", "0.2.0", "import test:t/i@0.2.0: the world does not import it"},
		{"b: list<r>", "b: list<u8>", "0.2.0", `function "f": parameter "x": b: r and u8: it is func(x: p)`},
		{"a: u32", "c: u32", "0.2.0", `parameter "x": p: "a" and "c"`},
		{"result<u32, string>", "result<u32>", "0.2.0", `result: error: string and _`},
		{"g: func()", "g: func(n: u8)", "0.2.0", `export test:t/e@0.2.0: function "g": 0 and 1 parameters: it is func() -> option<u32> in the component and func(n: u8) -> option<u32> in the world`},
		{"g: func()", "more: func(); g: func()", "0.2.0", `function "more": the component does not export it`},
		{"k: func(s: string)", "k: func(t: string)", "0.2.0", `export k: parameter 1 is named "s" and "t"`},
		{"k: func(s: string)", "k: async func(s: string)", "0.2.0", `export k: only one is async`},
		{"export k: func(s: string);", "export k: interface { }", "0.2.0", `one is a function, the other an interface`},
	} {
		err := componentize.Targets(c, world(t, strings.Replace(fmt.Sprintf(text, test.version), test.change, test.to, 1), "w"))
		if test.want == "" {
			if err != nil {
				t.Errorf("%q -> %q, version %s: %v", test.change, test.to, test.version, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q -> %q, version %s: got %v\nwant %s", test.change, test.to, test.version, err, test.want)
		}
	}
	if err := componentize.Targets(m.Encode(), world(t, greeting, "greeter")); err == nil {
		t.Error("a core module fits a world")
	}
}
