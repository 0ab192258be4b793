// Package trust decides which artifacts may be used: a [Policy] says whose signatures
// and attestations they must have, and refuses those that lack them.
package trust

import (
	"fmt"
	"strings"
	"time"

	"github.com/ashlar-wasm/ashlar/signature"
)

// File is the name of a policy in the folders where policies are looked for.
const File = "trust.yaml"

// Policy is the file trust.yaml, version 1:
//
//	version: 1
//	default: refuse                  # or accept: what is done where no rule matches
//	rules:
//	  - name: acme                   # for messages; optional
//	    packages: ["acme:*"]
//	    references: ["registry.example/acme/**"]
//	    keys:                        # files relative to the policy, PEM, or nkeys
//	      - keys/release.pub
//	      - UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4
//	    signatures: 2                # by how many of these keys; 1 unless said
//	    max-age: 90d                 # of the signatures; d or h
//	    attestations:                # signed by one of the keys above, unless said
//	      - sbom
//	      - type: provenance
//	        keys: [keys/ci.pub]
//	        builder: https://ci.example/builders/**
//	        source: git+https://git.example/acme/**
//	      - https://slsa.dev/verification_summary/v1
//	    yanked: refuse               # or accept; refuse unless said
//	  - references: ["localhost:5000/**", "oci:/srv/images/**"]
//	    decision: accept             # or refuse: whatever it has
//
// The first rule that matches decides. A rule matches an artifact that has a package
// or a reference that one of its patterns matches; see [Artifact] for what these are.
// In a pattern, '*' stands for any characters but '/' and ':', and '**' between
// slashes for one or more parts of a path. "oci:**" matches all layouts on disk, and
// "**" all registries.
//
// A rule that names keys is fulfilled by:
//
//   - signatures over the artifact by as many different keys as it says. A key that is
//     listed twice, or in two encodings, is one. With max-age, a signature counts only
//     if it says when it was made, which must be neither longer ago nor in the future.
//     0 is allowed where there are attestations.
//   - each of the attestations, over the artifact, by one of its keys. "provenance" is
//     https://slsa.dev/provenance/v1 and "sbom" is https://cyclonedx.org/bom; others
//     are named by their predicate type. Of provenance, builder and source may be asked
//     for: the builder's id, and where the sources are from, which is the URI of
//     externalParameters.source for builds of Ashlar, and workflow.repository for those
//     of GitHub. Other types of builds have no source, and sources that were changed
//     after their commit are none that were asked for.
//   - with yanked: refuse, the latest record that it was yanked or not, by any of
//     the rule's keys, does not say yanked.
//
// What can't be fulfilled or enforced is an error when the policy is read, and so is
// a key that is not known. Aliases, anchors and tags of YAML are refused.
type Policy struct {
	// Name is what messages call the policy: its file.
	Name string

	accept bool // what is done where no rule matches
	rules  []rule
}

type rule struct {
	name string // as messages have it: rule 2 "acme" (line 7)

	packages   []pattern
	references []pattern

	decided bool // there is no evidence to look for:
	accept  bool // this is the decision

	keys         []Key
	signatures   int
	maxAge       time.Duration // 0 is any
	attestations []attestation
	acceptYanked bool
}

// all returns the keys of a rule with those of its attestations.
func (r *rule) all() []Key {
	keys := r.keys
	for _, a := range r.attestations {
		for _, k := range a.keys {
			keys = addKey(keys[:len(keys):len(keys)], k)
		}
	}
	return keys
}

type attestation struct {
	name          string // as in the policy
	predicateType string
	keys          []Key
	builder       *pattern
	source        *pattern
}

// Key is a key of a policy.
type Key struct {
	// Name is what the policy calls it: the name of a file, an nkey, or "inline key".
	Name   string
	Public signature.PublicKey
}

// String returns the name with the beginning of the key's ID.
func (k Key) String() string {
	id := k.Public.ID()
	return fmt.Sprintf("%s (%s...)", k.Name, id[:min(len(id), len("sha256:")+12)])
}

// addKey adds a key that is not there yet.
func addKey(keys []Key, k Key) []Key {
	for _, o := range keys {
		if o.Public == k.Public {
			return keys
		}
	}
	return append(keys, k)
}

func keyNames(keys []Key) string {
	if len(keys) == 0 {
		return "none"
	}
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.String()
	}
	return strings.Join(names, ", ")
}
