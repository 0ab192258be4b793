package cli

import (
	"context"
	"fmt"

	"github.com/ashlar-wasm/ashlar/oci"
	"github.com/ashlar-wasm/ashlar/packages"
	"github.com/ashlar-wasm/ashlar/packages/remote"
)

// artifact runs f with a client and the reference of the artifact that a word of the
// command line names: a reference, or a package in an OCI registry, of which it says
// which version it is. checked asks trust policies first; then the reference has the
// digest that they accepted.
func (r *registries) artifact(ctx context.Context, s *streams, word string, limit byteSize, checked bool, f func(*oci.Client, oci.Reference) error) error {
	if namesPackage(word) {
		return r.packaged(ctx, s, word, limit, checked, f)
	}
	ref, err := parseReference(word)
	if err != nil {
		return err
	}
	return r.client(s, limit, func(client *oci.Client) error {
		if checked {
			if ref, err = r.trusted(ctx, client, ref); err != nil {
				return err
			}
		}
		return f(client, ref)
	})
}

func (r *registries) packaged(ctx context.Context, s *streams, word string, limit byteSize, checked bool, f func(*oci.Client, oci.Reference) error) error {
	spec, err := parseSpec(word)
	if err != nil {
		return err
	}
	p := packageFlags{registries: *r, limit: limit}
	return p.packages(s, func(client *packages.Client) error {
		resolver := p.resolver(client)
		if !checked {
			resolver.Verify = nil
		}
		found, err := resolver.Resolve(ctx, spec.Ref, spec.Requirement)
		if err != nil {
			return err
		}
		source, _, err := client.Source(ctx, spec.Ref)
		if err != nil {
			return err
		}
		c, ref, ok := remote.Artifact(source, found.Package, found.Release)
		if !ok {
			return fmt.Errorf("%s@%s is in a folder, where it is no artifact; 'ashlar pkg get' gets it", found.Package, found.Version)
		}
		if _, err := fmt.Fprintf(s.err, "%s@%s %s\n", found.Package, found.Version, found.Digest); err != nil {
			return err
		}
		return f(c, ref)
	})
}
