package wit

import (
	"bytes"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/ashlar-wasm/ashlar/internal/binary"
)

// The example of WIT.md, "Package Format", encoded by hand as Binary.md says.
func TestEncodeBytes(t *testing.T) {
	r := parse(t, "package local:demo; interface host { log: func(msg: string); }", Options{})
	got, err := Encode(r.Main)
	if err != nil {
		t.Fatal(err)
	}
	instance := "\x42\x02" + // instance type, two declarators
		"\x01\x40\x01\x03msg\x73\x01\x00" + // type: func, one parameter, no result
		"\x04\x00\x03log\x01\x00" // export of a func of type 0
	component := "\x41\x02" + // component type, two declarators
		"\x01" + instance +
		"\x04\x00\x0flocal:demo/host\x05\x00" // export of an instance of type 0
	section := func(id, body string) string { return id + string(rune(len(body))) + body }
	want := "\x00asm\x0d\x00\x01\x00" +
		section("\x07", "\x01"+component) +
		section("\x0b", "\x01\x00\x04host\x03\x00\x00") + // export of type 0
		section("\x00", "\x0cpackage-docs\x01{}")
	if string(got) != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

const gated = `/// The package.
package my:docs@1.1.0;

/// An interface.
@since(version = 1.0.0)
interface i {
  /// A type.
  @since(version = 1.0.0)
  enum e {
    /// A case with "quotes" & <angles>.
    a,
  }

  /// A function.
  @since(version = 1.1.0)
  @deprecated(version = 1.1.0)
  f: func(e: e);
}

/// A world.
world w {
  /// An import.
  @since(version = 1.0.0)
  import i;
  /// Inline.
  import inline: interface {
    /// Inside.
    f: func();
  }

  /// Of the world.
  type t = u8;
  /// A function of the world.
  import g: func(t: t);

  /// An export.
  @since(version = 1.0.0)
  export i;
  @external-id("an \u{e9}\\")
  export again: i;
}
`

func TestBinaryRoundTrip(t *testing.T) {
	for _, text := range []string{shop, gated} {
		first := parse(t, text, Options{}).Main
		data, err := Encode(first)
		if err != nil {
			t.Fatal(err)
		}
		r, world, err := Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		if world != nil {
			t.Error("the package was decoded as a component")
		}
		if got := Print(r.Main); got != text {
			t.Errorf("got\n%s\nwant\n%s", got, text)
		}
		again, err := Encode(r.Main)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(data, again) {
			t.Error("encoded again, it is different")
		}
	}
}

// A package in binary form can be a dependency, with what it has of others.
func TestBinaryDependency(t *testing.T) {
	const low = "package x:low; interface a { type t = u8; f: func(t: t); } interface b { type v = string; }"
	r := parse(t, "package x:high; interface h { use x:low/a.{t}; g: func(t: t); } package "+strings.TrimPrefix(strings.Replace(low, ";", " {", 1), "package ")+" }", Options{})
	high, err := Encode(r.Main)
	if err != nil {
		t.Fatal(err)
	}
	other := parse(t, "package x:other; interface o { use x:low/b.{v}; } package "+strings.TrimPrefix(strings.Replace(low, ";", " {", 1), "package ")+" }", Options{})
	second, err := Encode(other.Main)
	if err != nil {
		t.Fatal(err)
	}
	fsys := fstest.MapFS{
		"w.wit":           {Data: []byte("package x:main; world w { import x:high/h; import x:other/o; }")},
		"deps/high.wasm":  {Data: high},
		"deps/other.wasm": {Data: second},
	}
	check := func(want string) {
		t.Helper()
		r, err := ParseFS(fsys, ".", Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := names(r.Main.World("w").Imports); got != "x:low/a x:high/h x:low/b x:other/o " {
			t.Errorf("imports %s", got)
		}
		low := r.Package(PackageName{Namespace: "x", Name: "low"})
		got := ""
		for _, f := range low.Interface("a").Functions {
			got += f.Name
		}
		if got != want {
			t.Errorf("functions %q, want %q", got, want)
		}
	}
	// Only types are in the binary form of what depends on them.
	check("")
	fsys["deps/low.wit"] = &fstest.MapFile{Data: []byte(low)}
	check("f")

	direct, err := ParseFS(fsys, "deps/high.wasm", Options{})
	if err != nil || direct.Main.Name.Name != "high" {
		t.Errorf("%v", err)
	}
}

// A component's own imports and exports are a world. Its exported instance is
// made by instantiating a nested component, as wit-component does.
func TestDecodeComponent(t *testing.T) {
	str := binary.ValType{Prim: binary.String}
	iface := &binary.InstanceType{Decls: []binary.Def{
		&binary.ExportDecl{Name: binary.ExternName{Name: "r"}, Type: binary.ExternType{Kind: binary.ExternResource}},
		&binary.Type{Def: &binary.Borrow{Type: 0}},
		&binary.Type{Def: &binary.FuncType{Params: []binary.Field{{Name: "self", Type: binary.ValType{Index: 1}}}, Result: &str}},
		&binary.ExportDecl{Name: binary.ExternName{Name: "[method]r.name"}, Type: binary.ExternType{Kind: binary.ExternFunc, Index: 2}},
	}}
	nested := &binary.Component{Defs: []binary.Def{
		&binary.Import{Name: binary.ExternName{Name: "import-r"}, Type: binary.ExternType{Kind: binary.ExternResource}},
		&binary.Type{Def: &binary.Own{Type: 0}},
		&binary.Type{Def: &binary.FuncType{Params: []binary.Field{{Name: "r", Type: binary.ValType{Index: 1}}}}},
		&binary.Import{Name: binary.ExternName{Name: "import-take"}, Type: binary.ExternType{Kind: binary.ExternFunc, Index: 2}},
		&binary.Export{Name: binary.ExternName{Name: "res"}, SortIdx: binary.SortIdx{Sort: binary.SortType, Index: 0}},
		&binary.Type{Def: &binary.Own{Type: 3}},
		&binary.Type{Def: &binary.FuncType{Params: []binary.Field{{Name: "r", Type: binary.ValType{Index: 4}}}}},
		&binary.Export{Name: binary.ExternName{Name: "take"}, SortIdx: binary.SortIdx{Sort: binary.SortFunc, Index: 0},
			Type: &binary.ExternType{Kind: binary.ExternFunc, Index: 5}},
	}}
	c := &binary.Component{Defs: []binary.Def{
		&binary.Type{Def: iface},
		&binary.Import{Name: binary.ExternName{Name: "a:b/c@1.0.0"}, Type: binary.ExternType{Kind: binary.ExternInstance, Index: 0}},
		&binary.Alias{Kind: binary.AliasExport, Sort: binary.SortType, Instance: 0, Name: "r"},
		&binary.Type{Def: &binary.Own{Type: 1}},
		&binary.Type{Def: &binary.FuncType{Params: []binary.Field{{Name: "r", Type: binary.ValType{Index: 2}}}}},
		&binary.Import{Name: binary.ExternName{Name: "take-it"}, Type: binary.ExternType{Kind: binary.ExternFunc, Index: 3}},
		nested,
		&binary.Instance{Component: 0, Args: []binary.Arg{
			{Name: "import-r", SortIdx: binary.SortIdx{Sort: binary.SortType, Index: 1}},
			{Name: "import-take", SortIdx: binary.SortIdx{Sort: binary.SortFunc, Index: 0}},
		}},
		&binary.Export{Name: binary.ExternName{Name: "a:b/d@1.0.0"}, SortIdx: binary.SortIdx{Sort: binary.SortInstance, Index: 1}},
	}}
	r, w, err := Decode(binary.Encode(c))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := names(w.Imports)+"| "+names(w.Exports), "a:b/c@1.0.0 take-it | a:b/d@1.0.0 "; got != want {
		t.Errorf("world %q, want %q", got, want)
	}
	pkg := r.Package(PackageName{Namespace: "a", Name: "b", Version: "1.0.0"})
	want := `package a:b@1.0.0;

interface c {
  resource r {
    name: func() -> string;
  }
}

interface d {
  use c.{r as res};

  take: func(r: res);
}

`
	if got := Print(pkg); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if w.Package != r.Main || w.ID() != "root:component/root" {
		t.Errorf("world %s", w.ID())
	}
}

func TestDecodeRefuses(t *testing.T) {
	u8 := binary.ValType{Prim: binary.U8}
	pair := func(n uint32) *binary.Type {
		return &binary.Type{Def: &binary.Tuple{Types: []binary.ValType{{Index: n}, {Index: n}}}}
	}
	bomb := []binary.Def{&binary.Type{Def: &binary.Tuple{Types: []binary.ValType{u8, u8}}}}
	for n := range uint32(60) {
		bomb = append(bomb, pair(n))
	}
	bomb = append(bomb,
		&binary.Type{Def: &binary.FuncType{Params: []binary.Field{{Name: "x", Type: binary.ValType{Index: 60}}}}},
		&binary.Import{Name: binary.ExternName{Name: "f"}, Type: binary.ExternType{Kind: binary.ExternFunc, Index: 61}},
	)
	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"no component": {[]byte("package a:b;"), ""},
		"truncated":    {[]byte("\x00asm\x0d\x00\x01\x00\x07\x09"), ""},
		"type bomb":    {binary.Encode(&binary.Component{Defs: bomb}), ""},
		"docs of nothing": {binary.Encode(&binary.Component{
			Customs: []binary.Custom{{Name: metadataSection, Data: []byte("\x01{\"interfaces\":{\"x\":{}}}")}},
		}), `interface "x", which does not exist`},
		"docs of an unknown version": {binary.Encode(&binary.Component{
			Customs: []binary.Custom{{Name: metadataSection, Data: []byte("\x07{}")}},
		}), "unknown version"},
	} {
		_, _, err := Decode(test.data)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
	r := parse(t, "package a:b; interface i { record r {} }", Options{})
	if _, err := Encode(r.Main); err == nil || !strings.Contains(err.Error(), "record r is empty") {
		t.Errorf("an empty record gave %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, text := range []string{shop, gated, "package a:b; world w { resource r { m: func(); } export f: func() -> r; }"} {
		r, err := ParseText("seed.wit", text, Options{AllFeatures: true})
		if err != nil {
			f.Fatal(err)
		}
		data, err := Encode(r.Main)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, _, err := Decode(data)
		if err != nil {
			return
		}
		for _, p := range r.Packages {
			_ = Print(p)
			_, _ = Encode(p)
		}
	})
}
