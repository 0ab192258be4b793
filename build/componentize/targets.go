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
	if err := wit.CompareFunctions(component, world); err != nil {
		return fmt.Errorf("%w: it is %s in the component and %s in the world", err, component.Signature(), world.Signature())
	}
	return nil
}
