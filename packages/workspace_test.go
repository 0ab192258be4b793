package packages

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func writeTree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestMembers(t *testing.T) {
	dir := writeTree(t, map[string]string{
		"[odd]/wit/o.wit":         "package w:odd@0.1.0;",
		"a/wit/a.wit":             "package w:a@0.1.0;\ninterface i { use w:b/i@0.1.0.{t}; f: func() -> t; }",
		"a/wkg.toml":              "[metadata]\ndescription = 'a'\n[overrides]\n\"x:y\" = { path = \"../y\" }\n",
		"b/wit/b.wit":             "package w:b@0.1.0;\ninterface i { use w:c/i@0.1.0.{t}; }",
		"b/wit/deps/d/d.wit":      "package w:d@0.1.0;",
		"deep/er/c/wit/c.wit":     "package w:c@0.1.0;\ninterface i { type t = u8; }",
		"deep/er/old/wit/c.wit":   "package w:c@0.2.0;\ninterface i { use w:c/i@0.1.0.{t}; }",
		"empty/wit/readme.txt":    "",
		"wit":                     "a file",
		"node_modules/x/wit/x.md": "",
	})
	for patterns, want := range map[string]string{
		"*/wit deep/er/c/wit":  "w:c@0.1.0 w:b@0.1.0 w:a@0.1.0 w:odd@0.1.0",
		"**/wit":               "w:c@0.1.0 w:b@0.1.0 w:a@0.1.0 w:c@0.2.0 w:odd@0.1.0",
		"**":                   "w:c@0.1.0 w:b@0.1.0 w:a@0.1.0 w:c@0.2.0 w:odd@0.1.0",
		"./a/wit a/wit":        "w:a@0.1.0",
		"[ab]/wit":             "w:b@0.1.0 w:a@0.1.0",
		"b/wit deep/**/c/wit/": "w:c@0.1.0 w:b@0.1.0",
	} {
		members, err := (&Workspace{Members: strings.Fields(patterns)}).MembersIn(dir)
		var got []string
		for _, m := range members {
			got = append(got, m.Name.String())
			if m.Name.Name == "a" {
				if o := m.Manifest.Overrides[mustRef(t, "x:y")]; m.Manifest.Metadata.Description != "a" || o.Path != "y" {
					t.Errorf("manifest of a: %+v", m.Manifest)
				}
			}
		}
		if strings.Join(got, " ") != want || err != nil {
			t.Errorf("%s: %s (%v), expected %s", patterns, got, err, want)
		}
	}
	if members, err := (&Workspace{Members: []string{"."}}).MembersIn(filepath.Join(dir, "[odd]", "wit")); err != nil || members[0].Name.Name != "odd" {
		t.Errorf("an odd name: %v (%v)", members, err)
	}
	w := &Workspace{Members: []string{"*/wit", "./deep/**", "../out"}}
	for dir, want := range map[string]bool{"a/wit": true, "deep": true, "deep/er/c/wit": true, "../out": true, "wit": false, "a/b/wit": false, "deep/deps/x": false, ".": false} {
		if w.Has(dir) != want {
			t.Errorf("has %s: %v", dir, !want)
		}
	}
	for patterns, want := range map[string]string{
		"":          "no members",
		"empty/wit": "empty/wit: there is no WIT",
		"nothing":   "nothing",
		"/a":        "relative",
		"../*":      "can't leave",
		"[":         "syntax error",
		"none/*":    "no members",
	} {
		if _, err := (&Workspace{Members: strings.Fields(patterns)}).MembersIn(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, expected %q", patterns, err, want)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "deep/er/c/wit/more.wit"), []byte("interface more { use w:a/i@0.1.0.{t}; }"), 0o666); err != nil {
		t.Fatal(err)
	}
	var cycle *CycleError
	_, err := (&Workspace{Members: []string{"**"}}).MembersIn(dir)
	if !errors.As(err, &cycle) || err.Error() != "packages need one another: w:a@0.1.0 needs w:b@0.1.0 needs w:c@0.1.0 needs w:a@0.1.0" {
		t.Errorf("cycle: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "b/wit/b.wit"), []byte("package w:a@0.1.0;"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := (&Workspace{Members: []string{"*/wit"}}).MembersIn(dir); err == nil || !strings.Contains(err.Error(), "are both w:a@0.1.0") {
		t.Errorf("twice: %v", err)
	}
}
