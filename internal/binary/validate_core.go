package binary

import (
	"errors"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// coreType checks a core type definition.
func (s *scope) coreType(d *CoreType) error {
	if d.Module != nil {
		t, err := s.moduleType(d.Module, d.Offset)
		if err != nil {
			return err
		}
		s.coreTypes = append(s.coreTypes, coreType{module: t})
		return nil
	}
	t, err := s.coreFuncType(d, s.coreTypes, d.Offset)
	if err != nil {
		return err
	}
	s.coreTypes = append(s.coreTypes, coreType{fn: t})
	return nil
}

// coreFuncType checks a function type whose indices are those of a space of core types.
func (s *scope) coreFuncType(d *CoreType, space []coreType, offset int) (*coreFunc, error) {
	t := d.Func
	types := spaceOf(space)
	for _, list := range [2][]wasm.ValType{t.Params, t.Results} {
		for _, p := range list {
			if err := s.coreValType(p, types, uint32(len(space)), offset); err != nil {
				return nil, err
			}
		}
	}
	return s.intern(t.Params, t.Results, d.Open, types), nil
}

func spaceOf(types []coreType) typeSpace {
	return func(i uint32) (*coreFunc, bool) {
		if int64(i) < int64(len(types)) {
			return types[i].fn, true
		}
		return nil, false
	}
}

// noSelf is the index of no type.
const noSelf = 1<<32 - 1

// coreValType checks that a type exists. A function type may name itself.
func (s *scope) coreValType(t wasm.ValType, space typeSpace, self uint32, offset int) error {
	if !t.IsRef() {
		return nil
	}
	index, concrete := t.Heap().TypeIndex()
	if !concrete || index == self {
		return nil
	}
	f, ok := space(index)
	if !ok {
		return invalid(offset, "unknown type %d: type index out of bounds", index)
	}
	if f == nil {
		return invalid(offset, "type index %d is a module type, not a sub type", index)
	}
	return nil
}

// moduleType checks the type of a core module.
func (s *scope) moduleType(d *ModuleType, offset int) (*moduleType, error) {
	var space []coreType
	t := &moduleType{measure: leaf}
	for i := range d.Decls {
		decl := &d.Decls[i]
		switch {
		case decl.Type != nil:
			if decl.Type.Module != nil {
				return nil, invalid(decl.Offset, "a module type cannot define module types")
			}
			f, err := s.coreFuncType(decl.Type, space, decl.Offset)
			if err != nil {
				return nil, err
			}
			space = append(space, coreType{fn: f})
		case decl.Alias != nil:
			outer := space
			if decl.Alias.Count > 0 {
				from, err := s.outer(decl.Alias.Count-1, decl.Offset)
				if err != nil {
					return nil, err
				}
				outer = from.coreTypes
			}
			f, err := at(outer, decl.Alias.Index, "type", decl.Offset)
			if err != nil {
				return nil, err
			}
			if f.fn == nil {
				return nil, invalid(decl.Offset, "aliasing a core module type into a module type is not supported")
			}
			space = append(space, f)
		case decl.Import != nil:
			item, err := s.coreExtern(&decl.Import.Extern, space, decl.Offset)
			if err != nil {
				return nil, err
			}
			name := coreName{decl.Import.Module, decl.Import.Name}
			if !t.imports.add(name, item) {
				return nil, invalid(decl.Offset, "duplicate import name `%s:%s` is not allowed in components", name.module, name.name)
			}
			t.measure.size++
		case decl.Export != nil:
			item, err := s.coreExtern(&decl.Export.Extern, space, decl.Offset)
			if err != nil {
				return nil, err
			}
			if !t.exports.add(coreName{name: decl.Export.Name}, item) {
				return nil, invalid(decl.Offset, "duplicate export name `%s` already defined", decl.Export.Name)
			}
			t.measure.size++
		}
	}
	return t, nil
}

// coreExtern checks the type of an import or export of a module type.
func (s *scope) coreExtern(x *wasm.Extern, space []coreType, offset int) (coreItem, error) {
	types := spaceOf(space)
	item := coreItem{kind: x.Kind, table: x.Table, memory: x.Memory, global: x.Global}
	switch x.Kind {
	case wasm.KindFunc, wasm.KindTag:
		t, err := at(space, x.Type, "type", offset)
		if err != nil {
			return item, err
		}
		item.fn = t.fn
	case wasm.KindTable:
		if err := s.coreValType(x.Table.Elem, types, noSelf, offset); err != nil {
			return item, err
		}
		if x.Table.Limits.Shared {
			return item, &wasm.UnsupportedError{Feature: wasm.SharedEverything, Offset: offset}
		}
		if !x.Table.Elem.IsRef() {
			return item, invalid(offset, "malformed reference type: %s", x.Table.Elem)
		}
		item.table.Elem = s.internVal(x.Table.Elem, types)
	case wasm.KindGlobal:
		if err := s.coreValType(x.Global.Val, types, noSelf, offset); err != nil {
			return item, err
		}
		item.global.Val = s.internVal(x.Global.Val, types)
	}
	// The rest is checked as the import of a module that has nothing else.
	check := &wasm.Module{Imports: []wasm.Import{{Extern: *x, Offset: offset}}}
	switch x.Kind {
	case wasm.KindFunc:
		return item, nil
	case wasm.KindTag:
		check.Types = []wasm.FuncType{{Params: item.fn.params, Results: item.fn.results}}
		check.Imports[0].Type = 0
		for _, p := range item.fn.params {
			if _, concrete := p.Heap().TypeIndex(); p.IsRef() && concrete {
				return item, nil
			}
		}
	case wasm.KindTable:
		check.Imports[0].Table.Elem = wasm.FuncRef
	case wasm.KindGlobal:
		return item, nil
	}
	var unsupported *wasm.UnsupportedError
	if err := wasm.Validate(check); err != nil && !errors.As(err, &unsupported) {
		return item, err
	}
	return item, nil
}

// coreInstance checks the instantiation of a module or a bundle of exports.
func (s *scope) coreInstance(d *CoreInstance) error {
	exports := map[string]coreItem{}
	if d.Inline {
		for _, x := range d.Exports {
			item, err := s.coreItem(x.SortIdx, d.Offset)
			if err != nil {
				return err
			}
			if _, ok := exports[x.Name]; ok {
				return invalid(d.Offset, "duplicate instantiation export name `%s` already defined", x.Name)
			}
			exports[x.Name] = item
		}
	} else {
		m, err := at(s.coreModules, d.Module, "module", d.Offset)
		if err != nil {
			return err
		}
		args := map[string]map[string]coreItem{}
		for _, a := range d.Args {
			i, err := at(s.coreInstances, a.Instance, "core instance", d.Offset)
			if err != nil {
				return err
			}
			if _, ok := args[a.Name]; ok {
				return invalid(d.Offset, "duplicate module instantiation argument named `%s`", a.Name)
			}
			args[a.Name] = i
		}
		for _, name := range m.imports.names {
			arg, ok := args[name.module]
			if !ok {
				return invalid(d.Offset, "missing module instantiation argument named `%s`", name.module)
			}
			item, ok := arg[name.name]
			if !ok {
				return invalid(d.Offset, "module instantiation argument `%s` does not export an item named `%s`", name.module, name.name)
			}
			if err := s.subtype(d.Offset).core(item, m.imports.items[name]); err != nil {
				return within(err, "type mismatch for export `%s` of module instantiation argument `%s`", name.name, name.module)
			}
		}
		for name, item := range m.exports.items {
			exports[name.name] = item
		}
	}
	s.coreInstances = append(s.coreInstances, exports)
	return s.limit(len(s.coreInstances)+len(s.instances), maxInstances, "instances", d.Offset)
}

// coreItem returns the type of a core definition of the scope.
func (s *scope) coreItem(x SortIdx, offset int) (item coreItem, err error) {
	switch x.Sort {
	case SortCoreFunc:
		item.kind = wasm.KindFunc
		item.fn, err = at(s.coreFuncs, x.Index, "core function", offset)
	case SortCoreTable:
		item.kind = wasm.KindTable
		item.table, err = at(s.coreTables, x.Index, "table", offset)
	case SortCoreMemory:
		item.kind = wasm.KindMemory
		item.memory, err = at(s.coreMemories, x.Index, "memory", offset)
	case SortCoreGlobal:
		item.kind = wasm.KindGlobal
		item.global, err = at(s.coreGlobals, x.Index, "global", offset)
	case SortCoreTag:
		item.kind = wasm.KindTag
		item.fn, err = at(s.coreTags, x.Index, "tag", offset)
	default:
		err = invalid(offset, "a %s cannot be exported from a core instance", x.Sort)
	}
	return item, err
}

// aliasCoreExport adds an export of a core instance to its index space.
func (s *scope) aliasCoreExport(a *Alias) error {
	i, err := at(s.coreInstances, a.Instance, "core instance", a.Offset)
	if err != nil {
		return err
	}
	item, ok := i[a.Name]
	if !ok {
		return invalid(a.Offset, "core instance %d has no export named `%s`", a.Instance, a.Name)
	}
	kinds := map[Sort]wasm.Kind{
		SortCoreFunc: wasm.KindFunc, SortCoreTable: wasm.KindTable, SortCoreMemory: wasm.KindMemory,
		SortCoreGlobal: wasm.KindGlobal, SortCoreTag: wasm.KindTag,
	}
	kind, ok := kinds[a.Sort]
	if !ok {
		return invalid(a.Offset, "a %s cannot be exported from a core instance", a.Sort)
	}
	if item.kind != kind {
		return invalid(a.Offset, "export `%s` for core instance %d is not a %s", a.Name, a.Instance, kind)
	}
	switch kind {
	case wasm.KindFunc:
		s.coreFuncs = append(s.coreFuncs, item.fn)
	case wasm.KindTable:
		s.coreTables = append(s.coreTables, item.table)
	case wasm.KindMemory:
		s.coreMemories = append(s.coreMemories, item.memory)
	case wasm.KindGlobal:
		s.coreGlobals = append(s.coreGlobals, item.global)
	case wasm.KindTag:
		s.coreTags = append(s.coreTags, item.fn)
	}
	return nil
}
