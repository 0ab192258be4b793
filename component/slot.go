package component

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/ashlar-wasm/ashlar/internal/canon"
	"github.com/ashlar-wasm/ashlar/internal/engine"
)

// slot is what an instance runs in: a sandbox, and what was looked up in it. Where it
// is made from a snapshot it can be brought back to that, and serve as a new one for
// the next instance.
type slot struct {
	prepared    *Prepared
	from        *snapshot // or nil
	sandbox     *engine.Sandbox
	instance    *Instance // that runs in it
	since       time.Time // it is idle
	quiet       bool      // it has given back what it can
	comps       []instanceState
	poll        func()                                             // see canon.Context
	funcs       []*engine.Func                                     // by plan.funcs, looked up when first called
	reallocs    []func(old, oldSize, align, newSize uint32) uint32 // by plan.funcs, made when first used
	memories    []canon.Memory                                     // by plan.memories, likewise
	callers     spares[caller]                                     // see spares
	activations spares[activation]
}

// newSlot returns a slot without instances of core modules. It can be frozen if that
// is asked for.
func (p *Prepared) newSlot(from *snapshot, freezable bool) *slot {
	plan := p.component.plan
	o := engine.SandboxOptions{MemoryBytes: p.limits.MemoryBytes, Freezable: freezable}
	if from != nil {
		o.Snapshot = from.core
	}
	s := &slot{
		prepared: p,
		from:     from,
		sandbox:  p.component.engine.core.NewSandbox(o),
		comps:    make([]instanceState, len(plan.instances)),
		funcs:    make([]*engine.Func, len(plan.funcs)),
		reallocs: make([]func(old, oldSize, align, size uint32) uint32, len(plan.funcs)),
		memories: make([]canon.Memory, len(plan.memories)),
	}
	s.poll = func() {
		if err := s.instance.meter.Check(s.instance.cc); err != nil {
			panic(err)
		}
	}
	return s
}

// newSlotFrom returns a slot that is in the state of a snapshot, which it releases when
// it is closed.
func (p *Prepared) newSlotFrom(ctx context.Context, from *snapshot) (*slot, error) {
	s := p.newSlot(from, false)
	for n := range from.core.Instances() {
		if err := s.add(ctx, n); err != nil {
			return nil, errors.Join(err, s.close(ctx))
		}
	}
	return s, nil
}

// add instantiates the core module of a step, which runs none of its code.
func (s *slot) add(ctx context.Context, n int) error {
	p := s.prepared
	return s.sandbox.Add(ctx, p.code(n), func(name string) *engine.Instance {
		if name == hostModule {
			return p.component.host
		}
		k, err := strconv.Atoi(name)
		if err != nil {
			return nil
		}
		return s.sandbox.Instance(k)
	})
}

// done returns how many steps are done where an instance begins.
func (s *slot) done() int {
	if s.from == nil {
		return 0
	}
	return s.from.done
}

// begun tells that all steps are.
func (s *slot) begun() bool { return s.done() == len(s.prepared.component.plan.steps) }

// close gives everything back. No call may be under way.
func (s *slot) close(ctx context.Context) error {
	return errors.Join(s.sandbox.Close(ctx), s.from.release())
}

// quieten gives back what the slot, which is idle, does not need. It returns whether the
// slot is still good.
func (s *slot) quieten() bool {
	if s.quiet || s.instance != nil {
		return true
	}
	s.quiet = true
	return s.sandbox.Quieten() == nil
}

// maxKeptStack bounds the call stack, in bytes, of a function that is kept for the next
// instance.
const maxKeptStack = 256 << 10

// restore makes the slot as it was before its instance, which has ended, was made. After
// an error it is good for nothing but to be closed.
func (s *slot) restore(ctx context.Context) error {
	s.instance = nil
	instances := s.from.core.Instances()
	if err := s.sandbox.Restore(ctx); err != nil {
		return err
	}
	plan := s.prepared.component.plan
	for n, f := range s.funcs {
		if f == nil {
			continue
		}
		if it := &plan.funcs[n]; it.kind == fromInstance && it.index >= instances || f.StackBytes() > maxKeptStack {
			s.funcs[n] = nil
		}
	}
	for n := range s.memories {
		if plan.memories[n].index >= instances {
			s.memories[n] = nil
		}
	}
	return nil
}

// fn returns a core function that the runtime calls.
func (s *slot) fn(n int) *engine.Func {
	if f := s.funcs[n]; f != nil {
		return f
	}
	it := s.prepared.component.plan.funcs[n]
	from := s.prepared.component.host
	name := it.name
	if it.kind == fromInstance {
		from = s.sandbox.Instance(it.index)
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
	s.funcs[n] = f
	return f
}

// memory returns a core memory that canonical options name.
func (s *slot) memory(n int) canon.Memory {
	if m := s.memories[n]; m != nil {
		return m
	}
	it := s.prepared.component.plan.memories[n]
	from := s.sandbox.Instance(it.index)
	if from == nil {
		canon.Raise("memory %q is used before its instance is ready", it.name)
	}
	m, ok := from.Memory(it.name)
	if !ok {
		canon.Raise("core instance has no memory %q", it.name)
	}
	s.memories[n] = m
	return m
}

// realloc returns what calls the realloc function fn of a component instance.
func (s *slot) realloc(instance, fn int) func(old, oldSize, align, newSize uint32) uint32 {
	if f := s.reallocs[fn]; f != nil {
		return f
	}
	// Since it can't leave the instance, it is not called again before it returns.
	var call struct {
		task  task
		stack [4]uint64
	}
	s.reallocs[fn] = func(old, oldSize, align, newSize uint32) uint32 {
		call.task = task{}
		call.stack = [4]uint64{uint64(old), uint64(oldSize), uint64(align), uint64(newSize)}
		s.instance.callCore(instance, fn, call.stack[:], &call.task)
		return uint32(call.stack[0])
	}
	return s.reallocs[fn]
}
