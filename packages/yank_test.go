package packages

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/signature"
)

func generateKey(t testing.TB) *signature.PrivateKey {
	t.Helper()
	k, err := signature.Generate()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func at(seconds int64) time.Time { return time.Unix(1_700_000_000+seconds, 0).UTC() }

func TestLatestYank(t *testing.T) {
	ctx, manifest, ref, version := context.Background(), []byte("manifest"), mustRef(t, "a:b"), mustVersion(t, "1.0.0")
	a, b := generateKey(t), generateKey(t)
	record := func(k *signature.PrivateKey, manifest string, y Yank) *signature.Bundle {
		t.Helper()
		bundle, err := y.Sign(ctx, k, ref, version, []byte(manifest))
		if err != nil {
			t.Fatal(err)
		}
		return bundle
	}
	// Signed by one key, with another one inside.
	st, err := signature.NewStatement(manifest, signature.PredicateYank, Yank{Package: "a:b@1.0.0", Yanked: true, SignedAt: at(99), PublicKey: string(b.Public().PEM())})
	if err != nil {
		t.Fatal(err)
	}
	forged, err := signature.Sign(ctx, a, st)
	if err != nil {
		t.Fatal(err)
	}
	other, err := signature.NewStatement(manifest, signature.PredicateSign, Yank{Package: "a:b@1.0.0", Yanked: true, SignedAt: at(99), PublicKey: string(a.Public().PEM())})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signature.Sign(ctx, a, other)
	if err != nil {
		t.Fatal(err)
	}
	yank, undo := Yank{Yanked: true, Reason: "broken", SignedAt: at(1)}, Yank{SignedAt: at(2)}
	elsewhere, err := yank.Sign(ctx, a, ref, mustVersion(t, "1.0.1"), manifest)
	if err != nil {
		t.Fatal(err)
	}
	onlyA, onlyB := []signature.PublicKey{a.Public()}, []signature.PublicKey{b.Public()}
	for name, test := range map[string]struct {
		bundles []*signature.Bundle
		trusted []signature.PublicKey
		want    string
	}{
		"none":                       {nil, nil, "none"},
		"yanked":                     {[]*signature.Bundle{record(a, "manifest", yank)}, nil, "yanked"},
		"undone":                     {[]*signature.Bundle{record(a, "manifest", undo), record(a, "manifest", yank)}, nil, "not"},
		"yanked later":               {[]*signature.Bundle{record(a, "manifest", undo), record(b, "manifest", Yank{Yanked: true, SignedAt: at(3)})}, nil, "yanked"},
		"both at once":               {[]*signature.Bundle{record(a, "manifest", Yank{Yanked: true, SignedAt: at(2)}), record(a, "manifest", undo)}, nil, "yanked"},
		"of another manifest":        {[]*signature.Bundle{record(a, "other", yank)}, nil, "none"},
		"of another version":         {[]*signature.Bundle{elsewhere}, nil, "none"},
		"undone from the future":     {[]*signature.Bundle{record(a, "manifest", yank), record(a, "manifest", Yank{SignedAt: time.Now().Add(time.Hour)})}, nil, "yanked"},
		"without a time":             {[]*signature.Bundle{record(a, "manifest", Yank{Yanked: true})}, nil, "none"},
		"forged":                     {[]*signature.Bundle{forged}, nil, "none"},
		"another statement":          {[]*signature.Bundle{signed}, nil, "none"},
		"trusted":                    {[]*signature.Bundle{record(a, "manifest", yank)}, onlyA, "yanked"},
		"not trusted":                {[]*signature.Bundle{record(a, "manifest", yank)}, onlyB, "none"},
		"undone by one not trusted":  {[]*signature.Bundle{record(a, "manifest", yank), record(b, "manifest", undo)}, onlyA, "yanked"},
		"a trusted key, named wrong": {[]*signature.Bundle{forged}, onlyA, "yanked"},
		"nobody is trusted":          {[]*signature.Bundle{record(a, "manifest", yank)}, []signature.PublicKey{}, "none"},
	} {
		got := "none"
		if y := LatestYank(ref, version, manifest, test.bundles, test.trusted); y != nil && y.Yanked {
			got = "yanked"
		} else if y != nil {
			got = "not"
		}
		if got != test.want {
			t.Errorf("%s: %s, expected %s", name, got, test.want)
		}
	}
	if _, err := (Yank{Reason: strings.Repeat("x", maxReason+1)}).Sign(ctx, a, ref, version, manifest); err == nil {
		t.Error("a long reason is signed")
	}
	sly := record(a, "manifest", Yank{Yanked: true, SignedAt: at(1), Reason: "a\x1b[2Jb\nc"})
	if y := LatestYank(ref, version, manifest, []*signature.Bundle{sly}, nil); y == nil || y.Reason != "a [2Jb c" {
		t.Errorf("reason: %+v", y)
	}
}

func TestYankLocal(t *testing.T) {
	p, ctx, ref, k := newProject(t, nil), context.Background(), mustRef(t, "a:b"), generateKey(t)
	for _, v := range []string{"1.0.0", "1.1.0"} {
		if _, err := p.registry.Publish(ctx, ref, mustVersion(t, v), []byte(v)); err != nil {
			t.Fatal(err)
		}
	}
	file := p.registry.yankedFile(ref, mustVersion(t, "1.1.0"))
	highest := func(want string) {
		t.Helper()
		r, err := (&Resolver{Client: p.client}).Resolve(ctx, ref, AnyVersion)
		if err != nil || r.Version.String() != want {
			t.Errorf("highest is %s (%v), expected %s", r.Version, err, want)
		}
	}
	set := func(y Yank) {
		t.Helper()
		if _, err := SetYank(ctx, p.registry, ref, mustVersion(t, "1.1.0"), y, k); err != nil {
			t.Fatal(err)
		}
	}
	highest("1.1.0")
	set(Yank{Yanked: true, Reason: "it crashes", SignedAt: at(1)})
	highest("1.0.0")
	_, err := (&Resolver{Client: p.client}).Resolve(ctx, ref, Exactly(mustVersion(t, "1.1.0")))
	if err == nil || err.Error() != "no version of a:b matches =1.1.0 but one that is yanked (it crashes); there are 1.0.0" {
		t.Errorf("exactly that: %v", err)
	}
	// A lock goes on having it.
	lock := &WkgLock{}
	lock.Add(ref, "r", WkgVersion{AnyVersion, mustVersion(t, "1.1.0"), DigestOf([]byte("1.1.0"))})
	if r, err := (&Resolver{Client: p.client, Wkg: lock}).Resolve(ctx, ref, AnyVersion); err != nil || r.Version.String() != "1.1.0" {
		t.Errorf("locked: %s (%v)", r.Version, err)
	}
	// Only who is trusted is believed.
	stranger := func(Ref, string) ([]signature.PublicKey, error) {
		return []signature.PublicKey{generateKey(t).Public()}, nil
	}
	if r, err := (&Resolver{Client: p.client, TrustedKeys: stranger}).Resolve(ctx, ref, AnyVersion); err != nil || r.Version.String() != "1.1.0" {
		t.Errorf("yanked by a stranger: %s (%v)", r.Version, err)
	}
	set(Yank{SignedAt: at(2)})
	highest("1.1.0")
	set(Yank{Yanked: true, SignedAt: at(3)})
	highest("1.0.0")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	highest("1.0.0")
	set(Yank{SignedAt: at(4)})
	highest("1.1.0")
	if err := os.WriteFile(file, []byte("damaged"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := (&Resolver{Client: p.client}).Resolve(ctx, ref, AnyVersion); err == nil || !strings.Contains(err.Error(), "1.1.0.yanked") {
		t.Errorf("damaged: %v", err)
	}
	if _, err := SetYank(ctx, p.registry, ref, mustVersion(t, "9.0.0"), Yank{}, k); !errors.Is(err, ErrNotFound) {
		t.Errorf("of what is not there: %v", err)
	}
}

// TestYankAtOnce has several sign at the same time: no record is lost.
func TestYankAtOnce(t *testing.T) {
	ctx, ref, version, k := context.Background(), mustRef(t, "a:b"), mustVersion(t, "1.0.0"), generateKey(t)
	l := Local(t.TempDir())
	r, err := l.Publish(ctx, ref, version, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	const signers = 8
	errs := make(chan error)
	for range signers {
		go func() {
			_, err := SetYank(ctx, l, ref, version, Yank{Yanked: true, SignedAt: at(1)}, k)
			errs <- err
		}()
	}
	for range signers {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if all, err := l.Bundles(ctx, ref, r, ""); err != nil || len(all) != signers {
		t.Errorf("%d records (%v), expected %d", len(all), err, signers)
	}
	// One that was put there by hand, on several lines.
	all, err := l.Bundles(ctx, ref, r, "")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, all[0].Encode(), "", " "); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]int{b.String(): 2, b.String() + "\n": 2, "": 1} {
		if err := os.WriteFile(l.yankedFile(ref, version), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := l.Attach(ctx, ref, r, all[0]); err != nil {
			t.Fatal(err)
		}
		if all, err := l.Bundles(ctx, ref, r, ""); err != nil || len(all) != want {
			t.Errorf("%.20q: %d records (%v), expected %d", text, len(all), err, want)
		}
	}
}

// FuzzYank reads records, which anybody may have written.
func FuzzYank(f *testing.F) {
	k := generateKey(f)
	b, err := Yank{Yanked: true, Reason: "r", SignedAt: at(1)}.Sign(context.Background(), k, Ref{"a", "b"}, Version{Major: 1}, []byte("m"))
	if err != nil {
		f.Fatal(err)
	}
	good, err := json.Marshal(Yank{Package: "a:b@1.0.0", Yanked: true, Reason: "\x1b", SignedAt: at(1), PublicKey: string(k.Public().PEM())})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b.Encode(), good)
	f.Add(append(append([]byte{}, b.Encode()...), "\n{}"...), []byte(`{"signedAt":"x"}`))
	f.Fuzz(func(t *testing.T, file, predicate []byte) {
		if all, err := parseBundles(file); err == nil {
			for _, b := range all {
				if _, err := signature.ParseBundle(b.Encode()); err != nil {
					t.Errorf("%q is read once: %v", b.Encode(), err)
				}
			}
		}
		if y, ok := parseYank(predicate); ok && (y.SignedAt.IsZero() || strings.ContainsAny(y.Reason, "\x1b\n\u202e") || len(y.Reason) > maxReason) {
			t.Errorf("%s is %+v", predicate, y)
		}
	})
}
