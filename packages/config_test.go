package packages

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const exampleConfig = `
default_registry = "acme.example"

[namespace_registries]
wasi = "wasi.example"
another = { registry = "another", metadata = { preferredProtocol = "oci", "oci" = { registry = "ghcr.example", namespacePrefix = "webassembly/" } } }

[package_registry_overrides]
"example:foo" = "Foo.Example:8080"
"wasi:http" = { registry = "mine", metadata = { ociRegistry = "[::1]:5000" } }

[registry."acme.example"]
type = "oci"

[registry."acme.example".oci]
auth = { username = "open", password = "sesame-secret" }
protocol = "http"
accept_invalid_certificates = true
a_key_of_tomorrow = 1
[[registry."acme.example".oci.extra_root_certificates]]
encoding = "pem"
data = """
text
"""

[registry."acme.example".local]
root = "/a/path"

[registry."foo.example:8080".oci]
auth = "cGluZzpwb25nOnNlc2FtZS1zZWNyZXQ="
`

func TestConfig(t *testing.T) {
	c := DefaultConfig()
	if m, ok := c.Registry(Ref{"wasi", "io"}); !ok || m.Registry != "wasi.dev" {
		t.Errorf("wasi:io without a configuration is in %v", m)
	}
	if m, ok := c.Registry(Ref{"my", "io"}); ok {
		t.Errorf("my:io without a configuration is in %v", m)
	}
	file, err := ParseConfig([]byte(exampleConfig))
	if err != nil {
		t.Fatal(err)
	}
	c.Merge(file)
	for ref, want := range map[Ref]string{
		{"wasi", "io"}: "wasi.example", {"wasi", "http"}: "mine", {"another", "x"}: "another",
		{"example", "foo"}: "foo.example:8080", {"example", "bar"}: "acme.example",
		{"ba", "x"}: "acme.example", // the default comes before what is known
	} {
		if m, ok := c.Registry(ref); !ok || m.Registry != want {
			t.Errorf("%s is in %q, expected %q", ref, m.Registry, want)
		}
	}
	o, err := c.Namespaces["another"].Metadata.OCI()
	if want := (OCIMetadata{"ghcr.example", "webassembly/"}); err != nil || o != want {
		t.Errorf("metadata of another: %v (%v)", o, err)
	}
	if o, err := c.Packages[Ref{"wasi", "http"}].Metadata.OCI(); err != nil || o.Registry != "[::1]:5000" {
		t.Errorf("metadata of wasi:http: %v (%v)", o, err)
	}

	acme := c.Registries["acme.example"]
	oci, err := acme.OCI()
	if err != nil {
		t.Fatal(err)
	}
	if acme.Backend() != "oci" || oci.Protocol != "http" || !oci.AcceptInvalidCertificates || len(oci.ExtraRootCertificates) != 1 || string(oci.ExtraRootCertificates[0].Data) != "text\n" {
		t.Errorf("acme.example: %s %+v", acme.Backend(), oci)
	}
	if oci.Auth.Username != "open" || oci.Auth.Password.Reveal() != "sesame-secret" {
		t.Errorf("user of acme.example: %s %s", oci.Auth.Username, oci.Auth.Password.Reveal())
	}
	if root, err := acme.LocalRoot(); err != nil || root != "/a/path" {
		t.Errorf("root of acme.example: %s (%v)", root, err)
	}
	foo, err := c.Registries["foo.example:8080"].OCI()
	if err != nil || foo.Auth.Username != "ping" || foo.Auth.Password.Reveal() != "pong:sesame-secret" {
		t.Errorf("user of foo.example: %+v (%v)", foo.Auth, err)
	}
	if b := c.Registries["foo.example:8080"].Backend(); b != "oci" {
		t.Errorf("the only backend of foo.example is %q", b)
	}
}

// Settings of a backend are merged key by key, and nothing that was merged changes.
func TestConfigMerge(t *testing.T) {
	first, err := ParseConfig([]byte(exampleConfig))
	if err != nil {
		t.Fatal(err)
	}
	second, err := ParseConfig([]byte(`registry."ACME.example".oci = { protocol = "https" }`))
	if err != nil {
		t.Fatal(err)
	}
	var c Config
	c.Merge(first)
	c.Merge(second)
	o, err := c.Registries["acme.example"].OCI()
	if err != nil || o.Protocol != "https" || o.Auth == nil || c.DefaultRegistry != "acme.example" {
		t.Errorf("merged: %+v (%v)", o, err)
	}
	if o, _ := first.Registries["acme.example"].OCI(); o.Protocol != "http" {
		t.Error("merging changed what was merged")
	}
}

func TestConfigInvalid(t *testing.T) {
	for text, want := range map[string]string{
		`x = 1`:                                  "unknown key",
		`default_registry = 1`:                   "no string",
		`default_registry = "https://a.example"`: "HOST",
		`default_registry = "user:password@a.example"`:                  "HOST",
		`namespace_registries = 1`:                                      "no table",
		`namespace_registries.A = "a"`:                                  "label",
		`namespace_registries.a = 1`:                                    "expected the name",
		`namespace_registries.a = { registry = "a" }`:                   "expected the name",
		`namespace_registries.a = { registry = "a", metadata = {x=1} }`: "metadata",
		`package_registry_overrides.a = "a"`:                            "namespace:name",
		`registry.a = 1`:                                                "no table",
		`registry.a.oci = 1`:                                            "no table",
		`registry.a.default = {}`:                                       "no string",
		"registry.a.default = 'oci'\nregistry.a.type = 'oci'":           "mean the same",
		"registry.a.oci = {}\nregistry.A.oci = {}":                      "twice",
		`registry."a/b".oci = {}`:                                       "HOST",
		`registry`:                                                      "line 1",
		strings.Repeat("#", maxConfig+1):                                "more than",
	} {
		if _, err := ParseConfig([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, expected %q", text, err, want)
		}
	}
	for text, want := range map[string]string{
		`auth = "?"`:                "base64",
		`auth = "cGluZw=="`:         "USERNAME:PASSWORD",
		`auth = { username = "a" }`: "username and password",
		`auth = { username = "a", password = "b", x = "c" }`: "username and password",
		`protocol = "ftp"`:                                        "https",
		`accept_invalid_certificates = "yes"`:                     "true or false",
		`extra_root_certificates = 1`:                             "no list",
		`extra_root_certificates = [{encoding = "x", data = ""}]`: "encoding",
	} {
		c, err := ParseConfig([]byte("[registry.a.oci]\n" + text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if _, err := c.Registries["a"].OCI(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %q", text, err, want)
		}
	}
}

// No way of printing a configuration tells a secret, and no error does.
func TestConfigTellsNoSecret(t *testing.T) {
	c, err := ParseConfig([]byte(exampleConfig))
	if err != nil {
		t.Fatal(err)
	}
	oci, err := c.Registries["acme.example"].OCI()
	if err != nil {
		t.Fatal(err)
	}
	type hidden struct {
		c *Config
		v Config
		o OCIConfig
		r map[string]RegistryConfig
	}
	for _, v := range []any{c, *c, oci, &oci, oci.Auth, *oci.Auth, oci.Auth.Password, c.Registries["acme.example"], hidden{c, *c, oci, c.Registries}, &hidden{c, *c, oci, c.Registries}} {
		var out bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb, v)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("text", "value", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("json", "value", v)
		if b, err := json.Marshal(v); err == nil {
			out.Write(b)
		}
		for _, secret := range []string{"sesame-secret", fmt.Sprintf("%x", "sesame-secret"), "cGluZzpwb25n"} {
			if strings.Contains(out.String(), secret) {
				at := strings.Index(out.String(), secret)
				t.Errorf("%T tells a secret: ...%s", v, out.String()[max(0, at-60):at+len(secret)])
			}
		}
	}
	for _, text := range []string{
		`[registry.a.oci]` + "\n" + `auth = { username = "a", password = "sesame-secret" `,
		`[registry.a.oci]` + "\n" + `auth = { username = "a", password = "sesame-secret\q" }`,
		`registry.a.oci.auth = "sesame-secret"` + "\n" + `registry.a.oci.auth = "sesame-secret"`,
	} {
		if _, err := ParseConfig([]byte(text)); err == nil || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestReadConfig(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	t.Setenv("APPDATA", dir)
	c, err := ReadConfig("")
	if err != nil || c.DefaultRegistry != "" {
		t.Fatalf("without a file: %v %v", c, err)
	}
	if _, err := ReadConfig(filepath.Join(dir, "missing.toml")); err == nil {
		t.Error("a file that was named and is not there is no error")
	}
	path := filepath.Join(dir, "wasm-pkg", "config.toml")
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(exampleConfig), 0o666); err != nil {
		t.Fatal(err)
	}
	if c, err = ReadConfig(""); err != nil || c.DefaultRegistry != "acme.example" {
		t.Errorf("with a file: %v %v", c, err)
	}
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte(exampleConfig))
	f.Add([]byte(`registry.a = { type = "x", x = {} }`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 4096 {
			return
		}
		c, err := ParseConfig(b)
		if err != nil {
			return
		}
		d := DefaultConfig()
		d.Merge(c)
		for name, r := range d.Registries {
			if again, err := ParseRegistry(name); err != nil || again != name {
				t.Fatalf("registry %q", name)
			}
			_, _ = r.OCI()
			_, _ = r.LocalRoot()
		}
		for _, m := range d.Namespaces {
			if m.Metadata != nil {
				_, _ = m.Metadata.OCI()
			}
		}
	})
}
