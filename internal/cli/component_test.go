package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/build/metadata"
)

func TestComponentMetadata(t *testing.T) {
	dir := writeGuests(t)
	hello, named, bare := filepath.Join(dir, "hello.wasm"), filepath.Join(dir, "named.wasm"), filepath.Join(dir, "bare.wasm")
	for _, args := range [][]string{
		{"metadata", "--name", "greeter", "--version", "1.2.0", "--licenses", "MIT", "--out", named, hello},
		{"strip", "--out", bare, named},
	} {
		if code, _, stderr := ashlar(append([]string{"component"}, args...)...); code != 0 {
			t.Fatal(stderr)
		}
	}
	for _, file := range []string{named, bare} {
		_, stdout, _ := ashlar("component", "metadata", "-o", "json", file)
		var got metadata.Metadata
		if err := json.Unmarshal([]byte(stdout), &got); err != nil {
			t.Fatalf("%v: %s", err, stdout)
		}
		if got != (metadata.Metadata{Name: "greeter", Version: "1.2.0", Licenses: "MIT"}) {
			t.Errorf("%s: %+v", file, got)
		}
		if code, stdout, stderr := ashlar("run", file); code != 0 || stdout != "Hello from a component!\n" {
			t.Errorf("%s: exit code %d, %q, %s", file, code, stdout, stderr)
		}
	}
	_, text, _ := ashlar("inspect", named)
	if !strings.Contains(text, `version     "1.2.0"`) {
		t.Errorf("inspect says nothing of it:\n%s", text)
	}
	if size(t, bare) >= size(t, named) {
		t.Errorf("stripped it has %d bytes, %d before", size(t, bare), size(t, named))
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"metadata", "--name", "x", hello}, exitUsage, "--out"},
		{[]string{"metadata", "--out", named, hello}, exitUsage, "say what to set"},
		{[]string{"metadata", filepath.Join(dir, "cut.wasm")}, exitInvalid, "cut.wasm: at offset 0x"},
		{[]string{"strip", hello}, exitUsage, "with --out"},
		{[]string{"strip", "--all", "--delete", "x", "--out", bare, hello}, exitUsage, "exclude one another"},
	} {
		code, _, stderr := ashlar(append([]string{"component"}, c.args...)...)
		if code != c.code || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: exit code %d, %s", c.args, code, stderr)
		}
	}
}

func TestDoctor(t *testing.T) {
	code, stdout, stderr := ashlar("doctor", "-o", "json", "go")
	var found []diagnosis
	if err := json.Unmarshal([]byte(stdout), &found); err != nil {
		t.Fatalf("%v: %s%s", err, stdout, stderr)
	}
	if code != 0 || len(found) != 1 || !strings.HasPrefix(found[0].Found, "go version go1.") {
		t.Errorf("exit code %d, %+v", code, found)
	}
	t.Setenv("PATH", t.TempDir())
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ashlar.toml"), []byte("name = \"a\"\nlanguage = \"rust\"\nworld = \"wasi:cli/command@0.2.0\"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	code, stdout, _ = ashlar("doctor", "-C", dir)
	if code != exitFailure || !strings.Contains(stdout, "rust") || !strings.Contains(stdout, "rustup target add wasm32-wasip2") {
		t.Errorf("project of Rust on a machine without: exit code %d\n%s", code, stdout)
	}
	if code, stdout, _ = ashlar("doctor"); code != 0 || !strings.Contains(stdout, "componentize-py") {
		t.Errorf("all languages on a machine without: exit code %d\n%s", code, stdout)
	}
	if code, _, stderr = ashlar("doctor", "cobol"); code != exitUsage || !strings.Contains(stderr, "tinygo") {
		t.Errorf("unknown language: exit code %d, %s", code, stderr)
	}
}

func size(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func TestComponentPrint(t *testing.T) {
	dir := writeGuests(t)
	for name, want := range map[string]string{"calc": "(component\n", "module": "(module\n)\n"} {
		code, stdout, stderr := ashlar("component", "print", filepath.Join(dir, name+".wasm"))
		if code != 0 || !strings.HasPrefix(stdout, want) {
			t.Errorf("%s: exit code %d, %.80q, %s", name, code, stdout, stderr)
		}
	}
	if code, stdout, stderr := ashlar("component", "print", filepath.Join(dir, "cut.wasm")); code != exitInvalid || stdout != "" {
		t.Errorf("damaged: exit code %d, %q, %s", code, stdout, stderr)
	}
}

// A core module becomes a component by hand: the world is embedded, the component made,
// checked against worlds and called.
func TestComponentNew(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	// (module (func (export "add") (param i32 i32) (result i32) (i32.add ...)))
	write(t, file("core.wasm"), "\x00asm\x01\x00\x00\x00"+"\x01\x07\x01\x60\x02\x7f\x7f\x01\x7f"+"\x03\x02\x01\x00"+
		"\x07\x07\x01\x03add\x00\x00"+"\x0a\x09\x01\x07\x00\x20\x00\x20\x01\x6a\x0b")
	write(t, file("world.wit"), "package a:b; world calc { export add: func(a: u32, b: u32) -> u32; } world other { export add: func(a: u32) -> u32; }")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"new", "-o", file("x.wasm"), file("core.wasm")}, 0, ""},
		{[]string{"embed", "-o", file("embedded.wasm"), file("world.wit"), file("core.wasm")}, exitUsage, "choose one with --world\n  calc\n  other"},
		{[]string{"embed", "--world", "calc", "-o", file("embedded.wasm"), file("world.wit"), file("core.wasm")}, 0, ""},
		{[]string{"embed", "--world", "calc", "--encoding", "ebcdic", "-o", file("x.wasm"), file("world.wit"), file("core.wasm")}, exitUsage, "ebcdic"},
		{[]string{"new", "-o", file("calc.wasm"), file("embedded.wasm")}, 0, ""},
		{[]string{"new", "-o", file("x.wasm"), file("calc.wasm")}, exitInvalid, "is a component"},
		{[]string{"targets", "--world", "calc", file("world.wit"), file("calc.wasm")}, 0, ""},
		{[]string{"targets", "--world", "other", file("world.wit"), file("calc.wasm")}, exitFailure, "add"},
		{[]string{"targets", "wasi:cli/command@0.2.0", file("calc.wasm")}, exitFailure, "wasi:cli/run@0.2.0"},
		{[]string{"targets", "wasi:cli/comand@0.2.0", file("calc.wasm")}, exitUsage, "no such world"},
		{[]string{"embed", "--world", "other", "-o", file("wrong.wasm"), file("world.wit"), file("core.wasm")}, 0, ""},
		{[]string{"new", "-o", file("x.wasm"), file("wrong.wasm")}, exitInvalid, "add"},
	} {
		code, _, stderr := ashlar(append([]string{"component"}, c.args...)...)
		if code != c.code || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: exit code %d, want %d and %q; stderr:\n%s", c.args, code, c.code, c.want, stderr)
		}
	}
	if code, stdout, stderr := ashlar("invoke", file("calc.wasm"), "add(20, 22)"); code != 0 || stdout != "42\n" {
		t.Errorf("exit code %d, %q, %s", code, stdout, stderr)
	}
}

func TestBindgenGo(t *testing.T) {
	dir := t.TempDir()
	wit := filepath.Join(dir, "world.wit")
	write(t, wit, "package a:b; interface i { f: func() -> string; } world w { import i; export i; }")
	out := filepath.Join(dir, "bind")
	if code, _, stderr := ashlar("bindgen", "go", "--out", out, wit); code != exitUsage || !strings.Contains(stderr, "--path") {
		t.Errorf("without a path: exit code %d, %s", code, stderr)
	}
	code, _, stderr := ashlar("bindgen", "go", "--path", "example.com/x/bind", "--out", out, wit)
	if code != 0 {
		t.Fatal(stderr)
	}
	for _, name := range []string{"a/b/i/bindings.go", "export/a/b/i/bindings.go"} {
		if b := read(t, filepath.Join(out, filepath.FromSlash(name))); !strings.Contains(string(b), "package i\n") {
			t.Errorf("%s is\n%s", name, b)
		}
	}
}
