package bindgen

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ashlar-wasm/ashlar/wit"
)

// maxTuple is how many elements tuples of package abi have.
const maxTuple = 16

func (g *generator) guestTuple(args []string) string {
	if len(args) > maxTuple {
		g.fail("a tuple of %d elements is not supported: %d are the most", len(args), maxTuple)
	}
	return fmt.Sprintf("abi.Tuple%d[%s]", len(args), strings.Join(args, ", "))
}

// isPlain reports whether values of a type have the same form in Go as in the
// canonical ABI, and hold no references: lists of them are passed as a whole.
func (g *generator) isPlain(t wit.Type) bool {
	d, ok := root(t).(*wit.TypeDef)
	if !ok {
		return root(t) != wit.String
	}
	if plain, known := g.plain[d]; known {
		return plain
	}
	plain := false
	switch k := d.Kind.(type) {
	case *wit.Enum, *wit.Flags:
		plain = true
	case *wit.Record, *wit.Tuple, *wit.FixedLengthList:
		plain = !slices.ContainsFunc(parts(k), func(part wit.Type) bool { return !g.isPlain(part) })
	}
	g.plain[d] = plain
	return plain
}

// isImportedResource reports whether a type is a resource that another
// component implements.
func (g *generator) isImportedResource(t *wit.TypeDef, export bool) bool {
	_, ok := t.Root().Kind.(*wit.Resource)
	return ok && !g.key(t.Root(), export).export
}

// declareGuestSide writes the Go type of a resource.
func (g *generator) declareGuestSide(f *outFile, u *unit, key typeKey, intro func(string)) {
	name := g.typeName[key]
	intro("resource")
	if !key.export {
		drop := g.rawImport(u.module(), "[resource-drop]"+key.def.Name, name+"Drop", []string{"uint32"}, "")
		f.printf("type %s struct{ Handle abi.Handle }\n\n", name)
		f.printf("// Close drops the resource, unless that was done or it was passed on.\nfunc (self *%s) Close() {\nif id, open := self.Handle.Close(); open {\n%s(id)\n}\n}\n\n", name, drop)
		return
	}
	f.printf("type %s interface {\n", name)
	for _, m := range g.guestMembers {
		if m.recv == nil || m.recv.Root() != key.def {
			continue
		}
		g.memberComment(f, m)
		f.printf("%s%s\n\n", m.goName, g.guestSignature(m, true))
	}
	f.printf("// Close is called when the last owner drops the resource. It is not called\n// for one that was given back to the component.\nClose()\n}\n\n")
	module := "[export]" + u.module()
	raw := func(way string, params []string, result string) string {
		return g.rawImport(module, "[resource-"+strings.ToLower(way)+"]"+key.def.Name, name+way, params, result)
	}
	handles := g.handlesOf(key.def, true)
	f.printf("// %[5]s holds the resources of type [%[1]s] that others own. It is for\n// generated code.\nvar %[5]s = abi.Implementation[%[1]s]{New: %[2]s, Rep: %[3]s, Drop: %[4]s}\n\n",
		name, raw("New", []string{"uint32"}, "uint32"), raw("Rep", []string{"uint32"}, "uint32"), raw("Drop", []string{"uint32"}, ""), handles)
	f.printf("//go:wasmexport %s\nfunc %s(rep uint32) { %s.Destroy(rep) }\n\n", u.exportName("[dtor]"+key.def.Name), g.names.pick("export"+name+"Destroy"), handles)
}

// module returns the name of the core module that has the functions of an
// imported unit.
func (u *unit) module() string {
	if u.extern == "" {
		return "$root"
	}
	return u.extern
}

// exportName returns the name of a core export.
func (u *unit) exportName(item string) string {
	if u.extern == "" {
		return item
	}
	return u.extern + "#" + item
}

// handles returns the variable with the resources of an exported type.
func (g *generator) handlesOf(res *wit.TypeDef, export bool) string {
	return g.casesOf(g.key(res.Root(), export))[0]
}

func (g *generator) guestLiftHandle(res *wit.TypeDef, export, own bool, handle string) string {
	if !g.isImportedResource(res, export) {
		method := "Get"
		if own {
			method = "Take"
		}
		return fmt.Sprintf("%s.%s(%s)", g.handlesOf(res, export), method, handle)
	}
	name := strings.TrimPrefix(g.goType(res.Root(), export), "*")
	if own {
		return fmt.Sprintf("&%s{Handle: abi.Own(%s)}", name, handle)
	}
	return fmt.Sprintf("abi.Lend(c, &%s{Handle: abi.Borrow(%s)})", name, handle)
}

func (g *generator) guestLowerHandle(res *wit.TypeDef, export, own bool, v string) string {
	if !g.isImportedResource(res, export) {
		if !own {
			g.fail("resource %s, which is exported, is lent to an import", res.Name)
		}
		return fmt.Sprintf("%s.Give(%s)", g.handlesOf(res, export), v)
	}
	if own {
		return v + ".Handle.Take()"
	}
	return v + ".Handle.Lend()"
}

// rawImport declares a core function that is imported, and returns its name.
func (g *generator) rawImport(module, item, name string, params []string, result string) string {
	p := g.guest
	name = g.names.pickInner("import" + name)
	var list []string
	for i, t := range params {
		list = append(list, fmt.Sprintf("a%d %s", i, t))
	}
	sig := "(" + strings.Join(list, ", ") + ") " + result
	p.core.printf("//go:wasmimport %s %s\nfunc %s%s\n\n", module, item, name, sig)
	for i := range list {
		list[i] = params[i]
	}
	sig = "(" + strings.Join(list, ", ") + ") " + result
	p.other.printf("func %s%s { panic(\"%s of %s is for wasm\") }\n\n", name, sig, item, module)
	return name
}
