package componentize

import (
	"slices"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// Thread-local storage of libraries. Each library that has some keeps the address of its
// own in a slot of an array: that of the main thread lies in memory, those of others are
// found through slot 1 of the thread's context. What starts threads finds all that in
//
//	struct {
//		size_t count;       // of slots
//		void **libraries;   // what each library says of its storage
//		void **main_thread; // the array
//	} __wasm_program_tls_info;
const (
	programTLS = "__wasm_program_tls_info"
	libraryTLS = "__wasm_library_tls_info"
	getTLS     = "__wasm_get_tls_base"
	setTLS     = "__wasm_set_tls_base"
	newThread  = "[thread-new-indirect-v0]"
)

// tls is the layout of thread-local storage.
type tls struct {
	slots []*library
	// Addresses: of the main thread's array, of the array of what libraries say, and of
	// the struct.
	mainThread, libraries, program uint32
	// context is the function that gets slot 1 of the thread's context, or -1 where no
	// library starts threads.
	context int
}

func (p *program) some(has func(*library) bool) bool { return slices.ContainsFunc(p.libraries, has) }

// layoutTLS takes memory for thread-local storage, and imports what that needs.
func (p *program) layoutTLS(e *environment) *tls {
	t := &tls{context: -1}
	info := p.some(func(l *library) bool { return l.wantsTLS[programTLS] })
	bases := p.some(func(l *library) bool { return l.wantsTLS[getTLS] || l.wantsTLS[setTLS] })
	if !info && !bases {
		return t
	}
	for _, lib := range p.libraries {
		if g, ok := lib.exports[libraryTLS]; ok && isAddress(g) {
			t.slots = append(t.slots, lib)
		}
	}
	if bases && p.some(func(l *library) bool { return l.wantsTLS[newThread] }) {
		t.context = int(e.importFunc("$root", "[context-get-1]", "context.get", coreType("", "i")))
	}
	size := uint64(4 * len(t.slots))
	e.memory = alignUp(e.memory, 2)
	t.mainThread = uint32(e.memory)
	e.memory += size
	if info {
		t.libraries = uint32(e.memory)
		t.program = t.libraries + uint32(size)
		e.memory += size + 12
	}
	return t
}

// functions writes the functions by which a library gets and sets its slot. One without a
// slot has no use for them.
func (t *tls) functions(e *environment, lib *library) {
	slot := slices.Index(t.slots, lib)
	var get, set []byte
	if slot < 0 {
		get, set = []byte{0}, []byte{0}
	} else {
		offset := uint32(4 * slot)
		load, store := append([]byte{0x28, 2}, op(0, offset)[1:]...), append([]byte{0x36, 2}, op(0, offset)[1:]...)
		array := i32Const(int(t.mainThread))
		set = slices.Concat(array, op(opLocalGet, 0), store)
		if t.context >= 0 {
			array = op(opCall, uint32(t.context))
			// A thread without a context is the main one, which is starting.
			set = slices.Concat(array, []byte{0x45, 0x04, 0x40}, set, // i32.eqz, if
				[]byte{0x05}, array, op(opLocalGet, 0), store, []byte{opEnd}) // else
		}
		get = slices.Concat(array, load)
	}
	if lib.wantsTLS[getTLS] {
		e.export(lib.name+":"+getTLS, wasm.KindFunc, e.define(lib.name+":"+getTLS, coreType("", "i"), get))
	}
	if lib.wantsTLS[setTLS] {
		e.export(lib.name+":"+setTLS, wasm.KindFunc, e.define(lib.name+":"+setTLS, coreType("i", ""), set))
	}
}

// data is the struct, and empty where nobody wants it.
func (t *tls) data() wasm.Data {
	d := &dlTable{}
	if t.program != 0 {
		d.words(uint32(len(t.slots)), t.libraries, t.mainThread)
	}
	return wasm.Data{Mode: wasm.Active, At: wasm.Expr{Code: append(i32Const(int(t.program)), opEnd)}, Init: d.data}
}
