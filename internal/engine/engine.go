// Package engine executes core WebAssembly. It is the only importer of wazero
// and keeps the seam to it narrow: compile a module, instantiate it with
// explicit imports, call a function with a flat stack, look at a memory.
package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/ashlar-wasm/ashlar/internal/cow"
	"github.com/ashlar-wasm/ashlar/internal/limit"
)

// Features of core WebAssembly that modules may use.
const coreFeatures = api.CoreFeaturesV2 |
	experimental.CoreFeaturesThreads |
	experimental.CoreFeaturesTailCall |
	experimental.CoreFeaturesExtendedConst |
	experimental.CoreFeaturesExceptionHandling |
	experimental.CoreFeaturesTypedFunctionReferences

// ValType is a core value type, with the encoding of the binary format.
type ValType = api.ValueType

// The number types. References never cross the seam as values.
const (
	I32 ValType = api.ValueTypeI32
	I64 ValType = api.ValueTypeI64
	F32 ValType = api.ValueTypeF32
	F64 ValType = api.ValueTypeF64
)

// Config selects how modules are executed. The zero value compiles to native
// code with one worker per CPU.
type Config struct {
	// Interpreter executes without generating native code, an order of
	// magnitude slower. It is also what a platform without a code generator gets.
	Interpreter bool
	// CompileWorkers bounds the goroutines that one Compile uses; zero means
	// one per CPU. There are always at least two.
	CompileWorkers int
	// HeapMemories keeps linear memories on the Go heap even where the
	// platform could reserve address space for them.
	HeapMemories bool
	// Cache keeps compiled code; nil means that nothing does. The interpreter
	// has no use for it. It must stay open as long as the engine.
	Cache *Cache
	// Restore says how sandboxes are brought back to their snapshots. It must be
	// available on this system.
	Restore cow.Method
	// MaxMappings bounds what memories take of the mappings that the system allows the
	// process; zero means a part of that. See cow.Options.
	MaxMappings int
	// Reclaim, if not nil, is called when the system has no room for another memory. It
	// returns whether some were given back. It may be called by anything that makes an
	// instance.
	Reclaim func() bool
}

// instanceConfig is that of all instances. Guests reach nothing of what it
// holds; a source of random numbers is there since wazero would make and seed
// one for every instance otherwise.
var instanceConfig = wazero.NewModuleConfig().WithName("").WithStartFunctions().WithRandSource(rand.Reader)

// Engine compiles and instantiates modules. It is safe for concurrent use.
type Engine struct {
	runtime wazero.Runtime
	workers int
	heap    bool
	space   *cow.Space
	reclaim func() bool
	native  *nativeCode // nil without a cache
	probe   stackProbe
	turns   turns
	meter   func() (*Instance, error)

	compiler         compiler
	compiled, loaded atomic.Uint64
}

// New returns an engine. Close releases it with everything compiled by it.
func New(c Config) *Engine {
	space, err := cow.NewSpace(cow.Options{Method: c.Restore, MaxMappings: c.MaxMappings})
	if err != nil {
		panic(err)
	}
	rc := wazero.NewRuntimeConfig()
	if c.Interpreter {
		rc = wazero.NewRuntimeConfigInterpreter()
	}
	workers := c.CompileWorkers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	// With one worker, compiling can't be cancelled.
	workers = max(workers, 2)
	e := &Engine{workers: workers, heap: c.HeapMemories || !cow.Lazy, space: space, reclaim: c.Reclaim, turns: turns{most: max(1, runtime.GOMAXPROCS(0)-1), all: runtime.GOMAXPROCS(0)}}
	e.meter = sync.OnceValues(e.instantiateMeter)
	e.runtime, e.native = newRuntime(rc.WithCoreFeatures(coreFeatures), c)
	e.compiler = compiler{runtime: e.runtime, workers: workers}
	return e
}

// Mappings returns how many of the system's mappings memories take, those that are kept
// for reuse included, and how many they may.
func (e *Engine) Mappings() (used, limit int) { return e.space.Mappings() }

// Close releases all compiled code. No call may be under way. Where a function is
// still being compiled that nobody waits for any more, it happens after that.
func (e *Engine) Close(ctx context.Context) error {
	return e.compiler.close(func() error {
		err := e.runtime.Close(ctx)
		if e.native != nil {
			// The runtime leaves the code to the one who made the cache.
			err = errors.Join(err, e.native.wazero.Close(ctx))
		}
		return errors.Join(err, e.space.Close())
	})
}

// Module is a compiled core module. It may be instantiated many times,
// concurrently.
type Module struct {
	compiled wazero.CompiledModule
	starts   bool // exports StartFunc
	held     Held
}

func newModule(c wazero.CompiledModule, held Held) *Module {
	_, starts := c.ExportedFunctions()[StartFunc]
	return &Module{compiled: c, starts: starts, held: held}
}

// Starts tells whether the module has a start function.
func (m *Module) Starts() bool { return m.starts }

// StartFunc is the name under which a module exports the function that is to run
// when it was instantiated. A start function of the module itself would run where
// its stack can't be seen.
const StartFunc = "ashlar.start"

// Compile translates a module, of which the shell is not needed. It ends with ctx.
func (e *Engine) Compile(ctx context.Context, s Source) (*Module, error) {
	c, err := e.compiler.compile(ctx, s.Wasm)
	if err != nil {
		return nil, fmt.Errorf("compile core module: %w", err)
	}
	e.compiled.Add(1)
	return newModule(c, s.Held), nil
}

// Close releases the code of the module. Its instances must be closed before.
func (m *Module) Close(ctx context.Context) error { return m.compiled.Close(ctx) }

// HostFunc is a function that a host module offers to core modules.
type HostFunc struct {
	Name            string
	Params, Results []ValType
	// Call receives the arguments in stack and leaves the results there; stack
	// has room for the larger of the two. mem is the first memory of the
	// calling instance; its methods must not be called where the caller has
	// none. A panic with an error value unwinds the guest and is what the
	// outermost Func.Call returns (wrapped in no Trap).
	Call func(ctx context.Context, mem Memory, stack []uint64)
	// Work tells that Call does work of the host, or waits: the CPU time of the
	// guest stands still meanwhile, and whether the call must end is looked at
	// afterwards.
	Work bool
}

// hostName is the name of host functions' module in stack traces; instances are
// anonymous.
const hostName = "host"

// InstantiateHost compiles and instantiates a module of host functions, to be
// named by Imports. One such instance may serve any number of guests at once.
func (e *Engine) InstantiateHost(ctx context.Context, funcs []HostFunc) (*Instance, error) {
	b := e.runtime.NewHostModuleBuilder(hostName)
	for _, f := range funcs {
		call := f.Call
		if f.Work {
			call = paused(call)
		}
		b.NewFunctionBuilder().WithName(f.Name).WithGoModuleFunction(
			api.GoModuleFunc(func(ctx context.Context, mod api.Module, stack []uint64) {
				call(ctx, Memory{mod.Memory()}, stack)
			}), f.Params, f.Results).Export(f.Name)
	}
	c, err := b.Compile(ctx)
	if err != nil {
		return nil, fmt.Errorf("compile host module: %w", err)
	}
	m, err := e.runtime.InstantiateModule(ctx, c, instanceConfig)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("instantiate host module: %w", err), c.Close(ctx))
	}
	return &Instance{engine: e, module: m, code: c}, nil
}

// Imports names the instance that provides each import module name of a module.
// It returns nil for a name nobody provides.
type Imports func(module string) *Instance

// Instance is an instantiated module.
type Instance struct {
	engine *Engine
	module api.Module
	code   wazero.CompiledModule
	state  *state // in a sandbox that looks at it
	writes bool   // to tables
}

// Instantiate links a module to its imports, allocates its memories from mems, fills
// them, and runs its start function, if that is exported as StartFunc. ctx reaches the
// host functions called by the start function.
//
// The error is a *Trap when the guest trapped, a *limit.Error when a declared
// memory exceeds what mems grants, or a link error.
func (e *Engine) Instantiate(ctx context.Context, m *Module, imports Imports, mems *Memories) (*Instance, error) {
	inst, err := e.instantiate(ctx, m, imports, mems)
	if err != nil {
		return nil, err
	}
	err = inst.applyData(m.held.Data)
	if err == nil && m.starts {
		err = inst.Func(StartFunc).Call(ctx, nil)
	}
	if err != nil {
		// A close error would say that the engine is closed, which hides nothing.
		_ = inst.Close(ctx)
		return nil, err
	}
	return inst, nil
}

func (e *Engine) instantiate(ctx context.Context, m *Module, imports Imports, mems *Memories) (inst *Instance, err error) {
	meter, err := e.meter()
	if err != nil {
		return nil, err
	}
	ctx = experimental.WithImportResolver(ctx, func(name string) api.Module {
		if name == MeterModule {
			return meter.module
		}
		if p := imports(name); p != nil {
			return p.module
		}
		return nil
	})
	ctx = experimental.WithMemoryAllocator(ctx, mems)
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *limit.Error:
			inst, err = nil, r
		default:
			panic(r)
		}
	}()
	mod, err := e.runtime.InstantiateModule(ctx, m.compiled, instanceConfig)
	if err != nil {
		return nil, trapOf(err)
	}
	return &Instance{engine: e, module: mod, writes: m.held.WritesTables}, nil
}

// Close releases the instance. No call may be under way in it.
func (i *Instance) Close(ctx context.Context) error {
	err := i.module.Close(ctx)
	if i.code != nil {
		err = errors.Join(err, i.code.Close(ctx))
	}
	return err
}

// Func returns the exported function, or nil.
func (i *Instance) Func(name string) *Func {
	f := i.module.ExportedFunction(name)
	if f == nil {
		return nil
	}
	return &Func{f: f, instance: i, name: name}
}

// Memory returns the exported memory; ok is false if there is none.
func (i *Instance) Memory(name string) (Memory, bool) {
	m := i.module.ExportedMemory(name)
	return Memory{m}, m != nil
}

// Counter returns what is left in the instance's counter of metered work; ok is
// false if it is not metered.
func (i *Instance) Counter() (left int32, ok bool) {
	g := i.module.ExportedGlobal(MeterCounter)
	if g == nil {
		return 0, false
	}
	return int32(g.Get()), true
}

// ResetCounter empties the counter, so that the next check asks for a budget.
func (i *Instance) ResetCounter() {
	if g, ok := i.module.ExportedGlobal(MeterCounter).(api.MutableGlobal); ok {
		g.Set(0)
	}
}

// Func is an exported function of one instance. It is not safe for concurrent
// use; nested activation (through the host) is.
type Func struct {
	f        api.Function
	instance *Instance
	name     string
	active   bool
}

// Call calls the function. The arguments are taken from stack and the results
// left in it; it must have room for the larger of the two. ctx reaches host
// functions unchanged. The error is a *Trap, or what a host function panicked
// with.
func (f *Func) Call(ctx context.Context, stack []uint64) error {
	if f.active {
		// One api.Function is one wasm stack: a nested activation needs another.
		f = &Func{f: f.instance.module.ExportedFunction(f.name), instance: f.instance, name: f.name}
	}
	f.active = true
	m := meterOf(ctx)
	if m != nil {
		outer, below := m.active, m.below
		m.below += outer.stackUsed()
		m.active = f
		defer func() { f.active, m.active, m.below = false, outer, below }()
	} else {
		defer func() { f.active = false }()
	}
	if err := f.f.CallWithStack(ctx, stack); err != nil {
		return trapOf(err)
	}
	return nil
}

// Memory is a view of a linear memory.
type Memory struct{ m api.Memory }

// Bytes returns the whole memory as it is now. The slice is invalid as soon as
// guest code ran, since the memory may have grown.
func (m Memory) Bytes() []byte {
	b, _ := m.m.Read(0, m.m.Size())
	return b
}
