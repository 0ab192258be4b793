package wasm

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// expr returns a constant expression as instructions in parentheses.
func (t *Text) expr(x Expr) (string, error) {
	if len(x.Code) == 0 {
		return "", nil
	}
	var parts []string
	r := &reader{b: x.Code, base: x.Offset}
	for in := new(instr); r.more(); {
		r.instr(in)
		if r.err == nil && in.op != opEnd {
			parts = append(parts, "("+instrText(in, nil)+")")
		}
	}
	return strings.Join(parts, " "), r.err
}

// function writes a function with its code, whose head is the text before it.
func (t *Text) function(m *Module, i int, head string, names map[uint32]string) error {
	t.Line("%s", head)
	t.Depth++
	body := &m.Code[i]
	r := &reader{b: body.Code, base: body.Offset}
	groups := r.u32()
	var locals strings.Builder
	const most = 50_000 // locals that a function may have
	count := uint32(0)
	for range groups {
		n, typ := r.u32(), r.valType()
		if count += n; count > most || r.err != nil {
			break
		}
		for range n {
			locals.WriteString(" " + textValType(typ))
		}
	}
	if locals.Len() > 0 {
		t.Line("(local%s)", locals.String())
	}
	outer := t.Depth
	for in := new(instr); r.more(); {
		if r.instr(in); r.err != nil {
			break
		}
		if in.op == opEnd || in.op == opElse {
			t.Depth--
		}
		if t.Depth < outer { // the end of the function
			break
		}
		t.Line("%s", instrText(in, names))
		switch in.op {
		case opBlock, opLoop, opIf, opElse, opTryTable:
			t.Depth++
		}
	}
	t.Depth = outer - 1
	t.Line(")")
	return r.err
}

// instrText returns an instruction, without what it encloses.
func instrText(in *instr, names map[uint32]string) string {
	op := mnemonic(in.op)
	switch in.info.imm {
	case immIndex:
		switch in.op {
		case opCall, opReturnCall, opRefFunc:
			return fmt.Sprintf("%s %d%s", op, in.x, TextComment(names[in.x]))
		case opMemorySize, opMemoryGrow, opMemoryFill:
			if in.x == 0 {
				return op
			}
		}
		return fmt.Sprintf("%s %d", op, in.x)
	case immTwo:
		switch in.op {
		case opCallIndirect, opReturnCallIndirect: // type, table
			return fmt.Sprintf("%s %d (type %d)", op, in.y, in.x)
		case opMemoryInit, opTableInit: // segment, memory or table
			if in.y == 0 {
				return fmt.Sprintf("%s %d", op, in.x)
			}
			return fmt.Sprintf("%s %d %d", op, in.y, in.x)
		case opMemoryCopy:
			if in.x == 0 && in.y == 0 {
				return op
			}
		}
		return fmt.Sprintf("%s %d %d", op, in.x, in.y)
	case immBlock:
		return op + blockText(in.block)
	case immTryTable:
		var b strings.Builder
		b.WriteString(op + blockText(in.block))
		for _, c := range in.catches {
			switch c.kind {
			case catchTag:
				fmt.Fprintf(&b, " (catch %d %d)", c.tag, c.label)
			case catchTagRef:
				fmt.Fprintf(&b, " (catch_ref %d %d)", c.tag, c.label)
			case catchAll:
				fmt.Fprintf(&b, " (catch_all %d)", c.label)
			default:
				fmt.Fprintf(&b, " (catch_all_ref %d)", c.label)
			}
		}
		return b.String()
	case immLabels:
		var b strings.Builder
		b.WriteString(op)
		for _, l := range in.labels {
			fmt.Fprintf(&b, " %d", l)
		}
		return b.String()
	case immTypes:
		var b strings.Builder
		for _, t := range in.types {
			b.WriteString(" " + textValType(t))
		}
		return op + " (result" + b.String() + ")"
	case immHeap:
		return op + " " + textHeapType(in.heap)
	case immI32:
		return fmt.Sprintf("%s %d", op, int32(in.value))
	case immI64:
		return fmt.Sprintf("%s %d", op, int64(in.value))
	case immF32:
		bits := uint32(in.value)
		return op + " " + floatText(float64(math.Float32frombits(bits)), bits>>31 != 0, uint64(bits&(1<<23-1)), 32)
	case immF64:
		return op + " " + floatText(math.Float64frombits(in.value), in.value>>63 != 0, in.value&(1<<52-1), 64)
	case immV128:
		var b strings.Builder
		for i := 0; i < 16; i += 4 {
			fmt.Fprintf(&b, " %#x", binary.LittleEndian.Uint32(in.lanes[i:]))
		}
		return op + " i32x4" + b.String()
	case immShuffle:
		var b strings.Builder
		for _, l := range in.lanes {
			fmt.Fprintf(&b, " %d", l)
		}
		return op + b.String()
	case immLane:
		return fmt.Sprintf("%s %d", op, in.x)
	case immMem:
		return op + memArgText(in)
	case immMemLane:
		return fmt.Sprintf("%s%s %d", op, memArgText(in), in.lanes[0])
	}
	return op
}

func blockText(b blockType) string {
	switch {
	case b.index >= 0:
		return fmt.Sprintf(" (type %d)", b.index)
	case b.one:
		return " (result " + textValType(b.result) + ")"
	}
	return ""
}

func memArgText(in *instr) string {
	s := ""
	if in.y != 0 {
		s = fmt.Sprintf(" %d", in.y)
	}
	if in.value != 0 {
		s += fmt.Sprintf(" offset=%d", in.value)
	}
	if in.x != uint32(in.info.limit) {
		s += fmt.Sprintf(" align=%d", uint64(1)<<in.x)
	}
	return s
}

// floatText returns a number of that size, whose sign and fraction tell NaNs apart.
func floatText(v float64, negative bool, fraction uint64, size int) string {
	sign := ""
	if negative {
		sign = "-"
	}
	switch {
	case math.IsNaN(v):
		return fmt.Sprintf("%snan:%#x", sign, fraction)
	case math.IsInf(v, 0):
		return sign + "inf"
	}
	return strconv.FormatFloat(v, 'x', -1, size)
}
