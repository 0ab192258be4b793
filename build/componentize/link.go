package componentize

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
	"github.com/ashlar-wasm/ashlar/wit"
)

// linker finds out what each module imports, and what the world's exports are made of.
type linker struct {
	world *world
	all   []*coreModule
	// modules are those that are used, the main module first.
	modules []*coreModule
	sigs    *signatures
	program *program // of libraries, or nil
	// importsMemory tells that the main module imports its memory, which the shim then
	// defines.
	importsMemory *wasm.MemoryType
	// accessors are the functions of __main_memory__ that adapters use.
	accessors map[string]bool
	// usesSlot1 tells that modules use slot 1 of a thread's context; tlsBase is the type
	// of the base of thread-local storage, if they use that.
	usesSlot1 bool
	tlsBase   wasm.ValType
	// wants are exports of the adapter that is being trimmed which it must keep.
	wants map[string]bool
}

func newLinker(w *world, modules []*coreModule) *linker {
	return &linker{world: w, all: modules, sigs: newSignatures(), accessors: map[string]bool{}, wants: map[string]bool{}}
}

func (l *linker) main() *coreModule { return l.all[0] }

// link resolves all imports and exports.
func (l *linker) link() error {
	main := l.main()
	l.modules = []*coreModule{main}
	for i, im := range main.wasm.Imports {
		if isMemoryImport(&im) {
			if l.importsMemory != nil {
				return errors.New("module imports env.memory more than once")
			}
			l.importsMemory = &main.imports[i].Memory
		}
	}
	if err := main.validate(); err != nil {
		return err
	}
	if err := l.findExports(main); err != nil {
		return err
	}
	if err := l.findSources(main); err != nil {
		return err
	}
	for _, a := range l.all[1:] {
		if a.shared {
			if err := l.linkLibrary(a); err != nil {
				return fmt.Errorf("library %s: %w", a.name, err)
			}
			continue
		}
		if err := l.linkAdapter(a); err != nil {
			return fmt.Errorf("adapter %s: %w", a.name, err)
		}
	}
	l.findStart(main)
	return nil
}

func isMemoryImport(im *wasm.Import) bool {
	return im.Kind == wasm.KindMemory && im.Module == "env" && im.Name == "memory"
}

// linkAdapter trims an adapter to what is needed of it, and resolves what is left.
func (l *linker) linkAdapter(a *coreModule) error {
	required := map[string]wasm.FuncType{}
	for _, m := range l.modules {
		for i, im := range m.wasm.Imports {
			if im.Module == a.name && im.Kind == wasm.KindFunc {
				required[m.importName(&im)] = m.imports[i].Func
			}
		}
	}
	if err := l.findExports(a); err != nil {
		return err
	}
	if len(required) == 0 && len(a.lifts) == 0 {
		return nil
	}
	roots := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(required)) {
		t, ok := a.exports[name]
		if !ok || t.Kind != wasm.KindFunc {
			return fmt.Errorf("it does not export the function %q, which is imported from it", name)
		}
		if err := checkType(t.Func, required[name]); err != nil {
			return fmt.Errorf("export %q: %w", name, err)
		}
		roots[name] = true
	}
	for _, f := range a.lifts {
		for _, name := range []string{f.core, f.post, f.callback} {
			if name != "" {
				roots[name] = true
			}
		}
	}
	for _, name := range a.dtors {
		roots[name] = true
	}
	if name, ok := a.initialize(); ok {
		roots[name] = true
	}
	a.order = len(l.modules)
	l.modules = append(l.modules, a)
	whole := *a.wasm
	for {
		trimmed := whole
		trimmed.Prune(func(e *wasm.Export) bool { return roots[e.Name] })
		a.wasm = &trimmed
		if err := l.provideStack(a); err != nil {
			return err
		}
		if err := a.types(); err != nil {
			return err
		}
		// What is found to be needed may still be among what was trimmed.
		a.exports = exportsOf(&whole)
		l.wants = map[string]bool{}
		if err := l.findSources(a); err != nil {
			return err
		}
		for _, f := range a.lifts {
			if _, err := l.liftOptions(a, f); err != nil {
				return err
			}
		}
		// What is lowered may need a memory and a realloc, whose code may import more.
		before := len(roots)
		maps.Copy(roots, l.wants)
		if len(roots) == before {
			break
		}
	}
	a.exports = exportsOf(a.wasm)
	l.findStart(a)
	return a.validate()
}

func exportsOf(m *wasm.Module) map[string]wasm.ExternType {
	types, err := m.ExportTypes()
	if err != nil {
		return nil
	}
	exports := map[string]wasm.ExternType{}
	for i, e := range m.Exports {
		exports[e.Name] = types[i]
	}
	return exports
}

// findStart finds what is to be called when all modules are instantiated.
func (l *linker) findStart(m *coreModule) {
	if m.main() && m.wasm.Start != nil && slices.ContainsFunc(m.sources, l.early) {
		// The start function may call what is not there before.
		name := "_start_function"
		for {
			if _, taken := m.exports[name]; !taken {
				break
			}
			name += "_"
		}
		m.wasm.HoldStart(name)
		m.start = append(m.start, name)
	}
	if name, ok := m.initialize(); ok {
		m.start = append(m.start, name)
	}
}

// early reports whether a source of the main module needs what is instantiated later.
func (l *linker) early(s *source) bool { return len(s.after) > 0 }

// initialize returns the export that is to be called before any other.
func (m *coreModule) initialize() (string, bool) {
	for _, name := range []string{"_initialize", "cm32p2_initialize"} {
		if t, ok := m.exports[name]; ok && t.Kind == wasm.KindFunc && sameType(t.Func, wasm.FuncType{}) {
			return name, true
		}
	}
	return "", false
}

// importName returns the name of an import as the module had it.
func (m *coreModule) importName(im *wasm.Import) string {
	if name, ok := m.renamed[[2]string{im.Module, im.Name}]; ok {
		return name
	}
	return im.Name
}

// memoryOf returns the memory that a module has its values in, or nil.
func (l *linker) memoryOf(m *coreModule) (*coreExport, error) {
	if m.main() && l.importsMemory != nil {
		if l.importsMemory.Limits.Index64 {
			return nil, errors.New("the memory has 64-bit addresses, which components can't have yet")
		}
		return &coreExport{name: shimMemory}, nil
	}
	if !m.main() && slices.ContainsFunc(m.wasm.Imports, func(im wasm.Import) bool { return isMemoryImport(&im) }) {
		return l.memoryOf(l.main())
	}
	var found *coreExport
	for _, name := range []string{"memory", "cm32p2_memory"} {
		if t, ok := m.exports[name]; ok && t.Kind == wasm.KindMemory {
			if found != nil {
				return nil, errors.New("the module exports more than one memory")
			}
			if t.Memory.Limits.Index64 {
				return nil, fmt.Errorf("memory %q has 64-bit addresses, which components can't have yet", name)
			}
			found = &coreExport{m, name}
		}
	}
	if found == nil && !m.main() {
		return l.memoryOf(l.main())
	}
	if found != nil && !m.main() {
		l.wants[found.name] = true
	}
	return found, nil
}

var reallocType = wasm.FuncType{
	Params:  []wasm.ValType{wasm.I32, wasm.I32, wasm.I32, wasm.I32},
	Results: []wasm.ValType{wasm.I32},
}

// The names of functions that allocate, best first.
var (
	importReallocs = []string{"cabi_import_realloc", "cabi_realloc", "canonical_abi_realloc", "cm32p2_realloc"}
	exportReallocs = []string{"cabi_export_realloc", "cabi_realloc", "canonical_abi_realloc", "cm32p2_realloc"}
	mainReallocs   = []string{"cabi_main_realloc"}
	// adapterReallocs are those of the main module that adapters call.
	adapterReallocs = []string{"cabi_realloc_adapter", "cabi_realloc", "canonical_abi_realloc", "cm32p2_realloc"}
)

// reallocOf returns the first of the functions that the module exports, or nil.
func (l *linker) reallocOf(m *coreModule, names []string) (*coreExport, error) {
	for _, name := range names {
		t, ok := m.exports[name]
		if !ok {
			continue
		}
		if t.Kind != wasm.KindFunc {
			return nil, fmt.Errorf("export %q is a %v, not a function", name, t.Kind)
		}
		if err := checkType(t.Func, reallocType); err != nil {
			return nil, fmt.Errorf("export %q: %w", name, err)
		}
		if !m.main() {
			l.wants[name] = true
		}
		return &coreExport{m, name}, nil
	}
	return nil, nil
}

// setup is where a function that is lifted or lowered finds memory.
type setup struct {
	memoryOf *coreModule
	reallocs []string
}

// options returns the canonical options for what is needed in a module.
func (l *linker) options(m *coreModule, n needs, e Encoding, at setup) (*options, error) {
	o := &options{needs: n, encoding: e}
	var err error
	if n&(needMemory|needRealloc) != 0 {
		if o.memory, err = l.memoryOf(at.memoryOf); err != nil {
			return nil, err
		}
		if o.memory == nil {
			return nil, fmt.Errorf("it needs a memory, but the module exports none named \"memory\"")
		}
		o.needs |= needMemory
	}
	if n&needRealloc != 0 {
		if o.realloc, err = l.reallocOf(m, at.reallocs); err != nil {
			return nil, err
		}
		if o.realloc == nil && m.shared {
			if o.realloc, err = l.reallocOf(l.main(), at.reallocs); err != nil {
				return nil, err
			}
		}
		if o.realloc == nil {
			return nil, fmt.Errorf("it needs memory to be allocated, but the module exports no function named %q", at.reallocs[min(1, len(at.reallocs)-1)])
		}
	}
	return o, nil
}

// encodingOf returns how a function's strings are encoded.
func (m *coreModule) encodingOf(item *wit.WorldItem, f *wit.Function, export bool) (Encoding, error) {
	e, ok := m.encodings[keyOf(item, f, export)]
	if !ok {
		return 0, fmt.Errorf("no world that is embedded in the %s has the function %s", m, describe(item.ExternName(), f))
	}
	return e, nil
}
