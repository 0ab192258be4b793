package canon

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

func labels(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("l%d", i)
	}
	return out
}

func f(name string, t *Type) Field { return Field{Name: name, Type: t} }

// The expected values follow from alignment, elem_size, discriminant_type,
// flatten_type and join in CanonicalABI.md.
func TestLayout(t *testing.T) {
	r := &Resource{Name: "r"}
	huge, seventeen := FixedList(U8, 1<<30), make([]CoreType, 17) // of I32
	for _, c := range []struct {
		t           *Type
		size, align uint32
		flat        []CoreType
	}{
		{Bool, 1, 1, []CoreType{I32}}, {S8, 1, 1, []CoreType{I32}}, {U16, 2, 2, []CoreType{I32}},
		{U32, 4, 4, []CoreType{I32}}, {Char, 4, 4, []CoreType{I32}}, {S64, 8, 8, []CoreType{I64}},
		{F32Type, 4, 4, []CoreType{F32}}, {F64Type, 8, 8, []CoreType{F64}}, {String, 8, 4, []CoreType{I32, I32}},
		{ErrorContext, 4, 4, []CoreType{I32}}, {Own(r), 4, 4, []CoreType{I32}}, {Borrow(r), 4, 4, []CoreType{I32}},
		{Stream(nil), 4, 4, []CoreType{I32}}, {Future(U64), 4, 4, []CoreType{I32}},
		{List(U64), 8, 4, []CoreType{I32, I32}}, {Map(String, U64), 8, 4, []CoreType{I32, I32}},
		{FixedList(U16, 3), 6, 2, []CoreType{I32, I32, I32}},
		{FixedList(Tuple(U8, U32), 2), 16, 4, []CoreType{I32, I32, I32, I32}},
		{Tuple(U8, U16, U8), 6, 2, []CoreType{I32, I32, I32}},
		{Tuple(U8, U64, U8), 24, 8, []CoreType{I32, I64, I32}},
		{Record(f("a", U8), f("b", Tuple(U8, U32)), f("c", U16)), 16, 4, []CoreType{I32, I32, I32, I32}},
		{Option(U8), 2, 1, []CoreType{I32, I32}}, {Option(U64), 16, 8, []CoreType{I32, I64}},
		{Option(Option(U8)), 3, 1, []CoreType{I32, I32, I32}},
		{Result(nil, nil), 1, 1, []CoreType{I32}}, {Result(U8, String), 12, 4, []CoreType{I32, I32, I32}},
		{Result(F32Type, U32), 8, 4, []CoreType{I32, I32}}, {Result(F32Type, F64Type), 16, 8, []CoreType{I32, I64}},
		{Result(F32Type, F32Type), 8, 4, []CoreType{I32, F32}}, {Result(U32, U64), 16, 8, []CoreType{I32, I64}},
		{Result(Tuple(F32Type, F64Type), Tuple(U8, F64Type, F32Type)), 32, 8, []CoreType{I32, I32, F64, F32}},
		{Variant(Case{"a", U8}, Case{"b", nil}, Case{"c", Tuple(F64Type, U8)}), 24, 8, []CoreType{I32, I64, I32}},
		{Enum(labels(1)...), 1, 1, []CoreType{I32}}, {Enum(labels(256)...), 1, 1, []CoreType{I32}},
		{Enum(labels(257)...), 2, 2, []CoreType{I32}}, {Enum(labels(1 << 16)...), 2, 2, []CoreType{I32}},
		{Enum(labels(1<<16 + 1)...), 4, 4, []CoreType{I32}},
		{Flags(labels(1)...), 1, 1, []CoreType{I32}}, {Flags(labels(8)...), 1, 1, []CoreType{I32}},
		{Flags(labels(9)...), 2, 2, []CoreType{I32}}, {Flags(labels(16)...), 2, 2, []CoreType{I32}},
		{Flags(labels(17)...), 4, 4, []CoreType{I32}}, {Flags(labels(32)...), 4, 4, []CoreType{I32}},
		// What no memory has room for does not wrap around.
		{FixedList(huge, 3), 0xc0000000, 1, seventeen}, {FixedList(huge, 4), math.MaxUint32, 1, seventeen},
		{FixedList(FixedList(huge, 4), 1<<30), math.MaxUint32, 1, seventeen},
		{Tuple(huge, huge, huge), 0xc0000000, 1, seventeen}, {Tuple(huge, huge, huge, huge), math.MaxUint32, 1, seventeen},
		{Tuple(FixedList(huge, 3), FixedList(U64, 1<<27-1), U32, U32), math.MaxUint32, 8, seventeen},
		{Option(FixedList(U64, 1<<29-1)), math.MaxUint32, 8, append([]CoreType{I32}, slices.Repeat([]CoreType{I64}, 16)...)},
	} {
		if c.t.Size != c.size || c.t.Align != c.align || !slices.Equal(c.t.Flat, c.flat) {
			name := c.t.String()
			t.Errorf("%.60s: size %d, align %d, flat %v, want %d, %d, %v", name, c.t.Size, c.t.Align, c.t.Flat, c.size, c.align, c.flat)
		}
	}
	// Payloads lie behind the discriminant, at the largest alignment of a case.
	big := make([]Case, 300)
	for i, l := range labels(300) {
		big[i].Name = l
	}
	big[7].Type = U8
	if v := Variant(big...); v.DiscSize != 2 || v.Payload != 2 || v.Size != 4 {
		t.Errorf("variant of 300 cases: %d, %d, %d", v.DiscSize, v.Payload, v.Size)
	}
	big[8].Type = U64
	if v := Variant(big...); v.DiscSize != 2 || v.Payload != 8 || v.Size != 16 {
		t.Errorf("variant of 300 cases with u64: %d, %d, %d", v.DiscSize, v.Payload, v.Size)
	}
}

func TestFlattenFunctions(t *testing.T) {
	u32s := func(n int) []Field {
		out := make([]Field, n)
		for i := range out {
			out[i] = f(fmt.Sprint(i), U32)
		}
		return out
	}
	i32s := func(n int) []CoreType { return make([]CoreType, n) }
	pair := Tuple(F32Type, F64Type)
	for _, c := range []struct {
		name        string
		flat        Flat
		in, out     []CoreType
		params, res bool // spilled
	}{
		{"nothing", Func(false, nil, nil).FlattenLift(false, false), nil, nil, false, false},
		{"16", Func(false, u32s(16), F32Type).FlattenLift(false, false), i32s(16), []CoreType{F32}, false, false},
		{"17", Func(false, u32s(17), nil).FlattenLift(false, false), i32s(1), nil, true, false},
		{"17 lowered", Func(false, u32s(17), nil).FlattenLower(false), i32s(1), nil, true, false},
		{"result lifted", Func(false, u32s(1), pair).FlattenLift(false, false), i32s(1), i32s(1), false, true},
		{"result lowered", Func(false, u32s(16), pair).FlattenLower(false), i32s(17), nil, false, true},
		{"both lowered", Func(false, u32s(17), pair).FlattenLower(false), i32s(2), nil, true, true},
		{"async stackful", Func(false, u32s(16), pair).FlattenLift(true, false), i32s(16), nil, false, false},
		{"async callback", Func(false, u32s(17), U32).FlattenLift(true, true), i32s(1), i32s(1), true, false},
		{"async lowered 4", Func(false, u32s(4), nil).FlattenLower(true), i32s(4), i32s(1), false, false},
		{"async lowered 5", Func(false, u32s(5), F64Type).FlattenLower(true), i32s(2), i32s(1), true, true},
	} {
		if !slices.Equal(c.flat.Params, c.in) || !slices.Equal(c.flat.Results, c.out) ||
			c.flat.SpillParams != c.params || c.flat.SpillResult != c.res {
			t.Errorf("%s: %+v", c.name, c.flat)
		}
	}
}

func TestTypeString(t *testing.T) {
	r := &Resource{Name: "file"}
	ft := Func(true, []Field{f("a", List(FixedList(U8, 4))), f("b", Map(String, Option(Own(r))))}, Result(nil, Variant(Case{"x", Borrow(r)}, Case{Name: "y"})))
	want := "async func(a: list<list<u8, 4>>, b: map<string, option<own<file>>>) -> result<_, variant{x(borrow<file>), y}>"
	if ft.String() != want {
		t.Errorf("got  %s\nwant %s", ft, want)
	}
	for _, c := range []struct {
		t    *Type
		want string
	}{
		{Result(nil, nil), "result"}, {Result(U8, nil), "result<u8>"}, {Stream(nil), "stream"}, {Future(U8), "future<u8>"},
		{Record(f("a", S8), f("b", Tuple(F32Type, Char))), "record{a: s8, b: tuple<f32, char>}"},
		{Flags("a", "b"), "flags{a, b}"}, {Enum("a", "b"), "enum{a, b}"},
	} {
		if c.t.String() != c.want {
			t.Errorf("got %s, want %s", c.t, c.want)
		}
	}
}

// A type that names others many times has no text without end.
func TestLongText(t *testing.T) {
	name := strings.Repeat("a", 1000)
	deep := map[string]*Type{"tuple": Enum(name), "record": U8, "result": Enum(name), "variant": U8, "flags": Flags(slices.Repeat([]string{name}, 32)...)}
	for kind, d := range deep {
		for range 60 {
			switch kind {
			case "record":
				d = Record(f(name, d), f(name, d))
			case "result":
				d = Result(d, d)
			case "variant":
				d = Variant(Case{name, d}, Case{name, d})
			default:
				d = Tuple(d, d)
			}
		}
		for _, text := range []string{d.String(), Func(false, []Field{f(name, d), f(name, d)}, d).String()} {
			if len(text) < maxText || len(text) > maxText+4096 || !strings.Contains(text, "...") {
				t.Errorf("%s: %d bytes", kind, len(text))
			}
		}
	}
	many := make([]Field, 10_000)
	for i := range many {
		many[i] = f(name, U8)
	}
	for _, text := range []string{Enum(slices.Repeat([]string{name}, 10_000)...).String(), Func(false, many, nil).String()} {
		if len(text) < maxText || len(text) > maxText+4096 {
			t.Errorf("%d bytes", len(text))
		}
	}
}
