package packages

import (
	"errors"
	"fmt"
	"strings"
)

// Ref names a package in all of its versions: a namespace and a name, which are
// labels of lower-case words joined by '-'. It is comparable.
type Ref struct{ Namespace, Name string }

// maxName bounds the bytes of what names a package; OCI registries take no more.
const maxName = 255

// ParseRef reads a reference of the form namespace:name.
func ParseRef(s string) (Ref, error) {
	if len(s) > maxName {
		return Ref{}, fmt.Errorf("package name has %d bytes, more than %d", len(s), maxName)
	}
	namespace, name, ok := strings.Cut(s, ":")
	if !ok {
		return Ref{}, fmt.Errorf("package name %q: expected namespace:name", s)
	}
	for _, label := range []string{namespace, name} {
		if err := checkLabel(label); err != nil {
			return Ref{}, fmt.Errorf("package name %q: %w", s, err)
		}
	}
	return Ref{namespace, name}, nil
}

// String returns namespace:name.
func (r Ref) String() string { return r.Namespace + ":" + r.Name }

// MarshalText is [Ref.String].
func (r Ref) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is [ParseRef].
func (r *Ref) UnmarshalText(b []byte) (err error) {
	*r, err = ParseRef(string(b))
	return err
}

// checkLabel accepts the labels of wkg, which are those of the component model
// without upper case.
func checkLabel(s string) error {
	if s == "" {
		return errors.New("a label is empty")
	}
	for word := range strings.SplitSeq(s, "-") {
		if word == "" {
			return fmt.Errorf("label %q has an empty word", s)
		}
		if word[0] < 'a' || word[0] > 'z' {
			return fmt.Errorf("a word of label %q does not begin with a lower-case letter", s)
		}
		for i := range len(word) {
			if c := word[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
				return fmt.Errorf("label %q has other characters than lower-case letters, digits and '-'", s)
			}
		}
	}
	return nil
}

// Spec names versions of a package: namespace:name, or with a requirement
// namespace:name@REQUIREMENT.
type Spec struct {
	Ref
	// Requirement is [AnyVersion] if there is none.
	Requirement Requirement
}

// ParseSpec reads a spec. As in manifests of Rust and npm, a bare version takes
// what is compatible with it: a:b@1.2 is a:b@^1.2.
func ParseSpec(s string) (Spec, error) {
	name, requirement, ok := strings.Cut(s, "@")
	ref, err := ParseRef(name)
	if err != nil || !ok {
		return Spec{Ref: ref}, err
	}
	req, err := ParseRequirement(requirement)
	if err != nil {
		return Spec{}, fmt.Errorf("package %q: %w", name, err)
	}
	return Spec{ref, req}, nil
}

// String returns the spec with its requirement in normal form.
func (s Spec) String() string {
	if len(s.Requirement.all) == 0 {
		return s.Ref.String()
	}
	return s.Ref.String() + "@" + s.Requirement.String()
}
