// Package p2http is wasi:http 0.2: requests and responses in both directions,
// with bodies that stream at flat memory.
package p2http

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/ashlar-wasm/ashlar/wasi/internal/bind"
	"github.com/ashlar-wasm/ashlar/wasi/internal/quota"
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

// notTrailers are the fields that change how a message is read, or by whom:
// they would come too late as trailers (RFC 9110, section 6.5.1).
var notTrailers = map[string]bool{
	"authorization": true, "cache-control": true, "content-encoding": true, "content-length": true,
	"content-range": true, "content-type": true, "expect": true, "max-forwards": true, "pragma": true,
	"range": true, "set-cookie": true, "te": true, "trailer": true, "www-authenticate": true,
}

func validTrailer(name string) bool {
	name = strings.ToLower(name)
	return token(name) && !forbidden[name] && !notTrailers[name] && !strings.HasPrefix(name, "if-")
}

// fields is the resource wasi:http/types.fields.
type fields struct {
	list      []field
	size      int
	immutable bool
	book      *quota.Book
	hold      quota.Hold // of those that a guest made
}

func newFields(ctx context.Context, b *quota.Book) (*fields, error) {
	f := &fields{book: b}
	return f, b.Open(ctx, &f.hold, quota.Fields, 0)
}

// nominated are the headers that the connection header names, which belong to
// the connection as well.
func nominated(h http.Header) map[string]bool {
	var names map[string]bool
	for _, list := range h["Connection"] {
		for name := range strings.SplitSeq(list, ",") {
			if names == nil {
				names = map[string]bool{}
			}
			names[strings.ToLower(strings.TrimSpace(name))] = true
		}
	}
	return names
}

// fromHeader makes immutable fields of what was received.
func fromHeader(h http.Header) *fields {
	f := &fields{immutable: true}
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	ofConnection := nominated(h)
	for _, name := range names {
		lower := strings.ToLower(name)
		if forbidden[lower] || ofConnection[lower] {
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
	f.addTo(h)
	return h
}

func (f *fields) addTo(h http.Header) {
	for _, e := range f.list {
		h.Add(e.name, string(e.value))
	}
}

// setOn puts the fields in a header, in place of those that have their names.
func (f *fields) setOn(h http.Header) {
	if len(h) == 0 {
		f.addTo(h)
		return
	}
	maps.Copy(h, f.header())
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
		_, err := strconv.ParseUint(string(v), 10, 63)
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
	before := f.size
	defer func() { f.hold.Shrink(uint64(before - f.size)) }()
	f.list = slices.DeleteFunc(f.list, func(e field) bool {
		if e.name != name {
			return false
		}
		f.size -= len(e.name) + len(e.value) + fieldOverhead
		return true
	})
}

// add adds a field. A second content-length would let two readers see two
// messages.
func (f *fields) add(ctx context.Context, name string, value []byte) error {
	if name == "content-length" && slices.ContainsFunc(f.list, func(e field) bool { return e.name == name }) {
		return bind.HeaderErrorInvalidSyntax{}
	}
	n := len(name) + len(value) + fieldOverhead
	if err := f.book.Check(ctx, quota.Fields, uint64(f.size+n), maxFields); err != nil {
		return err
	}
	if err := f.hold.Grow(ctx, uint64(n)); err != nil {
		return err
	}
	f.size += n
	f.list = append(f.list, field{name, value})
	return nil
}

func (f *fields) Set(ctx context.Context, name string, values [][]byte) error {
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
	if name == "content-length" && len(values) > 1 {
		return bind.HeaderErrorInvalidSyntax{}
	}
	f.remove(name)
	for _, v := range values {
		if err := f.add(ctx, name, v); err != nil {
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

func (f *fields) Append(ctx context.Context, name string, value []byte) error {
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
	return f.add(ctx, name, value)
}

func (f *fields) Entries(context.Context) ([]bind.Tuple2[string, []byte], error) {
	list := make([]bind.Tuple2[string, []byte], len(f.list))
	for i, e := range f.list {
		list[i] = bind.Tuple2[string, []byte]{F0: e.name, F1: e.value}
	}
	return list, nil
}

func (f *fields) Clone(ctx context.Context) (bind.Fields, error) {
	c, err := newFields(ctx, f.book)
	if err == nil {
		err = c.hold.Grow(ctx, uint64(f.size))
	}
	if err != nil {
		return nil, err
	}
	c.list, c.size = slices.Clone(f.list), f.size
	return c, nil
}

func (f *fields) Drop(context.Context) error {
	f.hold.Give()
	return nil
}

// frozen gives a guest the fields of something else, which it can't change and
// which outlive the guest's handle.
func (f *fields) frozen() *fields {
	return &fields{list: f.list, size: f.size, immutable: true, book: f.book}
}
