package signature

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"

	"github.com/nats-io/nkeys"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func public(t testing.TB, k crypto.PublicKey) PublicKey {
	t.Helper()
	p, err := NewPublicKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The vectors of RFC 8032, sections 7.1 (tests 1 to 3) and 7.3.
func TestEd25519Vectors(t *testing.T) {
	for _, v := range []struct {
		seed, public, message, sig string
		prehashed                  bool
	}{
		{"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
			"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
			"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b", false},
		{"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
			"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
			"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00", false},
		{"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
			"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
			"6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a", false},
		{"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
			"ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf", "616263",
			"98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae4131f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406", true},
	} {
		t.Run(v.public[:8], func(t *testing.T) {
			secret := ed25519.NewKeyFromSeed(unhex(t, v.seed))
			if got := hex.EncodeToString(secret.Public().(ed25519.PublicKey)); got != v.public {
				t.Fatalf("public key %s", got)
			}
			k, message, sig := public(t, secret.Public()), unhex(t, v.message), unhex(t, v.sig)
			if err := k.Verify(message, sig); err != nil {
				t.Error(err)
			}
			if k.Verify(append(message, 0), sig) == nil {
				t.Error("another message is verified")
			}
			if v.prehashed {
				return
			}
			signer, err := newPrivateKey(secret)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := signer.Sign(t.Context(), message); err != nil || !bytes.Equal(got, sig) {
				t.Errorf("signed %x, %v", got, err)
			}
			// RFC 8410, section 4: what an Ed25519 key is in DER.
			sum := sha256.Sum256(append(unhex(t, "302a300506032b6570032100"), unhex(t, v.public)...))
			if want := "sha256:" + hex.EncodeToString(sum[:]); k.ID() != want {
				t.Errorf("ID %s, want %s", k.ID(), want)
			}
		})
	}
}

// allKeys makes a key of each kind.
func allKeys(t testing.TB) map[string]crypto.Signer {
	t.Helper()
	keys := map[string]crypto.Signer{}
	add := func(name string, k crypto.Signer, err error) {
		if err != nil {
			t.Fatal(err)
		}
		keys[name] = k
	}
	_, e, err := ed25519.GenerateKey(rand.Reader)
	add("ed25519", e, err)
	for name, c := range map[string]elliptic.Curve{"ecdsa-p256": elliptic.P256(), "ecdsa-p384": elliptic.P384(), "ecdsa-p521": elliptic.P521()} {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		add(name, k, err)
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	add("rsa-2048", r, err)
	return keys
}

func TestPublicKeys(t *testing.T) {
	message := []byte("message")
	seen := map[PublicKey]bool{}
	for name, secret := range allKeys(t) {
		t.Run(name, func(t *testing.T) {
			k := public(t, secret.Public())
			if k.Algorithm() != name || k.IsZero() || seen[k] {
				t.Errorf("algorithm %q", k.Algorithm())
			}
			seen[k] = true
			again, err := ParsePublicKey(k.PEM())
			if err != nil || again != k || again.ID() != k.ID() {
				t.Errorf("read again: %v, %v", again, err)
			}
			signer, err := newPrivateKey(secret)
			if err != nil {
				t.Fatal(err)
			}
			sig, err := signer.Sign(t.Context(), message)
			if err != nil {
				t.Fatal(err)
			}
			if err := k.Verify(message, sig); err != nil {
				t.Error(err)
			}
			wrong := bytes.Clone(sig)
			wrong[len(wrong)-1] ^= 1
			for what, v := range map[string]struct{ message, sig []byte }{
				"another message":    {[]byte("massage"), sig},
				"a changed one":      {message, wrong},
				"a truncated one":    {message, sig[:len(sig)-1]},
				"a longer one":       {message, append(bytes.Clone(sig), 0)},
				"an empty signature": {message, nil},
			} {
				if k.Verify(v.message, v.sig) == nil {
					t.Errorf("%s is verified", what)
				}
			}
			if (PublicKey{}).Verify(message, sig) == nil {
				t.Error("no key verifies")
			}
		})
	}
}

// cosign signed with SHA-256 whatever the curve, before version 3.
func TestVerifySHA256OnLargerCurves(t *testing.T) {
	message := []byte("message")
	sum := sha256.Sum256(message)
	for _, c := range []elliptic.Curve{elliptic.P384(), elliptic.P521()} {
		secret, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		sig, err := ecdsa.SignASN1(rand.Reader, secret, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		if err := public(t, secret.Public()).Verify(message, sig); err != nil {
			t.Error(err)
		}
	}
}

func pkix(t testing.TB, k any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func TestParsePublicKeyRefuses(t *testing.T) {
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := nkeys.Encode(nkeys.PrefixByteCurve, x25519.PublicKey().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	good := pkix(t, allKeys(t)["ecdsa-p256"].Public())
	for what, c := range map[string]struct{ text, want string }{
		"nothing":                    {"", "neither a PEM public key nor an nkey"},
		"large":                      {strings.Repeat("A", maxKeyFile+1), "more than"},
		"certificate":                {strings.ReplaceAll(good, "PUBLIC KEY", "CERTIFICATE"), `PEM "CERTIFICATE", expected PUBLIC KEY`},
		"two":                        {good + good, "more than one"},
		"damaged":                    {strings.Replace(good, "MFkw", "MFkx", 1), "decode public key"},
		"P-224":                      {pkix(t, p224.Public()), "P-256, P-384 or P-521"},
		"X25519":                     {pkix(t, x25519.PublicKey()), "no Ed25519, ECDSA or RSA key"},
		"RSA 1024":                   {pkix(t, &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 1023, 1), E: 65537}), "not 1024"},
		"RSA 9000":                   {pkix(t, &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 8999, 1), E: 65537}), "not 9000"},
		"small order":                {pkix(t, ed25519.PublicKey(make([]byte, 32))), "small order"},
		"nkey for encryption":        {string(curve), "can't sign"},
		"nkey with a wrong checksum": {"UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF5", "not a public nkey"},
	} {
		if _, err := ParsePublicKey([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// The pair that the documentation of NATS shows for authentication with nkeys.
func TestNkey(t *testing.T) {
	const (
		seed = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"
		text = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"
	)
	secret, err := ParsePrivateKey([]byte(seed+"\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	k, err := ParsePublicKey([]byte(" " + text + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	if secret.Public() != k {
		t.Error("the seed is that of another key")
	}
	if got, err := k.Nkey(); err != nil || got != text {
		t.Errorf("nkey %q, %v", got, err)
	}
	if got, err := secret.Seed(); err != nil || got != seed {
		t.Errorf("seed %q, %v", got, err)
	}
	// The prefix says what NATS uses a key for: it is the same key.
	account := "ADXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"
	if _, err := ParsePublicKey([]byte(account)); err == nil {
		t.Error("a changed prefix is not noticed")
	}
	other := public(t, allKeys(t)["ecdsa-p256"].Public())
	if _, err := other.Nkey(); err == nil {
		t.Error("an ECDSA key has a form as nkey")
	}
}

func FuzzPublicKey(f *testing.F) {
	for _, k := range allKeys(f) {
		f.Add([]byte(pkix(f, k.Public())))
	}
	f.Add([]byte("UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := ParsePublicKey(b)
		if err != nil {
			return
		}
		again, err := ParsePublicKey(k.PEM())
		if err != nil || again != k {
			t.Fatalf("read again: %v, %v", again, err)
		}
		if k.Verify([]byte("message"), b) == nil {
			t.Fatal("anything is a signature")
		}
		if k.Algorithm() == "ed25519" {
			text, err := k.Nkey()
			if again, err2 := ParsePublicKey([]byte(text)); err != nil || err2 != nil || again != k {
				t.Fatalf("nkey %q: %v, %v", text, err, err2)
			}
		}
	})
}
