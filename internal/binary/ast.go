// Package binary decodes, validates and encodes WebAssembly components, as
// specified in Binary.md of the component model.
//
// [Decode] turns bytes into a [Component], the definitions in the order of the
// file. Nothing in it is resolved: indices refer to the index spaces that the
// definitions build up one after the other. [Validate] checks it, [Encode]
// writes it.
package binary

import (
	"bytes"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// Component is a component as decoded.
type Component struct {
	Offset  int // of the preamble in the input
	Size    int // in bytes, preamble included
	Defs    []Def
	Customs []Custom
}

// InitializeSection is the custom section of a component by which its author declares,
// with the contents InitializeOnce, that it is meant to be initialised once for a
// deployment: what its start functions learn of the host may be shared by all instances.
const (
	InitializeSection = "ashlar:initialize"
	InitializeOnce    = "once"
)

// TargetSection is the custom section of a component that has the name of the world
// that it was built for, as wasi:http/proxy@0.2.0, if it fits that world.
const TargetSection = "ashlar:target"

// Target returns the name of the world that a component was built for, or "".
func (c *Component) Target() string {
	const maxName = 1000
	for _, u := range c.Customs {
		other := bytes.ContainsFunc(u.Data, func(r rune) bool { return r <= ' ' || r >= 0x7f })
		if u.Name == TargetSection && !other && len(u.Data) <= maxName {
			return string(u.Data)
		}
	}
	return ""
}

// Custom is a custom section.
type Custom struct {
	Offset int
	Name   string
	Data   []byte // shares the input's memory
}

// Def is a definition in a component, or a declarator in a component or
// instance type. It is one of *CoreModule, *CoreInstance, *CoreType,
// *Component, *Instance, *Alias, *Type, *Canon, *Start, *Import, *Export,
// *ExportDecl and *Value.
type Def interface {
	// At returns the byte offset of the definition in the input.
	At() int
}

func (d *CoreModule) At() int   { return d.Offset }
func (d *CoreInstance) At() int { return d.Offset }
func (d *CoreType) At() int     { return d.Offset }
func (d *Component) At() int    { return d.Offset }
func (d *Instance) At() int     { return d.Offset }
func (d *Alias) At() int        { return d.Offset }
func (d *Type) At() int         { return d.Offset }
func (d *Canon) At() int        { return d.Offset }
func (d *Start) At() int        { return d.Offset }
func (d *Import) At() int       { return d.Offset }
func (d *Export) At() int       { return d.Offset }
func (d *ExportDecl) At() int   { return d.Offset }
func (d *Value) At() int        { return d.Offset }

// Sort is the sort of an index space.
type Sort uint8

// The sorts, core ones first.
const (
	SortCoreFunc Sort = iota
	SortCoreTable
	SortCoreMemory
	SortCoreGlobal
	SortCoreTag
	SortCoreType
	SortCoreModule
	SortCoreInstance
	SortFunc
	SortValue
	SortType
	SortComponent
	SortInstance
	NumSorts
)

var sortNames = [NumSorts]string{
	"core func", "core table", "core memory", "core global", "core tag", "core type",
	"core module", "core instance", "func", "value", "type", "component", "instance",
}

func (s Sort) String() string {
	if s < NumSorts {
		return sortNames[s]
	}
	return "unknown sort"
}

// SortOf returns the index space that a definition of a component adds to, SortType for
// what is none of these.
func SortOf(d Def) Sort {
	switch d := d.(type) {
	case *CoreModule:
		return SortCoreModule
	case *CoreInstance:
		return SortCoreInstance
	case *CoreType:
		return SortCoreType
	case *Component:
		return SortComponent
	case *Instance:
		return SortInstance
	case *Alias:
		return d.Sort
	case *Canon:
		if d.Op == CanonLift {
			return SortFunc
		}
		return SortCoreFunc
	case *Import:
		return d.Type.Kind.Sort()
	case *Export:
		return d.Sort
	}
	return SortType
}

// SortIdx is an index in the index space of a sort.
type SortIdx struct {
	Sort  Sort
	Index uint32
}

// CoreModule is a core module definition.
type CoreModule struct {
	Offset int    // of the module's preamble in the input
	Bytes  []byte // the module; shares the input's memory
}

// CoreInstance instantiates a module or bundles exports into an instance.
type CoreInstance struct {
	Offset  int
	Inline  bool       // Exports holds, else Module and Args
	Module  uint32     // module index
	Args    []CoreArg  // instances by import module name
	Exports []CoreItem // inline exports
}

// CoreArg gives a core instance for an import module name.
type CoreArg struct {
	Name     string
	Instance uint32
}

// CoreItem is an inline export of a core instance; Sort is a core sort.
type CoreItem struct {
	Name string
	SortIdx
}

// CoreType defines a core function type or a core module type.
type CoreType struct {
	Offset int
	Func   *wasm.FuncType // or
	Module *ModuleType
	// Open tells that Func is declared as a type that is not final.
	Open bool
}

// ModuleType is the type of a core module. Its declarators have an index space
// of core types of their own.
type ModuleType struct {
	Decls []ModuleDecl
}

// ModuleDecl is one declarator of a module type: exactly one field is set.
type ModuleDecl struct {
	Offset int
	Import *wasm.Import
	Type   *CoreType
	Alias  *Alias // outer alias of a core type
	Export *CoreExportDecl
}

// CoreExportDecl declares an export of a module type.
type CoreExportDecl struct {
	Name string
	wasm.Extern
}

// Instance instantiates a component or bundles exports into an instance.
type Instance struct {
	Offset    int
	Inline    bool // Exports holds, else Component and Args
	Component uint32
	Args      []Arg
	Exports   []InlineExport
}

// Arg gives a definition for an import name.
type Arg struct {
	Name string
	SortIdx
}

// InlineExport is one export of an inline instance.
type InlineExport struct {
	Name ExternName
	SortIdx
}

// ExternName is the name of an import or export with its attributes.
type ExternName struct {
	Name          string
	Implements    string // 🏷️ an interface name, or ""
	VersionSuffix string // 🔗 or ""
	ExternalID    string // 🏷️ or ""
	// Which of the attributes are there; they may be empty.
	HasImplements, HasVersionSuffix, HasExternalID bool
	// Form is the discriminant byte of the encoding, 0, 1 or 2.
	Form byte
}

// AliasKind tells what an alias refers to.
type AliasKind uint8

const (
	AliasExport     AliasKind = iota // export of a component instance
	AliasCoreExport                  // export of a core instance
	AliasOuter                       // definition of an enclosing component or type
)

// Alias adds a definition from elsewhere to an index space of the component.
type Alias struct {
	Offset   int
	Sort     Sort
	Kind     AliasKind
	Instance uint32 // AliasExport, AliasCoreExport
	Name     string // AliasExport, AliasCoreExport
	Count    uint32 // AliasOuter: how many scopes out
	Index    uint32 // AliasOuter: index in that scope
}

// Type adds a type to the type index space.
type Type struct {
	Offset int
	Def    DefType
}

// DefType is a defined type: Prim, *Record, *Variant, *List, *Tuple, *Flags,
// *Enum, *Option, *Result, *Own, *Borrow, *Stream, *Future, *Map, *FuncType,
// *ComponentType, *InstanceType or *ResourceType.
type DefType interface{ defType() }

func (Prim) defType()           {}
func (*Record) defType()        {}
func (*Variant) defType()       {}
func (*List) defType()          {}
func (*Tuple) defType()         {}
func (*Flags) defType()         {}
func (*Enum) defType()          {}
func (*Option) defType()        {}
func (*Result) defType()        {}
func (*Own) defType()           {}
func (*Borrow) defType()        {}
func (*Stream) defType()        {}
func (*Future) defType()        {}
func (*Map) defType()           {}
func (*FuncType) defType()      {}
func (*ComponentType) defType() {}
func (*InstanceType) defType()  {}
func (*ResourceType) defType()  {}

// Prim is a primitive value type, with its code of the binary format.
type Prim byte

const (
	Bool         Prim = 0x7f
	S8           Prim = 0x7e
	U8           Prim = 0x7d
	S16          Prim = 0x7c
	U16          Prim = 0x7b
	S32          Prim = 0x7a
	U32          Prim = 0x79
	S64          Prim = 0x78
	U64          Prim = 0x77
	F32          Prim = 0x76
	F64          Prim = 0x75
	Char         Prim = 0x74
	String       Prim = 0x73
	ErrorContext Prim = 0x64
)

// ValType is a primitive type or, where Prim is 0, a type index.
type ValType struct {
	Prim  Prim
	Index uint32
}

// Field is a labelled value type: a record field or a parameter.
type Field struct {
	Offset int
	Name   string
	Type   ValType
}

// Case is a case of a variant; Type is nil where it has no payload.
type Case struct {
	Offset int
	Name   string
	Type   *ValType
}

type (
	// Record is a record type.
	Record struct{ Fields []Field }
	// Variant is a variant type.
	Variant struct{ Cases []Case }
	// List is a list type; Len is not nil for a list of fixed length.
	List struct {
		Elem ValType
		Len  *uint32
	}
	// Tuple is a tuple type.
	Tuple struct{ Types []ValType }
	// Flags is a flags type.
	Flags struct{ Labels []string }
	// Enum is an enum type.
	Enum struct{ Labels []string }
	// Option is an option type.
	Option struct{ Type ValType }
	// Result is a result type; a nil side has no payload.
	Result struct{ Ok, Err *ValType }
	// Own is an owning handle of the resource with that type index.
	Own struct{ Type uint32 }
	// Borrow is a borrowed handle of the resource with that type index.
	Borrow struct{ Type uint32 }
	// Stream is a stream of values, or of nothing.
	Stream struct{ Elem *ValType }
	// Future is a future value, or nothing.
	Future struct{ Elem *ValType }
	// Map is a map type.
	Map struct{ Key, Value ValType }
	// FuncType is a component function type; Result is nil where there is none.
	FuncType struct {
		Async  bool
		Params []Field
		Result *ValType
	}
	// ComponentType declares imports and exports: *CoreType, *Type, *Alias,
	// *Import and *ExportDecl.
	ComponentType struct{ Decls []Def }
	// InstanceType declares exports: *CoreType, *Type, *Alias and *ExportDecl.
	InstanceType struct{ Decls []Def }
	// ResourceType defines a resource implemented by the component.
	ResourceType struct {
		Rep  wasm.ValType
		Dtor *uint32 // core function index
	}
)

// ExternKind is the kind of an extern type.
type ExternKind uint8

const (
	ExternModule    ExternKind = iota // Index is a core type index
	ExternFunc                        // Index is a type index, as below
	ExternValue                       // ValueEq ? value Index : Value
	ExternTypeEq                      // (type (eq Index))
	ExternResource                    // (type (sub resource))
	ExternComponent                   //
	ExternInstance                    //
)

// Sort returns the index space that an import or export of that kind adds to.
func (k ExternKind) Sort() Sort {
	switch k {
	case ExternModule:
		return SortCoreModule
	case ExternFunc:
		return SortFunc
	case ExternValue:
		return SortValue
	case ExternTypeEq, ExternResource:
		return SortType
	case ExternComponent:
		return SortComponent
	default:
		return SortInstance
	}
}

// ExternType is the type of an import or export.
type ExternType struct {
	Offset  int
	Kind    ExternKind
	Index   uint32
	ValueEq bool
	Value   ValType
}

// Import is an import definition or declarator.
type Import struct {
	Offset int
	Name   ExternName
	Type   ExternType
}

// ExportDecl declares an export in a component or instance type.
type ExportDecl struct {
	Offset int
	Name   ExternName
	Type   ExternType
}

// Export exports a definition, under an ascribed type where Type is not nil.
// It also adds the definition to its index space once more.
type Export struct {
	Offset int
	Name   ExternName
	SortIdx
	Type *ExternType
}

// Start is a start definition 🪙.
type Start struct {
	Offset  int
	Func    uint32
	Args    []uint32
	Results uint32
}

// Value is a value definition 🪙; Data is its encoding.
type Value struct {
	Offset int
	Type   ValType
	Data   []byte
}

// CanonOp is a canonical definition's operation, with its opcode.
type CanonOp byte

const (
	CanonLift                       CanonOp = 0x00
	CanonLower                      CanonOp = 0x01
	CanonResourceNew                CanonOp = 0x02
	CanonResourceDrop               CanonOp = 0x03
	CanonResourceRep                CanonOp = 0x04
	CanonTaskCancel                 CanonOp = 0x05
	CanonSubtaskCancel              CanonOp = 0x06
	CanonTaskReturn                 CanonOp = 0x09
	CanonContextGet                 CanonOp = 0x0a
	CanonContextSet                 CanonOp = 0x0b
	CanonThreadYield                CanonOp = 0x0c
	CanonSubtaskDrop                CanonOp = 0x0d
	CanonStreamNew                  CanonOp = 0x0e
	CanonStreamRead                 CanonOp = 0x0f
	CanonStreamWrite                CanonOp = 0x10
	CanonStreamCancelRead           CanonOp = 0x11
	CanonStreamCancelWrite          CanonOp = 0x12
	CanonStreamDropReadable         CanonOp = 0x13
	CanonStreamDropWritable         CanonOp = 0x14
	CanonFutureNew                  CanonOp = 0x15
	CanonFutureRead                 CanonOp = 0x16
	CanonFutureWrite                CanonOp = 0x17
	CanonFutureCancelRead           CanonOp = 0x18
	CanonFutureCancelWrite          CanonOp = 0x19
	CanonFutureDropReadable         CanonOp = 0x1a
	CanonFutureDropWritable         CanonOp = 0x1b
	CanonErrorContextNew            CanonOp = 0x1c
	CanonErrorContextDebugMessage   CanonOp = 0x1d
	CanonErrorContextDrop           CanonOp = 0x1e
	CanonWaitableSetNew             CanonOp = 0x1f
	CanonWaitableSetWait            CanonOp = 0x20
	CanonWaitableSetPoll            CanonOp = 0x21
	CanonWaitableSetDrop            CanonOp = 0x22
	CanonWaitableJoin               CanonOp = 0x23
	CanonBackpressureInc            CanonOp = 0x24
	CanonBackpressureDec            CanonOp = 0x25
	CanonThreadIndex                CanonOp = 0x26
	CanonThreadNewIndirect          CanonOp = 0x27
	CanonThreadResumeLater          CanonOp = 0x28
	CanonThreadSuspend              CanonOp = 0x29
	CanonThreadSuspendThenResume    CanonOp = 0x2a
	CanonThreadYieldThenResume      CanonOp = 0x2b
	CanonThreadSuspendThenPromote   CanonOp = 0x2c
	CanonThreadYieldThenPromote     CanonOp = 0x2d
	CanonThreadSpawnRef             CanonOp = 0x40
	CanonThreadSpawnIndirect        CanonOp = 0x41
	CanonThreadAvailableParallelism CanonOp = 0x42
)

var canonNames = map[CanonOp]string{
	CanonLift: "lift", CanonLower: "lower",
	CanonResourceNew: "resource.new", CanonResourceDrop: "resource.drop", CanonResourceRep: "resource.rep",
	CanonTaskCancel: "task.cancel", CanonSubtaskCancel: "subtask.cancel", CanonTaskReturn: "task.return",
	CanonContextGet: "context.get", CanonContextSet: "context.set", CanonThreadYield: "thread.yield",
	CanonSubtaskDrop: "subtask.drop",
	CanonStreamNew:   "stream.new", CanonStreamRead: "stream.read", CanonStreamWrite: "stream.write",
	CanonStreamCancelRead: "stream.cancel-read", CanonStreamCancelWrite: "stream.cancel-write",
	CanonStreamDropReadable: "stream.drop-readable", CanonStreamDropWritable: "stream.drop-writable",
	CanonFutureNew: "future.new", CanonFutureRead: "future.read", CanonFutureWrite: "future.write",
	CanonFutureCancelRead: "future.cancel-read", CanonFutureCancelWrite: "future.cancel-write",
	CanonFutureDropReadable: "future.drop-readable", CanonFutureDropWritable: "future.drop-writable",
	CanonErrorContextNew: "error-context.new", CanonErrorContextDebugMessage: "error-context.debug-message",
	CanonErrorContextDrop: "error-context.drop",
	CanonWaitableSetNew:   "waitable-set.new", CanonWaitableSetWait: "waitable-set.wait",
	CanonWaitableSetPoll: "waitable-set.poll", CanonWaitableSetDrop: "waitable-set.drop",
	CanonWaitableJoin: "waitable.join", CanonBackpressureInc: "backpressure.inc", CanonBackpressureDec: "backpressure.dec",
	CanonThreadIndex: "thread.index", CanonThreadNewIndirect: "thread.new-indirect",
	CanonThreadResumeLater: "thread.resume-later", CanonThreadSuspend: "thread.suspend",
	CanonThreadSuspendThenResume: "thread.suspend-then-resume", CanonThreadYieldThenResume: "thread.yield-then-resume",
	CanonThreadSuspendThenPromote: "thread.suspend-then-promote", CanonThreadYieldThenPromote: "thread.yield-then-promote",
	CanonThreadSpawnRef: "thread.spawn-ref", CanonThreadSpawnIndirect: "thread.spawn-indirect",
	CanonThreadAvailableParallelism: "thread.available-parallelism",
}

// String returns the operation's name in the text format, without "canon".
func (op CanonOp) String() string {
	if s, ok := canonNames[op]; ok {
		return s
	}
	return "unknown canonical definition"
}

// Canon is a canonical definition. Which fields hold depends on Op, as in
// Binary.md; all but CanonLift define a core function.
type Canon struct {
	Offset      int
	Op          CanonOp
	Func        uint32 // lift: core function; lower: function
	Type        uint32 // lift: function type; resource, stream, future: type; thread.new-indirect and spawn: core type
	Opts        []CanonOpt
	Result      *ValType     // task.return
	Async       bool         // subtask.cancel, stream/future cancel
	Cancellable bool         // waitable-set.wait/poll, thread suspension
	Shared      bool         // thread.spawn
	Memory      uint32       // waitable-set.wait/poll
	Table       uint32       // thread.new-indirect, thread.spawn-indirect
	ValType     wasm.ValType // context.get/set
	Slot        uint32       // context.get/set
}

// CanonOptKind is a canonical option, with its code.
type CanonOptKind byte

const (
	OptUTF8        CanonOptKind = 0x00
	OptUTF16       CanonOptKind = 0x01
	OptLatin1UTF16 CanonOptKind = 0x02
	OptMemory      CanonOptKind = 0x03 // Index is a core memory
	OptRealloc     CanonOptKind = 0x04 // Index is a core function, as below
	OptPostReturn  CanonOptKind = 0x05
	OptAsync       CanonOptKind = 0x06
	OptCallback    CanonOptKind = 0x07
	OptCoreType    CanonOptKind = 0x08 // GC; Index is a core type
	OptGC          CanonOptKind = 0x09
)

// CanonOpt is one canonical option.
type CanonOpt struct {
	Offset int
	Kind   CanonOptKind
	Index  uint32
}
