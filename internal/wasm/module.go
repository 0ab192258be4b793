// Package wasm reads, validates, rewrites and writes core WebAssembly modules.
//
// [Decode] parses a module into a [Module], [Validate] checks it, and [Module.Encode]
// writes it back after its fields were edited. The binary format is the one of the core
// specification 3.0 without garbage-collected types; what the engine does not run is
// reported as an [UnsupportedError].
package wasm

import "fmt"

// Kind is the kind of an import or export; its values are those of the binary format.
type Kind uint8

const (
	KindFunc   Kind = 0
	KindTable  Kind = 1
	KindMemory Kind = 2
	KindGlobal Kind = 3
	KindTag    Kind = 4
)

func (k Kind) String() string {
	switch k {
	case KindFunc:
		return "function"
	case KindTable:
		return "table"
	case KindMemory:
		return "memory"
	case KindGlobal:
		return "global"
	case KindTag:
		return "tag"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// FuncType is the type of a function or of an exception tag.
type FuncType struct {
	Params, Results []ValType
	Offset          int // of its encoding in the input
}

// Limits bound the size of a table in elements or of a memory in pages.
type Limits struct {
	Min    uint64
	Max    uint64 // meaningful if HasMax
	HasMax bool
	// Index64 makes addresses i64 instead of i32.
	Index64 bool
	Shared  bool
}

// Within tells whether a size under these limits is always one that the wanted
// limits allow.
func (l Limits) Within(want Limits) bool {
	return l.Min >= want.Min && (!want.HasMax || l.HasMax && l.Max <= want.Max)
}

// TableType is the type of a table.
type TableType struct {
	Elem   ValType
	Limits Limits
}

// MemoryType is the type of a memory.
type MemoryType struct {
	Limits Limits
	// PageSizeLog2 is the binary logarithm of the page size; HasPageSize tells whether
	// it was given explicitly. It is 16 otherwise.
	PageSizeLog2 uint32
	HasPageSize  bool
}

// GlobalType is the type of a global variable.
type GlobalType struct {
	Val     ValType
	Mutable bool
}

// Extern is the type of an import as it is written: functions and tags by type index.
type Extern struct {
	Kind   Kind
	Type   uint32 // KindFunc, KindTag: index into Types
	Table  TableType
	Memory MemoryType
	Global GlobalType
}

// Import is one import.
type Import struct {
	Module, Name string
	Extern
	Offset int
}

// Function is a function that the module defines; its body is the entry of Code with the
// same position.
type Function struct {
	Type   uint32
	Offset int
}

// Table is a table that the module defines.
type Table struct {
	TableType
	// Init is the initial value of every element, or empty for null.
	Init   Expr
	Offset int
}

// Memory is a memory that the module defines.
type Memory struct {
	MemoryType
	Offset int
}

// Tag is an exception tag that the module defines.
type Tag struct {
	Type   uint32
	Offset int
}

// Global is a global variable that the module defines.
type Global struct {
	GlobalType
	Init   Expr
	Offset int
}

// Export is one export.
type Export struct {
	Name   string
	Kind   Kind
	Index  uint32
	Offset int
}

// Start names the start function.
type Start struct {
	Func   uint32
	Offset int
}

// Expr is a constant expression in the binary format, its closing end included.
type Expr struct {
	Code   []byte
	Offset int
}

// SegmentMode tells what becomes of a segment when the module is instantiated.
type SegmentMode uint8

const (
	Active      SegmentMode = iota // copied at Offset, then dropped
	Passive                        // kept for the init instructions
	Declarative                    // only declares functions for ref.func (elements)
)

// Element is an element segment. Its items are either Funcs or Exprs.
type Element struct {
	Mode  SegmentMode
	Table uint32 // Active
	At    Expr   // Active
	Type  ValType
	Funcs []uint32
	Exprs []Expr
	// UsesExprs tells which of Funcs and Exprs is written.
	UsesExprs bool
	// Explicit selects the encoding that names table and type where a shorter one exists.
	Explicit bool
	Offset   int
}

// Data is a data segment.
type Data struct {
	Mode   SegmentMode
	Memory uint32 // Active
	At     Expr   // Active
	Init   []byte
	// Explicit selects the encoding that names the memory though its index is 0.
	Explicit bool
	Offset   int
}

// Body is the code of a function: declarations of locals, then an expression.
type Body struct {
	Code   []byte
	Offset int
}

// Custom is a custom section. One that is added is written after all other sections.
type Custom struct {
	Name   string
	Data   []byte
	Offset int // of Data

	// before is the rank of the section that follows in the input, or 0 if none does.
	before int
}

// Module is a decoded module. Its slices alias the input it was decoded from, which must
// not change while the module is in use. Fields may be edited before [Module.Encode];
// slices of bytes may be replaced but not written to.
//
// Offsets are positions in the input that Decode was given, plus its base; they mean nothing in entries
// that are added, and Encode ignores them.
type Module struct {
	Types     []FuncType
	Imports   []Import
	Functions []Function
	Tables    []Table
	Memories  []Memory
	Tags      []Tag
	Globals   []Global
	Exports   []Export
	Start     *Start
	Elements  []Element
	DataCount *uint32
	Code      []Body
	Data      []Data
	Customs   []Custom

	// present has the sections that are in the input, by identifier; they may be empty.
	present     [len(sectionRank)]bool
	unsupported *UnsupportedError
}

// ExternType is the type of an import or export with type indices resolved.
type ExternType struct {
	Kind   Kind
	Func   FuncType // KindFunc, KindTag
	Table  TableType
	Memory MemoryType
	Global GlobalType
}

// Space is the index spaces of a module: the types of imports followed by those of
// definitions.
type Space struct {
	Funcs    []uint32 // type indices
	Tables   []TableType
	Memories []MemoryType
	Globals  []GlobalType
	Tags     []uint32 // type indices
}

// Space returns the index spaces of m as they are now.
func (m *Module) Space() *Space {
	s := &Space{Funcs: make([]uint32, 0, len(m.Functions)+len(m.Imports))}
	for i := range m.Imports {
		switch im := &m.Imports[i]; im.Kind {
		case KindFunc:
			s.Funcs = append(s.Funcs, im.Type)
		case KindTable:
			s.Tables = append(s.Tables, im.Table)
		case KindMemory:
			s.Memories = append(s.Memories, im.Memory)
		case KindGlobal:
			s.Globals = append(s.Globals, im.Global)
		case KindTag:
			s.Tags = append(s.Tags, im.Type)
		}
	}
	for i := range m.Functions {
		s.Funcs = append(s.Funcs, m.Functions[i].Type)
	}
	for i := range m.Tables {
		s.Tables = append(s.Tables, m.Tables[i].TableType)
	}
	for i := range m.Memories {
		s.Memories = append(s.Memories, m.Memories[i].MemoryType)
	}
	for i := range m.Globals {
		s.Globals = append(s.Globals, m.Globals[i].GlobalType)
	}
	for i := range m.Tags {
		s.Tags = append(s.Tags, m.Tags[i].Type)
	}
	return s
}

// ImportTypes returns the types of m.Imports, in order. It fails with an [*Error] on a
// reference to a type that does not exist.
func (m *Module) ImportTypes() ([]ExternType, error) {
	types := make([]ExternType, len(m.Imports))
	for i := range m.Imports {
		im := &m.Imports[i]
		t := ExternType{Kind: im.Kind, Table: im.Table, Memory: im.Memory, Global: im.Global}
		if im.Kind == KindFunc || im.Kind == KindTag {
			ft, err := m.funcType(im.Type, im.Offset)
			if err != nil {
				return nil, err
			}
			t.Func = ft
		}
		types[i] = t
	}
	return types, nil
}

// ExportTypes returns the types of m.Exports, in order. It fails with an [*Error] on a
// reference to something that does not exist.
func (m *Module) ExportTypes() ([]ExternType, error) {
	space := m.Space()
	types := make([]ExternType, len(m.Exports))
	for i := range m.Exports {
		e := &m.Exports[i]
		t := ExternType{Kind: e.Kind}
		var err error
		ok := false
		switch n := int(e.Index); e.Kind {
		case KindFunc:
			if ok = n < len(space.Funcs); ok {
				t.Func, err = m.funcType(space.Funcs[n], e.Offset)
			}
		case KindTable:
			if ok = n < len(space.Tables); ok {
				t.Table = space.Tables[n]
			}
		case KindMemory:
			if ok = n < len(space.Memories); ok {
				t.Memory = space.Memories[n]
			}
		case KindGlobal:
			if ok = n < len(space.Globals); ok {
				t.Global = space.Globals[n]
			}
		case KindTag:
			if ok = n < len(space.Tags); ok {
				t.Func, err = m.funcType(space.Tags[n], e.Offset)
			}
		}
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, &Error{Offset: e.Offset, Rule: "unknown " + e.Kind.String(), Detail: fmt.Sprintf("export %q names index %d", e.Name, e.Index)}
		}
		types[i] = t
	}
	return types, nil
}

func (m *Module) funcType(index uint32, offset int) (FuncType, error) {
	if int(index) >= len(m.Types) {
		return FuncType{}, unknown("type", index, offset)
	}
	return m.Types[index], nil
}

func unknown(what string, index uint32, offset int) *Error {
	return &Error{Offset: offset, Rule: fmt.Sprintf("unknown %s %d", what, index), Detail: what + " index out of bounds"}
}

// Custom returns the first custom section of that name.
func (m *Module) Custom(name string) (Custom, bool) {
	for _, c := range m.Customs {
		if c.Name == name {
			return c, true
		}
	}
	return Custom{}, false
}

// RenameImports gives every import the names that rename returns for it.
func (m *Module) RenameImports(rename func(index int, imp Import) (module, name string)) {
	for i := range m.Imports {
		m.Imports[i].Module, m.Imports[i].Name = rename(i, m.Imports[i])
	}
}
