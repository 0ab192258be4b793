package message

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"

	"github.com/ashlar-wasm/ashlar/guest"
	"github.com/ashlar-wasm/ashlar/guest/internal/bind/wasi/http/types"
	ioerror "github.com/ashlar-wasm/ashlar/guest/internal/bind/wasi/io/error"
	"github.com/ashlar-wasm/ashlar/guest/internal/bind/wasi/io/poll"
	"github.com/ashlar-wasm/ashlar/guest/internal/bind/wasi/io/streams"
)

// maxRead is how much is asked of a stream at once.
const maxRead = 64 << 10

// A Gate is passed by goroutines that use a resource, one at a time. When it is
// closed, none is inside and none can enter. The zero value is open.
type Gate struct {
	use    sync.Mutex
	waiter *guest.Waiter
	closed bool
}

// Enter waits for the turn to use the resource; Leave ends it. The error is
// [os.ErrClosed] if the gate is closed.
func (g *Gate) Enter() error {
	g.use.Lock()
	if g.closed {
		g.use.Unlock()
		return os.ErrClosed
	}
	return nil
}

// Leave ends what Enter began.
func (g *Gate) Leave() { g.use.Unlock() }

// Wait waits for a pollable, inside the gate, and drops it. It returns
// [os.ErrClosed] if the gate is closed meanwhile.
func (g *Gate) Wait(p *poll.Pollable) error {
	if p.Ready() || g.closed {
		p.Close()
	} else {
		w, err := guest.NewWaiter(&p.Handle)
		if err != nil {
			return err
		}
		g.waiter = w
		err = w.Wait()
		g.waiter = nil
		w.Close()
		if err != nil {
			return err
		}
	}
	if g.closed {
		return os.ErrClosed
	}
	return nil
}

// Close makes who is inside leave, and waits for that. It reports whether this
// was the call that closed the gate.
func (g *Gate) Close() bool {
	if g.closed {
		return false
	}
	g.closed = true
	if g.waiter != nil {
		g.waiter.Close()
	}
	g.use.Lock()
	defer g.use.Unlock()
	return true
}

// A Reader reads a body.
type Reader struct {
	gate    Gate
	body    *types.IncomingBody
	stream  *streams.InputStream // nil at the end
	rest    []byte
	err     error
	trailer http.Header
}

// NewReader takes over a body.
func NewReader(body *types.IncomingBody) (*Reader, error) {
	stream, err := body.Stream()
	if err != nil {
		body.Close()
		return nil, errors.New("body has no stream")
	}
	return &Reader{body: body, stream: stream}, nil
}

// Read implements io.Reader. After Close, the error is [http.ErrBodyReadAfterClose].
func (r *Reader) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if r.gate.Enter() != nil {
		return 0, http.ErrBodyReadAfterClose
	}
	defer r.gate.Leave()
	for len(r.rest) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		data, err := r.stream.Read(uint64(min(max(len(b), 512), maxRead)))
		switch {
		case err == nil && len(data) > 0:
			r.rest = data
		case err == nil:
			if r.gate.Wait(r.stream.Subscribe()) != nil {
				return 0, http.ErrBodyReadAfterClose
			}
		default:
			r.end(err)
		}
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// end takes note of the end of the stream, which is inside the gate.
func (r *Reader) end(err error) {
	r.err = streamError(err)
	r.stream.Close()
	r.stream = nil
	if r.err != io.EOF {
		return
	}
	future := types.IncomingBodyFinish(r.body)
	r.body = nil
	defer future.Close()
	if r.gate.Wait(future.Subscribe()) != nil {
		r.err = http.ErrBodyReadAfterClose
		return
	}
	outcome := future.Get()
	if outcome == nil || outcome.IsErr {
		return
	}
	switch result := outcome.Ok; {
	case result.IsErr:
		r.err = Error{result.Err}
	case result.Ok != nil:
		r.trailer = Header(result.Ok)
	}
}

// Trailer returns the trailers, once Read has returned [io.EOF]; nil if there
// are none.
func (r *Reader) Trailer() http.Header { return r.trailer }

// Close drops the body. Calls of Read return.
func (r *Reader) Close() error {
	if !r.gate.Close() {
		return nil
	}
	if r.stream != nil {
		r.stream.Close()
	}
	if r.body != nil {
		r.body.Close()
	}
	return nil
}

// A Writer writes a body.
type Writer struct {
	gate   Gate
	body   *types.OutgoingBody
	stream *streams.OutputStream
}

// NewWriter takes over a body.
func NewWriter(body *types.OutgoingBody) (*Writer, error) {
	stream, err := body.Write()
	if err != nil {
		body.Close()
		return nil, errors.New("body has no stream")
	}
	return &Writer{body: body, stream: stream}, nil
}

// Write implements io.Writer: what it took is on its way when it returns.
func (w *Writer) Write(b []byte) (int, error) {
	if err := w.gate.Enter(); err != nil {
		return 0, err
	}
	defer w.gate.Leave()
	written := 0
	for written < len(b) {
		room, err := w.stream.CheckWrite()
		if err != nil {
			return written, writeError(err)
		}
		if room == 0 {
			if err := w.gate.Wait(w.stream.Subscribe()); err != nil {
				return written, err
			}
			continue
		}
		n := int(min(uint64(len(b)-written), room))
		if err := w.stream.Write(b[written : written+n]); err != nil {
			return written, writeError(err)
		}
		written += n
	}
	return written, nil
}

// Flush has everything sent that was written. It does not wait for that.
func (w *Writer) Flush() error {
	if err := w.gate.Enter(); err != nil {
		return err
	}
	defer w.gate.Leave()
	return writeError(w.stream.Flush())
}

// Finish ends the body, with trailers if there are any.
func (w *Writer) Finish(trailer http.Header) error {
	if !w.gate.Close() {
		return os.ErrClosed
	}
	w.stream.Close()
	var fields *types.Fields
	if len(trailer) > 0 {
		fields = Fields(trailer)
	}
	err := types.OutgoingBodyFinish(w.body, fields)
	if code, ok := errors.AsType[types.ErrorCode](err); ok {
		return Error{code}
	}
	return err
}

// Abort drops the body before its end: the other side learns that it is not
// complete. Calls of Write return.
func (w *Writer) Abort() {
	if w.gate.Close() {
		w.stream.Close()
		w.body.Close()
	}
}

// streamError returns the error for that of a stream: io.EOF if it is closed.
func streamError(err error) error {
	failed, ok := errors.AsType[streams.StreamErrorLastOperationFailed](err)
	if !ok {
		return io.EOF
	}
	return httpError(failed.Value)
}

func writeError(err error) error {
	if err == nil {
		return nil
	}
	if err = streamError(err); err == io.EOF {
		return io.ErrClosedPipe
	}
	return err
}

// httpError closes an error of a stream and returns what it says.
func httpError(e *ioerror.Error) error {
	defer e.Close()
	if code := types.HTTPErrorCode(e); code != nil {
		return Error{code}
	}
	return errors.New(e.ToDebugString())
}
