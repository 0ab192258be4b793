package canon

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// world is two guests and a function that one calls in the other.
type world struct {
	caller, callee   *Context
	callerG, calleeG *guest
}

// newWorld makes guests of the encodings over copies of the caller's memory and
// of what the callee's heap holds.
func newWorld(from, to Encoding, memory []byte, lies []byte) *world {
	w := &world{}
	make := func(enc Encoding, n int) (*Context, *guest) {
		cx, g := newGuest(n, enc)
		cx.Fused = true
		for i := range 12 {
			cx.Handles.AddOwn([]*ResourceType{file, node}[i/10], Rep{Core: uint32(i)})
		}
		return cx, g
	}
	w.caller, w.callerG = make(from, len(memory))
	copy(w.callerG.b, memory)
	w.callee, w.calleeG = make(to, 1<<14)
	for i := range w.calleeG.b {
		w.calleeG.b[i] = byte(i) | 0x80 // what is not written shows
	}
	w.callee.Realloc = liar(w.calleeG, slices.Clone(lies))
	return w
}

// liar is an allocator that grows its memory and moves it, and now and then
// gives what it should not, as lies say.
func liar(g *guest, lies []byte) func(old, oldSize, align, size uint32) uint32 {
	return func(old, oldSize, align, size uint32) uint32 {
		g.b = append(make([]byte, 0, len(g.b)+64), append(g.b, make([]byte, 16)...)...)
		p := g.realloc(old, oldSize, align, size)
		if len(lies) == 0 {
			return p
		}
		lie := lies[0]
		lies = lies[1:]
		switch lie {
		case 1:
			return 8 // overlaps what it gave before
		case 2:
			return p + 1
		case 3:
			return uint32(len(g.b)) - size
		case 4:
			return uint32(len(g.b)) - size + align
		case 5:
			copy(g.b[8:64], "what the guest does when it is called")
		}
		return p
	}
}

// outcome is all that can be seen of a call.
type outcome struct {
	trap            string
	core            []uint64
	calls           []string
	memory          []byte
	callerN, calleN int
	lent            int
	borrows         int
	entries         [2]string
}

func (w *world) outcome(t *testing.T, core []uint64, call func()) outcome {
	o := outcome{}
	o.trap = trap(t, call)
	o.calls, o.memory = w.calleeG.calls, w.calleeG.b
	o.callerN, o.calleN = w.caller.Handles.Len(), w.callee.Handles.Len()
	o.lent, o.borrows = len(w.caller.Scope.lent), w.callee.Scope.Borrows()
	if o.trap == "" {
		o.core = core
		for i, table := range []*Table{w.caller.Handles, w.callee.Handles} {
			for _, e := range table.entries {
				o.entries[i] += fmt.Sprintf("%d %t %d %v %v,", e.kind, e.own, e.lends, e.rt, e.rep)
			}
		}
	}
	return o
}

// compareCopier passes parameters and a result of type typ through a Copier and
// as dynamic values, from a guest with the memory and the core values. A result in
// memory goes to p.
func compareCopier(t *testing.T, ft *FuncType, from, to Encoding, memory, lies []byte, core []uint64, p uint64) (trapped bool) {
	t.Helper()
	lower, lift := ft.FlattenLower(false), ft.FlattenLift(false, false)
	c := NewCopier(ft)
	check := func(how string, dynamic, copied outcome) {
		t.Helper()
		if !reflect.DeepEqual(dynamic, copied) {
			same := bytes.Equal(dynamic.memory, copied.memory)
			dynamic.memory, copied.memory = nil, nil
			t.Errorf("%s of %s, %d to %d, core %v, lies %v (same memory: %t):\ndynamic %+v\n copied %+v", how, ft, from, to, core, lies, same, dynamic, copied)
		}
		trapped = trapped || dynamic.trap != ""
	}
	args := func() []uint64 { return make([]uint64, len(lift.Params)) }

	w, out := newWorld(from, to, memory, lies), args()
	dynamic := w.outcome(t, out, func() { w.callee.LowerParams(out[:0], ft, lift, w.caller.LiftParams(ft, lower, core)) })
	w, out = newWorld(from, to, memory, lies), args()
	check("parameters", dynamic, w.outcome(t, out, func() {
		var v Values
		c.LiftParams(&v, w.caller, core)
		c.LowerParams(&v, w.callee, out)
	}))

	// The guest that was called here is the one that calls there.
	into := append(slices.Clone(core[:len(lower.Params)]), 0)
	into = into[:len(lower.Params)]
	if lower.SpillResult {
		into[len(into)-1] = p
	}
	results := func() []uint64 { return make([]uint64, len(lower.Results)) }
	w, out = newWorld(from, to, memory, lies), results()
	dynamic = w.outcome(t, out, func() {
		w.callee.LowerResult(out[:0], ft, lower, into, w.caller.LiftResult(ft, lift, core))
	})
	w, out = newWorld(from, to, memory, lies), results()
	check("result", dynamic, w.outcome(t, out, func() {
		var v Values
		c.LiftResult(&v, w.caller, core)
		c.LowerResult(&v, w.callee, into, out)
	}))
	return trapped
}

// copierCase makes a case of fuzzed bytes. The caller's memory holds a valid
// value now and then spoiled, or anything.
func copierCase(t *testing.T, data []byte) (trapped, skipped bool) {
	s := &source{b: data}
	typ := s.typ(3)
	from, to := Encoding(s.n(3)), Encoding(s.n(3))
	if typ.Size > 1<<12 {
		return false, true
	}
	params := []Field{{Name: "a", Type: typ}}
	for range s.n(4) {
		params = append(params, Field{Name: "b", Type: fuzzPrimitives[s.n(len(fuzzPrimitives))]})
	}
	ft := Func(false, params, typ)
	lies := make([]byte, 0, 8)
	if s.n(3) == 0 {
		for range s.n(8) {
			lies = append(lies, byte(s.n(12)))
		}
	}
	spoil := s.n(3)
	core := make([]uint64, MaxFlatParams+2)
	memory := make([]byte, 1<<13)
	if spoil < 2 {
		cx, g := newGuest(len(memory), from)
		var vals []Val
		for _, p := range params {
			vals = append(vals, s.value(p.Type))
		}
		if trap(t, func() { cx.LowerParams(core[:0], ft, ft.FlattenLift(false, false), vals) }) != "" {
			return false, true
		}
		memory = g.b
	} else {
		for i := range memory {
			memory[i] = byte(s.n(5))
		}
		for i := range core {
			core[i] = uint64(s.n(256))
		}
	}
	if spoil == 1 {
		for range 1 + s.n(4) {
			memory[8+s.n(120)] = s.byte()
			core[s.n(8)] ^= uint64(1) << s.n(64)
		}
		for i := range 8 { // a NaN, perhaps
			memory[8+8*s.n(2)+i] = 0xff
		}
	}
	p := uint64(1 << 13)
	if s.n(4) == 0 {
		p += s.u64() & 0x3ffff
	}
	return compareCopier(t, ft, from, to, memory, lies, core, p), false
}

// A copier does what lifting and lowering dynamic values does: the same traps,
// calls of realloc, bytes and handles.
func TestCopierRandom(t *testing.T) {
	const cases = 3000
	r := rand.New(rand.NewPCG(1, 2))
	trapped, skipped := 0, 0
	for range cases {
		data := make([]byte, 20+r.IntN(400))
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		tr, skip := copierCase(t, data)
		if tr {
			trapped++
		}
		if skip {
			skipped++
		}
		if t.Failed() {
			break
		}
	}
	t.Logf("%d of %d cases trapped, %d were skipped", trapped, cases, skipped)
	if trapped < cases/10 || trapped > cases*9/10 || skipped > cases/10 {
		t.Error("the cases are too much alike")
	}
}

// FuzzCopier is TestCopierRandom with cases that are looked for.
func FuzzCopier(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) { copierCase(t, data) })
}

// Values that name the same memory again and again are not copied without end.
func TestCopierBound(t *testing.T) {
	const names, size = 100, 1 << 24
	ft := Func(false, []Field{{Name: "a", Type: List(List(U8))}}, nil)
	cx, g := newGuest(size+8*names, UTF8)
	for i := range uint32(names) {
		cx.store32(size+8*i+4, size)
	}
	var v Values
	err := exceeds(t, func() { NewCopier(ft).LiftParams(&v, cx, []uint64{size, names}) })
	if err == nil || err.Limit != maxCarried || err.Requested <= maxCarried {
		t.Errorf("%d lists of %d bytes: %v", names, size, err)
	}
	if len(g.calls) != 0 {
		t.Error("memory was allocated")
	}
}
