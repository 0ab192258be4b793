package oci_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/oci"
	"github.com/ashlar-wasm/ashlar/oci/cache"
	"github.com/ashlar-wasm/ashlar/oci/ocitest"
)

// Processes and goroutines that pull the same at once do not disturb each other.
func TestManyAtOnce(t *testing.T) {
	p := publish(t, bigModule(1<<20), ocitest.Options{})
	dir := t.TempDir()
	var cmds []*exec.Cmd
	for range 4 {
		cmds = append(cmds, startChild(t, "pull", p.ref.String(), dir))
	}
	c := client(t, oci.Options{Cache: openCache(t, dir)})
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if a, err := c.Pull(t.Context(), p.ref); err != nil || !bytes.Equal(a.Layer, p.wasm) {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for _, cmd := range cmds {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	if n := whole(t, openCache(t, dir)); n != 3 {
		t.Errorf("%d blobs", n)
	}
}

// Two registries never mix: what one has is not taken for what the other has.
func TestRegistriesApart(t *testing.T) {
	p := publish(t, []byte(emptyModule), ocitest.Options{})
	other := ocitest.Start(t, ocitest.Options{})
	kept := openCache(t, t.TempDir())
	if _, err := client(t, oci.Options{Cache: kept}).Pull(t.Context(), p.ref); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{other.Host + "/ns/app:1", other.Host + "/ns/app@" + p.ref.Digest.String()} {
		if _, err := client(t, oci.Options{Cache: kept, Offline: true}).Pull(t.Context(), ref(t, text)); !errors.Is(err, oci.ErrOffline) {
			t.Errorf("%s: %v", text, err)
		}
		if _, err := client(t, oci.Options{Cache: kept}).Pull(t.Context(), ref(t, text)); !errors.Is(err, oci.ErrNotFound) {
			t.Errorf("%s: %v", text, err)
		}
	}
	// Tags that differ in case are others.
	c := client(t, oci.Options{Cache: kept})
	lower, err := c.Push(t.Context(), ref(t, other.Host+"/a:rc"), artifact(t, []byte(emptyModule)))
	if err != nil {
		t.Fatal(err)
	}
	upper, err := c.Push(t.Context(), ref(t, other.Host+"/a:RC"), artifact(t, guests.Hello()))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []oci.Reference{lower, upper} {
		tagged := oci.Reference{Registry: r.Registry, Repository: r.Repository, Tag: r.Tag}
		if _, err := c.Pull(t.Context(), tagged); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range []oci.Reference{lower, upper} {
		tagged := oci.Reference{Registry: r.Registry, Repository: r.Repository, Tag: r.Tag}
		a, err := client(t, oci.Options{Cache: kept, Offline: true}).Pull(t.Context(), tagged)
		if err != nil || a.Descriptor.Digest != r.Digest {
			t.Errorf("%s: %v", r, err)
		}
	}
}

func TestCacheIsBounded(t *testing.T) {
	reg := ocitest.Start(t, ocitest.Options{})
	dir := t.TempDir()
	kept, err := cache.Open(cache.Options{Dir: dir, MaxBytes: 500_000})
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	c := client(t, oci.Options{Cache: kept})
	var last oci.Reference
	for i := range 12 {
		wasm := bigModule(100_000 + i)
		if last, err = c.Push(t.Context(), ref(t, fmt.Sprintf("%s/a:%d", reg.Host, i)), artifact(t, wasm)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Pull(t.Context(), last); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := kept.Entries()
	if err != nil {
		t.Fatal(err)
	}
	var total int64
	for _, e := range entries {
		total += e.Size
	}
	if total > 500_000 || total < 300_000 {
		t.Errorf("the cache has %d bytes", total)
	}
	if _, err := client(t, oci.Options{Cache: kept, Offline: true}).Pull(t.Context(), last); err != nil {
		t.Errorf("what was pulled last has left: %v", err)
	}
}

// What can't be kept is of use nevertheless.
func TestUnwritableCache(t *testing.T) {
	p := publish(t, bigModule(10_000), ocitest.Options{})
	dir := t.TempDir()
	kept := openCache(t, dir)
	if _, err := kept.Host(p.reg.Host); err != nil {
		t.Fatal(err)
	}
	hosts, err := filepath.Glob(filepath.Join(dir, "r-*"))
	if err != nil || len(hosts) != 1 {
		t.Fatalf("%q, %v", hosts, err)
	}
	// A file where a folder is wanted.
	if err := os.WriteFile(filepath.Join(hosts[0], "blobs"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := client(t, oci.Options{Cache: kept}).Pull(t.Context(), p.ref)
	if err != nil || !bytes.Equal(a.Layer, p.wasm) {
		t.Error(err)
	}
}

func TestLayouts(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "layout")
	c := client(t, oci.Options{})
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			a := artifact(t, bigModule(1000+i%8))
			if _, err := c.Push(t.Context(), oci.Reference{Layout: dir, Tag: fmt.Sprint("t", i)}, a); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	tags, err := c.Tags(t.Context(), oci.Reference{Layout: dir})
	if err != nil || len(tags) != 16 {
		t.Errorf("%q, %v", tags, err)
	}
	for i := range 16 {
		a, err := c.Pull(t.Context(), oci.Reference{Layout: dir, Tag: fmt.Sprint("t", i)})
		if err != nil || !bytes.Equal(a.Layer, bigModule(1000+i%8)) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if _, err := c.Pull(t.Context(), oci.Reference{Layout: dir}); err == nil || !strings.Contains(err.Error(), "say which") {
		t.Errorf("without tag: %v", err)
	}
	if _, err := c.Pull(t.Context(), oci.Reference{Layout: dir, Tag: "none"}); !errors.Is(err, oci.ErrNotFound) {
		t.Errorf("no such tag: %v", err)
	}
	// The files are those of the image specification.
	b, err := os.ReadFile(filepath.Join(dir, "oci-layout"))
	if err != nil || string(b) != `{"imageLayoutVersion":"1.0.0"}` {
		t.Errorf("%s, %v", b, err)
	}
	// A folder with other things in it is left alone.
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "thesis.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Push(t.Context(), oci.Reference{Layout: other}, artifact(t, []byte(emptyModule))); err == nil || !strings.Contains(err.Error(), "no OCI layout") {
		t.Errorf("%v", err)
	}
	// What is damaged on disk is not used.
	a := artifact(t, bigModule(1000))
	file := filepath.Join(dir, "blobs", "sha256", a.Manifest.Layer.Digest.Encoded())
	if err := os.WriteFile(file, bytes.Repeat([]byte{1}, 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Pull(t.Context(), oci.Reference{Layout: dir, Tag: "t0"}); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("%v", err)
	}
}

// Copying within a registry moves no layer where the registry can mount it, and
// copying what is there moves none at all.
func TestCopy(t *testing.T) {
	p := publish(t, bigModule(100_000), ocitest.Options{})
	to := ocitest.Start(t, ocitest.Options{})
	c := client(t, oci.Options{})
	for range 2 {
		r, err := c.Copy(t.Context(), p.ref, ref(t, to.Host+"/x/y:z"), oci.CopyOptions{})
		if err != nil || r.Digest != p.ref.Digest {
			t.Fatalf("%s, %v", r, err)
		}
	}
	downloads := 0
	for _, r := range p.reg.Requests() {
		if r == "GET "+p.blob {
			downloads++
		}
	}
	if downloads != 1 {
		t.Errorf("%d downloads", downloads)
	}
	if _, err := c.Copy(t.Context(), p.ref, ref(t, to.Host+"/x/y@sha256:"+strings.Repeat("0", 64)), oci.CopyOptions{}); err == nil || !strings.Contains(err.Error(), "the artifact has the digest") {
		t.Errorf("%v", err)
	}
}
