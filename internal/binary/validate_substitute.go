package binary

// substitution replaces resources in types. Types in which nothing is replaced stay the
// same, in identity too.
type substitution struct {
	*validator
	resources map[*resource]*resource
	// types has what became of types that were met, and names to take over.
	types map[anyType]anyType
}

func (v *validator) substitution() *substitution {
	return &substitution{validator: v, resources: map[*resource]*resource{}}
}

func (m *substitution) any(t anyType) anyType {
	if to, ok := m.types[t]; ok {
		return to
	}
	m.work++
	to := t
	switch t := t.(type) {
	case resourceRef:
		// Not recorded: the alias tells references to a replaced resource apart.
		if r, ok := m.resources[t.resource]; ok {
			return resourceRef{resource: r, alias: t.alias}
		}
		return t
	case *definedType:
		to = m.defined(t)
	case *funcType:
		to = m.function(t)
	case *instanceType:
		to = m.instance(t)
	case *componentType:
		to = m.component(t)
	}
	if m.types == nil {
		m.types = map[anyType]anyType{}
	}
	m.types[t] = to
	return to
}

func (m *substitution) ref(r resourceRef) resourceRef {
	if to, ok := m.any(r).(resourceRef); ok {
		return to
	}
	return r
}

// value substitutes in a value type that may be absent.
func (m *substitution) value(t *valType) *valType {
	if t == nil || t.def == nil {
		return t
	}
	to, ok := m.any(t.def).(*definedType)
	if !ok || to == t.def {
		return t
	}
	return &valType{def: to}
}

func (m *substitution) defined(t *definedType) *definedType {
	switch t.shape {
	case shapeOwn, shapeBorrow:
		if r := m.ref(t.resource); r != t.resource {
			to := *t
			to.resource = r
			return &to
		}
		return t
	}
	var parts []*valType
	for i, p := range t.parts {
		if q := m.value(p); q != p {
			if parts == nil {
				parts = append(parts, t.parts...)
			}
			parts[i] = q
		}
	}
	if parts == nil {
		return t
	}
	to := *t
	to.parts = parts
	return &to
}

func (m *substitution) function(t *funcType) *funcType {
	to := *t
	to.params = append([]valType(nil), t.params...)
	to.result = m.value(t.result)
	changed := to.result != t.result
	for i := range t.params {
		if q := m.value(&t.params[i]); q != &t.params[i] {
			to.params[i] = *q
			changed = true
		}
	}
	if !changed {
		return t
	}
	return &to
}

func (m *substitution) items(l items) (items, bool) {
	to := items{names: l.names, index: l.index, entities: make([]entity, len(l.entities))}
	changed := false
	m.work += len(l.entities)
	for i := range l.entities {
		to.entities[i] = m.entity(l.entities[i])
		changed = changed || to.entities[i] != l.entities[i]
	}
	return to, changed
}

func (m *substitution) paths(explicit map[*resource][]int) (map[*resource][]int, bool) {
	to := make(map[*resource][]int, len(explicit))
	changed := false
	for r, path := range explicit {
		if other, ok := m.resources[r]; ok {
			r = other
			changed = true
		}
		to[r] = path
	}
	return to, changed
}

func (m *substitution) located(list []locatedResource) ([]locatedResource, bool) {
	to := append([]locatedResource(nil), list...)
	changed := false
	for i := range to {
		if r, ok := m.resources[to[i].res]; ok {
			to[i].res = r
			changed = true
		}
	}
	return to, changed
}

func (m *substitution) instance(t *instanceType) *instanceType {
	to := *t
	var c1, c2, c3 bool
	to.exports, c1 = m.items(t.exports)
	to.explicit, c2 = m.paths(t.explicit)
	to.defined = append([]*resource(nil), t.defined...)
	for i, r := range to.defined {
		if other, ok := m.resources[r]; ok {
			to.defined[i] = other
			c3 = true
		}
	}
	if !c1 && !c2 && !c3 {
		return t
	}
	return &to
}

func (m *substitution) component(t *componentType) *componentType {
	to := *t
	var c [5]bool
	to.imports, c[0] = m.items(t.imports)
	to.exports, c[1] = m.items(t.exports)
	to.imported, c[2] = m.located(t.imported)
	to.defined, c[3] = m.located(t.defined)
	to.explicit, c[4] = m.paths(t.explicit)
	if c == [5]bool{} {
		return t
	}
	return &to
}

func (m *substitution) entity(e entity) entity {
	switch {
	case e.fn != nil:
		e.fn = m.any(e.fn).(*funcType)
	case e.instance != nil:
		e.instance = m.any(e.instance).(*instanceType)
	case e.component != nil:
		e.component = m.any(e.component).(*componentType)
	case e.created != nil:
		same := e.referenced == e.created
		e.referenced = m.any(e.referenced)
		if same {
			e.created = e.referenced
		} else {
			e.created = m.any(e.created)
		}
	}
	return e
}

// freeResources are resources that types refer to without defining them.
type freeResources struct {
	*validator
	found map[*resource]bool
	seen  map[anyType]bool
}

func (v *validator) newFreeResources() *freeResources {
	return &freeResources{validator: v, found: map[*resource]bool{}, seen: map[anyType]bool{}}
}

func (f *freeResources) any(t anyType) {
	if f.seen[t] {
		return
	}
	f.seen[t] = true
	f.work++
	switch t := t.(type) {
	case resourceRef:
		f.found[t.resource] = true
	case *definedType:
		if t.shape == shapeOwn || t.shape == shapeBorrow {
			f.found[t.resource.resource] = true
		}
		for _, p := range t.parts {
			f.value(p)
		}
	case *funcType:
		for i := range t.params {
			f.value(&t.params[i])
		}
		f.value(t.result)
	case *instanceType:
		inner := f.newFreeResources()
		inner.items(&t.exports)
		for _, r := range t.defined {
			delete(inner.found, r)
		}
		f.add(inner)
	case *componentType:
		inner := f.newFreeResources()
		inner.items(&t.imports)
		inner.items(&t.exports)
		for _, l := range t.imported {
			delete(inner.found, l.res)
		}
		for _, l := range t.defined {
			delete(inner.found, l.res)
		}
		f.add(inner)
	}
}

func (f *freeResources) add(other *freeResources) {
	for r := range other.found {
		f.found[r] = true
	}
}

func (f *freeResources) value(t *valType) {
	if t != nil && t.def != nil {
		f.any(t.def)
	}
}

func (f *freeResources) items(l *items) {
	for i := range l.entities {
		e := &l.entities[i]
		switch {
		case e.fn != nil:
			f.any(e.fn)
		case e.instance != nil:
			f.any(e.instance)
		case e.component != nil:
			f.any(e.component)
		case e.created != nil:
			f.any(e.created)
		}
	}
}
