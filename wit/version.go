package wit

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// version is a parsed semantic version (semver.org 2.0.0).
type version struct {
	major, minor, patch uint64
	pre                 []string
}

// parseVersion reads a full semantic version, major.minor.patch with optional
// pre-release and build parts.
func parseVersion(s string) (version, error) {
	var v version
	rest, build, hasBuild := strings.Cut(s, "+")
	if hasBuild {
		for _, id := range strings.Split(build, ".") {
			if !isVersionIdent(id) {
				return v, fmt.Errorf("invalid build metadata in version %q", s)
			}
		}
	}
	core, pre, hasPre := strings.Cut(rest, "-")
	if hasPre {
		v.pre = strings.Split(pre, ".")
		for _, id := range v.pre {
			if !isVersionIdent(id) {
				return v, fmt.Errorf("invalid pre-release in version %q", s)
			}
			if len(id) > 1 && id[0] == '0' && isDigits(id) {
				return v, fmt.Errorf("invalid leading zero in pre-release of version %q", s)
			}
		}
	}
	parts := strings.Split(core, ".")
	if len(parts) != 3 {
		return v, fmt.Errorf("version %q is not of the form major.minor.patch", s)
	}
	for i, dst := range []*uint64{&v.major, &v.minor, &v.patch} {
		part := parts[i]
		if !isDigits(part) {
			return v, fmt.Errorf("invalid number in version %q", s)
		}
		if len(part) > 1 && part[0] == '0' {
			return v, fmt.Errorf("invalid leading zero in version %q", s)
		}
		n, err := strconv.ParseUint(part, 10, 64)
		if err != nil {
			return v, fmt.Errorf("number too large in version %q", s)
		}
		*dst = n
	}
	return v, nil
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

func isVersionIdent(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-') {
			return false
		}
	}
	return s != ""
}

// compare orders versions by precedence; build metadata is ignored.
func (v version) compare(o version) int {
	if c := cmp.Or(cmp.Compare(v.major, o.major), cmp.Compare(v.minor, o.minor), cmp.Compare(v.patch, o.patch)); c != 0 {
		return c
	}
	switch {
	case len(v.pre) == 0 && len(o.pre) == 0:
		return 0
	case len(v.pre) == 0:
		return 1
	case len(o.pre) == 0:
		return -1
	}
	for i := range min(len(v.pre), len(o.pre)) {
		a, b := v.pre[i], o.pre[i]
		an, bn := isDigits(a), isDigits(b)
		switch {
		case an && bn:
			// No leading zeros, so the longer number is the larger one.
			if c := cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)); c != 0 {
				return c
			}
		case an:
			return -1
		case bn:
			return 1
		case a != b:
			return cmp.Compare(a, b)
		}
	}
	return cmp.Compare(len(v.pre), len(o.pre))
}

// ValidVersion reports whether s is a full semantic version.
func ValidVersion(s string) bool {
	_, err := parseVersion(s)
	return err == nil
}

// CompareVersions orders two versions by the precedence of semantic
// versioning: -1 if a is lower, 1 if it is higher, 0 otherwise. A string that
// is no version, the empty one included, is lower than every version.
func CompareVersions(a, b string) int {
	va, aerr := parseVersion(a)
	vb, berr := parseVersion(b)
	switch {
	case aerr != nil && berr != nil:
		return 0
	case aerr != nil:
		return -1
	case berr != nil:
		return 1
	}
	return va.compare(vb)
}

// VersionTrack returns the compatibility track of a version: "1" for 1.2.3,
// "0.2" for 0.2.3, the exact version (without build metadata) for 0.0.3 and
// for pre-releases. Versions of one track are compatible. A string that is no
// version is its own track.
func VersionTrack(s string) string {
	v, err := parseVersion(s)
	switch {
	case err != nil:
		return s
	case len(v.pre) > 0 || v.major == 0 && v.minor == 0:
		s, _, _ = strings.Cut(s, "+")
		return s
	case v.major != 0:
		return strconv.FormatUint(v.major, 10)
	}
	return "0." + strconv.FormatUint(v.minor, 10)
}
