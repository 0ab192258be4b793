package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/internal/engine"
	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// configs are the ways to execute that must not differ.
var configs = map[string]engine.Config{
	"compiler":    {},
	"interpreter": {Interpreter: true},
	"heap":        {HeapMemories: true, CompileWorkers: 1},
}

var (
	i32    = []wasm.ValType{wasm.I32}
	twoI32 = []wasm.ValType{wasm.I32, wasm.I32}
)

func newEngine(t testing.TB, c engine.Config) *engine.Engine {
	e := engine.New(c)
	t.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return e
}

// try instantiates a module with a memory limit of 16 MiB.
func try(t testing.TB, e *engine.Engine, bytes []byte, imports engine.Imports) (*engine.Instance, error) {
	t.Helper()
	mems := e.NewMemories(16 << 20)
	t.Cleanup(mems.Release)
	return tryWith(t, e, bytes, imports, mems)
}

func tryWith(t testing.TB, e *engine.Engine, bytes []byte, imports engine.Imports, mems *engine.Memories) (*engine.Instance, error) {
	t.Helper()
	m, err := wasm.Decode(bytes)
	if err == nil {
		err = wasm.Validate(m)
	}
	if err != nil {
		t.Fatal(err)
	}
	code, err := e.Compile(t.Context(), engine.Source{Wasm: bytes})
	if err != nil {
		t.Fatal(err)
	}
	inst, err := e.Instantiate(t.Context(), code, imports, mems)
	if err == nil {
		t.Cleanup(func() {
			if err := inst.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	return inst, err
}

func instantiate(t testing.TB, e *engine.Engine, bytes []byte, imports engine.Imports) *engine.Instance {
	t.Helper()
	inst, err := try(t, e, bytes, imports)
	if err != nil {
		t.Fatal(err)
	}
	return inst
}

// memory is a module that exports its memory; maximum 0 means none.
func memory(pages, maximum uint64) *guests.CoreModule {
	m := &guests.CoreModule{}
	m.Memories = []wasm.Memory{{MemoryType: wasm.MemoryType{PageSizeLog2: 16,
		Limits: wasm.Limits{Min: pages, Max: maximum, HasMax: maximum > 0}}}}
	m.Exports = []wasm.Export{{Name: "memory", Kind: wasm.KindMemory}}
	return m
}

// named gives the module and its functions names.
func named(m *guests.CoreModule, module string, functions ...string) []byte {
	names := wasm.Names{Module: module, Functions: map[uint32]string{}}
	for n, f := range functions {
		if f != "" {
			names.Functions[uint32(n)] = f
		}
	}
	m.SetNames(names)
	return m.Encode()
}

func frames(fs []engine.Frame) string {
	var out []string
	for _, f := range fs {
		out = append(out, f.String())
	}
	return strings.Join(out, " ")
}

func TestTraps(t *testing.T) {
	m := memory(1, 1)
	m.Tables = []wasm.Table{table(2)}
	m.Elements = []wasm.Element{{Mode: wasm.Active, At: guests.Constant(0), Funcs: []uint32{0}}}
	div := guests.Code{0x6d} // i32.div_s
	cases := []struct {
		name, message string
		body          guests.Code
	}{
		{"unreachable", "unreachable", guests.Unreachable},
		{"zero", "integer divide by zero", guests.Seq(guests.I32(1), guests.I32(0), div, guests.Drop)},
		{"overflow", "integer overflow", guests.Seq(guests.I32(-1<<31), guests.I32(-1), div, guests.Drop)},
		{"load", "out of bounds memory access", guests.Seq(guests.I32(65533), guests.Load(0), guests.Drop)},
		{"offset", "out of bounds memory access", guests.Seq(guests.I32(-1), guests.Load(65536), guests.Drop)},
		{"element", "undefined element", guests.Seq(guests.I32(2), guests.Code{0x11, 0, 0})},
		{"signature", "indirect call type mismatch", guests.Seq(guests.I32(1), guests.I32(0), guests.Code{0x11, 1, 0}, guests.Drop)},
		{"nan", "invalid conversion to integer", guests.Code{0x43, 0, 0, 0xc0, 0x7f, 0xa8, 0x1a}}, // f32.const nan, i32.trunc_f32_s
		{"recurse", "call stack exhausted", guests.Call(8)},
	}
	m.Types = []wasm.FuncType{{}, {Params: i32, Results: i32}}
	var names []string
	for _, c := range cases {
		m.Define(&guests.Func{Name: c.name, Body: c.body})
		names = append(names, "do "+c.name)
	}
	for n, c := range cases {
		m.Define(&guests.Func{Name: "outer " + c.name, Body: guests.Call(uint32(n))})
	}
	bytes := named(m, "test", names...)
	for mode, cfg := range configs {
		inst := instantiate(t, newEngine(t, cfg), bytes, nil)
		for n, c := range cases {
			err := inst.Func("outer "+c.name).Call(t.Context(), nil)
			var trap *engine.Trap
			if !errors.As(err, &trap) || trap.Message != c.message {
				t.Errorf("%s: %s: got %v", mode, c.name, err)
				continue
			}
			// Functions without a name are known by index.
			want := fmt.Sprintf("test.do %s test.$%d", c.name, len(cases)+n)
			if c.name == "recurse" {
				// Compiled code tells none.
				if n := len(trap.Frames); n > 30 || n == 0 && cfg.Interpreter || n > 0 && trap.Frames[0].String() != "test.do recurse" {
					t.Errorf("%s: recursion: %d frames", mode, len(trap.Frames))
				}
			} else if got := frames(trap.Frames); got != want {
				t.Errorf("%s: %s: frames %q, want %q", mode, c.name, got, want)
			}
			// A trap leaves the instance usable, as far as the engine goes.
			if err := inst.Func("zero").Call(t.Context(), nil); !errors.As(err, &trap) {
				t.Errorf("%s: after %s: %v", mode, c.name, err)
			}
		}
	}
}

func TestHostErrorUnwinds(t *testing.T) {
	boom := errors.New("boom")
	for mode, cfg := range configs {
		t.Run(mode, func(t *testing.T) {
			e := newEngine(t, cfg)
			host := hostModule(t, e, engine.HostFunc{Name: "f", Call: func(context.Context, engine.Memory, []uint64) { panic(boom) }})
			m := &guests.CoreModule{}
			m.ImportFunc("h", "f", nil, nil)
			m.Define(&guests.Func{Name: "go", Body: guests.Call(0)})
			inst := instantiate(t, e, named(m, "m", "", "go"), provide(host))
			err := inst.Func("go").Call(t.Context(), nil)
			var he *engine.HostError
			if !errors.As(err, &he) || !errors.Is(err, boom) || he.Err != boom || !strings.HasSuffix(frames(he.Frames), "m.go") {
				t.Errorf("got %#v, frames %v", err, he)
			}

			// The same from a start function.
			m.Start = &wasm.Start{Func: 1}
			if _, err := try(t, e, m.Encode(), provide(host)); !errors.As(err, &he) || he.Err != boom {
				t.Errorf("start: got %#v", err)
			}
		})
	}
}

// A panic that is no error of the guest's or host's making must not be taken
// for one.
func TestHostPanicSurfaces(t *testing.T) {
	e := newEngine(t, engine.Config{})
	host := hostModule(t, e, engine.HostFunc{Name: "f", Call: func(context.Context, engine.Memory, []uint64) {
		var none []int
		none[len(none)] = 1
	}})
	m := &guests.CoreModule{}
	m.ImportFunc("h", "f", nil, nil)
	m.Define(&guests.Func{Name: "go", Body: guests.Call(0)})
	inst := instantiate(t, e, m.Encode(), provide(host))
	err := inst.Func("go").Call(t.Context(), nil)
	var trap *engine.Trap
	if err == nil || errors.As(err, &trap) {
		t.Errorf("got %#v", err)
	}
}

func hostModule(t testing.TB, e *engine.Engine, funcs ...engine.HostFunc) *engine.Instance {
	t.Helper()
	host, err := e.InstantiateHost(t.Context(), funcs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := host.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return host
}

func provide(i *engine.Instance) engine.Imports { return func(string) *engine.Instance { return i } }

func TestStartTraps(t *testing.T) {
	for mode, cfg := range configs {
		m := &guests.CoreModule{}
		m.Define(&guests.Func{Body: guests.Unreachable})
		m.Start = &wasm.Start{Func: 0}
		_, err := try(t, newEngine(t, cfg), named(m, "m", "begin"), nil)
		var trap *engine.Trap
		if !errors.As(err, &trap) || trap.Message != "unreachable" || frames(trap.Frames) != "m.begin" {
			t.Errorf("%s: got %v, %v", mode, err, trap)
		}
	}
}

// One Func may be entered again through the host: fac(n) = n * host(n-1).
func TestNestedActivation(t *testing.T) {
	for mode, cfg := range configs {
		t.Run(mode, func(t *testing.T) {
			e := newEngine(t, cfg)
			var fac *engine.Func
			depth := 0
			type key struct{}
			host := hostModule(t, e, engine.HostFunc{Name: "f", Params: []engine.ValType{engine.I32}, Results: []engine.ValType{engine.I32},
				Call: func(ctx context.Context, _ engine.Memory, stack []uint64) {
					if ctx.Value(key{}) != "here" {
						panic(errors.New("the context was lost"))
					}
					depth++
					if err := fac.Call(ctx, stack); err != nil {
						panic(err)
					}
				}})
			m := &guests.CoreModule{}
			m.ImportFunc("h", "f", i32, i32)
			// if n == 0 { trap if asked to; return 1 }
			m.Define(&guests.Func{Name: "fac", Params: i32, Results: i32, Body: guests.Seq(
				guests.Get(0), guests.I32Eqz, guests.If(guests.Seq(guests.I32(1), guests.Return)),
				guests.Get(0), guests.I32(1000), guests.Code{0x46}, guests.If(guests.Unreachable), // i32.eq
				guests.Get(0), guests.Get(0), guests.I32(1), guests.I32Sub, guests.Call(0), guests.Code{0x6c})}) // i32.mul
			inst := instantiate(t, e, named(m, "m", "", "fac"), provide(host))
			fac = inst.Func("fac")
			ctx := context.WithValue(t.Context(), key{}, "here")
			for range 3 {
				depth = 0
				stack := []uint64{10}
				if err := fac.Call(ctx, stack); err != nil || stack[0] != 3628800 || depth != 10 {
					t.Fatalf("10! = %d, %v, depth %d", stack[0], err, depth)
				}
			}
			// A trap far inside unwinds every activation, with all their frames.
			err := fac.Call(ctx, []uint64{1003})
			segments := 0
			for err != nil {
				var he *engine.HostError
				var trap *engine.Trap
				if errors.As(err, &he) && err == error(he) {
					segments++
					if !slices.Contains(he.Frames, engine.Frame{Module: "m", Function: "fac"}) {
						t.Errorf("frames %v", he.Frames)
					}
					err = he.Err
					continue
				}
				if !errors.As(err, &trap) || trap.Message != "unreachable" {
					t.Errorf("got %#v", err)
				}
				break
			}
			if segments != 3 {
				t.Errorf("%d activations unwound by the host, want 3", segments)
			}
			stack := []uint64{5}
			if err := fac.Call(ctx, stack); err != nil || stack[0] != 120 {
				t.Errorf("after the trap: 5! = %d, %v", stack[0], err)
			}
		})
	}
}

func TestMissingExports(t *testing.T) {
	inst := instantiate(t, newEngine(t, engine.Config{}), memory(1, 0).Encode(), nil)
	if inst.Func("memory") != nil || inst.Func("nothing") != nil {
		t.Error("a function was found")
	}
	if _, ok := inst.Memory("nothing"); ok {
		t.Error("a memory was found")
	}
}

func TestMissingImport(t *testing.T) {
	m := &guests.CoreModule{}
	m.ImportFunc("nobody", "f", nil, nil)
	m.Define(&guests.Func{Name: "go", Body: guests.Call(0)})
	if _, err := try(t, newEngine(t, engine.Config{}), m.Encode(), func(string) *engine.Instance { return nil }); err == nil {
		t.Error("instantiated without its import")
	}
}

func TestDamagedModule(t *testing.T) {
	e := newEngine(t, engine.Config{})
	if _, err := e.Compile(t.Context(), engine.Source{Wasm: []byte("\x00asm\x01\x00\x00\x00\x01")}); err == nil {
		t.Error("compiled")
	}
}

func BenchmarkCall(b *testing.B) {
	m := &guests.CoreModule{}
	m.Define(&guests.Func{Name: "add", Params: twoI32, Results: i32, Body: guests.Seq(guests.Get(0), guests.Get(1), guests.I32Add)})
	add := instantiate(b, newEngine(b, engine.Config{}), m.Encode(), nil).Func("add")
	stack := make([]uint64, 2)
	b.ReportAllocs()
	for b.Loop() {
		stack[0], stack[1] = 20, 22
		if err := add.Call(b.Context(), stack); err != nil {
			b.Fatal(err)
		}
	}
}
