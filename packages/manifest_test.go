package packages

import (
	"strings"
	"testing"
)

func TestManifest(t *testing.T) {
	m, err := ParseManifest([]byte(`
[overrides]
"my:dep" = { path = "../dep/wit" }
"a:b" = { version = "1.2" }
[metadata]
author = "A <a@example>"
description = "say \"hi\""
license = "Apache-2.0"
repository = "https://example/a"
homepage = "it's\na"
revision = "f\u0007"
`))
	if err != nil {
		t.Fatal(err)
	}
	if m.Overrides[mustRef(t, "my:dep")].Path != "../dep/wit" || m.Overrides[mustRef(t, "a:b")].Version.String() != "^1.2" {
		t.Errorf("overrides %+v", m.Overrides)
	}
	if m.Metadata.Authors != "A <a@example>" || m.Metadata.Licenses != "Apache-2.0" || m.Metadata.Source != "https://example/a" {
		t.Errorf("metadata %+v", m.Metadata)
	}
	// The forms of strings and tables are those of TOML's specification that Rust's
	// crate chooses when it writes prettily.
	const want = `[overrides."a:b"]
version = "^1.2"

[overrides."my:dep"]
path = "../dep/wit"

[metadata]
authors = "A <a@example>"
description = 'say "hi"'
licenses = "Apache-2.0"
source = "https://example/a"
homepage = """
it's
a"""
revision = "f\u0007"
`
	if got := string(m.Encode()); got != want {
		t.Errorf("encodes as\n%s", got)
	}
	m, err = ParseManifest([]byte("[workspace]\nmembers = ['a', 'b/*']\n[workspace.metadata]\nauthors = 'x'\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(m.Encode()), "[workspace]\nmembers = [\n    \"a\",\n    \"b/*\",\n]\n\n[workspace.metadata]\nauthors = \"x\"\n"; got != want {
		t.Errorf("encodes as\n%s", got)
	}
	for text, want := range map[string]string{
		"x = 1": "unknown key", "overrides.'a:b'.x = 1": "unknown key", "metadata.x = 'a'": "unknown key",
		"overrides.a = {}": "namespace:name", "metadata.license = 'a'\nmetadata.licenses = 'a'": "mean the same",
		"workspace.members = []\nmetadata.authors = 'x'": "beside", "workspace.members = 1": "no list", "workspace.members = [1]": "paths",
		"overrides.'a:b'.version = '!'": "requirement", "workspace.members = []\nworkspace.metadata.x = ''": "unknown key",
	} {
		if _, err := ParseManifest([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %q", text, err, want)
		}
	}
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte("[overrides]\n'a:b' = { path = \"x\" }\n[metadata]\nauthor = 'a\\'"))
	f.Add([]byte("[workspace]\nmembers = ['a']\nmetadata.source = '''\n'x\"'''"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 4096 {
			return
		}
		m, err := ParseManifest(b)
		if err != nil {
			return
		}
		enc := m.Encode()
		again, err := ParseManifest(enc)
		if err != nil || string(again.Encode()) != string(enc) {
			t.Fatalf("%q\nencodes as\n%s\n%v", b, enc, err)
		}
	})
}
