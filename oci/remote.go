package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

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
		MaxMetadataBytes: maxManifest, TagListMaxPages: 1000,
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
	case s.c.offline && !missing(err):
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
	if ok {
		if int64(len(b)) != d.Size {
			return nil, fmt.Errorf("%s has %d bytes, but the manifest says %d", d.Digest, len(b), d.Size)
		}
		return b, nil
	}
	var meter *meter
	if counted {
		meter = s.c.progress.begin(d.Size)
	}
	err = s.anywhere(ctx, func(repo *remote.Repository) error {
		b, err = s.download(ctx, repo, d, meter)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.Digest, err)
	}
	if s.cache != nil {
		_ = s.c.cache.Added(d.Size)
	}
	return b, nil
}

// download downloads a blob and puts it into the cache if there is one. It goes on
// where an earlier attempt ended.
func (s *remoteSource) download(ctx context.Context, repo *remote.Repository, d v1.Descriptor, m *meter) ([]byte, error) {
	t := &transfer{desc: d, meter: m, backoff: s.c.backoff}
	if s.cache != nil {
		// Without a place for it, it is in memory alone.
		t.w, _ = s.cache.Create(d.Digest, d.Size)
	}
	resumed, err := t.begin()
	if err == nil {
		err = t.fetch(ctx, repo)
	}
	if err != nil {
		return nil, errors.Join(err, t.close())
	}
	b, err := t.finish()
	if damaged(err) && resumed {
		// The part that was there may have been the wrong one.
		return s.download(ctx, repo, d, m)
	}
	return b, err
}

// transfer is the download of a blob.
type transfer struct {
	desc    v1.Descriptor
	backoff backoff
	buf     bytes.Buffer
	w       *blob.Writer // nil if it is not kept
	meter   *meter
	whole   bool // buf needs to be checked: it is not what w saw
}

// begin takes over what was downloaded before.
func (t *transfer) begin() (resumed bool, err error) {
	if t.w == nil || t.w.Offset() == 0 {
		t.whole = t.w == nil
		return false, nil
	}
	b, err := t.w.Contents()
	if err != nil {
		return false, err
	}
	t.buf.Write(b)
	t.whole = true
	t.meter.set(int64(len(b)))
	return true, nil
}

func (t *transfer) offset() int64 { return int64(t.buf.Len()) }

func (t *transfer) reset() error {
	t.buf.Reset()
	t.meter.set(0)
	if t.w == nil {
		return nil
	}
	return t.w.Reset()
}

// Write implements [io.Writer].
func (t *transfer) Write(p []byte) (int, error) {
	if int64(len(p)) > t.desc.Size-t.offset() {
		return 0, fmt.Errorf("%w: more than %d bytes", errWrongSize, t.desc.Size)
	}
	if t.w != nil {
		if _, err := t.w.Write(p); err != nil {
			_ = t.w.Close()
			t.w, t.whole = nil, true
		}
	}
	t.buf.Write(p)
	t.meter.set(t.offset())
	return len(p), nil
}

var errWrongSize = errors.New("the registry sends what is no such blob")

func (t *transfer) close() error {
	if t.w == nil {
		return nil
	}
	return t.w.Close()
}

// finish checks the blob and keeps it.
func (t *transfer) finish() ([]byte, error) {
	b := t.buf.Bytes()
	if t.whole {
		if got := t.desc.Digest.Algorithm().FromBytes(b); got != t.desc.Digest {
			err := &blob.DamagedError{Digest: t.desc.Digest, Reason: fmt.Sprintf("its contents have the digest %s", got)}
			if t.w != nil {
				err2 := t.w.Reset()
				return nil, errors.Join(err, err2, t.w.Close())
			}
			return nil, err
		}
	}
	if t.w != nil {
		if err := t.w.Commit(); damaged(err) {
			return nil, err
		}
	}
	return b, nil
}

// fetch gets the rest of the blob, in as many requests as it takes.
func (t *transfer) fetch(ctx context.Context, repo *remote.Repository) error {
	const maxRequests = 100
	failures := 0
	for request := 0; t.offset() < t.desc.Size || request == 0 && t.desc.Size == 0; request++ {
		before := t.offset()
		err := t.request(ctx, repo)
		if err == nil {
			if t.desc.Size == 0 {
				return nil
			}
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if t.offset() > before {
			failures = 0
		}
		failures++
		if !retryable(err) || failures >= maxAttempts || request >= maxRequests {
			return err
		}
		if err := sleep(ctx, t.backoff.wait(failures-1)); err != nil {
			return err
		}
	}
	return nil
}

// errBroken is wrapped by the error of a response that ended too early.
var errBroken = errors.New("the download broke off")

func retryable(err error) bool { return errors.Is(err, errBroken) || transient(err) }

// request does one request for what is missing.
func (t *transfer) request(ctx context.Context, repo *remote.Repository) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	resp, err := getBlob(ctx, repo, t.desc, t.offset())
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		if n := resp.ContentLength; n >= 0 && n != t.desc.Size {
			return fmt.Errorf("%w: %d bytes, expected %d", errWrongSize, n, t.desc.Size)
		}
		if t.offset() > 0 {
			if err := t.reset(); err != nil {
				return err
			}
		}
	case http.StatusPartialContent:
		if want := fmt.Sprintf("bytes %d-", t.offset()); !strings.HasPrefix(resp.Header.Get("Content-Range"), want) {
			return fmt.Errorf("the registry sends the range %q, expected %q", clip(resp.Header.Get("Content-Range")), want)
		}
	case http.StatusRequestedRangeNotSatisfiable:
		if t.offset() == 0 {
			return responseError(resp)
		}
		if err := t.reset(); err != nil {
			return err
		}
		return fmt.Errorf("%w: the registry has no such range", errBroken)
	default:
		return responseError(resp)
	}
	idle := time.AfterFunc(idleTimeout, func() { cancel(fmt.Errorf("nothing came for %v", idleTimeout)) })
	defer idle.Stop()
	buf := make([]byte, 256<<10)
	for {
		n, err := resp.Body.Read(buf)
		if n > 0 {
			idle.Reset(idleTimeout)
			if _, err := t.Write(buf[:n]); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF && t.offset() == t.desc.Size:
			return nil
		case err == io.EOF:
			return fmt.Errorf("%w after %d of %d bytes", errBroken, t.offset(), t.desc.Size)
		case err != nil:
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return fmt.Errorf("%w after %d of %d bytes: %w", errBroken, t.offset(), t.desc.Size, err)
		}
	}
}

// getBlob asks for the bytes of a blob from an offset.
func getBlob(ctx context.Context, repo *remote.Repository, d v1.Descriptor, offset int64) (*http.Response, error) {
	ref := repo.Reference
	ref.Reference = d.Digest.String()
	scheme := "https"
	if repo.PlainHTTP {
		scheme = "http"
	}
	ctx = auth.AppendRepositoryScope(ctx, ref, auth.ActionPull)
	url := fmt.Sprintf("%s://%s/v2/%s/blobs/%s", scheme, ref.Host(), ref.Repository, d.Digest)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if offset > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", offset, d.Size-1))
	}
	return repo.Client.Do(req)
}

// responseError is the error of a response as the distribution specification
// defines it.
func responseError(resp *http.Response) error {
	e := &errcode.ErrorResponse{Method: resp.Request.Method, URL: resp.Request.URL, StatusCode: resp.StatusCode}
	var body struct {
		Errors errcode.Errors `json:"errors"`
	}
	if json.NewDecoder(io.LimitReader(resp.Body, 8<<10)).Decode(&body) == nil {
		e.Errors = body.Errors
	}
	return e
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
