package metadata

import "testing"

func TestValidate(t *testing.T) {
	for text, want := range map[string]bool{
		"MIT": true, "GPL-2.0-or-later": true, "GPL-2.0+": true, "LicenseRef-mine": true, "DocumentRef-a:LicenseRef-b": true,
		"Apache-2.0 OR MIT": true, "(MIT AND BSD-3-Clause) OR (Apache-2.0 WITH LLVM-exception)": true, " ( ( MIT ) ) ": true,
		"MIT License": false, "Apache 2.0": false, "MIT OR": false, "OR MIT": false, "MIT, BSD": false, "(MIT": false, "MIT)": false,
		"()": false, " ": false, "MIT WITH (X)": false, "MIT OR OR BSD": false, "MIT/BSD": false, "(MIT) BSD": false, "ä": false,
	} {
		m := Metadata{Licenses: text}
		if err := m.Validate(); (err == nil) != want {
			t.Errorf("licenses %q: %v", text, err)
		}
	}
	for text, want := range map[string]bool{"https://example.com/a?b#c": true, "git+ssh://h/p": true, "example.com": false, "/a": false, "http://[": false, "not a url": false} {
		for _, m := range []Metadata{{Source: text}, {Homepage: text}} {
			if err := m.Validate(); (err == nil) != want {
				t.Errorf("URL %q: %v", text, err)
			}
		}
	}
	module := []byte("\x00asm\x01\x00\x00\x00")
	if _, err := Write(module, Metadata{Source: "here"}); err == nil {
		t.Error("wrote a source that is no URL")
	}
}
