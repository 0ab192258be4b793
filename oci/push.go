package oci

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/errcode"
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
	open := func() (io.ReadCloser, error) {
		b, err := content(ctx)
		if err != nil {
			return nil, err
		}
		r := &countedReader{r: bytes.NewReader(b)}
		if counted {
			r.meter = c.progress.begin(int64(len(b)))
		}
		return r, nil
	}
	for attempt := 0; ; attempt++ {
		err := c.upload(ctx, repo, d, from, open)
		if err == nil || attempt+1 >= maxAttempts || ctx.Err() != nil || !uploadRetryable(err) {
			return err
		}
		if err := sleep(ctx, c.backoff.wait(attempt)); err != nil {
			return err
		}
	}
}

func (c *Client) upload(ctx context.Context, repo *remote.Repository, d v1.Descriptor, from string, open func() (io.ReadCloser, error)) error {
	if from != "" {
		return repo.Mount(ctx, d, from, open)
	}
	body, err := open()
	if err != nil {
		return err
	}
	defer body.Close()
	return repo.Blobs().Push(ctx, d, body)
}

// uploadRetryable reports whether an upload may work when it is begun anew. What
// was sent can't be sent again by the transport, so its failures count here.
func uploadRetryable(err error) bool {
	var resp *errcode.ErrorResponse
	if errors.As(err, &resp) {
		return resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusRequestTimeout
	}
	return retryable(err)
}

// countedReader tells how much was read.
type countedReader struct {
	r     *bytes.Reader
	meter *meter
}

func (r *countedReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.meter.set(r.r.Size() - int64(r.r.Len()))
	return n, err
}

func (r *countedReader) Close() error { return nil }
