package oci_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/internal/require"
	"github.com/ashlar-wasm/ashlar/oci"
	"github.com/ashlar-wasm/ashlar/oci/cache"
	"github.com/ashlar-wasm/ashlar/oci/ocitest"
)

// childVariable makes of this test a process that can be killed. Its value is
// "pull REFERENCE CACHE" or "copy REFERENCE REFERENCE".
const childVariable = "ASHLAR_TEST_CHILD"

func TestMain(m *testing.M) {
	if s := os.Getenv(childVariable); s != "" {
		if err := child(context.Background(), strings.Fields(s)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(ctx context.Context, words []string) error {
	from, err := oci.ParseReference(words[1])
	if err != nil {
		return err
	}
	if words[0] == "copy" {
		to, err := oci.ParseReference(words[2])
		if err != nil {
			return err
		}
		c, err := oci.NewClient(oci.Options{})
		if err != nil {
			return err
		}
		_, err = c.Copy(ctx, from, to, oci.CopyOptions{Referrers: true})
		return err
	}
	kept, err := cache.Open(cache.Options{Dir: words[2]})
	if err != nil {
		return err
	}
	defer kept.Close()
	c, err := oci.NewClient(oci.Options{Cache: kept})
	if err != nil {
		return err
	}
	_, err = c.Pull(ctx, from)
	return err
}

func startChild(t *testing.T, words ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), childVariable+"="+strings.Join(words, " "))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// kill starts a child n times and kills it at some moment, and looks each time at
// what it left.
func kill(t *testing.T, n int, words func() []string, look func()) {
	t.Helper()
	if require.Race {
		t.Skip("what is killed shares no memory with anybody, and starts slowly with the race detector")
	}
	start := time.Now()
	if err := startChild(t, words()...).Wait(); err != nil {
		t.Fatal(err)
	}
	look()
	killed, whole := 0, time.Since(start)
	for range n {
		cmd := startChild(t, words()...)
		time.Sleep(rand.N(whole))
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
		if cmd.Wait() != nil {
			killed++
		} else {
			whole = max(whole*3/4, time.Millisecond) // the machine has less to do now
		}
		look()
	}
	if killed < n/5 {
		t.Errorf("only %d of %d were killed before they ended", killed, n)
	}
	t.Logf("%d of %d killed before they ended", killed, n)
	if err := startChild(t, words()...).Wait(); err != nil {
		t.Fatal(err)
	}
}

// Killing pulls at any moment leaves a cache that is whole, and of use.
func TestKillPulls(t *testing.T) {
	p := publish(t, bigModule(2<<20), ocitest.Options{})
	p.set(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != p.blob {
			return false
		}
		from := 0
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); err == nil {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(p.wasm)-1, len(p.wasm)))
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(p.wasm)-from))
		if from > 0 {
			w.WriteHeader(http.StatusPartialContent)
		}
		for rest := p.wasm[from:]; len(rest) > 0; {
			n := min(len(rest), 64<<10)
			if _, err := w.Write(rest[:n]); err != nil {
				return true
			}
			rest = rest[n:]
			time.Sleep(time.Millisecond)
		}
		return true
	})
	dir := t.TempDir()
	kept := openCache(t, dir)
	words := func() []string { return []string{"pull", p.ref.String(), dir} }
	kill(t, 50, words, func() {
		if whole(t, kept) == 3 { // it came to an end
			if _, err := kept.Prune(cache.Pruning{All: true}); err != nil {
				t.Fatal(err)
			}
		}
	})
	if n := whole(t, kept); n != 3 {
		t.Errorf("%d blobs", n)
	}
	a, err := client(t, oci.Options{Cache: kept, Offline: true}).Pull(t.Context(), p.ref)
	if err != nil || !bytes.Equal(a.Layer, p.wasm) {
		t.Error(err)
	}
	parts, err := filepath.Glob(filepath.Join(dir, "*", "blobs", "*", ".tmp-*"))
	if err != nil || len(parts) > 50 {
		t.Errorf("%d files are left behind, %v", len(parts), err)
	}
}

// Killing pushes at any moment leaves what was there before, or all of the artifact.
func TestKillPushes(t *testing.T) {
	source := ref(t, "oci:"+t.TempDir()+":1")
	c := client(t, oci.Options{})
	wasm := bigModule(2 << 20)
	pushed, err := c.Push(t.Context(), source, artifact(t, wasm))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Attach(t.Context(), pushed, note("x")); err != nil {
		t.Fatal(err)
	}
	check := func(to oci.Reference) bool {
		a, err := c.Pull(t.Context(), to)
		if errors.Is(err, oci.ErrNotFound) {
			return false
		}
		if err != nil || !bytes.Equal(a.Layer, wasm) {
			t.Fatalf("after a kill: %v", err)
		}
		return true
	}
	t.Run("layout", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "layout")
		to := ref(t, "oci:"+dir+":1")
		words := func() []string { return []string{"copy", source.String(), to.String()} }
		kill(t, 25, words, func() {
			done := check(to)
			blobs, err := filepath.Glob(filepath.Join(dir, "blobs", "sha256", "[0-9a-f]*"))
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range blobs {
				contents, err := os.ReadFile(b)
				if err != nil || sum(string(contents)) != "sha256:"+filepath.Base(b) {
					t.Errorf("the blob %s has %d other bytes, %v", b, len(contents), err)
				}
			}
			if done {
				_ = os.RemoveAll(dir)
			}
		})
		if all := readAll(t, c, to, ""); len(all) != 1 {
			t.Errorf("attached: %v", all)
		}
	})
	t.Run("registry", func(t *testing.T) {
		slow := ocitest.Options{Fault: func(_ http.ResponseWriter, r *http.Request) bool {
			r.Body = slowly{r.Body}
			return false
		}}
		to := ref(t, ocitest.Start(t, slow).Host+"/ns/app:1")
		words := func() []string { return []string{"copy", source.String(), to.String()} }
		kill(t, 25, words, func() {
			if check(to) { // what is there is not pushed again
				to.Repository += "x"
			}
		})
		if all := readAll(t, c, to, ""); !check(to) || len(all) != 1 {
			t.Errorf("attached: %v", all)
		}
	})
}

// slowly is a body that is read in small pieces.
type slowly struct{ io.ReadCloser }

func (s slowly) Read(p []byte) (int, error) {
	time.Sleep(time.Millisecond)
	return s.ReadCloser.Read(p[:min(len(p), 32<<10)])
}
