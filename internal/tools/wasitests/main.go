// Command wasitests runs the prebuilt tests of wasi-testsuite for WASI 0.1, as
// modules or made into components. Each argument is a folder that is searched for
// .wasm files; a .json file beside one says how to run it. The last line is "passed
// P of N"; the exit code is 1 if a test failed.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ashlar-wasm/ashlar/build/adapter"
	"github.com/ashlar-wasm/ashlar/build/componentize"
	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/internal/engine"
	"github.com/ashlar-wasm/ashlar/wasi"
)

func main() {
	verbose := flag.Bool("v", false, "name the tests that pass, too")
	components := flag.Bool("component", false, "make a component of each test")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: wasitests [-v] [-component] DIR...")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	start := startModule
	if *components {
		start = startComponent
	}
	passed, total := 0, 0
	for _, dir := range flag.Args() {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".wasm" {
				return err
			}
			total++
			if err := run(path, start); err != nil {
				fmt.Printf("FAIL %s: %v\n", path, err)
				return nil
			}
			passed++
			if *verbose {
				fmt.Println("ok  ", path)
			}
			return nil
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, "wasitests:", err)
			os.Exit(2)
		}
	}
	fmt.Printf("passed %d of %d\n", passed, total)
	if passed != total || total == 0 {
		os.Exit(1)
	}
}

// spec is the .json file beside a test.
type spec struct {
	Args     []string          `json:"args"`
	Env      map[string]string `json:"env"`
	Root     *string           `json:"root"`
	ExitCode uint32            `json:"exit_code"`
	Stdout   *string           `json:"stdout"`
	Stderr   *string           `json:"stderr"`
}

// timeout bounds one test.
const timeout = 30 * time.Second

func run(path string, start start) error {
	var s spec
	text, err := os.ReadFile(strings.TrimSuffix(path, ".wasm") + ".json")
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(&s); err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var out, errs bytes.Buffer
	o := wasi.Options{
		Args:   append([]string{filepath.Base(path)}, s.Args...),
		Stdout: &out,
		Stderr: &errs,
	}
	for k, v := range s.Env {
		o.Env = append(o.Env, k+"="+v)
	}
	if s.Root != nil {
		// A test changes its files: each gets a copy.
		temp, err := os.MkdirTemp("", "wasitests")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temp)
		if err := os.CopyFS(temp, os.DirFS(filepath.Join(filepath.Dir(path), *s.Root))); err != nil {
			return err
		}
		o.Dirs = []wasi.Dir{{Host: temp, Guest: "/"}}
	}
	code, err := start(path, o)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, errs.Bytes())
	}
	switch {
	case code != s.ExitCode:
		return fmt.Errorf("exit code %d, want %d\n%s", code, s.ExitCode, errs.Bytes())
	case s.Stdout != nil && *s.Stdout != out.String():
		return fmt.Errorf("stdout %q, want %q", out.String(), *s.Stdout)
	case s.Stderr != nil && *s.Stderr != errs.String():
		return fmt.Errorf("stderr %q, want %q", errs.String(), *s.Stderr)
	}
	return nil
}

// start runs a command and returns its exit code.
type start func(path string, o wasi.Options) (uint32, error)

func startModule(path string, o wasi.Options) (uint32, error) {
	sys, err := wasi.New(o)
	if err != nil {
		return 0, err
	}
	defer sys.Close()
	wasm, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	ctx, end := sys.StartP1(ctx)
	defer end()
	e := engine.New(engine.Config{})
	defer e.Close(ctx)
	host, err := e.InstantiateHost(ctx, wasi.P1())
	if err != nil {
		return 0, err
	}
	m, err := e.Compile(ctx, engine.Source{Wasm: wasm})
	if err != nil {
		return 0, err
	}
	mems := e.NewMemories(1 << 30)
	defer mems.Release()
	inst, err := e.Instantiate(ctx, m, func(module string) *engine.Instance {
		if module == wasi.P1Module {
			return host
		}
		return nil
	}, mems)
	if err != nil {
		return 0, err
	}
	f := inst.Func("_start")
	if f == nil {
		return 0, errors.New("no _start function")
	}
	err = f.Call(ctx, nil)
	if exit, ok := errors.AsType[wasi.ExitError](err); ok {
		return exit.Code, nil
	}
	return 0, err
}

func startComponent(path string, o wasi.Options) (uint32, error) {
	sys, err := wasi.New(o)
	if err != nil {
		return 0, err
	}
	defer sys.Close()
	module, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	wasi1, err := adapter.For(module, adapter.Options{ExitCodes: true})
	if err != nil {
		return 0, err
	}
	bytes, err := componentize.New(module, componentize.Options{
		Adapters: []componentize.Adapter{{Name: adapter.Name, Module: wasi1}},
	})
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	e := component.NewEngine(component.Options{})
	defer e.Close(context.Background())
	c, err := e.Compile(ctx, bytes)
	if err != nil {
		return 0, err
	}
	l := e.NewLinker()
	if err := sys.AddTo(l); err != nil {
		return 0, err
	}
	p, err := l.Prepare(ctx, c)
	if err != nil {
		return 0, err
	}
	inst, err := p.Instantiate(ctx)
	if err != nil {
		return 0, err
	}
	defer inst.Close(context.Background())
	err = wasi.Run(ctx, inst)
	if exit, ok := errors.AsType[wasi.ExitError](err); ok {
		return exit.Code, nil
	}
	return 0, err
}
