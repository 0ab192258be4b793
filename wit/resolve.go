package wit

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Options select what becomes part of a [Resolve].
type Options struct {
	// Features are the @unstable features whose items are kept. All others
	// are left out.
	Features []string
	// AllFeatures keeps every item, whatever its feature.
	AllFeatures bool
	// Deps are further folders and files with packages that may be needed,
	// beside those in the deps folder.
	Deps []string
}

// maxItems bounds the number of imports and exports of all worlds together,
// which include statements multiply.
const maxItems = 1 << 20

// resolver turns syntax trees into the model.
type resolver struct {
	opts   Options
	res    *Resolve
	byName map[PackageName]*Package
	// scopes hold the names of every interface, of those that are left out too.
	scopes map[*Interface]*scope
	// gated are the interfaces and worlds whose feature gate is closed.
	gated map[Owner]bool
	known []PackageName // all packages, for hints
	// exports are the interfaces and worlds of the packages in res, by name.
	exports map[*Package]map[string]Owner
	// deps caches Interface.Dependencies.
	deps map[*Interface][]*Interface
	// items counts the imports and exports of all worlds.
	items int
}

func newResolver(opts Options) *resolver {
	return &resolver{
		opts:   opts,
		res:    &Resolve{},
		byName: map[PackageName]*Package{},
		scopes: map[*Interface]*scope{},
		gated:  map[Owner]bool{},

		exports: map[*Package]map[string]Owner{},
		deps:    map[*Interface][]*Interface{},
	}
}

// add makes a package that is resolved already known to those that follow.
func (r *resolver) add(pkg *Package) {
	r.byName[pkg.Name] = pkg
	r.res.Packages = append(r.res.Packages, pkg)
	exports := map[string]Owner{}
	for _, i := range pkg.Interfaces {
		exports[i.Name] = i
	}
	for _, w := range pkg.Worlds {
		exports[w.Name] = w
	}
	r.exports[pkg] = exports
}

func (r *resolver) dependencies(i *Interface) []*Interface {
	deps, ok := r.deps[i]
	if !ok {
		deps = i.Dependencies()
		r.deps[i] = deps
	}
	return deps
}

// group is the files of one directory, or one file: a main package and the
// nested ones.
type group struct {
	main *unit
	all  []*unit
}

// unit is the syntax of one package.
type unit struct {
	name  PackageName
	span  span
	docs  docs
	files []*file
	// partial says that the package came with another one in binary form,
	// which has only what it needs of it.
	partial bool
}

// newGroup sorts the files into packages.
func newGroup(files []*file, where string) (*group, error) {
	g := &group{main: &unit{}}
	for _, f := range files {
		for _, n := range f.nested {
			g.all = append(g.all, &unit{name: n.header.name, span: n.header.span, docs: n.header.docs, files: []*file{n}})
		}
		if f.header != nil {
			if g.main.span.src != nil && g.main.name != f.header.name {
				return nil, f.header.span.errorf("package identifier `%s` does not match previous package name of `%s`", f.header.name, g.main.name)
			}
			g.main.name, g.main.span = f.header.name, f.header.span
			if len(f.header.docs.comments) > 0 {
				if len(g.main.docs.comments) > 0 {
					return nil, f.header.docs.span.errorf("found doc comments on multiple `package` items")
				}
				g.main.docs = f.header.docs
			}
		}
		g.main.files = append(g.main.files, f)
	}
	if g.main.span.src == nil {
		return nil, &Error{
			Position: Position{File: where},
			Message:  "no `package` header was found in any WIT file for this package",
			Hint:     "start one of its files with `package namespace:name;`",
		}
	}
	g.all = append(g.all, g.main)
	return g, nil
}

// resolve adds the packages of all groups, each after those that it depends
// on. The first group's main package becomes the main package.
func (r *resolver) resolve(groups []*group) (*Resolve, error) {
	units := map[PackageName]*unit{}
	var names []PackageName
	for _, g := range groups {
		for _, u := range g.all {
			if prev := units[u.name]; prev != nil && (prev.partial || u.partial) {
				units[u.name] = joinPartial(prev, u)
				continue
			} else if prev != nil {
				return nil, u.span.errorf("package `%s` is defined in two different locations", u.name).
					withHint("the other one is at " + prev.span.position().String())
			}
			units[u.name] = u
			names = append(names, u.name)
		}
	}
	slices.SortFunc(names, comparePackageNames)
	for _, p := range r.res.Packages {
		r.known = append(r.known, p.Name)
	}
	r.known = append(r.known, names...)

	var order []*unit
	state := map[PackageName]int{} // 1 while its dependencies are visited, 2 when done
	var visit func(name PackageName) error
	visit = func(name PackageName) error {
		u := units[name]
		state[name] = 1
		for _, f := range u.files {
			err := f.eachPath(func(_ string, p *itemPath) error {
				if p.pkg == nil || units[*p.pkg] == nil {
					return nil
				}
				switch state[*p.pkg] {
				case 1:
					return p.pkgSpan.errorf("package `%s` creates a dependency cycle", *p.pkg)
				case 2:
					return nil
				}
				return visit(*p.pkg)
			})
			if err != nil {
				return err
			}
		}
		state[name] = 2
		order = append(order, u)
		return nil
	}
	for _, name := range names {
		if state[name] == 0 {
			if err := visit(name); err != nil {
				return nil, err
			}
		}
	}
	for _, u := range order {
		if err := r.resolvePackage(u); err != nil {
			return nil, err
		}
	}
	if len(groups) > 0 {
		r.res.Main = r.byName[groups[0].main.name]
	}
	return r.res, nil
}

func comparePackageNames(a, b PackageName) int {
	if c := strings.Compare(a.Namespace, b.Namespace); c != 0 {
		return c
	}
	if c := strings.Compare(a.Name, b.Name); c != 0 {
		return c
	}
	if c := CompareVersions(a.Version, b.Version); c != 0 {
		return c
	}
	return strings.Compare(a.Version, b.Version)
}

// packageResolver resolves one package.
type packageResolver struct {
	*resolver
	pkg    *Package
	owners map[string]Owner    // interfaces and worlds of the package
	names  []string            // the keys of owners, in order of definition
	ns     []map[string]target // for each file, its top-level names
	cur    int                 // the file whose names are in scope
}

// target is what a top-level name of a file stands for.
type target struct {
	span span
	path itemPath
}

func (r *resolver) resolvePackage(u *unit) error {
	p := &packageResolver{
		resolver: r,
		pkg:      &Package{Name: u.name, Docs: docText(u.docs)},
		owners:   map[string]Owner{},
	}
	type located struct {
		file  int
		iface *ifaceDecl
		world *worldDecl
	}
	decls := map[string]located{}
	for i, f := range u.files {
		for _, d := range f.decls {
			var name ident
			switch {
			case d.iface != nil:
				name = d.iface.name
				p.owners[name.name] = &Interface{Name: name.name, Package: p.pkg, span: name.span}
			case d.world != nil:
				name = d.world.name
				p.owners[name.name] = &World{Name: name.name, Package: p.pkg, span: name.span}
			default:
				continue
			}
			if _, dup := decls[name.name]; dup {
				return name.span.errorf("duplicate item named `%s`", name.name)
			}
			decls[name.name] = located{i, d.iface, d.world}
			p.names = append(p.names, name.name)
		}
	}
	deps, err := p.namespaces(u.files)
	if err != nil {
		return err
	}
	order, err := toposort("interface or world", p.names, deps, nil)
	if err != nil {
		return err
	}
	var worlds []*worldResolver
	var types []*TypeDef
	for _, name := range order {
		d := decls[name]
		if d.iface == nil {
			continue
		}
		p.cur = d.file
		i := p.owners[name].(*Interface)
		ts, err := p.resolveInterface(i, d.iface.items, d.iface.docs, d.iface.attrs)
		if err != nil {
			return err
		}
		types = append(types, ts...)
		if !p.gated[i] {
			p.pkg.Interfaces = append(p.pkg.Interfaces, i)
		}
	}
	for _, name := range order {
		d := decls[name]
		if d.world == nil {
			continue
		}
		p.cur = d.file
		w := &worldResolver{packageResolver: p, world: p.owners[name].(*World), decl: d.world}
		ts, err := w.resolve()
		if err != nil {
			return err
		}
		types = append(types, ts...)
		if !p.gated[w.world] {
			worlds = append(worlds, w)
			p.pkg.Worlds = append(p.pkg.Worlds, w.world)
		}
	}
	for _, t := range types {
		if t.gated || !p.gated[t.Owner] {
			continue
		}
		what := "interface"
		if _, ok := t.Owner.(*World); ok {
			what = "world"
		}
		return t.span.errorf("type `%s` is not gated by a feature but its %s is", t.Name, what)
	}
	for _, w := range worlds {
		if err := w.expand(); err != nil {
			return err
		}
	}
	r.add(p.pkg)
	return nil
}

// namespaces fills p.ns, and returns the dependencies of interfaces and worlds
// on those of the same package.
func (p *packageResolver) namespaces(files []*file) (map[string][]ident, error) {
	deps := map[string][]ident{}
	for _, f := range files {
		ns := map[string]target{}
		p.ns = append(p.ns, ns)
		for _, d := range f.decls {
			var name ident
			pt := itemPath{}
			switch {
			case d.use != nil:
				pt = d.use.path
				name = pt.name
				if d.use.as != nil {
					name = *d.use.as
				}
				if len(d.use.attrs) > 0 {
					return nil, d.use.span.errorf("attributes are not allowed on a top-level `use`")
				}
			case d.iface != nil:
				name = d.iface.name
				pt.name = name
			case d.world != nil:
				name = d.world.name
				pt.name = name
			}
			if _, dup := ns[name.name]; dup {
				return nil, name.span.errorf("duplicate name `%s` in this file", name.name)
			}
			ns[name.name] = target{name.span, pt}
		}
		err := f.eachPath(func(owner string, pt *itemPath) error {
			if owner == "" || pt.pkg != nil {
				return nil
			}
			id := pt.name
			if t, ok := ns[id.name]; ok {
				if t.path.pkg != nil {
					return nil
				}
				id.name = t.path.name.name
			} else if p.owners[id.name] == nil {
				return p.notFound(id)
			}
			deps[owner] = append(deps[owner], id)
			return nil
		})
		if err != nil {
			return nil, err
		}
		for _, d := range f.decls {
			switch {
			case d.use == nil:
			case d.use.path.pkg != nil:
				// The name of another package's world can't be brought in.
				if _, err := p.lookupInterface(d.use.path, true); err != nil {
					return nil, err
				}
			case p.owners[d.use.path.name.name] == nil:
				return nil, p.notFound(d.use.path.name)
			}
		}
	}
	return deps, nil
}

func (p *packageResolver) notFound(id ident) error {
	known := slices.Clone(p.names)
	if p.cur < len(p.ns) {
		known = append(known, slices.Sorted(maps.Keys(p.ns[p.cur]))...)
	}
	return id.span.errorf("interface or world `%s` does not exist", id.name).withHint(didYouMean(id.name, known))
}

// lookup finds the interface or world that a path names. It returns nil if
// that does not exist and the path need not be followed (enabled is false).
func (p *packageResolver) lookup(pt itemPath, enabled bool) (Owner, error) {
	if pt.pkg == nil {
		if t, ok := p.ns[p.cur][pt.name.name]; ok && t.path.pkg != nil {
			at := pt.name.span
			pt = t.path
			pt.name.span, pt.pkgSpan = at, at
		} else if ok {
			return p.owners[t.path.name.name], nil
		} else if it := p.owners[pt.name.name]; it != nil {
			return it, nil
		} else {
			return nil, p.notFound(pt.name)
		}
	}
	pkg := p.byName[*pt.pkg]
	if pkg == nil {
		var known []string
		for _, k := range p.known {
			if k.Namespace == pt.pkg.Namespace && k.Name == pt.pkg.Name {
				return nil, pt.pkgSpan.errorf("package `%s` not found", *pt.pkg).withHint("known is `" + k.String() + "`")
			}
			known = append(known, k.String())
		}
		hint := didYouMean(pt.pkg.String(), known)
		if hint == "" {
			hint = "put it into the deps folder"
		}
		return nil, pt.pkgSpan.errorf("package `%s` not found", *pt.pkg).withHint(hint)
	}
	if o := p.exports[pkg][pt.name.name]; o != nil {
		return o, nil
	}
	if !enabled {
		return nil, nil
	}
	return nil, pt.name.span.errorf("interface or world `%s` not found in package `%s`", pt.name.name, pkg.Name).
		withHint(didYouMean(pt.name.name, slices.Sorted(maps.Keys(p.exports[pkg]))))
}

func (p *packageResolver) lookupInterface(pt itemPath, enabled bool) (*Interface, error) {
	o, err := p.lookup(pt, enabled)
	if err != nil || o == nil {
		return nil, err
	}
	i, ok := o.(*Interface)
	if !ok {
		return nil, pt.name.span.errorf("name `%s` is defined as a world, not an interface", pt.name.name)
	}
	return i, nil
}

func (p *packageResolver) lookupWorld(pt itemPath, enabled bool) (*World, error) {
	o, err := p.lookup(pt, enabled)
	if err != nil || o == nil {
		return nil, err
	}
	w, ok := o.(*World)
	if !ok {
		return nil, pt.name.span.errorf("name `%s` is defined as an interface, not a world", pt.name.name)
	}
	return w, nil
}

// toposort orders names so that each comes after those that it depends on,
// and otherwise keeps their order. extra names candidates for a hint.
func toposort(kind string, names []string, deps map[string][]ident, extra []string) ([]string, error) {
	index := make(map[string]int, len(names))
	for i, n := range names {
		index[n] = i
	}
	waiting := make([]int, len(names))
	dependents := make([][]int, len(names))
	for i, n := range names {
		waiting[i] = len(deps[n])
		for _, d := range deps[n] {
			j, ok := index[d.name]
			if !ok {
				return nil, d.span.errorf("%s `%s` does not exist", kind, d.name).
					withHint(didYouMean(d.name, append(slices.Clone(names), extra...)))
			}
			dependents[j] = append(dependents[j], i)
		}
	}
	ready := &indexHeap{}
	for i := range names {
		if waiting[i] == 0 {
			ready.push(i)
		}
	}
	order := make([]string, 0, len(names))
	for len(*ready) > 0 {
		i := ready.pop()
		order = append(order, names[i])
		for _, j := range dependents[i] {
			if waiting[j]--; waiting[j] == 0 {
				ready.push(j)
			}
		}
	}
	if len(order) == len(names) {
		return order, nil
	}
	for i, n := range names {
		if waiting[i] == 0 {
			continue
		}
		for _, d := range deps[n] {
			if waiting[index[d.name]] > 0 {
				return nil, d.span.errorf("%s `%s` depends on itself", kind, d.name)
			}
		}
	}
	return nil, fmt.Errorf("cycle among the %ss", kind)
}

// indexHeap is a binary heap of indices, the smallest first.
type indexHeap []int

func (h *indexHeap) push(v int) {
	*h = append(*h, v)
	for i := len(*h) - 1; i > 0; {
		parent := (i - 1) / 2
		if (*h)[parent] <= (*h)[i] {
			break
		}
		(*h)[parent], (*h)[i] = (*h)[i], (*h)[parent]
		i = parent
	}
}

func (h *indexHeap) pop() int {
	old := *h
	top := old[0]
	n := len(old) - 1
	old[0] = old[n]
	*h = old[:n]
	for i := 0; ; {
		c := 2*i + 1
		if c >= n {
			return top
		}
		if c+1 < n && old[c+1] < old[c] {
			c++
		}
		if old[i] <= old[c] {
			return top
		}
		old[i], old[c] = old[c], old[i]
		i = c
	}
}

// include reports whether an item with that gate is kept. A version in a gate
// must have been released by the package's own version.
func (p *packageResolver) include(s Stability, at span) (bool, error) {
	switch {
	case s.Since != "":
		if p.pkg.Name.Version == "" {
			return false, at.errorf("package `%s` contains a feature gate with a version, so it must have a version", p.pkg.Name)
		}
		if CompareVersions(s.Since, p.pkg.Name.Version) > 0 {
			return false, at.errorf("feature gate can't name the unreleased version %s of package `%s`", s.Since, p.pkg.Name)
		}
	case s.Unstable != "":
		return p.opts.AllFeatures || slices.Contains(p.opts.Features, s.Unstable), nil
	}
	return true, nil
}

// gate reads the attributes of an item and decides whether it is kept.
func (p *packageResolver) gate(attrs []attr, at span) (s Stability, externalID string, keep bool, err error) {
	s, externalID, err = attributes(attrs)
	if err == nil {
		keep, err = p.include(s, at)
	}
	return s, externalID, keep, err
}

func attributes(attrs []attr) (s Stability, externalID string, err error) {
	seen := map[attrKind]span{}
	names := [...]string{"@since", "@unstable", "@deprecated", "@external-id"}
	for _, a := range attrs {
		if _, dup := seen[a.kind]; dup {
			return s, "", a.span.errorf("%s can't be given twice", names[a.kind])
		}
		seen[a.kind] = a.span
		switch a.kind {
		case attrSince:
			s.Since = a.value
		case attrUnstable:
			s.Unstable = a.value
		case attrDeprecated:
			s.Deprecated = a.value
		case attrExternalID:
			externalID = a.value
		}
	}
	switch {
	case s.Since != "" && s.Unstable != "":
		return s, "", seen[attrSince].errorf("@since and @unstable can't be given together")
	case s.Deprecated != "" && s.Since == "" && s.Unstable == "":
		return s, "", seen[attrDeprecated].errorf("@deprecated needs @since or @unstable beside it")
	}
	return s, externalID, nil
}

// docText extracts the text of comments: markers are removed, and the
// indentation that all lines share.
func docText(d docs) string {
	var parts []string
	indent := -1
	for _, c := range d.comments {
		if body, ok := strings.CutPrefix(c, "/**"); ok && len(c) > len("/**/") {
			c = strings.TrimSuffix(body, "*/")
		} else {
			c = strings.TrimLeft(c, "/")
		}
		c = strings.TrimRight(c, " \t\r\n\f\v")
		parts = append(parts, c)
		if c != "" {
			n := len(c) - len(strings.TrimLeft(c, " \t\r\n\f"))
			if indent < 0 || n < indent {
				indent = n
			}
		}
	}
	if indent > 0 {
		for i, c := range parts {
			parts[i] = strings.TrimPrefix(c, strings.Repeat(" ", indent))
		}
	}
	return strings.TrimRight(strings.ReplaceAll(strings.Join(parts, "\n"), "\r\n", "\n"), "\n")
}
