// Package strictjson refuses JSON that does not say the same to everybody who reads it,
// or that costs much to read.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Rules are what a document has to fulfil, beside being one JSON value in UTF-8. No
// object may have a key twice: which of them counts would depend on who reads it.
type Rules struct {
	// Depth bounds how deep values are nested, and Keys how many an object has.
	Depth, Keys int
	// FoldCase takes keys that differ in case alone for the same, as encoding/json does
	// when it fills a struct.
	FoldCase bool
	// Exact is the key of objects, wherever they are, to whose own keys FoldCase does not
	// apply, as they are no fields of a struct.
	Exact string
}

// Check returns what is wrong with a document.
func (r Rules) Check(b []byte) error {
	if !utf8.Valid(b) {
		return errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := r.value(d, 0, false); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something after the end of the JSON")
	}
	return nil
}

// value reads a value. exact says that keys that differ in case are others.
func (r Rules) value(d *json.Decoder, depth int, exact bool) error {
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
	if depth == r.Depth {
		return fmt.Errorf("nested deeper than %d", r.Depth)
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
			said := key
			inner = r.Exact != "" && key == r.Exact
			if r.FoldCase && !exact {
				key = fold(key)
			}
			switch {
			case keys[key]:
				return fmt.Errorf("the key %q is there twice", clip(said))
			case len(keys) == r.Keys:
				return fmt.Errorf("an object with more than %d keys", r.Keys)
			case keys == nil:
				keys = map[string]bool{}
			}
			keys[key] = true
		}
		if err := r.value(d, depth+1, inner); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// fold returns the same for keys that [strings.EqualFold] takes for equal, as
// encoding/json does: to lower case would leave 's' and U+017F apart.
func fold(key string) string {
	return strings.Map(func(r rune) rune {
		for {
			next := unicode.SimpleFold(r)
			if next <= r {
				return next
			}
			r = next
		}
	}, key)
}

// clip shortens what comes from outside for an error.
func clip(s string) string {
	const limit = 80
	if len(s) > limit {
		return s[:limit] + "..."
	}
	return s
}
