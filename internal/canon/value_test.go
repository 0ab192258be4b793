package canon

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// Values in memory, little-endian, as load and store of CanonicalABI.md have them.
func TestMemoryForm(t *testing.T) {
	point := Record(f("a", U8), f("b", S32), f("c", U16))
	shape := Variant(Case{"none", nil}, Case{"n", U16}, Case{"big", F64Type})
	for _, c := range []struct {
		t   *Type
		v   Val
		hex string
	}{
		{Bool, BoolVal(true), "01"}, {S8, S8Val(-2), "fe"}, {U16, U16Val(0x1234), "3412"}, {S16, S16Val(-2), "feff"},
		{S32, S32Val(-2), "feffffff"}, {U64, U64Val(0x0102030405060708), "0807060504030201"},
		{F32Type, F32Val(1), "0000803f"}, {F64Type, F64Val(-2), "00000000000000c0"}, {Char, CharVal('€'), "ac200000"},
		{point, RecordVal{{"a", U8Val(1)}, {"b", S32Val(-1)}, {"c", U16Val(3)}}, "01000000ffffffff03000000"},
		{Tuple(U8, U16), TupleVal{U8Val(1), U16Val(2)}, "01000200"},
		{shape, VariantVal{Case: "none"}, "00000000000000000000000000000000"},
		{shape, VariantVal{"n", U16Val(5)}, "01000000000000000500000000000000"},
		{shape, VariantVal{"big", F64Val(1)}, "0200000000000000000000000000f03f"},
		{Enum(labels(300)...), EnumVal("l257"), "0101"},
		{Option(U8), OptionVal{U8Val(7)}, "0107"}, {Option(U8), OptionVal{}, "0000"},
		{Result(nil, U16), ResultVal{IsErr: true, Payload: U16Val(2)}, "01000200"},
		{Flags(labels(10)...), FlagsVal{"l0", "l9"}, "0102"},
		{FixedList(U16, 2), ListVal{U16Val(1), U16Val(2)}, "01000200"},
		{FixedList(U8, 3), BytesVal("abc"), "616263"},
	} {
		cx, g := newGuest(64, UTF8)
		cx.store(c.v, 16, c.t)
		if got := hex.EncodeToString(g.b[16:][:c.t.Size]); got != c.hex {
			t.Errorf("%s is %s, want %s", show(c.v), got, c.hex)
		}
		if got := cx.load(16, c.t); show(got) != show(c.v) {
			t.Errorf("loaded %s, want %s", show(got), show(c.v))
		}
		if !bytes.Equal(g.b[16+c.t.Size:], make([]byte, 48-c.t.Size)) {
			t.Errorf("%s wrote beyond its end", show(c.v))
		}
	}
	// Fields may come in any order.
	cx, g := newGuest(64, UTF8)
	cx.store(RecordVal{{"c", U16Val(3)}, {"a", U8Val(1)}, {"b", S32Val(-1)}}, 16, point)
	if got := hex.EncodeToString(g.b[16:28]); got != "01000000ffffffff03000000" {
		t.Errorf("reordered: %s", got)
	}
}

// Values as core values (lower_flat, lift_flat), joined cases among them.
func TestFlatForm(t *testing.T) {
	mixed := Variant(Case{"x", U8}, Case{"y", F32Type}, Case{"z", U64}, Case{"e", nil})
	nan, nan64 := F32Val(math.NaN()), F64Val(math.NaN())
	for _, c := range []struct {
		t    *Type
		v    Val
		flat []uint64
	}{
		{S8, S8Val(-1), []uint64{0xffffffff}}, {S16, S16Val(-1), []uint64{0xffffffff}}, {S32, S32Val(-1), []uint64{0xffffffff}},
		{U8, U8Val(255), []uint64{255}}, {S64, S64Val(-1), []uint64{math.MaxUint64}},
		{F32Type, nan, []uint64{0x7fc00000}}, {F64Type, nan64, []uint64{0x7ff8000000000000}},
		{mixed, VariantVal{"x", U8Val(1)}, []uint64{0, 1}}, {mixed, VariantVal{"y", F32Val(1)}, []uint64{1, 0x3f800000}},
		{mixed, VariantVal{"z", U64Val(math.MaxUint64)}, []uint64{2, math.MaxUint64}}, {mixed, VariantVal{Case: "e"}, []uint64{3, 0}},
		{Option(Tuple(U8, String)), OptionVal{}, []uint64{0, 0, 0, 0}},
		{Result(mixed, F32Type), ResultVal{Payload: VariantVal{"y", F32Val(1)}}, []uint64{0, 1, 0x3f800000}},
		{Result(mixed, F32Type), ResultVal{IsErr: true, Payload: F32Val(2)}, []uint64{1, 0x40000000, 0}},
		{Tuple(Flags("a", "b"), Char), TupleVal{FlagsVal{"b"}, CharVal('x')}, []uint64{2, 'x'}},
		{FixedList(U8, 2), BytesVal{1, 2}, []uint64{1, 2}},
	} {
		cx, _ := newGuest(64, UTF8)
		flat := cx.lowerFlat(nil, c.v, c.t)
		if !slices.Equal(flat, c.flat) {
			t.Errorf("%s is %x, want %x", show(c.v), flat, c.flat)
		}
		if len(flat) != len(c.t.Flat) {
			t.Errorf("%s: %d core values, %d types", show(c.v), len(flat), len(c.t.Flat))
		}
		v := coreVals{vals: flat}
		if got := cx.liftFlat(&v, c.t); show(got) != show(c.v) || len(v.vals) != 0 {
			t.Errorf("lifted %s, want %s; %d left", show(got), show(c.v), len(v.vals))
		}
	}
}

// What a guest passes is narrowed or refused as lift_flat says.
func TestLiftFlatOfGuests(t *testing.T) {
	mixed := Variant(Case{"x", U8}, Case{"y", F32Type}, Case{"z", U64})
	for _, c := range []struct {
		t    *Type
		flat []uint64
		want string // a value, or a trap behind "!"
	}{
		{Bool, []uint64{2}, show(BoolVal(true))}, {U8, []uint64{0x1ff}, show(U8Val(255))}, {S8, []uint64{0x80}, show(S8Val(-128))},
		{S16, []uint64{0x18000}, show(S16Val(-32768))}, {U32, []uint64{1<<32 | 5}, show(U32Val(5))},
		{Char, []uint64{0xd7ff}, show(CharVal(0xd7ff))}, {Char, []uint64{0xd800}, "!char"}, {Char, []uint64{0xdfff}, "!char"},
		{Char, []uint64{0xe000}, show(CharVal(0xe000))}, {Char, []uint64{0x10ffff}, show(CharVal(0x10ffff))},
		{Char, []uint64{0x110000}, "!char"}, {Char, []uint64{0xffffffff}, "!char"},
		{Enum("a", "b"), []uint64{1}, show(EnumVal("b"))}, {Enum("a", "b"), []uint64{2}, "!discriminant"},
		{mixed, []uint64{3, 0}, "!discriminant"}, {Option(U8), []uint64{1<<32 - 1, 0}, "!discriminant"},
		{mixed, []uint64{0, 256}, "x(" + show(U8Val(0)) + ")"},
		// Of a value widened to 64 bits the upper half is ignored (wrap_i64_to_i32).
		{mixed, []uint64{0, 0xffffffff_00000007}, "x(" + show(U8Val(7)) + ")"},
		{mixed, []uint64{1, 0xffffffff_3f800000}, "y(" + show(F32Val(1)) + ")"},
		{Option(mixed), []uint64{1, 1, 0xffffffff_3f800000}, "option(y(" + show(F32Val(1)) + "))"},
		{Flags("a", "b"), []uint64{0xfffffffe}, show(FlagsVal{"b"})},
		{F32Type, []uint64{0x7f800001}, show(F32Val(math.NaN()))}, {F32Type, []uint64{0xffffffff}, show(F32Val(math.NaN()))},
		{F32Type, []uint64{0x7f800000}, show(F32Val(math.Inf(1)))}, {F32Type, []uint64{0xff800000}, show(F32Val(math.Inf(-1)))},
		{F64Type, []uint64{0xfff0000000000001}, show(F64Val(math.NaN()))}, {F64Type, []uint64{0x8000000000000000}, show(F64Val(math.Copysign(0, -1)))},
	} {
		cx, _ := newGuest(64, UTF8)
		var got string
		if msg := trap(t, func() { got = show(cx.liftFlat(&coreVals{vals: slices.Clone(c.flat)}, c.t)) }); msg != "" {
			got = "!" + msg
		}
		if want, isTrap := strings.CutPrefix(c.want, "!"); isTrap && (!strings.HasPrefix(got, "!") || !strings.Contains(got, want)) || !isTrap && got != c.want {
			t.Errorf("%s of %x: %s, want %s", c.t, c.flat, got, c.want)
		}
	}
}

func TestNaNBits(t *testing.T) {
	for _, bits := range []uint32{0x7f800001, 0x7fc00000, 0x7fffffff, 0xff800001, 0xffc00000, 0xffffffff} {
		if got := math.Float32bits(Float32(bits)); got != 0x7fc00000 {
			t.Errorf("%#x is lifted as %#x", bits, got)
		}
		if got := Float32Bits(math.Float32frombits(bits)); got != 0x7fc00000 {
			t.Errorf("%#x is lowered as %#x", bits, got)
		}
	}
	for _, bits := range []uint64{0x7ff0000000000001, 0x7ff8000000000000, 0xfff0000000000001, 0xffffffffffffffff} {
		if got := math.Float64bits(Float64(bits)); got != 0x7ff8000000000000 {
			t.Errorf("%#x is lifted as %#x", bits, got)
		}
		if got := Float64Bits(math.Float64frombits(bits)); got != 0x7ff8000000000000 {
			t.Errorf("%#x is lowered as %#x", bits, got)
		}
	}
	for _, bits := range []uint32{0, 1, 0x80000000, 0x7f800000, 0xff800000, 0x3f800000} {
		if got := Float32Bits(Float32(bits)); got != bits {
			t.Errorf("%#x became %#x", bits, got)
		}
	}
}

func TestListTraps(t *testing.T) {
	for _, c := range []struct {
		elem   *Type
		p, n   uint32
		reason string
	}{
		{U8, 64, 0, ""}, {U8, 65, 0, "out-of-bounds"}, {U8, 60, 4, ""}, {U8, 60, 5, "out-of-bounds"},
		{U32, 62, 0, "unaligned"}, {U32, 60, 1, ""}, {U32, 60, 2, "out-of-bounds"}, {U64, 4, 1, "unaligned"},
		{U64, 0, 1 << 29, "out-of-bounds"}, {U64, 8, 1<<32 - 1, "out-of-bounds"}, {U8, 1<<32 - 1, 1<<32 - 1, "out-of-bounds"},
		{Enum("a"), 0, 1 << 28, "out-of-bounds"},
	} {
		cx, _ := newGuest(64, UTF8)
		got := trap(t, func() { cx.liftList(c.p, c.n, List(c.elem)) })
		if c.reason == "" && got != "" || !strings.Contains(got, c.reason) {
			t.Errorf("list<%s> at %d, %d: trap %q, want %q", c.elem, c.p, c.n, got, c.reason)
		}
	}
}

// The bounds of a list and a string in bytes, in a memory that has the room.
func TestSizeLimits(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a gigabyte")
	}
	g := &guest{b: make([]byte, 1<<28+16), next: 8}
	cx := &Context{Memory: g, Realloc: g.realloc, HostBytes: 1 << 30}
	for n, reason := range map[uint32]string{1<<28 - 1: "", 1 << 28: "out-of-bounds"} {
		for name, lift := range map[string]func(){
			"string": func() { cx.LoadString(0, n) },
			"bytes":  func() { cx.Region(0, n, 1, 1) },
		} {
			if got := trap(t, lift); reason == "" && got != "" || !strings.Contains(got, reason) {
				t.Errorf("%s of %d: trap %q, want %q", name, n, got, reason)
			}
		}
	}
	wantTrap(t, "list content out-of-bounds", func() { cx.lowerList(BytesVal(make([]byte, 1<<28)), List(U8)) })
	wantTrap(t, "string content out-of-bounds", func() { cx.StoreString(strings.Repeat("a", 1<<28)) })
}

// What lifting takes of the host is bounded, though values are larger there than
// in the guest, and a guest can name the same bytes any number of times. Whatever
// is counted is at least what is allocated.
func TestHostBytes(t *testing.T) {
	const limit, size = 1 << 18, 1 << 22
	labels8 := labels(8)
	for _, c := range []struct {
		elem *Type
		fill byte
	}{
		{List(U8), 0}, {List(List(List(U64))), 0}, {List(List(List(Map(U8, U8)))), 0}, {String, 0}, {U16, 0xff}, {U64, 0xff}, {S32, 0xff},
		{Char, 0}, {F64Type, 1}, {Option(U8), 1}, {Option(Option(Option(Option(U8)))), 1}, {Result(nil, nil), 1},
		{Flags(labels8...), 0xff}, {Tuple(U8), 0}, {Tuple(Tuple(Tuple(U8))), 0}, {Record(f("a", U8), f("b", U8)), 0},
		{Enum("a"), 0}, {Variant(Case{"a", Tuple(U8)}), 0}, {FixedList(U8, 1), 1}, {FixedList(FixedList(U16, 2), 2), 1},
		{Borrow(fuzzResource), 1}, {Map(U8, List(U8)), 0},
	} {
		cx, g := newGuest(0, UTF8)
		cx.HostBytes = limit
		g.b = bytes.Repeat([]byte{c.fill}, size)
		if c.elem.Kind == KindBorrow {
			cx.Handles.AddOwn(file, Rep{})
			for i := uint32(0); i < size; i += 4 {
				cx.store32(i, 1)
			}
		}
		n := uint32(len(g.b)) / c.elem.Size
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := exceeds(t, func() { cx.liftList(0, n, List(c.elem)) })
		runtime.ReadMemStats(&after)
		// What the tables of the scope and slices grow by is not exact.
		if err == nil || err.Limit != limit || after.TotalAlloc-before.TotalAlloc > 3*limit {
			t.Errorf("list<%s> of %d: %v; allocated %d bytes", c.elem, n, err, after.TotalAlloc-before.TotalAlloc)
		}
	}
}

// The same 64 KiB string is named a thousand times, by lists on several levels.
func TestHostBytesOfOverlappingValues(t *testing.T) {
	const size, names = 1 << 16, 1000
	for _, enc := range []Encoding{UTF8, UTF16, Latin1UTF16} {
		cx, g := newGuest(size+8*names+8, enc)
		cx.HostBytes = 100 * size
		for i := range g.b[:size] {
			g.b[i] = 0
		}
		units := uint32(size)
		if enc == UTF16 {
			units /= 2
		}
		for i := range uint32(names) {
			cx.store32(size+8*i+4, units)
		}
		err := exceeds(t, func() { cx.liftList(size, names, List(String)) })
		if err == nil || err.Limit != cx.HostBytes || err.Requested <= err.Limit || err.Requested > err.Limit+2*size {
			t.Errorf("encoding %d: %v", enc, err)
		}
	}
	// Within the default, and beyond it.
	cx, _ := newGuest(1<<24, UTF8)
	if err := exceeds(t, func() { cx.liftList(0, 1<<20, List(List(U8))) }); err != nil {
		t.Error(err)
	}
	if err := exceeds(t, func() { cx.liftList(0, 1<<21, List(List(U8))) }); err == nil {
		t.Error("two million lists are lifted, more than 128 MiB on the host")
	}
}

func TestPointers(t *testing.T) {
	ft := Func(false, []Field{f("a", FixedList(U32, 17))}, Tuple(U64, U8))
	lower, lift := ft.FlattenLower(false), ft.FlattenLift(false, false)
	v := make(ListVal, 17)
	for i := range v {
		v[i] = U32Val(i)
	}
	for p, reason := range map[uint64]string{60: "", 64: "out of bounds", 62: "unaligned", 1<<32 - 4: "out of bounds"} {
		cx, _ := newGuest(128, UTF8)
		if got := trap(t, func() { cx.LiftParams(ft, lower, []uint64{p, 0}) }); reason == "" && got != "" || !strings.Contains(got, reason) {
			t.Errorf("parameters at %d: %q, want %q", p, got, reason)
		}
	}
	result := TupleVal{U64Val(1), U8Val(2)}
	for p, reason := range map[uint64]string{112: "", 116: "unaligned", 120: "out of bounds", 1<<32 - 8: "out of bounds"} {
		cx, _ := newGuest(128, UTF8)
		if got := trap(t, func() { cx.LowerResult(nil, ft, lower, []uint64{0, p}, result) }); reason == "" && got != "" || !strings.Contains(got, reason) {
			t.Errorf("lowering the result to %d: %q, want %q", p, got, reason)
		}
		if got := trap(t, func() { cx.LiftResult(ft, lift, []uint64{p}) }); reason == "" && got != "" || !strings.Contains(got, reason) {
			t.Errorf("lifting the result from %d: %q, want %q", p, got, reason)
		}
	}
	// There and back.
	cx, _ := newGuest(256, UTF8)
	args := cx.LowerParams(nil, ft, lift, []Val{v})
	if got := cx.LiftParams(ft, lower, append(args, 0)); len(args) != 1 || show(got[0]) != show(v) {
		t.Errorf("parameters: %s", show(got[0]))
	}
}

func TestCheck(t *testing.T) {
	point := Record(f("x", U8), f("y", U8))
	for _, c := range []struct {
		t  *Type
		v  Val
		ok bool
	}{
		{U8, U8Val(1), true}, {U8, U16Val(1), false}, {U8, nil, false},
		{Char, CharVal(0x10ffff), true}, {Char, CharVal(0x110000), false}, {Char, CharVal(0xd800), false}, {Char, CharVal(-1), false},
		{String, StringVal("é"), true}, {String, StringVal("\xff"), false}, {String, BytesVal("a"), false},
		{List(U8), BytesVal("a"), true}, {List(U8), ListVal{U8Val(1)}, true}, {List(S8), BytesVal("a"), false},
		{List(U8), ListVal{S8Val(1)}, false}, {List(U8), ListVal{nil}, false}, {List(U8), nil, false},
		{FixedList(U8, 2), BytesVal("ab"), true}, {FixedList(U8, 2), BytesVal("a"), false}, {FixedList(U16, 1), ListVal{}, false},
		{point, RecordVal{{"y", U8Val(1)}, {"x", U8Val(1)}}, true}, {point, RecordVal{{"x", U8Val(1)}, {"x", U8Val(1)}}, false},
		{point, RecordVal{{"x", U8Val(1)}}, false}, {point, RecordVal{{"x", U8Val(1)}, {"y", nil}}, false}, {point, TupleVal{U8Val(1), U8Val(1)}, false},
		{Tuple(U8), TupleVal{U8Val(1)}, true}, {Tuple(U8), TupleVal{}, false}, {Tuple(U8), TupleVal{S8Val(1)}, false},
		{Option(U8), OptionVal{}, true}, {Option(U8), OptionVal{U8Val(1)}, true}, {Option(U8), OptionVal{S8Val(1)}, false},
		{Option(Option(U8)), OptionVal{OptionVal{}}, true}, {Option(U8), nil, false},
		{Result(nil, U8), ResultVal{}, true}, {Result(nil, U8), ResultVal{IsErr: true}, false}, {Result(nil, U8), ResultVal{Payload: U8Val(1)}, false},
		{Enum("a"), EnumVal("a"), true}, {Enum("a"), EnumVal("b"), false}, {Enum("a"), VariantVal{Case: "a"}, false},
		{Variant(Case{"a", U8}), VariantVal{"a", U8Val(1)}, true}, {Variant(Case{"a", U8}), VariantVal{"a", nil}, false},
		{Variant(Case{"a", nil}), VariantVal{"b", nil}, false},
		{Flags("a"), FlagsVal{"a", "a"}, true}, {Flags("a"), FlagsVal{"b"}, false}, {Flags("a"), nil, false},
		{Map(U8, String), MapVal{{U8Val(1), StringVal("")}}, true}, {Map(U8, String), MapVal{{StringVal(""), U8Val(1)}}, false},
		{Map(U8, String), ListVal{}, false}, {Stream(nil), U8Val(1), false},
		{Own(&Resource{}), (*Handle)(nil), false}, {Own(&Resource{}), nil, false}, {Own(&Resource{}), U32Val(1), false},
	} {
		if err := Check(c.v, c.t); (err == nil) != c.ok {
			t.Errorf("%#v as %s: %v", c.v, c.t, err)
		} else if err != nil && strings.Contains(fmt.Sprint(err), "%!") {
			t.Errorf("message %q", err)
		}
	}
}
