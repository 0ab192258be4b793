package binary

import (
	"fmt"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// coreType reads a core type; in a module type it cannot be a module type.
func (d *decoder) coreType(inModule bool) *CoreType {
	t := &CoreType{Offset: d.at()}
	switch c := d.byte(); {
	case c == 0x60:
		t.Func = d.coreFuncType()
	case c == 0x50 && !inModule:
		t.Module = d.moduleType()
	case c == 0x00 && !inModule: // sets a sub type apart from a module type
		at := d.at()
		if c := d.byte(); c != 0x50 {
			d.fail(at, fmt.Sprintf("invalid leading byte (0x%x) for non-final sub type", c), "expected 0x50")
		}
		fallthrough
	case c == 0x50 || c == 0x4f:
		t.Open = c != 0x4f
		if supers := vec(&d.reader, "supertype", d.u32); len(supers) > 0 || d.peek() == 0x5e || d.peek() == 0x5f {
			d.unsupported(wasm.GC)
		}
		at := d.at()
		if c := d.byte(); c != 0x60 {
			d.fail(at, fmt.Sprintf("invalid leading byte (0x%x) for core type", c), "")
		}
		t.Func = d.coreFuncType()
	case c == 0x4e || c == 0x5e || c == 0x5f:
		d.pos--
		d.unsupported(wasm.GC)
	case c == 0x65:
		d.pos--
		d.unsupported(wasm.SharedEverything)
	default:
		d.fail(t.Offset, fmt.Sprintf("invalid leading byte (0x%x) for core type", c), "")
	}
	return t
}

func (d *decoder) moduleType() *ModuleType {
	if !d.enter() {
		return nil
	}
	defer d.leave()
	return &ModuleType{Decls: vec(&d.reader, "module type declaration", func() ModuleDecl {
		m := ModuleDecl{Offset: d.at()}
		switch c := d.byte(); c {
		case 0x00:
			m.Import = &wasm.Import{Offset: d.at(), Module: d.name(), Name: d.name(), Extern: d.coreExtern()}
		case 0x01:
			m.Type = d.coreType(true)
		case 0x02:
			a := &Alias{Offset: d.at(), Kind: AliasOuter, Sort: SortCoreType}
			if k := d.byte(); k != 0x10 {
				d.fail(a.Offset, fmt.Sprintf("invalid leading byte (0x%x) for outer alias kind", k), "only core types can be aliased")
			}
			at := d.at()
			if k := d.byte(); k != 0x01 {
				d.fail(at, fmt.Sprintf("invalid leading byte (0x%x) for outer alias target", k), "expected 0x01")
			}
			a.Count, a.Index = d.u32(), d.u32()
			m.Alias = a
		case 0x03:
			m.Export = &CoreExportDecl{Name: d.name(), Extern: d.coreExtern()}
		default:
			d.fail(m.Offset, fmt.Sprintf("invalid leading byte (0x%x) for type definition", c), "")
		}
		return m
	})}
}

// valType reads a value type: a primitive or a type index.
func (d *decoder) valType() ValType {
	at := d.at()
	if p := Prim(d.peek()); isPrim(p) {
		d.pos++
		return ValType{Prim: p}
	}
	v := d.s33()
	if v < 0 {
		d.fail(at, "invalid value type", "found type code %#x", byte(v)&0x7f)
		return ValType{}
	}
	return ValType{Index: uint32(v)}
}

func isPrim(p Prim) bool { return p >= String && p <= Bool || p == ErrorContext }

func (d *decoder) optValType(what string) *ValType {
	if !d.flag(what) {
		return nil
	}
	t := d.valType()
	return &t
}

func (d *decoder) fields(what string) []Field {
	return vec(&d.reader, what, func() Field {
		return Field{Offset: d.at(), Name: d.name(), Type: d.valType()}
	})
}

func (d *decoder) typeDef() Def {
	return &Type{Offset: d.at(), Def: d.defType()}
}

func (d *decoder) defType() DefType {
	if !d.enter() {
		return nil
	}
	defer d.leave()
	at := d.at()
	if p := Prim(d.peek()); isPrim(p) {
		d.pos++
		return p
	}
	switch c := d.byte(); c {
	case 0x72:
		return &Record{Fields: d.fields("record field")}
	case 0x71:
		return &Variant{Cases: vec(&d.reader, "variant case", func() Case {
			v := Case{Offset: d.at(), Name: d.name(), Type: d.optValType("variant case type")}
			at := d.at()
			if z := d.byte(); z != 0 {
				d.fail(at, fmt.Sprintf("invalid leading byte (0x%x) for zero byte required", z), "expected 0")
			}
			return v
		})}
	case 0x70:
		return &List{Elem: d.valType()}
	case 0x67:
		l := &List{Elem: d.valType()}
		n := d.u32()
		l.Len = &n
		return l
	case 0x6f:
		return &Tuple{Types: vec(&d.reader, "tuple element", d.valType)}
	case 0x6e:
		return &Flags{Labels: vec(&d.reader, "flag", d.name)}
	case 0x6d:
		return &Enum{Labels: vec(&d.reader, "enum case", d.name)}
	case 0x6b:
		return &Option{Type: d.valType()}
	case 0x6a:
		return &Result{Ok: d.optValType("result"), Err: d.optValType("result")}
	case 0x69:
		return &Own{Type: d.u32()}
	case 0x68:
		return &Borrow{Type: d.u32()}
	case 0x66:
		return &Stream{Elem: d.optValType("stream")}
	case 0x65:
		return &Future{Elem: d.optValType("future")}
	case 0x63:
		return &Map{Key: d.valType(), Value: d.valType()}
	case 0x40, 0x43:
		return &FuncType{Async: c == 0x43, Params: d.fields("function parameter"), Result: d.resultList()}
	case 0x41:
		return &ComponentType{Decls: vec(&d.reader, "component type declaration", func() Def { return d.decl(true) })}
	case 0x42:
		return &InstanceType{Decls: vec(&d.reader, "instance type declaration", func() Def { return d.decl(false) })}
	case 0x3f:
		rt := &ResourceType{Rep: d.coreValType()}
		if d.flag("resource destructor") {
			f := d.u32()
			rt.Dtor = &f
		}
		return rt
	default:
		d.fail(at, fmt.Sprintf("invalid leading byte (0x%x) for component defined type", c), "")
		return nil
	}
}

func (d *decoder) resultList() *ValType {
	at := d.at()
	switch c := d.byte(); c {
	case 0x00:
		t := d.valType()
		return &t
	case 0x01:
		at = d.at()
		if z := d.byte(); z != 0 {
			d.fail(at, fmt.Sprintf("invalid leading byte (0x%x) for number of results", z), "named results are no longer supported")
		}
		return nil
	default:
		d.fail(at, fmt.Sprintf("invalid leading byte (0x%x) for component function results", c), "")
		return nil
	}
}

func (d *decoder) decl(component bool) Def {
	at := d.at()
	switch c := d.byte(); {
	case c == 0x00:
		return d.coreType(false)
	case c == 0x01:
		return d.typeDef()
	case c == 0x02:
		return d.alias()
	case c == 0x03 && component:
		return d.importDef()
	case c == 0x04:
		return &ExportDecl{Offset: d.at(), Name: d.externName(), Type: d.externType()}
	default:
		d.fail(at, fmt.Sprintf("invalid leading byte (0x%x) for component or instance type declaration", c), "")
		return &ExportDecl{}
	}
}
