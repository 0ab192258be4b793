package wasi

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/internal/engine"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// Module is a compiled core module that uses WASI 0.1: a command, which exports
// _start, or a reactor, which exports _initialize or nothing of the kind. It
// may be run many times, concurrently.
type Module struct {
	code    *engine.Module
	host    *engine.Instance
	engine  *component.Engine
	command bool
}

// ErrReactor is returned by Run for a module that exports no _start.
var ErrReactor = errors.New("the module exports no function _start: it is a reactor, not a command")

// CompileModule validates and compiles a core module. The error is a
// *wasm.Error or *wasm.UnsupportedError for one that can't be run, a
// *component.LinkError if it imports what WASI 0.1 does not have, a
// *component.LimitError if it is too large.
func CompileModule(ctx context.Context, e *component.Engine, bytes []byte) (*Module, error) {
	if err := e.CheckSize(bytes); err != nil {
		return nil, err
	}
	m, err := wasm.Decode(bytes)
	if err != nil {
		return nil, err
	}
	out := &Module{engine: e}
	tables := e.Limits().TableElements
	origin := engine.Origin{Digest: sha256.Sum256(bytes), Options: fmt.Sprintf("WASI 0.1 module, tables %d", tables)}
	codes, err := e.Core().CompileAll(ctx, origin, func() ([]engine.Source, error) {
		if err := wasm.Validate(m); err != nil {
			return nil, err
		}
		if err := checkWorld(m); err != nil {
			return nil, err
		}
		var f engine.Footprint
		if err := f.Add(engine.FootprintOf(m), tables); err != nil {
			return nil, err
		}
		source, err := engine.Confine(m, engine.Confinement{
			TableGrowth: f.Growth(tables),
			Host:        func(*wasm.Import) bool { return true },
		})
		return []engine.Source{source}, err
	})
	if err != nil {
		return nil, err
	}
	out.code = codes[0]
	out.command = exports(m, wasm.KindFunc, "_start")
	if out.host, err = e.Core().InstantiateHost(ctx, P1()); err != nil {
		return nil, errors.Join(err, out.code.Close(ctx))
	}
	return out, nil
}

func exports(m *wasm.Module, kind wasm.Kind, name string) bool {
	return slices.ContainsFunc(m.Exports, func(x wasm.Export) bool { return x.Kind == kind && x.Name == name })
}

// checkWorld tells whether the module fits WASI 0.1.
func checkWorld(m *wasm.Module) error {
	if err := checkImports(m); err != nil {
		return err
	}
	if len(m.Imports) > 0 && !exports(m, wasm.KindMemory, "memory") {
		return errors.New("the module does not export its memory as \"memory\", which WASI 0.1 needs")
	}
	return nil
}

// checkImports lists what the module imports and WASI 0.1 lacks.
func checkImports(m *wasm.Module) error {
	have := make(map[string]engine.HostFunc)
	for _, f := range P1() {
		have[f.Name] = f
	}
	types, err := m.ImportTypes()
	if err != nil {
		return err
	}
	var link component.LinkError
	for i, im := range m.Imports {
		missing := component.Missing{Name: im.Module + "#" + im.Name}
		f, ok := have[im.Name]
		switch {
		case im.Module == P1Module && ok && im.Kind == wasm.KindFunc && sameSignature(types[i].Func, f):
			continue
		case im.Module == P1Module && ok:
			missing.Reason = "the type is not that of WASI 0.1"
		case strings.HasPrefix(im.Module, "wasi_unstable"):
			missing.Reason = "WASI 0.0 is not supported, WASI 0.1 is"
		}
		link.Missing = append(link.Missing, missing)
	}
	if len(link.Missing) > 0 {
		return &link
	}
	return nil
}

func sameSignature(t wasm.FuncType, f engine.HostFunc) bool {
	same := func(a []wasm.ValType, b []engine.ValType) bool {
		if len(a) != len(b) {
			return false
		}
		for i := range a {
			if a[i] != wasm.ValType(b[i]) {
				return false
			}
		}
		return true
	}
	return same(t.Params, f.Params) && same(t.Results, f.Results)
}

// Close releases the module's code. It must not be running.
func (m *Module) Close(ctx context.Context) error {
	return errors.Join(m.host.Close(ctx), m.code.Close(ctx))
}

// Run instantiates a command in a sandbox of its own and runs it to its end.
// The error wraps an ExitError where it ended itself with a code, and is a
// *component.Trap if it trapped. memory, if not nil, is told whether memory was
// refused for the limit.
func (m *Module) Run(ctx context.Context, s *System, memory func(exceeded error)) error {
	if !m.command {
		return ErrReactor
	}
	limits := m.engine.Limits()
	bounds := engine.Bounds{Time: limits.Time, CPU: limits.CPU, Fuel: limits.Fuel, Stack: limits.StackBytes}
	ctx, cancel := bounds.WithTime(ctx)
	defer cancel()
	ctx, end := s.StartP1(ctx)
	defer end()
	meter := m.engine.Core().NewMeter(bounds)
	ctx = engine.WithMeter(ctx, meter)
	if err := meter.Start(ctx); err != nil {
		return err
	}
	defer meter.Stop()
	mems := m.engine.Core().NewMemories(m.engine.Limits().MemoryBytes)
	defer mems.Release()
	if memory != nil {
		defer func() {
			if e := mems.Exceeded(); e != nil {
				memory(e)
			}
		}()
	}
	inst, err := m.engine.Core().Instantiate(ctx, m.code, func(string) *engine.Instance { return m.host }, mems)
	if err != nil {
		return moduleError(err)
	}
	start := inst.Func("_start")
	err = start.Call(ctx, nil)
	// A close error would say that the engine is closed, which hides nothing.
	_ = inst.Close(ctx)
	if err != nil {
		return moduleError(err)
	}
	return nil
}

func moduleError(err error) error {
	var t *engine.Trap
	if errors.As(err, &t) {
		return component.CoreTrap(t)
	}
	var h *engine.HostError
	if errors.As(err, &h) {
		return &component.HostError{Err: h.Err, Stack: h.Frames}
	}
	return fmt.Errorf("instantiate: %w", err)
}
