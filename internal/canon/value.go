package canon

import (
	"fmt"
	"math"
	"unicode/utf8"
)

// Val is a dynamic value of a component type. The concrete types are those of
// this package whose names end in Val, and *Handle.
type Val interface{ val() }

// The scalar values.
type (
	BoolVal   bool
	S8Val     int8
	U8Val     uint8
	S16Val    int16
	U16Val    uint16
	S32Val    int32
	U32Val    uint32
	S64Val    int64
	U64Val    uint64
	F32Val    float32
	F64Val    float64
	CharVal   rune
	StringVal string
)

// The compound values.
type (
	// BytesVal is a list of u8; ListVal of U8Val is accepted in its place.
	BytesVal []byte
	// ListVal is a list, of fixed length or not.
	ListVal []Val
	// RecordVal is a record; when lowered, fields may be in any order.
	RecordVal []FieldVal
	// TupleVal is a tuple.
	TupleVal []Val
	// VariantVal is one case of a variant; Payload is nil where it has none.
	VariantVal struct {
		Case    string
		Payload Val
	}
	// EnumVal is the label of an enum.
	EnumVal string
	// OptionVal is an optional value; Some is nil for none.
	OptionVal struct{ Some Val }
	// ResultVal is a result; Payload is nil where the side has none.
	ResultVal struct {
		IsErr   bool
		Payload Val
	}
	// FlagsVal holds the labels that are set.
	FlagsVal []string
	// MapVal is a map, in the order of its encoding.
	MapVal []EntryVal
)

// FieldVal is a field of a record value.
type FieldVal struct {
	Name  string
	Value Val
}

// EntryVal is an entry of a map value.
type EntryVal struct{ Key, Value Val }

// Handle is a resource outside any handle table: an owned one belongs to
// whoever holds it until it is passed on or dropped; a borrowed one is valid
// until the call that it was given to returns.
type Handle struct {
	Type *ResourceType
	Rep  Rep
	Own  bool
	// Gone is set once ownership was passed on.
	Gone bool
}

func (BoolVal) val()    {}
func (S8Val) val()      {}
func (U8Val) val()      {}
func (S16Val) val()     {}
func (U16Val) val()     {}
func (S32Val) val()     {}
func (U32Val) val()     {}
func (S64Val) val()     {}
func (U64Val) val()     {}
func (F32Val) val()     {}
func (F64Val) val()     {}
func (CharVal) val()    {}
func (StringVal) val()  {}
func (BytesVal) val()   {}
func (ListVal) val()    {}
func (RecordVal) val()  {}
func (TupleVal) val()   {}
func (VariantVal) val() {}
func (EnumVal) val()    {}
func (OptionVal) val()  {}
func (ResultVal) val()  {}
func (FlagsVal) val()   {}
func (MapVal) val()     {}
func (*Handle) val()    {}
func (text) val()       {} // a string on its way from one guest to another

// scalarKind returns the kind of scalar and string values.
func scalarKind(v Val) Kind {
	switch v.(type) {
	case BoolVal:
		return KindBool
	case S8Val:
		return KindS8
	case U8Val:
		return KindU8
	case S16Val:
		return KindS16
	case U16Val:
		return KindU16
	case S32Val:
		return KindS32
	case U32Val:
		return KindU32
	case S64Val:
		return KindS64
	case U64Val:
		return KindU64
	case F32Val:
		return KindF32
	case F64Val:
		return KindF64
	case CharVal:
		return KindChar
	case StringVal:
		return KindString
	}
	return 0
}

// Check reports how v is not a value of t, or nil. Lowering relies on it.
func Check(v Val, t *Type) error {
	switch t.Kind {
	case KindChar:
		if c, ok := v.(CharVal); ok && !utf8.ValidRune(rune(c)) {
			return fmt.Errorf("%#x is not a Unicode scalar value", rune(c))
		}
	case KindString:
		if s, ok := v.(StringVal); ok && !utf8.ValidString(string(s)) {
			return fmt.Errorf("string is not valid UTF-8")
		}
	case KindList:
		return checkList(v, t)
	case KindMap:
		m, ok := v.(MapVal)
		if !ok {
			break
		}
		for i, e := range m {
			for j, p := range []Val{e.Key, e.Value} {
				if err := Check(p, t.Elem.Fields[j].Type); err != nil {
					return fmt.Errorf("entry %d: %w", i, err)
				}
			}
		}
		return nil
	case KindRecord:
		r, ok := v.(RecordVal)
		if !ok {
			break
		}
		if len(r) != len(t.Fields) {
			return fmt.Errorf("record has %d fields, expected %d", len(r), len(t.Fields))
		}
		for _, f := range t.Fields {
			p := r.field(f.Name)
			if p == nil {
				return fmt.Errorf("record has no field %q", f.Name)
			}
			if err := Check(p, f.Type); err != nil {
				return fmt.Errorf("field %s: %w", f.Name, err)
			}
		}
		return nil
	case KindTuple:
		u, ok := v.(TupleVal)
		if !ok {
			break
		}
		if len(u) != len(t.Fields) {
			return fmt.Errorf("tuple has %d elements, expected %d", len(u), len(t.Fields))
		}
		for i, f := range t.Fields {
			if err := Check(u[i], f.Type); err != nil {
				return fmt.Errorf("element %d: %w", i, err)
			}
		}
		return nil
	case KindVariant, KindEnum, KindOption, KindResult:
		i, p, ok := t.caseOf(v)
		if !ok {
			break
		}
		if i < 0 {
			return fmt.Errorf("%v is no case of %s", v, t)
		}
		c := t.Cases[i]
		if (c.Type == nil) != (p == nil) {
			return fmt.Errorf("payload of case %s: expected %v, got %T", c.Name, c.Type, p)
		}
		if p == nil {
			return nil
		}
		if err := Check(p, c.Type); err != nil {
			return fmt.Errorf("case %s: %w", c.Name, err)
		}
		return nil
	case KindFlags:
		f, ok := v.(FlagsVal)
		if !ok {
			break
		}
		for _, l := range f {
			if t.label(l) < 0 {
				return fmt.Errorf("%q is no flag of %s", l, t)
			}
		}
		return nil
	case KindOwn, KindBorrow:
		h, ok := v.(*Handle)
		if !ok || h == nil {
			break
		}
		switch {
		case h.Gone:
			return fmt.Errorf("resource handle of %s was passed on or dropped before", h.Type.Name)
		case t.Kind == KindOwn && !h.Own:
			return fmt.Errorf("borrowed handle of %s given where an owned one is needed", h.Type.Name)
		}
		return nil
	case KindStream, KindFuture, KindErrorContext:
		return fmt.Errorf("values of type %s can't cross the host boundary yet", t)
	}
	if k := scalarKind(v); k != 0 && k == t.Kind {
		return nil
	}
	return fmt.Errorf("expected a value of type %s, got %T", t, v)
}

func checkList(v Val, t *Type) error {
	n := 0
	switch l := v.(type) {
	case BytesVal:
		if t.Elem.Kind != KindU8 {
			return fmt.Errorf("expected a value of type %s, got bytes", t)
		}
		n = len(l)
	case ListVal:
		for i, e := range l {
			if err := Check(e, t.Elem); err != nil {
				return fmt.Errorf("element %d: %w", i, err)
			}
		}
		n = len(l)
	default:
		return fmt.Errorf("expected a value of type %s, got %T", t, v)
	}
	if t.Fixed && n != int(t.Len) {
		return fmt.Errorf("list has %d elements, expected %d", n, t.Len)
	}
	if uint64(n)*uint64(t.Elem.Size) > math.MaxInt32 {
		return fmt.Errorf("list of %d elements is too large", n)
	}
	return nil
}

func (r RecordVal) field(name string) Val {
	for _, f := range r {
		if f.Name == name {
			return f.Value
		}
	}
	return nil
}

func (t *Type) label(l string) int {
	for i, s := range t.Labels {
		if s == l {
			return i
		}
	}
	return -1
}

// caseOf returns the index of v's case, -1 if there is none of that name, and
// its payload; ok is false if v is of another kind.
func (t *Type) caseOf(v Val) (index int, payload Val, ok bool) {
	name := ""
	switch v := v.(type) {
	case OptionVal:
		if t.Kind != KindOption {
			return 0, nil, false
		}
		if v.Some == nil {
			return 0, nil, true
		}
		return 1, v.Some, true
	case ResultVal:
		if t.Kind != KindResult {
			return 0, nil, false
		}
		if v.IsErr {
			return 1, v.Payload, true
		}
		return 0, v.Payload, true
	case EnumVal:
		if t.Kind != KindEnum {
			return 0, nil, false
		}
		name = string(v)
	case VariantVal:
		if t.Kind != KindVariant {
			return 0, nil, false
		}
		name, payload = v.Case, v.Payload
	default:
		return 0, nil, false
	}
	for i, c := range t.Cases {
		if c.Name == name {
			return i, payload, true
		}
	}
	return -1, nil, true
}

// caseVal is the value of a case, the inverse of caseOf.
func (t *Type) caseVal(i uint32, payload Val) Val {
	switch t.Kind {
	case KindOption:
		return OptionVal{Some: payload}
	case KindResult:
		return ResultVal{IsErr: i == 1, Payload: payload}
	case KindEnum:
		return EnumVal(t.Cases[i].Name)
	default:
		return VariantVal{Case: t.Cases[i].Name, Payload: payload}
	}
}
