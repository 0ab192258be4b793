package componentize

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
	"github.com/ashlar-wasm/ashlar/wit"
)

const (
	mainMemoryModule = "__main_memory__"
	mainModule       = "__main_module__"
	standardPrefix   = "cm32p2"
)

// findSources finds where the imports of a module come from.
func (l *linker) findSources(m *coreModule) error {
	m.sources = nil
	for i := range m.wasm.Imports {
		im := &m.wasm.Imports[i]
		name := m.importName(im)
		s, err := l.findSource(m, im.Module, name, im, m.imports[i])
		if err != nil {
			return fmt.Errorf("import %q of %q: %w", name, im.Module, err)
		}
		m.sources = append(m.sources, s)
	}
	return nil
}

func (l *linker) findSource(m *coreModule, module, name string, im *wasm.Import, t wasm.ExternType) (*source, error) {
	if x, ok := m.provided[[2]string{module, name}]; ok {
		return sharedSource(x, t)
	}
	switch {
	case isMemoryImport(im):
		return l.memorySource(t)
	case module == mainModule && !m.main():
		return l.mainSource(name, t)
	case t.Kind != wasm.KindFunc:
		return nil, fmt.Errorf("it is a %v: only functions can be imported", t.Kind)
	case module == mainMemoryModule && !m.main():
		return l.accessorSource(name, t.Func)
	}
	if a := l.adapter(module); a != nil {
		if a == m || slices.Contains(l.modules, a) {
			return nil, fmt.Errorf("adapter %s is instantiated before", a.name)
		}
		return &source{
			key: "adapter/" + module + "/" + name, debug: "adapt-" + module + "-" + name, sort: binary.SortCoreFunc, typ: t.Func,
			after:  []*coreModule{a},
			define: func(a2 *assembler) (uint32, error) { return a2.coreExport(a, binary.SortCoreFunc, name), nil },
		}, nil
	}
	at := setup{m, importReallocs}
	if rest, ok := strings.CutPrefix(module, mainMemoryModule+"|"); ok && !m.main() {
		at, module = setup{l.main(), mainReallocs}, rest
	}
	s, err := l.worldSource(m, module, name, t.Func, at)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, errors.New("there is no such import: " + l.known(m))
	}
	if s.typ.Params != nil || s.typ.Results != nil || s.sort == binary.SortCoreFunc {
		if err := checkType(t.Func, s.typ); err != nil {
			return nil, err
		}
	}
	s.debug = module + "-" + name
	return s, nil
}

func (l *linker) adapter(name string) *coreModule {
	for _, a := range l.all[1:] {
		if a.name == name && !a.shared {
			return a
		}
	}
	return nil
}

// known says what could have been imported.
func (l *linker) known(m *coreModule) string {
	if len(m.worlds) == 0 {
		return fmt.Sprintf("the %s has no embedded world; embed one first", m)
	}
	var names []string
	for _, item := range l.world.imports {
		if item.Interface != nil {
			names = append(names, item.ExternName())
		}
	}
	if len(names) == 0 {
		return "the embedded world imports no interface"
	}
	return "the embedded world has " + strings.Join(names, ", ")
}

func (l *linker) memorySource(want wasm.ExternType) (*source, error) {
	s := &source{key: "memory", debug: "memory", sort: binary.SortCoreMemory}
	memory, err := l.memoryOf(l.main())
	if err != nil {
		return nil, err
	}
	if memory == nil {
		return nil, errors.New(`the main module exports no memory named "memory"`)
	}
	have := wasm.ExternType{Kind: wasm.KindMemory}
	if memory.module != nil {
		s.after = []*coreModule{memory.module}
		have = memory.module.exports[memory.name]
	} else {
		have.Memory = *l.importsMemory
	}
	if err := matches(have, want); err != nil {
		return nil, err
	}
	s.define = func(a *assembler) (uint32, error) {
		return a.coreExport(memory.module, binary.SortCoreMemory, memory.name), nil
	}
	return s, nil
}

var coreSorts = map[wasm.Kind]binary.Sort{
	wasm.KindFunc: binary.SortCoreFunc, wasm.KindTable: binary.SortCoreTable, wasm.KindMemory: binary.SortCoreMemory,
	wasm.KindGlobal: binary.SortCoreGlobal, wasm.KindTag: binary.SortCoreTag,
}

// matches checks that what is exported may be imported as what is wanted.
func matches(have, want wasm.ExternType) error {
	if have.Kind != want.Kind {
		return fmt.Errorf("it is a %v, expected is a %v", have.Kind, want.Kind)
	}
	switch want.Kind {
	case wasm.KindFunc, wasm.KindTag:
		return checkType(have.Func, want.Func)
	case wasm.KindMemory:
		if !fits(have.Memory.Limits, want.Memory.Limits) || have.Memory.PageSizeLog2 != want.Memory.PageSizeLog2 {
			return errors.New("the limits of the memory are others than those that are expected")
		}
	case wasm.KindTable:
		if have.Table.Elem != want.Table.Elem || !fits(have.Table.Limits, want.Table.Limits) {
			return errors.New("the type of the table is another than that which is expected")
		}
	case wasm.KindGlobal:
		if have.Global != want.Global {
			return errors.New("the type of the global is another than that which is expected")
		}
	}
	return nil
}

func fits(have, want wasm.Limits) bool {
	return have.Within(want) && have.Index64 == want.Index64 && have.Shared == want.Shared
}

// mainSource is an export of the main module that an adapter imports.
func (l *linker) mainSource(name string, t wasm.ExternType) (*source, error) {
	main := l.main()
	if t.Kind == wasm.KindFunc && slices.Contains(adapterReallocs, name) {
		if r, err := l.reallocOf(main, adapterReallocs); err != nil || r != nil {
			if r != nil {
				name = r.name
			}
			if err != nil {
				return nil, err
			}
		}
	}
	have, ok := main.exports[name]
	if !ok {
		return nil, fmt.Errorf("the main module does not export %q", name)
	}
	if err := matches(have, t); err != nil {
		return nil, fmt.Errorf("the main module's export %q: %w", name, err)
	}
	sort := coreSorts[t.Kind]
	return &source{
		key: "main/" + name, debug: name, sort: sort, typ: t.Func, after: []*coreModule{main},
		define: func(a *assembler) (uint32, error) { return a.coreExport(main, sort, name), nil },
	}, nil
}

// worldSource finds an import of the world. It returns nil if there is none.
func (l *linker) worldSource(m *coreModule, module, name string, t wasm.FuncType, at setup) (*source, error) {
	prefix, root := "[export]", "$root"
	standard := false
	if rest, ok := strings.CutPrefix(module, standardPrefix); ok {
		module, prefix, root, standard = rest, "_ex_", "", true
		if module != "" {
			if module, ok = strings.CutPrefix(module, "|"); !ok {
				return nil, nil
			}
			root = "|" // no interface has this name
		}
	}
	exported := false
	if rest, ok := strings.CutPrefix(module, prefix); ok {
		module, exported = rest, true
	}
	if module == root {
		return l.rootSource(m, name, t, at, exported)
	}
	if module == "env" && !standard {
		if s, err := l.environmentSource(name, t); s != nil || err != nil {
			return s, err
		}
	}
	index := l.world.index(exported)
	item := index.compatible(module)
	if standard {
		item = index.standard(module)
	}
	if item == nil {
		return nil, nil
	}
	if !exported {
		function, conv := name, synchronous
		if rest, ok := strings.CutPrefix(name, "[async-lower]"); ok && !standard {
			function, conv = rest, asynchronous
		}
		if f := l.world.functions[item.Interface][function]; f != nil {
			return l.lowerSource(m, item, f, conv, at)
		}
	}
	if s := l.resourceSource(item, name, exported, standard); s != nil {
		return s, nil
	}
	if !standard {
		if s, err := l.typedSource(m, item, name, exported, at); s != nil || err != nil {
			return s, err
		}
	}
	return nil, fmt.Errorf("interface %s has no such function", item.ExternName())
}

// rootSource finds an import of the world that is in no interface.
func (l *linker) rootSource(m *coreModule, name string, t wasm.FuncType, at setup, exported bool) (*source, error) {
	if !exported {
		function, conv := name, synchronous
		if rest, ok := strings.CutPrefix(name, "[async-lower]"); ok {
			function, conv = rest, asynchronous
		}
		if item := l.world.index(false).function(function); item != nil {
			return l.lowerSource(m, item, item.Function, conv, at)
		}
		for _, standard := range []bool{false, true} {
			if item := l.world.index(false).typ(resourceName(name)); item != nil {
				if s := resourceOf(item.Type, item, name, false, standard); s != nil {
					return s, nil
				}
			}
		}
		if s, err := l.builtinSource(m, name, at); s != nil || err != nil {
			return s, err
		}
	}
	if s, err := l.typedSource(m, nil, name, exported, at); s != nil || err != nil {
		return s, err
	}
	return nil, errors.New("the world has no such function")
}

// lowerSource is a function that the component imports.
func (l *linker) lowerSource(m *coreModule, item *wit.WorldItem, f *wit.Function, conv convention, at setup) (*source, error) {
	t, n := l.sigs.lowered(f, conv)
	e, err := m.encodingOf(item, f, false)
	if err != nil {
		return nil, err
	}
	o, err := l.options(m, n, e, at)
	if err != nil {
		return nil, err
	}
	o.async = conv != synchronous
	return &source{
		key: "lower/" + item.ExternName() + "/" + f.Name + "/" + o.key(), sort: binary.SortCoreFunc, typ: t,
		after: o.after(), item: item, function: f,
		define: func(a *assembler) (uint32, error) {
			opts := a.options(o)
			return a.def(&binary.Canon{Op: binary.CanonLower, Func: a.importedFunction(item, f), Opts: opts}), nil
		},
	}, nil
}

// resourceSource finds a built-in on a resource of an interface.
func (l *linker) resourceSource(item *wit.WorldItem, name string, exported, standard bool) *source {
	if t := l.world.types[item.Interface][resourceName(name)]; t != nil {
		return resourceOf(t, item, name, exported, standard)
	}
	return nil
}

// resourceName is the name of the resource in that of a built-in: [resource-drop]NAME or
// NAME_drop.
func resourceName(name string) string {
	if end := strings.IndexByte(name, ']'); end >= 0 {
		return name[end+1:]
	}
	if end := strings.LastIndexByte(name, '_'); end >= 0 {
		return name[:end]
	}
	return name
}

// resourceOf returns the built-in on a resource of that name, or nil.
func resourceOf(t *wit.TypeDef, item *wit.WorldItem, name string, exported, standard bool) *source {
	if _, ok := t.Root().Kind.(*wit.Resource); !ok {
		return nil
	}
	for _, b := range []struct {
		op               binary.CanonOp
		legacy, standard string
		results          []wasm.ValType
	}{
		{binary.CanonResourceDrop, "[resource-drop]", "_drop", nil},
		{binary.CanonResourceNew, "[resource-new]", "_new", []wasm.ValType{wasm.I32}},
		{binary.CanonResourceRep, "[resource-rep]", "_rep", []wasm.ValType{wasm.I32}},
	} {
		if name != b.legacy+t.Name && (!standard || name != t.Name+b.standard) {
			continue
		}
		if _, own := t.Kind.(*wit.Resource); b.op != binary.CanonResourceDrop && !(exported && own) {
			return nil
		}
		s := &source{
			key: fmt.Sprintf("%v/%t/%s/%s", b.op, exported, item.ExternName(), t.Name), sort: binary.SortCoreFunc,
			typ: wasm.FuncType{Params: []wasm.ValType{wasm.I32}, Results: b.results},
			define: func(a *assembler) (uint32, error) {
				index, err := a.typeOf(item, t, exported)
				return a.def(&binary.Canon{Op: b.op, Type: index}), err
			},
		}
		if !exported {
			s.item = item
		}
		s.types = []wit.Type{t}
		return s
	}
	return nil
}

// key tells options apart.
func (o *options) key() string {
	s := fmt.Sprintf("%d/%v/%t", o.needs, o.encoding, o.async)
	if o.memory != nil {
		s += "/" + o.memory.key()
	}
	if o.realloc != nil {
		s += "/" + o.realloc.key()
	}
	return s
}

func (x *coreExport) key() string {
	if x.module == nil {
		return "shim:" + x.name
	}
	return x.module.name + ":" + x.name
}
