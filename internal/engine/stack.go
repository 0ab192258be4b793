package engine

import (
	"reflect"
	"sync"

	"github.com/tetratelabs/wazero/api"
)

// stackProbe reads how deep the stack of a function's activation is. The engine
// knows, but does not tell: this looks at unexported fields of it, and finds
// nothing if they are not there. TestStackProbe fails then.
type stackProbe struct {
	once           sync.Once
	typ            reflect.Type
	top, exec, ptr int
	stack          int
	ok             bool
}

func (p *stackProbe) find(t reflect.Type) {
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return
	}
	top, ok1 := t.Elem().FieldByName("stackTop")
	exec, ok2 := t.Elem().FieldByName("execCtx")
	if !ok1 || !ok2 || top.Type.Kind() != reflect.Uintptr || exec.Type.Kind() != reflect.Struct {
		return
	}
	ptr, ok := exec.Type.FieldByName("stackPointerBeforeGoCall")
	if !ok || ptr.Type.Kind() != reflect.Pointer {
		return
	}
	stack, ok := t.Elem().FieldByName("stack")
	if !ok || stack.Type.Kind() != reflect.Slice {
		return
	}
	p.stack = stack.Index[0]
	p.typ, p.top, p.exec, p.ptr, p.ok = t, top.Index[0], exec.Index[0], ptr.Index[0], true
}

// of returns the value of a function, if its stack can be seen.
func (p *stackProbe) of(f api.Function) (v reflect.Value, ok bool) {
	v = reflect.ValueOf(f)
	p.once.Do(func() { p.find(v.Type()) })
	if !p.ok || v.Type() != p.typ {
		return v, false
	}
	return v.Elem(), true
}

// used returns the bytes between the top of the stack and where the guest called
// the host last.
func (p *stackProbe) used(f api.Function) uint64 {
	v, ok := p.of(f)
	if !ok {
		return 0
	}
	top, at := v.Field(p.top).Uint(), uint64(v.Field(p.exec).Field(p.ptr).Pointer())
	if at == 0 || at > top {
		return 0
	}
	return top - at
}

// stackUsed returns the bytes of stack that the active function uses, with those
// it calls, as of the last call of the host; 0 for nil.
func (f *Func) stackUsed() uint64 {
	if f == nil {
		return 0
	}
	return f.instance.engine.probe.used(f.f)
}

// StackBytes returns the bytes of stack that the function keeps for its next call; 0
// if the engine does not tell.
func (f *Func) StackBytes() int {
	v, ok := f.instance.engine.probe.of(f.f)
	if !ok {
		return 0
	}
	return v.Field(f.instance.engine.probe.stack).Len()
}
