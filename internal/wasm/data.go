package wasm

// HoldData takes the active data segments out of the module and returns them: whoever
// instantiates it is to copy them into its memory, in order, before the start function
// runs. In their places stay segments of no bytes, which is what those are after
// instantiation. Segments that do nothing else than follow one another in a memory of
// the module's own are joined.
//
// The module must be valid.
func (m *Module) HoldData() []Data {
	var held []Data
	var rest []Data
	for i := range m.Data {
		d := m.Data[i]
		if d.Mode == Active {
			held = append(held, d)
			d = Data{Mode: Passive}
		}
		rest = append(rest, d)
	}
	if m.DataCount == nil {
		// No instruction can name a segment.
		rest, m.present[secData] = nil, false
	}
	m.Data = rest
	if len(m.Memories) > 0 {
		limits := &m.Memories[0].Limits
		held = joinData(held, limits.Min<<m.Memories[0].PageSizeLog2)
	}
	return held
}

// dataGap is how many zeros between two segments are worth storing.
const dataGap = 4 << 10

// joinData joins segments of a memory of so many bytes which is zero at first.
func joinData(data []Data, size uint64) []Data {
	var out []Data
	joined := false     // the last of out has a copy of its bytes
	var end, top uint64 // of the last, and of all
	for i := range data {
		d := &data[i]
		at, ok := d.At.i32()
		if !ok || d.Memory != 0 || uint64(at)+uint64(len(d.Init)) > size {
			// It may be anywhere, or is where instantiation ends.
			return append(out, data[i:]...)
		}
		// Between the last and this one is nothing, if nothing is behind the last.
		if i > 0 && end == top && uint64(at) >= end && uint64(at)-end <= dataGap {
			last := &out[len(out)-1]
			if !joined {
				last.Init, joined = append(make([]byte, 0, 2*len(last.Init)), last.Init...), true
			}
			last.Init = append(append(last.Init, make([]byte, uint64(at)-end)...), d.Init...)
		} else {
			out, joined = append(out, *d), false
		}
		end = uint64(at) + uint64(len(d.Init))
		top = max(top, end)
	}
	return out
}

const (
	opI32Mul opcode = 0x6c
	opI64Add opcode = 0x7c
	opI64Mul opcode = 0x7e
)

// Value computes a constant expression of numbers. global returns the value of a global
// variable. ok is false for an expression of something else.
func (x Expr) Value(global func(index uint32) uint64) (v uint64, ok bool) {
	var in instr
	var stack []uint64
	binary := func(f func(a, b uint64) uint64) {
		n := len(stack) - 2
		if n < 0 {
			ok = false
			return
		}
		stack = append(stack[:n], f(stack[n], stack[n+1]))
	}
	r := &reader{b: x.Code}
	for ok = true; ok && r.more(); {
		r.instr(&in)
		switch in.op {
		case opI32Const, opI64Const:
			stack = append(stack, in.value)
		case opGlobalGet:
			stack = append(stack, global(in.x))
		case opI32Add:
			binary(func(a, b uint64) uint64 { return uint64(uint32(a) + uint32(b)) })
		case opI32Sub:
			binary(func(a, b uint64) uint64 { return uint64(uint32(a) - uint32(b)) })
		case opI32Mul:
			binary(func(a, b uint64) uint64 { return uint64(uint32(a) * uint32(b)) })
		case opI64Add:
			binary(func(a, b uint64) uint64 { return a + b })
		case opI64Sub:
			binary(func(a, b uint64) uint64 { return a - b })
		case opI64Mul:
			binary(func(a, b uint64) uint64 { return a * b })
		case opEnd:
			if len(stack) != 1 || r.more() || r.err != nil {
				return 0, false
			}
			return stack[0], true
		default:
			return 0, false
		}
	}
	return 0, false
}

// WritesTables tells whether an instruction of the module changes a table or drops an
// element segment.
func (m *Module) WritesTables() bool {
	var in instr
	for i := range m.Code {
		r := &reader{b: m.Code[i].Code}
		for range r.count("locals", maxBody) {
			r.u32()
			r.valType()
		}
		for r.more() {
			r.instr(&in)
			switch in.op {
			case opTableSet, opTableInit, opElemDrop, opTableCopy, opTableGrow, opTableFill:
				return true
			}
		}
	}
	return false
}
