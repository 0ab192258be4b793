package canon

import (
	"encoding/binary"
	"unsafe"

	"github.com/ashlar-wasm/ashlar/internal/limit"
)

// Copier copies the values of a function's calls from the memory of one guest
// to that of another, as lifting them from the one and lowering them into the
// other does, but with nothing in between. Immutable.
type Copier struct {
	params, result route
}

// route is how the parameters or the result of a function are copied: as core
// values, or in memory.
type route struct {
	flat  *plan
	slots int
	// typ is of what is passed in memory, else nil.
	typ    *Type
	memory *plan
}

// NewCopier returns a copier for functions of type ft where neither side is
// async, so that both pass values alike.
func NewCopier(ft *FuncType) *Copier {
	b := &planner{memory: make(map[*Type]*plan)}
	c := &Copier{}
	flat := ft.FlattenLift(false, false)
	c.params = b.route(ft.ParamTuple, flat.SpillParams)
	if ft.Result != nil {
		c.result = b.route(ft.Result, flat.SpillResult)
	}
	return c
}

func (b *planner) route(t *Type, spill bool) route {
	if spill {
		return route{typ: t, memory: b.plan(t)}
	}
	r := route{flat: &plan{}, slots: len(t.Flat)}
	b.addFlat(r.flat, t, 0)
	return r
}

// Values are the parameters or the result of a call on their way: lifted from
// one guest, but not lowered into the other. The zero value is ready for one
// use. The guest that they are lifted from must not run before they are lowered,
// nor may the other one be able to change its memory: what is not flat is still
// there.
type Values struct {
	route *route
	from  *Context
	to    *Context
	src   []byte // memory of from
	dst   []byte // memory of to, as it was after its realloc last ran
	p     uint32 // of what is passed in memory
	flat  [MaxFlatParams]uint64
	// later are the flat values that the other guest must have memory or a
	// handle for, in their order.
	later   [MaxFlatParams]*op
	nlater  int
	carried uint64
	// The lifted handles in their order: the first and the others.
	rep    Rep
	reps   []Rep
	nreps  int
	passed int // were lowered
}

// maxCarried bounds the bytes of the memory of one guest that the values of one
// side of a call name. They take nothing of the host, but naming the same memory
// again and again must not make it copy without end.
const maxCarried = 1 << 30

func (v *Values) carry(n uint64) {
	if v.carried += n; v.carried > maxCarried {
		panic(&limit.Error{Resource: limit.Passed, Limit: maxCarried, Requested: v.carried})
	}
}

// LiftParams lifts the arguments of a call through canon lower from its core
// arguments.
func (c *Copier) LiftParams(v *Values, from *Context, args []uint64) { v.lift(&c.params, from, args) }

// LowerParams lowers what LiftParams lifted, to the core arguments of the lifted
// function.
func (c *Copier) LowerParams(v *Values, to *Context, args []uint64) {
	if t := c.params.typ; t != nil {
		v.to = to
		q := v.alloc(t.Align, t.Size)
		v.lower(c.params.memory, v.p, q)
		args[0] = uint64(q)
		return
	}
	v.lowerFlat(to, args)
}

// LiftResult lifts the result of a lifted function from its core results.
func (c *Copier) LiftResult(v *Values, from *Context, results []uint64) {
	v.lift(&c.result, from, results)
}

// LowerResult lowers what LiftResult lifted: to the pointer that the caller
// passed last in args, or to its core results.
func (c *Copier) LowerResult(v *Values, to *Context, args, results []uint64) {
	if t := c.result.typ; t != nil {
		q := uint32(args[c.results()])
		to.Pointer(q, t)
		v.to, v.dst = to, to.Memory.Bytes()
		v.lower(c.result.memory, v.p, q)
		return
	}
	v.lowerFlat(to, results)
}

// results is where the pointer to the result is among core arguments.
func (c *Copier) results() int {
	if c.params.typ != nil {
		return 1
	}
	return c.params.slots
}

func (v *Values) lift(r *route, from *Context, core []uint64) {
	v.route, v.from = r, from
	if from.Memory != nil {
		v.src = from.Memory.Bytes()
	}
	switch {
	case r.typ != nil:
		v.p = uint32(core[0])
		from.Pointer(v.p, r.typ)
		v.check(r.memory, v.p)
	case r.flat != nil:
		v.liftFlat(r.flat, core)
	}
}

// liftFlat lifts core values; scalars are ready then.
func (v *Values) liftFlat(p *plan, core []uint64) {
	for i := range p.lift {
		o := &p.lift[i]
		x := core[o.off]
		switch o.code {
		case opBool:
			if uint32(x) != 0 {
				v.flat[o.off] = 1
			}
		case opU8:
			v.flat[o.off] = uint64(uint8(x))
		case opS8:
			v.flat[o.off] = uint64(uint32(int8(x)))
		case opU16:
			v.flat[o.off] = uint64(uint16(x))
		case opS16:
			v.flat[o.off] = uint64(uint32(int16(x)))
		case opU32:
			v.flat[o.off] = uint64(uint32(x))
		case opU64:
			v.flat[o.off] = x
		case opF32:
			v.flat[o.off] = uint64(canonical32(uint32(x)))
		case opF64:
			v.flat[o.off] = canonical64(x)
		case opChar:
			v.flat[o.off] = uint64(Rune(uint32(x)))
		case opMask:
			v.flat[o.off] = uint64(uint32(x) & o.mask)
		case opVariant:
			n := Discriminant(uint32(x), len(o.typ.Cases))
			v.flat[o.off] = uint64(n)
			if c := o.cases[n]; c != nil {
				v.liftFlat(c, core)
			}
		default: // what takes memory or a handle
			v.flat[o.off] = uint64(uint32(x))
			switch o.code {
			case opString:
				v.flat[o.off+1] = uint64(uint32(core[o.off+1]))
				v.checkString(uint32(x), uint32(core[o.off+1]))
			case opList:
				v.flat[o.off+1] = uint64(uint32(core[o.off+1]))
				v.checkList(o, uint32(x), uint32(core[o.off+1]))
			case opHandle:
				v.liftHandle(o, uint32(x))
			}
			v.later[v.nlater] = o
			v.nlater++
		}
	}
}

func (v *Values) lowerFlat(to *Context, core []uint64) {
	v.to = to
	for _, o := range v.later[:v.nlater] {
		a := &v.flat[o.off]
		switch o.code {
		case opString:
			b := &v.flat[o.off+1]
			p, n := v.lowerString(uint32(*a), uint32(*b))
			*a, *b = uint64(p), uint64(n)
		case opList:
			*a = uint64(v.lowerList(o, uint32(*a), uint32(v.flat[o.off+1])))
		case opHandle:
			*a = uint64(v.lowerHandle(o))
		}
	}
	copy(core, v.flat[:v.route.slots])
}

// check lifts the value at p, which is aligned and in bounds: whatever of it
// could trap or is a handle.
func (v *Values) check(pl *plan, p uint32) {
	for i := range pl.lift {
		o := &pl.lift[i]
		at := p + o.off
		switch o.code {
		case opChar:
			v.checkChars(v.src[at:][:o.n])
		case opCase, opVariant:
			n := Discriminant(loadUint(v.src, at, o.typ.DiscSize), len(o.typ.Cases))
			if o.code == opVariant && o.cases[n] != nil {
				v.check(o.cases[n], at+o.typ.Payload)
			}
		case opString:
			v.checkString(load32(v.src, at), load32(v.src, at+4))
		case opList:
			v.checkList(o, load32(v.src, at), load32(v.src, at+4))
		case opRepeat:
			v.checkElems(o.plan, at, o.n)
		case opPlan:
			v.check(o.plan, at)
		case opHandle:
			v.liftHandle(o, load32(v.src, at))
		}
	}
}

func (v *Values) checkString(p, tagged uint32) {
	t := v.from.text(p, tagged)
	v.carry(uint64(len(t.b)))
}

func (v *Values) checkList(o *op, p, n uint32) {
	region := v.from.Region(p, n, o.typ.Size, o.typ.Align)
	v.carry(uint64(len(region)))
	v.checkElems(o.plan, p, n)
}

func (v *Values) checkElems(elem *plan, p, n uint32) {
	switch {
	case len(elem.lift) == 0:
	case run(elem.lift, elem.size) != 0: // opChar
		v.checkChars(v.src[p:][:n*elem.size])
	default:
		for range n {
			v.check(elem, p)
			p += elem.size
			v.from.Work(uint64(elem.size))
		}
	}
}

func (v *Values) checkChars(b []byte) {
	for len(b) > 0 {
		n := min(len(b), pollBytes)
		for i := 0; i < n; i += 4 {
			Rune(binary.LittleEndian.Uint32(b[i:]))
		}
		b = b[n:]
		v.from.Work(uint64(n))
	}
}

func (v *Values) liftHandle(o *op, i uint32) {
	rep := v.from.liftRep(i, o.typ, nil)
	if v.nreps++; v.nreps == 1 {
		v.rep = rep
		return
	}
	v.from.Charge(uint64(unsafe.Sizeof(rep)))
	v.reps = append(v.reps, rep)
}

func (v *Values) lowerHandle(o *op) uint32 {
	rep := v.rep
	if v.passed > 0 {
		rep = v.reps[v.passed-1]
	}
	v.passed++
	i := v.to.lowerRep(rep, o.typ)
	if o.typ.Kind == KindOwn {
		v.from.Handles.land(v.from.Resource(o.typ.Resource))
	}
	return i
}

// alloc allocates memory in the other guest.
func (v *Values) alloc(align, size uint32) uint32 {
	q := v.to.Alloc(align, size)
	v.dst = v.to.Memory.Bytes()
	return q
}

// lower lowers the value at p, which was lifted, to q.
func (v *Values) lower(pl *plan, p, q uint32) {
	for i := range pl.lower {
		o := &pl.lower[i]
		from, to := p+o.off, q+o.off
		switch o.code {
		case opMove, opBool, opF32, opF64:
			v.moveRun(o.code, v.dst[to:][:o.n], v.src[from:][:o.n])
		case opMask:
			storeUint(v.dst, to, o.n, loadUint(v.src, from, o.n)&o.mask)
		case opVariant:
			n := loadUint(v.src, from, o.typ.DiscSize)
			storeUint(v.dst, to, o.typ.DiscSize, n)
			if c := o.cases[n]; c != nil {
				v.lower(c, from+o.typ.Payload, to+o.typ.Payload)
			}
		case opString:
			r, n := v.lowerString(load32(v.src, from), load32(v.src, from+4))
			v.storePair(to, r, n)
		case opList:
			n := load32(v.src, from+4)
			v.storePair(to, v.lowerList(o, load32(v.src, from), n), n)
		case opRepeat:
			v.lowerElems(o.plan, from, to, o.n)
		case opPlan:
			v.lower(o.plan, from, to)
		case opHandle:
			storeUint(v.dst, to, 4, v.lowerHandle(o))
		}
	}
}

func (v *Values) storePair(q, p, n uint32) {
	storeUint(v.dst, q, 4, p)
	storeUint(v.dst, q+4, 4, n)
}

func (v *Values) lowerString(p, tagged uint32) (q, n uint32) {
	q, n = v.to.storeText(v.from.textUnchecked(p, tagged))
	v.dst = v.to.Memory.Bytes()
	return q, n
}

func (v *Values) lowerList(o *op, p, n uint32) (q uint32) {
	q = v.alloc(o.typ.Align, n*o.typ.Size)
	v.lowerElems(o.plan, p, q, n)
	return q
}

func (v *Values) lowerElems(elem *plan, p, q, n uint32) {
	if c := run(elem.lower, elem.size); c != 0 {
		size := n * elem.size
		v.moveRun(c, v.dst[q:][:size], v.src[p:][:size])
		return
	}
	for range n {
		v.lower(elem, p, q)
		p += elem.size
		q += elem.size
		v.to.Work(uint64(elem.size))
	}
}

// moveRun copies values of one kind that lie side by side.
func (v *Values) moveRun(code opcode, dst, src []byte) {
	if code == opMove {
		v.to.Move(dst, src)
		return
	}
	for len(src) > 0 {
		n := min(len(src), pollBytes)
		moveScalars(code, dst[:n], src[:n])
		dst, src = dst[n:], src[n:]
		v.to.Work(uint64(n))
	}
}

func moveScalars(code opcode, dst, src []byte) {
	switch code {
	case opBool:
		for i, b := range src {
			dst[i] = 0
			if b != 0 {
				dst[i] = 1
			}
		}
	case opF32:
		for i := 0; i < len(src); i += 4 {
			binary.LittleEndian.PutUint32(dst[i:], canonical32(binary.LittleEndian.Uint32(src[i:])))
		}
	case opF64:
		for i := 0; i < len(src); i += 8 {
			binary.LittleEndian.PutUint64(dst[i:], canonical64(binary.LittleEndian.Uint64(src[i:])))
		}
	}
}

func load32(b []byte, p uint32) uint32 { return binary.LittleEndian.Uint32(b[p:]) }

func loadUint(b []byte, p, size uint32) uint32 {
	switch size {
	case 1:
		return uint32(b[p])
	case 2:
		return uint32(binary.LittleEndian.Uint16(b[p:]))
	default:
		return load32(b, p)
	}
}

func storeUint(b []byte, p, size, v uint32) {
	switch size {
	case 1:
		b[p] = uint8(v)
	case 2:
		binary.LittleEndian.PutUint16(b[p:], uint16(v))
	default:
		binary.LittleEndian.PutUint32(b[p:], v)
	}
}
