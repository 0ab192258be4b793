package binary

// instance checks the instantiation of a component or a bundle of exports.
func (s *scope) instance(d *Instance) error {
	var t *instanceType
	var err error
	if d.Inline {
		t, err = s.bundle(d)
	} else {
		t, err = s.instantiate(d)
	}
	if err != nil {
		return err
	}
	s.instances = append(s.instances, t)
	return s.limit(len(s.coreInstances)+len(s.instances), maxInstances, "instances", d.Offset)
}

func (s *scope) instantiate(d *Instance) (*instanceType, error) {
	c, err := at(s.components, d.Component, "component", d.Offset)
	if err != nil {
		return nil, err
	}
	args := map[string]*entity{}
	for _, a := range d.Args {
		e, err := s.entityAt(a.SortIdx, d.Offset)
		if err != nil {
			return nil, err
		}
		if args[a.Name] != nil {
			return nil, invalid(d.Offset, "instantiation argument `%s` conflicts with previous argument `%s`", a.Name, a.Name)
		}
		args[a.Name] = &e
	}
	m, err := s.subtype(d.Offset).open(args, &c.imports, c.imported, "import")
	if err != nil {
		return nil, err
	}
	t := &instanceType{measure: leaf}
	for _, l := range c.defined {
		// Each instantiation makes a resource of its own.
		fresh := &resource{}
		m.resources[l.res] = fresh
		s.definedResources = append(s.definedResources, fresh)
	}
	for i := range c.exports.entities {
		if err := t.measure.add(c.exports.entities[i].measure(), d.Offset); err != nil {
			return nil, err
		}
	}
	t.exports, _ = m.items(c.exports)
	t.explicit, _ = m.paths(c.explicit)
	return t, nil
}

func (s *scope) bundle(d *Instance) (*instanceType, error) {
	t := &instanceType{measure: leaf, explicit: map[*resource][]int{}}
	keys := map[string]string{}
	for i := range d.Exports {
		x := &d.Exports[i]
		e, err := s.entityAt(x.SortIdx, d.Offset)
		if err != nil {
			return nil, err
		}
		at := len(t.exports.names)
		if e.instance != nil {
			for r, path := range e.instance.explicit {
				t.explicit[r] = append([]int{at}, path...)
			}
		}
		if r, ok := e.created.(resourceRef); ok {
			t.explicit[r.resource] = []int{at}
		}
		if err := s.extern(&x.Name, &e, "export", &resourceNames{}, keys, &t.exports, &t.measure, d.Offset); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// outer returns the scope that many levels out.
func (s *scope) outer(count uint32, offset int) (*scope, error) {
	from := s
	for range count {
		if from = from.parent; from == nil {
			break
		}
	}
	if from == nil {
		return nil, invalid(offset, "invalid outer alias count of %d", count)
	}
	return from, nil
}

func (s *scope) alias(a *Alias) error {
	if s.kind != inComponent {
		instances := a.Kind == AliasExport && (a.Sort == SortType || a.Sort == SortInstance)
		types := a.Kind == AliasOuter && (a.Sort == SortType || a.Sort == SortCoreType)
		if !instances && !types {
			return invalid(a.Offset, "aliases in a component or instance type may only refer to types or instances")
		}
	}
	switch a.Kind {
	case AliasExport:
		return s.aliasExport(a)
	case AliasCoreExport:
		return s.aliasCoreExport(a)
	default:
		return s.aliasOuter(a)
	}
}

func (s *scope) aliasExport(a *Alias) error {
	i, err := at(s.instances, a.Instance, "instance", a.Offset)
	if err != nil {
		return err
	}
	e, ok := i.exports.get(a.Name)
	if !ok {
		return invalid(a.Offset, "instance %d has no export named `%s`", a.Instance, a.Name)
	}
	is := map[Sort]bool{
		SortCoreModule: e.module != nil, SortFunc: e.fn != nil, SortComponent: e.component != nil,
		SortInstance: e.instance != nil, SortType: e.created != nil,
	}
	if !is[a.Sort] {
		word := a.Sort.String()
		if a.Sort == SortCoreModule {
			word = "module"
		}
		return invalid(a.Offset, "export `%s` for instance %d is not a %s", a.Name, a.Instance, word)
	}
	return s.push(*e, a.Offset)
}

func (s *scope) aliasOuter(a *Alias) error {
	from, err := s.outer(a.Count, a.Offset)
	if err != nil {
		return err
	}
	switch a.Sort {
	case SortCoreModule:
		m, err := at(from.coreModules, a.Index, "module", a.Offset)
		if err != nil {
			return err
		}
		return s.push(entity{module: m}, a.Offset)
	case SortComponent:
		c, err := at(from.components, a.Index, "component", a.Offset)
		if err != nil {
			return err
		}
		return s.push(entity{component: c}, a.Offset)
	case SortCoreType:
		t, err := at(from.coreTypes, a.Index, "type", a.Offset)
		if err != nil {
			return err
		}
		s.coreTypes = append(s.coreTypes, t)
	case SortType:
		t, err := at(from.types, a.Index, "type", a.Offset)
		if err != nil {
			return err
		}
		if s.crossesComponent(from) {
			free := s.newFreeResources()
			free.any(t)
			if len(free.found) > 0 {
				return invalid(a.Offset, "cannot alias outer type which transitively refers to resources not defined in the current component")
			}
		}
		s.types = append(s.types, t)
	default:
		return invalid(a.Offset, "invalid outer alias of a %s: only modules, components and types can be aliased", a.Sort)
	}
	return nil
}

// crossesComponent tells whether there is the border of a component between s and the
// enclosing scope from.
func (s *scope) crossesComponent(from *scope) bool {
	for in := s; in != from; in = in.parent {
		if in.kind == inComponent {
			return true
		}
	}
	return false
}
