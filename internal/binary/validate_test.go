package binary

import (
	"errors"
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// define returns a component of the definitions, with offsets as after encoding.
func define(t testing.TB, defs ...Def) *Component {
	t.Helper()
	c, err := Decode(Encode(&Component{Defs: defs}))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func prim(p Prim) ValType      { return ValType{Prim: p} }
func index(i uint32) ValType   { return ValType{Index: i} }
func typ(d DefType) *Type      { return &Type{Def: d} }
func name(s string) ExternName { return ExternName{Name: s} }
func ptr[T any](v T) *T        { return &v }
func export(n string, s Sort, i uint32) *Export {
	return &Export{Name: name(n), SortIdx: SortIdx{Sort: s, Index: i}}
}

func imported(n string, k ExternKind, i uint32) *Import {
	return &Import{Name: name(n), Type: ExternType{Kind: k, Index: i}}
}

func exported(n string, k ExternKind, i uint32) *ExportDecl {
	return &ExportDecl{Name: name(n), Type: ExternType{Kind: k, Index: i}}
}

func core(s Sort, export string) *Alias {
	return &Alias{Kind: AliasCoreExport, Sort: s, Name: export}
}

// guest is a core module that exports memory "m", "realloc", and functions of several
// types: "none" is [] -> [], "one" is [i32] -> [], "two" is [i32 i32] -> [],
// "get" is [] -> [i32] and "id" is [i32] -> [i32].
func guest() *CoreModule {
	i32 := wasm.I32
	m := &wasm.Module{
		Types: []wasm.FuncType{
			{},
			{Params: []wasm.ValType{i32}},
			{Params: []wasm.ValType{i32, i32}},
			{Results: []wasm.ValType{i32}},
			{Params: []wasm.ValType{i32}, Results: []wasm.ValType{i32}},
			{Params: []wasm.ValType{i32, i32, i32, i32}, Results: []wasm.ValType{i32}},
		},
		Memories: []wasm.Memory{{MemoryType: wasm.MemoryType{Limits: wasm.Limits{Min: 1}}}},
		Exports:  []wasm.Export{{Name: "m", Kind: wasm.KindMemory}},
	}
	for i, n := range []string{"none", "one", "two", "get", "id", "realloc"} {
		m.Functions = append(m.Functions, wasm.Function{Type: uint32(i)})
		m.Code = append(m.Code, wasm.Body{Code: []byte{0, 0, 0x0b}}) // unreachable
		m.Exports = append(m.Exports, wasm.Export{Name: n, Kind: wasm.KindFunc, Index: uint32(i)})
	}
	return &CoreModule{Bytes: m.Encode()}
}

// instantiated returns the definitions of an instance of guest, then more.
func instantiated(more ...Def) []Def {
	return append([]Def{guest(), &CoreInstance{}}, more...)
}

func TestValidate(t *testing.T) {
	sub := ExternType{Kind: ExternResource}
	resourceType := typ(&ResourceType{Rep: wasm.I32})
	stringFunc := typ(&FuncType{Params: []Field{{Name: "s", Type: prim(String)}}})
	u32Func := typ(&FuncType{Params: []Field{{Name: "x", Type: prim(U32)}}})
	record := typ(&Record{Fields: []Field{{Name: "f", Type: prim(U8)}}})
	utf8 := CanonOpt{Kind: OptUTF8}
	memory := CanonOpt{Kind: OptMemory}
	realloc := CanonOpt{Kind: OptRealloc, Index: 0}
	tests := []struct {
		name string
		defs []Def
		rule string // part of it; empty if the component is valid
	}{
		{"empty", nil, ""},

		// Types.
		{"every value type", []Def{
			record, typ(&Variant{Cases: []Case{{Name: "a"}, {Name: "b", Type: ptr(index(0))}}}), typ(&List{Elem: index(1)}),
			typ(&Tuple{Types: []ValType{prim(F32), index(2)}}), typ(&Flags{Labels: []string{"x"}}), typ(&Enum{Labels: []string{"x"}}),
			typ(&Option{Type: prim(Char)}), typ(&Result{Err: ptr(prim(String))}), typ(&Stream{Elem: ptr(prim(U8))}), typ(&Future{}),
			typ(&Map{Key: prim(String), Value: index(3)}), typ(&List{Elem: prim(U8), Len: ptr(uint32(4))}), typ(Bool),
		}, ""},
		{"later type", []Def{typ(&List{Elem: index(0)})}, "unknown type 0"},
		{"empty record", []Def{typ(&Record{})}, "record type must have at least one field"},
		{"empty flags", []Def{typ(&Flags{})}, "flags must have at least one entry"},
		{"33 flags", []Def{typ(&Flags{Labels: strings.Split("a-"+strings.Repeat("b a-", 33), " ")})}, "cannot have more than 32 flags"},
		{"label", []Def{typ(&Enum{Labels: []string{"aB"}})}, "enum tag name `aB` is not in kebab case"},
		{"label twice", []Def{typ(&Enum{Labels: []string{"a", "A"}})}, "conflicts with previous tag name `a`"},
		{"stream of char", []Def{typ(&Stream{Elem: ptr(prim(Char))})}, "`stream<char>` is not valid"},
		{"stream of borrow", []Def{resourceType, typ(&Borrow{}), typ(&Option{Type: index(1)}), typ(&Stream{Elem: ptr(index(2))})}, "`stream` cannot contain a `borrow`"},
		{"map key", []Def{typ(&Map{Key: prim(F64), Value: prim(U8)})}, "cannot have keys of type f64"},
		{"handle of a record", []Def{record, typ(&Own{})}, "type index 0 is not a resource type"},
		{"borrow in result", []Def{resourceType, typ(&Borrow{}), typ(&FuncType{Result: ptr(index(1))})}, "cannot contain a `borrow`"},
		{"largest value", []Def{typ(&List{Elem: prim(U8), Len: ptr(uint32(1<<28 - 1))})}, ""},
		{"too large a value", []Def{typ(&List{Elem: prim(U8), Len: ptr(uint32(1 << 28))})}, "exceeds maximum byte size"},
		{"resource of i64", []Def{typ(&ResourceType{Rep: wasm.I64})}, "resources with `i64`"},
		{"resource in a type", []Def{typ(&ComponentType{Decls: []Def{resourceType}})}, "within a concrete component"},
		{"destructor", instantiated(core(SortCoreFunc, "one"), typ(&ResourceType{Rep: wasm.I32, Dtor: ptr(uint32(0))})), ""},
		{"destructor type", instantiated(core(SortCoreFunc, "two"), typ(&ResourceType{Rep: wasm.I32, Dtor: ptr(uint32(0))})), "wrong signature for a destructor"},

		// Names.
		{"names", []Def{
			u32Func, imported("a-b", ExternFunc, 0), imported("a:b/c@1.2.3-rc.1", ExternFunc, 0),
			imported("url=<x>", ExternFunc, 0), imported("integrity=<sha256-YWJj>", ExternFunc, 0), imported("unlocked-dep=<a:b@{>=1.0.0}>", ExternFunc, 0),
		}, ""},
		{"name", []Def{u32Func, imported("a_b", ExternFunc, 0)}, "`a_b` is not in kebab case"},
		{"name without package", []Def{u32Func, imported("a:b", ExternFunc, 0)}, "expected `/` after package name"},
		{"version", []Def{u32Func, imported("a:b/c@1.2", ExternFunc, 0)}, "invalid interface version: unexpected end of input"},
		{"name twice", []Def{u32Func, imported("a", ExternFunc, 0), imported("A", ExternFunc, 0)}, "import name `A` conflicts with previous name `a`"},
		{"url of an export", []Def{u32Func, imported("a", ExternFunc, 0), export("url=<x>", SortFunc, 0)}, "not a valid export name"},
		{"method", []Def{
			&Import{Name: name("r"), Type: sub}, typ(&Borrow{}), typ(&FuncType{Params: []Field{{Name: "self", Type: index(1)}}}),
			imported("[method]r.m", ExternFunc, 2),
		}, ""},
		{"method of another", []Def{
			&Import{Name: name("r"), Type: sub}, typ(&Borrow{}), typ(&FuncType{Params: []Field{{Name: "self", Type: index(1)}}}),
			imported("[method]q.m", ExternFunc, 2),
		}, "does not match expected resource name `r`"},
		{"static of nothing", []Def{u32Func, imported("[static]r.m", ExternFunc, 0)}, "static resource name is not known"},
		{"constructor", []Def{
			&Import{Name: name("r"), Type: sub}, typ(&Own{}), typ(&FuncType{Result: ptr(index(1))}), imported("[constructor]r", ExternFunc, 2),
		}, ""},
		{"constructor of nothing", []Def{u32Func, imported("[constructor]r", ExternFunc, 0)}, "function should return one value"},
		{"implements", []Def{
			typ(&InstanceType{}), &Import{Name: ExternName{Name: "i", Implements: "a:b/c"}, Type: ExternType{Kind: ExternInstance}},
		}, ""},
		{"implements nothing", []Def{
			typ(&InstanceType{}), &Import{Name: ExternName{Name: "i", HasImplements: true}, Type: ExternType{Kind: ExternInstance}},
		}, "`` is not a valid name"},

		{"version suffix", []Def{
			typ(&InstanceType{}), &Import{Name: ExternName{Name: "a:b/c@0.2", VersionSuffix: ".7"}, Type: ExternType{Kind: ExternInstance}},
		}, ""},
		{"version suffix of a whole version", []Def{
			typ(&InstanceType{}), &Import{Name: ExternName{Name: "a:b/c@1.2", VersionSuffix: ".7"}, Type: ExternType{Kind: ExternInstance}},
		}, "`1.2` is not a canonical version"},

		// Visibility of types.
		{"record without a name", []Def{record, typ(&FuncType{Params: []Field{{Name: "x", Type: index(0)}}}), imported("f", ExternFunc, 1)},
			"func not valid to be used as import"},
		{"record with a name", []Def{record, imported("r", ExternTypeEq, 0), typ(&FuncType{Params: []Field{{Name: "x", Type: index(1)}}}), imported("f", ExternFunc, 2)}, ""},
		{"exported name in an import", []Def{record, export("r", SortType, 0), typ(&FuncType{Params: []Field{{Name: "x", Type: index(1)}}}), imported("f", ExternFunc, 2)},
			"func not valid to be used as import"},
		{"list needs no name", []Def{typ(&List{Elem: prim(U8)}), typ(&FuncType{Params: []Field{{Name: "x", Type: index(0)}}}), imported("f", ExternFunc, 1)}, ""},
		{"type of a type without a name", []Def{record, typ(&Record{Fields: []Field{{Name: "x", Type: index(0)}}}), export("r", SortType, 1)},
			"type not valid to be used as export"},

		// Aliases.
		{"outer type", []Def{record, &Component{Defs: []Def{&Alias{Kind: AliasOuter, Sort: SortType, Count: 1}}}}, ""},
		{"too far out", []Def{&Alias{Kind: AliasOuter, Sort: SortType, Count: 1}}, "invalid outer alias count of 1"},
		{"outer resource", []Def{resourceType, &Component{Defs: []Def{&Alias{Kind: AliasOuter, Sort: SortType, Count: 1}}}}, "transitively refers to resources"},
		{"outer resource in a type", []Def{resourceType, typ(&InstanceType{Decls: []Def{&Alias{Kind: AliasOuter, Sort: SortType, Count: 1}}})}, ""},
		{"missing export", []Def{typ(&InstanceType{}), imported("i", ExternInstance, 0), &Alias{Kind: AliasExport, Sort: SortFunc, Name: "f"}},
			"instance 0 has no export named `f`"},

		// Core instances.
		{"core export", instantiated(core(SortCoreFunc, "one"), core(SortCoreMemory, "m")), ""},
		{"no core export", instantiated(core(SortCoreFunc, "x")), "core instance 0 has no export named `x`"},
		{"kind of core export", instantiated(core(SortCoreFunc, "m")), "is not a function"},
		{"bundle twice", instantiated(core(SortCoreFunc, "one"), &CoreInstance{Inline: true, Exports: []CoreItem{{Name: "a"}, {Name: "a"}}}), "already defined"},
		{"unknown module", []Def{&CoreInstance{}}, "unknown module 0"},
		{"broken module", []Def{&CoreModule{Bytes: (&wasm.Module{Start: &wasm.Start{}}).Encode()}}, "unknown function 0"},

		// Canonical definitions.
		{"lift", instantiated(core(SortCoreFunc, "one"), u32Func, &Canon{Op: CanonLift}), ""},
		{"lift of another type", instantiated(core(SortCoreFunc, "two"), u32Func, &Canon{Op: CanonLift}), "lowered parameter types `[I32]` do not match parameter types `[I32, I32]`"},
		{"lift without memory", instantiated(core(SortCoreFunc, "two"), stringFunc, &Canon{Op: CanonLift}), "canonical option `memory` is required"},
		{"lift without realloc", instantiated(core(SortCoreFunc, "two"), core(SortCoreMemory, "m"), stringFunc, &Canon{Op: CanonLift, Opts: []CanonOpt{memory}}),
			"canonical option `realloc` is required"},
		{"lift of a string", instantiated(core(SortCoreFunc, "realloc"), core(SortCoreFunc, "two"), core(SortCoreMemory, "m"), stringFunc,
			&Canon{Op: CanonLift, Func: 1, Opts: []CanonOpt{utf8, memory, realloc}}), ""},
		{"two encodings", instantiated(core(SortCoreFunc, "one"), u32Func, &Canon{Op: CanonLift, Opts: []CanonOpt{utf8, {Kind: OptUTF16}}}), "`utf8` conflicts with option `utf16`"},
		{"post-return", instantiated(core(SortCoreFunc, "get"), core(SortCoreFunc, "one"), typ(&FuncType{Result: ptr(prim(U32))}),
			&Canon{Op: CanonLift, Opts: []CanonOpt{{Kind: OptPostReturn, Index: 1}}}), ""},
		{"post-return type", instantiated(core(SortCoreFunc, "get"), core(SortCoreFunc, "two"), typ(&FuncType{Result: ptr(prim(U32))}),
			&Canon{Op: CanonLift, Opts: []CanonOpt{{Kind: OptPostReturn, Index: 1}}}), "`post-return` uses a core function with an incorrect signature"},
		{"async lift of a sync type", instantiated(core(SortCoreFunc, "none"), typ(&FuncType{}), &Canon{Op: CanonLift, Opts: []CanonOpt{{Kind: OptAsync}}}),
			"requires an async function type"},
		{"lower", []Def{u32Func, imported("f", ExternFunc, 0), &Canon{Op: CanonLower}}, ""},
		{"lower with post-return", instantiated(core(SortCoreFunc, "none"), u32Func, imported("f", ExternFunc, 0), &Canon{Op: CanonLower, Opts: []CanonOpt{{Kind: OptPostReturn}}}),
			"`post-return` cannot be specified for lowerings"},
		{"resource built-ins", []Def{resourceType, &Canon{Op: CanonResourceNew}, &Canon{Op: CanonResourceRep}, &Canon{Op: CanonResourceDrop}}, ""},
		{"new of an imported resource", []Def{&Import{Name: name("r"), Type: sub}, &Canon{Op: CanonResourceNew}}, "type 0 is not a local resource"},
		{"context", []Def{&Canon{Op: CanonContextGet, ValType: wasm.I32, Slot: 2}}, "immediate must be zero or one: 2"},
		{"read of a future as a stream", []Def{typ(&Future{}), &Canon{Op: CanonStreamRead}}, "`stream.read` requires a stream type"},

		// Instances.
		{"instantiate", []Def{
			&Component{Defs: []Def{u32Func, imported("f", ExternFunc, 0), export("g", SortFunc, 0)}},
			u32Func, imported("h", ExternFunc, 0),
			&Instance{Args: []Arg{{Name: "f", SortIdx: SortIdx{Sort: SortFunc}}}},
			&Alias{Kind: AliasExport, Sort: SortFunc, Name: "g"},
		}, ""},
		{"missing argument", []Def{&Component{Defs: []Def{u32Func, imported("f", ExternFunc, 0)}}, &Instance{}}, "missing import named `f`"},
		{"argument of another type", []Def{
			&Component{Defs: []Def{u32Func, imported("f", ExternFunc, 0)}},
			stringFunc, imported("h", ExternFunc, 0), &Instance{Args: []Arg{{Name: "f", SortIdx: SortIdx{Sort: SortFunc}}}},
		}, "expected parameter named `x`, found `s`"},
		{"one resource of two instances", []Def{
			// Each instance of the component has a resource of its own.
			&Component{Defs: []Def{resourceType, export("r", SortType, 0)}}, &Instance{}, &Instance{},
			&Component{Defs: []Def{
				&Import{Name: name("a"), Type: sub}, &Import{Name: name("b"), Type: ExternType{Kind: ExternTypeEq}},
			}},
			&Alias{Kind: AliasExport, Sort: SortType, Name: "r"}, &Alias{Kind: AliasExport, Sort: SortType, Instance: 1, Name: "r"},
			&Instance{Component: 1, Args: []Arg{{Name: "a", SortIdx: SortIdx{Sort: SortType}}, {Name: "b", SortIdx: SortIdx{Sort: SortType, Index: 1}}}},
		}, "resource types are not the same"},
		{"a resource twice", []Def{
			&Component{Defs: []Def{resourceType, export("r", SortType, 0)}}, &Instance{},
			&Component{Defs: []Def{
				&Import{Name: name("a"), Type: sub}, &Import{Name: name("b"), Type: ExternType{Kind: ExternTypeEq}},
			}},
			&Alias{Kind: AliasExport, Sort: SortType, Name: "r"},
			&Instance{Component: 1, Args: []Arg{{Name: "a", SortIdx: SortIdx{Sort: SortType}}, {Name: "b", SortIdx: SortIdx{Sort: SortType}}}},
		}, ""},
		{"ascription", []Def{
			u32Func, imported("f", ExternFunc, 0), stringFunc,
			&Export{Name: name("g"), SortIdx: SortIdx{Sort: SortFunc}, Type: &ExternType{Kind: ExternFunc, Index: 1}},
		}, "ascribed type of export is not compatible"},
		{"resource hidden in an export", []Def{
			typ(&ComponentType{Decls: []Def{
				typ(&InstanceType{Decls: []Def{&ExportDecl{Name: name("r"), Type: sub}}}), exported("i", ExternInstance, 0),
			}}),
		}, ""},

		{"value", []Def{&Value{Type: prim(Bool), Data: []byte{1}}}, "`value`s is not enabled"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := define(t, tt.defs...)
			err := Validate(c)
			if tt.rule == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.rule) {
				t.Fatalf("error is %v, want %q", err, tt.rule)
			}
			var e *Error
			var core *wasm.Error
			offset := 0
			if errors.As(err, &e) {
				offset = e.Offset
			} else if errors.As(err, &core) {
				offset = core.Offset
			}
			if offset < 8 || offset > c.Size {
				t.Errorf("offset %d is not in the component of %d bytes", offset, c.Size)
			}
		})
	}
}

func TestValidateFeatures(t *testing.T) {
	c := define(t, typ(&Map{Key: prim(U8), Value: prim(U8)}))
	if err := ValidateFeatures(c, DefaultFeatures&^FeatureMaps); err == nil || !strings.Contains(err.Error(), "Maps require") {
		t.Errorf("error is %v", err)
	}
}

func TestValidateUnsupported(t *testing.T) {
	memory := wasm.Memory{MemoryType: wasm.MemoryType{Limits: wasm.Limits{Index64: true}}}
	module := (&wasm.Module{Memories: []wasm.Memory{memory}}).Encode()
	c := define(t, typ(Bool), &CoreModule{Bytes: module})
	var u *wasm.UnsupportedError
	if err := Validate(c); !errors.As(err, &u) || u.Feature != wasm.Memory64 {
		t.Fatalf("error is %v", err)
	}
	if at := c.Defs[1].At(); u.Offset < at || u.Offset >= at+len(module) {
		t.Errorf("offset is %d, the module is at %d", u.Offset, at)
	}
	// A fault elsewhere comes first.
	c = define(t, &CoreModule{Bytes: module}, typ(&List{Elem: index(7)}))
	if err := Validate(c); errors.As(err, &u) || err == nil {
		t.Errorf("error is %v", err)
	}
}

// TestValidateDeepTypes checks types that are small as written and huge when expanded.
func TestValidateDeepTypes(t *testing.T) {
	defs := []Def{typ(&Record{Fields: []Field{{Name: "a", Type: prim(U8)}}})}
	for i := range uint32(30) {
		defs = append(defs, typ(&Tuple{Types: []ValType{index(i), index(i)}}))
	}
	if err := Validate(define(t, defs...)); err == nil || !strings.Contains(err.Error(), "effective type size exceeds") {
		t.Errorf("error is %v", err)
	}
	// Tuples need no name, so that what they consist of is looked at for each use.
	defs = []Def{typ(&Tuple{Types: []ValType{prim(U8)}})}
	for i := range uint32(18) {
		defs = append(defs, typ(&Tuple{Types: []ValType{index(i), index(i)}}))
	}
	for range 200 {
		defs = append(defs, typ(&ComponentType{Decls: []Def{
			&Alias{Kind: AliasOuter, Sort: SortType, Count: 1, Index: 18},
			typ(&FuncType{Params: []Field{{Name: "x", Type: index(0)}}}), imported("f", ExternFunc, 1),
		}}))
	}
	if err := Validate(define(t, defs...)); err == nil || !strings.Contains(err.Error(), "too complex") {
		t.Errorf("error is %v", err)
	}
	defs = []Def{typ(&InstanceType{})}
	for i := range uint32(2000) {
		defs = append(defs, typ(&InstanceType{Decls: []Def{
			&Alias{Kind: AliasOuter, Sort: SortType, Count: 1, Index: i}, exported("a", ExternInstance, 0),
		}}))
	}
	if err := Validate(define(t, defs...)); err == nil || !strings.Contains(err.Error(), "type nesting is too deep") {
		t.Errorf("error is %v", err)
	}
	defs = []Def{typ(Bool)}
	for i := range uint32(100) {
		defs = append(defs, typ(&List{Elem: index(i)}))
	}
	if err := Validate(define(t, defs...)); err == nil || !strings.Contains(err.Error(), "type nesting is too deep") {
		t.Errorf("error is %v", err)
	}
}

func FuzzValidate(f *testing.F) {
	f.Add(Encode(define(f, instantiated(core(SortCoreFunc, "one"), typ(&FuncType{Params: []Field{{Name: "x", Type: prim(U32)}}}), &Canon{Op: CanonLift}, export("f", SortFunc, 0))...)))
	f.Add(Encode(define(f,
		&Component{Defs: []Def{typ(&ResourceType{Rep: wasm.I32}), export("r", SortType, 0)}}, &Instance{},
		&Component{Defs: []Def{&Import{Name: name("a"), Type: ExternType{Kind: ExternResource}}}},
		&Alias{Kind: AliasExport, Sort: SortType, Name: "r"},
		&Instance{Component: 1, Args: []Arg{{Name: "a", SortIdx: SortIdx{Sort: SortType}}}})))
	f.Add(Encode(define(f,
		typ(&InstanceType{Decls: []Def{&ExportDecl{Name: name("r"), Type: ExternType{Kind: ExternResource}}, typ(&Own{}), typ(&FuncType{Result: ptr(index(1))}), exported("[constructor]r", ExternFunc, 2)}}),
		imported("a:b/c@0.1.0", ExternInstance, 0), export("d", SortInstance, 0))))
	f.Fuzz(func(t *testing.T, in []byte) {
		c, err := Decode(in)
		if err != nil {
			return
		}
		Validate(c)
	})
}

func TestIsCanonVersion(t *testing.T) {
	for s, want := range map[string]bool{
		"1": true, "12": true, "0.2": true, "0.0.3": true, "0.0.0": true,
		"": false, "0": false, "0.0": false, "1.2": false, "01": false, "0.02": false, "0.2.1": false, "0.0.0.1": false, "1-rc": false,
	} {
		if got := isCanonVersion(s); got != want {
			t.Errorf("isCanonVersion(%q) = %v", s, got)
		}
	}
}
