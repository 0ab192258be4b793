package wasm

import (
	"bufio"
	"fmt"
	"strings"
)

// Text writes modules in the text format of the core specification. Indices stand for
// names, which follow in comments where the name section has them.
type Text struct {
	W *bufio.Writer
	// Depth is how far lines are indented.
	Depth int
}

// Line writes one line.
func (t *Text) Line(format string, args ...any) {
	for range t.Depth {
		_, _ = t.W.WriteString("  ")
	}
	if len(args) == 0 {
		_, _ = t.W.WriteString(format)
	} else {
		fmt.Fprintf(t.W, format, args...)
	}
	_ = t.W.WriteByte('\n')
}

// TextComment returns a name as a comment that begins with a space, or "".
func TextComment(name string) string {
	if name == "" {
		return ""
	}
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == ';' {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(name, "?"))
	return " (;" + name + ";)"
}

// TextString returns a string literal of the text format.
func TextString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range []byte(s) {
		if c >= ' ' && c < 0x7f && c != '"' && c != '\\' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "\\%02x", c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// textValType returns a type as it is written: heap types are indices.
func textValType(t ValType) string {
	if !t.IsRef() || t == FuncRef || t == ExternRef || t == ExnRef {
		return t.String()
	}
	if t.Nullable() {
		return "(ref null " + textHeapType(t.Heap()) + ")"
	}
	return "(ref " + textHeapType(t.Heap()) + ")"
}

func textHeapType(h HeapType) string {
	if index, ok := h.TypeIndex(); ok {
		return fmt.Sprint(index)
	}
	return h.String()
}

// TextFuncType returns the parameters and results of a type, each group with a space
// before it.
func TextFuncType(t *FuncType) string {
	var b strings.Builder
	group := func(word string, types []ValType) {
		if len(types) == 0 {
			return
		}
		b.WriteString(" (" + word)
		for _, t := range types {
			b.WriteString(" " + textValType(t))
		}
		b.WriteString(")")
	}
	group("param", t.Params)
	group("result", t.Results)
	return b.String()
}

func textLimits(l Limits) string {
	s := fmt.Sprint(l.Min)
	if l.Index64 {
		s = "i64 " + s
	}
	if l.HasMax {
		s += fmt.Sprint(" ", l.Max)
	}
	if l.Shared {
		s += " shared"
	}
	return s
}

func textTable(t TableType) string { return textLimits(t.Limits) + " " + textValType(t.Elem) }

func textMemory(m MemoryType) string {
	s := textLimits(m.Limits)
	if m.HasPageSize {
		s += fmt.Sprintf(" (pagesize %#x)", uint64(1)<<m.PageSizeLog2)
	}
	return s
}

func textGlobal(g GlobalType) string {
	if g.Mutable {
		return "(mut " + textValType(g.Val) + ")"
	}
	return textValType(g.Val)
}

// TextExtern returns the type of an import or export; id stands after the word for its
// kind.
func TextExtern(x *Extern, id string) string {
	if id != "" {
		id = " " + id
	}
	switch x.Kind {
	case KindFunc:
		return fmt.Sprintf("(func%s (type %d))", id, x.Type)
	case KindTag:
		return fmt.Sprintf("(tag%s (type %d))", id, x.Type)
	case KindTable:
		return fmt.Sprintf("(table%s %s)", id, textTable(x.Table))
	case KindMemory:
		return fmt.Sprintf("(memory%s %s)", id, textMemory(x.Memory))
	default:
		return fmt.Sprintf("(global%s %s)", id, textGlobal(x.Global))
	}
}

// exportWords are the words for kinds in exports.
var exportWords = [...]string{KindFunc: "func", KindTable: "table", KindMemory: "memory", KindGlobal: "global", KindTag: "tag"}

// Module writes a valid module as "(head ...)". The error tells of code that can't be
// decoded; those of the writer are its Flush's.
func (t *Text) Module(m *Module, head string) error {
	names := m.Names()
	t.Line("(%s%s", head, TextComment(names.Module))
	t.Depth++
	for i := range m.Types {
		t.Line("(type (;%d;) (func%s))", i, TextFuncType(&m.Types[i]))
	}
	var counts [KindTag + 1]int
	next := func(k Kind) int { counts[k]++; return counts[k] - 1 }
	for i := range m.Imports {
		im := &m.Imports[i]
		index := next(im.Kind)
		id := fmt.Sprintf("(;%d;)", index)
		if im.Kind == KindFunc {
			id += TextComment(names.Functions[uint32(index)])
		}
		t.Line("(import %s %s %s)", TextString(im.Module), TextString(im.Name), TextExtern(&im.Extern, id))
	}
	for i := range m.Tables {
		init, err := t.expr(m.Tables[i].Init)
		if err != nil {
			return err
		}
		if init != "" {
			init = " " + init
		}
		t.Line("(table (;%d;) %s%s)", next(KindTable), textTable(m.Tables[i].TableType), init)
	}
	for i := range m.Memories {
		t.Line("(memory (;%d;) %s)", next(KindMemory), textMemory(m.Memories[i].MemoryType))
	}
	for i := range m.Tags {
		t.Line("(tag (;%d;) (type %d))", next(KindTag), m.Tags[i].Type)
	}
	for i := range m.Globals {
		init, err := t.expr(m.Globals[i].Init)
		if err != nil {
			return err
		}
		index := next(KindGlobal)
		t.Line("(global (;%d;)%s %s %s)", index, TextComment(names.Globals[uint32(index)]), textGlobal(m.Globals[i].GlobalType), init)
	}
	for i := range m.Exports {
		x := &m.Exports[i]
		t.Line("(export %s (%s %d))", TextString(x.Name), exportWords[x.Kind], x.Index)
	}
	if m.Start != nil {
		t.Line("(start %d)", m.Start.Func)
	}
	for i := range m.Elements {
		if err := t.element(i, &m.Elements[i]); err != nil {
			return err
		}
	}
	for i := range m.Functions {
		index := next(KindFunc)
		head := fmt.Sprintf("(func (;%d;)%s (type %d)%s", index, TextComment(names.Functions[uint32(index)]), m.Functions[i].Type, TextFuncType(&m.Types[m.Functions[i].Type]))
		if err := t.function(m, i, head, names.Functions); err != nil {
			return err
		}
	}
	for i := range m.Data {
		if err := t.data(i, &m.Data[i]); err != nil {
			return err
		}
	}
	t.Depth--
	t.Line(")")
	return nil
}

func (t *Text) element(i int, e *Element) error {
	var b strings.Builder
	fmt.Fprintf(&b, "(elem (;%d;)", i)
	switch e.Mode {
	case Active:
		at, err := t.expr(e.At)
		if err != nil {
			return err
		}
		if e.Table != 0 || e.Explicit {
			fmt.Fprintf(&b, " (table %d)", e.Table)
		}
		b.WriteString(" (offset " + at + ")")
	case Declarative:
		b.WriteString(" declare")
	}
	if !e.UsesExprs {
		b.WriteString(" func")
		for _, f := range e.Funcs {
			fmt.Fprintf(&b, " %d", f)
		}
		t.Line("%s)", b.String())
		return nil
	}
	b.WriteString(" " + textValType(e.Type))
	for _, x := range e.Exprs {
		item, err := t.expr(x)
		if err != nil {
			return err
		}
		b.WriteString(" (item " + item + ")")
	}
	t.Line("%s)", b.String())
	return nil
}

func (t *Text) data(i int, d *Data) error {
	where := ""
	if d.Mode == Active {
		at, err := t.expr(d.At)
		if err != nil {
			return err
		}
		if d.Memory != 0 || d.Explicit {
			where = fmt.Sprintf(" (memory %d)", d.Memory)
		}
		where += " (offset " + at + ")"
	}
	t.Line("(data (;%d;)%s %s)", i, where, TextString(string(d.Init)))
	return nil
}
