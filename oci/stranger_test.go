package oci_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ashlar-wasm/ashlar/oci"
	"github.com/ashlar-wasm/ashlar/oci/ocitest"
)

// pushReferrer writes a manifest that refers to an artifact, whatever it has, and returns
// its digest.
func pushReferrer(t *testing.T, r oci.Reference, blobs string) digest.Digest {
	t.Helper()
	m := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"artifactType":"x/y",%s,"subject":{"mediaType":%q,"digest":%q,"size":1}}`,
		oci.MediaTypeManifest, blobs, oci.MediaTypeManifest, r.Digest)
	d := digest.FromString(m)
	if r.Layout == "" {
		req, err := http.NewRequest(http.MethodPut, "http://"+r.Registry+"/v2/"+r.Repository+"/manifests/"+d.String(), strings.NewReader(m))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", oci.MediaTypeManifest)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if _ = resp.Body.Close(); resp.StatusCode != http.StatusCreated {
			t.Fatal(resp.Status)
		}
		return d
	}
	index := filepath.Join(r.Layout, "index.json")
	b, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	entry := fmt.Sprintf(`"manifests":[{"mediaType":%q,"digest":%q,"size":%d,"artifactType":"x/y"},`, oci.MediaTypeManifest, d, len(m))
	err = errors.Join(os.WriteFile(filepath.Join(r.Layout, "blobs", "sha256", d.Encoded()), []byte(m), 0o666),
		os.WriteFile(index, []byte(strings.Replace(string(b), `"manifests":[`, entry, 1)), 0o666))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestStrangers attaches what is no good, as whoever may push can: what others attached
// is read, kept and copied all the same.
func TestStrangers(t *testing.T) {
	config := fmt.Sprintf(`"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":%q,"size":2}`, sum("{}"))
	layer := func(content string, size int) string {
		return fmt.Sprintf(`%s,"layers":[{"mediaType":"x/y","digest":%q,"size":%d}]`, config, sum(content), size)
	}
	bad := map[string]string{
		"smaller than it is": layer("right", 4), "larger than it is": layer("right", 6), "not there": layer("nothing", 7),
		"no config": `"layers":[]`, "too large": layer("right", 1<<40),
	}
	for _, place := range []string{"registry", "layout"} {
		t.Run(place, func(t *testing.T) {
			p := publish(t, bigModule(100), ocitest.Options{Referrers: true})
			cached := openCache(t, t.TempDir())
			c, r := client(t, oci.Options{Cache: cached}), p.ref
			if place == "layout" {
				var err error
				if r, err = c.Copy(t.Context(), p.ref, ref(t, "oci:"+t.TempDir()+":1"), oci.CopyOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			right, err := c.Attach(t.Context(), r, note("right"))
			if err != nil {
				t.Fatal(err)
			}
			want := map[digest.Digest]string{right.Descriptor.Digest: ""}
			for name, blobs := range bad {
				want[pushReferrer(t, r, blobs)] = name
			}
			read := func(c *oci.Client) {
				t.Helper()
				refs, err := c.Referrers(t.Context(), r, "")
				if err != nil || len(refs) == 0 {
					t.Fatalf("%v, %v", refs, err)
				}
				for _, ref := range refs {
					d := ref.Descriptor.Digest
					a, err := c.ReadReferrer(t.Context(), r, ref)
					var unfit *oci.ArtifactError
					switch {
					case want[d] == "":
						if err != nil || string(a.Content) != "right" {
							t.Errorf("the one that is right: %v, %v", a, err)
						}
					case !errors.As(err, &unfit) && !errors.Is(err, oci.ErrNotFound) && !errors.Is(err, oci.ErrOffline):
						t.Errorf("%s: %v", want[d], err)
					}
				}
			}
			read(c)
			read(c) // now what is right is in the cache
			read(client(t, oci.Options{Cache: cached, Offline: true}))

			skipped := map[string]bool{}
			to, err := c.Copy(t.Context(), r, ref(t, "oci:"+t.TempDir()+":1"), oci.CopyOptions{Referrers: true, Skipped: func(d digest.Digest, err error) {
				if err == nil {
					t.Errorf("%s is skipped without a reason", d)
				}
				skipped[want[d]] = true
			}})
			if err != nil {
				t.Fatal(err)
			}
			// What its registry does not list nobody skips.
			for name := range bad {
				if listed := place == "registry" || name != "no config"; skipped[name] != listed {
					t.Errorf("%s: skipped %t", name, skipped[name])
				}
			}
			if all := readAll(t, c, to, ""); len(all) != 1 || !all["application/x-note application/x-note right"] {
				t.Errorf("copied %v", all)
			}
			if _, err := c.Copy(t.Context(), r, ref(t, "oci:"+t.TempDir()+":1"), oci.CopyOptions{Referrers: true}); err == nil {
				t.Error("nobody is told of what is skipped")
			}
		})
	}
}

// TestAnswersStall lets answers stall for which there is no end in sight.
func TestAnswersStall(t *testing.T) {
	for path, do := range map[string]func(*oci.Client, oci.Reference) error{
		"/manifests/": func(c *oci.Client, r oci.Reference) error { _, err := c.Pull(t.Context(), r); return err },
		"/referrers/": func(c *oci.Client, r oci.Reference) error { _, err := c.Referrers(t.Context(), r, ""); return err },
		"/tags/":      func(c *oci.Client, r oci.Reference) error { _, err := c.Tags(t.Context(), r); return err },
	} {
		p := publish(t, bigModule(100), ocitest.Options{Referrers: true})
		p.set(func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, path) {
				return false
			}
			w.Header().Set("Content-Type", map[bool]string{true: v1.MediaTypeImageIndex, false: oci.MediaTypeManifest}[path == "/referrers/"])
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte("{"))
			w.(http.Flusher).Flush()
			if r.Method == http.MethodGet {
				<-r.Context().Done()
			}
			return true
		})
		done := make(chan error, 1)
		go func() {
			done <- do(client(t, oci.Options{IdleTimeout: 20 * time.Millisecond, RetryWait: time.Millisecond}), p.ref)
		}()
		select {
		case err := <-done:
			if err == nil || !strings.Contains(err.Error(), "nothing moved") {
				t.Errorf("%s: %v", path, err)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("%s: it waits", path)
		}
	}
}

// TestLayoutFiles refuses a layout whose files would take all memory, or are elsewhere.
func TestLayoutFiles(t *testing.T) {
	c := client(t, oci.Options{})
	outside := filepath.Join(t.TempDir(), "outside")
	r, err := c.Push(t.Context(), ref(t, "oci:"+t.TempDir()+":1"), artifact(t, bigModule(100)))
	if err != nil {
		t.Fatal(err)
	}
	for name, limit := range map[string]int64{"oci-layout": 4 << 10, "index.json": 16 << 20, "blobs/sha256/" + r.Digest.Encoded(): 4 << 20} {
		path := filepath.Join(r.Layout, name)
		was, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, limit+1); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Describe(t.Context(), r); err == nil || !strings.Contains(err.Error(), fmt.Sprint(limit)) {
			t.Errorf("%s of %d bytes: %v", name, limit+1, err)
		}
		if err := errors.Join(os.Remove(path), os.WriteFile(outside, was, 0o666)); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(outside, path); err != nil {
			t.Skip(err)
		}
		if a, err := c.Describe(t.Context(), r); err == nil {
			t.Errorf("%s is a link out of the layout: %v", name, a)
		}
		if err := errors.Join(os.Remove(path), os.WriteFile(path, was, 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	if a, err := c.Describe(t.Context(), r); err != nil || !cmp.Equal(a.Descriptor.Digest, r.Digest) {
		t.Errorf("as it was: %v", err)
	}
}
