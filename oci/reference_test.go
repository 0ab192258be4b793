package oci_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/ashlar-wasm/ashlar/oci"
)

func TestParseReference(t *testing.T) {
	hex := strings.Repeat("0a", 32)
	d := digest.Digest("sha256:" + hex)
	drive := oci.Reference{Layout: "c", Tag: "dir"}
	if runtime.GOOS == "windows" {
		drive = oci.Reference{Layout: "c:dir"}
	}
	for text, want := range map[string]oci.Reference{
		"example.com/a":                          {Registry: "example.com", Repository: "a"},
		"example.com/ns/app:1.2.0":               {Registry: "example.com", Repository: "ns/app", Tag: "1.2.0"},
		"example.com:5000/a/b-c__d.e/f:_X":       {Registry: "example.com:5000", Repository: "a/b-c__d.e/f", Tag: "_X"},
		"localhost/a@" + d.String():              {Registry: "localhost", Repository: "a", Digest: d},
		"localhost:80/a:t@" + d.String():         {Registry: "localhost:80", Repository: "a", Tag: "t", Digest: d},
		"127.0.0.1:5000/a":                       {Registry: "127.0.0.1:5000", Repository: "a"},
		"[::1]:5000/a:1":                         {Registry: "[::1]:5000", Repository: "a", Tag: "1"},
		"registry:5000/a":                        {Registry: "registry:5000", Repository: "a"},
		"a.b/c@sha512:" + strings.Repeat(hex, 2): {Registry: "a.b", Repository: "c", Digest: digest.Digest("sha512:" + strings.Repeat(hex, 2))},
		"oci:dir":                                {Layout: "dir"},
		"oci:some/dir:1.0":                       {Layout: "some/dir", Tag: "1.0"},
		"oci:/abs/d@r:x@" + d.String():           {Layout: "/abs/d@r", Tag: "x", Digest: d},
		`oci:C:\dir`:                             {Layout: `C:\dir`},
		`oci:C:\dir:v1`:                          {Layout: `C:\dir`, Tag: "v1"},
		"oci:c:dir":                              drive,
	} {
		got, err := oci.ParseReference(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", text, diff)
		}
		if got.String() != text {
			t.Errorf("%s became %s", text, got)
		}
	}
	if r, err := oci.ParseReference("EXAMPLE.com/a"); err != nil || r.Registry != "example.com" {
		t.Errorf("%+v, %v", r, err)
	}
	for text, want := range map[string]string{
		"":                        "expected HOST/NAME",
		"app":                     "expected HOST/NAME",
		"app:1.0":                 "expected HOST/NAME",
		"alice/app":               "docker.io/alice/NAME",
		"example.com/":            "no name of a repository",
		"example.com/App":         "no name of a repository",
		"example.com/a//b":        "no name of a repository",
		"example.com/../b":        "no name of a repository",
		"example.com/a:":          "no tag",
		"example.com/a:-x":        "no tag",
		"example.com/a:a/b":       "no tag",
		"example.com/a@sha256:12": "64 hexadecimal digits",
		"example.com/a@md5:12":    "expected sha256 or sha512",
		"example.com/a@sha256:" + strings.ToUpper(hex): "64 hexadecimal digits",
		"user@example.com/a":                           "no digest",
		"user:pw@example.com/a":                        "no digest",
		"http://example.com/a":                         "no host",
		"example.com:0/a":                              "no port",
		"example.com:99999/a":                          "no port",
		"example.com:/a":                               "port is missing",
		"exa mple.com/a":                               "no host",
		"-a.b/c":                                       "no host",
		"[::1/a":                                       "no host",
		"[1.2.3.4]:1/a":                                "no host",
		"a.b/" + strings.Repeat("x", 300):              "more than 255",
		"a.b/c:" + strings.Repeat("x", 129):            "no tag",
		"oci:":                                         "expected oci:DIR",
		"oci:" + strings.Repeat("x", 5000):             "more than 4096",
		"example.com\n/a":                              "no host",
	} {
		_, err := oci.ParseReference(text)
		var re *oci.ReferenceError
		if !errors.As(err, &re) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func FuzzReference(f *testing.F) {
	for _, s := range []string{"example.com/ns/app:1.2.0", "localhost:5000/a@sha256:" + strings.Repeat("0", 64), "oci:dir:tag", "[::1]:5000/a:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := oci.ParseReference(s)
		if err != nil {
			return
		}
		again, err := oci.ParseReference(r.String())
		if err != nil || again != r {
			t.Errorf("%q is %+v, and %q is %+v, %v", s, r, r, again, err)
		}
		if strings.Contains(r.Repository, "..") && strings.Contains(r.Repository, "/../") {
			t.Errorf("%q leaves its place", s)
		}
	})
}
