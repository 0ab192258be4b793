package wit

import "strings"

// A Resolve is a set of packages whose references to one another are resolved.
type Resolve struct {
	// Packages holds every package once, dependencies before dependents.
	Packages []*Package
	// Main is the package that was asked for, an element of Packages.
	Main *Package
}

// Package returns the package of that name, or nil. A name without a version
// also finds a package that has one if it is the only one of its name.
func (r *Resolve) Package(name PackageName) *Package {
	var match *Package
	for _, p := range r.Packages {
		if p.Name == name {
			return p
		}
		if name.Version == "" && p.Name.Namespace == name.Namespace && p.Name.Name == name.Name {
			if match != nil {
				return nil
			}
			match = p
		}
	}
	return match
}

// A PackageName names a package: namespace:name@version. It is comparable.
type PackageName struct {
	Namespace string
	Name      string
	// Version is a semantic version, or empty.
	Version string
}

// String returns the name as it is written in WIT.
func (n PackageName) String() string {
	s := n.Namespace + ":" + n.Name
	if n.Version != "" {
		s += "@" + n.Version
	}
	return s
}

// Item returns the external name of an interface or world of the package:
// namespace:name/item@version.
func (n PackageName) Item(item string) string {
	s := n.Namespace + ":" + n.Name + "/" + item
	if n.Version != "" {
		s += "@" + n.Version
	}
	return s
}

// A Package is a named collection of interfaces and worlds.
type Package struct {
	Name       PackageName
	Docs       string
	Interfaces []*Interface // each after those that it uses
	Worlds     []*World     // each after those that it includes
}

// Interface returns the interface of that name, or nil.
func (p *Package) Interface(name string) *Interface {
	for _, i := range p.Interfaces {
		if i.Name == name {
			return i
		}
	}
	return nil
}

// World returns the world of that name, or nil.
func (p *Package) World(name string) *World {
	for _, w := range p.Worlds {
		if w.Name == name {
			return w
		}
	}
	return nil
}

// A World is the type of a component: what it imports and what it exports.
type World struct {
	Name      string
	Package   *Package
	Docs      string
	Stability Stability
	// Imports and Exports are complete (transitive dependencies are listed)
	// and ordered: interfaces, types, functions; dependencies first.
	Imports []*WorldItem
	Exports []*WorldItem

	span span
}

// ID returns the world's external name, for example wasi:cli/command@0.2.0.
func (w *World) ID() string { return w.Package.Name.Item(w.Name) }

// Import returns the import with that external name, or nil.
func (w *World) Import(name string) *WorldItem { return findItem(w.Imports, name) }

// Export returns the export with that external name, or nil.
func (w *World) Export(name string) *WorldItem { return findItem(w.Exports, name) }

func findItem(items []*WorldItem, name string) *WorldItem {
	for _, item := range items {
		if item.ExternName() == name {
			return item
		}
	}
	return nil
}

// A WorldItem is one import or export of a world. Exactly one of Interface,
// Function and Type is set; exports are never types.
type WorldItem struct {
	// Name is the item's plain name. It is empty for an interface that is
	// imported or exported under its own external name.
	Name string

	Interface *Interface
	Function  *Function
	Type      *TypeDef

	// Docs, Stability and ExternalID belong to the import or export statement
	// of an interface. Functions and types carry their own.
	Docs       string
	Stability  Stability
	ExternalID string

	span span
}

// ExternName returns the name of the item in the component's imports or
// exports: its plain name, or the interface's ID.
func (i *WorldItem) ExternName() string {
	if i.Name != "" || i.Interface == nil {
		return i.Name
	}
	return i.Interface.ID()
}

// Implements returns the ID of the named interface that an item with a plain
// name implements (`import a: b;`), or the empty string.
func (i *WorldItem) Implements() string {
	if i.Name == "" || i.Interface == nil || i.Interface.Name == "" {
		return ""
	}
	return i.Interface.ID()
}

func (i *WorldItem) stability() Stability {
	switch {
	case i.Function != nil:
		return i.Function.Stability
	case i.Type != nil:
		return i.Type.Stability
	}
	return i.Stability
}

// An Interface is a named set of types and functions, or an unnamed one that
// is defined inside a world.
type Interface struct {
	Name      string // empty if it is defined inline in a world
	Package   *Package
	Docs      string
	Stability Stability
	// Types are in order of definition, each after those that it refers to;
	// used types come first, as definitions whose Kind is *Alias.
	Types []*TypeDef
	// Functions are in order of definition; those of a resource stand where
	// the resource was defined.
	Functions []*Function

	span span
}

// ID returns the interface's external name, for example
// wasi:io/streams@0.2.0, or the empty string for an inline interface.
func (i *Interface) ID() string {
	if i.Name == "" {
		return ""
	}
	return i.Package.Name.Item(i.Name)
}

// Type returns the type of that name, or nil.
func (i *Interface) Type(name string) *TypeDef {
	for _, t := range i.Types {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// Function returns the function with that name (see [Function.Name]), or nil.
func (i *Interface) Function(name string) *Function {
	for _, f := range i.Functions {
		if f.Name == name {
			return f
		}
	}
	return nil
}

// Dependencies returns the interfaces from which i uses types, in the order of
// their first use.
func (i *Interface) Dependencies() []*Interface {
	var deps []*Interface
	seen := map[*Interface]bool{}
	for _, t := range i.Types {
		if dep := t.UsedFrom(); dep != nil && !seen[dep] {
			seen[dep] = true
			deps = append(deps, dep)
		}
	}
	return deps
}

// A Stability is the feature gate of an item. The zero value means none.
type Stability struct {
	Since      string // version of @since, or empty
	Unstable   string // feature of @unstable, or empty
	Deprecated string // version of @deprecated, or empty
}

// FunctionKind says how a function is called.
type FunctionKind uint8

// The kinds of functions.
const (
	Freestanding FunctionKind = iota
	Method
	Static
	Constructor
)

// A Function is a function of an interface, a world or a resource.
type Function struct {
	// Name is the function's external name: `f`, `[method]r.f`, `[static]r.f`
	// or `[constructor]r`.
	Name  string
	Kind  FunctionKind
	Async bool
	// Resource is the resource of a method, static function or constructor.
	Resource *TypeDef
	// Params includes the `self` of a method.
	Params []Param
	// Result is nil if the function returns nothing.
	Result     Type
	Docs       string
	Stability  Stability
	ExternalID string

	span span
}

// ItemName returns the function's own name, without its resource:
// "constructor" for a constructor.
func (f *Function) ItemName() string {
	switch f.Kind {
	case Method, Static:
		_, name, _ := strings.Cut(f.Name, ".")
		return name
	case Constructor:
		return "constructor"
	}
	return f.Name
}

// A Param is a parameter of a function.
type Param struct {
	Name string
	Type Type
}

// A Type is a [Prim] or a [*TypeDef].
type Type interface{ isType() }

// A Prim is a primitive type.
type Prim uint8

// The primitive types.
const (
	Bool Prim = iota
	U8
	U16
	U32
	U64
	S8
	S16
	S32
	S64
	F32
	F64
	Char
	String
	ErrorContext
)

var primNames = [...]string{"bool", "u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "f32", "f64", "char", "string", "error-context"}

// String returns the name of the type in WIT.
func (p Prim) String() string { return primNames[p] }

func (Prim) isType()     {}
func (*TypeDef) isType() {}

// A TypeDef is a type that is not primitive. Types that are written in place,
// such as list<u8>, have no name and no owner.
type TypeDef struct {
	Name string
	Kind Kind
	// Owner is where a named type is defined: an *Interface or a *World.
	Owner      Owner
	Docs       string
	Stability  Stability
	ExternalID string

	span span
	// root is the type at the end of the chain of aliases.
	root *TypeDef
	// gated says that the type's feature gate is closed.
	gated bool
	// borrows says that a value of the type holds a borrowed handle.
	borrows bool
}

// Root follows aliases to the type that was defined. A type that is no alias,
// or an alias of a primitive type, is its own root.
func (t *TypeDef) Root() *TypeDef {
	for {
		a, ok := t.Kind.(*Alias)
		if !ok {
			return t
		}
		next, ok := a.Type.(*TypeDef)
		if !ok {
			return t
		}
		t = next
	}
}

// UsedFrom returns the interface that the type is used from if it was brought
// into its owner by `use`, or nil.
func (t *TypeDef) UsedFrom() *Interface {
	a, ok := t.Kind.(*Alias)
	if !ok {
		return nil
	}
	other, ok := a.Type.(*TypeDef)
	if !ok || other.Owner == nil || other.Owner == t.Owner {
		return nil
	}
	iface, _ := other.Owner.(*Interface)
	return iface
}

// An Owner is an *Interface or a *World.
type Owner interface{ isOwner() }

func (*Interface) isOwner() {}
func (*World) isOwner()     {}

// A Kind is what a type is: one of the pointer types below.
type Kind interface{ isKind() }

type (
	// Alias is another name for a type. An alias of a resource is a resource.
	Alias struct{ Type Type }
	// Record is a product type with named fields.
	Record struct{ Fields []Field }
	// Variant is a sum type.
	Variant struct{ Cases []Case }
	// Enum is a sum type whose cases have no payload.
	Enum struct{ Cases []Label }
	// Flags is a set of named bits.
	Flags struct{ Flags []Label }
	// Resource is an abstract type that is passed by handle.
	Resource struct{}
	// Own is a handle that owns its resource.
	Own struct{ Resource *TypeDef }
	// Borrow is a handle that is lent for the length of a call.
	Borrow struct{ Resource *TypeDef }
	// Tuple is a product type with numbered fields.
	Tuple struct{ Types []Type }
	// Option is a value that may be absent.
	Option struct{ Type Type }
	// Result is the outcome of something that may fail. OK and Err may be nil.
	Result struct{ OK, Err Type }
	// List is a sequence of any length.
	List struct{ Elem Type }
	// FixedLengthList is a sequence of Len elements.
	FixedLengthList struct {
		Elem Type
		Len  uint32
	}
	// Map is a list of pairs with unique keys.
	Map struct{ Key, Value Type }
	// Future is a value that arrives later. Type may be nil.
	Future struct{ Type Type }
	// Stream is a sequence of values that arrive over time. Type may be nil.
	Stream struct{ Type Type }
)

func (*Alias) isKind()           {}
func (*Record) isKind()          {}
func (*Variant) isKind()         {}
func (*Enum) isKind()            {}
func (*Flags) isKind()           {}
func (*Resource) isKind()        {}
func (*Own) isKind()             {}
func (*Borrow) isKind()          {}
func (*Tuple) isKind()           {}
func (*Option) isKind()          {}
func (*Result) isKind()          {}
func (*List) isKind()            {}
func (*FixedLengthList) isKind() {}
func (*Map) isKind()             {}
func (*Future) isKind()          {}
func (*Stream) isKind()          {}

// A Field is a field of a record.
type Field struct {
	Name string
	Type Type
	Docs string
}

// A Case is a case of a variant. Type is nil if the case has no payload.
type Case struct {
	Name string
	Type Type
	Docs string
}

// A Label is a case of an enum or a flag of a flags type.
type Label struct {
	Name string
	Docs string
}

// Position says where the interface is defined in its source.
func (i *Interface) Position() Position { return i.span.position() }

// Position says where the world is defined in its source.
func (w *World) Position() Position { return w.span.position() }

// Position says where the function is defined in its source.
func (f *Function) Position() Position { return f.span.position() }

// Position says where the type is defined in its source.
func (t *TypeDef) Position() Position { return t.span.position() }
