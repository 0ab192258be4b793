// Package p2http is wasi:http 0.2: requests and responses in both directions,
// with bodies that stream at flat memory.
package p2http

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/ashlar-wasm/ashlar/wasi/internal/bind"
)

// maxFields bounds the bytes of one set of fields, with fieldOverhead for each.
const (
	maxFields     = 128 << 10
	fieldOverhead = 32
)

// forbidden are the headers that belong to the connection, which the host
// manages: guests can't set them and don't see them.
var forbidden = map[string]bool{
	"connection": true, "keep-alive": true, "proxy-authenticate": true,
	"proxy-authorization": true, "proxy-connection": true, "transfer-encoding": true,
	"upgrade": true, "host": true, "http2-settings": true,
}

type field struct {
	name  string // in lower case
	value []byte
}

// fields is the resource wasi:http/types.fields.
type fields struct {
	list      []field
	size      int
	immutable bool
}

var errTooManyFields = errors.New("fields are larger than 128 KiB")

// fromHeader makes immutable fields of what was received.
func fromHeader(h http.Header) *fields {
	f := &fields{immutable: true}
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		lower := strings.ToLower(name)
		if forbidden[lower] {
			continue
		}
		for _, v := range h[name] {
			f.list = append(f.list, field{lower, []byte(v)})
			f.size += len(lower) + len(v) + fieldOverhead
		}
	}
	return f
}

// header returns the fields as net/http has them.
func (f *fields) header() http.Header {
	h := make(http.Header, len(f.list))
	for _, e := range f.list {
		h.Add(e.name, string(e.value))
	}
	return h
}

// contentLength returns the content-length, if there is one. Its values were
// checked when they were set.
func (f *fields) contentLength() (n uint64, ok bool) {
	for _, e := range f.list {
		if e.name == "content-length" {
			n, err := strconv.ParseUint(string(e.value), 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// token reports whether s is a token of RFC 9110, as field names and methods
// are.
func token(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		case strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}

func validValue(name string, v []byte) bool {
	for _, c := range v {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	if name == "content-length" {
		_, err := strconv.ParseUint(string(v), 10, 64)
		return err == nil
	}
	return true
}

// checkName returns the name in lower case, or why it can't be set.
func checkName(name string) (string, error) {
	if !token(name) {
		return "", bind.HeaderErrorInvalidSyntax{}
	}
	name = strings.ToLower(name)
	if forbidden[name] {
		return "", bind.HeaderErrorForbidden{}
	}
	return name, nil
}

func (f *fields) Get(_ context.Context, name string) ([][]byte, error) {
	name = strings.ToLower(name)
	values := [][]byte{}
	for _, e := range f.list {
		if e.name == name {
			values = append(values, e.value)
		}
	}
	return values, nil
}

func (f *fields) Has(_ context.Context, name string) (bool, error) {
	name = strings.ToLower(name)
	return slices.ContainsFunc(f.list, func(e field) bool { return e.name == name }), nil
}

func (f *fields) remove(name string) {
	f.list = slices.DeleteFunc(f.list, func(e field) bool {
		if e.name != name {
			return false
		}
		f.size -= len(e.name) + len(e.value) + fieldOverhead
		return true
	})
}

func (f *fields) add(name string, value []byte) error {
	f.size += len(name) + len(value) + fieldOverhead
	if f.size > maxFields {
		return errTooManyFields
	}
	f.list = append(f.list, field{name, value})
	return nil
}

func (f *fields) Set(_ context.Context, name string, values [][]byte) error {
	name, err := checkName(name)
	if err != nil {
		return err
	}
	for _, v := range values {
		if !validValue(name, v) {
			return bind.HeaderErrorInvalidSyntax{}
		}
	}
	if f.immutable {
		return bind.HeaderErrorImmutable{}
	}
	f.remove(name)
	for _, v := range values {
		if err := f.add(name, v); err != nil {
			return err
		}
	}
	return nil
}

func (f *fields) Delete(_ context.Context, name string) error {
	name, err := checkName(name)
	if err != nil {
		return err
	}
	if f.immutable {
		return bind.HeaderErrorImmutable{}
	}
	f.remove(name)
	return nil
}

func (f *fields) Append(_ context.Context, name string, value []byte) error {
	name, err := checkName(name)
	if err != nil {
		return err
	}
	if !validValue(name, value) {
		return bind.HeaderErrorInvalidSyntax{}
	}
	if f.immutable {
		return bind.HeaderErrorImmutable{}
	}
	return f.add(name, value)
}

func (f *fields) Entries(context.Context) ([]bind.Tuple2[string, []byte], error) {
	list := make([]bind.Tuple2[string, []byte], len(f.list))
	for i, e := range f.list {
		list[i] = bind.Tuple2[string, []byte]{F0: e.name, F1: e.value}
	}
	return list, nil
}

func (f *fields) Clone(context.Context) (bind.Fields, error) {
	return &fields{list: slices.Clone(f.list), size: f.size}, nil
}

func (f *fields) Drop(context.Context) error { return nil }

// frozen gives a guest the fields of something else, which it can't change.
func (f *fields) frozen() *fields {
	f.immutable = true
	return f
}
