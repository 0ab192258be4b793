// Package componentize makes components of core modules.
//
// A core module says what it wants to become in custom sections, which [Embed]
// writes and which toolchains write too: each holds a world in binary form.
// [New] merges the worlds, finds the functions that they name among the imports
// and exports of the module, and writes the component around it: imports are
// lowered and exports lifted with the canonical ABI. Names are those of
// wit-component (the "legacy" scheme) or those of BuildTargets.md of the
// component model (which begin with cm32p2).
//
// Modules that import what no world has, such as WASI 0.1, are linked with
// adapters: core modules that export these functions, and import those of a
// world of their own.
package componentize

import (
	"errors"
	"fmt"

	"github.com/ashlar-wasm/ashlar/internal/binary"
)

// Options tell [New] what to link a module with. The zero value links nothing.
type Options struct {
	// Adapters are linked where the module imports from a module of their name,
	// or where their world has exports.
	Adapters []Adapter
}

// Adapter is a core module that implements imports of the main module in terms of
// a world that is embedded in it.
//
// It may import the memory of the main module as env.memory, exports of the main
// module from __main_module__, and functions that access the memory of the main
// module from __main_memory__; functions of an interface that are to read and
// write the memory of the main module, not its own, it imports from
// __main_memory__|<interface>. See [New].
type Adapter struct {
	// Name is the module name that it is imported by.
	Name   string
	Module []byte
}

// New makes a component of a core module with embedded worlds.
//
// The component instantiates the main module first and adapters after it, in the
// order of the options; imports that need what is not there yet go through a
// table, which is filled when all are instantiated. Then the functions are called
// that modules export as _initialize, those of adapters first; and before that of the
// main module its start function, unless that could run when it was instantiated.
//
// Of adapters only what the main module needs is kept. Imports of one interface in
// several versions of one compatibility track are merged into the highest of them,
// which must have what the others have. The result depends on nothing but the
// arguments; it is validated.
//
// Where an adapter has a memory of its own, what it imports is lowered with that.
// Functions that it imports from __main_memory__ are
//
//	load8, load16, load32 (address i32) -> i32    // zero-extended
//	load64 (address i32) -> i64
//	store8, store16, store32 (address i32, value i32)
//	store64 (address i32, value i64)
//	size () -> i32                                // in bytes, all ones if that is 4 GiB
//
// and what it imports from __main_memory__|<interface> is lowered with the memory
// of the main module, and the adapter's export cabi_main_realloc where a realloc is
// needed.
func New(module []byte, opts Options) ([]byte, error) {
	if binary.KindOf(module) == binary.KindComponent {
		return nil, errors.New("the file is a component already, not a core module")
	}
	main, err := loadModule("", module)
	if err != nil {
		return nil, err
	}
	adapters, err := loadAdapters(opts.Adapters)
	if err != nil {
		return nil, err
	}
	return link(append([]*coreModule{main}, adapters...), nil)
}

func loadAdapters(adapters []Adapter) ([]*coreModule, error) {
	var modules []*coreModule
	for _, a := range adapters {
		m, err := loadModule(a.Name, a.Module)
		if err != nil {
			return nil, fmt.Errorf("adapter %s: %w", a.Name, err)
		}
		for _, other := range modules {
			if other.name == a.Name {
				return nil, fmt.Errorf("there are two adapters named %s", a.Name)
			}
		}
		modules = append(modules, m)
	}
	return modules, nil
}

// link makes a component of modules, the main module first. Where that is the environment
// of libraries, p is their program.
func link(modules []*coreModule, p *program) ([]byte, error) {
	w, err := mergeWorlds(modules)
	if err != nil {
		return nil, err
	}
	l := newLinker(w, modules)
	l.program = p
	if err := l.link(); err != nil {
		return nil, err
	}
	c, err := l.assemble()
	if err != nil {
		return nil, err
	}
	return finish(c)
}

// finish encodes a component that was made, and makes sure that it is valid: what
// is wrong with it then was wrong with what it was made of.
func finish(c *binary.Component) ([]byte, error) {
	out := binary.Encode(c)
	decoded, err := binary.Decode(out)
	if err == nil {
		err = binary.Validate(decoded)
	}
	if err != nil && !unsupported(err) {
		return nil, fmt.Errorf("the component is invalid: %w", err)
	}
	return out, nil
}
