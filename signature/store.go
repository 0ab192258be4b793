package signature

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Store is a directory of keys. The key NAME is NAME.key, as [PrivateKey.Encrypt]
// writes it, and NAME.pub; one of somebody else has NAME.pub alone. cosign reads and
// writes the same files.
type Store struct {
	// Dir is the directory. It is made, for this user alone, with the first key.
	Dir string
}

// Key is a key in a store.
type Key struct {
	Name string
	// Public is zero if the file NAME.pub is missing.
	Public PublicKey
	// Private says whether there is a NAME.key.
	Private bool
}

// WriteOptions are for writing keys to a store.
type WriteOptions struct {
	// Overwrite allows a key of that name to be replaced.
	Overwrite bool
}

const (
	privateSuffix = ".key"
	publicSuffix  = ".pub"
	// maxKeys bounds how many keys of a directory are listed.
	maxKeys = 4096
)

var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}$`)

// CheckName reports what is wrong with the name of a key.
func CheckName(name string) error {
	if !namePattern.MatchString(name) || strings.HasSuffix(name, privateSuffix) || strings.HasSuffix(name, publicSuffix) {
		return fmt.Errorf("%q is no name of a key: expected up to 64 of a-z, A-Z, 0-9, '.', '_', '-' and '@', without .key or .pub at the end", clip(name))
	}
	return nil
}

// Add writes a private key, encrypted with the password, and its public key.
func (s *Store) Add(name string, k *PrivateKey, password []byte, o WriteOptions) error {
	if err := s.check(name, o); err != nil {
		return err
	}
	b, err := k.Encrypt(password)
	if err != nil {
		return err
	}
	if err := s.write(name+privateSuffix, b, 0o600, o); err != nil {
		return err
	}
	return s.write(name+publicSuffix, k.public.PEM(), 0o644, WriteOptions{Overwrite: true})
}

// AddPublic writes the public key of somebody else.
func (s *Store) AddPublic(name string, k PublicKey, o WriteOptions) error {
	if err := s.check(name, o); err != nil {
		return err
	}
	if err := s.write(name+publicSuffix, k.PEM(), 0o644, o); err != nil || !o.Overwrite {
		return err
	}
	if err := os.Remove(s.path(name + privateSuffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// check sees to it that a key of a name may be written.
func (s *Store) check(name string, o WriteOptions) error {
	if err := CheckName(name); err != nil {
		return err
	}
	for _, suffix := range []string{privateSuffix, publicSuffix} {
		if _, err := os.Lstat(s.path(name + suffix)); err == nil && !o.Overwrite {
			return existsError(s.path(name + suffix))
		}
	}
	return nil
}

func existsError(path string) error {
	return &fs.PathError{Op: "write key", Path: path, Err: fs.ErrExist}
}

func (s *Store) path(file string) string { return filepath.Join(s.Dir, file) }

// write puts a file in place, whole or not at all.
func (s *Store) write(file string, b []byte, mode fs.FileMode, o WriteOptions) (err error) {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(s.Dir, ".new-*")
	if err != nil {
		return err
	}
	defer func() {
		_ = os.Remove(f.Name()) // is there after an error, or linked
	}()
	_, err = f.Write(b)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	path := s.path(file)
	if !o.Overwrite {
		// A link, unlike renaming, never replaces what is there.
		err := os.Link(f.Name(), path)
		if err == nil {
			return nil
		}
		if _, there := os.Lstat(path); there == nil {
			return existsError(path)
		}
	}
	return os.Rename(f.Name(), path)
}

// List returns the keys, sorted by name.
func (s *Store) List() ([]Key, error) {
	entries, err := os.ReadDir(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var keys []Key
	for _, e := range entries {
		name, private := strings.CutSuffix(e.Name(), privateSuffix)
		if !private {
			var public bool
			if name, public = strings.CutSuffix(e.Name(), publicSuffix); !public {
				continue
			}
		}
		if CheckName(name) != nil {
			continue
		}
		i := slices.IndexFunc(keys, func(k Key) bool { return k.Name == name })
		if i < 0 {
			if len(keys) == maxKeys {
				return nil, fmt.Errorf("%s has more than %d keys", s.Dir, maxKeys)
			}
			i, keys = len(keys), append(keys, Key{Name: name})
		}
		if private {
			keys[i].Private = true
		} else if keys[i].Public, err = s.Public(name); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(keys, func(a, b Key) int { return strings.Compare(a.Name, b.Name) })
	return keys, nil
}

// Public returns the public key of a name. The error is [fs.ErrNotExist] if there is
// none.
func (s *Store) Public(name string) (PublicKey, error) {
	b, err := s.read(name, publicSuffix)
	if err != nil {
		return PublicKey{}, err
	}
	k, err := ParsePublicKey(b)
	if err != nil {
		return PublicKey{}, fmt.Errorf("%s: %w", s.path(name+publicSuffix), err)
	}
	return k, nil
}

// Private returns the file of a private key, for [ParsePrivateKey]. The error is
// [fs.ErrNotExist] if there is none.
func (s *Store) Private(name string) ([]byte, error) { return s.read(name, privateSuffix) }

func (s *Store) read(name, suffix string) ([]byte, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	return ReadKeyFile(s.path(name + suffix))
}

// ReadKeyFile reads a file that has a key, of whatever form.
func ReadKeyFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxKeyFile {
		return nil, fmt.Errorf("%s: more than %d bytes, too many for a key", path, maxKeyFile)
	}
	return b, nil
}
