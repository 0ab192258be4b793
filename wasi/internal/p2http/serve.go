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
func Serve(w http.ResponseWriter, r *http.Request, instance Instance) (Outcome, error) {
	handler, err := bind.LookupIncomingHandler(instance)
	if err != nil {
		return NotBegun, errors.Join(err, instance.Close(r.Context()))
	}
	return serve(w, r, handler.Handle, instance.Close)
}

func serve(w http.ResponseWriter, r *http.Request,
	handle func(context.Context, bind.IncomingRequest, bind.ResponseOutparam) error,
	closeInstance func(context.Context) error,
) (Outcome, error) {
	ctx := r.Context()
	rc := http.NewResponseController(w)
	s := &responseSink{w: w, rc: rc, done: make(chan struct{}), head: r.Method == http.MethodHead}
	in := newIncomingRequest(r)
	out := &outparam{response: s, request: r, body: in.body}
	err := handle(ctx, in, out)
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
	select {
	case <-s.done:
	case <-ctx.Done():
		// A write that is under way may wait for a client that does not read.
		_ = rc.SetWriteDeadline(time.Unix(1, 0))
		s.abort()
		err = errors.Join(err, context.Cause(ctx))
	}
	if s.broken {
		return Broken, errors.Join(err, ErrIncomplete)
	}
	if out.duplex && !out.drain(ctx) {
		return Broken, err
	}
	return Whole, err
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
	for name, values := range r.header.header() {
		h[name] = values
	}
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // net/http would guess one
	}
	// A client that still waits to be asked for the body is left to net/http.
	waits := !p.body.taken && p.request.Header.Get("Expect") != ""
	if p.request.ProtoMajor == 1 && p.request.Body != http.NoBody && !p.body.ended.Load() && !waits {
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
	for name, values := range headers.(*fields).header() {
		h[name] = values
	}
	p.response.w.WriteHeader(int(status))
	clear(h)
	return nil
}

// flushDelay is how long bytes may stay in the server's buffer, so that a short
// response leaves in one piece.
const flushDelay = 2 * time.Millisecond

// responseSink writes a body to a ResponseWriter, from any goroutine.
type responseSink struct {
	w    http.ResponseWriter
	rc   *http.ResponseController
	done chan struct{}
	head bool // nothing is written, whatever the guest says

	mu     sync.Mutex
	ended  bool
	broken bool // not changed once done is closed
	timer  *time.Timer
}

func (s *responseSink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return 0, errAbandoned
	}
	n, err := s.w.Write(p)
	if errors.Is(err, http.ErrBodyNotAllowed) {
		return len(p), nil // 204 and 304 have none
	}
	if err == nil && s.timer == nil {
		s.timer = time.AfterFunc(flushDelay, s.flush)
	}
	return n, err
}

func (s *responseSink) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer = nil
	if !s.ended {
		_ = s.rc.Flush() // an error shows in the next write
	}
}

func (s *responseSink) end(broken bool, trailers http.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.ended, s.broken = true, broken && !s.head
	if s.timer != nil {
		s.timer.Stop()
	}
	if len(trailers) > 0 {
		_ = s.rc.Flush() // or a short response would leave without a place for them
	}
	for name, values := range trailers {
		s.w.Header()[http.TrailerPrefix+name] = values
	}
	close(s.done)
}

func (s *responseSink) finish(trailers http.Header) { s.end(false, trailers) }
func (s *responseSink) abort()                      { s.end(true, nil) }
