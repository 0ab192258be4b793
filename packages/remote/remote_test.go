package remote_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/oci"
	"github.com/ashlar-wasm/ashlar/oci/cache"
	"github.com/ashlar-wasm/ashlar/oci/ocitest"
	"github.com/ashlar-wasm/ashlar/packages"
	"github.com/ashlar-wasm/ashlar/packages/remote"
	"github.com/ashlar-wasm/ashlar/signature"
	"github.com/ashlar-wasm/ashlar/wit"
)

func packageWasm(t *testing.T, text string) []byte {
	t.Helper()
	r, err := wit.ParseText("p.wit", text, wit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := wit.Encode(r.Main)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// client reaches the registry r as what the configuration calls pkg.example.
func client(t *testing.T, r *ocitest.Registry, auth string, o remote.Options) *packages.Client {
	t.Helper()
	settings := "protocol = 'http'\n"
	if r.CA != nil {
		settings = "extra_root_certificates = [{ encoding = 'pem', data = '''" + string(r.CA) + "''' }]\n"
	}
	config, err := packages.ParseConfig([]byte(`
namespace_registries.acme = { registry = "pkg.example", metadata = { oci = { registry = "` + r.Host + `", namespacePrefix = "prefix/" } } }
[registry."pkg.example".oci]
` + settings + auth))
	if err != nil {
		t.Fatal(err)
	}
	o.OCI.RetryWait = time.Millisecond
	c, err := packages.NewClient(packages.ClientOptions{Config: config, OpenOCI: func(r packages.OCIRegistry) (packages.Source, error) { return remote.Open(r, o) }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSource(t *testing.T) {
	for name, c := range map[string]struct {
		registry ocitest.Options
		auth     string
	}{
		"open":  {},
		"tls":   {registry: ocitest.Options{TLS: true}},
		"basic": {ocitest.Options{Auth: ocitest.Basic}, "auth = { username = '" + ocitest.User + "', password = '" + ocitest.Password + "' }"},
		"token": {ocitest.Options{TLS: true, Auth: ocitest.Token}, "auth = { username = '" + ocitest.User + "', password = '" + ocitest.Password + "' }"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, r := context.Background(), ocitest.Start(t, c.registry)
			kept, err := cache.Open(cache.Options{Dir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = kept.Close() })
			p := packages.Ref{Namespace: "acme", Name: "log"}
			source, where, err := client(t, r, c.auth, remote.Options{OCI: oci.Options{Cache: kept}}).Source(ctx, p)
			if err != nil {
				t.Fatal(err)
			}
			if want := r.Host + "/prefix/"; where.String() != want {
				t.Errorf("is at %s, expected %s", where, want)
			}
			if _, err := source.Versions(ctx, p); !errors.Is(err, packages.ErrNotFound) {
				t.Errorf("versions of nothing: %v", err)
			}
			wasm := packageWasm(t, "package acme:log@1.0.0;\ninterface i { f: func(); }")
			versions := []packages.Version{{Major: 1}, {Major: 1, Pre: "rc.1"}, {Major: 1, Build: "linux.5"}}
			for _, v := range versions {
				published, err := source.Publish(ctx, p, v, wasm)
				if err != nil {
					t.Fatal(err)
				}
				release, err := source.Release(ctx, p, v)
				if err != nil || release != published || release.Digest != packages.DigestOf(wasm) || release.Manifest == "" {
					t.Errorf("%s: %+v (%v), published %+v", v, release, err, published)
				}
				if b, err := source.Content(ctx, p, release); err != nil || string(b) != string(wasm) {
					t.Errorf("%s: %d bytes (%v)", v, len(b), err)
				}
			}
			if _, err := source.Publish(ctx, p, versions[0], packageWasm(t, "package acme:log@1.0.0;")); !errors.Is(err, packages.ErrExists) {
				t.Errorf("published again: %v", err)
			}
			all, err := source.Versions(ctx, p)
			if err != nil || len(all) != len(versions) {
				t.Errorf("versions %v (%v)", all, err)
			}
			for _, v := range all {
				if v.Version.Compare(versions[0]) != 0 && v.Version != versions[1] && v.Version != versions[2] {
					t.Errorf("version %s", v.Version)
				}
			}
			if _, err := source.Release(ctx, p, packages.Version{Major: 9}); !errors.Is(err, packages.ErrNotFound) {
				t.Errorf("release that is not there: %v", err)
			}
			// With a lock nothing of the network is needed.
			r.Requests()
			offline, _, err := client(t, r, c.auth, remote.Options{OCI: oci.Options{Cache: kept, Offline: true}}).Source(ctx, p)
			if err != nil {
				t.Fatal(err)
			}
			release, err := source.Release(ctx, p, versions[0])
			if err != nil {
				t.Fatal(err)
			}
			r.Requests()
			if b, err := offline.Content(ctx, p, release); err != nil || string(b) != string(wasm) || len(r.Requests()) != 0 {
				t.Errorf("offline: %d bytes (%v)", len(b), err)
			}
			if _, err := offline.Versions(ctx, p); !errors.Is(err, packages.ErrOffline) {
				t.Errorf("versions offline: %v", err)
			}
		})
	}
}

// The content that a lock names is checked, whatever the manifest says.
func TestSourceDigest(t *testing.T) {
	ctx, r := context.Background(), ocitest.Start(t, ocitest.Options{})
	p, v := packages.Ref{Namespace: "acme", Name: "log"}, packages.Version{Major: 1}
	source, _, err := client(t, r, "", remote.Options{}).Source(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	release, err := source.Publish(ctx, p, v, packageWasm(t, "package acme:log@1.0.0;"))
	if err != nil {
		t.Fatal(err)
	}
	release.Digest = packages.DigestOf(nil)
	var d *packages.DigestError
	if _, err := source.Content(ctx, p, release); !errors.As(err, &d) {
		t.Errorf("another digest: %v", err)
	}
}

// Credentials go to the registry that they are for, and no error shows them.
func TestCredentials(t *testing.T) {
	ctx := context.Background()
	p := packages.Ref{Namespace: "acme", Name: "log"}
	r := ocitest.Start(t, ocitest.Options{Auth: ocitest.Basic, Fault: func(w http.ResponseWriter, q *http.Request) bool { return false }})
	source, _, err := client(t, r, "auth = { username = 'someone', password = 'hush-hush' }", remote.Options{}).Source(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	_, err = source.Versions(ctx, p)
	var unauthorized *oci.UnauthorizedError
	if !errors.As(err, &unauthorized) || strings.Contains(err.Error(), "hush") {
		t.Errorf("wrong password: %v", err)
	}
	// A user that was given is for the registry that was chosen, and no other.
	user := oci.Credential{Username: ocitest.User, Password: ocitest.Password}
	for _, chosen := range []bool{false, true} {
		s, err := remote.Open(packages.OCIRegistry{Name: r.Host, Host: r.Host, Chosen: chosen}, remote.Options{User: user})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Versions(ctx, p)
		if errors.Is(err, packages.ErrNotFound) != chosen {
			t.Errorf("chosen %t: %v", chosen, err)
		}
	}
	if _, err := remote.Open(packages.OCIRegistry{Host: r.Host, Config: packages.OCIConfig{AcceptInvalidCertificates: true}}, remote.Options{}); err == nil {
		t.Error("certificates are not to be checked")
	}
}

// Who decides whom to trust is asked once for each release, before its content is taken,
// and what a lock says changes nothing of that.
func TestVerify(t *testing.T) {
	ctx, r := context.Background(), ocitest.Start(t, ocitest.Options{})
	c, p := client(t, r, "", remote.Options{}), packages.Ref{Namespace: "acme", Name: "log"}
	source, _, err := c.Source(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	v := packages.Version{Major: 1}
	published, err := source.Publish(ctx, p, v, packageWasm(t, "package acme:log@1.0.0;\ninterface i { f: func(); }"))
	if err != nil {
		t.Fatal(err)
	}
	var asked []string
	accept := func(_ context.Context, r *packages.Resolution) (string, error) {
		asked = append(asked, r.Reference()+"@"+string(r.Manifest))
		return "sha256:abc", nil
	}
	resolver := &packages.Resolver{Client: c, Verify: accept}
	for _, req := range []packages.Requirement{packages.AnyVersion, packages.Exactly(v)} {
		if got, err := resolver.Resolve(ctx, p, req); err != nil || got.Signer != "sha256:abc" {
			t.Errorf("%s: signer %q (%v)", req, got.Signer, err)
		}
	}
	if want := r.Host + "/prefix/acme/log@" + string(published.Manifest); len(asked) != 1 || asked[0] != want {
		t.Errorf("asked of %q, expected %s", asked, want)
	}
	refuse := errors.New("nobody signed it")
	lock := &packages.Lock{Packages: []packages.LockedPackage{{
		Name:     wit.PackageName{Namespace: "acme", Name: "log", Version: "1.0.0"},
		Registry: "pkg.example", Digest: published.Digest, Manifest: published.Manifest, Signer: "anybody",
	}}}
	resolver = &packages.Resolver{Client: c, Lock: lock, Locked: true, Verify: func(context.Context, *packages.Resolution) (string, error) { return "", refuse }}
	var refused *packages.RefusedError
	_, err = resolver.Resolve(ctx, p, packages.AnyVersion)
	if !errors.As(err, &refused) || !errors.Is(err, refuse) || !strings.Contains(err.Error(), "acme:log@1.0.0") {
		t.Errorf("refused: %v", err)
	}
	// Without anybody to ask, and with --locked, the lock's signer stays.
	for _, verify := range []func(context.Context, *packages.Resolution) (string, error){nil, accept} {
		resolver = &packages.Resolver{Client: c, Lock: lock, Locked: true, Verify: verify}
		if got, err := resolver.Resolve(ctx, p, packages.AnyVersion); err != nil || got.Signer != "anybody" {
			t.Errorf("locked: signer %q (%v)", got.Signer, err)
		}
	}
}

// A version is yanked by a signed record beside it, with and without the API for that.
func TestYank(t *testing.T) {
	for name, options := range map[string]ocitest.Options{"referrers": {Referrers: true}, "tags": {}} {
		t.Run(name, func(t *testing.T) {
			ctx, r := context.Background(), ocitest.Start(t, options)
			kept, err := cache.Open(cache.Options{Dir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = kept.Close() })
			o := remote.Options{OCI: oci.Options{Cache: kept}}
			c, p := client(t, r, "", o), packages.Ref{Namespace: "acme", Name: "log"}
			source, _, err := c.Source(ctx, p)
			if err != nil {
				t.Fatal(err)
			}
			wasm := packageWasm(t, "package acme:log@1.0.0;\ninterface i { f: func(); }")
			for minor := range uint64(3) {
				if _, err := source.Publish(ctx, p, packages.Version{Major: 1, Minor: minor}, wasm); err != nil {
					t.Fatal(err)
				}
			}
			k, err := signature.Generate()
			if err != nil {
				t.Fatal(err)
			}
			highest := func(want uint64) {
				t.Helper()
				got, err := (&packages.Resolver{Client: client(t, r, "", o)}).Resolve(ctx, p, packages.AnyVersion)
				if err != nil || got.Version.Minor != want {
					t.Errorf("the highest is %s (%v), expected 1.%d.0", got.Version, err, want)
				}
			}
			highest(2)
			now := time.Now().UTC()
			for i, y := range []packages.Yank{{Yanked: true, SignedAt: now}, {Yanked: true, SignedAt: now, Reason: "slow"}} {
				if _, err := packages.SetYank(ctx, source, p, packages.Version{Major: 1, Minor: uint64(2 - i)}, y, k); err != nil {
					t.Fatal(err)
				}
			}
			highest(0)
			one := packages.Exactly(packages.Version{Major: 1, Minor: 1})
			_, err = (&packages.Resolver{Client: c}).Resolve(ctx, p, one)
			if err == nil || !strings.Contains(err.Error(), "one that is yanked (slow)") {
				t.Errorf("exactly that: %v", err)
			}
			// What is known of it is known offline.
			off := o
			off.OCI.Offline = true
			if _, err = (&packages.Resolver{Client: client(t, r, "", off)}).Resolve(ctx, p, one); err == nil || !strings.Contains(err.Error(), "one that is yanked (slow)") {
				t.Errorf("offline: %v", err)
			}
			// The next version need not be compatible with what is yanked.
			next, err := packages.NewPublication(ctx, &packages.Resolver{Client: c}, p, packages.Version{Major: 1, Minor: 3}, wasm)
			if err != nil || next.Predecessor == nil || next.Predecessor.Minor != 0 {
				t.Errorf("predecessor %v (%v)", next.Predecessor, err)
			}
			if _, err := packages.SetYank(ctx, source, p, packages.Version{Major: 1, Minor: 2}, packages.Yank{SignedAt: now.Add(time.Second)}, k); err != nil {
				t.Fatal(err)
			}
			highest(2)
			got, err := (&packages.Resolver{Client: c}).Resolve(ctx, p, packages.AnyVersion)
			if err != nil {
				t.Fatal(err)
			}
			bundles, err := got.Bundles(ctx)
			if err != nil || len(bundles) != 3 { // all versions have one manifest
				t.Errorf("%d bundles (%v)", len(bundles), err)
			}
			if b, err := got.ManifestBytes(ctx); err != nil || packages.DigestOf(b) != got.Manifest {
				t.Errorf("manifest %s (%v)", b, err)
			}
		})
	}
}
