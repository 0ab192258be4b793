package wit

import "fmt"

// MergePackages returns a package with all interfaces, types and functions that two parts
// of one package have, as components and packages in binary form carry parts of those
// that they refer to. What both have must be the same; the error says what is not. Worlds
// are left out. The result shares what it is made of with the parts: it is to be printed
// or compared, not changed.
func MergePackages(a, b *Package) (*Package, error) {
	if a.Name != b.Name {
		return nil, fmt.Errorf("packages %s and %s are not the same", a.Name, b.Name)
	}
	out := &Package{Name: a.Name, Docs: a.Docs}
	for _, i := range a.Interfaces {
		if other := b.Interface(i.Name); other != nil {
			merged, err := mergeInterfaces(i, other)
			if err != nil {
				return nil, fmt.Errorf("interface %s: %w", i.Name, err)
			}
			i = merged
		}
		out.Interfaces = append(out.Interfaces, i)
	}
	for _, i := range b.Interfaces {
		if a.Interface(i.Name) == nil {
			out.Interfaces = append(out.Interfaces, i)
		}
	}
	return out, nil
}

func mergeInterfaces(a, b *Interface) (*Interface, error) {
	out := *a
	out.Types, out.Functions = a.Types[:len(a.Types):len(a.Types)], a.Functions[:len(a.Functions):len(a.Functions)]
	for _, t := range b.Types {
		if other := a.Type(t.Name); other == nil {
			out.Types = append(out.Types, t)
		} else if err := CompareTypes(other, t); err != nil {
			return nil, fmt.Errorf("type %q: %w", t.Name, err)
		}
	}
	for _, f := range b.Functions {
		if other := a.Function(f.Name); other != nil {
			if err := CompareFunctions(other, f); err != nil {
				return nil, fmt.Errorf("function %q: %w: %s and %s", f.Name, err, other.Signature(), f.Signature())
			}
			continue
		}
		if f.Resource != nil {
			if r := a.Type(f.Resource.Name); r != nil {
				moved := *f
				moved.Resource = r
				f = &moved
			}
		}
		out.Functions = append(out.Functions, f)
	}
	return &out, nil
}
