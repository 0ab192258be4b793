package wasmgen

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/ashlar-wasm/ashlar/internal/engine"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

func encode(t *testing.T, name string, m *wasm.Module) []byte {
	t.Helper()
	b := m.Encode()
	decoded, err := wasm.Decode(b)
	if err == nil {
		err = wasm.Validate(decoded)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return b
}

func TestGenerateValid(t *testing.T) {
	seeds := uint64(3000)
	if testing.Short() {
		seeds = 300
	}
	for seed := range seeds {
		for _, count := range []bool{false, true} {
			p := Generate(FromSeed(seed), Options{Count: count})
			for _, m := range p.Modules {
				encode(t, fmt.Sprintf("seed %d, %s, count %v", seed, m.Name, count), m.Wasm)
			}
		}
	}
}

func TestGenerateCompiles(t *testing.T) {
	ctx := context.Background()
	for seed := range uint64(150) {
		e := engine.New(engine.Config{})
		for _, m := range Generate(FromSeed(seed), Options{}).Modules {
			if _, err := e.Compile(ctx, engine.Source{Wasm: encode(t, m.Name, m.Wasm)}); err != nil {
				t.Errorf("seed %d, %s: %v", seed, m.Name, err)
			}
		}
		if err := e.Close(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// TestGenerateAgain shows that a source determines the program, and that bytes
// change it.
func TestGenerateAgain(t *testing.T) {
	make := func(data []byte) []byte { return Generate(FromBytes(data), Options{}).Modules[0].Wasm.Encode() }
	different := 0
	for i := range 50 {
		data := bytes.Repeat([]byte{byte(i), 3, 77}, 40)
		a := make(data)
		if !bytes.Equal(a, make(data)) {
			t.Fatalf("%d: the same source gave two modules", i)
		}
		data[70] ^= 1
		if !bytes.Equal(a, make(data)) {
			different++
		}
	}
	if different < 25 {
		t.Errorf("a changed byte changed %d of 50 modules", different)
	}
}
