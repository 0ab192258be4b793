package packages

import (
	"context"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

func mustRef(t testing.TB, s string) Ref {
	t.Helper()
	r, err := ParseRef(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustVersion(t testing.TB, s string) Version {
	t.Helper()
	v, err := ParseVersion(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func mustConfig(t testing.TB, text string) *Config {
	t.Helper()
	c, err := ParseConfig([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLocal(t *testing.T) {
	ctx, l, p := context.Background(), Local(t.TempDir()), mustRef(t, "a:b")
	if _, err := l.Versions(ctx, p); !errors.Is(err, ErrNotFound) {
		t.Errorf("versions of what is not there: %v", err)
	}
	v := mustVersion(t, "1.0.0-a+b")
	published, err := l.Publish(ctx, p, v, []byte("content"))
	if err != nil {
		t.Fatal(err)
	}
	// echo -n content | sha256sum
	if want := Digest("sha256:ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"); published.Digest != want {
		t.Errorf("digest %s, expected %s", published.Digest, want)
	}
	if _, err := l.Publish(ctx, p, v, []byte("other")); !errors.Is(err, ErrExists) {
		t.Errorf("published again: %v", err)
	}
	r, err := l.Release(ctx, p, v)
	if err != nil || r != published {
		t.Errorf("release %v (%v)", r, err)
	}
	if b, err := l.Content(ctx, p, r); err != nil || string(b) != "content" {
		t.Errorf("content %q (%v)", b, err)
	}
	if _, err := l.Release(ctx, p, mustVersion(t, "2.0.0")); !errors.Is(err, ErrNotFound) {
		t.Errorf("release that is not there: %v", err)
	}
	for _, name := range []string{"2.0.0.yanked", "2.0.0.wasm", "latest.wasm", "3.0.0.txt"} {
		if err := os.WriteFile(l.folder(p)+"/"+name, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	all, err := l.Versions(ctx, p)
	if err != nil || len(all) != 2 || all[0] != (VersionInfo{v, false}) || all[1] != (VersionInfo{mustVersion(t, "2.0.0"), true}) {
		t.Errorf("versions %v (%v)", all, err)
	}
	if err := os.WriteFile(l.file(p, v), []byte("changed"), 0o666); err != nil {
		t.Fatal(err)
	}
	var d *DigestError
	if _, err := l.Content(ctx, p, r); !errors.As(err, &d) {
		t.Errorf("content that was changed: %v", err)
	}
}

// registryServer answers at the well-known path.
func registryServer(t *testing.T, tls bool, answer func() (int, string)) (host, ca string) {
	t.Helper()
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/.well-known/wasm-pkg/registry.json" {
			http.NotFound(w, r)
			return
		}
		status, body := answer()
		if status == http.StatusFound {
			w.Header().Set("Location", body)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
	if !tls {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return strings.TrimPrefix(s.URL, "http://"), ""
	}
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "https://"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
}

func TestClientLocation(t *testing.T) {
	asked := 0
	mapped := func() (int, string) {
		asked++
		return 200, `{"oci": {"registry": "ghcr.example", "namespacePrefix": "w/"}}`
	}
	plain, _ := registryServer(t, false, mapped)
	secure, ca := registryServer(t, true, mapped)
	empty, _ := registryServer(t, false, func() (int, string) { return 404, "" })
	broken, _ := registryServer(t, false, func() (int, string) { return 500, "" })
	evil, _ := registryServer(t, false, func() (int, string) { return 200, `{"local": {"root": "/etc"}}` })
	huge, _ := registryServer(t, false, func() (int, string) { return 200, `{"oci":{}}` + strings.Repeat(" ", maxMetadata) })
	downgrade, ca2 := registryServer(t, true, func() (int, string) { return http.StatusFound, "http://" + plain + MetadataPath })
	root := t.TempDir()
	config := mustConfig(t, `
default_registry = "`+plain+`"
[namespace_registries]
secure = "`+secure+`"
plain-to-secure = "insecure.example"
empty = "`+empty+`"
broken = "`+broken+`"
evil = "`+evil+`"
huge = "`+huge+`"
down = "`+downgrade+`"
said = { registry = "key", metadata = { oci = { registry = "there.example" } } }
folder = "folder"
odd = "odd"
[registry."`+secure+`".oci]
protocol = "https"
extra_root_certificates = [{ encoding = "pem", data = """`+ca+`""" }]
[registry."`+downgrade+`".oci]
protocol = "https"
extra_root_certificates = [{ encoding = "pem", data = """`+ca2+`""" }]
[registry.folder.local]
root = '`+root+`'
[registry.odd.warg]
x = 1
`)
	var opened []OCIRegistry
	o := ClientOptions{Config: config, CacheDir: t.TempDir(), Getenv: func(name string) string {
		if name == "WKG_REGISTRY_GHCR_EXAMPLE_AUTH_BEARER" {
			return "token"
		}
		return ""
	}, OpenOCI: func(r OCIRegistry) (Source, error) {
		opened = append(opened, r)
		return Local(root), nil
	}}
	c, err := NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for p, want := range map[string]Location{
		"other:x":  {plain, "oci", "", "ghcr.example", "w/"},
		"secure:x": {secure, "oci", "", "ghcr.example", "w/"},
		"empty:x":  {empty, "oci", "", empty, ""},
		"said:x":   {"key", "oci", "", "there.example", ""},
		"folder:x": {"folder", "local", root, "", ""},
	} {
		for range 2 {
			if _, l, err := c.Source(ctx, mustRef(t, p)); err != nil || l != want {
				t.Errorf("%s is at %+v (%v), expected %+v", p, l, err, want)
			}
		}
	}
	if len(opened) != 4 || asked != 2 {
		t.Errorf("opened %d registries, asked %d times", len(opened), asked)
	}
	for _, r := range opened {
		want := ""
		if r.Host == "ghcr.example" {
			want = "token"
		}
		if r.Bearer.Reveal() != want {
			t.Errorf("%s gets the token %q", r.Host, r.Bearer.Reveal())
		}
	}
	for p, want := range map[string]string{
		"broken:x": "status 500", "evil:x": "only config.toml may", "huge:x": "more than",
		"down:x": "no TLS", "odd:x": "unknown backend",
	} {
		if _, l, err := c.Source(ctx, mustRef(t, p)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is at %+v (%v), expected %q", p, l, err, want)
		}
	}

	// What was learned is known offline, and nothing else.
	o.Offline = true
	if c, err = NewClient(o); err != nil {
		t.Fatal(err)
	}
	if _, l, err := c.Source(ctx, mustRef(t, "other:x")); err != nil || l.Host != "ghcr.example" {
		t.Errorf("offline: %+v (%v)", l, err)
	}
	stale := `{"fetched": "2020-01-01T00:00:00Z"}`
	if err := os.WriteFile(c.metadataFile(empty), []byte(stale), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, l, err := c.Source(ctx, mustRef(t, "empty:x")); err != nil || l.Host != empty {
		t.Errorf("offline: %+v (%v)", l, err)
	}
	if _, _, err := c.Source(ctx, mustRef(t, "broken:x")); !errors.Is(err, ErrOffline) {
		t.Errorf("offline, without metadata: %v", err)
	}

	// The registry that was chosen has everything.
	o.Offline, o.Registry = false, "KEY"
	if c, err = NewClient(o); err != nil {
		t.Fatal(err)
	}
	if _, l, err := c.Source(ctx, mustRef(t, "said:x")); err != nil || l.Host != "there.example" {
		t.Errorf("chosen: %+v (%v)", l, err)
	}
	if !opened[len(opened)-1].Chosen {
		t.Error("the registry does not know that it was chosen")
	}
	if r, err := c.Registry(mustRef(t, "folder:x")); err != nil || r != "key" {
		t.Errorf("chosen: %s (%v)", r, err)
	}

	var none *NoRegistryError
	if c, err = NewClient(ClientOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Source(ctx, mustRef(t, "my:x")); !errors.As(err, &none) {
		t.Errorf("no registry: %v", err)
	}
}

func TestBearerVariable(t *testing.T) {
	for host, want := range map[string]string{
		"example.com": "WKG_REGISTRY_EXAMPLE_COM_AUTH_BEARER", "localhost:8008": "WKG_REGISTRY_LOCALHOST_8008_AUTH_BEARER",
	} {
		if got := BearerVariable(host); got != want {
			t.Errorf("%s has %s, expected %s", host, got, want)
		}
	}
}
