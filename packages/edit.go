package packages

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// tomlEntry is a key with its value, or the head of a table, and where it begins.
type tomlEntry struct {
	path  []string
	table bool
	line  int // that it begins in
}

// tomlEntries lists the entries of a document, which is valid.
func tomlEntries(b []byte) ([]tomlEntry, error) {
	var all []tomlEntry
	var table []string
	p := &unstable.Parser{}
	p.Reset(b)
	for p.NextExpression() {
		e := p.Expression()
		if e.Kind != unstable.KeyValue && e.Kind != unstable.Table && e.Kind != unstable.ArrayTable {
			continue
		}
		var path []string
		line := 0
		for key := e.Key(); key.Next(); {
			if path == nil {
				line = bytes.Count(b[:key.Node().Raw.Offset], []byte("\n"))
			}
			path = append(path, string(key.Node().Data))
		}
		if e.Kind == unstable.KeyValue {
			all = append(all, tomlEntry{append(slices.Clone(table), path...), false, line})
			continue
		}
		table = path
		all = append(all, tomlEntry{path, true, line})
	}
	return all, p.Error()
}

// editTOML sets the value at a path of a document, as TOML of one line, or removes what is
// there if it is empty. The rest of the text stays as it is, with comments and order. What
// can't be edited so is an error.
func editTOML(b []byte, path []string, value string, limit int) ([]byte, error) {
	before, err := decodeTOML(b, limit)
	if err != nil {
		return nil, err
	}
	out, err := editLines(b, path, value)
	if err != nil {
		return nil, err
	}
	after, err := decodeTOML(out, limit)
	if err == nil {
		var want map[string]any
		if want, err = changed(before, path, value); err == nil && !reflect.DeepEqual(withoutEmpty(want), withoutEmpty(after)) {
			err = errors.New("something else would change, or nothing")
		}
	}
	if err != nil {
		action := "remove"
		if value != "" {
			action = "set"
		}
		return nil, fmt.Errorf("%s %s by hand: the file is written in a way that can't be edited: %w", action, tomlPath(path), err)
	}
	return out, nil
}

// editLines edits the lines of a document.
func editLines(b []byte, path []string, value string) ([]byte, error) {
	var out strings.Builder
	if text, marked := bytes.CutPrefix(b, []byte(byteOrderMark)); marked {
		out.WriteString(byteOrderMark)
		b = text
	}
	newline := "\n"
	if bytes.Contains(b, []byte("\r\n")) {
		newline = "\r\n"
	}
	entries, err := tomlEntries(b)
	if err != nil {
		return nil, err
	}
	lines := strings.SplitAfter(string(b), "\n")
	if last := len(lines) - 1; lines[last] == "" {
		lines = lines[:last]
	}
	remove := map[int]bool{}
	replace, parent := -1, -1 // lines
	if len(path) == 1 {
		parent = 0
	}
	for i, e := range entries {
		within := len(e.path) >= len(path) && slices.Equal(e.path[:len(path)], path)
		switch {
		case within && len(e.path) == len(path) && !e.table && value != "":
			replace = e.line
		case within:
			remove[e.line] = true
		case len(path) == 1:
			// Before the first table, behind what is there.
			if !e.table && (i == 0 || !slices.ContainsFunc(entries[:i], func(e tomlEntry) bool { return e.table })) {
				parent = e.line + 1
			}
		case slices.Equal(e.path, path[:len(path)-1]) && e.table, !e.table && len(e.path) == len(path) && slices.Equal(e.path[:len(path)-1], path[:len(path)-1]) && parent >= 0:
			parent = e.line + 1
		}
	}
	entry := tomlKey(path[len(path)-1]) + " = " + value + newline
	written := value == ""
	put := func() {
		if !written {
			written = true
			out.WriteString(entry)
		}
	}
	for i, line := range lines {
		if i == parent && replace < 0 {
			put()
		}
		switch {
		case i == replace:
			key, rest := splitEntry(line)
			out.WriteString(key + value + rest)
			written = true
		case !remove[i]:
			out.WriteString(line)
			if i == len(lines)-1 && !strings.HasSuffix(line, "\n") {
				out.WriteString(newline)
			}
		}
	}
	if parent >= len(lines) || parent >= 0 && len(lines) == 0 {
		put()
	}
	if !written {
		if len(lines) > 0 {
			out.WriteString(newline)
		}
		out.WriteString("[" + tomlPath(path[:len(path)-1]) + "]" + newline)
		put()
	}
	return []byte(out.String()), nil
}

// splitEntry splits a line with a key and a value into what is before the value and what
// is behind it, which is white space and a comment.
func splitEntry(line string) (before, behind string) {
	quote := byte(0)
	equals, end := -1, len(line)
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quote != 0 && c == '\\' && quote == '"':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '=' && equals < 0:
			equals = i
		case c == '#':
			end = i
			i = len(line)
		}
	}
	before, rest := line[:equals+1], line[equals+1:end]
	value := strings.TrimLeft(rest, " \t")
	before += rest[:len(rest)-len(value)]
	trimmed := strings.TrimRight(value, " \t\r\n")
	return before, value[len(trimmed):] + line[end:]
}

// tomlKey writes a key: bare, where it may be.
func tomlKey(key string) string {
	bare := key != "" && strings.Trim(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == ""
	if bare {
		return key
	}
	return `"` + tomlEscape(key, false) + `"`
}

func tomlPath(path []string) string {
	keys := make([]string, len(path))
	for i, k := range path {
		keys[i] = tomlKey(k)
	}
	return strings.Join(keys, ".")
}

// changed returns a document in which the value at a path is set, or removed.
func changed(doc map[string]any, path []string, value string) (map[string]any, error) {
	out := map[string]any{}
	for k, v := range doc {
		out[k] = v
	}
	key := path[0]
	if len(path) > 1 {
		inner, ok := out[key].(map[string]any)
		if !ok && out[key] != nil {
			return nil, fmt.Errorf("%s is no table", key)
		}
		var err error
		out[key], err = changed(inner, path[1:], value)
		return out, err
	}
	if value == "" {
		delete(out, key)
		return out, nil
	}
	parsed, err := decodeTOML([]byte("v = "+value), len(value)+8)
	if err != nil {
		return nil, err
	}
	out[key] = parsed["v"]
	return out, nil
}

// withoutEmpty leaves tables out that are empty, which mean nothing.
func withoutEmpty(doc map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range doc {
		if t, ok := v.(map[string]any); ok {
			if t = withoutEmpty(t); len(t) == 0 {
				continue
			}
			v = t
		}
		out[k] = v
	}
	return out
}

// rewriteTOML edits a file of TOML, which keeps its mode.
func rewriteTOML(file string, path []string, value string, limit int) (undo func() error, err error) {
	before, err := readFile(file, int64(limit))
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return nil, err
	}
	nothing := func() error { return nil }
	if missing && value == "" {
		return nothing, nil
	}
	after, err := editTOML(before, path, value, limit)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if string(after) == string(before) {
		return nothing, nil
	}
	if err := rewriteFile(file, after); err != nil {
		return nil, err
	}
	return func() error {
		if missing {
			return os.Remove(file)
		}
		return rewriteFile(file, before)
	}, nil
}
