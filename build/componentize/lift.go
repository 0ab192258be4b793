package componentize

import (
	"errors"
	"fmt"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
	"github.com/ashlar-wasm/ashlar/wit"
)

// lift is a function that the component exports, and the exports of a core module that
// it is made of.
type lift struct {
	item           *wit.WorldItem
	function       *wit.Function
	convention     convention
	core           string
	post, callback string // may be empty
}

// exportNames are the names that an exported function goes by in a core module.
type exportNames struct{ core, post string }

// functionsOf returns the functions of an item.
func functionsOf(item *wit.WorldItem) []*wit.Function {
	switch {
	case item.Function != nil:
		return []*wit.Function{item.Function}
	case item.Interface != nil:
		return item.Interface.Functions
	}
	return nil
}

func namesOf(item *wit.WorldItem, f *wit.Function) [2]exportNames {
	legacy, standard := f.Name, "cm32p2||"+f.Name
	if item.Interface != nil {
		legacy = item.ExternName() + "#" + f.Name
		standard = "cm32p2|" + canonicalName(item) + "|" + f.Name
	}
	return [2]exportNames{{legacy, "cabi_post_" + legacy}, {standard, standard + "_post"}}
}

// findExports finds what the world's exports that m provides are made of.
func (l *linker) findExports(m *coreModule) error {
	m.dtors = map[*wit.TypeDef]string{}
	for _, item := range l.world.exports {
		if l.world.provider[item] != m {
			continue
		}
		for _, f := range functionsOf(item) {
			found, err := l.findLift(m, item, f)
			if err != nil {
				return fmt.Errorf("export %s: %w", describe(item.ExternName(), f), err)
			}
			m.lifts = append(m.lifts, found)
		}
		if item.Interface == nil {
			continue
		}
		for _, t := range item.Interface.Types {
			if _, ok := t.Kind.(*wit.Resource); !ok {
				continue
			}
			for _, name := range []string{item.ExternName() + "#[dtor]" + t.Name, "cm32p2|" + canonicalName(item) + "|" + t.Name + "_dtor"} {
				if _, ok := m.exports[name]; !ok {
					continue
				}
				if err := m.checkExport(name, wasm.FuncType{Params: []wasm.ValType{wasm.I32}}); err != nil {
					return err
				}
				m.dtors[t] = name
				break
			}
		}
	}
	return nil
}

// checkExport checks that an export is a function of a type.
func (m *coreModule) checkExport(name string, want wasm.FuncType) error {
	t, ok := m.exports[name]
	if !ok {
		return fmt.Errorf("the module does not export %q", name)
	}
	if t.Kind != wasm.KindFunc {
		return fmt.Errorf("the module's export %q is a %v, not a function", name, t.Kind)
	}
	if err := checkType(t.Func, want); err != nil {
		return fmt.Errorf("the module's export %q: %w", name, err)
	}
	return nil
}

var callbackType = wasm.FuncType{Params: []wasm.ValType{wasm.I32, wasm.I32, wasm.I32}, Results: []wasm.ValType{wasm.I32}}

// liftPrefix begins the names of exports with an asynchronous convention.
var liftPrefix = map[convention]string{asynchronous: "[async-lift]", stackful: "[async-lift-stackful]"}

func (l *linker) findLift(m *coreModule, item *wit.WorldItem, f *wit.Function) (lift, error) {
	found := lift{item: item, function: f}
	names := namesOf(item, f)
	for _, n := range names {
		if _, ok := m.exports[n.core]; !ok {
			continue
		}
		found.core = n.core
		t, _ := l.sigs.lifted(f, synchronous)
		if err := m.checkExport(n.core, t); err != nil {
			return lift{}, err
		}
		if _, ok := m.exports[n.post]; ok {
			found.post = n.post
			if err := m.checkExport(n.post, wasm.FuncType{Params: t.Results}); err != nil {
				return lift{}, err
			}
		}
		return found, nil
	}
	for _, conv := range []convention{asynchronous, stackful} {
		name := liftPrefix[conv] + names[0].core
		if _, ok := m.exports[name]; !ok {
			continue
		}
		found.core, found.convention = name, conv
		t, _ := l.sigs.lifted(f, conv)
		if err := m.checkExport(name, t); err != nil {
			return lift{}, err
		}
		if conv == asynchronous {
			found.callback = "[callback]" + name
			return found, m.checkExport(found.callback, callbackType)
		}
		return found, nil
	}
	return lift{}, errors.New("the module exports nothing named " + fmt.Sprintf("%q", names[0].core))
}

// liftOptions returns the options of a function that is lifted.
func (l *linker) liftOptions(m *coreModule, f lift) (*options, error) {
	_, n := l.sigs.lifted(f.function, f.convention)
	e, err := m.encodingOf(f.item, f.function, true)
	if err != nil {
		return nil, err
	}
	o, err := l.options(m, n, e, setup{m, exportReallocs})
	if err != nil {
		return nil, fmt.Errorf("export %s: %w", describe(f.item.ExternName(), f.function), err)
	}
	o.async = f.convention != synchronous
	return o, nil
}
