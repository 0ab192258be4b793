package blob_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ashlar-wasm/ashlar/oci/blob"
)

func open(t *testing.T) (*blob.Store, string) {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return blob.New(root, 0o600), filepath.Join(dir, "blobs", "sha256")
}

func create(t *testing.T, s *blob.Store, d digest.Digest, size int64) *blob.Writer {
	t.Helper()
	w, err := s.Create(d, size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func write(t *testing.T, w *blob.Writer, s string) {
	t.Helper()
	if n, err := w.Write([]byte(s)); n != len(s) || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestWriter(t *testing.T) {
	s, dir := open(t)
	const contents = "some contents"
	d := digest.FromString(contents)
	if _, err := s.Read(d, 100); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}

	// What one begins, the next ends.
	w := create(t, s, d, int64(len(contents)))
	write(t, w, contents[:5])
	if _, err := w.Write([]byte("much more than there is")); err == nil {
		t.Error("more than the size is written")
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w = create(t, s, d, int64(len(contents)))
	if w.Offset() != 5 {
		t.Fatalf("goes on at %d", w.Offset())
	}
	// Another one at the same time has a file of its own.
	other := create(t, s, d, int64(len(contents)))
	if other.Offset() != 0 {
		t.Errorf("the other begins at %d", other.Offset())
	}
	write(t, other, contents)
	if err := other.Commit(nil); err != nil {
		t.Error(err)
	}
	write(t, w, contents[5:])
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if err := w.Commit(out); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(out.Name()); string(b) != contents || err != nil {
		t.Errorf("copied %q, %v", b, err)
	}
	if b, err := s.Read(d, 100); string(b) != contents || err != nil {
		t.Errorf("read %q, %v", b, err)
	}
	if got := names(t, dir); len(got) != 1 || got[0] != d.Encoded() {
		t.Errorf("files %q", got)
	}
}

func TestWrongContents(t *testing.T) {
	s, dir := open(t)
	d := digest.FromString("right")
	var damaged *blob.DamagedError
	for _, contents := range []string{"wrong", "righ"} {
		w := create(t, s, d, 5)
		write(t, w, contents)
		if err := w.Commit(nil); !errors.As(err, &damaged) {
			t.Errorf("%q: %v", contents, err)
		}
		if got := names(t, dir); len(got) != 0 {
			t.Errorf("%q leaves %q", contents, got)
		}
	}
	if err := s.Put(d, []byte("wrong")); err == nil {
		t.Error("wrong contents are put")
	}
	if err := s.Put("sha256:../../../etc/passwd", nil); err == nil {
		t.Error("a wrong digest is taken")
	}
	// On disk.
	if err := s.Put(d, []byte("right")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []string{"wrong", "", "right and more"} {
		if err := os.WriteFile(filepath.Join(dir, d.Encoded()), []byte(c), 0o600); err != nil {
			t.Fatal(err)
		}
		if b, err := s.Read(d, 100); !errors.As(err, &damaged) {
			t.Errorf("%q is read: %q, %v", c, b, err)
		}
		out, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.CopyTo(d, 5, out); !errors.As(err, &damaged) {
			t.Errorf("%q is copied: %v", c, err)
		}
		_ = out.Close()
	}
	// A link to what is elsewhere is no blob.
	elsewhere := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(elsewhere, []byte("right"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(d); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, filepath.Join(dir, d.Encoded())); err != nil {
		t.Skip(err)
	}
	if _, err := s.Read(d, 100); !errors.As(err, &damaged) {
		t.Errorf("a link is read: %v", err)
	}
}

func TestList(t *testing.T) {
	s, dir := open(t)
	for _, c := range []string{"a", "b"} {
		if err := s.Put(digest.FromString(c), []byte(c)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Put(digest.SHA512.FromString("c"), []byte("c")); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-48 * time.Hour)
	for _, name := range []string{".tmp-old", "0000.part", "new.part", "something else"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if name != "new.part" {
			if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	infos, err := s.List()
	if err != nil || len(infos) != 3 {
		t.Errorf("%v, %v", infos, err)
	}
	if got := names(t, dir); len(got) != 4 { // two blobs, what is new and what is not ours
		t.Errorf("files %q", got)
	}
}

func TestEmptyBlob(t *testing.T) {
	s, _ := open(t)
	d := digest.FromString("")
	if err := create(t, s, d, 0).Commit(nil); err != nil {
		t.Error(err)
	}
	if b, err := s.Read(d, 0); err != nil || !bytes.Equal(b, nil) {
		t.Errorf("%q, %v", b, err)
	}
}
