package adapter_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/build/adapter"
	"github.com/ashlar-wasm/ashlar/build/componentize"
	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/internal/require"
	"github.com/ashlar-wasm/ashlar/wasi"
	wasiwit "github.com/ashlar-wasm/ashlar/wasi/wit"
	"github.com/ashlar-wasm/ashlar/wit"
)

// goGuest compiles a program below testdata.
func goGuest(t *testing.T, name string, flags ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		require.Missing(t, err)
	}
	out := filepath.Join(t.TempDir(), name+".wasm")
	cmd := exec.Command("go", append([]string{"build", "-o", out}, append(flags, "./testdata/"+name)...)...)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// componentOf makes a component of a module.
func componentOf(t *testing.T, module []byte, o adapter.Options) []byte {
	t.Helper()
	wasi1, err := adapter.For(module, o)
	if err != nil {
		t.Fatal(err)
	}
	out, err := componentize.New(module, componentize.Options{
		Adapters: []componentize.Adapter{{Name: adapter.Name, Module: wasi1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// embedded is a module with a world embedded, written in WIT.
func embedded(t *testing.T, module []byte, text string) []byte {
	t.Helper()
	r, err := wit.ParseText("test.wit", text, wit.Options{Lookup: wasiwit.Lookup})
	if err != nil {
		t.Fatal(err)
	}
	out, err := componentize.Embed(module, r.Main.Worlds[0], componentize.EmbedOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// imports are the interfaces that a component imports, without versions.
func imports(t *testing.T, bytes []byte) []string {
	t.Helper()
	_, w, err := wit.Decode(bytes)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, i := range w.Imports {
		name, _, _ := strings.Cut(i.ExternName(), "@")
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// prepared is a component made ready with what a System grants.
func prepared(t *testing.T, bytes []byte, o wasi.Options) *component.Prepared {
	t.Helper()
	sys, err := wasi.New(o)
	if err != nil {
		t.Fatal(err)
	}
	e := component.NewEngine(component.Options{})
	t.Cleanup(func() {
		e.Close(context.Background())
		sys.Close()
	})
	c, err := e.Compile(t.Context(), bytes)
	if err != nil {
		t.Fatal(err)
	}
	l := e.NewLinker()
	if err := sys.AddTo(l); err != nil {
		t.Fatal(err)
	}
	p, err := l.Prepare(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A Go program does the same as a module and as a component.
func TestGoProgram(t *testing.T) {
	module := goGuest(t, "guest")
	whole := componentOf(t, module, adapter.Options{ExitCodes: true})
	e := component.NewEngine(component.Options{})
	defer e.Close(context.Background())
	c, err := e.Compile(t.Context(), whole)
	if err != nil {
		t.Fatal(err)
	}
	m, err := wasi.CompileModule(t.Context(), e, module)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close(context.Background())
	var manyArgs, manyVars []string
	for i := range 5000 {
		manyArgs = append(manyArgs, strings.Repeat("a", i%40))
		manyVars = append(manyVars, fmt.Sprintf("V%d=%s", i, strings.Repeat("v", i%40)))
	}
	for _, test := range []struct {
		args  string
		more  []string
		env   []string
		stdin string
	}{
		{args: "args"},
		{args: "args", more: []string{"", "a b", "ünï", strings.Repeat("x", 70)}},
		{args: "args", more: manyArgs},
		{args: "env"},
		{args: "env", env: []string{"A=1", "B=", "LONG=" + strings.Repeat("l", 70_000), "C=x=y"}},
		{args: "env", env: manyVars},
		{args: "cat"},
		{args: "cat", stdin: strings.Repeat("all work and no play ", 50_000)},
		{args: "lines", stdin: "one\ntwo\n\nthree"},
		{args: "large"},
		{args: "stderr"},
		{args: "files /dir"},
		{args: "tree /dir"},
		{args: "tree /dir/sub"},
		{args: "errors /dir"},
		{args: "times /dir"},
		{args: "many /dir"},
		{args: "clock"},
		{args: "wait"},
		{args: "random"},
		{args: "heap /dir"},
		{args: "exit 0"},
		{args: "exit 1"},
		{args: "exit 77"},
		{args: "panic"},
	} {
		name := test.args
		if len(test.more)+len(test.env)+len(test.stdin) > 0 {
			name += fmt.Sprintf(" %d %d %d", len(test.more), len(test.env), len(test.stdin))
		}
		t.Run(name, func(t *testing.T) {
			var outputs [2][3]string
			for i, run := range []func(*wasi.System) error{
				func(sys *wasi.System) error { return m.Run(t.Context(), sys, nil) },
				func(sys *wasi.System) error {
					l := e.NewLinker()
					if err := sys.AddTo(l); err != nil {
						return err
					}
					p, err := l.Prepare(t.Context(), c)
					if err != nil {
						return err
					}
					inst, err := p.Instantiate(t.Context())
					if err != nil {
						return err
					}
					defer inst.Close(context.Background())
					return wasi.Run(t.Context(), inst)
				},
			} {
				dir := t.TempDir()
				if err := os.Mkdir(filepath.Join(dir, "sub"), 0o777); err != nil {
					t.Fatal(err)
				}
				var stdout, stderr bytes.Buffer
				sys, err := wasi.New(wasi.Options{
					Args: append(append([]string{"guest"}, strings.Fields(test.args)...), test.more...), Env: test.env,
					Stdin: strings.NewReader(test.stdin), Stdout: &stdout, Stderr: &stderr,
					Dirs: []wasi.Dir{{Host: dir, Guest: "/dir"}, {Host: filepath.Join(dir, "sub"), Guest: "/dir/sub"}},
				})
				if err != nil {
					t.Fatal(err)
				}
				err = run(sys)
				sys.Close()
				exit, ok := errors.AsType[wasi.ExitError](err)
				if err != nil && !ok {
					t.Fatalf("%v\n%s", err, stderr.Bytes())
				}
				outputs[i] = [3]string{stdout.String(), stderr.String(), fmt.Sprint(exit.Code)}
			}
			for i, what := range []string{"standard output", "standard error", "exit code"} {
				if module, component := outputs[0][i], outputs[1][i]; module != component {
					t.Errorf("%s as a module:\n%.3000s\nas a component:\n%.3000s", what, module, component)
				}
			}
			if strings.Contains(outputs[0][0], "error:") || outputs[0][0]+outputs[0][1] == "" && name != "cat" {
				t.Errorf("the module printed %q", outputs[0])
			}
		})
	}
}

// Goroutines wait for pollables together.
func TestGoWaiter(t *testing.T) {
	module := embedded(t, goGuest(t, "waiter"), `package test:waiter;
		world waiter { import wasi:clocks/monotonic-clock@0.2.12; }`)
	var out bytes.Buffer
	inst, err := prepared(t, componentOf(t, module, adapter.Options{}), wasi.Options{Stdout: &out, Stderr: &out}).Instantiate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer inst.Close(context.Background())
	err = wasi.Run(t.Context(), inst)
	if exit, ok := errors.AsType[wasi.ExitError](err); err != nil && !(ok && exit.Code == 0) {
		t.Error(err)
	}
	const want = "together: true true\nothers went on: true\ndeadline: true\nclosed: true\nno such: Bad file number\n"
	if out.String() != want {
		t.Errorf("output %q, want %q", out.String(), want)
	}
}

// A Go reactor is initialized before the first call and keeps a heap that grows.
func TestGoReactor(t *testing.T) {
	module := embedded(t, goGuest(t, "reactor", "-buildmode=c-shared"), `package test:reactor;
		world reactor { export count: func(n: s32) -> s32; export leave: func(code: s32); }`)
	bytes := componentOf(t, module, adapter.Options{})
	if got := imports(t, bytes); slices.Contains(got, "wasi:cli/run") {
		t.Errorf("imports %q", got)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("contents"), 0o666); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	p := prepared(t, bytes, wasi.Options{
		Args: []string{"a", "b"}, Env: []string{"NAME=value"}, Stdout: &out, Stderr: &out, Dirs: []wasi.Dir{{Host: dir, Guest: "/dir"}},
	})
	inst, err := p.Instantiate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer inst.Close(context.Background())
	count, ok := inst.Func("", "count")
	if !ok {
		t.Fatal("count is not exported")
	}
	for _, n := range []int32{1, 60, 200} {
		got, err := count.Call(t.Context(), []component.Val{component.S32Val(n)})
		if err != nil || got != component.S32Val(n) {
			t.Errorf("count(%d) is %v, %v\n%s", n, got, err, out.String())
		}
	}
	const want = "initialized with 2 arguments\n1, contents <nil>, value\n60, contents <nil>, value\n200, contents <nil>, value\n"
	if out.String() != want {
		t.Errorf("output %q, want %q", out.String(), want)
	}
	leave, _ := inst.Func("", "leave")
	_, err = leave.Call(t.Context(), []component.Val{component.S32Val(3)})
	if exit, ok := errors.AsType[wasi.ExitError](err); !ok || exit.Code != 1 {
		t.Errorf("leave: %v", err)
	}
}

// What a Go program that runs on nothing but wasi:http/proxy may import.
func TestProxy(t *testing.T) {
	bytes := componentOf(t, goGuest(t, "guest"), adapter.Options{Proxy: true})
	allowed := []string{
		"wasi:cli/stderr", "wasi:cli/stdin", "wasi:cli/stdout", "wasi:clocks/monotonic-clock", "wasi:clocks/wall-clock",
		"wasi:io/error", "wasi:io/poll", "wasi:io/streams", "wasi:random/random",
	}
	if got := imports(t, bytes); !slices.Equal(got, allowed) {
		t.Errorf("imports %q, want %q", got, allowed)
	}
}
