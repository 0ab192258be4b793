package componentize

import (
	"slices"

	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/wit"
)

// liveness is what of the world's imports the component needs.
type liveness struct {
	types     map[*wit.TypeDef]bool // named ones, and those without a name that were seen
	functions map[*wit.Function]bool
}

// typ marks a type and what it is made of.
func (l *liveness) typ(t wit.Type) {
	d, ok := t.(*wit.TypeDef)
	if !ok || l.types[d] {
		return
	}
	l.types[d] = true
	wit.MapKind(d.Kind, func(part wit.Type) wit.Type {
		l.typ(part)
		return part
	})
}

func (l *liveness) function(f *wit.Function) {
	if l.functions[f] {
		return
	}
	l.functions[f] = true
	if f.Resource != nil {
		l.typ(f.Resource)
	}
	for _, p := range f.Params {
		l.typ(p.Type)
	}
	if f.Result != nil {
		l.typ(f.Result)
	}
}

// live finds what is used by the imports of modules, and by exports.
func (a *assembler) live() *liveness {
	l := &liveness{types: map[*wit.TypeDef]bool{}, functions: map[*wit.Function]bool{}}
	for _, m := range a.modules {
		for _, s := range m.sources {
			if s.function != nil {
				l.function(s.function)
			}
			for _, t := range s.types {
				l.typ(t)
			}
		}
	}
	for _, item := range a.world.imports {
		if item.Type != nil {
			l.typ(item.Type)
		}
	}
	for _, item := range a.world.exports {
		if !slices.Contains(a.modules, a.world.provider[item]) {
			continue
		}
		for _, f := range functionsOf(item) {
			l.function(f)
		}
		if item.Interface != nil {
			for _, t := range item.Interface.Types {
				l.typ(t)
			}
		}
	}
	return l
}

// imports writes the imports that are used.
func (a *assembler) imports() error {
	live := a.live()
	for _, item := range a.world.imports {
		if item.Interface != nil {
			if err := a.importInterface(item, live); err != nil {
				return err
			}
		}
	}
	for _, item := range a.world.imports {
		if item.Type != nil {
			if _, err := a.root.val(item.Type); err != nil {
				return err
			}
		}
	}
	for _, item := range a.world.imports {
		if item.Function == nil || !live.functions[item.Function] {
			continue
		}
		t, err := a.root.function(item.Function)
		if err != nil {
			return err
		}
		a.funcs[item] = a.def(&binary.Import{Name: itemName(item), Type: binary.ExternType{Kind: binary.ExternFunc, Index: t}})
	}
	return nil
}

// importInterface imports an instance with what is used of an interface.
func (a *assembler) importInterface(item *wit.WorldItem, live *liveness) error {
	var decls []binary.Def
	count := uint32(0)
	add := func(d binary.Def) uint32 {
		decls = append(decls, d)
		count++
		return count - 1
	}
	export := func(t *wit.TypeDef, typ binary.ExternType) uint32 {
		return add(&binary.ExportDecl{Name: externName(t.Name, t.ExternalID), Type: typ})
	}
	s := &typeSpace{
		owner:  item.Interface,
		define: func(d binary.DefType) uint32 { return add(&binary.Type{Def: d}) },
		name: func(t *wit.TypeDef, index uint32) uint32 {
			return export(t, binary.ExternType{Kind: binary.ExternTypeEq, Index: index})
		},
		resource: func(t *wit.TypeDef) (uint32, error) {
			return export(t, binary.ExternType{Kind: binary.ExternResource}), nil
		},
		foreign: func(t *wit.TypeDef) (uint32, error) {
			index, err := a.foreignType(t)
			return add(&binary.Alias{Kind: binary.AliasOuter, Sort: binary.SortType, Count: 1, Index: index}), err
		},
	}
	s.reset()
	for _, t := range item.Interface.Types {
		if live.types[t] {
			if _, err := s.val(t); err != nil {
				return err
			}
		}
	}
	for _, f := range item.Interface.Functions {
		if !live.functions[f] {
			continue
		}
		t, err := s.function(f)
		if err != nil {
			return err
		}
		// An export of a function adds to another index space.
		decls = append(decls, &binary.ExportDecl{Name: externName(f.Name, f.ExternalID), Type: binary.ExternType{Kind: binary.ExternFunc, Index: t}})
	}
	if len(decls) == 0 {
		return nil
	}
	t := a.def(&binary.Type{Def: &binary.InstanceType{Decls: decls}})
	a.instances[item.Interface] = a.def(&binary.Import{Name: itemName(item), Type: binary.ExternType{Kind: binary.ExternInstance, Index: t}})
	return nil
}
