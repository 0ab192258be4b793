package wit

import "strings"

// docText extracts the text of comments: markers are removed, and the
// indentation that all of them share. The lines of a block comment count
// together, as its first line does.
func docText(d docs) string {
	var parts []string
	for _, c := range d.comments {
		c = strings.ReplaceAll(strings.ReplaceAll(c, "\r\n", "\n"), "\r", " ")
		if body, ok := strings.CutPrefix(c, "/**"); ok && len(c) > len("/**/") {
			c = strings.TrimSuffix(body, "*/")
		} else {
			c = strings.TrimLeft(c, "/")
		}
		parts = append(parts, strings.TrimRight(c, " \t\n\f\v"))
	}
	unindent(parts)
	lines := strings.Split(strings.Join(parts, "\n"), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " \t\f\v")
	}
	unindent(lines)
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// unindent removes the white space with which all texts that are not empty
// begin.
func unindent(texts []string) {
	indent := -1
	for _, t := range texts {
		if n := len(t) - len(strings.TrimLeft(t, " \t")); t != "" && (indent < 0 || n < indent) {
			indent = n
		}
	}
	for i, t := range texts {
		if indent > 0 && t != "" {
			texts[i] = t[indent:]
		}
	}
}

// cleanDocs replaces characters that may not stand in text.
func cleanDocs(s string) string {
	s = strings.Map(func(r rune) rune {
		if forbidden(r) != "" || r == '\r' {
			return ' '
		}
		return r
	}, strings.ReplaceAll(s, "\r\n", "\n"))
	return strings.TrimRight(s, "\n")
}
