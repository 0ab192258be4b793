package packages

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/wit"
)

// tags is an OCI registry that knows a folder, in which versions may change.
type tags struct{ Local }

func (s tags) Release(ctx context.Context, p Ref, v Version) (Release, error) {
	r, err := s.Local.Release(ctx, p, v)
	r.Manifest = DigestOf([]byte("manifest of " + r.Digest))
	return r, err
}

// taggedClient finds such a registry, which is called r.
func taggedClient(t *testing.T, registry Local) *Client {
	t.Helper()
	config := mustConfig(t, "default_registry = 'r'\n[namespace_registries]\nacme = { registry = 'r', metadata = { preferredProtocol = 'oci' } }")
	c, err := NewClient(ClientOptions{Config: config, OpenOCI: func(OCIRegistry) (Source, error) { return tags{registry}, nil }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestFetchRefused has a package that may not be taken from its registry: what others
// carry of it does not take its place, though the error says that something is missing.
func TestFetchRefused(t *testing.T) {
	p := newProject(t, map[string]string{"wit/app.wit": "package my:app;\nworld app { import acme:log/logger@1.2.0; }"})
	publishWIT(t, p.registry, timeWIT, logWIT)
	o := p.options(false)
	o.Resolver.Client = taggedClient(t, p.registry)
	var asked []string
	o.Resolver.Verify = func(_ context.Context, r *Resolution) (string, error) {
		if asked = append(asked, r.Package.Name); r.Package.Name == "time" {
			return "", ErrNotFound
		}
		return "somebody", nil
	}
	var refused *RefusedError
	if _, err := Fetch(context.Background(), o); !errors.As(err, &refused) || refused.Package.Name != "time" {
		t.Errorf("refused: %v", err)
	}
	if got := strings.Join(asked, " "); got != "log time" {
		t.Errorf("asked about %s", got)
	}
}

// TestResolveChanged has a version change after a lock was written.
func TestResolveChanged(t *testing.T) {
	ctx, registry := context.Background(), Local(t.TempDir())
	one, other, version := mustRef(t, "a:b"), mustRef(t, "a:c"), mustVersion(t, "1.0.0")
	before := map[Ref]Release{}
	wkg := &WkgLock{}
	for _, ref := range []Ref{one, other} {
		r, err := registry.Publish(ctx, ref, version, []byte("before"))
		if err != nil {
			t.Fatal(err)
		}
		before[ref] = r
		wkg.Add(ref, "r.example", WkgVersion{Exactly(version), version, r.Digest})
		if err := replaceFile(registry.file(ref, version), []byte("after "+ref.Name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, config := range map[string]string{
		"folder": "default_registry = 'r.example'\nregistry.'r.example'.local.root = '" + string(registry) + "'",
		"OCI":    "default_registry = 'r.example'\n[namespace_registries]\na = { registry = 'r.example', metadata = { preferredProtocol = 'oci' } }",
	} {
		c, err := NewClient(ClientOptions{Config: mustConfig(t, config), OpenOCI: func(OCIRegistry) (Source, error) { return tags{registry}, nil }})
		if err != nil {
			t.Fatal(err)
		}
		take := func(r *Resolver, p Ref) error {
			found, err := r.Resolve(ctx, p, Exactly(version))
			if err == nil {
				_, err = found.Content(ctx)
			}
			return err
		}
		for _, locked := range []bool{false, true} {
			var digest *DigestError
			if err := take(&Resolver{Client: c, Wkg: wkg, Locked: locked}, one); !errors.As(err, &digest) || digest.Want != before[one].Digest {
				t.Errorf("%s: %v", name, err)
			}
		}
		// An update is of what it names alone.
		r := &Resolver{Client: c, Wkg: wkg, Update: func(p Ref) bool { return p == one }}
		if err := take(r, one); err != nil {
			t.Errorf("%s: updated: %v", name, err)
		}
		var digest *DigestError
		if err := take(r, other); !errors.As(err, &digest) {
			t.Errorf("%s: not updated: %v", name, err)
		}
	}
}

// TestFetchMisnamed has a registry with the content of another package, or version.
func TestFetchMisnamed(t *testing.T) {
	p := newProject(t, map[string]string{"wit/app.wit": "package my:app;\nworld app { import acme:time/clock@0.1.0; }"})
	publishWIT(t, p.registry, timeWIT, logWIT)
	ref, version := mustRef(t, "acme:time"), mustVersion(t, "0.1.0")
	for _, text := range []string{strings.Replace(timeWIT, "acme:time", "acme:tide", 1), strings.Replace(timeWIT, "0.1.0", "0.2.0", 1), "package acme:time;\ninterface clock { }"} {
		r, err := wit.ParseText("p.wit", text, wit.Options{})
		if err != nil {
			t.Fatal(err)
		}
		b, err := wit.Encode(r.Main)
		if err != nil {
			t.Fatal(err)
		}
		if err := replaceFile(p.registry.file(ref, version), b); err != nil {
			t.Fatal(err)
		}
		if _, err := p.fetch(false); err == nil || !strings.Contains(err.Error(), "acme:time@0.1.0: its content is package "+r.Main.Name.String()) {
			t.Errorf("%s: %v", r.Main.Name, err)
		}
	}
}
