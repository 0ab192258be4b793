package wasm

import "slices"

// Functions are added to a module in such a way that those which are there keep their
// indices, or get new ones wherever they are named.

// AddType returns the index of a function type, which is added if it is not there.
func (m *Module) AddType(t FuncType) uint32 {
	for i := range m.Types {
		if slices.Equal(m.Types[i].Params, t.Params) && slices.Equal(m.Types[i].Results, t.Results) {
			return uint32(i)
		}
	}
	m.Types = append(slices.Clip(m.Types), FuncType{Params: t.Params, Results: t.Results})
	return uint32(len(m.Types) - 1)
}

// AddFunction adds a function and returns its index. The code is its body, without
// locals and without the closing end.
func (m *Module) AddFunction(t FuncType, code []byte) uint32 {
	index := uint32(len(m.Space().Funcs))
	m.Functions = append(slices.Clip(m.Functions), Function{Type: m.AddType(t)})
	m.Code = append(slices.Clip(m.Code), bodyOf(code))
	return index
}

func bodyOf(code []byte) Body {
	return Body{Code: slices.Concat([]byte{0}, code, []byte{byte(opEnd)})}
}

// AddFuncImport imports a function and returns its index, which is the last of imported
// functions: those that the module defines move by one. The module must be valid but for
// the bodies of functions.
func (m *Module) AddFuncImport(module, name string, t FuncType) uint32 {
	p := newPruner(m)
	p.all()
	for i := p.importedFuncs; i < len(p.funcs.to); i++ {
		p.funcs.to[i]++
	}
	p.sweep()
	m.Imports = append(m.Imports, Import{Module: module, Name: name, Extern: Extern{Kind: KindFunc, Type: m.AddType(t)}})
	return uint32(p.importedFuncs)
}

// DefineImport makes an imported function one that the module defines, the last one, and
// returns its new index: others behind it move by one. The code is as in
// [Module.AddFunction]; the module must be valid but for the bodies of functions.
func (m *Module) DefineImport(index uint32, code []byte) uint32 {
	p := newPruner(m)
	p.all()
	last := uint32(len(p.funcs.to) - 1)
	for i := index + 1; i <= last; i++ {
		p.funcs.to[i]--
	}
	p.funcs.to[index] = last
	p.replaced = int(index)
	p.sweep()
	m.Functions = append(m.Functions, Function{Type: p.space.Funcs[index]})
	m.Code = append(m.Code, bodyOf(code))
	return last
}

// all marks everything as live.
func (p *pruner) all() {
	for _, x := range []*index{&p.funcs, &p.globals, &p.tables, &p.elements} {
		for i := range x.live {
			x.live[i] = true
		}
	}
	p.memory, p.data = true, true
	p.renumber()
}

// Prepend returns the body with code before its own.
func (b Body) Prepend(code []byte) Body {
	r := &reader{b: b.Code}
	skipLocals(r)
	return Body{Code: slices.Concat(b.Code[:r.pos], code, b.Code[r.pos:])}
}
