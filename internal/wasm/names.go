package wasm

import (
	"maps"
	"slices"
)

// Names is what the name section tells: the name of the module, and names of functions
// and globals by index. Any may be missing.
type Names struct {
	Module    string
	Functions map[uint32]string
	Globals   map[uint32]string
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
			names.Functions = body.nameMap("function names", maxFunctions)
		case 7:
			names.Globals = body.nameMap("global names", maxGlobals)
		}
	}
	return names
}

// nameMap reads names by index, up to the first fault.
func (r *reader) nameMap(what string, limit uint32) map[uint32]string {
	n := r.count(what, limit)
	names := make(map[uint32]string, n)
	for range n {
		index, name := r.u32(), r.name()
		if r.err != nil {
			break
		}
		names[index] = name
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
	data = appendNameMap(data, 1, names.Functions)
	data = appendNameMap(data, 7, names.Globals)
	if len(data) > 0 {
		m.Customs = append(m.Customs, Custom{Name: "name", Data: data})
	}
}

func appendNameMap(b []byte, section byte, names map[uint32]string) []byte {
	if len(names) == 0 {
		return b
	}
	body := appendU32(nil, uint32(len(names)))
	for _, index := range slices.Sorted(maps.Keys(names)) {
		body = appendName(appendU32(body, index), names[index])
	}
	return appendSection(b, section, body)
}
