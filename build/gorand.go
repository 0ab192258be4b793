package build

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ashlar-wasm/ashlar/build/adapter"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// reseedRand changes a Go program such that instances which start from one initialised
// state draw different random numbers: from math/rand, for hash seeds, for the order of
// maps. All come from the function runtime.rand, whose state is cloned with the memory.
// What it returns is mixed with a key from the host here, which is drawn anew in each
// call of an export that needs random numbers.
//
// It relies on how the Go linker compiles functions, as does every debugger: the stack
// pointer is global 0, functions take where to go on and return 0 when they are done, and
// the results of one that is done are where the stack pointer points to.
func reseedRand(module []byte) ([]byte, error) {
	m, err := wasm.Decode(module)
	if err != nil {
		return nil, err
	}
	names := m.Names()
	functions := map[string]uint32{}
	for index, name := range names.Functions {
		functions[name] = index
	}
	rand, ok := functions["runtime.rand"]
	if !ok {
		return nil, errors.New("the program has no function runtime.rand by name: build it with a Go release that has, and without -ldflags=-s")
	}
	random, ok := importOf(m, "random_get")
	if !ok {
		return nil, errors.New("the program does not import random_get of WASI 0.1")
	}
	space := m.Space()
	imported := uint32(len(space.Funcs) - len(m.Functions))
	typ := &m.Types[space.Funcs[rand]]
	if rand < imported || !slices.Equal(typ.Params, []wasm.ValType{wasm.I32}) || !slices.Equal(typ.Results, []wasm.ValType{wasm.I32}) ||
		len(m.Globals) == 0 || space.Globals[0] != (wasm.GlobalType{Val: wasm.I32, Mutable: true}) {
		return nil, errors.New("the program is not what Go releases up to 1.26 make: runtime.rand or the stack pointer is different")
	}
	p := &patch{module: m, next: uint32(len(space.Funcs))}
	stale := p.global(uint32(len(space.Globals)), wasm.I32, []byte{0x41, 1})
	key := p.global(stale+1, wasm.I64, []byte{0x42, 0})
	factor := p.global(stale+2, wasm.I64, []byte{0x42, 1})

	m.Types = append(m.Types, wasm.FuncType{Results: []wasm.ValType{wasm.I64}})
	draw := p.function(uint32(len(m.Types)-1), code(
		0x23, 0, 0x41, 8, call(random), // 8 bytes to where the stack pointer points to
		0x04, 0x40, 0x00, 0x0b, // or trap
		0x23, 0, 0x29, 3, 0,
	))
	original := p.move(rand - imported)
	p.replace(rand-imported, code(
		0x20, 0, call(original), 0x22, 0, // the function, which is done
		0x04, 0x40, 0x20, 0, 0x0f, 0x0b, // or has to be called again
		0x23, 0, 0x29, 3, 0, 0x21, 1, // its result
		get(stale), 0x04, 0x40,
		call(draw), set(key), call(draw), 0x42, 1, 0x84, set(factor), 0x41, 0, set(stale),
		0x0b,
		0x23, 0,
		0x20, 1, get(key), 0x85, get(factor), 0x7e, 0x22, 1, 0x20, 1, 0x42, 32, 0x88, 0x85,
		0x37, 3, 0,
		0x41, 0,
	), 0x7e)
	for i := range m.Exports {
		x := &m.Exports[i]
		if x.Kind != wasm.KindFunc || x.Name == "_initialize" || x.Name == "_start" || strings.HasPrefix(x.Name, "cabi_") {
			continue
		}
		typ := space.Funcs[x.Index]
		body := code(0x41, 1, set(stale))
		for n := range m.Types[typ].Params {
			body = append(body, code(0x20, index(n))...)
		}
		x.Index = p.function(typ, append(body, code(call(x.Index))...))
	}
	names.Functions[original] = "runtime.rand"
	names.Functions[rand] = "ashlar.rand"
	names.Functions[draw] = "ashlar.draw"
	m.SetNames(names)
	return m.Encode(), nil
}

func importOf(m *wasm.Module, name string) (index uint32, ok bool) {
	for _, im := range m.Imports {
		if im.Kind != wasm.KindFunc {
			continue
		}
		if im.Module == adapter.Name && im.Name == name {
			return index, true
		}
		index++
	}
	return 0, false
}

// patch adds to a module, after what it has, so that indices stay.
type patch struct {
	module *wasm.Module
	next   uint32 // index of the next function
}

func (p *patch) global(index uint32, t wasm.ValType, init []byte) uint32 {
	p.module.Globals = append(p.module.Globals, wasm.Global{
		GlobalType: wasm.GlobalType{Val: t, Mutable: true}, Init: wasm.Expr{Code: append(init, 0x0b)},
	})
	return index
}

func (p *patch) function(typ uint32, body []byte) uint32 {
	p.module.Functions = append(p.module.Functions, wasm.Function{Type: typ})
	p.module.Code = append(p.module.Code, wasm.Body{Code: append(append([]byte{0}, body...), 0x0b)})
	p.next++
	return p.next - 1
}

// move adds a function that the module has once more, and returns its new index.
func (p *patch) move(defined uint32) uint32 {
	p.module.Functions = append(p.module.Functions, p.module.Functions[defined])
	p.module.Code = append(p.module.Code, p.module.Code[defined])
	p.next++
	return p.next - 1
}

// replace gives a function another body, with one local.
func (p *patch) replace(defined uint32, body []byte, local byte) {
	p.module.Code[defined] = wasm.Body{Code: append(append([]byte{1, 1, local}, body...), 0x0b)}
}

// index is an operand of any size.
type index uint32

func call(f uint32) []byte { return code(0x10, index(f)) }
func get(g uint32) []byte  { return code(0x23, index(g)) }
func set(g uint32) []byte  { return code(0x24, index(g)) }

// code joins opcodes and operands: numbers of one byte, indices, and code.
func code(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			b = append(b, byte(p))
		case index:
			b = binary.AppendUvarint(b, uint64(p))
		case []byte:
			b = append(b, p...)
		default:
			panic(fmt.Sprintf("code of %T", p))
		}
	}
	return b
}
