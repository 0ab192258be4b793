package binary

// resourceNames are the names that resources have at the top level of the imports or of
// the exports.
type resourceNames struct {
	names map[resourceRef]string
	all   map[string]bool
}

func (n *resourceNames) register(name string, r resourceRef) {
	if n.names == nil {
		n.names, n.all = map[resourceRef]string{}, map[string]bool{}
	}
	n.names[r] = name
	n.all[name] = true
}

// withName returns t under a name of its own.
func (v *validator) withName(t anyType) anyType {
	switch t := t.(type) {
	case resourceRef:
		v.aliases++
		return resourceRef{resource: t.resource, alias: v.aliases}
	case *definedType:
		c := *t
		return &c
	case *funcType:
		c := *t
		return &c
	case *instanceType:
		c := *t
		return &c
	case *componentType:
		c := *t
		return &c
	}
	return t
}

// externType resolves the type of an import or export.
func (s *scope) externType(x *ExternType) (entity, error) {
	none := entity{}
	if x.Kind == ExternModule {
		t, err := at(s.coreTypes, x.Index, "type", x.Offset)
		if err != nil {
			return none, err
		}
		if t.module == nil {
			return none, invalid(x.Offset, "core type index %d is not a module type", x.Index)
		}
		return entity{module: t.module}, nil
	}
	switch x.Kind {
	case ExternValue:
		return none, invalid(x.Offset, "support for component model `value`s is not enabled")
	case ExternResource:
		r := resourceRef{resource: &resource{}}
		return entity{referenced: r, created: r}, nil
	}
	t, err := at(s.types, x.Index, "type", x.Offset)
	if err != nil {
		return none, err
	}
	switch x.Kind {
	case ExternTypeEq:
		return entity{referenced: t, created: s.withName(t)}, nil
	case ExternFunc:
		if f, ok := t.(*funcType); ok {
			return entity{fn: f}, nil
		}
		return none, invalid(x.Offset, "type index %d is not a function type", x.Index)
	case ExternComponent:
		if c, ok := t.(*componentType); ok {
			return entity{component: c}, nil
		}
		return none, invalid(x.Offset, "type index %d is not a component type", x.Index)
	case ExternInstance:
		if i, ok := t.(*instanceType); ok {
			return entity{instance: i}, nil
		}
		return none, invalid(x.Offset, "type index %d is not an instance type", x.Index)
	}
	return none, invalid(x.Offset, "unknown kind of import or export")
}

func (s *scope) importDef(d *Import) error {
	e, err := s.externType(&d.Type)
	if err != nil {
		return err
	}
	if e.instance != nil {
		e.instance = s.importInstance(e.instance)
	}
	if r, ok := e.created.(resourceRef); ok {
		if e.created == e.referenced {
			s.importedResources = append(s.importedResources, locatedResource{res: r.resource, path: []int{len(s.imports.names)}})
		}
		s.importedRes.register(d.Name.Name, r)
	}
	if err := s.push(e, d.Offset); err != nil {
		return err
	}
	if !s.named(&e, false) {
		return invalid(d.Offset, "%s not valid to be used as import", e.describe())
	}
	return s.extern(&d.Name, &e, "import", &s.importedRes, s.importNames, &s.imports, &s.measure, d.Offset)
}

func (s *scope) export(d *Export) error {
	e, err := s.entityAt(d.SortIdx, d.Offset)
	if err != nil {
		return err
	}
	if e.created != nil {
		e.created = s.withName(e.referenced)
	}
	if d.Type != nil {
		ascribed, err := s.externType(d.Type)
		if err != nil {
			return err
		}
		if err := s.subtype(d.Offset).entity(&e, &ascribed); err != nil {
			return within(err, "ascribed type of export is not compatible with item's type")
		}
		e = ascribed
	}
	return s.addExport(&d.Name, e, d.Offset)
}

func (s *scope) addExport(name *ExternName, e entity, offset int) error {
	if e.instance != nil {
		e.instance = s.exportInstance(e.instance)
	}
	if r, ok := e.created.(resourceRef); ok {
		if e.created == e.referenced {
			s.definedResources = append(s.definedResources, r.resource)
		}
		s.explicit[r.resource] = []int{len(s.exports.names)}
		s.exportedRes.register(name.Name, r)
	}
	if err := s.push(e, offset); err != nil {
		return err
	}
	if !s.named(&e, true) {
		return invalid(offset, "%s not valid to be used as export", e.describe())
	}
	return s.extern(name, &e, "export", &s.exportedRes, s.exportNames, &s.exports, &s.measure, offset)
}

// entityAt returns the type of a definition of the scope. A type is under its own name.
func (s *scope) entityAt(x SortIdx, offset int) (e entity, err error) {
	switch x.Sort {
	case SortCoreModule:
		e.module, err = at(s.coreModules, x.Index, "module", offset)
	case SortFunc:
		e.fn, err = at(s.funcs, x.Index, "function", offset)
	case SortComponent:
		e.component, err = at(s.components, x.Index, "component", offset)
	case SortInstance:
		e.instance, err = at(s.instances, x.Index, "instance", offset)
	case SortType:
		e.created, err = at(s.types, x.Index, "type", offset)
		e.referenced = e.created
	case SortValue:
		err = invalid(offset, "support for component model `value`s is not enabled")
	default:
		err = invalid(offset, "a %s cannot be used here", x.Sort)
	}
	return e, err
}

// push adds an entity to its index space.
func (s *scope) push(e entity, offset int) error {
	switch {
	case e.module != nil:
		s.coreModules = append(s.coreModules, e.module)
		return s.limit(len(s.coreModules), maxModules, "modules", offset)
	case e.fn != nil:
		s.funcs = append(s.funcs, e.fn)
	case e.component != nil:
		s.components = append(s.components, e.component)
		return s.limit(len(s.components), maxComponents, "components", offset)
	case e.instance != nil:
		s.instances = append(s.instances, e.instance)
		return s.limit(len(s.coreInstances)+len(s.instances), maxInstances, "instances", offset)
	default:
		s.types = append(s.types, e.created)
	}
	return nil
}

// importInstance returns the type of an instance that is imported: the resources that
// the type defines become resources that the component imports.
func (s *scope) importInstance(t *instanceType) *instanceType {
	if len(t.defined) == 0 {
		return t
	}
	m := s.substitution()
	for _, old := range t.defined {
		fresh := &resource{}
		m.resources[old] = fresh
		path := append([]int{len(s.imports.names)}, t.explicit[old]...)
		s.importedResources = append(s.importedResources, locatedResource{res: fresh, path: path})
	}
	return m.open(t)
}

// exportInstance returns the type of an instance that is exported: in a type, the
// resources that it defines become resources that the enclosing type defines.
func (s *scope) exportInstance(t *instanceType) *instanceType {
	if len(t.defined) > 0 {
		m := s.substitution()
		for _, old := range t.defined {
			fresh := &resource{}
			m.resources[old] = fresh
			s.definedResources = append(s.definedResources, fresh)
		}
		t = m.open(t)
	}
	for r, path := range t.explicit {
		s.explicit[r] = append([]int{len(s.exports.names)}, path...)
	}
	return t
}

// open returns t with its resources replaced and none left to define.
func (m *substitution) open(t *instanceType) *instanceType {
	opened := *t
	opened.exports, _ = m.items(t.exports)
	opened.explicit, _ = m.paths(t.explicit)
	opened.defined = nil
	return &opened
}

// named tells whether all types that e refers to have a name among the imports (or, for
// an export, among imports and exports), and gives names to those that e introduces
// (Explainer.md, "External visibility of types").
func (s *scope) named(e *entity, export bool) bool {
	if s.kind == inInstanceType {
		return true
	}
	set := s.importedTypes
	if export {
		set = s.exportedTypes
	}
	switch {
	case e.created != nil:
		if !s.partsNamed(e.referenced, set) {
			return false
		}
		s.exportedTypes[e.created] = true
		if !export {
			s.importedTypes[e.created] = true
		}
	case e.instance != nil:
		for i := range e.instance.exports.entities {
			if !s.named(&e.instance.exports.entities[i], export) {
				return false
			}
		}
	case e.fn != nil:
		return s.partsNamed(e.fn, set)
	}
	return true
}

// partsNamed tells whether the types that t consists of have names.
func (v *validator) partsNamed(t anyType, set map[anyType]bool) bool {
	v.work++
	switch t := t.(type) {
	case *definedType:
		if t.shape == shapeOwn || t.shape == shapeBorrow {
			return set[t.resource]
		}
		for _, p := range t.parts {
			if p != nil && !v.valueNamed(*p, set) {
				return false
			}
		}
	case *funcType:
		for _, p := range t.params {
			if !v.valueNamed(p, set) {
				return false
			}
		}
		return t.result == nil || v.valueNamed(*t.result, set)
	case *instanceType:
		for i := range t.exports.entities {
			e := &t.exports.entities[i]
			switch {
			case e.fn != nil && !v.partsNamed(e.fn, set):
				return false
			case e.created != nil && !v.partsNamed(e.created, set):
				return false
			case e.instance != nil && !v.partsNamed(e.instance, set):
				return false
			}
		}
	}
	return true
}

// valueNamed tells whether t has a name, or needs none and its parts have.
func (v *validator) valueNamed(t valType, set map[anyType]bool) bool {
	if t.def == nil {
		return true
	}
	switch t.def.shape {
	case shapeRecord, shapeVariant, shapeFlags, shapeEnum:
		return set[t.def]
	}
	return v.partsNamed(t.def, set)
}

// extern checks the name of an import or export and adds the item.
func (s *scope) extern(name *ExternName, e *entity, what string, resources *resourceNames,
	keys map[string]string, list *items, m *measure, offset int) error {
	n, err := parseName(name.Name, s.on&FeatureNestedNames != 0)
	if err != nil {
		return within(invalid(offset, "%s", err), "%s name `%s` is not a valid extern name", what, name.Name)
	}
	if what == "export" && (n.kind == nameHash || n.kind == nameURL || n.kind == nameDependency) {
		return invalid(offset, "name `%s` is not a valid export name", name.Name)
	}
	if err := s.attributes(name, n, e, offset); err != nil {
		return err
	}
	if err := resources.check(n, name.VersionSuffix, e, offset); err != nil {
		return within(err, "%s name `%s` is not valid", what, name.Name)
	}
	key := n.key()
	if previous, ok := keys[key]; ok {
		return invalid(offset, "%s name `%s` conflicts with previous name `%s`", what, name.Name, previous)
	}
	keys[key] = name.Name
	list.add(name.Name, *e)
	return m.add(e.measure(), offset)
}

// attributes checks what is written beside a name.
func (s *scope) attributes(name *ExternName, n *externName, e *entity, offset int) error {
	if name.HasImplements || name.HasExternalID {
		if err := s.need(FeatureImplements, offset, "the `cm-implements` feature is not active"); err != nil {
			return err
		}
	}
	if name.HasImplements {
		if n.kind != nameLabel {
			return invalid(offset, "name `%s` is not valid with `implements`", name.Name)
		}
		if e.instance == nil {
			return invalid(offset, "only instances can have an `implements`")
		}
		of, err := parseName(name.Implements, s.on&FeatureNestedNames != 0)
		if err != nil {
			return within(invalid(offset, "%s", err), "`%s` is not a valid name", name.Implements)
		}
		if of.kind != nameInterface {
			return invalid(offset, "name `%s` must be an interface", name.Implements)
		}
	}
	if name.HasVersionSuffix {
		if err := s.need(FeatureCanonNames, offset, "the `cm-canon-names` feature is not active"); err != nil {
			return err
		}
		if e.instance == nil {
			return invalid(offset, "only instances can have an `versionsuffix`")
		}
		if !isCanonVersion(n.version) {
			return invalid(offset, "invalid interface version: `%s` is not a canonical version, which a version suffix needs", n.version)
		}
	}
	return nil
}

// check checks that an item is what its name says.
func (r *resourceNames) check(n *externName, suffix string, e *entity, offset int) error {
	switch n.kind {
	case nameInterface:
		if n.hasVersion {
			if err := checkSemver(n.version + suffix); err != nil {
				return invalid(offset, "invalid interface version: %s", err)
			}
		}
		return nil
	case nameConstructor, nameMethod, nameStatic:
	default:
		return nil
	}
	if e.fn == nil {
		return invalid(offset, "item is not a func")
	}
	switch n.kind {
	case nameStatic:
		if !r.all[n.resource] {
			return invalid(offset, "static resource name is not known in this context")
		}
		return nil
	case nameMethod:
		if len(e.fn.params) == 0 {
			return invalid(offset, "function should have at least one argument")
		}
		if e.fn.names[0] != "self" {
			return invalid(offset, "function should have a first argument called `self`")
		}
		self := e.fn.params[0].def
		if self == nil || self.shape != shapeBorrow {
			return invalid(offset, "function should take a first argument of `(borrow $T)`")
		}
		return r.match(self.resource, n.resource, offset)
	}
	if e.fn.async {
		return invalid(offset, "constructor function cannot be async")
	}
	if e.fn.result == nil {
		return invalid(offset, "function should return one value")
	}
	result := e.fn.result.def
	if result != nil && result.shape == shapeResult && result.parts[0] != nil {
		result = result.parts[0].def
	}
	if result == nil || result.shape != shapeOwn {
		return invalid(offset, "function should return `(own $T)` or `(result (own $T))`")
	}
	return r.match(result.resource, n.resource, offset)
}

func (r *resourceNames) match(ref resourceRef, name string, offset int) error {
	known, ok := r.names[ref]
	if !ok {
		return invalid(offset, "resource used in function does not have a name in this context")
	}
	if known != name {
		return invalid(offset, "function does not match expected resource name `%s`", known)
	}
	return nil
}
