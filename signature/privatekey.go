package signature

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nkeys"
)

// Signer makes signatures: a key file ([PrivateKey]), or whatever keeps a key that
// can't be had ([Program]). It is safe for concurrent use.
type Signer interface {
	Public() PublicKey
	// Sign signs a message as [PublicKey.Verify] has it: Ed25519, ECDSA in ASN.1 with
	// the hash of the curve's size, or RSA PKCS#1 v1.5 with SHA-256.
	Sign(ctx context.Context, message []byte) ([]byte, error)
}

// PrivateKey is a key in memory.
type PrivateKey struct {
	key    crypto.Signer
	public PublicKey
}

// Generate makes an Ed25519 key.
func Generate() (*PrivateKey, error) {
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	return newPrivateKey(k)
}

func newPrivateKey(k any) (*PrivateKey, error) {
	s, ok := k.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T can't sign", k)
	}
	public, err := NewPublicKey(s.Public())
	if err != nil {
		return nil, err
	}
	return &PrivateKey{s, public}, nil
}

// Public is the public key.
func (k *PrivateKey) Public() PublicKey { return k.public }

// Sign signs a message.
func (k *PrivateKey) Sign(ctx context.Context, message []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	h := hashOf(k.key.Public())
	if h != 0 {
		message = digestOf(h, message)
	}
	return k.key.Sign(rand.Reader, message, h)
}

// ParsePrivateKey reads a private key: PEM "ENCRYPTED SIGSTORE PRIVATE KEY" or
// "ENCRYPTED COSIGN PRIVATE KEY", with the password; PEM "PRIVATE KEY" (PKCS#8), "EC
// PRIVATE KEY" or "RSA PRIVATE KEY"; or the seed of an Ed25519 nkey (SU..., SA...,
// ...). The password is not looked at where the key is not encrypted. The error is
// [ErrPassword] if it is wrong.
func ParsePrivateKey(b, password []byte) (*PrivateKey, error) {
	if len(b) > maxKeyFile {
		return nil, fmt.Errorf("a private key of %d bytes, more than %d", len(b), maxKeyFile)
	}
	if text := strings.TrimSpace(string(b)); seedPattern.MatchString(text) {
		k, err := parseSeed(text)
		if err != nil {
			return nil, err
		}
		return newPrivateKey(k)
	}
	block, rest := pem.Decode(b)
	if block == nil {
		return nil, errors.New("neither a PEM private key nor the seed of an nkey")
	}
	if len(strings.TrimSpace(string(rest))) > 0 {
		return nil, errors.New("there is more than one private key")
	}
	k, err := parseBlock(block, password)
	if err != nil {
		return nil, err
	}
	if r, ok := k.(*rsa.PrivateKey); ok && r.N.BitLen() > maxRSA {
		return nil, fmt.Errorf("an RSA key of %d bits, more than %d", r.N.BitLen(), maxRSA)
	}
	return newPrivateKey(k)
}

func parseBlock(block *pem.Block, password []byte) (k any, err error) {
	der := block.Bytes
	switch block.Type {
	case pemSigstore, pemCosign:
		e, err := parseEncrypted(der)
		if err != nil {
			return nil, fmt.Errorf("encrypted private key: %w", err)
		}
		if der, err = e.decrypt(password); err != nil {
			return nil, err
		}
		k, err = x509.ParsePKCS8PrivateKey(der)
		if err != nil {
			return nil, fmt.Errorf("decode private key: %w", err)
		}
		return k, nil
	case "PRIVATE KEY":
		k, err = x509.ParsePKCS8PrivateKey(der)
	case "EC PRIVATE KEY":
		k, err = x509.ParseECPrivateKey(der)
	case "RSA PRIVATE KEY":
		k, err = x509.ParsePKCS1PrivateKey(der)
	default:
		return nil, fmt.Errorf("PEM %q is no private key that is known", clip(block.Type))
	}
	if err != nil {
		return nil, fmt.Errorf("decode private key: %w", err)
	}
	return k, nil
}

// IsEncrypted reports whether a private key needs a password.
func IsEncrypted(b []byte) bool {
	block, _ := pem.Decode(b)
	return block != nil && (block.Type == pemSigstore || block.Type == pemCosign)
}

// Encrypt returns the key as cosign keeps it: PEM "ENCRYPTED SIGSTORE PRIVATE KEY".
// The password may be empty.
func (k *PrivateKey) Encrypt(password []byte) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.key)
	if err != nil {
		return nil, fmt.Errorf("encode private key: %w", err)
	}
	b, err := encrypt(der, password)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemSigstore, Bytes: b}), nil
}

// PEM returns the key unencrypted, as PEM "PRIVATE KEY" (PKCS#8).
func (k *PrivateKey) PEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.key)
	if err != nil {
		return nil, fmt.Errorf("encode private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// Seed returns the key unencrypted, as the seed of a user's nkey (SU...). Only
// Ed25519 keys have one.
func (k *PrivateKey) Seed() (string, error) {
	e, ok := k.key.(ed25519.PrivateKey)
	if !ok {
		return "", fmt.Errorf("an %s key has no form as nkey, which is Ed25519", k.public.algorithm)
	}
	text, err := nkeys.EncodeSeed(nkeys.PrefixByteUser, e.Seed())
	return string(text), err
}
