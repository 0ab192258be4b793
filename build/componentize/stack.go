package componentize

import (
	"fmt"
	"slices"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// Adapters of wit-component have no memory of their own: what they keep, a stack above
// all, is in that of the main module, which must give them a place for it.

// stackSize is how much an adapter gets, in bytes. It is a page, since some main modules
// can only be asked for that.
const stackSize = 64 << 10

// The names, in the name section, of globals of adapters.
const (
	stackPointer = "__stack_pointer"
	// allocationState is 0 before the stack is allocated, 1 meanwhile, 2 after. Such an
	// adapter may be called by the main module's realloc; it must not use the stack then.
	allocationState = "allocation_state"
)

// provideStack gives an adapter that has its stack in the memory of the main module a
// place for it: when it is first called, or else when it is instantiated. The place comes
// from the main module's realloc, or else the memory grows.
func (l *linker) provideStack(a *coreModule) error {
	if !slices.ContainsFunc(a.wasm.Imports, func(im wasm.Import) bool { return isMemoryImport(&im) }) {
		return nil
	}
	fromMain, err := l.reallocOf(l.main(), adapterReallocs)
	if err != nil {
		return err
	}
	realloc, err := a.importedRealloc()
	if err != nil {
		return err
	}
	if realloc >= 0 && fromMain == nil {
		realloc = int(a.wasm.DefineImport(uint32(realloc), reallocByGrowing))
	}
	sp, err := a.ownGlobal(stackPointer)
	if err != nil || sp < 0 {
		return err
	}
	state, err := a.ownGlobal(allocationState)
	if err != nil {
		return err
	}
	switch {
	case state >= 0 && fromMain != nil && realloc < 0:
		realloc = int(a.wasm.AddFuncImport(mainModule, fromMain.name, reallocType))
	case state < 0 || realloc < 0:
		// The main module's realloc may call the adapter, which could not tell that
		// its stack is not there yet.
		realloc = int(a.wasm.AddFunction(reallocType, reallocByGrowing))
	}
	// sp = realloc(0, 0, 8, stackSize) + stackSize
	allocate := slices.Concat(i32Const(0), i32Const(0), i32Const(8), i32Const(stackSize), op(opCall, uint32(realloc)),
		i32Const(stackSize), []byte{0x6a}, op(opGlobalSet, uint32(sp))) // i32.add
	if state >= 0 {
		s := uint32(state)
		allocate = slices.Concat(op(opGlobalGet, s), []byte{0x45, 0x04, 0x40}, // i32.eqz, if
			i32Const(1), op(opGlobalSet, s), allocate, i32Const(2), op(opGlobalSet, s), []byte{opEnd})
	}
	if state >= 0 && fromMain != nil {
		a.callFirst(a.wasm.AddFunction(wasm.FuncType{}, allocate))
		return nil
	}
	if a.wasm.Start != nil {
		allocate = append(allocate, op(opCall, a.wasm.Start.Func)...)
	}
	a.wasm.Start = &wasm.Start{Func: a.wasm.AddFunction(wasm.FuncType{}, allocate)}
	return nil
}

// callFirst makes every exported function call f first.
func (m *coreModule) callFirst(f uint32) {
	imported := len(m.wasm.Space().Funcs) - len(m.wasm.Functions)
	done := map[uint32]bool{}
	m.wasm.Code = slices.Clone(m.wasm.Code)
	for _, e := range m.wasm.Exports {
		d := int(e.Index) - imported
		if e.Kind != wasm.KindFunc || d < 0 || done[e.Index] {
			continue
		}
		done[e.Index] = true
		m.wasm.Code[d] = m.wasm.Code[d].Prepend(op(opCall, f))
	}
}

// importedRealloc returns the function index of the main module's realloc in an
// adapter, or -1.
func (m *coreModule) importedRealloc() (int, error) {
	types, err := m.wasm.ImportTypes()
	if err != nil {
		return 0, err
	}
	index := 0
	for i, im := range m.wasm.Imports {
		if im.Kind != wasm.KindFunc {
			continue
		}
		if im.Module == mainModule && slices.Contains(adapterReallocs, im.Name) && sameType(types[i].Func, reallocType) {
			return index, nil
		}
		index++
	}
	return -1, nil
}

// ownGlobal returns the index of the mutable i32 global of that name, or -1.
func (m *coreModule) ownGlobal(name string) (int, error) {
	space := m.wasm.Space()
	found := -1
	for index, n := range m.wasm.Names().Globals {
		if n != name || int(index) >= len(space.Globals) || space.Globals[index] != (wasm.GlobalType{Val: wasm.I32, Mutable: true}) {
			continue
		}
		if found >= 0 {
			return 0, fmt.Errorf("it has more than one global named %q", name)
		}
		found = int(index)
	}
	return found, nil
}

// reallocByGrowing is the code of a realloc that lets the memory grow by a page. It does
// nothing else: where it is asked for something else it traps.
var reallocByGrowing = func() []byte {
	trapIf := func(condition ...byte) []byte { return append(condition, 0x04, 0x40, 0x00, opEnd) } // if unreachable end
	return slices.Concat(
		trapIf(opLocalGet, 0), // the old address
		trapIf(opLocalGet, 1), // the old size
		trapIf(append(slices.Concat([]byte{opLocalGet, 3}, i32Const(stackSize)), 0x47)...), // i32.ne
		i32Const(1), []byte{0x40, 0, 0x22, 0}, // memory.grow, local.tee
		trapIf(0x41, 0x7f, 0x46),                          // i32.const -1, i32.eq
		[]byte{opLocalGet, 0}, i32Const(16), []byte{0x74}, // i32.shl
	)
}()
