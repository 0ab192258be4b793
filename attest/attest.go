// Package attest describes how a component was built and what is in it: provenance
// as SLSA has it, and a bill of materials (SBOM) in CycloneDX. Both are made of files
// on disk: the component itself, the project, its locks and those of its language.
//
// The same files give the same bytes: there is no time in them but SOURCE_DATE_EPOCH,
// no random number and no path of this machine.
package attest

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Endings of the files that stand beside NAME.wasm.
const (
	ProvenanceSuffix = ".provenance.json"
	SBOMSuffix       = ".cdx.json"
)

// Media types.
const (
	MediaTypeStatement = "application/vnd.in-toto+json"
	MediaTypeSBOM      = "application/vnd.cyclonedx+json"
)

// Paths returns where the attestations of a component's file are.
func Paths(component string) (provenance, sbom string) {
	base := strings.TrimSuffix(component, ".wasm")
	return base + ProvenanceSuffix, base + SBOMSuffix
}

// Scopes of dependencies, as CycloneDX calls them.
const (
	scopeRequired = ""
	scopeOptional = "optional"
	scopeExcluded = "excluded" // needed to build, or to describe
)

// scopes orders them: what is required somewhere is required.
var scopes = map[string]int{scopeRequired: 0, scopeOptional: 1, scopeExcluded: 2}

// dependency is something that a component is made of or with.
type dependency struct {
	group, name, version string
	purl                 string // may be empty
	scope                string
	hashes               []hash
	dirHash              string // of a module of Go, in hexadecimal
	files                []file // of which one was taken
	properties           []property
	requires             []string // references of others
	direct               bool     // the component itself requires it
}

// ref identifies the dependency among others.
func (d *dependency) ref() string {
	if d.purl != "" {
		return d.purl
	}
	ref := d.name + "@" + d.version
	for _, p := range d.properties {
		ref = p.Value + ":" + ref
	}
	return ref
}

type file struct {
	url    string
	hashes []hash
}

// hash is a digest in hexadecimal, with the name of the algorithm that CycloneDX has.
type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

// digestNames are the names that in-toto has for algorithms of CycloneDX.
var digestNames = map[string]string{"SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}

// newHash returns a digest if it has the length that the algorithm asks for.
func newHash(algorithm string, sum []byte) []hash {
	size := map[string]int{"SHA-1": 20, "SHA-256": 32, "SHA-384": 48, "SHA-512": 64}[algorithm]
	if size == 0 || len(sum) != size {
		return nil
	}
	return []hash{{algorithm, hex.EncodeToString(sum)}}
}

// hexHash is newHash of hexadecimal digits.
func hexHash(algorithm, digits string) []hash {
	sum, err := hex.DecodeString(digits)
	if err != nil {
		return nil
	}
	return newHash(algorithm, sum)
}

func sha256Of(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// merge sorts dependencies and makes one of those that are the same.
func merge(all []dependency) []dependency {
	slices.SortStableFunc(all, func(a, b dependency) int { return strings.Compare(a.ref(), b.ref()) })
	var out []dependency
	for _, d := range all {
		if len(out) == 0 || out[len(out)-1].ref() != d.ref() {
			out = append(out, d)
			continue
		}
		last := &out[len(out)-1]
		if scopes[d.scope] < scopes[last.scope] {
			last.scope = d.scope
		}
		last.requires = append(slices.Clone(last.requires), d.requires...)
		last.direct = last.direct || d.direct
		if len(last.hashes) == 0 {
			last.hashes = d.hashes
		}
		last.dirHash = cmp.Or(last.dirHash, d.dirHash)
	}
	return out
}

// purl returns a package URL. Namespace may have several segments.
func purl(kind, namespace, name, version string, qualifiers ...string) string {
	var b strings.Builder
	b.WriteString("pkg:" + kind + "/")
	for s := range strings.SplitSeq(strings.Trim(namespace, "/"), "/") {
		if s != "" {
			b.WriteString(purlEscape(s) + "/")
		}
	}
	b.WriteString(purlEscape(name))
	if version != "" {
		b.WriteString("@" + purlEscape(version))
	}
	sep := "?"
	for i := 0; i+1 < len(qualifiers); i += 2 {
		if qualifiers[i+1] == "" {
			continue
		}
		b.WriteString(sep + qualifiers[i] + "=" + strings.ReplaceAll(purlEscape(qualifiers[i+1]), "%2F", "/"))
		sep = "&"
	}
	return b.String()
}

// purlEscape escapes everything but letters, digits and ".-_~:".
func purlEscape(s string) string {
	return strings.NewReplacer("+", "%20", "%3A", ":").Replace(url.QueryEscape(s))
}

// goPURL is the package URL of a module of Go, whose names are in lower case there.
func goPURL(path, version string) string {
	namespace, name := "", path
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		namespace, name = path[:i], path[i+1:]
	}
	return purl("golang", strings.ToLower(namespace), strings.ToLower(name), version)
}

// pathError says which file an error is about.
func pathError(path string, err error) error { return fmt.Errorf("%s: %w", path, err) }
