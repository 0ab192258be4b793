package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ashlar-wasm/ashlar/oci"
	"github.com/ashlar-wasm/ashlar/oci/bundles"
	"github.com/ashlar-wasm/ashlar/oci/ocitest"
	"github.com/ashlar-wasm/ashlar/signature"
)

// moves is text that moves the cursor of a terminal, and turns around what follows.
const moves = "\x1b[2J\u009b2J\u202eevil"

// hostileLayout writes an OCI layout with an artifact of which every text that its author
// chooses is the given one, and returns its folder.
func hostileLayout(t *testing.T, text string, layers int) string {
	t.Helper()
	dir := t.TempDir()
	blobs := filepath.Join(dir, "blobs", "sha256")
	if err := os.MkdirAll(blobs, 0o777); err != nil {
		t.Fatal(err)
	}
	type object = map[string]any
	put := func(mediaType string, content any) object {
		b, ok := content.([]byte)
		if !ok {
			var err error
			if b, err = json.Marshal(content); err != nil {
				t.Fatal(err)
			}
		}
		d := digest.FromBytes(b)
		if err := os.WriteFile(filepath.Join(blobs, d.Encoded()), b, 0o666); err != nil {
			t.Fatal(err)
		}
		return object{"mediaType": mediaType, "digest": d, "size": len(b)}
	}
	layer := put(oci.MediaTypeLayer, []byte("\x00asm\x01\x00\x00\x00"))
	config := put(oci.MediaTypeConfig, object{
		"architecture": "wasm", "os": "wasip2", "author": text, "layerDigests": []any{layer["digest"]},
		"component": object{"imports": []string{text}, "exports": []string{text}, "target": text},
	})
	list := []object{}
	for range layers {
		list = append(list, object{"mediaType": oci.MediaTypeLayer + strings.Repeat(text, layers-1), "digest": layer["digest"], "size": layer["size"]})
	}
	annotations := object{"org.opencontainers.image.title": text, text: text}
	manifest := put(oci.MediaTypeManifest, object{
		"schemaVersion": 2, "mediaType": oci.MediaTypeManifest, "config": config, "layers": list, "annotations": annotations,
	})
	subject := object{"mediaType": oci.MediaTypeManifest, "digest": manifest["digest"], "size": manifest["size"]}
	manifest["annotations"] = object{"org.opencontainers.image.ref.name": "1"}
	statement, err := json.Marshal(object{
		"_type": "https://in-toto.io/Statement/v1", "predicateType": text, "predicate": object{},
		"subject": []any{object{"digest": object{"sha256": manifest["digest"].(digest.Digest).Encoded()}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	key, err := signature.ParsePrivateKey(readFile(t, filepath.Join("keys", "alice.key")), nil)
	if err != nil {
		t.Fatal(err)
	}
	st, err := signature.ParseStatement(statement)
	if err != nil {
		t.Fatal(err)
	}
	attested, err := signature.Sign(t.Context(), key, st)
	if err != nil {
		t.Fatal(err)
	}
	var unknown object
	if err := json.Unmarshal(attested.Encode(), &unknown); err != nil {
		t.Fatal(err)
	}
	unknown["verificationMaterial"] = object{"publicKey": object{"hint": text}}
	bundle := signature.MediaTypeBundle
	manifests := []any{manifest, object{"mediaType": oci.MediaTypeManifest, "digest": manifest["digest"], "size": manifest["size"], "annotations": object{"org.opencontainers.image.ref.name": text}}}
	for _, content := range []any{attested.Encode(), unknown, object{"mediaType": text}, []byte(text)} {
		r := put(oci.MediaTypeManifest, object{
			"schemaVersion": 2, "mediaType": oci.MediaTypeManifest, "artifactType": bundle, "config": put(text, object{}),
			"layers": []any{put(text, content)}, "subject": subject, "annotations": annotations,
		})
		manifests = append(manifests, r)
	}
	for _, sbom := range []string{"application/vnd.cyclonedx+json", text} {
		manifests = append(manifests, put(oci.MediaTypeManifest, object{
			"schemaVersion": 2, "mediaType": oci.MediaTypeManifest, "artifactType": sbom, "config": put(text, object{}),
			"layers": []any{put(sbom, []byte(text))}, "subject": subject, "annotations": annotations,
		}))
	}
	index, err := json.Marshal(object{"schemaVersion": 2, "manifests": manifests})
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(os.WriteFile(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o666), os.WriteFile(filepath.Join(dir, "index.json"), index, 0o666))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestTerminal has texts of others do nothing to a terminal.
func TestTerminal(t *testing.T) {
	trustProject(t)
	writeTrust(t, "trust.yaml", "references: ['**', 'oci:**']\nkeys: [keys/bob.pub]\nattestations: [sbom]")
	clean := func(args ...string) {
		t.Helper()
		_, out, errs := ashlar(args...)
		if strings.ContainsAny(out+errs, "\x1b\u009b\u202e") {
			t.Errorf("%q:\n%q\n%q", args, out, errs)
		}
	}
	one, two := "oci:"+hostileLayout(t, moves, 1), "oci:"+hostileLayout(t, moves, 2)
	clean("tags", one)
	clean("inspect", one+":1")
	clean("inspect", "--referrers", one+":1")
	clean("inspect", two+":1")
	clean("run", two+":1")
	clean("verify", "--key", "alice", one+":1")
	clean("verify", "--key", "bob", one+":1")
	clean("run", "--trust", "trust.yaml", one+":1")
	clean("trust", "check", "--trust", "trust.yaml", one+":1")
	clean("sbom", one+":1")
	clean("copy", one+":1", "oci:"+t.TempDir()+":1")
	clean("pull", "-o", "x.wasm", one+":1")

	reg := ocitest.Start(t, ocitest.Options{Fault: func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusForbidden)
		b, err := json.Marshal(map[string]any{"errors": []any{map[string]any{"code": moves, "message": moves, "detail": moves}}})
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(b)
		return true
	}})
	for _, args := range [][]string{{"pull", "-o", "-"}, {"run"}, {"tags"}, {"verify", "--key", "bob"}, {"sign", "--key", "bob"}, {"trust", "check", "--trust", "trust.yaml"}, {"sbom"}} {
		clean(append(args, reg.Host+"/a/b:1")...)
	}
}

// TestStrangersAttach has whoever may push attach what is no evidence: it counts for
// nothing and harms nothing.
func TestStrangersAttach(t *testing.T) {
	packageProject(t, map[string]string{"log/l.wit": "package acme:log@1.2.0;\ninterface logger { log: func(text: string); }"})
	t.Setenv(keysVariable, "keys")
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv(artifactCacheVariable, "artifacts")
	reg := ocitest.Start(t, ocitest.Options{Referrers: true})
	if err := os.WriteFile("config.toml", []byte("default_registry = '"+reg.Host+"'\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"alice", "mallory"} {
		expect(t, 0, "key", "generate", "--no-password", name)
	}
	expect(t, 0, "pkg", "publish", "--sign", "alice", "log")
	name := reg.Host + "/acme/log:1.2.0"
	writeTrust(t, "trust.yaml", "packages: ['acme:*']\nreferences: ['**']\nkeys: [keys/alice.pub]")
	t.Setenv(trustVariable, "trust.yaml")
	client, err := oci.NewClient(oci.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tagged, err := oci.ParseReference(name)
	if err != nil {
		t.Fatal(err)
	}
	a, err := client.Describe(t.Context(), tagged)
	if err != nil {
		t.Fatal(err)
	}
	mallory, err := signature.ParsePrivateKey(readFile(t, filepath.Join("keys", "mallory.key")), nil)
	if err != nil {
		t.Fatal(err)
	}
	st, err := signature.NewStatement(a.ManifestBytes, signature.PredicateSign, struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	for len(st.Subjects) < 1000 {
		st.Subjects = append(st.Subjects, st.Subjects[0])
	}
	many, err := signature.Sign(t.Context(), mallory, st)
	if err != nil {
		t.Fatal(err)
	}
	deep := `{"mediaType":"` + signature.MediaTypeBundle + `","x":` + strings.Repeat("[", 1_000_000)
	for _, content := range []string{"", "{", deep, string(many.Encode()), `{"mediaType":"` + signature.MediaTypeBundle + `"}`} {
		if _, err := client.Attach(t.Context(), tagged, oci.Attachment{ArtifactType: signature.MediaTypeBundle, Content: []byte(content)}); err != nil {
			t.Fatal(err)
		}
	}
	// A signature that is there, said to be of other sizes, and one that is not there.
	refs, err := client.Referrers(t.Context(), tagged, signature.MediaTypeBundle)
	if err != nil {
		t.Fatal(err)
	}
	whole := many.Encode()
	for _, layer := range []struct {
		digest digest.Digest
		size   int
	}{{digest.FromBytes(whole), len(whole) - 1}, {digest.FromBytes(whole), len(whole) + 1}, {digest.FromString("nothing"), 7}} {
		m := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"artifactType":%q,"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":%q,"size":2},`+
			`"layers":[{"mediaType":%q,"digest":%q,"size":%d}],"subject":{"mediaType":%q,"digest":%q,"size":%d}}`,
			oci.MediaTypeManifest, signature.MediaTypeBundle, digest.FromString("{}"), signature.MediaTypeBundle, layer.digest, layer.size,
			oci.MediaTypeManifest, a.Descriptor.Digest, a.Descriptor.Size)
		req := httptest.NewRequest(http.MethodPut, "/v2/acme/log/manifests/"+digest.FromString(m).String(), strings.NewReader(m))
		req.Header.Set("Content-Type", oci.MediaTypeManifest)
		w := httptest.NewRecorder()
		if reg.Handler().ServeHTTP(w, req); w.Code != http.StatusCreated {
			t.Fatal(w.Code, w.Body)
		}
	}
	after, err := client.Referrers(t.Context(), tagged, "")
	if err != nil || len(after) != len(refs)+3 {
		t.Fatalf("%d are attached, %v", len(after), err)
	}
	for range 2 { // without a cache, and with one
		expect(t, 0, "verify", "--key", "alice", name)
		expect(t, 0, "pull", "-o", "log.wasm", name)
		expect(t, 0, "pkg", "get", "-o", "log.wasm", "acme:log")
		expect(t, 0, "pkg", "info", "acme:log")
		expect(t, 0, "trust", "check", "acme:log")
		expect(t, 0, "pull", "--offline", "-o", "log.wasm", name)
		expect(t, 0, "pkg", "get", "--offline", "-o", "log.wasm", "acme:log@=1.2.0")
		_, errs := expect(t, 0, "copy", name, "oci:"+filepath.Join(t.TempDir(), "copy")+":1")
		if strings.Count(errs, "not copied: referrer") != 3 {
			t.Errorf("copy: %s", errs)
		}
	}
}

// TestManyBundles refuses an artifact with more bundles than can be looked at.
func TestManyBundles(t *testing.T) {
	trustProject(t)
	const name = "oci:many:1"
	expect(t, 0, "push", "hello.wasm", name)
	expect(t, 0, "sign", "--key", "alice", name)
	client, err := oci.NewClient(oci.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ref, err := oci.ParseReference(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if i == 4 {
			expect(t, 0, "verify", "--key", "alice", name)
		}
		content := append(make([]byte, bundles.MaxBytes/4-1000), byte(i))
		if _, err := client.Attach(t.Context(), ref, oci.Attachment{ArtifactType: signature.MediaTypeBundle, Content: content}); err != nil {
			t.Fatal(err)
		}
	}
	if _, errs := expect(t, exitFailure, "verify", "--key", "alice", name); !strings.Contains(errs, "more than 67108864 bytes") {
		t.Errorf("verify: %s", errs)
	}
}
