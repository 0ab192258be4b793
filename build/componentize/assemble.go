package componentize

import (
	"fmt"
	"slices"

	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
	"github.com/ashlar-wasm/ashlar/wit"
)

// assembler writes the component.
type assembler struct {
	*linker
	c      *binary.Component
	counts [binary.NumSorts]uint32

	instances map[*wit.Interface]uint32 // imported, or exported
	funcs     map[*wit.WorldItem]uint32 // imported at the root
	// root has the types of imports, and those of the world.
	root *typeSpace
	// intrinsics have the types of exported interfaces, for what is defined before
	// those are exported.
	intrinsics map[*wit.Interface]*typeSpace
	// resources are those that exported interfaces define.
	resources map[*wit.TypeDef]uint32

	cores   map[*coreModule]uint32 // core instances; that of the shim is that of nil
	aliases map[aliasKey]uint32
	access  uint32 // the instance of the accessors of the main memory
	// wrapped are the functions that are called through the task hook.
	wrapped map[coreExport]uint32
	// slots are the functions of the shim, and their positions by key.
	slots     []*source
	slotIndex map[string]int
}

type aliasKey struct {
	sort     binary.Sort
	instance uint32
	name     string
}

// assemble writes the component of what was linked.
func (l *linker) assemble() (*binary.Component, error) {
	a := &assembler{
		linker: l, c: &binary.Component{},
		instances: map[*wit.Interface]uint32{}, funcs: map[*wit.WorldItem]uint32{},
		intrinsics: map[*wit.Interface]*typeSpace{}, resources: map[*wit.TypeDef]uint32{},
		cores: map[*coreModule]uint32{}, wrapped: map[coreExport]uint32{}, aliases: map[aliasKey]uint32{}, slotIndex: map[string]int{},
	}
	a.root = a.rootSpace()
	a.findSlots()
	for _, step := range []func() error{a.imports, a.shim, a.exportedResources, a.instantiate, a.hooks, a.fixup, a.exports} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	a.c.Customs = append(a.c.Customs, binary.Custom{Name: producers, Data: wasm.EncodeProducers(processedBy)})
	return a.c, nil
}

// def adds a definition and returns the index of what it defines.
func (a *assembler) def(d binary.Def) uint32 {
	a.c.Defs = append(a.c.Defs, d)
	sort := binary.SortOf(d)
	a.counts[sort]++
	return a.counts[sort] - 1
}

func (a *assembler) alias(kind binary.AliasKind, sort binary.Sort, instance uint32, name string) uint32 {
	key := aliasKey{sort, instance, name}
	index, ok := a.aliases[key]
	if !ok {
		index = a.def(&binary.Alias{Kind: kind, Sort: sort, Instance: instance, Name: name})
		a.aliases[key] = index
	}
	return index
}

// coreExport returns an export of a module that is instantiated, or of the shim, which
// is module nil.
func (a *assembler) coreExport(m *coreModule, sort binary.Sort, name string) uint32 {
	if index, ok := a.wrapped[coreExport{m, name}]; ok && sort == binary.SortCoreFunc {
		return index
	}
	return a.alias(binary.AliasCoreExport, sort, a.cores[m], name)
}

// importedFunction returns a function that the component imports.
func (a *assembler) importedFunction(item *wit.WorldItem, f *wit.Function) uint32 {
	if item.Interface == nil {
		return a.funcs[item]
	}
	return a.alias(binary.AliasExport, binary.SortFunc, a.instances[item.Interface], f.Name)
}

// options writes canonical options.
func (a *assembler) options(o *options) []binary.CanonOpt {
	var out []binary.CanonOpt
	if o.needs&needMemory != 0 {
		out = append(out, binary.CanonOpt{Kind: binary.OptMemory, Index: a.coreExport(o.memory.module, binary.SortCoreMemory, o.memory.name)})
	}
	if o.needs&needRealloc != 0 {
		out = append(out, binary.CanonOpt{Kind: binary.OptRealloc, Index: a.coreExport(o.realloc.module, binary.SortCoreFunc, o.realloc.name)})
	}
	if o.needs&needEncoding != 0 {
		out = append(out, binary.CanonOpt{Kind: binary.CanonOptKind(o.encoding)})
	}
	if o.async {
		out = append(out, binary.CanonOpt{Kind: binary.OptAsync})
	}
	return out
}

// findSlots finds the imports that need what is not there when their module is
// instantiated, and the destructors of resources, which are defined before.
func (a *assembler) findSlots() {
	for _, m := range a.modules {
		for _, s := range m.sources {
			if slices.ContainsFunc(s.after, func(other *coreModule) bool { return other.order >= m.order }) {
				a.addSlot(s)
			}
		}
	}
	for _, item := range a.world.exports {
		if item.Interface == nil {
			continue
		}
		for _, t := range item.Interface.Types {
			if m := a.world.provider[item]; m.dtors[t] != "" {
				a.addSlot(dtorSource(m, t))
			}
		}
	}
}

func dtorSource(m *coreModule, t *wit.TypeDef) *source {
	return &source{
		key: "dtor/" + m.name + "/" + m.dtors[t], debug: "dtor-" + t.Name, sort: binary.SortCoreFunc,
		typ:    wasm.FuncType{Params: []wasm.ValType{wasm.I32}},
		after:  []*coreModule{m},
		define: func(a *assembler) (uint32, error) { return a.coreExport(m, binary.SortCoreFunc, m.dtors[t]), nil },
	}
}

func (a *assembler) addSlot(s *source) {
	if _, ok := a.slotIndex[s.key]; !ok {
		a.slotIndex[s.key] = len(a.slots)
		a.slots = append(a.slots, s)
	}
}

// provide returns what a source is for a module that is being instantiated: the
// function of the shim where there is one.
func (a *assembler) provide(s *source) (uint32, error) {
	if i, ok := a.slotIndex[s.key]; ok {
		return a.coreExport(nil, binary.SortCoreFunc, slotName(i)), nil
	}
	return s.define(a)
}

func slotName(i int) string { return fmt.Sprint(i) }

// instantiate instantiates the modules.
func (a *assembler) instantiate() error {
	for _, m := range a.modules {
		if m.order == 1 {
			if err := a.memoryAccess(); err != nil {
				return err
			}
		}
		module := a.def(&binary.CoreModule{Bytes: m.wasm.Encode()})
		var names []string
		items := map[string][]binary.CoreItem{}
		for i, s := range m.sources {
			im := &m.wasm.Imports[i]
			index, err := a.provide(s)
			if err != nil {
				return fmt.Errorf("import %q of %q: %w", im.Name, im.Module, err)
			}
			if items[im.Module] == nil {
				names = append(names, im.Module)
			}
			items[im.Module] = append(items[im.Module], binary.CoreItem{Name: im.Name, SortIdx: binary.SortIdx{Sort: s.sort, Index: index}})
		}
		var args []binary.CoreArg
		for _, name := range names {
			args = append(args, binary.CoreArg{Name: name, Instance: a.def(&binary.CoreInstance{Inline: true, Exports: items[name]})})
		}
		a.cores[m] = a.def(&binary.CoreInstance{Module: module, Args: args})
	}
	return nil
}

// rootSpace writes types into the component: those of the world, which are imports, and
// aliases of those of imported interfaces.
func (a *assembler) rootSpace() *typeSpace {
	s := &typeSpace{define: func(d binary.DefType) uint32 { return a.def(&binary.Type{Def: d}) }}
	s.name = func(t *wit.TypeDef, index uint32) uint32 {
		return a.def(&binary.Import{Name: externName(t.Name, t.ExternalID), Type: binary.ExternType{Kind: binary.ExternTypeEq, Index: index}})
	}
	s.resource = func(t *wit.TypeDef) (uint32, error) {
		return a.def(&binary.Import{Name: externName(t.Name, t.ExternalID), Type: binary.ExternType{Kind: binary.ExternResource}}), nil
	}
	s.foreign = a.foreignType
	s.reset()
	return s
}

// foreignType returns a type of an interface that was imported or exported before.
func (a *assembler) foreignType(t *wit.TypeDef) (uint32, error) {
	owner := t.Owner.(*wit.Interface)
	if instance, ok := a.instances[owner]; ok {
		return a.alias(binary.AliasExport, binary.SortType, instance, t.Name), nil
	}
	item := a.world.owner[owner]
	if a.world.provider[item] == nil {
		return 0, fmt.Errorf("type %q of %s is not imported", t.Name, item.ExternName())
	}
	return a.intrinsic(owner).index(t)
}

// exportSpace returns a space for the types of an interface that is to be exported.
// They have no names before it is.
func (a *assembler) exportSpace(i *wit.Interface) *typeSpace {
	s := &typeSpace{
		owner:  i,
		define: func(d binary.DefType) uint32 { return a.def(&binary.Type{Def: d}) },
		name:   func(_ *wit.TypeDef, index uint32) uint32 { return index },
		resource: func(t *wit.TypeDef) (uint32, error) {
			return a.resources[t], nil
		},
		foreign: a.foreignType,
	}
	s.reset()
	return s
}

// intrinsic returns the space for the types of an exported interface that built-ins
// refer to.
func (a *assembler) intrinsic(i *wit.Interface) *typeSpace {
	s := a.intrinsics[i]
	if s == nil {
		s = a.exportSpace(i)
		a.intrinsics[i] = s
	}
	return s
}

// typeOf returns the type of an item, for a built-in. The types of the world, where item
// is nil or no interface, are imported.
func (a *assembler) typeOf(item *wit.WorldItem, t *wit.TypeDef, exported bool) (uint32, error) {
	return a.spaceOf(item, exported).index(t)
}

func (a *assembler) spaceOf(item *wit.WorldItem, exported bool) *typeSpace {
	if exported && item != nil && item.Interface != nil {
		return a.intrinsic(item.Interface)
	}
	return a.root
}

// exportedResources defines the resources of exported interfaces.
func (a *assembler) exportedResources() error {
	for _, item := range a.world.exports {
		if item.Interface == nil || !slices.Contains(a.modules, a.world.provider[item]) {
			continue
		}
		for _, t := range item.Interface.Types {
			if _, ok := t.Kind.(*wit.Resource); !ok {
				continue
			}
			def := &binary.ResourceType{Rep: wasm.I32}
			if m := a.world.provider[item]; m.dtors[t] != "" {
				dtor := a.coreExport(nil, binary.SortCoreFunc, slotName(a.slotIndex[dtorSource(m, t).key]))
				def.Dtor = &dtor
			}
			a.resources[t] = a.def(&binary.Type{Def: def})
		}
	}
	return nil
}
