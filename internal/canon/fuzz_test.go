package canon

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"
	"unicode/utf8"
)

// source makes types and values of fuzzed bytes; where they end, zeros follow.
type source struct{ b []byte }

func (s *source) byte() byte {
	if len(s.b) == 0 {
		return 0
	}
	c := s.b[0]
	s.b = s.b[1:]
	return c
}

func (s *source) n(n int) int { return int(s.byte()) % n }

func (s *source) u64() uint64 {
	var b [8]byte
	s.b = s.b[copy(b[:], s.b):]
	return binary.LittleEndian.Uint64(b[:])
}

var fuzzPrimitives = []*Type{Bool, S8, U8, S16, U16, S32, U32, S64, U64, F32Type, F64Type, Char, String}

var fuzzResource = &Resource{Name: "file", Type: file}

func (s *source) typ(depth int) *Type {
	kind := s.n(24)
	if depth == 0 && kind >= 13 {
		kind %= 13
	}
	types := func() []*Type {
		out := make([]*Type, 1+s.n(5))
		for i := range out {
			out[i] = s.typ(depth - 1)
		}
		return out
	}
	switch kind {
	case 13, 14:
		return List(s.typ(depth - 1))
	case 15:
		return FixedList(s.typ(depth-1), uint32(1+s.n(6)))
	case 16:
		var fields []Field
		for i, t := range types() {
			fields = append(fields, Field{Name: labels(i + 1)[i], Type: t})
		}
		return Record(fields...)
	case 17:
		return Tuple(types()...)
	case 18:
		var cases []Case
		for i, t := range types() {
			if s.n(4) == 0 {
				t = nil
			}
			cases = append(cases, Case{Name: labels(i + 1)[i], Type: t})
		}
		return Variant(cases...)
	case 19:
		return Enum(labels([]int{1, 2, 256, 257, 300}[s.n(5)])...)
	case 20:
		return Option(s.typ(depth - 1))
	case 21:
		var ok, err *Type
		if sides := s.n(4); sides > 0 {
			if sides&1 != 0 {
				ok = s.typ(depth - 1)
			}
			if sides&2 != 0 {
				err = s.typ(depth - 1)
			}
		}
		return Result(ok, err)
	case 22:
		return Flags(labels(1 + s.n(32))...)
	case 23:
		switch s.n(3) {
		case 0:
			return Own(fuzzResource)
		case 1:
			return Map(s.typ(0), s.typ(depth-1))
		}
		return Borrow(fuzzResource)
	}
	return fuzzPrimitives[kind]
}

func (s *source) value(t *Type) Val {
	switch t.Kind {
	case KindBool:
		return BoolVal(s.n(2) == 1)
	case KindS8:
		return S8Val(s.byte())
	case KindU8:
		return U8Val(s.byte())
	case KindS16:
		return S16Val(s.u64())
	case KindU16:
		return U16Val(s.u64())
	case KindS32:
		return S32Val(s.u64())
	case KindU32:
		return U32Val(s.u64())
	case KindS64:
		return S64Val(s.u64())
	case KindU64:
		return U64Val(s.u64())
	case KindF32:
		return F32Val(math.Float32frombits(uint32(s.u64())))
	case KindF64:
		return F64Val(math.Float64frombits(s.u64()))
	case KindChar:
		return CharVal(s.rune())
	case KindString:
		out := []rune{}
		for range s.n(20) {
			out = append(out, s.rune())
		}
		return StringVal(out)
	case KindList:
		n := s.n(6)
		if t.Fixed {
			n = int(t.Len)
		}
		if t.Elem.Kind == KindU8 {
			b := make(BytesVal, n)
			for i := range b {
				b[i] = s.byte()
			}
			return b
		}
		l := make(ListVal, n)
		for i := range l {
			l[i] = s.value(t.Elem)
		}
		return l
	case KindMap:
		m := make(MapVal, s.n(4))
		for i := range m {
			m[i] = EntryVal{s.value(t.Elem.Fields[0].Type), s.value(t.Elem.Fields[1].Type)}
		}
		return m
	case KindRecord:
		r := make(RecordVal, len(t.Fields))
		for i, f := range t.Fields {
			r[i] = FieldVal{f.Name, s.value(f.Type)}
		}
		return r
	case KindTuple:
		u := make(TupleVal, len(t.Fields))
		for i, f := range t.Fields {
			u[i] = s.value(f.Type)
		}
		return u
	case KindFlags:
		v, bits := FlagsVal{}, s.u64()
		for i, l := range t.Labels {
			if bits>>i&1 != 0 {
				v = append(v, l)
			}
		}
		return v
	case KindOwn, KindBorrow:
		return &Handle{Type: file, Rep: Rep{Core: uint32(s.byte())}, Own: t.Kind == KindOwn}
	}
	i := int(s.u64() % uint64(len(t.Cases)))
	c := t.Cases[i]
	var payload Val
	if c.Type != nil {
		payload = s.value(c.Type)
	}
	switch t.Kind {
	case KindEnum:
		return EnumVal(c.Name)
	case KindOption:
		return OptionVal{payload}
	case KindResult:
		return ResultVal{IsErr: i == 1, Payload: payload}
	}
	return VariantVal{c.Name, payload}
}

// rune favours the borders of what encodings tell apart.
func (s *source) rune() rune {
	r := []rune{0, 'a', 0x7f, 0x80, 0xe9, 0xff, 0x100, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xffff, 0x10000, 0x10ffff, -1, -1}[s.n(16)]
	if r < 0 {
		r = rune(s.u64() % 0x110000)
	}
	if !utf8.ValidRune(r) {
		return 'x'
	}
	return r
}

func seeds(f *testing.F) {
	for kind := range byte(24) {
		f.Add([]byte{kind, 1, 3, kind ^ 5, 2, 0, 7, 1, 1, 200, 3, 1, 0xff, 0xd8, 0x80, 1, 0, 0, 0, 0, 0, 0, 9})
		f.Add([]byte{17, 3, kind, 12, 18, 2, kind, 9, 2, 21, 3, kind, 10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
	}
}

// FuzzLift lifts values of any type from arbitrary memory and core values: it
// gives a value of the type, or raises a trap.
func FuzzLift(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &source{b: data}
		typ := s.typ(3)
		enc := Encoding(s.n(3))
		ft := Func(false, []Field{{Name: "a", Type: typ}}, typ)
		fresh := func() *Context {
			cx := &Context{Encoding: enc, Memory: &guest{b: data}, Handles: &Table{}, Scope: &Scope{}, HostBytes: 1 << 20}
			for range 3 {
				cx.Handles.AddOwn(file, Rep{})
				cx.Handles.AddOwn(node, Rep{})
			}
			return cx
		}
		core := make([]uint64, MaxFlatParams+1)
		for i := range core {
			if core[i] = s.u64(); i%2 == 0 {
				core[i] &= 0xff // often a pointer that is in bounds, or a case
			}
		}
		var got Val
		for name, lift := range map[string]func(){
			"result":     func() { got = fresh().LiftResult(ft, ft.FlattenLift(false, false), core) },
			"parameters": func() { got = fresh().LiftParams(ft, ft.FlattenLower(false), core)[0] },
			"memory":     func() { got = fresh().LiftParams(ft, Flat{SpillParams: true}, core)[0] },
		} {
			if trap(t, lift) != "" {
				continue
			}
			if err := Check(got, typ); err != nil {
				t.Errorf("%s: lifted what is no %s: %v", name, typ, err)
			}
		}
	})
}

// FuzzRoundTrip lowers a value and lifts it again: it is the same, whether it
// goes through memory or core values, alone or from one guest to another.
func FuzzRoundTrip(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &source{b: data}
		typ := s.typ(3)
		encA, encB := Encoding(s.n(3)), Encoding(s.n(3))
		if typ.Size > 1<<14 {
			t.Skip("too large")
		}
		seed := append([]byte(nil), s.b...)
		value := func() Val { return (&source{b: append([]byte(nil), seed...)}).value(typ) } // lowering consumes handles
		want := show(value())
		if err := Check(value(), typ); err != nil {
			t.Fatalf("%s: %v", want, err)
		}
		same := func(how string, got Val) {
			t.Helper()
			if show(got) != want {
				t.Errorf("%s of %s:\n got %s\nwant %s", how, typ, show(got), want)
			}
		}
		if msg := trap(t, func() {
			cx, _ := newGuest(1<<18, encA)
			p := cx.Alloc(typ.Align, typ.Size)
			cx.store(value(), p, typ)
			same("memory", cx.load(p, typ))

			ft := Func(false, []Field{{Name: "a", Type: typ}}, typ)
			cx, _ = newGuest(1<<18, encA)
			flat := cx.LowerParams(nil, ft, ft.FlattenLift(false, false), []Val{value()})
			if lift := ft.FlattenLift(false, false); len(flat) != len(lift.Params) {
				t.Fatalf("%s: %d core values, want %d", typ, len(flat), len(lift.Params))
			}
			cx.Fused = true
			mid := cx.LiftParams(ft, ft.FlattenLower(false), append(flat, make([]uint64, 2)...))[0]

			other, _ := newGuest(1<<18, encB)
			lower := ft.FlattenLower(false)
			args := make([]uint64, len(lower.Params))
			if lower.SpillResult {
				args[len(args)-1] = uint64(other.Alloc(typ.Align, typ.Size))
			}
			results := other.LowerResult(nil, ft, lower, args, mid)
			if lower.SpillResult {
				results = args[len(args)-1:]
			}
			same(fmt.Sprintf("%d to %d", encA, encB), other.LiftResult(ft, ft.FlattenLift(false, false), results))
		}); msg != "" {
			t.Errorf("%s: trap %s for %s", typ, msg, want)
		}
	})
}
