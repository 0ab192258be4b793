package wasm

// Names is what the name section tells: the name of the module, and names of functions by
// index. Either may be missing.
type Names struct {
	Module    string
	Functions map[uint32]string
}

// Names reads the name section. Names are for people: where the section is malformed,
// what was read before the fault is returned.
func (m *Module) Names() Names {
	var names Names
	custom, ok := m.Custom("name")
	if !ok {
		return names
	}
	r := &reader{b: custom.Data, base: custom.Offset}
	for r.more() {
		id := r.byte()
		body := &reader{b: r.bytes(r.u32())}
		switch id {
		case 0:
			names.Module = body.name()
		case 1:
			n := body.count("function names", maxFunctions)
			names.Functions = make(map[uint32]string, n)
			for range n {
				index, name := body.u32(), body.name()
				if body.err != nil {
					return names
				}
				names.Functions[index] = name
			}
		}
	}
	return names
}
