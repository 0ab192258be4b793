package componentize

import (
	"fmt"
	"maps"
	"slices"

	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// accessor is a function of __main_memory__.
type accessor struct {
	typ wasm.FuncType
	// code runs with the parameters on the stack.
	code []byte
}

// accessors are the functions that access the memory of the main module, for adapters
// that have a memory of their own: a module can have but one.
var accessors = func() map[string]accessor {
	load := func(code byte, t wasm.ValType) accessor {
		return accessor{wasm.FuncType{Params: []wasm.ValType{wasm.I32}, Results: []wasm.ValType{t}}, []byte{code, 0, 0}}
	}
	store := func(code byte, t wasm.ValType) accessor {
		return accessor{wasm.FuncType{Params: []wasm.ValType{wasm.I32, t}}, []byte{code, 0, 0}}
	}
	return map[string]accessor{
		"load8":  load(0x2d, wasm.I32), // i32.load8_u
		"load16": load(0x2f, wasm.I32), // i32.load16_u
		"load32": load(0x28, wasm.I32),
		"load64": load(0x29, wasm.I64),

		"store8":  store(0x3a, wasm.I32), // i32.store8
		"store16": store(0x3b, wasm.I32), // i32.store16
		"store32": store(0x36, wasm.I32),
		"store64": store(0x37, wasm.I64),

		// (memory.size << 16) - (memory.size == 65536)
		"size": {wasm.FuncType{Results: []wasm.ValType{wasm.I32}}, []byte{
			0x3f, 0, 0x41, 16, 0x74,
			0x3f, 0, 0x41, 0x80, 0x80, 0x04, 0x46, 0x6b,
		}},
	}
}()

func (l *linker) accessorSource(name string, t wasm.FuncType) (*source, error) {
	f, ok := accessors[name]
	if !ok {
		return nil, fmt.Errorf("there is no such function: there are %v", slices.Sorted(maps.Keys(accessors)))
	}
	if err := checkType(t, f.typ); err != nil {
		return nil, err
	}
	memory, err := l.memoryOf(l.main())
	if err != nil {
		return nil, err
	}
	if memory == nil {
		return nil, fmt.Errorf("the main module has no memory named \"memory\"")
	}
	l.accessors[name] = true
	return &source{
		key: "access/" + name, debug: name, sort: binary.SortCoreFunc, typ: f.typ,
		define: func(a *assembler) (uint32, error) {
			return a.alias(binary.AliasCoreExport, binary.SortCoreFunc, a.access, name), nil
		},
	}, nil
}

// memoryAccess writes and instantiates the module of the accessors that are used.
func (a *assembler) memoryAccess() error {
	if len(a.accessors) == 0 {
		return nil
	}
	memory, err := a.memoryOf(a.main())
	if err != nil {
		return err
	}
	b := newBuilder("ashlar:memory")
	b.Imports = []wasm.Import{{Module: "main", Name: "memory", Extern: wasm.Extern{Kind: wasm.KindMemory, Memory: wasm.MemoryType{PageSizeLog2: 16}}}}
	for _, name := range slices.Sorted(maps.Keys(a.accessors)) {
		f := accessors[name]
		b.export(name, wasm.KindFunc, b.define(name, f.typ, pass(f.typ, f.code)))
	}
	module := a.def(&binary.CoreModule{Bytes: b.encode()})
	main := a.def(&binary.CoreInstance{Inline: true, Exports: []binary.CoreItem{{
		Name: "memory", SortIdx: binary.SortIdx{Sort: binary.SortCoreMemory, Index: a.coreExport(memory.module, binary.SortCoreMemory, memory.name)},
	}}})
	a.access = a.def(&binary.CoreInstance{Module: module, Args: []binary.CoreArg{{Name: "main", Instance: main}}})
	return nil
}
