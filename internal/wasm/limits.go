package wasm

// LimitTables lowers the maxima of the tables that the module defines, such that each
// grows by no more than a number of elements.
func (m *Module) LimitTables(growth uint64) {
	for i := range m.Tables {
		l := &m.Tables[i].Limits
		if most := min(l.Min+growth, 1<<32-1); !l.HasMax || l.Max > most {
			l.HasMax, l.Max = true, most
		}
	}
}
