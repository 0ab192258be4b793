package wit

import "slices"

// cloner copies items that a world owns into another one.
type cloner struct {
	from, to Owner
	pkg      *Package
	types    map[*TypeDef]*TypeDef
}

func (c *cloner) item(i *WorldItem, name string) *WorldItem {
	clone := *i
	clone.Name = name
	switch {
	case i.Function != nil:
		clone.Function = c.function(i.Function)
		clone.Function.Name = name
	case i.Type != nil:
		clone.Type = c.typeDef(i.Type)
		clone.Type.Name = name
	case i.Interface.Name == "":
		clone.Interface = c.inline(i.Interface)
	}
	return &clone
}

func (c *cloner) inline(i *Interface) *Interface {
	clone := *i
	clone.Package = c.pkg
	inner := &cloner{from: i, to: &clone, pkg: c.pkg, types: map[*TypeDef]*TypeDef{}}
	clone.Types = nil
	for _, t := range i.Types {
		clone.Types = append(clone.Types, inner.typeDef(t))
	}
	clone.Functions = nil
	for _, f := range i.Functions {
		clone.Functions = append(clone.Functions, inner.function(f))
	}
	return &clone
}

func (c *cloner) function(f *Function) *Function {
	clone := *f
	if f.Resource != nil {
		clone.Resource = c.typeDef(f.Resource)
	}
	clone.Params = slices.Clone(f.Params)
	for i := range clone.Params {
		clone.Params[i].Type = c.typ(clone.Params[i].Type)
	}
	clone.Result = c.typ(f.Result)
	return &clone
}

func (c *cloner) typ(t Type) Type {
	if d, ok := t.(*TypeDef); ok {
		return c.typeDef(d)
	}
	return t
}

func (c *cloner) typeDef(t *TypeDef) *TypeDef {
	if clone := c.types[t]; clone != nil {
		return clone
	}
	if t.Owner != nil && t.Owner != c.from {
		return t
	}
	clone := *t
	c.types[t] = &clone
	if t.Owner != nil {
		clone.Owner = c.to
	}
	clone.root = nil
	clone.Kind = MapKind(t.Kind, c.typ)
	return &clone
}

// MapKind returns a copy of a kind in which f was applied to every type that it
// refers to and that is not nil. For the resource of a handle f must return a
// *TypeDef.
func MapKind(k Kind, f func(Type) Type) Kind {
	opt := func(t Type) Type {
		if t == nil {
			return nil
		}
		return f(t)
	}
	switch k := k.(type) {
	case *Alias:
		return &Alias{f(k.Type)}
	case *Record:
		fields := slices.Clone(k.Fields)
		for i := range fields {
			fields[i].Type = f(fields[i].Type)
		}
		return &Record{fields}
	case *Variant:
		cases := slices.Clone(k.Cases)
		for i := range cases {
			cases[i].Type = opt(cases[i].Type)
		}
		return &Variant{cases}
	case *Tuple:
		types := slices.Clone(k.Types)
		for i := range types {
			types[i] = f(types[i])
		}
		return &Tuple{types}
	case *Own:
		return &Own{f(k.Resource).(*TypeDef)}
	case *Borrow:
		return &Borrow{f(k.Resource).(*TypeDef)}
	case *Option:
		return &Option{f(k.Type)}
	case *Result:
		return &Result{opt(k.OK), opt(k.Err)}
	case *List:
		return &List{f(k.Elem)}
	case *FixedLengthList:
		return &FixedLengthList{f(k.Elem), k.Len}
	case *Map:
		return &Map{f(k.Key), f(k.Value)}
	case *Future:
		return &Future{opt(k.Type)}
	case *Stream:
		return &Stream{opt(k.Type)}
	}
	return k
}
