package wit

import (
	"maps"
	"slices"
)

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
