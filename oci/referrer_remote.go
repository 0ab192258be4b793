package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// referrers asks where referrers are known. A mirror may know of none though there
// are some.
func (s *remoteSource) referrers(ctx context.Context, subject v1.Descriptor, pinned bool) ([]v1.Descriptor, error) {
	if s.c.offline {
		return s.knownReferrers(subject.Digest)
	}
	found := []v1.Descriptor{}
	answered := false
	err := s.anywhere(ctx, func(repo *remote.Repository) error {
		list, err := fetchReferrers(ctx, repo, subject)
		if err != nil {
			return err
		}
		found, answered = list, true
		if len(list) == 0 {
			return errNoReferrers
		}
		return nil
	})
	switch {
	case answered:
	case pinned && unreachable(err):
		if known, e := s.knownReferrers(subject.Digest); e == nil {
			return known, nil
		}
		return nil, err
	default:
		return nil, err
	}
	if s.cache != nil {
		// Only what is asked for offline misses it.
		if b, err := json.Marshal(found); err == nil {
			_ = s.cache.SetReferrers(s.r.Repository, subject.Digest, b)
		}
	}
	return found, nil
}

var errNoReferrers = errors.New("no referrers")

// knownReferrers returns the referrers that were there when they were last listed.
func (s *remoteSource) knownReferrers(d digest.Digest) ([]v1.Descriptor, error) {
	if s.cache == nil {
		return nil, ErrOffline
	}
	b, err := s.cache.Referrers(s.r.Repository, d)
	if err != nil {
		return nil, ErrOffline
	}
	var found list[v1.Descriptor]
	if err := decodeJSON(b, &found); err != nil {
		return nil, fmt.Errorf("cached list of referrers: %w", err)
	}
	return found, tooMany(len(found))
}

// fetchReferrers asks a registry. Those that don't know the API answer in many ways.
func fetchReferrers(ctx context.Context, repo *remote.Repository, subject v1.Descriptor) ([]v1.Descriptor, error) {
	var found []v1.Descriptor
	ask := func() error {
		found = nil
		return repo.Referrers(ctx, subject, "", func(page []v1.Descriptor) error {
			found = append(found, page...)
			return tooMany(len(found))
		})
	}
	err := ask()
	var resp *errcode.ErrorResponse
	if errors.As(err, &resp) {
		switch resp.StatusCode {
		case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusNotImplemented:
			if repo.SetReferrersCapability(false) == nil {
				err = ask()
			}
		}
	}
	return found, err
}

// unreachable reports whether nothing was heard of a registry.
func unreachable(err error) bool {
	var op *net.OpError
	var dns *net.DNSError
	var re *redactedError
	if errors.As(err, &re) {
		err = re.err
	}
	return errors.As(err, &op) || errors.As(err, &dns)
}

// pushReferrer pushes a referrer and sees to it that it is listed: where the list is
// a tag, others may write it at the same time.
func (c *Client) pushReferrer(ctx context.Context, r Reference, m *referrerManifest, from Reference, content func(context.Context, v1.Descriptor) ([]byte, error)) error {
	if c.offline {
		return ErrOffline
	}
	repo, err := c.repository(ctx, endpoint{host: r.Registry}, r.Repository)
	if err != nil {
		return c.registryError(err)
	}
	for _, d := range m.blobs {
		_, err := c.pushBlob(ctx, repo, d, mountable(from, r), false, func(ctx context.Context) ([]byte, error) { return content(ctx, d) })
		if err != nil {
			return c.registryError(err)
		}
	}
	push := func() error { return repo.Manifests().Push(ctx, m.Descriptor, bytes.NewReader(m.bytes)) }
	if err := repeat(ctx, c.backoff, push); err != nil {
		return c.registryError(err)
	}
	// Who read a list that is a tag before this one was written may write it after it
	// was looked at, so it has to be there twice.
	there := 0
	for attempt := 0; ; attempt++ {
		listed, err := fetchReferrers(ctx, repo, m.subject)
		if err != nil {
			return c.registryError(err)
		}
		if slices.ContainsFunc(listed, func(d v1.Descriptor) bool { return d.Digest == m.Descriptor.Digest }) {
			there++
			isTag := repo.SetReferrersCapability(true) != nil
			if there == 2 || !isTag {
				return nil
			}
		} else if attempt > 2*maxAttempts {
			return errors.New("the registry took it, but does not list it as a referrer")
		} else if err := repeat(ctx, c.backoff, push); err != nil {
			return c.registryError(err)
		} else {
			there = 0
		}
		if err := sleep(ctx, c.backoff.wait(min(attempt, 2))); err != nil {
			return err
		}
	}
}
