package componentize

import (
	"fmt"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// assemble makes the component of a program that is resolved.
func (p *program) assemble() ([]byte, error) {
	env, err := p.environment()
	if err != nil {
		return nil, err
	}
	main, err := loadModule("", env)
	if err != nil {
		return nil, fmt.Errorf("the environment of the libraries: %w", err)
	}
	modules := []*coreModule{main}
	for _, lib := range p.sorted {
		if err := p.provideFor(main, lib); err != nil {
			return nil, fmt.Errorf("library %s: %w", lib.name, err)
		}
		modules = append(modules, lib.coreModule)
	}
	adapters, err := loadAdapters(p.opts.Adapters)
	if err != nil {
		return nil, err
	}
	return link(append(modules, adapters...), p)
}

// provideFor says where a library finds what it shares with others.
func (p *program) provideFor(main *coreModule, lib *library) error {
	lib.shared = true
	lib.provided = map[[2]string]coreExport{}
	here := map[*library]bool{}
	for _, other := range p.sorted {
		if other == lib {
			break
		}
		here[other] = true
	}
	for i, im := range lib.wasm.Imports {
		key := [2]string{im.Module, lib.importName(&im)}
		name := key[1]
		switch im.Module {
		case envModule:
			switch {
			case isMemoryImport(&im):
			case name == getTLS || name == setTLS:
				lib.provided[key] = coreExport{main, lib.name + ":" + name}
			case im.Kind == wasm.KindTable, lib.globals[name] && name != memoryBase && name != tableBase:
				lib.provided[key] = coreExport{main, name}
			case im.Kind == wasm.KindGlobal:
				lib.provided[key] = coreExport{main, baseName(lib, name)}
			default:
				provider := p.providers[symbolOf(name, lib.imports[i])]
				switch {
				case provider == nil: // a function of the environment of threads
				case here[provider]:
					lib.provided[key] = coreExport{provider.coreModule, name}
				case im.Kind == wasm.KindTag:
					return fmt.Errorf("it imports the tag %q of library %s, which needs it too", name, provider.name)
				default:
					lib.provided[key] = coreExport{main, name}
				}
			}
		case gotMemory:
			lib.provided[key] = coreExport{main, name}
			if !lib.globals[name] {
				lib.provided[key] = coreExport{main, baseName(lib, name)}
			}
		case gotFunctions:
			lib.provided[key] = coreExport{main, lib.name + ":" + gotFunctions + ":" + name}
		}
	}
	return nil
}

// sharedSource is what a library imports from another, or from the environment.
func sharedSource(x coreExport, t wasm.ExternType) (*source, error) {
	if err := matches(x.module.exports[x.name], t); err != nil {
		return nil, err
	}
	sort := coreSorts[t.Kind]
	return &source{
		key: "shared/" + x.key(), debug: x.name, sort: sort, typ: t.Func, after: []*coreModule{x.module},
		define: func(a *assembler) (uint32, error) { return a.coreExport(x.module, sort, x.name), nil },
	}, nil
}

// linkLibrary resolves the imports of a library.
func (l *linker) linkLibrary(m *coreModule) error {
	m.order = len(l.modules)
	l.modules = append(l.modules, m)
	if err := l.findExports(m); err != nil {
		return err
	}
	if err := l.findSources(m); err != nil {
		return err
	}
	for _, name := range []string{callCtors, "_initialize"} {
		t, ok := m.exports[name]
		if !ok || t.Kind != wasm.KindFunc || !sameType(t.Func, wasm.FuncType{}) {
			continue
		}
		if len(m.start) > 0 {
			return fmt.Errorf("it exports both %s and %s: want at most one", callCtors, name)
		}
		m.start = append(m.start, name)
	}
	return nil
}

// fixup writes what the fixup has to do before anything runs: fill the table, and set
// addresses that are known when the libraries are there. instance gives instances names
// as imports.
func (p *program) fixup(a *assembler, b *builder, instance func(*coreModule) string) []byte {
	main := a.main()
	env := instance(main)
	b.Imports = append(b.Imports, wasm.Import{Module: env, Name: "memory", Extern: wasm.Extern{Kind: wasm.KindMemory, Memory: wasm.MemoryType{PageSizeLog2: 16}}})
	tables := uint32(0)
	for _, im := range b.Imports {
		if im.Kind == wasm.KindTable {
			tables++
		}
	}
	b.Imports = append(b.Imports, wasm.Import{Module: env, Name: functionTable, Extern: wasm.Extern{Kind: wasm.KindTable, Table: wasm.TableType{Elem: wasm.FuncRef}}})
	globals := map[coreExport]uint32{}
	global := func(m *coreModule, name string, mutable bool) uint32 {
		x := coreExport{m, name}
		index, ok := globals[x]
		if !ok {
			index = uint32(len(globals))
			globals[x] = index
			b.Imports = append(b.Imports, wasm.Import{Module: instance(m), Name: name,
				Extern: wasm.Extern{Kind: wasm.KindGlobal, Global: wasm.GlobalType{Val: wasm.I32, Mutable: mutable}}})
		}
		return index
	}
	var code []byte
	// address pushes that of an exported global.
	address := func(lib *library, name string) {
		code = append(code, op(opGlobalGet, global(main, baseName(lib, memoryBase), false))...)
		code = append(code, op(opGlobalGet, global(lib.coreModule, name, false))...)
		code = append(code, 0x6a) // i32.add
	}
	for _, g := range p.dl.globals {
		code = append(code, i32Const(int(g.at))...)
		address(g.lib, g.name)
		code = append(code, 0x36, 2, 0) // i32.store
	}
	for _, lib := range p.libraries {
		for _, name := range lib.addresses {
			address(p.providers[symbol{kind: wasm.KindGlobal, name: name}], name)
			code = append(code, op(opGlobalSet, global(main, baseName(lib, name), true))...)
		}
	}
	if p.tls.libraries != 0 {
		for i, lib := range p.tls.slots {
			code = append(code, i32Const(int(p.tls.libraries)+4*i)...)
			address(lib, libraryTLS)
			code = append(code, 0x36, 2, 0) // i32.store
		}
	}
	fill := func(at uint32, functions []coreExport) {
		if len(functions) == 0 {
			return
		}
		e := wasm.Element{Mode: wasm.Active, Table: tables, At: wasm.Expr{Code: append(i32Const(int(at)), opEnd)}, Type: wasm.FuncRef, Explicit: tables > 0}
		for _, f := range functions {
			e.Funcs = append(e.Funcs, b.importFunc(instance(f.module), f.name, f.name, f.module.exports[f.name].Func))
		}
		b.Elements = append(b.Elements, e)
	}
	fill(p.dl.table, p.dl.functions)
	var indirections []coreExport
	for _, f := range p.indirections {
		indirections = append(indirections, coreExport{f.lib.coreModule, f.name})
	}
	fill(p.firstIndirection, indirections)
	b.Data = append(b.Data, wasm.Data{Mode: wasm.Active, At: wasm.Expr{Code: append(i32Const(int(p.dl.memory)), opEnd)}, Init: p.dl.data}, p.tls.data())
	for _, lib := range p.libraries {
		if lib.exportsFunction(applyRelocs) {
			code = append(code, op(opCall, b.importFunc(instance(lib.coreModule), applyRelocs, applyRelocs, wasm.FuncType{}))...)
		}
	}
	return code
}
