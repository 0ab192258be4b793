package componentize

import (
	"fmt"
	"slices"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// Names that libraries import and export, as DynamicLinking.md of the tool conventions
// says, and as wasm-ld and wasi-libc have them beside.
const (
	envModule     = "env"
	gotMemory     = "GOT.mem"
	gotFunctions  = "GOT.func"
	memoryBase    = "__memory_base"
	tableBase     = "__table_base"
	functionTable = "__indirect_function_table"
	libdlTable    = "__wasm_libdl_libraries"
	applyRelocs   = "__wasm_apply_data_relocs"
	callCtors     = "__wasm_call_ctors"
	startFunction = "_start"
)

// layoutGlobals are globals with addresses that the environment module defines if a library
// wants them: those of env, and of GOT.mem.
var (
	envGlobals = []string{stackPointer, "__init_stack_pointer", "__asyncify_state", "__asyncify_data"}
	gotGlobals = []string{"__heap_base", "__heap_end", "__stack_high", "__stack_low", libdlTable, programTLS}
)

// symbol is a function, global or tag that libraries share.
type symbol struct {
	kind wasm.Kind
	name string
	// typ is the type of a function or tag, as text.
	typ string
}

func (s symbol) String() string {
	switch s.kind {
	case wasm.KindGlobal:
		return fmt.Sprintf("the address %q", s.name)
	case wasm.KindTag:
		return fmt.Sprintf("the tag %q of type %s", s.name, s.typ)
	}
	return fmt.Sprintf("the function %q of type %s", s.name, s.typ)
}

// dylink is what the dylink.0 section of a library says.
type dylink struct {
	memorySize, memoryAlign uint32 // alignments are binary logarithms
	tableSize, tableAlign   uint32
	needed                  []string
	weak                    map[[2]string]bool // imports that need not be there
}

// bindingWeak is the flag of a weak symbol; bindingMask is where it stands.
const bindingWeak, bindingMask = 1, 3

// maxAlign bounds alignments, as binary logarithms.
const maxAlign = 24

func readDylink(data []byte) (*dylink, error) {
	d := &dylink{weak: map[[2]string]bool{}}
	r := &sectionReader{b: data}
	for len(r.b) > 0 && r.err == nil {
		id := r.byte()
		s := &sectionReader{b: r.bytes(r.u32())}
		switch id {
		case 1:
			d.memorySize, d.memoryAlign, d.tableSize, d.tableAlign = s.u32(), s.u32(), s.u32(), s.u32()
			if d.memoryAlign > maxAlign || d.tableAlign > maxAlign {
				return nil, fmt.Errorf("dylink.0: alignments 2^%d and 2^%d are too large", d.memoryAlign, d.tableAlign)
			}
		case 2:
			for range s.count() {
				d.needed = append(d.needed, s.name())
			}
		case 4:
			for range s.count() {
				key := [2]string{s.name(), s.name()}
				if s.u32()&bindingMask == bindingWeak {
					d.weak[key] = true
				}
			}
		}
		if s.err != nil {
			return nil, s.err
		}
	}
	return d, r.err
}

// sectionReader reads a custom section. After the first fault it reads zeros.
type sectionReader struct {
	b   []byte
	err error
}

func (r *sectionReader) fail() {
	if r.err == nil {
		r.err = fmt.Errorf("dylink.0: malformed")
	}
	r.b = nil
}

func (r *sectionReader) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *sectionReader) bytes(n uint32) []byte {
	if uint64(n) > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *sectionReader) u32() uint32 {
	var v uint64
	for shift := 0; shift < 35; shift += 7 {
		c := r.byte()
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			if v > 1<<32-1 {
				r.fail()
				return 0
			}
			return uint32(v)
		}
	}
	r.fail()
	return 0
}

// count reads how many entries follow, each of which has at least a byte.
func (r *sectionReader) count() uint32 {
	n := r.u32()
	if uint64(n) > uint64(len(r.b)) {
		r.fail()
		return 0
	}
	return n
}

func (r *sectionReader) name() string { return string(r.bytes(r.u32())) }

// library is a module that shares memory and table with others.
type library struct {
	*coreModule
	dylink *dylink
	open   bool
	// What it imports: from env, and addresses of data and of functions.
	symbols         []symbol
	addresses       []string
	functionNumbers []string
	globals         map[string]bool // those of envGlobals and gotGlobals
	wantsTLS        map[string]bool // what it uses of thread-local storage and threads
	// What it exports for others.
	offers []symbol
}

// ownExports are not symbols.
var ownExports = []string{applyRelocs, callCtors, "_initialize", startFunction, libraryTLS}

func symbolOf(name string, t wasm.ExternType) symbol {
	s := symbol{kind: t.Kind, name: name}
	if t.Kind == wasm.KindFunc || t.Kind == wasm.KindTag {
		s.typ = signature(t.Func)
	}
	return s
}

func loadLibrary(l Library) (*library, error) {
	m, err := loadModule(l.Name, l.Module)
	if err != nil {
		return nil, err
	}
	if err := m.validate(); err != nil {
		return nil, err
	}
	lib := &library{coreModule: m, open: l.Open, globals: map[string]bool{}, wantsTLS: map[string]bool{}, dylink: &dylink{weak: map[[2]string]bool{}}}
	if c, ok := m.wasm.Custom("dylink.0"); ok {
		if lib.dylink, err = readDylink(c.Data); err != nil {
			return nil, err
		}
	}
	for i, im := range m.wasm.Imports {
		t := m.imports[i]
		wrong := fmt.Errorf("import %q of %q is a %v", im.Name, im.Module, t.Kind)
		address := t.Kind == wasm.KindGlobal && t.Global.Val == wasm.I32
		switch im.Module {
		case envModule:
			switch {
			case isMemoryImport(&im), im.Name == functionTable && t.Kind == wasm.KindTable:
			case im.Name == memoryBase || im.Name == tableBase || slices.Contains(envGlobals, im.Name):
				if !address {
					return nil, wrong
				}
				lib.globals[im.Name] = true
			case im.Name == getTLS || im.Name == setTLS:
				if want := map[string]wasm.FuncType{getTLS: coreType("", "i"), setTLS: coreType("i", "")}[im.Name]; t.Kind != wasm.KindFunc || !sameType(t.Func, want) {
					return nil, wrong
				}
				lib.wantsTLS[im.Name] = true
			case im.Name == "__wasm_get_stack_pointer" || im.Name == "__wasm_set_stack_pointer":
			case t.Kind == wasm.KindFunc || t.Kind == wasm.KindTag:
				lib.symbols = append(lib.symbols, symbolOf(im.Name, t))
			default:
				return nil, wrong
			}
		case gotMemory, gotFunctions:
			switch {
			case !address:
				return nil, wrong
			case im.Module == gotFunctions:
				lib.functionNumbers = append(lib.functionNumbers, im.Name)
			case slices.Contains(gotGlobals, im.Name):
				lib.globals[im.Name] = true
			default:
				lib.addresses = append(lib.addresses, im.Name)
			}
			lib.wantsTLS[im.Name] = lib.wantsTLS[im.Name] || im.Name == programTLS
		case "$root":
			lib.wantsTLS[im.Name] = im.Name == newThread
		}
	}
	for _, e := range m.wasm.Exports {
		t := m.exports[e.Name]
		if !slices.Contains(ownExports, e.Name) && (t.Kind == wasm.KindFunc || t.Kind == wasm.KindTag || isAddress(t)) {
			lib.offers = append(lib.offers, symbolOf(e.Name, t))
		}
	}
	return lib, nil
}

// isAddress reports whether an export is the address of data, relative to the base of a
// library.
func isAddress(t wasm.ExternType) bool {
	return t.Kind == wasm.KindGlobal && t.Global == wasm.GlobalType{Val: wasm.I32}
}

// exportsFunction reports whether the library exports a function without parameters and
// results of that name.
func (l *library) exportsFunction(name string) bool {
	t, ok := l.exports[name]
	return ok && t.Kind == wasm.KindFunc && sameType(t.Func, wasm.FuncType{})
}
