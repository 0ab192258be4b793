package componentize

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
	"github.com/ashlar-wasm/ashlar/wit"
)

func coreType(params, results string) wasm.FuncType {
	types := func(s string) []wasm.ValType {
		var out []wasm.ValType
		for _, c := range s {
			out = append(out, map[rune]wasm.ValType{'i': wasm.I32, 'I': wasm.I64}[c])
		}
		return out
	}
	return wasm.FuncType{Params: types(params), Results: types(results)}
}

// builtins are those that need nothing: no type and no memory.
var builtins = map[string]struct {
	op              binary.CanonOp
	params, results string
}{
	"[backpressure-inc]":    {binary.CanonBackpressureInc, "", ""},
	"[backpressure-dec]":    {binary.CanonBackpressureDec, "", ""},
	"[waitable-set-new]":    {binary.CanonWaitableSetNew, "", "i"},
	"[waitable-set-drop]":   {binary.CanonWaitableSetDrop, "i", ""},
	"[waitable-join]":       {binary.CanonWaitableJoin, "ii", ""},
	"[subtask-drop]":        {binary.CanonSubtaskDrop, "i", ""},
	"[error-context-drop]":  {binary.CanonErrorContextDrop, "i", ""},
	"[thread-index]":        {binary.CanonThreadIndex, "", "i"},
	"[thread-resume-later]": {binary.CanonThreadResumeLater, "i", ""},
}

// cancellables are those that may begin with [cancellable].
var cancellables = map[string]struct {
	op              binary.CanonOp
	params, results string
}{
	"[thread-suspend]":              {binary.CanonThreadSuspend, "", "i"},
	"[thread-yield]":                {binary.CanonThreadYield, "", "i"},
	"[thread-suspend-then-resume]":  {binary.CanonThreadSuspendThenResume, "i", "i"},
	"[thread-yield-then-resume]":    {binary.CanonThreadYieldThenResume, "i", "i"},
	"[thread-suspend-then-promote]": {binary.CanonThreadSuspendThenPromote, "i", "i"},
	"[thread-yield-then-promote]":   {binary.CanonThreadYieldThenPromote, "i", "i"},
}

// canonSource is a built-in of the component model.
func canonSource(name string, t wasm.FuncType, c binary.Canon) *source {
	return &source{
		key: "builtin/" + name, sort: binary.SortCoreFunc, typ: t,
		define: func(a *assembler) (uint32, error) {
			d := c
			return a.def(&d), nil
		},
	}
}

// builtinSource finds a built-in that refers to no type. It returns nil if there is none
// of that name.
func (l *linker) builtinSource(m *coreModule, name string, at setup) (*source, error) {
	if b, ok := builtins[name]; ok {
		return canonSource(name, coreType(b.params, b.results), binary.Canon{Op: b.op}), nil
	}
	plain, cancellable := strings.CutPrefix(name, "[cancellable]")
	if b, ok := cancellables[plain]; ok {
		return canonSource(name, coreType(b.params, b.results), binary.Canon{Op: b.op, Cancellable: cancellable}), nil
	}
	if rest, async := strings.CutPrefix(name, "[async-lower]"); rest == "[subtask-cancel]" {
		return canonSource(name, coreType("i", "i"), binary.Canon{Op: binary.CanonSubtaskCancel, Async: async}), nil
	}
	if name == "[thread-new-indirect-v0]" {
		return l.newThreadSource()
	}
	if op, t, ok := waitName(plain); ok {
		o, err := l.options(m, needMemory, UTF8, at)
		if err != nil {
			return nil, err
		}
		return &source{
			key: "builtin/" + name + "/" + o.key(), sort: binary.SortCoreFunc, typ: t, after: o.after(),
			define: func(a *assembler) (uint32, error) {
				memory := a.coreExport(o.memory.module, binary.SortCoreMemory, o.memory.name)
				return a.def(&binary.Canon{Op: op, Cancellable: cancellable, Memory: memory}), nil
			},
		}, nil
	}
	for prefix, op := range map[string]binary.CanonOp{"[context-get-": binary.CanonContextGet, "[context-set-": binary.CanonContextSet} {
		if t, slot, ok := contextName(name, prefix); ok {
			return l.contextSource(op, t, slot)
		}
	}
	return l.errorContextSource(m, name, at)
}

// waitName reads the name of waitable-set.wait or waitable-set.poll.
func waitName(name string) (binary.CanonOp, wasm.FuncType, bool) {
	for prefix, op := range map[string]binary.CanonOp{"[waitable-set-wait": binary.CanonWaitableSetWait, "[waitable-set-poll": binary.CanonWaitableSetPoll} {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			switch rest {
			case "]", "-i32]":
				return op, coreType("ii", "i"), true
			case "-i64]":
				return op, coreType("iI", "i"), true
			}
		}
	}
	return 0, wasm.FuncType{}, false
}

// contextName reads the name of context.get or context.set: [context-get-SLOT] or
// [context-get-TYPE-SLOT].
func contextName(name, prefix string) (wasm.ValType, uint32, bool) {
	rest, begins := strings.CutPrefix(name, prefix)
	rest, ends := strings.CutSuffix(rest, "]")
	if !begins || !ends {
		return 0, 0, false
	}
	t := wasm.I32
	if wide, ok := strings.CutPrefix(rest, "i64-"); ok {
		t, rest = wasm.I64, wide
	} else {
		rest = strings.TrimPrefix(rest, "i32-")
	}
	slot, err := strconv.ParseUint(rest, 10, 32)
	return t, uint32(slot), err == nil
}

func (l *linker) contextSource(op binary.CanonOp, t wasm.ValType, slot uint32) (*source, error) {
	if slot > 1 {
		return nil, fmt.Errorf("the context of a thread has slots 0 and 1, not %d", slot)
	}
	if t != wasm.I32 {
		return nil, fmt.Errorf("slots of 64 bits are for 64-bit memories, which components do not have yet")
	}
	l.usesSlot1 = l.usesSlot1 || slot == 1
	typ := wasm.FuncType{Results: []wasm.ValType{t}}
	if op == binary.CanonContextSet {
		typ = wasm.FuncType{Params: []wasm.ValType{t}}
	}
	return canonSource(fmt.Sprintf("%v/%v/%d", op, t, slot), typ, binary.Canon{Op: op, ValType: t, Slot: slot}), nil
}

// newThreadSource is thread.new-indirect for functions of type [i32] -> [] in the main
// module's table.
func (l *linker) newThreadSource() (*source, error) {
	const table = "__indirect_function_table"
	main := l.main()
	if t, ok := main.exports[table]; !ok || t.Kind != wasm.KindTable || t.Table.Elem != wasm.FuncRef || t.Table.Limits.Index64 {
		return nil, fmt.Errorf("the main module does not export a table of functions named %q", table)
	}
	l.usesSlot1 = true
	return &source{
		key: "builtin/thread.new-indirect", sort: binary.SortCoreFunc, typ: coreType("ii", "i"), after: []*coreModule{main},
		define: func(a *assembler) (uint32, error) {
			start := coreType("i", "")
			t := a.def(&binary.CoreType{Func: &start})
			return a.def(&binary.Canon{Op: binary.CanonThreadNewIndirect, Type: t, Table: a.coreExport(main, binary.SortCoreTable, table)}), nil
		},
	}, nil
}

// errorContextSource finds the built-ins on error contexts that handle their messages.
func (l *linker) errorContextSource(m *coreModule, name string, at setup) (*source, error) {
	for _, b := range []struct {
		prefix string
		op     binary.CanonOp
		needs  needs
		typ    wasm.FuncType
	}{
		{"[error-context-new-", binary.CanonErrorContextNew, needMemory | needEncoding, coreType("ii", "i")},
		{"[error-context-debug-message-", binary.CanonErrorContextDebugMessage, needMemory | needEncoding | needRealloc, coreType("ii", "")},
	} {
		rest, ok := strings.CutPrefix(name, b.prefix)
		if !ok {
			continue
		}
		e, err := ParseEncoding(strings.TrimSuffix(rest, "]"))
		if err != nil {
			return nil, err
		}
		o, err := l.options(m, b.needs, e, at)
		if err != nil {
			return nil, err
		}
		return &source{
			key: "builtin/" + name + "/" + o.key(), sort: binary.SortCoreFunc, typ: b.typ, after: o.after(),
			define: func(a *assembler) (uint32, error) {
				opts := a.options(o)
				return a.def(&binary.Canon{Op: b.op, Opts: opts}), nil
			},
		}, nil
	}
	return nil, nil
}

// Where the base of thread-local storage is, in the shim, if it has no place in the
// context of a thread.
const (
	getTLSBase = "$get-tls-base"
	setTLSBase = "$set-tls-base"
)

// environmentSource finds functions that linkers import from env: access to the stack
// pointer and the base of thread-local storage, which are kept for each thread.
func (l *linker) environmentSource(name string, t wasm.FuncType) (*source, error) {
	get := strings.HasPrefix(name, "__wasm_get_")
	types, other := t.Results, t.Params
	op, shim := binary.CanonContextGet, getTLSBase
	if !get {
		types, other, op, shim = t.Params, t.Results, binary.CanonContextSet, setTLSBase
	}
	switch name {
	case "__wasm_get_stack_pointer", "__wasm_set_stack_pointer", "__wasm_get_tls_base", "__wasm_set_tls_base":
	default:
		return nil, nil
	}
	if len(types) != 1 || len(other) != 0 || types[0] != wasm.I32 && types[0] != wasm.I64 {
		return nil, fmt.Errorf("its type is %s, expected is an address to get or to set", signature(t))
	}
	if strings.HasSuffix(name, "stack_pointer") {
		return l.contextSource(op, types[0], 0)
	}
	if l.tlsBase != 0 && l.tlsBase != types[0] {
		return nil, fmt.Errorf("the base of thread-local storage is an %v here and an %v elsewhere", types[0], l.tlsBase)
	}
	l.tlsBase = types[0]
	return &source{
		key: "env/" + name, sort: binary.SortCoreFunc, typ: t,
		define: func(a *assembler) (uint32, error) {
			if a.usesSlot1 {
				return a.def(&binary.Canon{Op: op, ValType: types[0], Slot: 1}), nil
			}
			return a.coreExport(nil, binary.SortCoreFunc, shim), nil
		},
	}, nil
}

// typedSource finds a built-in that refers to a type of a function, of an item or, where
// that is nil, of the world. It returns nil if there is none of that name.
func (l *linker) typedSource(m *coreModule, item *wit.WorldItem, name string, exported bool, at setup) (*source, error) {
	if exported {
		if name == "[task-cancel]" {
			return canonSource(name, wasm.FuncType{}, binary.Canon{Op: binary.CanonTaskCancel}), nil
		}
		if function, ok := strings.CutPrefix(name, "[task-return]"); ok {
			return l.taskReturnSource(m, item, function, at)
		}
	}
	return l.payloadSource(m, item, name, exported, at)
}

// functionIn finds a function of an item, or of the world where item is nil, and the item
// that it belongs to.
func (l *linker) functionIn(item *wit.WorldItem, name string, exported bool) (*wit.WorldItem, *wit.Function, error) {
	if item != nil {
		if f := l.world.functions[item.Interface][name]; f != nil {
			return item, f, nil
		}
		return nil, nil, fmt.Errorf("interface %s has no function %q", item.ExternName(), name)
	}
	if item := l.world.index(exported).function(name); item != nil {
		return item, item.Function, nil
	}
	verb := "import"
	if exported {
		verb = "export"
	}
	return nil, nil, fmt.Errorf("the world does not %s a function %q", verb, name)
}

func (l *linker) taskReturnSource(m *coreModule, item *wit.WorldItem, function string, at setup) (*source, error) {
	owner, f, err := l.functionIn(item, function, true)
	if err != nil {
		return nil, err
	}
	e, err := m.encodingOf(owner, f, true)
	if err != nil {
		return nil, err
	}
	t, n := l.sigs.taskReturn(f)
	o, err := l.options(m, n, e, at)
	if err != nil {
		return nil, err
	}
	s := &source{
		key: "task.return/" + owner.ExternName() + "/" + function + "/" + o.key(), sort: binary.SortCoreFunc, typ: t, after: o.after(),
		define: func(a *assembler) (uint32, error) {
			result, err := a.spaceOf(item, true).optional(f.Result)
			if err != nil {
				return 0, err
			}
			opts := a.options(o)
			return a.def(&binary.Canon{Op: binary.CanonTaskReturn, Result: result, Opts: opts}), nil
		},
	}
	if f.Result != nil {
		s.types = []wit.Type{f.Result}
	}
	return s, nil
}
