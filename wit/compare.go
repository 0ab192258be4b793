package wit

import (
	"errors"
	"fmt"
	"strings"
)

// CompareFunctions tells how two functions differ, and returns nil if each can stand for
// the other. The names of types do not matter, but those of resources, and of
// parameters, fields, cases and flags. Packages may differ in their versions if these are
// of one track.
func CompareFunctions(a, b *Function) error {
	return (&comparison{same: map[[2]*TypeDef]bool{}}).functions(a, b)
}

// CompareTypes tells how two types differ, as [CompareFunctions] does. Nil stands for the
// type of no value.
func CompareTypes(a, b Type) error {
	return (&comparison{same: map[[2]*TypeDef]bool{}}).types(a, b)
}

// Signature returns the type of the function as in WIT, with the parameter self of a
// method.
func (f *Function) Signature() string {
	var b strings.Builder
	if f.Async {
		b.WriteString("async ")
	}
	b.WriteString("func(")
	for i, p := range f.Params {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s: %s", p.Name, typeText(p.Type))
	}
	b.WriteString(")")
	if f.Result != nil {
		b.WriteString(" -> " + typeText(f.Result))
	}
	return b.String()
}

// typeText is the type as it is written where it is used. A type that is not there is _.
func typeText(t Type) string {
	if s, ok := t.(fmt.Stringer); ok {
		return s.String()
	}
	return "_"
}

// comparison compares types of two sets of packages. same are pairs that are known to be
// the same.
type comparison struct{ same map[[2]*TypeDef]bool }

func (c *comparison) functions(a, b *Function) error {
	if a.Async != b.Async {
		return errors.New("only one is async")
	}
	if len(a.Params) != len(b.Params) {
		return fmt.Errorf("%d and %d parameters", len(a.Params), len(b.Params))
	}
	for i, p := range a.Params {
		if q := b.Params[i]; p.Name != q.Name {
			return fmt.Errorf("parameter %d is named %q and %q", i+1, p.Name, q.Name)
		}
		if err := c.types(p.Type, b.Params[i].Type); err != nil {
			return fmt.Errorf("parameter %q: %w", p.Name, err)
		}
	}
	if err := c.types(a.Result, b.Result); err != nil {
		return fmt.Errorf("result: %w", err)
	}
	return nil
}

// plain follows aliases, also those of primitive types.
func plain(t Type) Type {
	for {
		d, ok := t.(*TypeDef)
		if !ok {
			return t
		}
		a, ok := d.Kind.(*Alias)
		if !ok {
			return d
		}
		t = a.Type
	}
}

func (c *comparison) types(a, b Type) error {
	a, b = plain(a), plain(b)
	different := func() error {
		if s := typeText(a); s != typeText(b) {
			return fmt.Errorf("%s and %s", s, typeText(b))
		}
		return errors.New(typeText(a))
	}
	x, ok := a.(*TypeDef)
	y, ok2 := b.(*TypeDef)
	if !ok || !ok2 {
		if a != b {
			return different()
		}
		return nil
	}
	pair := [2]*TypeDef{x, y}
	if c.same[pair] {
		return nil
	}
	if fmt.Sprintf("%T", x.Kind) != fmt.Sprintf("%T", y.Kind) {
		return different()
	}
	if err := c.kinds(x, y, different); err != nil {
		return err
	}
	c.same[pair] = true
	return nil
}

// kinds compares two types of one kind.
func (c *comparison) kinds(x, y *TypeDef, different func() error) error {
	names, parts := typeParts(x)
	otherNames, otherParts := typeParts(y)
	for i := range max(len(names), len(otherNames)) {
		switch {
		case i >= len(names):
			return fmt.Errorf("%w: only one has %q", different(), otherNames[i])
		case i >= len(otherNames):
			return fmt.Errorf("%w: only one has %q", different(), names[i])
		case names[i] != otherNames[i]:
			return fmt.Errorf("%w: %q and %q", different(), names[i], otherNames[i])
		}
		if err := c.types(parts[i], otherParts[i]); err != nil {
			if names[i] == "" {
				return err
			}
			return fmt.Errorf("%s: %w", names[i], err)
		}
	}
	return nil
}

// typeParts returns what a type is made of: names, which may be empty, and types, which
// may be nil.
func typeParts(t *TypeDef) (names []string, parts []Type) {
	add := func(name string, part Type) {
		names, parts = append(names, name), append(parts, part)
	}
	switch k := t.Kind.(type) {
	case *Resource:
		add(resourceName(t), nil)
	case *Record:
		for _, f := range k.Fields {
			add(f.Name, f.Type)
		}
	case *Variant:
		for _, v := range k.Cases {
			add(v.Name, v.Type)
		}
	case *Enum:
		for _, l := range k.Cases {
			add(l.Name, nil)
		}
	case *Flags:
		for _, l := range k.Flags {
			add(l.Name, nil)
		}
	case *Result:
		add("ok", k.OK)
		add("error", k.Err)
	case *FixedLengthList:
		add(fmt.Sprintf("%d elements", k.Len), k.Elem)
	case *Future:
		add("payload", k.Type)
	case *Stream:
		add("payload", k.Type)
	default:
		MapKind(k, func(part Type) Type {
			add("", part)
			return part
		})
	}
	return names, parts
}

// resourceName names a resource by its interface, of whose version only the track counts.
func resourceName(t *TypeDef) string {
	i, ok := t.Owner.(*Interface)
	if !ok || i.Name == "" {
		return t.Name
	}
	return trackID(i) + "." + t.Name
}

// trackID is the ID of an interface with the track in place of the version.
func trackID(i *Interface) string {
	name := i.Package.Name
	if name.Version != "" {
		name.Version = VersionTrack(name.Version)
	}
	return name.Item(i.Name)
}
