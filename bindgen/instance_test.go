package bindgen

import (
	"strings"
	"testing"

	wasiwit "github.com/ashlar-wasm/ashlar/wasi/wit"
	"github.com/ashlar-wasm/ashlar/wit"
)

// compiles reports what is wrong with the bindings of a world, for guests and
// for hosts.
func compiles(world *wit.World) error {
	c, err := newChecker()
	if err != nil {
		return err
	}
	const root = "example.com/guest/bind"
	files, err := Guest(GuestOptions{World: world, Path: root})
	if err != nil {
		return err
	}
	for _, wasm := range []bool{true, false} {
		if err := c.check(root, files, wasm); err != nil {
			return err
		}
	}
	host, err := Host(Options{World: world})
	if err != nil {
		return err
	}
	return c.check("example.com/host", host, true)
}

// TestInterfaceSeveralTimes has worlds that import or export an interface with
// resources more than once.
func TestInterfaceSeveralTimes(t *testing.T) {
	const interfaces = `package a:b;
interface types { resource shared { get: func() -> u32; } record plain { a: u8 } }
interface store {
	use types.{shared};
	resource bucket { constructor(name: string); get: func(key: string) -> option<string>; other: static func(b: borrow<bucket>) -> result<bucket, entry>; }
	record entry { v: u32 }
	record held { b: bucket, e: entry }
	type handle = bucket;
	variant problem { a(entry), b }
	f: func(h: held, b: borrow<bucket>, s: shared) -> list<handle>;
	g: func() -> result<entry, problem>;
}
interface user { use store.{bucket, entry, held}; u: func(b: bucket, e: entry) -> held; }
`
	for _, items := range []string{
		"import one: store;",
		"import one: store; import two: store;",
		"import store; import two: store;",
		"import two: store; import user;",
		"import one: user; import two: user;",
		"export one: store;",
		"export one: store; export two: store;",
		"export store; export two: store;",
		"import store; export store;",
		"import one: store; export one: store;",
		"import one: store; export store;",
		"import store; export one: store;",
		"export two: store; export user;",
		"import store; export one: store; export two: store; export store; export user; import user; import three: user; export four: user;",
		"import x: interface { use store.{bucket, entry}; f: func(b: bucket) -> entry; } import y: store;",
		"export x: interface { use store.{bucket, entry}; f: func(b: bucket) -> entry; } export store;",
		"import x: interface { use store.{bucket}; f: func(b: bucket); } export x: interface { use store.{bucket}; f: func(b: bucket); } export store;",
		"use store.{bucket, held}; import store; export store; import f: func(b: borrow<bucket>, h: held); export g: func(b: borrow<bucket>, h: held);",
		"resource r { constructor(); m: func(x: borrow<r>); } import f: func(r: r) -> r; export g: func(r: r) -> r; export h: func(r: borrow<r>);",
		"import a-b: store; import ab: store; export a-b: store; export ab: store;",
		"import %export: store; export %export: store; export %import: store;",
	} {
		r, err := wit.ParseText("w.wit", interfaces+"world w {"+items+"}", wit.Options{Lookup: wasiwit.Lookup})
		if err != nil {
			t.Errorf("%s: %v", items, err)
			continue
		}
		if err := compiles(r.Main.World("w")); err != nil {
			t.Errorf("%s: %v", items, err)
		}
	}
}

// Functions of the world itself have the types that it imports.
func TestWorldFunctionsUseImports(t *testing.T) {
	files := guestFiles(t, `package a:b;
interface i { resource r; }
world w { use i.{r}; import i; export i; import f: func(r: r); export g: func(r: borrow<r>) -> r; export x: interface { use i.{r}; h: func(r: r); } }`, "w")
	for file, want := range map[string]string{"bindings.go": "G(r *bi.R) *bi.R", "export/x/bindings.go": "H(r exporti.R)"} {
		if !strings.Contains(files[file], want) {
			t.Errorf("%s: missing %s in\n%s", file, want, files[file])
		}
	}
}
