package wasm

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
