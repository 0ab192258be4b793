// Package bundles attaches sigstore bundles to artifacts, and reads those that are
// attached, as cosign does (its BUNDLE_SPEC.md).
package bundles

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/ashlar-wasm/ashlar/oci"
	"github.com/ashlar-wasm/ashlar/signature"
)

const (
	// MaxBytes bounds the bytes of all bundles that are attached to an artifact.
	MaxBytes = 64 << 20
	// atOnce is how many are read at a time.
	atOnce = 4
	// typePrefix begins the artifact type of bundles of every version.
	typePrefix = "application/vnd.dev.sigstore.bundle"
)

// PredicateAnnotation is the annotation of a referrer that says the type of the
// statement in its bundle.
const PredicateAnnotation = "dev.sigstore.bundle.predicateType"

// Attached is a bundle that is attached to an artifact.
type Attached struct {
	Referrer oci.Referrer
	// Bundle is nil if it can't be read; then Err says why.
	Bundle *signature.Bundle
	Err    error
}

// Verify is Bundle.Verify, or the error of a bundle that can't be read.
func (a *Attached) Verify(manifest []byte, keys []signature.PublicKey) (*signature.Verified, error) {
	if a.Err != nil {
		return nil, a.Err
	}
	return a.Bundle.Verify(manifest, keys)
}

// Attach attaches a bundle to an artifact. created is the time that its annotation says.
func Attach(ctx context.Context, c *oci.Client, ref oci.Reference, b *signature.Bundle, created time.Time) error {
	annotations := b.Annotations()
	annotations[v1.AnnotationCreated] = created.UTC().Format(time.RFC3339)
	_, err := c.Attach(ctx, ref, oci.Attachment{ArtifactType: signature.MediaTypeBundle, Content: b.Encode(), Annotations: annotations})
	return err
}

// List returns the bundles that are attached to an artifact; with a predicate type,
// those with a statement of that type alone. A bundle that is no good or not there is an
// entry with an error, since anybody may have attached it. The error wraps
// [oci.ErrOffline] if offline none can be read, but some are known.
func List(ctx context.Context, c *oci.Client, ref oci.Reference, predicateType string) ([]Attached, error) {
	refs, err := c.Referrers(ctx, ref, "")
	if err != nil {
		return nil, err
	}
	refs = slices.DeleteFunc(refs, func(r oci.Referrer) bool {
		said, ok := r.Annotations[PredicateAnnotation]
		return !strings.HasPrefix(r.ArtifactType, typePrefix) || ok && predicateType != "" && said != predicateType
	})
	list := make([]Attached, len(refs))
	var size atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i, r := range refs {
		list[i].Referrer = r
		g.Go(func() error { return list[i].read(ctx, c, ref, &size) })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if len(Readable(list)) == 0 {
		// What of it counts is not known.
		for _, a := range list {
			if errors.Is(a.Err, oci.ErrOffline) {
				return nil, a.Err
			}
		}
	}
	return slices.DeleteFunc(list, func(a Attached) bool {
		return predicateType != "" && a.Err == nil && !isOf(a.Bundle, predicateType)
	}), nil
}

func (a *Attached) read(ctx context.Context, c *oci.Client, ref oci.Reference, size *atomic.Int64) error {
	content, err := c.ReadReferrer(ctx, ref, a.Referrer)
	var unfit *oci.ArtifactError
	switch {
	case errors.As(err, &unfit), errors.Is(err, oci.ErrNotFound), errors.Is(err, oci.ErrOffline):
		// What a stranger attached that is not there can't be in the cache.
		a.Err = err
		return nil
	case err != nil:
		return err
	case size.Add(int64(len(content.Content))) > MaxBytes:
		return fmt.Errorf("%s: the bundles that are attached have more than %d bytes", ref, MaxBytes)
	}
	a.Bundle, a.Err = signature.ParseBundle(content.Content)
	return nil
}

func isOf(b *signature.Bundle, predicateType string) bool {
	st := b.Unverified()
	return st != nil && st.PredicateType == predicateType
}

// Readable returns the bundles that can be read.
func Readable(list []Attached) []*signature.Bundle {
	var all []*signature.Bundle
	for _, a := range list {
		if a.Err == nil {
			all = append(all, a.Bundle)
		}
	}
	return all
}
