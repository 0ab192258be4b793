package wasi

import (
	"errors"
	"testing"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

func TestModuleElementSegments(t *testing.T) {
	e := component.NewEngine(component.Options{})
	defer e.Close(t.Context())
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for offset, trap := range map[int32]bool{0: false, 3: false, 4: true, -1: true} {
		m := &guests.CoreModule{}
		m.Tables = []wasm.Table{{TableType: wasm.TableType{Elem: wasm.FuncRef, Limits: wasm.Limits{Min: 4}}}}
		m.Define(&guests.Func{Name: "_start"})
		m.Elements = []wasm.Element{{Mode: wasm.Active, At: guests.Constant(offset), Funcs: []uint32{0}}}
		code, err := CompileModule(t.Context(), e, m.Encode())
		if err != nil {
			t.Fatal(err)
		}
		err = code.Run(t.Context(), s, nil)
		var tr *component.Trap
		if trap != errors.As(err, &tr) || trap && tr.Message != "out of bounds table access" || !trap && err != nil {
			t.Errorf("segment at %d: %v", offset, err)
		}
		if err := code.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
