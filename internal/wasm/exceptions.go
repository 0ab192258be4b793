package wasm

import "bytes"

// CheckExceptions returns an [*UnsupportedError] if m, which is valid, catches
// exceptions. The engine loses track of exceptions that a guest keeps (its collector
// frees what a reference still names), and copies the whole stack at each try_table,
// of which any number may be open: neither can be bounded from here. Throwing is well;
// an exception that nobody catches is a trap.
func (m *Module) CheckExceptions() error {
	var in instr
	for i := range m.Code {
		body := &m.Code[i]
		if bytes.IndexByte(body.Code, byte(opTryTable)) < 0 {
			continue
		}
		r := &reader{b: body.Code, base: body.Offset}
		for range r.u32() {
			r.u32()
			r.valType()
		}
		for r.more() {
			if r.instr(&in); in.op == opTryTable {
				return &UnsupportedError{Feature: CaughtExceptions, Offset: r.base + in.pos}
			}
		}
	}
	return nil
}
