package packages

import (
	"context"
	"errors"
	"testing"
)

// tags is an OCI registry that knows a folder, in which versions may change.
type tags struct{ Local }

func (s tags) Release(ctx context.Context, p Ref, v Version) (Release, error) {
	r, err := s.Local.Release(ctx, p, v)
	r.Manifest = DigestOf([]byte("manifest of " + r.Digest))
	return r, err
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
