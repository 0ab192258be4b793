package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/internal/require"
	"github.com/ashlar-wasm/ashlar/oci"
	"github.com/ashlar-wasm/ashlar/oci/bundles"
	"github.com/ashlar-wasm/ashlar/oci/ocitest"
	"github.com/ashlar-wasm/ashlar/signature"
)

// useKeys gives a test a store of keys and a password of its own.
func useKeys(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "keys")
	t.Setenv(keysVariable, dir)
	t.Setenv(keyPasswordVariable, "secret")
	t.Setenv(keyVariable, "")
	return dir
}

func TestKeyCommands(t *testing.T) {
	if require.Race {
		t.Skip("one goroutine derives keys of passwords, slowly with the race detector")
	}
	keys := useKeys(t)
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pem, _ := expect(t, 0, "key", "generate", "release")
	if again, _ := expect(t, 0, "key", "export", "release"); again != pem || !strings.HasPrefix(pem, "-----BEGIN PUBLIC KEY-----\n") {
		t.Errorf("exported %q, generated %q", again, pem)
	}
	public, err := signature.ParsePublicKey([]byte(pem))
	if err != nil {
		t.Fatal(err)
	}
	nkey, _ := expect(t, 0, "key", "export", "--format", "nkey", "release")
	seed, _ := expect(t, 0, "key", "export", "--format", "nkey", "--private", "release")
	if !strings.HasPrefix(nkey, "U") || !strings.HasPrefix(seed, "SU") {
		t.Errorf("nkey %q, seed %q", nkey, seed)
	}
	private, _ := expect(t, 0, "key", "export", "--private", "release")

	// Every form comes back as the same key.
	for name, text := range map[string]string{"a": pem, "b": nkey} {
		expect(t, 0, "key", "import", name, write(name, text))
		if got, _ := expect(t, 0, "key", "export", name); got != pem {
			t.Errorf("%s: imported %q", name, got)
		}
	}
	for name, text := range map[string]string{"c": seed, "d": private, "e": string(readFile(t, filepath.Join(keys, "release.key")))} {
		expect(t, 0, "key", "import", name, write(name, text))
		if got, _ := expect(t, 0, "key", "export", "--private", name); got != private {
			t.Errorf("%s: another private key", name)
		}
	}
	out, _ := expect(t, 0, "key", "list", "-o", "json")
	var list []keyReport
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list) != 6 {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, k := range list {
		if k.ID != public.ID() || k.Algorithm != "ed25519" || k.PublicKey != pem || k.Private != (k.Name > "b") {
			t.Errorf("%+v", k)
		}
	}
	if out, _ := expect(t, 0, "key", "list"); strings.Count(out, public.ID()) != 6 {
		t.Errorf("list:\n%s", out)
	}

	before := string(readFile(t, filepath.Join(keys, "release.key")))
	for _, args := range [][]string{{"generate", "release"}, {"import", "release", write("f", seed)}, {"import", "release", write("g", pem)}} {
		if _, stderr := expect(t, exitFailure, append([]string{"key"}, args...)...); !strings.Contains(stderr, "--force") {
			t.Errorf("%q: %s", args, stderr)
		}
	}
	if string(readFile(t, filepath.Join(keys, "release.key"))) != before {
		t.Error("the key was replaced")
	}
	expect(t, 0, "key", "generate", "--force", "release")
	if string(readFile(t, filepath.Join(keys, "release.key"))) == before {
		t.Error("the key was not replaced")
	}

	t.Setenv(keyPasswordVariable, "other")
	if _, stderr := expect(t, exitFailure, "key", "export", "--private", "release"); !strings.Contains(stderr, "password of the private key is wrong") || strings.Contains(stderr, "other") {
		t.Errorf("a wrong password: %s", stderr)
	}
	if err := os.Unsetenv(keyPasswordVariable); err != nil {
		t.Fatal(err)
	}
	if _, stderr := expect(t, exitUsage, "key", "export", "--private", "release"); !strings.Contains(stderr, keyPasswordVariable) {
		t.Errorf("no password: %s", stderr)
	}
	if _, stderr := expect(t, exitUsage, "key", "generate", "open"); !strings.Contains(stderr, "--no-password") {
		t.Errorf("no password: %s", stderr)
	}
	expect(t, 0, "key", "generate", "--no-password", "open")
	expect(t, 0, "key", "export", "--private", "open")
	t.Setenv(keyPasswordVariable, "")
	expect(t, exitUsage, "key", "generate", "empty")

	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"generate", "../up"}, exitUsage, "no name of a key"},
		{[]string{"generate"}, exitUsage, "missing argument NAME"},
		{[]string{"export", "nobody"}, exitFailure, "there is no key nobody in " + keys},
		{[]string{"export", "--private", "a"}, exitFailure, "there is no key a in"},
		{[]string{"export", "--format", "jwk", "a"}, exitUsage, "expected pem or nkey"},
		{[]string{"import", "x", write("text", "text")}, exitFailure, "neither a PEM private key nor"},
		{[]string{"import", "x", filepath.Join(dir, "nothing")}, exitFailure, "nothing"},
		{[]string{"list", "-o", "xml"}, exitUsage, "expected text or json"},
		{[]string{"frobnicate"}, exitUsage, "unknown command"},
	} {
		if _, stderr := expect(t, c.code, append([]string{"key"}, c.args...)...); !strings.Contains(stderr, c.want) {
			t.Errorf("%q: %s", c.args, stderr)
		}
	}
}

// verifyJSON runs verify and returns what it reports.
func verifyJSON(t *testing.T, code int, args ...string) verifyReport {
	t.Helper()
	out, _ := expect(t, code, append([]string{"verify", "-o", "json"}, args...)...)
	var r verifyReport
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return r
}

func TestSignAndVerify(t *testing.T) {
	for _, referrers := range []bool{true, false} {
		name := "registry with the API for referrers"
		if !referrers {
			name = "registry without it"
		}
		t.Run(name, func(t *testing.T) {
			reg := ocitest.Start(t, ocitest.Options{Referrers: referrers})
			testSignAndVerify(t, reg.Host+"/ns/hello")
		})
	}
	t.Run("layout", func(t *testing.T) {
		testSignAndVerify(t, "oci:"+filepath.Join(t.TempDir(), "layout"))
	})
}

func testSignAndVerify(t *testing.T, name string) {
	dir := writeGuests(t)
	useKeys(t)
	t.Setenv(artifactCacheVariable, cacheOff)
	t.Setenv("DOCKER_CONFIG", dir)
	ref := name + ":1.2.0"
	out, _ := expect(t, 0, "push", filepath.Join(dir, "hello.wasm"), ref)
	pinned := strings.TrimSpace(out)

	if _, stderr := expect(t, exitUsage, "sign", ref); !strings.Contains(stderr, "ashlar key generate") {
		t.Errorf("without a key: %s", stderr)
	}
	for _, k := range []string{"alyssa", "ben", "eva"} {
		expect(t, 0, "key", "generate", k)
	}
	if _, stderr := expect(t, exitUsage, "sign", ref); !strings.Contains(stderr, "which key? There are alyssa, ben, eva") {
		t.Errorf("with several: %s", stderr)
	}
	if _, stderr := expect(t, exitTrust, "verify", "--key", "alyssa", ref); !strings.Contains(stderr, "0 of the keys signed it, expected 1") || !strings.Contains(stderr, "no signature is attached") {
		t.Errorf("not signed: %s", stderr)
	}

	out, stderr := expect(t, 0, "sign", "--key", "alyssa", ref)
	if strings.TrimSpace(out) != pinned || !strings.HasPrefix(stderr, "signed with sha256:") {
		t.Errorf("signed %q, %s", out, stderr)
	}
	out, _ = expect(t, 0, "verify", "--key", "alyssa", ref)
	if lines := strings.Split(out, "\n"); len(lines) != 3 || lines[0] != pinned || !strings.HasPrefix(lines[1], "signed with sha256:") || !strings.Contains(lines[1], "(alyssa) at 2") {
		t.Errorf("verify:\n%s", out)
	}
	// Once more is once.
	if _, stderr := expect(t, 0, "sign", "--key", "alyssa", pinned); !strings.HasPrefix(stderr, "already signed with") {
		t.Errorf("signed twice: %s", stderr)
	}
	r := verifyJSON(t, 0, "--key", "alyssa", "--key", "alyssa", "--key", "ben", pinned)
	if !r.Verified || r.Reference != pinned || len(r.Signatures) != 1 || r.Signatures[0].Name != "alyssa" || r.Signatures[0].SignedAt == nil || len(r.Ignored) != 0 {
		t.Errorf("%+v", r)
	}
	if _, stderr := expect(t, exitTrust, "verify", "--key", "eva", ref); !strings.Contains(stderr, "(eva): did not sign") || !strings.Contains(stderr, "ignored sha256:") || !strings.Contains(stderr, r.Signatures[0].Key+": none of the keys") {
		t.Errorf("another key: %s", stderr)
	}

	if _, stderr := expect(t, exitTrust, "verify", "--key", "alyssa", "--key", "ben", "--signatures", "2", ref); !strings.Contains(stderr, "1 of the keys signed it, expected 2") || !strings.Contains(stderr, "(ben): did not sign") {
		t.Errorf("two signatures: %s", stderr)
	}
	expect(t, 0, "sign", "--key", "ben", ref)
	expect(t, 0, "verify", "--key", "alyssa", "--key", "ben", "--signatures", "2", ref)
	expect(t, 0, "sign", "--key", "ben", "--force", ref)
	if r := verifyJSON(t, exitTrust, "--key", "ben", "--key", "eva", "--signatures", "2", ref); r.Verified || len(r.Signatures) != 1 {
		t.Errorf("two signatures by one key count twice: %+v", r)
	}

	// Anybody may attach anything.
	client, err := oci.NewClient(oci.Options{})
	if err != nil {
		t.Fatal(err)
	}
	to, err := oci.ParseReference(pinned)
	if err != nil {
		t.Fatal(err)
	}
	mallory, err := signature.Generate()
	if err != nil {
		t.Fatal(err)
	}
	statement := func(manifest, predicateType string) *signature.Bundle {
		st, err := signature.NewStatement([]byte(manifest), predicateType, struct{}{})
		if err != nil {
			t.Fatal(err)
		}
		b, err := signature.Sign(t.Context(), mallory, st)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, content := range [][]byte{
		[]byte("no bundle"), statement("another manifest", signature.PredicateSign).Encode(), statement("{}", signature.PredicateYank).Encode(),
	} {
		if _, err := client.Attach(t.Context(), to, oci.Attachment{ArtifactType: signature.MediaTypeBundle, Content: content}); err != nil {
			t.Fatal(err)
		}
	}
	nkey, err := mallory.Public().Nkey()
	if err != nil {
		t.Fatal(err)
	}
	r = verifyJSON(t, 0, "--key", "alyssa", "--key", nkey, ref)
	reasons := ""
	for _, i := range r.Ignored {
		reasons += i.Reason + "\n"
	}
	if len(r.Signatures) != 1 || strings.Count(reasons, "another artifact") != 2 || !strings.Contains(reasons, "bundle: ") || len(r.Attestations) != 0 {
		t.Errorf("%+v", r)
	}

	// A statement by a trusted key is not a signature.
	a, err := client.Describe(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	b := statement(string(a.ManifestBytes), signature.PredicateYank)
	if err := bundles.Attach(t.Context(), client, to, b, a.Config.Created); err != nil {
		t.Fatal(err)
	}
	r = verifyJSON(t, exitTrust, "--key", nkey, ref)
	if r.Verified || len(r.Attestations) != 1 || r.Attestations[0].PredicateType != signature.PredicateYank {
		t.Errorf("%+v", r)
	}

	// Two signatures by one key, made at other times, are by one key.
	signed := []time.Time{time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	for _, at := range signed {
		st, err := signature.NewStatement(a.ManifestBytes, signature.PredicateSign, signature.SignPredicate{SignedAt: at})
		if err != nil {
			t.Fatal(err)
		}
		b, err := signature.Sign(t.Context(), mallory, st)
		if err != nil {
			t.Fatal(err)
		}
		if err := bundles.Attach(t.Context(), client, to, b, at); err != nil {
			t.Fatal(err)
		}
	}
	r = verifyJSON(t, exitTrust, "--key", nkey, "--key", "eva", "--signatures", "2", ref)
	if len(r.Signatures) != 1 || !r.Signatures[0].SignedAt.Equal(signed[0]) {
		t.Errorf("two signatures by one key: %+v", r)
	}
}

func TestSignWithEnvironment(t *testing.T) {
	dir := writeGuests(t)
	useKeys(t)
	t.Setenv(artifactCacheVariable, cacheOff)
	k, err := signature.Generate()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := k.Seed()
	if err != nil {
		t.Fatal(err)
	}
	ref := "oci:" + filepath.Join(dir, "layout") + ":1"
	expect(t, 0, "push", filepath.Join(dir, "hello.wasm"), ref)
	t.Setenv(keyVariable, seed)
	_, stderr := expect(t, 0, "sign", ref)
	if !strings.Contains(stderr, k.Public().ID()) || strings.Contains(stderr, seed) {
		t.Errorf("signed: %s", stderr)
	}
	file := filepath.Join(dir, "key.pub")
	if err := os.WriteFile(file, k.Public().PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	expect(t, 0, "verify", "--key", file, ref)
	nkey, err := k.Public().Nkey()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"verify", ref}, exitUsage, "--key"},
		{[]string{"verify", "--key", "nobody", ref}, exitFailure, "neither a name in"},
		{[]string{"verify", "--key", file, "--signatures", "2", ref}, exitUsage, "expected 1 to 1"},
		{[]string{"verify", "--key", file, "--key", nkey, "--signatures", "2", ref}, exitUsage, "expected 1 to 1"},
		{[]string{"verify", "--key", file, "--signatures", "0", ref}, exitUsage, "expected 1 to 1"},
		{[]string{"verify", "--key", file, "oci:" + dir + ":nothing"}, exitFailure, "nothing"},
		{[]string{"verify", "--key", file, "Nowhere"}, exitUsage, "Nowhere"},
		{[]string{"sign", "--key", file, ref}, exitFailure, "no private key"},
		{[]string{"sign", "--key", "nobody", ref}, exitFailure, "neither a private key in"},
		{[]string{"sign", "--key", "exec:" + filepath.Join(dir, "nothing"), ref}, exitFailure, "signing program"},
	} {
		if _, stderr := expect(t, c.code, c.args...); !strings.Contains(stderr, c.want) {
			t.Errorf("%q: %s", c.args, stderr)
		}
	}
}

func TestVerifyOffline(t *testing.T) {
	dir := writeGuests(t)
	useKeys(t)
	t.Setenv(artifactCacheVariable, filepath.Join(dir, "artifacts"))
	t.Setenv("DOCKER_CONFIG", dir)
	reg := ocitest.Start(t, ocitest.Options{Referrers: true})
	ref := reg.Host + "/ns/hello:1"
	expect(t, 0, "push", filepath.Join(dir, "hello.wasm"), ref)
	expect(t, 0, "key", "generate", "release")
	expect(t, 0, "sign", ref)
	if _, stderr := expect(t, exitFailure, "verify", "--offline", "--key", "release", ref); !strings.Contains(stderr, "not in the cache") {
		t.Errorf("nothing is cached: %s", stderr)
	}
	expect(t, 0, "verify", "--key", "release", ref)
	reg.Requests()
	expect(t, 0, "verify", "--offline", "--key", "release", ref)
	if got := reg.Requests(); len(got) > 0 {
		t.Errorf("offline, the registry is asked: %q", got)
	}
	expect(t, 0, "key", "generate", "other")
	expect(t, exitTrust, "verify", "--offline", "--key", "other", ref)
}
