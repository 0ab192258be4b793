package bindgen

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ashlar-wasm/ashlar/internal/canon"
	"github.com/ashlar-wasm/ashlar/wit"
)

var coreTypes = map[canon.CoreType]string{
	canon.I32: "uint32", canon.I64: "uint64", canon.F32: "float32", canon.F64: "float64",
}

// fromSlot returns an expression of a core type for what a slot holds, which
// is a uint64.
func fromSlot(t canon.CoreType, slot string) string {
	switch t {
	case canon.I32:
		return "uint32(" + slot + ")"
	case canon.F32:
		return "abi.ToF32(" + slot + ")"
	case canon.F64:
		return "abi.ToF64(" + slot + ")"
	}
	return slot
}

func toSlot(t canon.CoreType, v string) string {
	switch t {
	case canon.I32:
		return "uint64(" + v + ")"
	case canon.F32:
		return "abi.FromF32(" + v + ")"
	case canon.F64:
		return "abi.FromF64(" + v + ")"
	}
	return v
}

// coreParams are the core types of the parameters.
func (s abiShape) coreParams() []canon.CoreType {
	if s.spillParams {
		return []canon.CoreType{canon.I32}
	}
	return s.params.Flat
}

// inMemory reports whether values of a type are passed in memory, apart from
// what is spilled.
func (g *generator) inMemory(t wit.Type) bool {
	d, ok := root(t).(*wit.TypeDef)
	if !ok {
		return root(t) == wit.String
	}
	if in, known := g.memory[d]; known {
		return in
	}
	in := false
	switch k := d.Kind.(type) {
	case *wit.List, *wit.Map:
		in = true
	case *wit.Own, *wit.Borrow, *wit.Resource:
	default:
		in = slices.ContainsFunc(parts(k), g.inMemory)
	}
	g.memory[d] = in
	return in
}

// usesCall reports whether the code that moves a value mentions the call.
func usesCall(t wit.Type) bool {
	d, ok := root(t).(*wit.TypeDef)
	if !ok {
		return root(t) == wit.String
	}
	switch d.Kind.(type) {
	case *wit.Own, *wit.Borrow, *wit.Resource:
		return false
	}
	return true
}

// guestSignature returns the parameters and results of a Go function.
func (g *generator) guestSignature(m member, export bool) string {
	var params []string
	for _, p := range m.params {
		params = append(params, p.name+" "+g.goType(p.typ, export))
	}
	results := ""
	switch {
	case m.result != nil && m.fallible:
		results = " (" + g.goType(m.result, export) + ", error)"
	case m.result != nil:
		results = " " + g.goType(m.result, export)
	case m.fallible:
		results = " error"
	}
	return "(" + strings.Join(params, ", ") + ")" + results
}

// guestImport writes the Go function for an imported one.
func (g *generator) guestImport(u *unit, m member) {
	f := g.guest.body
	shape := g.shape(m.fn)
	g.memberComment(f, m)
	name, recv := m.goName, ""
	args := make([]string, 0, len(m.fn.Params))
	if m.recv != nil {
		typ := g.typeName[g.key(m.recv.Root(), false)]
		f.printf("func (self *%s) %s%s {\n", typ, m.goName, g.guestSignature(m, false))
		name, recv = typ+m.goName, "self"
		args = append(args, recv)
	} else {
		f.printf("func %s%s {\n", m.goName, g.guestSignature(m, false))
	}
	for _, p := range m.params {
		args = append(args, p.name)
	}
	call := shape.spillParams || shape.spillResult
	for _, p := range m.fn.Params {
		call = call || usesCall(p.Type)
	}
	call = call || m.fn.Result != nil && usesCall(m.fn.Result)
	if call {
		f.printf("c := abi.NewCall()\n")
	}
	core := shape.coreParams()
	if len(core) > 0 {
		f.printf("s := make([]uint64, %d)\n", len(core))
	}
	if shape.spillParams {
		f.printf("args := c.Alloc(%d, %d)\ns[0] = uint64(args)\n", shape.params.Size, shape.params.Align)
	}
	pos := 0
	for i, p := range m.fn.Params {
		if shape.spillParams {
			f.printf("%s", g.store(p.Type, false, plus("args", shape.params.Fields[i].Offset), args[i]))
		} else {
			f.printf("%s", g.lower(p.Type, false, "s", pos, args[i]))
		}
		pos += len(g.layout(p.Type).Flat)
	}
	var types, values []string
	for i, t := range core {
		types = append(types, coreTypes[t])
		values = append(values, fromSlot(t, fmt.Sprintf("s[%d]", i)))
	}
	result := ""
	switch {
	case shape.spillResult:
		f.printf("p := c.Alloc(%d, %d)\n", shape.result.Size, shape.result.Align)
		types, values = append(types, "uint32"), append(values, "p")
	case shape.result != nil:
		result = coreTypes[shape.result.Flat[0]]
	}
	raw := g.rawImport(u.module(), m.fn.Name, name, types, result)
	if call {
		f.printf("c.Begin()\n")
	}
	invoke := raw + "(" + strings.Join(values, ", ") + ")"
	if result != "" {
		f.printf("v := []uint64{%s}\n", toSlot(shape.result.Flat[0], invoke))
	} else {
		f.printf("%s\n", invoke)
	}
	if call {
		f.printf("c.End()\n")
	}
	g.guestResult(f, m, shape, call)
	f.printf("}\n\n")
}

// guestResult writes how the result of an import is lifted and returned.
func (g *generator) guestResult(f *outFile, m member, shape abiShape, call bool) {
	get := func(t wit.Type, offset uint32, pos int) string {
		if shape.spillResult {
			return g.load(t, false, plus("p", offset))
		}
		return g.lift(t, false, "v", pos)
	}
	free := ""
	if call {
		free = "c.Free()\n"
	}
	if !m.fallible {
		if m.result == nil {
			f.printf("%s", free)
		} else {
			f.printf("result := %s\n%sreturn result\n", get(m.result, 0, 0), free)
		}
		return
	}
	l := shape.result
	disc := "uint32(v[0])"
	if shape.spillResult {
		disc = mover{g, "load", false}.discriminant(l)
	}
	zero := ""
	if m.result != nil {
		f.printf("var result %s\n", g.goType(m.result, false))
		zero = "result, "
	}
	f.printf("if abi.Discriminant(%s, 2) != 0 {\n", disc)
	switch {
	case m.err == nil:
		f.printf("%sreturn %s%s{}\n}\n", free, zero, m.errType)
	case g.isErrorItself(m.err):
		f.printf("err := %s\n%sreturn %serr\n}\n", get(m.err, l.Payload, 1), free, zero)
	default:
		f.printf("err := %s{Value: %s}\n%sreturn %serr\n}\n", m.errType, get(m.err, l.Payload, 1), free, zero)
	}
	if m.result != nil {
		f.printf("result = %s\n", get(m.result, l.Payload, 1))
	}
	f.printf("%sreturn %snil\n", free, zero)
}

// guestExports writes the Go interface of an exported interface, and what
// calls its implementation.
func (g *generator) guestExports(u *unit, members []member) {
	f := g.guest.body
	free := false
	for _, m := range members {
		free = free || m.recv == nil
	}
	if free {
		comment(f, fmt.Sprintf("Exports has the functions of %s, which the component implements.", u.describe()), u.docs)
		f.printf("type Exports interface {\n")
		for _, m := range members {
			if m.recv == nil {
				g.memberComment(f, m)
				f.printf("%s%s\n\n", m.goName, g.guestSignature(m, u.exportsTypes()))
			}
		}
		f.printf("}\n\nvar exports Exports\n\n")
		f.printf("// Export registers what implements %s. It is called once, from an\n// init function.\nfunc Export(impl Exports) { exports = impl }\n\n", u.describe())
		f.printf("func implementation() Exports {\nif exports == nil {\npanic(%q)\n}\nreturn exports\n}\n\n", "nothing implements "+u.describe()+": call Export in an init function")
	}
	for _, m := range members {
		g.guestExport(f, u, m)
	}
}

// guestExport writes the core function of an exported one.
func (g *generator) guestExport(f *outFile, u *unit, m member) {
	shape := g.shape(m.fn)
	core := shape.coreParams()
	var params, slots []string
	for i, t := range core {
		params = append(params, fmt.Sprintf("a%d %s", i, coreTypes[t]))
		slots = append(slots, toSlot(t, fmt.Sprintf("a%d", i)))
	}
	result := ""
	switch {
	case shape.spillResult:
		result = "uint32"
	case shape.result != nil:
		result = coreTypes[shape.result.Flat[0]]
	}
	name := m.goName
	if m.recv != nil {
		name = g.typeName[g.key(m.recv.Root(), true)] + name
	}
	f.printf("//go:wasmexport %s\nfunc %s(%s) %s {\nc := abi.Enter()\n", u.exportName(m.fn.Name), g.names.pick("export"+name), strings.Join(params, ", "), result)
	if shape.spillParams {
		f.printf("args := a0\n")
	} else if len(slots) > 0 {
		f.printf("s := []uint64{%s}\n", strings.Join(slots, ", "))
	}
	var args []string
	pos := 0
	for i, p := range m.fn.Params {
		arg := fmt.Sprintf("v%d", i)
		if shape.spillParams {
			f.printf("%s := %s\n", arg, g.load(p.Type, u.exportsTypes(), plus("args", shape.params.Fields[i].Offset)))
		} else {
			f.printf("%s := %s\n", arg, g.lift(p.Type, u.exportsTypes(), "s", pos))
		}
		pos += len(g.layout(p.Type).Flat)
		args = append(args, arg)
	}
	target := "implementation()."
	if m.recv != nil {
		target, args = args[0]+".", args[1:]
	}
	invoke := target + m.goName + "(" + strings.Join(args, ", ") + ")"
	switch {
	case m.result != nil && m.fallible:
		f.printf("v, err := %s\n", invoke)
	case m.result != nil:
		f.printf("v := %s\n", invoke)
	case m.fallible:
		f.printf("err := %s\n", invoke)
	default:
		f.printf("%s\n", invoke)
	}
	f.printf("c.EndLoans()\n")
	g.guestReturn(f, m, shape, u.exportsTypes())
	f.printf("}\n\n")
	if shape.result != nil && g.inMemory(m.fn.Result) {
		param := "uint32"
		if !shape.spillResult {
			param = result
		}
		f.printf("//go:wasmexport cabi_post_%s\nfunc %s(%s) { abi.PostReturn() }\n\n", u.exportName(m.fn.Name), g.names.pick("post"+name), param)
	}
}

// guestReturn writes how the results of an implementation are lowered. export
// says on which side types are seen.
func (g *generator) guestReturn(f *outFile, m member, shape abiShape, export bool) {
	l := shape.result
	if l == nil {
		f.printf("c.Free()\n")
		return
	}
	if !shape.spillResult {
		// A result<T, E> whose sides have values does not fit.
		if m.fallible {
			f.printf("c.Free()\nif err != nil {\nreturn 1\n}\nreturn 0\n")
			return
		}
		f.printf("r := make([]uint64, 1)\n%sc.Free()\nreturn %s\n", g.lower(m.result, export, "r", 0, "v"), fromSlot(l.Flat[0], "r[0]"))
		return
	}
	mv := mover{g, "store", export}
	f.printf("p := c.Alloc(%d, %d)\n", l.Size, l.Align)
	if !m.fallible {
		f.printf("%s", mv.put(m.result, 0, 0, "v"))
	} else {
		ok, failed := mv.setDiscriminant(l, "0"), mv.setDiscriminant(l, "1")
		if m.result != nil {
			ok += mv.put(m.result, l.Payload, 0, "v")
		}
		f.printf("if err == nil {\n%s} else ", ok)
		switch {
		case m.err == nil:
			f.printf("{\n%s}\n", failed)
		case root(m.err) == wit.String:
			f.printf("{\n%s%s}\n", failed, mv.put(m.err, l.Payload, 0, "err.Error()"))
		default:
			value := "failure"
			if !g.isErrorItself(m.err) {
				value = "failure.Value"
			}
			f.printf("if failure, ok := errors.AsType[%s](err); ok {\n%s%s} else {\nc.Fail(err)\n}\n",
				m.errType, failed, mv.put(m.err, l.Payload, 0, value))
		}
	}
	f.printf("c.Return()\nreturn p\n")
}
