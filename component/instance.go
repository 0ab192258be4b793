package component

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/ashlar-wasm/ashlar/internal/canon"
	"github.com/ashlar-wasm/ashlar/internal/engine"
	"github.com/ashlar-wasm/ashlar/internal/limit"
)

// Instance is an instantiated component: a sandbox with memories and handle
// tables of its own. One call at a time may be under way in it; a second one
// is refused. Close it when done.
type Instance struct {
	prepared    *Prepared
	poll        func() // see canon.Context
	mems        *engine.Memories
	core        []*engine.Instance // by step
	comps       []instanceState
	resources   []*canon.ResourceType
	funcs       []*engine.Func                                     // by plan.funcs, looked up when first called
	reallocs    []func(old, oldSize, align, newSize uint32) uint32 // by plan.funcs, made when first used
	callers     spares[caller]                                     // see spares
	activations spares[activation]
	memories    []canon.Memory // by plan.memories, likewise
	cc          *callContext   // of the call under way
	task        *task          // running now
	current     int            // component instance running now
	depth       int            // calls of core functions under way
	busy        atomic.Bool
	poisoned    error
	meter       engine.Meter
	cpu         time.Duration
	fuel        uint64
}

// instanceState is the state of one component instance of the plan.
type instanceState struct {
	handles      canon.Table
	mayLeave     bool
	mayEnter     bool
	backpressure int
}

// task is a call into a component instance.
type task struct {
	fn      *funcDef
	scope   canon.Scope // borrows that the callee must drop
	storage [2]uint64   // context.get and context.set
	resolve func(cx *canon.Context, flat canon.Flat, ft *canon.FuncType, vals []uint64)
	done    bool // resolved
	fused   bool // called by another component instance
}

// callContext is the context of a call into an instance. Host functions find
// the instance by it.
type callContext struct {
	context.Context
	instance *Instance
}

type instanceKey struct{}

func (c *callContext) Value(key any) any {
	if _, ok := key.(instanceKey); ok {
		return c
	}
	return c.Context.Value(key)
}

// Meter implements engine.Metered.
func (c *callContext) Meter() *engine.Meter { return &c.instance.meter }

// callOf returns the call context that a trampoline was called with.
func callOf(ctx context.Context) *callContext {
	if c, ok := ctx.(*callContext); ok {
		return c
	}
	// A start function runs with the context that instantiation wrapped.
	return ctx.Value(instanceKey{}).(*callContext)
}

// Instantiate makes an instance: it instantiates the core modules and runs
// their start functions. ctx ends those, not the instance.
func (p *Prepared) Instantiate(ctx context.Context) (*Instance, error) {
	c := p.component
	i := &Instance{
		prepared:  p,
		mems:      c.engine.core.NewMemories(p.limits.MemoryBytes),
		core:      make([]*engine.Instance, len(c.plan.steps)),
		comps:     make([]instanceState, len(c.plan.instances)),
		resources: make([]*canon.ResourceType, len(c.plan.resources)),
		funcs:     make([]*engine.Func, len(c.plan.funcs)),
		reallocs:  make([]func(old, oldSize, align, size uint32) uint32, len(c.plan.funcs)),
		memories:  make([]canon.Memory, len(c.plan.memories)),
	}
	i.poll = func() {
		if err := i.meter.Check(i.cc); err != nil {
			panic(err)
		}
	}
	for n := range i.comps {
		i.comps[n].mayLeave, i.comps[n].mayEnter = true, true
		i.comps[n].handles.Limit = p.limits.Handles
	}
	for n := range i.resources {
		def := &c.plan.resources[n]
		if def.imported >= 0 {
			i.resources[n] = p.resources[n]
			continue
		}
		i.resources[n] = i.guestResource(def)
	}
	err := i.metered(ctx, true, func() error {
		for n := range c.plan.steps {
			if err := i.step(n); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		err = i.callError(err)
		i.Close(ctx)
		return nil, err
	}
	i.cc = nil
	return i, nil
}

func (i *Instance) guestResource(def *resourceDef) *canon.ResourceType {
	rt := &canon.ResourceType{Name: def.static.Name, Guest: true, Owner: &i.comps[def.instance]}
	if def.dtor >= 0 {
		rt.Drop = func(ctx context.Context, rep canon.Rep) error { return i.destroy(ctx, def, rep) }
	}
	return rt
}

// step instantiates one core module.
func (i *Instance) step(n int) error {
	p := i.prepared
	st := &p.component.plan.steps[n]
	code := p.modules[n]
	if st.module >= 0 {
		code = p.component.plan.modules[st.module].code
	}
	i.current = st.instance
	i.task = &task{}
	imports := func(name string) *engine.Instance {
		if name == hostModule {
			return p.host
		}
		var k int
		for _, c := range []byte(name) {
			k = k*10 + int(c-'0')
		}
		return i.core[k]
	}
	// A start function runs inside its component instance, which can't be
	// entered meanwhile.
	i.enter(st.instance, -1)
	inst, err := p.component.engine.core.Instantiate(i.cc, code, imports, i.mems)
	if err != nil {
		return err
	}
	i.leave(st.instance, -1)
	i.core[n] = inst
	i.current = 0
	return nil
}

// location is the path of the component instance running now.
func (i *Instance) location() string {
	return i.prepared.component.plan.instances[i.current].path
}

// Close releases the instance: host resources that it still owns are dropped,
// its memories given back. No call may be under way. Further calls do nothing.
func (i *Instance) Close(ctx context.Context) error {
	var first error
	keep := func(err error) {
		if first == nil {
			first = err
		}
	}
	for n := range i.comps {
		keep(dropOwned(ctx, &i.comps[n].handles))
	}
	for n := len(i.core) - 1; n >= 0; n-- {
		if i.core[n] != nil {
			keep(i.core[n].Close(ctx))
		}
	}
	i.core = nil
	i.mems.Release()
	return first
}

// fn returns a core function that the runtime calls.
func (i *Instance) fn(n int) *engine.Func {
	if f := i.funcs[n]; f != nil {
		return f
	}
	it := i.prepared.component.plan.funcs[n]
	from := i.prepared.host
	name := it.name
	if it.kind == fromInstance {
		from = i.core[it.index]
	} else {
		name = linkName(it).name
	}
	if from == nil {
		canon.Raise("core function %q is called before its instance is ready", it.name)
	}
	f := from.Func(name)
	if f == nil {
		canon.Raise("core instance has no function %q", it.name)
	}
	i.funcs[n] = f
	return f
}

// memory returns a core memory that canonical options name.
func (i *Instance) memory(n int) canon.Memory {
	if m := i.memories[n]; m != nil {
		return m
	}
	it := i.prepared.component.plan.memories[n]
	if i.core[it.index] == nil {
		canon.Raise("memory %q is used before its instance is ready", it.name)
	}
	m, ok := i.core[it.index].Memory(it.name)
	if !ok {
		canon.Raise("core instance has no memory %q", it.name)
	}
	i.memories[n] = m
	return m
}

// canonContext fills in where values of one side of a call are lifted and
// lowered.
func (i *Instance) canonContext(cx *canon.Context, instance int, o *options, scope *canon.Scope) {
	st := &i.comps[instance]
	cx.Encoding, cx.Handles, cx.Resources = o.encoding, &st.handles, i.resources
	cx.Scope, cx.Owner = scope, st
	cx.HostBytes, cx.Poll = i.prepared.limits.HostBytes, i.poll
	if o.memory >= 0 {
		cx.Memory = i.memory(o.memory)
	}
	if o.realloc >= 0 {
		cx.Realloc = i.realloc(instance, o.realloc)
	}
}

// realloc returns what calls the realloc function fn of a component instance.
func (i *Instance) realloc(instance, fn int) func(old, oldSize, align, newSize uint32) uint32 {
	if f := i.reallocs[fn]; f != nil {
		return f
	}
	// Since it can't leave the instance, it is not called again before it returns.
	var s struct {
		task  task
		stack [4]uint64
	}
	i.reallocs[fn] = func(old, oldSize, align, newSize uint32) uint32 {
		s.task = task{}
		s.stack = [4]uint64{uint64(old), uint64(oldSize), uint64(align), uint64(newSize)}
		i.callCore(instance, fn, s.stack[:], &s.task)
		return uint32(s.stack[0])
	}
	return i.reallocs[fn]
}

// maxDepth bounds how deep calls nest that leave the guest and enter it again,
// as destructors that drop further resources do. The engine bounds the stack of
// each, but they add up.
const maxDepth = 500

// callFunc calls a core function, and panics to unwind where that fails.
func (i *Instance) callFunc(fn int, stack []uint64) {
	if i.depth++; i.depth > maxDepth {
		panic(engine.Exhausted(&limit.Error{Resource: limit.Depth, Limit: maxDepth, Requested: uint64(i.depth)}))
	}
	if err := i.fn(fn).Call(i.cc, stack); err != nil {
		panic(err)
	}
	i.depth--
}

// callCore calls realloc or post-return, which may not leave the instance.
func (i *Instance) callCore(instance, fn int, stack []uint64, t *task) {
	st := &i.comps[instance]
	leave, before, current := st.mayLeave, i.task, i.current
	st.mayLeave, i.task, i.current = false, t, instance
	i.callFunc(fn, stack)
	st.mayLeave, i.task, i.current = leave, before, current
}

// MemoryUsed returns the bytes of linear memory that the instance holds.
func (i *Instance) MemoryUsed() uint64 { return i.mems.Used() }

// MemoryExceeded returns the error that describes how the instance asked for
// more memory than its limit; nil if it never did.
func (i *Instance) MemoryExceeded() error {
	if e := i.mems.Exceeded(); e != nil {
		return e
	}
	return nil
}

// ErrBusy is returned when a second call is made into an instance.
var ErrBusy = errors.New("a call into the instance is under way")
