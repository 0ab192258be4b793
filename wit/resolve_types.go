package wit

import "strings"

// scope holds the names of an interface or world: types and functions.
type scope struct {
	names map[string]scopeEntry
	order []string
}

type scopeEntry struct {
	typ  *TypeDef // nil for a function
	span span
}

func newScope() *scope { return &scope{names: map[string]scopeEntry{}} }

func (s *scope) define(id ident, t *TypeDef) error {
	if _, dup := s.names[id.name]; dup {
		return id.span.errorf("name `%s` is defined more than once", id.name)
	}
	s.names[id.name] = scopeEntry{t, id.span}
	s.order = append(s.order, id.name)
	return nil
}

// scopeOf returns the names of an interface. Those of packages that came
// resolved are collected when they are first asked for.
func (r *resolver) scopeOf(i *Interface) *scope {
	if s := r.scopes[i]; s != nil {
		return s
	}
	s := newScope()
	for _, t := range i.Types {
		s.names[t.Name] = scopeEntry{typ: t}
		s.order = append(s.order, t.Name)
	}
	for _, f := range i.Functions {
		if f.Kind == Freestanding {
			s.names[f.Name] = scopeEntry{}
		}
	}
	r.scopes[i] = s
	return s
}

// resolveInterface fills in i. It returns all types that were defined in it,
// those whose gate is closed too.
func (p *packageResolver) resolveInterface(i *Interface, items []item, d docs, attrs []attr) ([]*TypeDef, error) {
	i.Docs = docText(d)
	s, _, keep, err := p.gate(attrs, i.span)
	if err != nil {
		return nil, err
	}
	i.Stability = s
	if !keep {
		p.gated[i] = true
	}
	sc := newScope()
	p.scopes[i] = sc
	types, err := p.resolveTypes(i, sc, items)
	if err != nil {
		return nil, err
	}
	for _, t := range types {
		if !t.gated {
			i.Types = append(i.Types, t)
		}
	}
	for _, it := range items {
		var decls []*funcDecl
		var resource *TypeDef
		switch {
		case it.fn != nil:
			if err := sc.define(it.fn.name, nil); err != nil {
				return nil, err
			}
			decls = []*funcDecl{it.fn}
		case it.typ != nil && it.typ.expr.op == opResource:
			decls = it.typ.expr.funcs
			resource = sc.names[it.typ.name.name].typ
		}
		for _, decl := range decls {
			f, err := p.resolveFunction(sc, decl, resource)
			if err != nil {
				return nil, err
			}
			keep, err := p.keepFunction(f, keep)
			if err != nil {
				return nil, err
			}
			if keep {
				i.Functions = append(i.Functions, f)
			}
		}
	}
	return types, nil
}

func gatedReference(at span) error {
	return at.errorf("found a reference to a type which is excluded because its feature is not active")
}

// resolveTypes defines the types among items, used ones first, each after
// those that it refers to.
func (p *packageResolver) resolveTypes(owner Owner, sc *scope, items []item) ([]*TypeDef, error) {
	var types []*TypeDef
	add := func(id ident, t *TypeDef) error {
		types = append(types, t)
		return sc.define(id, t)
	}
	for _, it := range items {
		if it.use == nil {
			continue
		}
		s, externalID, keep, err := p.gate(it.use.attrs, it.use.from.name.span)
		if err != nil {
			return nil, err
		}
		from, err := p.lookupInterface(it.use.from, keep)
		if err != nil {
			return nil, err
		}
		for _, name := range it.use.names {
			t := &TypeDef{Name: name.local().name, Owner: owner, Stability: s, ExternalID: externalID, span: name.name.span, gated: !keep}
			target, err := p.usedType(from, name.name, keep)
			if err != nil {
				return nil, err
			}
			t.Kind = &Alias{target}
			t.root, t.borrows = target.rootOf(), target.borrows
			if err := add(name.local(), t); err != nil {
				return nil, err
			}
		}
	}
	var names []string
	deps := map[string][]ident{}
	decls := map[string]*typeDecl{}
	for _, it := range items {
		switch {
		case it.typ != nil:
			id := it.typ.name
			if decls[id.name] != nil {
				return nil, id.span.errorf("name `%s` is defined more than once", id.name)
			}
			names = append(names, id.name)
			decls[id.name] = it.typ
			deps[id.name] = typeNamesIn(it.typ.expr, nil)
		case it.use != nil:
			for _, name := range it.use.names {
				names = append(names, name.local().name)
			}
		}
	}
	order, err := toposort("type", names, deps, primNames[:])
	if err != nil {
		return nil, err
	}
	for _, name := range order {
		decl := decls[name]
		if decl == nil {
			continue
		}
		t := &TypeDef{Name: name, Owner: owner, Docs: docText(decl.docs), span: decl.name.span}
		s, externalID, keep, err := p.gate(decl.attrs, t.span)
		if err != nil {
			return nil, err
		}
		t.Stability, t.ExternalID = s, externalID
		if err := p.resolveKind(sc, t, decl.expr); err != nil {
			return nil, err
		}
		if keep && t.gated {
			return nil, gatedReference(t.span)
		}
		t.gated = !keep
		if err := add(decl.name, t); err != nil {
			return nil, err
		}
	}
	return types, nil
}

// usedType finds the type that a `use` names. If the statement's gate is
// closed, what it names need not exist.
func (p *packageResolver) usedType(from *Interface, name ident, keep bool) (*TypeDef, error) {
	missing := &TypeDef{Name: name.name, Kind: &Resource{}, gated: true}
	if from == nil {
		return missing, nil
	}
	if keep && p.gated[from] {
		return nil, name.span.errorf("found a reference to an interface which is excluded because its feature is not active")
	}
	sc := p.scopeOf(from)
	e, ok := sc.names[name.name]
	local := from.Package == p.pkg
	switch {
	case ok && e.typ == nil:
		return nil, name.span.errorf("cannot import function `%s`", name.name)
	case ok && keep && e.typ.gated && local:
		return nil, gatedReference(name.span)
	case ok && !(e.typ.gated && !local):
		return e.typ, nil
	case !keep && !local:
		return missing, nil
	}
	return nil, name.span.errorf("type `%s` does not exist in interface `%s`", name.name, from.Name).
		withHint(didYouMean(name.name, sc.order))
}

// rootOf returns the type at the end of the chain of aliases that begins at t.
func (t *TypeDef) rootOf() *TypeDef {
	if t.root != nil {
		return t.root
	}
	return t.Root()
}

func (t *TypeDef) isResource() bool {
	_, ok := t.rootOf().Kind.(*Resource)
	return ok
}

// typeNamesIn appends the names that a type expression refers to.
func typeNamesIn(e *typeExpr, names []ident) []ident {
	if e == nil {
		return names
	}
	switch e.op {
	case opName, opOwn, opBorrow:
		names = append(names, e.name)
	}
	for _, a := range e.args {
		names = typeNamesIn(a, names)
	}
	for _, m := range e.members {
		names = typeNamesIn(m.typ, names)
	}
	return names
}

func (p *packageResolver) named(sc *scope, id ident) (*TypeDef, error) {
	e, ok := sc.names[id.name]
	switch {
	case !ok:
		err := id.span.errorf("type `%s` does not exist", id.name)
		switch id.name {
		case "float32", "float64":
			return nil, err.withHint("the type has been renamed to `f" + id.name[len("float"):] + "`")
		}
		return nil, err.withHint(didYouMean(id.name, append(primNames[:], sc.order...)))
	case e.typ == nil:
		return nil, id.span.errorf("cannot use function `%s` as a type", id.name)
	}
	return e.typ, nil
}

func (p *packageResolver) resource(sc *scope, id ident) (*TypeDef, error) {
	t, err := p.named(sc, id)
	if err == nil && !t.isResource() {
		err = id.span.errorf("type `%s` used in a handle must be a resource", id.name)
	}
	return t, err
}

// resolveKind sets the kind of t from an expression.
func (p *packageResolver) resolveKind(sc *scope, t *TypeDef, e *typeExpr) error {
	// component resolves a part of t.
	component := func(e *typeExpr) (Type, error) {
		if e == nil {
			return nil, nil
		}
		part, err := p.resolveType(sc, e)
		if d, ok := part.(*TypeDef); ok {
			t.gated = t.gated || d.gated
			t.borrows = t.borrows || d.borrows
			if t.Name == "" && t.Stability == (Stability{}) {
				t.Stability = d.Stability
			}
		}
		return part, err
	}
	var args [2]Type
	for i, a := range e.args {
		if e.op == opTuple {
			break
		}
		var err error
		if args[i], err = component(a); err != nil {
			return err
		}
	}
	switch e.op {
	case opPrim:
		t.Kind = &Alias{e.prim}
	case opName:
		target, err := p.named(sc, e.name)
		if err != nil {
			return err
		}
		t.Kind = &Alias{target}
		t.root, t.gated, t.borrows = target.rootOf(), target.gated, target.borrows
	case opOwn, opBorrow:
		res, err := p.resource(sc, e.name)
		if err != nil {
			return err
		}
		t.gated = res.gated
		if t.Name == "" {
			t.Stability = res.Stability
		}
		if e.op == opOwn {
			t.Kind = &Own{res}
		} else {
			t.Kind, t.borrows = &Borrow{res}, true
		}
	case opList:
		t.Kind = &List{args[0]}
	case opFixedList:
		t.Kind = &FixedLengthList{args[0], e.len}
	case opMap:
		switch args[0] {
		case F32, F64, ErrorContext:
			return e.span.errorf("invalid map key type: map keys must be bool, an integer, char, or string")
		}
		if _, ok := args[0].(Prim); !ok {
			return e.span.errorf("invalid map key type: map keys must be bool, an integer, char, or string")
		}
		t.Kind = &Map{args[0], args[1]}
	case opOption:
		t.Kind = &Option{args[0]}
	case opResult:
		t.Kind = &Result{args[0], args[1]}
	case opFuture:
		t.Kind = &Future{args[0]}
	case opStream:
		t.Kind = &Stream{args[0]}
	case opTuple:
		tuple := &Tuple{}
		for _, a := range e.args {
			part, err := component(a)
			if err != nil {
				return err
			}
			tuple.Types = append(tuple.Types, part)
		}
		t.Kind = tuple
	case opResource:
		return resolveResource(t, e)
	default:
		return resolveMembers(t, e, component)
	}
	return nil
}

func resolveResource(t *TypeDef, e *typeExpr) error {
	t.Kind = &Resource{}
	seen := map[string]bool{}
	constructor := false
	for _, f := range e.funcs {
		if f.kind == Constructor {
			if constructor {
				return f.name.span.errorf("duplicate constructors")
			}
			constructor = true
			continue
		}
		if seen[f.name.name] {
			return f.name.span.errorf("duplicate function name `%s`", f.name.name)
		}
		seen[f.name.name] = true
	}
	return nil
}

// resolveMembers sets the kind of a record, variant, enum or flags type.
func resolveMembers(t *TypeDef, e *typeExpr, component func(*typeExpr) (Type, error)) error {
	what := map[typeOp]string{opRecord: "record", opVariant: "variant", opEnum: "enum", opFlags: "flags"}[e.op]
	if len(e.members) == 0 && (e.op == opVariant || e.op == opEnum) {
		return e.span.errorf("%s `%s` is empty", what, t.Name)
	}
	record, variant, labels := &Record{}, &Variant{}, []Label(nil)
	seen := map[string]bool{}
	for _, m := range e.members {
		key := strings.ToLower(m.name.name)
		if seen[key] {
			return m.name.span.errorf("duplicate name `%s` in %s `%s`", m.name.name, what, t.Name)
		}
		seen[key] = true
		typ, err := component(m.typ)
		if err != nil {
			return err
		}
		text := docText(m.docs)
		switch e.op {
		case opRecord:
			record.Fields = append(record.Fields, Field{m.name.name, typ, text})
		case opVariant:
			variant.Cases = append(variant.Cases, Case{m.name.name, typ, text})
		default:
			labels = append(labels, Label{m.name.name, text})
		}
	}
	switch e.op {
	case opRecord:
		t.Kind = record
	case opVariant:
		t.Kind = variant
	case opEnum:
		t.Kind = &Enum{labels}
	case opFlags:
		t.Kind = &Flags{labels}
	}
	return nil
}

// resolveType resolves an expression that stands where a value's type is
// wanted: there, a resource means a handle that owns it.
func (p *packageResolver) resolveType(sc *scope, e *typeExpr) (Type, error) {
	switch e.op {
	case opPrim:
		return e.prim, nil
	case opName:
		t, err := p.named(sc, e.name)
		if err != nil {
			return nil, err
		}
		if t.isResource() {
			return ownHandle(t), nil
		}
		return t, nil
	}
	t := &TypeDef{span: e.span}
	if err := p.resolveKind(sc, t, e); err != nil {
		return nil, err
	}
	return t, nil
}

func ownHandle(resource *TypeDef) *TypeDef {
	return &TypeDef{Kind: &Own{resource}, Stability: resource.Stability, gated: resource.gated, span: resource.span}
}
