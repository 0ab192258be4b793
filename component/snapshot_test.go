package component_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// keeper is a host with resources, of which guests can keep some, and which counts.
type keeper struct {
	resource *abi.Resource
	freezes  bool // whether its resources can be part of a snapshot
	thawFail error
	notes    []uint32
	made     []*keptThing
}

type keptThing struct {
	keeper  *keeper
	id      int
	whom    any // whom it was thawed for
	dropped int
}

type keeperKey struct{}

func (t *keptThing) Freeze() func(context.Context) (any, error) {
	if !t.keeper.freezes {
		return nil
	}
	return func(ctx context.Context) (any, error) {
		if t.keeper.thawFail != nil {
			return nil, t.keeper.thawFail
		}
		return t.keeper.make(ctx.Value(keeperKey{})), nil
	}
}

func (k *keeper) make(who any) *keptThing {
	t := &keptThing{keeper: k, id: len(k.made), whom: who}
	k.made = append(k.made, t)
	return t
}

// keep is what guests import of it; r is the resource.
func keep(r *abi.Resource) abi.Interface {
	return abi.Interface{Name: "test:h/keep", Resources: []*abi.Resource{r}, Funcs: []abi.Func{
		{Name: "make", Type: abi.Function(nil, abi.Own(r))},
		{Name: "get", Type: abi.Function([]abi.Field{abi.F("t", abi.Borrow(r))}, abi.U32)},
		{Name: "note", Type: abi.Function([]abi.Field{abi.F("n", abi.U32)}, abi.U32)},
	}}
}

// The core functions of keep.
const keepMake, keepGet, keepNote = 0, 1, 2

func newKeeper() *keeper {
	k := &keeper{}
	k.resource = abi.HostResource("thing", func(_ context.Context, v any) error { v.(*keptThing).dropped++; return nil })
	return k
}

// offer offers keep. note returns how often it was called.
func (k *keeper) offer(t *testing.T) func(l *component.Linker) {
	return func(l *component.Linker) {
		i := keep(k.resource)
		i.Funcs[keepMake].Call = func(c *abi.Call, s []uint64) { s[0] = uint64(c.PutOwn(k.resource, k.make(nil))) }
		i.Funcs[keepGet].Call = func(c *abi.Call, s []uint64) { s[0] = uint64(c.Lend(k.resource, uint32(s[0])).(*keptThing).id) }
		i.Funcs[keepNote].Call = func(_ *abi.Call, s []uint64) {
			k.notes = append(k.notes, uint32(s[0]))
			s[0] = uint64(len(k.notes))
		}
		if err := l.Define(i); err != nil {
			t.Fatal(err)
		}
	}
}

// checkDropped tells that each resource was dropped once.
func (k *keeper) checkDropped(t *testing.T) {
	t.Helper()
	for n, thing := range k.made {
		if thing.dropped != 1 {
			t.Errorf("resource %d of %d was dropped %d times", n, len(k.made), thing.dropped)
		}
	}
}

// starting is a guest with a start function, if that is not nil, which sees the memory
// and keep. It exports
//
//	word: func(at: u32) -> u32        // of the memory
//	put: func(at: u32, v: u32)
//	get: func(at: u32) -> u32         // number of the resource whose handle is there
//	make: func(at: u32)               // puts a handle there
//	note: func(n: u32) -> u32
//	trap: func()
//	recurse: func(n: u32)
func starting(once bool, start guests.Code) []byte {
	r := abi.GuestResource("thing")
	i32 := []wasm.ValType{wasm.I32}
	at := abi.Function([]abi.Field{abi.F("at", abi.U32)}, abi.U32)
	g := guests.Guest{
		Imports: []abi.Interface{keep(r)}, Once: once, Pages: 3,
		Data: []guests.Data{{At: 1000, Bytes: "data"}},
		Funcs: []guests.Func{
			{Name: "word", Params: i32, Results: i32, Body: guests.Seq(guests.Get(0), guests.Load(0))},
			{Name: "put", Params: []wasm.ValType{wasm.I32, wasm.I32}, Body: guests.Seq(guests.Get(0), guests.Get(1), guests.Store(0))},
			{Name: "get", Params: i32, Results: i32, Body: guests.Seq(guests.Get(0), guests.Load(0), guests.Call(keepGet))},
			{Name: "make", Params: i32, Body: guests.Seq(guests.Get(0), guests.Call(keepMake), guests.Store(0))},
			{Name: "note", Params: i32, Results: i32, Body: guests.Seq(guests.Get(0), guests.Call(keepNote))},
			{Name: "trap", Body: guests.Unreachable},
			{Name: "recurse", Params: i32, Body: guests.Seq(guests.Get(0), guests.If(guests.Seq(
				guests.Get(0), guests.I32(1), guests.I32Sub, guests.Call(9), guests.I32(128), guests.Get(0), guests.Store(0))))},
		},
		Exports: []guests.Export{
			{Name: "word", Core: "word", Type: at}, {Name: "get", Core: "get", Type: at},
			{Name: "put", Core: "put", Type: abi.Function([]abi.Field{abi.F("at", abi.U32), abi.F("v", abi.U32)}, nil)},
			{Name: "make", Core: "make", Type: abi.Function(at.Params, nil)},
			{Name: "note", Core: "note", Type: at}, {Name: "trap", Core: "trap", Type: abi.Function(nil, nil)},
			{Name: "recurse", Core: "recurse", Type: abi.Function(at.Params, nil)},
		},
	}
	if start != nil {
		g.Funcs = append(g.Funcs, guests.Func{Start: true, Body: start})
	}
	return g.Component()
}

// Where start functions of tests put things.
const wordAt, handleAt = 64, 68

var (
	startPure  = guests.Seq(guests.I32(wordAt), guests.I32(41), guests.Store(0))
	startNotes = guests.Seq(guests.I32(wordAt), guests.I32(5), guests.Call(keepNote), guests.Store(0))
	startKeeps = guests.Seq(guests.I32(handleAt), guests.Call(keepMake), guests.Store(0))
	startGrows = guests.Seq(startPure, guests.I32(1), guests.MemoryGrow, guests.Drop, guests.I32(3<<16), guests.I32(7), guests.Store(0))
)

// What instances share by itself, and why.
func TestSnapshotAuto(t *testing.T) {
	for _, c := range []struct {
		name   string
		once   bool
		start  guests.Code
		freeze bool
		mode   component.SnapshotMode
		reason string
		static component.SnapshotMode // what is known without running it
	}{
		{"nothing", false, nil, false, component.SnapshotInit, "no code runs to initialise it", component.SnapshotInit},
		{"pure", false, startPure, false, component.SnapshotInit, "initialising it calls no import", component.SnapshotAuto},
		{"calls", false, startNotes, false, component.SnapshotData, "initialising it calls test:h/keep#note", component.SnapshotAuto},
		{"calls, once", true, startNotes, false, component.SnapshotInit, "the component declares that it is initialised once", component.SnapshotInit},
		{"keeps, once", true, startKeeps, false, component.SnapshotData, "a handle to a resource thing of the host", component.SnapshotInit},
		{"keeps what can be frozen", false, startKeeps, true, component.SnapshotData, "initialising it calls test:h/keep#make", component.SnapshotAuto},
		{"keeps what can be frozen, once", true, startKeeps, true, component.SnapshotInit, "the component declares that it is initialised once", component.SnapshotInit},
		{"grows", false, startGrows, false, component.SnapshotInit, "initialising it calls no import", component.SnapshotAuto},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newKeeper()
			k.freezes = c.freeze
			bytes := starting(c.once, c.start)
			if info, err := component.SnapshotOf(bytes); err != nil || info.Mode != c.static || info.Reason == "" {
				t.Errorf("without running it: %+v, %v", info, err)
			}
			p := pooled(t, component.Options{}, bytes, k.offer(t))
			pool := newPool(t, p, component.PoolOptions{Concurrent: 1})
			for round := range 3 {
				ctx := context.WithValue(t.Context(), keeperKey{}, round)
				err := pool.Do(ctx, func(i *component.Instance) error {
					word := number(t, i, "word", component.U32Val(wordAt))
					switch {
					case strings.HasPrefix(c.name, "calls") && c.mode == component.SnapshotData:
						// It was called for this instance, and once to find out whether it is.
						if word != uint64(round+2) || len(k.notes) != round+2 {
							t.Errorf("round %d: note had been called %d times, now %v", round, word, k.notes)
						}
					case strings.HasPrefix(c.name, "calls"):
						if word != 1 || len(k.notes) != 1 {
							t.Errorf("round %d: note had been called %d times, now %v", round, word, k.notes)
						}
					}
					if strings.HasPrefix(c.name, "keeps") {
						id := number(t, i, "get", component.U32Val(handleAt))
						thing := k.made[id]
						if id != uint64(len(k.made)-1) || thing.dropped != 0 {
							t.Errorf("round %d: the resource is %d of %d, dropped %d times", round, id, len(k.made), thing.dropped)
						}
						if c.mode == component.SnapshotInit && thing.whom != round {
							t.Errorf("round %d: the resource is for %v", round, thing.whom)
						}
					}
					if c.name == "grows" && (number(t, i, "word", component.U32Val(3<<16)) != 7 || i.MemoryUsed() != 4<<16) {
						t.Errorf("memory of %d bytes", i.MemoryUsed())
					}
					number(t, i, "put", component.U32Val(wordAt), component.U32Val(99))
					number(t, i, "make", component.U32Val(handleAt))
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			info := pool.Snapshot()
			if info.Mode != c.mode || !strings.Contains(info.Reason, c.reason) || info.Bytes != 3<<16 && c.name != "grows" {
				t.Errorf("%+v, want %v: ...%s", info, c.mode, c.reason)
			}
			wantStats(t, pool, 1, 3, 0)
			k.checkDropped(t)
		})
	}
}

// A start function that traps does so in every call, whatever is shared.
func TestStartTraps(t *testing.T) {
	for _, mode := range []component.SnapshotMode{component.SnapshotAuto, component.SnapshotOff, component.SnapshotData, component.SnapshotInit, component.SnapshotWarm} {
		for name, start := range map[string]guests.Code{"pure": guests.Unreachable, "calls": guests.Seq(startKeeps, guests.Unreachable)} {
			k := newKeeper()
			p := pooled(t, component.Options{}, starting(true, start), k.offer(t))
			o := component.PoolOptions{Concurrent: 1, Snapshot: mode}
			if mode == component.SnapshotWarm {
				o.WarmUp = func(context.Context, *component.Instance) error { t.Error("warmed up"); return nil }
			}
			pool := newPool(t, p, o)
			for range 3 {
				err := pool.Do(t.Context(), func(*component.Instance) error { t.Error("called"); return nil })
				if trap := wantTrap(t, err, "unreachable"); len(trap.Stack) == 0 {
					t.Errorf("%v, %s: no stack", mode, name)
				}
			}
			if s := pool.Stats(); s.InUse != 0 || s.Idle != 0 || s.Restored != 0 {
				t.Errorf("%v, %s: %+v", mode, name, s)
			}
			k.checkDropped(t)
		}
	}
}

// What is asked for is done, even if it is not what would be done by itself.
func TestSnapshotModes(t *testing.T) {
	for _, c := range []struct {
		mode   component.SnapshotMode
		word   func(round int) uint64 // what the start function got from the host
		stats  [3]uint64
		reason string
	}{
		{component.SnapshotOff, func(round int) uint64 { return uint64(round + 1) }, [3]uint64{3, 0, 0}, "asked for"},
		{component.SnapshotData, func(round int) uint64 { return uint64(round + 1) }, [3]uint64{1, 3, 0}, "asked for"},
		{component.SnapshotInit, func(int) uint64 { return 1 }, [3]uint64{1, 3, 0}, "asked for"},
		{component.SnapshotWarm, func(int) uint64 { return 1 }, [3]uint64{1, 3, 0}, "asked for"},
	} {
		t.Run(c.mode.String(), func(t *testing.T) {
			k := newKeeper()
			p := pooled(t, component.Options{}, starting(false, startNotes), k.offer(t))
			warmed := 0
			o := component.PoolOptions{Concurrent: 1, Snapshot: c.mode}
			if c.mode == component.SnapshotWarm {
				o.WarmUp = func(_ context.Context, i *component.Instance) error {
					warmed++
					number(t, i, "put", component.U32Val(2000), component.U32Val(55))
					// It is not for who warms up to close it.
					return i.Close(t.Context())
				}
			}
			pool := newPool(t, p, o)
			for round := range 3 {
				do(t, pool, func(i *component.Instance) {
					if got := number(t, i, "word", component.U32Val(wordAt)); got != c.word(round) {
						t.Errorf("round %d: %d", round, got)
					}
					if got, warm := number(t, i, "word", component.U32Val(2000)), c.mode == component.SnapshotWarm; warm != (got == 55) || !warm && got != 0 {
						t.Errorf("round %d: the call before left %d", round, got)
					}
					if got := number(t, i, "word", component.U32Val(1000)); got != 0x61746164 { // "data"
						t.Errorf("round %d: data %#x", round, got)
					}
					for _, at := range []uint32{1000, 2000, wordAt} {
						number(t, i, "put", component.U32Val(at), component.U32Val(99))
					}
				})
			}
			wantStats(t, pool, c.stats[0], c.stats[1], c.stats[2])
			if info := pool.Snapshot(); info.Mode != c.mode || info.Reason != c.reason {
				t.Errorf("%+v", info)
			}
			pool.Trim()
			do(t, pool, func(*component.Instance) {})
			if want := map[bool]int{true: 2}[c.mode == component.SnapshotWarm]; warmed != want {
				t.Errorf("warmed up %d times, want %d", warmed, want)
			}
		})
	}
}

func TestSnapshotOptions(t *testing.T) {
	p := pooled(t, component.Options{}, guests.Calc(), nil)
	warmUp := func(context.Context, *component.Instance) error { return nil }
	for _, o := range []component.PoolOptions{
		{Snapshot: component.SnapshotWarm}, {WarmUp: warmUp}, {Snapshot: component.SnapshotInit, WarmUp: warmUp}, {Snapshot: 99},
	} {
		if _, err := p.NewPool(o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
	for _, mode := range []component.SnapshotMode{component.SnapshotAuto, component.SnapshotOff, component.SnapshotData, component.SnapshotInit, component.SnapshotWarm} {
		if got, err := component.ParseSnapshotMode(mode.String()); got != mode || err != nil {
			t.Errorf("%v: %v, %v", mode, got, err)
		}
	}
	if _, err := component.ParseSnapshotMode("hot"); err == nil || !strings.Contains(err.Error(), "auto, off, data, init, warm") {
		t.Errorf("hot: %v", err)
	}
}

// Warming up ends with an error that says what is wrong, and leaves nothing.
func TestWarmUpFails(t *testing.T) {
	broken := errors.New("it is broken")
	for name, c := range map[string]struct {
		warm func(t *testing.T, i *component.Instance) error
		want func(err error) bool
	}{
		"fails": {func(*testing.T, *component.Instance) error { return broken },
			func(err error) bool {
				return errors.Is(err, broken) && strings.Contains(err.Error(), "warm up: it is broken")
			}},
		"traps":            {func(t *testing.T, i *component.Instance) error { _, err := call(t, i, "", "trap"); return err }, isTrap},
		"traps, unnoticed": {func(t *testing.T, i *component.Instance) error { _, _ = call(t, i, "", "trap"); return nil }, isTrap},
		"keeps a resource": {func(t *testing.T, i *component.Instance) error {
			number(t, i, "make", component.U32Val(handleAt))
			return nil
		},
			func(err error) bool {
				return strings.Contains(err.Error(), "can't be shared: a handle to a resource thing of the host") && strings.Contains(err.Error(), "it had called test:h/keep#make")
			}},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKeeper()
			p := pooled(t, component.Options{}, starting(false, startPure), k.offer(t))
			pool := newPool(t, p, component.PoolOptions{Snapshot: component.SnapshotWarm,
				WarmUp: func(_ context.Context, i *component.Instance) error { return c.warm(t, i) }})
			for range 2 {
				err := pool.Do(t.Context(), func(*component.Instance) error { t.Error("called"); return nil })
				if err == nil || !c.want(err) {
					t.Errorf("got %v", err)
				}
			}
			if _, err := pool.Prime(t.Context(), 2); err == nil || !c.want(err) {
				t.Errorf("prime: %v", err)
			}
			k.checkDropped(t)
			if s := pool.Stats(); s != (component.PoolStats{}) {
				t.Errorf("%+v", s)
			}
		})
	}
}

func isTrap(err error) bool {
	var trap *component.Trap
	return errors.As(err, &trap) && trap.Kind == component.TrapUnreachable && strings.Contains(err.Error(), "warm up")
}

// A call that warming up left behind does not end up in a snapshot.
func TestWarmUpLeavesCall(t *testing.T) {
	entered, leave, left := make(chan struct{}), make(chan struct{}), make(chan error)
	p := pooled(t, component.Options{}, guests.Caller().Bytes(), func(l *component.Linker) {
		if err := l.Root().Func("step", nil, func(_ context.Context, args []component.Val) (component.Val, error) {
			close(entered)
			<-leave
			return args[0], nil
		}); err != nil {
			t.Fatal(err)
		}
	})
	pool := newPool(t, p, component.PoolOptions{Snapshot: component.SnapshotWarm, WarmUp: func(_ context.Context, i *component.Instance) error {
		f, _ := i.Func("", "go")
		go func() {
			_, err := f.Call(context.Background(), []component.Val{component.U32Val(1)})
			left <- err
		}()
		<-entered
		return nil
	}})
	if err := pool.Do(t.Context(), func(*component.Instance) error { return nil }); !errors.Is(err, component.ErrBusy) {
		t.Errorf("got %v", err)
	}
	close(leave)
	if err := <-left; err != nil {
		t.Errorf("the call that was left: %v", err)
	}
}

// Resources that can't be made for an instance end its call, and those that were are
// dropped.
func TestThawFails(t *testing.T) {
	k := newKeeper()
	k.freezes = true
	p := pooled(t, component.Options{}, starting(true, guests.Seq(startKeeps, startKeeps)), k.offer(t))
	pool := newPool(t, p, component.PoolOptions{Concurrent: 1})
	do(t, pool, func(*component.Instance) {})
	k.thawFail = errors.New("no more")
	if err := pool.Do(t.Context(), func(*component.Instance) error { t.Error("called"); return nil }); !errors.Is(err, k.thawFail) {
		t.Errorf("got %v", err)
	}
	k.thawFail = nil
	do(t, pool, func(*component.Instance) {})
	wantStats(t, pool, 2, 2, 1)
	k.checkDropped(t)
}

// ordered has several modules with a memory between them. The first of the two start
// functions copies what is at 1000 to 2000, the second to 2004, and both note it; data of
// the module of the second is written in between. It exports word.
func ordered() []byte {
	b := guests.NewBuilder()
	r := abi.GuestResource("thing")
	i32 := []wasm.ValType{wasm.I32}
	note := keep(r).Funcs[keepNote]
	inst := b.ImportInstance(keep(r))
	libc := b.Libc([]guests.Data{{At: 1000, Bytes: "aaaaaaaa"}}, 1)
	host := b.Lower(b.Alias(binary.SortFunc, inst, "note"), note.Type)
	items := []binary.CoreItem{{Name: "note", SortIdx: binary.SortIdx{Sort: binary.SortCoreFunc, Index: host.Index}}}
	hostInstance := b.Def(&binary.CoreInstance{Inline: true, Exports: items})

	// A module with immutable globals for offsets.
	globals := &guests.CoreModule{}
	globals.Globals = []wasm.Global{{GlobalType: wasm.GlobalType{Val: wasm.I32}, Init: guests.Constant(250)}}
	globals.Exports = []wasm.Export{{Name: "at", Kind: wasm.KindGlobal}}
	offsets := b.Def(&binary.CoreInstance{Module: b.Def(&binary.CoreModule{Bytes: globals.Encode()})})

	module := func(start guests.Code, data ...wasm.Data) uint32 {
		m := &guests.CoreModule{}
		m.ImportFunc("host", "note", i32, i32)
		m.Imports = append(m.Imports,
			wasm.Import{Module: "libc", Name: "memory", Extern: wasm.Extern{Kind: wasm.KindMemory, Memory: wasm.MemoryType{PageSizeLog2: 16}}},
			wasm.Import{Module: "offsets", Name: "at", Extern: wasm.Extern{Kind: wasm.KindGlobal, Global: wasm.GlobalType{Val: wasm.I32}}})
		m.Data = data
		count := uint32(len(data))
		m.DataCount = &count
		m.Define(&guests.Func{Name: "word", Params: i32, Results: i32, Body: guests.Seq(guests.Get(0), guests.Load(0))})
		if start != nil {
			m.Define(&guests.Func{Start: true, Body: start})
		}
		return b.Def(&binary.CoreInstance{Module: b.Def(&binary.CoreModule{Bytes: m.Encode()}), Args: []binary.CoreArg{
			{Name: "host", Instance: hostInstance}, {Name: "libc", Instance: libc.Instance}, {Name: "offsets", Instance: offsets}}})
	}
	active := func(at guests.Code, s string) wasm.Data {
		return wasm.Data{Mode: wasm.Active, At: wasm.Expr{Code: append(at, 0x0b)}, Init: []byte(s)}
	}
	copyWord := func(to int32) guests.Code {
		return guests.Seq(guests.I32(to), guests.I32(1000), guests.Load(0), guests.Store(0),
			guests.I32(to), guests.Load(0), guests.Call(0), guests.Drop)
	}
	memoryInit := func(to int32) guests.Code { // from the passive segment, which is dropped after that
		return guests.Seq(guests.I32(to), guests.I32(0), guests.I32(4), guests.Code{0xfc, 0x08, 1, 0, 0xfc, 0x09, 1})
	}
	// 250 * 4: the global by extended constant expressions
	thousand := guests.Seq(guests.Code{0x23, 0}, guests.I32(4), guests.Code{0x6c})
	module(nil, active(thousand, "bbbb"))
	module(guests.Seq(copyWord(2000), memoryInit(3000)), active(guests.I32(2000), "cccc"), wasm.Data{Mode: wasm.Passive, Init: []byte("pppp")})
	module(nil, active(guests.Seq(guests.Code{0x23, 0}, guests.I32(754), guests.I32Add), "dddd")) // at 1004
	last := module(guests.Seq(copyWord(2004), memoryInit(3004)), active(thousand, "eeee"), wasm.Data{Mode: wasm.Passive, Init: []byte("qqqq")})
	b.Export("word", binary.SortFunc, b.Lift(b.CoreAlias(binary.SortCoreFunc, last, "word"), abi.Function([]abi.Field{abi.F("at", abi.U32)}, abi.U32)))
	return b.Bytes()
}

// Start functions run for each instance in their order, between the data of modules, as
// far as they are not shared.
func TestStartsAndDataInOrder(t *testing.T) {
	word := func(c byte) uint64 { return uint64(c) * 0x01010101 }
	want := map[uint32]uint64{1000: word('e'), 1004: word('d'), 2000: word('b'), 2004: word('e'), 3000: word('p'), 3004: word('q'), 4000: 0}
	for mode, o := range modes {
		for _, snapshot := range []component.SnapshotMode{component.SnapshotOff, component.SnapshotAuto, component.SnapshotData, component.SnapshotInit} {
			t.Run(fmt.Sprint(mode, "/", snapshot), func(t *testing.T) {
				k := newKeeper()
				p := pooled(t, o, ordered(), k.offer(t))
				pool := newPool(t, p, component.PoolOptions{Concurrent: 1, Snapshot: snapshot})
				for round := range 3 {
					do(t, pool, func(i *component.Instance) {
						for at, v := range want {
							if got := number(t, i, "word", component.U32Val(at)); got != v {
								t.Errorf("round %d: %#x at %d, want %#x", round, got, at, v)
							}
						}
						clear(k.notes)
					})
				}
				if snapshot == component.SnapshotInit {
					return
				}
				k.notes = nil
				do(t, pool, func(*component.Instance) {})
				if fmt.Sprint(k.notes) != fmt.Sprint([]uint32{uint32(word('b')), uint32(word('e'))}) {
					t.Errorf("notes %x", k.notes)
				}
				if snapshot != component.SnapshotOff && pool.Snapshot().Mode != component.SnapshotData {
					t.Errorf("%+v", pool.Snapshot())
				}
			})
		}
	}
}

// beyond is a module with a data segment that does not fit, alone or after others, and a
// start function that would note that it ran.
func beyond(at wasm.Expr, pages uint64) []byte {
	b := guests.NewBuilder()
	m := &guests.CoreModule{}
	m.Memories = []wasm.Memory{{MemoryType: wasm.MemoryType{PageSizeLog2: 16, Limits: wasm.Limits{Min: pages}}}}
	m.Data = []wasm.Data{
		{Mode: wasm.Active, At: guests.Constant(0), Init: []byte("first")},
		{Mode: wasm.Active, At: at, Init: []byte("beyond")},
	}
	m.Define(&guests.Func{Name: "f", Results: []wasm.ValType{wasm.I32}, Body: guests.I32(1)})
	b.Instantiate(m, "f")
	return b.Bytes()
}

// Data that does not fit ends each instantiation as before.
func TestDataBeyondMemory(t *testing.T) {
	minus := guests.Seq(guests.I32(2), guests.I32(3), guests.I32Sub)
	for name, c := range map[string]struct {
		at    wasm.Expr
		pages uint64
		fits  bool
	}{
		"fits": {guests.Constant(65536 - 6), 1, true}, "one too far": {guests.Constant(65536 - 5), 1, false},
		"negative": {guests.Constant(-1), 1, false}, "computed": {wasm.Expr{Code: append(minus, 0x0b)}, 1, false},
		"no memory": {guests.Constant(0), 0, false},
	} {
		for _, mode := range []component.SnapshotMode{component.SnapshotOff, component.SnapshotAuto, component.SnapshotData, component.SnapshotInit} {
			p := pooled(t, component.Options{}, beyond(c.at, c.pages), nil)
			pool := newPool(t, p, component.PoolOptions{Concurrent: 1, Snapshot: mode})
			for range 2 {
				err := pool.Do(t.Context(), func(*component.Instance) error { return nil })
				if c.fits && err == nil {
					continue
				}
				var trap *component.Trap
				if c.fits || !errors.As(err, &trap) || trap.Kind != component.TrapMemoryBounds {
					t.Errorf("%s, %v: %v", name, mode, err)
				}
			}
		}
	}
}

// Guest resources that initialisation left belong to each instance.
func TestSnapshotWithGuestResources(t *testing.T) {
	p := pooled(t, component.Options{}, guests.Family(), nil)
	pool := newPool(t, p, component.PoolOptions{Concurrent: 1, Snapshot: component.SnapshotWarm,
		WarmUp: func(_ context.Context, i *component.Instance) error {
			number(t, i, "leak", component.U32Val(5))
			number(t, i, "use", component.U32Val(30))
			return nil
		}})
	for range 3 {
		do(t, pool, func(i *component.Instance) {
			wantU32(t, i, 30, "dropped")
			wantU32(t, i, 4, "use", 4)
			wantU32(t, i, 34, "dropped")
			number(t, i, "leak", component.U32Val(100))
			_, err := callU32(t, i, "twice", 1)
			wantTrap(t, err, "unknown handle index")
		})
	}
	wantStats(t, pool, 3, 0, 3)
}

var _ component.Freezer = (*keptThing)(nil)
