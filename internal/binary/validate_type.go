package binary

import (
	"strings"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// Types as the validator resolves them. Types are immutable once they are in an index
// space, except that a copy is made where a new name is given to one: what a name refers
// to is told by identity (see scope.imported and scope.exported).

// anyType is an entry of the type index space: resourceRef, *definedType, *funcType,
// *instanceType or *componentType. Values are comparable, and equal if they are the same
// type under the same name.
type anyType interface{ describe() string }

func (resourceRef) describe() string    { return "resource" }
func (*definedType) describe() string   { return "defined type" }
func (*funcType) describe() string      { return "func" }
func (*instanceType) describe() string  { return "instance" }
func (*componentType) describe() string { return "component" }

// resource is a resource type; it is equal to itself only.
type resource struct{ _ byte }

// resourceRef is a resource under a name.
type resourceRef struct {
	*resource
	alias int
}

// measure bounds the size of types.
type measure struct {
	size, depth int
	borrow      bool // a borrow is somewhere inside
}

const (
	maxTypeSize  = 1_000_000
	maxTypeDepth = 100 // of value types
	// maxDepth bounds how deep types of any kind are in one another, and with that
	// recursion over them.
	maxDepth = 1000
	// maxValueSize is the bound on the size in bytes of a value in memory.
	maxValueSize = 1 << 28
)

var leaf = measure{size: 1, depth: 1}

// add makes m the measure of something that has a part of the measure other.
func (m *measure) add(other measure, offset int) error {
	m.size += other.size
	m.depth = max(m.depth, other.depth+1)
	m.borrow = m.borrow || other.borrow
	if m.size > maxTypeSize {
		return invalid(offset, "effective type size exceeds the limit of %d", maxTypeSize)
	}
	if m.depth > maxDepth {
		return invalid(offset, "type nesting is too deep")
	}
	return nil
}

// valType is a value type: a primitive one if def is nil.
type valType struct {
	prim Prim
	def  *definedType
}

type shape uint8

const (
	shapePrim shape = iota
	shapeRecord
	shapeVariant
	shapeList
	shapeFixedList
	shapeMap
	shapeTuple
	shapeFlags
	shapeEnum
	shapeOption
	shapeResult
	shapeOwn
	shapeBorrow
	shapeStream
	shapeFuture
)

var shapeNames = [...]string{
	"primitive", "record", "variant", "list", "fixed-length list", "map", "tuple", "flags", "enum", "option",
	"result", "own", "borrow", "stream", "future",
}

// definedType is a defined value type.
type definedType struct {
	shape shape
	prim  Prim
	// names are those of fields, cases, flags or enum cases.
	names []string
	// parts are the types of fields, cases, elements; of a result the two sides, of a
	// map key and value. nil is a case, side or element without a type.
	parts    []*valType
	length   uint32 // shapeFixedList
	resource resourceRef
	measure  measure
	// size and align are those of values in memory, in bytes, with 64-bit pointers.
	size, align uint64
	// flat are the core types that values are passed as, for each of pointers, unless
	// there are too many (wide).
	flat    [2][]wasm.ValType
	wide    bool
	pointer bool // a value refers to memory outside of itself
}

// funcType is the type of a component function.
type funcType struct {
	async   bool
	names   []string
	params  []valType
	result  *valType
	measure measure
}

// entity is the type of an import or export. Exactly one of the fields is set.
type entity struct {
	module    *moduleType
	fn        *funcType
	component *componentType
	instance  *instanceType
	// A type: what it refers to, and the type under its new name.
	referenced, created anyType
}

func (e *entity) describe() string {
	switch {
	case e.module != nil:
		return "module"
	case e.fn != nil:
		return "func"
	case e.component != nil:
		return "component"
	case e.instance != nil:
		return "instance"
	default:
		return "type"
	}
}

func (e *entity) measure() measure {
	switch {
	case e.module != nil:
		return e.module.measure
	case e.fn != nil:
		return e.fn.measure
	case e.component != nil:
		return e.component.measure
	case e.instance != nil:
		return e.instance.measure
	}
	return measureOf(e.created)
}

func measureOf(t anyType) measure {
	switch t := t.(type) {
	case *definedType:
		return t.measure
	case *funcType:
		return t.measure
	case *instanceType:
		return t.measure
	case *componentType:
		return t.measure
	default:
		return leaf
	}
}

// items are named entities in order.
type items struct {
	names    []string
	entities []entity
	index    map[string]int
}

func (l *items) get(name string) (*entity, bool) {
	i, ok := l.index[name]
	if !ok {
		return nil, false
	}
	return &l.entities[i], true
}

func (l *items) add(name string, e entity) {
	if l.index == nil {
		l.index = map[string]int{}
	}
	l.index[name] = len(l.names)
	l.names = append(l.names, name)
	l.entities = append(l.entities, e)
}

// locatedResource is a resource and the path of export indices (from an index among the
// imports or exports) that leads to it.
type locatedResource struct {
	res  *resource
	path []int
}

// instanceType is the type of a component instance.
type instanceType struct {
	exports items
	// defined are the resources that each instance of the type has anew. It is empty
	// for the type of an instance that exists.
	defined []*resource
	// explicit has the resources that are exported, with their paths.
	explicit map[*resource][]int
	measure  measure
}

// componentType is the type of a component.
type componentType struct {
	imports, exports  items
	imported, defined []locatedResource
	explicit          map[*resource][]int
	measure           measure
}

// coreFunc is the type of a core function. Equal types are one coreFunc.
type coreFunc struct {
	params, results []wasm.ValType
	open            bool // not final
}

func (f *coreFunc) String() string {
	var b strings.Builder
	b.WriteString("(func")
	for _, list := range [2]struct {
		word  string
		types []wasm.ValType
	}{{"param", f.params}, {"result", f.results}} {
		if len(list.types) == 0 {
			continue
		}
		b.WriteString(" (" + list.word)
		for _, t := range list.types {
			b.WriteString(" " + t.String())
		}
		b.WriteString(")")
	}
	b.WriteString(")")
	return b.String()
}

// coreItem is the type of an import or export of a core module.
type coreItem struct {
	kind   wasm.Kind
	fn     *coreFunc // functions and tags
	table  wasm.TableType
	memory wasm.MemoryType
	global wasm.GlobalType
}

// coreKindName is the name of a kind in the text format.
func coreKindName(k wasm.Kind) string {
	if k == wasm.KindFunc {
		return "func"
	}
	return k.String()
}

// coreItems are named core items in order.
type coreItems struct {
	names []coreName
	items map[coreName]coreItem
}

type coreName struct{ module, name string }

func (l *coreItems) add(name coreName, item coreItem) bool {
	if _, ok := l.items[name]; ok {
		return false
	}
	if l.items == nil {
		l.items = map[coreName]coreItem{}
	}
	l.names = append(l.names, name)
	l.items[name] = item
	return true
}

// moduleType is the type of a core module. The exports have an empty module name.
type moduleType struct {
	imports, exports coreItems
	measure          measure
}

// primNames are the names of primitive types.
var primNames = map[Prim]string{
	Bool: "bool", S8: "s8", U8: "u8", S16: "s16", U16: "u16", S32: "s32", U32: "u32", S64: "s64", U64: "u64",
	F32: "f32", F64: "f64", Char: "char", String: "string", ErrorContext: "error-context",
}

func (t valType) describe() string {
	if t.def == nil {
		return primNames[t.prim]
	}
	return t.def.kind()
}

func (d *definedType) kind() string { return shapeNames[d.shape] }

// primitive returns the primitive type that t is, if it is one.
func (t valType) primitive() (Prim, bool) {
	if t.def == nil {
		return t.prim, true
	}
	return t.def.prim, t.def.shape == shapePrim
}

func (t valType) measure() measure {
	if t.def == nil {
		return leaf
	}
	return t.def.measure
}
