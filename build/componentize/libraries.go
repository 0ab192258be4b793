package componentize

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// Library is a core module that was compiled to be linked dynamically, with a dylink.0
// section (DynamicLinking.md of the tool conventions).
type Library struct {
	Name   string
	Module []byte
	// Open puts the exports of the library into the table in which dlopen and dlsym look.
	Open bool
}

// LinkOptions are options of [Link].
type LinkOptions struct {
	Options
	// StubMissing lets functions that no library exports trap when they are called.
	// Without it they are an error, but for those that are imported weakly.
	StubMissing bool
	// StackSize is the size of the stack in bytes, a multiple of 16; 0 means 1 MiB.
	StackSize uint32
}

// Link makes a component of libraries that share one memory and one table. All worlds that
// are embedded in them are merged.
//
// Of several libraries that export a symbol the first one provides it. Libraries that
// nothing needs are left out: that is those which export nothing from the component,
// are not open, and have nothing that others import.
func Link(libraries []Library, opts LinkOptions) ([]byte, error) {
	p := &program{opts: opts}
	if p.opts.StackSize == 0 {
		p.opts.StackSize = 1 << 20
	}
	if p.opts.StackSize%16 != 0 || p.opts.StackSize > 1<<30 {
		return nil, fmt.Errorf("a stack of %d bytes: want a multiple of 16, at most 1 GiB", p.opts.StackSize)
	}
	names := map[string]bool{}
	for _, l := range libraries {
		lib, err := loadLibrary(l)
		if err != nil {
			return nil, fmt.Errorf("library %s: %w", l.Name, err)
		}
		if l.Name == "" || names[l.Name] {
			return nil, fmt.Errorf("two libraries are named %q, or one has no name", l.Name)
		}
		names[l.Name] = true
		p.libraries = append(p.libraries, lib)
	}
	for _, lib := range p.libraries {
		for _, needed := range lib.dylink.needed {
			if !names[needed] {
				return nil, fmt.Errorf("library %s needs library %s, which is not there", lib.name, needed)
			}
		}
	}
	if err := p.resolve(); err != nil {
		return nil, err
	}
	return p.assemble()
}

// program is libraries that are being linked.
type program struct {
	opts      LinkOptions
	libraries []*library
	// providers are the libraries that export a symbol, and functions that of a name.
	providers map[symbol]*library
	functions map[string]symbol
	// stubs are functions that trap.
	stubs *library
	// needs are the libraries that one needs, also by way of others.
	needs map[*library]map[*library]bool
	// sorted has libraries after those that they need, but for cycles.
	sorted []*library

	// indirections are functions of the environment module that call a library's through
	// the table, from its element firstIndirection on.
	indirections     []indirection
	firstIndirection uint32
	dl               *dlTable
	tls              *tls
}

const stubLibrary = "stubs"

// resolve finds who provides what libraries import.
func (p *program) resolve() error {
	p.provide()
	var missing []error
	var stubs []symbol
	stubbed := map[symbol]bool{}
	want := func(lib *library, s symbol, weak bool) {
		if p.providers[s] != nil || stubbed[s] {
			return
		}
		if s.kind == wasm.KindFunc && (weak || p.opts.StubMissing) {
			stubs = append(stubs, s)
			stubbed[s] = true
			return
		}
		missing = append(missing, fmt.Errorf("library %s needs %v", lib.name, s))
	}
	for _, lib := range p.libraries {
		for _, s := range lib.symbols {
			want(lib, s, lib.dylink.weak[[2]string{envModule, s.name}])
		}
		for _, name := range lib.addresses {
			want(lib, symbol{kind: wasm.KindGlobal, name: name}, false)
		}
		for _, name := range lib.functionNumbers {
			if _, ok := p.functions[name]; !ok && !slices.ContainsFunc(lib.symbols, func(s symbol) bool { return s.name == name }) {
				missing = append(missing, fmt.Errorf("library %s needs the function %q", lib.name, name))
			}
		}
	}
	if missing != nil {
		return fmt.Errorf("symbols are missing: %w", errors.Join(missing...))
	}
	if stubs != nil {
		if err := p.addStubs(stubs); err != nil {
			return err
		}
		p.provide()
	}
	p.findNeeds()
	if p.dropUnused() {
		p.provide()
		p.findNeeds()
	}
	p.sort()
	return nil
}

// provide finds the providers of symbols.
func (p *program) provide() {
	p.providers, p.functions = map[symbol]*library{}, map[string]symbol{}
	for _, lib := range p.libraries {
		for _, s := range lib.offers {
			if p.providers[s] == nil {
				p.providers[s] = lib
			}
			if _, ok := p.functions[s.name]; !ok && s.kind == wasm.KindFunc {
				p.functions[s.name] = s
			}
		}
	}
}

// addStubs adds a library of functions that trap.
func (p *program) addStubs(stubs []symbol) error {
	b := newBuilder("ashlar:stubs")
	types := map[symbol]wasm.FuncType{}
	for _, lib := range p.libraries {
		for i, im := range lib.wasm.Imports {
			if im.Module == envModule {
				types[symbolOf(im.Name, lib.imports[i])] = lib.imports[i].Func
			}
		}
	}
	for _, s := range stubs {
		b.export(s.name, wasm.KindFunc, b.define(s.name, types[s], []byte{0}))
	}
	lib, err := loadLibrary(Library{Name: stubLibrary, Module: b.encode()})
	if err != nil {
		return fmt.Errorf("functions of one name that are missing have several types: %w", err)
	}
	p.stubs = lib
	p.libraries = append(p.libraries, lib)
	return nil
}

// findNeeds finds which libraries others need.
func (p *program) findNeeds() {
	byName := map[string]*library{}
	direct := map[*library][]*library{}
	for _, lib := range p.libraries {
		byName[lib.name] = lib
	}
	for _, lib := range p.libraries {
		for _, name := range lib.dylink.needed {
			direct[lib] = append(direct[lib], byName[name])
		}
		for _, s := range lib.symbols {
			direct[lib] = append(direct[lib], p.providers[s])
		}
	}
	p.needs = map[*library]map[*library]bool{}
	for _, lib := range p.libraries {
		all := map[*library]bool{}
		work := direct[lib]
		for len(work) > 0 {
			next := work[0]
			work = work[1:]
			if next != nil && !all[next] {
				all[next] = true
				work = append(slices.Clip(work), direct[next]...)
			}
		}
		p.needs[lib] = all
	}
}

// dropUnused leaves out libraries that nothing needs, and reports whether there were any.
func (p *program) dropUnused() bool {
	used := map[*library]bool{}
	for _, lib := range p.libraries {
		exports := slices.ContainsFunc(lib.worlds, func(e embedded) bool { return len(e.world.Exports) > 0 })
		if exports || lib.open || lib.exportsFunction(startFunction) {
			used[lib] = true
			for needed := range p.needs[lib] {
				used[needed] = true
			}
		}
	}
	before := len(p.libraries)
	p.libraries = slices.DeleteFunc(p.libraries, func(l *library) bool { return !used[l] })
	return len(p.libraries) < before
}

// sort puts libraries behind those that they need.
func (p *program) sort() {
	done := map[*library]bool{}
	var add func(lib *library)
	add = func(lib *library) {
		if done[lib] {
			return
		}
		done[lib] = true
		// Those of a cycle come behind the one with which it is entered.
		for _, dep := range p.libraries {
			if p.needs[lib][dep] && !p.needs[dep][lib] {
				add(dep)
			}
		}
		p.sorted = append(p.sorted, lib)
		for _, dep := range p.libraries {
			if p.needs[lib][dep] {
				add(dep)
			}
		}
	}
	for _, lib := range p.libraries {
		add(lib)
	}
}

// baseName is the global of the environment module that a library has for itself.
func baseName(lib *library, name string) string {
	return lib.name + ":" + strings.TrimPrefix(name, "__")
}
