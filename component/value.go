package component

import "github.com/ashlar-wasm/ashlar/internal/canon"

// Val is a value of a component type that is known at run time only. The
// concrete types are those below, and *Resource.
type Val = canon.Val

// The values. What they stand for is plain from their names; BytesVal is a
// list<u8>, and an OptionVal with a nil Some is none.
type (
	BoolVal    = canon.BoolVal
	S8Val      = canon.S8Val
	U8Val      = canon.U8Val
	S16Val     = canon.S16Val
	U16Val     = canon.U16Val
	S32Val     = canon.S32Val
	U32Val     = canon.U32Val
	S64Val     = canon.S64Val
	U64Val     = canon.U64Val
	F32Val     = canon.F32Val
	F64Val     = canon.F64Val
	CharVal    = canon.CharVal
	StringVal  = canon.StringVal
	BytesVal   = canon.BytesVal
	ListVal    = canon.ListVal
	RecordVal  = canon.RecordVal
	FieldVal   = canon.FieldVal
	TupleVal   = canon.TupleVal
	VariantVal = canon.VariantVal
	EnumVal    = canon.EnumVal
	OptionVal  = canon.OptionVal
	ResultVal  = canon.ResultVal
	FlagsVal   = canon.FlagsVal
	MapVal     = canon.MapVal
	EntryVal   = canon.EntryVal
)

// Resource is a resource in the hands of the host.
type Resource = canon.Handle

// Type is a value type. Its String method gives it in the notation of WIT.
type Type = canon.Type

// FuncType is a function type. Its String method gives it in the notation of
// WIT.
type FuncType = canon.FuncType
