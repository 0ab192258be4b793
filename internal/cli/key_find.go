package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"

	"github.com/ashlar-wasm/ashlar/signature"
)

// Environment variables for keys.
const (
	keysVariable        = "ASHLAR_KEYS"
	keyVariable         = "ASHLAR_KEY"
	keyPasswordVariable = "ASHLAR_KEY_PASSWORD"
)

// signerHelp says what a word that names a signer may be.
const signerHelp = "key to sign with: a `name` of 'ashlar key list', the file of a private key, or exec:PROGRAM (default: $" + keyVariable + ", or the only private key there is)"

// openKeys returns the store of keys.
func openKeys() (*signature.Store, error) {
	dir := os.Getenv(keysVariable)
	if dir == "" {
		config, err := os.UserConfigDir()
		if err != nil {
			return nil, fmt.Errorf("where keys are: %w; $%s says it", err, keysVariable)
		}
		dir = filepath.Join(config, "ashlar", "keys")
	}
	return &signature.Store{Dir: dir}, nil
}

// keyMissing explains the error of a key that can't be read.
func keyMissing(store *signature.Store, name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no key %s in %s", name, store.Dir)
	}
	return err
}

// isPath reports whether a word can only be the path of a file.
func isPath(word string) bool { return strings.ContainsAny(word, `/\`) }

// publicKey returns the key that a word of the command line means: an nkey, the name
// of a key, or the file of a public key.
func publicKey(word string) (signature.PublicKey, error) {
	if k, err := signature.ParsePublicKey([]byte(word)); err == nil {
		return k, nil
	}
	store, err := openKeys()
	if err != nil {
		return signature.PublicKey{}, err
	}
	if !isPath(word) && signature.CheckName(word) == nil {
		k, err := store.Public(word)
		if !errors.Is(err, fs.ErrNotExist) {
			return k, err
		}
	}
	b, err := signature.ReadKeyFile(word)
	if errors.Is(err, fs.ErrNotExist) {
		return signature.PublicKey{}, fmt.Errorf("key %q: neither a name in %s nor a file", word, store.Dir)
	}
	if err != nil {
		return signature.PublicKey{}, err
	}
	k, err := signature.ParsePublicKey(b)
	if err != nil {
		return k, fmt.Errorf("%s: %w", word, err)
	}
	return k, nil
}

// signer returns what signs: what a word of the command line means, or else what the
// environment does, or the only key there is.
func signer(ctx context.Context, s *streams, word string) (signature.Signer, error) {
	if word == "" {
		word = os.Getenv(keyVariable)
		if k, err := signature.ParsePrivateKey([]byte(word), nil); err == nil {
			return k, nil // the seed of an nkey
		}
	}
	if program, ok := strings.CutPrefix(word, "exec:"); ok {
		return signature.NewProgram(ctx, program, s.err)
	}
	store, err := openKeys()
	if err != nil {
		return nil, err
	}
	if word == "" {
		if word, err = onlyKey(store); err != nil {
			return nil, err
		}
	}
	name := word
	var b []byte
	err = fs.ErrNotExist
	if !isPath(word) && signature.CheckName(word) == nil {
		b, err = store.Private(word)
	}
	if errors.Is(err, fs.ErrNotExist) {
		b, err = signature.ReadKeyFile(word)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("key %q: neither a private key in %s nor a file", name, store.Dir)
	}
	if err != nil {
		return nil, err
	}
	return openPrivateKey(s, name, b)
}

// onlyKey returns the name of the private key there is.
func onlyKey(store *signature.Store) (string, error) {
	keys, err := store.List()
	if err != nil {
		return "", err
	}
	var names []string
	for _, k := range keys {
		if k.Private {
			names = append(names, k.Name)
		}
	}
	switch len(names) {
	case 0:
		return "", usageError("there is no key to sign with; 'ashlar key generate NAME' makes one")
	case 1:
		return names[0], nil
	}
	return "", usageError("which key? There are %s", strings.Join(names, ", "))
}

// openPrivateKey decrypts a private key, with the password of the environment, none
// or what is asked for.
func openPrivateKey(s *streams, name string, b []byte) (*signature.PrivateKey, error) {
	password, given := os.LookupEnv(keyPasswordVariable)
	k, err := signature.ParsePrivateKey(b, []byte(password))
	if errors.Is(err, signature.ErrPassword) && !given {
		terminal, ok := s.terminal()
		if !ok {
			return nil, usageError("key %s has a password: there is no terminal to ask for it, and no $%s", name, keyPasswordVariable)
		}
		if password, err = askSecret(s.err, terminal, "Password of key "+name+": "); err != nil {
			return nil, fmt.Errorf("read password: %w", err)
		}
		k, err = signature.ParsePrivateKey(b, []byte(password))
	}
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", name, err)
	}
	return k, nil
}

// newPassword returns the password for a new key.
func newPassword(s *streams, name string) ([]byte, error) {
	password, given := os.LookupEnv(keyPasswordVariable)
	if !given {
		terminal, ok := s.terminal()
		if !ok {
			return nil, usageError("there is no terminal to ask for a password: set $%s, or use --no-password", keyPasswordVariable)
		}
		var err error
		if password, err = askSecret(s.err, terminal, "Password for key "+name+": "); err != nil {
			return nil, fmt.Errorf("read password: %w", err)
		}
		again, err := askSecret(s.err, terminal, "The same again: ")
		if err != nil {
			return nil, fmt.Errorf("read password: %w", err)
		}
		if again != password {
			return nil, errors.New("the two passwords differ")
		}
	}
	if password == "" {
		return nil, usageError("the password is empty; --no-password allows that")
	}
	return []byte(password), nil
}

// terminal is standard input, if it is one.
func (s *streams) terminal() (*os.File, bool) {
	f, ok := s.in.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}
