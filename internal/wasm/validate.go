package wasm

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Validate checks a decoded module as the core specification says (chapter 3). It
// returns an [*Error] for an invalid module, else an [*UnsupportedError] for one that
// uses what the engine does not run, else nil. It must not run concurrently with another
// use of m.
func Validate(m *Module) error {
	bodies, err := ValidateSections(m)
	if err != nil {
		return err
	}
	return bodies(context.Background())
}

// ValidateSections is like [Validate] but leaves the bodies of functions for later: they
// are checked by the function that it returns, which also reports what is not supported,
// and ends soon after its context, with the cause of that.
func ValidateSections(m *Module) (bodies func(context.Context) error, err error) {
	v := &validator{m: m, Space: *m.Space(), declared: map[uint32]bool{}, imported: m.importedGlobals()}
	steps := []func() error{
		v.typeSection, v.importSection, v.functionSection, v.tableSection, v.memorySection, v.tagSection, v.globalSection,
		v.exportSection, v.startSection, v.elementSection, v.dataSection,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context) error {
		if err := v.codeSection(ctx); err != nil {
			return err
		}
		if m.unsupported != nil {
			return m.unsupported
		}
		return nil
	}, nil
}

func (m *Module) importedGlobals() int {
	n := 0
	for i := range m.Imports {
		if m.Imports[i].Kind == KindGlobal {
			n++
		}
	}
	return n
}

// validator is the context of the rules, built up section by section. The types in it
// name other types by their canonical index, the lowest of all types that are equal.
type validator struct {
	m *Module
	Space
	types    []FuncType
	canon    []uint32
	imported int // globals
	globals  int // globals that a constant expression may name
	// declared has the functions that occur outside of function bodies.
	declared map[uint32]bool
	// work counts types that are looked at where few bytes of input can name many.
	work int
	code funcValidator
}

// maxWork bounds the time that validation takes beyond what the size of the input
// bounds: a few seconds.
const maxWork = 1 << 29

func invalid(offset int, rule, format string, args ...any) *Error {
	return &Error{Offset: offset, Rule: rule, Detail: fmt.Sprintf(format, args...)}
}

// valType checks that t exists and returns its canonical form.
func (v *validator) valType(t ValType, offset int) (ValType, error) {
	if !t.IsRef() {
		return t, nil
	}
	index, concrete := t.Heap().TypeIndex()
	if !concrete {
		return t, nil
	}
	if int(index) >= len(v.canon) {
		return 0, unknown("type", index, offset)
	}
	return Ref(HeapType(v.canon[index]), t.Nullable()), nil
}

func (v *validator) valTypes(types []ValType, offset int) ([]ValType, error) {
	canonical := make([]ValType, len(types))
	for i, t := range types {
		c, err := v.valType(t, offset)
		if err != nil {
			return nil, err
		}
		canonical[i] = c
	}
	return canonical, nil
}

func (v *validator) typeSection() error {
	v.canon = make([]uint32, 0, len(v.m.Types))
	v.types = make([]FuncType, 0, len(v.m.Types))
	known := make(map[string]uint32, len(v.m.Types))
	var key []byte
	for i := range v.m.Types {
		t := &v.m.Types[i]
		self := uint32(len(v.canon))
		v.canon = append(v.canon, self) // a type may name itself
		params, err := v.valTypes(t.Params, t.Offset)
		if err != nil {
			return err
		}
		results, err := v.valTypes(t.Results, t.Offset)
		if err != nil {
			return err
		}
		key = key[:0]
		for _, list := range [2][]ValType{params, results} {
			key = appendU32(key, uint32(len(list)))
			for _, p := range list {
				if index, concrete := p.Heap().TypeIndex(); p.IsRef() && concrete && index == self {
					v.m.need(RecursiveTypes, t.Offset)
					p = Ref(heapBottom, p.Nullable()) // equal to the self-reference of another
				}
				key = appendU32(key, uint32(p))
			}
		}
		if first, ok := known[string(key)]; ok {
			v.canon[self] = first
		} else {
			known[string(key)] = self
		}
		v.types = append(v.types, FuncType{Params: params, Results: results, Offset: t.Offset})
	}
	return nil
}

func (v *validator) importSection() error {
	var funcs, tables, memories, globals, tags int
	for i := range v.m.Imports {
		im := &v.m.Imports[i]
		var err error
		switch im.Kind {
		case KindFunc:
			if int(im.Type) >= len(v.types) {
				err = unknown("type", im.Type, im.Offset)
			}
			funcs++
		case KindTable:
			err = v.table(&v.Tables[tables], im.Offset)
			tables++
		case KindMemory:
			err = v.memory(&v.Memories[memories], im.Offset)
			memories++
		case KindGlobal:
			g := &v.Globals[globals]
			g.Val, err = v.valType(g.Val, im.Offset)
			globals++
		case KindTag:
			err = v.tag(im.Type, im.Offset)
			tags++
		}
		if err != nil {
			return err
		}
	}
	if funcs+len(v.m.Functions) > maxFunctions || globals+len(v.m.Globals) > maxGlobals {
		return invalid(v.m.Imports[0].Offset, "functions count exceeds limit", "imports and definitions together")
	}
	return nil
}

func (v *validator) functionSection() error {
	for i := range v.m.Functions {
		if f := &v.m.Functions[i]; int(f.Type) >= len(v.types) {
			return unknown("type", f.Type, f.Offset)
		}
	}
	return nil
}

func (v *validator) table(t *TableType, offset int) error {
	var err error
	if t.Elem, err = v.valType(t.Elem, offset); err != nil {
		return err
	}
	if t.Limits.HasMax && t.Limits.Min > t.Limits.Max {
		return invalid(offset, "size minimum must not be greater than maximum", "%d > %d", t.Limits.Min, t.Limits.Max)
	}
	if t.Limits.Min > 1<<27 {
		v.m.need(LargeTables, offset)
	}
	return nil
}

func (v *validator) tableSection() error {
	first := len(v.Tables) - len(v.m.Tables)
	if len(v.Tables) > maxTables {
		return invalid(v.offsetOfTables(), "tables count exceeds limit", "%d", len(v.Tables))
	}
	for i := range v.m.Tables {
		t := &v.m.Tables[i]
		if err := v.table(&v.Tables[first+i], t.Offset); err != nil {
			return err
		}
		elem := v.Tables[first+i].Elem
		if len(t.Init.Code) == 0 {
			if !elem.Nullable() {
				return invalid(t.Offset, "type mismatch", "non-defaultable element type %s requires an initial value", elem)
			}
			continue
		}
		v.globals = v.imported
		if err := v.constant(t.Init, elem); err != nil {
			return err
		}
	}
	return nil
}

func (v *validator) offsetOfTables() int {
	if len(v.m.Tables) > 0 {
		return v.m.Tables[0].Offset
	}
	return v.m.Imports[0].Offset
}

func (v *validator) memory(t *MemoryType, offset int) error {
	if t.HasPageSize && t.PageSizeLog2 != 0 && t.PageSizeLog2 != 16 {
		return invalid(offset, "invalid custom page size", "2^%d", t.PageSizeLog2)
	}
	// The address space holds 2^bits bytes; one of 64 bits holds 2^64.
	bits := uint32(32)
	if t.Limits.Index64 {
		bits = 64
	}
	limit := uint64(math.MaxUint64)
	if t.PageSizeLog2 > 0 {
		limit = 1 << (bits - t.PageSizeLog2)
	} else if bits == 32 {
		limit = math.MaxUint32
	}
	rule := fmt.Sprintf("memory size must be at most %d pages", limit)
	if limit == 65536 {
		rule += " (4GiB)"
	}
	if t.Limits.Min > limit {
		return invalid(offset, rule, "minimum is %d", t.Limits.Min)
	}
	if t.Limits.HasMax {
		if t.Limits.Max > limit {
			return invalid(offset, rule, "maximum is %d", t.Limits.Max)
		}
		if t.Limits.Min > t.Limits.Max {
			return invalid(offset, "size minimum must not be greater than maximum", "%d > %d", t.Limits.Min, t.Limits.Max)
		}
	} else if t.Limits.Shared {
		return invalid(offset, "shared memory must have maximum", "")
	}
	return nil
}

func (v *validator) memorySection() error {
	first := len(v.Memories) - len(v.m.Memories)
	for i := range v.m.Memories {
		if err := v.memory(&v.Memories[first+i], v.m.Memories[i].Offset); err != nil {
			return err
		}
	}
	if len(v.Memories) > maxMemories {
		return invalid(v.offsetOfMemory(maxMemories), "memories count exceeds limit", "%d", len(v.Memories))
	}
	if len(v.Memories) > 1 {
		v.m.need(MultiMemory, v.offsetOfMemory(1))
	}
	return nil
}

// offsetOfMemory returns where the memory of that index is imported or defined.
func (v *validator) offsetOfMemory(index int) int {
	for i := range v.m.Imports {
		if v.m.Imports[i].Kind == KindMemory {
			if index == 0 {
				return v.m.Imports[i].Offset
			}
			index--
		}
	}
	return v.m.Memories[index].Offset
}

func (v *validator) tag(index uint32, offset int) error {
	if int(index) >= len(v.types) {
		return unknown("type", index, offset)
	}
	if len(v.types[index].Results) > 0 {
		return invalid(offset, "non-empty tag result type", "invalid exception type: non-empty")
	}
	if slices.Contains(v.types[index].Params, V128) {
		v.m.need(VectorExceptions, offset)
	}
	return nil
}

func (v *validator) tagSection() error {
	for i := range v.m.Tags {
		if err := v.tag(v.m.Tags[i].Type, v.m.Tags[i].Offset); err != nil {
			return err
		}
	}
	return nil
}

func (v *validator) globalSection() error {
	for i := range v.m.Globals {
		g := &v.m.Globals[i]
		t, err := v.valType(g.Val, g.Offset)
		if err != nil {
			return err
		}
		v.globals = v.imported + i
		v.Globals[v.globals].Val = t
		if err := v.constant(g.Init, t); err != nil {
			return err
		}
	}
	v.globals = len(v.Globals)
	return nil
}

func (v *validator) exportSection() error {
	names := make(map[string]bool, len(v.m.Exports))
	for i := range v.m.Exports {
		e := &v.m.Exports[i]
		if names[e.Name] {
			return invalid(e.Offset, "duplicate export name", "%q", e.Name)
		}
		names[e.Name] = true
		n := 0
		switch e.Kind {
		case KindFunc:
			n = len(v.Funcs)
			v.declared[e.Index] = true
		case KindTable:
			n = len(v.Tables)
		case KindMemory:
			n = len(v.Memories)
		case KindGlobal:
			n = len(v.Globals)
		case KindTag:
			n = len(v.Tags)
		}
		if int64(e.Index) >= int64(n) {
			return unknown(e.Kind.String(), e.Index, e.Offset)
		}
	}
	return nil
}

func (v *validator) startSection() error {
	s := v.m.Start
	if s == nil {
		return nil
	}
	if int(s.Func) >= len(v.Funcs) {
		return unknown("function", s.Func, s.Offset)
	}
	t := v.types[v.Funcs[s.Func]]
	if len(t.Params) > 0 || len(t.Results) > 0 {
		return invalid(s.Offset, "start function", "invalid start function type: must have no parameters and no results")
	}
	return nil
}

func (v *validator) elementSection() error {
	for i := range v.m.Elements {
		e := &v.m.Elements[i]
		elem, err := v.valType(e.Type, e.Offset)
		if err != nil {
			return err
		}
		if e.Mode == Active {
			if int(e.Table) >= len(v.Tables) {
				return unknown("table", e.Table, e.Offset)
			}
			t := &v.Tables[e.Table]
			if !v.matches(elem, t.Elem) {
				return invalid(e.Offset, "type mismatch", "element segment of %s for a table of %s", elem, t.Elem)
			}
			if err := v.constant(e.At, indexType(t.Limits)); err != nil {
				return err
			}
		}
		for _, f := range e.Funcs {
			if int(f) >= len(v.Funcs) {
				return unknown("function", f, e.Offset)
			}
			v.declared[f] = true
		}
		for _, x := range e.Exprs {
			if err := v.constant(x, elem); err != nil {
				return err
			}
		}
	}
	return nil
}

func (v *validator) dataSection() error {
	for i := range v.m.Data {
		d := &v.m.Data[i]
		if d.Mode != Active {
			continue
		}
		if int(d.Memory) >= len(v.Memories) {
			return unknown("memory", d.Memory, d.Offset)
		}
		if err := v.constant(d.At, indexType(v.Memories[d.Memory].Limits)); err != nil {
			return err
		}
	}
	return nil
}

func (v *validator) codeSection(ctx context.Context) error {
	first := len(v.Funcs) - len(v.m.Functions)
	if len(v.m.Code) != len(v.m.Functions) {
		return invalid(0, "function and code section have inconsistent lengths", "%d functions, %d bodies", len(v.m.Functions), len(v.m.Code))
	}
	for i := range v.m.Code {
		if i%64 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := v.function(&v.m.Code[i], &v.types[v.Funcs[first+i]]); err != nil {
			return err
		}
	}
	return nil
}

// indexType is the type of addresses of a memory or table.
func indexType(l Limits) ValType {
	if l.Index64 {
		return I64
	}
	return I32
}

// matches tells whether a is a subtype of b; both are canonical.
func (v *validator) matches(a, b ValType) bool {
	if a == b || a == bottom {
		return true
	}
	if !a.IsRef() || !b.IsRef() || a.Nullable() && !b.Nullable() {
		return false
	}
	ah, bh := a.Heap(), b.Heap()
	if ah == bh || ah == heapBottom {
		return true
	}
	_, concrete := ah.TypeIndex()
	return bh == HeapFunc && concrete
}

func (v *validator) matchAll(as, bs []ValType) bool {
	v.work += len(as)
	if len(as) != len(bs) {
		return false
	}
	for i := range as {
		if !v.matches(as[i], bs[i]) {
			return false
		}
	}
	return true
}

func typeList(types []ValType) string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = t.String()
	}
	return "[" + strings.Join(names, " ") + "]"
}
