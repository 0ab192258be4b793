package wit

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// Decode reads the interface types from a component.
//
// If the component is a WIT package in binary form (see [Encode]), that
// package is r.Main, and world is nil. Else world describes what the component
// itself imports and exports: it is the world `root` of a package
// `root:component`, which is r.Main. Packages that it refers to are in
// r.Packages, with as much of them as the component uses.
//
// The component is validated first. A valid component that WIT can't describe,
// because it imports or exports modules, values or components, is an error.
func Decode(data []byte) (r *Resolve, world *World, err error) {
	c, err := binary.Decode(data)
	if err != nil {
		return nil, nil, err
	}
	var unsupported *wasm.UnsupportedError
	if err := binary.Validate(c); err != nil && !errors.As(err, &unsupported) {
		return nil, nil, err
	}
	e := &evaluator{}
	root := &binScope{}
	e.run(root, c.Defs)
	if e.err != nil {
		return nil, nil, e.err
	}
	d := &decoder{
		e:         e,
		types:     map[*binType]*TypeDef{},
		resources: map[*binType]*TypeDef{},
		byName:    map[Owner]map[string]*TypeDef{},
		foreign:   map[PackageName]*Package{},
		known:     map[string]*Interface{},
		worlds:    map[string]bool{},
		partial:   map[*Interface]bool{},
		weights:   map[*TypeDef]int{},
	}
	if isPackage(root) {
		d.main = &Package{}
		err = d.wholePackage(root)
	} else {
		d.main = &Package{Name: PackageName{Namespace: "root", Name: "component"}}
		world = &World{Name: "root", Package: d.main}
		d.main.Worlds = []*World{world}
		err = d.world(world, root.imports, root.exports)
	}
	if err == nil {
		err = e.err
	}
	if err != nil {
		return nil, nil, err
	}
	for _, custom := range c.Customs {
		if custom.Name == metadataSection {
			if err := applyMetadata(d.main, custom.Data); err != nil {
				return nil, nil, err
			}
		}
	}
	return d.finish(), world, nil
}

// isPackage reports whether a component is a WIT package: all that it has is
// exports of component types.
func isPackage(root *binScope) bool {
	if len(root.imports) > 0 || len(root.exports) == 0 {
		return false
	}
	for _, x := range root.exports {
		if x.typ == nil {
			return false
		}
		if _, ok := x.typ.base().def.(*binary.ComponentType); !ok {
			return false
		}
	}
	return true
}

// decoder turns evaluated types into the model.
type decoder struct {
	e         *evaluator
	types     map[*binType]*TypeDef
	resources map[*binType]*TypeDef // by their base
	byName    map[Owner]map[string]*TypeDef

	main    *Package
	foreign map[PackageName]*Package
	order   []*Package            // the foreign packages
	known   map[string]*Interface // by ID
	worlds  map[string]bool       // by ID
	// weights are the sizes of types without names when they are written out.
	weights map[*TypeDef]int
	// partial are interfaces of other packages, of which only parts are seen.
	partial map[*Interface]bool
}

// splitID splits the ID of an interface or world into package and name.
func splitID(n binary.ExternName) (PackageName, string, bool) {
	return parseID(n.Name, n.VersionSuffix)
}

func parseID(id, suffix string) (PackageName, string, bool) {
	name, version, versioned := strings.Cut(id, "@")
	pkg, item, ok := strings.Cut(name, "/")
	ns, pkgName, ok2 := strings.Cut(pkg, ":")
	if !ok || !ok2 || !ValidName(ns) || !ValidName(pkgName) || !ValidName(item) {
		return PackageName{}, "", false
	}
	version += suffix
	if versioned && !ValidVersion(version) {
		return PackageName{}, "", false
	}
	return PackageName{ns, pkgName, version}, item, true
}

// wholePackage decodes a WIT package. In its current form each exported type
// has one export, an interface or a world. In its first form there is one type
// with everything, exported as namespace:name/wit.
func (d *decoder) wholePackage(root *binScope) error {
	for n, x := range root.exports {
		base := x.typ.base()
		inner := &binScope{parent: base.scope}
		d.e.run(inner, base.def.(*binary.ComponentType).Decls)
		if d.e.err != nil {
			return d.e.err
		}
		if pkg, item, ok := splitID(x.name); ok {
			if item != "wit" || len(root.exports) != 1 {
				return fmt.Errorf("export %q is no part of a WIT package", x.name.Name)
			}
			d.main.Name = pkg
		} else if len(inner.exports) != 1 {
			return fmt.Errorf("export %q of a WIT package has %d exports instead of one", x.name.Name, len(inner.exports))
		} else {
			pkg, item, ok := splitID(inner.exports[0].name)
			switch {
			case !ok:
				return fmt.Errorf("export %q has no name of the form namespace:package/name", inner.exports[0].name.Name)
			case item != x.name.Name:
				return fmt.Errorf("export %q holds %q", x.name.Name, inner.exports[0].name.Name)
			case n > 0 && pkg != d.main.Name:
				return fmt.Errorf("export %q is of package %s instead of %s", x.name.Name, pkg, d.main.Name)
			}
			d.main.Name = pkg
		}
		for _, imp := range inner.imports {
			if imp.instance == nil {
				return fmt.Errorf("import %q of a WIT package is no instance", imp.name.Name)
			}
			if _, err := d.namedInterface(imp.name.Name, imp.name.VersionSuffix, imp.instance); err != nil {
				return err
			}
		}
		for _, exp := range inner.exports {
			if err := d.packageItem(exp); err != nil {
				return fmt.Errorf("%s: %w", exp.name.Name, err)
			}
		}
	}
	return nil
}

// packageItem decodes an interface or world of the main package.
func (d *decoder) packageItem(exp binItem) error {
	pkg, name, ok := splitID(exp.name)
	if !ok {
		name = exp.name.Name
		if !ValidName(name) {
			return errors.New("invalid name")
		}
		pkg = d.main.Name
	}
	if pkg != d.main.Name {
		return fmt.Errorf("item of another package than %s", d.main.Name)
	}
	if id := pkg.Item(name); d.known[id] != nil || d.worlds[id] {
		return fmt.Errorf("duplicate item named %q", name)
	}
	switch {
	case exp.instance != nil:
		i := &Interface{Name: name, Package: d.main}
		if err := d.fill(i, exp.instance); err != nil {
			return err
		}
		d.main.Interfaces = append(d.main.Interfaces, i)
		d.known[i.ID()] = i
		return nil
	case exp.component != nil:
		inner := &binScope{parent: exp.component.scope}
		d.e.run(inner, exp.component.defs)
		if d.e.err != nil {
			return d.e.err
		}
		w := &World{Name: name, Package: d.main}
		d.worlds[w.ID()] = true
		d.main.Worlds = append(d.main.Worlds, w)
		return d.world(w, inner.imports, inner.exports)
	}
	return errors.New("neither an interface nor a world")
}

// world decodes imports and exports.
func (d *decoder) world(w *World, imports, exports []binItem) error {
	for _, side := range []struct {
		verb  string
		items []binItem
		to    *[]*WorldItem
	}{{"import", imports, &w.Imports}, {"export", exports, &w.Exports}} {
		for _, x := range side.items {
			item, err := d.worldItem(w, x, side.verb == "export")
			if err != nil {
				return fmt.Errorf("%s %q: %w", side.verb, x.name.Name, err)
			}
			*side.to = append(*side.to, item)
		}
	}
	return nil
}

func (d *decoder) worldItem(w *World, x binItem, export bool) (*WorldItem, error) {
	item := &WorldItem{Name: x.name.Name}
	var err error
	switch {
	case x.instance != nil:
		item.ExternalID = x.name.ExternalID
		if _, _, ok := splitID(x.name); ok {
			item.Name = ""
			item.Interface, err = d.namedInterface(x.name.Name, x.name.VersionSuffix, x.instance)
			return item, err
		}
		if !ValidName(item.Name) {
			return nil, errors.New("WIT has no form for the name")
		}
		if x.name.Implements != "" {
			item.Interface, err = d.namedInterface(x.name.Implements, "", x.instance)
			return item, err
		}
		item.Interface = &Interface{Package: d.main}
		return item, d.fill(item.Interface, x.instance)
	case x.fn != nil:
		item.Function, err = d.function(w, x)
		return item, err
	case x.typ != nil && !export:
		item.Type, err = d.typeExport(w, x)
		return item, err
	}
	return nil, fmt.Errorf("WIT can't describe a %s here", x.sort)
}

// namedInterface returns the interface of that ID. What the instance has of it
// is added to it if it belongs to another package, else it must be there.
func (d *decoder) namedInterface(id, suffix string, instance *binInstance) (*Interface, error) {
	pkgName, name, ok := parseID(id, suffix)
	if !ok {
		return nil, errors.New("WIT has no form for the name")
	}
	id = pkgName.Item(name)
	i := d.known[id]
	if i == nil {
		pkg := d.foreign[pkgName]
		if pkgName == d.main.Name {
			pkg = d.main
		} else if pkg == nil {
			pkg = &Package{Name: pkgName}
			d.foreign[pkgName] = pkg
			d.order = append(d.order, pkg)
		}
		i = &Interface{Name: name, Package: pkg}
		pkg.Interfaces = append(pkg.Interfaces, i)
		d.known[id] = i
		d.partial[i] = true
	}
	have := d.byName[i]
	functions := map[string]bool{}
	for _, f := range i.Functions {
		functions[f.Name] = true
	}
	for _, x := range instance.exports {
		switch {
		case x.typ != nil && have[x.name.Name] != nil:
			d.bind(x.typ, have[x.name.Name])
		case x.fn != nil && functions[x.name.Name]:
		case !d.partial[i]:
			return nil, fmt.Errorf("%q is not defined in interface %s", x.name.Name, id)
		default:
			if err := d.member(i, x); err != nil {
				return nil, err
			}
			have = d.byName[i]
		}
	}
	return i, nil
}

// fill adds all exports of an instance to an interface.
func (d *decoder) fill(i *Interface, instance *binInstance) error {
	for _, x := range instance.exports {
		if err := d.member(i, x); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) member(i *Interface, x binItem) error {
	switch {
	case x.typ != nil:
		t, err := d.typeExport(i, x)
		if err != nil {
			return fmt.Errorf("type %q: %w", x.name.Name, err)
		}
		i.Types = append(i.Types, t)
	case x.fn != nil:
		f, err := d.function(i, x)
		if err != nil {
			return fmt.Errorf("function %q: %w", x.name.Name, err)
		}
		i.Functions = append(i.Functions, f)
	default:
		return fmt.Errorf("%q: WIT can't describe a %s in an interface", x.name.Name, x.sort)
	}
	return nil
}

// finish puts the packages in order.
func (d *decoder) finish() *Resolve {
	r := &Resolve{Main: d.main}
	done := map[*Package]bool{}
	var visit func(p *Package)
	visit = func(p *Package) {
		if done[p] {
			return
		}
		done[p] = true
		for _, i := range p.Interfaces {
			for _, dep := range i.Dependencies() {
				visit(dep.Package)
			}
		}
		r.Packages = append(r.Packages, p)
	}
	for _, p := range d.order {
		visit(p)
	}
	visit(d.main)
	return r
}
