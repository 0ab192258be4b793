package bindgen

import (
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	wasiwit "github.com/ashlar-wasm/ashlar/wasi/wit"
	"github.com/ashlar-wasm/ashlar/wit"
)

func guestFiles(t *testing.T, text, world string) map[string]string {
	t.Helper()
	r, err := wit.ParseText("w.wit", text, wit.Options{Lookup: wasiwit.Lookup})
	if err != nil {
		t.Fatal(err)
	}
	opts := GuestOptions{World: r.Main.World(world), Path: "example.com/guest/bind"}
	files, err := Guest(opts)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Guest(opts)
	if err != nil || !slices.EqualFunc(files, again, func(a, b File) bool { return a.Name == b.Name && string(a.Content) == string(b.Content) }) {
		t.Errorf("the second time gives something else (%v)", err)
	}
	out := map[string]string{}
	for _, f := range files {
		if formatted, err := format.Source(f.Content); err != nil || string(formatted) != string(f.Content) {
			t.Errorf("%s is not formatted", f.Name)
		}
		out[f.Name] = string(f.Content)
	}
	return out
}

// worlds are such that names and packages clash, with the text that tells
// that this is handled.
var worlds = []struct {
	name, text string
	want       map[string][]string
}{
	{"names", `
package a:shop;
interface types {
	enum error-code { a }
	variant %list { x(list<u8>), y }
	record abi { fmt: string, errors: list<%list>, error: error-code }
	type list-of = list<abi>;
	resource error { constructor(error: string); close: func() -> result<list-of, abi>; handle: func(self2: borrow<error>); }
	f: func(c: %list, s: list-of, p: u32, abi: list<error-code>, %type: string, nil: option<abi>) -> result<list-of, error-code>;
	new-error: func();
}
interface error { use types.{error as e, abi}; error: func(types: e, error: borrow<e>, abi: abi, len: u32, v: f32) -> e; }
interface %func { %func: func(%func: u8); %export: func(); }
world w { import types; import error; import %func; import %type: interface { use types.{error}; %type: func(a: error) -> error; }
	import %import: func(); export run: func() -> result; export %func; export exports: interface { exports: func(); record %export { exports: u8 } use types.{abi}; } }
`, map[string][]string{
		"a/shop/types/bindings.go": {
			"type List_ interface", "type Abi struct", "func (self *Error) Close_() (ListOf, error)", "func (self *Error) Handle_(self2 *Error)",
			"func NewError(error_ string) *Error", "func NewError_()", "nil_ *Abi",
		},
		"a/shop/error/bindings.go":        {"package shoperror", "func Error(types_ *types.Error, error_ *types.Error, abi_ types.Abi, len_ uint32, v_ float32) *types.Error"},
		"a/shop/func_/bindings.go":        {"package func_", "func Func(func_ uint8)"},
		"export/a/shop/func_/bindings.go": {"Func(func_ uint8)", "Export()"},
		"export/exports/bindings.go":      {"type Export_ struct", "func Export(impl Exports)"},
		"bindings.go":                     {"func Import()", "Run() error"},
	}},
	{"packages named as variables", `
package a:b;
interface c { record s { v: list<u8> } }
interface v { use c.{s}; resource r; p: func(c: s, r: borrow<r>) -> result<list<s>, s>; }
interface make { use v.{r}; use c.{s}; f: func(s: s, r: r) -> option<s>; }
world w { import v; import make; export c; export v; export make; }
`, map[string][]string{
		"a/b/v/bindings.go": {"func P(c_ bc.S, r *R) ([]bc.S, error)"},
	}},
	{"versions", `
package a:app;
package b:b@0.1.0 { interface i { resource r; f: func() -> r; } }
package b:b@0.2.0 { interface i { use b:b/i@0.1.0.{r}; g: func(x: borrow<r>) -> list<r>; } }
world w { import b:b/i@0.1.0; import b:b/i@0.2.0; export b:b/i@0.2.0; }
`, map[string][]string{
		"b/b_v0_1_0/i/bindings.go":        {"func F() *R"},
		"b/b_v0_2_0/i/bindings.go":        {"func G(x *b_v0_1_0i.R) []*b_v0_1_0i.R"},
		"export/b/b_v0_2_0/i/bindings.go": {"G(x *b_v0_1_0i.R) []*b_v0_1_0i.R"},
	}},
	{"both sides", `
package a:app;
interface things { resource thing { constructor(n: u32); peer: func(other: borrow<thing>) -> option<thing>; } record pair { a: thing, b: thing } enum kind { x, y } kind-of: func(p: pair) -> result<kind, kind>; }
interface user { use things.{pair, thing, kind}; make: func(k: kind) -> pair; take: func(t: list<thing>, by: borrow<thing>); }
world w { import things; import user; export things; export user; }
`, map[string][]string{
		"a/app/things/bindings.go":        {"type Thing struct", "func (self *Thing) Peer(other *Thing) *Thing", "type Kind uint8", "A *Thing"},
		"export/a/app/things/bindings.go": {"type Thing interface", "Peer(other Thing) Thing", "A Thing", "KindOf(p Pair) (things.Kind, error)"},
		"export/a/app/user/bindings.go":   {"Make(k things.Kind) exportthings.Pair", "Take(t []exportthings.Thing, by exportthings.Thing)"},
	}},
	{"proxy", "package a:b; world w { include wasi:http/proxy@0.2.12; include wasi:cli/imports@0.2.12; }", map[string][]string{
		"wasi/io/error/bindings.go":                    {"package ioerror"},
		"wasi/http/types/bindings.go":                  {"func (self *IncomingRequest) Consume() (*IncomingBody, error)", "func (self *FutureTrailers) Get() *abi.Result[abi.Result[*Trailers, ErrorCode], abi.Unit]"},
		"export/wasi/http/incominghandler/bindings.go": {"Handle(request *httptypes.IncomingRequest, responseOut *httptypes.ResponseOutparam)"},
		"wasi/filesystem/types/bindings.go":            {"func (self *Descriptor) OpenAt(pathFlags PathFlags, path string, openFlags OpenFlags, flags DescriptorFlags) (*Descriptor, error)"},
		"wasi/http/types/core_wasm.go":                 {"//go:wasmimport wasi:http/types@0.2.12 [method]incoming-request.consume"},
		"wasi/clocks/monotonicclock/bindings.go":       {"func Now() Instant"},
		"wasi/cli/environment/bindings.go":             {"func GetEnvironment() []abi.Tuple2[string, string]"},
		"wasi/sockets/tcp/bindings.go":                 {"Accept() (abi.Tuple3[*TCPSocket, *streams.InputStream, *streams.OutputStream], error)"},
		"wasi/random/random/bindings.go":               {"func GetRandomBytes(len_ uint64) []byte"},
	}},
}

func TestGuestNames(t *testing.T) {
	for _, w := range worlds {
		t.Run(w.name, func(t *testing.T) {
			files := guestFiles(t, w.text, "w")
			for name, texts := range w.want {
				content, ok := files[name]
				if !ok {
					t.Errorf("there is no file %s", name)
				}
				for _, text := range texts {
					if !strings.Contains(content, text) {
						t.Errorf("%s: missing %q", name, text)
					}
				}
			}
		})
	}
}

// TestGuestCompiles has the go command look at what is generated, for wasm
// and for this machine.
func TestGuestCompiles(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	guest, err := filepath.Abs("../guest")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module example.com/guest\n\ngo 1.26.0\n\nrequire "+guestPath+" v0.0.0\n\nreplace "+guestPath+" => "+guest+"\n")
	for _, w := range worlds {
		folder := "bind/" + strings.ReplaceAll(w.name, " ", "")
		imports := regexp.MustCompile(`"example\.com/guest/bind`)
		for name, content := range guestFiles(t, w.text, "w") {
			write(folder+"/"+name, imports.ReplaceAllString(content, `"example.com/guest/`+folder))
		}
	}
	for _, env := range [][]string{nil, {"GOOS=wasip1", "GOARCH=wasm"}} {
		cmd := exec.CommandContext(t.Context(), "go", "vet", "./...")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), append(env, "GOPROXY=off", "GOFLAGS=-mod=mod")...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", env, err, out)
		}
	}
}

// Names of parameters and packages that hid what generated code refers to.
func TestNamesCompile(t *testing.T) {
	for _, text := range []string{
		"interface i { f: func(type-name: string, load-list: list<string>, import-f: u8, errors: string, strings: list<string>) -> string; } world w { import i; export i; }",
		"interface i { resource a { constructor(); destroy: static func(); drop: func(); rep: func(); } a-destroy: func(); record a-handles { a: own<a> } } world w { import i; export i; }",
		"interface aux { f: func(); } world main { import aux; import main: interface { g: func(); } import init: aux; export cap: aux; import len: aux; import %world: aux; import codec: aux; }",
		"interface i { record r { a: u8 } } world w { import a1: interface { use i.{r}; f: func(c: list<r>) -> r; } import v0: i; import c: i; export x: interface { use i.{r}; f: func(a: r, b: r) -> list<r>; } }",
	} {
		r, err := wit.ParseText("w.wit", "package a:b; "+text, wit.Options{})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		for _, world := range r.Main.Worlds {
			if err := compiles(world); err != nil {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
}

// Documentation stays documentation.
func TestGuestDocumentation(t *testing.T) {
	for _, text := range documented {
		r, err := wit.ParseText("w.wit", text, wit.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := compiles(r.Main.World("w")); err != nil {
			t.Error(err)
		}
	}
	files := guestFiles(t, "package a:b;\n/// What i is.\ninterface i { f: func(); }\n/// What the world is.\nworld w {\n/// One i.\nimport one: i; import f: func(); export g: func(); }", "w")
	for file, want := range map[string]string{
		"bindings.go":     "// Package bind has the bindings of world a:b/w.\n//\n// What the world is.\npackage bind",
		"one/bindings.go": "// Package one has the bindings of one (a:b/i).\n//\n// One i.\n//\n// What i is.\npackage one",
	} {
		if !strings.Contains(files[file], want) {
			t.Errorf("%s: missing %s in\n%s", file, want, files[file])
		}
	}
	files = guestFiles(t, "package a:b; interface i { /// Opens `x`: https://example.com\n/// */ // \"%s\" 100%d\nf: func(); }\nworld w { import i; }", "w")
	if want := "// Opens `x`: https://example.com\n// */ // \"%s\" 100%d\nfunc F() {"; !strings.Contains(files["a/b/i/bindings.go"], want) {
		t.Errorf("missing %s in\n%s", want, files["a/b/i/bindings.go"])
	}
}

func TestGuestRefuses(t *testing.T) {
	for _, test := range []struct{ item, want string }{
		{"import f: async func();", "function f of world a:b/w is async"},
		{"import f: func(s: stream<u8>);", "function f of world a:b/w uses stream<u8>"},
		{"export f: func() -> option<future>;", "function f of world a:b/w uses future"},
		{"export f: func(e: error-context);", "function f of world a:b/w uses error-context"},
		{"type a = tuple<u8, u8, u8, u8, u8, u8, u8, u8>; type b = tuple<a, a, a, a, a, a, a, a>; type c = tuple<b, b, b, b, b, b, b, b>; import f: func(c: c);", "more than 500 parts"},
		{"import f: func(t: tuple<u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8>);", "tuple of 17"},
	} {
		r, err := wit.ParseText("w.wit", "package a:b; world w { "+test.item+" }", wit.Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = Guest(GuestOptions{World: r.Main.World("w"), Path: "example.com/x"})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.item, err, test.want)
		}
	}
	r, err := wit.ParseText("w.wit", "package a:b; world w { }", wit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Guest(GuestOptions{World: r.Main.World("w")}); err == nil {
		t.Error("no import path is needed")
	}
}
