package wasm

import "fmt"

// Error reports a module that is malformed or invalid.
type Error struct {
	// Offset is the position of the fault in bytes from the start of the input,
	// plus the base given to [DecodeAt].
	Offset int
	// Rule names the rule that is broken, in the words of the core specification
	// where it has some ("type mismatch", "unknown function").
	Rule string
	// Detail says what was found; it may be empty.
	Detail string
	// Malformed tells a module that cannot be parsed from one that is parsed but invalid.
	Malformed bool
}

func (e *Error) Error() string {
	kind := "invalid"
	if e.Malformed {
		kind = "malformed"
	}
	if e.Detail == "" {
		return fmt.Sprintf("%s core module at offset %#x: %s", kind, e.Offset, e.Rule)
	}
	return fmt.Sprintf("%s core module at offset %#x: %s: %s", kind, e.Offset, e.Rule, e.Detail)
}

// UnsupportedError reports a module that needs a feature which the engine does not run.
// The module may be a valid one.
type UnsupportedError struct {
	Feature Feature
	// Offset is the position of the first use of the feature, as in [Error].
	Offset int
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("core module needs %s (at offset %#x), which is not supported", e.Feature, e.Offset)
}

// Feature is a part of core WebAssembly, or a proposal to it, that the engine does not run.
type Feature uint8

const (
	MultiMemory Feature = iota + 1
	Memory64
	GC
	RelaxedSIMD
	LegacyExceptions
	CustomPageSizes
	SharedEverything
	StackSwitching
	WideArithmetic
	CompactImports
	CustomDescriptors
	MemoryControl
	// LongOpcodes are instruction codes with more bytes than needed. The format has
	// them; the engine misreads them.
	LongOpcodes
	// RecursiveTypes are function types that refer to themselves.
	RecursiveTypes
	// DefinedGlobals are constant expressions that read globals which are not imported.
	DefinedGlobals
	// LargeTables are tables that begin with more than 2^27 elements.
	LargeTables
	// VectorExceptions are exception tags with a v128 among their parameters. The
	// engine reserves 8 bytes for it and writes 16, beyond the end of what it has.
	VectorExceptions
	// SelectReferences are selects whose type is written in more than one byte, which
	// the engine misreads, or is exnref.
	SelectReferences
	// CaughtExceptions are handlers of exceptions: see [Module.CheckExceptions].
	CaughtExceptions
)

func (f Feature) String() string {
	switch f {
	case MultiMemory:
		return "multiple memories"
	case Memory64:
		return "64-bit memories or tables"
	case GC:
		return "garbage-collected types"
	case RelaxedSIMD:
		return "relaxed SIMD"
	case LegacyExceptions:
		return "legacy exceptions"
	case CustomPageSizes:
		return "custom page sizes"
	case SharedEverything:
		return "shared-everything threads"
	case StackSwitching:
		return "stack switching"
	case WideArithmetic:
		return "wide arithmetic"
	case CompactImports:
		return "the compact import section"
	case CustomDescriptors:
		return "custom descriptors"
	case MemoryControl:
		return "memory control"
	case LongOpcodes:
		return "overlong instruction codes"
	case RecursiveTypes:
		return "recursive function types"
	case DefinedGlobals:
		return "constant expressions that read globals of the module itself"
	case LargeTables:
		return "tables of more than 2^27 elements"
	case VectorExceptions:
		return "exceptions that carry vectors"
	case SelectReferences:
		return "select of references other than funcref and externref"
	case CaughtExceptions:
		return "handlers of exceptions"
	default:
		return fmt.Sprintf("feature %d", uint8(f))
	}
}
