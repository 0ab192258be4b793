package component

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/internal/canon"
)

// Func is an exported function of an instance.
type Func struct {
	instance *Instance
	def      *funcDef
	name     string
}

// Func returns the function that the component exports by name, from the
// instance export iface, or at its root where iface is empty. The version of
// iface is matched by compatibility track. ok is false if there is none.
func (i *Instance) Func(iface, name string) (f *Func, ok bool) {
	exports := i.prepared.component.plan.exports
	if iface != "" {
		it, ok := exports.find(iface)
		if !ok || it.instance == nil {
			return nil, false
		}
		exports = it.instance
	}
	it, ok := exports.find(name)
	if !ok || it.fn == nil {
		return nil, false
	}
	return &Func{instance: i, def: it.fn, name: name}, true
}

func (d *instanceDef) find(name string) (item, bool) {
	n, ok := match(name, maps.Keys(d.items), func(s string) bool { _, ok := d.items[s]; return ok })
	if !ok {
		return item{}, false
	}
	return d.items[n], true
}

// Type returns the function's type.
func (f *Func) Type() *FuncType { return f.def.typ }

// Call calls the function with dynamic values; the result is nil where it has
// none. Owned resources among args are passed on; where that fails, those that are not
// Gone are still the caller's. The error is a *Trap if the
// guest trapped, a *HostError if a host function broke the call off; after
// either the instance can't be entered again.
func (f *Func) Call(ctx context.Context, args []Val) (Val, error) {
	ft := f.def.typ
	if len(args) != len(ft.Params) {
		return nil, fmt.Errorf("function %s takes %d arguments, %d were given", f.name, len(ft.Params), len(args))
	}
	for n, p := range ft.Params {
		if err := canon.Check(args[n], p.Type); err != nil {
			return nil, fmt.Errorf("argument %s of %s: %w", p.Name, f.name, err)
		}
	}
	var result Val
	err := f.instance.run(ctx, func() {
		if f.def.imported >= 0 {
			result = f.instance.callImport(f.def, args)
			return
		}
		f.instance.lifted(f.def, -1,
			func(cx *canon.Context, stack []uint64) { cx.LowerParams(stack[:0], ft, f.def.flat, args) },
			func(cx *canon.Context, flat canon.Flat, ft *canon.FuncType, vals []uint64) {
				result = liftResolved(cx, flat, ft, vals)
			})
	})
	if err != nil {
		return nil, err
	}
	return result, nil
}

// pass is Call for another instance, which gave args away: resources that could not be
// passed on are dropped.
func (f *Func) pass(ctx context.Context, args []Val) (Val, error) {
	result, err := f.Call(ctx, args)
	if err != nil {
		var left canon.Table
		cx := canon.Context{Handles: &left}
		for _, a := range args {
			cx.Keep(a)
		}
		if e := dropOwned(ctx, &left); e != nil {
			err = errors.Join(err, e)
		}
	}
	return result, err
}

// dropOwned drops the host's resources that a table owns. Those of guests end with their
// sandbox; destructors of an instance that may have trapped are not run.
func dropOwned(ctx context.Context, t *canon.Table) (err error) {
	t.Owned(func(rt *canon.ResourceType, rep canon.Rep) {
		if rt.Guest || rt.Drop == nil {
			return
		}
		if e := rt.Drop(ctx, rep); err == nil {
			err = e
		}
	})
	return err
}

// liftResolved lifts what a task resolved to: ft is the function's type, or
// that of task.return, whose only parameter is the result.
func liftResolved(cx *canon.Context, flat canon.Flat, ft *canon.FuncType, vals []uint64) Val {
	if ft.Result == nil && len(ft.Params) == 1 && ft.Params[0].Name == "" {
		return cx.LiftParams(ft, flat, vals)[0]
	}
	return cx.LiftResult(ft, flat, vals)
}

// run makes a call into the instance from outside.
func (i *Instance) run(ctx context.Context, call func()) (err error) {
	for !i.phase.CompareAndSwap(resting, running) {
		switch i.phase.Load() {
		case resting:
			continue
		case ended:
			return ErrClosed
		}
		if callInProgress(ctx, i) {
			return &Trap{Kind: TrapCanonicalABI, Message: "cannot enter component instance", Component: i.location()}
		}
		return ErrBusy
	}
	defer func() {
		if e := i.rest(ctx); e != nil {
			err = errors.Join(err, e)
		}
	}()
	if i.poisoned != nil {
		return &Trap{Kind: TrapCanonicalABI, Message: ErrPoisoned.Error(), cause: ErrPoisoned}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	i.current, i.depth = 0, 0
	i.poisoned = errPanicked
	err = i.metered(ctx, false, func() error { call(); return nil })
	if err != nil {
		err = i.callError(err)
	}
	i.poisoned = err
	i.cc, i.task = nil, nil
	return err
}

// errPanicked is why an instance can't be called after a call that did not return.
var errPanicked = errors.New("the host panicked in a call")

// enter makes the instances entered by a call from caller (-1 for the host)
// unavailable (entering_set in CanonicalABI.md), or traps if one is already.
func (i *Instance) enter(callee, caller int) {
	i.entering(callee, caller, func(st *instanceState) {
		if !st.mayEnter {
			canon.Raise("cannot enter component instance")
		}
	})
	i.entering(callee, caller, func(st *instanceState) { st.mayEnter = false })
}

func (i *Instance) leave(callee, caller int) {
	i.entering(callee, caller, func(st *instanceState) { st.mayEnter = true })
}

func (i *Instance) entering(callee, caller int, yield func(st *instanceState)) {
	infos := i.prepared.component.plan.instances
	for n := callee; n >= 0; n = infos[n].parent {
		above := false
		for m := caller; m >= 0; m = infos[m].parent {
			above = above || m == n
		}
		if !above {
			yield(&i.comps[n])
		}
	}
}

// activation is what one call of a lifted function needs. Nobody may keep it when
// the call returned.
type activation struct {
	task    task
	context canon.Context // the callee's
	stack   [canon.MaxFlatParams + 1]uint64
}

// lifted calls a lifted function (canon_lift). lower puts the arguments on the
// stack, resolve takes the result off it. It panics to unwind.
func (i *Instance) lifted(fn *funcDef, caller int, lower func(cx *canon.Context, stack []uint64),
	resolve func(cx *canon.Context, flat canon.Flat, ft *canon.FuncType, vals []uint64)) {
	i.enter(fn.instance, caller)
	a := i.slot.activations.take()
	t, cx := &a.task, &a.context
	t.fn, t.fused, t.resolve = fn, caller >= 0, resolve
	before, current := i.task, i.current
	i.task, i.current = t, fn.instance
	st := &i.comps[fn.instance]
	i.canonContext(cx, fn.instance, &fn.opts, &t.scope)
	cx.Fused = caller >= 0
	if st.backpressure > 0 && fn.typ.Async {
		canon.Raise("deadlock detected: event loop cannot make further progress")
	}
	stack := a.stack[:max(len(fn.flat.Params), len(fn.flat.Results))]
	lower(cx, stack)
	i.callFunc(fn.core, stack)
	switch {
	case !fn.opts.async:
		t.resolveWith(cx, fn.flat, fn.typ, stack)
		if fn.opts.postReturn >= 0 {
			i.callCore(fn.instance, fn.opts.postReturn, stack[:len(fn.flat.Results)], t)
		}
	case fn.opts.callback >= 0:
		i.callbackLoop(fn, t, uint32(stack[0]))
	}
	if !t.done {
		canon.Raise("async-lifted export failed to produce a result")
	}
	i.task, i.current = before, current
	i.leave(fn.instance, caller)
	i.slot.activations.put(a)
}

// spares keeps what a call needed for the next one, so that calls need not
// allocate. What unwinds a call leaves the instance unusable, so nothing is lost.
type spares[T any] []*T

// take returns a T that is zero.
func (s *spares[T]) take() *T {
	n := len(*s)
	if n == 0 {
		return new(T)
	}
	v := (*s)[n-1]
	*s = (*s)[:n-1]
	return v
}

func (s *spares[T]) put(v *T) {
	*v = *new(T)
	*s = append(*s, v)
}

// resolveWith delivers the result of a task (Task.return_).
func (t *task) resolveWith(cx *canon.Context, flat canon.Flat, ft *canon.FuncType, vals []uint64) {
	if t.done {
		canon.Raise("task.return called more than once")
	}
	if t.scope.Borrows() > 0 {
		canon.Raise("borrow handles still remain at the end of the call")
	}
	t.resolve(cx, flat, ft, vals)
	cx.Deliver()
	t.done = true
}

// callbackLoop runs the callback of an async-lifted function until it exits.
// Only what never waits is run: yielding is granted at once.
func (i *Instance) callbackLoop(fn *funcDef, t *task, packed uint32) {
	for packed&0xf != 0 {
		if packed&0xf > 2 {
			canon.Raise("unsupported callback code %d", packed&0xf)
		}
		if packed&0xf == 2 {
			panic(&UnsupportedError{Feature: "waiting in an async-lifted function (callback code WAIT)"})
		}
		if err := i.cc.Err(); err != nil {
			panic(err)
		}
		stack := [3]uint64{}
		i.callFunc(fn.opts.callback, stack[:])
		packed = uint32(stack[0])
	}
}

// destroy runs the destructor of a guest's resource, which the host or another
// component instance dropped.
func (i *Instance) destroy(ctx context.Context, def *resourceDef, rep canon.Rep) error {
	run := func(caller int) {
		i.enter(def.instance, caller)
		before, current := i.task, i.current
		i.task, i.current = &task{}, def.instance
		stack := [1]uint64{uint64(rep.Core)}
		i.callFunc(def.dtor, stack[:])
		i.task, i.current = before, current
		i.leave(def.instance, caller)
	}
	if callInProgress(ctx, i) {
		run(i.current)
		return nil
	}
	if err := i.run(ctx, func() { run(-1) }); err != ErrClosed {
		return err
	}
	return nil // it ended with the instance
}

// callInProgress tells whether ctx is that of a call into the instance.
func callInProgress(ctx context.Context, i *Instance) bool {
	c, ok := ctx.Value(instanceKey{}).(*callContext)
	return ok && c.instance == i && !c.over.Load()
}

// ExportedFunc implements abi.Exporter.
func (i *Instance) ExportedFunc(iface, name string, t *abi.FuncType) (abi.Export, error) {
	key := exportKey{iface, name, t}
	var x *boundExport
	if known, ok := i.prepared.exports.Load(key); ok {
		x = known.(*boundExport)
	} else {
		var err error
		if x, err = i.bindExport(iface, name, t); err != nil {
			return nil, err
		}
		if !x.once {
			i.prepared.exports.Store(key, x)
		}
	}
	e := &export{f: Func{instance: i, def: x.def, name: name}}
	if len(x.resources) > 0 {
		e.bind = make(map[*canon.Resource]*canon.ResourceType, len(x.resources))
		for want, have := range x.resources {
			e.bind[want] = i.resources[have]
		}
	}
	return e, nil
}

// exportKey is what generated code asks for.
type exportKey struct {
	iface, name string
	typ         *abi.FuncType
}

// boundExport is an exported function that is of the type which is asked for.
type boundExport struct {
	def       *funcDef
	resources map[*canon.Resource]int // those that the asker knows no runtime type of
	once      bool                    // it is so for one instance
}

func (i *Instance) bindExport(iface, name string, t *abi.FuncType) (*boundExport, error) {
	f, ok := i.Func(iface, name)
	full := name
	if iface != "" {
		full = iface + "#" + name
	}
	if !ok {
		return nil, fmt.Errorf("component does not export function %q", full)
	}
	x := &boundExport{def: f.def, resources: make(map[*canon.Resource]int)}
	same := func(have, want *canon.Resource) bool {
		rt := i.resources[have.Index]
		if want.Type != nil {
			x.once = x.once || rt.Guest
			return want.Type == rt
		}
		if b, ok := x.resources[want]; ok {
			return i.resources[b] == rt
		}
		x.resources[want] = have.Index
		return true
	}
	if !equalFunc(f.def.typ, t, same) {
		return nil, fmt.Errorf("exported function %q is of type %s, expected %s", full, f.def.typ, t)
	}
	if f.def.imported >= 0 {
		return nil, fmt.Errorf("exported function %q is an import of the component, which can only be called dynamically", full)
	}
	if f.def.opts.async {
		return nil, &UnsupportedError{Feature: fmt.Sprintf("typed call of the async-lifted function %q", full)}
	}
	return x, nil
}

type export struct {
	f    Func
	bind map[*canon.Resource]*canon.ResourceType
}

// Invoke implements abi.Export.
func (e *export) Invoke(ctx context.Context, lower, lift func(c *abi.Call, stack []uint64)) error {
	i := e.f.instance
	return i.run(ctx, func() {
		var c abi.Call
		i.lifted(e.f.def, -1,
			func(cx *canon.Context, stack []uint64) {
				cx.Bind = e.bind
				c = abi.NewCall(i.cc, cx)
				lower(&c, stack)
			},
			func(_ *canon.Context, _ canon.Flat, _ *canon.FuncType, vals []uint64) {
				lift(&c, vals)
			})
	})
}

// UnsupportedError reports something of the component model that the runtime
// does not run.
type UnsupportedError struct{ Feature string }

func (e *UnsupportedError) Error() string { return e.Feature + " is not supported" }
