package wasm

// scan reads all functions: their loops, calls and what their frames cost.
func (w *meter) scan() {
	m := w.module
	w.throws = len(w.space.Tags) > 0
	w.funcs = make([]meterFunc, len(m.Functions))
	for i := range w.funcs {
		w.funcs[i].index = i
		w.scanFunc(&w.funcs[i])
	}
	take := func(index uint32) {
		if f := w.call(index); f != nil {
			f.taken = true
		}
	}
	takeFrom := func(x Expr) {
		for r := (&reader{b: x.Code}); r.more(); {
			if r.instr(&w.in); w.in.op == opRefFunc {
				take(w.in.x)
			}
		}
	}
	for i := range m.Exports {
		if m.Exports[i].Kind == KindFunc {
			take(m.Exports[i].Index)
		}
	}
	for i := range m.Elements {
		for _, index := range m.Elements[i].Funcs {
			take(index)
		}
		for _, x := range m.Elements[i].Exprs {
			takeFrom(x)
		}
	}
	for i := range m.Globals {
		takeFrom(m.Globals[i].Init)
	}
	for i := range m.Tables {
		takeFrom(m.Tables[i].Init)
	}
	if m.Start != nil {
		take(m.Start.Func)
	}
}

func (w *meter) scanFunc(f *meterFunc) {
	m := w.module
	params := m.Types[m.Functions[f.index].Type].Params
	r := &reader{b: m.Code[f.index].Code}
	f.locals = uint32(len(params))
	slot := 8 // bytes that a value takes
	for _, t := range params {
		if t == V128 {
			slot = 16
		}
	}
	for range r.u32() {
		f.locals += r.u32()
		if r.valType() == V128 {
			slot = 16
		}
	}
	f.start = r.pos
	in := &w.in
	values := 0    // made by instructions, each of which may need a place on the stack
	arguments := 0 // most that are passed on the stack
	w.flows = w.flows[:0]
	// target returns the loop that a branch goes back to, or nil.
	target := func(depth uint32) *meterLoop {
		if n := len(w.flows); int(depth) < n {
			if l := w.flows[n-1-int(depth)].loop; l >= 0 {
				return &f.loops[l]
			}
		}
		return nil
	}
	odd := func(depth uint32) {
		if l := target(depth); l != nil {
			l.odd = true
		}
	}
	for r.more() {
		r.instr(in)
		switch in.op {
		case opLoop:
			params := w.hasParams(in.block)
			f.loops = append(f.loops, meterLoop{params: params, odd: params})
			w.flows = append(w.flows, flowLabel{loop: len(f.loops) - 1})
		case opBlock, opTryTable:
			if in.op == opTryTable {
				for _, c := range in.catches {
					odd(c.label)
				}
			}
			w.flows = append(w.flows, flowLabel{loop: -1})
		case opIf:
			w.flows = append(w.flows, flowLabel{loop: -1})
		case opEnd:
			if n := len(w.flows); n > 0 {
				w.flows = w.flows[:n-1]
			}
		case opCall, opReturnCall:
			if in.x >= w.imported {
				f.calls = append(f.calls, in.x-w.imported)
			}
			t := &m.Types[w.space.Funcs[in.x]]
			arguments = max(arguments, len(t.Params)+len(t.Results))
			values += len(t.Results)
		case opCallIndirect, opReturnCallIndirect, opCallRef, opReturnCallRef:
			t := &m.Types[in.x]
			arguments = max(arguments, len(t.Params)+len(t.Results))
			values += len(t.Results)
		case opRefFunc:
			if g := w.call(in.x); g != nil {
				g.taken = true
			}
			values++
		case opBrTable:
			for _, depth := range in.labels {
				odd(depth)
			}
		case opBrOnNull, opBrOnNonNull:
			odd(in.x)
		case opBr, opBrIf:
			if l := target(in.x); l != nil {
				if l.ways++; l.ways > maxWays {
					l.odd = true
				}
			}
		case opReturn, opUnreachable, opThrow, opThrowRef:
		case opLocalGet, opDrop, opNop, opI32Const, opI64Const, opF32Const, opF64Const:
		default:
			values++
			if in.op>>16 == 0xfd {
				slot = 16
			}
		}
	}
	f.frame = frameCharge((values+arguments+int(f.locals)+16)*slot) + int(f.locals)/4
}

// frameCharge returns what a stack frame costs that is estimated, rather too large
// than too small, at a number of bytes. Small frames go with calls that do little, so
// that they cost little; all in all a unit buys at most FrameBytes of stack.
func frameCharge(bytes int) int { return bytes/64 + max(0, bytes-512)/16 }

func (w *meter) hasParams(b blockType) bool {
	return b.index >= 0 && len(w.module.Types[b.index].Params) > 0
}

// order finds the functions in cycles of direct calls and sorts callees before
// callers: Tarjan's strongly connected components, without recursion.
func (w *meter) order() {
	n := len(w.funcs)
	index, low, open := make([]int, n), make([]int, n), make([]bool, n)
	type frame struct{ v, next int }
	var stack []int
	var work []frame
	count := 0
	visit := func(v int) {
		count++
		index[v], low[v], open[v] = count, count, true
		stack = append(stack, v)
		work = append(work, frame{v: v})
	}
	w.sorted = make([]*meterFunc, 0, n)
	for root := range n {
		if index[root] == 0 {
			visit(root)
		}
		for len(work) > 0 {
			top := &work[len(work)-1]
			v := top.v
			f := &w.funcs[v]
			if top.next < len(f.calls) {
				u := int(f.calls[top.next])
				top.next++
				switch {
				case u == v:
					f.cyclic = true
				case index[u] == 0:
					visit(u)
				case open[u]:
					low[v] = min(low[v], index[u])
				}
				continue
			}
			work = work[:len(work)-1]
			if len(work) > 0 {
				caller := work[len(work)-1].v
				low[caller] = min(low[caller], low[v])
			}
			if low[v] != index[v] {
				continue
			}
			first := len(stack) - 1
			for stack[first] != v {
				first--
			}
			for _, u := range stack[first:] {
				open[u] = false
				w.funcs[u].cyclic = w.funcs[u].cyclic || len(stack)-first > 1
				w.sorted = append(w.sorted, &w.funcs[u])
			}
			stack = stack[:first]
		}
	}
}
