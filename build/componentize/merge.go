package componentize

import (
	"fmt"

	"github.com/ashlar-wasm/ashlar/wit"
)

// world is what the component will import and export at most: the embedded worlds of
// all modules, merged.
//
// Each item is a copy with interfaces of its own, so that the address of a type tells
// whether it is that of an import or that of an export: an export uses types of an
// exported interface where that is exported, else those of the import.
type world struct {
	imports, exports []*wit.WorldItem
	// provider is the module that implements an export.
	provider map[*wit.WorldItem]*coreModule
	// owner is the item that an interface belongs to.
	owner map[*wit.Interface]*wit.WorldItem
	// types and functions are those of interfaces, by name.
	types     map[*wit.Interface]map[string]*wit.TypeDef
	functions map[*wit.Interface]map[string]*wit.Function
	indices   [2]*itemIndex
}

// index returns the index of imports or exports, which is made when the world is complete.
func (w *world) index(exported bool) *itemIndex {
	if exported {
		return w.indices[exports]
	}
	return w.indices[imports]
}

func newWorld() *world {
	return &world{
		provider: map[*wit.WorldItem]*coreModule{}, owner: map[*wit.Interface]*wit.WorldItem{},
		types: map[*wit.Interface]map[string]*wit.TypeDef{}, functions: map[*wit.Interface]map[string]*wit.Function{},
	}
}

// merger builds a world.
type merger struct {
	world *world
	// sources are the items that an item of the world is made of, by extern name.
	sources [2]map[string]*mergeItem // imports, exports
	// upgrades are the names of imports in higher versions of the same track.
	upgrades map[string]string
	types    map[string]*wit.TypeDef // of the world itself
}

type mergeItem struct {
	name   string
	export bool
	from   []mergeSource
	item   *wit.WorldItem // when it is merged
	busy   bool
}

type mergeSource struct {
	item   *wit.WorldItem
	module *coreModule
}

const (
	imports = 0
	exports = 1
)

func mergeWorlds(modules []*coreModule) (*world, error) {
	m := &merger{
		world:    newWorld(),
		sources:  [2]map[string]*mergeItem{{}, {}},
		upgrades: upgrades(modules),
		types:    map[string]*wit.TypeDef{},
	}
	var order [2][]*mergeItem
	for _, module := range modules {
		for _, e := range module.worlds {
			for side, items := range [2][]*wit.WorldItem{e.world.Imports, e.world.Exports} {
				for _, item := range items {
					name := item.ExternName()
					if side == imports && item.Name == "" {
						name = m.upgraded(name)
					}
					entry := m.sources[side][name]
					if entry == nil {
						entry = &mergeItem{name: name, export: side == exports}
						m.sources[side][name] = entry
						order[side] = append(order[side], entry)
					}
					entry.from = append(entry.from, mergeSource{item, module})
				}
			}
		}
	}
	for side, entries := range order {
		for _, entry := range entries {
			if side == exports {
				for _, s := range entry.from[1:] {
					if first := entry.from[0].module; s.module != first {
						return nil, fmt.Errorf("%s is exported by both the %s and the %s", entry.name, first, s.module)
					}
				}
			}
			if _, err := m.merge(entry); err != nil {
				return nil, err
			}
		}
	}
	m.world.indices = [2]*itemIndex{newIndex(m.world.imports), newIndex(m.world.exports)}
	return m.world, nil
}

// upgrades finds imports of one interface in several versions of one track.
func upgrades(modules []*coreModule) map[string]string {
	type track struct{ name, track string }
	highest := map[track]*wit.Interface{}
	each := func(f func(track, *wit.Interface)) {
		for _, module := range modules {
			for _, e := range module.worlds {
				for _, item := range e.world.Imports {
					if item.Name == "" && item.Interface != nil && item.Interface.Package.Name.Version != "" {
						f(track{unversioned(item.Interface.ID()), wit.VersionTrack(item.Interface.Package.Name.Version)}, item.Interface)
					}
				}
			}
		}
	}
	each(func(t track, i *wit.Interface) {
		have := highest[t]
		if have == nil || wit.CompareVersions(have.Package.Name.Version, i.Package.Name.Version) < 0 {
			highest[t] = i
		}
	})
	out := map[string]string{}
	each(func(t track, i *wit.Interface) {
		if to := highest[t].ID(); to != i.ID() {
			out[i.ID()] = to
		}
	})
	return out
}

func (m *merger) upgraded(id string) string {
	if to, ok := m.upgrades[id]; ok {
		return to
	}
	return id
}

// merge makes an item of the world of all its sources.
func (m *merger) merge(entry *mergeItem) (*wit.WorldItem, error) {
	if entry.item != nil {
		return entry.item, nil
	}
	if entry.busy {
		return nil, fmt.Errorf("interface %s depends on itself, by types that it uses of others", entry.name)
	}
	entry.busy = true
	verb := "import"
	if entry.export {
		verb = "export"
	}
	// Of several versions the highest says what there is.
	first := entry.from[0].item
	for _, s := range entry.from {
		if s.item.ExternName() == entry.name {
			first = s.item
			break
		}
	}
	item := &wit.WorldItem{Name: first.Name, ExternalID: first.ExternalID}
	if first.Interface != nil {
		item.Interface = &wit.Interface{Name: first.Interface.Name, Package: first.Interface.Package}
		m.world.owner[item.Interface] = item
		m.world.types[item.Interface] = map[string]*wit.TypeDef{}
		m.world.functions[item.Interface] = map[string]*wit.Function{}
	}
	// Those of the right version first: the others must have no more than they.
	for _, old := range []bool{false, true} {
		for _, s := range entry.from {
			if (s.item.ExternName() != entry.name) != old {
				continue
			}
			if err := m.add(item, entry, s.item, old); err != nil {
				return nil, fmt.Errorf("%s %s: %w", verb, entry.name, err)
			}
		}
	}
	entry.item = item
	if entry.export {
		m.world.exports = append(m.world.exports, item)
		m.world.provider[item] = entry.from[0].module
	} else {
		m.world.imports = append(m.world.imports, item)
	}
	return item, nil
}

// add adds a source to an item, or checks that it is the same.
func (m *merger) add(item *wit.WorldItem, entry *mergeItem, from *wit.WorldItem, old bool) error {
	c := &copier{m: m, export: entry.export, from: from.Interface, to: item.Interface, types: map[*wit.TypeDef]*wit.TypeDef{}}
	different := fmt.Errorf("the embedded worlds have different things of this name")
	if from.Name != item.Name || from.Implements() != item.Implements() && !old || from.ExternalID != item.ExternalID {
		return different
	}
	switch {
	case from.Type != nil:
		t, err := c.definition(from.Type)
		if err != nil {
			return err
		}
		switch {
		case item.Interface != nil || item.Function != nil:
			return different
		case item.Type == nil:
			item.Type = t
			m.types[t.Name] = t
		case kindKey(item.Type.Kind) != kindKey(t.Kind):
			return fmt.Errorf("type %q is defined differently in two embedded worlds", t.Name)
		}
	case from.Function != nil:
		f, err := c.function(from.Function)
		if err != nil {
			return err
		}
		switch {
		case item.Interface != nil || item.Type != nil:
			return different
		case item.Function == nil:
			item.Function = f
		case functionShape(item.Function) != functionShape(f):
			return fmt.Errorf("its type is %s in one embedded world and %s in another", item.Function.Signature(), f.Signature())
		}
	default:
		if item.Interface == nil {
			return different
		}
		return c.contents(old)
	}
	return nil
}

// contents merges an interface into another.
func (c *copier) contents(old bool) error {
	missing := func(name string) error {
		return fmt.Errorf("%s has %q, which the higher version has not", c.from.ID(), name)
	}
	have := c.m.world.types[c.to]
	for _, t := range c.from.Types {
		if known := have[t.Name]; known != nil {
			c.types[t] = known
		} else if old {
			return missing(t.Name)
		}
		d, err := c.definition(t)
		if err != nil {
			return fmt.Errorf("type %q: %w", t.Name, err)
		}
		if known := have[t.Name]; known == nil {
			have[t.Name] = d
			c.types[t] = d
			c.to.Types = append(c.to.Types, d)
		} else if kindKey(known.Kind) != kindKey(d.Kind) {
			return fmt.Errorf("type %q is defined differently in two embedded worlds", t.Name)
		}
	}
	functions := c.m.world.functions[c.to]
	for _, f := range c.from.Functions {
		clone, err := c.function(f)
		if err != nil {
			return fmt.Errorf("function %q: %w", f.Name, err)
		}
		known := functions[f.Name]
		switch {
		case known == nil && old:
			return missing(f.Name)
		case known == nil:
			functions[f.Name] = clone
			c.to.Functions = append(c.to.Functions, clone)
		case functionShape(known) != functionShape(clone):
			return fmt.Errorf("the type of function %q is %s in one embedded world and %s in another",
				f.Name, known.Signature(), clone.Signature())
		}
	}
	return nil
}
