package main

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"unicode/utf8"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/internal/canon"
)

// value is a constant of a script.
type value struct {
	Type  string          `json:"type"`
	Value json.RawMessage `json:"value"`
}

// bits returns the bits of a core constant.
func (v *value) bits() (uint64, error) {
	var s string
	if err := json.Unmarshal(v.Value, &s); err != nil {
		return 0, err
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		if v.Type == "i32" {
			return uint64(uint32(n)), nil
		}
		return uint64(n), nil
	}
	return strconv.ParseUint(s, 10, 64)
}

// val makes a value of a component type.
func (v *value) val(t *component.Type) (component.Val, error) {
	switch v.Type {
	case "bool":
		var b bool
		err := json.Unmarshal(v.Value, &b)
		return component.BoolVal(b), err
	case "string", "enum", "char":
		var s string
		if err := json.Unmarshal(v.Value, &s); err != nil {
			return nil, err
		}
		switch v.Type {
		case "char":
			r, _ := utf8.DecodeRuneInString(s)
			return component.CharVal(r), nil
		case "enum":
			return component.EnumVal(s), nil
		}
		return component.StringVal(s), nil
	case "list", "tuple":
		var items []value
		if err := json.Unmarshal(v.Value, &items); err != nil {
			return nil, err
		}
		return v.sequence(items, t)
	case "record":
		var fields [][2]json.RawMessage
		if err := json.Unmarshal(v.Value, &fields); err != nil {
			return nil, err
		}
		out := component.RecordVal{}
		for n, f := range fields {
			var name string
			var fv value
			if err := json.Unmarshal(f[0], &name); err != nil {
				return nil, err
			}
			if err := json.Unmarshal(f[1], &fv); err != nil {
				return nil, err
			}
			if t.Kind != canon.KindRecord || n >= len(t.Fields) {
				return nil, fmt.Errorf("%s is no such record", t)
			}
			x, err := fv.val(t.Fields[n].Type)
			if err != nil {
				return nil, err
			}
			out = append(out, component.FieldVal{Name: name, Value: x})
		}
		return out, nil
	case "variant":
		var c struct {
			Case    string `json:"case"`
			Payload *value `json:"payload"`
		}
		if err := json.Unmarshal(v.Value, &c); err != nil {
			return nil, err
		}
		p, err := c.Payload.payload(t, c.Case)
		return component.VariantVal{Case: c.Case, Payload: p}, err
	case "option":
		p, err := inner(v.Value).payload(t, "some")
		return component.OptionVal{Some: p}, err
	case "result":
		var sides map[string]*value
		if err := json.Unmarshal(v.Value, &sides); err != nil {
			return nil, err
		}
		if p, ok := sides["Ok"]; ok {
			x, err := p.payload(t, "ok")
			return component.ResultVal{Payload: x}, err
		}
		x, err := sides["Err"].payload(t, "error")
		return component.ResultVal{IsErr: true, Payload: x}, err
	case "flags":
		labels := []string{}
		err := json.Unmarshal(v.Value, &labels)
		return component.FlagsVal(labels), err
	}
	return v.number()
}

func inner(raw json.RawMessage) *value {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	v := &value{}
	if json.Unmarshal(raw, v) != nil {
		return nil
	}
	return v
}

// payload makes the payload of a case of t, nil for none.
func (v *value) payload(t *component.Type, name string) (component.Val, error) {
	if v == nil {
		return nil, nil
	}
	for _, c := range t.Cases {
		if c.Name == name && c.Type != nil {
			return v.val(c.Type)
		}
	}
	return nil, fmt.Errorf("%s has no case %q with a payload", t, name)
}

func (v *value) sequence(items []value, t *component.Type) (component.Val, error) {
	out := make([]component.Val, len(items))
	for n := range items {
		elem := t.Elem
		if t.Kind == canon.KindTuple && n < len(t.Fields) {
			elem = t.Fields[n].Type
		}
		if elem == nil {
			return nil, fmt.Errorf("%s is no %s", t, v.Type)
		}
		x, err := items[n].val(elem)
		if err != nil {
			return nil, err
		}
		out[n] = x
	}
	switch {
	case t.Kind == canon.KindTuple:
		return component.TupleVal(out), nil
	case t.Kind == canon.KindMap:
		m := component.MapVal{}
		for _, e := range out {
			p := e.(component.TupleVal)
			m = append(m, component.EntryVal{Key: p[0], Value: p[1]})
		}
		return m, nil
	case t.Elem.Kind == canon.KindU8:
		b := make(component.BytesVal, len(out))
		for n := range out {
			b[n] = byte(out[n].(component.U8Val))
		}
		return b, nil
	}
	return component.ListVal(out), nil
}

func (v *value) number() (component.Val, error) {
	var s string
	if err := json.Unmarshal(v.Value, &s); err != nil {
		return nil, fmt.Errorf("%s: %w", v.Type, err)
	}
	if v.Type == "f32" || v.Type == "f64" {
		return v.float(s)
	}
	signed := v.Type[0] == 's'
	var i int64
	var u uint64
	var err error
	if signed {
		i, err = strconv.ParseInt(s, 10, 64)
	} else {
		u, err = strconv.ParseUint(s, 10, 64)
	}
	if err != nil {
		return nil, err
	}
	switch v.Type {
	case "s8":
		return component.S8Val(i), nil
	case "u8":
		return component.U8Val(u), nil
	case "s16":
		return component.S16Val(i), nil
	case "u16":
		return component.U16Val(u), nil
	case "s32":
		return component.S32Val(i), nil
	case "u32", "i32":
		return component.U32Val(u), nil
	case "s64":
		return component.S64Val(i), nil
	case "u64", "i64":
		return component.U64Val(u), nil
	}
	return nil, fmt.Errorf("value type %q is not known", v.Type)
}

func (v *value) float(s string) (component.Val, error) {
	if s == "nan:canonical" || s == "nan:arithmetic" {
		if v.Type == "f32" {
			return component.F32Val(math.Float32frombits(0x7fc00000)), nil
		}
		return component.F64Val(math.Float64frombits(0x7ff8000000000000)), nil
	}
	bits, err := strconv.ParseUint(s, 10, 64)
	if v.Type == "f32" {
		return component.F32Val(math.Float32frombits(uint32(bits))), err
	}
	return component.F64Val(math.Float64frombits(bits)), err
}

// match compares results with what a script expects.
func match(got []component.Val, want []value) error {
	if len(got) != len(want) {
		return fmt.Errorf("expected %d results, got %v", len(want), got)
	}
	for n := range got {
		w, err := want[n].val(typeOf(got[n]))
		if err != nil {
			return fmt.Errorf("expected value: %w (got %#v)", err, got[n])
		}
		if !equal(got[n], w) {
			return fmt.Errorf("expected %#v, got %#v", w, got[n])
		}
	}
	return nil
}

// equal compares values; NaNs are equal where their bits are.
func equal(a, b component.Val) bool {
	if x, ok := a.(component.F32Val); ok {
		y, ok := b.(component.F32Val)
		return ok && math.Float32bits(float32(x)) == math.Float32bits(float32(y))
	}
	if x, ok := a.(component.F64Val); ok {
		y, ok := b.(component.F64Val)
		return ok && math.Float64bits(float64(x)) == math.Float64bits(float64(y))
	}
	return reflect.DeepEqual(a, b)
}

// typeOf derives as much of a value's type as reading an expected constant
// takes.
func typeOf(v component.Val) *component.Type {
	switch v := v.(type) {
	case component.BytesVal:
		return canon.List(canon.U8)
	case component.ListVal:
		if len(v) == 0 {
			return canon.List(canon.Bool)
		}
		return canon.List(typeOf(v[0]))
	case component.MapVal:
		if len(v) == 0 {
			return canon.Map(canon.Bool, canon.Bool)
		}
		return canon.Map(typeOf(v[0].Key), typeOf(v[0].Value))
	case component.RecordVal:
		fields := make([]canon.Field, len(v))
		for n, f := range v {
			fields[n] = canon.Field{Name: f.Name, Type: typeOf(f.Value)}
		}
		return canon.Record(fields...)
	case component.TupleVal:
		types := make([]*canon.Type, len(v))
		for n := range v {
			types[n] = typeOf(v[n])
		}
		return canon.Tuple(types...)
	case component.VariantVal:
		if v.Payload == nil {
			return canon.Variant(canon.Case{Name: v.Case})
		}
		return canon.Variant(canon.Case{Name: v.Case, Type: typeOf(v.Payload)})
	case component.OptionVal:
		if v.Some == nil {
			return canon.Option(canon.Bool)
		}
		return canon.Option(typeOf(v.Some))
	case component.ResultVal:
		if v.Payload == nil {
			return canon.Result(nil, nil)
		}
		t := typeOf(v.Payload)
		return canon.Result(t, t)
	default:
		return canon.Bool
	}
}
