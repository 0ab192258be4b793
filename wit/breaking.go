package wit

import "fmt"

// A BreakingChange is what others who were made for an earlier version of a package or
// component would notice.
type BreakingChange struct {
	// Item is what changed: "interface logger", "world app", or an import or export of a
	// component.
	Item string `json:"item"`
	// Change says how: "function \"log\" is gone".
	Change string `json:"change"`
}

// String returns the change as a line of text.
func (c BreakingChange) String() string { return c.Item + ": " + c.Change }

// BreakingChanges lists what of a package's earlier version the later one breaks:
//
//   - interfaces, types and functions that are gone, or changed. More of them break
//     nothing.
//   - worlds that are gone, and all that worlds import or export more or less. A world
//     has two sides: components made for it, of which more exports or less imports ask
//     for what they have not got, and those who run these, of whom more imports or less
//     exports do.
//
// What is behind a feature gate (@unstable) in the earlier version may change. The
// versions are those of one package; their packages of dependencies need not be the
// same, if their versions are of one track.
func BreakingChanges(earlier, later *Package) []BreakingChange {
	var b breaking
	for _, i := range earlier.Interfaces {
		b.item = "interface " + i.Name
		if i.Stability.Unstable != "" {
			continue
		}
		if other := later.Interface(i.Name); other == nil {
			b.add("is gone")
		} else {
			b.interfaces(i, other)
		}
	}
	for _, w := range earlier.Worlds {
		b.item = "world " + w.Name
		if w.Stability.Unstable != "" {
			continue
		}
		if other := later.World(w.Name); other == nil {
			b.add("is gone")
		} else {
			b.worlds(w, other)
		}
	}
	return b.all
}

// BreakingComponentChanges lists what of a component's earlier version the later one
// breaks, of the worlds that [Decode] returns for them: exports that are gone or
// changed, and imports that are new, have more functions, or changed.
func BreakingComponentChanges(earlier, later *World) []BreakingChange {
	var b breaking
	pair(earlier.Exports, later.Exports, func(before, now *WorldItem) {
		if before == nil {
			return
		}
		b.item = "export " + before.ExternName()
		b.items(before, now, "is gone")
	})
	// Of imports the later component is the one that asks.
	pair(later.Imports, earlier.Imports, func(now, before *WorldItem) {
		if now == nil {
			return
		}
		b.item = "import " + now.ExternName()
		switch {
		case before == nil:
			b.add("is new")
		case now.Interface != nil && before.Interface != nil:
			for _, f := range now.Interface.Functions {
				if other := before.Interface.Function(f.Name); other == nil {
					b.add("function %q is new", f.Name)
				} else {
					b.functions(fmt.Sprintf("function %q ", f.Name), other, f)
				}
			}
		default:
			b.items(before, now, "is new")
		}
	})
	return b.all
}

// breaking collects what is broken of an item.
type breaking struct {
	item string
	all  []BreakingChange
}

func (b *breaking) add(format string, args ...any) {
	b.all = append(b.all, BreakingChange{b.item, fmt.Sprintf(format, args...)})
}

func (b *breaking) functions(what string, before, now *Function) {
	if err := CompareFunctions(before, now); err != nil {
		b.add("%schanged: %v: it was %s and is %s", what, err, before.Signature(), now.Signature())
	}
}

func (b *breaking) interfaces(before, now *Interface) {
	for _, t := range before.Types {
		if t.Stability.Unstable != "" {
			continue
		}
		if other := now.Type(t.Name); other == nil {
			b.add("type %q is gone", t.Name)
		} else if err := CompareTypes(t, other); err != nil {
			b.add("type %q changed: %v", t.Name, err)
		}
	}
	for _, f := range before.Functions {
		if f.Stability.Unstable != "" {
			continue
		}
		if other := now.Function(f.Name); other == nil {
			b.add("function %q is gone", f.Name)
		} else {
			b.functions(fmt.Sprintf("function %q ", f.Name), f, other)
		}
	}
}

func (b *breaking) worlds(w, later *World) {
	for _, side := range []struct {
		verb         string
		before, now  []*WorldItem
		missing, new string
	}{
		{"import", w.Imports, later.Imports, "is gone, and components made for the world may use it", "is new, and those who run components of the world may not have it"},
		{"export", w.Exports, later.Exports, "is gone, and those who run components of the world may use it", "is new, and components made for the world don't have it"},
	} {
		pair(side.before, side.now, func(before, now *WorldItem) {
			if before != nil && before.stability().Unstable != "" || now != nil && now.stability().Unstable != "" {
				return
			}
			if before == nil {
				b.add("%s %s %s", side.verb, now.ExternName(), side.new)
				return
			}
			of := &breaking{item: b.item}
			// An interface of the package is compared where it is defined.
			if i := before.Interface; now == nil || i == nil || i.Name == "" || i.Package != w.Package || now.Interface != later.Package.Interface(i.Name) {
				of.items(before, now, side.missing)
			}
			for _, c := range of.all {
				b.add("%s %s %s", side.verb, before.ExternName(), c.Change)
			}
		})
	}
}

// items compares an item with what there is of it later, which may be nothing.
func (b *breaking) items(before, now *WorldItem, missing string) {
	switch {
	case now == nil:
		b.add("%s", missing)
	case (before.Interface == nil) != (now.Interface == nil):
		b.add("changed: one is a function, the other an interface")
	case before.Function != nil:
		b.functions("", before.Function, now.Function)
	default:
		b.interfaces(before.Interface, now.Interface)
	}
}

// pair visits the items of one list, each with that of the same name in the other, or
// nil, and then those that only the other has. Interfaces have the same name if their
// versions are of one track, and the same version comes first. Types are left out: what they are matters where functions
// use them.
func pair(items, others []*WorldItem, visit func(item, other *WorldItem)) {
	key := func(i *WorldItem) string {
		if i.Name != "" || i.Interface == nil {
			return i.Name
		}
		return trackID(i.Interface)
	}
	find := func(in []*WorldItem, i *WorldItem) *WorldItem {
		var found *WorldItem
		for _, o := range in {
			switch {
			case o.Type != nil || key(o) != key(i):
			case o.ExternName() == i.ExternName():
				return o
			case found == nil:
				found = o
			}
		}
		return found
	}
	for _, i := range items {
		if i.Type == nil {
			visit(i, find(others, i))
		}
	}
	for _, o := range others {
		if o.Type == nil && find(items, o) == nil {
			visit(nil, o)
		}
	}
}
