package cli

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ashlar-wasm/ashlar/oci"
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
