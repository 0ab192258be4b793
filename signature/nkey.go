package signature

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"regexp"

	"github.com/nats-io/nkeys"
)

// nkeys are Ed25519 keys as text: base32 of a prefix, the key and a checksum. The
// prefix says what the key is for in NATS, which is of no concern here.

var (
	nkeyPattern = regexp.MustCompile(`^[A-Z2-7]{56}$`)
	seedPattern = regexp.MustCompile(`^S[A-Z2-7]{57}$`)
)

func looksLikeNkey(text string) bool { return nkeyPattern.MatchString(text) }

// parseNkey reads the text of a public key.
func parseNkey(text string) (PublicKey, error) {
	if !nkeys.IsValidPublicKey(text) {
		return PublicKey{}, errors.New("not a public nkey: prefix or checksum is wrong")
	}
	prefix := nkeys.Prefix(text)
	if prefix == nkeys.PrefixByteCurve {
		return PublicKey{}, errors.New("an nkey for encryption (X...) can't sign")
	}
	raw, err := nkeys.Decode(prefix, []byte(text))
	if err != nil {
		return PublicKey{}, fmt.Errorf("decode nkey: %w", err)
	}
	return NewPublicKey(ed25519.PublicKey(raw))
}

// parseSeed reads the text of a private key.
func parseSeed(text string) (ed25519.PrivateKey, error) {
	prefix, seed, err := nkeys.DecodeSeed([]byte(text))
	if err != nil {
		return nil, errors.New("not the seed of an nkey: prefix or checksum is wrong")
	}
	if prefix == nkeys.PrefixByteCurve {
		return nil, errors.New("an nkey for encryption (SX...) can't sign")
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// Nkey is the key as the text of a user's nkey (U...). Only Ed25519 keys have one.
func (k PublicKey) Nkey() (string, error) {
	raw, ok := k.crypto().(ed25519.PublicKey)
	if !ok {
		return "", fmt.Errorf("an %s key has no form as nkey, which is Ed25519", k.algorithm)
	}
	text, err := nkeys.Encode(nkeys.PrefixByteUser, raw)
	return string(text), err
}

// checkEd25519 refuses the few keys under which anybody can sign.
func checkEd25519(k ed25519.PublicKey) error {
	if len(k) != ed25519.PublicKeySize {
		return fmt.Errorf("an Ed25519 key of %d bytes", len(k))
	}
	text, err := nkeys.Encode(nkeys.PrefixByteUser, k)
	if err != nil {
		return err
	}
	if !nkeys.IsValidPublicKey(string(text)) {
		return errors.New("an Ed25519 key of small order")
	}
	return nil
}
