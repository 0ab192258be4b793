package packages

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/signature"
	"github.com/ashlar-wasm/ashlar/wit"
)

func witContent(t *testing.T, text string) []byte {
	t.Helper()
	r, err := wit.ParseText("p.wit", text, wit.Options{AllFeatures: true})
	if err != nil {
		t.Fatal(err)
	}
	b, err := wit.Encode(r.Main)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPublication(t *testing.T) {
	p, ctx, ref := newProject(t, nil), context.Background(), mustRef(t, "acme:time")
	text := func(version, function string) string {
		return "package acme:time@" + version + ";\ninterface clock { " + function + " }"
	}
	for version, function := range map[string]string{
		"1.0.0": "now: func() -> u32;", "1.5.0": "now: func() -> u64;", "1.6.0": "", "1.7.0-rc.1": "", "2.0.0": "", "0.2.0": "now: func() -> u32;", "0.3.0": "",
	} {
		publishWIT(t, p.registry, text(version, function))
	}
	if err := os.WriteFile(filepath.Join(string(p.registry), "acme", "time", "1.6.0.yanked"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	const changed = `interface clock: function "now" changed: result: u64 and u32: it was func() -> u64 and is func() -> u32`
	for _, test := range []struct{ version, function, predecessor, breaks string }{
		{"1.9.0", "now: func() -> u64;", "1.5.0", ""},
		{"1.9.0", "now: func() -> u32;", "1.5.0", changed},
		{"1.5.1", "now: func() -> u32;", "1.5.0", changed},
		{"1.4.0", "now: func() -> u32;", "1.0.0", ""},
		{"1.9.0-rc.1", "", "", ""},
		{"3.0.0", "", "", ""},
		{"0.2.1", "", "0.2.0", `interface clock: function "now" is gone`},
		{"0.1.9", "", "", ""},
		{"0.0.2", "", "", ""},
	} {
		pub, err := NewPublication(ctx, &Resolver{Client: p.client}, ref, mustVersion(t, test.version), witContent(t, text(test.version, test.function)))
		if err != nil {
			t.Errorf("%s: %v", test.version, err)
			continue
		}
		got := ""
		if pub.Predecessor != nil {
			got = pub.Predecessor.String()
		}
		var breaking *BreakingError
		err = pub.Compatible()
		if got != test.predecessor || errors.As(err, &breaking) != (test.breaks != "") || err != nil && !strings.Contains(err.Error(), test.breaks) {
			t.Errorf("%s: predecessor %q, %v; expected %q, %q", test.version, got, err, test.predecessor, test.breaks)
		}
	}
	// What somebody says of a version whom nobody trusts hides it from nobody.
	stranger, friend := generateKey(t), generateKey(t)
	if _, err := SetYank(ctx, p.registry, ref, mustVersion(t, "1.5.0"), Yank{Yanked: true, SignedAt: at(1)}, stranger); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		trusted []signature.PublicKey
		want    string
	}{{nil, "1.0.0"}, {[]signature.PublicKey{stranger.Public()}, "1.0.0"}, {[]signature.PublicKey{friend.Public()}, "1.5.0"}} {
		r := &Resolver{Client: p.client, TrustedKeys: func(Ref, string) ([]signature.PublicKey, error) { return test.trusted, nil }}
		pub, err := NewPublication(ctx, r, ref, mustVersion(t, "1.9.0"), witContent(t, text("1.9.0", "")))
		if err != nil || pub.Predecessor == nil || pub.Predecessor.String() != test.want {
			t.Errorf("the predecessor is %v (%v), expected %s", pub.Predecessor, err, test.want)
		}
	}
	// What is there is there.
	pub, err := NewPublication(ctx, &Resolver{Client: p.client}, ref, mustVersion(t, "1.0.0"), witContent(t, text("1.0.0", "now: func() -> u32;")))
	if err != nil || !pub.Published {
		t.Errorf("the same again: %v (%v)", pub, err)
	}
	if _, err := NewPublication(ctx, &Resolver{Client: p.client}, ref, mustVersion(t, "1.0.0"), witContent(t, text("1.0.0", ""))); !errors.Is(err, ErrExists) {
		t.Errorf("other content: %v", err)
	}
	// A package that becomes a component.
	pub, err = NewPublication(ctx, &Resolver{Client: p.client}, ref, mustVersion(t, "2.1.0"), guests.Hello())
	if err != nil || len(pub.Breaking) != 1 || pub.Breaking[0].Change != "was a WIT package and is a component" {
		t.Errorf("a component: %v (%v)", pub, err)
	}
	// Of components it is what they export and import that counts.
	hello := mustRef(t, "acme:hello")
	if _, err := p.registry.Publish(ctx, hello, mustVersion(t, "1.0.0"), guests.Hello()); err != nil {
		t.Fatal(err)
	}
	pub, err = NewPublication(ctx, &Resolver{Client: p.client}, hello, mustVersion(t, "1.0.1"), guests.HelloHTTP())
	if err != nil || !slices.ContainsFunc(pub.Breaking, func(c wit.BreakingChange) bool {
		return strings.HasPrefix(c.Item, "export wasi:cli/run@0.2.") && c.Change == "is gone"
	}) {
		t.Errorf("another component: %v (%v)", pub, err)
	}
	pub, err = NewPublication(ctx, &Resolver{Client: p.client}, hello, mustVersion(t, "1.0.1"), guests.Hello())
	if err != nil || pub.Predecessor == nil || len(pub.Breaking) != 0 {
		t.Errorf("the same component: %v (%v)", pub, err)
	}
	pub, err = NewPublication(ctx, &Resolver{Client: p.client}, hello, mustVersion(t, "1.0.1"), guests.Calc())
	if err != nil || len(pub.Breaking) != 1 || !strings.Contains(pub.Breaking[0].Change, "can't be compared") {
		t.Errorf("a component that WIT can't describe: %v (%v)", pub, err)
	}
	// A new package has no predecessor, and its folder is not made by asking.
	pub, err = NewPublication(ctx, &Resolver{Client: p.client}, mustRef(t, "acme:other"), mustVersion(t, "1.0.0"), guests.Hello())
	if err != nil || pub.Predecessor != nil || existsIn(filepath.Join(string(p.registry), "acme"), "other") {
		t.Errorf("a new package: %v (%v)", pub, err)
	}
}
