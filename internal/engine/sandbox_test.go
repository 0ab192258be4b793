package engine_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ashlar-wasm/ashlar/internal/cow"
	"github.com/ashlar-wasm/ashlar/internal/engine"
	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

var sandboxRounds = flag.Int("rounds", 400, "rounds of random changes for each way to restore")

// Instructions that guests has no words for.
func op(code ...byte) guests.Code { return guests.Code(code) }

func tableGet(t byte) guests.Code     { return op(0x25, t) }
func tableSet(t byte) guests.Code     { return op(0x26, t) }
func refFunc(f byte) guests.Code      { return op(0xd2, f) }
func tableInit(e, t byte) guests.Code { return op(0xfc, 0x0c, e, t) }
func memoryInit(d byte) guests.Code   { return op(0xfc, 0x08, d, 0) }

var (
	i64 = []wasm.ValType{wasm.I64}
	// get2 and get3 push the parameters.
	get2 = guests.Seq(guests.Get(0), guests.Get(1))
	get3 = guests.Seq(get2, guests.Get(2))
)

// changes are the functions by which a guest changes all that it can.
func changes(m *guests.CoreModule, table, other byte, elements []byte, data []byte) {
	define := func(name string, params int, body ...guests.Code) {
		m.Define(&guests.Func{Name: name, Params: slices.Repeat(i32, params), Body: guests.Seq(body...)})
	}
	define("store", 2, get2, guests.Store(0))
	define("fill", 3, get3, op(0xfc, 0x0b, 0))
	define("copy", 3, get3, op(0xfc, 0x0a, 0, 0))
	define("grow", 1, guests.Get(0), op(0x40, 0, 0x1a))
	define("table.set", 2, guests.Get(0), guests.Get(1), tableGet(other), tableSet(table))
	define("table.set other", 2, guests.Get(0), guests.Get(1), tableGet(table), tableSet(other))
	define("table.clear", 1, guests.Get(0), op(0xd0, 0x70), tableSet(table))
	define("table.fill", 3, guests.Get(0), guests.Get(1), tableGet(table), guests.Get(2), op(0xfc, 0x11, table))
	define("table.copy", 3, get3, op(0xfc, 0x0e, table, other))
	define("table.copy back", 3, get3, op(0xfc, 0x0e, other, table))
	define("table.grow", 2, guests.Get(1), tableGet(table), guests.Get(0), op(0xfc, 0x0f, table, 0x1a))
	define("table.grow other", 2, guests.Get(1), tableGet(table), guests.Get(0), op(0xfc, 0x0f, other, 0x1a))
	for _, e := range elements {
		define(fmt.Sprint("table.init ", e), 3, get3, tableInit(e, table))
		define(fmt.Sprint("elem.drop ", e), 0, op(0xfc, 0x0d, e))
	}
	for _, d := range data {
		define(fmt.Sprint("memory.init ", d), 3, get3, memoryInit(d))
		define(fmt.Sprint("data.drop ", d), 0, op(0xfc, 0x09, d))
	}
}

// looks are the functions by which a guest tells what its tables hold.
func looks(m *guests.CoreModule, table, other byte) {
	for name, t := range map[string]byte{"table": table, "other": other} {
		m.Define(&guests.Func{Name: name + " size", Results: i32, Body: op(0xfc, 0x10, t)})
		// What the function in the table returns, or 0 if there is none.
		m.Define(&guests.Func{Name: name + " at", Params: i32, Results: i32, Body: guests.Seq(
			guests.Get(0), tableGet(t), op(0xd1, 0x04, 0x7f), guests.I32(0), op(0x05), guests.Get(0), op(0x11, 0, t, 0x0b))})
	}
}

func numbers(m *guests.CoreModule, from, n int) {
	for k := range n {
		m.Define(&guests.Func{Results: i32, Body: guests.I32(int32(from + k))})
	}
}

// stateful has state of every kind that core WebAssembly has, and changes some of it by
// its start function. A global variable with a reference is left out if that is wanted.
func stateful(references bool) *guests.CoreModule {
	m := memory(2, 8)
	numbers(m, 100, 4)
	m.Tables = []wasm.Table{table(8), table(2)}
	m.Tables[0].Limits.HasMax, m.Tables[0].Limits.Max = true, 40
	m.Exports = append(m.Exports, wasm.Export{Name: "table", Kind: wasm.KindTable}, wasm.Export{Name: "g0", Kind: wasm.KindGlobal})
	m.Elements = []wasm.Element{
		{Mode: wasm.Active, At: guests.Constant(1), Type: wasm.FuncRef, Funcs: []uint32{0, 1}},
		{Mode: wasm.Passive, Type: wasm.FuncRef, Funcs: []uint32{2, 3, 0}},
		{Mode: wasm.Passive, Type: wasm.FuncRef, Funcs: []uint32{1}},
	}
	count := uint32(3)
	m.DataCount = &count
	m.Data = []wasm.Data{
		{Mode: wasm.Active, At: guests.Constant(64), Init: []byte("active")},
		{Mode: wasm.Passive, Init: []byte("passive data")},
		{Mode: wasm.Passive, Init: []byte("second")},
	}
	constant := func(code ...byte) wasm.Expr { return wasm.Expr{Code: append(code, 0x0b)} }
	global := func(t wasm.ValType, init wasm.Expr) {
		m.Globals = append(m.Globals, wasm.Global{GlobalType: wasm.GlobalType{Val: t, Mutable: true}, Init: init})
	}
	global(wasm.I32, guests.Constant(11))
	global(wasm.I64, constant(0x42, 12))
	global(wasm.F32, constant(0x43, 0, 0, 0x40, 0x41))
	global(wasm.F64, constant(0x44, 1, 2, 3, 4, 5, 6, 7, 8))
	global(wasm.V128, constant(append([]byte{0xfd, 0x0c}, "sixteen bytes..."...)...))
	if references {
		global(wasm.FuncRef, constant(0xd0, 0x70))
	}
	for n, f := range []struct {
		set, get guests.Code // from and to i64
	}{
		{op(0xa7), op(0xad)}, {nil, nil}, {op(0xa7, 0xbe), op(0xbc, 0xad)}, {op(0xbf), op(0xbd)},
	} {
		m.Define(&guests.Func{Name: fmt.Sprint("set ", n), Params: i64, Body: guests.Seq(guests.Get(0), f.set, guests.GlobalSet(uint32(n)))})
		m.Define(&guests.Func{Name: fmt.Sprint("get ", n), Results: i64, Body: guests.Seq(guests.GlobalGet(uint32(n)), f.get)})
	}
	m.Define(&guests.Func{Name: "set 4", Params: i64, Body: guests.Seq(guests.Get(0), op(0xfd, 0x12), guests.GlobalSet(4))})
	m.Define(&guests.Func{Name: "get 4", Results: i64, Body: guests.Seq(guests.GlobalGet(4), op(0xfd, 0x1d, 0))})
	m.Define(&guests.Func{Name: "get 4 high", Results: i64, Body: guests.Seq(guests.GlobalGet(4), op(0xfd, 0x1d, 1))})
	var setReference guests.Code
	if references {
		m.Define(&guests.Func{Name: "set 5", Params: i32, Body: guests.Seq(guests.Get(0), tableGet(0), guests.GlobalSet(5))})
		// The reference goes to a table to be called, which was looked at before.
		m.Define(&guests.Func{Name: "get 5", Results: i64, Locals: 1, Body: guests.Seq(
			guests.I32(0), guests.GlobalGet(5), tableSet(1), guests.I32(0), tableGet(1), op(0xd1, 0x04, 0x7e), guests.I64(0),
			op(0x05), guests.I32(0), op(0x11, 0, 1, 0xad, 0x0b))})
		setReference = guests.Seq(guests.I32(1), tableGet(0), guests.GlobalSet(5))
	}
	changes(m, 0, 1, []byte{1, 2}, []byte{1, 2})
	looks(m, 0, 1)
	m.Start = &wasm.Start{Func: uint32(len(m.Functions))}
	m.Define(&guests.Func{Body: guests.Seq(
		guests.I32(77), guests.GlobalSet(0),
		guests.I32(5), refFunc(3), tableSet(0), setReference,
		guests.I32(4000), guests.I32(4000), guests.Store(0), guests.I32(1), op(0x40, 0, 0x1a),
		op(0xfc, 0x0d, 2), op(0xfc, 0x09, 2),
	)})
	return m
}

// sharing imports the state of stateful, has some of its own, and puts references to its
// functions into what it imports.
func sharing() *guests.CoreModule {
	m := &guests.CoreModule{}
	source := stateful(false)
	m.Imports = []wasm.Import{
		{Module: "0", Name: "memory", Extern: wasm.Extern{Kind: wasm.KindMemory, Memory: source.Memories[0].MemoryType}},
		{Module: "0", Name: "table", Extern: wasm.Extern{Kind: wasm.KindTable, Table: source.Tables[0].TableType}},
		{Module: "0", Name: "g0", Extern: wasm.Extern{Kind: wasm.KindGlobal, Global: source.Globals[0].GlobalType}},
	}
	m.Tables = []wasm.Table{table(3)}
	numbers(m, 200, 2)
	m.Elements = []wasm.Element{
		{Mode: wasm.Active, At: guests.Constant(3), Type: wasm.FuncRef, Funcs: []uint32{0}},
		{Mode: wasm.Passive, Type: wasm.FuncRef, Funcs: []uint32{1, 0}},
	}
	count := uint32(2)
	m.DataCount = &count
	m.Data = []wasm.Data{
		{Mode: wasm.Active, At: guests.Constant(66), Init: []byte("from b")},
		{Mode: wasm.Passive, Init: []byte("of b")},
	}
	changes(m, 0, 1, []byte{1}, []byte{1})
	looks(m, 0, 1)
	m.Start = &wasm.Start{Func: uint32(len(m.Functions))}
	m.Define(&guests.Func{Body: guests.Seq(
		guests.I32(0), guests.I32(0), guests.I32(2), tableInit(1, 1), // into its own table
		guests.I32(6), guests.I32(1), tableGet(1), tableSet(0),
		guests.I32(99), guests.GlobalSet(0), guests.I32(64), guests.I32(-1), guests.Store(0),
	)})
	return m
}

// group makes sandboxes of the two modules.
type group struct {
	engine  *engine.Engine
	modules []*engine.Module
}

func newGroup(t *testing.T, c engine.Config, references bool) *group {
	g := &group{engine: newEngine(t, c)}
	for _, m := range []*guests.CoreModule{stateful(references), sharing()} {
		b := m.Encode()
		decoded, err := wasm.Decode(b)
		if err == nil {
			err = wasm.Validate(decoded)
		}
		if err != nil {
			t.Fatal(err)
		}
		if decoded.Imports != nil {
			decoded.RenameImports(func(_ int, im wasm.Import) (string, string) { return "0", im.Name })
		}
		source, err := engine.Confine(decoded, engine.Confinement{TableGrowth: 100})
		if err != nil {
			t.Fatal(err)
		}
		code, err := g.engine.Compile(t.Context(), source)
		if err != nil {
			t.Fatal(err)
		}
		g.modules = append(g.modules, code)
	}
	return g
}

func (g *group) sandbox(t *testing.T, o engine.SandboxOptions) *engine.Sandbox {
	o.MemoryBytes = 6 << 16 // less than the memory's maximum
	s := g.engine.NewSandbox(o)
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// add adds the modules from the nth on, and starts them if that is wanted.
func (g *group) add(t *testing.T, s *engine.Sandbox, start bool) {
	t.Helper()
	for n := s.Len(); n < len(g.modules); n++ {
		err := s.Add(t.Context(), g.modules[n], func(string) *engine.Instance { return s.Instance(0) })
		if err == nil && start {
			err = s.Start(t.Context(), n)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// callOf calls a function of the nth instance with parameters of 32 or 64 bits.
func callOf(t *testing.T, s *engine.Sandbox, n int, name string, args ...uint64) (uint64, error) {
	t.Helper()
	f := s.Instance(n).Func(name)
	if f == nil {
		t.Fatalf("no function %q", name)
	}
	stack := append(args, 0)
	err := f.Call(t.Context(), stack)
	return stack[0], err
}

// observed is all that guests can find out of their state.
type observed struct {
	Memory   []byte
	Globals  []uint64
	Tables   [][]uint64
	Segments []string
}

// diff tells how another state differs.
func (o *observed) diff(other *observed) string {
	if !bytes.Equal(o.Memory, other.Memory) {
		for i := range min(len(o.Memory), len(other.Memory)) {
			if o.Memory[i] != other.Memory[i] {
				return fmt.Sprintf("memory at %d: %#x, expected %#x", i, other.Memory[i], o.Memory[i])
			}
		}
		return fmt.Sprintf("memory of %d bytes, expected %d", len(other.Memory), len(o.Memory))
	}
	if a, b := fmt.Sprint(o.Globals, o.Tables, o.Segments), fmt.Sprint(other.Globals, other.Tables, other.Segments); a != b {
		return fmt.Sprintf("globals, tables, segments\n%s, expected\n%s", b, a)
	}
	return ""
}

// observe asks the guests. It changes the state, though not what it is to find again
// after that was restored.
func observe(t *testing.T, s *engine.Sandbox) *observed {
	t.Helper()
	m, _ := s.Instance(0).Memory("memory")
	o := &observed{Memory: bytes.Clone(m.Bytes())}
	must := func(n int, name string, args ...uint64) uint64 {
		t.Helper()
		v, err := callOf(t, s, n, name, args...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return v
	}
	for n := range s.Len() {
		for _, name := range []string{"table", "other"} {
			var list []uint64
			for i := range must(n, name+" size") {
				list = append(list, must(n, name+" at", i))
			}
			o.Tables = append(o.Tables, list)
		}
	}
	for _, name := range []string{"get 0", "get 1", "get 2", "get 3", "get 4", "get 4 high", "get 5"} {
		if s.Instance(0).Func(name) != nil {
			o.Globals = append(o.Globals, must(0, name))
		}
	}
	for n, names := range [][]string{{"table.init 1", "table.init 2", "memory.init 1", "memory.init 2"}, {"table.init 1", "memory.init 1"}}[:s.Len()] {
		for _, name := range names {
			_, err := callOf(t, s, n, name, 0, 0, 1)
			o.Segments = append(o.Segments, fmt.Sprintf("%d %s: %v", n, name, err != nil))
		}
	}
	return o
}

// change makes a random change. Many are refused by the guest trapping.
func change(t *testing.T, r *rand.Rand, s *engine.Sandbox) {
	n := r.IntN(s.Len())
	small := func() uint64 { return uint64(r.IntN(10)) }
	address := func() uint64 { return uint64(r.IntN(5 << 16)) }
	names := []string{"store", "fill", "copy", "grow", "table.set", "table.set other", "table.clear", "table.fill", "table.copy",
		"table.copy back", "table.grow", "table.grow other", "table.init 1", "elem.drop 1", "memory.init 1", "data.drop 1"}
	if n == 0 {
		names = append(names, "table.init 2", "elem.drop 2", "memory.init 2", "data.drop 2", "set 0", "set 1", "set 2", "set 3", "set 4", "set 5")
	}
	name := names[r.IntN(len(names))]
	if s.Instance(n).Func(name) == nil {
		return
	}
	var args []uint64
	switch name {
	case "store":
		args = []uint64{address(), r.Uint64() >> 32}
	case "fill", "copy":
		args = []uint64{address(), address(), address()}
	case "memory.init 1", "memory.init 2":
		args = []uint64{address(), small(), small()}
	case "grow":
		args = []uint64{uint64(r.IntN(3))}
	case "set 0", "set 1", "set 2", "set 3", "set 4":
		args = []uint64{r.Uint64()}
	default:
		args = []uint64{small(), small(), small()}
	}
	_, _ = callOf(t, s, n, name, args...)
}

// configurations are the ways in which sandboxes are restored.
func configurations(t *testing.T) map[string]engine.Config {
	out := map[string]engine.Config{"heap": {HeapMemories: true}, "interpreter": {Interpreter: true}}
	for _, m := range []cow.Method{cow.Auto, cow.Scan, cow.Pagemap, cow.Discard, cow.Copy} {
		s, err := cow.NewSpace(cow.Options{Method: m})
		if err != nil {
			t.Logf("not tested: %v", err)
			continue
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		out[m.String()] = engine.Config{Restore: m}
	}
	return out
}

// TestSandboxRestore changes all state that guests have, at random, and finds nothing of
// it after that was restored.
func TestSandboxRestore(t *testing.T) {
	for name, c := range configurations(t) {
		for n := range 4 {
			start, references := n&1 != 0, n&2 != 0
			t.Run(fmt.Sprintf("%s/started=%v,references=%v", name, start, references), func(t *testing.T) {
				g := newGroup(t, c, references)
				plain := g.sandbox(t, engine.SandboxOptions{})
				g.add(t, plain, start)
				want := observe(t, plain)

				template := g.sandbox(t, engine.SandboxOptions{Freezable: true})
				g.add(t, template, start)
				snap, err := template.Freeze()
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := snap.Close(); err != nil {
						t.Error(err)
					}
				})
				slots := []*engine.Sandbox{g.sandbox(t, engine.SandboxOptions{Snapshot: snap}), g.sandbox(t, engine.SandboxOptions{Snapshot: snap})}
				check := func(s *engine.Sandbox, when string) {
					t.Helper()
					if m := s.Memories(); m.Used() != plain.Memories().Used() || m.Exceeded() != nil {
						t.Fatalf("%s: %d bytes of memory are counted, %v", when, m.Used(), m.Exceeded())
					}
					if diff := want.diff(observe(t, s)); diff != "" {
						t.Fatalf("%s: %s", when, diff)
					}
				}
				for _, s := range slots {
					g.add(t, s, false)
					check(s, "new")
				}
				r := rand.New(rand.NewPCG(1, 2))
				dropped := 0
				for round := range *sandboxRounds {
					k := r.IntN(len(slots))
					s := slots[k]
					for range r.IntN(12) {
						change(t, r, s)
					}
					if err := s.Restore(t.Context()); err != nil {
						if !errors.Is(err, engine.ErrNotFrozen) {
							t.Fatal(err)
						}
						// A memory was at its maximum.
						dropped++
						slots[k] = g.sandbox(t, engine.SandboxOptions{Snapshot: snap})
						g.add(t, slots[k], false)
						continue
					}
					if r.IntN(20) == 0 {
						if err := s.Quieten(); err != nil {
							t.Fatal(err)
						}
					}
					if round%4 == 0 {
						check(s, fmt.Sprint("round ", round))
						if err := s.Restore(t.Context()); err != nil {
							t.Fatal(err)
						}
					}
				}
				if dropped > *sandboxRounds/4 {
					t.Errorf("%d of %d sandboxes were dropped", dropped, *sandboxRounds)
				}
			})
		}
	}
}
