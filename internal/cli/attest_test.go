package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ashlar-wasm/ashlar/attest"
	"github.com/ashlar-wasm/ashlar/oci"
	"github.com/ashlar-wasm/ashlar/oci/ocitest"
	"github.com/ashlar-wasm/ashlar/signature"
)

// attestedProject makes build/app.wasm with its attestations, of a project whose
// command copies a component.
func attestedProject(t *testing.T) {
	t.Helper()
	trustProject(t)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("ASHLAR_TEST_COPY", "hello.wasm")
	text := fmt.Sprintf("name = \"app\"\nversion = \"1.2.0\"\nlanguage = \"rust\"\nworld = \"wasi:cli/command@0.2.0\"\n[build]\ncommand = ['%s']\n", program)
	for name, text := range map[string]string{
		"ashlar.toml": text,
		"Cargo.lock":  "version = 4\n[[package]]\nname = \"dep\"\nversion = \"1.0.0\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, 0, "build", "--attest", "--builder", "https://ci.example/builders/1")
}

// The test binary itself is the command of a project: it copies a file to where a
// build wants its result.
func init() {
	from, to := os.Getenv("ASHLAR_TEST_COPY"), os.Getenv("ASHLAR_OUTPUT")
	if from == "" || to == "" {
		return
	}
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o666)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// referrersOf lists what is attached to an artifact, by type: for bundles that of
// the predicate.
func referrersOf(t *testing.T, ref string) map[string]*oci.Attachment {
	t.Helper()
	r, err := oci.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	client, err := oci.NewClient(oci.Options{})
	if err != nil {
		t.Fatal(err)
	}
	refs, err := client.Referrers(t.Context(), r, "")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*oci.Attachment{}
	for _, referrer := range refs {
		a, err := client.ReadReferrer(t.Context(), r, referrer)
		if err != nil {
			t.Fatal(err)
		}
		kind := a.ArtifactType
		if kind == signature.MediaTypeBundle {
			b, err := signature.ParseBundle(a.Content)
			if err != nil {
				t.Fatal(err)
			}
			kind = b.Unverified().PredicateType
		}
		all[kind] = a
	}
	return all
}

// attach attaches something to an artifact, as anybody may.
func attach(t *testing.T, ref, kind string, content []byte) {
	t.Helper()
	r, err := oci.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	client, err := oci.NewClient(oci.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Attach(t.Context(), r, oci.Attachment{ArtifactType: kind, Content: content}); err != nil {
		t.Fatal(err)
	}
}

func manifestDigest(t *testing.T, ref string) string {
	t.Helper()
	r, err := oci.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	client, err := oci.NewClient(oci.Options{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := client.Describe(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return a.Descriptor.Digest.Encoded()
}

// TestSBOMOfStrangers has others attach whatever they like: what is printed is the one
// about the component.
func TestSBOMOfStrangers(t *testing.T) {
	attestedProject(t)
	plain := ocitest.Start(t, ocitest.Options{Referrers: true}).Host + "/acme/app:plain"
	expect(t, 0, "push", filepath.Join("build", "app.wasm"), plain)
	out, _ := expect(t, 0, "sbom", plain)
	attach(t, plain, attest.MediaTypeSBOM, []byte("no JSON"))
	for i := range 3 {
		attach(t, plain, attest.MediaTypeSBOM, fmt.Appendf(nil, `{"bomFormat": "CycloneDX", "serialNumber": "%d"}`, i))
	}
	k, err := signature.Generate()
	if err != nil {
		t.Fatal(err)
	}
	for _, predicate := range []string{`{"bomFormat": "none"}`, `{}`} {
		b, err := signature.Sign(t.Context(), k, &signature.Statement{Subjects: []signature.Subject{{Digest: map[string]string{"sha256": manifestDigest(t, plain)}}}, PredicateType: signature.PredicateSBOM, Predicate: json.RawMessage(predicate)})
		if err != nil {
			t.Fatal(err)
		}
		attach(t, plain, signature.MediaTypeBundle, b.Encode())
	}
	if again, errs := expect(t, 0, "sbom", plain); again != out || !strings.HasSuffix(errs, "NOT signed\n") {
		t.Errorf("sbom among others: %s%s", again, errs)
	}
}

func TestAttest(t *testing.T) {
	attestedProject(t)
	// The tag is there only when all else is.
	var early atomic.Bool
	tagged := false
	reg := ocitest.Start(t, ocitest.Options{Referrers: true, Fault: func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/1.2.0") {
			tagged = true
		} else if r.Method == http.MethodPut && tagged {
			early.Store(true)
		}
		return false
	}})
	file, name := filepath.Join("build", "app.wasm"), reg.Host+"/acme/app"
	signed, plain := name+":1.2.0", name+":plain"

	expect(t, 0, "push", file, plain)
	attached := referrersOf(t, plain)
	st, err := signature.ParseStatement(attached[attest.MediaTypeStatement].Content)
	if err != nil {
		t.Fatal(err)
	}
	if len(attached) != 2 || st.PredicateType != signature.PredicateProvenance || !attest.IsAbout(st, readFile(t, file)) {
		t.Errorf("attached without a signature: %v", attached)
	}
	if string(attached[attest.MediaTypeSBOM].Content) != string(readFile(t, filepath.Join("build", "app.cdx.json"))) {
		t.Error("another SBOM is attached")
	}
	out, errs := expect(t, 0, "sbom", plain)
	if !strings.Contains(errs, "NOT signed") || !strings.Contains(out, "pkg:cargo/dep@1.0.0") {
		t.Errorf("sbom: %s%s", out, errs)
	}
	out, errs = expect(t, 0, "sbom", "-o", "text", file)
	if !strings.Contains(errs, "from "+filepath.Join("build", "app.cdx.json")) || !strings.Contains(out, "  pkg:cargo/dep@1.0.0\n") {
		t.Errorf("sbom of the file: %s%s", out, errs)
	}

	// Pushed again, nothing is attached twice.
	expect(t, 0, "push", file, plain)
	if again := referrersOf(t, plain); len(again) != 2 {
		t.Errorf("attached %d after the second push", len(again))
	}
	expect(t, 0, "push", "--no-attestations", file, reg.Host+"/acme/bare:1")
	if bare := referrersOf(t, reg.Host+"/acme/bare:1"); len(bare) != 0 {
		t.Errorf("attached in spite of --no-attestations: %v", bare)
	}

	// Signed, they are bundles that policies ask for.
	expect(t, 0, "push", "--sign", "alice", file, signed)
	if early.Load() || !tagged {
		t.Error("the tag was set before all was attached")
	}
	// Again, nothing is attached twice.
	count := func() string {
		t.Helper()
		out, _ := expect(t, 0, "inspect", "--referrers", signed)
		_, list, _ := strings.Cut(out, "attached")
		return list
	}
	before := count()
	expect(t, 0, "push", "--sign", "alice", file, signed)
	if after := count(); after != before {
		t.Errorf("attached%s after the second push, before that%s", after, before)
	}
	attached = referrersOf(t, signed)
	for _, kind := range []string{signature.PredicateSign, signature.PredicateProvenance, signature.PredicateSBOM} {
		if attached[kind] == nil {
			t.Errorf("%s is not attached: %v", kind, attached)
		}
	}
	if out, _ := expect(t, 0, "inspect", "--referrers", signed); !strings.Contains(out, "attached, not verified (5)") || !strings.Contains(out, " "+signature.PredicateProvenance+"\n") {
		t.Errorf("inspect: %s", out)
	}
	out, errs = expect(t, 0, "sbom", signed)
	var bom attest.BOM
	if err := json.Unmarshal([]byte(out), &bom); err != nil || !strings.Contains(errs, "signed with sha256:") || !strings.Contains(errs, "(alice)") {
		t.Errorf("sbom: %v\n%s%s", err, out, errs)
	}
	expect(t, 0, "sbom", "--key", "alice", signed)
	if _, errs := expect(t, exitFailure, "sbom", "--key", "bob", signed); !strings.Contains(errs, "no SBOM that one of the keys signed") {
		t.Errorf("sbom by another key: %s", errs)
	}
	t.Setenv(keysVariable, "nowhere")
	if _, errs := expect(t, 0, "sbom", signed); !strings.Contains(errs, "NOT verified") {
		t.Errorf("sbom by an unknown key: %s", errs)
	}
	const rule = "references: ['**', 'oci:**']\nkeys: [keys/alice.pub]\nattestations: [sbom, {type: provenance, builder: 'https://ci.example/**'"
	writeTrust(t, "good.yaml", rule+"}]")
	writeTrust(t, "source.yaml", rule+", source: 'git+https://git.example/**'}]")
	expect(t, 0, "run", "--trust", "good.yaml", signed)
	refusedBecause(t, `has the source "", expected git+https://git.example/**`, "run", "--trust", "source.yaml", signed)
	refusedBecause(t, "attestation sbom", "run", "--trust", "good.yaml", reg.Host+"/acme/bare:1")

	// Packages have them too, once.
	t.Setenv(wkgRegistryVariable, reg.Host)
	t.Setenv(wkgConfigVariable, "")
	t.Setenv(wkgCacheVariable, "")
	const release = "acme:tool@1.0.0"
	expect(t, 0, "pkg", "publish", "--package", release, file)
	expect(t, exitFailure, "pkg", "publish", "--package", release, file)
	refusedBecause(t, "attestation provenance", "run", "--trust", "good.yaml", release)
	t.Setenv(keysVariable, "keys")
	expect(t, 0, "pkg", "publish", "--sign", "alice", "--package", release, file)
	expect(t, 0, "run", "--trust", "good.yaml", release)
	attachedOnce := len(referrersOf(t, reg.Host+"/acme/tool:1.0.0"))
	if _, errs := expect(t, 0, "pkg", "publish", "--sign", "alice", "--package", release, file); !strings.Contains(errs, "already signed") || len(referrersOf(t, reg.Host+"/acme/tool:1.0.0")) != attachedOnce {
		t.Errorf("published again: %s", errs)
	}
	if _, errs := expect(t, exitFailure, "pkg", "publish", "--sign", "nobody", "--package", "acme:tool@1.0.1", file); strings.Contains(errs, "is published") {
		t.Errorf("published before the key was looked for: %s", errs)
	}

	// What is attached comes along.
	expect(t, 0, "copy", signed, "oci:copy:1")
	expect(t, 0, "run", "--trust", "good.yaml", "oci:copy:1")
}

func TestAttestStale(t *testing.T) {
	attestedProject(t)
	reg := ocitest.Start(t, ocitest.Options{})
	file, name := filepath.Join("build", "app.wasm"), reg.Host+"/acme/app:1"
	for _, other := range []string{"app.provenance.json", "app.cdx.json"} {
		other = filepath.Join("build", other)
		b := readFile(t, other)
		expect(t, 0, "push", "exit.wasm", name) // has none beside it
		if err := os.WriteFile(file, readFile(t, "exit.wasm"), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, errs := expect(t, exitFailure, "push", file, name); !strings.Contains(errs, "is not about "+file) || !strings.Contains(errs, "--no-attestations") {
			t.Errorf("a stale attestation: %s", errs)
		}
		if err := os.Remove(filepath.Join("build", "app.provenance.json")); err == nil {
			continue // then the SBOM is the one that is stale
		}
		if err := os.WriteFile(other, b[:len(b)/2], 0o666); err != nil {
			t.Fatal(err)
		}
		expect(t, exitFailure, "push", file, name)
	}
	if _, errs := expect(t, 0, "sbom", file); !strings.Contains(errs, "made of what the component says of itself") {
		t.Errorf("sbom with a broken file beside it: %s", errs)
	}
	expect(t, 0, "push", "--no-attestations", file, name)
	if len(referrersOf(t, name)) != 0 {
		t.Error("something is attached")
	}
	out, errs := expect(t, 0, "sbom", name)
	if !strings.Contains(errs, "none is attached") || !strings.Contains(out, `"bomFormat": "CycloneDX"`) {
		t.Errorf("sbom of an artifact without one: %s%s", out, errs)
	}
	expect(t, exitUsage, "build", "--builder", "https://ci.example")
	expect(t, exitUsage, "build", "--attest", "--builder", "me")
	expect(t, exitUsage, "sbom", "--key", "alice", file)
}
