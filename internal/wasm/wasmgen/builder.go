package wasmgen

import (
	"slices"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// Builder puts a module together. All imports must be added before anything is
// defined.
type Builder struct {
	Module wasm.Module
	// Count makes the code of functions count what it executes, in two mutable
	// i64 globals "work" and "bulk" imported from "clock": instructions, and what
	// bulk instructions moved in bytes and table elements.
	count bool
}

// NewBuilder returns a builder of an empty module; count is as in [Options].
func NewBuilder(count bool) *Builder {
	b := &Builder{count: count}
	if count {
		for _, name := range []string{"work", "bulk"} {
			b.Import("clock", name, wasm.Extern{Kind: wasm.KindGlobal, Global: wasm.GlobalType{Val: wasm.I64, Mutable: true}})
		}
	}
	return b
}

// Clock returns the module that counted modules import from: it exports the
// globals and a function for each that returns its value.
func Clock() []byte {
	b := NewBuilder(false)
	for _, name := range []string{"work", "bulk"} {
		g := b.Global(wasm.GlobalType{Val: wasm.I64, Mutable: true}, []byte{opI64Const, 0, opEnd})
		b.Export(name, wasm.KindGlobal, g)
		f := b.Func(nil, []wasm.ValType{wasm.I64}, nil, func(c *Code) { c.Op(opGlobalGet, g) })
		b.Export("get "+name, wasm.KindFunc, f)
	}
	return b.Module.Encode()
}

// Type returns the index of a function type.
func (b *Builder) Type(params, results []wasm.ValType) uint32 {
	for i, t := range b.Module.Types {
		if slices.Equal(t.Params, params) && slices.Equal(t.Results, results) {
			return uint32(i)
		}
	}
	b.Module.Types = append(b.Module.Types, wasm.FuncType{Params: params, Results: results})
	return uint32(len(b.Module.Types) - 1)
}

// Import adds an import and returns its index among those of its kind.
func (b *Builder) Import(module, name string, x wasm.Extern) uint32 {
	index := b.imported(x.Kind)
	b.Module.Imports = append(b.Module.Imports, wasm.Import{Module: module, Name: name, Extern: x})
	return index
}

func (b *Builder) imported(k wasm.Kind) uint32 {
	n := uint32(0)
	for i := range b.Module.Imports {
		if b.Module.Imports[i].Kind == k {
			n++
		}
	}
	return n
}

// ImportFunc adds an imported function.
func (b *Builder) ImportFunc(module, name string, params, results []wasm.ValType) uint32 {
	return b.Import(module, name, wasm.Extern{Kind: wasm.KindFunc, Type: b.Type(params, results)})
}

// Global adds a global; init ends with its end.
func (b *Builder) Global(t wasm.GlobalType, init []byte) uint32 {
	b.Module.Globals = append(b.Module.Globals, wasm.Global{GlobalType: t, Init: wasm.Expr{Code: init}})
	return b.imported(wasm.KindGlobal) + uint32(len(b.Module.Globals)-1)
}

// Memory adds a memory of min to max pages.
func (b *Builder) Memory(min, max uint64) {
	b.Module.Memories = append(b.Module.Memories, wasm.Memory{MemoryType: wasm.MemoryType{
		Limits: wasm.Limits{Min: min, Max: max, HasMax: true}, PageSizeLog2: 16}})
}

// Table adds a table of null references.
func (b *Builder) Table(elem wasm.ValType, min, max uint64) uint32 {
	b.Module.Tables = append(b.Module.Tables, wasm.Table{TableType: wasm.TableType{Elem: elem, Limits: wasm.Limits{Min: min, Max: max, HasMax: true}}})
	return b.imported(wasm.KindTable) + uint32(len(b.Module.Tables)-1)
}

// Tag adds an exception tag.
func (b *Builder) Tag(params ...wasm.ValType) uint32 {
	b.Module.Tags = append(b.Module.Tags, wasm.Tag{Type: b.Type(params, nil)})
	return b.imported(wasm.KindTag) + uint32(len(b.Module.Tags)-1)
}

// Elements adds an element segment of functions.
func (b *Builder) Elements(mode wasm.SegmentMode, table uint32, at int32, funcs ...uint32) uint32 {
	e := wasm.Element{Mode: mode, Type: wasm.FuncRef, Funcs: funcs}
	if mode == wasm.Active {
		e.Table, e.At = table, constI32(at)
	}
	b.Module.Elements = append(b.Module.Elements, e)
	return uint32(len(b.Module.Elements) - 1)
}

func constI32(v int32) wasm.Expr {
	return wasm.Expr{Code: Expr(func(c *Code) { c.I32(v) })}
}

// Expr returns an expression, with its end, that does not count.
func Expr(code func(*Code)) []byte {
	c := &Code{}
	code(c)
	c.Op(opEnd)
	return c.b
}

// Export adds an export.
func (b *Builder) Export(name string, k wasm.Kind, index uint32) {
	b.Module.Exports = append(b.Module.Exports, wasm.Export{Name: name, Kind: k, Index: index})
}

// Declare reserves the index of a function whose body is set by Define.
func (b *Builder) Declare(params, results []wasm.ValType) uint32 {
	b.Module.Functions = append(b.Module.Functions, wasm.Function{Type: b.Type(params, results)})
	b.Module.Code = append(b.Module.Code, wasm.Body{})
	return b.imported(wasm.KindFunc) + uint32(len(b.Module.Functions)-1)
}

// Define sets the body of a declared function. The locals after the parameters
// are an i32, which code must not use, and those of locals.
func (b *Builder) Define(f uint32, locals []wasm.ValType, body func(*Code)) {
	i := f - b.imported(wasm.KindFunc)
	c := &Code{count: b.count, scratch: uint32(len(b.Module.Types[b.Module.Functions[i].Type].Params))}
	body(c)
	c.Op(opEnd)
	b.Module.Code[i] = wasm.Body{Code: slices.Concat(localDecls(locals), c.b)}
}

func localDecls(locals []wasm.ValType) []byte {
	var d Code
	d.u32(uint32(len(locals) + 1))
	d.u32(1)
	d.valType(wasm.I32)
	for _, t := range locals {
		d.u32(1)
		d.valType(t)
	}
	return d.b
}

// Func declares and defines a function.
func (b *Builder) Func(params, results, locals []wasm.ValType, body func(*Code)) uint32 {
	f := b.Declare(params, results)
	b.Define(f, locals, body)
	return f
}
