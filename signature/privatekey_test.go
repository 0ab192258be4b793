package signature

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
)

func TestPrivateKeys(t *testing.T) {
	t.Parallel()
	for name, secret := range allKeys(t) {
		t.Run(name, func(t *testing.T) {
			k, err := newPrivateKey(secret)
			if err != nil {
				t.Fatal(err)
			}
			forms := map[string][]byte{}
			if forms["PKCS#8"], err = k.PEM(); err != nil {
				t.Fatal(err)
			}
			if name == "ed25519" || name == "ecdsa-p256" { // scrypt takes its time by design
				if forms["encrypted"], err = k.Encrypt([]byte("secret")); err != nil {
					t.Fatal(err)
				}
			}
			if name == "ed25519" {
				forms["encrypted by an old cosign"] = bytes.ReplaceAll(forms["encrypted"], []byte("SIGSTORE"), []byte("COSIGN"))
			}
			switch s := secret.(type) {
			case *ecdsa.PrivateKey:
				der, err := x509.MarshalECPrivateKey(s)
				if err != nil {
					t.Fatal(err)
				}
				forms["EC"] = pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
			case *rsa.PrivateKey:
				forms["RSA"] = pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(s)})
			}
			for form, b := range forms {
				if got := IsEncrypted(b); got != strings.HasPrefix(form, "encrypted") {
					t.Errorf("%s: encrypted %v", form, got)
				}
				again, err := ParsePrivateKey(b, []byte("secret"))
				if err != nil || again.Public() != k.Public() {
					t.Errorf("%s: %v", form, err)
				}
			}
		})
	}
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	k, err := Generate()
	if err != nil {
		t.Fatal(err)
	}
	b, err := k.Encrypt(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParsePrivateKey(b, nil); err != nil {
		t.Errorf("no password: %v", err)
	}
	if _, err := ParsePrivateKey(b, []byte("other")); !errors.Is(err, ErrPassword) {
		t.Errorf("a wrong password: %v", err)
	}
	again, err := k.Encrypt(nil)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(again, b) {
		t.Error("salt and nonce are the same each time")
	}

	change := func(f func(*encrypted)) []byte {
		block, _ := pem.Decode(b)
		var e encrypted
		if err := json.Unmarshal(block.Bytes, &e); err != nil {
			t.Fatal(err)
		}
		f(&e)
		if block.Bytes, err = json.Marshal(e); err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(block)
	}
	for what, c := range map[string]struct {
		change func(*encrypted)
		want   string
	}{
		"ciphertext": {func(e *encrypted) { e.Ciphertext[0] ^= 1 }, ErrPassword.Error()},
		"truncated":  {func(e *encrypted) { e.Ciphertext = e.Ciphertext[:10] }, ErrPassword.Error()},
		"much memory": {func(e *encrypted) { e.KDF.Params.N = 1 << 30 },
			"N=1073741824 r=8 p=1 are not among those allowed"},
		"much time":  {func(e *encrypted) { e.KDF.Params.P = 1 << 20 }, "not among those allowed"},
		"none":       {func(e *encrypted) { e.KDF.Params = scryptParams{} }, "not among those allowed"},
		"derivation": {func(e *encrypted) { e.KDF.Name = "md5" }, `unknown derivation of keys "md5"`},
		"cipher":     {func(e *encrypted) { e.Cipher.Name = "rot13" }, `unknown cipher "rot13"`},
		"nonce":      {func(e *encrypted) { e.Cipher.Nonce = e.Cipher.Nonce[1:] }, "a nonce of 23 bytes"},
	} {
		if _, err := ParsePrivateKey(change(c.change), nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestParsePrivateKeyRefuses(t *testing.T) {
	k, err := Generate()
	if err != nil {
		t.Fatal(err)
	}
	good, err := k.PEM()
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct{ text, want string }{
		"nothing": {"", "neither a PEM private key nor the seed of an nkey"},
		"public":  {string(k.Public().PEM()), "no private key that is known"},
		"two":     {string(good) + string(good), "more than one"},
		"damaged": {strings.Replace(string(good), "MC4C", "MC4D", 1), "decode private key"},
		"large":   {strings.Repeat("A", maxKeyFile+1), "more than"},
		"seed with a wrong checksum": {"SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VA",
			"not the seed of an nkey"},
	} {
		if _, err := ParsePrivateKey([]byte(c.text), nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func FuzzPrivateKey(f *testing.F) {
	for _, k := range allKeys(f) {
		p, err := newPrivateKey(k)
		if err != nil {
			f.Fatal(err)
		}
		b, err := p.PEM()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	b, err := generate(f).Encrypt(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if IsEncrypted(b) {
			// scrypt takes its time by design: what comes before it is what can be fuzzed.
			block, _ := pem.Decode(b)
			if e, err := parseEncrypted(block.Bytes); err == nil && len(e.Cipher.Nonce) != nonceSize {
				t.Fatal("a nonce of another size")
			}
			return
		}
		k, err := ParsePrivateKey(b, nil)
		if err != nil {
			return
		}
		sig, err := k.Sign(t.Context(), []byte("message"))
		if err != nil {
			return // a key that only looks like one
		}
		_ = k.Public().Verify([]byte("message"), sig)
		if _, err := k.PEM(); err != nil {
			t.Fatal(err)
		}
	})
}
