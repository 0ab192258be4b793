package signature

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// maxNesting bounds the depth of JSON that is read.
const maxNesting = 100

// object is a JSON object. Its keys are taken as they are written, and it has none
// twice: what that means would depend on who reads it. Null stands for what is not
// there.
type object map[string]json.RawMessage

// parseObject reads a document that is an object.
func parseObject(b []byte) (object, error) {
	if !utf8.Valid(b) {
		return nil, errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := checkKeys(d, 0); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something after the end of the JSON")
	}
	return asObject(b)
}

func asObject(b json.RawMessage) (object, error) {
	var o object
	if err := json.Unmarshal(b, &o); err != nil || o == nil {
		return nil, errors.New("expected an object")
	}
	for k, v := range o {
		if string(v) == "null" {
			delete(o, k)
		}
	}
	return o, nil
}

// checkKeys reads a value and refuses objects that have a key twice.
func checkKeys(d *json.Decoder, depth int) error {
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
	if delim == '{' {
		keys = map[string]bool{}
	}
	for d.More() {
		if keys != nil {
			t, err := d.Token()
			if err != nil {
				return err
			}
			key, ok := t.(string)
			if !ok {
				return errors.New("a key is no string")
			}
			if keys[key] {
				return fmt.Errorf("the key %q is there twice", clip(key))
			}
			keys[key] = true
		}
		if err := checkKeys(d, depth+1); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// text is a string; empty if it is not there.
func (o object) text(key string) (string, error) {
	b, ok := o[key]
	if !ok {
		return "", nil
	}
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return "", fmt.Errorf("%s: expected a string", key)
	}
	return s, nil
}

// bytes are what a string has in base64, of either alphabet, padded or not.
func (o object) bytes(key string) ([]byte, error) {
	s, err := o.text(key)
	if err != nil {
		return nil, err
	}
	encoding := base64.RawStdEncoding
	if strings.ContainsAny(s, "-_") {
		encoding = base64.RawURLEncoding
	}
	b, err := encoding.DecodeString(strings.TrimRight(s, "="))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return b, nil
}

// object is an object; it has nothing in it if it is not there.
func (o object) object(key string) (object, error) {
	b, ok := o[key]
	if !ok {
		return nil, nil
	}
	in, err := asObject(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return in, nil
}

// objects are a list of no more than max objects.
func (o object) objects(key string, max int) ([]object, error) {
	b, ok := o[key]
	if !ok {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return nil, fmt.Errorf("%s: expected a list", key)
	}
	var list []object
	for d.More() {
		if len(list) == max {
			return nil, fmt.Errorf("%s: more than %d", key, max)
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		in, err := asObject(v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		list = append(list, in)
	}
	return list, nil
}
