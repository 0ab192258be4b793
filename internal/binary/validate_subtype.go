package binary

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

func invalid(offset int, format string, args ...any) error {
	return &Error{Offset: offset, Rule: fmt.Sprintf(format, args...)}
}

// within adds to an error where it was found.
func within(err error, format string, args ...any) error {
	var e *Error
	if err == nil || !errors.As(err, &e) {
		return err
	}
	outer := *e
	outer.Rule = fmt.Sprintf(format, args...) + ": " + e.Rule
	return &outer
}

// subtype checks whether one type can stand for another (Explainer.md, "Type Checking").
// Errors are at offset.
type subtype struct {
	*validator
	offset int
}

func (s subtype) fail(format string, args ...any) error { return invalid(s.offset, format, args...) }

func (s subtype) entity(a, b *entity) error {
	switch {
	case a.module != nil && b.module != nil:
		return s.module(a.module, b.module)
	case a.fn != nil && b.fn != nil:
		return s.function(a.fn, b.fn)
	case a.component != nil && b.component != nil:
		return s.component(a.component, b.component)
	case a.instance != nil && b.instance != nil:
		return s.instance(a.instance, b.instance)
	case a.created != nil && b.created != nil:
		return s.any(a.referenced, b.referenced)
	}
	return s.fail("expected %s, found %s", b.describe(), a.describe())
}

func (s subtype) any(a, b anyType) error {
	switch a := a.(type) {
	case resourceRef:
		if b, ok := b.(resourceRef); ok {
			if a.resource == b.resource {
				return nil
			}
			return s.fail("resource types are not the same")
		}
	case *definedType:
		if b, ok := b.(*definedType); ok {
			return s.defined(a, b)
		}
	case *funcType:
		if b, ok := b.(*funcType); ok {
			return s.function(a, b)
		}
	case *instanceType:
		if b, ok := b.(*instanceType); ok {
			return s.instance(a, b)
		}
	case *componentType:
		if b, ok := b.(*componentType); ok {
			return s.component(a, b)
		}
	}
	return s.fail("expected %s, found %s", b.describe(), a.describe())
}

// component checks that a imports no more than b and exports no less.
func (s subtype) component(a, b *componentType) error {
	given := map[string]*entity{}
	for i, name := range b.imports.names {
		given[name] = &b.imports.entities[i]
	}
	m, err := s.open(given, &a.imports, a.imported, "import")
	if err != nil {
		return err
	}
	exports := map[string]*entity{}
	for i, name := range a.exports.names {
		e := m.entity(a.exports.entities[i])
		exports[name] = &e
	}
	_, err = s.open(exports, &b.exports, b.defined, "export")
	return err
}

func (s subtype) instance(a, b *instanceType) error {
	pair := [2]anyType{a, b}
	if s.known[pair] {
		return nil
	}
	for _, name := range b.exports.names {
		if _, ok := a.exports.get(name); !ok {
			return s.fail("missing expected export `%s`", name)
		}
	}
	s.work += len(b.exports.names)
	for i, name := range b.exports.names {
		have, _ := a.exports.get(name)
		if err := s.entity(have, &b.exports.entities[i]); err != nil {
			return within(err, "type mismatch in instance export `%s`", name)
		}
	}
	s.known[pair] = true
	return nil
}

func (s subtype) function(a, b *funcType) error {
	if a.async != b.async {
		word := map[bool]string{true: "async", false: "sync"}
		return s.fail("expected %s function, found %s function", word[b.async], word[a.async])
	}
	if len(a.params) != len(b.params) {
		return s.fail("expected %d parameters, found %d", len(b.params), len(a.params))
	}
	for i := range a.params {
		if a.names[i] != b.names[i] {
			return s.fail("expected parameter named `%s`, found `%s`", b.names[i], a.names[i])
		}
		if err := s.value(a.params[i], b.params[i]); err != nil {
			return within(err, "type mismatch in function parameter `%s`", a.names[i])
		}
	}
	switch {
	case a.result != nil && b.result != nil:
		return within(s.value(*a.result, *b.result), "type mismatch with result type")
	case b.result == nil && a.result != nil:
		return s.fail("expected a result, found none")
	case a.result == nil && b.result != nil:
		return s.fail("expected no result, found one")
	}
	return nil
}

func (s subtype) value(a, b valType) error {
	pa, aok := a.primitive()
	pb, bok := b.primitive()
	switch {
	case aok && bok && pa == pb:
		return nil
	case aok && bok:
		return s.fail("expected primitive `%s` found primitive `%s`", primNames[pb], primNames[pa])
	case aok:
		return s.fail("expected %s, found %s", b.describe(), primNames[pa])
	case bok && b.def != nil && a.def != nil:
		return s.fail("expected primitive, found %s", a.describe())
	case bok:
		return s.fail("expected %s, found %s", primNames[pb], a.describe())
	}
	return s.defined(a.def, b.def)
}

func (s subtype) defined(a, b *definedType) error {
	pair := [2]anyType{a, b}
	if a == b || s.known[pair] {
		return nil
	}
	if a.shape == shapePrim || b.shape == shapePrim {
		return s.value(valType{def: a}, valType{def: b})
	}
	if a.shape != b.shape {
		return s.fail("expected %s, found %s", b.kind(), a.kind())
	}
	switch a.shape {
	case shapeRecord, shapeVariant, shapeTuple:
		plural, singular := "fields", "field name"
		switch a.shape {
		case shapeVariant:
			plural, singular = "cases", "case named"
		case shapeTuple:
			plural = "types"
		}
		if len(a.parts) != len(b.parts) {
			return s.fail("expected %d %s, found %d", len(b.parts), plural, len(a.parts))
		}
		for i := range a.names {
			if a.names[i] != b.names[i] {
				return s.fail("expected %s `%s`, found `%s`", singular, b.names[i], a.names[i])
			}
		}
	case shapeFlags, shapeEnum:
		if !slices.Equal(a.names, b.names) {
			return s.fail("mismatch in %s elements", a.kind())
		}
		return nil
	case shapeFixedList:
		if a.length != b.length {
			return s.fail("expected fixed-length %d, found size %d", b.length, a.length)
		}
	case shapeOwn, shapeBorrow:
		if a.resource.resource != b.resource.resource {
			return s.fail("resource types are not the same")
		}
		return nil
	}
	s.work += len(a.parts)
	for i := range a.parts {
		if err := s.part(a, b, i); err != nil {
			return err
		}
	}
	s.known[pair] = true
	return nil
}

// part checks part i of two types of one shape.
func (s subtype) part(a, b *definedType, i int) error {
	pa, pb := a.parts[i], b.parts[i]
	switch {
	case pa == nil && pb == nil:
		return nil
	case pa == nil || pb == nil:
		missing := pa == nil
		switch {
		case a.shape == shapeVariant && missing:
			return s.fail("expected case `%s` to have a type, found none", a.names[i])
		case a.shape == shapeVariant:
			return s.fail("expected case `%s` to have no type", a.names[i])
		}
		what := a.kind()
		if a.shape == shapeResult {
			what = [2]string{"ok", "err"}[i]
		}
		if missing {
			return s.fail("expected %s type, but found none", what)
		}
		return s.fail("expected %s type to not be present", what)
	}
	err := s.value(*pa, *pb)
	if err == nil {
		return nil
	}
	switch a.shape {
	case shapeRecord:
		return within(err, "type mismatch in record field `%s`", a.names[i])
	case shapeVariant:
		return within(err, "type mismatch in variant case `%s`", a.names[i])
	case shapeTuple:
		return within(err, "type mismatch in tuple field %d", i)
	case shapeResult:
		return within(err, "type mismatch in %s variant", [2]string{"ok", "err"}[i])
	case shapeMap:
		return within(err, "type mismatch in map %s", [2]string{"key", "value"}[i])
	case shapeStream, shapeFuture:
		return within(err, "type mismatch in %s", a.kind())
	}
	return err
}

// open checks that what is given has all the items of a component type, and returns the
// substitution that turns the resources of that type into those that are given. located
// are the resources that the items introduce.
func (s subtype) open(given map[string]*entity, wanted *items, located []locatedResource, what string) (*substitution, error) {
	m := s.substitution()
	s.work += len(wanted.names)
	for _, l := range located {
		want := &wanted.entities[l.path[0]]
		have := given[wanted.names[l.path[0]]]
		for _, i := range l.path[1:] {
			name := want.instance.exports.names[i]
			want = &want.instance.exports.entities[i]
			if have == nil || have.instance == nil {
				have = nil
				break
			}
			have, _ = have.instance.exports.get(name)
		}
		if have == nil {
			continue
		}
		if r, ok := have.created.(resourceRef); ok {
			m.resources[l.res] = r.resource
		}
	}
	for _, name := range wanted.names {
		if given[name] == nil {
			return nil, s.fail("missing %s named `%s`", what, name)
		}
	}
	renamed := map[anyType]anyType{}
	for i, name := range wanted.names {
		// Each item is substituted by itself: names of types are taken over below.
		m.types = nil
		want := m.entity(wanted.entities[i])
		if err := s.entity(given[name], &want); err != nil {
			return nil, within(err, "type mismatch for %s `%s`", what, name)
		}
		rename(&wanted.entities[i], given[name], renamed)
	}
	m.types = renamed
	return m, nil
}

// rename records which given type stands for each type that is wanted.
func rename(want, have *entity, renamed map[anyType]anyType) {
	switch {
	case want.created != nil && have.created != nil:
		renamed[want.created] = have.created
	case want.instance != nil && have.instance != nil:
		for i, name := range want.instance.exports.names {
			if e, ok := have.instance.exports.get(name); ok {
				rename(&want.instance.exports.entities[i], e, renamed)
			}
		}
	}
}

// module checks that a imports no more than b and exports no less.
func (s subtype) module(a, b *moduleType) error {
	for _, name := range a.imports.names {
		have, ok := b.imports.items[name]
		if !ok {
			return s.fail("missing expected import `%s::%s`", name.module, name.name)
		}
		if err := s.core(have, a.imports.items[name]); err != nil {
			return within(err, "type mismatch in import `%s::%s`", name.module, name.name)
		}
	}
	for _, name := range b.exports.names {
		have, ok := a.exports.items[name]
		if !ok {
			return s.fail("missing expected export `%s`", name.name)
		}
		if err := s.core(have, b.exports.items[name]); err != nil {
			return within(err, "type mismatch in export `%s`", name.name)
		}
	}
	return nil
}

// core checks that an item can be given for another, as in import matching of the core
// specification.
func (s subtype) core(a, b coreItem) error {
	if a.kind != b.kind {
		return s.fail("expected %s, found %s", coreKindName(b.kind), coreKindName(a.kind))
	}
	switch a.kind {
	case wasm.KindFunc, wasm.KindTag:
		if a.fn != b.fn {
			return s.fail("expected: %s\nfound:    %s", b.fn, a.fn)
		}
	case wasm.KindTable:
		return s.table(a.table, b.table)
	case wasm.KindMemory:
		return s.memory(a.memory, b.memory)
	case wasm.KindGlobal:
		if a.global.Mutable != b.global.Mutable {
			return s.fail("global types differ in mutability")
		}
		if a.global.Val != b.global.Val {
			return s.fail("expected global type %s, found %s", b.global.Val, a.global.Val)
		}
	}
	return nil
}

func (s subtype) table(a, b wasm.TableType) error {
	switch {
	case a.Elem != b.Elem:
		return s.fail("expected table element type %s, found %s", b.Elem, a.Elem)
	case a.Limits.Shared != b.Limits.Shared:
		return s.fail("mismatch in the shared flag for tables")
	case a.Limits.Index64 != b.Limits.Index64:
		return s.fail("mismatch in index type used for tables")
	case !a.Limits.Within(b.Limits):
		return s.fail("mismatch in table limits")
	}
	return nil
}

func (s subtype) memory(a, b wasm.MemoryType) error {
	switch {
	case a.Limits.Shared != b.Limits.Shared:
		return s.fail("mismatch in the shared flag for memories")
	case a.Limits.Index64 != b.Limits.Index64:
		return s.fail("mismatch in index type used for memories")
	case a.PageSizeLog2 != b.PageSizeLog2:
		return s.fail("mismatch in page size for memories")
	case !a.Limits.Within(b.Limits):
		return s.fail("mismatch in memory limits")
	}
	return nil
}
