package wasm

import "slices"

// Producer is one entry of a producers section: a tool or language and its
// version.
type Producer struct {
	Field   string `json:"field"` // "language", "processed-by" or "sdk"
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

// DecodeProducers reads the contents of a producers custom section, as the tool
// conventions define it. Modules and components have the same.
func DecodeProducers(data []byte) ([]Producer, error) {
	r := &reader{b: data}
	var out []Producer
	for range r.count("producers field", 64) {
		field := r.name()
		for range r.count("producer", 1000) {
			out = append(out, Producer{Field: field, Name: r.name(), Version: r.name()})
		}
	}
	return out, r.err
}

// EncodeProducers writes the contents of a producers custom section. Fields and
// their entries stay in the order of their first appearance; of entries of one
// field and name the last is taken.
func EncodeProducers(producers []Producer) []byte {
	var fields []string
	byField := map[string][]Producer{}
	for _, p := range producers {
		entries := byField[p.Field]
		if entries == nil {
			fields = append(fields, p.Field)
		}
		if i := slices.IndexFunc(entries, func(e Producer) bool { return e.Name == p.Name }); i >= 0 {
			entries[i] = p
		} else {
			byField[p.Field] = append(entries, p)
		}
	}
	b := appendU32(nil, uint32(len(fields)))
	for _, field := range fields {
		b = appendU32(appendName(b, field), uint32(len(byField[field])))
		for _, p := range byField[field] {
			b = appendName(appendName(b, p.Name), p.Version)
		}
	}
	return b
}
