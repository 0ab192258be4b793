package oci

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// decodeJSON reads one JSON value into v. An object that has a key twice is
// refused, and one whose keys differ only in case: what they mean would depend on
// who reads them. Only within "annotations" is case of no concern.
func decodeJSON(b []byte, v any) error {
	if !utf8.Valid(b) {
		return errors.New("not UTF-8")
	}
	if err := checkKeys(b); err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// maxNesting bounds the depth of JSON that is read.
const maxNesting = 32

func checkKeys(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return checkValue(d, 0, false)
}

// checkValue reads a value. exact says that keys that differ in case are others.
func checkValue(d *json.Decoder, depth int, exact bool) error {
	t, err := d.Token()
	if err != nil {
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	if depth == maxNesting {
		return fmt.Errorf("nested deeper than %d", maxNesting)
	}
	var keys map[string]bool
	for d.More() {
		inner := false
		if delim == '{' {
			t, err := d.Token()
			if err != nil {
				return err
			}
			key, ok := t.(string)
			if !ok {
				return errors.New("a key is no string")
			}
			inner = key == "annotations"
			if !exact {
				key = strings.ToLower(key)
			}
			if keys[key] {
				return fmt.Errorf("the key %q is there twice", clip(key))
			}
			if keys == nil {
				keys = map[string]bool{}
			}
			keys[key] = true
		}
		if err := checkValue(d, depth+1, inner); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
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
