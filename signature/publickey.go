package signature

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// PublicKey is an Ed25519, ECDSA (P-256, P-384 or P-521) or RSA key (2048 to 8192
// bits). Two are equal, by ==, if they are the same key. The zero value is no key and
// verifies nothing.
type PublicKey struct {
	der       string // PKIX, as crypto/x509 writes it
	algorithm string
}

const (
	minRSA = 2048
	maxRSA = 8192
	// maxKeyFile bounds the files of keys.
	maxKeyFile = 16 << 10
)

// NewPublicKey returns a key of package crypto: an ed25519.PublicKey,
// *ecdsa.PublicKey or *rsa.PublicKey.
func NewPublicKey(k crypto.PublicKey) (PublicKey, error) {
	var algorithm string
	switch k := k.(type) {
	case ed25519.PublicKey:
		if err := checkEd25519(k); err != nil {
			return PublicKey{}, err
		}
		algorithm = "ed25519"
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			algorithm = "ecdsa-p256"
		case elliptic.P384():
			algorithm = "ecdsa-p384"
		case elliptic.P521():
			algorithm = "ecdsa-p521"
		default:
			return PublicKey{}, errors.New("an ECDSA key is to be on the curve P-256, P-384 or P-521")
		}
	case *rsa.PublicKey:
		bits := k.N.BitLen()
		if bits < minRSA || bits > maxRSA {
			return PublicKey{}, fmt.Errorf("an RSA key is to have %d to %d bits, not %d", minRSA, maxRSA, bits)
		}
		algorithm = fmt.Sprintf("rsa-%d", bits)
	default:
		return PublicKey{}, fmt.Errorf("a key of type %T is no Ed25519, ECDSA or RSA key", k)
	}
	der, err := x509.MarshalPKIXPublicKey(k)
	if err != nil {
		return PublicKey{}, fmt.Errorf("encode public key: %w", err)
	}
	return PublicKey{string(der), algorithm}, nil
}

// ParsePublicKey reads a public key: PEM "PUBLIC KEY" (PKIX), as cosign and openssl
// write it, or the text of an Ed25519 nkey (U..., A..., O..., N..., C...).
func ParsePublicKey(b []byte) (PublicKey, error) {
	if len(b) > maxKeyFile {
		return PublicKey{}, fmt.Errorf("a public key of %d bytes, more than %d", len(b), maxKeyFile)
	}
	if text := strings.TrimSpace(string(b)); looksLikeNkey(text) {
		return parseNkey(text)
	}
	block, rest := pem.Decode(b)
	if block == nil {
		return PublicKey{}, errors.New("neither a PEM public key nor an nkey")
	}
	if block.Type != "PUBLIC KEY" {
		return PublicKey{}, fmt.Errorf("PEM %q, expected PUBLIC KEY", clip(block.Type))
	}
	if len(strings.TrimSpace(string(rest))) > 0 {
		return PublicKey{}, errors.New("there is more than one public key")
	}
	k, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return PublicKey{}, fmt.Errorf("decode public key: %w", err)
	}
	return NewPublicKey(k)
}

// ID is "sha256:" and the digest of the key in PKIX DER, in hexadecimal.
func (k PublicKey) ID() string {
	sum := sha256.Sum256([]byte(k.der))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// PEM is the key as PEM "PUBLIC KEY".
func (k PublicKey) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte(k.der)})
}

// Algorithm is the kind of key: "ed25519", "ecdsa-p256", "rsa-3072" and so on.
func (k PublicKey) Algorithm() string { return k.algorithm }

// IsZero reports whether k is no key.
func (k PublicKey) IsZero() bool { return k == PublicKey{} }

// crypto is the key as package crypto has it; nil if it is none.
func (k PublicKey) crypto() crypto.PublicKey {
	c, err := x509.ParsePKIXPublicKey([]byte(k.der))
	if err != nil {
		return nil
	}
	return c
}

// hint is how bundles name the key (RFC 6962, section 3.2), as cosign writes it.
func (k PublicKey) hint() string {
	sum := sha256.Sum256([]byte(k.der))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// keyOfHint is the ID of the key that a hint names, if it is of the form that
// [PublicKey.hint] has.
func keyOfHint(hint string) (id string, ok bool) {
	sum, err := base64.StdEncoding.DecodeString(hint)
	if err != nil || len(sum) != sha256.Size {
		return "", false
	}
	return "sha256:" + hex.EncodeToString(sum), true
}

// ErrSignature is the error of a signature that a key did not make over a message.
var ErrSignature = errors.New("the signature is wrong")

// Verify checks a signature over a message, with the algorithms of sigstore's
// registry: Ed25519, or Ed25519ph, which cosign uses for some; ECDSA in ASN.1 with
// the hash of the curve's size, or with SHA-256; RSA PKCS#1 v1.5 with SHA-256. The
// error is [ErrSignature].
func (k PublicKey) Verify(message, sig []byte) error {
	ok := false
	switch key := k.crypto().(type) {
	case ed25519.PublicKey:
		ok = ed25519.Verify(key, message, sig)
		if !ok {
			digest := digestOf(crypto.SHA512, message)
			ok = ed25519.VerifyWithOptions(key, digest, sig, &ed25519.Options{Hash: crypto.SHA512}) == nil
		}
	case *ecdsa.PublicKey:
		h := hashOf(key)
		ok = ecdsa.VerifyASN1(key, digestOf(h, message), sig) ||
			h != crypto.SHA256 && ecdsa.VerifyASN1(key, digestOf(crypto.SHA256, message), sig)
	case *rsa.PublicKey:
		ok = rsa.VerifyPKCS1v15(key, crypto.SHA256, digestOf(crypto.SHA256, message), sig) == nil
	}
	if !ok {
		return ErrSignature
	}
	return nil
}

// hashOf is the hash function that signatures by a key are made with; zero if the
// message itself is signed.
func hashOf(k crypto.PublicKey) crypto.Hash {
	switch k := k.(type) {
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P384():
			return crypto.SHA384
		case elliptic.P521():
			return crypto.SHA512
		}
		return crypto.SHA256
	case *rsa.PublicKey:
		return crypto.SHA256
	}
	return 0
}

func digestOf(h crypto.Hash, message []byte) []byte {
	w := h.New()
	w.Write(message)
	return w.Sum(nil)
}

// clip shortens what comes from outside for an error.
func clip(s string) string {
	const n = 80
	if len(s) > n {
		return s[:n] + "..."
	}
	return s
}
