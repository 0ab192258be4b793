package binary

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// Encode writes a component. Definitions of one kind that follow one another
// share a section; custom sections come last. Decoding the result gives the
// same definitions.
func Encode(c *Component) []byte {
	var e encoder
	e.component(c)
	return e.Bytes()
}

// encoder appends to a buffer; none of its writes can fail.
type encoder struct{ bytes.Buffer }

func (e *encoder) u32(v uint32) { e.Write(binary.AppendUvarint(nil, uint64(v))) }
func (e *encoder) u64(v uint64) { e.Write(binary.AppendUvarint(nil, v)) }

// s33 writes a type index, which is never negative.
func (e *encoder) s33(v uint32) {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 {
			e.WriteByte(c)
			return
		}
		e.WriteByte(c | 0x80)
	}
}

func (e *encoder) name(s string) {
	e.u32(uint32(len(s)))
	e.WriteString(s)
}

func (e *encoder) flag(b bool) {
	if b {
		e.WriteByte(1)
	} else {
		e.WriteByte(0)
	}
}

func encodeVec[T any](e *encoder, items []T, item func(*T)) {
	e.u32(uint32(len(items)))
	for i := range items {
		item(&items[i])
	}
}

// sectionID returns the section of a definition and whether the section holds
// a vector of them.
func sectionID(d Def) (id byte, many bool) {
	switch d.(type) {
	case *CoreModule:
		return 1, false
	case *CoreInstance:
		return 2, true
	case *CoreType:
		return 3, true
	case *Component:
		return 4, false
	case *Instance:
		return 5, true
	case *Alias:
		return 6, true
	case *Type:
		return 7, true
	case *Canon:
		return 8, true
	case *Start:
		return 9, false
	case *Import:
		return 10, true
	case *Export:
		return 11, true
	case *Value:
		return 12, true
	}
	panic(fmt.Sprintf("definition %T in a component", d))
}

func (e *encoder) component(c *Component) {
	e.Write(preamble)
	for i := 0; i < len(c.Defs); {
		id, many := sectionID(c.Defs[i])
		n := i + 1
		for many && n < len(c.Defs) {
			if next, _ := sectionID(c.Defs[n]); next != id {
				break
			}
			n++
		}
		var body encoder
		if many {
			body.u32(uint32(n - i))
		}
		for ; i < n; i++ {
			body.def(c.Defs[i])
		}
		e.section(id, body.Bytes())
	}
	for _, u := range c.Customs {
		var body encoder
		body.name(u.Name)
		body.Write(u.Data)
		e.section(0, body.Bytes())
	}
}

func (e *encoder) section(id byte, body []byte) {
	e.WriteByte(id)
	e.u32(uint32(len(body)))
	e.Write(body)
}

func (e *encoder) def(d Def) {
	switch d := d.(type) {
	case *CoreModule:
		e.Write(d.Bytes)
	case *CoreInstance:
		e.coreInstance(d)
	case *CoreType:
		e.coreType(d, false)
	case *Component:
		e.component(d)
	case *Instance:
		e.instance(d)
	case *Alias:
		e.alias(d)
	case *Type:
		e.defType(d.Def)
	case *Canon:
		e.canon(d)
	case *Start:
		e.u32(d.Func)
		encodeVec(e, d.Args, func(v *uint32) { e.u32(*v) })
		e.u32(d.Results)
	case *Import:
		e.externName(&d.Name)
		e.externType(&d.Type)
	case *Export:
		e.externName(&d.Name)
		e.sortIdx(d.SortIdx)
		e.flag(d.Type != nil)
		if d.Type != nil {
			e.externType(d.Type)
		}
	case *ExportDecl:
		e.externName(&d.Name)
		e.externType(&d.Type)
	case *Value:
		e.valType(d.Type)
		e.u32(uint32(len(d.Data)))
		e.Write(d.Data)
	}
}

func (e *encoder) coreInstance(d *CoreInstance) {
	e.flag(d.Inline)
	if d.Inline {
		encodeVec(e, d.Exports, func(x *CoreItem) {
			e.name(x.Name)
			e.coreSort(x.Sort)
			e.u32(x.Index)
		})
		return
	}
	e.u32(d.Module)
	encodeVec(e, d.Args, func(a *CoreArg) {
		e.name(a.Name)
		e.WriteByte(0x12)
		e.u32(a.Instance)
	})
}

func (e *encoder) coreSort(s Sort) {
	for c, t := range coreSorts {
		if t == s {
			e.WriteByte(c)
		}
	}
}

func (e *encoder) sort(s Sort) {
	if s <= SortCoreInstance {
		e.WriteByte(0)
		e.coreSort(s)
		return
	}
	e.WriteByte(byte(s-SortFunc) + 1)
}

func (e *encoder) sortIdx(i SortIdx) {
	e.sort(i.Sort)
	e.u32(i.Index)
}

func (e *encoder) instance(d *Instance) {
	e.flag(d.Inline)
	if d.Inline {
		encodeVec(e, d.Exports, func(x *InlineExport) {
			e.externName(&x.Name)
			e.sortIdx(x.SortIdx)
		})
		return
	}
	e.u32(d.Component)
	encodeVec(e, d.Args, func(a *Arg) {
		e.name(a.Name)
		e.sortIdx(a.SortIdx)
	})
}

func (e *encoder) externName(n *ExternName) {
	form := n.Form
	has := [3]bool{n.HasImplements || n.Implements != "", n.HasVersionSuffix || n.VersionSuffix != "", n.HasExternalID}
	attributes := has != [3]bool{}
	if attributes {
		form = 2
	}
	e.WriteByte(form)
	e.name(n.Name)
	if form != 2 {
		return
	}
	var a encoder
	count := uint32(0)
	for kind, v := range []string{n.Implements, n.VersionSuffix, n.ExternalID} {
		if has[kind] {
			a.WriteByte(byte(kind))
			a.name(v)
			count++
		}
	}
	e.u32(count)
	e.Write(a.Bytes())
}

func (e *encoder) alias(d *Alias) {
	e.sort(d.Sort)
	e.WriteByte(byte(d.Kind))
	if d.Kind == AliasOuter {
		e.u32(d.Count)
		e.u32(d.Index)
		return
	}
	e.u32(d.Instance)
	e.name(d.Name)
}

func (e *encoder) externType(t *ExternType) {
	switch t.Kind {
	case ExternModule:
		e.Write([]byte{0x00, 0x11})
		e.u32(t.Index)
	case ExternFunc:
		e.WriteByte(0x01)
		e.u32(t.Index)
	case ExternValue:
		e.WriteByte(0x02)
		e.flag(!t.ValueEq)
		if t.ValueEq {
			e.u32(t.Index)
		} else {
			e.valType(t.Value)
		}
	case ExternTypeEq:
		e.Write([]byte{0x03, 0x00})
		e.u32(t.Index)
	case ExternResource:
		e.Write([]byte{0x03, 0x01})
	case ExternComponent:
		e.WriteByte(0x04)
		e.u32(t.Index)
	case ExternInstance:
		e.WriteByte(0x05)
		e.u32(t.Index)
	}
}

func (e *encoder) opts(opts []CanonOpt) {
	encodeVec(e, opts, func(o *CanonOpt) {
		e.WriteByte(byte(o.Kind))
		switch o.Kind {
		case OptMemory, OptRealloc, OptPostReturn, OptCallback, OptCoreType:
			e.u32(o.Index)
		}
	})
}

func (e *encoder) canon(c *Canon) {
	e.WriteByte(byte(c.Op))
	switch c.Op {
	case CanonLift, CanonLower:
		e.WriteByte(0)
		e.u32(c.Func)
		e.opts(c.Opts)
		if c.Op == CanonLift {
			e.u32(c.Type)
		}
	case CanonResourceNew, CanonResourceDrop, CanonResourceRep,
		CanonStreamNew, CanonStreamDropReadable, CanonStreamDropWritable,
		CanonFutureNew, CanonFutureDropReadable, CanonFutureDropWritable:
		e.u32(c.Type)
	case CanonStreamRead, CanonStreamWrite, CanonFutureRead, CanonFutureWrite:
		e.u32(c.Type)
		e.opts(c.Opts)
	case CanonStreamCancelRead, CanonStreamCancelWrite, CanonFutureCancelRead, CanonFutureCancelWrite:
		e.u32(c.Type)
		e.flag(c.Async)
	case CanonSubtaskCancel:
		e.flag(c.Async)
	case CanonTaskReturn:
		e.resultList(c.Result)
		e.opts(c.Opts)
	case CanonContextGet, CanonContextSet:
		e.coreValType(c.ValType)
		e.u32(c.Slot)
	case CanonErrorContextNew, CanonErrorContextDebugMessage:
		e.opts(c.Opts)
	case CanonWaitableSetWait, CanonWaitableSetPoll:
		e.flag(c.Cancellable)
		e.u32(c.Memory)
	case CanonThreadYield, CanonThreadSuspend, CanonThreadSuspendThenResume, CanonThreadYieldThenResume,
		CanonThreadSuspendThenPromote, CanonThreadYieldThenPromote:
		e.flag(c.Cancellable)
	case CanonThreadNewIndirect:
		e.u32(c.Type)
		e.u32(c.Table)
	case CanonThreadSpawnRef, CanonThreadSpawnIndirect, CanonThreadAvailableParallelism:
		e.flag(c.Shared)
		if c.Op != CanonThreadAvailableParallelism {
			e.u32(c.Type)
		}
		if c.Op == CanonThreadSpawnIndirect {
			e.u32(c.Table)
		}
	}
}

func (e *encoder) coreValType(t wasm.ValType) {
	if !t.IsRef() {
		e.WriteByte(byte(t))
		return
	}
	switch t {
	case wasm.FuncRef:
		e.WriteByte(0x70)
	case wasm.ExternRef:
		e.WriteByte(0x6f)
	case wasm.ExnRef:
		e.WriteByte(0x69)
	default:
		e.WriteByte(0x64 - byte(fromBool(t.Nullable())))
		switch h := t.Heap(); h {
		case wasm.HeapFunc, wasm.HeapExtern, wasm.HeapExn:
			e.WriteByte(byte(h))
		default:
			i, _ := h.TypeIndex()
			e.s33(i)
		}
	}
}

func fromBool(b bool) int {
	if b {
		return 1
	}
	return 0
}
