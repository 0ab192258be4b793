package componentize

import (
	"slices"

	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// A main module that exports __wasm_task_hook is told when the component model calls it,
// and when it returns: so it can set up what it keeps for each task, such as its stack.
// The functions that are called are wrapped in those of a module of their own.

const taskHook = "__wasm_task_hook"

var taskHookType = wasm.FuncType{Params: []wasm.ValType{wasm.I32}}

// What the hook is told.
const (
	hookSyncStart = iota
	hookSyncFinish
	hookAsyncStart
	hookAsyncResume
	hookAsyncBlock
	hookAsyncFinish
	hookInitializeStart
	hookInitializeFinish
	hookDtorStart
	hookDtorFinish
	hookPostReturnStart
	hookPostReturnFinish
	hookReallocStart
	hookReallocFinish
)

// hooked is a function that is called between two calls of the hook.
type hooked struct {
	export        coreExport
	start, finish int
	// code tells that the function returns whether its task has finished (0) or
	// blocks.
	code bool
}

// hasTaskHook reports whether the main module exports the hook.
func (l *linker) hasTaskHook() bool {
	_, ok := l.main().exports[taskHook]
	return ok
}

// hookedExports returns the functions that are to be wrapped.
func (a *assembler) hookedExports() ([]hooked, error) {
	var out []hooked
	seen := map[coreExport]bool{}
	add := func(m *coreModule, name string, start, finish int, code bool) {
		x := coreExport{m, name}
		if name != "" && !seen[x] {
			seen[x] = true
			out = append(out, hooked{x, start, finish, code})
		}
	}
	for _, m := range a.modules {
		for _, f := range m.lifts {
			switch f.convention {
			case synchronous:
				add(m, f.core, hookSyncStart, hookSyncFinish, false)
			case asynchronous:
				add(m, f.core, hookAsyncStart, hookAsyncFinish, true)
			case stackful:
				add(m, f.core, hookAsyncStart, hookAsyncFinish, false)
			}
			add(m, f.post, hookPostReturnStart, hookPostReturnFinish, false)
			add(m, f.callback, hookAsyncResume, hookAsyncFinish, true)
		}
		for _, item := range a.world.exports {
			if item.Interface == nil {
				continue
			}
			for _, t := range item.Interface.Types {
				add(m, m.dtors[t], hookDtorStart, hookDtorFinish, false)
			}
		}
		for _, names := range [][]string{importReallocs, exportReallocs} {
			r, err := a.reallocOf(m, names)
			if err != nil {
				return nil, err
			}
			if r != nil {
				add(m, r.name, hookReallocStart, hookReallocFinish, false)
			}
		}
	}
	return out, nil
}

func callHook(hook uint32, what int) []byte {
	return append(i32Const(what), op(opCall, hook)...)
}

// hooks writes and instantiates the module of the wrappers, if the main module has a hook.
// From then on [assembler.coreExport] returns them.
func (a *assembler) hooks() error {
	if !a.hasTaskHook() {
		return nil
	}
	if err := a.main().checkExport(taskHook, taskHookType); err != nil {
		return err
	}
	all, err := a.hookedExports()
	if err != nil || len(all) == 0 {
		return err
	}
	b := newBuilder("ashlar:hooks")
	b.importFunc("hook", taskHook, taskHook, taskHookType)
	items := []binary.CoreItem{}
	for i, h := range all {
		b.importFunc("actual", slotName(i), h.export.name, h.export.module.exports[h.export.name].Func)
		index := a.coreExport(h.export.module, binary.SortCoreFunc, h.export.name)
		items = append(items, binary.CoreItem{Name: slotName(i), SortIdx: binary.SortIdx{Sort: binary.SortCoreFunc, Index: index}})
	}
	for i, h := range all {
		t := h.export.module.exports[h.export.name].Func
		code := slices.Concat(callHook(0, h.start), pass(t, op(opCall, uint32(1+i))))
		var locals []byte
		if h.code {
			result := uint32(len(t.Params))
			locals = []byte{1, byte(wasm.I32)}
			code = slices.Concat(code, op(opLocalSet, result),
				i32Const(hookAsyncBlock), i32Const(h.finish), op(opLocalGet, result), []byte{opSelect}, op(opCall, 0),
				op(opLocalGet, result))
		} else {
			code = append(code, callHook(0, h.finish)...)
		}
		b.export(slotName(i), wasm.KindFunc, b.defineLocals("hook "+h.export.name, t, locals, code))
	}
	instance := a.def(&binary.CoreInstance{Module: a.def(&binary.CoreModule{Bytes: b.encode()}), Args: []binary.CoreArg{
		{Name: "hook", Instance: a.cores[a.main()]},
		{Name: "actual", Instance: a.def(&binary.CoreInstance{Inline: true, Exports: items})},
	}})
	for i, h := range all {
		a.wrapped[h.export] = a.alias(binary.AliasCoreExport, binary.SortCoreFunc, instance, slotName(i))
	}
	return nil
}
