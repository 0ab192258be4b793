package main

import (
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"unicode/utf16"

	"github.com/ashlar-wasm/ashlar/internal/canon"
)

type generator struct{ r *rand.Rand }

var primitives = []*canon.Type{
	canon.Bool, canon.S8, canon.U8, canon.S16, canon.U16, canon.S32, canon.U32, canon.S64, canon.U64,
	canon.F32Type, canon.F64Type, canon.Char, canon.String,
}

// typ returns a random type, nested at most depth deep.
func (g *generator) typ(depth int) *canon.Type {
	n := 11
	if depth == 0 {
		n = 2
	}
	switch g.r.IntN(n) {
	default:
		return primitives[g.r.IntN(len(primitives))]
	case 2:
		return canon.List(g.typ(depth - 1))
	case 3:
		return canon.FixedList(g.typ(depth-1), uint32(1+g.r.IntN(5)))
	case 4:
		fields := make([]canon.Field, 1+g.r.IntN(6))
		for i := range fields {
			fields[i] = canon.Field{Name: label(i), Type: g.typ(depth - 1)}
		}
		return canon.Record(fields...)
	case 5:
		types := make([]*canon.Type, 1+g.r.IntN(6))
		for i := range types {
			types[i] = g.typ(depth - 1)
		}
		return canon.Tuple(types...)
	case 6:
		cases := make([]canon.Case, 1+g.r.IntN(5))
		if g.r.IntN(20) == 0 {
			cases = make([]canon.Case, 250+g.r.IntN(20)) // around where the discriminant grows
		}
		for i := range cases {
			cases[i].Name = label(i)
			if g.r.IntN(3) > 0 && i < 6 {
				cases[i].Type = g.typ(depth - 1)
			}
		}
		return canon.Variant(cases...)
	case 7:
		return canon.Enum(labels(1 + g.r.IntN(300))...)
	case 8:
		return canon.Option(g.typ(depth - 1))
	case 9:
		var ok, err *canon.Type
		if g.r.IntN(3) > 0 {
			ok = g.typ(depth - 1)
		}
		if g.r.IntN(3) > 0 {
			err = g.typ(depth - 1)
		}
		return canon.Result(ok, err)
	case 10:
		if g.r.IntN(2) == 0 {
			return canon.Map(canon.String, g.typ(depth-1))
		}
		return canon.Flags(labels(1 + g.r.IntN(32))...)
	}
}

func label(i int) string { return "l" + strconv.Itoa(i) }

func labels(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = label(i)
	}
	return out
}

// flat returns a random core value, often one that is a valid pointer or a
// small number.
func (g *generator) flat(size int) uint64 {
	switch g.r.IntN(6) {
	case 0:
		return g.r.Uint64()
	case 1:
		return uint64(g.r.IntN(size)) &^ 7
	case 2:
		return uint64(g.r.Uint32())
	default:
		return uint64(g.r.IntN(6))
	}
}

func (g *generator) string() string {
	alphabets := [][]rune{[]rune("abcXYZ 09"), []rune("aé\u00ff\u0080z"), []rune("aé→\u20ac"), []rune("a\U0001f600\U00010000é")}
	a := alphabets[g.r.IntN(len(alphabets))]
	var s []rune
	for range g.r.IntN(12) {
		s = append(s, a[g.r.IntN(len(a))])
	}
	return string(s)
}

// value returns a random value of a type.
func (g *generator) value(t *canon.Type) canon.Val {
	bits := g.r.Uint64()
	if g.r.IntN(2) == 0 {
		bits &= 0xff
	}
	switch t.Kind {
	case canon.KindBool:
		return canon.BoolVal(bits&1 == 1)
	case canon.KindS8:
		return canon.S8Val(bits)
	case canon.KindU8:
		return canon.U8Val(bits)
	case canon.KindS16:
		return canon.S16Val(bits)
	case canon.KindU16:
		return canon.U16Val(bits)
	case canon.KindS32:
		return canon.S32Val(bits)
	case canon.KindU32:
		return canon.U32Val(bits)
	case canon.KindS64:
		return canon.S64Val(bits)
	case canon.KindU64:
		return canon.U64Val(bits)
	case canon.KindF32:
		return canon.F32Val(canon.Float32(uint32(bits)))
	case canon.KindF64:
		return canon.F64Val(canon.Float64(bits))
	case canon.KindChar:
		return canon.CharVal([]rune("aé→\U0001f600\u0000\ud7ff\ue000\U0010ffff")[g.r.IntN(8)])
	case canon.KindString:
		return canon.StringVal(g.string())
	case canon.KindList:
		n := g.r.IntN(5)
		if t.Fixed {
			n = int(t.Len)
		}
		if t.Elem.Kind == canon.KindU8 {
			b := make(canon.BytesVal, n)
			for i := range b {
				b[i] = byte(g.r.Uint32())
			}
			return b
		}
		l := make(canon.ListVal, n)
		for i := range l {
			l[i] = g.value(t.Elem)
		}
		return l
	case canon.KindMap:
		m := make(canon.MapVal, g.r.IntN(4))
		for i := range m {
			m[i] = canon.EntryVal{Key: g.value(t.Elem.Fields[0].Type), Value: g.value(t.Elem.Fields[1].Type)}
		}
		return m
	case canon.KindRecord:
		r := make(canon.RecordVal, len(t.Fields))
		for i, f := range t.Fields {
			r[i] = canon.FieldVal{Name: f.Name, Value: g.value(f.Type)}
		}
		return r
	case canon.KindTuple:
		u := make(canon.TupleVal, len(t.Fields))
		for i, f := range t.Fields {
			u[i] = g.value(f.Type)
		}
		return u
	case canon.KindFlags:
		f := canon.FlagsVal{}
		for _, l := range t.Labels {
			if g.r.IntN(2) == 0 {
				f = append(f, l)
			}
		}
		return f
	}
	i := g.r.IntN(len(t.Cases))
	var p canon.Val
	if c := t.Cases[i].Type; c != nil {
		p = g.value(c)
	}
	switch t.Kind {
	case canon.KindEnum:
		return canon.EnumVal(t.Cases[i].Name)
	case canon.KindOption:
		return canon.OptionVal{Some: p}
	case canon.KindResult:
		return canon.ResultVal{IsErr: i == 1, Payload: p}
	}
	return canon.VariantVal{Case: t.Cases[i].Name, Payload: p}
}

// typeJSON is a type as the driver reads it.
func typeJSON(t *canon.Type) any {
	if t == nil {
		return nil
	}
	out := []any{t.Kind.String()}
	switch t.Kind {
	case canon.KindList:
		var n any
		if t.Fixed {
			n = t.Len
		}
		return append(out, typeJSON(t.Elem), n)
	case canon.KindMap:
		return append(out, typeJSON(t.Elem.Fields[0].Type), typeJSON(t.Elem.Fields[1].Type))
	case canon.KindRecord:
		for _, f := range t.Fields {
			out = append(out, []any{f.Name, typeJSON(f.Type)})
		}
	case canon.KindTuple:
		for _, f := range t.Fields {
			out = append(out, typeJSON(f.Type))
		}
	case canon.KindVariant:
		for _, c := range t.Cases {
			out = append(out, []any{c.Name, typeJSON(c.Type)})
		}
	case canon.KindEnum:
		for _, c := range t.Cases {
			out = append(out, c.Name)
		}
	case canon.KindOption:
		out = append(out, typeJSON(t.Cases[1].Type))
	case canon.KindResult:
		out = append(out, typeJSON(t.Cases[0].Type), typeJSON(t.Cases[1].Type))
	case canon.KindFlags:
		for _, l := range t.Labels {
			out = append(out, l)
		}
	default:
		return t.Kind.String()
	}
	return out
}

// valueJSON is a value as the driver reads it: the normal form, but strings
// with how they are encoded.
func valueJSON(t *canon.Type, v canon.Val) any {
	return encode(t, v, func(s string) any { return []any{"utf8", hex.EncodeToString([]byte(s)), len(s)} })
}

// fusedJSON is like valueJSON for strings that came from a guest with the
// encoding.
func fusedJSON(t *canon.Type, v canon.Val, enc canon.Encoding) any {
	return encode(t, v, func(s string) any {
		units, latin1 := len(utf16.Encode([]rune(s))), true
		for _, c := range s {
			latin1 = latin1 && c < 0x100
		}
		switch {
		case enc == canon.UTF8:
			units = len(s)
		case enc == canon.Latin1UTF16 && latin1:
			units = len([]rune(s))
		case enc == canon.Latin1UTF16:
			units |= 1 << 31
		}
		return []any{encodings[enc], hex.EncodeToString([]byte(s)), units}
	})
}

// normalJSON is the normal form in which values are compared.
func normalJSON(t *canon.Type, v canon.Val) any {
	return encode(t, v, func(s string) any { return hex.EncodeToString([]byte(s)) })
}

func encode(t *canon.Type, v canon.Val, str func(string) any) any {
	payload := func(label string, c *canon.Type, p canon.Val) any {
		if p == nil {
			return []any{label, nil}
		}
		return []any{label, encode(c, p, str)}
	}
	out := []any{}
	switch v := v.(type) {
	case canon.BoolVal:
		return bool(v)
	case canon.F32Val:
		return fmt.Sprint(math.Float32bits(float32(v)))
	case canon.F64Val:
		return fmt.Sprint(math.Float64bits(float64(v)))
	case canon.CharVal:
		return fmt.Sprint(int32(v))
	case canon.StringVal:
		return str(string(v))
	case canon.BytesVal:
		for _, c := range v {
			out = append(out, fmt.Sprint(c))
		}
	case canon.ListVal:
		for _, e := range v {
			out = append(out, encode(t.Elem, e, str))
		}
	case canon.MapVal:
		for _, e := range v {
			out = append(out, []any{encode(t.Elem.Fields[0].Type, e.Key, str), encode(t.Elem.Fields[1].Type, e.Value, str)})
		}
	case canon.RecordVal:
		for i, f := range v {
			out = append(out, encode(t.Fields[i].Type, f.Value, str))
		}
	case canon.TupleVal:
		for i, e := range v {
			out = append(out, encode(t.Fields[i].Type, e, str))
		}
	case canon.FlagsVal:
		for _, l := range v {
			out = append(out, l)
		}
	case canon.EnumVal:
		return []any{string(v), nil}
	case canon.OptionVal:
		if v.Some == nil {
			return []any{"none", nil}
		}
		return payload("some", t.Cases[1].Type, v.Some)
	case canon.ResultVal:
		if v.IsErr {
			return payload("error", t.Cases[1].Type, v.Payload)
		}
		return payload("ok", t.Cases[0].Type, v.Payload)
	case canon.VariantVal:
		for _, c := range t.Cases {
			if c.Name == v.Case {
				return payload(v.Case, c.Type, v.Payload)
			}
		}
	default:
		return fmt.Sprintf("%d", v)
	}
	return out
}
