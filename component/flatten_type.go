package component

import (
	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/canon"
)

// typeDef evaluates a type definition.
func (f *flattener) typeDef(s *scope, t *binary.Type) typeDef {
	switch def := t.Def.(type) {
	case *binary.FuncType:
		params := make([]canon.Field, len(def.Params))
		for i, p := range def.Params {
			params[i] = canon.Field{Name: p.Name, Type: f.valType(s, p.Type)}
		}
		return typeDef{fn: canon.Func(def.Async, params, f.optType(s, def.Result))}
	case *binary.ComponentType, *binary.InstanceType:
		return typeDef{closure: &typeClosure{def: def, scope: s}}
	case *binary.ResourceType:
		r := f.resource("resource", -1, s.instance)
		if def.Dtor != nil {
			f.plan.resources[r.index].dtor = f.fn(s.core[binary.SortCoreFunc][*def.Dtor])
		}
		return typeDef{resource: r}
	default:
		return typeDef{val: f.defType(s, def)}
	}
}

// resource adds a resource type to the plan.
func (f *flattener) resource(name string, imported, instance int) *resourceRef {
	i := len(f.plan.resources)
	static := &canon.Resource{Name: name, Index: i}
	f.plan.resources = append(f.plan.resources, resourceDef{static: static, imported: imported, instance: instance, dtor: -1})
	return &resourceRef{static: static, index: i}
}

var primTypes = map[binary.Prim]*canon.Type{
	binary.Bool: canon.Bool, binary.S8: canon.S8, binary.U8: canon.U8, binary.S16: canon.S16, binary.U16: canon.U16,
	binary.S32: canon.S32, binary.U32: canon.U32, binary.S64: canon.S64, binary.U64: canon.U64,
	binary.F32: canon.F32Type, binary.F64: canon.F64Type, binary.Char: canon.Char, binary.String: canon.String,
	binary.ErrorContext: canon.ErrorContext,
}

func (f *flattener) valType(s *scope, t binary.ValType) *canon.Type {
	if t.Prim != 0 {
		return primTypes[t.Prim]
	}
	return s.types[t.Index].val
}

func (f *flattener) optType(s *scope, t *binary.ValType) *canon.Type {
	if t == nil {
		return nil
	}
	return f.valType(s, *t)
}

// defType evaluates a defined value type.
func (f *flattener) defType(s *scope, def binary.DefType) *canon.Type {
	switch def := def.(type) {
	case binary.Prim:
		return primTypes[def]
	case *binary.Record:
		fields := make([]canon.Field, len(def.Fields))
		for i, d := range def.Fields {
			fields[i] = canon.Field{Name: d.Name, Type: f.valType(s, d.Type)}
		}
		return canon.Record(fields...)
	case *binary.Variant:
		cases := make([]canon.Case, len(def.Cases))
		for i, d := range def.Cases {
			cases[i] = canon.Case{Name: d.Name, Type: f.optType(s, d.Type)}
		}
		return canon.Variant(cases...)
	case *binary.List:
		if def.Len != nil {
			return canon.FixedList(f.valType(s, def.Elem), *def.Len)
		}
		return canon.List(f.valType(s, def.Elem))
	case *binary.Tuple:
		types := make([]*canon.Type, len(def.Types))
		for i, t := range def.Types {
			types[i] = f.valType(s, t)
		}
		return canon.Tuple(types...)
	case *binary.Flags:
		return canon.Flags(def.Labels...)
	case *binary.Enum:
		return canon.Enum(def.Labels...)
	case *binary.Option:
		return canon.Option(f.valType(s, def.Type))
	case *binary.Result:
		return canon.Result(f.optType(s, def.Ok), f.optType(s, def.Err))
	case *binary.Own:
		return canon.Own(s.types[def.Type].resource.static)
	case *binary.Borrow:
		return canon.Borrow(s.types[def.Type].resource.static)
	case *binary.Stream:
		return canon.Stream(f.optType(s, def.Elem))
	case *binary.Future:
		return canon.Future(f.optType(s, def.Elem))
	case *binary.Map:
		return canon.Map(f.valType(s, def.Key), f.valType(s, def.Value))
	}
	return nil
}

// importItem evaluates what is imported from outside under a path, and records
// it as an import of the plan.
func (f *flattener) importItem(s *scope, path []string, t *binary.ExternType) item {
	it := item{sort: t.Kind.Sort()}
	n := len(f.plan.imports)
	im := importDef{path: path, sort: it.sort}
	switch t.Kind {
	case binary.ExternFunc:
		im.fn = s.types[t.Index].fn
		it.fn = &funcDef{typ: im.fn, imported: n, core: -1, instance: -1}
	case binary.ExternTypeEq:
		it.typ = s.types[t.Index]
		im.typ, im.res = it.typ, -1
	case binary.ExternResource:
		r := f.resource(path[len(path)-1], n, -1)
		it.typ = typeDef{resource: r}
		im.res = r.index
	case binary.ExternModule:
		im.module = s.coreTypes[t.Index].module
		it.module = &moduleRef{imported: n, typ: im.module}
	case binary.ExternInstance:
		f.plan.imports = append(f.plan.imports, im)
		it.instance = f.importInstance(path, s.types[t.Index].closure)
		f.plan.imports[n].types = it.instance
		return it
	case binary.ExternComponent:
		f.fail(t.Offset, "import %q: a component can't be imported by the outermost component", path[0])
	default:
		f.fail(t.Offset, "import %q: component values are not supported", path[0])
	}
	f.plan.imports = append(f.plan.imports, im)
	return it
}

// importInstance evaluates an instance type for an instance from outside.
func (f *flattener) importInstance(path []string, c *typeClosure) *instanceDef {
	def, ok := c.def.(*binary.InstanceType)
	if !ok {
		return &instanceDef{}
	}
	s := &scope{parent: c.scope, instance: c.scope.instance}
	out := &instanceDef{}
	for _, d := range def.Decls {
		f.tick(d.At())
		switch d := d.(type) {
		case *binary.CoreType:
			s.coreTypes = append(s.coreTypes, coreType(s, d))
		case *binary.Type:
			s.types = append(s.types, f.typeDef(s, d))
		case *binary.Alias:
			f.alias(s, d)
		case *binary.ExportDecl:
			sub := append(append([]string(nil), path...), d.Name.Name)
			it := f.importItem(s, sub, &d.Type)
			out.add(d.Name.Name, it)
			s.define(it)
		}
	}
	return out
}
