// Package metadata reads and writes what a core module or component says of itself: its
// name, and the custom sections that OCI registries and other tools take descriptions
// from (wasm-metadata of bytecodealliance/wasm-tools defines them).
package metadata

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// Metadata describes a module or component. Empty fields are not there.
type Metadata struct {
	Name        string `json:"name,omitempty"`
	Version     string `json:"version,omitempty"`
	Description string `json:"description,omitempty"`
	Authors     string `json:"authors,omitempty"`  // separated by commas
	Licenses    string `json:"licenses,omitempty"` // an SPDX expression
	Source      string `json:"source,omitempty"`   // a URL
	Homepage    string `json:"homepage,omitempty"` // a URL
	Revision    string `json:"revision,omitempty"` // of the sources
}

// fields are those that have a custom section each, of which it is the contents.
func (m *Metadata) fields() []field {
	return []field{
		{"version", &m.Version}, {"description", &m.Description}, {"authors", &m.Authors}, {"licenses", &m.Licenses},
		{"source", &m.Source}, {"homepage", &m.Homepage}, {"revision", &m.Revision},
	}
}

type field struct {
	section string
	value   *string
}

// Read returns the metadata of a module or component, not of those in it.
func Read(b []byte) (Metadata, error) {
	var m Metadata
	sections, err := split(b)
	if err != nil {
		return m, err
	}
	names, err := namesSection(b)
	if err != nil {
		return m, err
	}
	fields := m.fields()
	for _, s := range sections {
		if s.id != sectionCustom {
			continue
		}
		if s.name == names {
			// Names that can't be read are no reason to show nothing else.
			m.Name, _, _ = cutName(s.custom)
		}
		i := slices.IndexFunc(fields, func(f field) bool { return f.section == s.name })
		if i >= 0 && utf8.Valid(s.custom) {
			*fields[i].value = string(s.custom)
		}
	}
	return m, nil
}

// Write returns a module or component with the metadata whose fields are not empty in
// place of what it has of these, at its end. They are to be valid.
func Write(b []byte, m Metadata) ([]byte, error) {
	sections, err := split(b)
	if err != nil {
		return nil, err
	}
	names, err := namesSection(b)
	if err != nil {
		return nil, err
	}
	if err := m.Validate(); err != nil {
		return nil, err
	}
	fields := slices.DeleteFunc(m.fields(), func(f field) bool { return *f.value == "" })
	for _, f := range append(fields, field{"name", &m.Name}) {
		if !utf8.ValidString(*f.value) {
			return nil, fmt.Errorf("%s is not UTF-8", f.section)
		}
	}
	out := append(make([]byte, 0, len(b)+256), b[:preamble]...)
	var rest []byte // the other names
	for _, s := range sections {
		if s.id == sectionCustom {
			if m.Name != "" && s.name == names {
				if _, others, ok := cutName(s.custom); ok {
					rest = others
				}
				continue
			}
			if slices.ContainsFunc(fields, func(f field) bool { return f.section == s.name }) {
				continue
			}
		}
		out = append(out, s.bytes...)
	}
	if m.Name != "" {
		out = appendCustom(out, names, append(appendSection(nil, 0, appendString(nil, m.Name)), rest...))
	}
	for _, f := range fields {
		out = appendCustom(out, f.section, []byte(*f.value))
	}
	return out, nil
}

// SetSection returns a module or component with a custom section at its end, in place of
// those of that name.
func SetSection(b []byte, name string, contents []byte) ([]byte, error) {
	sections, err := split(b)
	if err != nil {
		return nil, err
	}
	out := append(make([]byte, 0, len(b)+len(name)+len(contents)+16), b[:preamble]...)
	for _, s := range sections {
		if s.id != sectionCustom || s.name != name {
			out = append(out, s.bytes...)
		}
	}
	return appendCustom(out, name, contents), nil
}

// Describes reports whether custom sections of that name hold metadata.
func Describes(section string) bool {
	return section == componentNames || slices.ContainsFunc(new(Metadata).fields(), func(f field) bool { return f.section == section })
}

// componentNames is the custom section of components with names, their own first.
const componentNames = "component-name"

// namesSection is the name of the custom section with the names of a module or
// component. Both begin with a subsection 0 for its own.
func namesSection(b []byte) (string, error) {
	component, err := isComponent(b)
	if component {
		return componentNames, err
	}
	return "name", err
}

// cutName returns the name in the contents of a section with names, and the subsections
// after it.
func cutName(b []byte) (name string, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != 0 {
		return "", b, true
	}
	size, n := uvarint32(b[1:])
	if n == 0 || uint64(size) > uint64(len(b)-1-n) {
		return "", nil, false
	}
	sub, rest := b[1+n:1+n+int(size)], b[1+n+int(size):]
	length, n := uvarint32(sub)
	if n == 0 || uint64(length) != uint64(len(sub)-n) || !utf8.Valid(sub[n:]) {
		return "", nil, false
	}
	return string(sub[n:]), rest, true
}
