package p2http

import (
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/wasi/internal/bind"
	"github.com/ashlar-wasm/ashlar/wasi/internal/p2"
	"github.com/ashlar-wasm/ashlar/wasi/internal/quota"
	"github.com/ashlar-wasm/ashlar/wasi/internal/stream"
)

// Client is how guests send requests.
type Client struct {
	// Allow decides whether a request may be sent. Nil allows none.
	Allow func(method string, u *url.URL) bool
	// Transport sends what is allowed.
	Transport http.RoundTripper
	// Book counts requests from being sent until the response is dropped.
	Book *quota.Book
}

// defaultTimeout holds where request-options say nothing.
const defaultTimeout = 10 * time.Minute

// Handle is the function of wasi:http/outgoing-handler.
func (c *Client) Handle(ctx context.Context, request bind.OutgoingRequest, options bind.RequestOptions) (bind.FutureIncomingResponse, error) {
	r := request.(*outgoingRequest)
	u, hold, err := c.admit(ctx, r)
	if err != nil {
		r.Drop(ctx)
		return nil, err
	}
	defer r.release()
	var o requestOptions
	if options != nil {
		o = *options.(*requestOptions)
	}
	// The request lives as long as the guest's handle, not as this call.
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	f := &futureResponse{cancel: cancel, hold: hold}
	go f.send(ctx, c, r.build(u), o)
	return f, nil
}

// admit decides whether a request is sent.
func (c *Client) admit(ctx context.Context, r *outgoingRequest) (*url.URL, *quota.Hold, error) {
	u, err := r.url()
	if err != nil {
		return nil, nil, err
	}
	method := methodName(r.method)
	if method == http.MethodConnect {
		// Its answer is a tunnel to wherever the server likes.
		return nil, nil, bind.HTTPErrorCodeHTTPRequestMethodInvalid{}
	}
	if c.Allow == nil || !c.Allow(method, u) {
		return nil, nil, bind.HTTPErrorCodeHTTPRequestDenied{}
	}
	hold, err := c.Book.Take(ctx, quota.Connections, 1)
	if err != nil {
		return nil, nil, bind.HTTPErrorCodeConnectionLimitReached{}
	}
	return u, hold, nil
}

// url puts the parts of the request's URI together.
func (r *outgoingRequest) url() (*url.URL, error) {
	u := &url.URL{Scheme: "https"}
	switch s := r.scheme.(type) {
	case bind.SchemeHTTP:
		u.Scheme = "http"
	case bind.SchemeOther:
		u.Scheme = strings.ToLower(s.Value)
		if u.Scheme != "http" && u.Scheme != "https" {
			return nil, bind.HTTPErrorCodeHTTPProtocolError{}
		}
	}
	if r.authority == nil || r.path == nil {
		return nil, bind.HTTPErrorCodeHTTPRequestURIInvalid{}
	}
	path := *r.path
	if path == "" || path[0] == '?' {
		path = "/" + path
	}
	at, err := url.Parse("//" + *r.authority)
	if err != nil {
		return nil, bind.HTTPErrorCodeHTTPRequestURIInvalid{}
	}
	u.Host = at.Host
	if path == "*" {
		u.Opaque = "*"
		return u, nil
	}
	ref, err := url.Parse(u.Scheme + "://" + u.Host + path)
	if err != nil {
		return nil, bind.HTTPErrorCodeHTTPRequestURIInvalid{}
	}
	return ref, nil
}

// build makes the request of net/http, and connects the body.
func (r *outgoingRequest) build(u *url.URL) *http.Request {
	req := &http.Request{
		Method: methodName(r.method), URL: u, Host: u.Host, Header: r.header.header(),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	if _, ok := req.Header["User-Agent"]; !ok {
		req.Header["User-Agent"] = nil // net/http would say it is Go's
	}
	if n, ok := r.header.contentLength(); ok {
		req.ContentLength = int64(n)
		req.Header.Del("Content-Length")
	}
	if r.body == nil {
		req.Body = http.NoBody
		return req
	}
	if r.body.expected == nil {
		req.ContentLength = -1
	}
	req.Trailer = http.Header{}
	for _, names := range req.Header.Values("Trailer") {
		for name := range strings.SplitSeq(names, ",") {
			if name = strings.TrimSpace(name); validTrailer(name) {
				req.Trailer[http.CanonicalHeaderKey(name)] = nil
			}
		}
	}
	req.Header.Del("Trailer")
	pr, pw := io.Pipe()
	req.Body = pr
	r.body.connect(&requestSink{PipeWriter: pw, trailer: req.Trailer})
	return req
}

// requestSink sends a body to net/http, which reads it from the other end.
type requestSink struct {
	*io.PipeWriter
	trailer http.Header
}

func (s *requestSink) finish(trailers http.Header) {
	// net/http looks at the trailer after it has read the end.
	for name, values := range trailers {
		s.trailer[name] = values
	}
	for name, values := range s.trailer {
		if values == nil {
			delete(s.trailer, name)
		}
	}
	s.Close()
}

func (s *requestSink) abort() { s.CloseWithError(codedError{bind.HTTPErrorCodeHTTPProtocolError{}}) }

type sent struct {
	response *incomingResponse
	err      bind.HTTPErrorCode
}

// futureResponse is the resource wasi:http/types.future-incoming-response.
type futureResponse struct {
	stream.Future[struct{}]
	cancel  context.CancelCauseFunc
	hold    *quota.Hold
	fetched bool
	mu      sync.Mutex
	sent    sent // until it is fetched: pollables may outlive it
	dropped bool
}

func timeoutOf(d *uint64) time.Duration {
	if d == nil {
		return defaultTimeout
	}
	return time.Duration(min(*d, 1<<62))
}

// send sends the request. The connect timeout holds until there is a
// connection, the first-byte timeout from then until there are headers.
func (f *futureResponse) send(ctx context.Context, c *Client, req *http.Request, o requestOptions) {
	expire := func(code bind.HTTPErrorCode) func() {
		return func() { f.cancel(codedError{code}) }
	}
	timer := time.AfterFunc(timeoutOf(o.connect), expire(bind.HTTPErrorCodeConnectionTimeout{}))
	var mu sync.Mutex
	ctx = context.WithValue(ctx, targetKey{}, req.URL)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
		mu.Lock()
		defer mu.Unlock()
		timer.Stop()
		timer = time.AfterFunc(timeoutOf(o.firstByte), expire(bind.HTTPErrorCodeConnectionReadTimeout{}))
	}})
	resp, err := c.Transport.RoundTrip(req.WithContext(ctx))
	mu.Lock()
	timer.Stop()
	mu.Unlock()
	if err == nil && resp.StatusCode < 200 {
		// What follows is no HTTP any more, which nobody asked for.
		resp.Body.Close()
		err = codedError{bind.HTTPErrorCodeHTTPProtocolError{}}
	}
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		f.cancel(nil)
		f.hold.Give()
		f.set(sent{err: clientCode(err)})
		return
	}
	body := &timedBody{ReadCloser: resp.Body, ctx: ctx, cancel: f.cancel, hold: f.hold, limit: timeoutOf(o.betweenBytes)}
	answer := &incomingResponse{
		status: uint16(resp.StatusCode),
		header: fromHeader(resp.Header),
		body:   newIncomingBody(body, &resp.Trailer, responseBodyCode),
		book:   c.Book,
	}
	answer.body.book = c.Book
	f.set(sent{response: answer})
}

// set gives what came of the request.
func (f *futureResponse) set(s sent) {
	f.mu.Lock()
	if f.dropped && s.response != nil {
		s.response.body.close()
	} else {
		f.sent = s
	}
	f.mu.Unlock()
	f.Set(struct{}{})
}

// timedBody is the body of a response that fails when the peer pauses for too
// long.
type timedBody struct {
	io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	hold   *quota.Hold
	limit  time.Duration
}

func (b *timedBody) Read(p []byte) (int, error) {
	timer := time.AfterFunc(b.limit, func() { b.cancel(codedError{bind.HTTPErrorCodeConnectionReadTimeout{}}) })
	n, err := b.ReadCloser.Read(p)
	timer.Stop()
	if err != nil && err != io.EOF {
		if cause := context.Cause(b.ctx); cause != nil {
			err = cause
		}
	}
	return n, err
}

func (b *timedBody) Close() error {
	defer b.hold.Give()
	b.cancel(context.Canceled)
	return b.ReadCloser.Close()
}

func (f *futureResponse) Subscribe(context.Context) (bind.Pollable, error) {
	return p2.NewPollable(&f.Future), nil
}

func (f *futureResponse) Get(context.Context) (*abi.Result[abi.Result[bind.IncomingResponse, bind.HTTPErrorCode], abi.Unit], error) {
	type inner = abi.Result[bind.IncomingResponse, bind.HTTPErrorCode]
	type outer = abi.Result[inner, abi.Unit]
	if _, ok := f.Future.Get(); !ok {
		return nil, nil
	}
	if f.fetched {
		return &outer{IsErr: true}, nil
	}
	f.mu.Lock()
	s := f.sent
	f.fetched, f.sent = true, sent{}
	f.mu.Unlock()
	if s.err != nil {
		return &outer{Ok: inner{IsErr: true, Err: s.err}}, nil
	}
	return &outer{Ok: inner{Ok: s.response}}, nil
}

// Drop ends the request, unless the guest has the response.
func (f *futureResponse) Drop(context.Context) error {
	if f.fetched {
		return nil
	}
	f.cancel(context.Canceled)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dropped = true
	if s := f.sent; s.response != nil {
		s.response.body.close()
	}
	f.sent = sent{}
	return nil
}
