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
	Once    bool // whether it is declared to be initialised once
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
	b := NewBuilder()
	if g.Once {
		b.Once()
	}
	libc := b.Libc(g.Data, g.Pages)
	var imports []CoreFunc
	for _, i := range g.Imports {
		inst := b.ImportInstance(i)
		for _, f := range i.Funcs {
			imports = append(imports, b.Lower(b.Alias(binary.SortFunc, inst, f.Name), f.Type, libc.Options()...))
		}
	}
	for _, r := range g.Drops {
		imports = append(imports, b.ResourceDrop(r))
	}
	core := b.Core(libc, g.Funcs, imports...)

	interfaces := map[string][]binary.InlineExport{}
	var order []string
	for _, e := range g.Exports {
		x := b.Lift(b.CoreAlias(binary.SortCoreFunc, core, e.Core), e.Type, libc.Options()...)
		if e.Interface == "" {
			b.Export(e.Name, binary.SortFunc, x)
			continue
		}
		if interfaces[e.Interface] == nil {
			order = append(order, e.Interface)
		}
		interfaces[e.Interface] = append(interfaces[e.Interface], inline(e.Name, binary.SortFunc, x))
	}
	for _, name := range order {
		b.Export(name, binary.SortInstance, b.Bundle(interfaces[name]...))
	}
	return b.Bytes()
}

// nameSection names the functions of the module, for stack traces.
func nameSection(m *CoreModule, funcs []Func) wasm.Custom {
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

// typeSpace writes types into an instance type, or into the component itself.
type typeSpace struct {
	b         *Builder
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
		return s.b.Def(&binary.Type{Def: d})
	}
	s.decl(&binary.Type{Def: d})
	s.n++
	return s.n - 1
}

// name exports a type, as types that have labels must be.
func (s *typeSpace) name(index uint32) uint32 {
	name := binary.ExternName{Name: fmt.Sprintf("t%d", s.b.counts[binary.SortType]+uint32(s.named))}
	s.named++
	if s.top {
		return s.b.Def(&binary.Export{Name: name, SortIdx: binary.SortIdx{Sort: binary.SortType, Index: index}})
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
