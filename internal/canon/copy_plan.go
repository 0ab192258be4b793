package canon

// opcode is what an operation of a plan does with a part of a value.
type opcode uint8

const (
	opMove    opcode = iota + 1 // bytes as they are
	opBool                      // bools, a byte each
	opF32                       // floats, whose NaNs become canonical
	opF64                       //
	opChar                      // characters to be checked; they are moved as they are
	opMask                      // flags, some bits of which mean nothing
	opCase                      // an enum to be checked
	opVariant                   // a discriminant, and the payload of a case
	opString                    //
	opList                      // a pointer and a length
	opRepeat                    // a list of fixed length in place
	opPlan                      // a part with a plan of its own
	opHandle                    // own or borrow
	// The following are for core values only.
	opU8
	opS8
	opU16
	opS16
	opU32
	opU64
)

// op is one operation: off is where the part lies, in bytes or core values.
type op struct {
	code  opcode
	off   uint32
	n     uint32  // bytes of what is moved, or elements
	mask  uint32  // of flags
	typ   *Type   // of variants, lists and handles
	plan  *plan   // of elements or a part
	cases []*plan // of variants, nil where there is no payload
}

// plan is how values of a type are copied: two passes, since all values of a
// call are lifted before the first is lowered. Parts that need no checking are
// not in lift, parts that lie beside each other and are moved alike are one.
type plan struct {
	lift, lower []op
	size        uint32 // of a value
}

// run returns the code of a plan that does one thing to all bytes of a value,
// so that it may do it to all bytes of a list; 0 if it does not.
func run(ops []op, size uint32) opcode {
	if len(ops) == 1 && ops[0].off == 0 && ops[0].n == size {
		switch c := ops[0].code; c {
		case opMove, opBool, opF32, opF64, opChar:
			return c
		}
	}
	return 0
}

// planner makes plans, one for each type that occurs.
type planner struct {
	memory map[*Type]*plan
}

func (b *planner) plan(t *Type) *plan {
	if p, ok := b.memory[t]; ok {
		return p
	}
	p := &plan{size: t.Size}
	b.add(p, t, 0)
	b.memory[t] = p
	return p
}

// appendRun adds an operation on n bytes to ops, or makes the last one longer.
func appendRun(ops []op, code opcode, off, n uint32) []op {
	if i := len(ops) - 1; i >= 0 && ops[i].code == code && ops[i].off+ops[i].n == off {
		ops[i].n += n
		return ops
	}
	return append(ops, op{code: code, off: off, n: n})
}

// maxInline is how many operations of a part are put into the plan of the whole:
// parts may be named many times in a type.
const maxInline = 16

// add appends what copies a value of type t that lies at off.
func (b *planner) add(p *plan, t *Type, off uint32) {
	both := func(o op) {
		o.off = off
		p.lift, p.lower = append(p.lift, o), append(p.lower, o)
	}
	switch t.Kind {
	case KindBool:
		p.lower = appendRun(p.lower, opBool, off, t.Size)
	case KindF32:
		p.lower = appendRun(p.lower, opF32, off, t.Size)
	case KindF64:
		p.lower = appendRun(p.lower, opF64, off, t.Size)
	case KindChar:
		p.lift = appendRun(p.lift, opChar, off, t.Size)
		p.lower = appendRun(p.lower, opMove, off, t.Size)
	case KindFlags:
		if mask := t.flagsMask(); mask != uint32(1<<(8*t.Size)-1) {
			p.lower = append(p.lower, op{code: opMask, off: off, n: t.Size, mask: mask})
			return
		}
		p.lower = appendRun(p.lower, opMove, off, t.Size)
	case KindEnum:
		p.lift = append(p.lift, op{code: opCase, off: off, typ: t})
		p.lower = appendRun(p.lower, opMove, off, t.Size)
	case KindRecord, KindTuple:
		for i := range t.Fields {
			f := &t.Fields[i]
			part := b.plan(f.Type)
			if len(part.lift) > maxInline || len(part.lower) > maxInline {
				o := op{code: opPlan, off: off + f.Offset, plan: part}
				p.lift, p.lower = append(p.lift, o), append(p.lower, o)
				continue
			}
			b.add(p, f.Type, off+f.Offset)
		}
	case KindVariant, KindOption, KindResult:
		both(op{code: opVariant, typ: t, cases: b.cases(t, b.plan)})
	case KindString:
		both(op{code: opString})
	case KindList, KindMap:
		elem := b.plan(t.Elem)
		if !t.Fixed {
			both(op{code: opList, typ: t.Elem, plan: elem})
			return
		}
		if c := run(elem.lower, elem.size); c != 0 && (len(elem.lift) == 0 || run(elem.lift, elem.size) != 0) {
			if len(elem.lift) > 0 {
				p.lift = appendRun(p.lift, opChar, off, t.Size)
			}
			p.lower = appendRun(p.lower, c, off, t.Size)
			return
		}
		both(op{code: opRepeat, n: t.Len, plan: elem})
	case KindOwn, KindBorrow, KindStream, KindFuture, KindErrorContext:
		both(op{code: opHandle, typ: t})
	default: // integers
		p.lower = appendRun(p.lower, opMove, off, t.Size)
	}
}

// cases returns the plans of the payloads, which of makes.
func (b *planner) cases(t *Type, of func(t *Type) *plan) []*plan {
	cases := make([]*plan, len(t.Cases))
	for i, c := range t.Cases {
		if c.Type != nil {
			cases[i] = of(c.Type)
		}
	}
	return cases
}

// flagsMask has the bits that are labels.
func (t *Type) flagsMask() uint32 { return uint32(1<<len(t.Labels) - 1) }

// addFlat appends what copies a value of type t whose core values begin at slot.
func (b *planner) addFlat(p *plan, t *Type, slot uint32) {
	o := op{off: slot}
	switch t.Kind {
	case KindBool:
		o.code = opBool
	case KindS8:
		o.code = opS8
	case KindU8:
		o.code = opU8
	case KindS16:
		o.code = opS16
	case KindU16:
		o.code = opU16
	case KindS32, KindU32:
		o.code = opU32
	case KindS64, KindU64:
		o.code = opU64
	case KindF32:
		o.code = opF32
	case KindF64:
		o.code = opF64
	case KindChar:
		o.code = opChar
	case KindFlags:
		o.code, o.mask = opMask, t.flagsMask()
	case KindRecord, KindTuple:
		for i := range t.Fields {
			b.addFlat(p, t.Fields[i].Type, slot)
			slot += uint32(len(t.Fields[i].Type.Flat))
		}
		return
	case KindVariant, KindEnum, KindOption, KindResult:
		o.code, o.typ = opVariant, t
		o.cases = b.cases(t, func(c *Type) *plan {
			p := &plan{}
			b.addFlat(p, c, slot+1)
			return p
		})
	case KindString:
		o.code = opString
	case KindList, KindMap:
		if t.Fixed {
			for range t.Len {
				b.addFlat(p, t.Elem, slot)
				slot += uint32(len(t.Elem.Flat))
			}
			return
		}
		o.code, o.typ, o.plan = opList, t.Elem, b.plan(t.Elem)
	default:
		o.code, o.typ = opHandle, t
	}
	p.lift = append(p.lift, o)
}
