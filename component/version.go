package component

import (
	"strings"

	"github.com/ashlar-wasm/ashlar/wit"
)

// match returns the name among offered that serves an import or export of that
// name: the same one, else the highest version of its compatibility track.
func match(name string, offered func(yield func(string) bool), has func(string) bool) (string, bool) {
	if has(name) {
		return name, true
	}
	base, version, ok := strings.Cut(name, "@")
	if !ok {
		return "", false
	}
	best, bestVersion := "", ""
	for o := range offered {
		b, v, ok := strings.Cut(o, "@")
		if !ok || b != base || wit.VersionTrack(v) != wit.VersionTrack(version) {
			continue
		}
		if best == "" || wit.CompareVersions(v, bestVersion) > 0 {
			best, bestVersion = o, v
		}
	}
	return best, best != ""
}

// closest returns the candidate that is most like name, or "" if none is.
func closest(name string, candidates func(yield func(string) bool)) string {
	best, bestDist := "", len(name)/3+1
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
