package component_test

import (
	"errors"
	"testing"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// elementsAt is a component of two core modules: one has an immutable global
// of that value and a table of 4, the other writes two elements there.
func elementsAt(offset int32) []byte {
	b := guests.NewBuilder()
	p := &guests.CoreModule{}
	p.Globals = []wasm.Global{{GlobalType: wasm.GlobalType{Val: wasm.I32}, Init: guests.Constant(offset)}}
	limits := wasm.Limits{Min: 4}
	p.Tables = []wasm.Table{{TableType: wasm.TableType{Elem: wasm.FuncRef, Limits: limits}}}
	p.Exports = []wasm.Export{{Name: "global", Kind: wasm.KindGlobal}, {Name: "table", Kind: wasm.KindTable}}
	provider := b.Def(&binary.CoreInstance{Module: b.Def(&binary.CoreModule{Bytes: p.Encode()})})
	m := &guests.CoreModule{}
	m.Imports = []wasm.Import{
		{Module: "p", Name: "global", Extern: wasm.Extern{Kind: wasm.KindGlobal, Global: wasm.GlobalType{Val: wasm.I32}}},
		{Module: "p", Name: "table", Extern: wasm.Extern{Kind: wasm.KindTable, Table: wasm.TableType{Elem: wasm.FuncRef, Limits: limits}}},
	}
	m.Define(&guests.Func{Name: "f"})
	m.Elements = []wasm.Element{{Mode: wasm.Active, At: wasm.Expr{Code: append(guests.GlobalGet(0), 0x0b)}, Funcs: []uint32{0, 0}}}
	b.Def(&binary.CoreInstance{Module: b.Def(&binary.CoreModule{Bytes: m.Encode()}), Args: []binary.CoreArg{{Name: "p", Instance: provider}}})
	return b.Bytes()
}

func TestElementSegments(t *testing.T) {
	for mode, o := range modes {
		for offset, trap := range map[int32]bool{0: false, 2: false, 3: true, 4: true, -1: true} {
			i, err := prepare(t, o, elementsAt(offset), nil).Instantiate(t.Context())
			var tr *component.Trap
			if trap != errors.As(err, &tr) || trap && tr.Message != "out of bounds table access" || !trap && err != nil {
				t.Errorf("%s: segment at %d: %v", mode, offset, err)
			}
			if err == nil {
				if err := i.Close(t.Context()); err != nil {
					t.Error(err)
				}
			}
		}
	}
}
