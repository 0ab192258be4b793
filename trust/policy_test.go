package trust_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/signature"
	"github.com/ashlar-wasm/ashlar/trust"
)

// people are keys by name; each is in the file NAME.pub.
type people map[string]*signature.PrivateKey

func newPeople(t testing.TB, names ...string) people {
	t.Helper()
	p := people{}
	for _, n := range names {
		k, err := signature.Generate()
		if err != nil {
			t.Fatal(err)
		}
		p[n] = k
	}
	return p
}

func (p people) readKey(name string) ([]byte, error) {
	if k := p[strings.TrimSuffix(name, ".pub")]; k != nil {
		return k.Public().PEM(), nil
	}
	return nil, fmt.Errorf("open %s: %w", name, fs.ErrNotExist)
}

func (p people) nkey(t testing.TB, name string) string {
	t.Helper()
	s, err := p[name].Public().Nkey()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (p people) pem(indent, name string) string {
	return strings.ReplaceAll(strings.TrimSpace(string(p[name].Public().PEM())), "\n", "\n"+indent)
}

var (
	manifest = []byte(`{"schemaVersion":2}`)
	other    = []byte(`{"schemaVersion":3}`)
	now      = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

// says is a statement that somebody makes.
type says struct {
	by        string
	predicate string
	content   any
	about     []byte // manifest unless said
}

// signed is a signature, made some days ago.
func signed(by string, days float64) says {
	at := now.Add(-time.Duration(days * 24 * float64(time.Hour)))
	return says{by: by, predicate: signature.PredicateSign, content: signature.SignPredicate{SignedAt: at}}
}

func yanked(by string, days float64, is bool) says {
	at := now.Add(-time.Duration(days * 24 * float64(time.Hour)))
	return says{by: by, predicate: signature.PredicateYank, content: map[string]any{"yanked": is, "reason": "broken", "signedAt": at}}
}

// about names the version that a yank is about.
func about(version string, s says) says {
	s.content.(map[string]any)["package"] = version
	return s
}

func built(by, builder, source string) says {
	return says{by: by, predicate: signature.PredicateProvenance, content: map[string]any{
		"buildDefinition": map[string]any{"buildType": trust.BuildType, "externalParameters": map[string]any{"source": map[string]any{"uri": source}}},
		"runDetails":      map[string]any{"builder": map[string]any{"id": builder}},
	}}
}

// changed is provenance of sources that differ from their commit, or not.
func changed(s says, modified any) says {
	definition := s.content.(map[string]any)["buildDefinition"].(map[string]any)
	definition["resolvedDependencies"] = []any{
		map[string]any{"name": "source", "annotations": map[string]any{"modified": modified}}, map[string]any{"name": "go"},
	}
	return s
}

func (p people) bundle(t testing.TB, s says) *signature.Bundle {
	t.Helper()
	if s.about == nil {
		s.about = manifest
	}
	st, err := signature.NewStatement(s.about, s.predicate, s.content)
	if err != nil {
		t.Fatal(err)
	}
	b, err := signature.Sign(t.Context(), p[s.by], st)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const rules = "version: 1\ndefault: refuse\nrules:\n"

func TestCheck(t *testing.T) {
	p := newPeople(t, "alice", "bob", "ci", "mallory")
	app := rules + "  - references: [r.example/acme/**]\n    packages: ['acme:*']\n"
	one := app + "    keys: [alice.pub, bob.pub]\n"
	two := one + "    signatures: 2\n"
	fresh := one + "    max-age: 90d\n"
	attested := one + "    attestations: [sbom, {type: provenance, keys: [ci.pub], builder: 'https://ci.example/**', source: 'git+https://git.example/acme/*'}]\n"
	sbom := says{by: "alice", predicate: signature.PredicateSBOM, content: map[string]any{"bomFormat": "CycloneDX"}}
	const builder, source = "https://ci.example/b/1", "git+https://git.example/acme/app"
	for _, c := range []struct {
		name     string
		policy   string
		evidence []says
		refused  string // part of the reason; accepted if empty
		keys     int
	}{
		{"signed", one, []says{signed("alice", 1)}, "", 1},
		{"by both", one, []says{signed("alice", 1), signed("bob", 1)}, "", 2},
		{"unsigned", one, nil, "nothing is attached", 0},
		{"by another", one, []says{signed("mallory", 1)}, "not counted: 1 that no key of the rule made", 0},
		{"over another digest", one, []says{{by: "alice", predicate: signature.PredicateSign, content: signature.SignPredicate{}, about: other}}, "expected 1 by alice.pub", 0},
		{"an attestation is no signature", one, []says{sbom, yanked("alice", 1, false)}, "found none", 0},
		{"two of two", two, []says{signed("alice", 1), signed("bob", 2)}, "", 2},
		{"one of two", two, []says{signed("alice", 1)}, "expected 2 by alice.pub", 0},
		{"the same key twice", two, []says{signed("alice", 1), signed("alice", 2)}, "expected 2", 0},
		{"one of two, one of another", two, []says{signed("alice", 1), signed("mallory", 1)}, "found alice.pub", 0},
		{"two encodings of a key", app + "    keys: [alice.pub, '" + p.nkey(t, "alice") + "', bob.pub]\n    signatures: 2\n", []says{signed("alice", 1)}, "expected 2", 0},
		{"nkey", app + "    keys: ['" + p.nkey(t, "alice") + "']\n", []says{signed("alice", 1)}, "", 1},
		{"inline", app + "    keys:\n      - |\n        " + p.pem("        ", "alice") + "\n", []says{signed("alice", 1)}, "", 1},
		{"fresh", fresh, []says{signed("alice", 89)}, "", 1},
		{"too old", fresh, []says{signed("alice", 91)}, "longer ago than max-age allows", 0},
		{"old and new", fresh, []says{signed("alice", 91), signed("alice", 1)}, "", 1},
		{"without time", fresh, []says{{by: "alice", predicate: signature.PredicateSign, content: map[string]any{}}}, "does not say when", 0},
		{"without time, any age", one, []says{{by: "alice", predicate: signature.PredicateSign, content: map[string]any{}}}, "", 1},
		{"in the future", fresh, []says{signed("alice", -1)}, "in the future", 0},
		{"clocks differ", fresh, []says{signed("alice", -0.001)}, "", 1},
		{"attested", attested, []says{signed("bob", 1), sbom, built("ci", builder, source)}, "", 1},
		{"attested, not signed", attested, []says{sbom, built("ci", builder, source)}, "signatures: expected 1", 0},
		{"no sbom", attested, []says{signed("bob", 1), built("ci", builder, source)}, "attestation sbom: expected one by alice.pub", 0},
		{"untrusted provenance", attested, []says{signed("bob", 1), sbom, built("mallory", builder, source)}, "attestation provenance: expected one by ci.pub", 0},
		{"provenance by a key for other things", attested, []says{signed("bob", 1), sbom, built("alice", builder, source)}, "one is by alice.pub", 0},
		{"sbom by the key of the provenance", attested, []says{signed("bob", 1), {by: "ci", predicate: signature.PredicateSBOM, content: map[string]any{}}, built("ci", builder, source)}, "attestation sbom", 0},
		{"other builder", attested, []says{signed("bob", 1), sbom, built("ci", "https://ci.example.evil/b/1", source)}, `has the builder "https://ci.example.evil/b/1"`, 0},
		{"other source", attested, []says{signed("bob", 1), sbom, built("ci", builder, "git+https://git.example/evil/app")}, `has the source "git+https://git.example/evil/app"`, 0},
		{"unknown source", attested, []says{signed("bob", 1), sbom, {by: "ci", predicate: signature.PredicateProvenance, content: map[string]any{
			"buildDefinition": map[string]any{"buildType": "https://x.example/t", "externalParameters": map[string]any{"source": map[string]any{"uri": source}}},
			"runDetails":      map[string]any{"builder": map[string]any{"id": builder}},
		}}}, "whose source is not known", 0},
		{"changed source", attested, []says{signed("bob", 1), sbom, changed(built("ci", builder, source), true)}, "changed after the commit", 0},
		{"source that is said to be as it was", attested, []says{signed("bob", 1), sbom, changed(built("ci", builder, source), false)}, "", 1},
		{"source changed in another way", attested, []says{signed("bob", 1), sbom, changed(built("ci", builder, source), "yes")}, "changed after the commit", 0},
		{"right and wrong provenance", attested, []says{signed("bob", 1), sbom, built("ci", builder, "git+https://evil.example/a/b"), built("ci", builder, source)}, "", 1},
		{"attestations alone", app + "    signatures: 0\n    attestations: [{type: sbom, keys: [alice.pub]}]\n", []says{sbom}, "", 0},
		{"yanked", one, []says{signed("alice", 3), yanked("bob", 2, true)}, "yanked by bob.pub", 0},
		{"yanked, but accepted", one + "    yanked: accept\n", []says{signed("alice", 3), yanked("bob", 2, true)}, "", 1},
		{"yanked by a stranger", one, []says{signed("alice", 3), yanked("mallory", 2, true)}, "", 1},
		{"yanked and taken back", one, []says{signed("alice", 3), yanked("bob", 2, true), yanked("alice", 1, false)}, "", 1},
		{"taken back by a stranger", one, []says{signed("alice", 3), yanked("bob", 2, true), yanked("mallory", 1, false)}, "yanked by bob.pub", 0},
		{"taken back before", one, []says{signed("alice", 3), yanked("bob", 1, true), yanked("bob", 2, false)}, "yanked by bob.pub", 0},
		{"taken back in the future", one, []says{signed("alice", 3), yanked("bob", 1, true), yanked("bob", -2, false)}, "yanked by bob.pub", 0},
		{"taken back without time", one, []says{signed("alice", 3), yanked("bob", 1, true), {by: "bob", predicate: signature.PredicateYank, content: map[string]any{"yanked": false}}}, "yanked by bob.pub", 0},
		{"a yank that can't be read", one, []says{signed("alice", 3), {by: "bob", predicate: signature.PredicateYank, content: map[string]any{"yanked": "no"}}}, "yanked by bob.pub", 0},
		{"another version with the same content is yanked", one, []says{signed("alice", 3), about("acme:app@1.1.0", yanked("bob", 2, true))}, "", 1},
		{"this version is yanked", one, []says{signed("alice", 3), about("acme:app@1.0.0", yanked("bob", 2, true)), about("acme:app@1.1.0", yanked("bob", 1, false))}, "acme:app@1.0.0 was yanked by bob.pub", 0},
		{"first rule decides", rules + "  - references: [r.example/acme/app]\n    decision: accept\n" + strings.TrimPrefix(one, rules), nil, "", 0},
		{"first rule refuses", rules + "  - references: [r.example/acme/app]\n    decision: refuse\n" + strings.TrimPrefix(one, rules), []says{signed("alice", 1)}, "refuses whatever matches", 0},
		{"no rule", rules + "  - references: [r.example/other/**]\n    decision: accept\n", nil, "no rule matches it", 0},
		{"no rule, accepted", "version: 1\ndefault: accept\n", nil, "", 0},
		{"matches as a package", rules + "  - packages: ['acme:app']\n    keys: [alice.pub]\n", []says{signed("alice", 1)}, "", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			policy, err := trust.Parse("trust.yaml", []byte(c.policy), p.readKey)
			if err != nil {
				t.Fatal(err)
			}
			asked := 0
			d, err := policy.Check(t.Context(), trust.Artifact{
				Reference: "r.example/acme/app", Package: "acme:app", Version: "1.0.0", Manifest: manifest, Now: now,
				Bundles: func(context.Context) ([]*signature.Bundle, error) {
					asked++
					var all []*signature.Bundle
					for _, s := range c.evidence {
						all = append(all, p.bundle(t, s))
					}
					return all, nil
				},
			})
			if asked > 1 {
				t.Errorf("the evidence was asked for %d times", asked)
			}
			if c.refused == "" {
				if err != nil {
					t.Fatal(err)
				}
				if len(d.Keys) != c.keys {
					t.Errorf("keys %v, expected %d", d.Keys, c.keys)
				}
				return
			}
			var re *trust.RefusedError
			if !errors.As(err, &re) {
				t.Fatalf("got %v, %v, expected a refusal", d, err)
			}
			if !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%v\nexpected %q", err, c.refused)
			}
			if re.Policy != "trust.yaml" || !strings.Contains(err.Error(), "acme:app (r.example/acme/app@sha256:") {
				t.Errorf("the error does not say what was refused, and by which policy: %v", err)
			}
		})
	}
}

// A signature over the manifest itself, as older versions of cosign make them, counts
// as one without a time.
func TestCheckMessageSignature(t *testing.T) {
	p := newPeople(t, "alice")
	sig, err := p["alice"].Sign(t.Context(), manifest)
	if err != nil {
		t.Fatal(err)
	}
	id, err := hex.DecodeString(strings.TrimPrefix(p["alice"].Public().ID(), "sha256:"))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(manifest)
	text, err := json.Marshal(map[string]any{
		"mediaType":            signature.MediaTypeBundle,
		"verificationMaterial": map[string]any{"publicKey": map[string]any{"hint": id}},
		"messageSignature":     map[string]any{"messageDigest": map[string]any{"algorithm": "SHA2_256", "digest": sum[:]}, "signature": sig},
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := signature.ParseBundle(text)
	if err != nil {
		t.Fatal(err)
	}
	a := trust.Artifact{Reference: "r.example/a/b", Manifest: manifest, Now: now, Bundles: func(context.Context) ([]*signature.Bundle, error) {
		return []*signature.Bundle{b}, nil
	}}
	for _, age := range []string{"", "    max-age: 90d\n"} {
		policy, err := trust.Parse("p", []byte(rules+"  - references: [r.example/**]\n    keys: [alice.pub]\n"+age), p.readKey)
		if err != nil {
			t.Fatal(err)
		}
		_, err = policy.Check(t.Context(), a)
		if (err == nil) != (age == "") {
			t.Errorf("with %q: %v", age, err)
		}
	}
}

// Who asks for an artifact by its reference does not say which version is meant, so that
// all that are this artifact are to be all right.
func TestCheckYankedByReference(t *testing.T) {
	p := newPeople(t, "alice")
	policy, err := trust.Parse("p", []byte(rules+"  - references: ['**']\n    keys: [alice.pub]\n"), p.readKey)
	if err != nil {
		t.Fatal(err)
	}
	_, err = policy.Check(t.Context(), trust.Artifact{Reference: "r.example/acme/app", Manifest: manifest, Now: now, Bundles: func(context.Context) ([]*signature.Bundle, error) {
		return []*signature.Bundle{
			p.bundle(t, signed("alice", 3)), p.bundle(t, about("acme:app@1.0.0", yanked("alice", 2, true))), p.bundle(t, about("acme:app@1.1.0", yanked("alice", 1, false))),
		}, nil
	}})
	var re *trust.RefusedError
	if !errors.As(err, &re) || !strings.Contains(err.Error(), "acme:app@1.0.0 was yanked") {
		t.Errorf("got %v", err)
	}
}

// Evidence that can't be had is no reason to accept.
func TestCheckNoEvidence(t *testing.T) {
	p := newPeople(t, "alice")
	policy, err := trust.Parse("p", []byte(rules+"  - references: ['**', 'oci:**']\n    keys: [alice.pub]\n"), p.readKey)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	_, err = policy.Check(t.Context(), trust.Artifact{Reference: "r.example/a", Manifest: manifest, Now: now, Bundles: func(context.Context) ([]*signature.Bundle, error) {
		return nil, broken
	}})
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	// What has no manifest is not signed, whoever signed nothing.
	nothing := func(context.Context) ([]*signature.Bundle, error) {
		s := signed("alice", 1)
		s.about = []byte{}
		return []*signature.Bundle{p.bundle(t, s)}, nil
	}
	for _, a := range []trust.Artifact{{Reference: "r.example/x/y"}, {Reference: "r.example/x/y", Bundles: nothing, Now: now}, {Reference: "oci:/srv/l", Manifest: manifest}, {}} {
		var re *trust.RefusedError
		if _, err := policy.Check(t.Context(), a); !errors.As(err, &re) {
			t.Errorf("%+v: got %v", a, err)
		}
	}
}

// TestCheckNameless asks about a package without a reference, which no pattern of
// references matches.
func TestCheckNameless(t *testing.T) {
	policy, err := trust.Parse("p", []byte(rules+"  - references: ['**', 'oci:**']\n    decision: accept\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []trust.Artifact{{}, {Package: "acme:log"}} {
		if d, err := policy.Check(t.Context(), a); err == nil {
			t.Errorf("%+v: accepted by %s", a, d.Rule)
		}
	}
}

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"acme:*", "acme:app", true},
		{"acme:*", "acme2:app", false},
		{"*:app", "acme:app", true},
		{"acme:a*p", "acme:app", true},
		{"acme:a*p", "acme:apps", false},
		{"r.example/acme/**", "r.example/acme/app", true},
		{"r.example/acme/**", "r.example/acme/a/b/c", true},
		{"r.example/acme/**", "r.example/acme", false},
		{"r.example/acme/**", "r.example/acmes/app", false},
		{"r.example/acme/*", "r.example/acme/a/b", false},
		{"r.example/*/app", "r.example/acme/app", true},
		{"*.example/**", "r.example/app", true},
		{"*.example/**", "evil:80.example/app", false},
		{"**", "r.example/acme/app", true},
		{"**", "oci:/srv/x", false},
		{"**/app", "r.example/acme/app", true},
		{"oci:**", "oci:/srv/x", true},
		{"oci:/srv/**", "oci:/srv/x/y", true},
		{"oci:/srv/**", "oci:/srvx/y", false},
		{"localhost:5000/**", "localhost:5000/x", true},
		{"localhost:5000/**", "localhost/x", false},
	} {
		key := "references"
		if strings.HasSuffix(c.pattern, "acme:*") || strings.HasPrefix(c.pattern, "*:") || strings.HasPrefix(c.pattern, "acme:") {
			key = "packages"
		}
		policy, err := trust.Parse("p", []byte(rules+"  - "+key+": ['"+c.pattern+"']\n    decision: accept\n"), nil)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		_, err = policy.Check(t.Context(), trust.Artifact{Package: c.name, Manifest: manifest})
		if key == "references" {
			_, err = policy.Check(t.Context(), trust.Artifact{Reference: c.name, Manifest: manifest})
		}
		if got := err == nil; got != c.want {
			t.Errorf("%s matches %s: %t, expected %t", c.pattern, c.name, got, c.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	p := newPeople(t, "alice", "bob")
	const rule = rules + "  - references: [r.example/**]\n"
	deep := rules + "  - references: " + strings.Repeat("[", 1000) + strings.Repeat("]", 1000)
	for _, c := range []struct{ text, want string }{
		{"", "expected one document"},
		{"version: 2\ndefault: refuse\n", "f:1:10: expected version: 1"},
		{"version: '1'\ndefault: refuse\n", "f:1:10: expected version: 1"},
		{"default: refuse\n", "f:1:1: version is missing"},
		{"version: 1\n", "default is missing"},
		{"version: 1\ndefault: maybe\n", `f:2:10: "maybe": expected accept or refuse`},
		{"version: 1\ndefault: accept\ndefault: refuse\n", "f:3:1: "},
		{"version: 1\ndefault: accept\nrule: []\n", `f:3:1: unknown key "rule"`},
		{"version: 1\ndefault: accept\nrules: []\n", "f:3:8: expected a list"},
		{"version: 1\ndefault: accept\n---\nversion: 1\n", "f:3:1: expected one document"},
		{rule + "    key: [alice.pub]\n", `f:5:5: unknown key "key"`},
		{rule + "    keys: alice.pub\n", "f:5:11: expected a list"},
		{rule + "    keys: [carol.pub]\n", "f:5:12: key carol.pub: no such file"},
		{rule + "    keys: [UABC]\n", "f:5:12: key UABC: no such file"},
		{rule + "    keys: [" + strings.Repeat("A", 56) + "]\n", "not a public nkey"},
		{rule + "    keys: [alice.pub]\n    signatures: 2\n", "f:6:17: nothing can be signed by 2 of the rule's 1 different keys"},
		{rule + "    keys: [alice.pub, '" + p.nkey(t, "alice") + "']\n    signatures: 2\n", "1 different keys"},
		{rule + "    keys: [alice.pub]\n    signatures: -1\n", "is below 0"},
		{rule + "    keys: [alice.pub]\n    signatures: 1.5\n", "f:6:17: expected a number"},
		{rule + "    keys: [alice.pub]\n    signatures: 0\n", "f:6:17: signatures: 0 and no attestations ask for nothing"},
		{rule + "    keys: [alice.pub]\n    signatures: 0\n    attestations: [sbom]\n    max-age: 1d\n", "f:8:14: max-age is of signatures"},
		{rule, "f:4:5: the rule names no keys"},
		{rule + "    attestations: [sbom]\n", "f:5:20: attestation sbom: neither it nor the rule names keys"},
		{rule + "    keys: [alice.pub]\n    attestations: [vex]\n", "f:6:20: attestation \"vex\": expected provenance, sbom or the URI"},
		{rule + "    keys: [alice.pub]\n    attestations: [{type: sbom, builder: x}]\n", "builder and source are of provenance alone"},
		{rule + "    keys: [alice.pub]\n    attestations: [{keys: [alice.pub]}]\n", "type is missing"},
		{rule + "    keys: [alice.pub]\n    attestations: ['" + signature.PredicateYank + "']\n", "is no attestation"},
		{rule + "    keys: [alice.pub]\n    max-age: 90\n", "f:6:14: "},
		{rule + "    keys: [alice.pub]\n    max-age: 90w\n", `"90w" is no age`},
		{rule + "    keys: [alice.pub]\n    max-age: 0d\n", `"0d" is no age`},
		{rule + "    keys: [alice.pub]\n    max-age: 99999999d\n", "is more than 100 years"},
		{rule + "    keys: [alice.pub]\n    yanked: no\n", "expected accept or refuse"},
		{rule + "    decision: accept\n    keys: [alice.pub]\n", "f:6:11: keys has no meaning beside decision"},
		{rules + "  - keys: [alice.pub]\n", "f:4:5: the rule matches nothing"},
		{rules + "  - references: [r.example]\n    decision: accept\n", "expected HOST/NAME"},
		{rules + "  - references: ['r.example/a:1.0']\n    decision: accept\n", "f:4:18: pattern \"r.example/a:1.0\": has a tag or digest"},
		{rules + "  - references: ['r.example/a**']\n    decision: accept\n", "stands alone between slashes"},
		{rules + "  - references: ['R.example/a']\n    decision: accept\n", "in lower case"},
		{rules + "  - references: ['r.example/[ab]']\n    decision: accept\n", "nothing but '*' and '**'"},
		{rules + "  - packages: ['acme:a@1']\n    decision: accept\n", "expected namespace:name"},
		{rules + "  - packages: [1]\n    decision: accept\n", "f:4:16: expected text"},
		{rules + "  - packages: [acme:*]\n    name: *x\n    decision: accept\n", "f:5:11: "},
		{"version: &v 1\ndefault: accept\n", "f:1:10: "},
		{"version: !!int 1\ndefault: accept\n", "f:1:10: "},
		{"a: &a [x]\nb: &b [*a, *a]\n", "anchors, aliases, tags and directives are not allowed"},
		{deep, "nested deeper than 16"},
		{strings.Repeat("- ", 5000), "indented further than 200"},
		{"x: " + strings.Repeat("[a,", 30000), "more than 20000 tokens"},
		{"#" + strings.Repeat("x", 200<<10), "at most 131072 are expected"},
		{"\xff", "not UTF-8"},
		{"version: 1\n default: x\n", "f:"},
	} {
		policy, err := trust.Parse("f", []byte(c.text), p.readKey)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.200q: got %v, %v, expected %q", c.text, policy, err, c.want)
			continue
		}
		var e *trust.Error
		if !errors.As(err, &e) || e.File != "f" {
			t.Errorf("%.200q: %v is no error of the file", c.text, err)
		}
	}
}

func TestRead(t *testing.T) {
	p := newPeople(t, "alice")
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "keys"), 0o777); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]string{
		"keys/alice.pub": string(p["alice"].Public().PEM()),
		trust.File:       rules + "  - references: ['**']\n    keys: [keys/alice.pub]\n",
		"bad.yaml":       rules + "  - references: ['**']\n    keys: [keys]\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), []byte(b), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := trust.Read(filepath.Join(dir, trust.File)); err != nil {
		t.Error(err)
	}
	var e *trust.Error
	if _, err := trust.Read(filepath.Join(dir, "bad.yaml")); !errors.As(err, &e) || e.Line != 5 {
		t.Errorf("a folder as a key: %v", err)
	}
	if _, err := trust.Read(filepath.Join(dir, "none.yaml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no policy: %v", err)
	}
	if _, err := trust.Read(dir); err == nil {
		t.Error("a folder was read as a policy")
	}
}

// Whatever is in a policy, nothing is accepted without evidence but by a decision.
func FuzzPolicy(f *testing.F) {
	p := newPeople(f, "alice", "bob")
	for _, s := range []string{
		"version: 1\ndefault: refuse\n",
		rules + "  - name: acme\n    packages: ['acme:*']\n    references: [r.example/acme/**]\n    keys:\n      - alice.pub\n      - bob.pub\n    signatures: 2\n    max-age: 90d\n    yanked: accept\n",
		rules + "  - references: ['**']\n    keys: [alice.pub]\n    signatures: 0\n    attestations: [sbom, {type: provenance, keys: [bob.pub], builder: 'https://**', source: 'git+https://x.example/*'}]\n",
		rules + "  - references: ['oci:**']\n    decision: refuse\n",
		rules + "  - references: ['oci:**']\n    keys:\n      - |\n        " + p.pem("        ", "alice") + "\n",
		rules + "  - references: ['**']\n    keys: ['" + p.nkey(f, "bob") + "']\n",
		"{version: 1, default: accept, rules: [{packages: ['a:b'], decision: accept}]}",
		"? version\n: 1\n", "a: &a [*a]", "- - - x", "a: >\n b\n c", "\"\\x00\": '", "%YAML 1.2\n---\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		policy, err := trust.Parse("trust.yaml", b, p.readKey)
		if err != nil {
			var e *trust.Error
			if !errors.As(err, &e) {
				t.Errorf("%v is no error of the file", err)
			}
			return
		}
		asked := false
		d, err := policy.Check(t.Context(), trust.Artifact{
			Reference: "r.example/acme/app", Package: "acme:app", Manifest: manifest, Now: now,
			Bundles: func(context.Context) ([]*signature.Bundle, error) { asked = true; return nil, nil },
		})
		var re *trust.RefusedError
		switch {
		case err == nil && asked:
			t.Errorf("accepted without evidence by %s", d.Rule)
		case err == nil && !strings.Contains(string(b), "accept"):
			t.Errorf("accepted by %s", d.Rule)
		case err != nil && !errors.As(err, &re):
			t.Error(err)
		}
	})
}

// The policy that the documentation has is one.
func TestDocumentation(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "docs", "trust.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(b), "```yaml\n")
	text, _, end := strings.Cut(rest, "```")
	if !ok || !end {
		t.Fatal("docs/trust.md has no policy")
	}
	p := newPeople(t, "keys/release", "keys/ci")
	if _, err := trust.Parse("trust.yaml", []byte(text), p.readKey); err != nil {
		t.Error(err)
	}
}
