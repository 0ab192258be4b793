package wasm

// flowLabel is an open block.
type flowLabel struct {
	loop  int // its loop or -1
	s     int // least state of the paths that end the block
	level int // loops open outside
	cond  int // state at an if without else yet, or dead
}

const dead = 1 << 30 // state of code that is not reached

// place sets checked for the loops of f that have a path from the head back to it
// without a check, such as calls may have. What f calls is done before, unless it is
// in a cycle.
//
// The state of a path is the number of open loops, from outside, since whose head
// it passed a check: one behind an inner loop's head is behind the outer one's too.
func (w *meter) place(f *meterFunc) {
	labels := w.flows[:0]
	s, level, next := 0, 0, 0
	passed := func() {
		if s != dead {
			s = level
		}
	}
	branch := func(depth uint32) {
		if s == dead || int(depth) >= len(labels) { // or leaves the function
			return
		}
		l := &labels[len(labels)-1-int(depth)]
		if l.loop < 0 {
			l.s = min(l.s, s, l.level)
		} else if s <= l.level {
			f.loops[l.loop].checked = true
		}
	}
	in := &w.in
	r := &reader{b: w.module.Code[f.index].Code, pos: f.start}
	for r.more() {
		r.instr(in)
		switch in.op {
		case opBlock:
			labels = append(labels, flowLabel{loop: -1, s: dead, level: level, cond: dead})
		case opIf:
			labels = append(labels, flowLabel{loop: -1, s: dead, level: level, cond: s})
		case opElse:
			l := &labels[len(labels)-1]
			l.s = min(l.s, s)
			s, l.cond = l.cond, dead
		case opTryTable:
			for _, c := range in.catches {
				branch(c.label) // what is thrown may precede any check inside
			}
			labels = append(labels, flowLabel{loop: -1, s: dead, level: level, cond: dead})
		case opLoop:
			labels = append(labels, flowLabel{loop: next, s: dead, level: level, cond: dead})
			level++
			next++
		case opEnd:
			if n := len(labels); n > 0 {
				l := labels[n-1]
				labels = labels[:n-1]
				level = l.level
				if s = min(s, l.s, l.cond); s != dead {
					s = min(s, level)
				}
			}
		case opBr:
			branch(in.x)
			s = dead
		case opBrIf, opBrOnNull, opBrOnNonNull:
			branch(in.x)
		case opBrTable:
			for _, depth := range in.labels {
				branch(depth)
			}
			s = dead
		case opCall:
			if g := w.call(in.x); g == nil && !w.hosted[in.x] || g != nil && (g.cyclic || g.always) {
				passed()
			}
		case opCallIndirect, opCallRef:
			passed() // before the call
		case opUnreachable, opReturn, opThrow, opThrowRef, opReturnCall, opReturnCallIndirect, opReturnCallRef:
			s = dead
		default:
			if isBulk(in.op) {
				passed()
			}
		}
	}
	w.flows = labels
}
