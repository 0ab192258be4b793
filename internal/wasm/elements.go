package wasm

import "slices"

// CheckElements makes instantiation trap where an active element segment does
// not fit into its table, for an engine that ignores such a segment. A module
// whose segments all fit is left as it is; of another one they are applied by a
// start function, called name in the name section, which then calls the start
// function that was there. It is the last function, so all indices stay valid.
//
// The module must be valid.
func (m *Module) CheckElements(name string) {
	tables := m.Space().Tables
	fits := func(e *Element) bool {
		at, ok := e.At.i32()
		return e.Mode != Active || ok && uint64(at)+uint64(e.len()) <= tables[e.Table].Limits.Min
	}
	if !slices.ContainsFunc(m.Elements, func(e Element) bool { return !fits(&e) }) {
		return
	}
	// What instantiation does with active segments (4.7.2 of the core
	// specification): table.init, then elem.drop, in order.
	code := []byte{0}
	m.Elements = slices.Clone(m.Elements)
	for i := range m.Elements {
		e := &m.Elements[i]
		if e.Mode != Active {
			continue
		}
		code = append(code, e.At.Code[:len(e.At.Code)-1]...)
		if heap := e.Type.Heap(); heap == HeapExtern || heap == HeapExn {
			// The engine has no passive segments of these. All that a constant
			// can be here is null.
			code = append(code, byte(opRefNull), byte(heap), byte(opI32Const))
			code = appendS33(code, int64(e.len()))
			code = appendU32(append(code, 0xfc, byte(opTableFill&0xff)), e.Table)
		} else {
			code = append(code, byte(opI32Const), 0, byte(opI32Const))
			code = appendS33(code, int64(e.len()))
			code = appendU32(append(code, 0xfc, byte(opTableInit&0xff)), uint32(i))
			code = appendU32(code, e.Table)
		}
		code = appendU32(append(code, 0xfc, byte(opElemDrop&0xff)), uint32(i))
		e.Mode, e.Table, e.At = Passive, 0, Expr{}
	}
	if m.Start != nil {
		code = appendU32(append(code, byte(opCall)), m.Start.Func)
	}
	names := m.Names()
	if names.Functions == nil {
		names.Functions = make(map[uint32]string)
	}
	index := uint32(len(m.Space().Funcs))
	names.Functions[index] = name
	m.SetNames(names)
	m.Types = append(slices.Clone(m.Types), FuncType{})
	m.Functions = append(slices.Clone(m.Functions), Function{Type: uint32(len(m.Types) - 1)})
	m.Code = append(slices.Clone(m.Code), Body{Code: append(code, byte(opEnd))})
	m.Start = &Start{Func: index}
}

// len returns the number of elements.
func (e *Element) len() int { return len(e.Funcs) + len(e.Exprs) }

// i32 returns the value of an expression that is a single i32.const.
func (x Expr) i32() (v uint32, ok bool) {
	r := &reader{b: x.Code}
	if r.byte() != byte(opI32Const) {
		return 0, false
	}
	v = uint32(r.s32())
	return v, r.byte() == byte(opEnd) && r.err == nil && r.pos == len(r.b)
}
