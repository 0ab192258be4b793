package distributiontest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/ashlar-wasm/ashlar/oci"
	"github.com/ashlar-wasm/ashlar/oci/cache"
	"github.com/ashlar-wasm/ashlar/oci/ocitest"
)

func TestDistribution(t *testing.T) {
	for name, start := range map[string]func(*testing.T) (*ocitest.Registry, bool){
		"open": func(t *testing.T) (*ocitest.Registry, bool) { return registry(t, nil, ocitest.Options{}), true },
		"TLS and password": func(t *testing.T) (*ocitest.Registry, bool) {
			return registry(t, htpasswd(t), ocitest.Options{TLS: true}), false
		},
		"TLS and tokens": func(t *testing.T) (*ocitest.Registry, bool) {
			return registry(t, tokens(t), ocitest.Options{TLS: true}), true
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, readable := start(t)
			ctx := t.Context()
			kept, err := cache.Open(cache.Options{Dir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			defer kept.Close()
			c := client(t, r, oci.Options{Cache: kept})
			wasm := module(300_000)
			ref, err := c.Push(ctx, reference(t, r.Host+"/ns/app:1.0.0"), artifact(t, wasm))
			if err != nil {
				t.Fatal(err)
			}
			if again, err := c.Push(ctx, reference(t, r.Host+"/ns/app:1.0.0"), artifact(t, wasm)); err != nil || again != ref {
				t.Errorf("pushed again: %s, %v", again, err)
			}
			if _, err := c.Push(ctx, reference(t, r.Host+"/ns/app:1.1.0"), artifact(t, module(1000))); err != nil {
				t.Error(err)
			}
			if tags, err := c.Tags(ctx, ref); err != nil || strings.Join(tags, " ") != "1.0.0 1.1.0" {
				t.Errorf("the tags are %v, %v", tags, err)
			}
			if a, err := c.Pull(ctx, reference(t, r.Host+"/ns/app:1.0.0")); err != nil || !bytes.Equal(a.Layer, wasm) {
				t.Errorf("pull: %v", err)
			}
			if _, err := c.Pull(ctx, reference(t, r.Host+"/ns/app:2.0.0")); !errors.Is(err, oci.ErrNotFound) {
				t.Errorf("pull what is not there: %v", err)
			}
			for range 2 {
				if _, err := c.Attach(ctx, ref, oci.Attachment{ArtifactType: "text/note", Content: []byte("signed")}); err != nil {
					t.Fatal(err)
				}
			}
			copied, err := c.Copy(ctx, ref, reference(t, r.Host+"/other/place:1"), oci.CopyOptions{Referrers: true})
			if err != nil || copied.Digest != ref.Digest {
				t.Fatalf("copy: %s, %v", copied, err)
			}
			for _, ref := range []oci.Reference{ref, copied} {
				refs, err := c.Referrers(ctx, ref, "text/note")
				if err != nil || len(refs) != 1 {
					t.Fatalf("%s: referrers: %v, %v", ref, refs, err)
				}
				if a, err := c.ReadReferrer(ctx, ref, refs[0]); err != nil || string(a.Content) != "signed" {
					t.Errorf("%s: referrer: %v, %v", ref, a, err)
				}
			}
			if tags, err := c.Tags(ctx, copied); err != nil || len(tags) != 1 {
				t.Errorf("the tags of the copy are %v, %v", tags, err)
			}

			anonymous := client(t, r, oci.Options{Credential: func(context.Context, string) (oci.Credential, error) { return oci.Credential{}, nil }})
			a, err := anonymous.Pull(ctx, ref)
			if readable && (err != nil || !bytes.Equal(a.Layer, wasm)) {
				t.Errorf("pull without a credential: %v", err)
			}
			if name == "open" {
				return
			}
			if !readable && err == nil {
				t.Error("pull without a credential: no error")
			}
			if _, err := anonymous.Push(ctx, reference(t, r.Host+"/ns/app:3"), artifact(t, wasm)); err == nil {
				t.Error("push without a credential: no error")
			}
			wrong := client(t, r, oci.Options{Credential: func(context.Context, string) (oci.Credential, error) {
				return oci.Credential{Username: ocitest.User, Password: "wrong-91c2"}, nil
			}})
			var un *oci.UnauthorizedError
			if _, err := wrong.Push(ctx, reference(t, r.Host+"/ns/app:3"), artifact(t, wasm)); !errors.As(err, &un) || strings.Contains(err.Error(), "wrong-91c2") {
				t.Errorf("push with a wrong password: %v", err)
			}
		})
	}
}

// cut closes the connection of a request.
func cut(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
}

// TestResumeUpload goes on with an upload that broke off, from where the registry is.
func TestResumeUpload(t *testing.T) {
	var app http.Handler
	var ranges []string
	r := registry(t, nil, ocitest.Options{Fault: func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodPut || req.ContentLength < 100_000 {
			return false
		}
		ranges = append(ranges, req.Header.Get("Content-Range"))
		if len(ranges) > 3 {
			return false
		}
		req.Body = io.NopCloser(io.MultiReader(io.LimitReader(req.Body, 300_000), iotest.ErrReader(io.ErrUnexpectedEOF)))
		app.ServeHTTP(httptest.NewRecorder(), req)
		cut(w)
		return true
	}})
	app = r.Handler()
	wasm := module(1_000_000)
	size := len(wasm)
	c := client(t, r, oci.Options{RetryWait: 1})
	ref, err := c.Push(t.Context(), reference(t, r.Host+"/ns/app:1.0.0"), artifact(t, wasm))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"", fmt.Sprintf("300000-%d", size-1), fmt.Sprintf("600000-%d", size-1), fmt.Sprintf("900000-%d", size-1)}
	if !slices.Equal(ranges, want) {
		t.Errorf("uploaded %q, expected %q", ranges, want)
	}
	if a, err := c.Pull(t.Context(), ref); err != nil || !bytes.Equal(a.Layer, wasm) {
		t.Errorf("pull: %v", err)
	}
}

// TestFaults breaks connections to the registry in the middle of transfers.
func TestFaults(t *testing.T) {
	var broken atomic.Int32
	var app http.Handler
	var faulty atomic.Bool
	r := registry(t, nil, ocitest.Options{Fault: func(w http.ResponseWriter, req *http.Request) bool {
		if !faulty.Load() {
			return false
		}
		// Two of three requests go wrong, each in its way.
		switch n := broken.Add(1); n % 6 {
		case 0:
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests)
		case 1:
			w.WriteHeader(http.StatusBadGateway)
		case 2:
			if req.Body != nil {
				_, _ = req.Body.Read(make([]byte, 1000))
			}
			cut(w)
		case 3:
			if req.Method != http.MethodGet || !strings.Contains(req.URL.Path, "/blobs/") {
				return false
			}
			short := &shortWriter{ResponseWriter: w, left: 100_000}
			app.ServeHTTP(short, req)
			cut(w)
		default:
			return false
		}
		return true
	}})
	app = r.Handler()
	c := client(t, r, oci.Options{RetryWait: 1})
	wasm := module(1_000_000)
	faulty.Store(true)
	var ref oci.Reference
	for i := range 10 {
		wasm[20+i] ^= 0xff
		var err error
		if ref, err = c.Push(t.Context(), reference(t, r.Host+"/ns/app:1.0.0"), artifact(t, wasm)); err != nil {
			t.Fatalf("push: %v", err)
		}
		kept, err := cache.Open(cache.Options{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		a, err := client(t, r, oci.Options{RetryWait: 1, Cache: kept}).Pull(t.Context(), ref)
		if err != nil || !bytes.Equal(a.Layer, wasm) {
			t.Fatalf("pull: %v", err)
		}
		_ = kept.Close()
	}
	if broken.Load() < 20 {
		t.Errorf("only %d requests saw faults", broken.Load())
	}
	faulty.Store(false)
	out, err := os.Create(filepath.Join(t.TempDir(), "out.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := c.PullTo(t.Context(), ref, out); err != nil {
		t.Error(err)
	}
}

// shortWriter passes on what a response begins with.
type shortWriter struct {
	http.ResponseWriter
	left int
}

func (w *shortWriter) Write(p []byte) (int, error) {
	n := min(len(p), w.left)
	w.left -= n
	if _, err := w.ResponseWriter.Write(p[:n]); err != nil {
		return 0, err
	}
	return len(p), nil
}
