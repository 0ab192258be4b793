package canon

import (
	"context"
	"math/bits"
	"unsafe"
)

// load lifts the value of type t at p, which is aligned and in bounds.
func (cx *Context) load(p uint32, t *Type) Val {
	switch t.Kind {
	case KindBool:
		return BoolVal(cx.load8(p) != 0)
	case KindS8:
		return S8Val(cx.load8(p))
	case KindU8:
		return U8Val(cx.load8(p))
	case KindS16:
		return S16Val(cx.load16(p))
	case KindU16:
		return U16Val(cx.load16(p))
	case KindS32:
		return S32Val(cx.load32(p))
	case KindU32:
		return U32Val(cx.load32(p))
	case KindS64:
		return S64Val(cx.load64(p))
	case KindU64:
		return U64Val(cx.load64(p))
	case KindF32:
		return F32Val(Float32(cx.load32(p)))
	case KindF64:
		return F64Val(Float64(cx.load64(p)))
	case KindChar:
		return CharVal(Rune(cx.load32(p)))
	case KindString:
		return cx.liftString(cx.load32(p), cx.load32(p+4))
	case KindList, KindMap:
		if t.Fixed {
			return cx.loadElems(p, t.Len, t.Elem)
		}
		return cx.liftList(cx.load32(p), cx.load32(p+4), t)
	case KindRecord, KindTuple:
		return cx.fieldsVal(t, func(f *Field) Val { return cx.load(p+f.Offset, f.Type) })
	case KindVariant, KindEnum, KindOption, KindResult:
		i := Discriminant(cx.loadUint(p, t.DiscSize), len(t.Cases))
		if c := t.Cases[i].Type; c != nil {
			return cx.caseVal(t, i, cx.load(p+t.Payload, c))
		}
		return cx.caseVal(t, i, nil)
	case KindFlags:
		return cx.flagsVal(t, cx.loadUint(p, t.Size))
	default:
		return cx.liftHandle(cx.load32(p), t)
	}
}

func (cx *Context) loadUint(p, size uint32) uint32 {
	switch size {
	case 1:
		return uint32(cx.load8(p))
	case 2:
		return uint32(cx.load16(p))
	default:
		return cx.load32(p)
	}
}

// What a lifted value takes beside its bytes: whatever is put into an interface
// is memory of its own unless it is small, and its header is with it.
const (
	wordBytes   = uint64(unsafe.Sizeof(uintptr(0)))
	valBytes    = uint64(unsafe.Sizeof(Val(nil)))
	fieldBytes  = uint64(unsafe.Sizeof(FieldVal{}))
	headerBytes = uint64(unsafe.Sizeof([]Val(nil)))
	caseBytes   = uint64(unsafe.Sizeof(VariantVal{}))
	handleBytes = uint64(unsafe.Sizeof(Handle{}))
	textBytes   = uint64(unsafe.Sizeof(text{}))
	lentBytes   = uint64(unsafe.Sizeof(lent{}))
)

func (cx *Context) liftString(p, tagged uint32) Val {
	if cx.Fused {
		t := cx.text(p, tagged)
		cx.Charge(textBytes + uint64(len(t.b)))
		t.b = cx.Clone(t.b)
		return t
	}
	cx.Charge(headerBytes)
	return StringVal(cx.LoadString(p, tagged))
}

func (cx *Context) liftList(p, n uint32, t *Type) Val {
	cx.Region(p, n, t.Elem.Size, t.Elem.Align)
	l := cx.loadElems(p, n, t.Elem)
	if t.Kind == KindMap {
		return cx.entries(l.(ListVal))
	}
	return l
}

// entries makes a map of its pairs.
func (cx *Context) entries(pairs ListVal) MapVal {
	cx.Charge(headerBytes + uint64(len(pairs))*2*valBytes)
	m := make(MapVal, len(pairs))
	for i, e := range pairs {
		m[i] = EntryVal{Key: e.(TupleVal)[0], Value: e.(TupleVal)[1]}
	}
	return m
}

func (cx *Context) loadElems(p, n uint32, elem *Type) Val {
	if elem.Kind == KindU8 {
		cx.Charge(headerBytes + uint64(n))
		return BytesVal(cx.Clone(cx.at(p, n)))
	}
	cx.Charge(headerBytes + uint64(n)*(valBytes+wordBytes))
	l := make(ListVal, n)
	for i := range l {
		l[i] = cx.load(p+uint32(i)*elem.Size, elem)
		cx.Work(uint64(elem.Size))
	}
	return l
}

func (cx *Context) fieldsVal(t *Type, field func(f *Field) Val) Val {
	if t.Kind == KindTuple {
		cx.Charge(headerBytes + uint64(len(t.Fields))*valBytes)
		u := make(TupleVal, len(t.Fields))
		for i := range t.Fields {
			u[i] = field(&t.Fields[i])
		}
		return u
	}
	cx.Charge(headerBytes + uint64(len(t.Fields))*fieldBytes)
	r := make(RecordVal, len(t.Fields))
	for i := range t.Fields {
		r[i] = FieldVal{Name: t.Fields[i].Name, Value: field(&t.Fields[i])}
	}
	return r
}

func (cx *Context) flagsVal(t *Type, set uint32) Val {
	n := bits.OnesCount32(set)
	cx.Charge(headerBytes + uint64(n)*2*wordBytes)
	f := make(FlagsVal, 0, n)
	for i, l := range t.Labels {
		if set>>i&1 != 0 {
			f = append(f, l)
		}
	}
	return f
}

func (cx *Context) caseVal(t *Type, i uint32, payload Val) Val {
	cx.Charge(caseBytes)
	return t.caseVal(i, payload)
}

func (cx *Context) liftHandle(i uint32, t *Type) Val {
	cx.Charge(handleBytes)
	h := &Handle{Type: cx.Resource(t.Resource), Own: t.Kind == KindOwn}
	h.Rep = cx.liftRep(i, t, h)
	return h
}

// liftRep takes what a handle of type own or borrow stands for (lift_own,
// lift_borrow). h, unless it is nil, is what will stand for it.
func (cx *Context) liftRep(i uint32, t *Type, h *Handle) Rep {
	switch t.Kind {
	case KindOwn:
		return cx.takeOwn(i, cx.Resource(t.Resource), h)
	case KindBorrow:
		return cx.Lend(i, cx.Resource(t.Resource))
	}
	Raise("lifting values of type %s is not supported", t)
	return Rep{}
}

// TakeOwn removes an owning handle from the table. What it owned is the table's
// until Deliver.
func (cx *Context) TakeOwn(i uint32, rt *ResourceType) Rep { return cx.takeOwn(i, rt, nil) }

func (cx *Context) takeOwn(i uint32, rt *ResourceType, h *Handle) Rep {
	rep := cx.Handles.TakeOwn(i, rt)
	cx.Handles.hold(flight{rt, rep, h})
	return rep
}

// Deliver tells that all values of one side of a call were lifted, and that who
// they are for has them: resources among them are no longer the table's. Until
// then, if the call traps, [Table.Owned] has them.
func (cx *Context) Deliver() { cx.Handles.release() }

// Lend lends what a handle stands for until the end of the call.
func (cx *Context) Lend(i uint32, rt *ResourceType) Rep {
	cx.Charge(lentBytes)
	return cx.Handles.Lend(i, rt, cx.Scope)
}

// coreVals iterates over core values of the types that a flattened type has.
type coreVals struct {
	vals []uint64
	// have are the types of the values where they were joined with those of
	// other cases, else nil.
	have []CoreType
}

// next returns the next value, wanted as a core type.
func (v *coreVals) next(want CoreType) uint64 {
	x := v.vals[0]
	v.vals = v.vals[1:]
	if v.have != nil {
		have := v.have[0]
		v.have = v.have[1:]
		if have == I64 && (want == I32 || want == F32) {
			return uint64(uint32(x))
		}
	}
	if want == I32 || want == F32 {
		return uint64(uint32(x))
	}
	return x
}

func (v *coreVals) i32() uint32 { return uint32(v.next(I32)) }

func (cx *Context) liftFlat(v *coreVals, t *Type) Val {
	switch t.Kind {
	case KindBool:
		return BoolVal(v.i32() != 0)
	case KindS8:
		return S8Val(v.i32())
	case KindU8:
		return U8Val(v.i32())
	case KindS16:
		return S16Val(v.i32())
	case KindU16:
		return U16Val(v.i32())
	case KindS32:
		return S32Val(v.i32())
	case KindU32:
		return U32Val(v.i32())
	case KindS64:
		return S64Val(v.next(I64))
	case KindU64:
		return U64Val(v.next(I64))
	case KindF32:
		return F32Val(Float32(uint32(v.next(F32))))
	case KindF64:
		return F64Val(Float64(v.next(F64)))
	case KindChar:
		return CharVal(Rune(v.i32()))
	case KindString:
		p, n := v.i32(), v.i32()
		return cx.liftString(p, n)
	case KindList, KindMap:
		if t.Fixed {
			return cx.liftFlatElems(v, t)
		}
		p, n := v.i32(), v.i32()
		return cx.liftList(p, n, t)
	case KindRecord, KindTuple:
		return cx.fieldsVal(t, func(f *Field) Val { return cx.liftFlat(v, f.Type) })
	case KindVariant, KindEnum, KindOption, KindResult:
		return cx.liftFlatVariant(v, t)
	case KindFlags:
		return cx.flagsVal(t, v.i32())
	default:
		return cx.liftHandle(v.i32(), t)
	}
}

func (cx *Context) liftFlatElems(v *coreVals, t *Type) Val {
	cx.Charge(headerBytes + uint64(t.Len)*(valBytes+wordBytes))
	l := make(ListVal, t.Len)
	for i := range l {
		l[i] = cx.liftFlat(v, t.Elem)
	}
	if t.Elem.Kind != KindU8 {
		return l
	}
	b := make(BytesVal, len(l))
	for i := range l {
		b[i] = byte(l[i].(U8Val))
	}
	return b
}

func (cx *Context) liftFlatVariant(v *coreVals, t *Type) Val {
	n := len(t.Flat)
	i := Discriminant(v.i32(), len(t.Cases))
	// The payload's values are those of the joined types, whatever the case
	// takes of them.
	payload := coreVals{vals: v.vals[:n-1], have: t.Flat[1:]}
	if v.have != nil {
		// A variant within a variant: the outer join may have widened further.
		widened := make([]uint64, n-1)
		for j := range widened {
			widened[j] = v.next(t.Flat[1+j])
		}
		payload.vals = widened
	} else {
		v.vals = v.vals[n-1:]
	}
	if c := t.Cases[i].Type; c != nil {
		return cx.caseVal(t, i, cx.liftFlat(&payload, c))
	}
	return cx.caseVal(t, i, nil)
}

// LiftParams lifts the arguments of a call through canon lower from its core
// arguments.
func (cx *Context) LiftParams(ft *FuncType, flat Flat, args []uint64) []Val {
	if flat.SpillParams {
		p := uint32(args[0])
		cx.Pointer(p, ft.ParamTuple)
		return cx.load(p, ft.ParamTuple).(TupleVal)
	}
	v := coreVals{vals: args}
	out := make([]Val, len(ft.Params))
	for i := range ft.Params {
		out[i] = cx.liftFlat(&v, ft.Params[i].Type)
	}
	return out
}

// LiftResult lifts the result of a lifted function from its core results; nil
// if there is none.
func (cx *Context) LiftResult(ft *FuncType, flat Flat, results []uint64) Val {
	if ft.Result == nil {
		return nil
	}
	if flat.SpillResult {
		p := uint32(results[0])
		cx.Pointer(p, ft.Result)
		return cx.load(p, ft.Result)
	}
	return cx.liftFlat(&coreVals{vals: results}, ft.Result)
}

// Drop destroys the resource of an owned handle.
func (h *Handle) Drop(ctx context.Context) error {
	if !h.Own || h.Gone {
		return nil
	}
	h.Gone = true
	if h.Type.Drop == nil {
		return nil
	}
	return h.Type.Drop(ctx, h.Rep)
}

// LiftHandle lifts a handle of type own or borrow.
func (cx *Context) LiftHandle(i uint32, t *Type) *Handle { return cx.liftHandle(i, t).(*Handle) }
