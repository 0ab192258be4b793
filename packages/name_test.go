package packages

import (
	"slices"
	"strings"
	"testing"
)

func TestParseSpec(t *testing.T) {
	for in, want := range map[string]string{
		"wasi:http":              "wasi:http",
		"a-b1:c2-d@1.2":          "a-b1:c2-d@^1.2",
		"a:b@=1.0.0":             "a:b@=1.0.0",
		"a:b@*":                  "a:b",
		"a:b@>=1.0.0,<2.0.0-rc1": "a:b@>=1.0.0, <2.0.0-rc1",
	} {
		s, err := ParseSpec(in)
		if err != nil || s.String() != want {
			t.Errorf("%s is %s, expected %s (%v)", in, s, want, err)
		}
	}
	for _, in := range []string{"", "a", ":", "a:", ":b", "A:b", "a:B", "1a:b", "a:-b", "a:b-", "a:b--c", "a:b-1", "a:b:c", "a:b/c", "a:b@", "a:b@x@y", "a_b:c", "ä:b", "a:" + strings.Repeat("b", 254)} {
		if s, err := ParseSpec(in); err == nil {
			t.Errorf("%q is taken as %s", in, s)
		}
	}
}

// The order that semver.org gives in its item 11, and of build metadata the one that
// the documentation of Rust's semver::BuildMetadata gives.
func TestVersionOrder(t *testing.T) {
	ordered := strings.Fields(`1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2
		1.0.0-beta.11 1.0.0-rc.1 1.0.0 1.0.0+0 1.0.0+00 1.0.0+1 1.0.0+01 1.0.0+001 1.0.0+2 1.0.0+10 1.0.0+a
		1.0.1 1.2.0 1.10.0 2.0.0 10.0.0`)
	var versions []Version
	for _, s := range ordered {
		v, err := ParseVersion(s)
		if err != nil {
			t.Fatal(err)
		}
		versions = append(versions, v)
	}
	for i, a := range versions {
		for j, b := range versions {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := a.Compare(b); got != want {
				t.Errorf("%s compared with %s is %d", a, b, got)
			}
		}
	}
	if !slices.IsSortedFunc(versions, Version.Compare) {
		t.Error("not sorted")
	}
}

func TestTag(t *testing.T) {
	for version, tag := range map[string]string{
		"1.2.3": "1.2.3", "1.2.3-rc.1": "1.2.3-rc.1", "1.0.0+linux.5": "1.0.0_linux.5", "1.0.0-a-b+c-d": "1.0.0-a-b_c-d",
	} {
		v, err := ParseVersion(version)
		if err != nil {
			t.Fatal(err)
		}
		if v.Tag() != tag {
			t.Errorf("%s has the tag %s", version, v.Tag())
		}
		if back, err := ParseTag(tag); err != nil || back != v {
			t.Errorf("tag %s is %s (%v)", tag, back, err)
		}
	}
	for _, tag := range []string{"latest", "1.2", "1.2.3+a", "1.2.3_a_b", "sha256-0123", "v1.2.3", "1.2.3_"} {
		if v, err := ParseTag(tag); err == nil {
			t.Errorf("tag %s is taken as %s", tag, v)
		}
	}
}

func FuzzSpec(f *testing.F) {
	f.Add("wasi:http@1.2.3")
	f.Add("a:b@>=1, <2")
	f.Fuzz(func(t *testing.T, in string) {
		s, err := ParseSpec(in)
		if err != nil {
			return
		}
		if again, err := ParseSpec(s.String()); err != nil || again.String() != s.String() {
			t.Fatalf("%q prints as %q, which is %q (%v)", in, s, again, err)
		}
	})
}

func FuzzVersion(f *testing.F) {
	f.Add("1.2.3-a.1+b", "1.2.3")
	f.Fuzz(func(t *testing.T, a, b string) {
		v, err := ParseVersion(a)
		if err != nil {
			return
		}
		if v.String() != a {
			t.Fatalf("%q prints as %q", a, v)
		}
		if back, err := ParseTag(v.Tag()); err != nil || back != v {
			t.Fatalf("tag %q of %q is %q (%v)", v.Tag(), v, back, err)
		}
		if w, err := ParseVersion(b); err == nil && (v.Compare(w) != -w.Compare(v) || (v.Compare(w) == 0) != (v == w)) {
			t.Fatalf("%s and %s are ordered as %d and %d", v, w, v.Compare(w), w.Compare(v))
		}
	})
}
