package bindgen

import (
	"fmt"
	"strings"

	"github.com/ashlar-wasm/ashlar/internal/canon"
	"github.com/ashlar-wasm/ashlar/wit"
)

// mover writes the parts of a compound value in one of the four ways.
type mover struct {
	*generator
	way    string
	export bool
}

func (m mover) lifting() bool { return m.way == "load" || m.way == "lift" }

// get returns an expression for a part, at an offset in memory or at a
// position among core values.
func (m mover) get(t wit.Type, offset uint32, pos int) string {
	if m.way == "load" {
		return m.load(t, m.export, plus("p", offset))
	}
	return m.lift(t, m.export, "s", pos)
}

// put returns statements for a part.
func (m mover) put(t wit.Type, offset uint32, pos int, v string) string {
	if m.way == "store" {
		return m.store(t, m.export, plus("p", offset), v)
	}
	return m.lower(t, m.export, "s", pos, v)
}

// discriminant returns an expression for the case of a lifted variant.
func (m mover) discriminant(l *canon.Type) string {
	if m.way == "load" {
		if l.DiscSize == 4 {
			return "c.U32(p)"
		}
		return fmt.Sprintf("uint32(c.U%d(p))", 8*l.DiscSize)
	}
	return "uint32(s[0])"
}

// setDiscriminant returns statements that begin a lowered variant.
func (m mover) setDiscriminant(l *canon.Type, v string) string {
	if m.way == "store" {
		return fmt.Sprintf("c.PutU%d(p, %s)\n", 8*l.DiscSize, v)
	}
	return fmt.Sprintf("s[0] = %s\n", v)
}

// compound returns the body of a function for a type that is made of parts.
func (g *generator) compound(way string, t *wit.TypeDef, export bool, goType string) string {
	m := mover{g, way, export}
	l := g.layout(t)
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	// Core values of a variant that its case does not use must be zero.
	reset := func() {
		if way == "lower" && len(l.Flat) > 1 {
			p("clear(s[1:%d])\n", len(l.Flat))
		}
	}
	switch k := t.Kind.(type) {
	case *wit.Record:
		names := nameSet{"Error": g.errors[g.key(t, export)]}
		var types []wit.Type
		var fields []string
		for _, f := range k.Fields {
			types = append(types, f.Type)
			fields = append(fields, names.pick(exported(f.Name)))
		}
		m.product(p, goType, l, types, fields)
	case *wit.Tuple:
		var fields []string
		for i := range k.Types {
			fields = append(fields, fmt.Sprintf("F%d", i))
		}
		m.product(p, goType, l, k.Types, fields)
	case *wit.Enum:
		if m.lifting() {
			p("return %s(abi.Discriminant(%s, %d))\n", goType, m.discriminant(l), len(k.Cases))
		} else {
			conv := "uint64"
			if way == "store" {
				conv = fmt.Sprintf("uint%d", 8*l.DiscSize)
			}
			p("%s", m.setDiscriminant(l, fmt.Sprintf("%s(abi.Discriminant(uint32(v), %d))", conv, len(k.Cases))))
		}
	case *wit.Flags:
		mask := uint64(1)<<len(k.Flags) - 1
		bits := 8 * l.Size
		switch way {
		case "load":
			p("return %s(c.U%d(p) & %#x)\n", goType, bits, mask)
		case "store":
			p("c.PutU%d(p, uint%d(v) & %#x)\n", bits, bits, mask)
		case "lift":
			p("return %s(s[0] & %#x)\n", goType, mask)
		case "lower":
			p("s[0] = uint64(v) & %#x\n", mask)
		}
	case *wit.Option:
		m.option(p, k, l, goType, reset)
	case *wit.Result:
		m.result(p, k, l, goType, reset)
	case *wit.Variant:
		m.variant(p, t, k, l, goType, reset)
	case *wit.FixedLengthList:
		m.fixedList(p, k, goType)
	case *wit.Map:
		m.mapKind(p, k, l, goType)
	}
	return b.String()
}

type printf func(format string, args ...any)

func (m mover) product(p printf, goType string, l *canon.Type, types []wit.Type, fields []string) {
	if m.lifting() {
		// Each field is a statement: their order is that of the definition.
		p("var v %s\n", goType)
	}
	pos := 0
	for i, t := range types {
		if m.lifting() {
			p("v.%s = %s\n", fields[i], m.get(t, l.Fields[i].Offset, pos))
		} else {
			p("%s", m.put(t, l.Fields[i].Offset, pos, "v."+fields[i]))
		}
		pos += len(m.layout(t).Flat)
	}
	if m.lifting() {
		p("return v\n")
	}
}

func (m mover) option(p printf, k *wit.Option, l *canon.Type, goType string, reset func()) {
	form := m.optionForm(k, m.export)
	if m.lifting() {
		p("if abi.Discriminant(%s, 2) == 0 {\nreturn %s\n}\n", m.discriminant(l), map[optionForm]string{
			optionPointer: "nil", optionNilable: "nil", optionNested: goType + "{}",
		}[form])
		value := m.get(k.Type, l.Payload, 1)
		switch form {
		case optionNilable:
			p("return %s\n", value)
		case optionNested:
			p("return %s{Valid: true, Value: %s}\n", goType, value)
		default:
			p("return %s\n", m.box(value))
		}
		return
	}
	reset()
	value := "v"
	switch form {
	case optionNested:
		p("if !v.Valid {\n")
		value = "v.Value"
	case optionPointer:
		p("if v == nil {\n")
		value = "*v"
	default:
		p("if v == nil {\n")
	}
	p("%sreturn\n}\n%s%s", m.setDiscriminant(l, "0"), m.setDiscriminant(l, "1"), m.put(k.Type, l.Payload, 1, value))
}

// box returns an expression for a pointer to a lifted value.
func (m mover) box(value string) string {
	if m.guest != nil {
		return "abi.Box(" + value + ")"
	}
	return "abi.Box(c, " + value + ")"
}

// held returns an expression for a lifted case of a variant. A host counts the
// memory that this takes.
func (m mover) held(name, value string) string {
	if m.guest != nil {
		return name + "{Value: " + value + "}"
	}
	return "abi.Held(c, " + name + "{" + value + "})"
}

func (m mover) result(p printf, k *wit.Result, l *canon.Type, goType string, reset func()) {
	if m.lifting() {
		p("var v %s\nif abi.Discriminant(%s, 2) == 0 {\n", goType, m.discriminant(l))
		if k.OK != nil {
			p("v.Ok = %s\n", m.get(k.OK, l.Payload, 1))
		}
		p("return v\n}\nv.IsErr = true\n")
		if k.Err != nil {
			p("v.Err = %s\n", m.get(k.Err, l.Payload, 1))
		}
		p("return v\n")
		return
	}
	reset()
	p("if v.IsErr {\n%s", m.setDiscriminant(l, "1"))
	if k.Err != nil {
		p("%s", m.put(k.Err, l.Payload, 1, "v.Err"))
	}
	p("return\n}\n%s", m.setDiscriminant(l, "0"))
	if k.OK != nil {
		p("%s", m.put(k.OK, l.Payload, 1, "v.Ok"))
	}
}

func (m mover) variant(p printf, t *wit.TypeDef, k *wit.Variant, l *canon.Type, goType string, reset func()) {
	names := m.casesOf(m.key(t, m.export))
	if m.lifting() {
		p("switch abi.Discriminant(%s, %d) {\n", m.discriminant(l), len(k.Cases))
		for i, c := range k.Cases {
			if i == len(k.Cases)-1 {
				p("default:\n")
			} else {
				p("case %d:\n", i)
			}
			if c.Type == nil {
				p("return %s{}\n", names[i])
			} else {
				p("return %s\n", m.held(names[i], m.get(c.Type, l.Payload, 1)))
			}
		}
		p("}\n")
		return
	}
	reset()
	payload := false
	for _, c := range k.Cases {
		payload = payload || c.Type != nil
	}
	if payload {
		p("switch v := v.(type) {\n")
	} else {
		p("switch v.(type) {\n")
	}
	for i, c := range k.Cases {
		p("case %s:\n%s", names[i], m.setDiscriminant(l, fmt.Sprint(i)))
		if c.Type != nil {
			p("%s", m.put(c.Type, l.Payload, 1, "v.Value"))
		}
	}
	p("default:\nc.Fail(errors.New(\"%s is not set\"))\n}\n", goType)
}

func (m mover) fixedList(p printf, k *wit.FixedLengthList, goType string) {
	elem := m.layout(k.Elem)
	n := len(elem.Flat)
	switch m.way {
	case "load":
		p("var v %s\nfor i := range v {\nv[i] = %s\n}\nreturn v\n", goType, m.load(k.Elem, m.export, fmt.Sprintf("p+uint32(i)*%d", elem.Size)))
	case "store":
		p("for i := range v {\n%s}\n", m.store(k.Elem, m.export, fmt.Sprintf("p+uint32(i)*%d", elem.Size), "v[i]"))
	case "lift":
		p("var v %s\nfor i := range v {\nv[i] = %s(c, s[i*%d:])\n}\nreturn v\n", goType, m.function("lift", k.Elem, m.export), n)
	case "lower":
		p("for i := range v {\n%s(c, s[i*%d:], v[i])\n}\n", m.function("lower", k.Elem, m.export), n)
	}
}

func (m mover) mapKind(p printf, k *wit.Map, l *canon.Type, goType string) {
	entry := l.Elem
	value := entry.Fields[1].Offset
	if m.lifting() {
		ptr, n := "c.U32(p)", "c.U32(p+4)"
		if m.way == "lift" {
			ptr, n = "uint32(s[0])", "uint32(s[1])"
		}
		p("at, n := %s, %s\n", ptr, n)
		if m.guest != nil {
			p("v := make(%s, n)\n", goType)
		} else {
			p("c.Region(at, n, %d, %d)\nv := abi.MakeMap[%s](c, n)\n", entry.Size, entry.Align, goType)
		}
		p("for range n {\n")
		p("key := %s\n", m.load(k.Key, m.export, "at"))
		p("v[key] = %s\nat += %d\n}\nreturn v\n", m.load(k.Value, m.export, plus("at", value)), entry.Size)
		return
	}
	p("start := c.AllocList(len(v), %d, %d)\nat := start\nfor key, value := range v {\n", entry.Size, entry.Align)
	p("%s%sat += %d\n}\n", m.store(k.Key, m.export, "at", "key"), m.store(k.Value, m.export, plus("at", value), "value"), entry.Size)
	if m.way == "store" {
		p("c.PutU32(p, start)\nc.PutU32(p+4, uint32(len(v)))\n")
	} else {
		p("s[0], s[1] = uint64(start), uint64(len(v))\n")
	}
}
