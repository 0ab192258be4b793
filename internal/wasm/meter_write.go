package wasm

// writeMark is an open block of the original code, with the labels that were added.
type writeMark struct {
	inside  int  // inside of this block
	sum     int  // in all open blocks up to and with this one
	results bool // the block leaves results
	charge  int  // at the head of the loop that it is
	split   bool // it is a loop with checks on the ways back
}

// A check must not stand in the way of the registers that a loop keeps its
// variables in. The engine gives a place where two paths meet the registers of the
// one that it sees first; were that the one with the call, where nothing is in a
// register, a loop would load its variables anew in every iteration. So at loops
// and entries the call is put behind the code, and the way past it has one
// branch, which is not taken. On the ways back of a loop:
//
//	block $exit
//	  loop $again
//	    block $cold
//	      loop $loop
//	        BODY, with "charge; br_if $cold (counter < 0); br $loop" for "br $loop"
//	      end
//	      br $exit
//	    end
//	    call slow
//	    br $again
//	  end
//	end
//
// At an entry, or the head of a loop:
//
//	block $exit
//	  loop $again
//	    block $cold
//	      charge; br_if $cold (counter < 0)
//	      BODY
//	      br $exit
//	    end
//	    call slow; give the charge back
//	    br $again
//	  end
//	end
//
// At other places, where values may be on the stack, it is
//
//	charge; if (counter >= 0) else call slow end

// appendCharge charges n units.
func (w *meter) appendCharge(b []byte, n int) []byte {
	b = appendOp(b, opGlobalGet, w.counter)
	b = append(appendI32(b, n), byte(opI32Sub))
	return appendOp(b, opGlobalSet, w.counter)
}

// appendCheck charges n units and calls slow if none is left.
func (w *meter) appendCheck(b []byte, n int) []byte {
	b = appendOp(w.appendCharge(b, n), opGlobalGet, w.counter)
	b = append(appendI32(b, 0), byte(opI32GeS), byte(opIf), blockVoid, byte(opElse))
	return append(w.appendSlow(b), byte(opEnd))
}

func (w *meter) appendSlow(b []byte) []byte { return appendOp(b, opCall, w.slow) }

// appendOpening begins a check whose call stands behind the code, up to $cold.
func (w *meter) appendOpening(b []byte, n int) []byte {
	b = append(b, byte(opLoop), blockVoid, byte(opBlock), blockVoid)
	b = appendOp(w.appendCharge(b, n), opGlobalGet, w.counter)
	return append(appendI32(b, 0), byte(opI32LtS), byte(opBrIf), 0)
}

// appendClosing ends it, from the end of $cold on. What was charged is given back,
// since it is charged again: or else a budget below n would be none at all.
func (w *meter) appendClosing(b []byte, n int) []byte {
	b = w.appendSlow(append(b, byte(opEnd)))
	if n != 0 {
		b = w.appendCharge(b, -n)
	}
	return append(b, byte(opBr), 0, byte(opEnd))
}

// appendBack appends a branch back to a loop that pays if it is taken. Behind the
// label of the loop comes $cold.
func (w *meter) appendBack(b []byte, op opcode, depth uint32, p meterPoint) []byte {
	if op == opBrIf {
		b = append(b, byte(opIf), blockVoid)
		depth++
	}
	b = w.appendCharge(b, p.charge)
	if p.check {
		b = appendOp(b, opGlobalGet, w.counter)
		b = append(appendI32(b, 0), byte(opI32LtS))
		b = appendOp(b, opBrIf, depth+1)
	}
	b = appendOp(b, opBr, depth)
	if op == opBrIf {
		b = append(b, byte(opEnd))
	}
	return b
}

const (
	blockVoid = 0x40

	opI32LtS opcode = 0x48
	opI32GeS opcode = 0x4e
	opI32Sub opcode = 0x6b
)

// body returns the code of f with its checks.
func (w *meter) body(f *meterFunc) []byte {
	code := w.module.Code[f.index].Code
	b := make([]byte, 0, len(code)+len(code)/8+16*len(f.points)+32)
	b = append(b, code[:f.start]...)
	fn := writeMark{} // the function's own label
	switch {
	case f.check:
		b = w.appendOpening(b, f.entry)
		fn = writeMark{inside: 2, sum: 2}
	case f.entry > 0:
		b = w.appendCharge(b, f.entry)
	}
	marks := w.marks[:0]
	top := func() writeMark {
		if len(marks) == 0 {
			return fn
		}
		return marks[len(marks)-1]
	}
	push := func(inside, added int, results bool) {
		marks = append(marks, writeMark{inside: inside, sum: top().sum + added, results: results})
	}
	depth := func(d uint32) uint32 {
		l := fn
		if int(d) < len(marks) {
			l = marks[len(marks)-1-int(d)]
		}
		return d + uint32(top().sum-l.sum+l.inside)
	}
	points := f.points
	next := 0
	in := &w.in
	r := &reader{b: code, pos: f.start}
	from := f.start // of code to be copied
	for r.more() {
		r.instr(in)
		if len(points) > 0 && points[0].pos == in.pos {
			b = append(b, code[from:in.pos]...)
			from = in.pos
			for ; len(points) > 0 && points[0].pos == in.pos && !points[0].back; points = points[1:] {
				if p := points[0]; p.check {
					b = w.appendCheck(b, p.charge)
				} else {
					b = w.appendCharge(b, p.charge)
				}
			}
		}
		switch in.op {
		case opBlock, opIf:
			push(0, 0, false)
			continue
		case opLoop:
			l := f.loops[next]
			next++
			if !l.split && (!l.odd || l.charge == 0 && !l.checked) {
				push(0, 0, false)
				continue
			}
			b = append(b, code[from:in.pos]...)
			n := max(l.charge, 1)
			switch {
			case l.split:
				b = append(append(b, byte(opBlock)), code[in.pos+1:r.pos]...)
				b = append(b, byte(opLoop), blockVoid, byte(opBlock), blockVoid)
				b = append(b, code[in.pos:r.pos]...)
				push(0, 3, in.block.index >= 0 || in.block.one)
				marks[len(marks)-1].split = true
			case !l.checked:
				b = w.appendCharge(append(b, code[in.pos:r.pos]...), n)
				push(0, 0, false)
			case l.params: // the operands are in the way of $cold
				b = w.appendCheck(append(b, code[in.pos:r.pos]...), n)
				push(0, 0, false)
			default:
				b = append(append(b, byte(opBlock)), code[in.pos+1:r.pos]...)
				b = w.appendOpening(b, n)
				push(1, 2, in.block.index >= 0 || in.block.one)
				marks[len(marks)-1].charge = n
			}
		case opTryTable:
			if top().sum == 0 {
				push(0, 0, false)
				continue
			}
			b = append(append(b, code[from:in.pos]...), byte(in.op))
			at := &reader{b: code, pos: in.pos + 1}
			at.blockType()
			b = append(b, code[in.pos+1:at.pos]...)
			b = appendU32(b, uint32(len(in.catches)))
			for _, c := range in.catches {
				b = append(b, c.kind)
				if c.kind < catchAll {
					b = appendU32(b, c.tag)
				}
				b = appendU32(b, depth(c.label))
			}
			push(0, 0, false)
		case opEnd:
			if len(marks) == 0 {
				b = append(b, code[from:in.pos]...)
				if f.check {
					b = append(w.appendClosing(append(b, byte(opReturn)), f.entry), byte(opUnreachable))
				}
				b = append(b, byte(opEnd))
				break
			}
			l := top()
			marks = marks[:len(marks)-1]
			if l.inside == 0 && !l.split {
				continue
			}
			b = append(b, code[from:in.pos]...)
			if l.split {
				b = append(b, byte(opEnd))
			}
			b = w.appendClosing(append(b, byte(opBr), 2), l.charge)
			if l.results {
				b = append(b, byte(opUnreachable))
			}
			b = append(b, byte(opEnd))
		case opBr, opBrIf, opBrOnNull, opBrOnNonNull:
			if len(points) > 0 && points[0].pos == in.pos {
				b = w.appendBack(append(b, code[from:in.pos]...), in.op, depth(in.x), points[0])
				points = points[1:]
				break
			}
			if top().sum == 0 {
				continue
			}
			b = appendOp(append(b, code[from:in.pos]...), in.op, depth(in.x))
		case opBrTable:
			if top().sum == 0 {
				continue
			}
			b = appendOp(append(b, code[from:in.pos]...), in.op, uint32(len(in.labels)-1))
			for _, d := range in.labels {
				b = appendU32(b, depth(d))
			}
		case opCall, opReturnCall:
			b = appendOp(append(b, code[from:in.pos]...), in.op, w.moved(in.x))
		case opRefFunc:
			b = appendOp(append(b, code[from:in.pos]...), opGlobalGet, w.ref(in.x))
		default:
			if !isBulk(in.op) {
				continue
			}
			b = appendOp(append(b, code[from:in.pos]...), opCall, w.helper(in))
		}
		from = r.pos
	}
	w.marks = marks
	return append(b, code[from:]...)
}
