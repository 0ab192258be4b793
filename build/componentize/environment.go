package componentize

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// The environment is the main module of a component of libraries. It has the memory and
// the table, globals with addresses in them, and functions that break cycles: they call a
// library that is instantiated later through the table. The fixup fills that.

// indirection is a function of the environment.
type indirection struct {
	name string
	typ  wasm.FuncType
	lib  *library
}

// environment is the environment module under construction.
type environment struct {
	*builder
	memory, table uint64 // how much of them is taken
	failure       error
}

const (
	pageSize  = 64 << 10
	heapAlign = 4 // binary logarithm
	// maxTable bounds the elements of the table.
	maxTable = 10_000_000
)

// address adds a global.
func (e *environment) address(name string, value uint64, mutable bool) {
	if value >= 1<<31 && e.failure == nil {
		e.failure = fmt.Errorf("libraries have more than 2 GiB of data")
		value = 0
	}
	e.export(name, wasm.KindGlobal, uint32(len(e.Globals)))
	e.Globals = append(e.Globals, wasm.Global{
		GlobalType: wasm.GlobalType{Val: wasm.I32, Mutable: mutable},
		Init:       wasm.Expr{Code: append(i32Const(int(value&0x7fffffff)), opEnd)},
	})
}

func alignUp(n uint64, log uint32) uint64 {
	unit := uint64(1) << log
	return (n + unit - 1) &^ (unit - 1)
}

// environment makes the environment module.
func (p *program) environment() ([]byte, error) {
	e := &environment{builder: newBuilder("ashlar:environment"), memory: uint64(p.opts.StackSize), table: 1}
	p.findIndirections()
	wanted := map[string]bool{}
	for _, lib := range p.libraries {
		for name := range lib.globals {
			wanted[name] = true
		}
	}
	add := func(name string, value uint64, mutable bool) {
		if wanted[name] {
			e.address(name, value, mutable)
		}
	}
	p.dl = p.dlTable(uint32(e.table), uint32(e.memory))
	add(libdlTable, uint64(p.dl.root), true)
	e.table += uint64(len(p.dl.functions))
	e.memory += uint64(len(p.dl.data))
	p.tls = p.layoutTLS(e)
	add(programTLS, uint64(p.tls.program), true)
	stack := uint64(p.opts.StackSize)
	add(stackPointer, stack, true)
	add("__init_stack_pointer", stack, false)
	add("__asyncify_state", 0, true)
	add("__asyncify_data", 0, true)
	add("__stack_high", stack, true)
	add("__stack_low", 0, true)
	for _, lib := range p.libraries {
		e.memory = alignUp(e.memory, lib.dylink.memoryAlign)
		e.table = alignUp(e.table, lib.dylink.tableAlign)
		e.address(baseName(lib, memoryBase), e.memory, false)
		e.address(baseName(lib, tableBase), e.table, false)
		e.memory += uint64(lib.dylink.memorySize)
		e.table += uint64(lib.dylink.tableSize)
		for _, name := range lib.addresses {
			e.address(baseName(lib, name), 0, true)
		}
	}
	if e.table+uint64(len(p.indirections)) > maxTable {
		return nil, fmt.Errorf("libraries have more than %d elements of tables", maxTable)
	}
	p.firstIndirection = uint32(e.table)
	numbers := map[string]uint64{}
	for i, f := range p.indirections {
		numbers[f.name] = e.table + uint64(i)
	}
	for _, lib := range p.libraries {
		for _, name := range lib.functionNumbers {
			number := numbers[name]
			if p.functionProvider(name) == p.stubs && lib.dylink.weak[[2]string{envModule, name}] {
				number = 0 // what is not there is null
			}
			e.address(lib.name+":"+gotFunctions+":"+name, number, true)
		}
	}
	e.memory = alignUp(e.memory, heapAlign)
	add("__heap_base", e.memory, true)
	e.memory = alignUp(e.memory, 16)
	add("__heap_end", e.memory, true)
	for _, f := range p.indirections {
		call := append(i32Const(int(e.table)), op(opCallIndirect, e.typ(f.typ))...)
		e.export(f.name, wasm.KindFunc, e.define(f.name, f.typ, pass(f.typ, append(call, 0))))
		e.table++
	}
	for _, lib := range p.libraries {
		p.tls.functions(e, lib)
	}
	memory, table, err := p.leastLimits()
	if err != nil {
		return nil, err
	}
	e.Tables = []wasm.Table{{TableType: wasm.TableType{Elem: wasm.FuncRef, Limits: wasm.Limits{Min: max(table, e.table)}}}}
	e.export(functionTable, wasm.KindTable, 0)
	e.Memories = []wasm.Memory{{MemoryType: wasm.MemoryType{PageSizeLog2: 16, Limits: wasm.Limits{Min: max(memory, e.memory/pageSize)}}}}
	e.export("memory", wasm.KindMemory, 0)
	return e.encode(), e.failure
}

// leastLimits returns how large the memory, in pages, and the table must be, for the
// libraries that import them.
func (p *program) leastLimits() (memory, table uint64, err error) {
	for _, lib := range p.libraries {
		for i, im := range lib.wasm.Imports {
			t := lib.imports[i]
			var limits wasm.Limits
			switch {
			case isMemoryImport(&im):
				limits = t.Memory.Limits
				memory = max(memory, limits.Min)
			case im.Module == envModule && im.Name == functionTable:
				limits = t.Table.Limits
				table = max(table, limits.Min)
				if t.Table.Elem != wasm.FuncRef {
					return 0, 0, fmt.Errorf("library %s imports a table of %v, not of functions", lib.name, t.Table.Elem)
				}
			default:
				continue
			}
			if limits.HasMax || limits.Index64 || limits.Shared {
				return 0, 0, fmt.Errorf("library %s imports %q with a maximum, with 64-bit addresses, or shared, which libraries can't have", lib.name, im.Name)
			}
		}
	}
	if table > maxTable {
		return 0, 0, fmt.Errorf("libraries have more than %d elements of tables", maxTable)
	}
	return memory, table, nil
}

func (p *program) functionProvider(name string) *library {
	s, ok := p.functions[name]
	if !ok {
		return nil
	}
	return p.providers[s]
}

// findIndirections finds the functions that are called before their library is there, or
// by their number in the table, and those that others than libraries look for.
func (p *program) findIndirections() {
	have := map[string]bool{}
	add := func(name string, lib *library) {
		if !have[name] && lib != nil {
			have[name] = true
			p.indirections = append(p.indirections, indirection{name, lib.exports[name].Func, lib})
		}
	}
	seen := map[*library]bool{}
	for _, lib := range p.sorted {
		for _, name := range lib.functionNumbers {
			add(name, p.functionProvider(name))
		}
		for _, s := range lib.symbols {
			if provider := p.providers[s]; s.kind == wasm.KindFunc && !seen[provider] {
				add(s.name, provider)
			}
		}
		seen[lib] = true
	}
	for name, t := range map[string]wasm.FuncType{taskHook: taskHookType} {
		add(name, p.providers[symbol{wasm.KindFunc, name, signature(t)}])
	}
	add("cabi_realloc", p.providers[symbol{wasm.KindFunc, "cabi_realloc", signature(reallocType)}])
	for _, lib := range p.libraries {
		if lib.exportsFunction(startFunction) {
			add(startFunction, lib)
		}
	}
}

// dlTable is the table in which dlopen and dlsym look. It is sorted by name: a number of
// libraries and their address; of each library the length and address of its name, and the
// number of its symbols and their address; of each symbol the length and address of its
// name, and what it stands for.
type dlTable struct {
	memory, table uint32
	data          []byte
	root          uint32 // address of the number of libraries
	functions     []coreExport
	// globals are addresses that are known when the libraries are there.
	globals []dlGlobal
}

type dlGlobal struct {
	lib  *library
	name string
	at   uint32 // where its address is to be
}

func (d *dlTable) here() uint32 { return d.memory + uint32(len(d.data)) }

func (d *dlTable) words(words ...uint32) {
	for _, w := range words {
		d.data = binary.LittleEndian.AppendUint32(d.data, w)
	}
}

func (d *dlTable) text(s string) uint32 {
	at := d.here()
	d.data = append(d.data, s...)
	for len(d.data)%4 != 0 {
		d.data = append(d.data, 0)
	}
	return at
}

func (p *program) dlTable(table, memory uint32) *dlTable {
	d := &dlTable{memory: memory, table: table}
	open := slices.DeleteFunc(slices.Clone(p.libraries), func(l *library) bool { return !l.open })
	slices.SortFunc(open, func(a, b *library) int { return strings.Compare(a.name, b.name) })
	type entry struct{ length, name, count, symbols uint32 }
	var entries []entry
	for _, lib := range open {
		name := d.text(lib.name)
		offers := slices.DeleteFunc(slices.Clone(lib.offers), func(s symbol) bool { return s.kind == wasm.KindTag })
		slices.SortFunc(offers, func(a, b symbol) int { return strings.Compare(a.name, b.name) })
		var names []uint32
		for _, s := range offers {
			names = append(names, d.text(s.name))
		}
		first := d.here()
		for i, s := range offers {
			d.words(uint32(len(s.name)), names[i])
			if s.kind == wasm.KindFunc {
				d.words(d.table + uint32(len(d.functions)))
				d.functions = append(d.functions, coreExport{lib.coreModule, s.name})
			} else {
				d.globals = append(d.globals, dlGlobal{lib, s.name, d.here()})
				d.words(0)
			}
		}
		entries = append(entries, entry{uint32(len(lib.name)), name, uint32(len(offers)), first})
	}
	first := d.here()
	for _, e := range entries {
		d.words(e.length, e.name, e.count, e.symbols)
	}
	d.root = d.here()
	d.words(uint32(len(entries)), first)
	return d
}
