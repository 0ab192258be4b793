package wit

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// A Position is a place in a source file. The zero value means unknown.
type Position struct {
	File   string
	Line   int // starting at 1
	Column int // in characters, starting at 1
}

// String returns file:line:column.
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// An Error says what is wrong with WIT source text, and where.
type Error struct {
	Position
	// Message is the rule that was broken, on one line.
	Message string
	// Hint is advice, for example "did you mean `x`?", or empty.
	Hint string

	line  string
	width int
}

// maxSnippet bounds the length of a source line that is shown in an error.
const maxSnippet = 500

// Error returns the position, the message, the line of source text with the
// place marked by carets, and the hint.
func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.Position.String())
		b.WriteString(": ")
	}
	b.WriteString(e.Message)
	if e.Line > 0 && len(e.line) <= maxSnippet {
		num := fmt.Sprint(e.Line)
		pad := strings.Repeat(" ", len(num))
		fmt.Fprintf(&b, "\n%s |\n%s | %s\n%s | ", pad, num, e.line, pad)
		for i, r := range []rune(e.line) {
			if i >= e.Column-1 {
				break
			}
			if r == '\t' {
				b.WriteByte('\t')
			} else {
				b.WriteByte(' ')
			}
		}
		b.WriteString(strings.Repeat("^", max(1, e.width)))
	}
	if e.Hint != "" {
		b.WriteString("\nhint: ")
		b.WriteString(e.Hint)
	}
	return b.String()
}

// source is one file of WIT text.
type source struct {
	name string
	text string
}

// span is a range of bytes of a source; the zero value is unknown.
type span struct {
	src        *source
	start, end int
}

func (s span) text() string { return s.src.text[s.start:s.end] }

func (s span) position() Position {
	if s.src == nil {
		return Position{}
	}
	before := s.src.text[:s.start]
	begin := strings.LastIndexByte(before, '\n') + 1
	return Position{
		File:   s.src.name,
		Line:   strings.Count(before, "\n") + 1,
		Column: utf8.RuneCountInString(before[begin:]) + 1,
	}
}

func (s span) errorf(format string, args ...any) *Error {
	e := &Error{Position: s.position(), Message: fmt.Sprintf(format, args...)}
	if s.src != nil {
		begin := strings.LastIndexByte(s.src.text[:s.start], '\n') + 1
		line, _, _ := strings.Cut(s.src.text[begin:], "\n")
		e.line = strings.TrimSuffix(line, "\r")
		// The mark ends with the line, or before it at a line end.
		end := max(s.start, min(s.end, begin+len(e.line)))
		e.width = utf8.RuneCountInString(s.src.text[s.start:end])
	}
	return e
}

func (e *Error) withHint(hint string) *Error {
	e.Hint = hint
	return e
}

// maxCandidates bounds the number of names that a hint is chosen from.
const maxCandidates = 10000

// didYouMean returns a hint with the name among known that is closest to name,
// or nothing if none is close.
func didYouMean(name string, known []string) string {
	best, bestDist := "", (len(name)+2)/3+1
	for _, k := range known[:min(len(known), maxCandidates)] {
		if d := editDistance(name, k, bestDist); d < bestDist {
			best, bestDist = k, d
		}
	}
	if best == "" {
		return ""
	}
	return "did you mean `" + best + "`?"
}

// editDistance returns the Levenshtein distance of two names, or limit if it
// is not below it.
func editDistance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit || len(a) > 100 {
		return limit
	}
	prev := make([]int, len(b)+1)
	cur := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := range len(a) {
		cur[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			cur[j+1] = min(prev[j+1]+1, cur[j]+1, prev[j]+cost)
		}
		prev, cur = cur, prev
	}
	return min(prev[len(b)], limit)
}
