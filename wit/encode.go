package wit

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ashlar-wasm/ashlar/internal/binary"
)

// Encode returns the package in binary form: a component that exports a
// component type for each interface and world of the package (WIT.md, "Package
// Format"). Documentation and feature gates are kept in the custom section
// package-docs, in the layout of wasm-tools. [Decode] is the inverse.
//
// It is an error if the package has what component types do not allow but text
// does: records, flags types or tuples without members, upper case in its name.
func Encode(pkg *Package) ([]byte, error) {
	c := &binary.Component{}
	budget := maxItems
	add := func(name string, typ *binary.ComponentType) {
		index := uint32(len(c.Defs)) // each type is followed by its export, which is a type too
		c.Defs = append(c.Defs, &binary.Type{Def: typ}, &binary.Export{
			Name:    binary.ExternName{Name: name},
			SortIdx: binary.SortIdx{Sort: binary.SortType, Index: index},
		})
	}
	for _, i := range pkg.Interfaces {
		e := newTypeEncoder(&budget)
		if err := e.interfaceType(i); err != nil {
			return nil, fmt.Errorf("encode interface %s: %w", i.ID(), err)
		}
		add(i.Name, e.outer())
	}
	for _, w := range pkg.Worlds {
		e := newTypeEncoder(&budget)
		if err := e.world(w); err != nil {
			return nil, fmt.Errorf("encode world %s: %w", w.ID(), err)
		}
		add(w.Name, &binary.ComponentType{Decls: []binary.Def{
			&binary.Type{Def: e.outer()},
			&binary.ExportDecl{Name: binary.ExternName{Name: w.ID()}, Type: binary.ExternType{Kind: binary.ExternComponent, Index: 0}},
		}})
	}
	docs, err := encodeMetadata(pkg)
	if err != nil {
		return nil, err
	}
	c.Customs = []binary.Custom{{Name: metadataSection, Data: docs}}
	// Component types have more rules than text, on names for example.
	if err := binary.Validate(c); err != nil {
		var rule *binary.Error
		if errors.As(err, &rule) {
			// Nobody has seen the bytes, so the offset says nothing.
			return nil, fmt.Errorf("encode package %s: %s", pkg.Name, strings.TrimSuffix(rule.Rule+": "+rule.Detail, ": "))
		}
		return nil, fmt.Errorf("encode package %s: %w", pkg.Name, err)
	}
	return binary.Encode(c), nil
}

// space is a component or instance type that is being written, with what has
// been written into it.
type space struct {
	decls []binary.Def
	types uint32
	// named and unnamed types, and function types, by index.
	named   map[*TypeDef]uint32
	unnamed map[string]uint32
	funcs   map[string]uint32
}

func newSpace() *space {
	return &space{named: map[*TypeDef]uint32{}, unnamed: map[string]uint32{}, funcs: map[string]uint32{}}
}

func (s *space) add(d binary.Def) { s.decls = append(s.decls, d) }

// define adds a definition that is a type and returns its index.
func (s *space) define(d binary.Def) uint32 {
	s.add(d)
	s.types++
	return s.types - 1
}

// typeEncoder writes one component type.
type typeEncoder struct {
	// budget bounds the instances that are written: each interface and world
	// repeats all that it depends on.
	budget    *int
	component *space
	// instance is the instance type that is being written, or nil.
	instance *space
	iface    *Interface
	// imports says that types are imported by the component type, not exported.
	imports   bool
	instances map[*Interface]uint32
	count     uint32              // of instances
	aliases   map[*TypeDef]uint32 // types of instances in the component type
	ids       map[*TypeDef]int    // for keys of types
}

func newTypeEncoder(budget *int) *typeEncoder {
	return &typeEncoder{
		budget:    budget,
		component: newSpace(),
		instances: map[*Interface]uint32{},
		aliases:   map[*TypeDef]uint32{},
		ids:       map[*TypeDef]int{},
	}
}

func (e *typeEncoder) outer() *binary.ComponentType {
	return &binary.ComponentType{Decls: e.component.decls}
}

func (e *typeEncoder) space() *space {
	if e.instance != nil {
		return e.instance
	}
	return e.component
}

// interfaceType imports what the interface depends on, whole interfaces with
// all their types so that they look the same everywhere, and exports it.
func (e *typeEncoder) interfaceType(i *Interface) error {
	var order []*Interface
	seen := map[*Interface]bool{}
	var visit func(*Interface)
	visit = func(i *Interface) {
		if seen[i] {
			return
		}
		seen[i] = true
		for _, dep := range i.Dependencies() {
			visit(dep)
		}
		order = append(order, i)
	}
	visit(i)
	for _, dep := range order {
		index, err := e.instanceType(dep, dep == i)
		if err != nil {
			return err
		}
		typ := binary.ExternType{Kind: binary.ExternInstance, Index: index}
		if dep == i {
			e.component.add(&binary.ExportDecl{Name: binary.ExternName{Name: dep.ID()}, Type: typ})
		} else {
			e.component.add(&binary.Import{Name: binary.ExternName{Name: dep.ID()}, Type: typ})
		}
	}
	return nil
}

// instanceType writes the instance type of an interface, with or without its
// functions, and counts the instance that will have it.
func (e *typeEncoder) instanceType(i *Interface, functions bool) (uint32, error) {
	if *e.budget -= 1 + len(i.Types); *e.budget < 0 {
		return 0, fmt.Errorf("interfaces depend on more than %d types of others", maxItems)
	}
	e.instance, e.iface = newSpace(), i
	position := map[*TypeDef]int{}
	for n, t := range i.Types {
		position[t] = n
		if _, err := e.valType(t); err != nil {
			return 0, err
		}
	}
	if functions {
		// Functions of resources come first, in the order of the resources, as
		// they do in text.
		sorted := slices.Clone(i.Functions)
		rank := func(f *Function) int {
			if f.Resource == nil {
				return len(i.Types)
			}
			return position[f.Resource]
		}
		slices.SortStableFunc(sorted, func(a, b *Function) int { return cmp.Compare(rank(a), rank(b)) })
		for _, f := range sorted {
			index, err := e.funcType(f)
			if err != nil {
				return 0, err
			}
			e.instance.add(&binary.ExportDecl{Name: externName(f.Name, f.ExternalID), Type: binary.ExternType{Kind: binary.ExternFunc, Index: index}})
		}
	}
	decls := e.instance.decls
	e.instance, e.iface = nil, nil
	e.instances[i] = e.count
	e.count++
	return e.component.define(&binary.Type{Def: &binary.InstanceType{Decls: decls}}), nil
}

func externName(name, externalID string) binary.ExternName {
	n := binary.ExternName{Name: name}
	if externalID != "" {
		n.ExternalID, n.HasExternalID, n.Form = externalID, true, 2
	}
	return n
}

// world writes the imports and exports of a world.
func (e *typeEncoder) world(w *World) error {
	for _, export := range []bool{false, true} {
		items := w.Imports
		if export {
			items = w.Exports
		}
		for _, item := range items {
			var typ binary.ExternType
			var err error
			switch {
			case item.Interface != nil:
				typ.Kind = binary.ExternInstance
				typ.Index, err = e.instanceType(item.Interface, true)
			case item.Function != nil:
				typ.Kind = binary.ExternFunc
				typ.Index, err = e.funcType(item.Function)
			default:
				e.imports = true
				_, err = e.valType(item.Type)
				e.imports = false
			}
			if err != nil {
				return fmt.Errorf("%s: %w", item.ExternName(), err)
			}
			if item.Type != nil {
				continue
			}
			id := item.ExternalID
			if item.Function != nil {
				id = item.Function.ExternalID
			}
			name := externName(item.ExternName(), id)
			if name.Implements = item.Implements(); name.Implements != "" {
				name.Form = 2
			}
			if export {
				e.component.add(&binary.ExportDecl{Name: name, Type: typ})
			} else {
				e.component.add(&binary.Import{Name: name, Type: typ})
			}
		}
	}
	return nil
}

func (e *typeEncoder) funcType(f *Function) (uint32, error) {
	var key strings.Builder
	fmt.Fprintf(&key, "%t", f.Async)
	for _, p := range f.Params {
		fmt.Fprintf(&key, " %s:%s", p.Name, e.key(p.Type))
	}
	key.WriteString("->" + e.key(f.Result))
	if index, ok := e.space().funcs[key.String()]; ok {
		return index, nil
	}
	def := &binary.FuncType{Async: f.Async}
	for _, p := range f.Params {
		t, err := e.valType(p.Type)
		if err != nil {
			return 0, err
		}
		def.Params = append(def.Params, binary.Field{Name: p.Name, Type: t})
	}
	var err error
	if def.Result, err = e.optional(f.Result); err != nil {
		return 0, err
	}
	index := e.space().define(&binary.Type{Def: def})
	e.space().funcs[key.String()] = index
	return index, nil
}

// key returns a text that is the same for the same types only.
func (e *typeEncoder) key(t Type) string {
	switch t := t.(type) {
	case Prim:
		return t.String()
	case *TypeDef:
		id := func(t *TypeDef) string {
			n, ok := e.ids[t]
			if !ok {
				n = len(e.ids)
				e.ids[t] = n
			}
			return fmt.Sprintf("#%d", n)
		}
		if t.Name != "" {
			return id(t)
		}
		switch k := t.Kind.(type) {
		case *Own:
			return "own" + id(k.Resource)
		case *Borrow:
			return "borrow" + id(k.Resource)
		case *Alias:
			return e.key(k.Type)
		case *List:
			return "list(" + e.key(k.Elem) + ")"
		case *FixedLengthList:
			return fmt.Sprintf("list(%s,%d)", e.key(k.Elem), k.Len)
		case *Map:
			return "map(" + e.key(k.Key) + "," + e.key(k.Value) + ")"
		case *Option:
			return "option(" + e.key(k.Type) + ")"
		case *Result:
			return "result(" + e.key(k.OK) + "," + e.key(k.Err) + ")"
		case *Future:
			return "future(" + e.key(k.Type) + ")"
		case *Stream:
			return "stream(" + e.key(k.Type) + ")"
		case *Tuple:
			s := "tuple("
			for _, t := range k.Types {
				s += e.key(t) + ","
			}
			return s + ")"
		}
		return id(t)
	}
	return "_"
}

var binaryPrims = map[Prim]binary.Prim{
	Bool: binary.Bool, U8: binary.U8, U16: binary.U16, U32: binary.U32, U64: binary.U64,
	S8: binary.S8, S16: binary.S16, S32: binary.S32, S64: binary.S64, F32: binary.F32, F64: binary.F64,
	Char: binary.Char, String: binary.String, ErrorContext: binary.ErrorContext,
}

func (e *typeEncoder) optional(t Type) (*binary.ValType, error) {
	if t == nil {
		return nil, nil
	}
	v, err := e.valType(t)
	return &v, err
}

// valType returns a reference to a type, which is defined first if need be.
func (e *typeEncoder) valType(t Type) (binary.ValType, error) {
	d, ok := t.(*TypeDef)
	if !ok {
		p, ok := t.(Prim)
		if !ok {
			return binary.ValType{}, fmt.Errorf("type is missing")
		}
		return binary.ValType{Prim: binaryPrims[p]}, nil
	}
	s := e.space()
	key := ""
	if d.Name != "" {
		if index, ok := s.named[d]; ok {
			return binary.ValType{Index: index}, nil
		}
	} else {
		key = e.key(d)
		if index, ok := s.unnamed[key]; ok {
			return binary.ValType{Index: index}, nil
		}
	}
	if owner, ok := d.Owner.(*Interface); ok && owner != e.iface {
		index, err := e.foreign(owner, d)
		if err != nil {
			return binary.ValType{}, err
		}
		s.named[d] = index
		return binary.ValType{Index: index}, nil
	}
	if _, ok := d.Kind.(*Resource); ok {
		index := e.name(d, binary.ExternType{Kind: binary.ExternResource})
		s.named[d] = index
		return binary.ValType{Index: index}, nil
	}
	v, err := e.define(d)
	if err != nil {
		return v, err
	}
	if d.Name != "" {
		if v.Prim != 0 {
			v = binary.ValType{Index: s.define(&binary.Type{Def: v.Prim})}
		}
		v = binary.ValType{Index: e.name(d, binary.ExternType{Kind: binary.ExternTypeEq, Index: v.Index})}
		s.named[d] = v.Index
	} else if v.Prim == 0 {
		s.unnamed[key] = v.Index
	}
	return v, nil
}

// name exports, or imports, a type under its name.
func (e *typeEncoder) name(t *TypeDef, typ binary.ExternType) uint32 {
	name := externName(t.Name, t.ExternalID)
	if e.instance == nil && e.imports {
		return e.component.define(&binary.Import{Name: name, Type: typ})
	}
	return e.space().define(&binary.ExportDecl{Name: name, Type: typ})
}

// foreign refers to a type of another interface, by an alias of the instance's
// export in the component type.
func (e *typeEncoder) foreign(owner *Interface, t *TypeDef) (uint32, error) {
	index, ok := e.aliases[t]
	if !ok {
		instance, ok := e.instances[owner]
		if !ok {
			return 0, fmt.Errorf("type %s of interface %s is used, but the interface is neither imported nor exported", t.Name, owner.ID())
		}
		index = e.component.define(&binary.Alias{Kind: binary.AliasExport, Sort: binary.SortType, Instance: instance, Name: t.Name})
		e.aliases[t] = index
	}
	if e.instance == nil {
		return index, nil
	}
	return e.instance.define(&binary.Alias{Kind: binary.AliasOuter, Sort: binary.SortType, Count: 1, Index: index}), nil
}

// define writes the definition of a type.
func (e *typeEncoder) define(t *TypeDef) (binary.ValType, error) {
	var failure error
	val := func(t Type) binary.ValType {
		v, err := e.valType(t)
		if failure == nil {
			failure = err
		}
		return v
	}
	opt := func(t Type) *binary.ValType {
		if t == nil {
			return nil
		}
		v := val(t)
		return &v
	}
	labels := func(labels []Label) []string {
		var s []string
		for _, l := range labels {
			s = append(s, l.Name)
		}
		return s
	}
	empty := func(what string) (binary.ValType, error) {
		return binary.ValType{}, fmt.Errorf("%s %s is empty, which the binary format does not allow", what, t.Name)
	}
	var def binary.DefType
	switch k := t.Kind.(type) {
	case *Alias:
		return e.valType(k.Type)
	case *Record:
		if len(k.Fields) == 0 {
			return empty("record")
		}
		r := &binary.Record{}
		for _, f := range k.Fields {
			r.Fields = append(r.Fields, binary.Field{Name: f.Name, Type: val(f.Type)})
		}
		def = r
	case *Variant:
		v := &binary.Variant{}
		for _, c := range k.Cases {
			v.Cases = append(v.Cases, binary.Case{Name: c.Name, Type: opt(c.Type)})
		}
		def = v
	case *Enum:
		def = &binary.Enum{Labels: labels(k.Cases)}
	case *Flags:
		if len(k.Flags) == 0 {
			return empty("flags type")
		}
		def = &binary.Flags{Labels: labels(k.Flags)}
	case *Tuple:
		if len(k.Types) == 0 {
			return empty("tuple")
		}
		t := &binary.Tuple{}
		for _, part := range k.Types {
			t.Types = append(t.Types, val(part))
		}
		def = t
	case *Option:
		def = &binary.Option{Type: val(k.Type)}
	case *Result:
		ok := opt(k.OK)
		def = &binary.Result{Ok: ok, Err: opt(k.Err)}
	case *List:
		def = &binary.List{Elem: val(k.Elem)}
	case *FixedLengthList:
		n := k.Len
		def = &binary.List{Elem: val(k.Elem), Len: &n}
	case *Map:
		key := val(k.Key)
		def = &binary.Map{Key: key, Value: val(k.Value)}
	case *Future:
		def = &binary.Future{Elem: opt(k.Type)}
	case *Stream:
		def = &binary.Stream{Elem: opt(k.Type)}
	case *Own:
		def = &binary.Own{Type: val(k.Resource).Index}
	case *Borrow:
		def = &binary.Borrow{Type: val(k.Resource).Index}
	default:
		return binary.ValType{}, fmt.Errorf("type %s has no kind", t.Name)
	}
	if failure != nil {
		return binary.ValType{}, failure
	}
	return binary.ValType{Index: e.space().define(&binary.Type{Def: def})}, nil
}
