package componentize

import (
	"errors"
	"fmt"

	"github.com/ashlar-wasm/ashlar/wit"
)

// Targets reports whether a component fits a world: it imports no more than the world
// does, and exports no less, with the same types. An interface may be of another version
// of the compatibility track, as when a component is run; its functions decide.
//
// The error is one for each function or interface that differs, joined; it says how.
func Targets(component []byte, world *wit.World) error {
	_, have, err := wit.Decode(component)
	if err != nil {
		return fmt.Errorf("decode component: %w", err)
	}
	if have == nil {
		return errors.New("the file is a WIT package, not a component")
	}
	var all []error
	// What one side needs, the other must have: the world is what is around the
	// component.
	all = append(all, compareItems("import", "the world does not import it", have.Imports, world.Imports, true)...)
	all = append(all, compareItems("export", "the component does not export it", world.Exports, have.Exports, false)...)
	if len(all) == 0 {
		return nil
	}
	return fmt.Errorf("the component does not fit world %s: %w", world.ID(), errors.Join(all...))
}

// compareItems finds every needed item among those offered. needed tells that those which
// need are of the component.
func compareItems(verb, missing string, need, offer []*wit.WorldItem, needed bool) []error {
	var all []error
	fail := func(item *wit.WorldItem, err error) {
		all = append(all, fmt.Errorf("%s %s: %w", verb, item.ExternName(), err))
	}
	index := newIndex(offer)
	for _, n := range need {
		if n.Type != nil {
			continue // what it is matters where functions use it
		}
		o := offered(n, index)
		switch {
		case o == nil:
			fail(n, errors.New(missing))
		case (n.Interface == nil) != (o.Interface == nil):
			fail(n, errors.New("one is a function, the other an interface"))
		case n.Function != nil:
			if err := compareFunctions(n.Function, o.Function, needed); err != nil {
				fail(n, err)
			}
		default:
			for _, f := range n.Interface.Functions {
				other := o.Interface.Function(f.Name)
				if other == nil {
					fail(n, fmt.Errorf("function %q: %s", f.Name, missing))
				} else if err := compareFunctions(f, other, needed); err != nil {
					fail(n, fmt.Errorf("function %q: %w", f.Name, err))
				}
			}
		}
	}
	return all
}

// offered finds an item of the same name or, of an interface, the same track.
func offered(n *wit.WorldItem, offer *itemIndex) *wit.WorldItem {
	if o := offer.exact[n.ExternName()]; o != nil && o.Type == nil {
		return o
	}
	if n.Interface == nil {
		return nil
	}
	return offer.compatible(n.ExternName())
}

// compareFunctions compares a function that is needed with the one that is offered.
func compareFunctions(need, offer *wit.Function, needed bool) error {
	component, world := need, offer
	if !needed {
		component, world = offer, need
	}
	c := &comparison{same: map[[2]*wit.TypeDef]bool{}}
	err := c.functions(component, world)
	if err != nil {
		return fmt.Errorf("%w: it is %s in the component and %s in the world", err, functionText(component), functionText(world))
	}
	return nil
}

// comparison compares types of a component with those of a world. Names do not matter,
// but those of resources do.
type comparison struct{ same map[[2]*wit.TypeDef]bool }

func (c *comparison) functions(a, b *wit.Function) error {
	if a.Async != b.Async {
		return errors.New("only one is async")
	}
	if len(a.Params) != len(b.Params) {
		return fmt.Errorf("%d and %d parameters", len(a.Params), len(b.Params))
	}
	for i, p := range a.Params {
		if q := b.Params[i]; p.Name != q.Name {
			return fmt.Errorf("parameter %d is named %q and %q", i+1, p.Name, q.Name)
		}
		if err := c.types(p.Type, b.Params[i].Type); err != nil {
			return fmt.Errorf("parameter %q: %w", p.Name, err)
		}
	}
	if err := c.types(a.Result, b.Result); err != nil {
		return fmt.Errorf("result: %w", err)
	}
	return nil
}

// plain follows aliases, also those of primitive types.
func plain(t wit.Type) wit.Type {
	for {
		d, ok := t.(*wit.TypeDef)
		if !ok {
			return t
		}
		a, ok := d.Kind.(*wit.Alias)
		if !ok {
			return d
		}
		t = a.Type
	}
}

func (c *comparison) types(a, b wit.Type) error {
	a, b = plain(a), plain(b)
	different := func() error { return fmt.Errorf("%s and %s", typeText(a), typeText(b)) }
	x, ok := a.(*wit.TypeDef)
	y, ok2 := b.(*wit.TypeDef)
	if !ok || !ok2 {
		if a != b {
			return different()
		}
		return nil
	}
	pair := [2]*wit.TypeDef{x, y}
	if c.same[pair] {
		return nil
	}
	if fmt.Sprintf("%T", x.Kind) != fmt.Sprintf("%T", y.Kind) {
		return different()
	}
	if err := c.kinds(x, y, different); err != nil {
		return err
	}
	c.same[pair] = true
	return nil
}

// kinds compares two types of one kind.
func (c *comparison) kinds(x, y *wit.TypeDef, different func() error) error {
	var names [2][]string
	var parts [2][]wit.Type
	for i, t := range []*wit.TypeDef{x, y} {
		add := func(name string, part wit.Type) {
			names[i], parts[i] = append(names[i], name), append(parts[i], part)
		}
		switch k := t.Kind.(type) {
		case *wit.Resource:
			add(ownerName(t)+"."+t.Name, nil)
		case *wit.Record:
			for _, f := range k.Fields {
				add(f.Name, f.Type)
			}
		case *wit.Variant:
			for _, v := range k.Cases {
				add(v.Name, v.Type)
			}
		case *wit.Enum:
			for _, l := range k.Cases {
				add(l.Name, nil)
			}
		case *wit.Flags:
			for _, l := range k.Flags {
				add(l.Name, nil)
			}
		case *wit.Result:
			add("ok", k.OK)
			add("error", k.Err)
		case *wit.FixedLengthList:
			add(fmt.Sprintf("%d elements", k.Len), k.Elem)
		case *wit.Future:
			add("payload", k.Type)
		case *wit.Stream:
			add("payload", k.Type)
		default:
			wit.MapKind(k, func(part wit.Type) wit.Type {
				add("", part)
				return part
			})
		}
	}
	if len(names[0]) != len(names[1]) {
		return fmt.Errorf("%w: it has %q here and %q there", different(), names[0], names[1])
	}
	for i, name := range names[0] {
		if other := names[1][i]; name != other {
			return fmt.Errorf("%w: %q and %q", different(), name, other)
		}
		if err := c.types(parts[0][i], parts[1][i]); err != nil {
			if name == "" {
				return err
			}
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// ownerName is the name of the interface that has a type, without its version.
func ownerName(t *wit.TypeDef) string {
	if i, ok := t.Owner.(*wit.Interface); ok {
		return unversioned(i.ID())
	}
	return ""
}
