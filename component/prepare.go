package component

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/canon"
	"github.com/ashlar-wasm/ashlar/internal/engine"
)

// Prepared is a component whose imports are resolved. It is safe
// for concurrent use.
type Prepared struct {
	component *Component
	funcs     []*hostFunc // by import
	resources []*canon.ResourceType
	modules   map[int]*engine.Module              // by step, of imported modules
	calls     []func(i *Instance, stack []uint64) // what trampolines do
	limits    Limits
	usage     usage
	exports   sync.Map // of *boundExport, by exportKey
}

// Prepare resolves a component's imports against what the linker offers. The
// error is a *LinkError when some can't be satisfied.
func (l *Linker) Prepare(ctx context.Context, c *Component) (*Prepared, error) {
	p := &Prepared{
		component: c,
		limits:    l.limits,
		funcs:     make([]*hostFunc, len(c.plan.imports)),
		resources: make([]*canon.ResourceType, len(c.plan.resources)),
		modules:   make(map[int]*engine.Module),
	}
	modules := make(map[int]*Module)
	var missing LinkError
	// Resources first: function types refer to them.
	offered := make([]*offer, len(c.plan.imports))
	absent := make(map[string]bool)
	for i := range c.plan.imports {
		im := &c.plan.imports[i]
		if im.sort == binary.SortType && im.typ.resource == nil && im.res < 0 {
			continue // an alias or a value type, which needs nothing
		}
		if len(im.path) > 1 && absent[pathName(im.path[:len(im.path)-1])] {
			absent[pathName(im.path)] = true
			continue // one line for the whole instance
		}
		o, m := l.resolve(im.path)
		if m != nil && im.sort == binary.SortType && im.res < 0 {
			continue // a name for a resource that was imported before, which needs no name here
		}
		if m != nil {
			absent[pathName(im.path)] = true
			if c.plan.asksForNothing(i) {
				continue
			}
			missing.Missing = append(missing.Missing, *m)
			continue
		}
		offered[i] = o
		if im.sort == binary.SortType {
			if o.resource == nil {
				missing.Missing = append(missing.Missing, Missing{Name: pathName(im.path), Reason: "expected a resource type"})
				continue
			}
			if im.res < 0 { // said to be one that was imported before
				if p.resources[im.typ.resource.index] != o.resource {
					missing.Missing = append(missing.Missing, Missing{Name: pathName(im.path),
						Reason: fmt.Sprintf("type mismatch: the resource is not %s", im.typ.resource.static.Name)})
				}
				continue
			}
			p.resources[im.res] = o.resource
		}
	}
	for i := range c.plan.imports {
		im, o := &c.plan.imports[i], offered[i]
		if o == nil {
			continue
		}
		reason := ""
		switch im.sort {
		case binary.SortFunc:
			switch {
			case o.fn == nil:
				reason = "expected a function"
			case o.fn.typ != nil:
				reason = p.mismatch(im.fn, o.fn.typ)
			}
			p.funcs[i] = o.fn
		case binary.SortInstance:
			if o.instance == nil {
				reason = "expected an instance"
			}
		case binary.SortCoreModule:
			if o.module == nil {
				reason = "expected a core module"
				break
			}
			reason = moduleMismatch(o.module.m, im.module)
			modules[i] = o.module
		}
		if reason != "" {
			missing.Missing = append(missing.Missing, Missing{Name: pathName(im.path), Reason: reason})
		}
	}
	if len(missing.Missing) > 0 {
		return nil, &missing
	}
	elements := c.engine.limits.TableElements
	footprint, share := c.plan.footprint, c.plan.footprint.Growth(elements)
	for i := range c.plan.steps {
		st := &c.plan.steps[i]
		if st.module >= 0 {
			continue
		}
		var one engine.Footprint
		own := engine.FootprintOf(modules[st.imported].m)
		err := footprint.Add(own, elements)
		if err == nil {
			err = one.Add(own, share)
		}
		var code *engine.Module
		if err == nil {
			code, err = p.linkImported(ctx, modules[st.imported], st, one.Growth(share))
		}
		if err != nil {
			return nil, fmt.Errorf("compile imported module %s: %w", pathName(c.plan.imports[st.imported].path), err)
		}
		p.modules[i] = code
	}
	p.calls = make([]func(i *Instance, stack []uint64), len(c.plan.trampolines))
	for i := range p.calls {
		p.calls[i] = p.trampoline(&c.plan.trampolines[i])
	}
	return p, nil
}

// code returns the core module that a step instantiates.
func (p *Prepared) code(step int) *engine.Module {
	if m := p.component.plan.steps[step].module; m >= 0 {
		return p.component.plan.modules[m].code
	}
	return p.modules[step]
}

// linkImported rewrites and compiles a module that was imported, for the
// instances that one step gives it.
func (p *Prepared) linkImported(ctx context.Context, m *Module, st *step, tableGrowth uint64) (*engine.Module, error) {
	names := make([]importName, len(m.m.Imports))
	for i, im := range m.m.Imports {
		for _, n := range st.names {
			if n.module == im.Module && n.name == im.Name {
				names[i] = linkName(n.item)
			}
		}
	}
	source, err := rewrite(m.m, names, tableGrowth)
	if err != nil {
		return nil, err
	}
	return p.component.engine.core.Compile(ctx, source)
}

// Close releases what belongs to it alone. No instance may be in use.
func (p *Prepared) Close(ctx context.Context) error {
	var err error
	for _, m := range p.modules {
		if e := m.Close(ctx); err == nil {
			err = e
		}
	}
	return err
}

// asksForNothing reports whether an import is an instance of types only, none of which
// is a resource of its own: nobody has to offer that.
func (p *plan) asksForNothing(i int) bool {
	path := p.imports[i].path
	if p.imports[i].sort != binary.SortInstance {
		return false
	}
	for j := range p.imports[i+1:] {
		im := &p.imports[i+1+j]
		if len(im.path) <= len(path) || !slices.Equal(im.path[:len(path)], path) {
			break // what is in an instance follows it
		}
		if im.sort != binary.SortInstance && (im.sort != binary.SortType || im.res >= 0) {
			return false
		}
	}
	return true
}

// mismatch reports how an offered function is not what is imported, or "".
func (p *Prepared) mismatch(want, got *canon.FuncType) string {
	if equalFunc(want, got, func(w, g *canon.Resource) bool { return p.resources[w.Index] == g.Type }) {
		return ""
	}
	return fmt.Sprintf("type mismatch: the component imports %s, the host offers %s", brief(want), brief(got))
}

// brief is the text of a type for a message, of which there may be many.
func brief(ft *canon.FuncType) string {
	const most = 2 << 10
	s := ft.String()
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
