package component

import (
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// splitVersion cuts the version off an interface name.
func splitVersion(name string) (base string, version *semver.Version) {
	base, v, ok := strings.Cut(name, "@")
	if !ok {
		return name, nil
	}
	version, err := semver.StrictNewVersion(v)
	if err != nil {
		return name, nil
	}
	return base, version
}

// track returns the compatibility track of a version: the major version or
// 0.minor. Versions 0.0.z and pre-releases are of no track.
func track(v *semver.Version) string {
	switch {
	case v == nil || v.Prerelease() != "":
		return ""
	case v.Major() > 0:
		return strconv.FormatUint(v.Major(), 10)
	case v.Minor() > 0:
		return "0." + strconv.FormatUint(v.Minor(), 10)
	default:
		return ""
	}
}

// match returns the name among offered that serves an import or export of that
// name: the same one, else the highest version of its track.
func match(name string, offered func(yield func(string) bool), has func(string) bool) (string, bool) {
	if has(name) {
		return name, true
	}
	base, version := splitVersion(name)
	want := track(version)
	if want == "" {
		return "", false
	}
	best, bestVersion := "", (*semver.Version)(nil)
	for o := range offered {
		b, v := splitVersion(o)
		if b != base || track(v) != want {
			continue
		}
		if bestVersion == nil || v.GreaterThan(bestVersion) {
			best, bestVersion = o, v
		}
	}
	return best, bestVersion != nil
}

// closest returns the candidate that is most like name, or "" if none is.
func closest(name string, candidates func(yield func(string) bool)) string {
	best, bestDist := "", len(name)/2+1
	for c := range candidates {
		if d := editDistance(name, c, bestDist); d < bestDist || d == bestDist && best != "" && c < best {
			best, bestDist = c, d
		}
	}
	return best
}

// editDistance is the Levenshtein distance, or limit if it is no less.
func editDistance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diag
			if a[i] != b[j] {
				cost++
			}
			diag = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return min(row[len(b)], limit)
}
