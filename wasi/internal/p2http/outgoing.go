package p2http

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/ashlar-wasm/ashlar/wasi/internal/bind"
	"github.com/ashlar-wasm/ashlar/wasi/internal/p2"
	"github.com/ashlar-wasm/ashlar/wasi/internal/quota"
	"github.com/ashlar-wasm/ashlar/wasi/internal/stream"
)

// A sink takes the body of a message that is being sent.
type sink interface {
	Write(p []byte) (int, error)
	// finish ends the body; the trailers may be nil. It does not wait.
	finish(trailers http.Header)
	// abort ends the message as one that is incomplete. It does not wait.
	abort()
}

// outgoingBody is the resource wasi:http/types.outgoing-body. Until the message
// is sent it has no sink, and holds as many bytes as a stream does.
type outgoingBody struct {
	out      counted
	expected *uint64 // the content-length, if there is one
	tooLong  func(uint64) bind.HTTPErrorCode
	written  uint64
	taken    bool
	trailers http.Header
	complete bool
	hold     quota.Hold

	mu      sync.Mutex
	settled bool          // whether the message is sent is known
	sink    sink          // if it is
	settles chan struct{} // closed when that is known; nil if nobody waits
	over    bool          // the body is closed and everything is written
	failed  bool
}

func newOutgoingBody(ctx context.Context, book *quota.Book, header *fields, tooLong func(uint64) bind.HTTPErrorCode) (*outgoingBody, error) {
	b := &outgoingBody{tooLong: tooLong}
	if err := book.Open(ctx, &b.hold, quota.Streams, 1); err != nil {
		return nil, err
	}
	if n, ok := header.contentLength(); ok {
		b.expected = new(n)
	}
	b.out.body = b
	b.out.Init(bodySink{b}, false, b.end)
	return b, nil
}

var errAbandoned = errors.New("the message was never sent")

// bodySink takes the bytes of a body.
type bodySink struct{ body *outgoingBody }

// Write waits until the message is sent.
func (s bodySink) Write(p []byte) (int, error) {
	b := s.body
	b.mu.Lock()
	if !b.settled {
		b.settles = make(chan struct{})
		b.mu.Unlock()
		<-b.settles
		b.mu.Lock()
	}
	to := b.sink
	b.mu.Unlock()
	if to == nil {
		return 0, errAbandoned
	}
	return to.Write(p)
}

// TryWrite implements stream.TryWriter.
func (s bodySink) TryWrite(p []byte) (bool, error) {
	if t, ok := s.body.connected().(stream.TryWriter); ok {
		return t.TryWrite(p)
	}
	return false, nil
}

// connected returns where the body goes, or nil.
func (b *outgoingBody) connected() sink {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sink
}

// connect says where the body goes. A body that nobody took is empty.
func (b *outgoingBody) connect(s sink) { b.settle(s) }

// abandon says that it goes nowhere.
func (b *outgoingBody) abandon() { b.settle(nil) }

func (b *outgoingBody) settle(s sink) {
	b.mu.Lock()
	if b.settled {
		b.mu.Unlock()
		return
	}
	b.settled, b.sink = true, s
	if b.settles != nil {
		close(b.settles)
	}
	over := b.over
	b.mu.Unlock()
	if over {
		b.pass()
	}
}

// end is called once when the body is closed and everything is written.
func (b *outgoingBody) end(failed bool) error {
	b.hold.Give()
	b.mu.Lock()
	b.over, b.failed = true, failed
	settled := b.settled // or else it was closed before the message was sent
	b.mu.Unlock()
	if settled {
		b.pass()
	}
	return nil
}

// pass tells the sink of the end.
func (b *outgoingBody) pass() {
	switch {
	case b.sink == nil:
	case b.failed || !b.complete:
		b.sink.abort()
	default:
		b.sink.finish(b.trailers)
	}
}

// counted is the output stream of a body: it holds the guest to the
// content-length.
type counted struct {
	stream.Writer
	body *outgoingBody
}

func (c *counted) Write(ctx context.Context, p []byte) error {
	b := c.body
	if b.expected != nil && b.written+uint64(len(p)) > *b.expected {
		b.written += uint64(len(p))
		return codedError{b.tooLong(b.written)}
	}
	if err := c.Writer.Write(ctx, p); err != nil {
		return err
	}
	b.written += uint64(len(p))
	return nil
}

// Flush does not wait for a message that is not sent yet: guests may write a
// body first and send it then.
func (c *counted) Flush() error {
	if c.body.connected() != nil {
		return c.Writer.Flush()
	}
	_, err := c.Writer.CheckWrite()
	return err
}

func (b *outgoingBody) Write(context.Context) (bind.OutputStream, error) {
	if b.taken {
		return nil, failure
	}
	b.taken = true
	return p2.NewOutput(&b.out, nil), nil
}

// Drop of a body that was not finished leaves the message incomplete.
func (b *outgoingBody) Drop(context.Context) error { return b.out.Close() }

func (b *outgoingBody) finish(trailers *fields) error {
	if b.expected != nil && b.written != *b.expected {
		b.out.Close()
		return b.tooLong(b.written)
	}
	if trailers != nil {
		defer trailers.hold.Give()
		for _, e := range trailers.list {
			if !validTrailer(e.name) {
				b.out.Close()
				return bind.HTTPErrorCodeHTTPProtocolError{}
			}
		}
		b.trailers = trailers.header()
	}
	b.complete = true
	return b.out.Close()
}

// outgoingRequest is the resource wasi:http/types.outgoing-request.
type outgoingRequest struct {
	method    bind.Method
	path      *string
	scheme    bind.Scheme
	authority *string
	header    *fields
	body      *outgoingBody
	book      *quota.Book
	hold      quota.Hold
}

// messageOverhead is what a message takes without its fields and URI.
const messageOverhead = 256

func (r *outgoingRequest) Body(ctx context.Context) (_ bind.OutgoingBody, err error) {
	if r.body != nil {
		return nil, failure
	}
	r.body, err = newOutgoingBody(ctx, r.book, r.header, func(n uint64) bind.HTTPErrorCode {
		return bind.HTTPErrorCodeHTTPRequestBodySize{Value: &n}
	})
	if err != nil {
		return nil, err
	}
	return r.body, nil
}

// swap counts text in place of old.
func (r *outgoingRequest) swap(ctx context.Context, old, text *string) error {
	if old != nil {
		r.hold.Shrink(uint64(len(*old)))
	}
	if text == nil {
		return nil
	}
	return r.hold.Grow(ctx, uint64(len(*text)))
}

// release gives back what is counted for the request but its body.
func (r *outgoingRequest) release() {
	r.header.hold.Give()
	r.hold.Give()
}

func (r *outgoingRequest) Method(context.Context) (bind.Method, error) { return r.method, nil }

func (r *outgoingRequest) SetMethod(_ context.Context, m bind.Method) error {
	if name := methodName(m); !token(name) || len(name) > maxMethod {
		return failure
	}
	r.method = m
	return nil
}

func (r *outgoingRequest) PathWithQuery(context.Context) (*string, error) { return r.path, nil }

func (r *outgoingRequest) SetPathWithQuery(ctx context.Context, p *string) error {
	if p != nil && !validPath(*p) {
		return failure
	}
	if err := r.swap(ctx, r.path, p); err != nil {
		return err
	}
	r.path = p
	return nil
}

func (r *outgoingRequest) Scheme(context.Context) (bind.Scheme, error) { return r.scheme, nil }

func (r *outgoingRequest) SetScheme(_ context.Context, s bind.Scheme) error {
	if o, ok := s.(bind.SchemeOther); ok && !validScheme(o.Value) {
		return failure
	}
	r.scheme = s
	return nil
}

func (r *outgoingRequest) Authority(context.Context) (*string, error) { return r.authority, nil }

func (r *outgoingRequest) SetAuthority(ctx context.Context, a *string) error {
	if a != nil && !validAuthority(*a) {
		return failure
	}
	if err := r.swap(ctx, r.authority, a); err != nil {
		return err
	}
	r.authority = a
	return nil
}

func (r *outgoingRequest) Headers(context.Context) (bind.Headers, error) {
	return r.header.frozen(), nil
}

func (r *outgoingRequest) Drop(context.Context) error {
	r.release()
	if r.body != nil {
		r.body.abandon()
	}
	return nil
}

// outgoingResponse is the resource wasi:http/types.outgoing-response.
type outgoingResponse struct {
	status uint16
	header *fields
	body   *outgoingBody
	book   *quota.Book
	hold   quota.Hold
}

func (r *outgoingResponse) StatusCode(context.Context) (uint16, error) { return r.status, nil }

func (r *outgoingResponse) SetStatusCode(_ context.Context, code uint16) error {
	if code < 100 || code > 999 {
		return failure
	}
	r.status = code
	return nil
}

func (r *outgoingResponse) Headers(context.Context) (bind.Headers, error) {
	return r.header.frozen(), nil
}

func (r *outgoingResponse) Body(ctx context.Context) (_ bind.OutgoingBody, err error) {
	if r.body != nil {
		return nil, failure
	}
	r.body, err = newOutgoingBody(ctx, r.book, r.header, func(n uint64) bind.HTTPErrorCode {
		return bind.HTTPErrorCodeHTTPResponseBodySize{Value: &n}
	})
	if err != nil {
		return nil, err
	}
	return r.body, nil
}

func (r *outgoingResponse) Drop(context.Context) error {
	r.header.hold.Give()
	r.hold.Give()
	if r.body != nil {
		r.body.abandon()
	}
	return nil
}

// requestOptions is the resource wasi:http/types.request-options; nil is no
// limit.
type requestOptions struct{ connect, firstByte, betweenBytes *uint64 }

func (o *requestOptions) ConnectTimeout(context.Context) (*uint64, error)   { return o.connect, nil }
func (o *requestOptions) FirstByteTimeout(context.Context) (*uint64, error) { return o.firstByte, nil }
func (o *requestOptions) BetweenBytesTimeout(context.Context) (*uint64, error) {
	return o.betweenBytes, nil
}

func (o *requestOptions) SetConnectTimeout(_ context.Context, d *uint64) error {
	o.connect = d
	return nil
}

func (o *requestOptions) SetFirstByteTimeout(_ context.Context, d *uint64) error {
	o.firstByte = d
	return nil
}

func (o *requestOptions) SetBetweenBytesTimeout(_ context.Context, d *uint64) error {
	o.betweenBytes = d
	return nil
}

func (o *requestOptions) Drop(context.Context) error { return nil }
