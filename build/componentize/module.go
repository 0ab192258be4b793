package componentize

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
	"github.com/ashlar-wasm/ashlar/wit"
)

// coreModule is a core module to be linked: the main module, whose name is empty, or
// an adapter.
type coreModule struct {
	name   string
	wasm   *wasm.Module
	worlds []embedded
	// encodings are those of the functions that the embedded worlds have.
	encodings map[functionKey]Encoding
	// renamed has the names that imports had before uniqueImports, by module and name.
	renamed map[[2]string]string
	imports []wasm.ExternType
	exports map[string]wasm.ExternType

	// shared tells that the module is a library; provided is what it imports from others
	// and from the environment.
	shared   bool
	provided map[[2]string]coreExport

	// What linking finds.
	lifts   []lift
	dtors   map[*wit.TypeDef]string // exports that are destructors
	sources []*source               // by import
	// start are exports to call when all is instantiated, in this order.
	start []string
	// order is the position in which the module is instantiated.
	order int
}

// functionKey names a function in a world, without the version of its interface:
// that changes when worlds are merged.
type functionKey struct {
	export         bool
	item, function string
}

func unversioned(externName string) string {
	name, _, _ := strings.Cut(externName, "@")
	return name
}

func keyOf(item *wit.WorldItem, f *wit.Function, export bool) functionKey {
	return functionKey{export, unversioned(item.ExternName()), f.Name}
}

func (m *coreModule) main() bool { return m.name == "" }

// String names the module in errors.
func (m *coreModule) String() string {
	if m.main() {
		return "module"
	}
	if m.shared {
		return "library " + m.name
	}
	return "adapter " + m.name
}

func loadModule(name string, data []byte) (*coreModule, error) {
	m := &coreModule{name: name, encodings: map[functionKey]Encoding{}, renamed: map[[2]string]string{}}
	var err error
	if m.wasm, err = wasm.Decode(data); err != nil {
		return nil, fmt.Errorf("decode module: %w", err)
	}
	// Bodies of functions are looked at when it is known which are used.
	if _, err := wasm.ValidateSections(m.wasm); err != nil && !unsupported(err) {
		return nil, fmt.Errorf("module is invalid: %w", err)
	}
	if m.worlds, err = extract(m.wasm); err != nil {
		return nil, err
	}
	for _, e := range m.worlds {
		if err := m.addEncodings(e, false, e.world.Imports); err != nil {
			return nil, err
		}
		if err := m.addEncodings(e, true, e.world.Exports); err != nil {
			return nil, err
		}
	}
	m.addProducers()
	m.uniqueImports()
	return m, m.types()
}

// validate checks the module as it is after trimming.
func (m *coreModule) validate() error {
	if err := wasm.Validate(m.wasm); err != nil && !unsupported(err) {
		return fmt.Errorf("module is invalid: %w", err)
	}
	return nil
}

// unsupported reports whether an error is only that this engine does not run something:
// another one may.
func unsupported(err error) bool {
	var u *wasm.UnsupportedError
	return errors.As(err, &u)
}

func (m *coreModule) addEncodings(e embedded, export bool, items []*wit.WorldItem) error {
	for _, item := range items {
		var functions []*wit.Function
		switch {
		case item.Function != nil:
			functions = []*wit.Function{item.Function}
		case item.Interface != nil:
			functions = item.Interface.Functions
		}
		for _, f := range functions {
			key := keyOf(item, f, export)
			if have, ok := m.encodings[key]; ok && have != e.encoding {
				return fmt.Errorf("custom section %s: strings of %s are to be encoded in %s, and elsewhere in %s",
					e.section, describe(item.ExternName(), f), e.encoding, have)
			}
			m.encodings[key] = e.encoding
		}
	}
	return nil
}

// describe names a function in errors.
func describe(item string, f *wit.Function) string {
	if item == f.Name {
		return fmt.Sprintf("%q", f.Name)
	}
	return fmt.Sprintf("%q of %s", f.Name, item)
}

// addProducers adds to the producers section what made the embedded worlds.
func (m *coreModule) addProducers() {
	var all []wasm.Producer
	if c, ok := m.wasm.Custom(producers); ok {
		all, _ = wasm.DecodeProducers(c.Data)
	}
	for _, e := range m.worlds {
		all = append(all, e.producers...)
	}
	if len(all) == 0 {
		return
	}
	data := wasm.EncodeProducers(all)
	for i := range m.wasm.Customs {
		if c := &m.wasm.Customs[i]; c.Name == producers {
			c.Data = data
			return
		}
	}
	m.wasm.Customs = append(m.wasm.Customs, wasm.Custom{Name: producers, Data: data})
}

// uniqueImports gives imports that the module has twice names of their own, since
// the instance that provides them can have each but once.
func (m *coreModule) uniqueImports() {
	seen := map[[2]string]bool{}
	count := map[[2]string]int{}
	for _, im := range m.wasm.Imports {
		seen[[2]string{im.Module, im.Name}] = true
	}
	m.wasm.Imports = slices.Clone(m.wasm.Imports)
	for i := range m.wasm.Imports {
		im := &m.wasm.Imports[i]
		first := [2]string{im.Module, im.Name}
		count[first]++
		if count[first] == 1 {
			continue
		}
		for n := count[first]; ; n++ {
			name := fmt.Sprintf("%s [v%d]", first[1], n)
			if key := [2]string{im.Module, name}; !seen[key] {
				seen[key] = true
				im.Name = name
				m.renamed[key] = first[1]
				count[first] = n
				break
			}
		}
	}
}

// types finds the types of imports and exports.
func (m *coreModule) types() error {
	var err error
	if m.imports, err = m.wasm.ImportTypes(); err != nil {
		return err
	}
	types, err := m.wasm.ExportTypes()
	if err != nil {
		return err
	}
	m.exports = map[string]wasm.ExternType{}
	for i, e := range m.wasm.Exports {
		m.exports[e.Name] = types[i]
	}
	return nil
}

// signature writes a function type as it is written in errors.
func signature(t wasm.FuncType) string {
	list := func(ts []wasm.ValType) string {
		var s []string
		for _, t := range ts {
			s = append(s, t.String())
		}
		return "(" + strings.Join(s, ", ") + ")"
	}
	return list(t.Params) + " -> " + list(t.Results)
}

func sameType(a, b wasm.FuncType) bool {
	return slices.Equal(a.Params, b.Params) && slices.Equal(a.Results, b.Results)
}

// checkType compares the type of a core function with what it must be.
func checkType(found, want wasm.FuncType) error {
	if sameType(found, want) {
		return nil
	}
	return fmt.Errorf("its type is %s, expected is %s", signature(found), signature(want))
}
