package packages

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// byteOrderMark is what editors may begin a file with. It means nothing.
const byteOrderMark = "\ufeff"

// decodeTOML reads a document. Its errors have the position, and nothing of the text,
// which may hold secrets. It is not decoded into structs, since go-toml finds their
// fields in any case, and other readers of these files do not.
func decodeTOML(b []byte, limit int) (map[string]any, error) {
	if len(b) > limit {
		return nil, fmt.Errorf("has more than %d bytes", limit)
	}
	var top map[string]any
	err := toml.Unmarshal(bytes.TrimPrefix(b, []byte(byteOrderMark)), &top)
	var d *toml.DecodeError
	if errors.As(err, &d) {
		row, column := d.Position()
		return nil, fmt.Errorf("line %d, column %d: %w", row, column, err)
	}
	return top, err
}

// tomlTable is a table that is read key by key. The first error is kept.
type tomlTable struct {
	m     map[string]any
	where string
	known map[string]bool
	err   *error
}

func newTOMLTable(where string, m map[string]any, err *error) *tomlTable {
	return &tomlTable{m, where, map[string]bool{}, err}
}

func (t *tomlTable) fail(err error) {
	if *t.err == nil {
		if t.where != "" {
			err = fmt.Errorf("%s: %w", t.where, err)
		}
		*t.err = err
	}
}

// value returns the value of a key. Other is a key that means the same, or empty.
func (t *tomlTable) value(key, other string) any {
	t.known[key], t.known[other] = true, true
	v, ok := t.m[key]
	if w, also := t.m[other]; also {
		if ok {
			t.fail(fmt.Errorf("has %s and %s, which mean the same", key, other))
		}
		return w
	}
	return v
}

// text returns a string, which is empty if it is not there.
func (t *tomlTable) text(key, other string) string {
	v := t.value(key, other)
	s, ok := v.(string)
	if !ok && v != nil {
		t.fail(fmt.Errorf("%s is no string", key))
	}
	return s
}

// parse has a string read, if it is there.
func parseText[T any](t *tomlTable, key string, parse func(string) (T, error)) (v T, ok bool) {
	s := t.text(key, "")
	if _, ok := t.m[key]; !ok || *t.err != nil {
		return v, false
	}
	v, err := parse(s)
	if err != nil {
		t.fail(fmt.Errorf("%s: %w", key, err))
	}
	return v, err == nil
}

// required is parseText of what is to be there.
func required[T any](t *tomlTable, key string, parse func(string) (T, error)) T {
	v, ok := parseText(t, key, parse)
	if !ok {
		t.fail(fmt.Errorf("has no %s", key))
	}
	return v
}

// flag returns a boolean, which is false if it is not there.
func (t *tomlTable) flag(key string) bool {
	v := t.value(key, "")
	b, ok := v.(bool)
	if !ok && v != nil {
		t.fail(fmt.Errorf("%s is neither true nor false", key))
	}
	return b
}

// tables returns a list of tables.
func (t *tomlTable) tables(key, other string) []*tomlTable {
	v := t.value(key, other)
	list, ok := v.([]any)
	if !ok && v != nil {
		t.fail(fmt.Errorf("%s is no list", key))
	}
	tables := make([]*tomlTable, 0, len(list))
	for i, e := range list {
		m, ok := e.(map[string]any)
		if !ok {
			t.fail(fmt.Errorf("%s: %d is no table", key, i))
		}
		tables = append(tables, newTOMLTable(strings.TrimPrefix(fmt.Sprintf("%s %s[%d]", t.where, key, i), " "), m, t.err))
	}
	return tables
}

// table returns a table, or nil if it is not there.
func (t *tomlTable) table(key string) *tomlTable {
	v := t.value(key, "")
	m, ok := v.(map[string]any)
	if !ok {
		if v != nil {
			t.fail(fmt.Errorf("%s is no table", key))
		}
		return nil
	}
	return newTOMLTable(strings.TrimPrefix(t.where+"."+key, "."), m, t.err)
}

// version1 refuses all versions of a file but the first.
func (t *tomlTable) version1() {
	if v, ok := t.value("version", "").(int64); !ok || v != 1 {
		t.fail(errors.New("expected version = 1"))
	}
}

// end refuses keys that nobody asked for.
func (t *tomlTable) end() {
	for _, key := range sortedKeys(t.m) {
		if !t.known[key] {
			t.fail(fmt.Errorf("unknown key %q", key))
		}
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// tomlString writes a string as Rust's crate toml does when it is to be pretty, so
// that files do not change with who wrote them.
func tomlString(s string) string {
	special, backslash, newline, control := strings.ContainsRune(s, '"'), strings.ContainsRune(s, '\\'), strings.ContainsRune(s, '\n'), false
	for _, r := range s {
		control = control || r < ' ' && r != '\t' && r != '\n' || r == 0x7f
	}
	open := ""
	if newline {
		open = "\n"
	}
	switch {
	case !control && !backslash && !special && !newline:
		return `"` + tomlEscape(s, false) + `"`
	case !control && !newline && !strings.ContainsRune(s, '\''):
		return "'" + s + "'"
	case !control && !backslash && !strings.Contains(s, `"""`):
		return `"""` + open + tomlEscape(s, true) + `"""`
	case !control && !strings.Contains(s, "'''"):
		return "'''" + open + s + "'''"
	case newline:
		return `"""` + open + tomlEscape(s, true) + `"""`
	}
	return `"` + tomlEscape(s, false) + `"`
}

// tomlEscape escapes what stands in a basic string, of one line or of several.
func tomlEscape(s string, lines bool) string {
	var b strings.Builder
	quotes := 0
	for _, r := range s {
		if r != '"' {
			quotes = 0
		}
		switch {
		case r == '"':
			if quotes++; lines && quotes < 3 {
				b.WriteRune(r)
			} else {
				b.WriteString(`\"`)
				quotes = 0
			}
		case r == '\\':
			b.WriteString(`\\`)
		case r == '\n' && lines:
			b.WriteRune(r)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\b':
			b.WriteString(`\b`)
		case r == '\f':
			b.WriteString(`\f`)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
