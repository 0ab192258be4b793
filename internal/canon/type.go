// Package canon implements the Canonical ABI of the component model
// (CanonicalABI.md): the layout and flattening of types, lifting and lowering
// of values, string transcoding, and handle tables. It knows nothing of
// components and engines: a guest is a memory and a realloc function.
package canon

import (
	"fmt"
	"math"
	"strings"
)

// Kind is the kind of a value type.
type Kind uint8

// The kinds. Option, Result, Enum, Tuple and Map are kept apart from what they
// despecialize to, so that dynamic values can be written naturally.
const (
	KindBool Kind = iota + 1
	KindS8
	KindU8
	KindS16
	KindU16
	KindS32
	KindU32
	KindS64
	KindU64
	KindF32
	KindF64
	KindChar
	KindString
	KindErrorContext
	KindList
	KindRecord
	KindTuple
	KindVariant
	KindEnum
	KindOption
	KindResult
	KindFlags
	KindOwn
	KindBorrow
	KindStream
	KindFuture
	KindMap
)

var kindNames = [...]string{
	KindBool: "bool", KindS8: "s8", KindU8: "u8", KindS16: "s16", KindU16: "u16", KindS32: "s32", KindU32: "u32",
	KindS64: "s64", KindU64: "u64", KindF32: "f32", KindF64: "f64", KindChar: "char", KindString: "string",
	KindErrorContext: "error-context", KindList: "list", KindRecord: "record", KindTuple: "tuple",
	KindVariant: "variant", KindEnum: "enum", KindOption: "option", KindResult: "result", KindFlags: "flags",
	KindOwn: "own", KindBorrow: "borrow", KindStream: "stream", KindFuture: "future", KindMap: "map",
}

func (k Kind) String() string { return kindNames[k] }

// CoreType is the type of a flattened value.
type CoreType uint8

// The core types, in the order that join relies on.
const (
	I32 CoreType = iota
	I64
	F32
	F64
)

// Bounds of the flat form of function types.
const (
	MaxFlatParams      = 16
	MaxFlatAsyncParams = 4
	MaxFlatResults     = 1
)

// Type is a value type with its layout in a 32-bit memory. Types are immutable
// once constructed and may be shared.
type Type struct {
	Kind   Kind
	Fields []Field  // record; tuple, with empty names
	Cases  []Case   // variant, enum, option ("none", "some"), result ("ok", "error")
	Labels []string // flags
	Elem   *Type    // list; stream and future, where nil is no payload; map: a tuple of key and value
	Fixed  bool     // list of Len elements, stored in place
	Len    uint32
	// Resource names the resource type of a handle, as an identity that the
	// owner of the type gives a meaning to (see Context.Resource).
	Resource *Resource

	// Size is in bytes; of a type that is larger than any memory it is the largest
	// number there is.
	Size, Align uint32
	// Flat is the flattened type, cut off behind MaxFlatParams+1 entries: a
	// longer one is never passed flat.
	Flat []CoreType
	// Payload is where the payload of a case lies behind the discriminant of
	// DiscSize bytes.
	DiscSize, Payload uint32
}

// Field is a record field or tuple element at its offset.
type Field struct {
	Name   string
	Type   *Type
	Offset uint32
}

// Case is a case of a variant; Type is nil where there is no payload.
type Case struct {
	Name string
	Type *Type
}

// Resource is the static identity of a resource type in a set of types.
type Resource struct {
	Name  string
	Index int // position in Context.Resources
	// Type is the runtime type where it is the same in all instances, as for
	// one that the host defines; else nil.
	Type *ResourceType
}

// FuncType is the type of a component function.
type FuncType struct {
	Async  bool
	Params []Field // Offset is the parameter's place in the spilled tuple
	Result *Type   // nil where there is none
	// ParamTuple is the tuple of all parameters, for those spilled to memory.
	ParamTuple *Type
}

func primitive(k Kind, size uint32, flat CoreType) *Type {
	return &Type{Kind: k, Size: size, Align: size, Flat: []CoreType{flat}}
}

// The primitive types.
var (
	Bool         = primitive(KindBool, 1, I32)
	S8           = primitive(KindS8, 1, I32)
	U8           = primitive(KindU8, 1, I32)
	S16          = primitive(KindS16, 2, I32)
	U16          = primitive(KindU16, 2, I32)
	S32          = primitive(KindS32, 4, I32)
	U32          = primitive(KindU32, 4, I32)
	S64          = primitive(KindS64, 8, I64)
	U64          = primitive(KindU64, 8, I64)
	F32Type      = primitive(KindF32, 4, F32)
	F64Type      = primitive(KindF64, 8, F64)
	Char         = primitive(KindChar, 4, I32)
	String       = &Type{Kind: KindString, Size: 8, Align: 4, Flat: []CoreType{I32, I32}}
	ErrorContext = primitive(KindErrorContext, 4, I32)
)

// size returns n, or the largest size where n is beyond that: no memory has as many
// bytes, so that no value of such a type is found in one.
func size(n uint64) uint32 { return uint32(min(n, math.MaxUint32)) }

func alignTo(n uint64, align uint32) uint64 {
	return (n + uint64(align) - 1) &^ (uint64(align) - 1)
}

func cut(flat []CoreType) []CoreType {
	if len(flat) > MaxFlatParams+1 {
		return flat[:MaxFlatParams+1]
	}
	return flat
}

// List returns the type of lists of elem.
func List(elem *Type) *Type {
	return &Type{Kind: KindList, Elem: elem, Size: 8, Align: 4, Flat: []CoreType{I32, I32}}
}

// FixedList returns the type of lists of exactly n elements, n > 0.
func FixedList(elem *Type, n uint32) *Type {
	t := &Type{Kind: KindList, Elem: elem, Fixed: true, Len: n, Size: size(uint64(n) * uint64(elem.Size)), Align: elem.Align}
	for i := uint32(0); i < n && len(elem.Flat) > 0 && len(t.Flat) <= MaxFlatParams; i++ {
		t.Flat = append(t.Flat, elem.Flat...)
	}
	t.Flat = cut(t.Flat)
	return t
}

// Map returns the type of maps, which are laid out as lists of pairs.
func Map(key, value *Type) *Type {
	t := List(Tuple(key, value))
	t.Kind = KindMap
	return t
}

// Record returns the type of records with the fields, whose offsets it sets.
func Record(fields ...Field) *Type { return record(KindRecord, fields) }

// Tuple returns the type of tuples of the elements.
func Tuple(types ...*Type) *Type {
	fields := make([]Field, len(types))
	for i, t := range types {
		fields[i].Type = t
	}
	return record(KindTuple, fields)
}

func record(k Kind, fields []Field) *Type {
	t := &Type{Kind: k, Fields: append([]Field(nil), fields...), Align: 1}
	end := uint64(0)
	for i := range t.Fields {
		f := &t.Fields[i]
		end = alignTo(end, f.Type.Align)
		f.Offset = size(end)
		end += uint64(f.Type.Size)
		t.Align = max(t.Align, f.Type.Align)
		if len(t.Flat) <= MaxFlatParams {
			t.Flat = append(t.Flat, f.Type.Flat...)
		}
	}
	t.Size = size(alignTo(end, t.Align))
	t.Flat = cut(t.Flat)
	return t
}

// Variant returns the type of variants of the cases.
func Variant(cases ...Case) *Type { return variant(KindVariant, append([]Case(nil), cases...)) }

// Enum returns the type of enumerations of the labels.
func Enum(labels ...string) *Type {
	cases := make([]Case, len(labels))
	for i, l := range labels {
		cases[i].Name = l
	}
	return variant(KindEnum, cases)
}

// Option returns the type of optional values of t.
func Option(t *Type) *Type {
	return variant(KindOption, []Case{{Name: "none"}, {Name: "some", Type: t}})
}

// Result returns the type of results; either payload may be nil.
func Result(ok, err *Type) *Type {
	return variant(KindResult, []Case{{Name: "ok", Type: ok}, {Name: "error", Type: err}})
}

func variant(k Kind, cases []Case) *Type {
	t := &Type{Kind: k, Cases: cases, DiscSize: 1}
	switch {
	case len(cases) > 1<<16:
		t.DiscSize = 4
	case len(cases) > 1<<8:
		t.DiscSize = 2
	}
	var largest uint32
	align := uint32(1)
	var payload []CoreType
	for _, c := range cases {
		if c.Type == nil {
			continue
		}
		largest = max(largest, c.Type.Size)
		align = max(align, c.Type.Align)
		for i, f := range c.Type.Flat {
			if i < len(payload) {
				payload[i] = join(payload[i], f)
			} else {
				payload = append(payload, f)
			}
		}
	}
	t.Payload = uint32(alignTo(uint64(t.DiscSize), align))
	t.Align = max(align, t.DiscSize)
	t.Size = size(alignTo(uint64(t.Payload)+uint64(largest), t.Align))
	t.Flat = cut(append([]CoreType{I32}, payload...))
	return t
}

func join(a, b CoreType) CoreType {
	if a == b {
		return a
	}
	if a|b == F32 { // i32 and f32
		return I32
	}
	return I64
}

// Flags returns the type of sets of at most 32 labels.
func Flags(labels ...string) *Type {
	t := &Type{Kind: KindFlags, Labels: append([]string(nil), labels...), Flat: []CoreType{I32}}
	switch n := len(labels); {
	case n <= 8:
		t.Size = 1
	case n <= 16:
		t.Size = 2
	default:
		t.Size = 4
	}
	t.Align = t.Size
	return t
}

func handle(k Kind, r *Resource) *Type {
	t := primitive(k, 4, I32)
	t.Resource = r
	return t
}

// Own returns the type of owning handles of r.
func Own(r *Resource) *Type { return handle(KindOwn, r) }

// Borrow returns the type of borrowed handles of r.
func Borrow(r *Resource) *Type { return handle(KindBorrow, r) }

// Stream returns the type of streams of elem, or of nothing.
func Stream(elem *Type) *Type {
	t := primitive(KindStream, 4, I32)
	t.Elem = elem
	return t
}

// Future returns the type of futures of elem, or of nothing.
func Future(elem *Type) *Type {
	t := primitive(KindFuture, 4, I32)
	t.Elem = elem
	return t
}

// Func returns the type of functions; result may be nil.
func Func(async bool, params []Field, result *Type) *FuncType {
	tuple := record(KindTuple, params)
	return &FuncType{Async: async, Params: tuple.Fields, Result: result, ParamTuple: tuple}
}

// Flat is the core signature of a lifted or lowered function.
type Flat struct {
	Params, Results []CoreType
	// SpillParams: the parameters are passed as a pointer to their tuple.
	SpillParams bool
	// SpillResult: the result is in memory; lifted functions return a pointer
	// to it, lowered ones take the pointer as their last parameter.
	SpillResult bool
}

// FlattenLift returns the core signature of the callee of canon lift
// (flatten_functype). callback matters for async only.
func (ft *FuncType) FlattenLift(async, callback bool) Flat {
	f := Flat{Params: ft.ParamTuple.Flat}
	if len(f.Params) > MaxFlatParams {
		f.Params, f.SpillParams = []CoreType{I32}, true
	}
	if async {
		if callback {
			f.Results = []CoreType{I32}
		}
		return f
	}
	if ft.Result != nil {
		f.Results = ft.Result.Flat
		if len(f.Results) > MaxFlatResults {
			f.Results, f.SpillResult = []CoreType{I32}, true
		}
	}
	return f
}

// FlattenLower returns the core signature of the function that canon lower
// defines.
func (ft *FuncType) FlattenLower(async bool) Flat {
	f := Flat{Params: ft.ParamTuple.Flat}
	limit := MaxFlatParams
	if async {
		limit = MaxFlatAsyncParams
	}
	if len(f.Params) > limit {
		f.Params, f.SpillParams = []CoreType{I32}, true
	}
	n := 0
	if ft.Result != nil {
		n = len(ft.Result.Flat)
	}
	switch {
	case async:
		if n > 0 {
			f.SpillResult = true
		}
		f.Results = []CoreType{I32}
	case n > MaxFlatResults:
		f.SpillResult = true
	case n > 0:
		f.Results = ft.Result.Flat
	}
	if f.SpillResult {
		f.Params = append(append([]CoreType(nil), f.Params...), I32)
	}
	return f
}

// maxText is about how long the text of a type may be: a type may name another one any
// number of times, and that a third.
const maxText = 64 << 10

// String returns the type in the notation of WIT. Records, variants, enums and
// flags, which have no anonymous form there, are written as in the text format.
// A text of more than 64 KiB is cut off.
func (t *Type) String() string {
	var b strings.Builder
	t.write(&b)
	return b.String()
}

func (t *Type) write(b *strings.Builder) {
	if b.Len() > maxText {
		b.WriteString("...")
		return
	}
	list := func(n int, item func(i int)) {
		for i := range n {
			if i > 0 {
				b.WriteString(", ")
			}
			if b.Len() > maxText {
				b.WriteString("...")
				return
			}
			item(i)
		}
	}
	labelled := func(name string, t *Type) {
		b.WriteString(name)
		if t != nil {
			b.WriteString(": ")
			t.write(b)
		}
	}
	switch t.Kind {
	case KindRecord:
		b.WriteString("record{")
		list(len(t.Fields), func(i int) { labelled(t.Fields[i].Name, t.Fields[i].Type) })
		b.WriteByte('}')
	case KindTuple:
		b.WriteString("tuple<")
		list(len(t.Fields), func(i int) { t.Fields[i].Type.write(b) })
		b.WriteByte('>')
	case KindVariant, KindEnum:
		b.WriteString(t.Kind.String() + "{")
		list(len(t.Cases), func(i int) {
			b.WriteString(t.Cases[i].Name)
			if p := t.Cases[i].Type; p != nil {
				b.WriteByte('(')
				p.write(b)
				b.WriteByte(')')
			}
		})
		b.WriteByte('}')
	case KindFlags:
		b.WriteString("flags{")
		list(len(t.Labels), func(i int) { b.WriteString(t.Labels[i]) })
		b.WriteByte('}')
	case KindList:
		b.WriteString("list<")
		t.Elem.write(b)
		if t.Fixed {
			fmt.Fprintf(b, ", %d", t.Len)
		}
		b.WriteByte('>')
	case KindMap:
		b.WriteString("map<")
		list(2, func(i int) { t.Elem.Fields[i].Type.write(b) })
		b.WriteByte('>')
	case KindOption:
		b.WriteString("option<")
		t.Cases[1].Type.write(b)
		b.WriteByte('>')
	case KindResult:
		b.WriteString("result")
		ok, err := t.Cases[0].Type, t.Cases[1].Type
		if ok == nil && err == nil {
			return
		}
		b.WriteByte('<')
		if ok == nil {
			b.WriteByte('_')
		} else {
			ok.write(b)
		}
		if err != nil {
			b.WriteString(", ")
			err.write(b)
		}
		b.WriteByte('>')
	case KindOwn, KindBorrow:
		b.WriteString(t.Kind.String() + "<" + t.Resource.Name + ">")
	case KindStream, KindFuture:
		b.WriteString(t.Kind.String())
		if t.Elem != nil {
			b.WriteByte('<')
			t.Elem.write(b)
			b.WriteByte('>')
		}
	default:
		b.WriteString(t.Kind.String())
	}
}

// String returns the type in the notation of WIT.
func (ft *FuncType) String() string {
	var b strings.Builder
	if ft.Async {
		b.WriteString("async ")
	}
	b.WriteString("func(")
	for i, p := range ft.Params {
		if i > 0 {
			b.WriteString(", ")
		}
		if b.Len() > maxText {
			b.WriteString("...")
			break
		}
		b.WriteString(p.Name + ": ")
		p.Type.write(&b)
	}
	b.WriteByte(')')
	if ft.Result != nil {
		b.WriteString(" -> ")
		ft.Result.write(&b)
	}
	return b.String()
}
