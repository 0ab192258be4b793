package component

import (
	"fmt"
	"slices"

	"github.com/ashlar-wasm/ashlar/internal/canon"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// equalFunc compares function types, resources by the given relation.
func equalFunc(a, b *canon.FuncType, same func(a, b *canon.Resource) bool) bool {
	if a.Async != b.Async || len(a.Params) != len(b.Params) {
		return false
	}
	for i := range a.Params {
		if a.Params[i].Name != b.Params[i].Name || !equalType(a.Params[i].Type, b.Params[i].Type, same) {
			return false
		}
	}
	return equalType(a.Result, b.Result, same)
}

func equalType(a, b *canon.Type, same func(a, b *canon.Resource) bool) bool {
	if a == nil || b == nil {
		return a == b
	}
	if a.Kind != b.Kind || len(a.Fields) != len(b.Fields) || len(a.Cases) != len(b.Cases) ||
		len(a.Labels) != len(b.Labels) || a.Fixed != b.Fixed || a.Len != b.Len {
		return false
	}
	for i := range a.Fields {
		if a.Fields[i].Name != b.Fields[i].Name || !equalType(a.Fields[i].Type, b.Fields[i].Type, same) {
			return false
		}
	}
	for i := range a.Cases {
		if a.Cases[i].Name != b.Cases[i].Name || !equalType(a.Cases[i].Type, b.Cases[i].Type, same) {
			return false
		}
	}
	for i := range a.Labels {
		if a.Labels[i] != b.Labels[i] {
			return false
		}
	}
	if a.Resource != nil || b.Resource != nil {
		return a.Resource != nil && b.Resource != nil && same(a.Resource, b.Resource)
	}
	return equalType(a.Elem, b.Elem, same)
}

// moduleMismatch reports how a module does not have the imports and exports of
// a module type, or "".
func moduleMismatch(m *wasm.Module, t *moduleTypeDef) string {
	types, imports, exports := moduleType(t)
	actual, err := m.ExportTypes()
	if err != nil {
		return err.Error()
	}
	for name, want := range exports {
		found := false
		for i, e := range m.Exports {
			if e.Name == name {
				found = true
				if reason := externMismatch(actual[i], resolveExtern(types, want)); reason != "" {
					return fmt.Sprintf("export %q: %s", name, reason)
				}
			}
		}
		if !found {
			return fmt.Sprintf("module has no export %q", name)
		}
	}
	needs, err := m.ImportTypes()
	if err != nil {
		return err.Error()
	}
	for i, im := range m.Imports {
		have, ok := imports[importName{im.Module, im.Name}]
		if !ok {
			return fmt.Sprintf("module imports %q %q, which is not in the expected type", im.Module, im.Name)
		}
		if reason := externMismatch(resolveExtern(types, have), needs[i]); reason != "" {
			return fmt.Sprintf("import %q %q: %s", im.Module, im.Name, reason)
		}
	}
	return ""
}

// moduleType evaluates a module type's declarators.
func moduleType(t *moduleTypeDef) (types []*wasm.FuncType, imports map[importName]wasm.Extern, exports map[string]wasm.Extern) {
	imports, exports = map[importName]wasm.Extern{}, map[string]wasm.Extern{}
	for _, d := range t.def.Decls {
		switch {
		case d.Type != nil:
			types = append(types, d.Type.Func)
		case d.Alias != nil:
			// Count 1 is the scope that the module type is defined in.
			from := t.scope
			for range int(d.Alias.Count) - 1 {
				from = from.parent
			}
			if d.Alias.Count == 0 {
				types = append(types, types[d.Alias.Index])
				break
			}
			types = append(types, from.coreTypes[d.Alias.Index].fn.Func)
		case d.Import != nil:
			imports[importName{d.Import.Module, d.Import.Name}] = d.Import.Extern
		case d.Export != nil:
			exports[d.Export.Name] = d.Export.Extern
		}
	}
	return types, imports, exports
}

func resolveExtern(types []*wasm.FuncType, e wasm.Extern) wasm.ExternType {
	t := wasm.ExternType{Kind: e.Kind, Table: e.Table, Memory: e.Memory, Global: e.Global}
	if (e.Kind == wasm.KindFunc || e.Kind == wasm.KindTag) && int(e.Type) < len(types) && types[e.Type] != nil {
		t.Func = *types[e.Type]
	}
	return t
}

// externMismatch reports how an item that is there can't stand for one that is
// wanted (import matching of the core specification), or "".
func externMismatch(have, want wasm.ExternType) string {
	if have.Kind != want.Kind {
		return fmt.Sprintf("expected a %s, found a %s", want.Kind, have.Kind)
	}
	limits := func(have, want wasm.Limits) bool {
		return have.Within(want) && have.Shared == want.Shared && have.Index64 == want.Index64
	}
	ok := true
	switch want.Kind {
	case wasm.KindFunc, wasm.KindTag:
		ok = slices.Equal(have.Func.Params, want.Func.Params) && slices.Equal(have.Func.Results, want.Func.Results)
	case wasm.KindTable:
		ok = have.Table.Elem == want.Table.Elem && limits(have.Table.Limits, want.Table.Limits)
	case wasm.KindMemory:
		ok = limits(have.Memory.Limits, want.Memory.Limits)
	case wasm.KindGlobal:
		ok = have.Global == want.Global
	}
	if !ok {
		return fmt.Sprintf("type mismatch of the %s", want.Kind)
	}
	return ""
}
