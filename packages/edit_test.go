package packages

import (
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEditTOML(t *testing.T) {
	const doc = "# mine\n[overrides]   # o\n\"a:b\" = { path = \"x#y\" } # why\n\n# behind\n[overrides.\"c:d\"]\npath = 'z' # deep\nversion = \"1\"\n\n[metadata]\ndescription = \"d\"\n"
	for _, test := range []struct{ doc, path, value, want string }{
		{doc, "overrides a:b", `{ version = "1" }`, strings.Replace(doc, `{ path = "x#y" }`, `{ version = "1" }`, 1)},
		{doc, "overrides e:f", `{ path = "p" }`, strings.Replace(doc, "# why\n", "# why\n\"e:f\" = { path = \"p\" }\n", 1)},
		{doc, "overrides a:b", "", strings.Replace(doc, "\"a:b\" = { path = \"x#y\" } # why\n", "", 1)},
		{doc, "overrides c:d", "", strings.Replace(doc, "[overrides.\"c:d\"]\npath = 'z' # deep\nversion = \"1\"\n", "", 1)},
		{doc, "overrides c:d path", `"q"`, strings.Replace(doc, "'z'", `"q"`, 1)},
		{doc, "overrides none:such", "", doc},
		{doc, "top", "1", strings.Replace(doc, "# mine\n", "top = 1\n# mine\n", 1)},
		{"a = 1\nb = 2 # two\n\n[t]\n", "c", "3", "a = 1\nb = 2 # two\nc = 3\n\n[t]\n"},
		{"a = 1\nb = 2 # two\n\n[t]\n", "b", `"x"`, "a = 1\nb = \"x\" # two\n\n[t]\n"},
		{"", "a", "1", "a = 1\n"},
		{"", "t a:b", "1", "[t]\n\"a:b\" = 1\n"},
		{"a = 1", "t b", "1", "a = 1\n\n[t]\nb = 1\n"},
		{"[t]", "t b", "1", "[t]\nb = 1\n"},
		{"[t]\na = 1\n[u]\na = 1\n", "t b", "2", "[t]\na = 1\nb = 2\n[u]\na = 1\n"},
		{"[t]\na = \"\"\"\n[u]\n\"\"\"\n[u]\nb = 1\n", "u b", "2", "[t]\na = \"\"\"\n[u]\n\"\"\"\n[u]\nb = 2\n"},
		{"t.a = 1\nt.b = 2\n", "t a", "", "t.b = 2\n"},
		{"[t]\r\na = 1\r\n", "t a", "2", "[t]\r\na = 2\r\n"},
		{"\ufeff[t]\r\na = 1\r\n", "t b", "2", "\ufeff[t]\r\na = 1\r\nb = 2\r\n"},
		{"\ufeffa = 1\r\n", "t b", "2", "\ufeffa = 1\r\n\r\n[t]\r\nb = 2\r\n"},
		{"\ufeffa = 1\n", "a", "2", "\ufeffa = 2\n"},
	} {
		got, err := editTOML([]byte(test.doc), strings.Fields(test.path), test.value, 1000)
		if err != nil || string(got) != test.want {
			t.Errorf("%q in\n%s\nis\n%s(%v), expected\n%s", test.path, test.doc, got, err, test.want)
		}
	}
	for _, test := range []struct{ doc, path, value string }{
		{"t = { a = 1 }\n", "t b", "2"},
		{"t = 1\n", "t b", "2"},
		{"t = { a = 1 }\n", "t a", ""},
		{"[t]\na = [\n1,\n]\n", "t a", "2"},
		{"[t]\na = \"\"\"\nx\"\"\"\n", "t a", ""},
		{"t = ", "t", "2"},
		{"", "t", "not TOML"},
	} {
		if got, err := editTOML([]byte(test.doc), strings.Fields(test.path), test.value, 1000); err == nil {
			t.Errorf("%q in %q is %q", test.path, test.doc, got)
		}
	}
}

// FuzzEditTOML sets and removes, after which everything else is as it was.
func FuzzEditTOML(f *testing.F) {
	f.Add([]byte("a = 1\n[overrides]\n\"x:y\" = { path = \"p\" } # c\n"), "x:y", "v")
	f.Add([]byte("overrides.a = 1\n[[b]]\nc = '''\n[x]'''\n"), "a", "")
	f.Fuzz(func(t *testing.T, doc []byte, key, value string) {
		before, err := decodeTOML(doc, 1000)
		if err != nil || !utf8.ValidString(key) || !utf8.ValidString(value) || strings.Contains(value, "\n") {
			return
		}
		path := []string{"overrides", key}
		set, err := editTOML(doc, path, tomlString(value), 1000)
		if err != nil {
			return
		}
		after, err := decodeTOML(set, 4000)
		if err != nil {
			t.Fatalf("%q becomes %q: %v", doc, set, err)
		}
		if got := after["overrides"].(map[string]any)[key]; got != value {
			t.Errorf("%q becomes %q: %q", doc, set, got)
		}
		removed, err := editTOML(set, path, "", 4000)
		if err != nil {
			t.Fatalf("%q: %v", set, err)
		}
		again, err := decodeTOML(removed, 4000)
		if err != nil {
			t.Fatal(err)
		}
		if o, ok := before["overrides"].(map[string]any); ok {
			delete(o, key)
		}
		if !reflect.DeepEqual(withoutEmpty(before), withoutEmpty(again)) {
			t.Errorf("%q becomes %q", doc, removed)
		}
	})
}
