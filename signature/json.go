package signature

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/ashlar-wasm/ashlar/internal/strictjson"
)

// rules are those of JSON that is read.
var rules = strictjson.Rules{Depth: 100, Keys: 1 << 14}

// object is a JSON object. Its keys are taken as they are written, and it has none
// twice: what that means would depend on who reads it. Null stands for what is not
// there.
type object map[string]json.RawMessage

// parseObject reads a document that is an object.
func parseObject(b []byte) (object, error) {
	if err := rules.Check(b); err != nil {
		return nil, err
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
