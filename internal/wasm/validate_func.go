package wasm

// frame is a block that is open.
type frame struct {
	op              opcode
	params, results []ValType
	height          int // of the value stack below the block's params
	inits           int // locals set before the block
	table           int // position of the last br_table that goes to the block, plus 1
	unreachable     bool
}

// label returns the types of values that a branch to the block takes along.
func (f *frame) label() []ValType {
	if f.op == opLoop {
		return f.params
	}
	return f.results
}

// funcValidator checks one expression, as in the appendix "validation algorithm" of the
// core specification. Its slices are reused from function to function.
type funcValidator struct {
	*validator
	r      reader
	in     instr
	vals   []ValType
	frames []frame
	locals []ValType
	unset  []bool   // locals that have no value yet; empty if all have
	inits  []uint32 // locals that were set, in order
	popped []ValType
	err    *Error
}

// singles are the result lists of blocks with one result.
var singles = map[ValType][]ValType{
	I32: {I32}, I64: {I64}, F32: {F32}, F64: {F64}, V128: {V128}, FuncRef: {FuncRef}, ExternRef: {ExternRef},
}

func single(t ValType) []ValType {
	if s, ok := singles[t]; ok {
		return s
	}
	return []ValType{t}
}

// function checks the body of a function of type t.
func (v *validator) function(body *Body, t *FuncType) error {
	f := &v.code
	f.start(v, body.Code, body.Offset)
	f.locals = append(f.locals[:0], t.Params...)
	f.unset = f.unset[:0]
	for range f.r.count("locals", maxBody) {
		at := f.r.pos
		n := f.r.u32()
		if uint64(n)+uint64(len(f.locals)) > maxLocals {
			f.r.fail(at, "too many locals", "locals exceed maximum of %d", maxLocals)
		}
		at = f.r.pos
		lt := f.r.valType()
		if f.r.err != nil {
			return f.r.err
		}
		lt, err := v.valType(lt, f.r.base+at)
		if err != nil {
			return err
		}
		f.work += int(n)
		for range n {
			f.locals = append(f.locals, lt)
		}
		if !lt.Defaultable() || len(f.unset) > 0 {
			first := len(f.locals) - int(n)
			f.unset = append(f.unset, make([]bool, len(f.locals)-len(f.unset))...)
			for i := first; i < len(f.unset); i++ {
				f.unset[i] = !lt.Defaultable()
			}
		}
	}
	return f.body(t.Results, false)
}

// constant checks a constant expression that yields a value of type t.
func (v *validator) constant(x Expr, t ValType) error {
	f := &v.code
	f.start(v, x.Code, x.Offset)
	f.locals = f.locals[:0]
	f.unset = f.unset[:0]
	return f.body(single(t), true)
}

func (f *funcValidator) start(v *validator, code []byte, offset int) {
	f.validator = v
	f.r = reader{b: code, base: offset}
	f.vals = f.vals[:0]
	f.frames = f.frames[:0]
	f.inits = f.inits[:0]
	f.err = nil
}

func (f *funcValidator) body(results []ValType, constant bool) error {
	f.frames = append(f.frames, frame{op: opBlock, results: results})
	for len(f.frames) > 0 {
		if f.r.err == nil && f.r.pos >= len(f.r.b) {
			f.r.fail(f.r.pos, "END opcode expected", "unexpected end of the function body: control frames remain at end of function")
		}
		f.r.instr(&f.in)
		if f.r.err != nil {
			return f.r.err
		}
		if f.in.long {
			f.m.need(LongOpcodes, f.offset())
		}
		if constant && !f.isConstant() {
			if f.err == nil {
				f.fail("constant expression required", "opcode %#x", uint32(f.in.op))
			}
			return f.err
		}
		if info := f.in.info; info.simple {
			f.simple(info)
		} else {
			f.instruction()
		}
		if f.work > maxWork {
			f.fail("module is too complex to validate", "")
		}
		if f.err != nil {
			return f.err
		}
	}
	if f.r.pos != len(f.r.b) {
		f.r.fail(f.r.pos, "unexpected end", "operators remaining after end of function")
		return f.r.err
	}
	return nil
}

// isConstant tells whether the current instruction may occur in a constant expression.
func (f *funcValidator) isConstant() bool {
	switch f.in.op {
	case opI32Const, opI64Const, opF32Const, opF64Const, opV128Const, opRefNull, opEnd,
		0x6a, 0x6b, 0x6c, 0x7c, 0x7d, 0x7e: // add, sub, mul
		return true
	case opRefFunc:
		f.declared[f.in.x] = true
		return true
	case opGlobalGet:
		if int64(f.in.x) >= int64(f.globals) {
			f.unknown("global", f.in.x)
			return false
		}
		if f.Globals[f.in.x].Mutable {
			f.fail("constant expression required", "global.get of mutable global %d", f.in.x)
			return false
		}
		if int64(f.in.x) >= int64(f.imported) {
			f.m.need(DefinedGlobals, f.offset())
		}
		return true
	}
	return false
}

func (f *funcValidator) offset() int { return f.r.base + f.in.pos }

func (f *funcValidator) fail(rule, format string, args ...any) {
	if f.err == nil {
		f.err = invalid(f.offset(), rule, format, args...)
	}
}

func (f *funcValidator) unknown(what string, index uint32) {
	if f.err == nil {
		f.err = unknown(what, index, f.offset())
	}
}

func (f *funcValidator) push(t ValType) { f.vals = append(f.vals, t) }

func (f *funcValidator) pushAll(ts []ValType) {
	f.work += len(ts)
	f.vals = append(f.vals, ts...)
}

// popAny pops a value of any type. It is bottom if the type is not known.
func (f *funcValidator) popAny() ValType {
	top := &f.frames[len(f.frames)-1]
	if len(f.vals) == top.height {
		if !top.unreachable {
			f.fail("type mismatch", "expected a type but nothing on stack")
		}
		return bottom
	}
	t := f.vals[len(f.vals)-1]
	f.vals = f.vals[:len(f.vals)-1]
	return t
}

func (f *funcValidator) pop(want ValType) ValType {
	if n := len(f.vals); n > f.frames[len(f.frames)-1].height && f.vals[n-1] == want {
		f.vals = f.vals[:n-1]
		return want
	}
	top := &f.frames[len(f.frames)-1]
	if len(f.vals) == top.height && !top.unreachable {
		f.fail("type mismatch", "expected %s but nothing on stack", want)
		return bottom
	}
	t := f.popAny()
	if !f.matches(t, want) {
		f.fail("type mismatch", "expected %s, found %s", want, t)
	}
	return t
}

func (f *funcValidator) popAll(ts []ValType) {
	f.work += len(ts)
	for i := len(ts) - 1; i >= 0; i-- {
		f.pop(ts[i])
	}
}

// popRef pops a reference. If its type is not known, it is one to the bottom of all.
func (f *funcValidator) popRef() ValType {
	t := f.popAny()
	if t == bottom {
		return Ref(heapBottom, false)
	}
	if !t.IsRef() {
		f.fail("type mismatch", "expected a reference, found %s", t)
		return Ref(heapBottom, false)
	}
	return t
}

func (f *funcValidator) unreachable() {
	top := &f.frames[len(f.frames)-1]
	f.vals = f.vals[:top.height]
	top.unreachable = true
}

func (f *funcValidator) open(op opcode, params, results []ValType) {
	f.popAll(params)
	f.frames = append(f.frames, frame{op: op, params: params, results: results, height: len(f.vals), inits: len(f.inits)})
	f.pushAll(params)
}

// close checks that the innermost block ends with its results on the stack, and removes
// it.
func (f *funcValidator) close() frame {
	top := f.frames[len(f.frames)-1]
	f.popAll(top.results)
	if f.err == nil && len(f.vals) != top.height {
		f.fail("type mismatch", "values remaining on stack at end of block")
	}
	for _, local := range f.inits[top.inits:] {
		f.unset[local] = true
	}
	f.inits = f.inits[:top.inits]
	f.frames = f.frames[:len(f.frames)-1]
	return top
}

// label returns the frame that a branch goes to.
func (f *funcValidator) label(depth uint32) (*frame, bool) {
	if int64(depth) >= int64(len(f.frames)) {
		f.unknown("label", depth)
		return nil, false
	}
	return &f.frames[len(f.frames)-1-int(depth)], true
}

func (f *funcValidator) blockType() (params, results []ValType, ok bool) {
	b := &f.in.block
	if b.index >= 0 {
		if b.index >= int64(len(f.types)) {
			f.unknown("type", uint32(b.index))
			return nil, nil, false
		}
		t := &f.types[b.index]
		return t.Params, t.Results, true
	}
	if !b.one {
		return nil, nil, true
	}
	t, ok := f.canonical(b.result)
	return nil, single(t), ok
}

// canonical is valType for a type in code.
func (f *funcValidator) canonical(t ValType) (ValType, bool) {
	c, err := f.valType(t, f.offset())
	if err != nil {
		f.unknown("type", uint32(t.Heap()))
		return 0, false
	}
	return c, true
}

func (f *funcValidator) table(index uint32) (*TableType, bool) {
	if int64(index) >= int64(len(f.Tables)) {
		f.unknown("table", index)
		return nil, false
	}
	return &f.Tables[index], true
}

func (f *funcValidator) memory(index uint32) (ValType, bool) {
	if int64(index) >= int64(len(f.Memories)) {
		f.unknown("memory", index)
		return I32, false
	}
	return indexType(f.Memories[index].Limits), true
}
