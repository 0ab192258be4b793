package binary

import "github.com/ashlar-wasm/ashlar/internal/wasm"

func (e *encoder) valType(t ValType) {
	if t.Prim != 0 {
		e.WriteByte(byte(t.Prim))
		return
	}
	e.s33(t.Index)
}

func (e *encoder) optValType(t *ValType) {
	e.flag(t != nil)
	if t != nil {
		e.valType(*t)
	}
}

func (e *encoder) fields(fields []Field) {
	encodeVec(e, fields, func(f *Field) {
		e.name(f.Name)
		e.valType(f.Type)
	})
}

func (e *encoder) resultList(t *ValType) {
	if t == nil {
		e.Write([]byte{0x01, 0x00})
		return
	}
	e.WriteByte(0x00)
	e.valType(*t)
}

func (e *encoder) defType(t DefType) {
	switch t := t.(type) {
	case Prim:
		e.WriteByte(byte(t))
	case *Record:
		e.WriteByte(0x72)
		e.fields(t.Fields)
	case *Variant:
		e.WriteByte(0x71)
		encodeVec(e, t.Cases, func(c *Case) {
			e.name(c.Name)
			e.optValType(c.Type)
			e.WriteByte(0)
		})
	case *List:
		if t.Len == nil {
			e.WriteByte(0x70)
			e.valType(t.Elem)
			return
		}
		e.WriteByte(0x67)
		e.valType(t.Elem)
		e.u32(*t.Len)
	case *Tuple:
		e.WriteByte(0x6f)
		encodeVec(e, t.Types, func(v *ValType) { e.valType(*v) })
	case *Flags:
		e.WriteByte(0x6e)
		encodeVec(e, t.Labels, func(s *string) { e.name(*s) })
	case *Enum:
		e.WriteByte(0x6d)
		encodeVec(e, t.Labels, func(s *string) { e.name(*s) })
	case *Option:
		e.WriteByte(0x6b)
		e.valType(t.Type)
	case *Result:
		e.WriteByte(0x6a)
		e.optValType(t.Ok)
		e.optValType(t.Err)
	case *Own:
		e.WriteByte(0x69)
		e.u32(t.Type)
	case *Borrow:
		e.WriteByte(0x68)
		e.u32(t.Type)
	case *Stream:
		e.WriteByte(0x66)
		e.optValType(t.Elem)
	case *Future:
		e.WriteByte(0x65)
		e.optValType(t.Elem)
	case *Map:
		e.WriteByte(0x63)
		e.valType(t.Key)
		e.valType(t.Value)
	case *FuncType:
		if t.Async {
			e.WriteByte(0x43)
		} else {
			e.WriteByte(0x40)
		}
		e.fields(t.Params)
		e.resultList(t.Result)
	case *ComponentType:
		e.WriteByte(0x41)
		encodeVec(e, t.Decls, func(d *Def) { e.decl(*d) })
	case *InstanceType:
		e.WriteByte(0x42)
		encodeVec(e, t.Decls, func(d *Def) { e.decl(*d) })
	case *ResourceType:
		e.WriteByte(0x3f)
		e.coreValType(t.Rep)
		e.flag(t.Dtor != nil)
		if t.Dtor != nil {
			e.u32(*t.Dtor)
		}
	}
}

func (e *encoder) decl(d Def) {
	switch d.(type) {
	case *CoreType:
		e.WriteByte(0x00)
	case *Type:
		e.WriteByte(0x01)
	case *Alias:
		e.WriteByte(0x02)
	case *Import:
		e.WriteByte(0x03)
	case *ExportDecl:
		e.WriteByte(0x04)
	}
	e.def(d)
}

func (e *encoder) coreType(t *CoreType, inModule bool) {
	if t.Func != nil {
		if t.Open && !inModule {
			e.WriteByte(0x00)
		}
		if t.Open {
			e.Write([]byte{0x50, 0x00})
		}
		e.WriteByte(0x60)
		encodeVec(e, t.Func.Params, func(v *wasm.ValType) { e.coreValType(*v) })
		encodeVec(e, t.Func.Results, func(v *wasm.ValType) { e.coreValType(*v) })
		return
	}
	e.WriteByte(0x50)
	encodeVec(e, t.Module.Decls, func(d *ModuleDecl) {
		switch {
		case d.Import != nil:
			e.WriteByte(0x00)
			e.name(d.Import.Module)
			e.name(d.Import.Name)
			e.coreExtern(&d.Import.Extern)
		case d.Type != nil:
			e.WriteByte(0x01)
			e.coreType(d.Type, true)
		case d.Alias != nil:
			e.Write([]byte{0x02, 0x10, 0x01})
			e.u32(d.Alias.Count)
			e.u32(d.Alias.Index)
		case d.Export != nil:
			e.WriteByte(0x03)
			e.name(d.Export.Name)
			e.coreExtern(&d.Export.Extern)
		}
	})
}

func (e *encoder) limits(l *wasm.Limits, pageSize bool) {
	f := byte(fromBool(l.HasMax) | fromBool(l.Shared)<<1 | fromBool(l.Index64)<<2 | fromBool(pageSize)<<3)
	e.WriteByte(f)
	e.u64(l.Min)
	if l.HasMax {
		e.u64(l.Max)
	}
}

func (e *encoder) coreExtern(x *wasm.Extern) {
	e.WriteByte(byte(x.Kind))
	switch x.Kind {
	case wasm.KindFunc:
		e.u32(x.Type)
	case wasm.KindTable:
		e.coreValType(x.Table.Elem)
		e.limits(&x.Table.Limits, false)
	case wasm.KindMemory:
		e.limits(&x.Memory.Limits, x.Memory.HasPageSize)
		if x.Memory.HasPageSize {
			e.u32(x.Memory.PageSizeLog2)
		}
	case wasm.KindGlobal:
		e.coreValType(x.Global.Val)
		e.flag(x.Global.Mutable)
	case wasm.KindTag:
		e.WriteByte(0)
		e.u32(x.Type)
	}
}
