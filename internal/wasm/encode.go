package wasm

import (
	"encoding/binary"
	"slices"
)

// Encode writes the module. Sections keep their order; those that were added go where
// the format wants them. Of an unedited module that was written with shortest integers
// and type abbreviations the result is equal to the input, byte for byte.
func (m *Module) Encode() []byte {
	size := 64
	for i := range m.Code {
		size += len(m.Code[i].Code) + 5
	}
	for i := range m.Data {
		size += len(m.Data[i].Init) + 16
	}
	for i := range m.Customs {
		size += len(m.Customs[i].Data) + 32
	}
	out := append(make([]byte, 0, size+size/8), preamble...)
	customs := func(before int) {
		for i := range m.Customs {
			if c := &m.Customs[i]; c.before == before {
				out = appendSection(out, secCustom, append(appendName(nil, c.Name), c.Data...))
			}
		}
	}
	for rank, id := range sectionOrder {
		customs(rank + 1)
		if m.has(id) || m.present[id] && id != secStart && id != secDataCount {
			out = appendSection(out, id, m.sectionBody(id))
		}
	}
	customs(0)
	return out
}

func appendSection(b []byte, id byte, body []byte) []byte {
	return append(appendU32(append(b, id), uint32(len(body))), body...)
}

// has tells whether the module has something to put into a section.
func (m *Module) has(id byte) bool {
	switch id {
	case secType:
		return len(m.Types) > 0
	case secImport:
		return len(m.Imports) > 0
	case secFunction:
		return len(m.Functions) > 0
	case secTable:
		return len(m.Tables) > 0
	case secMemory:
		return len(m.Memories) > 0
	case secTag:
		return len(m.Tags) > 0
	case secGlobal:
		return len(m.Globals) > 0
	case secExport:
		return len(m.Exports) > 0
	case secStart:
		return m.Start != nil
	case secElement:
		return len(m.Elements) > 0
	case secDataCount:
		return m.DataCount != nil
	case secCode:
		return len(m.Code) > 0
	case secData:
		return len(m.Data) > 0
	}
	return false
}

func (m *Module) sectionBody(id byte) []byte {
	var b []byte
	switch id {
	case secType:
		return appendVector(b, m.Types, func(b []byte, t *FuncType) []byte {
			b = append(b, 0x60)
			b = appendVector(b, t.Params, appendValTypeOf)
			return appendVector(b, t.Results, appendValTypeOf)
		})
	case secImport:
		return appendVector(b, m.Imports, appendImport)
	case secFunction:
		return appendVector(b, m.Functions, func(b []byte, f *Function) []byte { return appendU32(b, f.Type) })
	case secTable:
		return appendVector(b, m.Tables, func(b []byte, t *Table) []byte {
			if len(t.Init.Code) == 0 {
				return appendTable(b, &t.TableType)
			}
			b = append(b, 0x40, 0x00)
			b = appendTable(b, &t.TableType)
			return append(b, t.Init.Code...)
		})
	case secMemory:
		return appendVector(b, m.Memories, func(b []byte, t *Memory) []byte { return appendMemory(b, &t.MemoryType) })
	case secTag:
		return appendVector(b, m.Tags, func(b []byte, t *Tag) []byte { return appendU32(append(b, 0), t.Type) })
	case secGlobal:
		return appendVector(b, m.Globals, func(b []byte, g *Global) []byte {
			return append(appendGlobal(b, g.GlobalType), g.Init.Code...)
		})
	case secExport:
		return appendVector(b, m.Exports, func(b []byte, e *Export) []byte {
			return appendU32(append(appendName(b, e.Name), byte(e.Kind)), e.Index)
		})
	case secStart:
		return appendU32(b, m.Start.Func)
	case secElement:
		return appendVector(b, m.Elements, appendElement)
	case secDataCount:
		return appendU32(b, *m.DataCount)
	case secCode:
		size := 5
		for i := range m.Code {
			size += len(m.Code[i].Code) + 5
		}
		return appendVector(slices.Grow(b, size), m.Code, func(b []byte, c *Body) []byte {
			return append(appendU32(b, uint32(len(c.Code))), c.Code...)
		})
	case secData:
		size := 5
		for i := range m.Data {
			size += len(m.Data[i].Init) + 16
		}
		return appendVector(slices.Grow(b, size), m.Data, appendData)
	}
	return b
}

func appendVector[T any](b []byte, items []T, entry func([]byte, *T) []byte) []byte {
	b = appendU32(b, uint32(len(items)))
	for i := range items {
		b = entry(b, &items[i])
	}
	return b
}

func appendImport(b []byte, im *Import) []byte {
	b = appendName(appendName(b, im.Module), im.Name)
	b = append(b, byte(im.Kind))
	switch im.Kind {
	case KindFunc:
		return appendU32(b, im.Type)
	case KindTable:
		return appendTable(b, &im.Table)
	case KindMemory:
		return appendMemory(b, &im.Memory)
	case KindGlobal:
		return appendGlobal(b, im.Global)
	case KindTag:
		return appendU32(append(b, 0), im.Type)
	}
	return b
}

func appendElement(b []byte, e *Element) []byte {
	flags := uint32(0)
	switch e.Mode {
	case Active:
		if e.Explicit || e.Table != 0 || e.UsesExprs && e.Type != FuncRef {
			flags = 2
		}
	case Passive:
		flags = 1
	case Declarative:
		flags = 3
	}
	if e.UsesExprs {
		flags |= 4
	}
	b = appendU32(b, flags)
	if e.Mode == Active {
		if flags&2 != 0 {
			b = appendU32(b, e.Table)
		}
		b = append(b, e.At.Code...)
	}
	if !e.UsesExprs {
		if flags&3 != 0 {
			b = append(b, 0)
		}
		return appendVector(b, e.Funcs, func(b []byte, f *uint32) []byte { return appendU32(b, *f) })
	}
	if flags&3 != 0 {
		b = appendValType(b, e.Type)
	}
	return appendVector(b, e.Exprs, func(b []byte, x *Expr) []byte { return append(b, x.Code...) })
}

func appendData(b []byte, d *Data) []byte {
	switch {
	case d.Mode == Passive:
		b = append(b, 1)
	case d.Explicit || d.Memory != 0:
		b = append(appendU32(append(b, 2), d.Memory), d.At.Code...)
	default:
		b = append(append(b, 0), d.At.Code...)
	}
	return append(appendU32(b, uint32(len(d.Init))), d.Init...)
}

func appendTable(b []byte, t *TableType) []byte {
	return appendLimits(appendValType(b, t.Elem), &t.Limits, 0)
}

func appendMemory(b []byte, t *MemoryType) []byte {
	if !t.HasPageSize {
		return appendLimits(b, &t.Limits, 0)
	}
	return appendU32(appendLimits(b, &t.Limits, 8), t.PageSizeLog2)
}

func appendGlobal(b []byte, g GlobalType) []byte {
	b = appendValType(b, g.Val)
	if g.Mutable {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendLimits(b []byte, l *Limits, flags byte) []byte {
	if l.HasMax {
		flags |= 1
	}
	if l.Shared {
		flags |= 2
	}
	if l.Index64 {
		flags |= 4
	}
	b = binary.AppendUvarint(append(b, flags), l.Min)
	if l.HasMax {
		b = binary.AppendUvarint(b, l.Max)
	}
	return b
}

func appendValTypeOf(b []byte, t *ValType) []byte { return appendValType(b, *t) }

func appendValType(b []byte, t ValType) []byte {
	if !t.IsRef() {
		return append(b, byte(t))
	}
	index, concrete := t.Heap().TypeIndex()
	if t.Nullable() && !concrete {
		return append(b, byte(t.Heap()))
	}
	if t.Nullable() {
		b = append(b, 0x63)
	} else {
		b = append(b, 0x64)
	}
	if !concrete {
		return append(b, byte(t.Heap()))
	}
	return appendS33(b, int64(index))
}

func appendName(b []byte, s string) []byte {
	return append(appendU32(b, uint32(len(s))), s...)
}

func appendU32(b []byte, v uint32) []byte { return binary.AppendUvarint(b, uint64(v)) }

// appendS33 appends a signed LEB128 integer.
func appendS33(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func appendU64(b []byte, v uint64) []byte { return binary.AppendUvarint(b, v) }
