package canon

// store lowers v to p, which is aligned and in bounds.
func (cx *Context) store(v Val, p uint32, t *Type) {
	switch t.Kind {
	case KindBool, KindS8, KindU8, KindS16, KindU16, KindS32, KindU32, KindChar, KindF32, KindS64, KindU64, KindF64:
		cx.storeUint(p, t.Size, scalar(v))
	case KindString:
		q, n := cx.lowerString(v)
		cx.store32(p, q)
		cx.store32(p+4, n)
	case KindList, KindMap:
		if t.Fixed {
			cx.storeElems(v, p, t.Elem)
			return
		}
		q, n := cx.lowerList(v, t)
		cx.store32(p, q)
		cx.store32(p+4, n)
	case KindRecord, KindTuple:
		t.eachField(v, func(f *Field, v Val) { cx.store(v, p+f.Offset, f.Type) })
	case KindVariant, KindEnum, KindOption, KindResult:
		i, payload, _ := t.caseOf(v)
		cx.storeUint(p, t.DiscSize, uint64(i))
		if c := t.Cases[i].Type; c != nil {
			cx.store(payload, p+t.Payload, c)
		}
	case KindFlags:
		cx.storeUint(p, t.Size, uint64(t.flagBits(v)))
	default:
		cx.store32(p, cx.lowerHandle(v, t))
	}
}

func (cx *Context) storeUint(p, size uint32, v uint64) {
	switch size {
	case 1:
		cx.store8(p, uint8(v))
	case 2:
		cx.store16(p, uint16(v))
	case 4:
		cx.store32(p, uint32(v))
	default:
		cx.store64(p, v)
	}
}

// scalar returns the core value of a scalar, sign-extended to 32 bits where it
// is signed and small.
func scalar(v Val) uint64 {
	switch v := v.(type) {
	case BoolVal:
		if v {
			return 1
		}
		return 0
	case S8Val:
		return uint64(uint32(int32(v)))
	case U8Val:
		return uint64(v)
	case S16Val:
		return uint64(uint32(int32(v)))
	case U16Val:
		return uint64(v)
	case S32Val:
		return uint64(uint32(v))
	case U32Val:
		return uint64(v)
	case S64Val:
		return uint64(v)
	case U64Val:
		return uint64(v)
	case F32Val:
		return uint64(Float32Bits(float32(v)))
	case F64Val:
		return Float64Bits(float64(v))
	case CharVal:
		return uint64(uint32(v))
	}
	return 0
}

func (cx *Context) lowerString(v Val) (uint32, uint32) {
	if t, ok := v.(text); ok {
		return cx.storeText(t)
	}
	return cx.StoreString(string(v.(StringVal)))
}

func (cx *Context) lowerList(v Val, t *Type) (p, n uint32) {
	switch l := v.(type) {
	case BytesVal:
		n = uint32(len(l))
	case ListVal:
		n = uint32(len(l))
	case MapVal:
		pairs := make(ListVal, len(l))
		for i, e := range l {
			pairs[i] = TupleVal{e.Key, e.Value}
		}
		v, n = pairs, uint32(len(l))
	}
	if uint64(n)*uint64(t.Elem.Size) > maxBytes {
		Raise("list content out-of-bounds: list is too long")
	}
	p = cx.Alloc(t.Elem.Align, n*t.Elem.Size)
	cx.storeElems(v, p, t.Elem)
	return p, n
}

func (cx *Context) storeElems(v Val, p uint32, elem *Type) {
	if b, ok := v.(BytesVal); ok {
		cx.Move(cx.at(p, uint32(len(b))), b)
		return
	}
	for i, e := range v.(ListVal) {
		cx.store(e, p+uint32(i)*elem.Size, elem)
		cx.Work(uint64(elem.Size))
	}
}

func (t *Type) eachField(v Val, yield func(f *Field, v Val)) {
	if u, ok := v.(TupleVal); ok {
		for i := range t.Fields {
			yield(&t.Fields[i], u[i])
		}
		return
	}
	r := v.(RecordVal)
	for i := range t.Fields {
		f := &t.Fields[i]
		if r[i].Name == f.Name {
			yield(f, r[i].Value)
		} else {
			yield(f, r.field(f.Name))
		}
	}
}

func (t *Type) flagBits(v Val) (bits uint32) {
	for _, l := range v.(FlagsVal) {
		bits |= 1 << t.label(l)
	}
	return bits
}

func (cx *Context) lowerHandle(v Val, t *Type) uint32 {
	h, ok := v.(*Handle)
	if !ok {
		Raise("lowering values of type %s is not supported", t)
	}
	rt := cx.Resource(t.Resource)
	if h.Type != rt {
		Raise("resource type mismatch: expected %s, got %s", rt.Name, h.Type.Name)
	}
	if h.Gone {
		Raise("resource handle of %s was passed on or dropped before", rt.Name)
	}
	i := cx.lowerRep(h.Rep, t)
	h.Gone = t.Kind == KindOwn
	return i
}

// GiveOwn adds an owning handle of a resource that nobody else has: where there is
// no room for it, [Table.Owned] has it.
func (cx *Context) GiveOwn(rt *ResourceType, rep Rep) uint32 {
	if cx.Handles.full() {
		cx.Handles.Hold(rt, rep)
	}
	return cx.Handles.AddOwn(rt, rep)
}

// Keep has [Table.Owned] of the context's table return the resources among v that
// were not passed on.
func (cx *Context) Keep(v Val) {
	switch v := v.(type) {
	case *Handle:
		if v.Own && !v.Gone {
			cx.Handles.hold(flight{v.Type, v.Rep, v})
		}
	case ListVal:
		for _, e := range v {
			cx.Keep(e)
		}
	case TupleVal:
		for _, e := range v {
			cx.Keep(e)
		}
	case RecordVal:
		for _, f := range v {
			cx.Keep(f.Value)
		}
	case MapVal:
		for _, e := range v {
			cx.Keep(e.Key)
			cx.Keep(e.Value)
		}
	case OptionVal:
		cx.Keep(v.Some)
	case ResultVal:
		cx.Keep(v.Payload)
	case VariantVal:
		cx.Keep(v.Payload)
	}
}

// lowerRep adds a handle of type own or borrow (lower_own, lower_borrow).
func (cx *Context) lowerRep(rep Rep, t *Type) uint32 {
	rt := cx.Resource(t.Resource)
	if t.Kind == KindOwn {
		return cx.Handles.AddOwn(rt, rep)
	}
	if rt.Guest && rt.Owner == cx.Owner {
		return rep.Core
	}
	return cx.Handles.AddBorrow(rt, rep, cx.Scope)
}

func (cx *Context) lowerFlat(out []uint64, v Val, t *Type) []uint64 {
	switch t.Kind {
	case KindString:
		p, n := cx.lowerString(v)
		return append(out, uint64(p), uint64(n))
	case KindList, KindMap:
		if t.Fixed {
			return cx.lowerFlatElems(out, v, t)
		}
		p, n := cx.lowerList(v, t)
		return append(out, uint64(p), uint64(n))
	case KindRecord, KindTuple:
		t.eachField(v, func(f *Field, v Val) { out = cx.lowerFlat(out, v, f.Type) })
		return out
	case KindVariant, KindEnum, KindOption, KindResult:
		i, payload, _ := t.caseOf(v)
		end := len(out) + len(t.Flat)
		out = append(out, uint64(i))
		if c := t.Cases[i].Type; c != nil {
			// Joining only ever widens, and all core values are kept in 64
			// bits with upper halves clear, so the payload needs no change.
			out = cx.lowerFlat(out, payload, c)
		}
		for len(out) < end {
			out = append(out, 0)
		}
		return out
	case KindFlags:
		return append(out, uint64(t.flagBits(v)))
	case KindOwn, KindBorrow, KindStream, KindFuture, KindErrorContext:
		return append(out, uint64(cx.lowerHandle(v, t)))
	default:
		return append(out, scalar(v))
	}
}

func (cx *Context) lowerFlatElems(out []uint64, v Val, t *Type) []uint64 {
	if b, ok := v.(BytesVal); ok {
		for _, c := range b {
			out = append(out, uint64(c))
		}
		return out
	}
	for _, e := range v.(ListVal) {
		out = cx.lowerFlat(out, e, t.Elem)
	}
	return out
}

// LowerParams lowers the arguments of a call to a lifted function and returns
// its core arguments, appended to out.
func (cx *Context) LowerParams(out []uint64, ft *FuncType, flat Flat, args []Val) []uint64 {
	if flat.SpillParams {
		p := cx.Alloc(ft.ParamTuple.Align, ft.ParamTuple.Size)
		cx.store(TupleVal(args), p, ft.ParamTuple)
		return append(out, uint64(p))
	}
	for i := range ft.Params {
		out = cx.lowerFlat(out, args[i], ft.Params[i].Type)
	}
	return out
}

// LowerResult lowers the result of a function that was lowered: to the pointer
// that the caller passed last in args, or to core results appended to out.
func (cx *Context) LowerResult(out []uint64, ft *FuncType, flat Flat, args []uint64, result Val) []uint64 {
	if ft.Result == nil {
		return out
	}
	if flat.SpillResult {
		p := uint32(args[len(flat.Params)-1])
		cx.Pointer(p, ft.Result)
		cx.store(result, p, ft.Result)
		return out
	}
	return cx.lowerFlat(out, result, ft.Result)
}

// LowerHandle lowers a handle as type own or borrow.
func (cx *Context) LowerHandle(h *Handle, t *Type) uint32 { return cx.lowerHandle(h, t) }
