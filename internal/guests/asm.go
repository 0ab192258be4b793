// Package guests makes components for tests and examples: small core modules
// written as Go expressions, wrapped into components with the imports and
// exports that are asked for.
package guests

import (
	"encoding/binary"
	"slices"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// Code is a sequence of core instructions in the binary format.
type Code []byte

// Seq joins instructions.
func Seq(parts ...Code) Code { return slices.Concat(parts...) }

func leb(n int64) []byte {
	var out []byte
	for {
		c := byte(n & 0x7f)
		n >>= 7
		if n == 0 && c&0x40 == 0 || n == -1 && c&0x40 != 0 {
			return append(out, c)
		}
		out = append(out, c|0x80)
	}
}

func uleb(n uint32) []byte { return binary.AppendUvarint(nil, uint64(n)) }

// The instructions that guests are made of.
var (
	Unreachable = Code{0x00}
	Return      = Code{0x0f}
	Drop        = Code{0x1a}
	I32Eqz      = Code{0x45}
	I32Add      = Code{0x6a}
	I32Sub      = Code{0x6b}
	I32DivU     = Code{0x6e}
	I64Add      = Code{0x7c}
	MemoryGrow  = Code{0x40, 0x00}
	MemorySize  = Code{0x3f, 0x00}
)

// I32 pushes a constant.
func I32(n int32) Code { return append(Code{0x41}, leb(int64(n))...) }

// I64 pushes a constant.
func I64(n int64) Code { return append(Code{0x42}, leb(n)...) }

// Get pushes a local.
func Get(i uint32) Code { return append(Code{0x20}, uleb(i)...) }

// Set pops into a local.
func Set(i uint32) Code { return append(Code{0x21}, uleb(i)...) }

// GlobalGet pushes a global.
func GlobalGet(i uint32) Code { return append(Code{0x23}, uleb(i)...) }

// GlobalSet pops into a global.
func GlobalSet(i uint32) Code { return append(Code{0x24}, uleb(i)...) }

// Call calls a function by index, imports first.
func Call(i uint32) Code { return append(Code{0x10}, uleb(i)...) }

// Load loads an i32 from the address on the stack plus offset.
func Load(offset uint32) Code { return append(Code{0x28, 0x02}, uleb(offset)...) }

// Store stores an i32: address, then value are on the stack.
func Store(offset uint32) Code { return append(Code{0x36, 0x02}, uleb(offset)...) }

// If runs then where the i32 on the stack is not 0. Neither leaves values.
func If(then Code) Code { return Seq(Code{0x04, 0x40}, then, Code{0x0b}) }

// Loop runs body for as long as it leaves an i32 that is not 0.
func Loop(body Code) Code { return Seq(Code{0x03, 0x40}, body, Code{0x0d, 0x00, 0x0b}) }

// Func is a function of a guest's core module.
type Func struct {
	Name            string // exported under it if not empty
	Params, Results []wasm.ValType
	Locals          int // further i32 locals
	Body            Code
	Start           bool // runs when the module is instantiated
}

func (f *Func) body() wasm.Body {
	code := []byte{0}
	if f.Locals > 0 {
		code = append(append([]byte{1}, uleb(uint32(f.Locals))...), 0x7f)
	}
	return wasm.Body{Code: append(append(code, f.Body...), 0x0b)}
}

// CoreModule is a core module under construction.
type CoreModule struct{ wasm.Module }

func (m *CoreModule) typ(params, results []wasm.ValType) uint32 {
	for i, t := range m.Types {
		if slices.Equal(t.Params, params) && slices.Equal(t.Results, results) {
			return uint32(i)
		}
	}
	m.Types = append(m.Types, wasm.FuncType{Params: params, Results: results})
	return uint32(len(m.Types) - 1)
}

// ImportFunc imports a function. All imports come before the first Define.
func (m *CoreModule) ImportFunc(from, name string, params, results []wasm.ValType) {
	m.Imports = append(m.Imports, wasm.Import{Module: from, Name: name,
		Extern: wasm.Extern{Kind: wasm.KindFunc, Type: m.typ(params, results)}})
}

// Define adds a function.
func (m *CoreModule) Define(f *Func) {
	index := uint32(len(m.Functions))
	for _, im := range m.Imports {
		if im.Kind == wasm.KindFunc {
			index++
		}
	}
	m.Functions = append(m.Functions, wasm.Function{Type: m.typ(f.Params, f.Results)})
	m.Code = append(m.Code, f.body())
	if f.Start {
		m.Module.Start = &wasm.Start{Func: index}
	}
	if f.Name != "" {
		m.Exports = append(m.Exports, wasm.Export{Name: f.Name, Kind: wasm.KindFunc, Index: index})
	}
}

// Constant is the expression of a constant, as in offsets and globals.
func Constant(n int32) wasm.Expr { return wasm.Expr{Code: append(I32(n), 0x0b)} }

// heapStart is where the bump allocator begins; data segments lie below.
const heapStart = 4096

// libc is the module that holds the memory, and a realloc that never frees.
func libc(data []Data, pages uint64) []byte {
	m := &CoreModule{}
	m.Memories = []wasm.Memory{{MemoryType: wasm.MemoryType{PageSizeLog2: 16, Limits: wasm.Limits{Min: pages}}}}
	m.Exports = []wasm.Export{{Name: "memory", Kind: wasm.KindMemory}}
	m.Globals = []wasm.Global{{GlobalType: wasm.GlobalType{Val: wasm.I32, Mutable: true}, Init: Constant(heapStart)}}
	i32 := wasm.I32
	// realloc(old, oldSize, align, size): the next address that is aligned, or
	// the old one to shrink.
	m.Define(&Func{Name: "realloc", Params: []wasm.ValType{i32, i32, i32, i32}, Results: []wasm.ValType{i32}, Locals: 1,
		Body: Seq(
			Get(0), If(Seq(Get(3), Get(1), Code{0x4d}, If(Seq(Get(0), Return)))), // i32.le_u
			// p = (next + align - 1) & -align
			GlobalGet(0), Get(2), I32Add, I32(1), I32Sub, I32(0), Get(2), I32Sub, Code{0x71}, Set(4),
			Get(4), Get(3), I32Add, GlobalSet(0),
			// A page more where the memory is too small.
			GlobalGet(0), MemorySize, I32(16), Code{0x74}, Code{0x4b}, // i32.shl, i32.gt_u
			If(Seq(Get(3), I32(16), Code{0x76}, I32(1), I32Add, MemoryGrow, Drop)),
			Get(4), Get(0), Get(1), Code{0xfc, 0x0a, 0, 0}, // memory.copy
			Get(4),
		)})
	for _, d := range data {
		m.Data = append(m.Data, wasm.Data{Mode: wasm.Active, At: Constant(int32(d.At)), Init: []byte(d.Bytes)})
	}
	return m.Encode()
}

// Data is bytes that lie in the memory from the start, below 4096.
type Data struct {
	At    uint32
	Bytes string
}
