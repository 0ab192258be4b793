package wit

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// metadataSection is the custom section that holds what component types can't
// express: documentation and feature gates. It is a version byte and JSON.
const metadataSection = "package-docs"

const metadataVersion = 1

// members of a JSON object, in order.
type orderedMap[T any] struct {
	keys   []string
	values map[string]T
}

func (m *orderedMap[T]) set(key string, value T) {
	if m.values == nil {
		m.values = map[string]T{}
	}
	if _, ok := m.values[key]; !ok {
		m.keys = append(m.keys, key)
	}
	m.values[key] = value
}

func (m orderedMap[T]) IsZero() bool { return len(m.keys) == 0 }

func (m orderedMap[T]) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, key := range m.keys {
		if i > 0 {
			b.WriteByte(',')
		}
		k, err := marshalPlain(key)
		if err != nil {
			return nil, err
		}
		v, err := marshalPlain(m.values[key])
		if err != nil {
			return nil, err
		}
		b.Write(k)
		b.WriteByte(':')
		b.Write(v)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func (m *orderedMap[T]) UnmarshalJSON(data []byte) error {
	if err := json.Unmarshal(data, &m.values); err != nil {
		return err
	}
	for key := range m.values {
		m.keys = append(m.keys, key)
	}
	return nil
}

// marshalPlain is json.Marshal without the escaping that is meant for HTML.
func marshalPlain(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

type packageMeta struct {
	Docs       string                    `json:"docs,omitzero"`
	Worlds     orderedMap[worldMeta]     `json:"worlds,omitzero"`
	Interfaces orderedMap[interfaceMeta] `json:"interfaces,omitzero"`
}

type worldMeta struct {
	Docs      string        `json:"docs,omitzero"`
	Stability stabilityMeta `json:"stability,omitzero"`
	// Inline interfaces: those imported and, in the first version of the
	// format, exported.
	Interfaces       orderedMap[interfaceMeta] `json:"interfaces,omitzero"`
	Types            orderedMap[typeMeta]      `json:"types,omitzero"`
	Funcs            orderedMap[funcMeta]      `json:"funcs,omitzero"`
	InterfaceExports orderedMap[interfaceMeta] `json:"interface_exports,omitzero"`
	FuncExports      orderedMap[funcMeta]      `json:"func_exports,omitzero"`
	// Import and export statements of named interfaces.
	ImportStability orderedMap[stabilityMeta] `json:"interface_import_stability,omitzero"`
	ExportStability orderedMap[stabilityMeta] `json:"interface_export_stability,omitzero"`
	ImportDocs      orderedMap[string]        `json:"interface_import_docs,omitzero"`
	ExportDocs      orderedMap[string]        `json:"interface_export_docs,omitzero"`
}

func (m worldMeta) isZero() bool {
	return m.Docs == "" && m.Stability.IsZero() && m.Interfaces.IsZero() && m.Types.IsZero() && m.Funcs.IsZero() &&
		m.InterfaceExports.IsZero() && m.FuncExports.IsZero() && m.ImportStability.IsZero() && m.ExportStability.IsZero() &&
		m.ImportDocs.IsZero() && m.ExportDocs.IsZero()
}

type interfaceMeta struct {
	Docs      string               `json:"docs,omitzero"`
	Stability stabilityMeta        `json:"stability,omitzero"`
	Funcs     orderedMap[funcMeta] `json:"funcs,omitzero"`
	Types     orderedMap[typeMeta] `json:"types,omitzero"`
}

func (m interfaceMeta) isZero() bool {
	return m.Docs == "" && m.Stability.IsZero() && m.Funcs.IsZero() && m.Types.IsZero()
}

type typeMeta struct {
	Docs      string             `json:"docs,omitzero"`
	Stability stabilityMeta      `json:"stability,omitzero"`
	Items     orderedMap[string] `json:"items,omitzero"`
}

func (m typeMeta) isZero() bool {
	return m.Docs == "" && m.Stability.IsZero() && m.Items.IsZero()
}

type funcMeta struct {
	Docs      string        `json:"docs,omitzero"`
	Stability stabilityMeta `json:"stability,omitzero"`
}

// UnmarshalJSON also takes the first version of the format, in which a
// function has only docs.
func (m *funcMeta) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] != '{' {
		return json.Unmarshal(data, &m.Docs)
	}
	type plain funcMeta
	return json.Unmarshal(data, (*plain)(m))
}

// stabilityMeta is a Stability as JSON.
type stabilityMeta Stability

func (s stabilityMeta) IsZero() bool { return s == stabilityMeta{} }

type stabilityJSON struct {
	Stable   *stableJSON   `json:"stable,omitempty"`
	Unstable *unstableJSON `json:"unstable,omitempty"`
}

type stableJSON struct {
	Since      string `json:"since"`
	Deprecated string `json:"deprecated,omitempty"`
}

type unstableJSON struct {
	Feature    string `json:"feature"`
	Deprecated string `json:"deprecated,omitempty"`
}

func (s stabilityMeta) MarshalJSON() ([]byte, error) {
	if s.Unstable != "" {
		return marshalPlain(stabilityJSON{Unstable: &unstableJSON{s.Unstable, s.Deprecated}})
	}
	return marshalPlain(stabilityJSON{Stable: &stableJSON{s.Since, s.Deprecated}})
}

func (s *stabilityMeta) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return nil // "unknown"
	}
	var j stabilityJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	switch {
	case j.Stable != nil:
		if !ValidVersion(j.Stable.Since) || j.Stable.Deprecated != "" && !ValidVersion(j.Stable.Deprecated) {
			return fmt.Errorf("invalid version in a feature gate")
		}
		*s = stabilityMeta{Since: j.Stable.Since, Deprecated: j.Stable.Deprecated}
	case j.Unstable != nil:
		if !ValidName(j.Unstable.Feature) || j.Unstable.Deprecated != "" && !ValidVersion(j.Unstable.Deprecated) {
			return fmt.Errorf("invalid feature gate")
		}
		*s = stabilityMeta{Unstable: j.Unstable.Feature, Deprecated: j.Unstable.Deprecated}
	}
	return nil
}

func encodeMetadata(pkg *Package) ([]byte, error) {
	meta := packageMeta{Docs: pkg.Docs}
	for _, w := range pkg.Worlds {
		if m := metaOfWorld(w); !m.isZero() {
			meta.Worlds.set(w.Name, m)
		}
	}
	for _, i := range pkg.Interfaces {
		if m := metaOfInterface(i); !m.isZero() {
			meta.Interfaces.set(i.Name, m)
		}
	}
	data, err := marshalPlain(meta)
	if err != nil {
		return nil, fmt.Errorf("encode documentation: %w", err)
	}
	return append([]byte{metadataVersion}, data...), nil
}

func metaOfWorld(w *World) worldMeta {
	m := worldMeta{Docs: w.Docs, Stability: stabilityMeta(w.Stability)}
	for _, export := range []bool{false, true} {
		items, ifaces, funcs, stability, docs := w.Imports, &m.Interfaces, &m.Funcs, &m.ImportStability, &m.ImportDocs
		if export {
			items, ifaces, funcs, stability, docs = w.Exports, &m.InterfaceExports, &m.FuncExports, &m.ExportStability, &m.ExportDocs
		}
		for _, item := range items {
			switch {
			case item.Type != nil:
				if t := metaOfType(item.Type); !t.isZero() {
					m.Types.set(item.Name, t)
				}
			case item.Function != nil:
				if f := metaOfFunction(item.Function); f != (funcMeta{}) {
					funcs.set(item.Name, f)
				}
			case item.Interface.Name == "":
				if i := metaOfInterface(item.Interface); !i.isZero() {
					ifaces.set(item.Name, i)
				}
			default:
				if item.Stability != (Stability{}) {
					stability.set(item.ExternName(), stabilityMeta(item.Stability))
				}
				if item.Docs != "" {
					docs.set(item.ExternName(), item.Docs)
				}
			}
		}
	}
	return m
}

func metaOfInterface(i *Interface) interfaceMeta {
	m := interfaceMeta{Docs: i.Docs, Stability: stabilityMeta(i.Stability)}
	for _, f := range i.Functions {
		if fm := metaOfFunction(f); fm != (funcMeta{}) {
			m.Funcs.set(f.Name, fm)
		}
	}
	for _, t := range i.Types {
		if tm := metaOfType(t); !tm.isZero() {
			m.Types.set(t.Name, tm)
		}
	}
	return m
}

func metaOfFunction(f *Function) funcMeta {
	return funcMeta{f.Docs, stabilityMeta(f.Stability)}
}

func metaOfType(t *TypeDef) typeMeta {
	m := typeMeta{Docs: t.Docs, Stability: stabilityMeta(t.Stability)}
	eachMember(t.Kind, func(name string, docs *string) {
		if *docs != "" {
			m.Items.set(name, *docs)
		}
	})
	return m
}

// eachMember calls f for the fields, cases or flags of a type.
func eachMember(k Kind, f func(name string, docs *string)) {
	labels := func(labels []Label) {
		for i := range labels {
			f(labels[i].Name, &labels[i].Docs)
		}
	}
	switch k := k.(type) {
	case *Record:
		for i := range k.Fields {
			f(k.Fields[i].Name, &k.Fields[i].Docs)
		}
	case *Variant:
		for i := range k.Cases {
			f(k.Cases[i].Name, &k.Cases[i].Docs)
		}
	case *Enum:
		labels(k.Cases)
	case *Flags:
		labels(k.Flags)
	}
}

// applyMetadata adds what the section says to a package that was decoded.
func applyMetadata(pkg *Package, data []byte) error {
	if len(data) == 0 || data[0] > metadataVersion {
		return fmt.Errorf("custom section %s: unknown version", metadataSection)
	}
	var meta packageMeta
	if err := json.Unmarshal(data[1:], &meta); err != nil {
		return fmt.Errorf("custom section %s: %w", metadataSection, err)
	}
	pkg.Docs = cleanDocs(meta.Docs)
	ifaces := map[string]*Interface{}
	for _, i := range pkg.Interfaces {
		ifaces[i.Name] = i
	}
	worlds := map[string]*World{}
	for _, w := range pkg.Worlds {
		worlds[w.Name] = w
	}
	for name, m := range meta.Interfaces.values {
		i := ifaces[name]
		if i == nil {
			return missing("interface", name)
		}
		if err := m.apply(i); err != nil {
			return err
		}
	}
	for name, m := range meta.Worlds.values {
		w := worlds[name]
		if w == nil {
			return missing("world", name)
		}
		if err := m.apply(w); err != nil {
			return fmt.Errorf("world %s: %w", name, err)
		}
	}
	return nil
}

func missing(what, name string) error {
	return fmt.Errorf("custom section %s describes %s %q, which does not exist", metadataSection, what, name)
}

func (m worldMeta) apply(w *World) error {
	w.Docs, w.Stability = cleanDocs(m.Docs), Stability(m.Stability)
	imports, exports := map[string]*WorldItem{}, map[string]*WorldItem{}
	for _, i := range w.Imports {
		imports[i.ExternName()] = i
	}
	for _, i := range w.Exports {
		exports[i.ExternName()] = i
	}
	either := func(name string) *WorldItem {
		if i := imports[name]; i != nil {
			return i
		}
		return exports[name]
	}
	inline := func(name string, m interfaceMeta, item *WorldItem) error {
		if item == nil || item.Interface == nil {
			return missing("interface", name)
		}
		item.Stability = Stability(m.Stability)
		return m.apply(item.Interface)
	}
	function := func(name string, m funcMeta, item *WorldItem) error {
		if item == nil || item.Function == nil {
			return missing("function", name)
		}
		m.apply(item.Function)
		return nil
	}
	for name, im := range m.Interfaces.values {
		if err := inline(name, im, either(name)); err != nil {
			return err
		}
	}
	for name, im := range m.InterfaceExports.values {
		if err := inline(name, im, exports[name]); err != nil {
			return err
		}
	}
	for name, fm := range m.Funcs.values {
		if err := function(name, fm, either(name)); err != nil {
			return err
		}
	}
	for name, fm := range m.FuncExports.values {
		if err := function(name, fm, exports[name]); err != nil {
			return err
		}
	}
	for name, tm := range m.Types.values {
		item := imports[name]
		if item == nil || item.Type == nil {
			return missing("type", name)
		}
		if err := tm.apply(item.Type); err != nil {
			return err
		}
	}
	for _, side := range []struct {
		items     map[string]*WorldItem
		stability map[string]stabilityMeta
		docs      map[string]string
	}{{imports, m.ImportStability.values, m.ImportDocs.values}, {exports, m.ExportStability.values, m.ExportDocs.values}} {
		for name, s := range side.stability {
			item := side.items[name]
			if item == nil || item.Interface == nil {
				return missing("interface", name)
			}
			item.Stability = Stability(s)
		}
		for name, d := range side.docs {
			item := side.items[name]
			if item == nil || item.Interface == nil {
				return missing("interface", name)
			}
			item.Docs = cleanDocs(d)
		}
	}
	return nil
}

func (m interfaceMeta) apply(i *Interface) error {
	i.Docs, i.Stability = cleanDocs(m.Docs), Stability(m.Stability)
	types := map[string]*TypeDef{}
	for _, t := range i.Types {
		types[t.Name] = t
	}
	functions := map[string]*Function{}
	for _, f := range i.Functions {
		functions[f.Name] = f
	}
	for name, tm := range m.Types.values {
		t := types[name]
		if t == nil {
			return missing("type", name)
		}
		if err := tm.apply(t); err != nil {
			return err
		}
	}
	for name, fm := range m.Funcs.values {
		f := functions[name]
		if f == nil {
			return missing("function", name)
		}
		fm.apply(f)
	}
	return nil
}

func (m funcMeta) apply(f *Function) {
	f.Docs, f.Stability = cleanDocs(m.Docs), Stability(m.Stability)
}

func (m typeMeta) apply(t *TypeDef) error {
	t.Docs, t.Stability = cleanDocs(m.Docs), Stability(m.Stability)
	used := 0
	eachMember(t.Kind, func(name string, docs *string) {
		if d, ok := m.Items.values[name]; ok {
			*docs = cleanDocs(d)
			used++
		}
	})
	if used != len(m.Items.values) {
		return missing("members of type", t.Name)
	}
	return nil
}
