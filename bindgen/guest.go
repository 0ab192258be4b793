package bindgen

import (
	"errors"
	"fmt"
	"go/token"
	"go/types"
	"path"
	"slices"
	"strings"

	"github.com/ashlar-wasm/ashlar/wit"
)

//go:generate go run generate_guest.go

// GuestOptions say what to generate for guests, and where it is put.
type GuestOptions struct {
	// World is the world that components have which are written with the
	// bindings.
	World *wit.World
	// Path is the import path of the folder that the files are put into, such
	// as example.com/hello/internal/bind. Its last element, or the name of
	// the world where that is no identifier, is the name of the package with
	// the world's own functions and types.
	Path string
	// Runtime is the import path of the module or folder that has the package
	// abi which the bindings are written against. The default is
	// github.com/ashlar-wasm/ashlar/guest.
	Runtime string
}

const guestPath = "github.com/ashlar-wasm/ashlar/guest"

// Guest generates the bindings of a guest for a world. The same input gives
// the same output.
//
// There is a package for each interface: for wasi:io/streams that is imported,
// wasi/io/streams in the folder of GuestOptions.Path, and
// export/wasi/io/streams for one that is exported. One that has a plain name in
// the world (import cache: store) is in the folder of that name. What the world
// has itself is in the folder.
//
// An interface that a world has several times has resources of its own each time,
// and types that hold them. All other types of it are declared in one of the
// packages.
//
// Types are mapped as for hosts, with package abi of the guest runtime, but:
//
//	tuple<A, B>     abi.Tuple2[A, B]; 16 elements are the most
//	resource        imported: pointer to a struct with the resource's methods and
//	                Close; exported: interface that the component implements, with
//	                Close, which is called when the last owner drops it
//	option<R> of a  nil is none
//	resource
//
// Functions have no context, and return an error only where their result is
// result<T, E>.
//
// Imported functions are functions and methods of Go. An owned resource that is
// passed to one can't be used afterwards. One that is returned has to be closed
// or passed on.
//
// Exported functions are methods of the interface Exports, of which the author
// registers an implementation with Export when the program is initialised. A
// resource that is lent to a method is closed when it returns. An owned one is
// the component's; if it is one that the component implements itself, it comes
// as the Go value that was passed on, and Close is not called for it any more.
// An error has the type that stands for E or wraps it; where E is a string or
// absent, it may be any. Another error, like every panic, ends the instance.
//
// The packages are for GOARCH=wasm. They compile for other platforms too, so
// that what uses them can be tested there; functions that call the other side
// panic then.
//
// It is an error if the world uses the asynchronous ABI (async functions,
// streams, futures, error contexts), or a type of more than 500 parts that have no
// names in Go, counted again wherever they occur.
func Guest(opts GuestOptions) ([]File, error) {
	w := &guestWorld{
		runtime: opts.Runtime,
		root:    newGenerator(Options{World: opts.World}),
		home:    map[typeKey]*guestPackage{},
	}
	if w.runtime == "" {
		w.runtime = guestPath
	}
	files, err := w.generate(opts)
	if err != nil {
		return nil, fmt.Errorf("bind world %s: %w", opts.World.ID(), err)
	}
	return files, nil
}

// guestWorld is what the packages of a world have in common.
type guestWorld struct {
	runtime  string
	root     *generator // has what generators share; it writes nothing
	packages []*guestPackage
	home     map[typeKey]*guestPackage
	// versioned are the names of packages that are there in several versions.
	versioned map[string]bool
}

// guestPackage is a Go package.
type guestPackage struct {
	world *guestWorld
	gen   *generator
	dir   string // in the folder of all
	path  string
	name  string // of the package
	alias string // in files that import it
	units []*unit

	body, codec, core, other *outFile
}

func (w *guestWorld) generate(opts GuestOptions) ([]File, error) {
	if opts.Path == "" {
		return nil, errors.New("no import path is given")
	}
	units := w.root.units()
	for _, u := range units {
		for _, f := range u.functions {
			w.root.checkFunction(u, f)
		}
	}
	if w.root.err != nil {
		return nil, w.root.err
	}
	w.arrange(units, opts)
	for _, p := range w.packages {
		p.gen.nameTypes(p.units)
		if p.gen.err != nil {
			return nil, p.gen.err
		}
	}
	var files []File
	packages := slices.SortedFunc(slices.Values(w.packages), func(a, b *guestPackage) int { return strings.Compare(a.path, b.path) })
	for _, p := range w.packages {
		imports := []goImport{{"abi", w.runtime + "/abi"}}
		for _, other := range packages {
			if other != p {
				imports = append(imports, goImport{other.alias, other.path})
			}
		}
		p.write()
		if p.gen.err != nil {
			return nil, p.gen.err
		}
		for _, f := range []*outFile{p.body, p.codec, p.core, p.other} {
			if f.body.Len() == 0 {
				continue
			}
			src, err := f.source(p.name, imports)
			if err != nil {
				return nil, fmt.Errorf("format %s/%s: %w", p.dir, f.name, err)
			}
			files = append(files, File{path.Join(p.dir, f.name), src})
		}
	}
	return files, nil
}

// arrange makes the packages.
func (w *guestWorld) arrange(units []*unit, opts GuestOptions) {
	w.versioned = map[string]bool{}
	versions := map[string]string{}
	for _, u := range units {
		if u.iface == nil || u.iface.Package == nil {
			continue
		}
		n := u.iface.Package.Name
		name := n.Namespace + ":" + n.Name
		if v, ok := versions[name]; ok && v != n.Version {
			w.versioned[name] = true
		}
		versions[name] = n.Version
	}
	var root *guestPackage
	dirs := nameSet{}
	for _, u := range units {
		p := root
		if u.iface != nil || root == nil {
			dir := w.dir(u)
			if dir != "" {
				dir = dirs.pick(dir)
			}
			p = &guestPackage{world: w, dir: dir, path: path.Join(opts.Path, dir)}
			p.name = packageName(path.Base(p.path))
			if dir == "" {
				if base := path.Base(opts.Path); !token.IsIdentifier(base) || special(base) {
					p.name = packageName(opts.World.Name)
				}
			} else if parent := path.Base(path.Dir(dir)); parent != "." && special(p.name) {
				p.name = packageName(parent + p.name)
			}
			for special(p.name) {
				p.name += "_"
			}
			p.gen = w.generator(p)
			if dir == "" {
				root = p
			}
			w.packages = append(w.packages, p)
		}
		p.units = append(p.units, u)
		if u.export {
			p.gen.names["Exports"], p.gen.names["Export"] = true, true
		}
	}
	w.house()
	count := map[string]int{}
	for _, p := range w.packages {
		count[p.short()]++
	}
	taken := nameSet{}
	for _, name := range locals {
		taken[name] = true
	}
	for _, p := range w.packages {
		var names []string
		if count[p.short()] == 1 && !isNumbered(p.name) {
			if strings.HasPrefix(p.dir, "export/") && count[p.name] == 0 {
				names = append(names, p.name)
			}
			names = append(names, p.short())
		}
		parent := "import"
		if strings.Contains(p.dir, "/") {
			parent = packageName(path.Base(path.Dir(p.dir)))
		}
		if strings.HasPrefix(p.dir, "export/") {
			parent = "export" + parent
		}
		p.alias = taken.pick(append(names, parent+p.name)...)
	}
}

// house finds the package for each type: the first that has it, preferably one
// of an interface under its own name.
func (w *guestWorld) house() {
	for _, export := range []bool{false, true} {
		for _, labelled := range []bool{false, true} {
			for _, p := range w.packages {
				for _, u := range p.units {
					if u.export != export || (u.label != "") != labelled {
						continue
					}
					for _, t := range u.types {
						if key := p.gen.key(t, u.export); t.UsedFrom() == nil && w.home[key] == nil {
							w.home[key] = p
						}
					}
				}
			}
		}
	}
}

// others returns the names by which files may import the other packages.
func (p *guestPackage) others() []string {
	var names []string
	for _, other := range p.world.packages {
		if other != p {
			names = append(names, other.alias)
		}
	}
	return names
}

// short returns the name by which the package is imported if it is the only one
// of that name.
func (p *guestPackage) short() string {
	if strings.HasPrefix(p.dir, "export/") {
		return "export" + p.name
	}
	return p.name
}

// locals are names that generated code gives to variables and functions, which
// packages that it imports can't have.
var locals = []string{
	"c", "s", "p", "v", "r", "n", "i", "at", "start", "key", "value", "args", "self", "result", "err", "ok", "failure",
	"exports", "implementation", "set", "label", "ptr", "rep", "id", "open", "impl", "make", "len", "plain",
}

// isNumbered reports whether generated code may give the name to one of several
// variables.
func isNumbered(name string) bool {
	return (name[0] == 'a' || name[0] == 'v') && len(name) > 1 && strings.Trim(name[1:], "0123456789") == ""
}

// generator returns the generator for a package.
func (w *guestWorld) generator(p *guestPackage) *generator {
	g := newGenerator(Options{World: w.root.world})
	g.exportedIfaces, g.importedIfaces = w.root.exportedIfaces, w.root.importedIfaces
	g.errors, g.layouts, g.handles = w.root.errors, w.root.layouts, w.root.handles
	g.guest = p
	g.names = nameSet{"List": true}
	return g
}

// dir returns the folder of the package for a unit.
func (w *guestWorld) dir(u *unit) string {
	var dir string
	switch {
	case u.iface == nil:
		return ""
	case u.label != "":
		dir = packageName(u.label)
	default:
		n := u.iface.Package.Name
		pkg := packageName(n.Name)
		if w.versioned[n.Namespace+":"+n.Name] {
			pkg += "_v" + strings.NewReplacer(".", "_", "-", "_", "+", "_").Replace(n.Version)
		}
		dir = path.Join(packageName(n.Namespace), pkg, packageName(u.iface.Name))
	}
	if u.export {
		dir = "export/" + dir
	}
	return dir
}

// packageName returns the Go package name for a WIT identifier.
func packageName(name string) string {
	name = strings.ToLower(strings.ReplaceAll(name, "-", ""))
	if token.IsKeyword(name) || slices.Contains(reserved, name) {
		name += "_"
	}
	return name
}

// reserved are names that mean something as folders, to the go command or to
// Windows, for which the go command refuses them.
var reserved = strings.Fields(`internal vendor testdata con prn aux nul
	com0 com1 com2 com3 com4 com5 com6 com7 com8 com9 lpt0 lpt1 lpt2 lpt3 lpt4 lpt5 lpt6 lpt7 lpt8 lpt9`)

// special reports whether a package of that name would hide something that
// generated code, or most code, refers to, or could not be imported.
func special(name string) bool {
	return types.Universe.Lookup(name) != nil || name == "abi" || name == "main" || name == "init" || name == "_" ||
		slices.ContainsFunc(standard, func(i goImport) bool { return i.name == name })
}

// write writes the package.
func (p *guestPackage) write() {
	p.body = &outFile{name: "bindings.go"}
	p.codec = &outFile{name: "codec.go"}
	p.core = &outFile{name: "core_wasm.go"}
	p.other = &outFile{name: "core_other.go", constraint: "!wasm"}
	g := p.gen
	g.files, g.codec = []*outFile{p.body}, p.codec
	u := p.units[0] // the other one of the world itself has the same documentation
	p.body.doc = paragraphs(fmt.Sprintf("Package %s has the bindings of %s.", p.name, u.describe()), u.docs)
	done := map[typeKey]bool{}
	for _, u := range p.units {
		members := g.members(u)
		for _, t := range u.types {
			key := g.key(t, u.export)
			if !done[key] && p.world.home[key] == p {
				done[key] = true
				g.guestMembers = members
				g.declare(p.body, u, key)
			}
		}
		if u.export {
			g.guestExports(u, members)
		} else {
			for _, m := range members {
				g.guestImport(u, m)
			}
		}
	}
	g.support()
}

// nameOf returns the Go name of a named type, with its package where that is
// another one than that which is written; or "".
func (g *generator) nameOf(key typeKey) string {
	if g.guest == nil || g.typeName[key] != "" {
		return g.typeName[key]
	}
	return g.guest.foreign(key, func(g *generator) string { return g.typeName[key] })
}

// casesOf returns the Go names of the cases of a type.
func (g *generator) casesOf(key typeKey) []string {
	if g.guest == nil || g.typeName[key] != "" {
		return g.caseName[key]
	}
	var names []string
	for i := range g.guest.world.home[key].gen.caseName[key] {
		names = append(names, g.guest.foreign(key, func(g *generator) string { return g.caseName[key][i] }))
	}
	return names
}

// foreign returns a name of another package, which is that of the type.
func (p *guestPackage) foreign(key typeKey, name func(*generator) string) string {
	home := p.world.home[key]
	if home == nil {
		return ""
	}
	return home.alias + "." + name(home.gen)
}

// identifier makes one of a Go type's name.
func identifier(name string) string {
	name = strings.TrimPrefix(name, "*")
	if pkg, item, ok := strings.Cut(name, "."); ok {
		return strings.ToUpper(pkg[:1]) + pkg[1:] + item
	}
	return name
}
