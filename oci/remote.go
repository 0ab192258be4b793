package oci

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/ashlar-wasm/ashlar/oci/blob"
	"github.com/ashlar-wasm/ashlar/oci/cache"
)

// endpoint is a host that a registry's contents are had from.
type endpoint struct{ host, prefix string }

// repository returns a repository at an endpoint.
func (c *Client) repository(ctx context.Context, e endpoint, name string) (*remote.Repository, error) {
	if e.prefix != "" {
		name = e.prefix + "/" + name
	}
	plain, err := c.schemes.isPlain(ctx, e.host)
	if err != nil {
		return nil, err
	}
	return &remote.Repository{
		Client: c.auth, PlainHTTP: plain, Reference: registry.Reference{Registry: e.host, Repository: name},
		MaxMetadataBytes: maxManifest, TagListMaxPages: 1000, ReferrerListMaxPages: 100,
		// Few registries let lists be deleted.
		SkipReferrersGC: true,
	}, nil
}

// remoteSource reads from a registry, by way of the cache.
type remoteSource struct {
	c     *Client
	r     Reference
	cache *cache.Host // nil without a cache
}

func (c *Client) newRemote(_ context.Context, r Reference) (*remoteSource, error) {
	s := &remoteSource{c: c, r: r}
	if c.cache == nil {
		return s, nil
	}
	var err error
	s.cache, err = c.cache.Host(r.Registry)
	return s, err
}

func (s *remoteSource) close() {}

// endpoints are where to ask, in this order.
func (s *remoteSource) endpoints() []endpoint {
	return append(append([]endpoint{}, s.c.mirrors[s.r.Registry]...), endpoint{host: s.r.Registry})
}

// anywhere tries the endpoints until one gives what is wanted.
func (s *remoteSource) anywhere(ctx context.Context, try func(*remote.Repository) error) error {
	if s.c.offline {
		return ErrOffline
	}
	var errs []error
	for _, e := range s.endpoints() {
		repo, err := s.c.repository(ctx, e, s.r.Repository)
		if err == nil {
			err = try(repo)
		}
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if e.host != s.r.Registry || len(errs) > 0 {
			err = fmt.Errorf("%s: %w", e.host, err)
		}
		errs = append(errs, s.c.registryError(err))
	}
	return errors.Join(errs...)
}

// cached returns a blob from the cache. ok is false if it is to be fetched.
func (s *remoteSource) cached(d digest.Digest, limit int64) (b []byte, ok bool, err error) {
	if s.cache == nil {
		return nil, false, nil
	}
	b, err = s.cache.Read(d, limit)
	switch {
	case err == nil:
		return b, true, nil
	case wrongSize(err), s.c.offline && !missing(err):
		return nil, false, fmt.Errorf("in the cache: %w", err)
	case damaged(err):
		// What is fetched takes its place; where it can't, that is of no concern.
		_ = s.cache.Remove(d)
	}
	return nil, false, nil
}

func (s *remoteSource) manifest(ctx context.Context, r Reference) ([]byte, v1.Descriptor, error) {
	d := r.Digest
	if d == "" && s.c.offline && s.cache != nil {
		var err error
		if d, _, err = s.cache.Tag(r.Repository, r.tag()); err != nil && !missing(err) {
			return nil, v1.Descriptor{}, err
		}
	}
	if d != "" {
		b, ok, err := s.cached(d, maxManifest)
		if err != nil {
			return nil, v1.Descriptor{}, fmt.Errorf("manifest %w", err)
		}
		if ok {
			return b, v1.Descriptor{MediaType: MediaTypeManifest, Digest: d, Size: int64(len(b))}, nil
		}
	}
	var b []byte
	var desc v1.Descriptor
	err := s.anywhere(ctx, func(repo *remote.Repository) error {
		return repeat(ctx, s.c.backoff, func() (err error) {
			b, desc, err = fetchManifest(ctx, repo, r)
			return err
		})
	})
	if err != nil {
		return nil, desc, err
	}
	s.keep(desc.Digest, b)
	if r.Digest == "" && s.cache != nil {
		// Only what is asked for offline misses it.
		_ = s.cache.SetTag(r.Repository, r.tag(), desc.Digest)
	}
	return b, desc, nil
}

// keep puts a blob into the cache. A full disk must not keep anybody from using
// what is there.
func (s *remoteSource) keep(d digest.Digest, b []byte) {
	if s.cache != nil && s.cache.Put(d, b) == nil {
		_ = s.c.cache.Added(int64(len(b)))
	}
}

// fetchManifest fetches and checks a manifest.
func fetchManifest(ctx context.Context, repo *remote.Repository, r Reference) ([]byte, v1.Descriptor, error) {
	name := r.tag()
	if r.Digest != "" {
		name = r.Digest.String()
	}
	desc, body, err := repo.Manifests().FetchReference(ctx, name)
	if err != nil {
		return nil, v1.Descriptor{}, err
	}
	defer body.Close()
	if desc.Size > maxManifest {
		return nil, desc, fmt.Errorf("the manifest has %d bytes, more than %d", desc.Size, maxManifest)
	}
	if r.Digest != "" {
		desc.Digest = r.Digest // what the registry says of it does not matter
	}
	if err := checkDigest(desc.Digest); err != nil {
		return nil, desc, fmt.Errorf("the registry says that the manifest has the digest %w", err)
	}
	b, err := readBounded(body, desc)
	if err != nil {
		return nil, desc, fmt.Errorf("manifest: %w", err)
	}
	return b, desc, nil
}

func (s *remoteSource) blob(ctx context.Context, d v1.Descriptor, counted bool) ([]byte, error) {
	b, ok, err := s.cached(d.Digest, d.Size)
	if err != nil {
		return nil, err
	}
	if !ok {
		if ok, err = s.fetch(ctx, d, s.meter(d, counted), nil); err != nil {
			return nil, fmt.Errorf("%s: %w", d.Digest, err)
		}
		if ok {
			b, ok, err = s.cached(d.Digest, d.Size)
		}
	}
	switch {
	case err != nil:
		return nil, err
	case ok && int64(len(b)) != d.Size:
		return nil, &blob.SizeError{Digest: d.Digest, Size: int64(len(b)), Want: fmt.Sprint(d.Size)}
	case ok:
		return b, nil
	}
	m := &memory{}
	err = s.anywhere(ctx, func(repo *remote.Repository) error {
		return s.download(ctx, repo, d, s.meter(d, counted), m, func() error { return checkBytes(d, m.b) })
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.Digest, err)
	}
	return m.b, nil
}

func (s *remoteSource) meter(d v1.Descriptor, counted bool) *meter {
	if !counted {
		return nil
	}
	return s.c.progress.begin(d.Size)
}

// copyTo writes a blob to a file that is empty.
func (s *remoteSource) copyTo(ctx context.Context, d v1.Descriptor, out *os.File) error {
	if s.cache != nil {
		switch err := s.cache.CopyTo(d.Digest, d.Size, out); {
		case err == nil:
			return nil
		case wrongSize(err), s.c.offline && !missing(err):
			return fmt.Errorf("in the cache: %w", err)
		case damaged(err):
			_ = s.cache.Remove(d.Digest)
		case !missing(err):
			return err
		}
		if err := emptyFile(out); err != nil {
			return err
		}
		kept, err := s.fetch(ctx, d, s.meter(d, true), out)
		if err != nil {
			return fmt.Errorf("%s: %w", d.Digest, err)
		}
		if kept {
			return nil
		}
		if err := emptyFile(out); err != nil {
			return err
		}
	}
	f := &file{f: out, hash: d.Digest.Algorithm().Hash()}
	err := s.anywhere(ctx, func(repo *remote.Repository) error {
		return s.download(ctx, repo, d, s.meter(d, true), f, func() error {
			return checkSum(d, digest.NewDigest(d.Digest.Algorithm(), f.hash))
		})
	})
	if err != nil {
		return fmt.Errorf("%s: %w", d.Digest, err)
	}
	return nil
}

// fetch downloads a blob into the cache, and copies it to a file if there is one.
// kept is false if it can't be kept, which does not hinder anybody from having it.
func (s *remoteSource) fetch(ctx context.Context, d v1.Descriptor, m *meter, out *os.File) (kept bool, err error) {
	if s.cache == nil || s.c.offline {
		return false, nil
	}
	w, err := s.cache.Create(d.Digest, d.Size)
	if err != nil {
		return false, nil
	}
	err = s.anywhere(ctx, func(repo *remote.Repository) error {
		return s.download(ctx, repo, d, m, w, w.Check)
	})
	if err == nil {
		if err := w.Commit(out); err != nil {
			return false, nil
		}
		_ = s.c.cache.Added(d.Size)
		return true, nil
	}
	_ = w.Close()
	var local *localError
	if errors.As(err, &local) {
		return false, nil
	}
	return false, err
}

// repeat does what failed for a reason that may pass again. Requests repeat
// themselves; this is for what happens to bodies.
func repeat(ctx context.Context, b backoff, do func() error) error {
	for attempt := 0; ; attempt++ {
		err := do()
		if err == nil || attempt+1 >= maxAttempts || ctx.Err() != nil || !retryable(err) {
			return err
		}
		if err := sleep(ctx, b.wait(attempt)); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

func (s *remoteSource) tags(ctx context.Context) (map[string]bool, error) {
	const maxTags = 100_000
	tags := map[string]bool{}
	err := s.anywhere(ctx, func(repo *remote.Repository) error {
		return repo.Tags(ctx, "", func(page []string) error {
			for _, t := range page {
				if !tagPattern.MatchString(t) {
					return fmt.Errorf("the registry lists %q, which is no tag", clip(t))
				}
				tags[t] = true
			}
			if len(tags) > maxTags {
				return fmt.Errorf("more than %d tags", maxTags)
			}
			return nil
		})
	})
	return tags, err
}
