package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/ashlar-wasm/ashlar/oci"
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

// signArtifact signs an artifact, unless the key has done so before, says which key
// it was, and returns the reference with the digest.
func signArtifact(ctx context.Context, s *streams, client *oci.Client, ref oci.Reference, k signature.Signer, force bool) (oci.Reference, error) {
	a, err := client.Describe(ctx, ref)
	if err != nil {
		return ref, err
	}
	ref.Digest = a.Descriptor.Digest
	key := k.Public()
	if !force {
		found, err := attachedBundles(ctx, client, ref)
		if err != nil {
			return ref, err
		}
		for _, f := range found {
			if v, err := f.verify(a.ManifestBytes, []signature.PublicKey{key}); err == nil && isSignature(v.Statement) {
				_, err := fmt.Fprintf(s.err, "already signed with %s (%s)\n", key.ID(), key.Algorithm())
				return ref, err
			}
		}
	}
	now := time.Now().UTC().Truncate(time.Second)
	st, err := signature.NewStatement(a.ManifestBytes, signature.PredicateSign, signature.SignPredicate{SignedAt: now})
	if err != nil {
		return ref, err
	}
	b, err := signature.Sign(ctx, k, st)
	if err != nil {
		return ref, err
	}
	if err := attachBundle(ctx, client, ref, b, now); err != nil {
		return ref, err
	}
	_, err = fmt.Fprintf(s.err, "signed with %s (%s)\n", key.ID(), key.Algorithm())
	return ref, err
}

// attachBundle attaches a bundle to an artifact.
func attachBundle(ctx context.Context, client *oci.Client, ref oci.Reference, b *signature.Bundle, created time.Time) error {
	annotations := b.Annotations()
	annotations[v1.AnnotationCreated] = created.Format(time.RFC3339)
	_, err := client.Attach(ctx, ref, oci.Attachment{
		ArtifactType: signature.MediaTypeBundle, Content: b.Encode(), Annotations: annotations,
	})
	return err
}

// isSignature reports whether a statement says that the artifact is signed and no
// more; nil stands for a signature without a statement.
func isSignature(st *signature.Statement) bool {
	return st == nil || st.PredicateType == signature.PredicateSign
}

// attachedBundle is a bundle that is attached to an artifact.
type attachedBundle struct {
	referrer oci.Referrer
	bundle   *signature.Bundle
	err      error // why the bundle can't be read
}

func (b *attachedBundle) verify(manifest []byte, keys []signature.PublicKey) (*signature.Verified, error) {
	if b.err != nil {
		return nil, b.err
	}
	return b.bundle.Verify(manifest, keys)
}

const (
	// maxBundles bounds the bytes of all bundles of an artifact.
	maxBundles    = 64 << 20
	bundlesAtOnce = 4
)

// attachedBundles returns the bundles that are attached to an artifact. One that can't
// be read is an entry with an error, since anybody may have attached it.
func attachedBundles(ctx context.Context, client *oci.Client, ref oci.Reference) ([]attachedBundle, error) {
	refs, err := client.Referrers(ctx, ref, "")
	if err != nil {
		return nil, err
	}
	refs = slices.DeleteFunc(refs, func(r oci.Referrer) bool {
		return !strings.HasPrefix(r.ArtifactType, "application/vnd.dev.sigstore.bundle")
	})
	list := make([]attachedBundle, len(refs))
	var size atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(bundlesAtOnce)
	for i, r := range refs {
		g.Go(func() error {
			list[i].referrer = r
			a, err := client.ReadReferrer(ctx, ref, r)
			var unfit *oci.ArtifactError
			switch {
			case errors.As(err, &unfit), errors.Is(err, oci.ErrNotFound), errors.Is(err, oci.ErrOffline):
				// Whoever may push may attach what is no good or not there, and what is
				// not there is not in the cache.
				list[i].err = err
			case err != nil:
				return err
			case size.Add(int64(len(a.Content))) > maxBundles:
				return fmt.Errorf("%s: the bundles that are attached have more than %d bytes", ref, maxBundles)
			default:
				list[i].bundle, list[i].err = signature.ParseBundle(a.Content)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return list, err
	}
	// Where nothing is in the cache, nothing is known of what is attached.
	if len(list) > 0 && !slices.ContainsFunc(list, func(b attachedBundle) bool { return !errors.Is(b.err, oci.ErrOffline) }) {
		return list, list[0].err
	}
	return list, nil
}

// readable returns the bundles that can be read.
func readable(attached []attachedBundle) []*signature.Bundle {
	var list []*signature.Bundle
	for _, b := range attached {
		if b.err == nil {
			list = append(list, b.bundle)
		}
	}
	return list
}
