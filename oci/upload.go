package oci

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// upload is the upload of a blob: one request that opens a session, and one with all
// bytes. If that breaks off, the registry may know how many of them came; the next
// request has the rest. "Pushing blobs" of the distribution specification.
type upload struct {
	repo    *remote.Repository
	desc    v1.Descriptor
	content []byte
	meter   *meter
	backoff backoff
	idle    time.Duration
	// session is where the bytes go to; nil if there is none.
	session *url.URL
	// authorization is what opened the session, at a host.
	authorization, opened string
	offset                int64
}

func (u *upload) run(ctx context.Context) error {
	ref := u.repo.Reference
	ref.Reference = u.desc.Digest.String()
	ctx = auth.AppendRepositoryScope(ctx, ref, auth.ActionPull, auth.ActionPush)
	for attempt := 0; ; attempt++ {
		before := u.offset
		err := u.attempt(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		var resp *errcode.ErrorResponse
		expired := attempt == 0 && u.session != nil && errors.As(err, &resp) && resp.StatusCode == http.StatusUnauthorized
		resumed := before > 0
		if !resumed && !expired && !uploadRetryable(err) || attempt+1 >= maxAttempts {
			return err
		}
		if e := sleep(ctx, u.backoff.wait(attempt)); e != nil {
			return e
		}
		// A registry may take the beginning and not like how it goes on.
		if !uploadRetryable(err) || !u.status(ctx) {
			u.session, u.offset = nil, 0
		} else if u.offset > before {
			attempt = -1
		}
	}
}

// attempt uploads what is missing.
func (u *upload) attempt(ctx context.Context) error {
	if u.session == nil {
		if err := u.open(ctx); err != nil {
			return err
		}
	}
	target := *u.session
	query := target.Query()
	query.Set("digest", u.desc.Digest.String())
	target.RawQuery = query.Encode()
	// The transport must not repeat this by itself, so it can't: there is no GetBody.
	ctx, stall, cancel := watch(ctx, u.idle)
	defer cancel()
	body := &countedReader{r: bytes.NewReader(u.content[u.offset:]), offset: u.offset, meter: u.meter, stall: stall}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, target.String(), body)
	if err != nil {
		return err
	}
	req.ContentLength = u.desc.Size - u.offset
	req.Header.Set("Content-Type", "application/octet-stream")
	if u.offset > 0 {
		req.Header.Set("Content-Range", fmt.Sprintf("%d-%d", u.offset, u.desc.Size-1))
	}
	if u.desc.Size == 0 {
		req.Body = http.NoBody
	}
	u.authorize(req)
	resp, err := u.repo.Client.Do(req)
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, errStalled) {
			err = cause
		}
		return err
	}
	defer drain(resp)
	if resp.StatusCode != http.StatusCreated {
		return responseError(resp)
	}
	return nil
}

// open begins a session.
func (u *upload) open(ctx context.Context) error {
	u.offset = 0
	scheme := "https"
	if u.repo.PlainHTTP {
		scheme = "http"
	}
	ref := u.repo.Reference
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("%s://%s/v2/%s/blobs/uploads/", scheme, ref.Host(), ref.Repository), nil)
	if err != nil {
		return err
	}
	resp, err := u.repo.Client.Do(req)
	if err != nil {
		return err
	}
	defer drain(resp)
	if resp.StatusCode != http.StatusAccepted {
		return responseError(resp)
	}
	u.authorization, u.opened = resp.Request.Header.Get("Authorization"), resp.Request.URL.Host
	return u.locate(resp)
}

// authorize has a request to where the session was opened carry what opened it: the
// client would have to be refused first, and what is uploaded is sent only once.
func (u *upload) authorize(req *http.Request) {
	if u.authorization != "" && req.URL.Host == u.opened {
		req.Header.Set("Authorization", u.authorization)
	}
}

// locate takes the session that a response tells.
func (u *upload) locate(resp *http.Response) error {
	location, err := resp.Location()
	if err != nil {
		return fmt.Errorf("the registry does not say where to upload to: %w", err)
	}
	asked := resp.Request.URL
	if err := checkPlace(asked, location); err != nil {
		return err
	}
	// Behind a proxy that ends TLS, some forget the port.
	if location.Port() == "" && location.Scheme == asked.Scheme && location.Hostname() == asked.Hostname() {
		location.Host = asked.Host
	}
	u.session = location
	return nil
}

// status asks how many bytes of the session came. It reports whether one can go on.
func (u *upload) status(ctx context.Context) bool {
	if u.session == nil {
		return false
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.session.String(), nil)
	if err != nil {
		return false
	}
	resp, err := u.repo.Client.Do(req)
	if err != nil {
		return false
	}
	defer drain(resp)
	// The range includes its end, so that 0-0 may be nothing or one byte.
	text, ok := strings.CutPrefix(strings.TrimPrefix(resp.Header.Get("Range"), "bytes="), "0-")
	last, err := strconv.ParseInt(text, 10, 64)
	if !ok || err != nil || resp.StatusCode != http.StatusNoContent || last <= 0 || last+1 >= u.desc.Size {
		return false
	}
	if resp.Header.Get("Location") != "" && u.locate(resp) != nil {
		return false
	}
	u.offset = last + 1
	return true
}

// drain ends a response so that its connection can be used again.
func drain(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	_ = resp.Body.Close()
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
	r      *bytes.Reader
	offset int64 // of its first byte in the blob
	meter  *meter
	stall  *stall
}

func (r *countedReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if r.r.Len() > 0 {
		r.stall.moved()
	} else {
		r.stall.done() // how long the answer may take is the transport's concern
	}
	r.meter.set(r.offset + r.r.Size() - int64(r.r.Len()))
	return n, err
}

func (r *countedReader) Close() error { return nil }
