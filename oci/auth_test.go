package oci_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ashlar-wasm/ashlar/oci"
	"github.com/ashlar-wasm/ashlar/oci/ocitest"
)

// dockerConfig makes a config.json the user's.
func dockerConfig(t *testing.T, config map[string]any) {
	t.Helper()
	dir := t.TempDir()
	b, err := json.Marshal(config)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "config.json"), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_CONFIG", dir)
	t.Setenv("XDG_RUNTIME_DIR", "")
	t.Setenv("REGISTRY_AUTH_FILE", "")
}

func encoded(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}

func TestCredentials(t *testing.T) {
	for name, o := range map[string]ocitest.Options{
		"basic": {Auth: ocitest.Basic}, "token": {Auth: ocitest.Token}, "token with TLS": {Auth: ocitest.Token, TLS: true},
	} {
		t.Run(name, func(t *testing.T) {
			p := publish(t, []byte(emptyModule), o)
			var find *oci.Client
			pull := func(want bool) {
				t.Helper()
				// Tokens are remembered by a client.
				find = client(t, oci.Options{CACerts: cas(p.reg), Credential: oci.FindCredential})
				if _, err := find.Pull(t.Context(), p.ref); (err == nil) != want {
					t.Errorf("%v", err)
				}
			}
			dockerConfig(t, map[string]any{})
			pull(false)
			dockerConfig(t, map[string]any{"auths": map[string]any{p.reg.Host: map[string]string{"auth": encoded(ocitest.User, ocitest.Password)}}})
			pull(true)
			dockerConfig(t, map[string]any{"auths": map[string]any{"other.example": map[string]string{"auth": encoded(ocitest.User, ocitest.Password)}}})
			pull(false)
			if o.Auth == ocitest.Token {
				dockerConfig(t, map[string]any{"auths": map[string]any{p.reg.Host: map[string]string{"identitytoken": ocitest.IdentityToken}}})
				pull(true)
				dockerConfig(t, map[string]any{"auths": map[string]any{p.reg.Host: map[string]string{"registrytoken": "access-77aa31"}}})
				pull(true)
			}

			dockerConfig(t, map[string]any{})
			t.Setenv("ASHLAR_OCI_USERNAME", ocitest.User)
			t.Setenv("ASHLAR_OCI_PASSWORD", ocitest.Password)
			find = client(t, oci.Options{CACerts: cas(p.reg), Credential: oci.FindCredential})
			if _, err := find.Pull(t.Context(), p.ref); err == nil || !strings.Contains(err.Error(), "ASHLAR_OCI_REGISTRY") {
				t.Errorf("without saying for whom: %v", err)
			}
			t.Setenv("ASHLAR_OCI_REGISTRY", "other.example")
			pull(false)
			t.Setenv("ASHLAR_OCI_REGISTRY", p.reg.Host)
			pull(true)

			if runtime.GOOS == "windows" {
				return
			}
			t.Setenv("ASHLAR_OCI_USERNAME", "")
			t.Setenv("ASHLAR_OCI_PASSWORD", "")
			bin := t.TempDir()
			script := fmt.Sprintf("#!/bin/sh\nread server\n[ \"$1 $server\" = \"get %s\" ] || { echo credentials not found in native keychain; exit 1; }\necho '{\"ServerURL\":\"%[1]s\",\"Username\":\"%s\",\"Secret\":\"%s\"}'\n", p.reg.Host, ocitest.User, ocitest.Password)
			if err := os.WriteFile(filepath.Join(bin, "docker-credential-test"), []byte(script), 0o700); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
			dockerConfig(t, map[string]any{"credHelpers": map[string]string{p.reg.Host: "test"}})
			pull(true)
			dockerConfig(t, map[string]any{"credsStore": "test"})
			pull(true)
		})
	}
}

// With tokens, everybody may read where the registry lets them.
func TestAnonymousToken(t *testing.T) {
	p := publish(t, []byte(emptyModule), ocitest.Options{Auth: ocitest.Token, Anonymous: true})
	c := client(t, oci.Options{})
	if _, err := c.Pull(t.Context(), p.ref); err != nil {
		t.Error(err)
	}
	_, err := c.Push(t.Context(), ref(t, p.reg.Host+"/ns/app:2"), artifact(t, []byte(emptyModule+"\x00\x02\x01x")))
	var ue *oci.UnauthorizedError
	if !errors.As(err, &ue) || !ue.Anonymous {
		t.Errorf("push: %v", err)
	}
}

// No error and nothing printable shows a secret, though the registry says it.
func TestSecretsAreNotShown(t *testing.T) {
	const secret = "s3cret-that-is-wrong"
	for name, o := range map[string]ocitest.Options{"basic": {Auth: ocitest.Basic}, "token": {Auth: ocitest.Token}} {
		p := publish(t, []byte(emptyModule), o)
		for _, cred := range []oci.Credential{
			{Username: "u", Password: secret}, {IdentityToken: secret}, {AccessToken: secret}, {Username: "u", IdentityToken: secret},
		} {
			c := client(t, oci.Options{Credential: func(context.Context, string) (oci.Credential, error) { return cred, nil }})
			_, err := c.Pull(t.Context(), p.ref)
			if err == nil {
				t.Fatalf("%s: %v is let in", name, cred)
			}
			_, _, login := c.Login(t.Context(), p.reg.Host, cred)
			texts := []string{err.Error(), fmt.Sprintf("%+v %#v", err, err), fmt.Sprint(login), fmt.Sprintf("%v %+v %#v %s", cred, cred, cred, cred)}
			for _, text := range texts {
				if strings.Contains(text, secret) || strings.Contains(text, encoded("u", secret)) {
					t.Errorf("%s: %s", name, text)
				}
			}
		}
	}
}

// Contents may be elsewhere; credentials do not go there, and nothing goes
// unencrypted to where that was not allowed.
func TestRedirects(t *testing.T) {
	var leaked atomic.Pointer[string]
	var p *published
	storage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a := r.Header.Get("Authorization"); a != "" {
			leaked.Store(&a)
		}
		if r.URL.Query().Get("signature") != "secret-signature" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_, _ = w.Write(p.wasm)
	}))
	defer storage.Close()
	p = publish(t, bigModule(10_000), ocitest.Options{Auth: ocitest.Basic})
	redirect := func(to string) {
		p.set(func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != p.blob {
				return false
			}
			http.Redirect(w, r, to, http.StatusTemporaryRedirect)
			return true
		})
	}
	redirect(storage.URL + "/x?signature=secret-signature")
	o := oci.Options{Credential: as(ocitest.User, ocitest.Password)}
	if _, err := client(t, o).Pull(t.Context(), p.ref); err != nil {
		t.Error(err)
	}
	if s := leaked.Load(); s != nil {
		t.Errorf("storage got %s", *s)
	}
	redirect(storage.URL + "/x?signature=other-signature")
	if _, err := client(t, o).Pull(t.Context(), p.ref); err == nil || strings.Contains(err.Error(), "other-signature") {
		t.Errorf("%v", err)
	}
	redirect("http://storage.example/x?signature=other-signature")
	if _, err := client(t, o).Pull(t.Context(), p.ref); err == nil || !strings.Contains(err.Error(), "plain HTTP to storage.example is not allowed") || strings.Contains(err.Error(), "other-signature") {
		t.Errorf("%v", err)
	}
}

func TestPlainHTTP(t *testing.T) {
	if _, err := client(t, oci.Options{RetryWait: 1}).Pull(t.Context(), ref(t, "registry.invalid/a:1")); err == nil || strings.Contains(err.Error(), "http://") {
		t.Errorf("%v", err)
	}
	if _, err := client(t, oci.Options{RetryWait: 1, PlainHTTP: []string{"registry.invalid"}}).Pull(t.Context(), ref(t, "registry.invalid/a:1")); err == nil || !strings.Contains(err.Error(), "http://") {
		t.Errorf("%v", err)
	}
	for _, bad := range []oci.Options{
		{PlainHTTP: []string{"http://x"}}, {CACerts: [][]byte{[]byte("no PEM")}},
		{Mirrors: map[string][]string{"x": {"y"}}}, {Mirrors: map[string][]string{"example.com": {"mirror.example/UP"}}},
	} {
		if _, err := oci.NewClient(bad); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}
