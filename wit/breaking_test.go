package wit_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	wasiwit "github.com/ashlar-wasm/ashlar/wasi/wit"
	"github.com/ashlar-wasm/ashlar/wit"
)

const earlierLog = `package acme:log@1.2.0;
interface types { resource sink { constructor(); flush: func(); } enum level { info, warn } @unstable(feature = new) type draft = u8; }
interface logger { use types.{level, sink}; log: func(at: level, text: string); to: func(s: borrow<sink>); }
interface extra { x: func(); }
world app { import logger; import wasi:io/poll@0.2.0; import h: func(); export run: func() -> u32; }
`

func mustMain(t *testing.T, text string) *wit.Package {
	t.Helper()
	r, err := wit.ParseText("p.wit", text, wit.Options{AllFeatures: true, Lookup: wasiwit.Lookup})
	if err != nil {
		t.Fatal(err)
	}
	return r.Main
}

// throughBinary is the package as a registry has it.
func throughBinary(t *testing.T, p *wit.Package) *wit.Package {
	t.Helper()
	b, err := wit.Encode(p)
	if err != nil {
		t.Fatal(err)
	}
	r, _, err := wit.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return r.Main
}

func TestBreakingChanges(t *testing.T) {
	for _, test := range []struct{ old, new, want string }{
		{"", "", ""},
		{"1.2.0", "1.3.0", ""},
		// More breaks nothing.
		{"interface extra { x: func(); }", "interface extra { x: func(); y: func(); } interface other {} world w {}", ""},
		{"wasi:io/poll@0.2.0", "wasi:io/poll@0.2.3", ""},
		{"@unstable(feature = new) type draft = u8;", "", ""},
		{"type draft = u8", "type draft = u16", ""},
		{"flush: func();", "flush: func(); more: func();", ""},
		// Less does.
		{"interface extra { x: func(); }", "", "interface extra: is gone"},
		{"interface extra { x: func(); }", "interface extra { }", `interface extra: function "x" is gone`},
		{"flush: func();", "", `interface types: function "[method]sink.flush" is gone`},
		{"info, warn", "info, warning", `interface types: type "level" changed: level: "warn" and "warning"; ` +
			`interface logger: type "level" changed: level: "warn" and "warning"; ` +
			`interface logger: function "log" changed: parameter "at": level: "warn" and "warning": it was func(at: level, text: string) and is func(at: level, text: string)`},
		{"text: string", "text: list<u8>", `interface logger: function "log" changed: parameter "text": string and list<u8>: it was func(at: level, text: string) and is func(at: level, text: list<u8>)`},
		{"text: string", "message: string", `interface logger: function "log" changed: parameter 2 is named "text" and "message": it was func(at: level, text: string) and is func(at: level, message: string)`},
		{"s: borrow<sink>", "s: sink", `interface logger: function "to" changed: parameter "s": borrow<sink> and sink: it was func(s: borrow<sink>) and is func(s: sink)`},
		// A world has two sides.
		{"import logger; ", "", "world app: import acme:log/logger@1.2.0 is gone, and components made for the world may use it; " +
			"world app: import acme:log/types@1.2.0 is gone, and components made for the world may use it"},
		{"import h: func();", "import h: func(); import k: func();", "world app: import k is new, and those who run components of the world may not have it"},
		{"import h: func();", "import h: func(); import extra;", "world app: import acme:log/extra@1.2.0 is new, and those who run components of the world may not have it"},
		{"export run: func() -> u32;", "", "world app: export run is gone, and those who run components of the world may use it"},
		{"export run: func() -> u32;", "export run: func() -> u32; export stop: func();", "world app: export stop is new, and components made for the world don't have it"},
		{"run: func() -> u32", "run: func()", `world app: export run changed: result: u32 and _: it was func() -> u32 and is func()`},
		{"import h: func();", "import h: interface { }", "world app: import h changed: one is a function, the other an interface"},
		{"wasi:io/poll@0.2.0", "wasi:io/error@0.2.0", "world app: import wasi:io/poll@0.2.0 is gone, and components made for the world may use it; " +
			"world app: import wasi:io/error@0.2.0 is new, and those who run components of the world may not have it"},
	} {
		earlier, later := mustMain(t, earlierLog), mustMain(t, strings.Replace(earlierLog, test.old, test.new, 1))
		for _, p := range [][2]*wit.Package{{earlier, later}, {throughBinary(t, earlier), throughBinary(t, later)}} {
			var got []string
			for _, c := range wit.BreakingChanges(p[0], p[1]) {
				got = append(got, c.String())
			}
			want := strings.Split(test.want, "; ")
			slices.Sort(got)
			slices.Sort(want)
			if got, want := strings.Join(got, "\n"), strings.Join(want, "\n"); got != want {
				t.Errorf("%q -> %q:\n%s\nexpected\n%s", test.old, test.new, got, want)
			}
		}
	}
}

// WASI keeps its promise: no version of 0.2 breaks the one before.
func TestBreakingChangesOfWASI(t *testing.T) {
	for _, name := range []string{"cli", "clocks", "filesystem", "http", "io", "random", "sockets"} {
		var earlier *wit.Package
		for patch := range 13 {
			v := fmt.Sprintf("0.2.%d", patch)
			r, err := wit.ParseText("l.wit", "package l:l; world w { "+someOf[name]+"@"+v+"; }", wit.Options{AllFeatures: true, Lookup: wasiwit.Lookup})
			if err != nil {
				t.Fatal(err)
			}
			later := r.Package(wit.PackageName{Namespace: "wasi", Name: name, Version: v})
			if later == nil {
				t.Fatalf("there is no %s@%s", name, v)
			}
			if earlier != nil {
				for _, c := range wit.BreakingChanges(earlier, later) {
					t.Errorf("wasi:%s@%s breaks %s: %s", name, v, earlier.Name, c)
				}
			}
			earlier = later
		}
	}
}

// someOf has of each package something that refers to it.
var someOf = map[string]string{
	"cli": "include wasi:cli/command", "clocks": "import wasi:clocks/wall-clock", "filesystem": "import wasi:filesystem/types",
	"http": "include wasi:http/proxy", "io": "import wasi:io/poll", "random": "import wasi:random/random", "sockets": "import wasi:sockets/network",
}

func TestBreakingComponentChanges(t *testing.T) {
	const text = `package test:t@1.0.0;
interface types { resource r; }
interface i { use types.{r}; f: func(x: borrow<r>); }
interface e { g: func() -> u32; }
world w { import i; import h: func(); export e; export k: func(s: string); }`
	for _, test := range []struct{ old, new, want string }{
		{"", "", ""},
		{"1.0.0", "1.1.0", ""},
		{"1.0.0", "2.0.0", "export test:t/e@1.0.0: is gone; import test:t/i@2.0.0: is new; import test:t/types@2.0.0: is new"},
		{"import h: func();", "", ""},
		{"g: func() -> u32;", "g: func() -> u32; more: func();", ""},
		{"export e;", "export e; export more: func();", ""},
		{"export e;", "", "export test:t/e@1.0.0: is gone"},
		{"g: func() -> u32", "g: func() -> u64", `export test:t/e@1.0.0: function "g" changed: result: u32 and u64: it was func() -> u32 and is func() -> u64`},
		{"g: func()", "h: func()", `export test:t/e@1.0.0: function "g" is gone`},
		{"k: func(s: string)", "k: func()", `export k: changed: 1 and 0 parameters: it was func(s: string) and is func()`},
		{"import h: func();", "import h: func(); import wasi:io/poll@0.2.0;", "import wasi:io/poll@0.2.0: is new"},
		{"f: func(x: borrow<r>);", "f: func(x: borrow<r>); n: func();", `import test:t/i@1.0.0: function "n" is new`},
		{"f: func(x: borrow<r>)", "f: func(x: r)", `import test:t/i@1.0.0: function "f" changed: parameter "x": borrow<r> and r: it was func(x: borrow<r>) and is func(x: r)`},
		{"import h: func()", "import h: func() -> u8", `import h: changed: result: _ and u8: it was func() and is func() -> u8`},
	} {
		earlier, later := mustMain(t, text).World("w"), mustMain(t, strings.Replace(text, test.old, test.new, 1)).World("w")
		var got []string
		for _, c := range wit.BreakingComponentChanges(earlier, later) {
			got = append(got, c.String())
		}
		slices.Sort(got)
		if got := strings.Join(got, "; "); got != test.want {
			t.Errorf("%q -> %q:\n%s\nexpected\n%s", test.old, test.new, got, test.want)
		}
	}
}

// FuzzBreakingChanges compares any two packages: each breaks nothing of itself, and two
// merge if the later breaks no interface of the earlier.
func FuzzBreakingChanges(f *testing.F) {
	f.Add(earlierLog, strings.Replace(earlierLog, "text: string", "text: u8", 1))
	f.Add("package a:b;\ninterface i { resource r { m: func() -> borrow<r>; } f: func(x: list<tuple<u8, option<r>>>); }", "package a:b;\nworld w { import i: interface { type t = u8; } export x: async func(); }")
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a)+len(b) > 2000 {
			return
		}
		var packages []*wit.Package
		for _, text := range []string{a, b} {
			r, err := wit.ParseText("p.wit", text, wit.Options{AllFeatures: true, Lookup: wasiwit.Lookup})
			if err != nil {
				return
			}
			packages = append(packages, r.Main)
		}
		for _, p := range packages {
			if changes := wit.BreakingChanges(p, p); len(changes) > 0 {
				t.Errorf("%s breaks itself: %v", wit.Print(p), changes)
			}
			merged, err := wit.MergePackages(p, p)
			if err != nil || len(wit.BreakingChanges(merged, p)) > 0 {
				t.Errorf("%s does not merge with itself: %v", wit.Print(p), err)
			}
		}
		broken := wit.BreakingChanges(packages[0], packages[1])
		if packages[0].Name != packages[1].Name || slices.ContainsFunc(broken, func(c wit.BreakingChange) bool { return strings.HasPrefix(c.Item, "interface") }) {
			return
		}
		if merged, err := wit.MergePackages(packages[0], packages[1]); err != nil && !strings.Contains(a, "unstable") {
			t.Errorf("%s\nand\n%s\nare compatible, and don't merge: %v", a, b, err)
		} else if err == nil && len(merged.Interfaces) != len(packages[1].Interfaces) && !strings.Contains(a, "unstable") {
			t.Errorf("%s\nand\n%s\nhave %d interfaces", a, b, len(merged.Interfaces))
		}
	})
}
