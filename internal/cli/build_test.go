package cli

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/internal/require"
)

// newProject makes a project in a folder of its own, which it returns.
func newProject(t *testing.T, name string, args ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if code, _, stderr := ashlar(append([]string{"new", dir}, args...)...); code != 0 {
		t.Fatalf("new %q: exit code %d\n%s", args, code, stderr)
	}
	return dir
}

// buildProject builds a project and returns the path of the component.
func buildProject(t *testing.T, dir string) string {
	t.Helper()
	code, _, stderr := ashlar("build", "-C", dir)
	if code != 0 {
		t.Fatalf("build: exit code %d\n%s", code, stderr)
	}
	return filepath.Join(dir, "build", filepath.Base(dir)+".wasm")
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// offline keeps the go command from asking anybody for modules.
func offline(t *testing.T) {
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOFLAGS", "-mod=mod")
	t.Setenv("GOWORK", "off")
}

func TestBuildCommand(t *testing.T) {
	offline(t)
	dir := newProject(t, "my-tool", "--template", "cli")
	component := buildProject(t, dir)
	code, stdout, stderr := ashlar("run", component, "Gopher", "世界")
	if code != 0 || stdout != "Hello, Gopher!\nHello, 世界!\n" {
		t.Errorf("exit code %d, %q, %s", code, stdout, stderr)
	}
	t.Chdir(dir)
	if code, stdout, stderr := ashlar("run"); code != 0 || stdout != "Hello, world!\n" {
		t.Errorf("in the project: exit code %d, %q, %s", code, stdout, stderr)
	}
	first := read(t, component)
	if _, _, stderr := ashlar("build", "-C", dir); !strings.Contains(stderr, "unchanged "+component) {
		t.Errorf("built again:\n%s", stderr)
	}
	// From another folder, and by way of a cache that knows nothing of the first.
	t.Setenv("GOCACHE", t.TempDir())
	if other := read(t, buildProject(t, newProject(t, "my-tool", "--template", "cli"))); !bytes.Equal(first, other) {
		t.Error("two builds of the same sources differ")
	}
}

func TestMistakesInProject(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Hello World")
	if code, _, stderr := ashlar("new", dir); code != exitUsage || !strings.Contains(stderr, "--name") {
		t.Errorf("a folder that gives no name: exit code %d, %s", code, stderr)
	}
	code, _, stderr := ashlar("new", dir, "--name", "hello")
	if code != 0 || !strings.Contains(stderr, "next: cd '"+dir+"' && ") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	toml := filepath.Join(dir, "ashlar.toml")
	text := string(read(t, toml))
	for _, c := range []struct{ old, new, want string }{
		{`name = "hello"`, `name = 1`, ":1: name: integer where a string is expected"},
		{`wasi:http/proxy@0.2.0`, `wasi:http/proxi@0.2.0`, ":4: world: no world wasi:http/proxi@0.2.0"},
		{`initialize`, `wit = "wit"` + "\ninitialize", ":5: wit: there is no "},
	} {
		write(t, toml, strings.Replace(text, c.old, c.new, 1))
		if code, _, stderr := ashlar("build", "-C", dir); code != exitInvalid || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit code %d, expected %q: %s", c.new, code, c.want, stderr)
		}
	}
	write(t, toml, "[")
	if code, _, stderr := ashlar("doctor", "-C", dir); code != exitInvalid || !strings.Contains(stderr, "ashlar.toml:1: ") {
		t.Errorf("doctor: exit code %d, %s", code, stderr)
	}
}

// pushed pushes a component into a layout, and returns its reference.
func pushed(t *testing.T, component string) string {
	t.Helper()
	ref := "oci:" + t.TempDir() + ":1"
	if code, _, stderr := ashlar("push", component, ref); code != 0 {
		t.Fatalf("push: exit code %d, %s", code, stderr)
	}
	return ref
}

func TestBuildLibrary(t *testing.T) {
	offline(t)
	dir := newProject(t, "greeter", "--template", "library", "--module", "example.com/a/greeter")
	component := buildProject(t, dir)
	code, stdout, stderr := ashlar("invoke", component, `example:greeter/greeting@0.1.0#greet("世界")`)
	if code != 0 || stdout != "\"Hello, 世界!\"\n" {
		t.Errorf("exit code %d, %q, %s", code, stdout, stderr)
	}
	// What the runtime of Go imports is not in the world, so it is no target.
	if _, stdout, _ := ashlar("inspect", "-o", "json", pushed(t, component)); strings.Contains(stdout, `"target"`) {
		t.Errorf("a target in %s", stdout)
	}
	cli := buildProject(t, newProject(t, "command", "--template", "cli"))
	if _, stdout, _ := ashlar("inspect", "-o", "json", pushed(t, cli)); !strings.Contains(stdout, `"target": "wasi:cli/command@0.2.0"`) {
		t.Errorf("no target in %s", stdout)
	}
	built := read(t, component)
	source := filepath.Join(dir, "main.go")
	for _, c := range []struct{ file, old, new, want string }{
		// What is wrong is said by who knows it, and the component stays as it was.
		{source, "return", "retrn", "main.go:8:"},
		{source, "name string", "name int", "wrong type for method Greet"},
		{filepath.Join(dir, "wit", "world.wit"), "greet: func(name: string) -> string;", "greet: func(name: strin) -> string;", "world.wit:6:"},
		{filepath.Join(dir, "ashlar.toml"), "\"library\"", "\"lib\"", "has no world \"lib\"; it has: library"},
	} {
		text := string(read(t, c.file))
		changed := strings.Replace(text, c.old, c.new, 1)
		if changed == text {
			t.Fatalf("%s has no %q", c.file, c.old)
		}
		write(t, c.file, changed)
		code, _, stderr := ashlar("build", "-C", dir)
		if code == 0 || !strings.Contains(stderr, c.want) {
			t.Errorf("%s -> %s: exit code %d, expected %q:\n%s", c.old, c.new, code, c.want, stderr)
		}
		write(t, c.file, text)
	}
	if !bytes.Equal(read(t, component), built) {
		t.Error("a build that did not succeed changed the component")
	}
	// Bindings follow the WIT.
	write(t, filepath.Join(dir, "wit", "world.wit"), "package example:greeter@0.1.0; interface other { twice: func(n: u32) -> u32; } world library { export other; }")
	write(t, source, `package main

import "example.com/a/greeter/internal/bind/export/example/greeter/other"

type impl struct{}

func (impl) Twice(n uint32) uint32 { return 2 * n }

func init() { other.Export(impl{}) }

func main() {}
`)
	buildProject(t, dir)
	if code, stdout, stderr := ashlar("invoke", component, "example:greeter/other@0.1.0#twice(21)"); code != 0 || stdout != "42\n" {
		t.Errorf("exit code %d, %q, %s", code, stdout, stderr)
	}
	if _, err := os.Stat(filepath.Join(dir, "internal", "bind", "export", "example", "greeter", "greeting", "bindings.go")); err == nil {
		t.Error("bindings of an interface that is gone are still there")
	}
}

func TestBuildHTTP(t *testing.T) {
	offline(t)
	dir := newProject(t, "web")
	component := buildProject(t, dir)
	serveComponent(t, component, "Hello from web!\n")
	// It reads its environment, which the world of its own has no word of.
	if code, _, stderr := ashlar("component", "targets", "wasi:http/proxy@0.2.0", component); code != exitFailure || !strings.Contains(stderr, "wasi:cli/environment") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	toml := filepath.Join(dir, "ashlar.toml")
	text := string(read(t, toml))
	write(t, toml, text+"[build]\nproxy = true\n")
	buildProject(t, dir)
	if code, _, stderr := ashlar("component", "targets", "wasi:http/proxy@0.2.0", component); code != 0 {
		t.Errorf("with proxy: exit code %d, %s", code, stderr)
	}
	serveComponent(t, component, "Hello from web!\n")
	write(t, toml, text)
	buildProject(t, dir)
	jco := nodeProgram(t, "jco")
	address := freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	host := exec.CommandContext(t.Context(), jco, "serve", component, "--port", port)
	var out bytes.Buffer
	host.Stdout, host.Stderr, host.WaitDelay = &out, &out, time.Second
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = host.Process.Kill(); _ = host.Wait() }()
	if got := get(t, "http://"+address+"/"); got != "Hello from web!\n" {
		t.Errorf("under jco: %q\n%s", got, out.String())
	}
	tool := buildProject(t, newProject(t, "tool", "--template", "cli"))
	if b, err := exec.CommandContext(t.Context(), jco, "run", tool, "jco").Output(); err != nil || string(b) != "Hello, jco!\n" {
		t.Errorf("jco run: %q, %v", b, err)
	}
}

const echoSource = `package main

import (
	"io"
	"net/http"

	wasihttp "example.com/echo/internal/ashlar/http"
)

func init() {
	wasihttp.Handle(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }))
}

func main() {}
`

// A body goes through a component in Go while its heap grows.
func TestBuildEcho(t *testing.T) {
	offline(t)
	dir := newProject(t, "echo")
	write(t, filepath.Join(dir, "main.go"), echoSource)
	component := buildProject(t, dir)
	var log safeBuffer
	url, stop := startServer(t, &log, component)
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for range 5 {
		resp, err := http.Post(url, "application/octet-stream", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !bytes.Equal(got, body) {
			t.Errorf("%d bytes came back of %d, %v", len(got), len(body), err)
		}
	}
	if code := stop(); code != 0 || t.Failed() {
		t.Errorf("exit code %d\n%s", code, log.String())
	}
}

func TestBuildOtherLanguages(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	for _, language := range []string{"javascript", "typescript", "c", "cpp"} {
		t.Run(language, func(t *testing.T) {
			dir := newProject(t, "web", "--language", language)
			if language == "javascript" || language == "typescript" {
				if require.Race {
					t.Skip("14 MB are compiled without the race detector")
				}
				modules := filepath.Dir(filepath.Dir(nodeProgram(t, "jco")))
				if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
					t.Fatal(err)
				}
			}
			if code, report, _ := ashlar("doctor", "-C", dir); code != 0 {
				require.Missing(t, "doctor says:\n"+report)
			}
			serveComponent(t, buildProject(t, dir), "Hello from web!\n")
		})
	}
}

// nodeProgram returns the path of a program that npm installed into the folder that
// ASHLAR_NODE_MODULES names: see .ci/js.
func nodeProgram(t *testing.T, name string) string {
	t.Helper()
	modules := os.Getenv("ASHLAR_NODE_MODULES")
	if modules == "" {
		require.Missing(t, "ASHLAR_NODE_MODULES does not say where npm installed .ci/js")
	}
	return filepath.Join(modules, ".bin", name)
}

// serveComponent serves a component and compares what it answers.
func serveComponent(t *testing.T, component, want string) {
	t.Helper()
	address := freeAddress(t)
	ctx, stop := context.WithCancel(t.Context())
	var errs bytes.Buffer
	done := make(chan int)
	go func() {
		done <- Run(ctx, []string{"serve", "--addr", address, component}, strings.NewReader(""), io.Discard, &errs)
	}()
	got := get(t, "http://"+address+"/")
	stop()
	if code := <-done; code != 0 || got != want {
		t.Errorf("exit code %d, %q, want %q\n%s", code, got, want, errs.String())
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// get waits until somebody listens, and returns the body.
func get(t *testing.T, url string) string {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		r, err := http.Get(url)
		if err != nil {
			if time.Now().After(end) {
				t.Error(err)
				return ""
			}
			continue
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		return string(b)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}
