package wit

import (
	"slices"
	"strings"
)

// worldResolver resolves one world.
type worldResolver struct {
	*packageResolver
	world    *World
	decl     *worldDecl
	scope    *scope
	includes []include
}

type include struct {
	world *World
	names []rename
	span  span
}

// itemKey identifies an import or export: by its plain name, or by the
// interface whose external name it has.
type itemKey struct {
	name  string
	iface *Interface
}

func (i *WorldItem) key() itemKey {
	if i.Name != "" || i.Interface == nil {
		return itemKey{name: i.Name}
	}
	return itemKey{iface: i.Interface}
}

func (i *WorldItem) noun() string {
	switch {
	case i.Function != nil:
		return "func"
	case i.Type != nil:
		return "type"
	}
	return "interface"
}

// itemSet is an ordered set of imports or exports.
type itemSet struct {
	items []*WorldItem
	index map[itemKey]*WorldItem
}

func newItemSet() *itemSet { return &itemSet{index: map[itemKey]*WorldItem{}} }

func (s *itemSet) add(i *WorldItem) {
	s.items = append(s.items, i)
	s.index[i.key()] = i
}

func (s *itemSet) has(k itemKey) bool { return s.index[k] != nil }

// resolve resolves the world's own items, but no includes yet. It returns all
// types that were defined in it.
func (w *worldResolver) resolve() ([]*TypeDef, error) {
	world := w.world
	world.Docs = docText(w.decl.docs)
	s, _, keepWorld, err := w.gate(w.decl.attrs, world.span)
	if err != nil {
		return nil, err
	}
	world.Stability = s
	if !keepWorld {
		w.gated[world] = true
	}
	w.scope = newScope()
	types, err := w.resolveTypes(world, w.scope, w.decl.items)
	if err != nil {
		return nil, err
	}
	imports, exports := newItemSet(), newItemSet()
	for _, t := range types {
		imports.add(&WorldItem{Name: t.Name, Type: t, span: t.span})
	}
	for _, it := range w.decl.items {
		switch {
		case it.include != nil:
			if err := w.resolveIncludeDecl(it.include); err != nil {
				return nil, err
			}
		case it.typ != nil && it.typ.expr.op == opResource:
			for _, decl := range it.typ.expr.funcs {
				f, err := w.resolveFunction(w.scope, decl, w.scope.names[it.typ.name.name].typ)
				if err != nil {
					return nil, err
				}
				imports.add(&WorldItem{Name: f.Name, Function: f, span: f.span})
			}
		case it.extern != nil:
			item, ts, err := w.resolveExtern(it.extern)
			if err != nil {
				return nil, err
			}
			types = append(types, ts...)
			set, verb := imports, "import"
			if it.extern.export {
				set, verb = exports, "export"
			}
			if prev := set.index[item.key()]; prev != nil {
				if item.Name == "" {
					return nil, item.span.errorf("interface cannot be %sed more than once", verb)
				}
				return nil, item.span.errorf("%s `%s` conflicts with prior %s of same name", verb, item.Name, prev.noun())
			}
			set.add(item)
		}
	}
	if !keepWorld {
		return types, nil
	}
	if world.Imports, err = w.kept(imports.items); err == nil {
		world.Exports, err = w.kept(exports.items)
	}
	return types, err
}

// kept returns the items whose feature gate is open.
func (w *worldResolver) kept(items []*WorldItem) ([]*WorldItem, error) {
	var out []*WorldItem
	for _, item := range items {
		keep, err := w.include(item.stability(), item.span)
		switch {
		case err != nil:
			return nil, err
		case !keep:
			continue
		case item.Function != nil:
			if _, err := w.keepFunction(item.Function, true); err != nil {
				return nil, err
			}
		case item.Interface != nil && w.gated[item.Interface]:
			return nil, item.span.errorf("found a reference to an interface which is excluded because its feature is not active")
		}
		out = append(out, item)
	}
	return out, nil
}

func (w *worldResolver) resolveIncludeDecl(d *includeDecl) error {
	_, _, keep, err := w.gate(d.attrs, d.from.name.span)
	if err != nil {
		return err
	}
	from, err := w.lookupWorld(d.from, keep)
	if err != nil || !keep {
		return err
	}
	w.includes = append(w.includes, include{from, d.names, d.from.name.span})
	return nil
}

func (w *worldResolver) resolveExtern(d *externDecl) (*WorldItem, []*TypeDef, error) {
	item := &WorldItem{span: d.span()}
	if d.name != nil {
		item.Name = d.name.name
	}
	if d.fn != nil {
		var err error
		item.Function, err = w.resolveFunction(w.scope, d.fn, nil)
		return item, nil, err
	}
	s, externalID, keep, err := w.gate(d.attrs, item.span)
	if err != nil {
		return nil, nil, err
	}
	item.Stability, item.ExternalID = s, externalID
	if d.inline {
		item.Interface = &Interface{Package: w.pkg, span: d.name.span}
		types, err := w.resolveInterface(item.Interface, d.items, d.docs, d.attrs)
		return item, types, err
	}
	item.Docs = docText(d.docs)
	item.Interface, err = w.lookupInterface(*d.path, keep)
	if err == nil && item.Interface == nil {
		// The statement is left out, so any interface does.
		item.Interface = &Interface{Name: d.path.name.name, Package: w.pkg}
	}
	return item, nil, err
}

// expand processes the world's includes and adds the interfaces on which its
// imports and exports depend.
func (w *worldResolver) expand() error {
	imports, exports := newItemSet(), newItemSet()
	for _, item := range w.world.Imports {
		imports.add(item)
	}
	for _, item := range w.world.Exports {
		exports.add(item)
	}
	for _, inc := range w.includes {
		if err := w.includeWorld(inc, imports, exports); err != nil {
			return err
		}
	}
	if err := w.checkCase(imports.items, "import"); err != nil {
		return err
	}
	if err := w.checkCase(exports.items, "export"); err != nil {
		return err
	}
	return w.elaborate(imports, exports)
}

// checkCase refuses names that differ only in case.
func (w *worldResolver) checkCase(items []*WorldItem, verb string) error {
	seen := map[string]string{}
	for _, item := range items {
		if item.Name == "" {
			continue
		}
		key := strings.ToLower(item.Name)
		if prev, dup := seen[key]; dup && prev != item.Name {
			return item.span.errorf("%s `%s` in world `%s` conflicts with %s `%s` (identifiers are case-insensitive)",
				verb, item.Name, w.world.Name, verb, prev)
		}
		seen[key] = item.Name
	}
	return nil
}

func (w *worldResolver) includeWorld(inc include, imports, exports *itemSet) error {
	if w.gated[inc.world] {
		return inc.span.errorf("found a reference to a world which is excluded because its feature is not active")
	}
	renames := map[string]string{}
	unused := map[string]bool{}
	for _, r := range inc.names {
		unused[r.name.name] = true
		if _, dup := renames[r.name.name]; !dup {
			renames[r.name.name] = r.as.name
		}
	}
	cloner := &cloner{from: inc.world, to: w.world, pkg: w.pkg, types: map[*TypeDef]*TypeDef{}}
	for _, set := range []struct {
		verb string
		from []*WorldItem
		to   *itemSet
	}{{"import", inc.world.Imports, imports}, {"export", inc.world.Exports, exports}} {
		for _, item := range set.from {
			if w.items++; w.items > maxItems {
				return inc.span.errorf("worlds have more than %d items", maxItems)
			}
			if item.Name == "" {
				if err := mergeItem(set.to, item, inc.world.Package != w.pkg); err != nil {
					return inc.span.errorf("%s", err.Error())
				}
				continue
			}
			name, old := renameItem(item.Name, renames)
			delete(unused, old)
			clone := cloner.item(item, name)
			if set.to.has(clone.key()) {
				return inc.span.errorf("%s of `%s` shadows previously %sed items", set.verb, name, set.verb)
			}
			set.to.add(clone)
		}
	}
	for _, r := range inc.names {
		if unused[r.name.name] {
			return r.name.span.errorf("no import or export named `%s` in world `%s`", r.name.name, inc.world.Name).
				withHint("items that are named by an interface's ID can't be renamed")
		}
	}
	return nil
}

type stabilityMismatch struct{ from, into Stability }

func (e *stabilityMismatch) Error() string {
	return "mismatch between the feature gates of included items"
}

// mergeItem adds an interface that was included. One that is there already
// stays, and takes over the gate.
func mergeItem(set *itemSet, item *WorldItem, external bool) error {
	prev := set.index[item.key()]
	if prev == nil {
		clone := *item
		set.add(&clone)
		prev = &clone
	}
	switch {
	case external && item.Stability.Since != "":
		// A version of another package says nothing in this one.
		prev.Stability = Stability{}
	case item.Stability == prev.Stability || item.Stability == Stability{}:
	case prev.Stability == Stability{}:
		prev.Stability = item.Stability
	default:
		return &stabilityMismatch{item.Stability, prev.Stability}
	}
	return nil
}

// renameItem applies `with { a as b }` to an item's name, and returns what it
// becomes and which name was replaced. A resource's functions are renamed with
// it.
func renameItem(name string, renames map[string]string) (renamed, old string) {
	if to, ok := renames[name]; ok {
		return to, name
	}
	prefix, rest, ok := strings.Cut(name, "]")
	if !ok {
		return name, ""
	}
	resource, fn, isMember := strings.Cut(rest, ".")
	to, ok := renames[resource]
	switch {
	case !ok:
		return name, ""
	case isMember:
		return prefix + "]" + to + "." + fn, resource
	}
	return prefix + "]" + to, resource
}

// elaborate sets the world's imports and exports: complete and in order.
func (w *worldResolver) elaborate(imports, exports *itemSet) error {
	sorted := slices.Clone(imports.items)
	sortItems(sorted)
	out := newItemSet()
	for _, item := range sorted {
		switch {
		case item.Interface != nil:
			w.addImport(out, item)
		case item.Type != nil:
			if dep := item.Type.UsedFrom(); dep != nil {
				w.addImport(out, &WorldItem{Interface: dep, Stability: item.Type.Stability})
			}
			out.add(item)
		default:
			out.add(item)
		}
	}
	outExports := newItemSet()
	interfaces := newItemSet()
	for _, item := range exports.items {
		if item.Interface != nil {
			interfaces.add(item)
		} else {
			outExports.add(item)
		}
	}
	e := &exporter{resolver: w.resolver, imports: out, exported: outExports, interfaces: interfaces, required: map[*Interface]bool{}}
	for _, item := range interfaces.items {
		if !e.add(item, true) {
			return w.world.span.errorf("interface `%s` transitively depends on an interface in incompatible ways", item.ExternName()).
				withHint("export the interfaces between it and the exported interface that they use as well")
		}
	}
	sortItems(out.items)
	w.world.Imports, w.world.Exports = out.items, outExports.items
	if w.items += len(out.items) + len(outExports.items); w.items > maxItems {
		return w.world.span.errorf("worlds have more than %d items", maxItems)
	}
	return nil
}

// sortItems orders imports by class, as they are printed and encoded:
// interfaces, used types, defined types, functions, functions of resources.
func sortItems(items []*WorldItem) {
	class := func(i *WorldItem) int {
		switch {
		case i.Interface != nil:
			return 0
		case i.Type != nil && i.Type.UsedFrom() != nil:
			return 1
		case i.Type != nil:
			return 2
		case i.Function.Kind == Freestanding:
			return 3
		}
		return 4
	}
	slices.SortStableFunc(items, func(a, b *WorldItem) int { return class(a) - class(b) })
}

// addImport adds an interface after those that it depends on.
func (r *resolver) addImport(set *itemSet, item *WorldItem) {
	if set.has(item.key()) {
		return
	}
	deps := r.dependencies(item.Interface)
	r.items += len(deps)
	for _, dep := range deps {
		r.addImport(set, &WorldItem{Interface: dep, Stability: item.Stability})
	}
	set.add(item)
}

// exporter adds exports and what they depend on. A dependency that is not
// exported itself is imported, and all of its own dependencies with it; none
// of these may then be exported, because there would be two copies of it.
type exporter struct {
	*resolver
	imports    *itemSet
	exported   *itemSet
	interfaces *itemSet // all that is to be exported
	required   map[*Interface]bool
}

func (e *exporter) add(item *WorldItem, export bool) bool {
	key := item.key()
	if e.exported.has(key) {
		return export
	}
	if !export && e.required[item.Interface] {
		return true
	}
	deps := e.dependencies(item.Interface)
	e.items += len(deps)
	for _, dep := range deps {
		d := &WorldItem{Interface: dep, Stability: item.Stability, ExternalID: item.ExternalID}
		if !e.add(d, export && e.interfaces.has(d.key())) {
			return false
		}
	}
	if export {
		if e.required[item.Interface] {
			return false
		}
		e.exported.add(item)
		return true
	}
	e.required[item.Interface] = true
	if !e.imports.has(key) {
		e.imports.add(item)
	}
	return true
}
