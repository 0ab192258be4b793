package binary

import (
	"fmt"
	"strings"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

func (t *text) coreType(d *CoreType) error {
	id := t.id(SortCoreType)
	switch {
	case d.Func != nil && d.Open:
		t.out.Line("(core type %s (sub (func%s)))", id, wasm.TextFuncType(d.Func))
	case d.Func != nil:
		t.out.Line("(core type %s (func%s))", id, wasm.TextFuncType(d.Func))
	default:
		t.out.Line("(core type %s", id)
		t.out.Depth++
		t.out.Line("(module")
		err := t.scope(func() error { return t.moduleDecls(d.Module.Decls) })
		t.out.Line(")")
		t.out.Depth--
		t.out.Line(")")
		return err
	}
	return nil
}

func (t *text) moduleDecls(decls []ModuleDecl) error {
	for i := range decls {
		switch d := &decls[i]; {
		case d.Import != nil:
			t.out.Line("(import %s %s %s)", wasm.TextString(d.Import.Module), wasm.TextString(d.Import.Name), wasm.TextExtern(&d.Import.Extern, ""))
		case d.Type != nil && d.Type.Func != nil:
			t.out.Line("(type %s (func%s))", t.id(SortCoreType), wasm.TextFuncType(d.Type.Func))
		case d.Type != nil:
			return fmt.Errorf("at offset %#x: a module type in a module type", d.Type.Offset)
		case d.Alias != nil:
			t.out.Line("(alias outer %d %d (type %s))", d.Alias.Count, d.Alias.Index, t.id(SortCoreType))
		case d.Export != nil:
			t.out.Line("(export %s %s)", wasm.TextString(d.Export.Name), wasm.TextExtern(&d.Export.Extern, ""))
		}
	}
	return nil
}

func (t *text) typeDef(d *Type) error {
	id := t.id(SortType)
	var word string
	var decls []Def
	switch def := d.Def.(type) {
	case *ComponentType:
		word, decls = "component", def.Decls
	case *InstanceType:
		word, decls = "instance", def.Decls
	default:
		t.out.Line("(type %s %s)", id, defTypeText(d.Def))
		return nil
	}
	t.out.Line("(type %s", id)
	t.out.Depth++
	t.out.Line("(%s", word)
	err := t.scope(func() error { return t.defs(decls) })
	t.out.Line(")")
	t.out.Depth--
	t.out.Line(")")
	return err
}

func valTypeText(v ValType) string {
	if v.Prim == 0 {
		return fmt.Sprint(v.Index)
	}
	return primNames[v.Prim]
}

// defTypeText returns a type that is neither of a component nor an instance.
func defTypeText(d DefType) string {
	var b strings.Builder
	optional := func(v *ValType) {
		if v != nil {
			b.WriteString(" " + valTypeText(*v))
		}
	}
	labels := func(names []string) {
		for _, n := range names {
			b.WriteString(" " + wasm.TextString(n))
		}
	}
	switch d := d.(type) {
	case Prim:
		return primNames[d]
	case *Record:
		b.WriteString("record")
		for _, f := range d.Fields {
			fmt.Fprintf(&b, " (field %s %s)", wasm.TextString(f.Name), valTypeText(f.Type))
		}
	case *Variant:
		b.WriteString("variant")
		for _, c := range d.Cases {
			b.WriteString(" (case " + wasm.TextString(c.Name))
			optional(c.Type)
			b.WriteString(")")
		}
	case *List:
		b.WriteString("list " + valTypeText(d.Elem))
		if d.Len != nil {
			fmt.Fprintf(&b, " %d", *d.Len)
		}
	case *Tuple:
		b.WriteString("tuple")
		for i := range d.Types {
			optional(&d.Types[i])
		}
	case *Flags:
		b.WriteString("flags")
		labels(d.Labels)
	case *Enum:
		b.WriteString("enum")
		labels(d.Labels)
	case *Option:
		b.WriteString("option " + valTypeText(d.Type))
	case *Result:
		b.WriteString("result")
		optional(d.Ok)
		if d.Err != nil {
			b.WriteString(" (error " + valTypeText(*d.Err) + ")")
		}
	case *Own:
		fmt.Fprintf(&b, "own %d", d.Type)
	case *Borrow:
		fmt.Fprintf(&b, "borrow %d", d.Type)
	case *Stream:
		b.WriteString("stream")
		optional(d.Elem)
	case *Future:
		b.WriteString("future")
		optional(d.Elem)
	case *Map:
		b.WriteString("map " + valTypeText(d.Key) + " " + valTypeText(d.Value))
	case *FuncType:
		b.WriteString("func")
		if d.Async {
			b.WriteString(" async")
		}
		for _, p := range d.Params {
			fmt.Fprintf(&b, " (param %s %s)", wasm.TextString(p.Name), valTypeText(p.Type))
		}
		if d.Result != nil {
			b.WriteString(" (result " + valTypeText(*d.Result) + ")")
		}
	case *ResourceType:
		b.WriteString("resource (rep " + d.Rep.String() + ")")
		if d.Dtor != nil {
			fmt.Fprintf(&b, " (dtor (core func %d))", *d.Dtor)
		}
	}
	return "(" + b.String() + ")"
}

// canon returns a canonical definition.
func (t *text) canon(d *Canon) string {
	var b strings.Builder
	b.WriteString("canon " + d.Op.String())
	flag := func(on bool, word string) {
		if on {
			b.WriteString(" " + word)
		}
	}
	switch d.Op {
	case CanonLift:
		fmt.Fprintf(&b, " (core func %d)%s", d.Func, optsText(d.Opts))
		return fmt.Sprintf("(func %s (type %d) (%s))", t.id(SortFunc), d.Type, b.String())
	case CanonLower:
		fmt.Fprintf(&b, " (func %d)", d.Func)
	case CanonResourceNew, CanonResourceDrop, CanonResourceRep,
		CanonStreamNew, CanonStreamRead, CanonStreamWrite, CanonStreamDropReadable, CanonStreamDropWritable,
		CanonFutureNew, CanonFutureRead, CanonFutureWrite, CanonFutureDropReadable, CanonFutureDropWritable,
		CanonStreamCancelRead, CanonStreamCancelWrite, CanonFutureCancelRead, CanonFutureCancelWrite:
		fmt.Fprintf(&b, " %d", d.Type)
		flag(d.Async, "async")
	case CanonSubtaskCancel:
		flag(d.Async, "async")
	case CanonTaskReturn:
		if d.Result != nil {
			b.WriteString(" (result " + valTypeText(*d.Result) + ")")
		}
	case CanonContextGet, CanonContextSet:
		fmt.Fprintf(&b, " %s %d", d.ValType, d.Slot)
	case CanonWaitableSetWait, CanonWaitableSetPoll:
		flag(d.Cancellable, "cancellable")
		fmt.Fprintf(&b, " (memory %d)", d.Memory)
	case CanonThreadNewIndirect:
		fmt.Fprintf(&b, " %d (core table %d)", d.Type, d.Table)
	case CanonThreadSpawnRef:
		flag(d.Shared, "shared")
		fmt.Fprintf(&b, " %d", d.Type)
	case CanonThreadSpawnIndirect:
		flag(d.Shared, "shared")
		fmt.Fprintf(&b, " %d (core table %d)", d.Type, d.Table)
	case CanonThreadAvailableParallelism:
		flag(d.Shared, "shared")
	default:
		flag(d.Cancellable, "cancellable")
	}
	return fmt.Sprintf("(core func %s (%s%s))", t.id(SortCoreFunc), b.String(), optsText(d.Opts))
}

func optsText(opts []CanonOpt) string {
	var b strings.Builder
	for _, o := range opts {
		switch o.Kind {
		case OptUTF8:
			b.WriteString(" string-encoding=utf8")
		case OptUTF16:
			b.WriteString(" string-encoding=utf16")
		case OptLatin1UTF16:
			b.WriteString(" string-encoding=latin1+utf16")
		case OptMemory:
			fmt.Fprintf(&b, " (memory %d)", o.Index)
		case OptRealloc:
			fmt.Fprintf(&b, " (realloc %d)", o.Index)
		case OptPostReturn:
			fmt.Fprintf(&b, " (post-return %d)", o.Index)
		case OptAsync:
			b.WriteString(" async")
		case OptCallback:
			fmt.Fprintf(&b, " (callback %d)", o.Index)
		case OptCoreType:
			fmt.Fprintf(&b, " (core-type %d)", o.Index)
		case OptGC:
			b.WriteString(" gc")
		}
	}
	return b.String()
}
