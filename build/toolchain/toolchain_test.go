package toolchain

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestPlans(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("WASI_SDK_PATH", filepath.Join(dir, "sdk"))
	for name, text := range map[string]string{
		"Cargo.toml":      "[package]\nname = \"my-app\"\n[lib]\ncrate-type = [\"cdylib\"]\n",
		"src/b.c":         "",
		"src/a.c":         "",
		"src/x.cpp":       "",
		"sdk/bin/clang":   "",
		"sdk/bin/clang++": "",
		"sdk/share/wasi-sysroot/include/wasm32-wasi/stdio.h": "",
	} {
		write(t, filepath.Join(dir, name), text, 0o777)
	}
	out := filepath.Join(dir, "build", "core.wasm")
	library := Job{Dir: dir, World: "app", WIT: "wit", Output: out}
	program := library
	program.Runs = true
	once := library
	once.Once = true
	for _, c := range []struct {
		language string
		job      Job
		want     string // the commands, without the folder
		output   string
	}{
		{"go", library, "GOOS=wasip1 GOARCH=wasm CGO_ENABLED=0 go build -trimpath -buildvcs=false -buildmode=c-shared -o /build/core.wasm .", out},
		{"go", once, "GOOS=wasip1 GOARCH=wasm CGO_ENABLED=0 go build -trimpath -buildvcs=false -buildmode=c-shared -tags=initialize_once -o /build/core.wasm .", out},
		{"go", program, "GOOS=wasip1 GOARCH=wasm CGO_ENABLED=0 go build -trimpath -buildvcs=false -o /build/core.wasm .", out},
		{"tinygo", library, "tinygo build -target=wasip1 -no-debug -buildmode=c-shared -o /build/core.wasm .", out},
		{"rust", library, "cargo build --release --target wasm32-wasip2 --target-dir target", filepath.Join(dir, "target/wasm32-wasip2/release/my_app.wasm")},
		{"javascript", library, "/node_modules/.bin/jco componentize src/main.js --wit wit --world-name app --out /build/core.wasm", out},
		{"typescript", library, "/node_modules/.bin/tsc --outDir build/js; /node_modules/.bin/jco componentize build/js/main.js --wit wit --world-name app --out /build/core.wasm", out},
		{"python", library, "componentize-py --wit-path wit --world app componentize --python-path src main --output /build/core.wasm", out},
		{"c", library, "/sdk/bin/clang --target=wasm32-wasi --sysroot=/sdk/share/wasi-sysroot -Os -Wall -Isrc -ffile-prefix-map==. -mexec-model=reactor -Wl,--strip-all -o /build/core.wasm src/a.c src/b.c", out},
		{"cpp", program, "/sdk/bin/clang++ --target=wasm32-wasi --sysroot=/sdk/share/wasi-sysroot -Os -Wall -Isrc -ffile-prefix-map==. -fno-exceptions -Wl,--strip-all -o /build/core.wasm src/x.cpp src/a.c src/b.c", out},
	} {
		p, err := For(c.language).Plan(c.job)
		if err != nil {
			t.Errorf("%s: %v", c.language, err)
			continue
		}
		var commands []string
		for _, c := range p.Commands {
			commands = append(commands, c.String())
		}
		got := filepath.ToSlash(strings.ReplaceAll(strings.Join(commands, "; "), dir, ""))
		if runtime.GOOS != "windows" && got != c.want || p.Output != c.output {
			t.Errorf("%s:\n%s -> %s, want\n%s -> %s", c.language, got, p.Output, c.want, c.output)
		}
	}
	// A WASI SDK that has the target by its later name only.
	sysroot := filepath.Join(dir, "sdk", "share", "wasi-sysroot", "include")
	if err := os.Rename(filepath.Join(sysroot, "wasm32-wasi"), filepath.Join(sysroot, "wasm32-wasip1")); err != nil {
		t.Fatal(err)
	}
	if p, err := For("c").Plan(program); err != nil || !slices.Contains(p.Commands[0].Args, "--target=wasm32-wasip1") {
		t.Errorf("WASI SDK without wasm32-wasi: %v, %v", p, err)
	}
	library.WIT = ""
	if _, err := For("python").Plan(library); err == nil || !strings.Contains(err.Error(), "key wit") {
		t.Errorf("python without WIT: %v", err)
	}
	library.Dir = t.TempDir()
	for _, language := range []string{"rust", "c"} {
		if _, err := For(language).Plan(library); err == nil || !strings.Contains(err.Error(), library.Dir) {
			t.Errorf("%s without sources: %v", language, err)
		}
	}
	if For("cobol") != nil {
		t.Error("there is a toolchain of an unknown language")
	}
}

// A folder may be called what would be a pattern.
func TestSources(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "[x]")
	write(t, filepath.Join(dir, "src", "a.c"), "", 0o666)
	files, err := sources(dir, ".c", ".cc")
	if want := filepath.Join("src", "a.c"); err != nil || !slices.Equal(files, []string{want}) {
		t.Errorf("%q, %v", files, err)
	}
}

func TestForeignWorkspace(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.work": "go 1.26\nuse (\n\t./used\n\t./module\n)\n", "used/go.mod": "module used\n", "other/go.mod": "module other\n",
		"module/go.mod": "module m\n", "module/cmd/app/main.go": "",
	} {
		write(t, filepath.Join(root, name), text, 0o666)
	}
	for _, c := range []struct {
		dir, environment string
		off              bool
	}{
		{"used", "", false}, {"other", "", true}, {"module/cmd/app", "", false},
		{"other", "off", false}, {"other", filepath.Join(root, "go.work"), false},
	} {
		t.Setenv("GOWORK", c.environment)
		p, err := For("go").Plan(Job{Dir: filepath.Join(root, c.dir), Output: "x"})
		if err != nil || slices.Contains(p.Commands[0].Env, "GOWORK=off") != c.off {
			t.Errorf("%s with GOWORK=%q: %v, %v", c.dir, c.environment, p.Commands, err)
		}
	}
	t.Setenv("GOWORK", "")
	write(t, filepath.Join(root, "go.work"), "use (\n", 0o666)
	if _, err := For("go").Plan(Job{Dir: filepath.Join(root, "used")}); err == nil || !strings.Contains(err.Error(), "go.work:") {
		t.Errorf("a go.work that can't be read: %v", err)
	}
}

func TestFind(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("programs here are shell scripts")
	}
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	goTool := For("go").Tools[0]
	if _, err := goTool.Find(t.Context(), dir); err == nil || err.Error() != "go is not on the PATH" {
		t.Errorf("no go: %v", err)
	}
	for version, ok := range map[string]bool{"go1.23.4": false, "go1.25.9": false, "go1.26.8": true, "go1.30rc1": true, "devel +abc": true} {
		write(t, filepath.Join(dir, "go"), "#!/bin/sh\necho go version "+version+" linux/amd64\n", 0o777)
		got, err := goTool.Find(t.Context(), dir)
		if (err == nil) != ok {
			t.Errorf("%s: %q, %v", version, got, err)
		}
	}
	write(t, filepath.Join(dir, "go"), "#!/bin/sh\nexit 3\n", 0o777)
	if _, err := goTool.Find(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("a go that fails: %v", err)
	}
	tools := For("typescript").Tools
	jco := tools[slices.IndexFunc(tools, func(t Tool) bool { return t.Name == "jco" })]
	if _, err := jco.Find(t.Context(), dir); err == nil {
		t.Error("jco is found in an empty project")
	}
	write(t, filepath.Join(dir, "node_modules/.bin/jco"), "#!/bin/sh\necho 1.2.3\n", 0o777)
	if got, err := jco.Find(t.Context(), dir); err != nil || got != "1.2.3" {
		t.Errorf("jco in the project: %q, %v", got, err)
	}
}

func TestRun(t *testing.T) {
	var out, errs bytes.Buffer
	dir := t.TempDir()
	c := Command{Args: []string{"go", "env", "GOOS", "GOARCH"}, Env: []string{"GOOS=wasip1", "GOARCH=wasm"}}
	if err := c.Run(t.Context(), dir, &out, &errs); err != nil || out.String() != "wasip1\nwasm\n" {
		t.Errorf("%q, %v, %s", out.String(), err, errs.String())
	}
	c.Args = []string{"go", "no-such-command"}
	if err := c.Run(t.Context(), dir, &out, &errs); err == nil || !strings.Contains(err.Error(), "GOOS=wasip1 GOARCH=wasm go no-such-command: exit status 2") {
		t.Errorf("failure: %v", err)
	}
	c.Args = []string{"no-such-program"}
	if err := c.Run(t.Context(), dir, &out, &errs); err == nil {
		t.Error("a program that is not there ran")
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(os.ErrDeadlineExceeded)
	c.Args = []string{"go", "version"}
	if err := c.Run(ctx, dir, &out, &errs); err != os.ErrDeadlineExceeded {
		t.Errorf("cancelled: %v", err)
	}
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}
