package wasm

import (
	"maps"
	"slices"
)

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

// SetNames replaces the name section, which some engines refuse if it is malformed. Names
// of locals and the like are not kept.
func (m *Module) SetNames(names Names) {
	m.Customs = slices.DeleteFunc(slices.Clone(m.Customs), func(c Custom) bool { return c.Name == "name" })
	var data []byte
	if names.Module != "" {
		data = appendSection(data, 0, appendName(nil, names.Module))
	}
	if len(names.Functions) > 0 {
		functions := appendU32(nil, uint32(len(names.Functions)))
		for _, index := range slices.Sorted(maps.Keys(names.Functions)) {
			functions = appendName(appendU32(functions, index), names.Functions[index])
		}
		data = appendSection(data, 1, functions)
	}
	if len(data) > 0 {
		m.Customs = append(m.Customs, Custom{Name: "name", Data: data})
	}
}
