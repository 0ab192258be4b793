package wit

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokEOF     tokenKind = iota
	tokPunct             // one of = , : . ; ( ) { } < > * @ / + - or ->
	tokIdent             // an identifier that is no keyword
	tokRawID             // an identifier after %
	tokKeyword           // the text says which
	tokInteger
	tokString
	tokComment
)

type token struct {
	kind tokenKind
	span span
	// text is the token's text, without the % of an explicit identifier.
	text string
}

// is reports whether the token is that punctuation or keyword.
func (t token) is(text string) bool {
	return (t.kind == tokPunct || t.kind == tokKeyword) && t.text == text
}

func (t token) describe() string {
	switch t.kind {
	case tokEOF:
		return "end of file"
	case tokIdent:
		return "identifier `" + t.text + "`"
	case tokRawID:
		return "identifier `%" + t.text + "`"
	case tokKeyword:
		return "keyword `" + t.text + "`"
	case tokInteger:
		return "an integer"
	case tokString:
		return "a string literal"
	}
	return "`" + t.text + "`"
}

// keywords are the words that must be escaped with % to be identifiers.
var keywords = map[string]bool{
	"use": true, "type": true, "func": true, "u8": true, "u16": true, "u32": true, "u64": true,
	"s8": true, "s16": true, "s32": true, "s64": true, "f32": true, "f64": true, "char": true,
	"resource": true, "own": true, "borrow": true, "record": true, "flags": true, "variant": true,
	"enum": true, "bool": true, "string": true, "option": true, "result": true, "future": true,
	"stream": true, "error-context": true, "list": true, "map": true, "_": true, "as": true,
	"from": true, "static": true, "interface": true, "tuple": true, "world": true, "import": true,
	"export": true, "package": true, "constructor": true, "include": true, "with": true, "async": true,
}

// lexer splits a source into tokens. Copying it saves its place.
type lexer struct {
	src *source
	pos int
}

// forbidden says why a character may not stand anywhere in WIT text, or
// nothing. Line ends and tabs may.
func forbidden(r rune) string {
	switch {
	case r == '\n' || r == '\r' || r == '\t':
		return ""
	case r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
		return "bidirectional override codepoint"
	case r == 0x149 || r == 0x673 || r == 0xf77 || r == 0xf79 || r == 0x17a3 || r == 0x17a4 || r == 0x17b4 || r == 0x17b5:
		return "discouraged codepoint"
	case unicode.IsControl(r):
		return "control code"
	}
	return ""
}

// newLexer checks the text for characters that may not stand anywhere in it.
func newLexer(src *source) (lexer, error) {
	for i, r := range src.text {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(src.text[i:]); n == 1 {
				return lexer{}, span{src, i, i + 1}.errorf("input is not valid UTF-8")
			}
		}
		if why := forbidden(r); why != "" {
			return lexer{}, span{src, i, i + utf8.RuneLen(r)}.errorf("%s %U is not allowed", why, r)
		}
	}
	lx := lexer{src: src}
	if strings.HasPrefix(src.text, "\ufeff") {
		lx.pos = len("\ufeff")
	}
	return lx, nil
}

// next returns the next token; comments are skipped.
func (lx *lexer) next() (token, error) {
	for {
		t, err := lx.nextRaw()
		if err != nil || t.kind != tokComment {
			return t, err
		}
	}
}

// nextRaw returns the next token, which may be a comment. Whitespace is
// skipped.
func (lx *lexer) nextRaw() (token, error) {
	text := lx.src.text
	for lx.pos < len(text) {
		c := text[lx.pos]
		if c == ' ' || c == '\t' || c == '\n' {
			lx.pos++
		} else if c == '\r' && strings.HasPrefix(text[lx.pos:], "\r\n") {
			lx.pos += 2
		} else {
			break
		}
	}
	start := lx.pos
	if start == len(text) {
		return token{kind: tokEOF, span: span{lx.src, start, start}}, nil
	}
	emit := func(kind tokenKind, end int) (token, error) {
		lx.pos = end
		return token{kind, span{lx.src, start, end}, text[start:end]}, nil
	}
	rest := text[start:]
	c := rest[0]
	switch {
	case strings.HasPrefix(rest, "//"):
		end := strings.IndexByte(rest, '\n')
		if end < 0 {
			return emit(tokComment, len(text))
		}
		return emit(tokComment, start+end+1)
	case strings.HasPrefix(rest, "/*"):
		end := blockComment(rest)
		if end < 0 {
			return token{}, span{lx.src, start, start + 2}.errorf("unterminated block comment")
		}
		return emit(tokComment, start+end)
	case strings.HasPrefix(rest, "->"):
		return emit(tokPunct, start+2)
	case c == '"':
		return lx.stringLiteral()
	case c >= '0' && c <= '9':
		end := start
		for end < len(text) && text[end] >= '0' && text[end] <= '9' {
			end++
		}
		return emit(tokInteger, end)
	case c == '%':
		end := start + 1 + identLen(rest[1:])
		lx.pos = end
		return token{tokRawID, span{lx.src, start, end}, text[start+1 : end]}, nil
	case strings.IndexByte("=,:.;(){}<>*@/+-", c) >= 0:
		return emit(tokPunct, start+1)
	}
	if n := identLen(rest); n > 0 {
		word := rest[:n]
		if keywords[word] {
			return emit(tokKeyword, start+n)
		}
		return emit(tokIdent, start+n)
	}
	r, n := utf8.DecodeRuneInString(rest)
	return token{}, span{lx.src, start, start + n}.errorf("unexpected character %q", r)
}

// blockComment returns the length of the comment at the start of s, in which
// comments may be nested, or -1.
func blockComment(s string) int {
	depth := 0
	for i := 0; i < len(s); {
		switch {
		case strings.HasPrefix(s[i:], "/*"):
			depth++
			i += 2
		case strings.HasPrefix(s[i:], "*/"):
			depth--
			i += 2
			if depth == 0 {
				return i
			}
		default:
			i++
		}
	}
	return -1
}

// identLen returns the length of the word at the start of s. Not all words are
// identifiers; checkIdent says what is wrong with those that are not.
func identLen(s string) int {
	for i, r := range s {
		start := r == '_' || unicode.IsLetter(r) || unicode.Is(unicode.Nl, r)
		if !start && (i == 0 || !(r == '-' || unicode.IsDigit(r) || unicode.IsMark(r))) {
			return i
		}
	}
	return len(s)
}

// checkIdent applies the rules for identifiers of WIT.md: words separated by
// single dashes, each all lower or all upper case, the first starting with a
// letter.
func checkIdent(id string) string {
	if id == "" {
		return "identifier is empty"
	}
	for i, part := range strings.Split(id, "-") {
		if part == "" {
			return "identifiers must have characters between '-'s"
		}
		if i == 0 && !isASCIILetter(rune(part[0])) {
			return "invalid character in identifier " + strconv.QuoteRune(firstRune(part))
		}
		lower, upper := false, false
		for _, r := range part {
			switch {
			case r >= '0' && r <= '9':
			case r >= 'a' && r <= 'z':
				lower = true
			case r >= 'A' && r <= 'Z':
				upper = true
			default:
				return "invalid character in identifier " + strconv.QuoteRune(r)
			}
			if lower && upper {
				return "the parts of an identifier must be all lower case or all upper case"
			}
		}
	}
	return ""
}

// ValidName reports whether name can be an identifier of WIT (escaped with %
// if it is a keyword).
func ValidName(name string) bool { return checkIdent(name) == "" }

func isASCIILetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }

func firstRune(s string) rune {
	r, _ := utf8.DecodeRuneInString(s)
	return r
}

// stringLiteral reads the literal at the lexer's place. The token's text is
// its value.
func (lx *lexer) stringLiteral() (token, error) {
	text, start := lx.src.text, lx.pos
	var b strings.Builder
	for i := start + 1; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		at := span{lx.src, i, i + n}
		i += n
		switch {
		case r == '"':
			if !utf8.ValidString(b.String()) {
				return token{}, span{lx.src, start, i}.errorf("string literal is not valid UTF-8")
			}
			lx.pos = i
			return token{tokString, span{lx.src, start, i}, b.String()}, nil
		case r < 0x20 || r == 0x7f:
			return token{}, at.errorf("invalid character in string literal %q", r)
		case r != '\\':
			b.WriteRune(r)
			continue
		}
		if i == len(text) {
			break
		}
		c := text[i]
		at = span{lx.src, i - 1, i + 1}
		i++
		switch c {
		case '"', '\'', '\\':
			b.WriteByte(c)
		case 't':
			b.WriteByte('\t')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 'u':
			end := strings.IndexByte(text[i:], '}')
			if !strings.HasPrefix(text[i:], "{") || end < 0 {
				return token{}, at.errorf("invalid unicode escape in string literal")
			}
			digits := text[i+1 : i+end]
			i += end + 1
			if strings.HasPrefix(digits, "_") || strings.HasSuffix(digits, "_") {
				return token{}, at.errorf("invalid unicode escape in string literal")
			}
			v, err := strconv.ParseUint(strings.ReplaceAll(digits, "_", ""), 16, 32)
			if err != nil || v > unicode.MaxRune || v >= 0xd800 && v < 0xe000 {
				return token{}, at.errorf("invalid unicode escape in string literal")
			}
			b.WriteRune(rune(v))
		default:
			if i < len(text) && isHex(c) && isHex(text[i]) {
				v, _ := strconv.ParseUint(text[i-1:i+1], 16, 8)
				b.WriteByte(byte(v))
				i++
				continue
			}
			return token{}, at.errorf("invalid escape in string literal")
		}
	}
	return token{}, span{lx.src, start, start + 1}.errorf("unterminated string literal")
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
