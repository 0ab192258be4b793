package trust

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of YAML, beside its size. The parser calls itself for each level.
const (
	maxTokens  = 20_000
	maxNesting = 16
	maxColumn  = 200 // of what begins a block
)

// node is a value with its place in the file.
type node struct{ ast.Node }

// parseYAML reads one document, of the part of YAML that can't be misread: mappings,
// lists and scalars.
func parseYAML(b []byte) (*node, error) {
	if len(b) > maxPolicy {
		return nil, fmt.Errorf("has %d bytes, at most %d are expected", len(b), maxPolicy)
	}
	if !utf8.Valid(b) {
		return nil, errors.New("not UTF-8")
	}
	tokens := lexer.Tokenize(strings.TrimPrefix(string(b), "\ufeff")) // as some editors begin files
	if err := checkTokens(tokens); err != nil {
		return nil, err
	}
	f, err := parser.Parse(tokens, 0)
	var syntax *yaml.SyntaxError
	switch {
	case errors.As(err, &syntax) && syntax.Token != nil:
		return nil, errorAt(syntax.Token, "%s", syntax.Message)
	case err != nil:
		return nil, err
	case len(f.Docs) != 1 || f.Docs[0].Body == nil:
		return nil, errors.New("expected one document")
	}
	return &node{f.Docs[0].Body}, nil
}

// checkTokens refuses what is nested deeply, before it is parsed, and what makes one
// text stand for another.
func checkTokens(tokens token.Tokens) error {
	if len(tokens) > maxTokens {
		return fmt.Errorf("more than %d tokens", maxTokens)
	}
	depth := 0
	for _, t := range tokens {
		switch t.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType, token.TagType, token.DirectiveType:
			return errorAt(t, "%q: anchors, aliases, tags and directives are not allowed; quote text that begins with '&', '*' or '!'", t.Value)
		case token.SequenceStartType, token.MappingStartType:
			if depth++; depth > maxNesting {
				return errorAt(t, "nested deeper than %d", maxNesting)
			}
		case token.SequenceEndType, token.MappingEndType:
			depth--
		case token.SequenceEntryType, token.MappingKeyType:
			if t.Position.Column > maxColumn {
				return errorAt(t, "indented further than %d", maxColumn)
			}
		case token.DocumentHeaderType, token.DocumentEndType:
			if t.Position.Line > 1 {
				return errorAt(t, "expected one document")
			}
		}
	}
	return nil
}

func errorAt(t *token.Token, format string, args ...any) error {
	e := &Error{Err: fmt.Errorf(format, args...)}
	if t != nil && t.Position != nil {
		e.Line, e.Column = t.Position.Line, t.Position.Column
	}
	return e
}

func (n *node) errorf(format string, args ...any) error {
	return errorAt(n.first(), format, args...)
}

// first returns the token where the value begins.
func (n *node) first() *token.Token {
	switch v := n.Node.(type) {
	case *ast.MappingNode:
		if len(v.Values) > 0 && !v.IsFlowStyle {
			return v.Values[0].Key.GetToken()
		}
	case *ast.MappingValueNode:
		return v.Key.GetToken()
	}
	return n.GetToken()
}

func (n *node) line() int {
	if t := n.first(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 0
}

func (n *node) isMapping() bool {
	_, ok := n.Node.(ast.MapNode)
	return ok
}

// mapping is a mapping whose keys are known.
type mapping struct {
	n      *node
	values map[string]*node
}

// mapping reads a mapping that has none but these keys.
func (n *node) mapping(known ...string) (mapping, error) {
	m := mapping{n, map[string]*node{}}
	nodes, ok := n.Node.(ast.MapNode)
	if !ok {
		return m, n.errorf("expected keys with values: %s", strings.Join(known, ", "))
	}
	for i := nodes.MapRange(); i.Next(); {
		k := &node{i.Key()}
		key, err := k.text()
		if err != nil {
			return m, err
		}
		if !slices.Contains(known, key) {
			return m, k.errorf("unknown key %q; there are %s", key, strings.Join(known, ", "))
		}
		if m.values[key] != nil {
			return m, k.errorf("the key %q is there twice", key)
		}
		if i.Value() == nil {
			return m, k.errorf("%s has no value", key)
		}
		m.values[key] = &node{i.Value()}
	}
	return m, nil
}

// get returns the value of a key, or nil.
func (m mapping) get(key string) *node { return m.values[key] }

func (m mapping) required(key string) (*node, error) {
	if v := m.values[key]; v != nil {
		return v, nil
	}
	return nil, m.n.errorf("%s is missing", key)
}

// list reads a list with something in it. It is nil if n is.
func (n *node) list(limit int) ([]*node, error) {
	if n == nil {
		return nil, nil
	}
	s, ok := n.Node.(*ast.SequenceNode)
	if !ok || len(s.Values) == 0 {
		return nil, n.errorf("expected a list")
	}
	if len(s.Values) > limit {
		return nil, n.errorf("a list of more than %d", limit)
	}
	var list []*node
	for _, v := range s.Values {
		if v == nil {
			return nil, n.errorf("the list has an entry without a value")
		}
		list = append(list, &node{v})
	}
	return list, nil
}

// text reads a string that is not empty.
func (n *node) text() (string, error) {
	var s string
	switch v := n.Node.(type) {
	case *ast.StringNode:
		s = v.Value
	case *ast.LiteralNode:
		if v.Value != nil {
			s = v.Value.Value
		}
	default:
		return "", n.errorf("expected text")
	}
	if s == "" {
		return "", n.errorf("expected text that is not empty")
	}
	return s, nil
}

// integer reads a small number in decimal digits.
func (n *node) integer() (int, error) {
	v, ok := n.Node.(*ast.IntegerNode)
	if !ok {
		return 0, n.errorf("expected a number")
	}
	i, err := strconv.ParseInt(v.GetToken().Value, 10, 16)
	if err != nil {
		return 0, n.errorf("expected a small number in decimal digits")
	}
	return int(i), nil
}
