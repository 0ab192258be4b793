package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/oci"
	"github.com/ashlar-wasm/ashlar/oci/bundles"
	"github.com/ashlar-wasm/ashlar/signature"
)

func newSign(s *streams) *cobra.Command {
	var r registries
	var key string
	var force bool
	cmd := &cobra.Command{
		Use:   "sign [flags] REF|PACKAGE",
		Short: "Sign an artifact in an OCI registry",
		Long: `Sign the manifest of an artifact, and so all of it, and attach the signature to it in
its registry or layout. Print its reference with the digest, which is what is signed;
a tag can be moved.

The signature is a sigstore bundle, which 'ashlar verify' checks, and

  cosign verify --key KEY.pub --insecure-ignore-tlog=true REF

` + keyHelp + "\n\n" + artifactHelp,
		Example: `  ashlar sign --key release registry.example/ns/hello:1.2.0
  ASHLAR_KEY=SU... ashlar sign registry.example/ns/hello@sha256:...
  ashlar sign --key exec:./sign-with-token registry.example/ns/hello:1.2.0`,
		Args: exactArgs("REF|PACKAGE"),
		RunE: func(c *cobra.Command, args []string) error {
			k, err := signer(c.Context(), s, key)
			if err != nil {
				return err
			}
			r.artifactCache.flag = cacheOff // what is there is asked for, not remembered
			return r.artifact(c.Context(), s, args[0], maxFile, false, func(client *oci.Client, ref oci.Reference) error {
				signed, err := signArtifact(c.Context(), s, client, ref, k, force)
				if err != nil {
					return artifactError(err)
				}
				_, err = fmt.Fprintln(s.out, signed)
				return err
			})
		},
	}
	r.flags(cmd)
	cmd.Flags().StringVar(&key, "key", "", signerHelp)
	cmd.Flags().BoolVar(&force, "force", false, "sign though the key has signed it before")
	return cmd
}

// signArtifact signs an artifact, unless the key has done so before or force says that
// this is no matter, and returns the reference with the digest.
func signArtifact(ctx context.Context, s *streams, client *oci.Client, ref oci.Reference, k signature.Signer, force bool) (oci.Reference, error) {
	a, err := client.Describe(ctx, ref)
	if err != nil {
		return ref, err
	}
	ref.Digest = a.Descriptor.Digest
	var have []bundles.Attached
	if !force {
		if have, err = bundles.List(ctx, client, ref, ""); err != nil {
			return ref, err
		}
	}
	return ref, signManifest(ctx, s, a.ManifestBytes, k, bundles.Readable(have), attachTo(client, ref))
}

// attacher attaches a bundle to an artifact.
type attacher func(context.Context, *signature.Bundle) error

// attachTo attaches bundles to the artifact of a reference.
func attachTo(client *oci.Client, ref oci.Reference) attacher {
	return func(ctx context.Context, b *signature.Bundle) error {
		return bundles.Attach(ctx, client, ref, b, time.Now())
	}
}

// signManifest signs an artifact, by its manifest, unless the key has done so before, and
// says which key it was: have is what is attached already.
func signManifest(ctx context.Context, s *streams, manifest []byte, k signature.Signer, have []*signature.Bundle, attach attacher) error {
	key, done := k.Public(), "already signed"
	if !says(have, manifest, key, isSignature) {
		done = "signed"
		st, err := signature.NewStatement(manifest, signature.PredicateSign, signature.SignPredicate{SignedAt: time.Now().UTC().Truncate(time.Second)})
		if err != nil {
			return err
		}
		b, err := signature.Sign(ctx, k, st)
		if err != nil {
			return err
		}
		if err := attach(ctx, b); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(s.err, "%s with %s (%s)\n", done, key.ID(), key.Algorithm())
	return err
}

// isSignature reports whether a statement says that the artifact is signed and no
// more; nil stands for a signature without a statement.
func isSignature(st *signature.Statement) bool {
	return st == nil || st.PredicateType == signature.PredicateSign
}
