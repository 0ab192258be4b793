package componentize

import (
	"fmt"
	"strings"

	"github.com/ashlar-wasm/ashlar/wit"
)

// copier copies types and functions of an item of an embedded world into the merged
// one, where what they refer to is that of the merged world too.
type copier struct {
	m      *merger
	export bool
	// from and to are the interface that is copied and what it is copied into; nil
	// for items of a world.
	from, to *wit.Interface
	types    map[*wit.TypeDef]*wit.TypeDef
}

// definition copies a named type of what is copied.
func (c *copier) definition(t *wit.TypeDef) (*wit.TypeDef, error) {
	d := &wit.TypeDef{Name: t.Name, ExternalID: t.ExternalID}
	if c.to != nil {
		d.Owner = c.to
	}
	var err error
	d.Kind, err = c.kind(t.Kind)
	return d, err
}

func (c *copier) kind(k wit.Kind) (wit.Kind, error) {
	var failure error
	out := wit.MapKind(k, func(t wit.Type) wit.Type {
		to, err := c.typ(t)
		if err != nil {
			if failure == nil {
				failure = err
			}
			return t
		}
		return to
	})
	return out, failure
}

// typ returns what a type is in the merged world.
func (c *copier) typ(t wit.Type) (wit.Type, error) {
	d, ok := t.(*wit.TypeDef)
	if !ok {
		return t, nil
	}
	if to := c.types[d]; to != nil {
		return to, nil
	}
	to, err := c.resolve(d)
	if err == nil {
		c.types[d] = to
	}
	return to, err
}

func (c *copier) resolve(d *wit.TypeDef) (*wit.TypeDef, error) {
	if d.Name == "" {
		k, err := c.kind(d.Kind)
		return &wit.TypeDef{Kind: k}, err
	}
	owner, ok := d.Owner.(*wit.Interface)
	if !ok {
		if t := c.m.types[d.Name]; t != nil {
			return t, nil
		}
		return nil, fmt.Errorf("type %q is not imported", d.Name)
	}
	target := c.to
	if owner != c.from {
		entry := c.m.sources[imports][c.m.upgraded(owner.ID())]
		if x := c.m.sources[exports][owner.ID()]; c.export && c.from != nil && x != nil {
			entry = x
		}
		if entry == nil || owner.Name == "" {
			return nil, fmt.Errorf("type %q is of interface %s, which is neither imported nor exported", d.Name, owner.ID())
		}
		item, err := c.m.merge(entry)
		if err != nil {
			return nil, err
		}
		target = item.Interface
	}
	if target != nil {
		if t := c.m.world.types[target][d.Name]; t != nil {
			return t, nil
		}
	}
	return nil, fmt.Errorf("type %q is used before it is defined", d.Name)
}

func (c *copier) function(f *wit.Function) (*wit.Function, error) {
	out := &wit.Function{Name: f.Name, Kind: f.Kind, Async: f.Async, ExternalID: f.ExternalID}
	if f.Resource != nil {
		r, err := c.typ(f.Resource)
		if err != nil {
			return nil, err
		}
		out.Resource = r.(*wit.TypeDef)
	}
	for _, p := range f.Params {
		t, err := c.typ(p.Type)
		if err != nil {
			return nil, fmt.Errorf("parameter %q: %w", p.Name, err)
		}
		out.Params = append(out.Params, wit.Param{Name: p.Name, Type: t})
	}
	if f.Result != nil {
		t, err := c.typ(f.Result)
		if err != nil {
			return nil, fmt.Errorf("result: %w", err)
		}
		out.Result = t
	}
	return out, nil
}

// typeKey returns a text that is the same for the same types only: a type with a
// name is itself.
func typeKey(t wit.Type) string {
	switch t := t.(type) {
	case wit.Prim:
		return t.String()
	case *wit.TypeDef:
		if t.Name != "" {
			return fmt.Sprintf("%p", t)
		}
		return kindKey(t.Kind)
	}
	return "_"
}

// kindKey is typeKey for what a type is, without its name.
func kindKey(k wit.Kind) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%T(", k)
	switch k := k.(type) {
	case *wit.Record:
		for _, f := range k.Fields {
			b.WriteString(f.Name + ":" + typeKey(f.Type) + ",")
		}
	case *wit.Variant:
		for _, c := range k.Cases {
			b.WriteString(c.Name + ":" + typeKey(c.Type) + ",")
		}
	case *wit.Enum:
		for _, l := range k.Cases {
			b.WriteString(l.Name + ",")
		}
	case *wit.Flags:
		for _, l := range k.Flags {
			b.WriteString(l.Name + ",")
		}
	case *wit.Result:
		b.WriteString(typeKey(k.OK) + "," + typeKey(k.Err))
	case *wit.FixedLengthList:
		fmt.Fprintf(&b, "%s,%d", typeKey(k.Elem), k.Len)
	case *wit.Future:
		b.WriteString(typeKey(k.Type))
	case *wit.Stream:
		b.WriteString(typeKey(k.Type))
	default:
		wit.MapKind(k, func(t wit.Type) wit.Type {
			b.WriteString(typeKey(t) + ",")
			return t
		})
	}
	b.WriteByte(')')
	return b.String()
}

// functionShape is typeKey for the type of a function.
func functionShape(f *wit.Function) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%t(", f.Async)
	for _, p := range f.Params {
		b.WriteString(p.Name + ":" + typeKey(p.Type) + ",")
	}
	return b.String() + ")" + typeKey(f.Result)
}
