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
	group.Go(func() error {
		return c.pushBlob(blobs, repo, a.Manifest.Layer, source, true, layer)
	})
	group.Go(func() error {
		return c.pushBlob(blobs, repo, a.Manifest.Config, source, false, func(context.Context) ([]byte, error) { return a.ConfigBytes, nil })
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

// pushBlob pushes a blob that is not there. from is a repository of the same
// registry that has it, or "".
func (c *Client) pushBlob(ctx context.Context, repo *remote.Repository, d v1.Descriptor, from string, counted bool, content func(context.Context) ([]byte, error)) error {
	exists, err := repo.Blobs().Exists(ctx, d)
	if err != nil || exists {
		return err
	}
	if from != "" {
		mounted := true
		err := repo.Mount(ctx, d, from, func() (io.ReadCloser, error) {
			mounted = false
			return nil, errNotMounted
		})
		if mounted || !errors.Is(err, errNotMounted) {
			return err
		}
	}
	b, err := content(ctx)
	if err != nil {
		return err
	}
	u := &upload{repo: repo, desc: d, content: b, backoff: c.backoff, idle: c.idle}
	if counted {
		u.meter = c.progress.begin(d.Size)
	}
	return u.run(ctx)
}

// errNotMounted tells that a registry does not take a blob from another repository.
var errNotMounted = errors.New("not mounted")
