package guests

import (
	"fmt"

	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/canon"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// Guest says what a component is made of: one core module beside a memory and
// an allocator.
type Guest struct {
	// Imports are the interfaces to import, with the functions that the core
	// module calls: it finds them as imports 0, 1, ... in that order, and
	// behind them a function that drops a handle for each of Drops.
	Imports []abi.Interface
	Drops   []*abi.Resource
	Funcs   []Func
	Data    []Data
	Pages   uint64 // of the memory, at least 1
	Exports []Export
}

// Export is a function that the component exports, from an interface or at its
// root where that is empty.
type Export struct {
	Interface, Name string
	Type            *abi.FuncType
	Core            string // name of the core function
}

// Component writes the component.
func (g *Guest) Component() []byte {
	b := &builder{c: &binary.Component{}, resources: map[*canon.Resource]uint32{}}
	pages := max(g.Pages, 1)
	b.def(&binary.CoreModule{Bytes: libc(g.Data, pages)})
	b.def(&binary.CoreInstance{Module: 0})
	b.def(&binary.Alias{Kind: binary.AliasCoreExport, Sort: binary.SortCoreMemory, Name: "memory"})
	b.def(&binary.Alias{Kind: binary.AliasCoreExport, Sort: binary.SortCoreFunc, Name: "realloc"})
	realloc := b.coreFunc()
	opts := []binary.CanonOpt{{Kind: binary.OptMemory}, {Kind: binary.OptRealloc, Index: realloc}}

	m := &module{}
	var lowered []binary.CoreItem
	provide := func(index uint32, params, results []wasm.ValType) {
		name := fmt.Sprint(len(lowered))
		m.importFunc("host", name, params, results)
		lowered = append(lowered, binary.CoreItem{Name: name, SortIdx: binary.SortIdx{Sort: binary.SortCoreFunc, Index: index}})
	}
	for _, i := range g.Imports {
		inst := b.importInstance(i)
		for _, f := range i.Funcs {
			b.def(&binary.Alias{Kind: binary.AliasExport, Sort: binary.SortFunc, Instance: inst, Name: f.Name})
			b.def(&binary.Canon{Op: binary.CanonLower, Func: b.funcs, Opts: opts})
			b.funcs++
			flat := f.Type.FlattenLower(false)
			provide(b.coreFunc(), coreTypes(flat.Params), coreTypes(flat.Results))
		}
	}
	for _, r := range g.Drops {
		b.def(&binary.Canon{Op: binary.CanonResourceDrop, Type: b.resources[r]})
		provide(b.coreFunc(), []wasm.ValType{wasm.I32}, nil)
	}
	m.Imports = append(m.Imports, wasm.Import{Module: "libc", Name: "memory",
		Extern: wasm.Extern{Kind: wasm.KindMemory, Memory: wasm.MemoryType{PageSizeLog2: 16, Limits: wasm.Limits{Min: pages}}}})
	for i := range g.Funcs {
		m.define(&g.Funcs[i])
	}
	m.Customs = append(m.Customs, nameSection(m, g.Funcs))
	b.def(&binary.CoreModule{Bytes: m.Encode()})
	b.def(&binary.CoreInstance{Inline: true, Exports: lowered})
	b.def(&binary.CoreInstance{Module: 1, Args: []binary.CoreArg{{Name: "host", Instance: 1}, {Name: "libc", Instance: 0}}})

	interfaces := map[string][]binary.InlineExport{}
	var order []string
	for _, e := range g.Exports {
		b.def(&binary.Alias{Kind: binary.AliasCoreExport, Sort: binary.SortCoreFunc, Instance: 2, Name: e.Core})
		core := b.coreFunc()
		s := &typeSpace{b: b, top: true, types: map[*canon.Type]binary.ValType{}}
		ft := s.fn(e.Type)
		b.def(&binary.Canon{Op: binary.CanonLift, Func: core, Type: ft, Opts: opts})
		x := binary.SortIdx{Sort: binary.SortFunc, Index: b.funcs}
		b.funcs++
		if e.Interface == "" {
			b.def(&binary.Export{Name: binary.ExternName{Name: e.Name}, SortIdx: x})
			b.funcs++
			continue
		}
		if interfaces[e.Interface] == nil {
			order = append(order, e.Interface)
		}
		interfaces[e.Interface] = append(interfaces[e.Interface], binary.InlineExport{Name: binary.ExternName{Name: e.Name}, SortIdx: x})
	}
	for _, name := range order {
		b.def(&binary.Instance{Inline: true, Exports: interfaces[name]})
		b.def(&binary.Export{Name: binary.ExternName{Name: name}, SortIdx: binary.SortIdx{Sort: binary.SortInstance, Index: b.instances}})
		b.instances += 2
	}
	return binary.Encode(b.c)
}

// nameSection names the functions of the module, for stack traces.
func nameSection(m *module, funcs []Func) wasm.Custom {
	imported := 0
	for _, im := range m.Imports {
		if im.Kind == wasm.KindFunc {
			imported++
		}
	}
	body := uleb(uint32(len(funcs)))
	for i := range funcs {
		name := funcs[i].Name
		if name == "" {
			name = fmt.Sprintf("internal%d", i)
		}
		body = append(append(append(body, uleb(uint32(imported+i))...), uleb(uint32(len(name)))...), name...)
	}
	module := append(uleb(uint32(len("guest"))), "guest"...)
	data := append(append([]byte{0}, uleb(uint32(len(module)))...), module...)
	data = append(append(append(data, 1), uleb(uint32(len(body)))...), body...)
	return wasm.Custom{Name: "name", Data: data}
}

func coreTypes(ts []canon.CoreType) []wasm.ValType {
	out := make([]wasm.ValType, len(ts))
	for i, t := range ts {
		out[i] = [...]wasm.ValType{canon.I32: wasm.I32, canon.I64: wasm.I64, canon.F32: wasm.F32, canon.F64: wasm.F64}[t]
	}
	return out
}

// builder keeps count of the index spaces of the component it writes.
type builder struct {
	c                                  *binary.Component
	types, funcs, instances, coreFuncs uint32
	resources                          map[*canon.Resource]uint32 // type indices
}

func (b *builder) def(d binary.Def) { b.c.Defs = append(b.c.Defs, d) }

// coreFunc returns the index of the core function just defined.
func (b *builder) coreFunc() uint32 {
	b.coreFuncs++
	return b.coreFuncs - 1
}

// importInstance imports an interface and returns its instance index.
func (b *builder) importInstance(i abi.Interface) uint32 {
	s := &typeSpace{b: b, types: map[*canon.Type]binary.ValType{}, resources: map[*canon.Resource]uint32{}}
	for _, r := range i.Resources {
		if _, ok := b.resources[r]; ok {
			continue // used from an interface that was imported before
		}
		s.decl(&binary.ExportDecl{Name: binary.ExternName{Name: r.Name}, Type: binary.ExternType{Kind: binary.ExternResource}})
		s.resources[r] = s.n
		s.n++
	}
	for _, f := range i.Funcs {
		ft := s.fn(f.Type)
		s.decl(&binary.ExportDecl{Name: binary.ExternName{Name: f.Name}, Type: binary.ExternType{Kind: binary.ExternFunc, Index: ft}})
	}
	b.def(&binary.Type{Def: &binary.InstanceType{Decls: s.decls}})
	b.def(&binary.Import{Name: binary.ExternName{Name: i.Name}, Type: binary.ExternType{Kind: binary.ExternInstance, Index: b.types}})
	b.types++
	b.instances++
	for _, r := range i.Resources {
		if _, ok := b.resources[r]; !ok {
			b.def(&binary.Alias{Kind: binary.AliasExport, Sort: binary.SortType, Instance: b.instances - 1, Name: r.Name})
			b.resources[r] = b.types
			b.types++
		}
	}
	return b.instances - 1
}

// typeSpace writes types into an instance type, or into the component itself.
type typeSpace struct {
	b         *builder
	top       bool
	decls     []binary.Def
	n         uint32
	types     map[*canon.Type]binary.ValType
	resources map[*canon.Resource]uint32
	named     int
}

func (s *typeSpace) decl(d binary.Def) { s.decls = append(s.decls, d) }

// add defines a type and returns its index.
func (s *typeSpace) add(d binary.DefType) uint32 {
	if s.top {
		s.b.def(&binary.Type{Def: d})
		s.b.types++
		return s.b.types - 1
	}
	s.decl(&binary.Type{Def: d})
	s.n++
	return s.n - 1
}

// name exports a type, as types that have labels must be.
func (s *typeSpace) name(index uint32) uint32 {
	name := binary.ExternName{Name: fmt.Sprintf("t%d", s.b.types+uint32(s.named))}
	s.named++
	if s.top {
		s.b.def(&binary.Export{Name: name, SortIdx: binary.SortIdx{Sort: binary.SortType, Index: index}})
		s.b.types++
		return s.b.types - 1
	}
	s.decl(&binary.ExportDecl{Name: name, Type: binary.ExternType{Kind: binary.ExternTypeEq, Index: index}})
	s.n++
	return s.n - 1
}

func (s *typeSpace) resource(r *canon.Resource) uint32 {
	if s.top {
		return s.b.resources[r]
	}
	if i, ok := s.resources[r]; ok {
		return i
	}
	s.decl(&binary.Alias{Kind: binary.AliasOuter, Sort: binary.SortType, Count: 1, Index: s.b.resources[r]})
	s.resources[r] = s.n
	s.n++
	return s.n - 1
}

func (s *typeSpace) fn(ft *canon.FuncType) uint32 {
	d := &binary.FuncType{Async: ft.Async}
	for _, p := range ft.Params {
		d.Params = append(d.Params, binary.Field{Name: p.Name, Type: s.val(p.Type)})
	}
	d.Result = s.opt(ft.Result)
	return s.add(d)
}

func (s *typeSpace) opt(t *canon.Type) *binary.ValType {
	if t == nil {
		return nil
	}
	v := s.val(t)
	return &v
}

var prims = map[canon.Kind]binary.Prim{
	canon.KindBool: binary.Bool, canon.KindS8: binary.S8, canon.KindU8: binary.U8, canon.KindS16: binary.S16,
	canon.KindU16: binary.U16, canon.KindS32: binary.S32, canon.KindU32: binary.U32, canon.KindS64: binary.S64,
	canon.KindU64: binary.U64, canon.KindF32: binary.F32, canon.KindF64: binary.F64, canon.KindChar: binary.Char,
	canon.KindString: binary.String,
}

func (s *typeSpace) val(t *canon.Type) binary.ValType {
	if p, ok := prims[t.Kind]; ok {
		return binary.ValType{Prim: p}
	}
	if v, ok := s.types[t]; ok {
		return v
	}
	index := s.add(s.def(t))
	switch t.Kind {
	case canon.KindRecord, canon.KindVariant, canon.KindEnum, canon.KindFlags:
		index = s.name(index)
	}
	v := binary.ValType{Index: index}
	s.types[t] = v
	return v
}

func (s *typeSpace) def(t *canon.Type) binary.DefType {
	switch t.Kind {
	case canon.KindList:
		l := &binary.List{Elem: s.val(t.Elem)}
		if t.Fixed {
			l.Len = &t.Len
		}
		return l
	case canon.KindMap:
		return &binary.Map{Key: s.val(t.Elem.Fields[0].Type), Value: s.val(t.Elem.Fields[1].Type)}
	case canon.KindRecord:
		d := &binary.Record{}
		for _, f := range t.Fields {
			d.Fields = append(d.Fields, binary.Field{Name: f.Name, Type: s.val(f.Type)})
		}
		return d
	case canon.KindTuple:
		d := &binary.Tuple{}
		for _, f := range t.Fields {
			d.Types = append(d.Types, s.val(f.Type))
		}
		return d
	case canon.KindVariant:
		d := &binary.Variant{}
		for _, c := range t.Cases {
			d.Cases = append(d.Cases, binary.Case{Name: c.Name, Type: s.opt(c.Type)})
		}
		return d
	case canon.KindEnum:
		d := &binary.Enum{}
		for _, c := range t.Cases {
			d.Labels = append(d.Labels, c.Name)
		}
		return d
	case canon.KindOption:
		return &binary.Option{Type: s.val(t.Cases[1].Type)}
	case canon.KindResult:
		return &binary.Result{Ok: s.opt(t.Cases[0].Type), Err: s.opt(t.Cases[1].Type)}
	case canon.KindFlags:
		return &binary.Flags{Labels: t.Labels}
	case canon.KindOwn:
		return &binary.Own{Type: s.resource(t.Resource)}
	case canon.KindBorrow:
		return &binary.Borrow{Type: s.resource(t.Resource)}
	}
	panic(fmt.Sprintf("guests can't use the type %s", t))
}
