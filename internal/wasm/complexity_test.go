package wasm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
)

// body is the code of a function with that many locals of type i32.
func body(locals int, code ...[]byte) []byte {
	b := append(binary.AppendUvarint([]byte{1}, uint64(locals)), 0x7f)
	return append(b, append(bytes.Join(code, nil), 0x0b)...)
}

func times(n int, code ...byte) []byte { return bytes.Repeat(code, n) }

// TestComplexity has valid functions that are just within a bound, and just not.
func TestComplexity(t *testing.T) {
	wide := slices.Repeat([]ValType{I32}, 1000)
	module := func(bodies ...[]byte) *Module {
		m := &Module{Types: []FuncType{{}, {Params: wide, Results: wide}}}
		for _, b := range bodies {
			m.Functions = append(m.Functions, Function{})
			m.Code = append(m.Code, Body{Code: b})
		}
		return m
	}
	nop, block, end, branch := []byte{0x01}, []byte{0x02, 0x40}, []byte{0x0b}, []byte{0x41, 0, 0x0d, 0}
	call := []byte{0x00, 0x10, 0x01} // of the wide type, where nothing can be reached
	withCallee := func(calls int, functions int) *Module {
		var bodies [][]byte
		for range functions {
			bodies = append(bodies, body(0, call[:1], bytes.Repeat(call[1:], calls), call[:1]))
		}
		m := module(bodies...)
		m.Functions = append(m.Functions[:1:1], append([]Function{{Type: 1}}, m.Functions[1:]...)...)
		m.Code = append(m.Code[:1:1], append([]Body{{Code: []byte{0x00, 0x00, 0x0b}}}, m.Code[1:]...)...)
		return m
	}
	table := func(labels int) []byte {
		return slices.Concat([]byte{0x41, 0, 0x0e}, binary.AppendUvarint(nil, uint64(labels-1)), make([]byte, labels))
	}
	for _, c := range []struct {
		what     string
		in, over *Module
	}{
		{"instructions in a function", module(body(1, times(maxFunctionInstructions-1, nop...))), module(body(1, times(maxFunctionInstructions, nop...)))},
		{"branches and blocks in a function", module(body(1, times(maxFunctionBranches, branch...))), module(body(1, times(maxFunctionBranches+1, branch...)))},
		{"branches and blocks in a function", module(body(1, table(maxFunctionBranches*tableWeight))), module(body(1, table((maxFunctionBranches+1)*tableWeight)))},
		{"blocks that are open at once",
			module(body(1, times(maxFunctionDepth-1, block...), times(maxFunctionDepth-1, end...))),
			module(body(1, times(maxFunctionDepth, block...), times(maxFunctionDepth, end...)))},
		{"locals in a function", module(body(maxFunctionLocals)), module(body(maxFunctionLocals + 1))},
		{"branches times locals in a function",
			module(body(1000, times(maxFunctionVariables/1000, branch...))), module(body(1000, times(maxFunctionVariables/1000+1, branch...)))},
		{"values of calls and branches in a function", withCallee(maxFunctionValues/2000, 1), withCallee(maxFunctionValues/2000+1, 1)},
		{"values of calls and branches in the module",
			withCallee(maxFunctionValues/2000, freeValues/maxFunctionValues), withCallee(maxFunctionValues/2000, freeValues/maxFunctionValues+2)},
	} {
		for i, m := range []*Module{c.in, c.over} {
			m, err := Decode(m.Encode())
			if err == nil {
				err = Validate(m)
			}
			if err != nil {
				t.Fatalf("%s: %v", c.what, err)
			}
			err = CheckComplexity(m)
			if i == 0 {
				if err != nil {
					t.Errorf("at the bound: %v", err)
				}
				continue
			}
			var ce *ComplexityError
			if !errors.As(err, &ce) || ce.What != c.what || ce.Found <= ce.Limit ||
				!slices.ContainsFunc(m.Code, func(b Body) bool { return b.Offset == ce.Offset }) || !strings.Contains(err.Error(), c.what) {
				t.Errorf("%s: over the bound: %v", c.what, err)
			}
		}
	}
}
