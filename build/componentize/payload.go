package componentize

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
	"github.com/ashlar-wasm/ashlar/wit"
)

// payloadOp is a built-in on streams or futures. Its name is [NAME-N]FUNCTION: it is for
// the type that is the Nth stream or future in the type of the function; or
// [NAME-unit]FUNCTION for one without a payload.
type payloadOp struct {
	name            string
	op              binary.CanonOp
	params, results string
	needs           needs // beside those of the payload
	reads, writes   bool
	async           bool // may begin with [async-lower]
}

var payloadOps = []payloadOp{
	{name: "future-new", op: binary.CanonFutureNew, results: "I"},
	{name: "future-read", op: binary.CanonFutureRead, params: "ii", results: "i", needs: needMemory, reads: true, async: true},
	{name: "future-write", op: binary.CanonFutureWrite, params: "ii", results: "i", needs: needMemory, writes: true, async: true},
	{name: "future-cancel-read", op: binary.CanonFutureCancelRead, params: "i", results: "i", async: true},
	{name: "future-cancel-write", op: binary.CanonFutureCancelWrite, params: "i", results: "i", async: true},
	{name: "future-drop-readable", op: binary.CanonFutureDropReadable, params: "i"},
	{name: "future-drop-writable", op: binary.CanonFutureDropWritable, params: "i"},
	{name: "stream-new", op: binary.CanonStreamNew, results: "I"},
	{name: "stream-read", op: binary.CanonStreamRead, params: "iii", results: "i", needs: needMemory, reads: true, async: true},
	{name: "stream-write", op: binary.CanonStreamWrite, params: "iii", results: "i", needs: needMemory, writes: true, async: true},
	{name: "stream-cancel-read", op: binary.CanonStreamCancelRead, params: "i", results: "i", async: true},
	{name: "stream-cancel-write", op: binary.CanonStreamCancelWrite, params: "i", results: "i", async: true},
	{name: "stream-drop-readable", op: binary.CanonStreamDropReadable, params: "i"},
	{name: "stream-drop-writable", op: binary.CanonStreamDropWritable, params: "i"},
}

// payloadSource finds a built-in on streams or futures.
func (l *linker) payloadSource(m *coreModule, item *wit.WorldItem, name string, exported bool, at setup) (*source, error) {
	plain, async := strings.CutPrefix(name, "[async-lower]")
	inner, ok := strings.CutPrefix(plain, "[")
	inner, function, ok2 := strings.Cut(inner, "]")
	if !ok || !ok2 {
		return nil, nil
	}
	for _, b := range payloadOps {
		n, ok := strings.CutPrefix(inner, b.name+"-")
		if !ok || async && !b.async {
			continue
		}
		if n != "unit" {
			if _, err := strconv.ParseUint(n, 10, 32); err != nil {
				continue // the name of another one that begins like this one
			}
		}
		return l.payload(m, item, b, n, function, exported, async, at)
	}
	return nil, nil
}

func (l *linker) payload(m *coreModule, item *wit.WorldItem, b payloadOp, n, function string, exported, async bool, at setup) (*source, error) {
	future := strings.HasPrefix(b.name, "future")
	var t *wit.TypeDef
	var value wit.Type
	e := UTF8
	if n == "unit" {
		t = &wit.TypeDef{Kind: &wit.Stream{}}
		if future {
			t = &wit.TypeDef{Kind: &wit.Future{}}
		}
	} else {
		owner, f, err := l.functionIn(item, function, exported)
		if err != nil {
			return nil, err
		}
		number, _ := strconv.ParseUint(n, 10, 32)
		if t = nthPayload(f, number); t == nil {
			return nil, fmt.Errorf("function %s has no more than %s streams and futures", describe(owner.ExternName(), f), n)
		}
		switch k := t.Kind.(type) {
		case *wit.Future:
			if value = k.Type; !future {
				t = nil
			}
		case *wit.Stream:
			if value = k.Type; future {
				t = nil
			}
		}
		if t == nil {
			return nil, fmt.Errorf("number %s in the type of function %s is not a %s", n, describe(owner.ExternName(), f), strings.SplitN(b.name, "-", 2)[0])
		}
		if e, err = m.encodingOf(owner, f, exported); err != nil {
			return nil, err
		}
	}
	want := b.needs
	switch {
	case b.reads:
		want |= l.sigs.lower(value)
	case b.writes:
		want |= l.sigs.content(value)
	}
	if exported {
		at.reallocs = exportReallocs
	}
	o, err := l.options(m, want, e, at)
	if err != nil {
		return nil, err
	}
	reads := b.reads || b.writes
	o.async = async && reads
	where := ""
	if item != nil {
		where = item.ExternName()
	}
	return &source{
		key:  fmt.Sprintf("payload/%v/%t/%t/%s/%s/%s", b.op, async, exported, where, kindKey(t.Kind), o.key()),
		sort: binary.SortCoreFunc, typ: coreType(b.params, b.results), after: o.after(), types: []wit.Type{t},
		define: func(a *assembler) (uint32, error) {
			index, err := a.typeOf(item, t, exported)
			if err != nil {
				return 0, err
			}
			c := &binary.Canon{Op: b.op, Type: index, Async: async && !reads}
			if reads {
				c.Opts = a.options(o)
			}
			return a.def(c), nil
		},
	}, nil
}

// nthPayload returns the nth of the streams and futures that the type of a function is
// made of, counted from 0 in the order of their ends, or nil.
func nthPayload(f *wit.Function, n uint64) *wit.TypeDef {
	w := &payloadWalk{left: n, none: map[*wit.TypeDef]bool{}}
	for _, p := range f.Params {
		w.walk(p.Type)
	}
	w.walk(f.Result)
	return w.found
}

type payloadWalk struct {
	left  uint64
	found *wit.TypeDef
	// none are types that have none: they are not walked again.
	none map[*wit.TypeDef]bool
	seen int
}

// maxPayloads bounds how many streams and futures are counted.
const maxPayloads = 100_000

func (w *payloadWalk) walk(t wit.Type) {
	d, ok := t.(*wit.TypeDef)
	if !ok || w.found != nil || w.none[d] || w.seen > maxPayloads {
		return
	}
	before := w.seen
	switch d.Kind.(type) {
	case *wit.Own, *wit.Borrow:
	default:
		wit.MapKind(d.Kind, func(part wit.Type) wit.Type {
			w.walk(part)
			return part
		})
	}
	switch d.Kind.(type) {
	case *wit.Stream, *wit.Future:
		if w.seen++; w.found == nil {
			if w.left == 0 {
				w.found = d
			}
			w.left--
		}
	}
	if w.seen == before {
		w.none[d] = true
	}
}

// tlsFunctions are the shim's functions for the base of thread-local storage.
func (a *assembler) tlsFunctions(b *builder) {
	b.Globals = append(b.Globals, wasm.Global{
		GlobalType: wasm.GlobalType{Val: a.tlsBase, Mutable: true},
		Init:       wasm.Expr{Code: []byte{map[wasm.ValType]byte{wasm.I32: opI32Const, wasm.I64: opI64Const}[a.tlsBase], 0, opEnd}},
	})
	get := wasm.FuncType{Results: []wasm.ValType{a.tlsBase}}
	set := wasm.FuncType{Params: []wasm.ValType{a.tlsBase}}
	b.export(getTLSBase, wasm.KindFunc, b.define(getTLSBase, get, op(opGlobalGet, 0)))
	b.export(setTLSBase, wasm.KindFunc, b.define(setTLSBase, set, pass(set, op(opGlobalSet, 0))))
}
