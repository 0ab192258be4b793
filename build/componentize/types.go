package componentize

import (
	"fmt"

	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/wit"
)

// typeSpace writes types of WIT into one index space of types: that of the component,
// of an instance type, or of a nested component.
type typeSpace struct {
	// owner is the interface whose types are defined here; those of others are
	// foreign. It is nil where the types of the world are defined.
	owner *wit.Interface
	// define adds a definition.
	define func(binary.DefType) uint32
	// name gives a type its name, by an import or export, and returns the index of the
	// type with that name; where types have no names it returns index.
	name func(t *wit.TypeDef, index uint32) uint32
	// resource and foreign return types that are not defined here.
	resource func(t *wit.TypeDef) (uint32, error)
	foreign  func(t *wit.TypeDef) (uint32, error)

	named   map[*wit.TypeDef]uint32
	unnamed map[string]uint32
	funcs   map[string]uint32
}

// reset forgets what has been written.
func (s *typeSpace) reset() {
	s.named, s.unnamed, s.funcs = map[*wit.TypeDef]uint32{}, map[string]uint32{}, map[string]uint32{}
}

// function returns the index of the type of f.
func (s *typeSpace) function(f *wit.Function) (uint32, error) {
	key := functionShape(f)
	if index, ok := s.funcs[key]; ok {
		return index, nil
	}
	def := &binary.FuncType{Async: f.Async}
	for _, p := range f.Params {
		t, err := s.val(p.Type)
		if err != nil {
			return 0, err
		}
		def.Params = append(def.Params, binary.Field{Name: p.Name, Type: t})
	}
	var err error
	if def.Result, err = s.optional(f.Result); err != nil {
		return 0, err
	}
	index := s.define(def)
	s.funcs[key] = index
	return index, nil
}

func (s *typeSpace) optional(t wit.Type) (*binary.ValType, error) {
	if t == nil {
		return nil, nil
	}
	v, err := s.val(t)
	return &v, err
}

var binaryPrims = map[wit.Prim]binary.Prim{
	wit.Bool: binary.Bool, wit.U8: binary.U8, wit.U16: binary.U16, wit.U32: binary.U32, wit.U64: binary.U64,
	wit.S8: binary.S8, wit.S16: binary.S16, wit.S32: binary.S32, wit.S64: binary.S64,
	wit.F32: binary.F32, wit.F64: binary.F64, wit.Char: binary.Char, wit.String: binary.String,
	wit.ErrorContext: binary.ErrorContext,
}

// val returns a reference to a type, which is written first if need be.
func (s *typeSpace) val(t wit.Type) (binary.ValType, error) {
	d, ok := t.(*wit.TypeDef)
	if !ok {
		return binary.ValType{Prim: binaryPrims[t.(wit.Prim)]}, nil
	}
	if d.Name == "" {
		return s.unnamedType(d)
	}
	if index, ok := s.named[d]; ok {
		return binary.ValType{Index: index}, nil
	}
	index, err := s.namedType(d)
	if err != nil {
		return binary.ValType{}, err
	}
	s.named[d] = index
	return binary.ValType{Index: index}, nil
}

// index returns the index of a type that is not primitive.
func (s *typeSpace) index(t *wit.TypeDef) (uint32, error) {
	v, err := s.val(t)
	return v.Index, err
}

func (s *typeSpace) unnamedType(d *wit.TypeDef) (binary.ValType, error) {
	if a, ok := d.Kind.(*wit.Alias); ok {
		return s.val(a.Type)
	}
	key := kindKey(d.Kind)
	if index, ok := s.unnamed[key]; ok {
		return binary.ValType{Index: index}, nil
	}
	def, err := s.definition(d)
	if err != nil {
		return binary.ValType{}, err
	}
	index := s.define(def)
	s.unnamed[key] = index
	return binary.ValType{Index: index}, nil
}

func (s *typeSpace) namedType(d *wit.TypeDef) (uint32, error) {
	if owner, ok := d.Owner.(*wit.Interface); ok && owner != s.owner {
		return s.foreign(d)
	}
	switch k := d.Kind.(type) {
	case *wit.Resource:
		return s.resource(d)
	case *wit.Alias:
		v, err := s.val(k.Type)
		if err != nil {
			return 0, err
		}
		if v.Prim != 0 {
			v.Index = s.define(v.Prim)
		}
		return s.name(d, v.Index), nil
	}
	def, err := s.definition(d)
	if err != nil {
		return 0, err
	}
	return s.name(d, s.define(def)), nil
}

// definition writes what a type is.
func (s *typeSpace) definition(t *wit.TypeDef) (binary.DefType, error) {
	var failure error
	val := func(t wit.Type) binary.ValType {
		v, err := s.val(t)
		if failure == nil {
			failure = err
		}
		return v
	}
	opt := func(t wit.Type) *binary.ValType {
		if t == nil {
			return nil
		}
		v := val(t)
		return &v
	}
	labels := func(labels []wit.Label) []string {
		var names []string
		for _, l := range labels {
			names = append(names, l.Name)
		}
		return names
	}
	var def binary.DefType
	switch k := t.Kind.(type) {
	case *wit.Record:
		r := &binary.Record{}
		for _, f := range k.Fields {
			r.Fields = append(r.Fields, binary.Field{Name: f.Name, Type: val(f.Type)})
		}
		def = r
	case *wit.Variant:
		v := &binary.Variant{}
		for _, c := range k.Cases {
			v.Cases = append(v.Cases, binary.Case{Name: c.Name, Type: opt(c.Type)})
		}
		def = v
	case *wit.Enum:
		def = &binary.Enum{Labels: labels(k.Cases)}
	case *wit.Flags:
		def = &binary.Flags{Labels: labels(k.Flags)}
	case *wit.Tuple:
		t := &binary.Tuple{}
		for _, part := range k.Types {
			t.Types = append(t.Types, val(part))
		}
		def = t
	case *wit.Option:
		def = &binary.Option{Type: val(k.Type)}
	case *wit.Result:
		ok := opt(k.OK)
		def = &binary.Result{Ok: ok, Err: opt(k.Err)}
	case *wit.List:
		def = &binary.List{Elem: val(k.Elem)}
	case *wit.FixedLengthList:
		n := k.Len
		def = &binary.List{Elem: val(k.Elem), Len: &n}
	case *wit.Map:
		key := val(k.Key)
		def = &binary.Map{Key: key, Value: val(k.Value)}
	case *wit.Future:
		def = &binary.Future{Elem: opt(k.Type)}
	case *wit.Stream:
		def = &binary.Stream{Elem: opt(k.Type)}
	case *wit.Own:
		def = &binary.Own{Type: val(k.Resource).Index}
	case *wit.Borrow:
		def = &binary.Borrow{Type: val(k.Resource).Index}
	default:
		return nil, fmt.Errorf("type %q has no definition", t.Name)
	}
	return def, failure
}

// externName is the name of a type or function.
func externName(name, externalID string) binary.ExternName {
	n := binary.ExternName{Name: name}
	if externalID != "" {
		n.ExternalID, n.HasExternalID, n.Form = externalID, true, 2
	}
	return n
}

// itemName is the name of an import or export.
func itemName(i *wit.WorldItem) binary.ExternName {
	id := i.ExternalID
	switch {
	case i.Function != nil:
		id = i.Function.ExternalID
	case i.Type != nil:
		id = i.Type.ExternalID
	}
	n := externName(i.ExternName(), id)
	if n.Implements = i.Implements(); n.Implements != "" {
		n.Form = 2
	}
	return n
}
