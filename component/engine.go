// Package component runs WebAssembly components: it is an embeddable runtime
// of the Component Model on top of a core WebAssembly engine.
//
// The way of a component is Engine.Compile (bytes to a Component, shareable),
// Linker.Prepare (imports resolved, types checked, host functions bound once),
// Prepared.Instantiate (an instance in a sandbox of its own) and Func.Call, or
// Prepared.NewPool for a fresh instance for every call.
//
// An instance reaches nothing but what the Linker was given.
package component

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/cow"
	"github.com/ashlar-wasm/ashlar/internal/engine"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// Options configure an Engine. The zero value is a good one.
type Options struct {
	// Interpreter executes without compiling to native code.
	Interpreter bool
	// CompileWorkers bounds the goroutines that compile one component; zero
	// means one per CPU.
	CompileWorkers int
	// MaxBytes bounds the size of what is compiled, in bytes; zero means 256 MiB. It
	// bounds the memory and time for decoding and validating.
	MaxBytes uint64
	// Limits hold for every component compiled by the engine.
	Limits Limits
	// Cache keeps compiled code for later engines and processes; without one
	// nothing is written to disk. It must stay open as long as the engine.
	Cache *Cache
	// Restore is how sandboxes are brought back to their beginning; the zero value
	// chooses the quickest that the system has.
	Restore Restore
}

// Restore is a way to bring the memory of a sandbox back to its beginning.
type Restore struct{ method cow.Method }

// ParseRestore returns the way of a name: auto, scan, pagemap, discard or copy (see
// docs/sandboxes.md). It is an error if the system does not have it.
func ParseRestore(name string) (Restore, error) {
	m, err := cow.ParseMethod(name)
	if err != nil {
		return Restore{}, err
	}
	s, err := cow.NewSpace(cow.Options{Method: m})
	if err != nil {
		return Restore{}, err
	}
	return Restore{m}, s.Close()
}

// Engine compiles components. It is safe for concurrent use.
type Engine struct {
	core     *engine.Engine
	pools    pools
	limits   Limits
	maxBytes uint64
}

// maxBytes is the default of Options.MaxBytes.
const maxBytes = 256 << 20

// NewEngine returns an engine, to be closed when all that it compiled is no
// longer in use.
func NewEngine(o Options) *Engine { return newEngine(o, 0) }

// newEngine bounds the mappings that memories take, unless that is zero.
func newEngine(o Options, mappings int) *Engine {
	e := &Engine{limits: o.Limits.withDefaults(), maxBytes: cmp.Or(o.MaxBytes, maxBytes)}
	e.core = engine.New(engine.Config{
		Interpreter:    o.Interpreter,
		CompileWorkers: o.CompileWorkers,
		Cache:          o.Cache.store(),
		Restore:        o.Restore.method,
		MaxMappings:    mappings,
		Reclaim:        e.pools.reclaim,
	})
	return e
}

// Close releases everything that the engine compiled. No call may be under way.
func (e *Engine) Close(ctx context.Context) error { return e.core.Close(ctx) }

// Core returns the core engine underneath, for what runs core modules.
func (e *Engine) Core() *engine.Engine { return e.core }

// Limits returns the limits that hold, defaults filled in.
func (e *Engine) Limits() Limits { return e.limits }

// Error is a component that can't be run as it is, with the place of the cause.
type Error struct {
	Offset int // in bytes from the start of the component
	Err    error
}

func (e *Error) Error() string { return fmt.Sprintf("at offset %#x: %v", e.Offset, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Component is a compiled component. It may be prepared and instantiated many
// times, concurrently.
type Component struct {
	engine *Engine
	plan   *plan
	host   *engine.Instance // the trampolines
	once   bool             // declared to be initialised once
	shared sharedSnapshots
}

// Compile decodes, validates and compiles a component. The error is a
// *binary.Error or *wasm.Error with the offset and the rule for an invalid
// one, a *wasm.UnsupportedError for one that needs what the engine lacks, a
// *wasm.ComplexityError for one that would take too long to compile, a
// *LimitError for one that is too large. It returns when ctx ends; what is being
// compiled then ends by itself, within seconds. Decoding and validating are
// bounded by the size of the component and some seconds, and look at ctx in
// between. bytes must not be changed afterwards.
func (e *Engine) Compile(ctx context.Context, bytes []byte) (*Component, error) {
	c, err := e.decode(bytes)
	if err != nil {
		return nil, err
	}
	var p *plan
	origin := engine.Origin{Digest: sha256.Sum256(bytes), Options: "component, " + rewriteOptions(e.limits)}
	codes, err := e.core.CompileAll(ctx, origin, func() ([]engine.Source, error) {
		if p, err = e.check(ctx, c); err != nil {
			return nil, err
		}
		sources := make([]engine.Source, len(p.modules))
		for i := range p.modules {
			sources[i], p.modules[i].source = p.modules[i].source, engine.Source{}
		}
		return sources, nil
	})
	var ce *engine.CompileError
	if errors.As(err, &ce) {
		return nil, &Error{Offset: p.modules[ce.Index].origin, Err: ce.Err}
	}
	if err != nil {
		return nil, err
	}
	if p == nil {
		// What is in the cache was valid when it was put there.
		if p, err = flatten(ctx, c, e.limits, false); err != nil {
			return nil, err
		}
	}
	for i := range p.modules {
		p.modules[i].code = codes[i]
	}
	component := &Component{engine: e, plan: p, once: initialisedOnce(c)}
	if err := component.bind(ctx); err != nil {
		return nil, errors.Join(err, component.Close(ctx))
	}
	return component, nil
}

// initialisedOnce tells whether a component declares that.
func initialisedOnce(c *binary.Component) bool {
	for _, u := range c.Customs {
		if u.Name == binary.InitializeSection {
			return string(u.Data) == binary.InitializeOnce
		}
	}
	return false
}

// Validate does what Compile does before native code is made, and returns the error
// that Compile would. It needs a fraction of the time.
func (e *Engine) Validate(ctx context.Context, bytes []byte) error {
	c, err := e.decode(bytes)
	if err == nil {
		_, err = e.check(ctx, c)
	}
	return err
}

func (e *Engine) decode(bytes []byte) (*binary.Component, error) {
	if err := e.CheckSize(bytes); err != nil {
		return nil, err
	}
	return binary.Decode(bytes)
}

// check validates a component and works out its plan, with the modules to compile.
func (e *Engine) check(ctx context.Context, c *binary.Component) (*plan, error) {
	if err := binary.ValidateContext(ctx, c); err != nil {
		return nil, err
	}
	return flatten(ctx, c, e.limits, true)
}

// CheckSize returns a *LimitError if there are more bytes than Options.MaxBytes
// allows to compile.
func (e *Engine) CheckSize(bytes []byte) error {
	if n := uint64(len(bytes)); n > e.maxBytes {
		return &LimitError{Resource: LimitedSize, Limit: e.maxBytes, Requested: n}
	}
	return nil
}

// Close releases the component's code. No instance of it may be in use.
func (c *Component) Close(ctx context.Context) error {
	if c.host != nil {
		if err := c.host.Close(ctx); err != nil {
			return err
		}
	}
	for i := range c.plan.modules {
		if err := c.plan.modules[i].code.Close(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Module is a core module that a Linker can offer for import.
type Module struct {
	m *wasm.Module
}

// CompileModule validates a core module that components are to import.
func (e *Engine) CompileModule(bytes []byte) (*Module, error) {
	if err := e.CheckSize(bytes); err != nil {
		return nil, err
	}
	m, err := wasm.Decode(bytes)
	if err != nil {
		return nil, err
	}
	if err := wasm.Validate(m); err != nil {
		return nil, err
	}
	return &Module{m: m}, nil
}
