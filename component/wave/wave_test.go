package wave_test

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/component/wave"
	"github.com/ashlar-wasm/ashlar/internal/canon"
)

var (
	point   = abi.Record(abi.F("x", abi.S32), abi.F("name", abi.OptionOf(abi.String)))
	allOpts = abi.Record(abi.F("a", abi.OptionOf(abi.U8)), abi.F("b", abi.OptionOf(abi.OptionOf(abi.U8))))
	perms   = abi.Flags("read", "write", "none")
	answer  = abi.Variant(abi.C("empty", nil), abi.C("body", abi.List(abi.U8)), abi.C("err", abi.String))
	status  = abi.Enum("ok", "not-found", "HTTP")
)

// The notation of README.md of wasm-wave: a text, its value, and how the value
// is written, where that is not the text.
func TestValues(t *testing.T) {
	f := func(fields ...component.FieldVal) component.Val { return component.RecordVal(fields) }
	some := func(v component.Val) component.Val { return component.OptionVal{Some: v} }
	none := component.OptionVal{}
	for _, c := range []struct {
		typ   *component.Type
		text  string
		value component.Val
		short string
	}{
		{abi.Bool, "true", component.BoolVal(true), ""},
		{abi.Bool, " false // no", component.BoolVal(false), "false"},
		{abi.S8, "-128", component.S8Val(-128), ""},
		{abi.U64, "18446744073709551615", component.U64Val(math.MaxUint64), ""},
		{abi.S64, "-9223372036854775808", component.S64Val(math.MinInt64), ""},
		{abi.F32, "-3.1415", component.F32Val(-3.1415), ""},
		{abi.F32, "3.5e39", component.F32Val(math.Inf(1)), "inf"},
		{abi.F64, "-1e999", component.F64Val(math.Inf(-1)), "-inf"},
		{abi.F32, "1e-60", component.F32Val(0), "0"},
		{abi.F64, "nan", component.F64Val(math.NaN()), ""},
		{abi.F64, "-0.0e-0", component.F64Val(math.Copysign(0, -1)), "-0"},
		{abi.F64, "0e+1", component.F64Val(0), "0"},
		{abi.Char, "'x'", component.CharVal('x'), ""},
		{abi.Char, `'\u{2603}'`, component.CharVal('☃'), "'☃'"},
		{abi.Char, `'\''`, component.CharVal('\''), ""},
		{abi.Char, `'"'`, component.CharVal('"'), ""},
		{abi.String, `"\\\"\t\n\r\u{0}'"`, component.StringVal("\\\"\t\n\r\x00'"), ""},
		{abi.String, "\"\"\"\n    indented\n  by the end\n  \"\"\"", component.StringVal("  indented\nby the end"), `"  indented\nby the end"`},
		{abi.String, "\"\"\"\r\na\r\n\r\n\\\"\"\r\n\"\"\"", component.StringVal("a\n\n\"\""), `"a\n\n\"\""`},
		{abi.String, "\"\"\"\n\"\"\"", component.StringVal(""), `""`},
		{abi.List(abi.String), `["a", "b",]`, component.ListVal{component.StringVal("a"), component.StringVal("b")}, `["a", "b"]`},
		{abi.List(abi.U8), "[1, 255]", component.BytesVal{1, 255}, ""},
		{abi.FixedList(abi.U16, 2), "[1, 2]", component.ListVal{component.U16Val(1), component.U16Val(2)}, ""},
		{abi.Map(abi.String, abi.U8), `[("a", 1)]`, component.MapVal{{Key: component.StringVal("a"), Value: component.U8Val(1)}}, ""},
		{abi.Tuple(abi.U8, abi.String), `(123, "abc",)`, component.TupleVal{component.U8Val(123), component.StringVal("abc")}, `(123, "abc")`},
		{point, `{name: "n", %x: 1}`, f(component.FieldVal{Name: "x", Value: component.S32Val(1)}, component.FieldVal{Name: "name", Value: some(component.StringVal("n"))}), `{x: 1, name: some("n")}`},
		{point, "{x: 1, name: none}", f(component.FieldVal{Name: "x", Value: component.S32Val(1)}, component.FieldVal{Name: "name", Value: none}), "{x: 1}"},
		{allOpts, "{ : }", f(component.FieldVal{Name: "a", Value: none}, component.FieldVal{Name: "b", Value: none}), "{:}"},
		{allOpts, "{b: some(none)}", f(component.FieldVal{Name: "a", Value: none}, component.FieldVal{Name: "b", Value: some(none)}), ""},
		{perms, "{write, %read,}", component.FlagsVal{"read", "write"}, "{read, write}"},
		{perms, "{none}", component.FlagsVal{"none"}, ""},
		{perms, "{}", component.FlagsVal{}, ""},
		{answer, "empty", component.VariantVal{Case: "empty"}, ""},
		{answer, "body([79, 75])", component.VariantVal{Case: "body", Payload: component.BytesVal("OK")}, ""},
		{answer, `%err("oops")`, component.VariantVal{Case: "err", Payload: component.StringVal("oops")}, ""},
		{status, "%ok", component.EnumVal("ok"), ""},
		{status, "%not-found", component.EnumVal("not-found"), "not-found"},
		{status, "HTTP", component.EnumVal("HTTP"), ""},
		{abi.OptionOf(abi.U8), "123", some(component.U8Val(123)), "some(123)"},
		{abi.OptionOf(abi.U8), "none", none, ""},
		{abi.OptionOf(status), "some(%ok)", some(component.EnumVal("ok")), ""},
		{abi.ResultOf(abi.U8, nil), "123", component.ResultVal{Payload: component.U8Val(123)}, "ok(123)"},
		{abi.ResultOf(nil, abi.String), `err("oops")`, component.ResultVal{IsErr: true, Payload: component.StringVal("oops")}, ""},
		{abi.ResultOf(nil, nil), "ok", component.ResultVal{}, ""},
	} {
		v, err := wave.Parse(c.text, c.typ)
		if err != nil {
			t.Errorf("%s as %s: %v", c.text, c.typ, err)
			continue
		}
		if nan, ok := v.(component.F64Val); !reflect.DeepEqual(v, c.value) && (!ok || !math.IsNaN(float64(nan))) {
			t.Errorf("%s as %s: %#v, want %#v", c.text, c.typ, v, c.value)
		}
		if c.short == "" {
			c.short = c.text
		}
		if got := wave.Format(v); got != c.short {
			t.Errorf("%s is written as %s, want %s", c.text, got, c.short)
		}
	}
}

func TestRefused(t *testing.T) {
	u8 := abi.OptionOf(abi.U8)
	for _, c := range []struct {
		typ  *component.Type
		text string
		at   int
	}{
		{abi.Bool, "True", 0},
		{abi.Bool, "", 0},
		{abi.Bool, "true false", 5},
		{abi.U8, "256", 0},
		{abi.U8, "-1", 0},
		{abi.U8, " 01", 1},
		{abi.S8, "-129", 0},
		{abi.S32, "+1", 0},
		{abi.S32, "1e2", 0},
		{abi.F64, "-nan", 0},
		{abi.F64, "NaN", 0},
		{abi.F64, "Infinity", 0},
		{abi.F64, "0x1p2", 0},
		{abi.F64, "1.", 0},
		{abi.F64, ".5", 0},
		{abi.F64, "1e", 0},
		{abi.Char, "''", 1},
		{abi.Char, "'ab'", 2},
		{abi.Char, "'\n'", 1},
		{abi.Char, `'\z'`, 1},
		{abi.Char, `'\u{d800}'`, 3},
		{abi.Char, `'\u{110000}'`, 3},
		{abi.Char, `'\u{}'`, 3},
		{abi.Char, `'\u{+1}'`, 3},
		{abi.String, `"`, 1},
		{abi.String, "\"\n\"", 1},
		{abi.String, "\"\xff\"", 1},
		{abi.String, `""""""`, 3},
		{abi.String, "\"\"\"\n  \"\"\"\n  \"\"\"", 12},
		{abi.String, "\"\"\"\nx\"\"\"", 4},
		{abi.String, "\"\"\"\n one\n t\\j\n \"\"\"", 11},
		{abi.String, "\"\"\"\n x\n  \"\"\"", 4},
		{abi.List(abi.U8), "[1,,]", 3},
		{abi.List(abi.U8), "[,]", 1},
		{abi.List(abi.U8), "[1", 2},
		{abi.List(abi.U8), "[\x00]", 1},
		{abi.FixedList(abi.U8, 2), "[1]", 3},
		{abi.Tuple(abi.U8), "()", 2},
		{abi.Tuple(abi.U8), "(1, 2)", 4},
		{point, "{}", 1},
		{point, `{name: "n"}`, 11},
		{point, "{x: 1, x: 1}", 7},
		{point, "{y: 1}", 1},
		{perms, "{read, read}", 7},
		{perms, "{exec}", 1},
		{answer, `err("oops")`, 0},
		{answer, "body", 4},
		{answer, "empty()", 5},
		{status, "ok", 0},
		{status, "Http", 0},
		{u8, "some", 4},
		{u8, "some(some(1))", 5},
		{u8, "none(0)", 4},
		{abi.OptionOf(u8), "1", 0},
		{abi.ResultOf(nil, abi.U8), "err", 3},
		{abi.ResultOf(nil, nil), "ok(1)", 2},
	} {
		v, err := wave.Parse(c.text, c.typ)
		var we *wave.Error
		if !errors.As(err, &we) {
			t.Errorf("%q as %s: %v, %v", c.text, c.typ, v, err)
		} else if we.Offset != c.at {
			t.Errorf("%q as %s: %v, want offset %d", c.text, c.typ, err, c.at)
		}
	}
}

func TestArguments(t *testing.T) {
	ft := abi.Function([]abi.Field{abi.F("a", abi.U8), abi.F("b", abi.OptionOf(abi.U8)), abi.F("c", abi.OptionOf(abi.U8))}, nil)
	for text, want := range map[string]string{
		"(1)": "1 none none", "(1, some(2))": "1 some(2) none", "( 1, none, 3, )": "1 none some(3)",
		"()": "is missing", "(1, 2, 3, 4)": "too many", "(1) 2": "the end", "(1": "expected", "1": "expected",
	} {
		args, err := wave.ParseArgs(text, ft)
		var got []string
		for _, a := range args {
			got = append(got, wave.Format(a))
		}
		if err != nil {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", text, err, want)
			}
		} else if s := strings.Join(got, " "); s != want {
			t.Errorf("%s: %s, want %s", text, s, want)
		}
	}
}

// fuzzTypes has every kind of type within others.
var fuzzTypes = []*component.Type{
	abi.Tuple(abi.Bool, abi.S8, abi.U16, abi.S32, abi.U64, abi.F32, abi.F64, abi.Char, abi.String),
	abi.List(abi.String), abi.List(abi.U8), abi.List(abi.F32), abi.FixedList(abi.Char, 2), abi.Map(abi.String, point),
	abi.List(point), allOpts, abi.List(perms), abi.List(answer), abi.List(status),
	abi.List(abi.OptionOf(abi.OptionOf(status))), abi.List(abi.ResultOf(abi.ResultOf(answer, nil), abi.OptionOf(abi.Bool))),
}

// What is read is a value of the type, and is read back from how it is written.
func FuzzParse(f *testing.F) {
	for n, text := range []string{
		`(true, -1, 2, -3, 4, 1.5e3, nan, '\u{1F30A}', "a\tb")`, "[\"\"\"\n a\n \"\"\", \"☃\"]", "[1, 2,]", "[inf, -0]", `['a', '\'']`,
		`[("k", {x: 1})]`, `[{x: 1, name: "n"}, {name: none, x: -1}]`, "{b: some(none)}", "[{}, {none, %read}]",
		`[empty, body([1]), %err("e")]`, "[%ok, not-found, HTTP]", "[none, some(none), some(some(%ok))]",
		"[ok(ok(empty)), ok(err), err(true), err(none)] // end",
	} {
		f.Add(uint8(n), text)
	}
	f.Fuzz(func(t *testing.T, n uint8, text string) {
		typ := fuzzTypes[int(n)%len(fuzzTypes)]
		v, err := wave.Parse(text, typ)
		if err != nil {
			var we *wave.Error
			if !errors.As(err, &we) || we.Offset < 0 || we.Offset > len(text) {
				t.Fatalf("%#v", err)
			}
			return
		}
		if err := canon.Check(v, typ); err != nil {
			t.Fatalf("read what is no %s: %v", typ, err)
		}
		written := wave.Format(v)
		if strings.ContainsAny(written, "\r\n") {
			t.Fatalf("written on more than one line: %q", written)
		}
		back, err := wave.Parse(written, typ)
		if err != nil {
			t.Fatalf("%q: %v", written, err)
		}
		if !reflect.DeepEqual(v, back) && !strings.Contains(written, "nan") {
			t.Fatalf("%q: read back as %#v, was %#v", written, back, v)
		}
		if again := wave.Format(back); again != written {
			t.Fatalf("%q, read and written again, is %q", written, again)
		}
	})
}
