package oci_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ashlar-wasm/ashlar/oci"
	"github.com/ashlar-wasm/ashlar/oci/cache"
	"github.com/ashlar-wasm/ashlar/oci/ocitest"
)

// bigModule is a module of n bytes that do not compress, in a custom section.
func bigModule(n int) []byte {
	b := append([]byte(emptyModule), 0)
	size := n - len(b) - 4
	for i := range 4 {
		c := byte(size>>(7*i)) & 0x7f
		if i < 3 {
			c |= 0x80
		}
		b = append(b, c)
	}
	b = append(b, 1, 'x')
	r := rand.NewChaCha8([32]byte{})
	for len(b) < n {
		b = append(b, byte(r.Uint64()))
	}
	return b
}

// fault is a registry whose answers a test changes while it runs.
type fault struct {
	f atomic.Pointer[func(w http.ResponseWriter, r *http.Request) bool]
}

func (f *fault) set(do func(w http.ResponseWriter, r *http.Request) bool) { f.f.Store(&do) }

func (f *fault) serve(w http.ResponseWriter, r *http.Request) bool {
	do := f.f.Load()
	return do != nil && (*do)(w, r)
}

func openCache(t testing.TB, dir string) *cache.Cache {
	t.Helper()
	c, err := cache.Open(cache.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// whole checks that every blob in a cache is what its name says, and returns how
// many there are.
func whole(t testing.TB, c *cache.Cache) int {
	t.Helper()
	entries, err := c.Entries()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		h, err := c.Host(e.Registry)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Read(e.Digest, 1<<40); err != nil {
			t.Errorf("in the cache: %v", err)
		}
	}
	return len(entries)
}

// published is a registry with one artifact and a client without waits.
type published struct {
	fault
	reg  *ocitest.Registry
	ref  oci.Reference
	wasm []byte
	blob string // path of the layer
}

func publish(t *testing.T, wasm []byte, o ocitest.Options) *published {
	t.Helper()
	p := &published{wasm: wasm}
	o.Fault = p.serve
	p.reg = ocitest.Start(t, o)
	c := client(t, oci.Options{CACerts: cas(p.reg), Credential: as(ocitest.User, ocitest.Password)})
	a := artifact(t, wasm)
	var err error
	if p.ref, err = c.Push(t.Context(), ref(t, p.reg.Host+"/ns/app:1"), a); err != nil {
		t.Fatal(err)
	}
	p.blob = "/v2/ns/app/blobs/" + a.Manifest.Layer.Digest.String()
	p.reg.Requests()
	return p
}

func cas(r *ocitest.Registry) [][]byte {
	if r.CA == nil {
		return nil
	}
	return [][]byte{r.CA}
}

func as(user, password string) oci.CredentialFunc {
	return func(context.Context, string) (oci.Credential, error) {
		return oci.Credential{Username: user, Password: password}, nil
	}
}

// cut sends the first n bytes of what was asked for, and then ends the connection.
func (p *published) cut(w http.ResponseWriter, r *http.Request, n int, reset bool) {
	rest := p.wasm
	status := "200 OK"
	extra := ""
	if rng := r.Header.Get("Range"); rng != "" {
		var from, to int
		if _, err := fmt.Sscanf(rng, "bytes=%d-%d", &from, &to); err != nil {
			panic(err)
		}
		rest = rest[from:]
		status, extra = "206 Partial Content", fmt.Sprintf("Content-Range: bytes %d-%d/%d\r\n", from, to, len(p.wasm))
	}
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	if reset {
		_ = conn.(*net.TCPConn).SetLinger(0)
	}
	fmt.Fprintf(conn, "HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n", status, len(rest), extra)
	_, _ = conn.Write(rest[:min(n, len(rest))])
	if reset {
		time.Sleep(time.Millisecond) // what was sent shall arrive
	}
}

func TestBrokenDownloads(t *testing.T) {
	const size = 1 << 20
	for _, reset := range []bool{false, true} {
		for _, cached := range []bool{false, true} {
			t.Run(fmt.Sprintf("reset=%v cached=%v", reset, cached), func(t *testing.T) {
				p := publish(t, bigModule(size), ocitest.Options{})
				var requests atomic.Int32
				var ranges sync.Map
				p.set(func(w http.ResponseWriter, r *http.Request) bool {
					if r.URL.Path != p.blob {
						return false
					}
					n := requests.Add(1)
					ranges.Store(r.Header.Get("Range"), true)
					if n > 4 {
						return false
					}
					p.cut(w, r, 100_000, reset)
					return true
				})
				o := oci.Options{RetryWait: time.Millisecond}
				if cached {
					o.Cache = openCache(t, t.TempDir())
				}
				a, err := client(t, o).Pull(t.Context(), p.ref)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(a.Layer, p.wasm) {
					t.Error("other bytes came")
				}
				resumed := 0
				ranges.Range(func(k, _ any) bool {
					if k != "" {
						resumed++
					}
					return true
				})
				if resumed == 0 {
					t.Error("the download began anew each time")
				}
				if cached && whole(t, o.Cache) != 3 {
					t.Error("something is missing in the cache")
				}
			})
		}
	}
}

// A later process goes on where an earlier one gave up.
func TestResume(t *testing.T) {
	p := publish(t, bigModule(1<<20), ocitest.Options{})
	dir := t.TempDir()
	broken := func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != p.blob {
			return false
		}
		n := 300_000
		if r.Header.Get("Range") != "" {
			n = 0
		}
		p.cut(w, r, n, false)
		return true
	}
	pull := func() error {
		c, err := cache.Open(cache.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		a, err := client(t, oci.Options{Cache: c, RetryWait: time.Millisecond}).Pull(t.Context(), p.ref)
		if err == nil && !bytes.Equal(a.Layer, p.wasm) {
			t.Error("other bytes came")
		}
		whole(t, c)
		return err
	}
	p.set(broken)
	if err := pull(); err == nil || !strings.Contains(err.Error(), "after 300000 of 1048576 bytes") {
		t.Fatalf("%v", err)
	}
	part, err := filepath.Glob(filepath.Join(dir, "*", "blobs", "sha256", "*.part"))
	if err != nil || len(part) != 1 {
		t.Fatalf("%q, %v", part, err)
	}
	var first atomic.Pointer[string]
	p.set(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == p.blob {
			rng := r.Header.Get("Range")
			first.CompareAndSwap(nil, &rng)
		}
		return false
	})
	if err := pull(); err != nil || *first.Load() != "bytes=300000-1048575" {
		t.Errorf("%v, range %q", err, *first.Load())
	}

	// What was left behind may be wrong: then it is fetched as a whole.
	c := openCache(t, dir)
	if _, err := c.Prune(cache.Pruning{All: true}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(part[0], make([]byte, 500_000), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := pull(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(part[0], make([]byte, 5_000_000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Prune(cache.Pruning{All: true}); err != nil {
		t.Fatal(err)
	}
	if err := pull(); err != nil {
		t.Error(err)
	}
}

// Nothing wrong reaches anybody, nor the cache.
func TestLies(t *testing.T) {
	good := bigModule(100_000)
	bad := bytes.Clone(good)
	bad[50_000] ^= 1
	send := func(b []byte, chunked bool) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			if !chunked {
				w.Header().Set("Content-Length", fmt.Sprint(len(b)))
			}
			for rest := b; len(rest) > 0; {
				n := min(len(rest), 1000)
				if _, err := w.Write(rest[:n]); err != nil {
					return
				}
				w.(http.Flusher).Flush()
				rest = rest[n:]
			}
		}
	}
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request)
		want   string
	}{
		"other bytes":    {send(bad, false), "is damaged"},
		"fewer bytes":    {send(good[:99_999], false), "99999 bytes, expected 100000"},
		"more bytes":     {send(append(bytes.Clone(good), 0), false), "100001 bytes, expected 100000"},
		"more, chunked":  {send(append(bytes.Clone(good), 0), true), "more than 100000 bytes"},
		"fewer, chunked": {send(good[:99_999], true), "after 99999 of 100000 bytes"},
		"nothing":        {send(nil, false), "0 bytes, expected 100000"},
		"another range": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", "bytes 5-99999/100000")
			w.WriteHeader(http.StatusPartialContent)
		}, "sends the range"},
	} {
		t.Run(name, func(t *testing.T) {
			p := publish(t, good, ocitest.Options{})
			p.set(func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != p.blob || r.Method != http.MethodGet {
					return false
				}
				c.answer(w, r)
				return true
			})
			kept := openCache(t, t.TempDir())
			for _, o := range []oci.Options{{}, {Cache: kept}} {
				o.RetryWait = time.Millisecond
				a, err := client(t, o).Pull(t.Context(), p.ref)
				if a != nil || err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v, want %q", err, c.want)
				}
			}
			if n := whole(t, kept); n > 2 { // manifest, and the config if that was faster
				t.Errorf("%d blobs in the cache", n)
			}
			p.set(healthy)
			if _, err := client(t, oci.Options{Cache: kept}).Pull(t.Context(), p.ref); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
	t.Run("manifest", func(t *testing.T) {
		p := publish(t, good, ocitest.Options{})
		p.set(func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/manifests/") {
				return false
			}
			w.Header().Set("Content-Type", oci.MediaTypeManifest)
			w.Header().Set("Docker-Content-Digest", p.ref.Digest.String())
			_, _ = io.WriteString(w, `{"schemaVersion":2}`)
			return true
		})
		kept := openCache(t, t.TempDir())
		c := client(t, oci.Options{Cache: kept, RetryWait: time.Millisecond})
		for _, r := range []oci.Reference{p.ref, ref(t, p.reg.Host+"/ns/app:1")} {
			if _, err := c.Pull(t.Context(), r); err == nil || !strings.Contains(err.Error(), "expected "+p.ref.Digest.String()) {
				t.Errorf("%s: %v", r, err)
			}
		}
		if n := whole(t, kept); n != 0 {
			t.Errorf("%d blobs in the cache", n)
		}
	})
}

func healthy(http.ResponseWriter, *http.Request) bool { return false }

// What a manifest claims is refused before a byte of it is downloaded.
func TestClaims(t *testing.T) {
	reg := ocitest.Start(t, ocitest.Options{})
	d := digest.FromString("x").String()
	config := `{"mediaType":"application/vnd.wasm.config.v1+json","digest":"` + d + `","size":1}`
	for name, c := range map[string]struct{ manifest, want string }{
		"terabytes": {`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":` + config + `,"layers":[{"mediaType":"application/wasm","digest":"` + d + `","size":5000000000000}]}`, "5000000000000 bytes, more than"},
		"layers":    {`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":` + config + `,"layers":[` + strings.Repeat("{},", 1_000_000) + `{}]}`, "more than 16384"},
	} {
		req, err := http.NewRequest(http.MethodPut, "http://"+reg.Host+"/v2/a/manifests/1", strings.NewReader(c.manifest))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", oci.MediaTypeManifest)
		resp, err := http.DefaultClient.Do(req)
		if err != nil || resp.StatusCode != http.StatusCreated {
			t.Fatalf("%v, %v", resp, err)
		}
		_ = resp.Body.Close()
		reg.Requests()
		if _, err := client(t, oci.Options{}).Pull(t.Context(), ref(t, reg.Host+"/a:1")); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		for _, r := range reg.Requests() {
			if strings.Contains(r, "/blobs/") {
				t.Errorf("%s: %s", name, r)
			}
		}
	}
}

func TestRetries(t *testing.T) {
	p := publish(t, bigModule(1000), ocitest.Options{})
	for name, c := range map[string]struct {
		status int
		after  string
		ok     bool
		took   time.Duration // at least
	}{
		"429":             {http.StatusTooManyRequests, "", true, 0},
		"429 with wait":   {http.StatusTooManyRequests, "1", true, time.Second},
		"503 with date":   {http.StatusServiceUnavailable, time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat), true, 0},
		"500":             {http.StatusInternalServerError, "", true, 0},
		"429 for an hour": {http.StatusTooManyRequests, "3600", false, 0},
		"403":             {http.StatusForbidden, "", false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var seen sync.Map
			p.set(func(w http.ResponseWriter, r *http.Request) bool {
				if _, again := seen.LoadOrStore(r.Method+r.URL.Path, true); again {
					return false
				}
				if c.after != "" && strings.Contains(r.URL.Path, "/manifests/") {
					w.Header().Set("Retry-After", c.after)
				} else if c.status != http.StatusForbidden && c.ok {
					w.Header().Set("Retry-After", "0")
				}
				w.WriteHeader(c.status)
				return true
			})
			begun := time.Now()
			_, err := client(t, oci.Options{RetryWait: time.Millisecond}).Pull(t.Context(), p.ref)
			if (err == nil) != c.ok {
				t.Errorf("%v", err)
			}
			if took := time.Since(begun); took < c.took || took > c.took+5*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
	t.Run("for ever", func(t *testing.T) {
		var requests atomic.Int32
		p.set(func(w http.ResponseWriter, _ *http.Request) bool {
			requests.Add(1)
			w.WriteHeader(http.StatusBadGateway)
			return true
		})
		_, err := client(t, oci.Options{RetryWait: time.Millisecond}).Pull(t.Context(), p.ref)
		if err == nil || !strings.Contains(err.Error(), "502") || requests.Load() > 7 { // one of them asks for TLS
			t.Errorf("%d requests: %v", requests.Load(), err)
		}
	})
	t.Run("push", func(t *testing.T) {
		var seen sync.Map
		p.set(func(w http.ResponseWriter, r *http.Request) bool {
			if _, again := seen.LoadOrStore(r.Method, true); again || r.URL.Path == "/v2/" {
				return false
			}
			if r.Method == http.MethodPut {
				// In the middle of the body.
				_, _ = io.CopyN(io.Discard, r.Body, 10_000)
				conn, _, err := w.(http.Hijacker).Hijack()
				if err != nil {
					panic(err)
				}
				_ = conn.(*net.TCPConn).SetLinger(0)
				_ = conn.Close()
				return true
			}
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		})
		c := client(t, oci.Options{RetryWait: time.Millisecond})
		big := bigModule(3 << 20)
		r, err := c.Push(t.Context(), ref(t, p.reg.Host+"/other/app:1"), artifact(t, big))
		if err != nil {
			t.Fatal(err)
		}
		if a, err := c.Pull(t.Context(), r); err != nil || !bytes.Equal(a.Layer, big) {
			t.Errorf("%v", err)
		}
	})
}

func TestCancel(t *testing.T) {
	p := publish(t, bigModule(1<<20), ocitest.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	p.set(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != p.blob {
			return false
		}
		w.Header().Set("Content-Length", "1048576")
		_, _ = w.Write(p.wasm[:1000])
		w.(http.Flusher).Flush()
		cancel()
		<-r.Context().Done()
		return true
	})
	done := make(chan error, 1)
	go func() {
		_, err := client(t, oci.Options{}).Pull(ctx, p.ref)
		done <- err
	}()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("a cancelled download goes on")
	}
}

func TestMirrors(t *testing.T) {
	p := publish(t, bigModule(50_000), ocitest.Options{})
	good := publish(t, p.wasm, ocitest.Options{})
	c := client(t, oci.Options{})
	if _, err := c.Copy(t.Context(), p.ref, ref(t, good.reg.Host+"/mirrored/ns/app:1"), oci.CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	evil := publish(t, p.wasm, ocitest.Options{})
	evil.set(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/blobs/") {
			_, _ = w.Write(make([]byte, len(p.wasm)))
			return true
		}
		return false
	})
	empty := ocitest.Start(t, ocitest.Options{})
	for _, test := range []struct {
		name    string
		mirrors []string
		origin  bool // asked
	}{
		{"good", []string{good.reg.Host + "/mirrored"}, false},
		{"empty", []string{empty.Host}, true},
		{"gone", []string{"127.0.0.1:1"}, true},
		{"empty and good", []string{empty.Host, good.reg.Host}, false},
		{"evil", []string{evil.reg.Host}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			kept := openCache(t, t.TempDir())
			c := client(t, oci.Options{Mirrors: map[string][]string{p.reg.Host: test.mirrors}, Cache: kept, RetryWait: time.Millisecond})
			p.reg.Requests()
			a, err := c.Pull(t.Context(), ref(t, p.reg.Host+"/ns/app:1"))
			if err != nil || !bytes.Equal(a.Layer, p.wasm) {
				t.Fatal(err)
			}
			if asked := len(p.reg.Requests()) > 0; asked != test.origin {
				t.Errorf("the registry was asked: %v", asked)
			}
			whole(t, kept)
			// What is cached is the registry's, not the mirror's.
			if _, err := client(t, oci.Options{Cache: kept, Offline: true}).Pull(t.Context(), ref(t, p.reg.Host+"/ns/app:1")); err != nil {
				t.Errorf("offline: %v", err)
			}
		})
	}
}

// TestStalls is about registries that begin to answer, or to take, and go on no more.
func TestStalls(t *testing.T) {
	p := publish(t, bigModule(300_000), ocitest.Options{})
	const limit = 300 * time.Millisecond
	gone := make(chan struct{})
	defer close(gone)
	var stalled atomic.Int32
	p.set(func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case r.URL.Path == p.blob && r.Method == http.MethodGet && stalled.Add(1) <= 2:
			w.Header().Set("Content-Length", fmt.Sprint(len(p.wasm)))
			_, _ = w.Write(p.wasm[:1000])
			_ = http.NewResponseController(w).Flush()
		case r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/uploads/") && r.ContentLength > 10_000 && stalled.Add(1) <= 2:
			_, _ = r.Body.Read(make([]byte, 1000))
		default:
			return false
		}
		select {
		case <-gone:
		case <-r.Context().Done():
		}
		return true
	})
	c := client(t, oci.Options{IdleTimeout: limit})
	a, err := c.Pull(t.Context(), p.ref)
	if err != nil || !bytes.Equal(a.Layer, p.wasm) || stalled.Load() < 3 {
		t.Errorf("pull: %v, after %d requests", err, stalled.Load())
	}
	stalled.Store(0)
	wasm := bigModule(20 << 20) // more than what waits in a socket
	if _, err := c.Push(t.Context(), ref(t, p.reg.Host+"/ns/other:1"), artifact(t, wasm)); err != nil || stalled.Load() < 3 {
		t.Errorf("push: %v, after %d requests", err, stalled.Load())
	}
	stalled.Store(-1 << 30)
	if _, err := client(t, oci.Options{IdleTimeout: limit, RetryWait: 1}).Pull(t.Context(), p.ref); err == nil || !strings.Contains(err.Error(), "nothing moved for 300ms") {
		t.Errorf("pull of what always stalls: %v", err)
	}
}
