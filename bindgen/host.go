package bindgen

import (
	"fmt"
	"strings"

	"github.com/ashlar-wasm/ashlar/internal/canon"
	"github.com/ashlar-wasm/ashlar/wit"
)

// member is a function with its Go name and signature.
type member struct {
	fn *wit.Function
	// recv is the method's resource, nil for functions of the Go interface
	// that stands for the WIT interface.
	recv   *wit.TypeDef
	goName string
	params []goParam
	// results are the Go results, without the error.
	result wit.Type
	// errType is the Go type of errors that are the guest's to see.
	fallible bool
	errType  string
	err      wit.Type
}

type goParam struct {
	name string
	typ  wit.Type
}

// members gives Go names to the functions of a unit.
func (g *generator) members(u *unit) []member {
	var out []member
	scopes := map[*wit.TypeDef]nameSet{}
	for _, f := range u.functions {
		m := member{fn: f, result: f.Result}
		names := exported(f.ItemName())
		switch f.Kind {
		case wit.Method:
			m.recv = f.Resource
		case wit.Constructor:
			names = "New" + exported(f.Resource.Name)
		case wit.Static:
			names = exported(f.Resource.Name) + names
		}
		if u.export && g.guest == nil {
			// Exports have no Go interfaces, all functions are methods of one
			// struct.
			if f.Kind == wit.Method {
				names = exported(f.Resource.Name) + names
			}
			m.recv = nil
		}
		if scopes[m.recv] == nil {
			scopes[m.recv] = g.memberScope(u, m.recv)
		}
		m.goName = scopes[m.recv].pick(names)
		params := f.Params
		if m.recv != nil {
			params = params[1:]
		}
		taken := []string{"ctx", "err", "result"}
		switch {
		case g.guest != nil && u.export:
			taken = nil // the method of an interface has no body
		case g.guest != nil:
			taken = append([]string{"self", "v", "result", "err"}, g.guest.others()...)
		}
		for _, p := range params {
			name := unexported(p.Name, taken...)
			for u.export != (g.guest != nil) && (shadows(name) || contains(taken, name)) {
				name += "_"
			}
			taken = append(taken, name)
			m.params = append(m.params, goParam{name, p.Type})
		}
		if r := asResult(f.Result); r != nil {
			m.fallible, m.result, m.err = true, r.OK, r.Err
			m.errType = g.errorType(r.Err, u.exportsTypes())
		}
		out = append(out, m)
	}
	return out
}

// memberScope returns the names that members of a resource, or the functions
// beside them, can't have.
func (g *generator) memberScope(u *unit, recv *wit.TypeDef) nameSet {
	switch {
	case g.guest == nil:
		return nameSet{"Drop": recv != nil}
	case recv != nil:
		return nameSet{"Close": true, "Handle": true}
	case u.export:
		return nameSet{}
	}
	return g.names
}

// errorType returns the Go type of errors for the error side of a result.
func (g *generator) errorType(t wit.Type, export bool) string {
	if t == nil {
		return "abi.ErrorValue[abi.Unit]"
	}
	if g.isErrorItself(t) {
		return g.goType(root(t), export)
	}
	return "abi.ErrorValue[" + g.goType(t, export) + "]"
}

func (g *generator) isErrorItself(t wit.Type) bool {
	d, ok := root(t).(*wit.TypeDef)
	if !ok {
		return false
	}
	switch d.Kind.(type) {
	case *wit.Record, *wit.Variant, *wit.Enum, *wit.Flags:
		return true
	}
	return false
}

// signature returns the parameters and results of a Go function.
func (g *generator) signature(m member, export bool) string {
	var b strings.Builder
	b.WriteString("(ctx context.Context")
	for _, p := range m.params {
		b.WriteString(", " + p.name + " " + g.goType(p.typ, export))
	}
	if m.result == nil {
		b.WriteString(") error")
	} else {
		b.WriteString(") (" + g.goType(m.result, export) + ", error)")
	}
	return b.String()
}

func (g *generator) memberComment(f *outFile, m member) {
	comment(f, fmt.Sprintf("%s is the function `%s`.", m.goName, m.fn.Name), m.fn.Docs)
	if m.fallible {
		f.printf("//\n// Its error result is of type %s.\n", linked(m.errType))
	}
	if m.fn.Stability.Deprecated != "" {
		f.printf("//\n// Deprecated: since version %s.\n", m.fn.Stability.Deprecated)
	}
}

func linked(goType string) string {
	if strings.ContainsAny(goType, "[.*") {
		return goType
	}
	return "[" + goType + "]"
}

// declareResource writes the Go interface of a resource that the host
// implements.
func (g *generator) declareResource(f *outFile, u *unit, key typeKey, intro func(string)) {
	name := g.typeName[key]
	intro("resource")
	f.printf("type %s interface {\n", name)
	for _, m := range g.members(u) {
		if m.recv == nil || m.recv.Root() != key.def {
			continue
		}
		g.memberComment(f, m)
		f.printf("%s%s\n\n", m.goName, g.signature(m, false))
	}
	f.printf("// Drop is called when the guest, or the end of its instance, drops the\n// resource. It is not called for one that was given back to the host.\nDrop(ctx context.Context) error\n}\n\n")
	f.printf("var %s = abi.HostResource(%q, func(ctx context.Context, v any) error { return v.(%s).Drop(ctx) })\n\n", resourceVar(name), key.def.Name, name)
}

// host writes the Go interface of an imported interface, and the function that
// offers it to guests.
func (g *generator) host(f *outFile, u *unit) definition {
	members := g.members(u)
	free := false
	for _, m := range members {
		free = free || m.recv == nil
	}
	hostName := g.hostName[u.owner]
	if free && hostName == "" {
		hostName = g.names.pick(g.unitNames(u, "Host")...)
		g.hostName[u.owner] = hostName
		comment(f, fmt.Sprintf("%s has the functions of %s, which the host implements.", hostName, u.describe()), u.docs)
		f.printf("type %s interface {\n", hostName)
		for i, m := range members {
			if m.recv != nil {
				continue
			}
			if i > 0 {
				f.printf("\n")
			}
			g.memberComment(f, m)
			f.printf("%s%s\n", m.goName, g.signature(m, false))
		}
		f.printf("}\n\n")
	}
	define := g.defineName(u)
	f.printf("// %s offers %s to guests.\n", define, u.describe())
	if free {
		f.printf("func %s(r abi.Registry, h %s) error {\n", define, hostName)
	} else {
		f.printf("func %s(r abi.Registry) error {\n", define)
	}
	f.printf("return r.Define(abi.Interface{\nName: %q,\n", u.extern)
	var resources []string
	for _, t := range u.types {
		if _, ok := t.Kind.(*wit.Resource); ok {
			resources = append(resources, g.resource(t, false))
		}
	}
	if resources != nil {
		f.printf("Resources: []*abi.Resource{%s},\n", strings.Join(resources, ", "))
	}
	if len(members) > 0 {
		f.printf("Funcs: []abi.Func{\n")
		for _, m := range members {
			f.printf("{Name: %q, Type: %s, Call: func(c *abi.Call, s []uint64) {\n", m.fn.Name, g.funcType(u, m))
			g.hostCall(f, m)
			f.printf("}},\n")
		}
		f.printf("},\n")
	}
	f.printf("})\n}\n\n")
	if !free {
		hostName = ""
	}
	return definition{define, hostName}
}

// unitNames returns the names to try for something about a unit.
func (g *generator) unitNames(u *unit, suffix string) []string {
	base := ""
	switch {
	case u.iface == nil:
		base = exported(g.world.Name)
	case u.label != "":
		base = exported(u.label)
	case u.iface.Name != "types":
		base = exported(u.iface.Name)
	}
	var names []string
	if base != "" {
		names = append(names, base+suffix)
	}
	if u.iface != nil && u.iface.Name != "" {
		pkg := exported(u.iface.Package.Name.Name)
		version := "V" + strings.NewReplacer(".", "_", "-", "_", "+", "_").Replace(u.iface.Package.Name.Version)
		names = append(names, pkg+exported(u.iface.Name)+suffix, pkg+exported(u.iface.Name)+version+suffix)
	}
	return names
}

func (g *generator) defineName(u *unit) string {
	names := g.unitNames(u, "")
	for i, n := range names {
		names[i] = "Define" + n
	}
	return g.names.pick(names...)
}

// funcType writes the variable with a function's component type.
func (g *generator) funcType(u *unit, m member) string {
	name := "func"
	switch {
	case u.iface == nil:
		name += exported(g.world.Name)
	case u.label != "":
		name += exported(u.label)
	default:
		name += exported(u.iface.Package.Name.Name) + exported(u.iface.Name)
	}
	if u.export {
		name += "Export"
	}
	if m.recv != nil {
		name += exported(m.recv.Name)
	}
	name = g.names.pick(name + m.goName)
	var params []string
	for _, p := range m.fn.Params {
		params = append(params, fmt.Sprintf("abi.F(%q, %s)", p.Name, g.abiType(p.Type, u.exportsTypes())))
	}
	list := "nil"
	if params != nil {
		list = "[]abi.Field{" + strings.Join(params, ", ") + "}"
	}
	result := g.abiType(m.fn.Result, u.exportsTypes())
	g.codec.printf("var %s = abi.Function(%s, %s)\n\n", name, list, result)
	return name
}

// abiShape is how a function's values are passed.
type abiShape struct {
	params      *canon.Type // the tuple of all parameters
	flat        int         // number of core values of the parameters
	spillParams bool
	result      *canon.Type
	spillResult bool
}

func (g *generator) shape(f *wit.Function) abiShape {
	var types []*canon.Type
	for _, p := range f.Params {
		types = append(types, g.layout(p.Type))
	}
	s := abiShape{params: canon.Tuple(types...), result: g.layout(f.Result)}
	s.flat = len(s.params.Flat)
	if s.flat > canon.MaxFlatParams {
		s.spillParams, s.flat = true, 1
	}
	s.spillResult = s.result != nil && len(s.result.Flat) > canon.MaxFlatResults
	return s
}

// hostCall writes the body of the glue of an imported function: s are the core
// arguments, h is the implementation.
func (g *generator) hostCall(f *outFile, m member) {
	shape := g.shape(m.fn)
	var args []string
	if shape.spillParams {
		f.printf("args := uint32(s[0])\nc.Check(args, %d, %d)\n", shape.params.Size, shape.params.Align)
	}
	pos := 0
	for i, p := range m.fn.Params {
		var expr string
		if shape.spillParams {
			expr = g.load(p.Type, false, plus("args", shape.params.Fields[i].Offset))
		} else {
			expr = g.lift(p.Type, false, "s", pos)
		}
		pos += len(g.layout(p.Type).Flat)
		name := fmt.Sprintf("a%d", i)
		if m.recv != nil && i == 0 {
			name = "self"
		} else {
			args = append(args, name)
		}
		f.printf("%s := %s\n", name, expr)
	}
	call := "h." + m.goName
	if m.recv != nil {
		call = "self." + m.goName
	}
	call += "(" + strings.Join(append([]string{"c.Context()"}, args...), ", ") + ")"
	if m.result != nil {
		f.printf("v, err := %s\n", call)
	} else {
		f.printf("err := %s\n", call)
	}
	if !m.fallible {
		f.printf("if err != nil {\nc.Fail(err)\n}\n")
		if m.result != nil {
			g.putResult(f, shape, func(mv mover) string { return mv.put(m.result, 0, 0, "v") })
		}
		return
	}
	l := shape.result
	if shape.spillResult {
		f.printf("p := uint32(s[%d])\nc.Check(p, %d, %d)\n", shape.flat, l.Size, l.Align)
	}
	mv := mover{g, "lower", false}
	if shape.spillResult {
		mv.way = "store"
	}
	value := "err"
	if m.err == nil {
		f.printf("switch err.(type) {\n")
	} else {
		f.printf("switch err := err.(type) {\n")
		if !g.isErrorItself(m.err) {
			value = "err.Value"
		}
	}
	f.printf("case nil:\n%s", mv.setDiscriminant(l, "0"))
	if m.result != nil {
		f.printf("%s", mv.put(m.result, l.Payload, 1, "v"))
	}
	f.printf("case %s:\n%s", m.errType, mv.setDiscriminant(l, "1"))
	if m.err != nil {
		f.printf("%s", mv.put(m.err, l.Payload, 1, value))
	}
	f.printf("default:\nc.Fail(err)\n}\n")
}

func (g *generator) putResult(f *outFile, shape abiShape, put func(mover) string) {
	if !shape.spillResult {
		f.printf("%s", put(mover{g, "lower", false}))
		return
	}
	f.printf("p := uint32(s[%d])\nc.Check(p, %d, %d)\n%s", shape.flat, shape.result.Size, shape.result.Align, put(mover{g, "store", false}))
}

// worldImports writes a struct of all implementations, and the method that
// offers them.
func (g *generator) worldImports(f *outFile, defs []definition) {
	f.printf("// The bindings were generated for this version of package abi.\nconst _ = abi.Version1\n\n")
	if len(defs) == 0 {
		return
	}
	f.printf("// Imports has what the world %s imports from the host. Functions of\n// interfaces that are nil are not offered.\ntype Imports struct {\n", g.world.ID())
	for _, d := range defs {
		if d.host != "" {
			f.printf("%s %s\n", d.field(), d.host)
		}
	}
	f.printf("}\n\n// Define offers the imports to guests.\nfunc (i Imports) Define(r abi.Registry) error {\n")
	for _, d := range defs {
		if d.host == "" {
			f.printf("if err := %s(r); err != nil {\nreturn err\n}\n", d.fn)
			continue
		}
		f.printf("if i.%[1]s != nil {\nif err := %[2]s(r, i.%[1]s); err != nil {\nreturn err\n}\n}\n", d.field(), d.fn)
	}
	f.printf("return nil\n}\n")
}

// definition is a function that offers an interface, and the Go interface that
// it wants, if any.
type definition struct{ fn, host string }

func (d definition) field() string { return strings.TrimPrefix(d.fn, "Define") }
