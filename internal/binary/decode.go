package binary

import (
	"bytes"
	"fmt"
	"slices"
)

const magic = "\x00asm"

// preamble of a component: magic, version 0x0d, layer 1.
var preamble = []byte{0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00}

// Kind tells what a binary is from its preamble.
type Kind uint8

const (
	KindUnknown   Kind = iota // not WebAssembly, or of a version not known
	KindModule                // a core module
	KindComponent             // a component
)

// KindOf returns the kind of the binary.
func KindOf(b []byte) Kind {
	switch {
	case bytes.HasPrefix(b, preamble):
		return KindComponent
	case bytes.HasPrefix(b, []byte("\x00asm\x01\x00\x00\x00")):
		return KindModule
	default:
		return KindUnknown
	}
}

// Decode parses a component. The result shares b's memory, which must not be
// changed after. The error is an *Error with the byte offset, or a
// *wasm.UnsupportedError where a core type needs what is not supported. Core
// modules are not looked into.
func Decode(b []byte) (*Component, error) {
	if len(b) > maxSize {
		return nil, &Error{Rule: fmt.Sprintf("component is larger than %d bytes", maxSize), Malformed: true}
	}
	d := &decoder{reader: reader{b: b}}
	c := d.component(0)
	if d.err != nil {
		return nil, d.err
	}
	return c, nil
}

type decoder struct {
	reader
	depth int
}

// enter counts nesting; it returns false past the bound.
func (d *decoder) enter() bool {
	d.depth++
	if d.depth > maxNesting {
		d.fail(d.at(), "nesting too deep", "more than %d levels", maxNesting)
		return false
	}
	return true
}

func (d *decoder) leave() { d.depth-- }

// component parses a whole component from what is left in the reader.
func (d *decoder) component(offset int) *Component {
	if !d.enter() {
		return nil
	}
	defer d.leave()
	start := d.at()
	c := &Component{Offset: start, Size: len(d.b) - d.pos}
	head := d.b[d.pos:]
	switch {
	case bytes.HasPrefix(head, preamble):
		d.pos += len(preamble)
	case KindOf(head) == KindModule:
		d.fail(start, "expected a version header for a component", "found a core module")
		return nil
	case len(head) < 8:
		if !bytes.HasPrefix([]byte(magic), head[:min(4, len(head))]) {
			d.fail(start, "magic header not detected", "bad magic number: found %q, expected %q", head[:min(4, len(head))], magic)
		} else {
			d.fail(start+len(head), "unexpected end-of-file", "a component begins with 8 bytes, found %d", len(head))
		}
		return nil
	case !bytes.HasPrefix(head, []byte(magic)):
		d.fail(start, "magic header not detected", "bad magic number: found %q, expected %q", head[:4], magic)
		return nil
	default:
		d.fail(start+4, "unknown binary version", "found version %#x and layer %#x, expected 0xd and 0x1",
			int(head[4])|int(head[5])<<8, int(head[6])|int(head[7])<<8)
		return nil
	}
	for d.more() {
		d.section(c)
	}
	return c
}

func (d *decoder) section(c *Component) {
	at := d.at()
	id := d.byte()
	if d.err == nil && id > 12 {
		d.fail(at, "malformed section id", "found section %d", id)
		return
	}
	size := d.u32()
	bodyAt := d.at()
	if d.err == nil && uint64(size) > uint64(len(d.b)-d.pos) {
		d.fail(bodyAt, "unexpected end-of-file", "section %d has %d bytes, %d are left", id, size, len(d.b)-d.pos)
	}
	body := d.bytes(size)
	if d.err != nil {
		return
	}
	s := &decoder{reader: reader{b: body, base: bodyAt}, depth: d.depth}
	s.sectionBody(c, id, at)
	if s.err == nil && s.pos < len(s.b) {
		s.fail(s.at(), "section size mismatch", "%d bytes are left over in section %d", len(s.b)-s.pos, id)
	}
	if len(c.Defs) > maxDefs {
		s.fail(at, "too many definitions", "more than %d", maxDefs)
	}
	if s.err != nil {
		d.err, d.pos = s.err, len(d.b)
	}
}

func (s *decoder) sectionBody(c *Component, id byte, at int) {
	each := func(what string, def func() Def) {
		n := s.count(what)
		for range n {
			v := def()
			if s.err != nil {
				return
			}
			c.Defs = append(c.Defs, v)
		}
	}
	switch id {
	case 0:
		u := Custom{Offset: s.at(), Name: s.name()}
		u.Data = s.b[s.pos:]
		s.pos = len(s.b)
		c.Customs = append(c.Customs, u)
	case 1:
		c.Defs = append(c.Defs, &CoreModule{Offset: s.at(), Bytes: s.b})
		s.pos = len(s.b)
	case 2:
		each("core instance", func() Def { return s.coreInstance() })
	case 3:
		each("core type", func() Def { return s.coreType(false) })
	case 4:
		if n := s.component(at); n != nil {
			c.Defs = append(c.Defs, n)
		}
	case 5:
		each("instance", func() Def { return s.instance() })
	case 6:
		each("alias", func() Def { return s.alias() })
	case 7:
		each("type", func() Def { return s.typeDef() })
	case 8:
		each("canonical function", func() Def { return s.canon() })
	case 9:
		c.Defs = append(c.Defs, &Start{Offset: s.at(), Func: s.u32(), Args: vec(&s.reader, "start argument", s.u32), Results: s.u32()})
	case 10:
		each("import", func() Def { return s.importDef() })
	case 11:
		each("export", func() Def { return s.export() })
	case 12:
		each("value", func() Def {
			v := &Value{Offset: s.at(), Type: s.valType()}
			v.Data = s.bytes(s.u32())
			return v
		})
	}
}

func (d *decoder) coreInstance() Def {
	i := &CoreInstance{Offset: d.at()}
	switch c := d.byte(); c {
	case 0x00:
		i.Module = d.u32()
		i.Args = vec(&d.reader, "core instantiation argument", func() CoreArg {
			a := CoreArg{Name: d.name()}
			at := d.at()
			if s := d.byte(); s != 0x12 {
				d.fail(at, fmt.Sprintf("invalid leading byte (0x%x) for instantiation arg kind", s), "expected 0x12")
			}
			a.Instance = d.u32()
			return a
		})
	case 0x01:
		i.Inline = true
		i.Exports = vec(&d.reader, "core inline export", func() CoreItem {
			return CoreItem{Name: d.name(), SortIdx: SortIdx{Sort: d.coreSort(), Index: d.u32()}}
		})
	default:
		d.fail(i.Offset, fmt.Sprintf("invalid leading byte (0x%x) for core instance", c), "")
	}
	return i
}

var coreSorts = map[byte]Sort{
	0x00: SortCoreFunc, 0x01: SortCoreTable, 0x02: SortCoreMemory, 0x03: SortCoreGlobal,
	0x04: SortCoreTag, 0x10: SortCoreType, 0x11: SortCoreModule, 0x12: SortCoreInstance,
}

func (d *decoder) coreSort() Sort {
	at := d.at()
	c := d.byte()
	s, ok := coreSorts[c]
	if !ok {
		d.fail(at, fmt.Sprintf("invalid leading byte (0x%x) for core sort", c), "")
	}
	return s
}

var sorts = map[byte]Sort{0x01: SortFunc, 0x02: SortValue, 0x03: SortType, 0x04: SortComponent, 0x05: SortInstance}

// sort reads a sort, which must be one of those allowed, or any if there are none.
func (d *decoder) sort(what string, allowed ...Sort) Sort {
	at := d.at()
	c := d.byte()
	s, ok := sorts[c]
	if c == 0 {
		at = d.at()
		c = d.byte()
		s, ok = coreSorts[c]
	}
	if !ok || len(allowed) > 0 && !slices.Contains(allowed, s) {
		d.fail(at, fmt.Sprintf("invalid leading byte (0x%x) for %s", c, what), "")
	}
	return s
}

// externSorts are the sorts of imports and exports.
var externSorts = []Sort{SortCoreModule, SortFunc, SortValue, SortType, SortComponent, SortInstance}

func (d *decoder) sortIdx() SortIdx {
	return SortIdx{Sort: d.sort("component external kind", externSorts...), Index: d.u32()}
}

func (d *decoder) instance() Def {
	i := &Instance{Offset: d.at()}
	switch c := d.byte(); c {
	case 0x00:
		i.Component = d.u32()
		i.Args = vec(&d.reader, "instantiation argument", func() Arg {
			return Arg{Name: d.name(), SortIdx: d.sortIdx()}
		})
	case 0x01:
		i.Inline = true
		i.Exports = vec(&d.reader, "inline export", func() InlineExport {
			return InlineExport{Name: d.externName(), SortIdx: d.sortIdx()}
		})
	default:
		d.fail(i.Offset, fmt.Sprintf("invalid leading byte (0x%x) for instance", c), "")
	}
	return i
}

func (d *decoder) externName() ExternName {
	at := d.at()
	n := ExternName{Form: d.byte()}
	switch n.Form {
	case 0x00, 0x01:
		n.Name = d.name()
	case 0x02:
		n.Name = d.name()
		seen := [3]bool{}
		for range d.count("name attribute") {
			at := d.at()
			k := d.byte()
			if k > 2 {
				d.fail(at, fmt.Sprintf("invalid leading byte (0x%x) for name option", k), "")
				return n
			}
			if seen[k] {
				d.fail(at, fmt.Sprintf("duplicate '%s' option in name", [3]string{"implements", "versionsuffix", "external-id"}[k]), "")
				return n
			}
			seen[k] = true
			switch v := d.name(); k {
			case 0:
				n.Implements, n.HasImplements = v, true
			case 1:
				n.VersionSuffix, n.HasVersionSuffix = v, true
			case 2:
				n.ExternalID, n.HasExternalID = v, true
			}
		}
	default:
		d.fail(at, fmt.Sprintf("invalid leading byte (0x%x) for component name", n.Form), "")
	}
	return n
}

func (d *decoder) alias() Def {
	a := &Alias{Offset: d.at()}
	// Which sorts are allowed depends on the target, which comes after.
	start := d.pos
	if d.byte() == 0 {
		d.byte()
	}
	at := d.at()
	c := d.byte()
	target := d.pos
	sort := func(what string, allowed ...Sort) {
		if d.err == nil {
			d.pos = start
			a.Sort = d.sort(what, allowed...)
		}
		if d.err == nil {
			d.pos = target
		}
	}
	switch c {
	case 0x00:
		sort("component external kind", externSorts...)
		a.Kind, a.Instance, a.Name = AliasExport, d.u32(), d.name()
	case 0x01:
		sort("core instance export kind", SortCoreFunc, SortCoreTable, SortCoreMemory, SortCoreGlobal, SortCoreTag)
		a.Kind, a.Instance, a.Name = AliasCoreExport, d.u32(), d.name()
	case 0x02:
		sort("component outer alias kind", SortCoreType, SortCoreModule, SortType, SortComponent)
		a.Kind, a.Count, a.Index = AliasOuter, d.u32(), d.u32()
	default:
		d.fail(at, fmt.Sprintf("invalid leading byte (0x%x) for alias", c), "")
	}
	return a
}

func (d *decoder) externType() ExternType {
	t := ExternType{Offset: d.at()}
	switch c := d.byte(); c {
	case 0x00:
		at := d.at()
		if m := d.byte(); m != 0x11 {
			d.fail(at, fmt.Sprintf("invalid leading byte (0x%x) for component external kind", m), "expected 0x11")
		}
		t.Kind, t.Index = ExternModule, d.u32()
	case 0x01:
		t.Kind, t.Index = ExternFunc, d.u32()
	case 0x02:
		t.Kind = ExternValue
		if t.ValueEq = !d.flag("value bound"); t.ValueEq {
			t.Index = d.u32()
		} else {
			t.Value = d.valType()
		}
	case 0x03:
		if d.flag("type bound") {
			t.Kind = ExternResource
		} else {
			t.Kind, t.Index = ExternTypeEq, d.u32()
		}
	case 0x04:
		t.Kind, t.Index = ExternComponent, d.u32()
	case 0x05:
		t.Kind, t.Index = ExternInstance, d.u32()
	default:
		d.fail(t.Offset, fmt.Sprintf("invalid leading byte (0x%x) for component external kind", c), "")
	}
	return t
}

func (d *decoder) importDef() Def {
	return &Import{Offset: d.at(), Name: d.externName(), Type: d.externType()}
}

func (d *decoder) export() Def {
	e := &Export{Offset: d.at(), Name: d.externName(), SortIdx: d.sortIdx()}
	if d.flag("optional component export type") {
		t := d.externType()
		e.Type = &t
	}
	return e
}
