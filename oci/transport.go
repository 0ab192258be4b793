package oci

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"oras.land/oras-go/v2/registry/remote/retry"
)

const (
	// maxAttempts bounds how often a request or transfer is begun.
	maxAttempts = 6
	// The wait before attempt n+1 is firstWait * 2^n and a random part of that.
	firstWait = 200 * time.Millisecond
	// maxWait bounds a wait. A registry that asks for more fails the request.
	maxWait = time.Minute
	// headerTimeout is for a response to begin, and idleTimeout for the next bytes
	// of a transfer, unless it is said otherwise.
	headerTimeout = 2 * time.Minute
	idleTimeout   = time.Minute
)

// stall ends a transfer in which nothing moves.
type stall struct {
	timer *time.Timer
	limit time.Duration
}

// errStalled is wrapped by the error of a transfer in which nothing moved.
var errStalled = errors.New("nothing moved")

// watch returns a context that ends when nothing moved for the time, since something
// moved first.
func watch(ctx context.Context, limit time.Duration) (context.Context, *stall, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	s := &stall{time.AfterFunc(limit, func() { cancel(fmt.Errorf("%w for %v", errStalled, limit)) }), limit}
	s.timer.Stop()
	return ctx, s, func() {
		s.timer.Stop()
		cancel(nil)
	}
}

// moved tells that something moved.
func (s *stall) moved() { s.timer.Reset(s.limit) }

// done tells that all has been sent.
func (s *stall) done() { s.timer.Stop() }

// impatient ends responses whose bodies stall.
type impatient struct {
	next http.RoundTripper
	idle time.Duration
}

// RoundTrip implements [http.RoundTripper].
func (i *impatient) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, stall, cancel := watch(req.Context(), i.idle)
	resp, err := i.next.RoundTrip(req.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	stall.moved()
	resp.Body = &watchedBody{resp.Body, ctx, stall, cancel}
	return resp, nil
}

// watchedBody is the body of a response that has to move.
type watchedBody struct {
	io.ReadCloser
	ctx   context.Context // that ends when it stalls
	stall *stall
	end   context.CancelFunc
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.stall.moved()
	}
	if cause := context.Cause(b.ctx); err != nil && err != io.EOF && errors.Is(cause, errStalled) {
		err = cause
	}
	return n, err
}

func (b *watchedBody) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}

// newTransport returns the transport of a client: retries around the guard of plain
// HTTP around TLS, with responses that have to move.
func newTransport(roots *x509.CertPool, g *schemes, b backoff, idle time.Duration) http.RoundTripper {
	base := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   15 * time.Second,
		ResponseHeaderTimeout: headerTimeout,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   64,
		DisableCompression:    true, // what is compressed has another digest
		WriteBufferSize:       64 << 10,
		ReadBufferSize:        64 << 10,
	}
	g.base = base
	return &retry.Transport{Base: &impatient{g, idle}, Policy: func() retry.Policy { return retryPolicy{b} }}
}

// retryPolicy repeats requests that failed for a reason that may pass.
type retryPolicy struct{ backoff backoff }

// Retry returns how long to wait, or less than zero to give up.
func (p retryPolicy) Retry(attempt int, resp *http.Response, err error) (time.Duration, error) {
	if attempt+1 >= maxAttempts {
		return -1, nil
	}
	if err != nil {
		if transient(err) {
			return p.backoff.wait(attempt), nil
		}
		return -1, nil
	}
	switch {
	case resp.StatusCode == http.StatusRequestTimeout, resp.StatusCode == http.StatusTooManyRequests:
	case resp.StatusCode >= 500 && resp.StatusCode != http.StatusNotImplemented && resp.StatusCode != http.StatusHTTPVersionNotSupported:
	default:
		return -1, nil
	}
	if after, ok := retryAfter(resp.Header.Get("Retry-After"), time.Now()); ok {
		if after > maxWait {
			return -1, nil
		}
		return after, nil
	}
	return p.backoff.wait(attempt), nil
}

// backoff is the wait after the first attempt.
type backoff time.Duration

// wait is the wait after an attempt, counted from 0.
func (b backoff) wait(attempt int) time.Duration {
	wait := min(time.Duration(b)<<min(attempt, 16), maxWait/2)
	return wait + rand.N(wait)
}

// retryAfter reads the header of that name: seconds or a date.
func retryAfter(s string, now time.Time) (time.Duration, bool) {
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		return time.Duration(n) * time.Second, true
	}
	if t, err := http.ParseTime(s); err == nil {
		return max(t.Sub(now), 0), true
	}
	return 0, false
}

// transient reports whether a connection failed for a reason that may pass. A peer
// that resets a connection has many faces, and one on each system; all are errors of
// reading or writing.
func transient(err error) bool {
	var ne net.Error
	var op *net.OpError
	return errors.As(err, &ne) && ne.Timeout() || errors.As(err, &op) && (op.Op == "read" || op.Op == "write" || op.Op == "readfrom") ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) ||
		strings.Contains(err.Error(), "http2: server sent GOAWAY")
}

// schemes decides where plain HTTP is spoken: with hosts that were named, and with
// this machine where it does not speak TLS. A request that would go unencrypted
// anywhere else is refused, whoever asks for it: a redirect, or where a registry
// says that tokens are had.
type schemes struct {
	base  http.RoundTripper
	plain map[string]bool // hosts that were named
	mu    sync.Mutex
	found map[string]bool // for hosts of this machine: whether they speak plain HTTP
}

// RoundTrip implements [http.RoundTripper].
func (g *schemes) RoundTrip(req *http.Request) (*http.Response, error) {
	if host := strings.ToLower(req.URL.Host); req.URL.Scheme != "https" && !g.plain[host] && !loopback(host) {
		return nil, fmt.Errorf("plain HTTP to %s is not allowed", host)
	}
	return g.base.RoundTrip(req)
}

// isPlain reports whether a host is spoken to without TLS. One of this machine is
// asked.
func (g *schemes) isPlain(ctx context.Context, host string) (bool, error) {
	host = strings.ToLower(host)
	if g.plain[host] || !loopback(host) {
		return g.plain[host], nil
	}
	g.mu.Lock()
	plain, known := g.found[host]
	g.mu.Unlock()
	if known {
		return plain, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/v2/", nil)
	if err != nil {
		return false, err
	}
	resp, err := g.base.RoundTrip(req)
	if err == nil {
		_, _ = io.CopyN(io.Discard, resp.Body, 1<<10) // the connection can then be used again
		_ = resp.Body.Close()
	} else if plain = speaksHTTP(err); !plain {
		return false, nil // the real request says what is wrong
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.found[host] = plain
	return plain, nil
}

// speaksHTTP reports whether a handshake failed since the other side speaks no TLS.
func speaksHTTP(err error) bool {
	var record tls.RecordHeaderError
	return errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, &record) || strings.Contains(err.Error(), "first record does not look like a TLS handshake")
}

// checkRedirect follows what [checkPlace] allows, and no more than other clients do.
func checkRedirect(req *http.Request, via []*http.Request) error {
	const maxRedirects = 10
	if len(via) >= maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	return checkPlace(via[0].URL, req.URL)
}

// checkPlace refuses to be sent to this machine by a registry that is elsewhere: what
// listens here may take for granted that nobody else can speak to it.
func checkPlace(from, to *url.URL) error {
	if loopback(strings.ToLower(to.Host)) && !loopback(strings.ToLower(from.Host)) {
		return fmt.Errorf("%s sends requests on to %s, which is this machine", from.Host, to.Host)
	}
	return nil
}

// loopback reports whether a host is this machine.
func loopback(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}
