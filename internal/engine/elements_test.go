package engine_test

import (
	"errors"
	"testing"

	"github.com/ashlar-wasm/ashlar/internal/engine"
	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// globals provides the immutable globals "two" and "huge", and a table of 4.
func globals() []byte {
	m := &guests.CoreModule{}
	for name, v := range map[string]int32{"two": 2, "huge": -1} {
		m.Exports = append(m.Exports, wasm.Export{Name: name, Kind: wasm.KindGlobal, Index: uint32(len(m.Globals))})
		m.Globals = append(m.Globals, wasm.Global{GlobalType: wasm.GlobalType{Val: wasm.I32}, Init: guests.Constant(v)})
	}
	m.Tables = []wasm.Table{table(4)}
	m.Exports = append(m.Exports, wasm.Export{Name: "table", Kind: wasm.KindTable})
	// call(i) calls the function in the table.
	m.Define(&guests.Func{Name: "call", Params: []wasm.ValType{wasm.I32}, Results: []wasm.ValType{wasm.I32},
		Body: guests.Seq(guests.Get(0), guests.Code{0x11, 1, 0})})
	m.Types = append(m.Types, wasm.FuncType{Results: []wasm.ValType{wasm.I32}})
	return m.Encode()
}

func table(size uint64) wasm.Table {
	return wasm.Table{TableType: wasm.TableType{Elem: wasm.FuncRef, Limits: wasm.Limits{Min: size}}}
}

type segment struct {
	at  guests.Code
	len int
}

// segments imports two globals and a table, and writes its only function,
// which returns 7, into the table.
func segments(minimum uint64, elem wasm.ValType, segs ...segment) *guests.CoreModule {
	m := &guests.CoreModule{}
	for _, name := range []string{"two", "huge"} {
		m.Imports = append(m.Imports, wasm.Import{Module: "p", Name: name,
			Extern: wasm.Extern{Kind: wasm.KindGlobal, Global: wasm.GlobalType{Val: wasm.I32}}})
	}
	tt := table(minimum).TableType
	if elem == wasm.FuncRef {
		m.Imports = append(m.Imports, wasm.Import{Module: "p", Name: "table", Extern: wasm.Extern{Kind: wasm.KindTable, Table: tt}})
	} else {
		tt.Elem = elem
		m.Tables = []wasm.Table{{TableType: tt}}
	}
	m.Define(&guests.Func{Name: "seven", Results: []wasm.ValType{wasm.I32}, Body: guests.I32(7)})
	for _, s := range segs {
		e := wasm.Element{Mode: wasm.Active, At: wasm.Expr{Code: append(append(guests.Code(nil), s.at...), 0x0b)}, Type: wasm.FuncRef}
		for range s.len {
			if elem == wasm.FuncRef {
				e.Funcs = append(e.Funcs, 0)
				continue
			}
			e.UsesExprs, e.Type = true, elem
			e.Exprs = append(e.Exprs, wasm.Expr{Code: []byte{0xd0, byte(elem.Heap()), 0x0b}})
		}
		m.Elements = append(m.Elements, e)
	}
	return m
}

func TestElementSegments(t *testing.T) {
	two, huge := guests.GlobalGet(0), guests.GlobalGet(1)
	for name, c := range map[string]struct {
		segs    []segment
		elem    wasm.ValType
		minimum uint64
		applied []bool // which table elements are set afterwards
		trap    bool
	}{
		"fits":                {segs: []segment{{guests.I32(1), 2}}, minimum: 4, applied: []bool{false, true, true, false}},
		"more than it says":   {segs: []segment{{guests.I32(1), 2}}, minimum: 2, applied: []bool{false, true, true, false}},
		"global":              {segs: []segment{{two, 2}}, minimum: 4, applied: []bool{false, false, true, true}},
		"extended":            {segs: []segment{{guests.Seq(two, guests.I32(1), guests.I32Sub), 1}}, minimum: 4, applied: []bool{false, true, false, false}},
		"beyond":              {segs: []segment{{guests.I32(0), 1}, {guests.I32(3), 2}, {guests.I32(2), 1}}, minimum: 4, applied: []bool{true, false, false, false}, trap: true},
		"global beyond":       {segs: []segment{{guests.I32(1), 1}, {two, 3}, {guests.I32(0), 1}}, minimum: 4, applied: []bool{false, true, false, false}, trap: true},
		"huge":                {segs: []segment{{huge, 1}}, minimum: 4, applied: make([]bool, 4), trap: true},
		"huge constant":       {segs: []segment{{guests.I32(-1), 2}}, minimum: 4, applied: make([]bool, 4), trap: true},
		"extended beyond":     {segs: []segment{{guests.Seq(two, two, guests.I32Add), 1}}, minimum: 4, applied: make([]bool, 4), trap: true},
		"empty at the end":    {segs: []segment{{guests.Seq(two, two, guests.I32Add), 0}}, minimum: 4, applied: make([]bool, 4)},
		"empty beyond":        {segs: []segment{{guests.I32(5), 0}}, minimum: 4, applied: make([]bool, 4), trap: true},
		"extern global":       {segs: []segment{{two, 2}}, elem: wasm.ExternRef, minimum: 4},
		"extern beyond":       {segs: []segment{{two, 3}}, elem: wasm.ExternRef, minimum: 4, trap: true},
		"many, last does not": {segs: append(many(1000), segment{two, 3}), minimum: 4, applied: []bool{true, true, true, true}, trap: true},
	} {
		for mode, cfg := range configs {
			t.Run(mode+"/"+name, func(t *testing.T) {
				if c.elem == 0 {
					c.elem = wasm.FuncRef
				}
				e := newEngine(t, cfg)
				provider := instantiate(t, e, globals(), nil)
				m := segments(c.minimum, c.elem, c.segs...)
				started := m.Module
				started.CheckElements(engine.ElementsFunc)
				inst, err := try(t, e, started.Encode(), func(string) *engine.Instance { return provider })
				var trap *engine.Trap
				if c.trap != errors.As(err, &trap) || c.trap && trap.Message != "out of bounds table access" || !c.trap && err != nil {
					t.Fatalf("got %#v", err)
				}
				for n, set := range c.applied {
					stack := []uint64{uint64(n)}
					err := provider.Func("call").Call(t.Context(), stack)
					if (err == nil) != set || set && stack[0] != 7 {
						t.Errorf("element %d: %d, %v, want set: %v", n, stack[0], err, set)
					}
				}
				if inst != nil {
					if err := inst.Func("seven").Call(t.Context(), make([]uint64, 1)); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
}

func many(n int) (segs []segment) {
	for i := range n {
		segs = append(segs, segment{guests.I32(int32(i % 4)), 1})
	}
	return segs
}

func TestElementsBeforeStart(t *testing.T) {
	for mode, cfg := range configs {
		t.Run(mode, func(t *testing.T) {
			e := newEngine(t, cfg)
			provider := instantiate(t, e, globals(), nil)
			// The start function calls what the segment put into the table.
			m := segments(4, wasm.FuncRef, segment{guests.GlobalGet(0), 1})
			m.Define(&guests.Func{Name: "", Body: guests.Seq(
				guests.I32(2), guests.Code{0x11, 0, 0}, guests.I32(7), guests.I32Sub, guests.If(guests.Unreachable))})
			m.Start = &wasm.Start{Func: 1}
			m.CheckElements(engine.ElementsFunc)
			if _, err := try(t, e, m.Encode(), func(string) *engine.Instance { return provider }); err != nil {
				t.Errorf("start: %v", err)
			}
		})
	}
}

func TestDataSegmentOutOfBounds(t *testing.T) {
	for mode, cfg := range configs {
		t.Run(mode, func(t *testing.T) {
			m := memory(1, 1)
			m.Data = []wasm.Data{{Mode: wasm.Active, At: guests.Constant(65535), Init: []byte("ab")}}
			_, err := try(t, newEngine(t, cfg), m.Encode(), nil)
			var trap *engine.Trap
			if !errors.As(err, &trap) || trap.Message != "out of bounds memory access" {
				t.Errorf("got %#v", err)
			}
		})
	}
}
