package component

import (
	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/canon"
	"github.com/ashlar-wasm/ashlar/internal/engine"
)

// plan is a component flattened: all nested instantiation is worked out, and
// what is left is a list of core modules to instantiate in order, and for
// every core function that the component model defines a trampoline.
type plan struct {
	imports     []importDef
	resources   []resourceDef
	instances   []instanceInfo // component instances; 0 is the component itself
	modules     []moduleDef    // core modules, linked by name to what provides their imports
	steps       []step
	trampolines []trampoline
	funcs       []coreItem // core functions that the runtime calls
	memories    []coreItem // core memories that the runtime reads
	exports     *instanceDef
	footprint   engine.Footprint // of all steps
}

// instanceInfo is a component instance of the plan.
type instanceInfo struct {
	parent int    // -1 for the component itself
	path   string // for messages
}

// importDef is something the component imports from outside.
type importDef struct {
	path   []string // the import's name, then names of exports in it
	sort   binary.Sort
	fn     *canon.FuncType // SortFunc
	types  *instanceDef    // SortInstance: what it must export
	module *moduleTypeDef  // SortCoreModule
	res    int             // SortType of a resource: index in resources
	typ    typeDef         // SortType of another type
}

// resourceDef is a resource type of the plan.
type resourceDef struct {
	static   *canon.Resource
	imported int // index in imports, or -1 for one defined here
	instance int // that defines it
	dtor     int // index in funcs, or -1
}

// coreKind is where a core item comes from.
type coreKind uint8

const (
	fromInstance   coreKind = iota // an export of a core instance of the plan
	fromTrampoline                 // a function that the component model defines
)

// coreItem is a core function, table, memory, global or tag.
type coreItem struct {
	kind  coreKind
	index int    // step that makes the core instance, or trampoline
	name  string // export name, for fromInstance
}

// moduleDef is a core module with its imports named for linking.
type moduleDef struct {
	source engine.Source // rewritten, until it is compiled
	code   *engine.Module
	origin int // offset in the component, for messages
	size   int // as it was in the component
}

// importName is what an import of a core module is renamed to.
type importName struct{ module, name string }

// step instantiates one core module.
type step struct {
	module   int // index in modules, or -1
	imported int // index in imports where module is -1
	names    []namedItem
	instance int // component instance that it belongs to
}

// namedItem is a core item given for an import of a module.
type namedItem struct {
	module, name string
	item         coreItem
}

// options are the canonical options of a lift or lower.
type options struct {
	encoding   canon.Encoding
	memory     int // index in memories, or -1
	realloc    int // index in funcs, or -1
	postReturn int
	callback   int
	async      bool
}

// funcDef is a component function: a lifted core function, or an import.
type funcDef struct {
	typ      *canon.FuncType
	imported int // index in imports, or -1
	core     int // index in funcs
	instance int // that lifts it
	opts     options
	flat     canon.Flat // as lifted
}

// trampoline is a core function that the component model defines.
type trampoline struct {
	op              binary.CanonOp
	instance        int      // that calls it
	fn              *funcDef // lower: the callee
	typ             *canon.FuncType
	opts            options
	flat            canon.Flat
	resource        int // resource built-ins: index in resources
	slot            uint32
	result          *canon.Type // task.return
	params, results []engine.ValType
}

// instanceDef is a component instance as far as its exports go.
type instanceDef struct {
	names []string
	items map[string]item
}

func (d *instanceDef) add(name string, it item) {
	if d.items == nil {
		d.items = make(map[string]item)
	}
	if _, ok := d.items[name]; !ok {
		d.names = append(d.names, name)
	}
	d.items[name] = it
}

// item is a definition in one of the component index spaces: the field of its
// sort is set.
type item struct {
	sort      binary.Sort
	fn        *funcDef
	typ       typeDef
	instance  *instanceDef
	component *componentDef
	module    *moduleRef
}

// typeDef is a type: one field is set.
type typeDef struct {
	val      *canon.Type
	fn       *canon.FuncType
	resource *resourceRef
	closure  *typeClosure // component and instance types
}

// resourceRef is a resource of the plan.
type resourceRef struct {
	static *canon.Resource
	index  int
}

// typeClosure is a component or instance type with the scope it was defined in.
type typeClosure struct {
	def   binary.DefType
	scope *scope
}

// componentDef is a component with the scope it was defined in.
type componentDef struct {
	c     *binary.Component
	scope *scope
	path  string
}

// moduleRef is a core module: one in the component, or an imported one.
type moduleRef struct {
	def      *binary.CoreModule
	imported int // index in imports where def is nil
	typ      *moduleTypeDef
}

// moduleTypeDef is a core module type with the scope it was defined in.
type moduleTypeDef struct {
	def   *binary.ModuleType
	scope *scope
}

// coreInstanceDef is a core instance: an instantiated module, or a bundle.
type coreInstanceDef struct {
	step  int // or -1
	items map[string]coreItem
}

// item returns an export. Validation made sure that it is there.
func (d *coreInstanceDef) item(name string) coreItem {
	if d.step >= 0 {
		return coreItem{kind: fromInstance, index: d.step, name: name}
	}
	return d.items[name]
}

// scope holds the index spaces of a component or type while it is flattened.
type scope struct {
	parent        *scope
	instance      int
	core          [binary.SortCoreTag + 1][]coreItem
	coreTypes     []coreTypeDef
	modules       []*moduleRef
	coreInstances []*coreInstanceDef
	funcs         []*funcDef
	types         []typeDef
	components    []*componentDef
	instances     []*instanceDef
}

type coreTypeDef struct {
	fn     *binary.CoreType
	module *moduleTypeDef
}

func (s *scope) out(n uint32) *scope {
	for range n {
		s = s.parent
	}
	return s
}

// define adds an item to its index space.
func (s *scope) define(it item) {
	switch it.sort {
	case binary.SortFunc:
		s.funcs = append(s.funcs, it.fn)
	case binary.SortType:
		s.types = append(s.types, it.typ)
	case binary.SortInstance:
		s.instances = append(s.instances, it.instance)
	case binary.SortComponent:
		s.components = append(s.components, it.component)
	case binary.SortCoreModule:
		s.modules = append(s.modules, it.module)
	}
}

// lookup returns the item at an index.
func (s *scope) lookup(i binary.SortIdx) item {
	it := item{sort: i.Sort}
	switch i.Sort {
	case binary.SortFunc:
		it.fn = s.funcs[i.Index]
	case binary.SortType:
		it.typ = s.types[i.Index]
	case binary.SortInstance:
		it.instance = s.instances[i.Index]
	case binary.SortComponent:
		it.component = s.components[i.Index]
	case binary.SortCoreModule:
		it.module = s.modules[i.Index]
	}
	return it
}
