package wit

import (
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
	// Lookup finds packages that are needed and in none of those places.
	Lookup Lookup
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
	// earlier says that the text is that of a later version, of which what came
	// after the version of name is left out.
	earlier bool
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
	pkg *Package
	// earlier is that of its unit.
	earlier bool
	owners  map[string]Owner    // interfaces and worlds of the package
	names   []string            // the keys of owners, in order of definition
	ns      []map[string]target // for each file, its top-level names
	cur     int                 // the file whose names are in scope
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
		earlier:  u.earlier,
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
