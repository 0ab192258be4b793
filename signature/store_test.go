package signature

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStore(t *testing.T) {
	t.Parallel()
	s := &Store{Dir: filepath.Join(t.TempDir(), "keys")}
	if keys, err := s.List(); err != nil || len(keys) > 0 {
		t.Fatalf("a store that is not there has %v, %v", keys, err)
	}
	if _, err := s.Public("release"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key that is not there: %v", err)
	}
	release, friend := generate(t), generate(t).Public()
	if err := s.Add("release", release, []byte("secret"), WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := s.AddPublic("friend", friend, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"README", ".key", "bad name.pub"} {
		if err := os.WriteFile(filepath.Join(s.Dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	keys, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	want := []Key{{"friend", friend, false}, {"release", release.Public(), true}}
	if diff := cmp.Diff(want, keys, cmp.AllowUnexported(PublicKey{})); diff != "" {
		t.Error(diff)
	}
	b, err := s.Private("release")
	if err != nil {
		t.Fatal(err)
	}
	if k, err := ParsePrivateKey(b, []byte("secret")); err != nil || k.Public() != release.Public() {
		t.Errorf("read again: %v", err)
	}
	if runtime.GOOS != "windows" {
		for name, mode := range map[string]fs.FileMode{".": 0o700 | fs.ModeDir, "release.key": 0o600, "release.pub": 0o644} {
			info, err := os.Stat(filepath.Join(s.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode() != mode {
				t.Errorf("%s has mode %v, want %v", name, info.Mode(), mode)
			}
		}
	}

	// Nothing is written over, unless that is asked for.
	other := generate(t)
	for what, err := range map[string]error{
		"private over private": s.Add("release", other, nil, WriteOptions{}),
		"private over public":  s.Add("friend", other, nil, WriteOptions{}),
		"public over private":  s.AddPublic("release", other.Public(), WriteOptions{}),
		"public over public":   s.AddPublic("friend", other.Public(), WriteOptions{}),
	} {
		if !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if k, err := s.Public("release"); err != nil || k != release.Public() {
		t.Errorf("the key was replaced: %v", err)
	}
	if err := s.AddPublic("release", friend, WriteOptions{Overwrite: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Private("release"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the private key of another public key stays: %v", err)
	}
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if matched, _ := filepath.Match(".new-*", e.Name()); matched {
			t.Errorf("%s is left behind", e.Name())
		}
	}
}

// TestStoreIsAFolder reads nothing outside of the store, and no file that is too large
// for a key.
func TestStoreIsAFolder(t *testing.T) {
	s := &Store{Dir: filepath.Join(t.TempDir(), "keys")}
	k := generate(t)
	if err := errors.Join(s.AddPublic("a", k.Public(), WriteOptions{}), os.WriteFile(filepath.Join(s.Dir, "..", "up.pub"), k.Public().PEM(), 0o600)); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Public("../up"); err == nil {
		t.Errorf("read %s from outside", got.ID())
	}
	if err := os.Truncate(filepath.Join(s.Dir, "a.pub"), maxKeyFile+1); err != nil {
		t.Fatal(err)
	}
	if b, err := ReadKeyFile(filepath.Join(s.Dir, "a.pub")); err == nil {
		t.Errorf("read a key of %d bytes", len(b))
	}
}

func TestStoreNames(t *testing.T) {
	s := &Store{Dir: t.TempDir()}
	for _, name := range []string{"", ".", "..", "../up", "a/b", `a\b`, "a b", "-x", ".hidden", "a.key", "a.pub", "ä", "a\x00"} {
		if err := s.AddPublic(name, generate(t).Public(), WriteOptions{}); err == nil {
			t.Errorf("%q is a name", name)
		}
		if _, err := s.Private(name); err == nil {
			t.Errorf("%q is read", name)
		}
	}
}

// Of several who make a key of one name at the same time one does, and its public key
// is the one that stays.
func TestStoreConcurrently(t *testing.T) {
	t.Parallel()
	s := &Store{Dir: t.TempDir()}
	added := make([]*PrivateKey, 3)
	var wg sync.WaitGroup
	for i := range added {
		k := generate(t)
		wg.Go(func() {
			if err := s.Add("release", k, nil, WriteOptions{}); err == nil {
				added[i] = k
			} else if !errors.Is(err, fs.ErrExist) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	added = slices.DeleteFunc(added, func(k *PrivateKey) bool { return k == nil })
	if len(added) != 1 {
		t.Fatalf("%d of them made it", len(added))
	}
	public, err := s.Public("release")
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Private("release")
	if err != nil {
		t.Fatal(err)
	}
	private, err := ParsePrivateKey(b, nil)
	if err != nil || private.Public() != public || public != added[0].Public() {
		t.Errorf("the keys are not a pair: %v", err)
	}
}
