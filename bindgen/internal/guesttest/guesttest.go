// Package guesttest makes components of Go programs for tests of the bindings.
package guesttest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/ashlar-wasm/ashlar/bindgen"
	"github.com/ashlar-wasm/ashlar/build/adapter"
	"github.com/ashlar-wasm/ashlar/build/componentize"
	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/internal/require"
	wasiwit "github.com/ashlar-wasm/ashlar/wasi/wit"
	"github.com/ashlar-wasm/ashlar/wit"
)

// A Program is the source of a component. It is a package of the module
// example.com/guest, which has the bindings for its world in the folder bind. It
// is built and compiled once in a process.
type Program struct {
	root    string // of the project
	main    string
	wit     func() (*wit.Resolve, error)
	world   string
	once    sync.Once
	engine  *component.Engine
	code    *component.Component
	failure error
}

// New returns the program in the file main, with a world that is described in
// text or, if that is empty, in the file wit. root is the folder of the project
// and the others are relative to it.
func New(root, main, file, text, world string) *Program {
	return &Program{root: root, main: filepath.Join(root, main), world: world, wit: func() (*wit.Resolve, error) {
		if text != "" {
			return wit.ParseText("world.wit", text, wit.Options{Lookup: wasiwit.Lookup})
		}
		return wit.ParsePath(filepath.Join(root, file), wit.Options{})
	}}
}

// Compile returns the component, and the engine that it is for. It skips the test
// if there is no go command.
func (p *Program) Compile(t testing.TB) (*component.Engine, *component.Component) {
	t.Helper()
	if testing.Short() {
		t.Skip("builds a guest")
	}
	if _, err := exec.LookPath("go"); err != nil {
		require.Missing(t, err)
	}
	p.once.Do(func() {
		var data []byte
		if data, p.failure = p.build(); p.failure == nil {
			p.engine = component.NewEngine(component.Options{})
			p.code, p.failure = p.engine.Compile(context.Background(), data)
		}
	})
	if p.failure != nil {
		t.Fatal(p.failure)
	}
	return p.engine, p.code
}

// build returns the component.
func (p *Program) build() ([]byte, error) {
	dir, err := os.MkdirTemp("", "guest")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	r, err := p.wit()
	if err != nil {
		return nil, err
	}
	world := r.Main.World(p.world)
	files, err := bindgen.Guest(bindgen.GuestOptions{World: world, Path: "example.com/guest/bind"})
	if err != nil {
		return nil, err
	}
	for i := range files {
		files[i].Name = "bind/" + files[i].Name
	}
	main, err := os.ReadFile(p.main)
	if err != nil {
		return nil, err
	}
	runtime, err := filepath.Abs(filepath.Join(p.root, "guest"))
	if err != nil {
		return nil, err
	}
	const mod = `module example.com/guest

go 1.26.0

require github.com/ashlar-wasm/ashlar/guest v0.0.0

replace github.com/ashlar-wasm/ashlar/guest => %q
`
	files = append(files, bindgen.File{Name: "main.go", Content: main}, bindgen.File{Name: "go.mod", Content: fmt.Appendf(nil, mod, runtime)})
	for _, f := range files {
		name := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			return nil, err
		}
		if err := os.WriteFile(name, f.Content, 0o666); err != nil {
			return nil, err
		}
	}
	build := exec.Command("go", "build", "-buildmode=c-shared", "-o", "guest.wasm", ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOPROXY=off", "GOFLAGS=-mod=mod")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	module, err := os.ReadFile(filepath.Join(dir, "guest.wasm"))
	if err != nil {
		return nil, err
	}
	if module, err = componentize.Embed(module, world, componentize.EmbedOptions{}); err != nil {
		return nil, err
	}
	wasi1, err := adapter.For(module, adapter.Options{})
	if err != nil {
		return nil, err
	}
	return componentize.New(module, componentize.Options{Adapters: []componentize.Adapter{{Name: adapter.Name, Module: wasi1}}})
}
