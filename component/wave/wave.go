// Package wave reads and writes component values as text, in WAVE, the
// WebAssembly Value Encoding.
package wave

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/internal/canon"
)

// Error is a text that is no value of the expected type.
type Error struct {
	Offset int // in bytes from the start of the text
	Msg    string
}

func (e *Error) Error() string { return fmt.Sprintf("at offset %d: %s", e.Offset, e.Msg) }

// keywords must be written with a % where they are labels of cases.
var keywords = map[string]bool{
	"true": true, "false": true, "inf": true, "nan": true, "some": true, "none": true, "ok": true, "err": true,
}

// Format writes a value on one line. A value that Parse returned is read back
// from it with the same type.
func Format(v component.Val) string {
	var b strings.Builder
	format(&b, v)
	return b.String()
}

func format(b *strings.Builder, v component.Val) {
	list := func(open string, n int, item func(i int), end string) {
		b.WriteString(open)
		for i := range n {
			if i > 0 {
				b.WriteString(", ")
			}
			item(i)
		}
		b.WriteString(end)
	}
	payload := func(name string, p component.Val) {
		b.WriteString(name)
		if p != nil {
			b.WriteByte('(')
			format(b, p)
			b.WriteByte(')')
		}
	}
	switch v := v.(type) {
	case component.BoolVal:
		b.WriteString(strconv.FormatBool(bool(v)))
	case component.S8Val, component.S16Val, component.S32Val, component.S64Val,
		component.U8Val, component.U16Val, component.U32Val, component.U64Val:
		fmt.Fprintf(b, "%d", v)
	case component.F32Val:
		b.WriteString(formatFloat(float64(v), 32))
	case component.F64Val:
		b.WriteString(formatFloat(float64(v), 64))
	case component.CharVal:
		b.WriteByte('\'')
		formatChar(b, rune(v), '\'')
		b.WriteByte('\'')
	case component.StringVal:
		b.WriteByte('"')
		for _, c := range string(v) {
			formatChar(b, c, '"')
		}
		b.WriteByte('"')
	case component.BytesVal:
		list("[", len(v), func(i int) { b.WriteString(strconv.Itoa(int(v[i]))) }, "]")
	case component.ListVal:
		list("[", len(v), func(i int) { format(b, v[i]) }, "]")
	case component.TupleVal:
		list("(", len(v), func(i int) { format(b, v[i]) }, ")")
	case component.MapVal:
		list("[", len(v), func(i int) { format(b, component.TupleVal{v[i].Key, v[i].Value}) }, "]")
	case component.RecordVal:
		var fields []component.FieldVal
		for _, f := range v {
			if o, ok := f.Value.(component.OptionVal); !ok || o.Some != nil {
				fields = append(fields, f)
			}
		}
		if len(fields) == 0 {
			b.WriteString("{:}")
			return
		}
		list("{", len(fields), func(i int) {
			b.WriteString(fields[i].Name + ": ")
			format(b, fields[i].Value)
		}, "}")
	case component.FlagsVal:
		list("{", len(v), func(i int) { b.WriteString(v[i]) }, "}")
	case component.VariantVal:
		payload(escapeLabel(v.Case), v.Payload)
	case component.EnumVal:
		b.WriteString(escapeLabel(string(v)))
	case component.OptionVal:
		if v.Some == nil {
			b.WriteString("none")
		} else {
			payload("some", v.Some)
		}
	case component.ResultVal:
		if v.IsErr {
			payload("err", v.Payload)
		} else {
			payload("ok", v.Payload)
		}
	case *component.Resource:
		fmt.Fprintf(b, "%s<resource>", v.Type.Name)
	}
}

func escapeLabel(s string) string {
	if keywords[s] {
		return "%" + s
	}
	return s
}

func formatFloat(f float64, bits int) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	if a := math.Abs(f); a != 0 && (a < 1e-7 || a >= 1e21) {
		return strconv.FormatFloat(f, 'e', -1, bits)
	}
	return strconv.FormatFloat(f, 'f', -1, bits)
}

func formatChar(b *strings.Builder, c, quote rune) {
	switch c {
	case '\t':
		b.WriteString(`\t`)
	case '\n':
		b.WriteString(`\n`)
	case '\r':
		b.WriteString(`\r`)
	case '\\', quote:
		b.WriteByte('\\')
		b.WriteRune(c)
	default:
		if strconv.IsPrint(c) {
			b.WriteRune(c)
		} else {
			fmt.Fprintf(b, `\u{%x}`, c)
		}
	}
}

// Parse reads a value of type t, which must be all that is in the text.
func Parse(text string, t *component.Type) (v component.Val, err error) {
	p := &parser{s: text}
	defer p.recover(&err)
	v = p.value(t)
	p.end()
	return v, nil
}

// ParseArgs reads the arguments of a call of a function: values separated by
// commas in parentheses, where options at the end may be left out.
func ParseArgs(text string, t *component.FuncType) (args []component.Val, err error) {
	p := &parser{s: text}
	defer p.recover(&err)
	p.expect('(')
	for i, param := range t.Params {
		if p.peek() == ')' {
			if param.Type.Kind != canon.KindOption {
				p.fail("argument %d, %s: %s, is missing", i+1, param.Name, param.Type)
			}
			args = append(args, component.OptionVal{})
			continue
		}
		args = append(args, p.value(param.Type))
		if p.peek() != ')' {
			p.expect(',')
		}
	}
	if p.peek() != ')' {
		p.fail("too many arguments: the function takes %d", len(t.Params))
	}
	p.expect(')')
	p.end()
	return args, nil
}

// maxDepth bounds the nesting of values.
const maxDepth = 200

type parser struct {
	s     string
	pos   int
	depth int
}

type parseError struct{ *Error }

func (p *parser) recover(err *error) {
	switch r := recover().(type) {
	case nil:
	case parseError:
		*err = r.Error
	default:
		panic(r)
	}
}

func (p *parser) fail(format string, args ...any) {
	panic(parseError{&Error{Offset: p.pos, Msg: fmt.Sprintf(format, args...)}})
}

// space skips white space and comments.
func (p *parser) space() {
	for p.pos < len(p.s) {
		switch c := p.s[p.pos]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			p.pos++
		case strings.HasPrefix(p.s[p.pos:], "//"):
			if n := strings.IndexByte(p.s[p.pos:], '\n'); n >= 0 {
				p.pos += n
			} else {
				p.pos = len(p.s)
			}
		default:
			return
		}
	}
}

// peek returns the next significant byte, 0 at the end.
func (p *parser) peek() byte {
	p.space()
	if p.pos == len(p.s) {
		return 0
	}
	return p.s[p.pos]
}

func (p *parser) found() string {
	if p.pos >= len(p.s) {
		return "the end"
	}
	r, _ := utf8.DecodeRuneInString(p.s[p.pos:])
	return strconv.QuoteRune(r)
}

func (p *parser) expect(c byte) {
	if p.peek() != c {
		p.fail("expected %q, found %s", c, p.found())
	}
	p.pos++
}

func (p *parser) accept(c byte) bool {
	if p.peek() != c {
		return false
	}
	p.pos++
	return true
}

func (p *parser) end() {
	if p.peek() != 0 || p.pos < len(p.s) {
		p.fail("expected the end, found %s", p.found())
	}
}

// items reads comma-separated items up to the closing byte.
func (p *parser) items(end byte, item func()) {
	for p.peek() != end {
		item()
		if p.peek() != end {
			p.expect(',')
		}
	}
	p.pos++
}
