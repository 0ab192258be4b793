package binary

import (
	"strings"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// typeDef checks a type definition.
func (s *scope) typeDef(d *Type) error {
	var t anyType
	var err error
	switch def := d.Def.(type) {
	case *FuncType:
		t, err = s.funcType(def, d.Offset)
	case *ComponentType:
		t, err = s.componentType(def, d.Offset)
	case *InstanceType:
		t, err = s.instanceType(def)
	case *ResourceType:
		t, err = s.resourceType(def, d.Offset)
	default:
		t, err = s.definedType(d.Def, d.Offset)
	}
	if err != nil {
		return err
	}
	s.types = append(s.types, t)
	return nil
}

func (s *scope) resourceType(d *ResourceType, offset int) (anyType, error) {
	if s.kind != inComponent {
		return nil, invalid(offset, "resources can only be defined within a concrete component")
	}
	if d.Rep == wasm.I64 {
		if err := s.need(FeatureMemory64, offset, "resources with `i64` require the `cm64` feature to be enabled"); err != nil {
			return nil, err
		}
	} else if d.Rep != wasm.I32 {
		return nil, invalid(offset, "resources can only be represented by `i32` or `i64`")
	}
	if d.Dtor != nil {
		f, err := at(s.coreFuncs, *d.Dtor, "core function", offset)
		if err != nil {
			return nil, err
		}
		if len(f.params) != 1 || f.params[0] != d.Rep || len(f.results) != 0 {
			return nil, invalid(offset, "core function %d has wrong signature for a destructor", *d.Dtor)
		}
	}
	r := &resource{}
	s.definedResources = append(s.definedResources, r)
	s.reps[r] = d.Rep
	return resourceRef{resource: r}, nil
}

func (s *scope) componentType(d *ComponentType, offset int) (anyType, error) {
	inner := s.newScope(inComponentType, s)
	if err := inner.defineAll(d.Decls); err != nil {
		return nil, err
	}
	t, err := inner.finish(offset)
	if err != nil {
		return nil, err
	}
	return t, nil
}

func (s *scope) instanceType(d *InstanceType) (anyType, error) {
	inner := s.newScope(inInstanceType, s)
	if err := inner.defineAll(d.Decls); err != nil {
		return nil, err
	}
	return &instanceType{
		exports: inner.exports, defined: inner.definedResources, explicit: inner.explicit, measure: inner.measure,
	}, nil
}

// valType checks a value type.
func (s *scope) valType(t ValType, offset int) (valType, error) {
	if t.Prim != 0 {
		if t.Prim == ErrorContext {
			if err := s.need(FeatureErrorContext, offset, "`error-context` requires the component model error-context feature"); err != nil {
				return valType{}, err
			}
		}
		return valType{prim: t.Prim}, nil
	}
	d, err := s.definedAt(t.Index, offset)
	return valType{def: d}, err
}

// labels checks that names are distinct labels.
func labels(names []string, what string, conflict string, offset int) error {
	seen := make(map[string]string, len(names))
	for _, name := range names {
		if name == "" {
			return invalid(offset, "%s name cannot be empty", what)
		}
		if !isKebab(name) {
			return invalid(offset, "%s name `%s` is not in kebab case", what, name)
		}
		key := strings.ToLower(name)
		if previous, ok := seen[key]; ok {
			return invalid(offset, "%s name `%s` conflicts with previous %s name `%s`", what, name, conflict, previous)
		}
		seen[key] = name
	}
	return nil
}

func (s *scope) funcType(d *FuncType, offset int) (anyType, error) {
	t := &funcType{async: d.Async, measure: leaf}
	for _, p := range d.Params {
		t.names = append(t.names, p.Name)
	}
	if err := labels(t.names, "function parameter", "parameter", offset); err != nil {
		return nil, err
	}
	for _, p := range d.Params {
		v, err := s.valType(p.Type, p.Offset)
		if err != nil {
			return nil, err
		}
		if err := t.measure.add(v.measure(), offset); err != nil {
			return nil, err
		}
		t.params = append(t.params, v)
	}
	if d.Result != nil {
		v, err := s.valType(*d.Result, offset)
		if err != nil {
			return nil, err
		}
		if v.measure().borrow {
			return nil, invalid(offset, "function result cannot contain a `borrow` type")
		}
		if err := t.measure.add(v.measure(), offset); err != nil {
			return nil, err
		}
		t.result = &v
	}
	return t, nil
}

// definedType checks a value type definition.
func (s *scope) definedType(def DefType, offset int) (anyType, error) {
	t := &definedType{measure: leaf}
	part := func(v ValType) error {
		p, err := s.valType(v, offset)
		if err != nil {
			return err
		}
		t.parts = append(t.parts, &p)
		return t.measure.add(p.measure(), offset)
	}
	optional := func(v *ValType) error {
		if v == nil {
			t.parts = append(t.parts, nil)
			return nil
		}
		return part(*v)
	}
	var err error
	switch d := def.(type) {
	case Prim:
		t.shape, t.prim = shapePrim, d
		_, err = s.valType(ValType{Prim: d}, offset)
	case *Record:
		t.shape = shapeRecord
		if len(d.Fields) == 0 {
			return nil, invalid(offset, "record type must have at least one field")
		}
		for _, f := range d.Fields {
			t.names = append(t.names, f.Name)
		}
		if err = labels(t.names, "record field", "field", offset); err != nil {
			return nil, err
		}
		for i := 0; err == nil && i < len(d.Fields); i++ {
			err = part(d.Fields[i].Type)
		}
	case *Variant:
		t.shape = shapeVariant
		if len(d.Cases) == 0 {
			return nil, invalid(offset, "variant type must have at least one case")
		}
		for _, c := range d.Cases {
			t.names = append(t.names, c.Name)
		}
		if err = labels(t.names, "variant case", "case", offset); err != nil {
			return nil, err
		}
		for i := 0; err == nil && i < len(d.Cases); i++ {
			err = optional(d.Cases[i].Type)
		}
	case *List:
		t.shape = shapeList
		if d.Len != nil {
			t.shape, t.length = shapeFixedList, *d.Len
			if err = s.need(FeatureFixedLists, offset, "Fixed-length lists require the component model fixed-length lists feature"); err != nil {
				return nil, err
			}
			if t.length == 0 {
				return nil, invalid(offset, "Fixed-length lists must have more than zero elements")
			}
			if t.length > 1<<30 {
				return nil, invalid(offset, "fixed-length list element count exceeds limit of %d", 1<<30)
			}
		}
		err = part(d.Elem)
	case *Map:
		t.shape = shapeMap
		if err = s.need(FeatureMaps, offset, "Maps require the component model map feature"); err != nil {
			return nil, err
		}
		if err = part(d.Key); err != nil {
			return nil, err
		}
		switch prim, ok := t.parts[0].primitive(); {
		case !ok || prim == F32 || prim == F64 || prim == ErrorContext:
			return nil, invalid(offset, "a `map` cannot have keys of type %s", t.parts[0].describe())
		}
		err = part(d.Value)
	case *Tuple:
		t.shape = shapeTuple
		if len(d.Types) == 0 {
			return nil, invalid(offset, "tuple type must have at least one type")
		}
		for i := 0; err == nil && i < len(d.Types); i++ {
			err = part(d.Types[i])
		}
	case *Flags:
		t.shape, t.names = shapeFlags, d.Labels
		if len(d.Labels) == 0 {
			return nil, invalid(offset, "flags must have at least one entry")
		}
		if len(d.Labels) > 32 {
			return nil, invalid(offset, "cannot have more than 32 flags")
		}
		err = labels(d.Labels, "flag", "flag", offset)
	case *Enum:
		t.shape, t.names = shapeEnum, d.Labels
		if len(d.Labels) == 0 {
			return nil, invalid(offset, "enum type must have at least one variant")
		}
		err = labels(d.Labels, "enum tag", "tag", offset)
	case *Option:
		t.shape = shapeOption
		err = part(d.Type)
	case *Result:
		t.shape = shapeResult
		if err = optional(d.Ok); err == nil {
			err = optional(d.Err)
		}
	case *Own:
		t.shape = shapeOwn
		t.resource, err = s.resourceAt(d.Type, offset)
	case *Borrow:
		t.shape = shapeBorrow
		t.measure.borrow = true
		t.resource, err = s.resourceAt(d.Type, offset)
	case *Stream:
		t.shape = shapeStream
		if err = optional(d.Elem); err != nil {
			return nil, err
		}
		if p := t.parts[0]; p != nil {
			if p.measure().borrow {
				return nil, invalid(offset, "`stream` cannot contain a `borrow` type")
			}
			if prim, ok := p.primitive(); ok && prim == Char {
				return nil, invalid(offset, "`stream<char>` is not valid at this time, use `stream<u8>` with a defined by encoding instead for now")
			}
		}
	case *Future:
		t.shape = shapeFuture
		if err = optional(d.Elem); err != nil {
			return nil, err
		}
		if p := t.parts[0]; p != nil && p.measure().borrow {
			return nil, invalid(offset, "`future` cannot contain a `borrow` type")
		}
	default:
		err = invalid(offset, "unknown type definition")
	}
	if err != nil {
		return nil, err
	}
	if t.measure.depth > maxTypeDepth {
		return nil, invalid(offset, "type nesting is too deep")
	}
	t.setABI()
	if t.size >= maxValueSize {
		return nil, invalid(offset, "type exceeds maximum byte size of %d", maxValueSize-1)
	}
	return t, nil
}
