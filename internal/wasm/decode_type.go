package wasm

func (m *Module) typeEntry(r *reader, t *FuncType) {
	t.Offset = r.base + r.pos
	at := r.pos
	switch form := r.byte(); form {
	case 0x60:
	case 0x50, 0x4f, 0x4e, 0x5f, 0x5e:
		r.unsupported(at, GC)
	case 0x65:
		r.unsupported(at, SharedEverything)
	case 0x5d:
		r.unsupported(at, StackSwitching)
	case 0x4c, 0x4d:
		r.unsupported(at, CustomDescriptors)
	default:
		r.fail(at, "malformed type form", "%#x", form)
	}
	vector(r, &t.Params, "function params", maxParams, func(v *ValType) { *v = r.valType() })
	vector(r, &t.Results, "function returns", maxResults, func(v *ValType) { *v = r.valType() })
}

func (m *Module) importEntry(r *reader, im *Import) {
	im.Offset = r.base + r.pos
	im.Module = r.name()
	im.Name = r.name()
	at := r.pos
	im.Kind = Kind(r.byte())
	switch im.Kind {
	case KindFunc:
		im.Type = r.u32()
	case KindTable:
		im.Table = m.tableType(r)
	case KindMemory:
		im.Memory = m.memoryType(r)
	case KindGlobal:
		im.Global = r.globalType()
	case KindTag:
		im.Type = r.tagType()
	case 0x20:
		r.unsupported(at, CustomDescriptors)
	case 0x7e, 0x7f:
		if im.Name == "" {
			r.unsupported(at, CompactImports)
		}
		fallthrough
	default:
		r.fail(at, "malformed import kind", "%#x", byte(im.Kind))
	}
}

func (r *reader) tagType() uint32 {
	at := r.pos
	if attr := r.byte(); attr != 0 {
		r.fail(at, "malformed tag attribute", "%#x", attr)
	}
	return r.u32()
}

func (r *reader) globalType() GlobalType {
	g := GlobalType{Val: r.valType()}
	at := r.pos
	switch mut := r.byte(); mut {
	case 0, 1:
		g.Mutable = mut == 1
	case 2, 3:
		r.unsupported(at, SharedEverything)
	default:
		r.fail(at, "malformed mutability", "%#x", mut)
	}
	return g
}

func (m *Module) tableType(r *reader) TableType {
	at := r.pos
	t := TableType{Elem: r.valType()}
	if r.err == nil && !t.Elem.IsRef() {
		r.fail(at, "malformed reference type", "%s", t.Elem)
	}
	at = r.pos
	flags := r.byte()
	if flags&^7 != 0 {
		r.fail(at, "malformed limits flags", "%#x", flags)
	}
	t.Limits = r.limits(flags)
	if flags&2 != 0 {
		r.unsupported(at, SharedEverything)
	}
	if t.Limits.Index64 {
		m.need(Memory64, r.base+at)
	}
	return t
}

func (m *Module) memoryType(r *reader) MemoryType {
	at := r.pos
	flags := r.byte()
	if flags&^15 != 0 {
		r.fail(at, "malformed limits flags", "%#x", flags)
	}
	t := MemoryType{Limits: r.limits(flags), PageSizeLog2: 16, HasPageSize: flags&8 != 0}
	if t.HasPageSize {
		t.PageSizeLog2 = r.u32()
		m.need(CustomPageSizes, r.base+at)
	}
	if t.Limits.Index64 {
		m.need(Memory64, r.base+at)
	}
	return t
}

func (r *reader) limits(flags byte) Limits {
	l := Limits{HasMax: flags&1 != 0, Shared: flags&2 != 0, Index64: flags&4 != 0}
	read := func() uint64 {
		if l.Index64 {
			return r.u64()
		}
		return uint64(r.u32())
	}
	l.Min = read()
	if l.HasMax {
		l.Max = read()
	}
	return l
}

// valType reads a value type.
func (r *reader) valType() ValType {
	at := r.pos
	switch c := r.byte(); c {
	case 0x7f, 0x7e, 0x7d, 0x7c, 0x7b:
		return ValType(c)
	case 0x63, 0x64:
		return Ref(r.heapType(), c == 0x63)
	case 0x65:
		r.unsupported(at, SharedEverything)
		return 0
	default:
		if r.err == nil && c >= 0x40 && c < 0x80 {
			return Ref(r.absHeapType(at, c), true)
		}
		r.fail(at, "malformed value type", "%#x", c)
		return 0
	}
}

func (r *reader) heapType() HeapType {
	at := r.pos
	if at < len(r.b) {
		switch r.b[at] {
		case 0x65:
			r.unsupported(at, SharedEverything)
			return 0
		case 0x61, 0x62:
			r.unsupported(at, CustomDescriptors)
			return 0
		}
	}
	v := r.s33()
	switch {
	case v >= maxTypes:
		r.fail(at, "unknown type", "index %d", v)
		return 0
	case v >= 0:
		return HeapType(v)
	case v >= -64:
		return r.absHeapType(at, byte(v)&0x7f)
	default:
		r.fail(at, "malformed heap type", "%d", v)
		return 0
	}
}

func (r *reader) absHeapType(at int, c byte) HeapType {
	switch c {
	case 0x70, 0x6f, 0x69:
		return HeapType(absBit) | HeapType(c)
	case 0x6e, 0x6d, 0x6c, 0x6b, 0x6a, 0x71, 0x72, 0x73, 0x74:
		r.unsupported(at, GC)
	case 0x68, 0x75:
		r.unsupported(at, StackSwitching)
	default:
		r.fail(at, "malformed reference type", "%#x", c)
	}
	return 0
}
