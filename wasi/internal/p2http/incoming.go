package p2http

import (
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/wasi/internal/bind"
	"github.com/ashlar-wasm/ashlar/wasi/internal/p2"
	"github.com/ashlar-wasm/ashlar/wasi/internal/quota"
	"github.com/ashlar-wasm/ashlar/wasi/internal/stream"
)

// failure is the error value of results that have none.
var failure = abi.ErrorValue[abi.Unit]{}

// source is the body of a message that is received, for all that read it.
type source struct {
	body io.Reader
	// code translates an error of reading the body.
	code func(error) bind.HTTPErrorCode
	// ended is set when the end of the body was read.
	ended atomic.Bool
	// dropped is set when the guest has dropped the stream.
	dropped stream.Future[struct{}]
}

// codedError is an error of a body, for http-error-code.
type codedError struct{ code bind.HTTPErrorCode }

func (e codedError) Error() string { return "HTTP: " + e.code.Error() }

func (s *source) Read(p []byte) (int, error) {
	if s.ended.Load() {
		return 0, io.EOF // the server may have closed the body since
	}
	n, err := s.body.Read(p)
	if err == io.EOF {
		s.ended.Store(true)
	} else if err != nil {
		err = codedError{s.code(err)}
	}
	return n, err
}

// incomingBody is the resource wasi:http/types.incoming-body.
type incomingBody struct {
	*source
	closer io.Closer // of the body, or nil
	// trailer is valid when the body is at its end.
	trailer *http.Header
	book    *quota.Book // counts the trailers
	taken   bool
	in      *stream.Reader // if taken
}

func newIncomingBody(body io.ReadCloser, trailer *http.Header, code func(error) bind.HTTPErrorCode) *incomingBody {
	return &incomingBody{source: &source{body: body, code: code}, closer: body, trailer: trailer}
}

func (b *incomingBody) Stream(context.Context) (bind.InputStream, error) {
	if b.taken {
		return nil, failure
	}
	b.taken = true
	in := stream.NewReader(b.source, nil)
	b.in = in
	return p2.NewInput(in, func() error {
		in.Close()
		b.dropped.Set(struct{}{})
		return nil
	}), nil
}

func (b *incomingBody) Drop(context.Context) error {
	b.close()
	return nil
}

// close gives up the rest of the body. What a peer made of it that can't be read
// is no failure of the guest's.
func (b *incomingBody) close() {
	if b.closer != nil {
		_ = b.closer.Close()
	}
	if b.in != nil {
		_ = b.in.Close()
	}
}

// finish skips what is left of the body and gives the trailers.
func (b *incomingBody) finish() *futureTrailers {
	if !b.taken {
		b.dropped.Set(struct{}{})
	}
	return &futureTrailers{body: b}
}

// futureTrailers is the resource wasi:http/types.future-trailers. The rest of
// the body is only read when somebody asks for the trailers.
type futureTrailers struct {
	stream.Future[error]
	body    *incomingBody
	start   sync.Once
	fetched bool
}

func (t *futureTrailers) Ready() bool {
	t.start.Do(func() {
		source := t.body.source
		// The goroutine ends with the body: at its end, or when it is closed.
		go func() {
			_ = stream.Block(context.Background(), &source.dropped)
			_, err := io.Copy(io.Discard, source)
			t.Set(err)
		}()
	})
	return t.Future.Ready()
}

func (t *futureTrailers) Subscribe(context.Context) (bind.Pollable, error) {
	return p2.NewPollable(t), nil
}

func (t *futureTrailers) Get(ctx context.Context) (*abi.Result[abi.Result[bind.Trailers, bind.HTTPErrorCode], abi.Unit], error) {
	type inner = abi.Result[bind.Trailers, bind.HTTPErrorCode]
	type outer = abi.Result[inner, abi.Unit]
	if !t.Ready() {
		return nil, nil
	}
	if t.fetched {
		return &outer{IsErr: true}, nil
	}
	t.fetched = true
	switch err, _ := t.Future.Get(); {
	case err != nil:
		return &outer{Ok: inner{IsErr: true, Err: codeOf(err, t.body.code)}}, nil
	case len(*t.body.trailer) == 0:
		return &outer{}, nil
	}
	trailers := fromHeader(*t.body.trailer)
	trailers.book = t.body.book
	if err := trailers.book.Open(ctx, &trailers.hold, quota.Fields, uint64(trailers.size)); err != nil {
		return nil, err
	}
	return &outer{Ok: inner{Ok: trailers}}, nil
}

func (t *futureTrailers) Drop(context.Context) error {
	t.body.dropped.Set(struct{}{})
	t.body.close()
	t.body.trailer = nil // pollables may outlive this
	return nil
}

// incomingRequest is the resource wasi:http/types.incoming-request.
type incomingRequest struct {
	r      *http.Request
	body   *incomingBody // nil once it is consumed
	header *fields
}

func (r *incomingRequest) Method(context.Context) (bind.Method, error) {
	return methodOf(r.r.Method), nil
}

func (r *incomingRequest) PathWithQuery(context.Context) (*string, error) {
	p := r.r.URL.RequestURI()
	return &p, nil
}

func (r *incomingRequest) Scheme(context.Context) (bind.Scheme, error) {
	if r.r.TLS != nil {
		return bind.SchemeHTTPS{}, nil
	}
	return bind.SchemeHTTP{}, nil
}

func (r *incomingRequest) Authority(context.Context) (*string, error) {
	return &r.r.Host, nil
}

func (r *incomingRequest) Headers(context.Context) (bind.Headers, error) {
	if r.header == nil {
		r.header = fromHeader(r.r.Header)
	}
	return r.header, nil
}

func (r *incomingRequest) Consume(context.Context) (bind.IncomingBody, error) {
	if r.body == nil {
		return nil, failure
	}
	b := r.body
	r.body = nil
	return b, nil
}

// Drop leaves a body that was not consumed to the server.
func (r *incomingRequest) Drop(context.Context) error { return nil }

// incomingResponse is the resource wasi:http/types.incoming-response.
type incomingResponse struct {
	status uint16
	header *fields
	body   *incomingBody // nil once it is consumed
	book   *quota.Book
}

func (r *incomingResponse) Status(context.Context) (uint16, error) { return r.status, nil }

// Headers gives fields that are counted: they may outlive the response.
func (r *incomingResponse) Headers(ctx context.Context) (bind.Headers, error) {
	h := r.header.frozen()
	h.book = r.book
	if err := h.book.Open(ctx, &h.hold, quota.Fields, uint64(r.header.size)); err != nil {
		return nil, err
	}
	return h, nil
}

func (r *incomingResponse) Consume(context.Context) (bind.IncomingBody, error) {
	if r.body == nil {
		return nil, failure
	}
	b := r.body
	r.body = nil
	return b, nil
}

func (r *incomingResponse) Drop(ctx context.Context) error {
	if r.body != nil {
		return r.body.Drop(ctx)
	}
	return nil
}
