package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/ashlar-wasm/ashlar/oci/blob"
)

// download downloads a blob, which check says to be right or not. It goes on where an
// earlier attempt ended.
func (s *remoteSource) download(ctx context.Context, repo *remote.Repository, d v1.Descriptor, m *meter, to sink, check func() error) error {
	t := &transfer{desc: d, meter: m, backoff: s.c.backoff, to: to}
	for {
		resumed := to.Offset() > 0
		m.set(to.Offset())
		if err := t.fetch(ctx, repo); err != nil {
			return err
		}
		err := check()
		if err == nil {
			return nil
		}
		if err := t.reset(); err != nil {
			return err
		}
		if !resumed {
			return err
		}
		// The part that was there may have been the wrong one.
	}
}

// sink takes a download.
type sink interface {
	io.Writer
	Offset() int64 // how many bytes there are
	Reset() error  // begins anew
}

// memory is a sink in memory.
type memory struct{ b []byte }

func (m *memory) Offset() int64 { return int64(len(m.b)) }
func (m *memory) Reset() error  { m.b = nil; return nil }

func (m *memory) Write(p []byte) (int, error) {
	m.b = append(m.b, p...)
	return len(p), nil
}

// file is a sink on disk that is not kept.
type file struct {
	f      *os.File
	hash   hash.Hash
	offset int64
}

func (f *file) Offset() int64 { return f.offset }

func (f *file) Reset() error {
	f.offset = 0
	f.hash.Reset()
	return emptyFile(f.f)
}

func (f *file) Write(p []byte) (int, error) {
	n, err := f.f.Write(p)
	f.hash.Write(p[:n])
	f.offset += int64(n)
	return n, err
}

func emptyFile(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.Seek(0, io.SeekStart)
	return err
}

func checkBytes(d v1.Descriptor, b []byte) error {
	return checkSum(d, d.Digest.Algorithm().FromBytes(b))
}

func checkSum(d v1.Descriptor, got digest.Digest) error {
	if got == d.Digest {
		return nil
	}
	return &blob.DamagedError{Digest: d.Digest, Reason: fmt.Sprintf("its contents have the digest %s", got)}
}

// transfer is the download of a blob.
type transfer struct {
	desc    v1.Descriptor
	backoff backoff
	to      sink
	meter   *meter
}

func (t *transfer) offset() int64 { return t.to.Offset() }

func (t *transfer) reset() error {
	t.meter.set(0)
	if err := t.to.Reset(); err != nil {
		return &localError{err}
	}
	return nil
}

// Write implements [io.Writer].
func (t *transfer) Write(p []byte) (int, error) {
	if int64(len(p)) > t.desc.Size-t.offset() {
		return 0, fmt.Errorf("%w: more than %d bytes", errWrongSize, t.desc.Size)
	}
	n, err := t.to.Write(p)
	t.meter.set(t.offset())
	if err != nil {
		return n, &localError{err}
	}
	return n, nil
}

// localError is an error of this machine's disk.
type localError struct{ err error }

func (e *localError) Error() string { return "keep what is downloaded: " + e.err.Error() }
func (e *localError) Unwrap() error { return e.err }

var errWrongSize = errors.New("the registry sends what is no such blob")

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

func retryable(err error) bool {
	return errors.Is(err, errBroken) || errors.Is(err, errStalled) || transient(err)
}

// request does one request for what is missing.
func (t *transfer) request(ctx context.Context, repo *remote.Repository) error {
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
	buf := make([]byte, min(t.desc.Size+1, 256<<10))
	for {
		n, err := resp.Body.Read(buf)
		if n > 0 {
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
