package trust

import (
	"fmt"
	"regexp"
	"strings"
)

// pattern matches names: '*' stands for any characters but '/' and ':', and '**'
// between slashes for one or more segments.
type pattern struct {
	text     string
	layout   bool // of layouts on disk
	segments []string
}

const doubleStar = "**"

// SchemeLayout begins references to layouts on disk.
const SchemeLayout = "oci:"

func newPattern(text string) (pattern, error) {
	p := pattern{text: text}
	text, p.layout = strings.CutPrefix(text, SchemeLayout)
	p.segments = strings.Split(text, "/")
	double := 0
	for _, s := range p.segments {
		switch {
		case s == doubleStar:
			double++
		case strings.Contains(s, doubleStar):
			return p, fmt.Errorf("pattern %q: '**' stands alone between slashes", p.text)
		case strings.Count(s, "*") > 2:
			return p, fmt.Errorf("pattern %q: more than two '*' between slashes", p.text)
		}
	}
	switch {
	case text == "" || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return p, fmt.Errorf("pattern %q: expected a name", p.text)
	case strings.ContainsAny(text, "?[]{}\\"):
		return p, fmt.Errorf("pattern %q: nothing but '*' and '**' stands for other characters", p.text)
	case double > 2:
		return p, fmt.Errorf("pattern %q: more than two '**'", p.text)
	}
	return p, nil
}

var packagePattern = regexp.MustCompile(`^[a-z0-9*-]+:[a-z0-9*-]+$`)

// newPackagePattern reads a pattern of names of packages.
func newPackagePattern(text string) (pattern, error) {
	if !packagePattern.MatchString(text) {
		return pattern{}, fmt.Errorf("pattern %q: expected namespace:name without a version, where '*' stands for any characters", text)
	}
	return newPattern(text)
}

// newReferencePattern reads a pattern of references. One that could match none is an
// error.
func newReferencePattern(text string) (pattern, error) {
	p, err := newPattern(text)
	if err != nil || p.layout || text == doubleStar {
		return p, err
	}
	_, name, ok := strings.Cut(text, "/")
	switch {
	case !ok:
		return p, fmt.Errorf("pattern %q: expected HOST/NAME or oci:FOLDER", text)
	case strings.ContainsAny(name, ":@"):
		return p, fmt.Errorf("pattern %q: has a tag or digest, which rules don't look at", text)
	case text != strings.ToLower(text):
		return p, fmt.Errorf("pattern %q: names in registries are in lower case", text)
	}
	return p, nil
}

func (p *pattern) match(name string) bool {
	name, layout := strings.CutPrefix(name, SchemeLayout)
	return layout == p.layout && matchSegments(p.segments, strings.Split(name, "/"))
}

func matchSegments(pattern, name []string) bool {
	for len(pattern) > 0 {
		if pattern[0] == doubleStar {
			for n := 1; n <= len(name); n++ {
				if matchSegments(pattern[1:], name[n:]) {
					return true
				}
			}
			return false
		}
		if len(name) == 0 || !matchSegment(pattern[0], name[0]) {
			return false
		}
		pattern, name = pattern[1:], name[1:]
	}
	return len(name) == 0
}

// matchSegment matches what has no '/'.
func matchSegment(pattern, name string) bool {
	before, rest, star := strings.Cut(pattern, "*")
	name, ok := strings.CutPrefix(name, before)
	if !star || !ok {
		return ok && name == ""
	}
	for !matchSegment(rest, name) {
		if name == "" || name[0] == ':' {
			return false
		}
		name = name[1:]
	}
	return true
}

// anyMatches reports whether one of the patterns matches a name. None matches an empty
// one.
func anyMatches(patterns []pattern, name string) bool {
	for i := range patterns {
		if name != "" && patterns[i].match(name) {
			return true
		}
	}
	return false
}
