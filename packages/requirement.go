package packages

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ashlar-wasm/ashlar/wit"
)

// Requirement says which versions will do, in the language of Rust's crate semver,
// which wkg.lock is written in: comparators that are separated by commas and all
// have to match. The zero value is [AnyVersion].
//
//	1.2.3, ^1.2.3   >=1.2.3, <2.0.0 (^0.2.3: <0.3.0; ^0.0.3: 0.0.3 alone)
//	~1.2.3          >=1.2.3, <1.3.0
//	=1.2.3          that version; =1.2 is 1.2.*
//	1.2.*, 1.*, *   any version that begins so
//	>1.2, >=1, <2, <=1.2.3
//
// A pre-release matches only if a comparator names a pre-release of the same
// major, minor and patch version. Build metadata is ignored.
type Requirement struct{ all []comparator }

// AnyVersion matches every version but pre-releases. It is written as "*".
var AnyVersion = Requirement{}

// maxComparators is the limit of Rust's crate.
const maxComparators = 32

// operator is what a comparator begins with, as it is written.
type operator string

const (
	exact        operator = "="
	greater      operator = ">"
	greaterEqual operator = ">="
	less         operator = "<"
	lessEqual    operator = "<="
	tilde        operator = "~"
	caret        operator = "^"
	wildcard     operator = ""
)

// comparator compares the first parts, one to three, of a version.
type comparator struct {
	op    operator
	parts int
	v     Version
}

// Exactly returns the requirement of one version, without its build metadata.
func Exactly(v Version) Requirement {
	v.Build = ""
	return Requirement{[]comparator{{exact, 3, v}}}
}

// ParseRequirement reads a requirement.
func ParseRequirement(s string) (Requirement, error) {
	if len(s) > maxComparators*maxVersion {
		return Requirement{}, fmt.Errorf("version requirement has %d bytes, more than %d", len(s), maxComparators*maxVersion)
	}
	text := strings.TrimLeft(s, " ")
	if rest, ok := cutWildcard(text); ok {
		if strings.TrimLeft(rest, " ") != "" {
			return Requirement{}, fmt.Errorf("version requirement %q: a wildcard stands alone", s)
		}
		return AnyVersion, nil
	}
	var r Requirement
	for {
		c, rest, err := parseComparator(text)
		if err != nil {
			return Requirement{}, fmt.Errorf("version requirement %q: %w", s, err)
		}
		r.all = append(r.all, c)
		if rest == "" {
			return r, nil
		}
		after, ok := strings.CutPrefix(rest, ",")
		if !ok {
			return Requirement{}, fmt.Errorf("version requirement %q: expected a comma before %q", s, rest)
		}
		if len(r.all) == maxComparators {
			return Requirement{}, fmt.Errorf("version requirement: more than %d comparators", maxComparators)
		}
		text = strings.TrimLeft(after, " ")
	}
}

func cutWildcard(s string) (rest string, ok bool) {
	if s != "" && strings.ContainsRune("*xX", rune(s[0])) {
		return s[1:], true
	}
	return s, false
}

func parseComparator(s string) (c comparator, rest string, err error) {
	c.op, rest = caret, s
	for _, op := range []operator{greaterEqual, lessEqual, exact, greater, less, tilde, caret} {
		if after, ok := strings.CutPrefix(s, string(op)); ok {
			c.op, rest = op, after
			break
		}
	}
	bare := len(rest) == len(s)
	rest = strings.TrimLeft(rest, " ")
	wild := false
	for i, part := range []*uint64{&c.v.Major, &c.v.Minor, &c.v.Patch} {
		if i > 0 {
			after, ok := strings.CutPrefix(rest, ".")
			if !ok {
				break
			}
			rest = after
			if after, ok := cutWildcard(rest); ok {
				if rest, wild = after, true; bare {
					c.op = wildcard
				}
				continue
			}
			if wild {
				return c, "", errors.New("a number behind a wildcard")
			}
		}
		if *part, rest, err = parseNumber(rest); err != nil {
			return c, "", err
		}
		c.parts = i + 1
	}
	if c.parts == 3 {
		if c.v.Pre, rest, err = cutIdentifiers(rest, '-'); err != nil {
			return c, "", err
		}
		if c.v.Build, rest, err = cutIdentifiers(rest, '+'); err != nil {
			return c, "", err
		}
		if !wit.ValidVersion(c.v.String()) {
			return c, "", fmt.Errorf("%q is no version", c.v)
		}
		c.v.Build = ""
	}
	return c, strings.TrimLeft(rest, " "), nil
}

func parseNumber(s string) (uint64, string, error) {
	end := 0
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	digits := s[:end]
	switch {
	case digits == "":
		return 0, "", fmt.Errorf("expected a number at %q", s)
	case len(digits) > 1 && digits[0] == '0':
		return 0, "", fmt.Errorf("%q has a leading zero", digits)
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return 0, "", fmt.Errorf("%s is too large", digits)
	}
	return n, s[end:], nil
}

// cutIdentifiers cuts identifiers that are separated by dots and begin with a mark.
func cutIdentifiers(s string, mark byte) (ids, rest string, err error) {
	if s == "" || s[0] != mark {
		return "", s, nil
	}
	s = s[1:]
	rest = strings.TrimLeft(s, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-.")
	if ids = s[:len(s)-len(rest)]; ids == "" {
		return "", "", fmt.Errorf("nothing behind %q", string(mark))
	}
	return ids, rest, nil
}

// String returns the requirement in normal form, as Rust's crate prints it.
func (r Requirement) String() string {
	if len(r.all) == 0 {
		return "*"
	}
	texts := make([]string, len(r.all))
	for i, c := range r.all {
		texts[i] = c.String()
	}
	return strings.Join(texts, ", ")
}

func (c comparator) String() string {
	s := string(c.op)
	switch c.parts {
	case 1:
		s += strconv.FormatUint(c.v.Major, 10)
	case 2:
		s += fmt.Sprintf("%d.%d", c.v.Major, c.v.Minor)
	default:
		return s + c.v.String()
	}
	if c.op == wildcard {
		s += ".*"
	}
	return s
}

// MarshalText is [Requirement.String].
func (r Requirement) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is [ParseRequirement].
func (r *Requirement) UnmarshalText(b []byte) (err error) {
	*r, err = ParseRequirement(string(b))
	return err
}

// Equal reports whether two requirements are the same in normal form.
func (r Requirement) Equal(o Requirement) bool { return slices.Equal(r.all, o.all) }

// Version returns the version that a requirement of the form =MAJOR.MINOR.PATCH names.
// Others that match differ from it in their build metadata alone.
func (r Requirement) Version() (Version, bool) {
	if len(r.all) != 1 || r.all[0].op != exact || r.all[0].parts != 3 {
		return Version{}, false
	}
	return r.all[0].v, true
}

// Matches reports whether a version will do.
func (r Requirement) Matches(v Version) bool {
	for _, c := range r.all {
		if !c.matches(v) {
			return false
		}
	}
	if v.Pre == "" {
		return true
	}
	for _, c := range r.all {
		if c.v.Pre != "" && c.v.Major == v.Major && c.v.Minor == v.Minor && c.v.Patch == v.Patch {
			return true
		}
	}
	return false
}

func (c comparator) matches(v Version) bool {
	n := c.compare(v)
	// Whoever names no patch version does not name a pre-release of one.
	equal := n == 0 && (c.parts == 3 || v.Pre == "")
	switch c.op {
	case greater:
		return n > 0
	case greaterEqual:
		return n > 0 || equal
	case less:
		return n < 0
	case lessEqual:
		return n < 0 || equal
	case tilde:
		// The parts before the patch version are fixed.
		return v.Major == c.v.Major && (c.parts < 2 || v.Minor == c.v.Minor) && (n > 0 || equal)
	case caret:
		// The first part that is not 0 is fixed, and all before it.
		fixed := v.Major == c.v.Major
		if c.v.Major == 0 && c.parts > 1 {
			fixed = fixed && v.Minor == c.v.Minor
			if c.v.Minor == 0 && c.parts > 2 {
				fixed = fixed && v.Patch == c.v.Patch
			}
		}
		return fixed && n >= 0
	default:
		return equal
	}
}

// compare orders v relative to the comparator in the parts that this has.
func (c comparator) compare(v Version) int {
	o := c.v
	if c.parts < 3 {
		o.Patch, o.Pre = v.Patch, v.Pre
	}
	if c.parts < 2 {
		o.Minor = v.Minor
	}
	return v.precedence(o)
}
