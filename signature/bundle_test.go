package signature

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var testManifest = []byte(`{"schemaVersion":2}`)

func generate(t testing.TB) *PrivateKey {
	t.Helper()
	k, err := Generate()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// signed makes a bundle.
func signed(t testing.TB, k Signer, predicateType string, predicate any) *Bundle {
	t.Helper()
	st, err := NewStatement(testManifest, predicateType, predicate)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Sign(t.Context(), k, st)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The example of the protocol of DSSE.
func TestPreAuthEncoding(t *testing.T) {
	got := preAuthEncoding("http://example.com/HelloWorld", []byte("hello world"))
	if want := "DSSEv1 29 http://example.com/HelloWorld 11 hello world"; string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestSignAndVerify(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	other := generate(t).Public()
	for name, secret := range allKeys(t) {
		k, err := newPrivateKey(secret)
		if err != nil {
			t.Fatal(err)
		}
		b, err := ParseBundle(signed(t, k, PredicateSign, SignPredicate{now}).Encode())
		if err != nil {
			t.Fatal(err)
		}
		if b.Claimed() != k.Public().ID() {
			t.Errorf("%s: the bundle names %s", name, b.Claimed())
		}
		v, err := b.Verify(testManifest, []PublicKey{other, k.Public()})
		if err != nil {
			t.Fatal(err)
		}
		if at, ok := v.SignedAt(); v.Key != k.Public() || v.Statement.PredicateType != PredicateSign || !ok || !at.Equal(now) {
			t.Errorf("%s: %+v signed at %v, %v", name, v, at, ok)
		}
		want := map[string]string{"dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": PredicateSign}
		if diff := cmp.Diff(want, b.Annotations()); diff != "" {
			t.Errorf("annotations: %s", diff)
		}
		if _, err := b.Verify(testManifest, []PublicKey{other}); !errors.Is(err, ErrNoKey) || !strings.Contains(err.Error(), k.Public().ID()) {
			t.Errorf("another key: %v", err)
		}
		if _, err := b.Verify(testManifest, nil); !errors.Is(err, ErrNoKey) {
			t.Errorf("no key: %v", err)
		}
		if _, err := b.Verify([]byte("other"), []PublicKey{k.Public()}); !errors.Is(err, ErrSubject) {
			t.Errorf("another artifact: %v", err)
		}
	}
}

// A signature over the artifact itself, which 'cosign sign-blob' makes.
func TestMessageSignature(t *testing.T) {
	k := generate(t)
	sig, err := k.Sign(t.Context(), testManifest)
	if err != nil {
		t.Fatal(err)
	}
	b, err := ParseBundle([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json",
		"verificationMaterial":{"publicKey":{}, "tlogEntries":[{"logIndex":"7"}]},
		"messageSignature":{"messageDigest":{"algorithm":"SHA2_256","digest":"AAAA"},"signature":"` + base64.StdEncoding.EncodeToString(sig) + `"}}`))
	if err != nil {
		t.Fatal(err)
	}
	v, err := b.Verify(testManifest, []PublicKey{k.Public()})
	if err != nil || v.Statement != nil || v.Key != k.Public() {
		t.Fatal(v, err)
	}
	if _, ok := v.SignedAt(); ok {
		t.Error("there is a time")
	}
	if b.Annotations()["dev.sigstore.bundle.content"] != "message-signature" || b.Claimed() != "an unnamed key" {
		t.Errorf("%v, %s", b.Annotations(), b.Claimed())
	}
	if _, err := b.Verify([]byte("other"), []PublicKey{k.Public()}); !errors.Is(err, ErrNoKey) {
		t.Errorf("another artifact: %v", err)
	}
}

// tree is JSON that is to be changed.
type tree = map[string]any

func decodeTree(t testing.TB, b []byte) tree {
	t.Helper()
	var v tree
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func encodeTree(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTampering(t *testing.T) {
	k, other := generate(t), generate(t)
	keys := []PublicKey{k.Public(), other.Public()}
	genuine := signed(t, k, PredicateSign, SignPredicate{time.Unix(0, 0).UTC()}).Encode()
	envelope := func(b tree) tree { return b["dsseEnvelope"].(tree) }
	material := func(b tree) tree { return b["verificationMaterial"].(tree) }
	signature := func(b tree) tree { return envelope(b)["signatures"].([]any)[0].(tree) }
	payload := func(f func(tree)) func(tree) {
		return func(b tree) {
			text, err := base64.StdEncoding.DecodeString(envelope(b)["payload"].(string))
			if err != nil {
				t.Fatal(err)
			}
			st := decodeTree(t, text)
			f(st)
			envelope(b)["payload"] = base64.StdEncoding.EncodeToString(encodeTree(t, st))
		}
	}
	type changes map[string]struct {
		change func(tree)
		want   string
	}
	// What can't be read at all.
	for what, c := range (changes{
		"media type":         {func(b tree) { b["mediaType"] = "application/vnd.dev.sigstore.bundle.v0.4+json" }, "media type"},
		"no media type":      {func(b tree) { delete(b, "mediaType") }, "media type"},
		"media type's type":  {func(b tree) { b["mediaType"] = 3 }, "mediaType: expected a string"},
		"no envelope":        {func(b tree) { delete(b, "dsseEnvelope") }, "neither"},
		"null envelope":      {func(b tree) { b["dsseEnvelope"] = nil }, "neither"},
		"case of a key":      {func(b tree) { b["DsseEnvelope"] = b["dsseEnvelope"]; delete(b, "dsseEnvelope") }, "neither"},
		"two contents":       {func(b tree) { b["messageSignature"] = tree{"signature": "AAAA"} }, "both"},
		"no material":        {func(b tree) { delete(b, "verificationMaterial") }, "expected one of publicKey"},
		"two materials":      {func(b tree) { material(b)["certificate"] = tree{"rawBytes": "AAAA"} }, "expected one of publicKey"},
		"keyid":              {func(b tree) { signature(b)["keyid"] = "other" }, "keyid is not the hint"},
		"payload type":       {func(b tree) { envelope(b)["payloadType"] = "text/plain" }, `payloadType "text/plain"`},
		"no signature":       {func(b tree) { envelope(b)["signatures"] = []any{} }, "no signature"},
		"signatures' type":   {func(b tree) { envelope(b)["signatures"] = tree{} }, "expected a list"},
		"empty signature":    {func(b tree) { signature(b)["sig"] = "" }, "signature is empty"},
		"two signatures":     {func(b tree) { envelope(b)["signatures"] = []any{signature(b), signature(b)} }, "more than 1"},
		"no base64":          {func(b tree) { signature(b)["sig"] = "*" }, "illegal base64"},
		"payload's base64":   {func(b tree) { envelope(b)["payload"] = "A" }, "illegal base64"},
		"payload":            {func(b tree) { envelope(b)["payload"] = "AAAA" }, "statement"},
		"statement's type":   {payload(func(st tree) { st["_type"] = "https://in-toto.io/Statement/v2" }), "_type"},
		"no subject":         {payload(func(st tree) { st["subject"] = []any{} }), "no subject"},
		"no predicate type":  {payload(func(st tree) { delete(st, "predicateType") }), "no predicateType"},
		"predicate's type":   {payload(func(st tree) { st["predicate"] = "text" }), "predicate: expected an object"},
		"digest's type":      {payload(func(st tree) { st["subject"] = []any{tree{"digest": tree{"sha256": 1}}} }), "sha256: expected a string"},
		"more than subjects": {payload(func(st tree) { st["subject"] = make([]tree, maxSubjects+1) }), "subject"},
	}) {
		b := decodeTree(t, genuine)
		c.change(b)
		if _, err := ParseBundle(encodeTree(t, b)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	// What can, but was not signed by the key.
	for what, c := range (changes{
		"signature":      {func(b tree) { signature(b)["sig"] = strings.Repeat("A", 86) + "==" }, "the signature is wrong"},
		"short":          {func(b tree) { signature(b)["sig"] = "AAAA" }, "the signature is wrong"},
		"hint":           {func(b tree) { material(b)["publicKey"] = tree{"hint": other.Public().hint()} }, "the signature is wrong"},
		"unknown hint":   {func(b tree) { material(b)["publicKey"] = tree{"hint": strings.Repeat("A", 43) + "="} }, "none of the keys"},
		"certificate":    {func(b tree) { b["verificationMaterial"] = tree{"certificate": tree{"rawBytes": "AAAA"}} }, "signed with a certificate"},
		"chain":          {func(b tree) { b["verificationMaterial"] = tree{"x509CertificateChain": tree{}} }, "signed with a certificate"},
		"subject":        {payload(func(st tree) { st["subject"] = []any{tree{"digest": tree{"sha256": strings.Repeat("0", 64)}}} }), "the signature is wrong"},
		"predicate":      {payload(func(st tree) { st["predicate"] = tree{} }), "the signature is wrong"},
		"predicate type": {payload(func(st tree) { st["predicateType"] = PredicateYank }), "the signature is wrong"},
		"statement 0.1":  {payload(func(st tree) { st["_type"] = "https://in-toto.io/Statement/v0.1" }), "the signature is wrong"},
		"as message": {func(b tree) {
			b["messageSignature"] = tree{"signature": signature(b)["sig"]}
			delete(b, "dsseEnvelope")
		}, "the signature is wrong"},
	}) {
		b := decodeTree(t, genuine)
		c.change(b)
		bundle, err := ParseBundle(encodeTree(t, b))
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if v, err := bundle.Verify(testManifest, keys); !errors.Is(err, ErrNoKey) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v", what, v, err)
		}
	}
	// What changes nothing of what is said.
	for what, change := range map[string]func(tree){
		"unknown fields":   func(b tree) { b["later"] = 1; envelope(b)["later"] = tree{} },
		"same keyid":       func(b tree) { signature(b)["keyid"] = k.Public().hint() },
		"hint of its own":  func(b tree) { material(b)["publicKey"] = tree{"hint": "release"} },
		"no hint":          func(b tree) { material(b)["publicKey"] = tree{} },
		"an older version": func(b tree) { b["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.1" },
		"base64 for URLs": func(b tree) {
			s := signature(b)
			s["sig"] = strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(s["sig"].(string)), "=")
		},
	} {
		b := decodeTree(t, genuine)
		change(b)
		bundle, err := ParseBundle(encodeTree(t, b))
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if _, err := bundle.Verify(testManifest, keys); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	for n := range len(genuine) {
		if _, err := ParseBundle(genuine[:n]); err == nil {
			t.Fatalf("truncated to %d bytes it is read", n)
		}
	}
	for what, b := range map[string]string{
		"a key twice": strings.Replace(string(genuine), "{", `{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json",`, 1),
		"more":        string(genuine) + "{}",
		"deep":        strings.Replace(string(genuine), "{", `{"x":`+strings.Repeat("[", 200)+strings.Repeat("]", 200)+",", 1),
		"list":        "[]",
		"no UTF-8":    strings.Replace(string(genuine), "{", "{\"\xff\":1,", 1),
		"large":       strings.Repeat(" ", MaxBundle+1),
	} {
		if _, err := ParseBundle([]byte(b)); err == nil {
			t.Errorf("%s is read", what)
		}
	}
}

func TestParseBundleBounds(t *testing.T) {
	b := signed(t, generate(t), PredicateSign, map[string]any{}).Encode()
	for _, size := range []int{MaxBundle, MaxBundle + 1} {
		_, err := ParseBundle([]byte(string(b) + strings.Repeat(" ", size-len(b))))
		if (err == nil) != (size == MaxBundle) {
			t.Errorf("a bundle of %d bytes: %v", size, err)
		}
	}
	// Each key costs far more memory than it has bytes.
	var keys strings.Builder
	for i := range rules.Keys {
		fmt.Fprintf(&keys, `"%x":0,`, i)
	}
	if _, err := ParseBundle([]byte("{" + keys.String() + string(b[1:]))); err == nil || !strings.Contains(err.Error(), "more than 16384 keys") {
		t.Errorf("a bundle with %d keys more: %v", rules.Keys, err)
	}
}

func TestStatementSubjects(t *testing.T) {
	// Of testManifest, as sha256sum has it.
	const sha256Sum = "bafebd36189ad3688b7b3915ea55d461e0bfcfbdde11e54b0a123999fb6be50f"
	zeros := strings.Repeat("0", 64)
	for what, c := range map[string]struct {
		subjects string
		about    bool
	}{
		"one":                  {`{"digest":{"sha256":"` + sha256Sum + `"}}`, true},
		"named":                {`{"name":"hello","digest":{"sha256":"` + sha256Sum + `"}}`, true},
		"second":               {`{"digest":{"sha256":"` + zeros + `"}},{"digest":{"sha256":"` + sha256Sum + `"}}`, true},
		"unknown algorithm":    {`{"digest":{"sha256":"` + sha256Sum + `","gitCommit":"1"}}`, true},
		"another":              {`{"digest":{"sha256":"` + zeros + `"}}`, false},
		"upper case":           {`{"digest":{"sha256":"` + strings.ToUpper(sha256Sum) + `"}}`, false},
		"no digest":            {`{"name":"` + sha256Sum + `"}`, false},
		"wrong stronger":       {`{"digest":{"sha256":"` + sha256Sum + `","sha512":"` + zeros + `"}}`, false},
		"under another name":   {`{"digest":{"SHA256":"` + sha256Sum + `"}}`, false},
		"only by another kind": {`{"digest":{"gitCommit":"` + sha256Sum + `"}}`, false},
	} {
		for _, version := range []string{"v1", "v0.1"} {
			st, err := ParseStatement([]byte(`{"_type":"https://in-toto.io/Statement/` + version + `","predicateType":"https://example.com/p","subject":[` + c.subjects + `]}`))
			if err != nil {
				t.Errorf("%s: %v", what, err)
				continue
			}
			if got := st.isAbout(testManifest); got != c.about {
				t.Errorf("%s: about the artifact: %v", what, got)
			}
		}
	}
}

// badSigner says of a signature of another key that it is its own.
type badSigner struct {
	*PrivateKey
	public PublicKey
}

func (s badSigner) Public() PublicKey { return s.public }

func TestSignChecksTheSigner(t *testing.T) {
	st, err := NewStatement(testManifest, PredicateSign, struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Sign(t.Context(), badSigner{generate(t), generate(t).Public()}, st); err == nil {
		t.Error("a wrong signature is taken")
	}
	if _, err := Sign(t.Context(), generate(t), &Statement{PredicateType: PredicateSign}); err == nil {
		t.Error("a statement about nothing is signed")
	}
	if _, err := NewStatement(testManifest, PredicateSign, func() {}); err == nil {
		t.Error("a predicate that is no JSON is taken")
	}
}

func FuzzBundle(f *testing.F) {
	// The key is always the same, so that what fuzzing finds can be repeated.
	k, err := ParsePrivateKey([]byte("SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"), nil)
	if err != nil {
		f.Fatal(err)
	}
	genuine := signed(f, k, PredicateSign, SignPredicate{time.Unix(0, 0).UTC()})
	f.Add(genuine.Encode())
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle+json;version=0.2","verificationMaterial":{"publicKey":{}},"messageSignature":{"signature":"AAAA"}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		b, err := ParseBundle(in)
		if err != nil {
			return
		}
		if string(b.Encode()) != string(in) {
			t.Fatal("it is not written as it was read")
		}
		b.Claimed()
		b.Annotations()
		v, err := b.Verify(testManifest, []PublicKey{k.Public()})
		if err != nil {
			return
		}
		if diff := cmp.Diff(genuine.Unverified(), v.Statement); diff != "" {
			t.Fatalf("the key never said that: %s", diff)
		}
	})
}

func FuzzStatement(f *testing.F) {
	f.Add([]byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"a","digest":{"sha256":"00"}}],"predicateType":"https://example.com/p","predicate":{"signedAt":"2026-01-02T03:04:05Z"}}`))
	f.Add([]byte(`{"_type":"https://in-toto.io/Statement/v0.1","subject":[{"digest":{}}],"predicateType":"x"}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		st, err := ParseStatement(in)
		if err != nil {
			return
		}
		st.isAbout(testManifest)
		(&Verified{Statement: st}).SignedAt()
		b, err := st.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseStatement(b)
		if err != nil {
			t.Fatal(err)
		}
		again.Predicate, st.Predicate = nil, nil // white space of it may have changed
		if diff := cmp.Diff(st, again); diff != "" {
			t.Fatal(diff)
		}
	})
}
