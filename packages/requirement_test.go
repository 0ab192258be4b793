package packages

import (
	"strings"
	"testing"
)

// What the documentation of Rust's crate semver and Cargo's reference say.
func TestRequirementMatches(t *testing.T) {
	for _, c := range []struct{ req, normal, yes, no string }{
		{"1.2.3", "^1.2.3", "1.2.3 1.2.4 1.9.0", "1.2.2 2.0.0 0.9.0 1.3.0-a"},
		{"1.2", "^1.2", "1.2.0 1.9.9", "1.1.9 2.0.0"},
		{"1", "^1", "1.0.0 1.9.9", "2.0.0 0.1.0"},
		{"0.2.3", "^0.2.3", "0.2.3 0.2.9", "0.3.0 0.2.2"},
		{"^0.0.3", "^0.0.3", "0.0.3", "0.0.4 0.0.2"},
		{"^0.0", "^0.0", "0.0.0 0.0.9", "0.1.0"},
		{"^0", "^0", "0.0.0 0.9.9", "1.0.0"},
		{"~1.2.3", "~1.2.3", "1.2.3 1.2.9", "1.3.0 1.2.2"},
		{"~1.2", "~1.2", "1.2.0 1.2.9", "1.3.0"},
		{"~1", "~1", "1.0.0 1.9.0", "2.0.0"},
		{"=1.2.3", "=1.2.3", "1.2.3 1.2.3+b", "1.2.4 1.2.3-a"},
		{"= 1.2", "=1.2", "1.2.0 1.2.9", "1.3.0"},
		{"*", "*", "0.0.0 9.9.9", "1.0.0-a"},
		{"x", "*", "0.0.0", "1.0.0-a"},
		{"1.*", "1.*", "1.0.0 1.9.0", "2.0.0"},
		{"1.2.X", "1.2.*", "1.2.0 1.2.9", "1.3.0"},
		{"1.*.*", "1.*", "1.0.0", "2.0.0"},
		{">=1.2, <1.5", ">=1.2, <1.5", "1.2.0 1.4.9", "1.5.0 1.1.0"},
		{">1.2,<=1.4.1", ">1.2, <=1.4.1", "1.3.0 1.4.1", "1.2.9 1.4.2"},
		{"1.2.3-beta.2", "^1.2.3-beta.2", "1.2.3-beta.2 1.2.3-beta.11 1.2.3 1.3.0", "1.2.3-beta.1 1.2.4-beta.3"},
		{">=1.0.0-rc.1+x", ">=1.0.0-rc.1", "1.0.0-rc.1 1.0.0", "1.0.0-beta"},
		{"<1.3, =1.3.0-a", "<1.3, =1.3.0-a", "", "1.3.0-a 1.2.0"},
		{"^1.2, =1.2.3-a", "^1.2, =1.2.3-a", "1.2.3-a", "1.2.3"},
	} {
		r, err := ParseRequirement(c.req)
		if err != nil {
			t.Error(err)
			continue
		}
		if r.String() != c.normal {
			t.Errorf("%q prints as %q, expected %q", c.req, r, c.normal)
		}
		for want, list := range map[bool]string{true: c.yes, false: c.no} {
			for s := range strings.FieldsSeq(list) {
				v, err := ParseVersion(s)
				if err != nil {
					t.Fatal(err)
				}
				if r.Matches(v) != want {
					t.Errorf("%q matches %s: %t", c.req, s, !want)
				}
			}
		}
	}
}

func TestRequirementInvalid(t *testing.T) {
	for _, s := range []string{"", " ", "a", "1.", "1.2.3.4", "01.2.3", "1.*.3", "*, 1", "* 1", "1,", "1,,2", "1 2", ">", "=>1", "1.2-a", "1.2.3-", "1.2.3-01", "1.2.3+", "18446744073709551616", "!1", "1.2.3 ||2", strings.Repeat("1,", 32) + "1"} {
		if r, err := ParseRequirement(s); err == nil {
			t.Errorf("%q is taken as %q", s, r)
		}
	}
}

func FuzzRequirement(f *testing.F) {
	for _, s := range []string{"*", "1.2.*", ">=1.2, <2", "=1.0.0-a.1+b", "^ 0.0"} {
		f.Add(s, "1.2.3-a")
	}
	f.Fuzz(func(t *testing.T, s, version string) {
		r, err := ParseRequirement(s)
		if err != nil {
			return
		}
		again, err := ParseRequirement(r.String())
		if err != nil || !again.Equal(r) {
			t.Fatalf("%q prints as %q, which is %q (%v)", s, r, again, err)
		}
		if v, err := ParseVersion(version); err == nil && r.Matches(v) != again.Matches(v) {
			t.Fatalf("%q and %q differ on %s", s, again, v)
		}
	})
}
