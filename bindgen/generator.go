package bindgen

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ashlar-wasm/ashlar/internal/canon"
	"github.com/ashlar-wasm/ashlar/internal/layout"
	"github.com/ashlar-wasm/ashlar/wit"
)

// generator holds what is known while the bindings of one world are written.
type generator struct {
	world *wit.World
	pkg   string
	files []*outFile
	codec *outFile // layouts, and moving values to and from the guest

	names    nameSet
	typeName map[typeKey]string
	caseName map[typeKey][]string // of a guest's resource, the variable that holds all
	// hostName is the Go interface with the functions of an imported interface.
	hostName map[wit.Owner]string
	// The interfaces that the component exports, and those that it imports.
	exportedIfaces map[wit.Owner]bool
	importedIfaces map[wit.Owner]bool
	// errors are the types that are the error side of a function's result.
	errors map[typeKey]bool

	layouts   layout.Types
	resources map[*wit.TypeDef]*canon.Resource
	written   map[string]bool // functions and variables of the codec file
	tuples    map[int]bool
	// shortNames are those of types, by what they stand for; shorts is all of them.
	shortNames map[string]string
	shorts     nameSet
	// Memos of hasExportedResource, isPlain, inMemory, and checkWeight.
	handles, plain, memory map[*wit.TypeDef]bool
	weights                map[*wit.TypeDef]int
	// guest is the package that is written, and guestMembers the functions of
	// its unit; nil for hosts.
	guest        *guestPackage
	guestMembers []member
	err          error
}

// typeKey is a type as it is seen from one side of the component. The two
// differ for types with resources of an interface that is both imported and
// exported.
type typeKey struct {
	def    *wit.TypeDef
	export bool
}

func newGenerator(opts Options) *generator {
	pkg := opts.Package
	if pkg == "" {
		if pkg = packageName(opts.World.Name); pkg == "main" || pkg == "init" {
			pkg += "_"
		}
	}
	return &generator{
		world: opts.World,
		pkg:   pkg,
		// List would clash with loadList, the rest with what support writes.
		names:          nameSet{"List": true, "Imports": true},
		typeName:       map[typeKey]string{},
		caseName:       map[typeKey][]string{},
		hostName:       map[wit.Owner]string{},
		exportedIfaces: map[wit.Owner]bool{},
		importedIfaces: map[wit.Owner]bool{},
		errors:         map[typeKey]bool{},
		layouts:        layout.Types{},
		resources:      map[*wit.TypeDef]*canon.Resource{},
		written:        map[string]bool{},
		tuples:         map[int]bool{},
		shortNames:     map[string]string{},
		shorts:         nameSet{},
		handles:        map[*wit.TypeDef]bool{},
		plain:          map[*wit.TypeDef]bool{},
		memory:         map[*wit.TypeDef]bool{},
		weights:        map[*wit.TypeDef]int{},
	}
}

func (g *generator) fail(format string, args ...any) {
	if g.err == nil {
		g.err = fmt.Errorf(format, args...)
	}
}

// unit is an interface, or the items that a world has itself, on one side.
type unit struct {
	owner     wit.Owner
	iface     *wit.Interface // nil for the world's own items
	label     string         // the plain name of a named or inline interface
	extern    string         // the instance's name; empty for the world's own items
	export    bool
	types     []*wit.TypeDef
	functions []*wit.Function
	docs      string
}

func (u *unit) describe() string {
	switch {
	case u.iface == nil:
		return "world " + u.owner.(*wit.World).ID()
	case u.label != "" && u.iface.Name != "":
		return u.label + " (" + u.iface.ID() + ")"
	case u.iface.ID() != "":
		return u.iface.ID()
	}
	return u.label
}

// exportsTypes reports whether resources that the functions of the unit mention
// are those that the component exports, where it imports and exports them. The
// world's own functions have the types that the world uses, which are imported.
func (u *unit) exportsTypes() bool { return u.export && u.iface != nil }

// units lists what the world imports and exports. The types of an interface
// belong to the first unit that has it.
func (g *generator) units() []*unit {
	var units []*unit
	for _, export := range []bool{false, true} {
		items := g.world.Imports
		if export {
			items = g.world.Exports
		}
		own := &unit{owner: g.world, export: export, docs: g.world.Docs}
		for _, item := range items {
			switch {
			case item.Interface != nil:
				i := instanceOf(item)
				u := &unit{owner: i, iface: i, label: item.Name, extern: item.ExternName(), export: export, functions: i.Functions, docs: paragraphs(item.Docs, i.Docs)}
				if export {
					g.exportedIfaces[i] = true
				} else {
					g.importedIfaces[i] = true
				}
				u.types = i.Types
				units = append(units, u)
			case item.Type != nil:
				own.types = append(own.types, item.Type)
			case item.Function != nil:
				own.functions = append(own.functions, item.Function)
			}
		}
		if len(own.types)+len(own.functions) > 0 {
			units = append(units, own)
		}
	}
	return units
}

func (g *generator) run() error {
	units := g.units()
	for _, u := range units {
		for _, f := range u.functions {
			g.checkFunction(u, f)
		}
	}
	if g.err != nil {
		return g.err
	}
	g.nameTypes(units)
	g.codec = &outFile{name: "codec_bind.go"}
	main := &outFile{name: "world_bind.go"}
	var defs []definition
	done := map[typeKey]bool{}
	for _, u := range units {
		f := &outFile{name: g.fileName(u)}
		for _, prev := range g.files {
			if prev.name == f.name {
				f = prev
			}
		}
		if f.body.Len() == 0 {
			g.files = append(g.files, f)
		}
		for _, t := range u.types {
			key := g.key(t, u.export)
			if !done[key] {
				done[key] = true
				g.declare(f, u, key)
			}
		}
		if u.export {
			g.exports(f, u)
		} else {
			defs = append(defs, g.host(f, u))
		}
	}
	g.worldImports(main, defs)
	g.support()
	if g.codec.body.Len() > 0 {
		g.files = append(g.files, g.codec)
	}
	g.files = append(g.files, main)
	return g.err
}

// fileName names the file of a unit. The suffix keeps names from having a
// meaning to the go command, such as _test or _linux.
func (g *generator) fileName(u *unit) string {
	name := "root"
	switch {
	case u.iface != nil && u.iface.Name != "":
		name = u.iface.Package.Name.Name + "_" + u.iface.Name
	case u.iface != nil:
		name = u.label
	}
	name = strings.ToLower(strings.ReplaceAll(name, "-", "_"))
	if name == "world" || name == "codec" {
		name += "_" // these files are there anyway
	}
	return name + "_bind.go"
}

// nameTypes chooses the Go names of all types, before any is written. Names
// that clash are told apart by the interface's name.
func (g *generator) nameTypes(units []*unit) {
	count := map[string]int{}
	var keys []typeKey
	unitOf := map[typeKey]*unit{}
	for _, u := range units {
		for _, t := range u.types {
			key := g.key(t, u.export)
			if t.UsedFrom() != nil || unitOf[key] != nil || g.guest != nil && g.guest.world.home[key] != g.guest {
				continue
			}
			unitOf[key] = u
			keys = append(keys, key)
			count[g.baseName(key)]++
		}
	}
	for _, key := range keys {
		if base := g.baseName(key); count[base] == 1 {
			g.typeName[key] = g.names.pick(base)
		}
	}
	for _, key := range keys {
		if g.typeName[key] == "" {
			g.typeName[key] = g.names.pick(append(g.prefixed(unitOf[key], g.baseName(key)), g.baseName(key))...)
		}
	}
	for _, key := range keys {
		switch k := key.def.Kind.(type) {
		case *wit.Resource:
			if g.guest != nil && key.export {
				g.caseName[key] = []string{g.names.pick(g.typeName[key] + "Handles")}
			}
		case *wit.Variant:
			for _, c := range k.Cases {
				g.caseName[key] = append(g.caseName[key], g.names.pick(g.typeName[key]+exported(c.Name)))
			}
		case *wit.Enum:
			for _, c := range k.Cases {
				g.caseName[key] = append(g.caseName[key], g.names.pick(g.typeName[key]+exported(c.Name)))
			}
		case *wit.Flags:
			for _, c := range k.Flags {
				g.caseName[key] = append(g.caseName[key], g.names.pick(g.typeName[key]+exported(c.Name)))
			}
		}
	}
}

func (g *generator) baseName(key typeKey) string {
	name := exported(key.def.Name)
	if key.export && g.importedIfaces[key.def.Owner] && g.guest == nil {
		name = "Exported" + name
	}
	return name
}

// prefixed returns the names to try for an item of a unit, the shortest first.
func (g *generator) prefixed(u *unit, name string) []string {
	if u.iface == nil {
		return []string{exported(g.world.Name) + name}
	}
	if u.label != "" {
		return []string{exported(u.label) + name}
	}
	pkg := exported(u.iface.Package.Name.Name)
	iface := exported(u.iface.Name)
	version := "V" + strings.NewReplacer(".", "_", "-", "_", "+", "_").Replace(u.iface.Package.Name.Version)
	short := iface + name
	if u.iface.Name == "types" {
		short = pkg + name
	}
	return []string{short, pkg + iface + name, pkg + iface + version + name}
}

// key returns the identity of a type seen from one side.
func (g *generator) key(t *wit.TypeDef, export bool) typeKey {
	return typeKey{t, export && g.hasExportedResource(t)}
}

// hasExportedResource reports whether values of the type hold handles of
// resources that the component exports.
func (g *generator) hasExportedResource(t wit.Type) bool {
	return holdsResource(t, g.handles, func(d *wit.TypeDef) bool { return g.exportedIfaces[d.Owner] })
}

// holdsResource reports whether a type is, or is made of, a resource of those that are
// meant. known has what was found before.
func holdsResource(t wit.Type, known map[*wit.TypeDef]bool, meant func(*wit.TypeDef) bool) bool {
	d, ok := t.(*wit.TypeDef)
	if !ok {
		return false
	}
	if has, ok := known[d]; ok {
		return has
	}
	has := false
	switch k := d.Kind.(type) {
	case *wit.Resource:
		has = meant(d)
	case *wit.Own:
		has = holdsResource(k.Resource, known, meant)
	case *wit.Borrow:
		has = holdsResource(k.Resource, known, meant)
	}
	for _, part := range parts(d.Kind) {
		has = has || holdsResource(part, known, meant)
	}
	known[d] = has
	return has
}

// parts returns the types that a kind is made of, without absent ones.
func parts(k wit.Kind) []wit.Type {
	var out []wit.Type
	add := func(types ...wit.Type) {
		for _, t := range types {
			if t != nil {
				out = append(out, t)
			}
		}
	}
	switch k := k.(type) {
	case *wit.Alias:
		add(k.Type)
	case *wit.Record:
		for _, f := range k.Fields {
			add(f.Type)
		}
	case *wit.Variant:
		for _, c := range k.Cases {
			add(c.Type)
		}
	case *wit.Tuple:
		add(k.Types...)
	case *wit.Option:
		add(k.Type)
	case *wit.Result:
		add(k.OK, k.Err)
	case *wit.List:
		add(k.Elem)
	case *wit.FixedLengthList:
		add(k.Elem)
	case *wit.Map:
		add(k.Key, k.Value)
	case *wit.Future:
		add(k.Type)
	case *wit.Stream:
		add(k.Type)
	}
	return out
}

// checkFunction refuses what has no binding, and notes the error types.
func (g *generator) checkFunction(u *unit, f *wit.Function) {
	if f.Async {
		g.fail("function %s of %s is async, which is not supported", f.Name, u.describe())
	}
	seen := map[*wit.TypeDef]bool{}
	var check func(t wit.Type)
	check = func(t wit.Type) {
		d, ok := t.(*wit.TypeDef)
		if !ok {
			if t == wit.ErrorContext {
				g.fail("function %s of %s uses error-context, which is not supported", f.Name, u.describe())
			}
			return
		}
		if seen[d] {
			return
		}
		seen[d] = true
		if g.weight(d) > maxWeight {
			g.fail("function %s of %s has a type of more than %d parts without names, which is not supported", f.Name, u.describe(), maxWeight)
		}
		switch d.Kind.(type) {
		case *wit.Stream, *wit.Future:
			g.fail("function %s of %s uses %s, which is not supported", f.Name, u.describe(), d)
		}
		for _, part := range parts(d.Kind) {
			check(part)
		}
	}
	for _, p := range f.Params {
		check(p.Type)
	}
	if f.Result == nil {
		return
	}
	check(f.Result)
	if r := asResult(f.Result); r != nil {
		if e, ok := r.Err.(*wit.TypeDef); ok {
			g.errors[g.key(e.Root(), u.exportsTypes())] = true
		}
	}
}

// maxWeight bounds the types that have no names in Go, which are part of names of
// functions and instances of generic types.
const maxWeight = 500

// weight returns of how many types a type without a name in Go is made, or a
// number beyond maxWeight.
func (g *generator) weight(t wit.Type) int {
	d, ok := root(t).(*wit.TypeDef)
	if !ok {
		return 1
	}
	if w := g.weights[d]; w > 0 {
		return w
	}
	w := 1
	switch k := d.Kind.(type) {
	case *wit.Record, *wit.Variant, *wit.Enum, *wit.Flags, *wit.Resource:
	default:
		for _, part := range parts(k) {
			w = min(w+g.weight(part), maxWeight+1)
		}
	}
	g.weights[d] = w
	return w
}

// asResult returns the result type behind a function's result, or nil.
func asResult(t wit.Type) *wit.Result {
	d, ok := t.(*wit.TypeDef)
	if !ok {
		return nil
	}
	r, _ := d.Root().Kind.(*wit.Result)
	return r
}

// comment writes documentation: a sentence, and what the WIT says.
func comment(f *outFile, first, docs string) {
	f.printf("// %s\n", first)
	if docs == "" {
		return
	}
	f.printf("//\n")
	lines(f, docs)
}

// paragraphs joins documentation from several places.
func paragraphs(docs ...string) string {
	return strings.Join(slices.DeleteFunc(docs, func(d string) bool { return d == "" }), "\n\n")
}

func lines(f *outFile, docs string) {
	for line := range strings.SplitSeq(docs, "\n") {
		f.printf("%s\n", docLine(line))
	}
}

// docLine returns a comment with a line of documentation. Formatting would make a
// build constraint of a line that begins like an old one, wherever it stands, and
// a byte order mark is an error within a file.
func docLine(line string) string {
	line = strings.TrimRight("// "+strings.ReplaceAll(line, "\ufeff", ""), " \t\r\n")
	if strings.HasPrefix(strings.TrimSpace(line[2:]), "+build") {
		line = strings.Replace(line, "+build", "`+build`", 1)
	}
	return line
}
