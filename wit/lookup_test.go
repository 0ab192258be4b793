package wit

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

func TestLookup(t *testing.T) {
	library := fstest.MapFS{
		"a/a.wit": {Data: []byte("package x:a@1.3.0; interface i { use x:b/j@1.3.0.{t}; f: func() -> t; @since(version = 1.2.0) g: func(); }")},
		"b/b.wit": {Data: []byte("package x:b@1.3.0; interface j { type t = u8; @since(version = 1.3.0) h: func(); }")},
		"c/c.wit": {Data: []byte("package x:wrong@1.0.0;")},
	}
	lookup := func(name PackageName) (fs.FS, string) {
		if name.Namespace != "x" {
			return nil, ""
		}
		return library, name.Name
	}
	functions := func(i *Interface) (names string) {
		for _, f := range i.Functions {
			names += f.Name
		}
		return names
	}
	for _, c := range []struct{ version, i, j string }{{"1.3.0", "fg", "h"}, {"1.2.5", "fg", ""}, {"1.1.0", "f", ""}} {
		r, err := ParseText("main.wit", "package m:m; world w { import x:a/i@"+c.version+"; }", Options{Lookup: lookup})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]*Interface{}
		for _, item := range r.Main.Worlds[0].Imports {
			got[item.Interface.ID()] = item.Interface
		}
		i, j := got["x:a/i@"+c.version], got["x:b/j@"+c.version]
		if i == nil || j == nil || len(got) != 2 {
			t.Fatalf("version %s: %v", c.version, got)
		}
		if functions(i) != c.i || functions(j) != c.j {
			t.Errorf("version %s: i has %q, j %q", c.version, functions(i), functions(j))
		}
	}
	for name, want := range map[string]string{
		"x:a/i@1.4.0": "found x:a@1.3.0",
		"x:a/i@0.1.0": "found x:a@1.3.0",
		"x:c/i@1.0.0": "found x:wrong@1.0.0",
		"x:d/i@1.0.0": "file does not exist",
		"y:d/i@1.0.0": "main.wit:1:31: package `y:d@1.0.0` not found",
	} {
		_, err := ParseText("main.wit", "package m:m; world w { import "+name+"; }", Options{Lookup: lookup})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}
