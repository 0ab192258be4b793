package component_test

import (
	"context"
	"testing"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

func benchPrepare(b *testing.B, bytes []byte, link func(*component.Linker) error) *component.Prepared {
	b.Helper()
	e := component.NewEngine(component.Options{})
	b.Cleanup(func() { _ = e.Close(context.Background()) })
	c, err := e.Compile(b.Context(), bytes)
	if err != nil {
		b.Fatal(err)
	}
	l := e.NewLinker()
	if link != nil {
		if err := link(l); err != nil {
			b.Fatal(err)
		}
	}
	p, err := l.Prepare(b.Context(), c)
	if err != nil {
		b.Fatal(err)
	}
	return p
}

func benchInstance(b *testing.B, bytes []byte, link func(*component.Linker) error) *component.Instance {
	b.Helper()
	i, err := benchPrepare(b, bytes, link).Instantiate(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = i.Close(context.Background()) })
	return i
}

// BenchmarkCall is one call of each kind. Those of the host and between
// components are a hundred in one call of the guest, and told by the call.
func BenchmarkCall(b *testing.B) {
	ctx := b.Context()
	calls := func(b *testing.B, i *component.Instance, name string, n int, args ...component.Val) {
		f, ok := i.Func("", name)
		if !ok {
			b.Fatal("no function " + name)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := f.Call(ctx, args); err != nil {
				b.Fatal(err)
			}
		}
		if n > 1 {
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/call")
		}
	}
	b.Run("typed", func(b *testing.B) {
		i := benchInstance(b, guests.Calc(), nil)
		add, err := i.ExportedFunc("", "add", abi.Function([]abi.Field{abi.F("a", abi.U32), abi.F("b", abi.U32)}, abi.U32))
		if err != nil {
			b.Fatal(err)
		}
		var sum uint64
		b.ReportAllocs()
		for b.Loop() {
			if err := add.Invoke(ctx, func(_ *abi.Call, s []uint64) { s[0], s[1] = 20, 22 }, func(_ *abi.Call, s []uint64) { sum = s[0] }); err != nil || sum != 42 {
				b.Fatal(sum, err)
			}
		}
	})
	b.Run("dynamic", func(b *testing.B) {
		calls(b, benchInstance(b, guests.Calc(), nil), "add", 1, component.U32Val(20), component.U32Val(22))
	})
	b.Run("string", func(b *testing.B) {
		// The guest here never frees, so it gets a new instance in time.
		p := benchPrepare(b, guests.Calc(), nil)
		var echo *component.Func
		n := 0
		b.ReportAllocs()
		for b.Loop() {
			if n++; n%1000 == 1 {
				i, err := p.Instantiate(ctx)
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { _ = i.Close(context.Background()) })
				echo, _ = i.Func("", "echo")
			}
			if _, err := echo.Call(ctx, []component.Val{component.StringVal("a string of some length")}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("host typed", func(b *testing.B) {
		i := benchInstance(b, guests.Caller().Bytes(), func(l *component.Linker) error {
			return l.Define(abi.Interface{Funcs: []abi.Func{{Name: "step", Type: guests.Step, Call: func(_ *abi.Call, s []uint64) { s[0]++ }}}})
		})
		calls(b, i, "many", 100, component.U32Val(100))
	})
	b.Run("host dynamic", func(b *testing.B) {
		i := benchInstance(b, guests.Caller().Bytes(), func(l *component.Linker) error { return l.Root().Func("step", nil, increment) })
		calls(b, i, "many", 100, component.U32Val(100))
	})
	b.Run("fused", func(b *testing.B) {
		calls(b, benchInstance(b, fusedStep(), nil), "many", 100, component.U32Val(100))
	})
}

// fusedStep is guests.Caller with a component in the place of its import.
func fusedStep() []byte {
	step := guests.NewBuilder()
	core := step.Core(step.Libc(nil, 1), []guests.Func{{Name: "step", Params: []wasm.ValType{wasm.I32}, Results: []wasm.ValType{wasm.I32}, Body: guests.Seq(guests.Get(0), guests.I32(1), guests.I32Add)}})
	step.Export("step", binary.SortFunc, step.Lift(step.CoreAlias(binary.SortCoreFunc, core, "step"), guests.Step))
	b := guests.NewBuilder()
	s := b.Nest(step)
	caller := b.Nest(guests.Caller(), binary.Arg{Name: "step", SortIdx: binary.SortIdx{Sort: binary.SortFunc, Index: b.Alias(binary.SortFunc, s, "step")}})
	b.Export("many", binary.SortFunc, b.Alias(binary.SortFunc, caller, "many"))
	return b.Bytes()
}

// BenchmarkInstantiate makes an instance and closes it.
func BenchmarkInstantiate(b *testing.B) {
	for _, c := range []struct {
		name  string
		bytes []byte
	}{{"one", guests.Calc()}, {"nested", guests.Family()}} {
		b.Run(c.name, func(b *testing.B) {
			p := benchPrepare(b, c.bytes, nil)
			b.ReportAllocs()
			for b.Loop() {
				i, err := p.Instantiate(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				if err := i.Close(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
