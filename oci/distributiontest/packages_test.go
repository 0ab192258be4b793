package distributiontest

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/distribution/distribution/v3/configuration"

	"github.com/ashlar-wasm/ashlar/oci"
	"github.com/ashlar-wasm/ashlar/oci/cache"
	"github.com/ashlar-wasm/ashlar/oci/ocitest"
	"github.com/ashlar-wasm/ashlar/packages"
	"github.com/ashlar-wasm/ashlar/packages/remote"
	"github.com/ashlar-wasm/ashlar/signature"
	"github.com/ashlar-wasm/ashlar/wit"
)

// TestPackages publishes, yanks and finds versions, with each way to log in.
func TestPackages(t *testing.T) {
	for name, c := range map[string]struct {
		auth configuration.Auth
		o    ocitest.Options
	}{
		"open":     {nil, ocitest.Options{}},
		"password": {htpasswd(t), ocitest.Options{TLS: true}},
		"token":    {tokens(t), ocitest.Options{TLS: true}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, r := t.Context(), registry(t, c.auth, c.o)
			kept, err := cache.Open(cache.Options{Dir: filepath.Join(t.TempDir(), "cache")})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = kept.Close() })
			options := oci.Options{Cache: kept, Credential: func(context.Context, string) (oci.Credential, error) {
				return oci.Credential{Username: ocitest.User, Password: ocitest.Password}, nil
			}}
			if r.CA != nil {
				options.CACerts = [][]byte{r.CA}
			}
			client := func(offline bool) *packages.Client {
				o := options
				o.Offline = offline
				config, err := packages.ParseConfig([]byte(`namespace_registries.acme = { registry = "pkg.example", metadata = { oci = { registry = "` + r.Host + `", namespacePrefix = "some/" } } }`))
				if err != nil {
					t.Fatal(err)
				}
				client, err := packages.NewClient(packages.ClientOptions{Config: config, OpenOCI: func(r packages.OCIRegistry) (packages.Source, error) {
					return remote.Open(r, remote.Options{OCI: o})
				}})
				if err != nil {
					t.Fatal(err)
				}
				return client
			}
			p := packages.Ref{Namespace: "acme", Name: "log"}
			publish := func(version, function string) error {
				t.Helper()
				resolved, err := wit.ParseText("p.wit", "package acme:log@"+version+";\ninterface logger { "+function+" }", wit.Options{})
				if err != nil {
					t.Fatal(err)
				}
				content, err := wit.Encode(resolved.Main)
				if err != nil {
					t.Fatal(err)
				}
				v, err := packages.ParseVersion(version)
				if err != nil {
					t.Fatal(err)
				}
				publication, err := packages.NewPublication(ctx, &packages.Resolver{Client: client(false)}, p, v, content)
				if err != nil {
					return err
				}
				if err := publication.Compatible(); err != nil {
					return err
				}
				_, err = publication.Publish(ctx)
				return err
			}
			for _, version := range []string{"1.0.0", "1.1.0", "1.1.1+b.2"} {
				if err := publish(version, "log: func(text: string);"); err != nil {
					t.Fatal(err)
				}
			}
			var breaking *packages.BreakingError
			if err := publish("1.2.0", "log: func();"); !errors.As(err, &breaking) || breaking.Predecessor.String() != "1.1.1+b.2" {
				t.Errorf("a breaking version: %v", err)
			}
			if err := publish("1.0.0", ""); !errors.Is(err, packages.ErrExists) {
				t.Errorf("a version that is there: %v", err)
			}
			highest := func(want string) {
				t.Helper()
				found, err := (&packages.Resolver{Client: client(false)}).Resolve(ctx, p, packages.AnyVersion)
				if err != nil || found.Version.String() != want {
					t.Errorf("the highest is %s (%v), expected %s", found.Version, err, want)
				}
			}
			highest("1.1.1+b.2")
			k, err := signature.Generate()
			if err != nil {
				t.Fatal(err)
			}
			source, _, err := client(false).Source(ctx, p)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range []packages.Version{{Major: 1, Minor: 1, Patch: 1, Build: "b.2"}, {Major: 1, Minor: 1}} {
				if _, err := packages.SetYank(ctx, source, p, v, packages.Yank{Yanked: true, Reason: "slow", SignedAt: time.Now()}, k); err != nil {
					t.Fatal(err)
				}
			}
			highest("1.0.0")
			// What is known of yanks is known offline.
			one := packages.Exactly(packages.Version{Major: 1, Minor: 1})
			var none *packages.NoMatchError
			if _, err := (&packages.Resolver{Client: client(true)}).Resolve(ctx, p, one); !errors.As(err, &none) || none.Reason != "slow" {
				t.Errorf("offline: %v", err)
			}
			found, err := (&packages.Resolver{Client: client(true)}).Resolve(ctx, p, packages.Exactly(packages.Version{Major: 1}))
			if err != nil {
				t.Fatal(err)
			}
			if bundles, err := found.Bundles(ctx); err != nil || len(bundles) != 0 {
				t.Errorf("1.0.0 has %d bundles (%v)", len(bundles), err)
			}
		})
	}
}
