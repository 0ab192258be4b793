package example

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/internal/canon"
)

// guest is a memory with an allocator that never frees.
type guest struct {
	mem  []byte
	next uint32
	cx   canon.Context
}

func (g *guest) Bytes() []byte { return g.mem }

func newGuest() *guest {
	g := &guest{mem: make([]byte, 1<<20), next: 16}
	g.cx = canon.Context{Memory: g, Handles: &canon.Table{}, Scope: &canon.Scope{}}
	g.cx.Realloc = func(_, _, align, size uint32) uint32 {
		p := (g.next + align - 1) &^ (align - 1)
		g.next = p + size
		if int(g.next) > len(g.mem) {
			// The memory moves when it grows.
			g.mem = append(make([]byte, 0, 2*int(g.next)), g.mem...)[:2*int(g.next)]
		}
		return p
	}
	return g
}

// registry collects what is defined.
type registry map[string]abi.Func

func (r registry) Define(i abi.Interface) error {
	for _, f := range i.Funcs {
		r[i.Name+"#"+f.Name] = f
	}
	return nil
}

// call calls a function of the host as a guest does, with dynamic values.
func (g *guest) call(t *testing.T, f abi.Func, args ...canon.Val) (result canon.Val, err error) {
	t.Helper()
	flat := f.Type.FlattenLower(false)
	stack := g.cx.LowerParams(nil, f.Type, flat, args)
	if flat.SpillResult {
		stack = append(stack, uint64(g.cx.Alloc(f.Type.Result.Align, f.Type.Result.Size)))
	}
	stack = append(stack, 0)
	out := uint32(0)
	if flat.SpillResult {
		out = uint32(stack[len(flat.Params)-1])
		// What was in memory before must not show through.
		for i := range f.Type.Result.Size {
			g.mem[out+i] = 0xaa
		}
	}
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(error)
			if !ok {
				panic(r)
			}
			err = e
		}
	}()
	c := abi.NewCall(t.Context(), &g.cx)
	f.Call(&c, stack)
	if f.Type.Result == nil {
		return nil, nil
	}
	if flat.SpillResult {
		lift := f.Type.FlattenLift(false, false)
		return g.cx.LiftResult(f.Type, lift, []uint64{uint64(out)}), nil
	}
	return g.cx.LiftResult(f.Type, flat, stack), nil
}

// echoExporter offers exported functions that return their only argument, or
// the tuple of all, after a way through another guest's memory.
type echoExporter struct{ g *guest }

type echoExport struct {
	g *guest
	t *abi.FuncType
}

func (x echoExporter) ExportedFunc(_, _ string, t *abi.FuncType) (abi.Export, error) {
	return echoExport{x.g, t}, nil
}

func (e echoExport) Invoke(ctx context.Context, lower, lift func(c *abi.Call, stack []uint64)) error {
	flat := e.t.FlattenLift(false, false)
	c := abi.NewCall(ctx, &e.g.cx)
	stack := make([]uint64, 17)
	for i := range stack {
		stack[i] = 0xdeadbeefdeadbeef
	}
	lower(&c, stack)
	for i, p := range flat.Params {
		if (p == canon.I32 || p == canon.F32) && stack[i]>>32 != 0 {
			return fmt.Errorf("core value %d of type %v is %#x", i, p, stack[i])
		}
	}
	args := e.g.cx.LiftParams(e.t, flat, stack)
	if e.t.Result == nil {
		lift(&c, stack)
		return nil
	}
	var result canon.Val
	switch e.t.Result.Kind {
	case canon.KindTuple:
		result = canon.TupleVal(args)
	case canon.KindList:
		result = canon.ListVal(args)
	default:
		result = args[0]
	}
	out := make([]uint64, 0, 17)
	if flat.SpillResult {
		p := e.g.cx.Alloc(e.t.Result.Align, e.t.Result.Size)
		lowered := e.t.FlattenLower(false)
		ptr := make([]uint64, len(lowered.Params))
		ptr[len(ptr)-1] = uint64(p)
		e.g.cx.LowerResult(nil, e.t, lowered, ptr, result)
		out = append(out, uint64(p))
	} else {
		out = e.g.cx.LowerResult(out, e.t, flat, nil, result)
	}
	lift(&c, out)
	return nil
}

// randomVal returns a value of the type.
func randomVal(r *rand.Rand, t *canon.Type) canon.Val {
	switch t.Kind {
	case canon.KindBool:
		return canon.BoolVal(r.IntN(2) == 1)
	case canon.KindS8:
		return canon.S8Val(r.Uint64())
	case canon.KindU8:
		return canon.U8Val(r.Uint64())
	case canon.KindS16:
		return canon.S16Val(r.Uint64())
	case canon.KindU16:
		return canon.U16Val(r.Uint64())
	case canon.KindS32:
		return canon.S32Val(r.Uint64())
	case canon.KindU32:
		return canon.U32Val(r.Uint64())
	case canon.KindS64:
		return canon.S64Val(r.Uint64())
	case canon.KindU64:
		return canon.U64Val(r.Uint64())
	case canon.KindF32:
		return canon.F32Val(r.NormFloat64())
	case canon.KindF64:
		return canon.F64Val(r.NormFloat64())
	case canon.KindChar:
		return canon.CharVal([]rune{0, 'a', 'ß', '世', 0xd7ff, 0xe000, 0x10ffff}[r.IntN(7)])
	case canon.KindString:
		return canon.StringVal(strings.Repeat([]string{"", "a", "héé", "世界🙂"}[r.IntN(4)], r.IntN(5)))
	case canon.KindList:
		n := r.IntN(4)
		if t.Fixed {
			n = int(t.Len)
		}
		if t.Elem.Kind == canon.KindU8 && !t.Fixed {
			b := canon.BytesVal(nil) // as an empty list is lifted
			for range n {
				b = append(b, byte(r.Uint32()))
			}
			return b
		}
		l := make(canon.ListVal, n)
		for i := range l {
			l[i] = randomVal(r, t.Elem)
		}
		return l
	case canon.KindRecord:
		var v canon.RecordVal
		for _, f := range t.Fields {
			v = append(v, canon.FieldVal{Name: f.Name, Value: randomVal(r, f.Type)})
		}
		return v
	case canon.KindTuple:
		var v canon.TupleVal
		for _, f := range t.Fields {
			v = append(v, randomVal(r, f.Type))
		}
		return v
	case canon.KindVariant, canon.KindEnum, canon.KindOption, canon.KindResult:
		i := r.IntN(len(t.Cases))
		var payload canon.Val
		if t.Cases[i].Type != nil {
			payload = randomVal(r, t.Cases[i].Type)
		}
		switch t.Kind {
		case canon.KindEnum:
			return canon.EnumVal(t.Cases[i].Name)
		case canon.KindOption:
			return canon.OptionVal{Some: payload}
		case canon.KindResult:
			return canon.ResultVal{IsErr: i == 1, Payload: payload}
		}
		return canon.VariantVal{Case: t.Cases[i].Name, Payload: payload}
	case canon.KindFlags:
		v := canon.FlagsVal{}
		for _, l := range t.Labels {
			if r.IntN(2) == 1 {
				v = append(v, l)
			}
		}
		return v
	case canon.KindMap:
		// At most one entry: the order of more is not kept by a Go map.
		v := canon.MapVal{}
		if r.IntN(2) == 1 {
			v = append(v, canon.EntryVal{Key: randomVal(r, t.Elem.Fields[0].Type), Value: randomVal(r, t.Elem.Fields[1].Type)})
		}
		return v
	}
	panic(t.Kind)
}

// TestEcho sends random values on the whole way: a guest calls the host, whose
// implementation calls the export of another guest, which returns its
// arguments. Both guests are played by the dynamic form of the canonical ABI.
func TestEcho(t *testing.T) {
	exports, err := LookupEcho(echoExporter{newGuest()})
	if err != nil {
		t.Fatal(err)
	}
	// The callers of the exports are an implementation of the imports.
	var host EchoHost = exports
	funcs := registry{}
	if err := DefineEcho(funcs, host); err != nil {
		t.Fatal(err)
	}
	if len(funcs) != 17 {
		t.Errorf("%d functions were defined", len(funcs))
	}
	r := rand.New(rand.NewPCG(1, 2))
	for name, f := range funcs {
		for range 200 {
			g := newGuest()
			var args []canon.Val
			for _, p := range f.Type.Params {
				args = append(args, randomVal(r, p.Type))
			}
			got, err := g.call(t, f, args...)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if want := echoed(f.Type, args); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s:\n got %#v\nwant %#v", name, got, want)
			}
		}
	}
}

type bucket struct {
	name    string
	values  map[string][]byte
	dropped int
}

func (b *bucket) Get(_ context.Context, key string) ([]byte, error) {
	switch key {
	case "secret":
		return nil, StoreErrorDenied{"secret"}
	case "broken":
		return nil, errBroken
	}
	v, ok := b.values[key]
	if !ok {
		return nil, StoreErrorNotFound{}
	}
	return v, nil
}

func (b *bucket) Put(_ context.Context, key string, value []byte, where *Point) error {
	if where != nil {
		key = fmt.Sprintf("%s@%d,%d", key, where.X, where.Y)
	}
	b.values[key] = value
	return nil
}

func (b *bucket) Level(context.Context) (Level, error) { return LevelLoud, nil }

func (b *bucket) Merge(_ context.Context, other Bucket) (uint32, error) {
	if other.(*bucket).name == "loud" {
		return 0, LevelLoud
	}
	return uint32(len(other.(*bucket).values)), nil
}

func (b *bucket) Drop(context.Context) error {
	b.dropped++
	return nil
}

type store struct{}

var errBroken = errors.New("disk is broken")

func (store) NewBucket(_ context.Context, name string) (Bucket, error) {
	return &bucket{name: name, values: map[string][]byte{}}, nil
}

func (s store) BucketOpen(ctx context.Context, name string) (Bucket, error) {
	if name == "" {
		return nil, StoreErrorNotFound{}
	}
	return s.NewBucket(ctx, name)
}

func (store) Newest(_ context.Context, of []Bucket) (Bucket, error) {
	if len(of) == 0 {
		return nil, nil
	}
	return of[len(of)-1], nil
}

func (store) Check(_ context.Context, name string) error {
	if name != "ok" {
		return abi.ErrorValue[abi.Unit]{}
	}
	return nil
}

func (store) Parse(_ context.Context, text string) (int8, error) {
	if text != "-7" {
		return 0, abi.ErrorValue[string]{Value: "no number: " + text}
	}
	return -7, nil
}

func (store) Describe(_ context.Context, d Drawer) (string, error) { return d.(*bucket).name, nil }

func TestStore(t *testing.T) {
	funcs := registry{}
	if err := DefineStore(funcs, store{}); err != nil {
		t.Fatal(err)
	}
	g := newGuest()
	call := func(name string, args ...canon.Val) (canon.Val, error) {
		t.Helper()
		f, ok := funcs["example:bindings/store@1.2.0#"+name]
		if !ok {
			t.Fatalf("%s is not defined", name)
		}
		return g.call(t, f, args...)
	}
	must := func(v canon.Val, err error) canon.Val {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	check := func(got, want canon.Val) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %#v, want %#v", got, want)
		}
	}
	own := must(call("[constructor]bucket", canon.StringVal("first"))).(*canon.Handle)
	first := own.Rep.Host.(*bucket)
	if first.name != "first" {
		t.Errorf("name %q", first.name)
	}
	lend := func() *canon.Handle { return &canon.Handle{Type: own.Type, Rep: own.Rep} }

	check(must(call("[method]bucket.put", lend(), canon.StringVal("k"), canon.BytesVal("v"), canon.OptionVal{})), canon.ResultVal{})
	point := canon.RecordVal{{Name: "x", Value: canon.S32Val(-1)}, {Name: "y", Value: canon.S32Val(2)}}
	check(must(call("[method]bucket.put", lend(), canon.StringVal("k"), canon.BytesVal("w"), canon.OptionVal{Some: point})), canon.ResultVal{})
	if string(first.values["k"]) != "v" || string(first.values["k@-1,2"]) != "w" {
		t.Errorf("values %q", first.values)
	}
	check(must(call("[method]bucket.get", lend(), canon.StringVal("k"))), canon.ResultVal{Payload: canon.BytesVal("v")})
	check(must(call("[method]bucket.get", lend(), canon.StringVal("x"))), canon.ResultVal{IsErr: true, Payload: canon.VariantVal{Case: "not-found"}})
	check(must(call("[method]bucket.get", lend(), canon.StringVal("secret"))),
		canon.ResultVal{IsErr: true, Payload: canon.VariantVal{Case: "denied", Payload: canon.StringVal("secret")}})
	if _, err := call("[method]bucket.get", lend(), canon.StringVal("broken")); !errors.Is(err, errBroken) {
		t.Errorf("a failure of the host gave %v", err)
	}
	check(must(call("[method]bucket.level", lend())), canon.EnumVal("loud"))

	other := must(call("[static]bucket.open", canon.StringVal("other"))).(canon.ResultVal).Payload.(*canon.Handle)
	check(must(call("[static]bucket.open", canon.StringVal(""))), canon.ResultVal{IsErr: true, Payload: canon.VariantVal{Case: "not-found"}})
	check(must(call("[method]bucket.merge", lend(), other)), canon.ResultVal{Payload: canon.U32Val(0)})
	loud := must(call("[constructor]bucket", canon.StringVal("loud")))
	check(must(call("[method]bucket.merge", lend(), loud)), canon.ResultVal{IsErr: true, Payload: canon.EnumVal("loud")})

	check(must(call("newest", canon.ListVal{})), canon.OptionVal{})
	newest := must(call("newest", canon.ListVal{lend()})).(canon.OptionVal).Some.(*canon.Handle)
	if newest.Rep.Host != first || !newest.Own {
		t.Errorf("newest is %#v", newest)
	}
	check(must(call("check", canon.StringVal("ok"))), canon.ResultVal{})
	check(must(call("check", canon.StringVal("bad"))), canon.ResultVal{IsErr: true})
	check(must(call("parse", canon.StringVal("-7"))), canon.ResultVal{Payload: canon.S8Val(-7)})
	check(must(call("parse", canon.StringVal("x"))), canon.ResultVal{IsErr: true, Payload: canon.StringVal("no number: x")})
	check(must(call("describe", lend())), canon.StringVal("first"))

	if err := own.Drop(t.Context()); err != nil || first.dropped != 1 {
		t.Errorf("drop: %v, %d times", err, first.dropped)
	}
}

// counterExporter plays a guest that implements counts: a representation is
// the count.
type counterExporter struct {
	g     *guest
	count *canon.ResourceType
}

type counterExport struct {
	counterExporter
	name string
	t    *abi.FuncType
}

func (x counterExporter) ExportedFunc(iface, name string, t *abi.FuncType) (abi.Export, error) {
	if iface != "example:bindings/counter@1.2.0" {
		return nil, fmt.Errorf("no interface %q", iface)
	}
	return counterExport{x, name, t}, nil
}

func (e counterExport) Invoke(ctx context.Context, lower, lift func(c *abi.Call, stack []uint64)) error {
	cx := &e.g.cx
	cx.Owner = e
	cx.Bind = map[*canon.Resource]*canon.ResourceType{}
	e.count.Owner = e
	cx.Bind[resourceCount] = e.count
	c := abi.NewCall(ctx, cx)
	s := make([]uint64, 17)
	lower(&c, s)
	own := func(n uint64) uint64 { return uint64(cx.Handles.AddOwn(e.count, canon.Rep{Core: uint32(n)})) }
	put := func(p uint32, values ...uint64) {
		for i, v := range values {
			c.PutU32(p+uint32(4*i), uint32(v))
		}
		s[0] = uint64(p)
	}
	switch e.name {
	case "[constructor]count":
		s[0] = own(s[0])
	case "[method]count.add":
		s[0] += s[1]
	case "[static]count.joined":
		a := cx.Handles.TakeOwn(uint32(s[0]), e.count).Core
		if b := uint32(s[1]); a == b {
			msg, n := c.StoreString("same")
			put(c.Alloc(12, 4), 1, uint64(msg), uint64(n))
		} else {
			put(c.Alloc(12, 4), 0, own(uint64(a+b)))
		}
	case "all":
		// The borrowed bucket is all that the guest has; it gives back another.
		bucket := cx.Handles.Rep(uint32(s[0]), resourceBucket.Type)
		cx.Handles.Drop(uint32(s[0]), resourceBucket.Type)
		list := c.Alloc(8, 4)
		put(list, own(1), own(2))
		put(c.Alloc(20, 4), uint64(list), 2, uint64(cx.Handles.AddOwn(resourceBucket.Type, bucket)), 1, own(3))
	case "restore":
		if s[1] != 2 || s[3] != 1 {
			return fmt.Errorf("restore of %v", s[:5])
		}
		for i, want := range []uint32{1, 2} {
			if n := cx.Handles.TakeOwn(c.U32(uint32(s[0])+uint32(4*i)), e.count).Core; n != want {
				return fmt.Errorf("count %d is %d", i, n)
			}
		}
		if n := cx.Handles.TakeOwn(uint32(s[4]), e.count).Core; n != 3 {
			return fmt.Errorf("last count is %d", n)
		}
		cx.Handles.TakeOwn(uint32(s[2]), resourceBucket.Type)
	}
	lift(&c, s)
	return nil
}

func TestCounter(t *testing.T) {
	x := counterExporter{newGuest(), &canon.ResourceType{Name: "count", Guest: true}}
	counter, err := LookupCounter(x)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	newCount := func(n uint32) Count {
		t.Helper()
		c, err := counter.NewCount(ctx, n)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	a, b := newCount(5), newCount(7)
	if n, err := counter.CountAdd(ctx, a, 3); err != nil || n != 8 {
		t.Errorf("add gave %d, %v", n, err)
	}
	joined, err := counter.CountJoined(ctx, a, b)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := counter.CountAdd(ctx, joined, 0); err != nil || n != 12 {
		t.Errorf("joined is %d, %v", n, err)
	}
	_, err = counter.CountJoined(ctx, newCount(7), b)
	if e, ok := err.(abi.ErrorValue[string]); !ok || e.Value != "same" {
		t.Errorf("error is %#v", err)
	}
	from := &bucket{name: "from"}
	snap, err := counter.All(ctx, from)
	if err != nil {
		t.Fatal(err)
	}
	if len(snap.Counts) != 2 || snap.Source != from || snap.Last == nil {
		t.Fatalf("snapshot %+v", snap)
	}
	if err := counter.Restore(ctx, snap); err != nil {
		t.Error(err)
	}
	// What was passed on is gone, what was lent is not.
	if !snap.Last.Gone || !a.Gone || b.Gone {
		t.Errorf("gone: last %t, a %t, b %t", snap.Last.Gone, a.Gone, b.Gone)
	}
	if n := x.g.cx.Handles.Len(); n != 0 {
		t.Errorf("%d handles are left in the guest", n)
	}
}

func TestInvalidValuesTrap(t *testing.T) {
	funcs := registry{}
	if err := DefineEcho(funcs, (*EchoExports)(nil)); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		stack []uint64
	}{
		{"single-level", []uint64{2, 0}},
		{"single-char", []uint64{0xd800, 0}},
		{"shapes", []uint64{5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
		{"strings", []uint64{1 << 30, 10, 0, 0, 0, 0, 0, 0, 0}},
		{"strings", []uint64{0, 0, 0, 0, 0, 1 << 31, 0, 0, 0}},
		{"strings", []uint64{0, 0, 0, 0, 2, 1, 0, 0, 0}},
		{"spilled", []uint64{1<<20 - 8, 0, 0}},
	} {
		f := funcs["example:bindings/echo@1.2.0#"+test.name]
		func() {
			defer func() {
				if _, ok := recover().(*canon.Trap); !ok {
					t.Errorf("%s with %v did not trap", test.name, test.stack)
				}
			}()
			c := abi.NewCall(t.Context(), &newGuest().cx)
			f.Call(&c, test.stack)
		}()
	}
}

func TestText(t *testing.T) {
	for got, want := range map[string]string{
		LevelQuiet.String():                      "quiet",
		Level(9).String():                        "level(9)",
		(AccessRead | AccessExec).String():       "{read, exec}",
		error(LevelLoud).Error():                 "loud",
		StoreErrorDenied{"why"}.Error():          "denied: why",
		StoreError(StoreErrorNotFound{}).Error(): "not-found",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
