package bindgen

import "github.com/ashlar-wasm/ashlar/wit"

// instanceOf returns the interface of an item. Under a plain name
// (`import one: store;`) an interface is one of its own: its resources are not
// those of another import or export of it. So these, and the types that hold
// them, are copied, with the interface for owner. All other types are the same.
func instanceOf(item *wit.WorldItem) *wit.Interface {
	from := item.Interface
	if item.Implements() == "" {
		return from
	}
	to := *from
	c := &copier{from: from, to: &to, holds: map[*wit.TypeDef]bool{}, copies: map[*wit.TypeDef]*wit.TypeDef{}}
	to.Types = nil
	for _, t := range from.Types {
		to.Types = append(to.Types, c.def(t))
	}
	if len(c.copies) == 0 {
		return from
	}
	to.Functions = nil
	for _, f := range from.Functions {
		to.Functions = append(to.Functions, c.function(f))
	}
	return &to
}

// copier copies the types of an interface that hold its resources.
type copier struct {
	from, to *wit.Interface
	holds    map[*wit.TypeDef]bool // memo of holdsOwn
	copies   map[*wit.TypeDef]*wit.TypeDef
}

func (c *copier) typ(t wit.Type) wit.Type {
	if d, ok := t.(*wit.TypeDef); ok {
		return c.def(d)
	}
	return t
}

func (c *copier) def(t *wit.TypeDef) *wit.TypeDef {
	if !c.holdsOwn(t) {
		return t
	}
	if have := c.copies[t]; have != nil {
		return have
	}
	made := *t
	c.copies[t] = &made
	if t.Owner != nil {
		made.Owner = c.to
	}
	made.Kind = wit.MapKind(t.Kind, c.typ)
	return &made
}

func (c *copier) function(f *wit.Function) *wit.Function {
	made := *f
	if f.Resource != nil {
		made.Resource = c.def(f.Resource)
	}
	made.Params = nil
	for _, p := range f.Params {
		p.Type = c.typ(p.Type)
		made.Params = append(made.Params, p)
	}
	if f.Result != nil {
		made.Result = c.typ(f.Result)
	}
	return &made
}

// holdsOwn reports whether a type is, or is made of, a resource that the
// interface defines.
func (c *copier) holdsOwn(t wit.Type) bool {
	return holdsResource(t, c.holds, func(d *wit.TypeDef) bool { return d.Owner == c.from })
}
