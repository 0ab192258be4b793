package packages

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/ashlar-wasm/ashlar/wit"
)

// Version is a semantic version (semver.org 2.0.0). It is comparable; the zero
// value is 0.0.0.
type Version struct {
	Major, Minor, Patch uint64
	// Pre and Build are what stands behind '-' and '+', or empty.
	Pre, Build string
}

// maxVersion bounds the bytes of a version. Tags of OCI have as many characters.
const maxVersion = 128

// ParseVersion reads a full version: MAJOR.MINOR.PATCH[-PRE][+BUILD].
func ParseVersion(s string) (Version, error) {
	if len(s) > maxVersion {
		return Version{}, fmt.Errorf("version has %d bytes, more than %d", len(s), maxVersion)
	}
	if !wit.ValidVersion(s) {
		return Version{}, fmt.Errorf("version %q: expected MAJOR.MINOR.PATCH[-PRE][+BUILD]", s)
	}
	rest, build, _ := strings.Cut(s, "+")
	core, pre, _ := strings.Cut(rest, "-")
	v := Version{Pre: pre, Build: build}
	numbers := [...]*uint64{&v.Major, &v.Minor, &v.Patch}
	for i, n := range strings.Split(core, ".") {
		*numbers[i], _ = strconv.ParseUint(n, 10, 64) // it is valid
	}
	return v, nil
}

// String returns the version as it is written.
func (v Version) String() string {
	s := fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch)
	if v.Pre != "" {
		s += "-" + v.Pre
	}
	if v.Build != "" {
		s += "+" + v.Build
	}
	return s
}

// MarshalText is [Version.String].
func (v Version) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText is [ParseVersion].
func (v *Version) UnmarshalText(b []byte) (err error) {
	*v, err = ParseVersion(string(b))
	return err
}

// Compare returns -1, 0 or 1. It orders versions by their precedence, and those
// that differ in their build metadata alone by that, as Rust's crate semver does:
// identifiers by number, leading zeros last, or by their bytes.
func (v Version) Compare(o Version) int {
	return cmp.Or(v.precedence(o), compareBuild(v.Build, o.Build))
}

func (v Version) precedence(o Version) int {
	return cmp.Or(cmp.Compare(v.Major, o.Major), cmp.Compare(v.Minor, o.Minor), cmp.Compare(v.Patch, o.Patch), comparePre(v.Pre, o.Pre))
}

// comparePre orders pre-releases; none is the highest.
func comparePre(a, b string) int {
	if a == b {
		return 0
	}
	return wit.CompareVersions(Version{Pre: a}.String(), Version{Pre: b}.String())
}

func compareBuild(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		x, y := as[i], bs[i]
		xn, yn := strings.Trim(x, "0123456789") == "", strings.Trim(y, "0123456789") == ""
		var c int
		switch {
		case xn && yn:
			xv, yv := strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
			c = cmp.Or(cmp.Compare(len(xv), len(yv)), cmp.Compare(xv, yv), cmp.Compare(len(x), len(y)))
		case xn:
			c = -1
		case yn:
			c = 1
		default:
			c = cmp.Compare(x, y)
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(len(as), len(bs))
}

// Tag returns the tag that the version has in OCI registries. Tags may not contain
// '+', and versions can't contain '_', so that the one stands for the other:
// 1.0.0+linux.5 is 1.0.0_linux.5.
func (v Version) Tag() string { return strings.Replace(v.String(), "+", "_", 1) }

// ParseTag is the inverse of [Version.Tag]. A tag that stands for no version is an
// error.
func ParseTag(tag string) (Version, error) {
	if strings.Contains(tag, "+") {
		return Version{}, fmt.Errorf("tag %q contains '+'", tag)
	}
	return ParseVersion(strings.Replace(tag, "_", "+", 1))
}
