package wit_test

import (
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/wit"
)

func TestMergePackages(t *testing.T) {
	const head = "package acme:log@1.2.0;\n"
	names := func(p *wit.Package) string {
		var all []string
		for _, i := range p.Interfaces {
			for _, t := range i.Types {
				all = append(all, i.Name+"."+t.Name)
			}
			for _, f := range i.Functions {
				all = append(all, i.Name+"."+f.Name)
			}
		}
		return strings.Join(all, " ")
	}
	for _, test := range []struct{ a, b, want string }{
		{"interface i { type t = u8; f: func(a: t); }", "interface i { type t = u8; f: func(a: t); }", "i.t i.f"},
		{"interface i { type t = u8; f: func(a: t); }", "interface i { type u = u16; g: func() -> u; }\ninterface j { h: func(); }", "i.t i.u i.f i.g j.h"},
		{"interface i { resource r { m: func(); } }", "interface i { resource r { n: func(); } f: func(r: borrow<r>); }", "i.r i.[method]r.m i.[method]r.n i.f"},
	} {
		for range 2 {
			merged, err := wit.MergePackages(mustMain(t, head+test.a), mustMain(t, head+test.b))
			if err != nil {
				t.Errorf("%s and %s: %v", test.a, test.b, err)
				continue
			}
			got, want := strings.Fields(names(merged)), strings.Fields(test.want)
			seen := map[string]bool{}
			for _, n := range got {
				seen[n] = true
			}
			for _, n := range want {
				if len(got) != len(want) || !seen[n] {
					t.Errorf("%s and %s are %s, expected %s", test.a, test.b, got, want)
					break
				}
			}
			// What is merged is a package: it can be written, and read.
			if again := mustMain(t, wit.Print(merged)); len(strings.Fields(names(again))) != len(want) {
				t.Errorf("%s is read as %s", wit.Print(merged), names(again))
			}
			test.a, test.b = test.b, test.a
		}
	}
	for _, test := range []struct{ a, b, want string }{
		{head + "interface i { type t = u8; }", head + "interface i { type t = u16; }", `interface i: type "t": u8 and u16`},
		{head + "interface i { f: func(a: u8); }", head + "interface i { f: func(a: u16); }", `interface i: function "f": parameter "a": u8 and u16: func(a: u8) and func(a: u16)`},
		{head + "interface i { f: func(); }", head + "interface i { f: func() -> u8; }", `interface i: function "f": result`},
		{head + "interface i { resource r { m: func(); } }", head + "interface i { resource r { m: func(a: u8); } }", `function "[method]r.m"`},
		{head, "package acme:log@1.3.0;", "are not the same"},
	} {
		for _, side := range [][2]string{{test.a, test.b}, {test.b, test.a}} {
			_, err := wit.MergePackages(mustMain(t, side[0]), mustMain(t, side[1]))
			if err == nil || side[0] == test.a && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s and %s: %v, expected %s", side[0], side[1], err, test.want)
			}
		}
	}
}
