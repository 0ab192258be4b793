package signature

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/nacl/secretbox"
	"golang.org/x/crypto/scrypt"
)

// Types of PEM blocks with an encrypted key; the second is what cosign wrote before.
const (
	pemSigstore = "ENCRYPTED SIGSTORE PRIVATE KEY"
	pemCosign   = "ENCRYPTED COSIGN PRIVATE KEY"
)

// ErrPassword is the error of a private key that a password does not open.
var ErrPassword = errors.New("the password of the private key is wrong")

// encrypted is a secret under a password: go-securesystemslib's package encrypted,
// which cosign uses. scrypt makes a key of the password, NaCl's secretbox seals.
type encrypted struct {
	KDF        kdf    `json:"kdf"`
	Cipher     cipher `json:"cipher"`
	Ciphertext []byte `json:"ciphertext"`
}

type kdf struct {
	Name   string       `json:"name"`
	Params scryptParams `json:"params"`
	Salt   []byte       `json:"salt"`
}

type scryptParams struct {
	N int `json:"N"`
	R int `json:"r"`
	P int `json:"p"`
}

type cipher struct {
	Name  string `json:"name"`
	Nonce []byte `json:"nonce"`
}

const (
	nameScrypt    = "scrypt"
	nameSecretbox = "nacl/secretbox"
	saltSize      = 32
	nonceSize     = 24
	boxKeySize    = 32
)

// scryptKnown are the parameters that are read; others could ask for any amount of
// time and memory. The first is written.
var scryptKnown = []scryptParams{{1 << 16, 8, 1}, {1 << 15, 8, 1}, {1 << 17, 8, 1}}

// parseEncrypted reads and checks all that can be without the password.
func parseEncrypted(b []byte) (*encrypted, error) {
	var e encrypted
	if err := json.Unmarshal(b, &e); err != nil {
		return nil, err
	}
	switch {
	case e.KDF.Name != nameScrypt:
		return nil, fmt.Errorf("unknown derivation of keys %q", clip(e.KDF.Name))
	case e.Cipher.Name != nameSecretbox:
		return nil, fmt.Errorf("unknown cipher %q", clip(e.Cipher.Name))
	case !slices.Contains(scryptKnown, e.KDF.Params):
		p := e.KDF.Params
		return nil, fmt.Errorf("parameters of scrypt N=%d r=%d p=%d are not among those allowed", p.N, p.R, p.P)
	case len(e.Cipher.Nonce) != nonceSize:
		return nil, fmt.Errorf("a nonce of %d bytes, expected %d", len(e.Cipher.Nonce), nonceSize)
	}
	return &e, nil
}

func (e *encrypted) key(password []byte) (*[boxKeySize]byte, error) {
	p := e.KDF.Params
	b, err := scrypt.Key(password, e.KDF.Salt, p.N, p.R, p.P, boxKeySize)
	if err != nil {
		return nil, err
	}
	return (*[boxKeySize]byte)(b), nil
}

func (e *encrypted) decrypt(password []byte) ([]byte, error) {
	key, err := e.key(password)
	if err != nil {
		return nil, err
	}
	plain, ok := secretbox.Open(nil, e.Ciphertext, (*[nonceSize]byte)(e.Cipher.Nonce), key)
	if !ok {
		return nil, ErrPassword
	}
	return plain, nil
}

func encrypt(plain, password []byte) ([]byte, error) {
	e := encrypted{
		KDF:    kdf{nameScrypt, scryptKnown[0], make([]byte, saltSize)},
		Cipher: cipher{nameSecretbox, make([]byte, nonceSize)},
	}
	for _, b := range [][]byte{e.KDF.Salt, e.Cipher.Nonce} {
		if _, err := rand.Read(b); err != nil {
			return nil, err
		}
	}
	key, err := e.key(password)
	if err != nil {
		return nil, err
	}
	e.Ciphertext = secretbox.Seal(nil, plain, (*[nonceSize]byte)(e.Cipher.Nonce), key)
	return json.Marshal(e)
}
