package wave

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/internal/canon"
)

func (p *parser) value(t *component.Type) component.Val {
	if p.depth++; p.depth > maxDepth {
		p.fail("values are nested too deep")
	}
	defer func() { p.depth-- }()
	switch t.Kind {
	case canon.KindBool:
		at := p.pos
		switch w := p.word(); w {
		case "true", "false":
			return component.BoolVal(w == "true")
		default:
			p.pos = at
			p.fail("expected true or false")
		}
	case canon.KindS8:
		return component.S8Val(p.int(8))
	case canon.KindS16:
		return component.S16Val(p.int(16))
	case canon.KindS32:
		return component.S32Val(p.int(32))
	case canon.KindS64:
		return component.S64Val(p.int(64))
	case canon.KindU8:
		return component.U8Val(p.uint(8))
	case canon.KindU16:
		return component.U16Val(p.uint(16))
	case canon.KindU32:
		return component.U32Val(p.uint(32))
	case canon.KindU64:
		return component.U64Val(p.uint(64))
	case canon.KindF32:
		return component.F32Val(p.float(32))
	case canon.KindF64:
		return component.F64Val(p.float(64))
	case canon.KindChar:
		return p.char()
	case canon.KindString:
		return component.StringVal(p.string())
	case canon.KindList:
		return p.list(t)
	case canon.KindMap:
		p.expect('[')
		m := component.MapVal{}
		p.items(']', func() {
			e := p.value(t.Elem).(component.TupleVal)
			m = append(m, component.EntryVal{Key: e[0], Value: e[1]})
		})
		return m
	case canon.KindTuple:
		return p.tuple(t)
	case canon.KindRecord:
		return p.record(t)
	case canon.KindFlags:
		return p.flags(t)
	case canon.KindEnum, canon.KindVariant:
		return p.variant(t)
	case canon.KindOption:
		return p.option(t)
	case canon.KindResult:
		return p.result(t)
	}
	p.fail("values of type %s can't be written as text", t)
	return nil
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-'
}

// word reads a keyword or label as it is written, without a leading %.
func (p *parser) word() string {
	p.space()
	start := p.pos
	for p.pos < len(p.s) && isWord(p.s[p.pos]) {
		p.pos++
	}
	return p.s[start:p.pos]
}

// label reads a label; escaped tells that it had a %.
func (p *parser) label() (s string, escaped bool) {
	escaped = p.accept('%')
	if escaped && (p.pos == len(p.s) || !isWord(p.s[p.pos])) {
		p.fail("expected a label after %%, found %s", p.found())
	}
	at := p.pos
	s = p.word()
	if !validLabel(s) {
		p.pos = max(at, p.pos-len(s))
		p.fail("expected a label, found %s", p.found())
	}
	return s, escaped
}

// validLabel checks for words of letters and digits, each of one case.
func validLabel(s string) bool {
	for w := range strings.SplitSeq(s, "-") {
		if w == "" || w[0] >= '0' && w[0] <= '9' || strings.ToLower(w) != w && strings.ToUpper(w) != w {
			return false
		}
	}
	return true
}

// number reads the characters of a JSON number, or of inf, -inf and nan.
func (p *parser) number() string {
	p.space()
	start := p.pos
	for p.pos < len(p.s) && (isWord(p.s[p.pos]) || p.s[p.pos] == '+' || p.s[p.pos] == '.') {
		p.pos++
	}
	return p.s[start:p.pos]
}

// jsonInt checks for digits without a leading zero.
func jsonInt(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != "" && (s[0] != '0' || len(s) == 1)
}

func (p *parser) int(bits int) int64 {
	s := p.number()
	v, err := strconv.ParseInt(s, 10, bits)
	if err != nil || !jsonInt(strings.TrimPrefix(s, "-")) {
		p.pos -= len(s)
		p.fail("expected a signed integer of %d bits, found %q", bits, s)
	}
	return v
}

func (p *parser) uint(bits int) uint64 {
	s := p.number()
	v, err := strconv.ParseUint(s, 10, bits)
	if err != nil || !jsonInt(s) {
		p.pos -= len(s)
		p.fail("expected an unsigned integer of %d bits, found %q", bits, s)
	}
	return v
}

func (p *parser) float(bits int) float64 {
	s := p.number()
	ok := s == "nan" || s == "inf" || s == "-inf" || jsonNumber(s)
	v, err := strconv.ParseFloat(s, bits)
	// What is too large is rounded to infinity, as what is too small to zero.
	if err != nil && !errors.Is(err, strconv.ErrRange) || !ok {
		p.pos -= len(s)
		p.fail("expected a number, found %q", s)
	}
	return v
}

func jsonNumber(s string) bool {
	s = strings.TrimPrefix(s, "-")
	mantissa, exp, hasExp := s, "", false
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		mantissa, exp, hasExp = s[:i], s[i+1:], true
	}
	whole, frac, hasFrac := strings.Cut(mantissa, ".")
	digits := func(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
	return jsonInt(whole) && (!hasFrac || digits(frac)) &&
		(!hasExp || digits(strings.TrimLeft(exp[:min(1, len(exp))], "+-")+exp[min(1, len(exp)):]))
}

func (p *parser) char() component.Val {
	p.expect('\'')
	c := p.rune('\'')
	if p.pos >= len(p.s) || p.s[p.pos] != '\'' {
		p.fail("expected ' after the character, found %s", p.found())
	}
	p.pos++
	return component.CharVal(c)
}

// rune reads one character or escape of a char or string.
func (p *parser) rune(quote byte) rune {
	c, n := utf8.DecodeRuneInString(p.s[p.pos:])
	switch {
	case n == 0:
		p.fail("expected a character, found the end")
	case c == utf8.RuneError && n == 1:
		p.fail("invalid UTF-8")
	case c == '\n' || c == rune(quote):
		p.fail("expected a character, found %s", p.found())
	}
	p.pos += n
	if c != '\\' {
		return c
	}
	if p.pos >= len(p.s) {
		p.fail("expected an escape, found the end")
	}
	e := p.s[p.pos]
	p.pos++
	switch e {
	case '\'', '"', '\\':
		return rune(e)
	case 't':
		return '\t'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 'u':
		end := strings.IndexByte(p.s[p.pos:], '}')
		if end > 1 && p.s[p.pos] == '{' {
			v, err := strconv.ParseUint(p.s[p.pos+1:p.pos+end], 16, 32)
			if err == nil && utf8.ValidRune(rune(v)) && v <= utf8.MaxRune {
				p.pos += end + 1
				return rune(v)
			}
		}
		p.fail("expected a Unicode scalar value like \\u{e9}")
	}
	p.pos -= 2
	p.fail("unknown escape \\%c", e)
	return 0
}

func (p *parser) string() string {
	p.expect('"')
	if strings.HasPrefix(p.s[p.pos:], `""`) {
		p.pos += 2
		return p.multiline()
	}
	var b strings.Builder
	for {
		if p.pos >= len(p.s) {
			p.fail("expected \" at the end of the string")
		}
		if p.s[p.pos] == '"' {
			p.pos++
			return b.String()
		}
		b.WriteRune(p.rune('"'))
	}
}

// multiline reads a string in triple quotes, of which the first are read.
func (p *parser) multiline() string {
	rest := p.s[p.pos:]
	switch {
	case strings.HasPrefix(rest, "\n"):
		p.pos++
	case strings.HasPrefix(rest, "\r\n"):
		p.pos += 2
	default:
		p.fail("expected a line break after \"\"\"")
	}
	end := strings.Index(p.s[p.pos:], `"""`)
	if end < 0 {
		p.fail("expected \"\"\" at the end of the string")
	}
	start, body := p.pos, p.s[p.pos:p.pos+end]
	nl := strings.LastIndexByte(body, '\n')
	indent := body[nl+1:]
	if strings.Trim(indent, " ") != "" {
		p.pos += nl + 1
		p.fail("only spaces may stand before the closing \"\"\"")
	}
	if nl < 0 {
		p.pos += end + 3
		return ""
	}
	lines := strings.Split(strings.TrimSuffix(body[:nl], "\r"), "\n")
	var b strings.Builder
	for i, line := range lines {
		if !strings.HasPrefix(line, indent) {
			p.fail("every line must be indented by %d spaces like the closing \"\"\"", len(indent))
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		q := &parser{s: p.s[:p.pos+len(strings.TrimSuffix(line, "\r"))], pos: p.pos + len(indent)}
		for q.pos < len(q.s) {
			b.WriteRune(q.rune('\n'))
		}
		p.pos += len(line) + 1
	}
	p.pos = start + end + 3
	return b.String()
}

func (p *parser) list(t *component.Type) component.Val {
	p.expect('[')
	l := component.ListVal{}
	p.items(']', func() { l = append(l, p.value(t.Elem)) })
	if t.Fixed && len(l) != int(t.Len) {
		p.fail("expected %d elements, found %d", t.Len, len(l))
	}
	if t.Elem.Kind != canon.KindU8 {
		return l
	}
	b := make(component.BytesVal, len(l))
	for i := range l {
		b[i] = byte(l[i].(component.U8Val))
	}
	return b
}

func (p *parser) tuple(t *component.Type) component.Val {
	p.expect('(')
	u := make(component.TupleVal, 0, len(t.Fields))
	p.items(')', func() {
		if len(u) == len(t.Fields) {
			p.fail("expected %d elements, found more", len(t.Fields))
		}
		u = append(u, p.value(t.Fields[len(u)].Type))
	})
	if len(u) < len(t.Fields) {
		p.fail("expected %d elements, found %d", len(t.Fields), len(u))
	}
	return u
}

func (p *parser) record(t *component.Type) component.Val {
	p.expect('{')
	given := make(map[string]component.Val)
	switch {
	case p.peek() == ':':
		p.pos++
		p.expect('}')
	default:
		if p.peek() == '}' {
			p.fail("expected a field; the record without fields is written {:}")
		}
		p.items('}', func() {
			at := p.pos
			name, _ := p.label()
			var ft *component.Type
			for _, f := range t.Fields {
				if f.Name == name {
					ft = f.Type
				}
			}
			if _, dup := given[name]; dup || ft == nil {
				p.pos = at
				if dup {
					p.fail("field %s is given twice", name)
				}
				p.fail("record has no field %s", name)
			}
			p.expect(':')
			given[name] = p.value(ft)
		})
	}
	r := make(component.RecordVal, len(t.Fields))
	for i, f := range t.Fields {
		v, ok := given[f.Name]
		if !ok {
			if f.Type.Kind != canon.KindOption {
				p.fail("field %s is missing", f.Name)
			}
			v = component.OptionVal{}
		}
		r[i] = component.FieldVal{Name: f.Name, Value: v}
	}
	return r
}

func (p *parser) flags(t *component.Type) component.Val {
	p.expect('{')
	set := make(map[string]bool)
	p.items('}', func() {
		at := p.pos
		name, _ := p.label()
		known := false
		for _, l := range t.Labels {
			known = known || l == name
		}
		if !known || set[name] {
			p.pos = at
			if set[name] {
				p.fail("flag %s is given twice", name)
			}
			p.fail("there is no flag %s", name)
		}
		set[name] = true
	})
	f := component.FlagsVal{}
	for _, l := range t.Labels {
		if set[l] {
			f = append(f, l)
		}
	}
	return f
}

func (p *parser) payload(t *component.Type) component.Val {
	if t == nil {
		return nil
	}
	p.expect('(')
	v := p.value(t)
	p.expect(')')
	return v
}

func (p *parser) variant(t *component.Type) component.Val {
	p.space()
	at := p.pos
	name, escaped := p.label()
	if keywords[name] && !escaped {
		p.pos = at
		p.fail("the case %s must be written %%%s", name, name)
	}
	for _, c := range t.Cases {
		if c.Name != name {
			continue
		}
		if t.Kind == canon.KindEnum {
			return component.EnumVal(name)
		}
		return component.VariantVal{Case: name, Payload: p.payload(c.Type)}
	}
	p.pos = at
	p.fail("%s has no case %s", t.Kind, name)
	return nil
}

// flat tells that a payload may stand for its option or result.
func flat(t *component.Type) bool {
	return t != nil && t.Kind != canon.KindOption && t.Kind != canon.KindResult
}

// keyword reads one of the keywords if it stands here by itself.
func (p *parser) keyword(words ...string) string {
	p.space()
	at := p.pos
	w := p.word()
	for _, k := range words {
		if w == k {
			return k
		}
	}
	p.pos = at
	return ""
}

func (p *parser) option(t *component.Type) component.Val {
	some := t.Cases[1].Type
	switch p.keyword("some", "none") {
	case "none":
		return component.OptionVal{}
	case "some":
		return component.OptionVal{Some: p.payload(some)}
	}
	if !flat(some) {
		p.fail("expected some(...) or none, found %s", p.found())
	}
	return component.OptionVal{Some: p.value(some)}
}

func (p *parser) result(t *component.Type) component.Val {
	ok, err := t.Cases[0].Type, t.Cases[1].Type
	switch p.keyword("ok", "err") {
	case "ok":
		return component.ResultVal{Payload: p.payload(ok)}
	case "err":
		return component.ResultVal{IsErr: true, Payload: p.payload(err)}
	}
	if !flat(ok) {
		p.fail("expected ok or err, found %s", p.found())
	}
	return component.ResultVal{Payload: p.value(ok)}
}
