package packages

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"
)

// The ways to reach a registry.
const (
	ProtocolOCI   = "oci"
	ProtocolLocal = "local"
)

// MetadataPath is the well-known path (RFC 8615) of a registry's [Metadata].
const MetadataPath = "/.well-known/wasm-pkg/registry.json"

// maxMetadata bounds what a registry says of itself.
const maxMetadata = 64 << 10

// Metadata is what a registry says of itself at [MetadataPath]: how it is reached. A
// configuration may say it in its place. The zero value says nothing.
type Metadata struct {
	// PreferredProtocol is empty if the registry prefers none.
	PreferredProtocol string
	protocols         map[string]map[string]any
}

// OCIMetadata says where in which OCI registry packages are:
// Registry/NamespacePrefix + namespace/name:version.
type OCIMetadata struct {
	// Registry is the host of the OCI registry, or empty if it is that of the
	// registry itself.
	Registry string
	// NamespacePrefix stands before the namespace as it is.
	NamespacePrefix string
}

// ParseMetadata reads metadata in its present form,
//
//	{"preferredProtocol": "oci", "oci": {"registry": "ghcr.io", "namespacePrefix": "webassembly/"}}
//
// or in that of before, {"ociRegistry": "ghcr.io", "ociNamespacePrefix": "webassembly/"}.
func ParseMetadata(b []byte) (*Metadata, error) {
	if len(b) > maxMetadata {
		return nil, fmt.Errorf("metadata has more than %d bytes", maxMetadata)
	}
	if !utf8.Valid(b) {
		return nil, errors.New("metadata is not UTF-8")
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	if m == nil {
		return nil, errors.New("metadata: expected an object")
	}
	return newMetadata(m)
}

// newMetadata reads metadata of an object of JSON or a table of TOML.
func newMetadata(m map[string]any) (*Metadata, error) {
	d := &Metadata{protocols: map[string]map[string]any{}}
	legacy := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		value := m[key]
		switch key {
		case "preferredProtocol", "ociRegistry", "ociNamespacePrefix":
			s, ok := value.(string)
			if !ok && value != nil {
				return nil, fmt.Errorf("metadata: %s is no string", key)
			}
			switch {
			case !ok:
			case key == "preferredProtocol":
				d.PreferredProtocol = s
			case key == "ociRegistry":
				legacy["registry"] = s
			default:
				legacy["namespacePrefix"] = s
			}
		default:
			table, ok := value.(map[string]any)
			if !ok {
				return nil, fmt.Errorf("metadata: %q is no table: expected the settings of a protocol", key)
			}
			d.protocols[key] = table
		}
	}
	if len(legacy) > 0 {
		oci := maps.Clone(d.protocols[ProtocolOCI])
		if oci == nil {
			oci = map[string]any{}
		}
		maps.Copy(oci, legacy)
		// Which protocol is preferred does not depend on them.
		d.PreferredProtocol = d.Protocol()
		d.protocols[ProtocolOCI] = oci
	}
	return d, nil
}

// Protocol returns the preferred protocol, or the only one, or nothing.
func (d *Metadata) Protocol() string {
	if d.PreferredProtocol != "" || len(d.protocols) != 1 {
		return d.PreferredProtocol
	}
	for p := range d.protocols {
		return p
	}
	return ""
}

// OCI returns the settings for OCI.
func (d *Metadata) OCI() (OCIMetadata, error) {
	var o OCIMetadata
	table := d.protocols[ProtocolOCI]
	for key, field := range map[string]*string{"registry": &o.Registry, "namespacePrefix": &o.NamespacePrefix} {
		s, ok := table[key].(string)
		if !ok && table[key] != nil {
			return o, fmt.Errorf("metadata: oci.%s is no string", key)
		}
		*field = s
	}
	if o.Registry == "" {
		return o, nil
	}
	var err error
	if o.Registry, err = ParseRegistry(o.Registry); err != nil {
		return o, fmt.Errorf("metadata: oci: %w", err)
	}
	return o, nil
}

// Encode returns the metadata as JSON, in its present form.
func (d *Metadata) Encode() ([]byte, error) {
	m := map[string]any{}
	for p, table := range d.protocols {
		m[p] = table
	}
	if d.PreferredProtocol != "" {
		m["preferredProtocol"] = d.PreferredProtocol
	}
	return json.Marshal(m)
}
