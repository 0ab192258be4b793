package guests

import (
	"fmt"

	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/canon"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// Builder writes a component one definition after the other, and keeps count
// of its index spaces.
type Builder struct {
	c         *binary.Component
	counts    [binary.NumSorts]uint32
	resources map[*canon.Resource]uint32 // type indices
}

// NewBuilder returns a builder of an empty component.
func NewBuilder() *Builder {
	return &Builder{c: &binary.Component{}, resources: map[*canon.Resource]uint32{}}
}

// Bytes returns the component in the binary format.
func (b *Builder) Bytes() []byte { return binary.Encode(b.c) }

// Once declares that the component is to be initialised once for a deployment.
func (b *Builder) Once() {
	b.c.Customs = append(b.c.Customs, binary.Custom{Name: binary.InitializeSection, Data: []byte(binary.InitializeOnce)})
}

// Def adds a definition and returns the index of what it defines.
func (b *Builder) Def(d binary.Def) uint32 {
	b.c.Defs = append(b.c.Defs, d)
	sort := binary.SortOf(d)
	b.counts[sort]++
	return b.counts[sort] - 1
}

// Libc is the core instance that holds the memory of a component, and an
// allocator.
type Libc struct {
	Instance        uint32
	Memory, Realloc uint32
}

// Options are the canonical options that name the memory and the allocator.
func (l Libc) Options() []binary.CanonOpt {
	return []binary.CanonOpt{{Kind: binary.OptMemory, Index: l.Memory}, {Kind: binary.OptRealloc, Index: l.Realloc}}
}

// Libc adds a memory of the given pages, at least 1, and an allocator.
func (b *Builder) Libc(data []Data, pages uint64) Libc {
	l := Libc{Instance: b.Def(&binary.CoreInstance{Module: b.Def(&binary.CoreModule{Bytes: libc(data, max(pages, 1))})})}
	l.Memory = b.CoreAlias(binary.SortCoreMemory, l.Instance, "memory")
	l.Realloc = b.CoreAlias(binary.SortCoreFunc, l.Instance, "realloc")
	return l
}

// CoreFunc is a core function in the component's index space.
type CoreFunc struct {
	Index           uint32
	Params, Results []wasm.ValType
}

// Core adds a core module of funcs and instantiates it. It finds imports as
// its functions 0, 1, ... and the memory of libc as its own.
func (b *Builder) Core(libc Libc, funcs []Func, imports ...CoreFunc) (instance uint32) {
	m := &CoreModule{}
	var items []binary.CoreItem
	for n, f := range imports {
		name := fmt.Sprint(n)
		m.ImportFunc("host", name, f.Params, f.Results)
		items = append(items, binary.CoreItem{Name: name, SortIdx: binary.SortIdx{Sort: binary.SortCoreFunc, Index: f.Index}})
	}
	m.Imports = append(m.Imports, wasm.Import{Module: "libc", Name: "memory",
		Extern: wasm.Extern{Kind: wasm.KindMemory, Memory: wasm.MemoryType{PageSizeLog2: 16}}})
	for i := range funcs {
		m.Define(&funcs[i])
	}
	m.Customs = append(m.Customs, nameSection(m, funcs))
	args := []binary.CoreArg{{Name: "libc", Instance: libc.Instance}}
	if len(items) > 0 {
		args = append(args, binary.CoreArg{Name: "host", Instance: b.Def(&binary.CoreInstance{Inline: true, Exports: items})})
	}
	return b.Def(&binary.CoreInstance{Module: b.Def(&binary.CoreModule{Bytes: m.Encode()}), Args: args})
}

// Instantiate adds a core module that imports nothing, instantiates it, and
// exports its function of that name and of type [] -> [i32].
func (b *Builder) Instantiate(m *CoreModule, name string) {
	core := b.Def(&binary.CoreInstance{Module: b.Def(&binary.CoreModule{Bytes: m.Encode()})})
	b.Export(name, binary.SortFunc, b.Lift(b.CoreAlias(binary.SortCoreFunc, core, name), abi.Function(nil, abi.U32)))
}

// CoreAlias names an export of a core instance.
func (b *Builder) CoreAlias(sort binary.Sort, instance uint32, name string) uint32 {
	return b.Def(&binary.Alias{Kind: binary.AliasCoreExport, Sort: sort, Instance: instance, Name: name})
}

// Alias names an export of an instance.
func (b *Builder) Alias(sort binary.Sort, instance uint32, name string) uint32 {
	return b.Def(&binary.Alias{Kind: binary.AliasExport, Sort: sort, Instance: instance, Name: name})
}

// AliasResource names a resource that an instance exports, which r stands for
// from then on.
func (b *Builder) AliasResource(r *abi.Resource, instance uint32) uint32 {
	b.resources[r] = b.Alias(binary.SortType, instance, r.Name)
	return b.resources[r]
}

// FuncType defines a function type.
func (b *Builder) FuncType(ft *abi.FuncType) uint32 {
	s := &typeSpace{b: b, top: true, types: map[*canon.Type]binary.ValType{}}
	return s.fn(ft)
}

// Lift makes a component function of a core function.
func (b *Builder) Lift(core uint32, ft *abi.FuncType, opts ...binary.CanonOpt) uint32 {
	return b.Def(&binary.Canon{Op: binary.CanonLift, Func: core, Type: b.FuncType(ft), Opts: opts})
}

// Lower makes a core function of a component function.
func (b *Builder) Lower(fn uint32, ft *abi.FuncType, opts ...binary.CanonOpt) CoreFunc {
	async := false
	for _, o := range opts {
		async = async || o.Kind == binary.OptAsync
	}
	flat := ft.FlattenLower(async)
	return b.Builtin(&binary.Canon{Op: binary.CanonLower, Func: fn, Opts: opts}, coreTypes(flat.Params), coreTypes(flat.Results))
}

// Builtin defines a core function that the component model has.
func (b *Builder) Builtin(c *binary.Canon, params, results []wasm.ValType) CoreFunc {
	return CoreFunc{Index: b.Def(c), Params: params, Results: results}
}

// Resource defines a resource type of the component; dtor is the index of a
// core function, or nil.
func (b *Builder) Resource(r *abi.Resource, dtor *uint32) uint32 {
	b.resources[r] = b.Def(&binary.Type{Def: &binary.ResourceType{Rep: wasm.I32, Dtor: dtor}})
	return b.resources[r]
}

// ResourceNew defines resource.new of r.
func (b *Builder) ResourceNew(r *abi.Resource) CoreFunc {
	return b.Builtin(&binary.Canon{Op: binary.CanonResourceNew, Type: b.resources[r]}, i32, i32)
}

// ResourceRep defines resource.rep of r.
func (b *Builder) ResourceRep(r *abi.Resource) CoreFunc {
	return b.Builtin(&binary.Canon{Op: binary.CanonResourceRep, Type: b.resources[r]}, i32, i32)
}

// ResourceDrop defines resource.drop of r.
func (b *Builder) ResourceDrop(r *abi.Resource) CoreFunc {
	return b.Builtin(&binary.Canon{Op: binary.CanonResourceDrop, Type: b.resources[r]}, i32, nil)
}

// ImportFunc imports a function.
func (b *Builder) ImportFunc(name string, ft *abi.FuncType) uint32 {
	return b.Def(&binary.Import{Name: binary.ExternName{Name: name}, Type: binary.ExternType{Kind: binary.ExternFunc, Index: b.FuncType(ft)}})
}

// ImportInstance imports an interface. Its resources are aliased.
func (b *Builder) ImportInstance(i abi.Interface) uint32 {
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
	t := b.Def(&binary.Type{Def: &binary.InstanceType{Decls: s.decls}})
	inst := b.Def(&binary.Import{Name: binary.ExternName{Name: i.Name}, Type: binary.ExternType{Kind: binary.ExternInstance, Index: t}})
	for _, r := range i.Resources {
		if _, ok := b.resources[r]; !ok {
			b.AliasResource(r, inst)
		}
	}
	return inst
}

// Export exports a definition and returns the index of the exported one.
func (b *Builder) Export(name string, sort binary.Sort, index uint32) uint32 {
	return b.Def(&binary.Export{Name: binary.ExternName{Name: name}, SortIdx: binary.SortIdx{Sort: sort, Index: index}})
}

// ExportResource exports a resource type under its name, which r stands for
// from then on.
func (b *Builder) ExportResource(r *abi.Resource) {
	b.resources[r] = b.Export(r.Name, binary.SortType, b.resources[r])
}

// Bundle makes an instance of definitions.
func (b *Builder) Bundle(exports ...binary.InlineExport) uint32 {
	return b.Def(&binary.Instance{Inline: true, Exports: exports})
}

// Nest adds a component and instantiates it.
func (b *Builder) Nest(c *Builder, args ...binary.Arg) (instance uint32) {
	return b.Def(&binary.Instance{Component: b.Def(c.c), Args: args})
}

func inline(name string, sort binary.Sort, index uint32) binary.InlineExport {
	return binary.InlineExport{Name: binary.ExternName{Name: name}, SortIdx: binary.SortIdx{Sort: sort, Index: index}}
}
