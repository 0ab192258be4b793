package oci

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ashlar-wasm/ashlar/internal/strictjson"
)

// rules are those of JSON that is read. Keys that differ only in case are doubled, but
// for annotations, which are no fields.
var rules = strictjson.Rules{Depth: 32, Keys: maxList, FoldCase: true, Exact: "annotations"}

// decodeJSON reads one JSON value into v, by the rules.
func decodeJSON(b []byte, v any) error {
	if err := rules.Check(b); err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// canonicalJSON writes v as RFC 8785 says: keys sorted, no white space, nothing
// escaped that need not be. Numbers are to be integers, keys ASCII.
func canonicalJSON(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(tree); err != nil { // maps are written sorted
		return nil, err
	}
	return unescapeSeparators(bytes.TrimSuffix(out.Bytes(), []byte("\n"))), nil
}

// unescapeSeparators writes U+2028 and U+2029, which encoding/json always escapes.
func unescapeSeparators(b []byte) []byte {
	if !bytes.Contains(b, []byte(`\u202`)) {
		return b
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] != '\\':
			out = append(out, b[i])
		case bytes.HasPrefix(b[i:], []byte(`\u2028`)):
			out, i = append(out, "\u2028"...), i+5
		case bytes.HasPrefix(b[i:], []byte(`\u2029`)):
			out, i = append(out, "\u2029"...), i+5
		default:
			out, i = append(out, b[i], b[i+1]), i+1
		}
	}
	return out
}

// list is a JSON array of at most maxList values: a longer one is refused before
// its values are made.
type list[T any] []T

const maxList = 1 << 14

func (l *list[T]) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return errors.New("expected a list")
	}
	*l = list[T]{}
	for d.More() {
		if len(*l) == maxList {
			return fmt.Errorf("a list of more than %d values", maxList)
		}
		var v T
		if err := d.Decode(&v); err != nil {
			return err
		}
		*l = append(*l, v)
	}
	return nil
}
