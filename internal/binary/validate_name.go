package binary

import (
	"fmt"
	"strings"
)

// nameKind is the form of an extern name (Explainer.md, "Import and Export Definitions").
type nameKind uint8

const (
	nameLabel nameKind = iota
	nameConstructor
	nameMethod
	nameStatic
	nameInterface
	nameDependency
	nameURL
	nameHash
)

// externName is a parsed extern name.
type externName struct {
	kind nameKind
	raw  string
	// resource is the label before the dot of a method or static function, or that of a
	// constructor.
	resource string
	// version is what follows @ in an interface name.
	version    string
	hasVersion bool
}

// key is equal for two names that are not strongly unique.
func (n *externName) key() string {
	switch n.kind {
	case nameConstructor:
		return "[constructor]" + strings.ToLower(n.resource)
	case nameMethod, nameStatic:
		path := strings.ToLower(n.raw[strings.IndexByte(n.raw, ']')+1:])
		if resource, method, _ := strings.Cut(path, "."); resource == method {
			return resource
		}
		return path
	case nameURL, nameHash:
		return n.raw
	}
	return strings.ToLower(n.raw)
}

// parseName parses an extern name. Its error is without position.
func parseName(raw string, nested bool) (*externName, error) {
	p := &nameParser{rest: raw, nested: nested}
	n := &externName{raw: raw}
	p.name(n)
	if p.err == nil && p.rest != "" {
		p.fail("trailing characters found: `%s`", p.rest)
	}
	return n, p.err
}

// nameParser consumes a name from the left. After an error it consumes nothing.
type nameParser struct {
	rest   string
	nested bool
	err    error
}

func (p *nameParser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

func (p *nameParser) name(n *externName) {
	switch {
	case p.eat("[constructor]"):
		n.kind = nameConstructor
		n.resource = p.kebab(p.all())
	case p.eat("[method]"):
		n.kind = nameMethod
		n.resource = p.kebab(p.upTo('.', true))
		p.kebab(p.all())
	case p.eat("[static]"):
		n.kind = nameStatic
		n.resource = p.kebab(p.upTo('.', true))
		p.kebab(p.all())
	case p.eat("unlocked-dep="):
		n.kind = nameDependency
		p.expect("<")
		p.path(false)
		if p.eat("@") && !p.eat("*") {
			p.expect("{")
			p.versionRange(p.upTo('}', true))
		}
		p.expect(">")
	case p.eat("locked-dep="):
		n.kind = nameDependency
		p.expect("<")
		p.path(false)
		if p.eat("@") {
			if strings.Contains(p.rest, ">") {
				p.semver(p.upTo('>', false))
			} else {
				p.semver(p.all())
			}
		}
		p.expect(">")
		p.optionalHash()
	case p.eat("url="):
		n.kind = nameURL
		p.expect("<")
		if strings.Contains(p.upTo('>', true), "<") {
			p.fail("url cannot contain `<`")
		}
		p.optionalHash()
	case p.eat("integrity="):
		n.kind = nameHash
		p.expect("<")
		p.hash()
		p.expect(">")
	case strings.Contains(p.rest, ":"):
		n.kind = nameInterface
		p.path(true)
		if p.eat("@") {
			n.hasVersion = true
			n.version = p.all()
		}
	default:
		p.kebab(p.all())
	}
}

func (p *nameParser) eat(prefix string) bool {
	rest, ok := strings.CutPrefix(p.rest, prefix)
	if ok && p.err == nil {
		p.rest = rest
		return true
	}
	return false
}

func (p *nameParser) expect(prefix string) {
	if !p.eat(prefix) {
		p.fail("expected `%s` at `%s`", prefix, p.rest)
	}
}

func (p *nameParser) all() string {
	s := p.rest
	p.rest = ""
	return s
}

// upTo takes what is before c, and c itself if told so.
func (p *nameParser) upTo(c byte, over bool) string {
	i := strings.IndexByte(p.rest, c)
	if i < 0 {
		p.fail("failed to find `%c` character", c)
		return ""
	}
	s := p.rest[:i]
	if over {
		i++
	}
	p.rest = p.rest[i:]
	return s
}

func (p *nameParser) kebab(s string) string {
	if !isKebab(s) {
		p.fail("`%s` is not in kebab case", s)
	}
	return s
}

// label takes the longest run of characters that labels have.
func (p *nameParser) label() string {
	i := strings.IndexFunc(p.rest, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-')
	})
	if i < 0 {
		return p.kebab(p.all())
	}
	s := p.rest[:i]
	p.rest = p.rest[i:]
	return p.kebab(s)
}

func (p *nameParser) lowercase() {
	for _, c := range p.label() {
		if c >= 'A' && c <= 'Z' {
			p.fail("character `%c` is not lowercase in package name/namespace", c)
		}
	}
}

// path takes namespace, package and, if it is required, an interface.
func (p *nameParser) path(projection bool) {
	p.lowercase()
	p.expect(":")
	p.lowercase()
	for p.nested && p.eat(":") {
		p.lowercase()
	}
	if p.eat("/") {
		p.label()
		for p.nested && p.eat("/") {
			p.label()
		}
	} else if projection {
		p.fail("expected `/` after package name")
	}
}

func (p *nameParser) semver(s string) {
	if err := checkSemver(s); err != nil {
		p.fail("`%s` is not a valid semver: %w", s, err)
	}
}

func (p *nameParser) versionRange(s string) {
	if s == "*" || p.err != nil {
		return
	}
	if lower, ok := strings.CutPrefix(s, ">="); ok {
		lower, upper, bounded := strings.Cut(lower, " ")
		p.semver(lower)
		if bounded {
			if upper, ok = strings.CutPrefix(upper, "<"); !ok {
				p.fail("expected `<` at start of version range upper bounds")
			}
			p.semver(upper)
		}
	} else if upper, ok := strings.CutPrefix(s, "<"); ok {
		p.semver(upper)
	} else {
		p.fail("expected `>=` or `<` at start of version range")
	}
}

func (p *nameParser) optionalHash() {
	if p.eat(",") {
		p.expect("integrity=<")
		p.hash()
		p.expect(">")
	}
}

// hash takes subresource integrity metadata.
func (p *nameParser) hash() {
	hashes := strings.Fields(p.upTo('>', false))
	if len(hashes) == 0 {
		p.fail("integrity hash cannot be empty")
	}
	for _, hash := range hashes {
		algorithm := hash[:min(6, len(hash))]
		if algorithm != "sha256" && algorithm != "sha384" && algorithm != "sha512" {
			p.fail("unrecognized hash algorithm: `%s`", hash)
			return
		}
		digest, ok := strings.CutPrefix(hash[6:], "-")
		if !ok {
			p.fail("expected `-` after hash algorithm: %s", hash)
		}
		digest, _, _ = strings.Cut(digest, "?")
		if !isBase64(digest) {
			p.fail("not valid base64: `%s`", digest)
		}
	}
}

func isBase64(s string) bool {
	body := strings.TrimRight(s, "=")
	if body == "" || len(s)-len(body) > 2 {
		return false
	}
	for _, c := range []byte(body) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/') {
			return false
		}
	}
	return true
}

// isKebab tells whether s is a label: words of one case joined by hyphens, the first of
// which begins with a letter.
func isKebab(s string) bool {
	for i, word := range strings.Split(s, "-") {
		if word == "" || i == 0 && word[0] >= '0' && word[0] <= '9' {
			return false
		}
		var lower, upper bool
		for _, c := range []byte(word) {
			switch {
			case c >= 'a' && c <= 'z':
				lower = true
			case c >= 'A' && c <= 'Z':
				upper = true
			case c >= '0' && c <= '9':
			default:
				return false
			}
		}
		if lower && upper {
			return false
		}
	}
	return true
}

// isCanonVersion tells whether s is the part of a version that tells compatible ones: the
// major version, or as much as it takes to come to a number that is not 0.
func isCanonVersion(s string) bool {
	if s == "0.0.0" {
		return true
	}
	s, zero := strings.CutPrefix(s, "0.")
	if zero {
		s, _ = strings.CutPrefix(s, "0.")
	}
	return s != "" && s[0] != '0' && strings.Trim(s, "0123456789") == ""
}

// checkSemver checks a version as in Semantic Versioning 2.0.0.
func checkSemver(s string) error {
	if s == "" {
		return fmt.Errorf("empty string, expected a semver version")
	}
	part := ""
	for i, name := range [3]string{"major", "minor", "patch"} {
		part = name + " version number"
		digits := 0
		for digits < len(s) && s[digits] >= '0' && s[digits] <= '9' {
			digits++
		}
		switch {
		case digits == 0 && s == "":
			return fmt.Errorf("unexpected end of input while parsing %s", part)
		case digits == 0:
			return fmt.Errorf("unexpected character %q while parsing %s", first(s), part)
		case digits > 1 && s[0] == '0':
			return fmt.Errorf("invalid leading zero in %s", part)
		case digits > 20 || digits == 20 && s[:20] > "18446744073709551615":
			return fmt.Errorf("value of %s exceeds %d", part, uint64(1<<64-1))
		}
		s = s[digits:]
		if i == 2 {
			break
		}
		switch {
		case s == "":
			return fmt.Errorf("unexpected end of input while parsing %s", part)
		case s[0] != '.':
			return fmt.Errorf("unexpected character %q after %s", first(s), part)
		}
		s = s[1:]
	}
	for _, suffix := range [2]struct{ mark, part string }{{"-", "pre-release identifier"}, {"+", "build metadata"}} {
		rest, ok := strings.CutPrefix(s, suffix.mark)
		if !ok {
			continue
		}
		part = suffix.part
		end := strings.IndexFunc(rest, func(c rune) bool {
			return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.')
		})
		if end < 0 {
			end = len(rest)
		}
		for _, id := range strings.Split(rest[:end], ".") {
			if id == "" {
				return fmt.Errorf("empty identifier segment in %s", part)
			}
			numeric := strings.Trim(id, "0123456789") == ""
			if suffix.mark == "-" && numeric && len(id) > 1 && id[0] == '0' {
				return fmt.Errorf("invalid leading zero in %s", part)
			}
		}
		s = rest[end:]
	}
	if s != "" {
		return fmt.Errorf("unexpected character %q after %s", first(s), part)
	}
	return nil
}

func first(s string) rune {
	for _, c := range s {
		return c
	}
	return 0
}
