package binary

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// WriteText writes a valid component in the text format (Explainer.md), with the core
// modules in it. Indices stand for names. Custom sections are left out. The error tells
// of a core module that can't be decoded, or is that of w.
func WriteText(w io.Writer, c *Component) error {
	b := bufio.NewWriter(w)
	t := &text{out: wasm.Text{W: b}}
	if err := t.component("component", c); err != nil {
		return err
	}
	return b.Flush()
}

// text writes definitions. counts are those of the scope that is written.
type text struct {
	out    wasm.Text
	counts [NumSorts]int
}

// id returns the next index of a sort as a comment.
func (t *text) id(s Sort) string {
	t.counts[s]++
	return fmt.Sprintf("(;%d;)", t.counts[s]-1)
}

// scope writes what has index spaces of its own.
func (t *text) scope(write func() error) error {
	outer := t.counts
	t.counts = [NumSorts]int{}
	t.out.Depth++
	err := write()
	t.out.Depth--
	t.counts = outer
	return err
}

func (t *text) component(head string, c *Component) error {
	t.out.Line("(%s", head)
	err := t.scope(func() error { return t.defs(c.Defs) })
	t.out.Line(")")
	return err
}

func (t *text) defs(defs []Def) error {
	for _, d := range defs {
		if err := t.def(d); err != nil {
			return err
		}
	}
	return nil
}

func (t *text) def(d Def) error {
	switch d := d.(type) {
	case *CoreModule:
		m, err := wasm.DecodeAt(d.Bytes, d.Offset)
		if err != nil {
			return err
		}
		return t.out.Module(m, "core module "+t.id(SortCoreModule))
	case *CoreInstance:
		t.coreInstance(d)
	case *CoreType:
		return t.coreType(d)
	case *Component:
		return t.component("component "+t.id(SortComponent), d)
	case *Instance:
		t.instance(d)
	case *Alias:
		t.out.Line("%s", t.alias(d))
	case *Type:
		return t.typeDef(d)
	case *Canon:
		t.out.Line("%s", t.canon(d))
	case *Start:
		var b strings.Builder
		for _, a := range d.Args {
			fmt.Fprintf(&b, " (value %d)", a)
		}
		for range d.Results {
			fmt.Fprintf(&b, " (result (value %s))", t.id(SortValue))
		}
		t.out.Line("(start %d%s)", d.Func, b.String())
	case *Import:
		t.out.Line("(import %s %s)", nameText(&d.Name), externText(&d.Type, t.id(d.Type.Kind.Sort())))
	case *ExportDecl:
		t.out.Line("(export %s %s %s)", t.id(d.Type.Kind.Sort()), nameText(&d.Name), externText(&d.Type, ""))
	case *Export:
		ascribed := ""
		if d.Type != nil {
			ascribed = " " + externText(d.Type, "")
		}
		t.out.Line("(export %s %s (%s %d)%s)", t.id(d.Sort), nameText(&d.Name), d.Sort, d.Index, ascribed)
	case *Value:
		t.out.Line("(value %s %s (;%d bytes;))", t.id(SortValue), valTypeText(d.Type), len(d.Data))
	}
	return nil
}

func (t *text) coreInstance(d *CoreInstance) {
	if d.Inline {
		t.out.Line("(core instance %s", t.id(SortCoreInstance))
		t.out.Depth++
		for _, x := range d.Exports {
			t.out.Line("(export %s (%s %d))", wasm.TextString(x.Name), strings.TrimPrefix(x.Sort.String(), "core "), x.Index)
		}
		t.out.Depth--
		t.out.Line(")")
		return
	}
	t.out.Line("(core instance %s (instantiate %d", t.id(SortCoreInstance), d.Module)
	t.out.Depth++
	for _, a := range d.Args {
		t.out.Line("(with %s (instance %d))", wasm.TextString(a.Name), a.Instance)
	}
	t.out.Depth--
	t.out.Line("))")
}

func (t *text) instance(d *Instance) {
	if d.Inline {
		t.out.Line("(instance %s", t.id(SortInstance))
		t.out.Depth++
		for i := range d.Exports {
			x := &d.Exports[i]
			t.out.Line("(export %s (%s %d))", nameText(&x.Name), x.Sort, x.Index)
		}
		t.out.Depth--
		t.out.Line(")")
		return
	}
	t.out.Line("(instance %s (instantiate %d", t.id(SortInstance), d.Component)
	t.out.Depth++
	for _, a := range d.Args {
		t.out.Line("(with %s (%s %d))", wasm.TextString(a.Name), a.Sort, a.Index)
	}
	t.out.Depth--
	t.out.Line("))")
}

func (t *text) alias(d *Alias) string {
	target := fmt.Sprintf("(%s %s)", d.Sort, t.id(d.Sort))
	switch d.Kind {
	case AliasExport:
		return fmt.Sprintf("(alias export %d %s %s)", d.Instance, wasm.TextString(d.Name), target)
	case AliasCoreExport:
		return fmt.Sprintf("(alias core export %d %s %s)", d.Instance, wasm.TextString(d.Name), target)
	default:
		return fmt.Sprintf("(alias outer %d %d %s)", d.Count, d.Index, target)
	}
}

// nameText returns the name of an import or export with its attributes.
func nameText(n *ExternName) string {
	s := wasm.TextString(n.Name)
	if n.HasImplements {
		s += " (implements " + wasm.TextString(n.Implements) + ")"
	}
	if n.HasVersionSuffix {
		s += " (versionsuffix " + wasm.TextString(n.VersionSuffix) + ")"
	}
	if n.HasExternalID {
		s += " (external-id " + wasm.TextString(n.ExternalID) + ")"
	}
	return s
}

// externText returns the type of an import or export.
func externText(x *ExternType, id string) string {
	if id != "" {
		id = " " + id
	}
	switch x.Kind {
	case ExternModule:
		return fmt.Sprintf("(core module%s (type %d))", id, x.Index)
	case ExternFunc:
		return fmt.Sprintf("(func%s (type %d))", id, x.Index)
	case ExternValue:
		if x.ValueEq {
			return fmt.Sprintf("(value%s (eq %d))", id, x.Index)
		}
		return fmt.Sprintf("(value%s %s)", id, valTypeText(x.Value))
	case ExternTypeEq:
		return fmt.Sprintf("(type%s (eq %d))", id, x.Index)
	case ExternResource:
		return fmt.Sprintf("(type%s (sub resource))", id)
	case ExternComponent:
		return fmt.Sprintf("(component%s (type %d))", id, x.Index)
	default:
		return fmt.Sprintf("(instance%s (type %d))", id, x.Index)
	}
}
