package engine

import (
	"context"
	"runtime"
	"testing"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// recursive exports f, which calls itself n times and the host then.
func recursive() []byte {
	m := &wasm.Module{}
	m.Types = []wasm.FuncType{{}, {Params: []wasm.ValType{wasm.I32}, Results: []wasm.ValType{wasm.I32}}}
	m.Imports = []wasm.Import{{Module: "h", Name: "look", Extern: wasm.Extern{Kind: wasm.KindFunc}}}
	m.Functions = []wasm.Function{{Type: 1}}
	m.Exports = []wasm.Export{{Name: "f", Kind: wasm.KindFunc, Index: 1}}
	m.Code = []wasm.Body{{Code: []byte{0,
		0x20, 0, 0x45, 0x04, 0x7f, // local.get 0, i32.eqz, if (result i32)
		0x10, 0, 0x41, 1, // call look, i32.const 1
		0x05,                                     // else
		0x20, 0, 0x41, 1, 0x6b, 0x10, 1, 0x20, 0, // local.get 0, i32.const 1, i32.sub, call f, local.get 0
		0x6a, 0x0b, 0x0b, // i32.add, end, end
	}}}
	return m.Encode()
}

// TestStackProbe fails if the engine no longer has what the probe looks at.
func TestStackProbe(t *testing.T) {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skip("the engine makes no native code for this processor")
	}
	e := New(Config{})
	defer e.Close(context.Background())
	mod, err := e.Compile(t.Context(), Source{Wasm: recursive()})
	if err != nil {
		t.Fatal(err)
	}
	var f *Func
	var depth uint64
	host, err := e.InstantiateHost(t.Context(), []HostFunc{{Name: "look", Call: func(context.Context, Memory, []uint64) {
		depth = f.stackUsed()
	}}})
	if err != nil {
		t.Fatal(err)
	}
	mems := e.NewMemories(0)
	inst, err := e.Instantiate(t.Context(), mod, func(string) *Instance { return host }, mems)
	if err != nil {
		t.Fatal(err)
	}
	f = inst.Func("f")
	at := func(n uint64) uint64 {
		t.Helper()
		stack := []uint64{n}
		if err := f.Call(t.Context(), stack); err != nil {
			t.Fatal(err)
		}
		if want := uint32(n*(n+1)/2 + 1); uint32(stack[0]) != want {
			t.Errorf("f(%d) = %d, want %d", n, stack[0], want)
		}
		return depth
	}
	shallow, deep, deeper := at(1), at(1001), at(100_001)
	frame := (deep - shallow) / 1000
	if shallow == 0 || frame < 16 || frame > 1024 || deeper-shallow != frame*100_000 {
		t.Errorf("stacks of %d, %d and %d bytes with 1, 1001 and 100,001 frames", shallow, deep, deeper)
	}
	var none *Func
	if none.stackUsed() != 0 {
		t.Error("no function uses stack")
	}
}
