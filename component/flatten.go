package component

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/canon"
	"github.com/ashlar-wasm/ashlar/internal/engine"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// Bounds of what a component may unfold to: nested components that each
// instantiate another twice grow without end otherwise.
const (
	maxPlanInstances = 10_000
	maxPlanWork      = 4 << 20 // definitions evaluated
)

// flattener works out a plan. It relies on the component being valid.
type flattener struct {
	ctx      context.Context
	plan     *plan
	work     int
	variants map[string]int // modules by origin and import names
	funcIdx  map[coreItem]int
	memIdx   map[coreItem]int
	decoded  map[*binary.CoreModule]*wasm.Module
	limits   Limits
	sources  bool // whether modules are rewritten

	// What becomes of modules depends on what all instances take together.
	unlinked []unlinked
}

// unlinked is a module of the plan that was not rewritten yet.
type unlinked struct {
	def       *binary.CoreModule
	names     []importName
	footprint engine.Footprint // of an instance
}

// flattenError is raised as a panic inside the flattener.
type flattenError struct{ err error }

func (f *flattener) fail(offset int, format string, args ...any) {
	panic(flattenError{&Error{Offset: offset, Err: fmt.Errorf(format, args...)}})
}

// flatten works out the plan of a valid component, and rewrites its core modules
// if sources is set. It ends with ctx.
func flatten(ctx context.Context, c *binary.Component, limits Limits, sources bool) (p *plan, err error) {
	f := &flattener{
		ctx:      ctx,
		plan:     &plan{},
		variants: make(map[string]int),
		funcIdx:  make(map[coreItem]int),
		memIdx:   make(map[coreItem]int),
		decoded:  make(map[*binary.CoreModule]*wasm.Module),
		limits:   limits,
		sources:  sources,
	}
	defer func() {
		if r := recover(); r != nil {
			fe, ok := r.(flattenError)
			if !ok {
				panic(r)
			}
			p, err = nil, fe.err
		}
	}()
	f.plan.exports = f.component(&componentDef{c: c}, nil, -1)
	if f.sources {
		f.rewriteAll()
	}
	return f.plan, nil
}

func (f *flattener) tick(offset int) {
	if f.work++; f.work > maxPlanWork {
		f.fail(offset, "component unfolds to too many definitions, more than %d", maxPlanWork)
	}
}

// component evaluates the body of a component. args are nil for the root, whose
// imports come from outside.
func (f *flattener) component(d *componentDef, args map[string]item, parent int) *instanceDef {
	if len(f.plan.instances) >= maxPlanInstances {
		f.fail(d.c.Offset, "component unfolds to too many instances, more than %d", maxPlanInstances)
	}
	s := &scope{parent: d.scope, instance: len(f.plan.instances)}
	f.plan.instances = append(f.plan.instances, instanceInfo{parent: parent, path: d.path})
	exports := &instanceDef{}
	nested := 0
	for _, def := range d.c.Defs {
		f.tick(def.At())
		switch def := def.(type) {
		case *binary.CoreModule:
			s.modules = append(s.modules, &moduleRef{def: def})
		case *binary.CoreInstance:
			s.coreInstances = append(s.coreInstances, f.coreInstance(s, def))
		case *binary.CoreType:
			s.coreTypes = append(s.coreTypes, coreType(s, def))
		case *binary.Component:
			s.components = append(s.components, &componentDef{c: def, scope: s, path: childPath(d.path, nested)})
			nested++
		case *binary.Instance:
			s.instances = append(s.instances, f.instance(s, def))
		case *binary.Alias:
			f.alias(s, def)
		case *binary.Type:
			s.types = append(s.types, f.typeDef(s, def))
		case *binary.Canon:
			f.canon(s, def)
		case *binary.Import:
			if args != nil {
				it, ok := args[def.Name.Name]
				if !ok {
					f.fail(def.Offset, "missing argument for import %q", def.Name.Name)
				}
				s.define(it)
			} else {
				s.define(f.importItem(s, []string{def.Name.Name}, &def.Type))
			}
		case *binary.Export:
			it := s.lookup(def.SortIdx)
			exports.add(def.Name.Name, it)
			s.define(it)
		case *binary.Start, *binary.Value:
			f.fail(def.At(), "component values are not supported")
		}
	}
	return exports
}

func childPath(path string, n int) string {
	if path == "" {
		return "component " + strconv.Itoa(n)
	}
	return path + "." + strconv.Itoa(n)
}

func coreType(s *scope, t *binary.CoreType) coreTypeDef {
	if t.Module != nil {
		return coreTypeDef{module: &moduleTypeDef{def: t.Module, scope: s}}
	}
	return coreTypeDef{fn: t}
}

func (f *flattener) instance(s *scope, d *binary.Instance) *instanceDef {
	if d.Inline {
		out := &instanceDef{}
		for _, e := range d.Exports {
			out.add(e.Name.Name, s.lookup(e.SortIdx))
		}
		return out
	}
	args := make(map[string]item, len(d.Args))
	for _, a := range d.Args {
		args[a.Name] = s.lookup(a.SortIdx)
	}
	return f.component(s.components[d.Component], args, s.instance)
}

func (f *flattener) alias(s *scope, a *binary.Alias) {
	switch a.Kind {
	case binary.AliasExport:
		it, ok := s.instances[a.Instance].items[a.Name]
		if !ok {
			f.fail(a.Offset, "instance %d has no export named %q", a.Instance, a.Name)
		}
		s.define(it)
	case binary.AliasCoreExport:
		s.core[a.Sort] = append(s.core[a.Sort], s.coreInstances[a.Instance].item(a.Name))
	case binary.AliasOuter:
		from := s.out(a.Count)
		if a.Sort == binary.SortCoreType {
			s.coreTypes = append(s.coreTypes, from.coreTypes[a.Index])
			return
		}
		s.define(from.lookup(binary.SortIdx{Sort: a.Sort, Index: a.Index}))
	}
}

// coreInstance adds a step that instantiates a module, or bundles items.
func (f *flattener) coreInstance(s *scope, d *binary.CoreInstance) *coreInstanceDef {
	if d.Inline {
		out := &coreInstanceDef{step: -1, items: make(map[string]coreItem, len(d.Exports))}
		for _, e := range d.Exports {
			out.items[e.Name] = s.core[e.Sort][e.Index]
		}
		return out
	}
	args := make(map[string]*coreInstanceDef, len(d.Args))
	for _, a := range d.Args {
		args[a.Name] = s.coreInstances[a.Instance]
	}
	st := step{module: -1, imported: -1, instance: s.instance}
	ref := s.modules[d.Module]
	if ref.def == nil {
		st.imported = ref.imported
		for _, im := range f.moduleImports(ref.typ) {
			arg, ok := args[im.module]
			if !ok {
				f.fail(d.Offset, "missing core instance for import module %q", im.module)
			}
			st.names = append(st.names, namedItem{im.module, im.name, arg.item(im.name)})
		}
		f.plan.footprint.Reserve()
	} else {
		st.module = f.linkModule(ref.def, args, d.Offset)
		if err := f.plan.footprint.Add(f.unlinked[st.module].footprint, f.limits.TableElements); err != nil {
			panic(flattenError{&Error{Offset: ref.def.Offset, Err: err}})
		}
	}
	f.plan.steps = append(f.plan.steps, st)
	if n := len(f.plan.steps); n > f.limits.Instances {
		panic(flattenError{&LimitError{Resource: LimitedInstances, Limit: uint64(f.limits.Instances), Requested: uint64(n)}})
	}
	return &coreInstanceDef{step: len(f.plan.steps) - 1}
}

// hostModule is the import module name under which trampolines are linked.
const hostModule = "h"

// linkName is the name under which an item is imported.
func linkName(it coreItem) importName {
	if it.kind == fromTrampoline {
		return importName{hostModule, strconv.Itoa(it.index)}
	}
	return importName{strconv.Itoa(it.index), it.name}
}

// linkModule names the providers of a module's imports; where all are equal, the
// result is shared.
func (f *flattener) linkModule(def *binary.CoreModule, args map[string]*coreInstanceDef, offset int) int {
	m := f.decoded[def]
	if m == nil {
		var err error
		if m, err = wasm.DecodeAt(def.Bytes, def.Offset); err != nil {
			panic(flattenError{err})
		}
		f.decoded[def] = m
	}
	names := make([]importName, len(m.Imports))
	var key strings.Builder
	fmt.Fprintf(&key, "%d", def.Offset)
	for i, im := range m.Imports {
		arg, ok := args[im.Module]
		if !ok {
			f.fail(offset, "missing core instance for import module %q", im.Module)
		}
		names[i] = linkName(arg.item(im.Name))
		fmt.Fprintf(&key, "\x00%s\x00%s", names[i].module, names[i].name)
	}
	if i, ok := f.variants[key.String()]; ok {
		return i
	}
	f.plan.modules = append(f.plan.modules, moduleDef{origin: def.Offset, size: len(def.Bytes)})
	f.unlinked = append(f.unlinked, unlinked{def, names, engine.FootprintOf(m)})
	f.variants[key.String()] = len(f.plan.modules) - 1
	return len(f.plan.modules) - 1
}

// rewriteAll rewrites the modules of the plan. What it does must depend on nothing but
// the component and rewriteOptions.
func (f *flattener) rewriteAll() {
	growth := f.plan.footprint.Growth(f.limits.TableElements)
	for i, u := range f.unlinked {
		if f.ctx.Err() != nil {
			panic(flattenError{context.Cause(f.ctx)})
		}
		source, err := rewrite(f.decoded[u.def], u.names, growth)
		var complex *wasm.ComplexityError
		switch {
		case errors.As(err, &complex): // which says where
			panic(flattenError{err})
		case err != nil:
			panic(flattenError{&Error{Offset: u.def.Offset, Err: err}})
		}
		f.plan.modules[i].source = source
	}
}

// rewrite renames a module's imports and confines it.
func rewrite(m *wasm.Module, names []importName, tableGrowth uint64) (engine.Source, error) {
	edited := *m
	edited.Imports = append([]wasm.Import(nil), m.Imports...)
	edited.RenameImports(func(i int, _ wasm.Import) (string, string) { return names[i].module, names[i].name })
	return engine.Confine(&edited, engine.Confinement{
		TableGrowth: tableGrowth,
		Host:        func(im *wasm.Import) bool { return im.Module == hostModule },
	})
}

// rewriteOptions says all of the limits that rewriting goes by.
func rewriteOptions(limits Limits) string { return fmt.Sprintf("all tables %d", limits.TableElements) }

// moduleImports lists the imports that a module type declares.
func (f *flattener) moduleImports(t *moduleTypeDef) []importName {
	var out []importName
	for _, d := range t.def.Decls {
		if d.Import != nil {
			out = append(out, importName{d.Import.Module, d.Import.Name})
		}
	}
	return out
}

// fn returns the index of a core function that the runtime calls.
func (f *flattener) fn(it coreItem) int {
	if i, ok := f.funcIdx[it]; ok {
		return i
	}
	f.plan.funcs = append(f.plan.funcs, it)
	f.funcIdx[it] = len(f.plan.funcs) - 1
	return len(f.plan.funcs) - 1
}

func (f *flattener) memory(it coreItem) int {
	if i, ok := f.memIdx[it]; ok {
		return i
	}
	f.plan.memories = append(f.plan.memories, it)
	f.memIdx[it] = len(f.plan.memories) - 1
	return len(f.plan.memories) - 1
}

func (f *flattener) options(s *scope, opts []binary.CanonOpt) options {
	o := options{memory: -1, realloc: -1, postReturn: -1, callback: -1}
	core := func(i uint32) int { return f.fn(s.core[binary.SortCoreFunc][i]) }
	for _, opt := range opts {
		switch opt.Kind {
		case binary.OptUTF8:
			o.encoding = canon.UTF8
		case binary.OptUTF16:
			o.encoding = canon.UTF16
		case binary.OptLatin1UTF16:
			o.encoding = canon.Latin1UTF16
		case binary.OptMemory:
			o.memory = f.memory(s.core[binary.SortCoreMemory][opt.Index])
		case binary.OptRealloc:
			o.realloc = core(opt.Index)
		case binary.OptPostReturn:
			o.postReturn = core(opt.Index)
		case binary.OptCallback:
			o.callback = core(opt.Index)
		case binary.OptAsync:
			o.async = true
		}
	}
	return o
}

func coreTypes(ts []canon.CoreType) []engine.ValType {
	out := make([]engine.ValType, len(ts))
	for i, t := range ts {
		out[i] = [...]engine.ValType{canon.I32: engine.I32, canon.I64: engine.I64, canon.F32: engine.F32, canon.F64: engine.F64}[t]
	}
	return out
}

// canon evaluates a canonical definition.
func (f *flattener) canon(s *scope, d *binary.Canon) {
	if d.Op == binary.CanonLift {
		o := f.options(s, d.Opts)
		ft := s.types[d.Type].fn
		s.funcs = append(s.funcs, &funcDef{
			typ: ft, imported: -1, core: f.fn(s.core[binary.SortCoreFunc][d.Func]),
			instance: s.instance, opts: o, flat: ft.FlattenLift(o.async, o.callback >= 0),
		})
		return
	}
	t := trampoline{op: d.Op, instance: s.instance, opts: f.options(s, d.Opts), slot: d.Slot, resource: -1}
	i32 := []engine.ValType{engine.I32}
	switch d.Op {
	case binary.CanonLower:
		t.fn = s.funcs[d.Func]
		t.typ = t.fn.typ
		t.flat = t.typ.FlattenLower(t.opts.async)
		t.params, t.results = coreTypes(t.flat.Params), coreTypes(t.flat.Results)
	case binary.CanonResourceNew, binary.CanonResourceRep:
		t.resource = s.types[d.Type].resource.index
		t.params, t.results = i32, i32
	case binary.CanonResourceDrop:
		t.resource = s.types[d.Type].resource.index
		t.params = i32
	case binary.CanonContextGet:
		t.results = []engine.ValType{engine.ValType(d.ValType)}
	case binary.CanonContextSet:
		t.params = []engine.ValType{engine.ValType(d.ValType)}
	case binary.CanonTaskReturn:
		var params []canon.Field
		if d.Result != nil {
			t.result = f.valType(s, *d.Result)
			params = []canon.Field{{Type: t.result}}
		}
		t.typ = canon.Func(false, params, nil)
		t.flat = t.typ.FlattenLower(false)
		t.params = coreTypes(t.flat.Params)
	default:
		t.params, t.results = f.builtinType(s, d)
	}
	f.plan.trampolines = append(f.plan.trampolines, t)
	s.core[binary.SortCoreFunc] = append(s.core[binary.SortCoreFunc],
		coreItem{kind: fromTrampoline, index: len(f.plan.trampolines) - 1})
}

// builtinType is the core signature of the remaining built-ins.
func (f *flattener) builtinType(s *scope, d *binary.Canon) (params, results []engine.ValType) {
	n := func(params, results int) ([]engine.ValType, []engine.ValType) {
		all := []engine.ValType{engine.I32, engine.I32, engine.I32, engine.I32}
		return all[:params], all[:results]
	}
	switch d.Op {
	case binary.CanonBackpressureInc, binary.CanonBackpressureDec, binary.CanonTaskCancel:
		return n(0, 0)
	case binary.CanonThreadYield, binary.CanonThreadSuspend, binary.CanonWaitableSetNew, binary.CanonThreadIndex,
		binary.CanonThreadAvailableParallelism:
		return n(0, 1)
	case binary.CanonSubtaskDrop, binary.CanonWaitableSetDrop, binary.CanonErrorContextDrop, binary.CanonThreadResumeLater,
		binary.CanonStreamDropReadable, binary.CanonStreamDropWritable, binary.CanonFutureDropReadable, binary.CanonFutureDropWritable:
		return n(1, 0)
	case binary.CanonStreamNew, binary.CanonFutureNew:
		return nil, []engine.ValType{engine.I64}
	case binary.CanonStreamRead, binary.CanonStreamWrite:
		return n(3, 1)
	case binary.CanonWaitableJoin, binary.CanonErrorContextDebugMessage:
		return n(2, 0)
	case binary.CanonThreadSpawnRef:
		f.fail(d.Offset, "canon %s is not supported", d.Op)
		return nil, nil
	case binary.CanonFutureRead, binary.CanonFutureWrite, binary.CanonWaitableSetWait, binary.CanonWaitableSetPoll,
		binary.CanonErrorContextNew, binary.CanonThreadNewIndirect, binary.CanonThreadSpawnIndirect:
		return n(2, 1)
	default: // subtask.cancel, {stream,future}.cancel-*, thread switches
		return n(1, 1)
	}
}
