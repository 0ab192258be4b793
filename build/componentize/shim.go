package componentize

import (
	"encoding/binary"
	"fmt"
	"slices"

	component "github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// The shim is a core module that is instantiated first. For each function that the main
// module or an adapter needs before it can be had, it has one that calls it through a
// table. The fixup is instantiated last: it fills the table, and starts the modules.

// The exports of the shim beside its functions.
const (
	shimTable  = "$imports"
	shimMemory = "$memory"
)

// builder writes a core module.
type builder struct {
	wasm.Module
	names    map[uint32]string
	funcs    uint32
	imported map[[2]string]uint32
}

func newBuilder(name string) *builder {
	b := &builder{names: map[uint32]string{}, imported: map[[2]string]uint32{}}
	b.SetNames(wasm.Names{Module: name})
	b.Customs = append(b.Customs, wasm.Custom{Name: producers, Data: wasm.EncodeProducers(processedBy)})
	return b
}

func (b *builder) typ(t wasm.FuncType) uint32 {
	for i := range b.Types {
		if sameType(b.Types[i], t) {
			return uint32(i)
		}
	}
	b.Types = append(b.Types, wasm.FuncType{Params: t.Params, Results: t.Results})
	return uint32(len(b.Types) - 1)
}

// importFunc imports a function, if it is not imported already; all imports come before
// the first definition.
func (b *builder) importFunc(module, name, debug string, t wasm.FuncType) uint32 {
	if index, ok := b.imported[[2]string{module, name}]; ok {
		return index
	}
	b.imported[[2]string{module, name}] = b.funcs
	b.Imports = append(b.Imports, wasm.Import{Module: module, Name: name, Extern: wasm.Extern{Kind: wasm.KindFunc, Type: b.typ(t)}})
	b.names[b.funcs] = debug
	b.funcs++
	return b.funcs - 1
}

// define adds a function without locals; code is its body without the end.
func (b *builder) define(name string, t wasm.FuncType, code []byte) uint32 {
	return b.defineLocals(name, t, nil, code)
}

// defineLocals is define with locals: how many, and their type.
func (b *builder) defineLocals(name string, t wasm.FuncType, locals, code []byte) uint32 {
	b.Functions = append(b.Functions, wasm.Function{Type: b.typ(t)})
	b.Code = append(b.Code, wasm.Body{Code: slices.Concat([]byte{byte(len(locals) / 2)}, locals, code, []byte{opEnd})})
	b.names[b.funcs] = name
	b.funcs++
	return b.funcs - 1
}

func (b *builder) export(name string, kind wasm.Kind, index uint32) {
	b.Exports = append(b.Exports, wasm.Export{Name: name, Kind: kind, Index: index})
}

func (b *builder) encode() []byte {
	names := b.Names()
	names.Functions = b.names
	b.SetNames(names)
	return b.Encode()
}

// The instructions that are written.
const (
	opEnd          = 0x0b
	opCall         = 0x10
	opCallIndirect = 0x11
	opSelect       = 0x1b
	opLocalGet     = 0x20
	opLocalSet     = 0x21
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opI32Const     = 0x41
	opI64Const     = 0x42
)

func op(code byte, immediate uint32) []byte {
	return binary.AppendUvarint([]byte{code}, uint64(immediate))
}

// i32Const pushes a constant, from 0 to 2^31-1.
func i32Const(v int) []byte {
	b := []byte{opI32Const}
	for v > 0x3f {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

// pass calls what call calls with the parameters of the function.
func pass(t wasm.FuncType, call []byte) []byte {
	var code []byte
	for i := range t.Params {
		code = append(code, op(opLocalGet, uint32(i))...)
	}
	return append(code, call...)
}

func (a *assembler) tableType() wasm.TableType {
	n := uint64(len(a.slots))
	return wasm.TableType{Elem: wasm.FuncRef, Limits: wasm.Limits{Min: n, Max: n, HasMax: true}}
}

// shim writes and instantiates the shim, if there is a use for it.
func (a *assembler) shim() error {
	tls := a.tlsBase != 0 && !a.usesSlot1
	if len(a.slots) == 0 && a.importsMemory == nil && !tls {
		return nil
	}
	if len(a.slots) > maxSlots {
		return fmt.Errorf("more than %d functions are imported", maxSlots)
	}
	b := newBuilder("ashlar:shim")
	for i, s := range a.slots {
		call := append(i32Const(i), op(opCallIndirect, b.typ(s.typ))...)
		b.export(slotName(i), wasm.KindFunc, b.define(s.debug, s.typ, pass(s.typ, append(call, 0))))
	}
	if len(a.slots) > 0 {
		b.Tables = []wasm.Table{{TableType: a.tableType()}}
		b.export(shimTable, wasm.KindTable, 0)
	}
	if a.importsMemory != nil {
		b.Memories = []wasm.Memory{{MemoryType: *a.importsMemory}}
		b.export(shimMemory, wasm.KindMemory, 0)
	}
	if tls {
		a.tlsFunctions(b)
	}
	a.cores[nil] = a.def(&component.CoreInstance{Module: a.def(&component.CoreModule{Bytes: b.encode()})})
	return nil
}

// maxSlots bounds the functions of the shim.
const maxSlots = 100_000

// fixup fills the shim's table and calls what the modules start with.
func (a *assembler) fixup() error {
	b := newBuilder("ashlar:fixup")
	var args []component.CoreArg
	if len(a.slots) > 0 {
		var items []component.CoreItem
		var funcs []uint32
		for i, s := range a.slots {
			index, err := s.define(a)
			if err != nil {
				return fmt.Errorf("%s: %w", s.debug, err)
			}
			items = append(items, component.CoreItem{Name: slotName(i), SortIdx: component.SortIdx{Sort: component.SortCoreFunc, Index: index}})
			funcs = append(funcs, b.importFunc("actual", slotName(i), s.debug, s.typ))
		}
		b.Imports = append(b.Imports, wasm.Import{Module: "shim", Name: shimTable, Extern: wasm.Extern{Kind: wasm.KindTable, Table: a.tableType()}})
		b.Elements = []wasm.Element{{Mode: wasm.Active, At: wasm.Expr{Code: append(i32Const(0), opEnd)}, Type: wasm.FuncRef, Funcs: funcs}}
		args = append(args,
			component.CoreArg{Name: "actual", Instance: a.def(&component.CoreInstance{Inline: true, Exports: items})},
			component.CoreArg{Name: "shim", Instance: a.cores[nil]})
	}
	imported := map[*coreModule]string{}
	instance := func(m *coreModule) string {
		name, ok := imported[m]
		if !ok {
			name = fmt.Sprintf("module%d", m.order)
			imported[m] = name
			args = append(args, component.CoreArg{Name: name, Instance: a.cores[m]})
		}
		return name
	}
	var prepare, start []byte
	if a.program != nil {
		prepare = a.program.fixup(a, b, instance)
	}
	for _, m := range a.startOrder() {
		for _, name := range m.start {
			start = append(start, op(opCall, b.importFunc(instance(m), name, name, wasm.FuncType{}))...)
		}
	}
	if len(args) == 0 {
		return nil
	}
	if start != nil {
		if a.hasTaskHook() {
			hook := b.importFunc(instance(a.main()), taskHook, taskHook, taskHookType)
			start = slices.Concat(callHook(hook, hookInitializeStart), start, callHook(hook, hookInitializeFinish))
		}
	}
	if start = append(prepare, start...); len(start) > 0 {
		b.Start = &wasm.Start{Func: b.define("start", wasm.FuncType{}, start)}
	}
	a.def(&component.CoreInstance{Module: a.def(&component.CoreModule{Bytes: b.encode()}), Args: args})
	return nil
}

// startOrder returns the modules in the order in which they start: adapters first, since
// the others may call them.
func (a *assembler) startOrder() []*coreModule {
	var first, rest []*coreModule
	for _, m := range a.modules[1:] {
		if m.shared {
			rest = append(rest, m)
		} else {
			first = append(first, m)
		}
	}
	return slices.Concat(first, rest, a.modules[:1])
}
