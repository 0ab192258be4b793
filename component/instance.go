package component

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/ashlar-wasm/ashlar/internal/canon"
	"github.com/ashlar-wasm/ashlar/internal/engine"
	"github.com/ashlar-wasm/ashlar/internal/limit"
)

// Instance is an instantiated component: a sandbox with memories and handle
// tables of its own. One call at a time may be under way in it; a second one
// is refused. Close it when done, unless it is a Pool's.
type Instance struct {
	prepared  *Prepared
	slot      *slot           // that it runs in
	comps     []instanceState // the slot's
	resources []*canon.ResourceType
	asked     []bool       // by import, those that were called; nil if that is not of interest
	cc        *callContext // of the call under way
	task      *task        // running now
	current   int          // component instance running now
	depth     int          // calls of core functions under way
	phase     atomic.Int32
	poisoned  error
	pool      *Pool // that it is of, or nil
	uses      int   // by callers of the pool
	again     bool  // whether the next caller is to have it, too
	turn      bool  // whether it has the turn of its caller, who left while a call was under way
	memory    heldMemory
	meter     engine.Meter
	cpu       time.Duration
	fuel      uint64
}

// The phases of an instance.
const (
	resting int32 = iota // it may be called
	running              // a call from outside is under way
	ending               // likewise, and the instance ends with it
	ended
)

// heldMemory is what an instance had when it ended.
type heldMemory struct {
	used     uint64
	exceeded *LimitError
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
	over     atomic.Bool // the call
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
	i := p.newSlot(nil, false).newInstance()
	if err := i.begin(ctx); err != nil {
		return nil, errors.Join(err, i.Close(ctx))
	}
	return i, nil
}

// newInstance returns a new instance in the state of the slot's snapshot.
func (s *slot) newInstance() *Instance {
	p := s.prepared
	c := p.component
	i := &Instance{prepared: p, slot: s, comps: s.comps, resources: make([]*canon.ResourceType, len(c.plan.resources))}
	for n := range i.comps {
		i.comps[n].mayLeave, i.comps[n].mayEnter, i.comps[n].backpressure = true, true, 0
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
	s.instance = i
	return i
}

// begin does what is left to do until the instance can be called: all that is not in
// the snapshot of its slot.
func (i *Instance) begin(ctx context.Context) error {
	if i.slot.begun() && !i.slot.thawsHandles() {
		return nil
	}
	err := i.metered(ctx, true, func() error {
		if err := i.slot.thawHandles(i.cc); err != nil {
			return err
		}
		for n := i.slot.done(); n < len(i.prepared.component.plan.steps); n++ {
			if err := i.step(n); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return i.callError(err)
	}
	i.cc = nil
	return nil
}

func (i *Instance) guestResource(def *resourceDef) *canon.ResourceType {
	rt := &canon.ResourceType{Name: def.static.Name, Guest: true, Owner: &i.comps[def.instance]}
	if def.dtor >= 0 {
		rt.Drop = func(ctx context.Context, rep canon.Rep) error { return i.destroy(ctx, def, rep) }
	}
	return rt
}

// step instantiates one core module, if that was not done, and starts it.
func (i *Instance) step(n int) error {
	st := &i.prepared.component.plan.steps[n]
	i.current = st.instance
	i.task = &task{}
	if n >= i.slot.sandbox.Len() {
		if err := i.slot.add(i.cc, n); err != nil {
			return err
		}
	}
	// A start function runs inside its component instance, which can't be
	// entered meanwhile.
	i.enter(st.instance, -1)
	if err := i.slot.sandbox.Start(i.cc, n); err != nil {
		return err
	}
	i.leave(st.instance, -1)
	i.current = 0
	return nil
}

// location is the path of the component instance running now.
func (i *Instance) location() string {
	return i.prepared.component.plan.instances[i.current].path
}

// Close releases the instance: host resources that it still owns are dropped,
// its memories given back. Further calls do nothing. If a call is under way the error is
// ErrBusy, and the instance is closed when that returns.
// An instance of a Pool, which need not be closed, has its resources dropped, unless
// the next caller is to have it as it is.
func (i *Instance) Close(ctx context.Context) error {
	if i.again {
		return nil
	}
	if i.pool != nil && i.phase.Load() == running {
		return fmt.Errorf("close instance: %w", ErrBusy) // the pool sees to it
	}
	switch i.retire(false) {
	case resting:
		if i.pool != nil {
			return i.dropOwned(ctx)
		}
		return errors.Join(i.dropOwned(ctx), i.slot.close(ctx))
	case running:
		return fmt.Errorf("close instance: %w", ErrBusy)
	}
	return nil
}

// retire lets nobody call the instance any more, and returns the phase that it was in.
// Where that was resting, the caller has what is in its slot for itself. Where it was
// running, the call that is under way drops the instance with its slot in the end, and
// gives the turn back if that is its.
func (i *Instance) retire(turn bool) (was int32) {
	for {
		switch was = i.phase.Load(); was {
		case resting:
			if i.phase.CompareAndSwap(resting, running) {
				i.end()
				return resting
			}
		case running:
			i.turn = turn
			if i.phase.CompareAndSwap(running, ending) {
				return running
			}
		default:
			return was
		}
	}
}

// end makes a running instance one that has ended.
func (i *Instance) end() {
	m := i.slot.sandbox.Memories()
	i.memory = heldMemory{m.Used(), m.Exceeded()}
	i.phase.Store(ended)
}

// rest is the end of a call from outside.
func (i *Instance) rest(ctx context.Context) error {
	if i.phase.CompareAndSwap(running, resting) {
		return nil
	}
	i.end()
	ctx = context.WithoutCancel(ctx)
	if i.pool == nil {
		return errors.Join(i.dropOwned(ctx), i.slot.close(ctx))
	}
	if i.turn {
		defer func() { <-i.pool.turns }()
	}
	return i.pool.drop(ctx, i)
}

// dropOwned drops the resources of the host that the instance, which has ended, owns.
func (i *Instance) dropOwned(ctx context.Context) (err error) {
	for n := range i.comps {
		if e := dropOwned(ctx, &i.comps[n].handles); err == nil {
			err = e
		}
	}
	return err
}

// canonContext fills in where values of one side of a call are lifted and
// lowered.
func (i *Instance) canonContext(cx *canon.Context, instance int, o *options, scope *canon.Scope) {
	st := &i.comps[instance]
	cx.Encoding, cx.Handles, cx.Resources = o.encoding, &st.handles, i.resources
	cx.Scope, cx.Owner = scope, st
	cx.HostBytes, cx.Poll = i.prepared.limits.HostBytes, i.slot.poll
	if o.memory >= 0 {
		cx.Memory = i.slot.memory(o.memory)
	}
	if o.realloc >= 0 {
		cx.Realloc = i.slot.realloc(instance, o.realloc)
	}
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
	if err := i.slot.fn(fn).Call(i.cc, stack); err != nil {
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

// MemoryUsed returns the bytes of linear memory that the instance holds, or held when it
// ended.
func (i *Instance) MemoryUsed() uint64 { return i.held().used }

// MemoryExceeded returns the error that describes how the instance asked for
// more memory than its limit; nil if it never did.
func (i *Instance) MemoryExceeded() error {
	if e := i.held().exceeded; e != nil {
		return e
	}
	return nil
}

func (i *Instance) held() heldMemory {
	if i.phase.Load() == ended {
		return i.memory // others may have the slot
	}
	m := i.slot.sandbox.Memories()
	return heldMemory{m.Used(), m.Exceeded()}
}

// ErrClosed is returned when a call is made into an instance that was closed.
var ErrClosed = errors.New("the instance is closed")

// ErrBusy is returned when a second call is made into an instance.
var ErrBusy = errors.New("a call into the instance is under way")
