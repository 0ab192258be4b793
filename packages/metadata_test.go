package packages

import "testing"

func TestMetadata(t *testing.T) {
	for text, want := range map[string]struct {
		protocol string
		oci      OCIMetadata
	}{
		`{"preferredProtocol": "oci", "oci": {"registry": "GHCR.io", "namespacePrefix": "webassembly/"}}`: {"oci", OCIMetadata{"ghcr.io", "webassembly/"}},
		`{"ociRegistry": "ghcr.io", "ociNamespacePrefix": "webassembly/"}`:                                {"oci", OCIMetadata{"ghcr.io", "webassembly/"}},
		`{"oci": {"registry": "a", "later": [1]}}`:                                                        {"oci", OCIMetadata{Registry: "a"}},
		`{"oci": {"registry": "a"}, "other": {}}`:                                                         {"", OCIMetadata{Registry: "a"}},
		`{"ociRegistry": "a", "other": {}}`:                                                               {"other", OCIMetadata{Registry: "a"}},
		`{"ociRegistry": "a", "oci": {"registry": "b", "namespacePrefix": "p/"}}`:                         {"oci", OCIMetadata{"a", "p/"}},
		`{"preferredProtocol": null, "ociRegistry": null}`:                                                {"", OCIMetadata{}},
		`{}`: {"", OCIMetadata{}},
	} {
		d, err := ParseMetadata([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		o, err := d.OCI()
		if err != nil || o != want.oci || d.Protocol() != want.protocol {
			t.Errorf("%s: %q %+v (%v), expected %+v", text, d.Protocol(), o, err, want)
		}
		b, err := d.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseMetadata(b)
		if err != nil {
			t.Fatal(err)
		}
		if o, err := again.OCI(); err != nil || o != want.oci || again.Protocol() != want.protocol {
			t.Errorf("%s encodes as %s", text, b)
		}
	}
	for _, text := range []string{``, `[]`, `null`, `{"oci": null}`, `{"oci": 1}`, `{"preferredProtocol": 1}`, "{\"a\xff\": {}}"} {
		if _, err := ParseMetadata([]byte(text)); err == nil {
			t.Errorf("%s is valid", text)
		}
	}
	for _, text := range []string{`{"oci": {"registry": 1}}`, `{"oci": {"registry": "https://a"}}`, `{"ociRegistry": "a/b"}`} {
		d, err := ParseMetadata([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if o, err := d.OCI(); err == nil {
			t.Errorf("%s: %+v", text, o)
		}
	}
}

func FuzzMetadata(f *testing.F) {
	f.Add([]byte(`{"preferredProtocol": "oci", "oci": {"registry": "ghcr.io", "namespacePrefix": "w/"}}`))
	f.Add([]byte(`{"ociRegistry": "a", "other": {}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := ParseMetadata(b)
		if err != nil {
			return
		}
		o, err := d.OCI()
		enc, encErr := d.Encode()
		if encErr != nil {
			t.Fatal(encErr)
		}
		again, againErr := ParseMetadata(enc)
		if len(enc) > maxMetadata {
			return
		}
		if againErr != nil {
			t.Fatal(againErr)
		}
		if o2, err2 := again.OCI(); o2 != o || (err == nil) != (err2 == nil) {
			t.Fatalf("%s encodes as %s", b, enc)
		}
	})
}
