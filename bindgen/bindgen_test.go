package bindgen

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/wit"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func exampleWorld(t *testing.T) *wit.World {
	t.Helper()
	r, err := wit.ParsePath("testdata/example.wit", wit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r.Main.World("app")
}

// The golden files are a package, so that the compiler checks them too, and
// its own tests run them.
const golden = "internal/example"

func TestHostGolden(t *testing.T) {
	files, err := Host(Options{World: exampleWorld(t), Package: "example"})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for _, f := range files {
		want[f.Name] = true
		path := filepath.Join(golden, f.Name)
		if *update {
			if err := os.WriteFile(path, f.Content, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		have, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(have) != string(f.Content) {
			t.Errorf("%s is not what is generated now; run go test -update and look at the difference", path)
		}
	}
	have, err := filepath.Glob(filepath.Join(golden, "*_bind.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range have {
		if !want[filepath.Base(path)] {
			t.Errorf("%s is not generated any more", path)
		}
	}
}

func TestHostRefusesAsync(t *testing.T) {
	for _, test := range []struct{ item, want string }{
		{"import f: async func();", "function f of world a:b/w is async"},
		{"import f: func(s: stream<u8>);", "function f of world a:b/w uses stream<u8>"},
		{"import f: func() -> option<future>;", "function f of world a:b/w uses future"},
		{"export f: func(e: error-context);", "function f of world a:b/w uses error-context"},
	} {
		r, err := wit.ParseText("w.wit", "package a:b; world w { "+test.item+" }", wit.Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = Host(Options{World: r.Main.World("w")})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.item, err, test.want)
		}
	}
}

func TestNamesThatClash(t *testing.T) {
	r, err := wit.ParseText("w.wit", `
package a:shop;
interface types { enum error-code { a } variant %list { x(list<u8>) } record list-u8 { v: list<list-of> } type list-of = list<u8>; f: func(l: %list, r: list-u8); }
interface cart { enum error-code { b } type range = u8; f: func(%func: error-code, go: range, %type: u8, %self: u8) -> result<_, error-code>; }
interface error { resource error { drop: func(); } }
world w { import types; import cart; import error; }
`, wit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	files, err := Host(Options{World: r.Main.World("w")})
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		all.Write(f.Content)
	}
	for _, want := range []string{
		"type ShopErrorCode uint8", "type CartErrorCode uint8",
		"type List_ interface", "type ListU8 struct",
		"F(ctx context.Context, func_ CartErrorCode, go_ Range, type_ uint8, self uint8) error",
		"type Error interface", "Drop_(ctx context.Context) error", "func DefineError(r abi.Registry) error",
	} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("missing %q", want)
		}
	}
}

func TestExportedNames(t *testing.T) {
	for in, want := range map[string]string{
		"get-stdin": "GetStdin", "http-url": "HTTPURL", "DNS-timeout": "DNSTimeout", "ipv4-address": "IPv4Address",
		"id": "ID", "a-1": "A1", "HTTP-request-URI-too-long": "HTTPRequestURITooLong",
	} {
		if got := exported(in); got != want {
			t.Errorf("exported(%q) = %q, want %q", in, got, want)
		}
	}
	if got := unexported("http-id"); got != "httpID" {
		t.Errorf("got %q", got)
	}
}
