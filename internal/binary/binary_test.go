package binary

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// sample is a component with a definition of most kinds.
func sample() *Component {
	str, idx := ValType{Prim: String}, ValType{Index: 0}
	three, dtor := uint32(3), uint32(0)
	wide := ValType{Index: 70} // takes two bytes, since 64 and up would be negative
	return &Component{Defs: []Def{
		&CoreModule{Bytes: []byte("\x00asm\x01\x00\x00\x00")},
		&CoreInstance{Module: 0, Args: []CoreArg{{"env", 0}}},
		&CoreInstance{Inline: true, Exports: []CoreItem{{"f", SortIdx{SortCoreFunc, 2}}, {"m", SortIdx{SortCoreMemory, 0}}}},
		&CoreType{Func: &wasm.FuncType{Params: []wasm.ValType{wasm.I32, wasm.ExternRef}, Results: []wasm.ValType{wasm.F64}}},
		&CoreType{Module: &ModuleType{Decls: []ModuleDecl{
			{Type: &CoreType{Func: &wasm.FuncType{}}},
			{Alias: &Alias{Kind: AliasOuter, Sort: SortCoreType, Count: 1, Index: 0}},
			{Import: &wasm.Import{Module: "a", Name: "b", Extern: wasm.Extern{Kind: wasm.KindFunc, Type: 0}}},
			{Export: &CoreExportDecl{Name: "m", Extern: wasm.Extern{Kind: wasm.KindMemory, Memory: wasm.MemoryType{PageSizeLog2: 16, Limits: wasm.Limits{Min: 1, Max: 9, HasMax: true}}}}},
		}}},
		&Type{Def: Prim(U8)},
		&Type{Def: &Record{Fields: []Field{{Name: "a", Type: str}, {Name: "b", Type: wide}}}},
		&Type{Def: &Variant{Cases: []Case{{Name: "x"}, {Name: "y", Type: &str}}}},
		&Type{Def: &List{Elem: idx}},
		&Type{Def: &List{Elem: idx, Len: &three}},
		&Type{Def: &Tuple{Types: []ValType{str, idx}}},
		&Type{Def: &Flags{Labels: []string{"r", "w"}}},
		&Type{Def: &Enum{Labels: []string{"n", "s"}}},
		&Type{Def: &Option{Type: str}},
		&Type{Def: &Result{Err: &str}},
		&Type{Def: &Own{Type: 3}},
		&Type{Def: &Borrow{Type: 3}},
		&Type{Def: &Stream{Elem: &str}},
		&Type{Def: &Future{}},
		&Type{Def: &Map{Key: str, Value: idx}},
		&Type{Def: &FuncType{Async: true, Params: []Field{{Name: "p", Type: str}}, Result: &idx}},
		&Type{Def: &FuncType{}},
		&Type{Def: &ResourceType{Rep: wasm.I32, Dtor: &dtor}},
		&Type{Def: &ComponentType{Decls: []Def{
			&Import{Name: ExternName{Name: "i"}, Type: ExternType{Kind: ExternResource}},
			&ExportDecl{Name: ExternName{Name: "e"}, Type: ExternType{Kind: ExternTypeEq, Index: 0}},
		}}},
		&Type{Def: &InstanceType{Decls: []Def{
			&Type{Def: Prim(Bool)},
			&Alias{Kind: AliasOuter, Sort: SortType, Count: 1, Index: 2},
			&ExportDecl{Name: ExternName{Name: "f"}, Type: ExternType{Kind: ExternFunc, Index: 0}},
		}}},
		&Import{Name: ExternName{Name: "a:b/c@1.0.0"}, Type: ExternType{Kind: ExternInstance, Index: 4}},
		&Import{Name: ExternName{Name: "x", Form: 2, Implements: "a:b/c", HasExternalID: true, ExternalID: ""}, Type: ExternType{Kind: ExternInstance, Index: 4}},
		&Import{Name: ExternName{Name: "m"}, Type: ExternType{Kind: ExternModule, Index: 1}},
		&Import{Name: ExternName{Name: "v"}, Type: ExternType{Kind: ExternValue, Value: str}},
		&Alias{Kind: AliasExport, Sort: SortFunc, Instance: 0, Name: "f"},
		&Alias{Kind: AliasCoreExport, Sort: SortCoreFunc, Instance: 1, Name: "g"},
		&Canon{Op: CanonLift, Func: 0, Type: 3, Opts: []CanonOpt{{Kind: OptUTF16}, {Kind: OptMemory, Index: 0}, {Kind: OptRealloc, Index: 1}}},
		&Canon{Op: CanonLower, Func: 0},
		&Canon{Op: CanonTaskReturn, Result: &str, Opts: []CanonOpt{{Kind: OptMemory}}},
		&Canon{Op: CanonContextGet, ValType: wasm.I32, Slot: 1},
		&Canon{Op: CanonWaitableSetWait, Cancellable: true, Memory: 2},
		&Canon{Op: CanonThreadSpawnIndirect, Shared: true, Type: 1, Table: 2},
		&Component{Defs: []Def{&Export{Name: ExternName{Name: "t"}, SortIdx: SortIdx{SortType, 0}, Type: &ExternType{Kind: ExternTypeEq, Index: 0}}}},
		&Instance{Component: 0, Args: []Arg{{"a", SortIdx{SortInstance, 0}}}},
		&Instance{Inline: true, Exports: []InlineExport{{ExternName{Name: "z"}, SortIdx{SortCoreModule, 0}}}},
		&Export{Name: ExternName{Name: "run"}, SortIdx: SortIdx{SortFunc, 0}},
	}, Customs: []Custom{{Name: "note", Data: []byte("hi")}}}
}

func TestEncodeDecode(t *testing.T) {
	first := Encode(sample())
	c, err := Decode(first)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Defs) != len(sample().Defs) {
		t.Errorf("decoded %d definitions, encoded %d", len(c.Defs), len(sample().Defs))
	}
	if second := Encode(c); !bytes.Equal(first, second) {
		t.Errorf("encoding again differs:\n%x\n%x", first, second)
	}
	r := c.Defs[6].(*Type).Def.(*Record)
	if r.Fields[1].Name != "b" || r.Fields[1].Type.Index != 70 {
		t.Errorf("record decoded as %+v", r)
	}
	imp := c.Defs[26].(*Import)
	if imp.Name.Implements != "a:b/c" || !imp.Name.HasExternalID {
		t.Errorf("import decoded as %+v", imp)
	}
}

// TestDecodeVector decodes bytes written by hand from Binary.md: a component
// that defines (type (func (param "x" u32) (result string))) and exports it.
func TestDecodeVector(t *testing.T) {
	b := []byte("\x00asm\x0d\x00\x01\x00" +
		"\x07\x08" + "\x01" + "\x40" + "\x01\x01x\x79" + "\x00\x73" + "\x0b\x07" + "\x01" + "\x00\x01t" + "\x03\x00" + "\x00")
	c, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	ft := c.Defs[0].(*Type).Def.(*FuncType)
	if ft.Params[0].Name != "x" || ft.Params[0].Type.Prim != U32 || ft.Result.Prim != String {
		t.Errorf("decoded %+v", ft)
	}
	if e := c.Defs[1].(*Export); e.Name.Name != "t" || e.Sort != SortType || e.At() != 21 {
		t.Errorf("decoded %+v at %d", e, e.At())
	}
}

func TestDecodeErrors(t *testing.T) {
	good := Encode(sample())
	for n := range good {
		_, err := Decode(good[:n])
		var e *Error
		// A cut between sections leaves a shorter component.
		if err != nil && (!errors.As(err, &e) || e.Offset > n || !e.Malformed) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
	for name, b := range map[string]string{
		"module":  "\x00asm\x01\x00\x00\x00",
		"version": "\x00asm\x0e\x00\x01\x00",
		"section": "\x00asm\x0d\x00\x01\x00\x0d\x00",
		"size":    "\x00asm\x0d\x00\x01\x00\x07\x02\x00\x00",
		"count":   "\x00asm\x0d\x00\x01\x00\x07\x05\xff\xff\xff\xff\x0f",
		"leb":     "\x00asm\x0d\x00\x01\x00\x07\x06\xff\xff\xff\xff\xff\x01",
	} {
		var e *Error
		if _, err := Decode([]byte(b)); !errors.As(err, &e) {
			t.Errorf("%s: got %v, want an *Error", name, err)
		}
	}
}

func TestNestingIsBounded(t *testing.T) {
	c := &Component{}
	for range maxNesting + 1 {
		c = &Component{Defs: []Def{c}}
	}
	var e *Error
	if _, err := Decode(Encode(c)); !errors.As(err, &e) || e.Rule != "nesting too deep" {
		t.Errorf("got %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(Encode(sample()))
	f.Add(Encode(&Component{}))
	seeds, _ := filepath.Glob("testdata/*.wasm")
	for _, s := range seeds {
		if b, err := os.ReadFile(s); err == nil {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Decode(b)
		if err != nil {
			return
		}
		again, err := Decode(Encode(c))
		if err != nil {
			t.Fatalf("what was decoded and encoded is refused: %v", err)
		}
		if !bytes.Equal(Encode(c), Encode(again)) {
			t.Error("encoding is not stable")
		}
	})
}
