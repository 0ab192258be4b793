package packages

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/wit"
)

func TestAddStatements(t *testing.T) {
	const (
		imp  = "import acme:log/logger@1.2.0;"
		head = "package my:app@0.1.0;\n"
	)
	for _, test := range []struct{ text, world, want string }{
		{head + "world app {\n  export run: func();\n}\n", "", head + "world app {\n  " + imp + "\n  export run: func();\n}\n"},
		{head + "world app {\n}\n", "", head + "world app {\n  " + imp + "\n}\n"},
		{head + "world app { }\n", "", head + "world app { " + imp + " }\n"},
		{head + "world app {}\n", "", head + "world app { " + imp + "}\n"},
		{head + "world app { import x: func(); }", "", head + "world app { import x: func(); " + imp + " }"},
		{head + "world app {\n    import a: func(); // a { b\n    import i: interface { f: func(); }\n    export run: func();\n}\n", "",
			head + "world app {\n    import a: func(); // a { b\n    " + imp + "\n    import i: interface { f: func(); }\n    export run: func();\n}\n"},
		{head + "/* world no { } /* } */ */\nworld one {\n\timport a: func();\n}\nworld two {\n\timport b: func();\n}\n", "two",
			head + "/* world no { } /* } */ */\nworld one {\n\timport a: func();\n}\nworld two {\n\timport b: func();\n\t" + imp + "\n}\n"},
		{head + "world app {\r\n  import a: func();\r\n}\r\n", "", head + "world app {\r\n  import a: func();\r\n  " + imp + "\r\n}\r\n"},
		{head + "world app {\n  " + imp + "\n}\n", "", head + "world app {\n  " + imp + "\n}\n"},
	} {
		dir := writeTree(t, map[string]string{"a.wit": test.text, "b.wit": "interface other {}"})
		edit, err := AddStatements(dir, test.world, []Statement{{"import", "acme:log/logger@1.2.0"}})
		if err == nil {
			err = edit.Apply()
		}
		b, _ := os.ReadFile(filepath.Join(dir, "a.wit"))
		if err != nil || string(b) != test.want {
			t.Errorf("%s becomes\n%s(%v), expected\n%s", test.text, b, err, test.want)
			continue
		}
		if err := edit.Undo(); err != nil {
			t.Error(err)
		}
		if b, _ := os.ReadFile(filepath.Join(dir, "a.wit")); string(b) != test.text {
			t.Errorf("%s is undone to %s", test.text, b)
		}
		// What was added can be removed.
		if err := edit.Apply(); err != nil {
			t.Error(err)
		}
		if edit, err = RemoveStatements(dir, mustRef(t, "acme:log")); err == nil {
			err = edit.Apply()
		}
		if b, _ := os.ReadFile(filepath.Join(dir, "a.wit")); err != nil || strings.Contains(string(b), "acme:log") || strings.Join(strings.Fields(string(b)), "") != strings.Join(strings.Fields(strings.ReplaceAll(test.text, imp, "")), "") {
			t.Errorf("%s is cut to %s (%v)", test.want, b, err)
		}
	}
	for _, test := range []struct{ text, world, want string }{
		{head, "", "there is no world"},
		{head + "world a {}\nworld b {}", "", "say which, of a, b"},
		{head + "world a {}", "b", "there is no world b; there are a"},
		{head + "world a {", "", "expected"},
	} {
		_, err := AddStatements(writeTree(t, map[string]string{"a.wit": test.text}), test.world, []Statement{{"import", "acme:log/logger@1.2.0"}})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, expected %q", test.text, err, test.want)
		}
	}
}

func TestRemoveStatements(t *testing.T) {
	text := "package my:app@0.1.0;\nworld app {\n  import acme:log/logger@1.2.0; // gone\n  import acme:logs/logger@1.2.0;\n  export mine: acme:log/%other@2.0.0;\n  include acme:log/w@1.2.0 with { a as b }\n  import x: func(); import acme:log/more; import y: func();\n}\n"
	want := "package my:app@0.1.0;\nworld app {\n  import acme:logs/logger@1.2.0;\n  import x: func(); import y: func();\n}\n"
	dir := writeTree(t, map[string]string{"a.wit": text})
	edit, err := RemoveStatements(dir, mustRef(t, "acme:log"))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(edit.after[edit.Files()[0]]); got != want {
		t.Errorf("is\n%s, expected\n%s", got, want)
	}
	dir = writeTree(t, map[string]string{"a.wit": "package my:app@0.1.0;\ninterface i {\n  use acme:log/logger@1.2.0.{level};\n}\n"})
	if _, err := RemoveStatements(dir, mustRef(t, "acme:log")); err == nil || !strings.Contains(err.Error(), "a.wit:3: uses types of acme:log: use acme:log/logger@1.2.0") {
		t.Errorf("still in use: %v", err)
	}
}

func TestReplaceVersions(t *testing.T) {
	const before = "\ufeff/*\npackage not:this@1.0.0;\n*/\r\npackage my:app@0.1.0; // acme:log/logger@1.2.0\r\n" +
		"world app {\r\n  import acme:log/logger@1.2.0;\r\n  import acme:log/other@1.2.0-rc.1;\r\n  import big-acme:log/logger@1.2.0;\r\n  import acme:logs/logger@1.2.0;\r\n" +
		"  include acme:log/all@1.2.0 with { a as b }\r\n}\r\ninterface i { use acme:log/%types@1.2.0.{t}; use acme:log/types@1.1.0.{u}; }\r\n"
	after := strings.NewReplacer("acme:log/%types@1.2.0", "acme:log/%types@1.3.0", "acme:log/types@1.1.0", "acme:log/types@1.3.0", "acme:log/all@1.2.0", "acme:log/all@1.3.0",
		" acme:log/logger@1.2.0", " acme:log/logger@1.3.0").Replace(before)
	dir := writeTree(t, map[string]string{"a.wit": before})
	name := func(version string) wit.PackageName {
		return wit.PackageName{Namespace: "acme", Name: "log", Version: version}
	}
	to := mustVersion(t, "1.3.0")
	edit, err := ReplaceVersions(dir, []Reference{{name("1.1.0"), to}, {name("1.2.0"), to}})
	if err != nil {
		t.Fatal(err)
	}
	if err := edit.Apply(); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "a.wit")); string(b) != after {
		t.Errorf("becomes\n%s, expected\n%s", b, after)
	}
	if p, _, err := ReadPackage(dir); err != nil || p.String() != "my:app@0.1.0" {
		t.Errorf("the package is %s (%v)", p, err)
	}
}

func TestSetRegistry(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "deep", "config.toml")
	for _, e := range [][2]string{{"default", "acme.example"}, {"wasi", "GHCR.io"}, {"a:b", "localhost:5000"}, {"mine", filepath.Join(dir, "My Packages")}, {"default", "other.example"}} {
		if _, err := SetRegistry(file, e[0], e[1]); err != nil {
			t.Fatal(err)
		}
	}
	c, err := ReadConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	root, err := c.Registries["my-packages.local"].LocalRoot()
	if c.DefaultRegistry != "other.example" || c.Namespaces["wasi"].Registry != "ghcr.io" || c.Packages[mustRef(t, "a:b")].Registry != "localhost:5000" ||
		c.Namespaces["mine"].Registry != "my-packages.local" || root != filepath.Join(dir, "My Packages") {
		t.Errorf("the configuration is %+v, %s (%v)", c, root, err)
	}
	for _, e := range [][2]string{{"A", "x"}, {"a:B", "x"}, {"a", "http://x"}, {"a", "x y"}, {"a", "ghcr.io/x"}, {"mine", filepath.Join(dir, "other", "My Packages")}} {
		if _, err := SetRegistry(file, e[0], e[1]); err == nil {
			t.Errorf("%s is set", e)
		}
	}
}

// FuzzEditWIT edits worlds of any text. What is written reads as the text did, but for
// what was to change.
func FuzzEditWIT(f *testing.F) {
	for _, s := range []string{
		"package a:b;\nworld w {\n  import x: func(); // c\n}\n",
		"package a:b;\nworld w { import c:d/e@1.0.0; export c:d/f@1.0.0; include c:d/g@1.0.0 with { h as i } }\n/* /* } */ world v {} */",
		"package a:b;\n@since(version = 1.0.0)\nworld %world { use c:d/e@1.0.0.{f}; }\ninterface world { }",
	} {
		f.Add(s, "w")
	}
	f.Fuzz(func(t *testing.T, text, world string) {
		if len(text) > 4096 || strings.Contains(text, "\x00asm") {
			return
		}
		if code := blankComments(text); len(code) != len(text) || strings.Count(code, "\n") != strings.Count(text, "\n") {
			t.Fatalf("blanks of %q are %q", text, code)
		}
		dir := t.TempDir()
		file := filepath.Join(dir, "a.wit")
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		before, err := references(&overlay{files: map[string][]byte{"a.wit": []byte(text)}})
		if err != nil {
			return
		}
		edit, err := AddStatements(dir, world, []Statement{{"import", "acme:log/logger@1.2.0"}})
		if err != nil {
			return
		}
		if err := edit.Apply(); err != nil {
			t.Fatal(err)
		}
		if edit, err = RemoveStatements(dir, Ref{"acme", "log"}); err != nil {
			return // it may be in use otherwise
		}
		if err := edit.Apply(); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		after, err := references(&overlay{files: map[string][]byte{"a.wit": b}})
		if err != nil {
			t.Fatalf("%q becomes %q: %v", text, b, err)
		}
		for _, n := range before {
			if n.Namespace != "acme" && !slices.Contains(after, n) {
				t.Errorf("%q becomes %q, without %s", text, b, n)
			}
		}
	})
}
