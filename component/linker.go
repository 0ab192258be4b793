package component

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/internal/canon"
)

// Linker holds what components may import. It is filled first and then used;
// only Prepare is safe for concurrent use.
type Linker struct {
	engine *Engine
	root   *Namespace
	limits Limits
}

// NewLinker returns an empty linker: a component that imports anything can't
// be prepared with it.
func (e *Engine) NewLinker() *Linker {
	return &Linker{engine: e, root: &Namespace{items: map[string]*offer{}}, limits: e.limits}
}

// SetLimits sets the limits of what is prepared from now on, in place of the
// engine's. Those of tables and of instances hold when a component is compiled:
// it is an error to set others than the engine's.
func (l *Linker) SetLimits(limits Limits) error {
	have := l.engine.limits
	if limits.TableElements == 0 {
		limits.TableElements = have.TableElements
	}
	if limits.Instances == 0 {
		limits.Instances = have.Instances
	}
	if limits.TableElements != have.TableElements || limits.Instances != have.Instances {
		return fmt.Errorf("limits of %d table elements and %d instances: only those of the engine, %d and %d, can be enforced",
			limits.TableElements, limits.Instances, have.TableElements, have.Instances)
	}
	l.limits = limits.withDefaults()
	return nil
}

// Namespace is a set of definitions on offer: an instance, or what a world
// imports directly. No name can be defined twice.
type Namespace struct {
	name  string
	items map[string]*offer
}

// offer is one item on offer: one field is set.
type offer struct {
	fn       *hostFunc
	resource *canon.ResourceType
	instance *Namespace
	module   *Module
}

// hostFunc is a function on offer, in one of two forms.
type hostFunc struct {
	typ     *canon.FuncType // nil: whatever the import says
	call    func(c *abi.Call, stack []uint64)
	dynamic DynamicFunc
}

// DynamicFunc is a host function on dynamic values. args are those of the
// function's parameters; the result must be a value of its result type, and
// nil where there is none. An error unwinds the guest: it traps and the call
// into it returns the error.
type DynamicFunc func(ctx context.Context, args []Val) (Val, error)

// Root returns what is offered to worlds directly, outside of interfaces.
func (l *Linker) Root() *Namespace { return l.root }

// Instance returns the interface of that name, such as "wasi:io/poll@0.2.0",
// adding it if needed.
func (l *Linker) Instance(name string) (*Namespace, error) { return l.root.Instance(name) }

// Define offers an interface of generated bindings; it implements
// abi.Registry. An interface may be defined in parts.
func (l *Linker) Define(i abi.Interface) error {
	in := l.root
	if i.Name != "" {
		var err error
		if in, err = l.Instance(i.Name); err != nil {
			return err
		}
	}
	for _, r := range i.Resources {
		if err := in.Resource(r.Name, r); err != nil {
			return err
		}
	}
	for _, f := range i.Funcs {
		if err := in.add(f.Name, &offer{fn: &hostFunc{typ: f.Type, call: f.Call}}); err != nil {
			return err
		}
	}
	return nil
}

// DefineInstance offers the exports of an instance under a name. Calls go from
// one sandbox to the other through dynamic values. The instance must stay open
// while what was linked to it is in use.
func (l *Linker) DefineInstance(name string, i *Instance) error {
	in, err := l.Instance(name)
	if err != nil {
		return err
	}
	return in.addExports(i, i.prepared.component.plan.exports)
}

// Func offers a function on dynamic values. Where typ is nil it takes on the
// type of whatever imports it.
func (s *Namespace) Func(name string, typ *FuncType, fn DynamicFunc) error {
	return s.add(name, &offer{fn: &hostFunc{typ: typ, dynamic: fn}})
}

// Resource offers a resource type of the host.
func (s *Namespace) Resource(name string, r *abi.Resource) error {
	return s.add(name, &offer{resource: r.Type})
}

// Module offers a core module.
func (s *Namespace) Module(name string, m *Module) error { return s.add(name, &offer{module: m}) }

// Remove takes a definition back, if there is one. What was prepared before
// keeps it.
func (s *Namespace) Remove(name string) { delete(s.items, name) }

// Instance returns the instance of that name within s, adding it if needed.
func (s *Namespace) Instance(name string) (*Namespace, error) {
	o := s.items[name]
	if o == nil {
		o = &offer{instance: &Namespace{name: name, items: map[string]*offer{}}}
		s.items[name] = o
	}
	if o.instance == nil {
		return nil, fmt.Errorf("%q is already defined and is no instance", name)
	}
	return o.instance, nil
}

func (s *Namespace) addExports(i *Instance, exports *instanceDef) error {
	for _, name := range exports.names {
		it := exports.items[name]
		o := &offer{}
		switch {
		case it.fn != nil:
			f := &Func{instance: i, def: it.fn, name: name}
			o.fn = &hostFunc{typ: i.hostType(it.fn.typ), dynamic: f.pass}
		case it.instance != nil:
			sub, err := s.Instance(name)
			if err != nil {
				return err
			}
			if err := sub.addExports(i, it.instance); err != nil {
				return err
			}
			continue
		case it.module != nil && it.module.def != nil:
			m, err := i.prepared.component.engine.CompileModule(it.module.def.Bytes)
			if err != nil {
				return err
			}
			o.module = m
		case it.typ.resource != nil:
			o.resource = i.resources[it.typ.resource.index]
		default:
			continue // value types are structural, components can't be imported
		}
		if err := s.add(name, o); err != nil {
			return err
		}
	}
	return nil
}

func (s *Namespace) add(name string, v *offer) error {
	if _, ok := s.items[name]; ok {
		if s.name != "" {
			name = s.name + "#" + name
		}
		return fmt.Errorf("%q is already defined", name)
	}
	s.items[name] = v
	return nil
}

// find returns the offer that serves a name.
func (s *Namespace) find(name string) *offer {
	n, ok := match(name, maps.Keys(s.items), func(n string) bool { _, ok := s.items[n]; return ok })
	if !ok {
		return nil
	}
	return s.items[n]
}

// Missing is an import that nobody provides.
type Missing struct {
	Name    string // as path, such as "wasi:io/streams@0.2.0#read"
	Reason  string // what is wrong with what is offered, or "" if nothing is
	Closest string // the most similar name on offer, or ""
}

// LinkError lists all imports that could not be satisfied.
type LinkError struct{ Missing []Missing }

func (e *LinkError) Error() string {
	var b strings.Builder
	b.WriteString("imports can't be satisfied:")
	for _, m := range e.Missing {
		b.WriteString("\n  " + m.Name)
		if m.Reason != "" {
			b.WriteString(": " + m.Reason)
		} else {
			b.WriteString(": not provided")
		}
		if m.Closest != "" {
			b.WriteString(" (closest on offer: " + m.Closest + ")")
		}
	}
	return b.String()
}

func pathName(path []string) string {
	if len(path) == 1 {
		return path[0]
	}
	return path[0] + "#" + strings.Join(path[1:], "#")
}

// resolve finds what an import path refers to.
func (l *Linker) resolve(path []string) (*offer, *Missing) {
	in := l.root
	for i, name := range path {
		o := in.find(name)
		if o == nil {
			return nil, &Missing{Name: pathName(path), Closest: closestIn(in, path[:i], name)}
		}
		if i == len(path)-1 {
			return o, nil
		}
		if o.instance == nil {
			return nil, &Missing{Name: pathName(path), Reason: fmt.Sprintf("%q is no instance", name)}
		}
		in = o.instance
	}
	return nil, nil
}

func closestIn(in *Namespace, prefix []string, name string) string {
	names := slices.Sorted(maps.Keys(in.items))
	c := closest(name, slices.Values(names))
	if c == "" {
		return ""
	}
	return pathName(append(append([]string(nil), prefix...), c))
}
