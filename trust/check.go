package trust

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ashlar-wasm/ashlar/signature"
)

// Artifact is what a policy is asked about.
type Artifact struct {
	// Reference is where it is: HOST/NAME without tag and digest, or oci: and the path
	// of a layout on disk, absolute and with '/'. It may be empty.
	Reference string
	// Package is its name as namespace:name, and Version its version, or empty if it was
	// not named as a package.
	Package, Version string
	// Manifest is the bytes of its manifest, which identify it: signatures are over
	// them. It is nil if there is none; then nothing is signed.
	Manifest []byte
	// Bundles returns what is said of it, by anybody. It is called at most once, and
	// only if a rule looks for evidence. Nil means that there is nothing.
	Bundles func(context.Context) ([]*signature.Bundle, error)
	// Now is the time to compare ages with.
	Now time.Time
}

// name is the package, and the reference with the digest.
func (a *Artifact) name() string {
	name := a.Reference
	if a.Manifest != nil {
		name += fmt.Sprintf("@sha256:%x", sha256.Sum256(a.Manifest))
	}
	if a.Package != "" {
		return a.Package + " (" + name + ")"
	}
	return name
}

// Decision is why an artifact may be used.
type Decision struct {
	// Policy is the name of the policy, and Rule what messages call the rule:
	// `rule 2 "acme" (line 7)`, or "default" if none matches.
	Policy, Rule string
	// Keys are those whose signatures counted, in the order of the policy. It is
	// empty for rules that accept whatever matches.
	Keys []Key
	// Attestations are those that were asked for.
	Attestations []Attestation
}

// Attestation is one that was found.
type Attestation struct {
	PredicateType string
	Key           Key
}

// RefusedError is the error for an artifact that a policy refuses.
type RefusedError struct {
	Artifact     string
	Policy, Rule string // as in [Decision]
	// Reasons say what was expected and what was found, one each.
	Reasons []string
	// Next says what somebody can do who wants to use the artifact.
	Next string
}

func (e *RefusedError) Error() string {
	s := fmt.Sprintf("%s: refused by %s of the trust policy %s", e.Artifact, e.Rule, e.Policy)
	for _, r := range e.Reasons {
		s += "\n  " + r
	}
	if e.Next != "" {
		s += "\n" + e.Next
	}
	return s
}

// skew is how far clocks may differ.
const skew = 5 * time.Minute

// Check decides whether an artifact may be used. The error is a *[RefusedError] if it
// may not, or what kept the evidence from being read.
func (p *Policy) Check(ctx context.Context, a Artifact) (*Decision, error) {
	d := &Decision{Policy: p.Name, Rule: "the default"}
	refused := func(next string, reasons ...string) error {
		return &RefusedError{a.name(), p.Name, d.Rule, reasons, next}
	}
	r := p.ruleFor(&a)
	if r == nil {
		if !p.accept {
			return nil, refused("Add a rule that matches it, if it may be used.", "no rule matches it")
		}
		return d, nil
	}
	d.Rule = r.name
	if r.decided {
		if !r.accept {
			return nil, refused("", "the rule refuses whatever matches")
		}
		return d, nil
	}
	if a.Manifest == nil {
		return nil, refused("A rule for where it is, above this one, may say decision: accept.", "it has no manifest that could be signed")
	}
	e, err := r.evidence(ctx, &a)
	if err != nil {
		return nil, fmt.Errorf("%s: signatures and attestations, which %s of the trust policy %s asks for: %w", a.name(), r.name, p.Name, err)
	}
	var reasons []string
	var next []string
	add := func(reason, what string) {
		reasons = append(reasons, reason)
		if !slices.Contains(next, what) {
			next = append(next, what)
		}
	}
	keys, reason := r.signed(e, a.Now)
	if d.Keys = keys; reason != "" {
		add(reason, "have it signed by a key of the rule ('ashlar sign')")
	}
	for _, want := range r.attestations {
		found, reason := want.find(e)
		if reason != "" {
			add(reason, "have it attested by a key of the rule ('ashlar build --attest' and 'ashlar push --sign')")
			continue
		}
		d.Attestations = append(d.Attestations, found)
	}
	if reason := r.yanked(e, &a); reason != "" {
		add(reason, "take another version")
	}
	if len(reasons) == 0 {
		return d, nil
	}
	if s := e.others(); s != "" {
		reasons = append(reasons, s)
	}
	return nil, refused("To use it, "+strings.Join(next, ", ")+"; or change the policy.", reasons...)
}

// ruleFor returns the first rule that matches, or nil.
func (p *Policy) ruleFor(a *Artifact) *rule {
	for i := range p.rules {
		r := &p.rules[i]
		if anyMatches(r.packages, a.Package) || anyMatches(r.references, a.Reference) {
			return r
		}
	}
	return nil
}

// evidence is what is said of an artifact.
type evidence struct {
	bundles []*signature.Bundle
	// claims are those of the rule's keys, in the order of the keys.
	claims []claim
	// counted are the bundles that have them.
	counted map[*signature.Bundle]bool
}

// claim is what a key says.
type claim struct {
	key       Key
	predicate string // its type
	content   json.RawMessage
	at        time.Time // zero if it does not say when
}

// evidence reads what the rule's keys say of the artifact.
func (r *rule) evidence(ctx context.Context, a *Artifact) (*evidence, error) {
	e := &evidence{counted: map[*signature.Bundle]bool{}}
	if a.Bundles == nil {
		return e, nil
	}
	var err error
	if e.bundles, err = a.Bundles(ctx); err != nil {
		return nil, err
	}
	for _, k := range r.all() {
		for _, b := range e.bundles {
			v, err := b.Verify(a.Manifest, []signature.PublicKey{k.Public})
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			if err != nil {
				continue // by somebody else, or about something else
			}
			e.counted[b] = true
			c := claim{key: k, predicate: signature.PredicateSign}
			if v.Statement != nil {
				c.predicate, c.content = v.Statement.PredicateType, v.Statement.Predicate
			}
			c.at, _ = v.SignedAt()
			e.claims = append(e.claims, c)
		}
	}
	return e, nil
}

// others says what is there that did not count.
func (e *evidence) others() string {
	if len(e.bundles) == 0 {
		return "nothing is attached to it; signatures that are elsewhere come along with 'ashlar copy'"
	}
	var by []string
	n := 0
	for _, b := range e.bundles {
		if e.counted[b] {
			continue
		}
		n++
		if s := b.Claimed(); !slices.Contains(by, s) {
			by = append(by, s)
		}
	}
	if n == 0 {
		return ""
	}
	if len(by) > 5 {
		by = append(by[:5], "...")
	}
	return fmt.Sprintf("not counted: %d that no key of the rule made over this artifact; they name %s", n, strings.Join(by, ", "))
}

// signed returns the keys whose signatures count, or else says what is missing.
func (r *rule) signed(e *evidence, now time.Time) (keys []Key, reason string) {
	if r.signatures == 0 {
		return nil, ""
	}
	problems := map[string]string{} // by ID of the key
	for _, k := range r.keys {
		for _, c := range e.claims {
			if c.predicate != signature.PredicateSign || c.key.Public != k.Public {
				continue
			}
			if problem := r.tooOld(c, now); problem != "" {
				problems[k.Public.ID()] = k.String() + " " + problem
				continue
			}
			keys = addKey(keys, k)
		}
	}
	if len(keys) >= r.signatures {
		return keys, ""
	}
	reason = fmt.Sprintf("signatures: expected %d by %s; found %s", r.signatures, keyNames(r.keys), keyNames(keys))
	for _, k := range r.keys {
		if p := problems[k.Public.ID()]; p != "" && !slices.ContainsFunc(keys, func(o Key) bool { return o.Public == k.Public }) {
			reason += "; not counted: " + p
		}
	}
	return nil, reason
}

// tooOld says why a signature does not count by its time.
func (r *rule) tooOld(c claim, now time.Time) string {
	switch age := now.Sub(c.at); {
	case r.maxAge == 0:
		return ""
	case c.at.IsZero():
		return "does not say when it signed, which max-age asks for"
	case age > r.maxAge:
		return "signed at " + c.at.UTC().Format(time.RFC3339) + ", longer ago than max-age allows ('ashlar sign --force' renews it)"
	case age < -skew:
		return "says that it signed at " + c.at.UTC().Format(time.RFC3339) + ", which is in the future"
	}
	return ""
}

// yanked says whether the artifact is yanked, as far as the rule is concerned. Several
// versions may be one artifact: records about another version than the one that was
// asked for don't count, if that is known.
func (r *rule) yanked(e *evidence, a *Artifact) string {
	if r.acceptYanked {
		return ""
	}
	type record struct {
		claim
		yanked bool
	}
	latest := map[string]record{} // by version
	for _, c := range e.claims {
		version := text(c.content, "package")
		if c.predicate != signature.PredicateYank || version != "" && a.Package != "" && version != a.Package+"@"+a.Version {
			continue
		}
		// What can't be read is taken for a yank.
		is := record{c, string(member(c.content, "yanked")) != "false"}
		if !is.yanked && (c.at.IsZero() || c.at.Sub(a.Now) > skew) {
			continue
		}
		if was, ok := latest[version]; !ok || c.at.After(was.at) || c.at.Equal(was.at) && is.yanked {
			latest[version] = is
		}
	}
	for _, version := range slices.Sorted(maps.Keys(latest)) {
		if is := latest[version]; is.yanked {
			s := strings.TrimSpace(clip(version) + " was yanked by " + is.key.String())
			if why := text(is.content, "reason"); why != "" {
				s += fmt.Sprintf(": %q", clip(why))
			}
			return s
		}
	}
	return ""
}

// member returns a member of a JSON object, within members, or nil if there is none.
func member(b json.RawMessage, path ...string) json.RawMessage {
	for _, key := range path {
		var o map[string]json.RawMessage
		if json.Unmarshal(b, &o) != nil {
			return nil
		}
		b = o[key]
	}
	return b
}

// text returns a member that is a string, or nothing.
func text(b json.RawMessage, path ...string) string {
	var s string
	if v := member(b, path...); v == nil || json.Unmarshal(v, &s) != nil {
		return ""
	}
	return s
}
