package trust

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Types of builds whose source is known.
const (
	// BuildType is that of provenance which 'ashlar build --attest' makes.
	BuildType       = "https://ashlar.dev/buildtypes/project/v1"
	buildTypeGitHub = "https://actions.github.io/buildtypes/workflow/v1"
	// buildTypeSLSA is what the same type was called before.
	buildTypeSLSA = "https://slsa-framework.github.io/github-actions-buildtypes/workflow/v1"
)

// find returns the attestation if it is there, or else says what is.
func (a *attestation) find(e *evidence) (found Attestation, reason string) {
	var untrusted []Key
	var problems []string
	for _, c := range e.claims {
		if c.predicate != a.predicateType {
			continue
		}
		if !slices.ContainsFunc(a.keys, func(k Key) bool { return k.Public == c.key.Public }) {
			untrusted = addKey(untrusted, c.key)
			continue
		}
		problem := a.check(c.content)
		if problem == "" {
			return Attestation{a.predicateType, c.key}, ""
		}
		problems = append(problems, fmt.Sprintf("that of %s %s", c.key, problem))
	}
	reason = fmt.Sprintf("attestation %s: expected one by %s", a.name, keyNames(a.keys))
	if len(untrusted) > 0 {
		problems = append(problems, "one is by "+keyNames(untrusted))
	}
	if len(problems) == 0 {
		problems = []string{"found none"}
	}
	return found, reason + "; " + strings.Join(problems[:min(len(problems), 5)], "; ")
}

// check says what is wrong with a predicate.
func (a *attestation) check(predicate json.RawMessage) string {
	if a.builder != nil {
		id := text(predicate, "runDetails", "builder", "id")
		if id == "" || !a.builder.match(id) {
			return fmt.Sprintf("has the builder %q, expected %s", clip(id), a.builder.text)
		}
	}
	if a.source == nil {
		return ""
	}
	source, ok := sourceOf(predicate)
	if !ok {
		return fmt.Sprintf("is of the type of builds %q, whose source is not known", clip(text(predicate, "buildDefinition", "buildType")))
	}
	if source == "" || !a.source.match(source) {
		return fmt.Sprintf("has the source %q, expected %s", clip(source), a.source.text)
	}
	if modified(predicate) {
		return "is of sources that were changed after the commit that it names"
	}
	return ""
}

// modified reports whether a build of Ashlar was of sources that no commit has. What
// can't be read is taken for that.
func modified(provenance json.RawMessage) bool {
	if text(provenance, "buildDefinition", "buildType") != BuildType {
		return false
	}
	list := member(provenance, "buildDefinition", "resolvedDependencies")
	if list == nil {
		return false
	}
	var dependencies []json.RawMessage
	if json.Unmarshal(list, &dependencies) != nil {
		return true
	}
	return slices.ContainsFunc(dependencies, func(d json.RawMessage) bool {
		m := member(d, "annotations", "modified")
		return text(d, "name") == "source" && m != nil && string(m) != "false"
	})
}

// sourceOf returns where the sources of a build are from.
func sourceOf(provenance json.RawMessage) (uri string, ok bool) {
	definition := member(provenance, "buildDefinition")
	switch text(definition, "buildType") {
	case BuildType:
		return text(definition, "externalParameters", "source", "uri"), true
	case buildTypeGitHub, buildTypeSLSA:
		return text(definition, "externalParameters", "workflow", "repository"), true
	}
	return "", false
}

// clip shortens a text from outside for an error.
func clip(s string) string {
	const limit = 160
	if len(s) > limit {
		return s[:limit] + "..."
	}
	return s
}
