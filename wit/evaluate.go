package wit

import (
	"fmt"

	"github.com/ashlar-wasm/ashlar/internal/binary"
)

// To read the interface of a component, its definitions are evaluated as far
// as types are concerned: each import of an instance makes its types anew, and
// instantiating a component evaluates it with its imports bound. Types are
// identified by address.

// maxSteps bounds the work of evaluating a component: instance types and
// components are evaluated each time that they are used.
const maxSteps = 1 << 22

// binType is a type of a component: one of its fields but scope is set.
type binType struct {
	// alias is the type that this one was made from by an export, an import or
	// an alias. They are equal, but an export has a name of its own.
	alias    *binType
	end      *binType // of the chain of aliases
	resource bool
	def      binary.DefType // indices in it are of scope
	scope    *binScope
}

// aliasOf returns a new type that is equal to t.
func aliasOf(t *binType) *binType {
	if t == nil {
		return &binType{} // an error was reported
	}
	return &binType{alias: t, end: t.base()}
}

// base returns the type at the end of the chain of aliases.
func (t *binType) base() *binType {
	if t.alias != nil {
		return t.end
	}
	return t
}

type binInstance struct {
	exports []binItem
	index   map[string]int
}

func (i *binInstance) export(name string) (binItem, bool) {
	if i.index == nil {
		i.index = make(map[string]int, len(i.exports))
		for n, e := range i.exports {
			i.index[e.name.Name] = n
		}
	}
	n, ok := i.index[name]
	if !ok {
		return binItem{}, false
	}
	return i.exports[n], true
}

// binComponent is a component or a component type.
type binComponent struct {
	defs  []binary.Def
	scope *binScope
}

// binItem is an import or export. Which field is set depends on the sort; fn
// is a function's type.
type binItem struct {
	name      binary.ExternName
	sort      binary.Sort
	typ       *binType
	fn        *binType
	instance  *binInstance
	component *binComponent
}

// binScope holds the index spaces that matter here.
type binScope struct {
	parent     *binScope
	types      []*binType
	funcs      []*binType
	instances  []*binInstance
	components []*binComponent

	imports []binItem
	exports []binItem
	// args are what imports are bound to, or nil if they stay abstract.
	args map[string]binItem
}

type evaluator struct {
	steps int
	err   error
}

func (e *evaluator) fail(d binary.Def, format string, args ...any) {
	if e.err == nil {
		e.err = fmt.Errorf("offset %#x: %w", d.At(), fmt.Errorf(format, args...))
	}
}

// at returns an element of an index space.
func at[T any](e *evaluator, d binary.Def, space []T, index uint32) T {
	if uint64(index) < uint64(len(space)) {
		return space[index]
	}
	e.fail(d, "index %d is out of bounds", index)
	var zero T
	return zero
}

func (e *evaluator) run(s *binScope, defs []binary.Def) {
	for _, d := range defs {
		if e.steps++; e.steps > maxSteps {
			e.fail(d, "the component's types are too large")
		}
		if e.err != nil {
			return
		}
		e.def(s, d)
	}
}

func (e *evaluator) def(s *binScope, d binary.Def) {
	switch d := d.(type) {
	case *binary.Component:
		s.components = append(s.components, &binComponent{d.Defs, s})
	case *binary.Instance:
		s.instances = append(s.instances, e.instance(s, d))
	case *binary.Alias:
		e.alias(s, d)
	case *binary.Type:
		t := &binType{def: d.Def, scope: s}
		if _, ok := d.Def.(*binary.ResourceType); ok {
			t = &binType{resource: true}
		}
		s.types = append(s.types, t)
	case *binary.Canon:
		if d.Op == binary.CanonLift {
			s.funcs = append(s.funcs, at(e, d, s.types, d.Type))
		}
	case *binary.Import:
		item := e.extern(s, d, d.Type)
		if arg, ok := s.args[d.Name.Name]; ok && arg.sort == item.sort {
			item = arg
			if item.typ != nil {
				item.typ = aliasOf(arg.typ)
			}
		}
		item.name = d.Name
		s.push(item)
		s.imports = append(s.imports, item)
	case *binary.ExportDecl:
		item := e.extern(s, d, d.Type)
		item.name = d.Name
		s.push(item)
		s.exports = append(s.exports, item)
	case *binary.Export:
		item := e.item(s, d, d.SortIdx)
		if item.typ != nil {
			item.typ = aliasOf(item.typ)
		}
		if d.Type != nil {
			item = e.ascribe(item, e.extern(s, d, *d.Type))
		}
		item.name = d.Name
		s.push(item)
		s.exports = append(s.exports, item)
	}
}

// push adds an item to its index space.
func (s *binScope) push(i binItem) {
	switch i.sort {
	case binary.SortType:
		s.types = append(s.types, i.typ)
	case binary.SortFunc:
		s.funcs = append(s.funcs, i.fn)
	case binary.SortInstance:
		s.instances = append(s.instances, i.instance)
	case binary.SortComponent:
		s.components = append(s.components, i.component)
	}
}

// item returns what an index stands for.
func (e *evaluator) item(s *binScope, d binary.Def, x binary.SortIdx) binItem {
	i := binItem{sort: x.Sort}
	switch x.Sort {
	case binary.SortType:
		i.typ = at(e, d, s.types, x.Index)
	case binary.SortFunc:
		i.fn = at(e, d, s.funcs, x.Index)
	case binary.SortInstance:
		i.instance = at(e, d, s.instances, x.Index)
	case binary.SortComponent:
		i.component = at(e, d, s.components, x.Index)
	}
	return i
}

// ascribe gives an export the type that was written beside it. Its types are
// still those of the item.
func (e *evaluator) ascribe(item, as binItem) binItem {
	switch item.sort {
	case binary.SortFunc:
		item.fn = as.fn
	case binary.SortInstance:
		if item.instance == nil || as.instance == nil {
			return item
		}
		for _, x := range as.instance.exports {
			if have, ok := item.instance.export(x.name.Name); ok && x.typ != nil && have.typ != nil && x.typ.alias == nil {
				// An abstract resource is the item's resource.
				*x.typ = *aliasOf(have.typ)
			}
		}
		item.instance = as.instance
	}
	return item
}

// extern returns an item of an extern type, with types of its own.
func (e *evaluator) extern(s *binScope, d binary.Def, t binary.ExternType) binItem {
	i := binItem{sort: t.Kind.Sort()}
	switch t.Kind {
	case binary.ExternFunc:
		i.fn = at(e, d, s.types, t.Index)
	case binary.ExternTypeEq:
		i.typ = aliasOf(at(e, d, s.types, t.Index))
	case binary.ExternResource:
		i.typ = &binType{resource: true}
	case binary.ExternInstance:
		i.instance = &binInstance{}
		if t := at(e, d, s.types, t.Index); t != nil {
			t = t.base()
			def, ok := t.def.(*binary.InstanceType)
			if !ok {
				e.fail(d, "type is no instance type")
				return i
			}
			inner := &binScope{parent: t.scope}
			e.nested(d, func() { e.run(inner, def.Decls) })
			i.instance.exports = inner.exports
		}
	case binary.ExternComponent:
		if t := at(e, d, s.types, t.Index); t != nil {
			t = t.base()
			def, ok := t.def.(*binary.ComponentType)
			if !ok {
				e.fail(d, "type is no component type")
				return i
			}
			i.component = &binComponent{def.Decls, t.scope}
		}
	}
	return i
}

// maxEvaluationDepth bounds how deep instantiations are nested.
const maxEvaluationDepth = 200

// nested counts the depth of evaluation in the steps' upper part, so that one
// bound serves both.
func (e *evaluator) nested(d binary.Def, run func()) {
	depthStep := maxSteps / maxEvaluationDepth
	e.steps += depthStep
	if e.steps > 2*maxSteps {
		e.fail(d, "instances are nested too deep")
		return
	}
	run()
	e.steps -= depthStep
}

func (e *evaluator) instance(s *binScope, d *binary.Instance) *binInstance {
	out := &binInstance{}
	if d.Inline {
		for _, x := range d.Exports {
			item := e.item(s, d, x.SortIdx)
			item.name = x.Name
			out.exports = append(out.exports, item)
		}
		return out
	}
	c := at(e, d, s.components, d.Component)
	if c == nil {
		return out
	}
	inner := &binScope{parent: c.scope, args: map[string]binItem{}}
	for _, a := range d.Args {
		inner.args[a.Name] = e.item(s, d, a.SortIdx)
	}
	e.nested(d, func() { e.run(inner, c.defs) })
	out.exports = inner.exports
	return out
}

func (e *evaluator) alias(s *binScope, d *binary.Alias) {
	switch d.Kind {
	case binary.AliasExport:
		i := at(e, d, s.instances, d.Instance)
		if i == nil {
			return
		}
		item, ok := i.export(d.Name)
		if !ok || item.sort != d.Sort {
			if d.Sort >= binary.SortFunc {
				e.fail(d, "instance has no export %q", d.Name)
			}
			return
		}
		s.push(item)
	case binary.AliasOuter:
		outer := s
		for range d.Count {
			if outer = outer.parent; outer == nil {
				e.fail(d, "alias reaches out of the component")
				return
			}
		}
		switch d.Sort {
		case binary.SortType, binary.SortComponent:
			s.push(e.item(outer, d, binary.SortIdx{Sort: d.Sort, Index: d.Index}))
		}
	}
}
