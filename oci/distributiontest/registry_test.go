// Package distributiontest runs Ashlar against the registry of the CNCF project
// distribution. It is a module of its own, so that nobody else needs what that needs.
package distributiontest

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"
	_ "github.com/distribution/distribution/v3/registry/auth/token"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	"github.com/sirupsen/logrus"
	"golang.org/x/crypto/bcrypt"

	"github.com/ashlar-wasm/ashlar/oci"
	"github.com/ashlar-wasm/ashlar/oci/ocitest"
)

// newApp returns a registry that keeps its contents in a folder.
func newApp(ctx context.Context, dir string, auth configuration.Auth) *handlers.App {
	logrus.SetOutput(io.Discard)
	config := &configuration.Configuration{
		Storage: configuration.Storage{"filesystem": configuration.Parameters{"rootdirectory": dir}, "delete": configuration.Parameters{"enabled": true}},
		Auth:    auth,
	}
	config.Log.AccessLog.Disabled = true
	config.Log.Level = "panic"
	config.Catalog.MaxEntries = 1000
	config.HTTP.Secret = "one for tests"
	return handlers.NewApp(ctx, config)
}

// htpasswd is authentication with a password.
func htpasswd(t *testing.T) configuration.Auth {
	hash, err := bcrypt.GenerateFromPassword([]byte(ocitest.Password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "htpasswd")
	if err := os.WriteFile(file, []byte(ocitest.User+":"+string(hash)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return configuration.Auth{"htpasswd": configuration.Parameters{"realm": "test", "path": file}}
}

// access is what a token allows.
type access struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

// tokens is authentication with a token server, which lets everybody read and the
// user write. Its certificate is that of every registry for tests.
func tokens(t *testing.T) configuration.Auth {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return encode(b)
	}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, ok := r.BasicAuth()
		known := ok && user == ocitest.User && password == ocitest.Password
		if ok && !known {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var granted []access
		for _, scopes := range r.URL.Query()["scope"] {
			for scope := range strings.FieldsSeq(scopes) {
				p := strings.Split(scope, ":")
				actions := slices.DeleteFunc(strings.Split(p[2], ","), func(a string) bool { return a != "pull" && !known })
				granted = append(granted, access{p[0], p[1], actions})
			}
		}
		now := time.Now()
		text := part(map[string]string{"alg": "EdDSA", "typ": "JWT", "kid": "test"}) + "." + part(map[string]any{
			"iss": "tests", "sub": user, "aud": "registry", "exp": now.Add(time.Minute).Unix(), "nbf": now.Add(-time.Minute).Unix(),
			"iat": now.Unix(), "jti": "1", "access": granted,
		})
		_ = json.NewEncoder(w).Encode(map[string]string{"token": text + "." + encode(ed25519.Sign(private, []byte(text)))})
	}))
	t.Cleanup(server.Close)
	keys := filepath.Join(t.TempDir(), "keys.json")
	jwks := fmt.Sprintf(`{"keys":[{"kty":"OKP","crv":"Ed25519","use":"sig","alg":"EdDSA","kid":"test","x":%q}]}`, encode(public))
	if err := os.WriteFile(keys, []byte(jwks), 0o600); err != nil {
		t.Fatal(err)
	}
	return configuration.Auth{"token": configuration.Parameters{
		"realm": server.URL + "/token", "service": "registry", "issuer": "tests", "jwks": keys, "signingalgorithms": []any{"EdDSA"},
	}}
}

// registry starts one.
func registry(t *testing.T, auth configuration.Auth, o ocitest.Options) *ocitest.Registry {
	t.Helper()
	app := newApp(t.Context(), t.TempDir(), auth)
	t.Cleanup(func() { _ = app.Shutdown() })
	o.Handler = app
	return ocitest.Start(t, o)
}

// client reaches a registry, with the right password unless it is said otherwise.
func client(t testing.TB, r *ocitest.Registry, o oci.Options) *oci.Client {
	t.Helper()
	if r.CA != nil {
		o.CACerts = append(o.CACerts, r.CA)
	}
	if o.Credential == nil {
		o.Credential = func(context.Context, string) (oci.Credential, error) {
			return oci.Credential{Username: ocitest.User, Password: ocitest.Password}, nil
		}
	}
	if o.RetryWait == 0 {
		o.RetryWait = 20 * time.Millisecond
	}
	c, err := oci.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func reference(t testing.TB, s string) oci.Reference {
	t.Helper()
	r, err := oci.ParseReference(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// module is a core module of about n bytes.
func module(n int) []byte {
	n = max(n, 1<<14)
	b := []byte("\x00asm\x01\x00\x00\x00\x00")
	for size := n; ; size >>= 7 {
		if size < 0x80 {
			b = append(b, byte(size))
			break
		}
		b = append(b, byte(size)|0x80)
	}
	b = append(b, 4, 'r', 'a', 'n', 'd')
	x := uint64(n)*0x9E3779B97F4A7C15 + 1
	for range n - 5 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b = append(b, byte(x))
	}
	return b
}

func artifact(t testing.TB, wasm []byte) *oci.Artifact {
	t.Helper()
	a, err := oci.New(wasm, oci.BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return a
}
