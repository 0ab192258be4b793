package wit

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"
)

func parse(t *testing.T, text string, opts Options) *Resolve {
	t.Helper()
	r, err := ParseText("test.wit", text, opts)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const shop = `/// A shop.
package my:shop@1.2.0;

interface kinds {
  /// What is sold.
  resource item {
    constructor(name: string) -> result<item, string>;
    price: func() -> u32;
    find: static async func(name: string) -> option<item>;
  }

  record order {
    /// What is wanted.
    wanted: list<item>,
    %type: tuple<u8, option<string>>,
  }

  variant state {
    open,
    closed(order),
  }

  enum size {
    small,
    large,
  }

  flags rights {
    read,
    write,
  }

  type alias = size;

  type handle = own<item>;

  type table = map<string, list<u32, 4>>;

  type feed = stream<order>;

  type done = future;

  type bad = error-context;
}

interface counter {
  use kinds.{item, order as purchase};

  look: func(i: borrow<item>, many: list<borrow<item>>);

  buy: async func(o: purchase) -> result<_, string>;

  none: func() -> result;

  either: func() -> result<u8>;
}

world market {
  import kinds;
  import counter;
  import left: counter;
  import mine: interface {
    go: func();
  }
  use kinds.{size};

  record local {
    s: size,
  }

  resource till {
    count: func() -> u32;
  }
  import log: func(l: local, t: borrow<till>);

  export run: async func();
  export front: interface {
    use kinds.{item};

    serve: func(i: item);
  }
}
`

func TestPrintIsCanonical(t *testing.T) {
	got := Print(parse(t, shop, Options{}).Main)
	want := strings.Replace(shop, "  use kinds.{size};\n\n  record local", "  use kinds.{size};\n\n  record local", 1)
	want = strings.Replace(want, "import own:", "import %own:", 1)
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestModel(t *testing.T) {
	r := parse(t, shop, Options{})
	p := r.Main
	if p.Name.String() != "my:shop@1.2.0" || p.Docs != "A shop." {
		t.Errorf("package %s %q", p.Name, p.Docs)
	}
	kinds := p.Interface("kinds")
	if kinds.ID() != "my:shop/kinds@1.2.0" {
		t.Errorf("ID %s", kinds.ID())
	}
	item := kinds.Type("item")
	ctor := kinds.Function("[constructor]item")
	result := ctor.Result.(*TypeDef).Kind.(*Result)
	if own := result.OK.(*TypeDef).Kind.(*Own); own.Resource != item {
		t.Errorf("constructor returns %v", own)
	}
	find := kinds.Function("[static]item.find")
	if !find.Async || find.Kind != Static || find.ItemName() != "find" || find.Resource != item || len(find.Params) != 1 {
		t.Errorf("find is %+v", find)
	}
	price := kinds.Function("[method]item.price")
	if len(price.Params) != 1 || price.Params[0].Name != "self" || price.Params[0].Type.(*TypeDef).Kind.(*Borrow).Resource != item {
		t.Errorf("price is %+v", price)
	}
	counter := p.Interface("counter")
	purchase := counter.Type("purchase")
	if purchase.UsedFrom() != kinds || purchase.Root() != kinds.Type("order") {
		t.Errorf("purchase is %+v", purchase)
	}
	if deps := counter.Dependencies(); len(deps) != 1 || deps[0] != kinds {
		t.Errorf("dependencies %v", deps)
	}
	w := p.World("market")
	if left := w.Import("left"); left.Interface != counter || left.Implements() != "my:shop/counter@1.2.0" {
		t.Errorf("left is %+v", left)
	}
	if i := w.Import("my:shop/kinds@1.2.0"); i == nil || i.Interface != kinds || i.Implements() != "" {
		t.Errorf("kinds is %+v", i)
	}
	if pos := item.Position(); pos.String() != "test.wit:6:12" {
		t.Errorf("position %s", pos)
	}
	for typ, want := range map[Type]string{result.OK: "item", ctor.Result: "result<item, string>", kinds.Type("table"): "table"} {
		if got := typ.(*TypeDef).String(); got != want {
			t.Errorf("type %q, want %q", got, want)
		}
	}
}

// The world needs what its imports and exports use, in an order in which each
// comes after what it depends on.
func TestElaboration(t *testing.T) {
	r := parse(t, `
package a:b;
interface a { resource r; }
interface b { use a.{r}; }
interface c { use b.{r}; }
world imports { import c; }
world exports { export c; }
world all { export c; export a; export b; }
world uses { use c.{r}; export f: func(r: r); }
`, Options{})
	for world, want := range map[string]string{
		"imports": "a:b/a a:b/b a:b/c |",
		"exports": "a:b/a a:b/b | a:b/c",
		"all":     "| a:b/a a:b/b a:b/c",
		"uses":    "a:b/a a:b/b a:b/c r | f",
	} {
		w := r.Main.World(world)
		got := strings.TrimSpace(names(w.Imports) + "| " + names(w.Exports))
		if got != want {
			t.Errorf("%s: got %q, want %q", world, got, want)
		}
	}
}

func names(items []*WorldItem) string {
	s := ""
	for _, i := range items {
		s += i.ExternName() + " "
	}
	return s
}

func TestInclude(t *testing.T) {
	r := parse(t, `
package a:b;
interface i {}
world base { import i; type t = u8; import f: func(x: t); resource r { m: func(); } export g: func(); }
world other { include base with { f as ff, r as rr, g as gg } import f: func(); }
`, Options{})
	w := r.Main.World("other")
	if got := names(w.Imports) + "| " + names(w.Exports); got != "a:b/i t rr f ff [method]rr.m | gg " {
		t.Errorf("got %q", got)
	}
	f := w.Import("ff").Function
	typ := f.Params[0].Type.(*TypeDef)
	if f.Name != "ff" || typ.Owner != w || typ != w.Import("t").Type {
		t.Errorf("included function %+v has a parameter of %+v", f, typ)
	}
	if m := w.Import("[method]rr.m").Function; m.Resource != w.Import("rr").Type || m.Resource.Name != "rr" {
		t.Errorf("included method %+v", m)
	}
}

func TestFeatureGates(t *testing.T) {
	const text = `
package a:b@1.1.0;
interface i {
  @since(version = 1.0.0)
  f: func();
  @unstable(feature = new)
  g: func();
  @unstable(feature = other)
  @deprecated(version = 1.1.0)
  type t = u8;
}
@unstable(feature = new)
interface j {}
world w {
  import i;
  @unstable(feature = new)
  import j;
}
`
	for _, test := range []struct {
		opts  Options
		items string
		ifcs  int
	}{
		{Options{}, "f", 1},
		{Options{Features: []string{"new"}}, "f g", 2},
		{Options{AllFeatures: true}, "t f g", 2},
	} {
		r := parse(t, text, test.opts)
		var items []string
		for _, typ := range r.Main.Interface("i").Types {
			items = append(items, typ.Name)
		}
		for _, f := range r.Main.Interface("i").Functions {
			items = append(items, f.Name)
		}
		if got := strings.Join(items, " "); got != test.items {
			t.Errorf("%+v: items %q, want %q", test.opts, got, test.items)
		}
		if n := len(r.Main.Interfaces); n != test.ifcs || len(r.Main.World("w").Imports) != test.ifcs {
			t.Errorf("%+v: %d interfaces", test.opts, n)
		}
	}
	if s := parse(t, text, Options{AllFeatures: true}).Main.Interface("i").Type("t").Stability; s != (Stability{Unstable: "other", Deprecated: "1.1.0"}) {
		t.Errorf("stability %+v", s)
	}
}

func TestPackages(t *testing.T) {
	fsys := fstest.MapFS{
		"wit/a.wit":           {Data: []byte("package my:app; use x:dep/types@1.0.0 as ty; interface a { use ty.{t}; f: func(t: t); }")},
		"wit/b.wit":           {Data: []byte("interface b { use a.{t}; use in:line/q.{v}; } package in:line { interface q { type v = u8; } }")},
		"wit/notes.txt":       {Data: []byte("no WIT")},
		"wit/deps/dep/t.wit":  {Data: []byte("package x:dep@1.0.0; interface types { use y:deep/d.{t}; }")},
		"wit/deps/deep.wit":   {Data: []byte("package y:deep; interface d { type t = string; }")},
		"wit/deps/readme.md":  {Data: []byte("no WIT")},
		"more/extra.wit":      {Data: []byte("package z:extra; interface e {}")},
		"wit/deps/dep/deps/x": {Data: []byte("ignored")},
	}
	r, err := ParseFS(fsys, "wit", Options{Deps: []string{"more"}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range r.Packages {
		got = append(got, p.Name.String())
	}
	if want := "in:line y:deep x:dep@1.0.0 my:app z:extra"; strings.Join(got, " ") != want {
		t.Errorf("packages %v, want %s", got, want)
	}
	if r.Main.Name.String() != "my:app" || r.Package(PackageName{Namespace: "x", Name: "dep"}) == nil {
		t.Errorf("main is %s", r.Main.Name)
	}
}

func TestErrors(t *testing.T) {
	for _, test := range []struct{ text, pos, message, hint string }{
		{"interface a {}", "", "no `package` header", ""},
		{"package a:b;\ninterface a {\n  f: func(x: strin);\n}", "3:14", "type `strin` does not exist", "did you mean `string`?"},
		{"package a:b; interface a { type x = y; type y = x; }", "1:37", "type `y` depends on itself", ""},
		{"package a:b; interface a { use b.{t}; } interface b { use a.{t}; }", "1:32", "depends on itself", ""},
		{"package a:b; interface host {} world w { import hots; }", "1:49", "`hots` does not exist", "did you mean `host`?"},
		{"package a:b; interface i { use c:d/e.{f}; }", "1:32", "package `c:d` not found", "deps folder"},
		{"package a:b; package c:d { interface e {} } interface i { use c:d/ee.{f}; }", "1:67", "`ee` not found in package `c:d`", "did you mean `e`?"},
		{"package a:b; package c:d { interface e { type fo = u8; } } interface i { use c:d/e.{foo}; }", "1:85", "type `foo` does not exist in interface `e`", "did you mean `fo`?"},
		{"package a:b; package c:d@1.0.0 { interface e {} } interface i { use c:d/e@2.0.0.{f}; }", "1:69", "package `c:d@2.0.0` not found", "known is `c:d@1.0.0`"},
		{"package a:b; package c:d { interface e { use f:g/h.{i}; } } package f:g { interface h { use c:d/e.{i}; } }", "1:93", "dependency cycle", ""},
		{"package a:b; package c:d {} package c:d {}", "1:37", "defined in two different locations", "test.wit:1:22"},
		{"package a:b; interface i { record r { a: u8, A: u8 } }", "1:46", "duplicate name `A`", ""},
		{"package a:b; interface i { type: func(); }", "1:32", "expected an identifier, found `:`", ""},
		{"package a:b; interface i { f: func(type: u8); }", "1:36", "found keyword `type`", "`%type`"},
		{"package a:b; interface i { aB: func(); }", "1:28", "all lower case or all upper case", ""},
		{"package a:b; interface i { a--b: func(); }", "1:28", "between '-'s", ""},
		{"package a:b; interface i { f: func() -> borrow<r>; resource r; }", "1:28", "contains a `borrow<T>`", ""},
		{"package a:b; interface i { f: func(x: own<u>); type u = u8; }", "1:43", "must be a resource", ""},
		{"package a:b; interface i { enum e {} }", "1:33", "is empty", ""},
		{"package a:b; @since(version = 1.0.0) interface i {}", "1:48", "must have a version", ""},
		{"package a:b@1.0.0; @since(version = 2.0.0) interface i {}", "1:54", "unreleased version 2.0.0", ""},
		{"package a:b; @sinse(version = 1.0.0) interface i {}", "1:15", "unknown attribute `sinse`", "did you mean `since`?"},
		{"package a:b@1.0; interface i {}", "1:13", "not of the form major.minor.patch", ""},
		{"package a:b@01.0.0; interface i {}", "1:13", "leading zero", ""},
		{"package a:b; world w { import f: func(); import f: func(); }", "1:49", "conflicts with prior func", ""},
		{"package a:b; world w { export f: func(); export F: func(); }", "1:49", "case-insensitive", ""},
		{"package a:b; world v {} world w { include v with { x as y } }", "1:52", "no import or export named `x`", ""},
		{"package a:b; interface i { f: func(); } interface j { use i.{f}; }", "1:62", "cannot import function `f`", ""},
		{"package a:b; /* open", "1:14", "unterminated block comment", ""},
		{"package a:b; \u202e", "1:14", "not allowed", ""},
		{"package a:b; \xff", "1:14", "not valid UTF-8", ""},
		{"package a:b; interface i { f: func(x: float32); }", "1:39", "`float32` does not exist", "`f32`"},
		{"package a:b; interface i { type t = map<f32, u8>; }", "1:37", "invalid map key", ""},
		{"package a:b; interface i { type t = list<u8, 4294967296>; }", "1:46", "too large", ""},
		{"package a:b;\n\n\tinterface ü {}", "3:12", "invalid character in identifier 'ü'", ""},
	} {
		_, err := ParseText("test.wit", test.text, Options{})
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%q: error is %v", test.text, err)
			continue
		}
		if !strings.Contains(e.Message, test.message) {
			t.Errorf("%q: message %q, want %q", test.text, e.Message, test.message)
		}
		if want := strings.TrimSuffix("test.wit:"+test.pos, ":"); e.Position.String() != want {
			t.Errorf("%q: position %s, want %s", test.text, e.Position, want)
		}
		if !strings.Contains(e.Hint, test.hint) || test.hint == "" && strings.Contains(e.Hint, "did you mean") {
			t.Errorf("%q: hint %q, want %q", test.text, e.Hint, test.hint)
		}
	}
}

func TestErrorText(t *testing.T) {
	_, err := ParseText("app.wit", "package a:b;\ninterface x {\n\tf: func(é: strin);\n}", Options{})
	// é is no identifier, and takes one column.
	want := "app.wit:3:10: invalid character in identifier 'é'\n" +
		"  |\n" +
		"3 | \tf: func(é: strin);\n" +
		"  | \t        ^"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestDepthIsBounded(t *testing.T) {
	nested := func(n int) string {
		return "package a:b; interface i { type t = " + strings.Repeat("list<", n) + "u8" + strings.Repeat(">", n) + "; }"
	}
	if _, err := ParseText("t.wit", nested(maxTypeDepth-1), Options{}); err != nil {
		t.Errorf("%d levels: %v", maxTypeDepth-1, err)
	}
	if _, err := ParseText("t.wit", nested(maxTypeDepth), Options{}); err == nil {
		t.Errorf("%d levels were accepted", maxTypeDepth)
	}
	if _, err := ParseText("t.wit", strings.Repeat("package a:b { ", 100000), Options{}); err == nil {
		t.Error("nested packages were accepted")
	}
	if _, err := ParseText("t.wit", "package a:b; "+strings.Repeat("/*", 1<<20), Options{}); err == nil {
		t.Error("an open comment was accepted")
	}
}

func TestVersions(t *testing.T) {
	ordered := []string{"", "0.0.1", "0.1.0-alpha", "0.1.0-alpha.1", "0.1.0-alpha.beta", "0.1.0-beta.2", "0.1.0-beta.11", "0.1.0-rc.1", "0.1.0", "0.2.0", "1.0.0", "1.10.0"}
	for i, a := range ordered {
		for j, b := range ordered {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := CompareVersions(a, b); got != want {
				t.Errorf("CompareVersions(%q, %q) = %d", a, b, got)
			}
		}
	}
	for v, want := range map[string]string{"1.2.3": "1", "0.2.3": "0.2", "0.0.3": "0.0.3", "1.2.3-rc.1": "1.2.3-rc.1", "0.0.1+build": "0.0.1", "2.0.0+x": "2"} {
		if got := VersionTrack(v); got != want {
			t.Errorf("VersionTrack(%q) = %q, want %q", v, got, want)
		}
	}
	for _, v := range []string{"1", "1.2", "1.2.3.4", "01.2.3", "1.2.3-", "1.2.3-01", "1.2.3+", "a.b.c", "1.2.99999999999999999999", "1.2.3-ä"} {
		if ValidVersion(v) {
			t.Errorf("%q is valid", v)
		}
	}
}

func TestDocs(t *testing.T) {
	r := parse(t, `package a:b;
/// One.
///   Indented.
///
/// Two.
interface i {
  /** Block
      comment. */
  f: func();
}
`, Options{})
	i := r.Main.Interface("i")
	if want := "One.\n  Indented.\n\nTwo."; i.Docs != want {
		t.Errorf("docs %q, want %q", i.Docs, want)
	}
	if got := i.Function("f").Docs; !strings.HasPrefix(got, "Block\n") {
		t.Errorf("docs %q", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(shop)
	for _, s := range []string{
		"package a:b@1.0.0-rc.1+b; use c:d/e as f; package c:d { interface e {} world w {} }",
		"package a:b; world v { import f: func(); type t = u8; } world w { include v with { f as g, t as u } }",
		"package a:b@1.0.0; @since(version = 1.0.0) interface i { @unstable(feature = x) @deprecated(version = 1.0.0) f: func(); }",
		`package a:b; interface i {} world w { @external-id("a\u{1f600}\n") import x: i; }`,
		"package a:b; /** doc */ interface i { /// x\n f: func() -> result<_, u8>; flags f2 { a, b, } }",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseText("fuzz.wit", text, Options{AllFeatures: true})
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("error is of type %T", err)
			}
			_ = err.Error()
			return
		}
		printAll := func(r *Resolve) string {
			var nested []*Package
			for _, p := range r.Packages {
				if p != r.Main {
					nested = append(nested, p)
				}
			}
			return Print(r.Main, nested...)
		}
		first := printAll(r)
		again, err := ParseText("printed.wit", first, Options{AllFeatures: true})
		if err != nil {
			t.Fatalf("printed text is refused: %v\n%s", err, first)
		}
		if second := printAll(again); first != second {
			t.Fatalf("printed again, it is\n%s\nafter\n%s", second, first)
		}
		for _, p := range r.Packages {
			data, err := Encode(p)
			if err != nil || len(p.Interfaces)+len(p.Worlds) == 0 {
				continue
			}
			decoded, _, err := Decode(data)
			if err != nil {
				t.Fatalf("encoded package is refused: %v\n%s", err, Print(p))
			}
			if want, got := Print(p), Print(decoded.Main); got != want {
				t.Fatalf("decoded, it is\n%s\nafter\n%s", got, want)
			}
		}
	})
}
