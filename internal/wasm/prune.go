package wasm

import (
	"slices"
	"strings"
)

// Prune removes the exports that keep does not want, and then what nothing is left to
// need: functions, globals, tables and segments, and imports of such. Types, tags and,
// where there are several, memories stay. Sections that speak of offsets into code are
// dropped.
//
// The sections of the module must be valid; bodies of functions need not be, and what is
// wrong with one that stays is still wrong with it.
func (m *Module) Prune(keep func(*Export) bool) {
	m.Exports = slices.DeleteFunc(slices.Clone(m.Exports), func(e Export) bool { return !keep(&e) })
	p := newPruner(m)
	p.mark()
	p.renumber()
	p.sweep()
}

// pruner finds what of a module is live, and gives it new indices.
type pruner struct {
	m     *Module
	space *Space
	in    instr

	funcs, globals, tables, elements index
	memory, data                     bool // any memory, any data segment is live
	importedFuncs                    int
	// replaced is an imported function that is no longer imported, or -1.
	replaced int
	work     []uint32 // functions whose bodies are to be scanned
}

func newPruner(m *Module) *pruner {
	p := &pruner{m: m, space: m.Space(), replaced: -1}
	p.funcs.live = make([]bool, len(p.space.Funcs))
	p.globals.live = make([]bool, len(p.space.Globals))
	p.tables.live = make([]bool, len(p.space.Tables))
	p.elements.live = make([]bool, len(m.Elements))
	p.importedFuncs = len(p.space.Funcs) - len(m.Functions)
	return p
}

func (p *pruner) renumber() {
	// A declaration is worth keeping for those that are left of what it declares.
	for i := range p.m.Elements {
		e := &p.m.Elements[i]
		if e.Mode == Declarative && (slices.ContainsFunc(e.Funcs, p.funcs.has) || slices.ContainsFunc(e.Exprs, p.declared)) {
			p.elements.live[i] = true
		}
	}
	for _, x := range []*index{&p.funcs, &p.globals, &p.tables, &p.elements} {
		x.renumber()
	}
}

// index is which items of an index space are live, and their new indices.
type index struct {
	live []bool
	to   []uint32
}

func (x *index) renumber() {
	x.to = make([]uint32, len(x.live))
	n := uint32(0)
	for i, live := range x.live {
		x.to[i] = n
		if live {
			n++
		}
	}
}

// at returns the new index of an item. One that does not exist stays.
func (x *index) at(i uint32) uint32 {
	if int(i) >= len(x.to) {
		return i
	}
	return x.to[i]
}

// has reports whether an item is live.
func (x *index) has(i uint32) bool { return int(i) < len(x.live) && x.live[i] }

// take reports whether i was not live before.
func (x *index) take(i uint32) bool {
	if int(i) >= len(x.live) || x.live[i] {
		return false
	}
	x.live[i] = true
	return true
}

func (p *pruner) mark() {
	m := p.m
	for i := range m.Exports {
		switch e := &m.Exports[i]; e.Kind {
		case KindFunc:
			p.function(e.Index)
		case KindTable:
			p.table(e.Index)
		case KindMemory:
			p.memory = true
		case KindGlobal:
			p.global(e.Index)
		}
	}
	if m.Start != nil {
		p.function(m.Start.Func)
	}
	// What is written into things of others when the module is instantiated.
	importedTables := len(p.space.Tables) - len(m.Tables)
	for i := range m.Elements {
		if e := &m.Elements[i]; e.Mode == Active && int(e.Table) < importedTables {
			p.table(e.Table)
		}
	}
	if len(p.space.Memories) > len(m.Memories) && len(m.Data) > 0 || len(p.space.Memories) > 1 {
		p.memory = true
	}
	for memory := false; ; {
		for len(p.work) > 0 {
			f := p.work[len(p.work)-1]
			p.work = p.work[:len(p.work)-1]
			if d := int(f) - p.importedFuncs; d >= 0 {
				r := &reader{b: m.Code[d].Code}
				skipLocals(r)
				p.scan(r)
			}
		}
		if memory || !p.memory && !p.data {
			return
		}
		memory, p.memory, p.data = true, true, true
		for i := range m.Data {
			p.expr(m.Data[i].At)
		}
	}
}

func skipLocals(r *reader) {
	for range r.u32() {
		r.u32()
		r.valType()
	}
}

func (p *pruner) function(f uint32) {
	if p.funcs.take(f) {
		p.work = append(p.work, f)
	}
}

func (p *pruner) global(g uint32) {
	if !p.globals.take(g) {
		return
	}
	if d := int(g) - (len(p.space.Globals) - len(p.m.Globals)); d >= 0 {
		p.expr(p.m.Globals[d].Init)
	}
}

func (p *pruner) table(t uint32) {
	if !p.tables.take(t) {
		return
	}
	if d := int(t) - (len(p.space.Tables) - len(p.m.Tables)); d >= 0 {
		p.expr(p.m.Tables[d].Init)
	}
	for i := range p.m.Elements {
		if e := &p.m.Elements[i]; e.Mode == Active && e.Table == t {
			p.element(uint32(i))
		}
	}
}

func (p *pruner) element(i uint32) {
	if !p.elements.take(i) {
		return
	}
	e := &p.m.Elements[i]
	if e.Mode == Active {
		p.table(e.Table)
	}
	p.expr(e.At)
	for _, f := range e.Funcs {
		p.function(f)
	}
	for _, x := range e.Exprs {
		p.expr(x)
	}
}

func (p *pruner) expr(x Expr) {
	if len(x.Code) > 0 {
		p.scan(&reader{b: x.Code})
	}
}

// scan takes what code refers to. It leaves p.in as it is when it calls others,
// since those may scan expressions.
func (p *pruner) scan(r *reader) {
	for r.more() {
		r.instr(&p.in)
		op, x, y := p.in.op, p.in.x, p.in.y
		switch op {
		case opCall, opReturnCall, opRefFunc:
			p.function(x)
		case opCallIndirect, opReturnCallIndirect:
			p.table(y)
		case opGlobalGet, opGlobalSet:
			p.global(x)
		case opTableGet, opTableSet, opTableGrow, opTableSize, opTableFill:
			p.table(x)
		case opTableCopy:
			p.table(x)
			p.table(y)
		case opTableInit:
			p.element(x)
			p.table(y)
		case opElemDrop:
			p.element(x)
		case opMemorySize, opMemoryGrow, opMemoryCopy, opMemoryFill:
			p.memory = true
		case opMemoryInit, opDataDrop:
			p.memory, p.data = true, true
		default:
			if imm := p.in.info.imm; imm == immMem || imm == immMemLane {
				p.memory = true
			}
		}
	}
}

// live returns the items of a list that are live, which begin at index from.
func live[T any](items []T, x *index, from int) []T {
	var out []T
	for i := range items {
		if x.live[from+i] {
			out = append(out, items[i])
		}
	}
	return out
}

func (p *pruner) sweep() {
	m := p.m
	names := m.Names()
	var imports []Import
	var funcs, globals, tables int
	for _, im := range m.Imports {
		keep := true
		switch im.Kind {
		case KindFunc:
			keep = p.funcs.live[funcs] && funcs != p.replaced
			funcs++
		case KindGlobal:
			keep = p.globals.live[globals]
			globals++
		case KindTable:
			keep = p.tables.live[tables]
			tables++
		case KindMemory:
			keep = p.memory
		}
		if keep {
			imports = append(imports, im)
		}
	}
	m.Imports = imports
	m.Functions = live(m.Functions, &p.funcs, funcs)
	m.Code = live(m.Code, &p.funcs, funcs)
	m.Globals = live(m.Globals, &p.globals, globals)
	m.Tables = live(m.Tables, &p.tables, tables)
	if !p.memory {
		m.Memories, m.Data, m.DataCount = nil, nil, nil
	}
	for i := range m.Code {
		r := &reader{b: m.Code[i].Code}
		skipLocals(r)
		m.Code[i].Code = p.rewrite(r)
	}
	for i := range m.Globals {
		p.rewriteExpr(&m.Globals[i].Init)
	}
	for i := range m.Tables {
		p.rewriteExpr(&m.Tables[i].Init)
	}
	m.Data = slices.Clone(m.Data)
	for i := range m.Data {
		p.rewriteExpr(&m.Data[i].At)
	}
	m.Exports = slices.Clone(m.Exports)
	for i := range m.Exports {
		switch e := &m.Exports[i]; e.Kind {
		case KindFunc:
			e.Index = p.funcs.at(e.Index)
		case KindGlobal:
			e.Index = p.globals.at(e.Index)
		case KindTable:
			e.Index = p.tables.at(e.Index)
		}
	}
	if m.Start != nil {
		m.Start = &Start{Func: p.funcs.at(m.Start.Func)}
	}
	p.sweepElements()
	p.sweepCustoms(names)
}

func (p *pruner) sweepElements() {
	var out []Element
	for i, e := range p.m.Elements {
		declares := e.Mode == Declarative
		if !p.elements.live[i] {
			continue
		}
		var funcs []uint32
		for _, f := range e.Funcs {
			if p.funcs.has(f) {
				funcs = append(funcs, p.funcs.at(f))
			}
		}
		var exprs []Expr
		for _, x := range e.Exprs {
			if declares && !p.declared(x) {
				continue
			}
			p.rewriteExpr(&x)
			exprs = append(exprs, x)
		}
		e.Funcs, e.Exprs = funcs, exprs
		p.rewriteExpr(&e.At)
		if e.Mode == Active {
			e.Table = p.tables.at(e.Table)
		}
		out = append(out, e)
	}
	p.m.Elements = out
}

// declared reports whether all that an expression refers to is live.
func (p *pruner) declared(x Expr) bool {
	for r := (&reader{b: x.Code}); r.more(); {
		switch r.instr(&p.in); p.in.op {
		case opRefFunc:
			if !p.funcs.has(p.in.x) {
				return false
			}
		case opGlobalGet:
			if !p.globals.has(p.in.x) {
				return false
			}
		}
	}
	return true
}

func (p *pruner) sweepCustoms(names Names) {
	m := p.m
	m.Customs = slices.DeleteFunc(slices.Clone(m.Customs), func(c Custom) bool {
		return c.Name == "linking" || strings.HasPrefix(c.Name, ".debug_") ||
			strings.HasPrefix(c.Name, "reloc.") || strings.HasPrefix(c.Name, "metadata.code.")
	})
	remap := func(of map[uint32]string, x *index) map[uint32]string {
		out := map[uint32]string{}
		for i, name := range of {
			if x.has(i) {
				out[x.to[i]] = name
			}
		}
		return out
	}
	if _, ok := m.Custom("name"); ok {
		names.Functions = remap(names.Functions, &p.funcs)
		names.Globals = remap(names.Globals, &p.globals)
		m.SetNames(names)
	}
}

func (p *pruner) rewriteExpr(x *Expr) {
	if len(x.Code) > 0 {
		x.Code = p.rewrite(&reader{b: x.Code})
	}
}

// rewrite returns the reader's code with new indices from where it stands.
func (p *pruner) rewrite(r *reader) []byte {
	b := make([]byte, 0, len(r.b))
	from := 0
	in := &p.in
	for r.more() {
		r.instr(in)
		// Where the indices stand: behind an opcode of one byte, or a prefix and one.
		code := in.pos + 1
		if in.op > 0xff {
			code = in.pos + 2
		}
		one := func(x *index) {
			b = append(b, r.b[from:code]...)
			b = appendU32(b, x.at(in.x))
			from = r.pos
		}
		two := func(x, y *index) {
			b = append(b, r.b[from:code]...)
			b = appendU32(appendU32(b, x.at(in.x)), y.at(in.y))
			from = r.pos
		}
		switch in.op {
		case opCall, opReturnCall, opRefFunc:
			one(&p.funcs)
		case opGlobalGet, opGlobalSet:
			one(&p.globals)
		case opTableGet, opTableSet, opTableGrow, opTableSize, opTableFill:
			one(&p.tables)
		case opElemDrop:
			one(&p.elements)
		case opTableCopy:
			two(&p.tables, &p.tables)
		case opTableInit:
			two(&p.elements, &p.tables)
		case opCallIndirect, opReturnCallIndirect:
			b = append(b, r.b[from:code]...)
			b = appendU32(appendU32(b, in.x), p.tables.at(in.y))
			from = r.pos
		}
	}
	return append(b, r.b[from:]...)
}
