package wasm

import "bytes"

// Bounds of what a module may hold. They are those of the JavaScript embedding and of
// wasm-tools.
const (
	maxTypes     = 1_000_000
	maxFunctions = 1_000_000
	maxImports   = 1_000_000
	maxExports   = 1_000_000
	maxGlobals   = 1_000_000
	maxTags      = 1_000_000
	maxTables    = 100
	maxMemories  = 100
	maxSegments  = 100_000
	maxItems     = 10_000_000 // of one element segment
	maxParams    = 1_000
	maxResults   = 1_000
	maxLocals    = 50_000
	maxBody      = 7_654_321
	maxString    = 100_000
)

// Section identifiers of the binary format.
const (
	secCustom    = 0
	secType      = 1
	secImport    = 2
	secFunction  = 3
	secTable     = 4
	secMemory    = 5
	secGlobal    = 6
	secExport    = 7
	secStart     = 8
	secElement   = 9
	secCode      = 10
	secData      = 11
	secDataCount = 12
	secTag       = 13
)

// sectionOrder is the order of sections in a module.
var sectionOrder = [...]byte{
	secType, secImport, secFunction, secTable, secMemory, secTag, secGlobal,
	secExport, secStart, secElement, secDataCount, secCode, secData,
}

// sectionRank is the place of a section in sectionOrder, counted from 1, by identifier.
var sectionRank = func() (rank [len(sectionOrder) + 1]int) {
	for i, id := range sectionOrder {
		rank[id] = i + 1
	}
	return rank
}()

var preamble = []byte("\x00asm\x01\x00\x00\x00")

// Decode parses a module. It checks what can be checked without types; [Validate] does
// the rest. It returns an [*Error] if the input is malformed, and an [*UnsupportedError]
// if it uses what can't be represented in a Module.
func Decode(input []byte) (*Module, error) { return DecodeAt(input, 0) }

// DecodeAt is like [Decode] for a module that is embedded at the offset base in a larger
// file: all offsets count from the start of that file.
func DecodeAt(input []byte, base int) (*Module, error) {
	r := &reader{b: input, base: base}
	if len(input) < 4 || !bytes.Equal(input[:4], preamble[:4]) {
		r.fail(0, "magic header not detected", "a module starts with \\0asm")
		return nil, r.err
	}
	if len(input) < 8 {
		r.fail(len(input), "unexpected end", "in the version")
		return nil, r.err
	}
	if bytes.Equal(input[4:8], []byte{0x0d, 0, 1, 0}) {
		r.fail(4, "expected a version header for a module", "found a component")
		return nil, r.err
	}
	if !bytes.Equal(input[4:8], preamble[4:]) {
		r.fail(4, "unknown binary version", "%x is not that of a core module", input[4:8])
		return nil, r.err
	}
	r.pos = 8
	m := &Module{}
	last, placed := 0, 0
	for r.more() {
		start := r.pos
		id := r.byte()
		size := r.u32()
		body := reader{pos: r.pos, base: base}
		r.bytes(size)
		if r.err != nil {
			break
		}
		body.b = input[:r.pos]
		if int(id) >= len(sectionRank) {
			r.fail(start, "malformed section id", "%d", id)
			break
		}
		if id != secCustom {
			if sectionRank[id] <= last {
				r.fail(start, "unexpected content after last section", "section out of order")
				break
			}
			last = sectionRank[id]
			m.present[id] = true
			for ; placed < len(m.Customs); placed++ {
				m.Customs[placed].before = last
			}
		}
		m.section(id, &body)
		if body.err == nil && body.pos != len(body.b) {
			body.fail(body.pos, "section size mismatch", "unexpected data at the end of the section")
		}
		r.err = body.err
	}
	if r.err != nil {
		return nil, r.err
	}
	if len(m.Functions) != len(m.Code) {
		r.fail(len(input), "function and code section have inconsistent lengths", "%d functions, %d bodies", len(m.Functions), len(m.Code))
	}
	if m.DataCount != nil && int(*m.DataCount) != len(m.Data) {
		r.fail(len(input), "data count and data section have inconsistent lengths", "%d announced, %d segments", *m.DataCount, len(m.Data))
	}
	if r.err != nil {
		return nil, r.err
	}
	return m, nil
}

// Unsupported returns the first thing known of m that the engine does not run, or nil.
// Decode finds what shows in types; [Validate] finds the rest.
func (m *Module) Unsupported() *UnsupportedError { return m.unsupported }

// need records the use of a feature that can be represented but not run.
func (m *Module) need(f Feature, offset int) {
	if m.unsupported == nil || offset < m.unsupported.Offset {
		m.unsupported = &UnsupportedError{Feature: f, Offset: offset}
	}
}

// vector decodes the entries of a vector into dst.
func vector[T any](r *reader, dst *[]T, what string, limit uint32, entry func(*T)) {
	n := r.count(what, limit)
	if n == 0 {
		return
	}
	*dst = make([]T, n)
	for i := range *dst {
		if r.err != nil {
			return
		}
		entry(&(*dst)[i])
	}
}

func (m *Module) section(id byte, r *reader) {
	switch id {
	case secCustom:
		name := r.name()
		at := r.base + r.pos
		m.Customs = append(m.Customs, Custom{Name: name, Data: r.bytes(uint32(len(r.b) - r.pos)), Offset: at})
	case secType:
		vector(r, &m.Types, "types", maxTypes, func(t *FuncType) { m.typeEntry(r, t) })
	case secImport:
		vector(r, &m.Imports, "imports", maxImports, func(im *Import) { m.importEntry(r, im) })
	case secFunction:
		vector(r, &m.Functions, "functions", maxFunctions, func(f *Function) {
			f.Offset = r.base + r.pos
			f.Type = r.u32()
		})
	case secTable:
		vector(r, &m.Tables, "tables", maxTables, func(t *Table) {
			t.Offset = r.base + r.pos
			hasInit := r.pos < len(r.b) && r.b[r.pos] == 0x40
			if hasInit {
				r.pos++
				if at := r.pos; r.byte() != 0 {
					r.fail(at, "malformed table", "expected a zero byte")
				}
			}
			t.TableType = m.tableType(r)
			if hasInit {
				t.Init = r.expr()
			}
		})
	case secMemory:
		vector(r, &m.Memories, "memories", maxMemories, func(t *Memory) {
			t.Offset = r.base + r.pos
			t.MemoryType = m.memoryType(r)
		})
	case secTag:
		vector(r, &m.Tags, "tags", maxTags, func(t *Tag) {
			t.Offset = r.base + r.pos
			t.Type = r.tagType()
		})
	case secGlobal:
		vector(r, &m.Globals, "globals", maxGlobals, func(g *Global) {
			g.Offset = r.base + r.pos
			g.GlobalType = r.globalType()
			g.Init = r.expr()
		})
	case secExport:
		vector(r, &m.Exports, "exports", maxExports, func(e *Export) {
			e.Offset = r.base + r.pos
			e.Name = r.name()
			at := r.pos
			e.Kind = Kind(r.byte())
			if e.Kind > KindTag {
				r.fail(at, "malformed export kind", "%#x", byte(e.Kind))
			}
			e.Index = r.u32()
		})
	case secStart:
		m.Start = &Start{Offset: r.base + r.pos}
		m.Start.Func = r.u32()
	case secElement:
		vector(r, &m.Elements, "element segments", maxSegments, r.element)
	case secDataCount:
		start := r.pos
		n := r.u32()
		if n > maxSegments {
			r.fail(start, "data segments count exceeds limit", "%d", n)
		}
		m.DataCount = &n
	case secCode:
		vector(r, &m.Code, "functions", maxFunctions, func(b *Body) {
			start := r.pos
			size := r.u32()
			if size > maxBody {
				r.fail(start, "function body size is out of bounds", "%d bytes", size)
			}
			b.Offset = r.base + r.pos
			b.Code = r.bytes(size)
		})
	case secData:
		vector(r, &m.Data, "data segments", maxSegments, r.dataSegment)
	}
}

func (r *reader) element(e *Element) {
	e.Offset = r.base + r.pos
	start := r.pos
	flags := r.u32()
	if flags > 7 {
		r.fail(start, "malformed elements segment kind", "%d", flags)
		return
	}
	e.UsesExprs = flags&4 != 0
	e.Type = FuncRef
	if flags&1 == 0 {
		e.Mode = Active
		e.Explicit = flags&2 != 0
		if e.Explicit {
			e.Table = r.u32()
		}
		e.At = r.expr()
	} else if flags&2 != 0 {
		e.Mode = Declarative
	} else {
		e.Mode = Passive
	}
	if flags&3 != 0 {
		at := r.pos
		if e.UsesExprs {
			e.Type = r.valType()
			if r.err == nil && !e.Type.IsRef() {
				r.fail(at, "malformed reference type", "%s", e.Type)
			}
		} else if k := r.byte(); k != 0 {
			r.fail(at, "malformed element kind", "%#x", k)
		}
	}
	if e.UsesExprs {
		vector(r, &e.Exprs, "elements", maxItems, func(x *Expr) { *x = r.expr() })
	} else {
		e.Type = Ref(HeapFunc, false)
		vector(r, &e.Funcs, "elements", maxItems, func(f *uint32) { *f = r.u32() })
	}
}

func (r *reader) dataSegment(d *Data) {
	d.Offset = r.base + r.pos
	start := r.pos
	flags := r.u32()
	switch flags {
	case 0, 2:
		d.Explicit = flags == 2
		if d.Explicit {
			d.Memory = r.u32()
		}
		d.At = r.expr()
	case 1:
		d.Mode = Passive
	default:
		r.fail(start, "malformed data segment flag", "%d", flags)
	}
	d.Init = r.bytes(r.u32())
}

// expr reads an expression up to the end that closes it.
func (r *reader) expr() Expr {
	start := r.pos
	var in instr
	for depth := 1; depth > 0 && r.err == nil; {
		r.instr(&in)
		switch in.op {
		case opBlock, opLoop, opIf, opTryTable:
			depth++
		case opEnd:
			depth--
		}
	}
	if r.err != nil {
		return Expr{}
	}
	return Expr{Code: r.b[start:r.pos:r.pos], Offset: r.base + start}
}
