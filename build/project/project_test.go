package project

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/wit"
)

const whole = `name = "hello-world"
version = "1.2.0-rc.1"
language = "go"
world = "greeter"
wit = "wit"
initialize = "once"

[build]
command = ["make", "core"]
output = "out/core.wasm"
proxy = true

[metadata]
description = "Says hello"
authors = ["A <a@example.com>", "B"]
licenses = "Apache-2.0"
source = "https://example.com/src"
homepage = "https://example.com"
revision = "abc"
`

func TestParse(t *testing.T) {
	got, err := Parse(File, []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	want := &Project{
		Name: "hello-world", Version: "1.2.0-rc.1", Language: "go", World: "greeter", WIT: "wit", Initialize: "once",
		Build: Build{Command: []string{"make", "core"}, Output: "out/core.wasm", Proxy: true},
		Metadata: Metadata{
			Description: "Says hello", Authors: []string{"A <a@example.com>", "B"}, Licenses: "Apache-2.0",
			Source: "https://example.com/src", Homepage: "https://example.com", Revision: "abc",
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, err := Parse(File, []byte("\ufeff"+strings.ReplaceAll(whole, "\n", "\r\n"))); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("from Windows: %+v, %v", got, err)
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{`name = "hello-world"`, `name = "Hello"`, `ashlar.toml:1: name: "Hello": expected lower-case words`},
		{`name = "hello-world"`, ``, `ashlar.toml: name: is missing`},
		{`name = "hello-world"`, `name = "../x"`, `ashlar.toml:1: name`},
		{`"1.2.0-rc.1"`, `"1.2"`, `ashlar.toml:2: version: "1.2"`},
		{`"go"`, `"cobol"`, `ashlar.toml:3: language: "cobol": expected one of go, tinygo`},
		{`wit = "wit"`, ``, `ashlar.toml:4: world: "greeter": is none of WASI`},
		{`wit = "wit"`, `wit = "../wit"`, `ashlar.toml:5: wit`},
		{`"once"`, `"twice"`, `ashlar.toml:6: initialize: "twice": expected "once"`},
		{`["make", "core"]`, `[""]`, `ashlar.toml:9: command: names no program`},
		{`"out/core.wasm"`, `"/core.wasm"`, `ashlar.toml:10: output`},
		{`homepage`, `home`, `ashlar.toml:18: unknown key "metadata.home"`},
		{`version = `, `version : `, `ashlar.toml:2: `},
		{`version = "1.2.0-rc.1"`, `version = 1`, `ashlar.toml:2: version: integer where a string is expected`},
		{`proxy = true`, `proxy = "yes"`, `ashlar.toml:11: build.proxy: string where true or false is expected`},
		{`["make", "core"]`, `"make"`, `ashlar.toml:9: build.command: string where an array of strings is expected`},
		{`"make", "core"`, `1`, `ashlar.toml:9: build.command: integer where a string is expected`},
		{`wit = "wit"`, `wit = "wit"` + "\nbuild = 1", `ashlar.toml:6: build: integer where a table is expected`},
		{`command = ["make", "core"]`, ``, `ashlar.toml:10: output: is of no use without command`},
		{`"Apache-2.0"`, `"Apache 2.0"`, `ashlar.toml:16: licenses: "Apache 2.0" is no SPDX expression`},
		{`homepage = "https://example.com"`, `homepage = "example.com"`, `ashlar.toml:18: homepage: "example.com" is no URL`},
		{`["make", "core"]`, `[]`, `ashlar.toml:9: command: names no program`},
	} {
		_, err := Parse(File, []byte(strings.Replace(whole, c.old, c.new, 1)))
		var e *Error
		if !errors.As(err, &e) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s -> %s: %v, want %q", c.old, c.new, err, c.want)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(dir); !errors.Is(err, ErrNone) {
		t.Errorf("no file: %v", err)
	}
	write(t, dir, File, whole)
	write(t, dir, "wit/world.wit", "package a:b@1.0.0; world greeter { include wasi:cli/imports@0.2.3; export greet: func() -> string; }")
	p, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if p.Dir != dir || p.Component() != filepath.Join(dir, "build", "hello-world.wasm") {
		t.Errorf("in %s, builds %s", p.Dir, p.Component())
	}
	w, err := p.ResolveWorld()
	if err != nil {
		t.Fatal(err)
	}
	if w.ID() != "a:b/greeter@1.0.0" || w.Export("greet") == nil || w.Import("wasi:cli/stdout@0.2.3") == nil {
		t.Errorf("world %s", w.ID())
	}
	p.World = "other"
	if _, err := p.ResolveWorld(); err == nil || !strings.Contains(err.Error(), `has no world "other"; it has: greeter`) {
		t.Errorf("another world: %v", err)
	}
	if _, err := p.ResolveWorld(); err == nil || !strings.HasPrefix(err.Error(), filepath.Join(dir, File)+":4: world: ") {
		t.Errorf("another world: %v, want the line that names it", err)
	}
	write(t, dir, "wit/world.wit", "package a:b@1.0.0; world greeter { import x: fun(); }")
	var syntax *wit.Error
	if _, err := p.ResolveWorld(); !errors.As(err, &syntax) {
		t.Errorf("bad WIT: %v", err)
	}
	p.WIT = "nowhere"
	if _, err := p.ResolveWorld(); err == nil || !strings.HasPrefix(err.Error(), filepath.Join(dir, File)+":5: wit: there is no ") {
		t.Errorf("no WIT: %v", err)
	}
}

func TestWorldOfWASI(t *testing.T) {
	p := &Project{World: "wasi:http/proxy@0.2.3"}
	w, err := p.ResolveWorld()
	if err != nil {
		t.Fatal(err)
	}
	if w.ID() != p.World || w.Export("wasi:http/incoming-handler@0.2.3") == nil {
		t.Errorf("world %s", w.ID())
	}
	for _, name := range []string{"wasi:http/proxy", "wasi:http/proxy@0.2.99", "wasi:http/nothing@0.2.3", "wasi:http/types@0.2.3", "wasi:no/proxy@0.2.3", "; }"} {
		p.World = name
		var e *Error
		if _, err := p.ResolveWorld(); !errors.As(err, &e) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}
