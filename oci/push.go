package oci

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
	"oras.land/oras-go/v2/registry/remote"
)

// pushRemote pushes blobs that are not there, and then the manifest.
func (c *Client) pushRemote(ctx context.Context, r Reference, a *Artifact, from Reference, layer func(context.Context) ([]byte, error)) error {
	if c.offline {
		return ErrOffline
	}
	repo, err := c.repository(ctx, endpoint{host: r.Registry}, r.Repository)
	if err != nil {
		return c.registryError(err)
	}
	source := mountable(from, r)
	group, blobs := errgroup.WithContext(ctx)
	var layerThere, configThere bool
	group.Go(func() (err error) {
		layerThere, err = c.pushBlob(blobs, repo, a.Manifest.Layer, source, true, layer)
		return err
	})
	group.Go(func() (err error) {
		configThere, err = c.pushBlob(blobs, repo, a.Manifest.Config, source, false, func(context.Context) ([]byte, error) { return a.ConfigBytes, nil })
		return err
	})
	if err := group.Wait(); err != nil {
		return c.registryError(err)
	}
	name := r.Tag
	if name == "" && r.Digest == "" {
		name = r.tag()
	}
	if name == "" {
		name = a.Descriptor.Digest.String()
	}
	if layerThere && configThere {
		// To be pushed again is common, and costs registries more than a question.
		if d, err := repo.Manifests().Resolve(ctx, name); err == nil && d.Digest == a.Descriptor.Digest {
			return nil
		}
	}
	return c.registryError(repeat(ctx, c.backoff, func() error {
		return repo.Manifests().PushReference(ctx, a.Descriptor, bytes.NewReader(a.ManifestBytes), name)
	}))
}

// mountable returns the repository that blobs of a copy can be taken from by the
// registry itself, or "".
func mountable(from, to Reference) string {
	if from.Registry == to.Registry && from.Repository != to.Repository {
		return from.Repository
	}
	return ""
}

// pushBlob pushes a blob that is not there, and reports whether it was. from is a
// repository of the same registry that has it, or "".
func (c *Client) pushBlob(ctx context.Context, repo *remote.Repository, d v1.Descriptor, from string, counted bool, content func(context.Context) ([]byte, error)) (there bool, err error) {
	there, err = repo.Blobs().Exists(ctx, d)
	if err != nil || there {
		return there, err
	}
	if from != "" {
		mounted := true
		err := repo.Mount(ctx, d, from, func() (io.ReadCloser, error) {
			mounted = false
			return nil, errNotMounted
		})
		if mounted || !errors.Is(err, errNotMounted) {
			return false, err
		}
	}
	b, err := content(ctx)
	if err != nil {
		return false, err
	}
	u := &upload{repo: repo, desc: d, content: b, backoff: c.backoff, idle: c.idle}
	if counted {
		u.meter = c.progress.begin(d.Size)
	}
	return false, u.run(ctx)
}

// errNotMounted tells that a registry does not take a blob from another repository.
var errNotMounted = errors.New("not mounted")
