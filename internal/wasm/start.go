package wasm

import "slices"

// HoldStart makes the start function an export of that name, which must not be one
// already: whoever instantiates the module is to call it then.
func (m *Module) HoldStart(name string) {
	if m.Start == nil {
		return
	}
	m.Exports = append(slices.Clip(m.Exports), Export{Name: name, Kind: KindFunc, Index: m.Start.Func})
	m.Start = nil
}
