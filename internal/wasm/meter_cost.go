package wasm

// costPath is what is known of all paths that lead to a place.
type costPath struct {
	live      bool
	uncharged int  // work not charged yet since the innermost open loop began
	unchecked int  // work since the last check, or since the entry
	always    bool // every path passed a check
}

func (p *costPath) merge(q costPath) {
	switch {
	case !q.live:
	case !p.live:
		*p = q
	default:
		p.uncharged = max(p.uncharged, q.uncharged)
		p.unchecked = max(p.unchecked, q.unchecked)
		p.always = p.always && q.always
	}
}

// costLabel is an open block.
type costLabel struct {
	loop   int      // its loop or -1
	level  int      // loops open outside
	end    costPath // the branches to its end
	before costPath // at an if without else yet
}

// costs works out where code of a function is charged, once its loops are placed.
type costs struct {
	w      *meter
	f      *meterFunc
	path   costPath
	exit   costPath
	labels []costLabel
	// pend has, for each open loop, the uncharged work of all levels outside of
	// it. What is charged inside a loop is charged each time round, so that this
	// must wait until the loop is left.
	pend []int
	// maxBefore is the most work on the way to a first check.
	maxBefore int
	// atCall is the most work not charged at a call that may be recursive.
	atCall int
}

func (c *costs) total() int {
	if n := len(c.pend); n > 0 {
		return c.pend[n-1]
	}
	return 0
}

// charge has what is uncharged, and more, charged before the instruction at pos.
func (c *costs) charge(pos, more int, check bool) {
	c.f.points = append(c.f.points, meterPoint{pos: pos, charge: c.path.uncharged + more, check: check})
	c.path.uncharged = 0
	if check {
		c.checked()
	}
}

// checked notes that a check was passed.
func (c *costs) checked() {
	if !c.path.always {
		c.maxBefore = max(c.maxBefore, c.path.unchecked)
	}
	c.path.unchecked, c.path.always = 0, true
}

// branch follows a branch that leaves depth blocks; the instruction is at pos.
func (c *costs) branch(pos int, depth uint32, p costPath) {
	if !p.live {
		return
	}
	if int(depth) >= len(c.labels) {
		p.uncharged += c.total()
		c.exit.merge(p)
		return
	}
	l := &c.labels[len(c.labels)-1-int(depth)]
	level := l.level
	if l.loop >= 0 {
		level++
	}
	if len(c.pend) > level { // loops are left
		p.uncharged += c.total()
		if level > 0 {
			p.uncharged -= c.pend[level-1]
		}
	}
	if l.loop < 0 {
		l.end.merge(p)
		return
	}
	loop := &c.f.loops[l.loop]
	if loop.odd {
		loop.charge = max(loop.charge, p.uncharged)
		return
	}
	check := loop.checked || p.unchecked > MaxUnchecked/2
	if check || p.uncharged > 0 {
		c.f.points = append(c.f.points, meterPoint{pos: pos, charge: p.uncharged, check: check, back: true})
	}
	loop.split = loop.split || check
}

// back puts a check before a branch to the head of a loop without one if too much
// work has passed since the last.
func (c *costs) back(pos int, depth uint32) {
	if !c.path.live || int(depth) >= len(c.labels) {
		return
	}
	l := &c.labels[len(c.labels)-1-int(depth)]
	if l.loop >= 0 && c.f.loops[l.loop].odd && !c.f.loops[l.loop].checked && c.path.unchecked > MaxUnchecked/2 {
		c.charge(pos, 0, true)
	}
}

// cost works out the charges of f. What f calls is done before, unless it is in a
// cycle.
func (w *meter) cost(f *meterFunc) {
	c := costs{w: w, f: f, path: costPath{live: true}, labels: w.costs[:0], pend: w.pend[:0]}
	c.path.always = f.cyclic // by the check at its entry
	next := 0
	in := &w.in
	r := &reader{b: w.module.Code[f.index].Code, pos: f.start}
	for r.more() {
		r.instr(in)
		if c.path.live {
			if c.path.unchecked > MaxUnchecked {
				c.charge(in.pos, 0, true)
			} else if c.path.uncharged > maxUncharged {
				c.charge(in.pos, 0, false)
			}
			n := w.weight(in)
			c.path.uncharged += n
			c.path.unchecked += n
		}
		switch in.op {
		case opLoop:
			c.loop(in.pos, next)
			next++
		case opBlock, opIf, opTryTable:
			l := costLabel{loop: -1, level: len(c.pend)}
			if in.op == opIf {
				l.before = c.path
			}
			// An exception may come from anywhere inside, with as much uncharged
			// as may be.
			caught := c.path
			caught.uncharged += 2 * maxUncharged
			caught.unchecked = max(caught.unchecked, MaxUnchecked-maxTail)
			for _, clause := range in.catches {
				if in.op == opTryTable {
					c.branch(in.pos, clause.label, caught)
				}
			}
			c.labels = append(c.labels, l)
		case opElse:
			l := &c.labels[len(c.labels)-1]
			l.end.merge(c.path)
			c.path, l.before = l.before, costPath{}
		case opEnd:
			n := len(c.labels)
			if n == 0 {
				c.branch(in.pos, 0, c.path)
				break
			}
			l := c.labels[n-1]
			c.labels = c.labels[:n-1]
			if l.loop >= 0 {
				c.path.uncharged += c.total()
				c.pend = c.pend[:l.level]
				c.path.uncharged -= c.total()
			}
			c.path.merge(l.end)
			c.path.merge(l.before)
		case opBr, opBrIf, opBrOnNull, opBrOnNonNull:
			c.back(in.pos, in.x)
			c.branch(in.pos, in.x, c.path)
			if in.op == opBr {
				c.path.live = false
			}
		case opBrTable:
			for _, depth := range in.labels {
				c.back(in.pos, depth)
			}
			for _, depth := range in.labels {
				c.branch(in.pos, depth, c.path)
			}
			c.path.live = false
		case opReturn:
			c.branch(in.pos, uint32(len(c.labels)), c.path)
			c.path.live = false
		case opUnreachable:
			c.path.live = false
		case opThrow, opThrowRef:
			if c.path.live {
				c.charge(in.pos, throwCharge, true)
			}
			c.path.live = false
		case opCall, opReturnCall:
			if c.path.live {
				c.call(in.pos, in.x)
			}
			if in.op == opReturnCall {
				c.branch(in.pos, uint32(len(c.labels)), c.path)
				c.path.live = false
			}
		case opCallIndirect, opCallRef, opReturnCallIndirect, opReturnCallRef:
			if c.path.live {
				c.charge(in.pos, indirectCharge, true)
				c.path.unchecked = MaxUnchecked - maxTail
			}
			if in.op == opReturnCallIndirect || in.op == opReturnCallRef {
				c.branch(in.pos, uint32(len(c.labels)), c.path)
				c.path.live = false
			}
		default:
			if isBulk(in.op) && c.path.live {
				c.checked() // in the function that stands for it
			}
		}
	}
	w.costs, w.pend = c.labels, c.pend

	if !c.exit.always {
		c.maxBefore = max(c.maxBefore, c.exit.unchecked)
	}
	f.before, f.after, f.always = c.maxBefore, c.exit.unchecked, c.exit.always
	if f.cyclic {
		// The entry charges also for what its calls leave for later: that may be as
		// many calls away as the stack has room for.
		c.exit.uncharged = max(c.exit.uncharged, c.atCall)
	}
	switch all := c.exit.uncharged + f.frame; {
	case f.cyclic:
		f.entry, f.check, f.frame, f.always = max(all, 8), true, 0, true
	case f.taken && all > indirectCharge:
		f.entry, f.frame = all, 0
	default:
		f.uncharged = c.exit.uncharged
	}
}

// loop enters a loop.
func (c *costs) loop(pos, index int) {
	l := &c.f.loops[index]
	if c.path.live && c.total()+c.path.uncharged > maxUncharged {
		c.charge(pos, 0, false)
	}
	c.labels = append(c.labels, costLabel{loop: index, level: len(c.pend)})
	c.pend = append(c.pend, c.total()+c.path.uncharged)
	c.path.uncharged = 0
	if !c.path.live {
		return
	}
	switch {
	case !l.checked:
		// The ways round have passed a check: see branch and back.
		c.path.unchecked = max(c.path.unchecked, MaxUnchecked/2)
	case l.odd:
		c.checked()
	}
}

// call counts a call of a function by name.
func (c *costs) call(pos int, index uint32) {
	p := &c.path
	g := c.w.call(index)
	switch {
	case g == nil && c.w.hosted[index]:
		p.uncharged += hostCharge
		p.unchecked += hostCharge
	case g == nil:
		c.charge(pos, indirectCharge, true)
		p.unchecked = MaxUnchecked - maxTail
	case g.cyclic:
		if c.w.throws && p.uncharged > maxTail {
			// It may not come back, over and over.
			c.charge(pos, 0, false)
		}
		c.atCall = max(c.atCall, c.total()+p.uncharged)
		c.checked()
		p.unchecked = MaxUnchecked - maxTail
	default:
		if p.unchecked+g.before > MaxUnchecked {
			c.charge(pos, 0, true)
		}
		p.uncharged += g.frame + g.uncharged
		if !p.always {
			c.maxBefore = max(c.maxBefore, p.unchecked+g.before)
		}
		if g.always {
			p.unchecked, p.always = g.after, true
		} else {
			p.unchecked += g.frame + g.after
		}
	}
}

// What is dear, in units.
const (
	hostCharge  = 64
	throwCharge = 20_000
)

// weight returns what an instruction costs, in units, without what it calls.
func (w *meter) weight(in *instr) int {
	switch op := in.op; op {
	case opCall, opReturnCall, opCallIndirect, opReturnCallIndirect, opCallRef, opReturnCallRef:
		return 4
	case opTryTable:
		return 4000
	case opMemoryGrow:
		return 600
	case opBrTable:
		return 2
	case opTableGet, opTableSet:
		return 4
	case 0x6d, 0x6e, 0x6f, 0x70, 0x7f, 0x80, 0x81, 0x82: // integer division
		return 24
	case 0x91, 0x95, 0x9f, 0xa3: // square root and division of floats
		return 12
	}
	switch in.op >> 16 {
	case 0xfe:
		return 20
	case 0xfd:
		return 4
	case 0xfc:
		return 6
	}
	if in.info.imm == immMem {
		return 4
	}
	return 1
}
