package oci_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ashlar-wasm/ashlar/oci"
	"github.com/ashlar-wasm/ashlar/oci/ocitest"
)

func note(content string) oci.Attachment {
	return oci.Attachment{ArtifactType: "application/x-note", Content: []byte(content), Annotations: map[string]string{"a": content}}
}

// readAll returns the contents of what is attached to an artifact, by their type.
func readAll(t testing.TB, c *oci.Client, r oci.Reference, artifactType string) map[string]bool {
	t.Helper()
	refs, err := c.Referrers(t.Context(), r, artifactType)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for _, ref := range refs {
		a, err := c.ReadReferrer(t.Context(), r, ref)
		if err != nil {
			t.Fatal(err)
		}
		if a.ArtifactType != ref.ArtifactType || a.Annotations["a"] != string(a.Content) || !cmp.Equal(a.Annotations, ref.Annotations) {
			t.Errorf("got %+v of %+v", a, ref)
		}
		all[a.ArtifactType+" "+a.MediaType+" "+string(a.Content)] = true
	}
	return all
}

func TestReferrers(t *testing.T) {
	for name, place := range map[string]func(*testing.T) string{
		"API":    func(t *testing.T) string { return ocitest.Start(t, ocitest.Options{Referrers: true}).Host + "/a/b:1" },
		"tag":    func(t *testing.T) string { return ocitest.Start(t, ocitest.Options{}).Host + "/a/b:1" },
		"layout": func(t *testing.T) string { return "oci:" + t.TempDir() + ":1" },
	} {
		t.Run(name, func(t *testing.T) {
			c := client(t, oci.Options{Cache: openCache(t, t.TempDir())})
			r := ref(t, place(t))
			pushed, err := c.Push(t.Context(), r, artifact(t, bigModule(100)))
			if err != nil {
				t.Fatal(err)
			}
			if all := readAll(t, c, r, ""); len(all) != 0 {
				t.Fatalf("attached to a new artifact: %v", all)
			}
			other := oci.Attachment{ArtifactType: "application/x-list", MediaType: "text/plain", Content: []byte("l"), Annotations: map[string]string{"a": "l", v1.AnnotationRefName: "2"}}
			for _, a := range []oci.Attachment{note("one"), note("two"), note("one"), other} {
				if _, err := c.Attach(t.Context(), r, a); err != nil {
					t.Fatal(err)
				}
			}
			want := map[string]bool{"application/x-note application/x-note one": true, "application/x-note application/x-note two": true, "application/x-list text/plain l": true}
			if diff := cmp.Diff(want, readAll(t, c, pushed, "")); diff != "" {
				t.Errorf("all: %s", diff)
			}
			delete(want, "application/x-list text/plain l")
			if diff := cmp.Diff(want, readAll(t, c, r, "application/x-note")); diff != "" {
				t.Errorf("of one type: %s", diff)
			}
			// What is attached is no artifact with a tag of its own.
			if tags, err := c.Tags(t.Context(), r); err != nil || !cmp.Equal(tags, []string{"1"}) {
				t.Errorf("the tags are %v, %v", tags, err)
			}
			if name == "layout" {
				if a, err := c.Describe(t.Context(), ref(t, "oci:"+r.Layout)); err != nil || a.Descriptor.Digest != pushed.Digest {
					t.Errorf("the only artifact: %v", err)
				}
			}
		})
	}
}

// TestReferrersOffline lists from the cache, and when a registry is gone.
func TestReferrersOffline(t *testing.T) {
	p := publish(t, bigModule(100), ocitest.Options{})
	cached := openCache(t, t.TempDir())
	c := client(t, oci.Options{Cache: cached})
	tagged := p.ref
	tagged.Digest = ""
	if _, err := c.Attach(t.Context(), p.ref, note("x")); err != nil {
		t.Fatal(err)
	}
	offline := client(t, oci.Options{Cache: cached, Offline: true})
	if _, err := offline.Referrers(t.Context(), p.ref, ""); !errors.Is(err, oci.ErrOffline) {
		t.Errorf("never listed: %v", err)
	}
	want := readAll(t, c, tagged, "")
	// What was seen is for a registry that can't be reached, not for one that says no.
	p.set(func(w http.ResponseWriter, r *http.Request) bool {
		w.WriteHeader(http.StatusForbidden)
		return true
	})
	if refs, err := c.Referrers(t.Context(), p.ref, ""); err == nil {
		t.Errorf("by digest from a registry that refuses: %v", refs)
	}
	p.reg.Close()
	if diff := cmp.Diff(want, readAll(t, offline, p.ref, "")); diff != "" || len(want) != 1 {
		t.Errorf("offline: %s", diff)
	}
	if diff := cmp.Diff(want, readAll(t, offline, tagged, "")); diff != "" {
		t.Errorf("offline, by tag: %s", diff)
	}
	if diff := cmp.Diff(want, readAll(t, c, p.ref, "")); diff != "" {
		t.Errorf("by digest from a registry that is gone: %s", diff)
	}
	if refs, err := c.Referrers(t.Context(), tagged, ""); err == nil {
		t.Errorf("by tag from a registry that is gone: %v", refs)
	}
}

// TestLostReferrer attaches where the list is a tag, while somebody else who has read it
// before writes it afterwards, without what is attached: right away, and a moment later.
func TestLostReferrer(t *testing.T) {
	for _, look := range []int32{1, 2} {
		p := publish(t, bigModule(100), ocitest.Options{})
		list := "/v2/ns/app/manifests/" + strings.Replace(p.ref.Digest.String(), ":", "-", 1)
		if _, err := client(t, oci.Options{}).Attach(t.Context(), p.ref, note("first")); err != nil {
			t.Fatal(err)
		}
		before := fetch(t, p.reg, list)
		var looks atomic.Int32
		var written atomic.Bool
		p.set(func(_ http.ResponseWriter, r *http.Request) bool {
			switch {
			case r.URL.Path != list:
			case r.Method == http.MethodPut:
				written.Store(true)
			case written.Load() && looks.Add(1) == look:
				replace, err := http.NewRequest(http.MethodPut, list, bytes.NewReader(before))
				if err != nil {
					t.Error(err)
				}
				replace.Header.Set("Content-Type", v1.MediaTypeImageIndex)
				p.reg.Handler().ServeHTTP(httptest.NewRecorder(), replace)
			}
			return false
		})
		if _, err := client(t, oci.Options{}).Attach(t.Context(), p.ref, note("second")); err != nil {
			t.Fatal(err)
		}
		want := map[string]bool{"application/x-note application/x-note first": true, "application/x-note application/x-note second": true}
		if diff := cmp.Diff(want, readAll(t, client(t, oci.Options{}), p.ref, "")); diff != "" || looks.Load() <= look {
			t.Errorf("lost before look %d of %d: %s", look, looks.Load(), diff)
		}
	}
}

// fetch returns what a registry has at a path.
func fetch(t *testing.T, r *ocitest.Registry, path string) []byte {
	t.Helper()
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	if w.Code != http.StatusOK {
		t.Fatalf("GET %s: status %d", path, w.Code)
	}
	return w.Body.Bytes()
}

func TestCopyReferrers(t *testing.T) {
	from := publish(t, bigModule(100), ocitest.Options{Referrers: true})
	c := client(t, oci.Options{})
	first, err := c.Attach(t.Context(), from.ref, note("first"))
	if err != nil {
		t.Fatal(err)
	}
	second := from.ref
	second.Tag, second.Digest = "", first.Descriptor.Digest
	if _, err := c.Attach(t.Context(), second, note("of the first")); err != nil {
		t.Fatal(err)
	}
	registry := ocitest.Start(t, ocitest.Options{})
	at := from.ref
	for _, to := range []string{"oci:" + t.TempDir() + ":1", registry.Host + "/x/y:1", from.reg.Host + "/other/place:1"} {
		copied, err := c.Copy(t.Context(), at, ref(t, to), oci.CopyOptions{Referrers: true})
		if err != nil {
			t.Fatal(err)
		}
		if all := readAll(t, c, copied, ""); len(all) != 1 || !all["application/x-note application/x-note first"] {
			t.Errorf("%s: %v", to, all)
		}
		at, copied.Tag, copied.Digest = copied, "", first.Descriptor.Digest
		if all := readAll(t, c, copied, ""); len(all) != 1 || !all["application/x-note application/x-note of the first"] {
			t.Errorf("%s, of the referrer: %v", to, all)
		}
	}
	alone, err := c.Copy(t.Context(), from.ref, ref(t, "oci:"+t.TempDir()+":1"), oci.CopyOptions{})
	if all := readAll(t, c, alone, ""); err != nil || len(all) != 0 {
		t.Errorf("copied alone: %v, %v", all, err)
	}
}

// TestReferrerLies lists what a registry may say of referrers that is not so.
func TestReferrerLies(t *testing.T) {
	p := publish(t, bigModule(100), ocitest.Options{})
	other := publish(t, bigModule(200), ocitest.Options{})
	c := client(t, oci.Options{})
	manifest := func(subject, layers string) []byte {
		return fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"artifactType":"x/y","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":%q,"size":2},"layers":[%s]%s}`,
			oci.MediaTypeManifest, sum("{}"), layers, subject)
	}
	about := func(r oci.Reference) string {
		return fmt.Sprintf(`,"subject":{"mediaType":%q,"digest":%q,"size":1}`, oci.MediaTypeManifest, r.Digest)
	}
	layer := func(size int) string {
		return fmt.Sprintf(`{"mediaType":"x/y","digest":%q,"size":%d}`, sum("{}"), size)
	}
	entry := func(b []byte) string {
		return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d,"artifactType":"x/y"}`, oci.MediaTypeManifest, sum(string(b)), len(b))
	}
	for _, l := range []struct {
		name, want string
		content    []byte // of the referrer
		list       string // empty means the referrer alone
		unfit      bool
	}{
		{"right", "", manifest(about(p.ref), layer(2)), "", false},
		{"of another artifact", "not to this artifact", manifest(about(other.ref), layer(2)), "", true},
		{"of nothing", "there is no subject", manifest("", layer(2)), "", true},
		{"two layers", "2 layers", manifest(about(p.ref), layer(2)+","+layer(2)), "", true},
		{"large", "more than 16777216", manifest(about(p.ref), layer(1<<40)), "", true},
		{"another size", "", manifest(about(p.ref), layer(3)), "", true},
		{"a million layers", "a list of more than", manifest(about(p.ref), strings.Repeat(layer(2)+",", 20_000)+layer(2)), "", true},
		{"101 layers", "101 layers", manifest(about(p.ref), strings.Repeat(layer(2)+",", 100)+layer(2)), "", true},
		{"a large manifest", "has 4194305 bytes", []byte("{}"), fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":4194305,"artifactType":"x/y"}`, oci.MediaTypeManifest, sum("{}")), false},
		{"less than nothing", "-1 bytes", []byte("{}"), fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":-1,"artifactType":"x/y"}`, oci.MediaTypeManifest, sum("{}")), false},
		{"an index", "no image manifest", []byte(strings.Replace(string(manifest(about(p.ref), layer(2))), "{", `{"manifests":[],`, 1)), "", true},
		{"no JSON", "", []byte("{"), "", true},
		{"another digest", "", []byte("{}"), `{"mediaType":"` + oci.MediaTypeManifest + `","digest":"` + sum("other") + `","size":2,"artifactType":"x/y"}`, false},
		{"no digest", "", []byte("{}"), `{"mediaType":"` + oci.MediaTypeManifest + `","digest":"sha256:..","size":2,"artifactType":"x/y"}`, false},
		{"many", "more than 1000", []byte("{}"), strings.Repeat(entry([]byte("{}"))+",", 1001) + entry([]byte("{}")), false},
	} {
		t.Run(l.name, func(t *testing.T) {
			if l.list == "" {
				l.list = entry(l.content)
			}
			p.set(func(w http.ResponseWriter, r *http.Request) bool {
				switch {
				case strings.Contains(r.URL.Path, "/referrers/"):
					w.Header().Set("Content-Type", v1.MediaTypeImageIndex)
					fmt.Fprintf(w, `{"schemaVersion":2,"mediaType":%q,"manifests":[%s]}`, v1.MediaTypeImageIndex, l.list)
				case strings.Contains(r.URL.Path, "/manifests/sha256:") && !strings.HasSuffix(r.URL.Path, p.ref.Digest.String()):
					w.Header().Set("Content-Type", oci.MediaTypeManifest)
					w.Header().Set("Content-Length", fmt.Sprint(len(l.content)))
					_, _ = w.Write(l.content)
				case strings.HasSuffix(r.URL.Path, "/blobs/"+sum("{}")):
					w.Header().Set("Content-Length", "2")
					_, _ = w.Write([]byte("{}"))
				default:
					return false
				}
				return true
			})
			refs, err := c.Referrers(t.Context(), p.ref, "")
			var a *oci.Attachment
			if err == nil {
				a, err = c.ReadReferrer(t.Context(), p.ref, refs[0])
			}
			if l.name == "right" {
				if err != nil || string(a.Content) != "{}" {
					t.Fatalf("got %v, %v", a, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), l.want) {
				t.Errorf("got %v, %v, expected an error with %q", a, err, l.want)
			}
			// What whoever may push can attach is told from what is wrong with the registry.
			var unfit *oci.ArtifactError
			if errors.As(err, &unfit) != l.unfit {
				t.Errorf("%T %v", err, err)
			}
		})
	}
}

// TestReferrerAnswers are those of registries that don't know the API.
func TestReferrerAnswers(t *testing.T) {
	for _, status := range []int{400, 404, 405, 406, 501} {
		p := publish(t, bigModule(100), ocitest.Options{})
		p.set(func(w http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.Path, "/referrers/") {
				w.WriteHeader(status)
				return true
			}
			return false
		})
		c := client(t, oci.Options{})
		if _, err := c.Attach(t.Context(), p.ref, note("x")); err != nil {
			t.Errorf("%d: %v", status, err)
		}
		if all := readAll(t, c, p.ref, ""); len(all) != 1 {
			t.Errorf("%d: %v", status, all)
		}
	}
	p := publish(t, bigModule(100), ocitest.Options{})
	p.set(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/referrers/") {
			w.WriteHeader(http.StatusForbidden)
			return true
		}
		return false
	})
	// One that takes what is attached and lists nothing.
	forgets := publish(t, bigModule(100), ocitest.Options{})
	forgets.set(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/referrers/") {
			w.Header().Set("OCI-Subject", forgets.ref.Digest.String())
			return false
		}
		w.Header().Set("Content-Type", v1.MediaTypeImageIndex)
		fmt.Fprintf(w, `{"schemaVersion":2,"mediaType":%q,"manifests":[]}`, v1.MediaTypeImageIndex)
		return true
	})
	if r, err := client(t, oci.Options{RetryWait: 1}).Attach(t.Context(), forgets.ref, note("x")); err == nil || !strings.Contains(err.Error(), "does not list it") {
		t.Errorf("attached %v, which is not listed: %v", r, err)
	}

	var un *oci.UnauthorizedError
	if _, err := client(t, oci.Options{}).Referrers(t.Context(), p.ref, ""); !errors.As(err, &un) {
		t.Errorf("a registry that refuses: %v", err)
	}
}

// TestReferrersOfMirror asks the registry itself where a mirror knows of none.
func TestReferrersOfMirror(t *testing.T) {
	p := publish(t, bigModule(100), ocitest.Options{Referrers: true})
	plain := client(t, oci.Options{})
	if _, err := plain.Attach(context.Background(), p.ref, note("x")); err != nil {
		t.Fatal(err)
	}
	mirror := ocitest.Start(t, ocitest.Options{Referrers: true})
	if _, err := plain.Copy(t.Context(), p.ref, ref(t, mirror.Host+"/"+p.ref.Repository+":"+p.ref.Tag), oci.CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	c := client(t, oci.Options{Mirrors: map[string][]string{p.ref.Registry: {mirror.Host}}})
	if all := readAll(t, c, p.ref, ""); len(all) != 1 {
		t.Errorf("got %v", all)
	}
}

func TestAttachmentManifest(t *testing.T) {
	// The example of "Guidelines for artifact usage", of the image specification.
	dir := t.TempDir()
	c := client(t, oci.Options{})
	r, err := c.Push(t.Context(), ref(t, "oci:"+dir+":1"), artifact(t, bigModule(100)))
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Attach(t.Context(), r, oci.Attachment{ArtifactType: "application/vnd.example+type", MediaType: "text/x", Content: []byte("{}")})
	if err != nil {
		t.Fatal(err)
	}
	d := got.Descriptor.Digest
	b, err := os.ReadFile(filepath.Join(dir, "blobs", "sha256", d.Encoded()))
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	subject := m["subject"].(map[string]any)
	delete(m, "subject")
	want := map[string]any{
		"schemaVersion": 2.0, "mediaType": "application/vnd.oci.image.manifest.v1+json", "artifactType": "application/vnd.example+type",
		"config": map[string]any{"mediaType": "application/vnd.oci.empty.v1+json", "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", "size": 2.0},
		"layers": []any{map[string]any{"mediaType": "text/x", "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", "size": 2.0}},
	}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Error(diff)
	}
	if subject["digest"] != r.Digest.String() || subject["mediaType"] != oci.MediaTypeManifest {
		t.Errorf("the subject is %v", subject)
	}
}
