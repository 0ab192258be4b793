package cache_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ashlar-wasm/ashlar/oci/cache"
)

func TestPrune(t *testing.T) {
	dir := t.TempDir()
	c, err := cache.Open(cache.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// Ten bytes each, used that many hours ago.
	ages := map[string]int{"0123456789": 1, "9876543210": 30, "aaaaaaaaaa": 60}
	for contents, age := range ages {
		h, err := c.Host("example.com:" + string(rune('0'+age/30+1)))
		if err != nil {
			t.Fatal(err)
		}
		d := digest.FromString(contents)
		if err := errors.Join(h.Put(d, []byte(contents)), h.SetTag("ns/app", "V1", d)); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(dir, "*", "blobs", "sha256", d.Encoded()))
		if err != nil || len(files) != 1 {
			t.Fatalf("%q, %v", files, err)
		}
		used := time.Now().Add(-time.Duration(age) * time.Hour)
		if err := os.Chtimes(files[0], used, used); err != nil {
			t.Fatal(err)
		}
	}
	tagged := func(host string) bool {
		h, err := c.Host(host)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = h.Tag("ns/app", "V1")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
		return err == nil
	}
	for _, step := range []struct {
		p    cache.Pruning
		left int
	}{
		{cache.Pruning{OlderThan: 100 * time.Hour}, 3},
		{cache.Pruning{OlderThan: 40 * time.Hour}, 2},
		{cache.Pruning{Shrink: true, MaxBytes: 20}, 2},
		{cache.Pruning{Shrink: true, MaxBytes: 19}, 1},
	} {
		if _, err := c.Prune(step.p); err != nil {
			t.Fatal(err)
		}
		entries, err := c.Entries()
		if err != nil || len(entries) != step.left {
			t.Errorf("%+v leaves %d, %v", step.p, len(entries), err)
		}
	}
	if !tagged("example.com:1") || tagged("example.com:2") || tagged("example.com:3") {
		t.Error("tags do not go with what they stand for")
	}
	if removed, err := c.Prune(cache.Pruning{All: true}); err != nil || len(removed) != 1 || removed[0].Registry != "example.com:1" {
		t.Errorf("%v, %v", removed, err)
	}
	if tagged("example.com:1") {
		t.Error("a tag stays")
	}
}

func TestOthersMayNotWrite(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("permissions are others there")
	}
	dir := filepath.Join(t.TempDir(), "cache")
	for mode, refused := range map[os.FileMode]bool{0o700: false, 0o755: false, 0o775: true, 0o777: true, 0o702: true} {
		if err := errors.Join(os.MkdirAll(dir, 0o700), os.Chmod(dir, mode)); err != nil {
			t.Fatal(err)
		}
		c, err := cache.Open(cache.Options{Dir: dir})
		if refused != (err != nil) {
			t.Errorf("mode %#o: %v", mode, err)
		}
		if err == nil {
			_ = c.Close()
		}
	}
	if err := errors.Join(os.Chmod(dir, 0o700), os.Chown(dir, 12345, -1)); err != nil {
		t.Skip(err) // only root gives folders away
	}
	if _, err := cache.Open(cache.Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "another user") {
		t.Errorf("the folder of somebody else: %v", err)
	}
}

// What one repository says is not said of another, nor one registry of another.
func TestRepositoriesApart(t *testing.T) {
	c, err := cache.Open(cache.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	d := digest.FromString("x")
	own, err := c.Host("r.example")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(own.SetTag("a/b", "1", d), own.SetReferrers("a/b", d, []byte("[]"))); err != nil {
		t.Fatal(err)
	}
	for _, at := range [][2]string{{"r.example", "a/b"}, {"r.example", "a"}, {"r.example", "a/c"}, {"r.example", "a/b/c"}, {"r.example:443", "a/b"}} {
		h, err := c.Host(at[0])
		if err != nil {
			t.Fatal(err)
		}
		_, _, tag := h.Tag(at[1], "1")
		_, list := h.Referrers(at[1], d)
		if is := at == [2]string{"r.example", "a/b"}; errors.Is(tag, fs.ErrNotExist) == is || errors.Is(list, fs.ErrNotExist) == is {
			t.Errorf("%s: %v, %v", at, tag, list)
		}
	}
}
