package component

import (
	"context"
	"math"
	"strconv"

	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/canon"
	"github.com/ashlar-wasm/ashlar/internal/engine"
)

// bind makes the host module of all trampolines, which finds what they do for an
// instance in its Prepared.
func (c *Component) bind(ctx context.Context) error {
	plan := c.plan
	if len(plan.trampolines) == 0 {
		return nil
	}
	funcs := make([]engine.HostFunc, len(plan.trampolines))
	for n := range plan.trampolines {
		t := &plan.trampolines[n]
		funcs[n] = engine.HostFunc{
			Name: strconv.Itoa(n), Params: t.params, Results: t.results,
			Work: t.op == binary.CanonLower && t.fn.imported >= 0,
			Call: func(ctx context.Context, _ engine.Memory, stack []uint64) {
				i := callOf(ctx).instance
				i.prepared.calls[n](i, stack)
			},
		}
	}
	host, err := c.engine.core.InstantiateHost(ctx, funcs)
	c.host = host
	return err
}

// subtaskReturned is the state of a call through an async lower that completed
// at once (Subtask.State.RETURNED).
const subtaskReturned = 2

// trampoline returns what runs when a guest calls a canonical function.
func (p *Prepared) trampoline(t *trampoline) func(i *Instance, stack []uint64) {
	switch t.op {
	case binary.CanonLower:
		return p.lower(t)
	case binary.CanonResourceNew:
		return func(i *Instance, stack []uint64) {
			st := i.mayLeave(t)
			stack[0] = uint64(st.handles.AddOwn(i.resources[t.resource], canon.Rep{Core: uint32(stack[0])}))
		}
	case binary.CanonResourceRep:
		return func(i *Instance, stack []uint64) {
			stack[0] = uint64(i.comps[t.instance].handles.Rep(uint32(stack[0]), i.resources[t.resource]).Core)
		}
	case binary.CanonResourceDrop:
		return func(i *Instance, stack []uint64) {
			st := i.mayLeave(t)
			rt := i.resources[t.resource]
			rep, destroy := st.handles.Drop(uint32(stack[0]), rt)
			if !destroy {
				return
			}
			if rt.Guest && rt.Drop == nil {
				// No destructor, but entering the implementing instance must
				// be possible all the same.
				i.checkEnter(rt, t.instance)
				return
			}
			if rt.Drop != nil {
				if err := rt.Drop(i.cc, rep); err != nil {
					panic(err)
				}
			}
		}
	case binary.CanonContextGet:
		return func(i *Instance, stack []uint64) { stack[0] = i.task.storage[t.slot] }
	case binary.CanonContextSet:
		return func(i *Instance, stack []uint64) { i.task.storage[t.slot] = stack[0] }
	case binary.CanonBackpressureInc:
		return func(i *Instance, _ []uint64) {
			if i.comps[t.instance].backpressure++; i.comps[t.instance].backpressure == 1<<16 {
				canon.Raise("backpressure counter overflow")
			}
		}
	case binary.CanonBackpressureDec:
		return func(i *Instance, _ []uint64) {
			if i.comps[t.instance].backpressure--; i.comps[t.instance].backpressure < 0 {
				canon.Raise("backpressure counter underflow")
			}
		}
	case binary.CanonTaskReturn:
		return func(i *Instance, stack []uint64) { i.taskReturn(t, stack) }
	default:
		return func(i *Instance, _ []uint64) {
			i.mayLeave(t)
			panic(&UnsupportedError{Feature: "canon " + t.op.String()})
		}
	}
}

func (i *Instance) mayLeave(t *trampoline) *instanceState {
	st := &i.comps[t.instance]
	if !st.mayLeave {
		canon.Raise("cannot leave component instance")
	}
	return st
}

func (i *Instance) checkEnter(rt *canon.ResourceType, caller int) {
	for n := range i.comps {
		if rt.Owner == &i.comps[n] {
			i.enter(n, caller)
			i.leave(n, caller)
		}
	}
}

// taskReturn delivers the result of an async-lifted function.
func (i *Instance) taskReturn(t *trampoline, stack []uint64) {
	i.mayLeave(t)
	fn := i.task.fn
	if fn == nil || !fn.opts.async {
		canon.Raise("invalid `task.return` signature and/or options for current task")
	}
	if !equalType(t.result, fn.typ.Result, func(a, b *canon.Resource) bool { return a.Index == b.Index }) ||
		t.opts.encoding != fn.opts.encoding || t.opts.memory >= 0 && t.opts.memory != fn.opts.memory {
		canon.Raise("invalid `task.return` signature and/or options for current task")
	}
	cx := &canon.Context{}
	i.canonContext(cx, t.instance, &t.opts, &i.task.scope)
	cx.Fused = i.task.fused
	if t.result == nil {
		i.task.resolveWith(cx, t.flat, &canon.FuncType{}, nil)
		return
	}
	i.task.resolveWith(cx, t.flat, t.typ, stack)
}

// lower returns the trampoline of canon lower.
func (p *Prepared) lower(t *trampoline) func(i *Instance, stack []uint64) {
	fn := t.fn
	if fn.imported < 0 {
		// Within one component instance both sides share a memory, and async
		// functions pass values otherwise: those are lifted in full, then lowered.
		var copier *canon.Copier
		if !t.opts.async && !fn.opts.async && fn.instance != t.instance {
			copier = canon.NewCopier(t.typ)
		}
		return func(i *Instance, stack []uint64) {
			i.mayLeave(t)
			s := i.caller(t)
			s.context.Fused = true
			if copier != nil {
				i.copied(t, copier, s, stack)
			} else {
				i.fused(t, s, stack)
			}
			s.scope.Return()
			i.slot.callers.put(s)
			if t.opts.async {
				stack[0] = subtaskReturned
			}
		}
	}
	host := p.funcs[fn.imported]
	return func(i *Instance, stack []uint64) {
		i.mayLeave(t)
		if i.asked != nil {
			i.asked[fn.imported] = true
		}
		s := i.caller(t)
		cx := &s.context
		if result := t.flat.SpillResult; result && host.call != nil {
			// What the host returned would be lost.
			cx.Pointer(uint32(stack[len(t.flat.Params)-1]), t.typ.Result)
		}
		switch {
		case host.call != nil && !t.opts.async:
			s.call = abi.NewCall(i.cc, cx)
			host.call(&s.call, stack)
			cx.Deliver()
		case host.call != nil:
			i.asyncHost(t, host, cx, stack)
		default:
			args := cx.LiftParams(t.typ, t.flat, stack)
			cx.Deliver()
			result, err := host.dynamic(i.cc, args)
			if err != nil {
				panic(err)
			}
			i.lowerResult(t, cx, stack, result)
		}
		s.scope.Return()
		i.slot.callers.put(s)
		if t.opts.async {
			stack[0] = subtaskReturned
		}
	}
}

// caller is the caller's side of a call through canon lower. Nobody may keep it
// when the call returned.
type caller struct {
	context canon.Context
	scope   canon.Scope
	call    abi.Call
	args    [canon.MaxFlatParams + 1]uint64 // of a call to another guest
}

func (i *Instance) caller(t *trampoline) *caller {
	s := i.slot.callers.take()
	i.canonContext(&s.context, t.instance, &t.opts, &s.scope)
	return s
}

// lowerResult lowers a dynamic result of the host.
func (i *Instance) lowerResult(t *trampoline, cx *canon.Context, stack []uint64, result Val) {
	lowered := false
	defer func() {
		if !lowered {
			cx.Keep(result)
		}
	}()
	if t.typ.Result != nil {
		if err := canon.Check(result, t.typ.Result); err != nil {
			panic(err)
		}
	}
	args := append([]uint64(nil), stack...)
	cx.LowerResult(stack[:0], t.typ, t.flat, args, result)
	lowered = true
}

// asyncHost calls a typed host function through an async lower, whose core
// signature differs from what the function expects.
func (i *Instance) asyncHost(t *trampoline, host *hostFunc, cx *canon.Context, stack []uint64) {
	args := cx.LiftParams(t.typ, t.flat, stack)
	result := callTyped(i.cc, host, t.typ, args, i.resources, cx.Handles)
	cx.Deliver()
	i.lowerResult(t, cx, stack, result)
}

// copied calls from one component instance into another: arguments are copied
// from the caller to the callee, the result the other way.
func (i *Instance) copied(t *trampoline, copier *canon.Copier, s *caller, stack []uint64) {
	fn, caller := t.fn, &s.context
	// The core arguments are overwritten by results only at the end.
	args := s.args[:copy(s.args[:], stack)]
	i.lifted(fn, t.instance,
		func(callee *canon.Context, out []uint64) {
			var v canon.Values
			i.current = t.instance // a trap in here is the caller's
			copier.LiftParams(&v, caller, args)
			i.current = fn.instance
			copier.LowerParams(&v, callee, out)
		},
		func(callee *canon.Context, _ canon.Flat, _ *canon.FuncType, results []uint64) {
			var v canon.Values
			copier.LiftResult(&v, callee, results)
			i.current = t.instance
			copier.LowerResult(&v, caller, args, stack)
			i.current = fn.instance
		})
}

// fused does what copied does by way of dynamic values.
func (i *Instance) fused(t *trampoline, s *caller, stack []uint64) {
	fn, caller := t.fn, &s.context
	args := s.args[:copy(s.args[:], stack)]
	i.lifted(fn, t.instance,
		func(cx *canon.Context, out []uint64) {
			i.current = t.instance // a trap in here is the caller's
			vals := caller.LiftParams(t.typ, t.flat, args)
			i.current = fn.instance
			cx.LowerParams(out[:0], fn.typ, fn.flat, vals)
			caller.Deliver()
		},
		func(cx *canon.Context, flat canon.Flat, ft *canon.FuncType, vals []uint64) {
			if result := liftResolved(cx, flat, ft, vals); result != nil {
				i.current = t.instance
				caller.LowerResult(stack[:0], t.typ, t.flat, args, result)
				i.current = fn.instance
			}
		})
}

// callImport calls a function that the component imports and exports again.
func (i *Instance) callImport(fn *funcDef, args []Val) Val {
	host := i.prepared.funcs[fn.imported]
	if host.call != nil {
		return callTyped(i.cc, host, fn.typ, args, i.resources, &i.comps[0].handles)
	}
	result, err := host.dynamic(i.cc, args)
	if err != nil {
		panic(err)
	}
	return result
}

// scratch is a memory that stands for a guest's when the host calls itself.
type scratch struct{ b []byte }

func (s *scratch) Bytes() []byte { return s.b }

func (s *scratch) realloc(old, oldSize, align, size uint32) uint32 {
	p := (uint32(len(s.b)) + align - 1) &^ (align - 1)
	if uint64(p)+uint64(size) > math.MaxUint32-8 {
		canon.Raise("values are larger than a memory")
	}
	s.b = append(s.b, make([]byte, p+size-uint32(len(s.b)))...)
	if oldSize > 0 {
		copy(s.b[p:], s.b[old:old+min(oldSize, size)])
	}
	return p
}

// callTyped calls a host function that takes core values with dynamic ones, by
// way of a memory and a handle table of its own. What that has when the call
// unwinds goes to home.
func callTyped(ctx context.Context, host *hostFunc, ft *canon.FuncType, args []Val, resources []*canon.ResourceType, home *canon.Table) Val {
	mem := &scratch{b: make([]byte, 8)}
	var scope canon.Scope
	cx := &canon.Context{Memory: mem, Realloc: mem.realloc, Handles: &canon.Table{}, Resources: resources, Scope: &scope}
	returned := false
	defer func() {
		if !returned {
			cx.Handles.Owned(home.Hold)
		}
	}()
	flat := ft.FlattenLower(false)
	var buf [canon.MaxFlatParams + 2]uint64
	stack := buf[:max(len(flat.Params), len(flat.Results))]
	lowered := cx.LowerParams(stack[:0], ft, ft.FlattenLift(false, false), args)
	if flat.SpillResult {
		stack[len(lowered)] = uint64(cx.Alloc(ft.Result.Align, ft.Result.Size))
	}
	result := uint64(0)
	if flat.SpillResult {
		result = stack[len(lowered)]
	}
	c := abi.NewCall(ctx, cx)
	host.call(&c, stack)
	if ft.Result == nil {
		returned = true
		return nil
	}
	lift := ft.FlattenLift(false, false)
	if flat.SpillResult {
		stack[0] = result
	}
	v := cx.LiftResult(ft, lift, stack)
	returned = true
	return v
}

// hostType is the type of an exported function as another component's linker
// sees it: resources are known by their runtime types.
func (i *Instance) hostType(ft *canon.FuncType) *canon.FuncType {
	seen := make(map[*canon.Type]*canon.Type)
	params := make([]canon.Field, len(ft.Params))
	for n, p := range ft.Params {
		params[n] = canon.Field{Name: p.Name, Type: i.bindType(p.Type, seen)}
	}
	return canon.Func(ft.Async, params, i.bindType(ft.Result, seen))
}

func (i *Instance) bindType(t *canon.Type, seen map[*canon.Type]*canon.Type) *canon.Type {
	if t == nil {
		return nil
	}
	if b, ok := seen[t]; ok {
		return b
	}
	b := *t
	b.Elem = i.bindType(t.Elem, seen)
	b.Fields = append([]canon.Field(nil), t.Fields...)
	for n := range b.Fields {
		b.Fields[n].Type = i.bindType(b.Fields[n].Type, seen)
	}
	b.Cases = append([]canon.Case(nil), t.Cases...)
	for n := range b.Cases {
		b.Cases[n].Type = i.bindType(b.Cases[n].Type, seen)
	}
	if t.Resource != nil {
		b.Resource = &canon.Resource{Name: t.Resource.Name, Index: -1, Type: i.resources[t.Resource.Index]}
	}
	seen[t] = &b
	return &b
}
