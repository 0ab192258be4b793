package p2http

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/wasi/internal/bind"
	"github.com/ashlar-wasm/ashlar/wasi/internal/stream"
)

// Instance is an instance of a component that handles requests.
type Instance interface {
	abi.Exporter
	Close(ctx context.Context) error
}

// ErrNoResponse is a guest that returned without a response.
var ErrNoResponse = errors.New("the guest returned without setting a response")

// ErrIncomplete is a guest that did not finish the body of its response.
var ErrIncomplete = errors.New("the guest did not finish the body of its response")

// ResponseError is an error that a guest gave in place of a response.
type ResponseError struct{ Code fmt.Stringer }

func (e *ResponseError) Error() string {
	return "the guest responded with the error " + e.Code.String()
}

type codeText struct{ error }

func (c codeText) String() string { return c.Error() }

// Outcome is what became of a response.
type Outcome int

// The outcomes.
const (
	NotBegun Outcome = iota // nothing was sent
	Broken                  // a part was sent: the connection must be broken off
	Whole
)

// Serve has an instance handle one request and closes the instance. There may
// be an error with every outcome.
func Serve(w http.ResponseWriter, r *http.Request, instance Instance, f *Flusher) (Outcome, error) {
	handler, err := bind.LookupIncomingHandler(instance)
	if err != nil {
		return NotBegun, errors.Join(err, instance.Close(r.Context()))
	}
	return serve(w, r, handler.Handle, instance.Close, f)
}

func serve(w http.ResponseWriter, r *http.Request,
	handle func(context.Context, bind.IncomingRequest, bind.ResponseOutparam) error,
	closeInstance func(context.Context) error, f *Flusher,
) (Outcome, error) {
	ctx := r.Context()
	x := &served{}
	s, out := &x.sink, &x.out
	s.w, s.rc, s.head = w, *http.NewResponseController(w), r.Method == http.MethodHead
	s.flusher = f
	x.source.body, x.source.code = r.Body, requestBodyCode
	x.body.source, x.body.trailer = &x.source, &r.Trailer
	x.in.r, x.in.body = r, &x.body
	out.response, out.request, out.body = s, r, &x.body
	err := handle(ctx, &x.in, out)
	// A body that the guest left unfinished is aborted by this.
	err = errors.Join(err, closeInstance(ctx))
	if out.sent != nil {
		// An instance that is to be used again is not closed, but does nothing either.
		_ = out.sent.out.Close()
	}
	switch {
	case out.refused != nil:
		return NotBegun, errors.Join(err, &ResponseError{codeText{out.refused}})
	case !out.set && err == nil:
		return NotBegun, ErrNoResponse
	case !out.set:
		return NotBegun, err
	}
	if cause := stream.Block(ctx, &s.done); cause != nil {
		// A write that is under way may wait for a client that does not read.
		_ = s.rc.SetWriteDeadline(time.Unix(1, 0))
		s.end(true, nil)
		err = errors.Join(err, cause)
	}
	if broken, _ := s.done.Get(); broken {
		return Broken, errors.Join(err, ErrIncomplete)
	}
	if out.duplex && !out.drain(ctx) {
		return Broken, err
	}
	return Whole, err
}

// served is what a guest is given of one request, in one piece. The body of the request
// is the server's to close: closing waits for a read that is under way, and for what the
// client has yet to send.
type served struct {
	in     incomingRequest
	body   incomingBody
	source source
	out    outparam
	sink   responseSink
}

// What of a request's body is read after its response, as net/http has it, and
// for how long where the connection ends then.
const (
	maxDrain     = 256 << 10
	drainTimeout = time.Second
)

// drain reads some of what the guest left of the request, and reports whether
// the connection is in order then: it is to be closed anyway, or all was read.
// In full duplex net/http must not meet the end of the body after the handler,
// and a read that is under way must not outlast it.
func (p *outparam) drain(ctx context.Context) bool {
	if p.body.ended.Load() {
		return true
	}
	if p.closing {
		_ = p.response.rc.Flush() // there may be much to come: answer first
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, drainTimeout)
		defer cancel()
	}
	// A client may wait for the answer before it sends the rest.
	flushed := make(chan struct{})
	timer := time.AfterFunc(flushDelay, func() {
		defer close(flushed)
		_ = p.response.rc.Flush()
	})
	defer func() {
		if !timer.Stop() {
			<-flushed
		}
	}()
	// No deadline may be set beforehand: past the end of the body net/http
	// reads on, and takes an expired deadline for a client that is gone, which
	// cancels all later requests of the connection.
	stop := context.AfterFunc(ctx, func() { _ = p.response.rc.SetReadDeadline(time.Unix(1, 0)) })
	_, _ = io.CopyN(io.Discard, p.body.source, maxDrain)
	inTime := stop()
	return p.closing || inTime && p.body.ended.Load()
}

// outparam is the resource wasi:http/types.response-outparam.
type outparam struct {
	response *responseSink
	request  *http.Request
	body     *incomingBody // of the request
	sent     *outgoingBody // of the response
	duplex   bool
	closing  bool // the client was told that the connection ends
	set      bool
	refused  bind.HTTPErrorCode
}

func (p *outparam) Drop(context.Context) error { return nil }

func (p *outparam) refuse(code bind.HTTPErrorCode) {
	p.refused, p.set = code, true
}

// respond sends the headers and connects the body.
func (p *outparam) respond(r *outgoingResponse) {
	p.set = true
	defer r.hold.Give()
	defer r.header.hold.Give()
	if r.status < 200 {
		p.refused = bind.HTTPErrorCodeHTTPProtocolError{}
		r.Drop(context.Background())
		return
	}
	h := p.response.w.Header()
	r.header.setOn(h)
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // net/http would guess one
	}
	// A client that still waits to be asked for the body is left to net/http.
	waits := func() bool { return !p.body.taken && p.request.Header.Get("Expect") != "" }
	if p.request.ProtoMajor == 1 && p.request.Body != http.NoBody && !p.body.ended.Load() && !waits() {
		// Let the guest read on while it writes; net/http would read the rest
		// now, and wait for it.
		p.duplex = p.response.rc.EnableFullDuplex() == nil
		if n := p.request.ContentLength; n < 0 || n > maxDrain {
			p.closing = true
			h["Connection"] = []string{"close"}
		}
	}
	p.response.w.WriteHeader(int(r.status))
	if r.body == nil {
		p.response.finish(nil)
		return
	}
	p.sent = r.body
	r.body.connect(p.response)
}

// SendInformational sends a 1xx response before the final one.
func (p *outparam) SendInformational(_ context.Context, status uint16, headers bind.Headers) error {
	if status < 100 || status > 199 || status == http.StatusSwitchingProtocols {
		return bind.HTTPErrorCodeHTTPProtocolError{}
	}
	defer headers.(*fields).hold.Give()
	h := p.response.w.Header()
	headers.(*fields).setOn(h)
	p.response.w.WriteHeader(int(status))
	clear(h)
	return nil
}

// buffered is how many bytes a ResponseWriter of net/http takes, after it was flushed,
// without writing to the connection.
const buffered = 2048

// responseSink writes a body to a ResponseWriter, from any goroutine.
type responseSink struct {
	w    http.ResponseWriter
	rc   http.ResponseController
	head bool                // nothing is written, whatever the guest says
	done stream.Future[bool] // whether the response is broken

	mu    sync.Mutex // held while something is written, which may wait
	ended bool
	fresh int // bytes written since it was flushed

	flusher *Flusher
	queued  queued // the flusher's
}

// Write implements io.Writer.
func (s *responseSink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write(p)
}

// TryWrite implements stream.TryWriter.
func (s *responseSink) TryWrite(p []byte) (bool, error) {
	if !s.mu.TryLock() {
		return false, nil
	}
	defer s.mu.Unlock()
	if s.fresh+len(p) > buffered {
		return false, nil
	}
	_, err := s.write(p)
	return true, err
}

func (s *responseSink) write(p []byte) (int, error) {
	if s.ended {
		return 0, errAbandoned
	}
	first := s.fresh == 0
	s.fresh += len(p)
	n, err := s.w.Write(p)
	if errors.Is(err, http.ErrBodyNotAllowed) {
		return len(p), nil // 204 and 304 have none
	}
	if err == nil && first {
		s.flusher.add(s)
	}
	return n, err
}

func (s *responseSink) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		_ = s.rc.Flush() // an error shows in the next write
		s.fresh = 0
	}
}

func (s *responseSink) end(broken bool, trailers http.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(broken, trailers)
}

func (s *responseSink) endLocked(broken bool, trailers http.Header) {
	if s.ended {
		return
	}
	s.ended = true
	s.flusher.remove(s)
	if len(trailers) > 0 {
		_ = s.rc.Flush() // or a short response would leave without a place for them
	}
	for name, values := range trailers {
		s.w.Header()[http.TrailerPrefix+name] = values
	}
	s.done.Set(broken && !s.head)
}

// endSoon is end, but does not wait.
func (s *responseSink) endSoon(broken bool, trailers http.Header) {
	if len(trailers) > 0 || !s.mu.TryLock() {
		go s.end(broken, trailers)
		return
	}
	defer s.mu.Unlock()
	s.endLocked(broken, nil)
}

func (s *responseSink) finish(trailers http.Header) { s.endSoon(false, trailers) }
func (s *responseSink) abort()                      { s.endSoon(true, nil) }
