package bindgen

import (
	"fmt"
	"strings"
)

// declareGuestResource writes the Go type of a resource that the component
// implements.
func (g *generator) declareGuestResource(f *outFile, key typeKey, intro func(string)) {
	name := g.typeName[key]
	intro("resource")
	f.printf("//\n// The component implements it. Whoever holds an owned one must pass it on or\n// drop it.\ntype %s struct{ *abi.Handle }\n\n", name)
	f.printf("var %s = abi.GuestResource(%q)\n\n", resourceVar(name), key.def.Name)
}

// exports writes the callers of an exported interface.
func (g *generator) exports(f *outFile, u *unit) {
	members := g.members(u)
	if len(members) == 0 {
		return
	}
	name := g.names.pick(g.unitNames(u, "Exports")...)
	comment(f, fmt.Sprintf("%s calls the functions that a component exports as %s.", name, u.describe()), u.docs)
	f.printf("//\n// It belongs to one instance, which runs one call at a time.\ntype %s struct {\n", name)
	fields := nameSet{}
	field := make([]string, len(members))
	types := make([]string, len(members))
	for i, m := range members {
		field[i] = fields.pick("call" + m.goName)
		types[i] = g.funcType(u, m)
		f.printf("%s abi.Export\n", field[i])
	}
	f.printf("}\n\n")
	lookup := g.names.pick("Lookup" + strings.TrimSuffix(name, "Exports"))
	f.printf("// %s finds the functions of %s in an instance.\nfunc %s(x abi.Exporter) (*%s, error) {\ne := &%s{}\nvar err error\n", lookup, u.describe(), lookup, name, name)
	for i, m := range members {
		f.printf("if e.%s, err = x.ExportedFunc(%q, %q, %s); err != nil {\nreturn nil, err\n}\n", field[i], u.extern, m.fn.Name, types[i])
	}
	f.printf("return e, nil\n}\n\n")
	for i, m := range members {
		g.memberComment(f, m)
		g.exportCall(f, name, field[i], m, u.exportsTypes())
	}
}

// exportCall writes one caller. export says on which side types are seen.
func (g *generator) exportCall(f *outFile, recv, field string, m member, export bool) {
	shape := g.shape(m.fn)
	sig := "(ctx context.Context"
	for _, p := range m.params {
		sig += ", " + p.name + " " + g.goType(p.typ, export)
	}
	if m.result != nil {
		sig += ") (result " + g.goType(m.result, export) + ", err error)"
	} else {
		sig += ") (err error)"
	}
	f.printf("func (e *%s) %s%s {\n", recv, m.goName, sig)
	if m.fallible {
		f.printf("var failure error\n")
	}
	f.printf("err = e.%s.Invoke(ctx, func(c *abi.Call, s []uint64) {\n", field)
	if shape.spillParams {
		f.printf("args := c.Alloc(%d, %d)\n", shape.params.Size, shape.params.Align)
	}
	pos := 0
	for i, p := range m.params {
		if shape.spillParams {
			f.printf("%s", g.store(p.typ, export, plus("args", shape.params.Fields[i].Offset), p.name))
		} else {
			f.printf("%s", g.lower(p.typ, export, "s", pos, p.name))
		}
		pos += len(g.layout(p.typ).Flat)
	}
	if shape.spillParams {
		f.printf("s[0] = uint64(args)\n")
	}
	f.printf("}, func(c *abi.Call, s []uint64) {\n")
	mv := mover{g, "lift", export}
	if shape.spillResult {
		f.printf("p := uint32(s[0])\nc.Check(p, %d, %d)\n", shape.result.Size, shape.result.Align)
		mv.way = "load"
	}
	switch {
	case !m.fallible && m.result != nil:
		f.printf("result = %s\n", mv.get(m.result, 0, 0))
	case m.fallible:
		f.printf("if abi.Discriminant(%s, 2) == 0 {\n", mv.discriminant(shape.result))
		if m.result != nil {
			f.printf("result = %s\n", mv.get(m.result, shape.result.Payload, 1))
		}
		f.printf("return\n}\n")
		switch {
		case m.err == nil:
			f.printf("failure = %s{}\n", m.errType)
		case g.isErrorItself(m.err):
			f.printf("failure = %s\n", mv.get(m.err, shape.result.Payload, 1))
		default:
			f.printf("failure = %s{Value: %s}\n", m.errType, mv.get(m.err, shape.result.Payload, 1))
		}
	}
	f.printf("})\n")
	if m.fallible {
		f.printf("if err == nil {\nerr = failure\n}\n")
	}
	if m.result != nil {
		f.printf("return result, err\n}\n\n")
	} else {
		f.printf("return err\n}\n\n")
	}
}
