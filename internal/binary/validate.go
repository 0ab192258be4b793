package binary

import (
	"context"
	"errors"
	"fmt"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// Features are parts of the component model that are not final. A component that uses
// one that is off is invalid.
type Features uint32

const (
	// FeatureMoreAsync is synchronous and asynchronous forms of async built-ins beyond
	// the first release.
	FeatureMoreAsync Features = 1 << iota
	// FeatureStackful is async lift without callback.
	FeatureStackful
	// FeatureThreading is the built-ins on cooperative threads.
	FeatureThreading
	// FeatureErrorContext is the type error-context and its built-ins.
	FeatureErrorContext
	// FeatureFixedLists is lists of fixed length.
	FeatureFixedLists
	// FeatureMaps is the type map.
	FeatureMaps
	// FeatureImplements is the attributes implements and external-id of extern names.
	FeatureImplements
	// FeatureCanonNames is interface names with the version split into a canonical part
	// and a suffix.
	FeatureCanonNames
	// FeatureNestedNames is nested namespaces and packages in names.
	FeatureNestedNames
	// FeatureMemory64 is 64-bit memories in canonical options.
	FeatureMemory64
)

// DefaultFeatures are on in [Validate].
const DefaultFeatures = FeatureMoreAsync | FeatureStackful | FeatureThreading | FeatureErrorContext |
	FeatureFixedLists | FeatureMaps | FeatureImplements | FeatureCanonNames

// Validate checks a decoded component and everything in it, as Explainer.md and
// CanonicalABI.md of the component model say. Of an invalid component it returns an
// [*Error], or a [*wasm.Error] where the fault is in a core module. Of a component that is
// valid but needs what the engine does not run it returns a [*wasm.UnsupportedError].
func Validate(c *Component) error { return ValidateContext(context.Background(), c) }

// ValidateContext is like [Validate] but ends soon after ctx, with its cause.
func ValidateContext(ctx context.Context, c *Component) error {
	return validate(ctx, c, DefaultFeatures)
}

// ValidateFeatures is like [Validate] with other features on.
func ValidateFeatures(c *Component, on Features) error {
	return validate(context.Background(), c, on)
}

func validate(ctx context.Context, c *Component, on Features) error {
	v := &validator{on: on, coreFuncs: map[string]*coreFunc{}, coreIDs: map[*coreFunc]uint32{}, known: map[[2]anyType]bool{}}
	if _, err := v.component(c, nil); err != nil {
		return err
	}
	var unsupported error
	for _, body := range v.bodies {
		err := body(ctx)
		var u *wasm.UnsupportedError
		switch {
		case err == nil:
		case !errors.As(err, &u):
			return err
		case unsupported == nil && (u.Feature != wasm.Memory64 || on&FeatureMemory64 == 0):
			unsupported = err
		}
	}
	return unsupported
}

// Bounds on index spaces; those of types and functions follow from that on definitions.
const (
	maxModules    = 1000
	maxComponents = 1000
	maxInstances  = 1000
)

// maxWork bounds the time and memory of validation beyond what the size of the input
// bounds: a few seconds.
const maxWork = 20_000_000

// validator is what the scopes of one component have in common.
type validator struct {
	on      Features
	aliases int // names that were given to types
	// bodies check the code of core modules, which comes last: faults in how modules
	// are put together are found before.
	bodies    []func(context.Context) error
	coreFuncs map[string]*coreFunc
	coreIDs   map[*coreFunc]uint32
	known     map[[2]anyType]bool
	// work counts steps that do not show in the size of the component, such as walks
	// through types that are used many times.
	work int
}

// need fails with the message if a feature is off.
func (v *validator) need(f Features, offset int, format string, args ...any) error {
	if v.on&f == 0 {
		return invalid(offset, format, args...)
	}
	return nil
}

func (v *validator) subtype(offset int) subtype { return subtype{offset: offset, validator: v} }

type scopeKind uint8

const (
	inComponent scopeKind = iota
	inComponentType
	inInstanceType
)

// scope is the index spaces of a component, component type or instance type, while its
// definitions are checked.
type scope struct {
	*validator
	kind   scopeKind
	parent *scope

	coreFuncs     []*coreFunc
	coreTables    []wasm.TableType
	coreMemories  []wasm.MemoryType
	coreGlobals   []wasm.GlobalType
	coreTags      []*coreFunc
	coreTypes     []coreType
	coreModules   []*moduleType
	coreInstances []map[string]coreItem
	funcs         []*funcType
	types         []anyType
	components    []*componentType
	instances     []*instanceType

	imports, exports         items
	importNames, exportNames map[string]string // strong keys to names
	measure                  measure

	// importedResources are those that imports introduce.
	importedResources []locatedResource
	// definedResources are those that the component or its instances define, with the
	// representation of those that it implements itself.
	definedResources []*resource
	reps             map[*resource]wasm.ValType
	explicit         map[*resource][]int

	// Types that can occur in imports or exports since they have a name there.
	importedTypes, exportedTypes map[anyType]bool
	importedRes, exportedRes     resourceNames

	contextType wasm.ValType
}

// coreType is an entry of the core type index space.
type coreType struct {
	fn     *coreFunc
	module *moduleType
}

func (v *validator) newScope(kind scopeKind, parent *scope) *scope {
	return &scope{
		validator: v, kind: kind, parent: parent, measure: leaf,
		importNames: map[string]string{}, exportNames: map[string]string{},
		reps: map[*resource]wasm.ValType{}, explicit: map[*resource][]int{},
		importedTypes: map[anyType]bool{}, exportedTypes: map[anyType]bool{},
	}
}

// component checks a component and returns its type.
func (v *validator) component(c *Component, parent *scope) (*componentType, error) {
	s := v.newScope(inComponent, parent)
	if err := s.defineAll(c.Defs); err != nil {
		return nil, err
	}
	return s.finish(c.Offset + c.Size)
}

func (s *scope) defineAll(defs []Def) error {
	for _, def := range defs {
		if err := s.define(def); err != nil {
			return err
		}
		if s.work > maxWork {
			return invalid(def.At(), "component is too complex to validate")
		}
	}
	return nil
}

// define checks a definition or declarator and adds it to its index space.
func (s *scope) define(def Def) error {
	switch d := def.(type) {
	case *CoreModule:
		return s.coreModule(d)
	case *CoreInstance:
		return s.coreInstance(d)
	case *CoreType:
		return s.coreType(d)
	case *Component:
		t, err := s.validator.component(d, s)
		if err != nil {
			return err
		}
		s.components = append(s.components, t)
		return s.limit(len(s.components), maxComponents, "components", d.Offset)
	case *Instance:
		return s.instance(d)
	case *Alias:
		return s.alias(d)
	case *Type:
		return s.typeDef(d)
	case *Canon:
		return s.canon(d)
	case *Start, *Value:
		return invalid(d.At(), "support for component model `value`s is not enabled")
	case *Import:
		return s.importDef(d)
	case *Export:
		return s.export(d)
	case *ExportDecl:
		e, err := s.externType(&d.Type)
		if err != nil {
			return err
		}
		return s.addExport(&d.Name, e, d.Offset)
	default:
		return invalid(def.At(), "unknown definition")
	}
}

func (s *scope) limit(n, most int, what string, offset int) error {
	if n > most {
		return invalid(offset, "%s count exceeds limit of %d", what, most)
	}
	return nil
}

// coreModule decodes and validates a module, and adds its type.
func (s *scope) coreModule(d *CoreModule) error {
	m, err := wasm.DecodeAt(d.Bytes, d.Offset)
	if err != nil {
		return err
	}
	bodies, err := wasm.ValidateSections(m)
	if err != nil {
		return err
	}
	s.bodies = append(s.bodies, bodies)
	t, err := s.moduleTypeOf(m)
	if err != nil {
		return err
	}
	s.coreModules = append(s.coreModules, t)
	return s.limit(len(s.coreModules), maxModules, "modules", d.Offset)
}

// moduleTypeOf returns the type of a validated module.
func (s *scope) moduleTypeOf(m *wasm.Module) (*moduleType, error) {
	types := s.internTypes(m.Types)
	space := typeSpace(func(i uint32) (*coreFunc, bool) { return types[i], true })
	t := &moduleType{measure: leaf}
	item := func(x wasm.Extern) coreItem {
		i := coreItem{kind: x.Kind, table: x.Table, memory: x.Memory, global: x.Global}
		if x.Kind == wasm.KindFunc || x.Kind == wasm.KindTag {
			i.fn = types[x.Type]
		}
		i.table.Elem = s.internVal(i.table.Elem, space)
		i.global.Val = s.internVal(i.global.Val, space)
		return i
	}
	for i := range m.Imports {
		im := &m.Imports[i]
		if !t.imports.add(coreName{im.Module, im.Name}, item(im.Extern)) {
			return nil, invalid(im.Offset, "duplicate import name `%s:%s` is not allowed in components", im.Module, im.Name)
		}
	}
	indices := m.Space()
	for i := range m.Exports {
		e := &m.Exports[i]
		x := wasm.Extern{Kind: e.Kind}
		switch e.Kind {
		case wasm.KindFunc:
			x.Type = indices.Funcs[e.Index]
		case wasm.KindTable:
			x.Table = indices.Tables[e.Index]
		case wasm.KindMemory:
			x.Memory = indices.Memories[e.Index]
		case wasm.KindGlobal:
			x.Global = indices.Globals[e.Index]
		case wasm.KindTag:
			x.Type = indices.Tags[e.Index]
		}
		t.exports.add(coreName{name: e.Name}, item(x))
	}
	t.measure.size += len(m.Imports) + len(m.Exports)
	if t.measure.size > maxTypeSize {
		return nil, invalid(m.Exports[0].Offset, "effective type size exceeds the limit of %d", maxTypeSize)
	}
	return t, nil
}

// internTypes returns the types of a module as types that are equal if they are
// identical.
func (s *scope) internTypes(types []wasm.FuncType) []*coreFunc {
	interned := make([]*coreFunc, 0, len(types))
	space := typeSpace(func(i uint32) (*coreFunc, bool) {
		if int(i) < len(interned) {
			return interned[i], true
		}
		return nil, false
	})
	for i := range types {
		interned = append(interned, s.intern(types[i].Params, types[i].Results, false, space))
	}
	return interned
}

// typeSpace is an index space of core types. It returns no function for an index of a
// module type, and false for one that is out of bounds.
type typeSpace func(index uint32) (*coreFunc, bool)

// selfReference stands for a reference of a type to itself.
const selfReference = wasm.HeapType(1<<29 - 1)

func (s *scope) internVal(t wasm.ValType, space typeSpace) wasm.ValType {
	if !t.IsRef() {
		return t
	}
	index, concrete := t.Heap().TypeIndex()
	if !concrete {
		return t
	}
	f, ok := space(index)
	if !ok {
		return wasm.Ref(selfReference, t.Nullable())
	}
	return wasm.Ref(wasm.HeapType(s.coreIDs[f]), t.Nullable())
}

// intern returns the type; indices in params and results are those of the space.
func (s *scope) intern(params, results []wasm.ValType, open bool, space typeSpace) *coreFunc {
	f := &coreFunc{open: open, params: make([]wasm.ValType, len(params)), results: make([]wasm.ValType, len(results))}
	for i, t := range params {
		f.params[i] = s.internVal(t, space)
	}
	for i, t := range results {
		f.results[i] = s.internVal(t, space)
	}
	key := fmt.Sprint(f.params, f.results, open)
	if known, ok := s.validator.coreFuncs[key]; ok {
		return known
	}
	s.validator.coreFuncs[key] = f
	s.coreIDs[f] = uint32(len(s.coreIDs))
	return f
}

// finish checks what can be checked only when all definitions are known, and returns the
// type.
func (s *scope) finish(offset int) (*componentType, error) {
	t := &componentType{
		imports: s.imports, exports: s.exports, imported: s.importedResources, explicit: s.explicit, measure: s.measure,
	}
	free := s.newFreeResources()
	free.items(&t.imports)
	for _, r := range s.definedResources {
		if free.found[r] {
			return nil, invalid(offset, "local resource type found in imports")
		}
	}
	free = s.newFreeResources()
	free.items(&t.exports)
	for _, r := range s.definedResources {
		if !free.found[r] {
			continue
		}
		path, ok := t.explicit[r]
		if !ok {
			return nil, invalid(offset, "local resource type found in export but not exported itself")
		}
		t.defined = append(t.defined, locatedResource{res: r, path: path})
	}
	return t, nil
}

// at returns the entry of an index space.
func at[T any](space []T, index uint32, what string, offset int) (T, error) {
	if int64(index) >= int64(len(space)) {
		var none T
		noun := what
		switch what {
		case "core function":
			noun = "function"
		case "core instance":
			noun = "instance"
		}
		return none, invalid(offset, "unknown %s %d: %s index out of bounds", what, index, noun)
	}
	return space[index], nil
}

func (s *scope) definedAt(index uint32, offset int) (*definedType, error) {
	t, err := at(s.types, index, "type", offset)
	if err != nil {
		return nil, err
	}
	d, ok := t.(*definedType)
	if !ok {
		return nil, invalid(offset, "type index %d is not a defined type", index)
	}
	return d, nil
}

func (s *scope) resourceAt(index uint32, offset int) (resourceRef, error) {
	t, err := at(s.types, index, "type", offset)
	if err != nil {
		return resourceRef{}, err
	}
	r, ok := t.(resourceRef)
	if !ok {
		return resourceRef{}, invalid(offset, "type index %d is not a resource type", index)
	}
	return r, nil
}
