package componentize

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/wit"
)

// exports lifts what modules export.
func (a *assembler) exports() error {
	lifts := map[*wit.Function]lift{}
	for _, m := range a.modules {
		for _, f := range m.lifts {
			lifts[f.function] = f
		}
	}
	for _, item := range a.world.exports {
		m := a.world.provider[item]
		if !slices.Contains(a.modules, m) {
			continue
		}
		if item.Interface != nil {
			if err := a.exportInterface(m, item, lifts); err != nil {
				return err
			}
			continue
		}
		f, err := a.lift(m, lifts[item.Function], a.root)
		if err != nil {
			return err
		}
		a.def(&binary.Export{Name: itemName(item), SortIdx: binary.SortIdx{Sort: binary.SortFunc, Index: f}})
	}
	return nil
}

func (a *assembler) lift(m *coreModule, f lift, types *typeSpace) (uint32, error) {
	t, err := types.function(f.function)
	if err != nil {
		return 0, err
	}
	o, err := a.liftOptions(m, f)
	if err != nil {
		return 0, err
	}
	opts := a.options(o)
	if f.post != "" {
		opts = append(opts, binary.CanonOpt{Kind: binary.OptPostReturn, Index: a.coreExport(m, binary.SortCoreFunc, f.post)})
	}
	if f.callback != "" {
		opts = append(opts, binary.CanonOpt{Kind: binary.OptCallback, Index: a.coreExport(m, binary.SortCoreFunc, f.callback)})
	}
	return a.def(&binary.Canon{Op: binary.CanonLift, Func: a.coreExport(m, binary.SortCoreFunc, f.core), Type: t, Opts: opts}), nil
}

// exportInterface exports an instance with the lifted functions of an interface.
//
// Their types have no names in this component, where others may have the same; and
// types of an exported instance must have some. So a component is nested that imports
// types and functions, and exports them under their names.
func (a *assembler) exportInterface(m *coreModule, item *wit.WorldItem, lifts map[*wit.Function]lift) error {
	i := item.Interface
	outer := a.exportSpace(i)
	n := &nested{owner: i, names: map[string]bool{}, types: map[*wit.TypeDef]uint32{}}
	var args []binary.Arg
	for _, f := range i.Functions {
		index, err := a.lift(m, lifts[f], outer)
		if err != nil {
			return err
		}
		args = append(args, binary.Arg{Name: importFunctionName(f), SortIdx: binary.SortIdx{Sort: binary.SortFunc, Index: index}})
	}
	if err := n.build(); err != nil {
		return err
	}
	for _, t := range n.imported {
		index, err := outer.index(t.def)
		if err != nil {
			return err
		}
		args = append(args, binary.Arg{Name: t.name, SortIdx: binary.SortIdx{Sort: binary.SortType, Index: index}})
	}
	component := a.def(&binary.Component{Defs: n.defs})
	instance := a.def(&binary.Instance{Component: component, Args: args})
	a.instances[i] = a.def(&binary.Export{Name: itemName(item), SortIdx: binary.SortIdx{Sort: binary.SortInstance, Index: instance}})
	return nil
}

// importFunctionName is the name by which the nested component imports a function: a
// plain name that no other function has.
func importFunctionName(f *wit.Function) string {
	if f.Kind == wit.Freestanding {
		return "import-func-" + f.Name
	}
	return "import-" + strings.NewReplacer("[", "", "]", "-", ".", "-").Replace(f.Name)
}

// nested is the component that gives the types of an exported interface their names.
type nested struct {
	owner    *wit.Interface
	defs     []binary.Def
	count    uint32 // of types
	names    map[string]bool
	imported []importedType
	types    map[*wit.TypeDef]uint32 // that are imported
}

type importedType struct {
	name string
	def  *wit.TypeDef
}

func (n *nested) define(d binary.DefType) uint32 { return n.typ(&binary.Type{Def: d}) }

// typ adds a definition that is a type.
func (n *nested) typ(d binary.Def) uint32 {
	n.defs = append(n.defs, d)
	n.count++
	return n.count - 1
}

// importType imports a type of the component around.
func (n *nested) importType(t *wit.TypeDef, typ binary.ExternType) uint32 {
	name := "import-type-" + t.Name
	for i := 0; n.names[name]; i++ {
		name = fmt.Sprintf("import-type-%s%d", t.Name, i)
	}
	n.names[name] = true
	n.imported = append(n.imported, importedType{name, t})
	index := n.typ(&binary.Import{Name: binary.ExternName{Name: name}, Type: typ})
	n.types[t] = index
	return index
}

func (n *nested) importResource(t *wit.TypeDef) (uint32, error) {
	return n.importType(t, binary.ExternType{Kind: binary.ExternResource}), nil
}

func (n *nested) build() error {
	in := &typeSpace{
		owner: n.owner, define: n.define, resource: n.importResource,
		name: func(t *wit.TypeDef, index uint32) uint32 {
			return n.importType(t, binary.ExternType{Kind: binary.ExternTypeEq, Index: index})
		},
	}
	in.foreign = func(t *wit.TypeDef) (uint32, error) {
		// A type of another interface is imported like one of this interface, after
		// those that it is made of.
		other := *in
		other.owner = t.Owner.(*wit.Interface)
		return other.namedType(t)
	}
	in.reset()
	for _, t := range n.owner.Types {
		if _, ok := t.Kind.(*wit.Resource); ok {
			if _, err := in.val(t); err != nil {
				return err
			}
		}
	}
	for _, f := range n.owner.Functions {
		t, err := in.function(f)
		if err != nil {
			return err
		}
		n.defs = append(n.defs, &binary.Import{Name: binary.ExternName{Name: importFunctionName(f)}, Type: binary.ExternType{Kind: binary.ExternFunc, Index: t}})
	}
	// Types of others that no function uses, but a type that is exported.
	for _, t := range n.owner.Types {
		if err := n.foreigners(in, t); err != nil {
			return err
		}
	}
	out := &typeSpace{
		owner: n.owner, define: n.define,
		name: func(t *wit.TypeDef, index uint32) uint32 { return n.exportType(t, index) },
		resource: func(t *wit.TypeDef) (uint32, error) {
			return n.exportType(t, n.types[t]), nil
		},
		foreign: func(t *wit.TypeDef) (uint32, error) { return n.types[t], nil },
	}
	out.reset()
	for _, t := range n.owner.Types {
		if _, err := out.val(t); err != nil {
			return err
		}
	}
	for i, f := range n.owner.Functions {
		t, err := out.function(f)
		if err != nil {
			return err
		}
		n.defs = append(n.defs, &binary.Export{
			Name: externName(f.Name, f.ExternalID), SortIdx: binary.SortIdx{Sort: binary.SortFunc, Index: uint32(i)},
			Type: &binary.ExternType{Kind: binary.ExternFunc, Index: t},
		})
	}
	return nil
}

// foreigners imports the types of other interfaces that a type is made of.
func (n *nested) foreigners(in *typeSpace, t wit.Type) error {
	d, ok := t.(*wit.TypeDef)
	if !ok {
		return nil
	}
	if owner, ok := d.Owner.(*wit.Interface); ok && owner != n.owner {
		_, err := in.val(d)
		return err
	}
	var failure error
	wit.MapKind(d.Kind, func(part wit.Type) wit.Type {
		if p, ok := part.(*wit.TypeDef); ok && p.Name != "" && p.Owner == d.Owner && d.Owner != nil {
			return part // a type of this interface, which is looked at by itself
		}
		if err := n.foreigners(in, part); failure == nil {
			failure = err
		}
		return part
	})
	return failure
}

func (n *nested) exportType(t *wit.TypeDef, index uint32) uint32 {
	return n.typ(&binary.Export{Name: externName(t.Name, t.ExternalID), SortIdx: binary.SortIdx{Sort: binary.SortType, Index: index}})
}
