package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/wasi"
	wasihttp "github.com/ashlar-wasm/ashlar/wasi/http"
)

const handlerInterface = "wasi:http/incoming-handler@0.2.0"

// queueTime is how long a request waits for its turn.
const queueTime = 10 * time.Second

// handler serves requests with a component under the options' bounds.
type handler struct {
	options *serveOptions
	pool    *component.Pool
	log     *serveLog
	last    atomic.Uint64 // number of the last request
}

func (o *serveOptions) handler(pool *component.Pool, log *serveLog) *handler {
	return &handler{options: o, log: log, pool: pool}
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := h.last.Add(1)
	start := time.Now()
	rec := &recorder{ResponseWriter: w}
	limited, refuse := context.WithCancelCause(r.Context())
	defer refuse(nil)
	ctx, cancel := context.WithTimeoutCause(limited, time.Duration(h.options.requestTimeout), errors.New("time limit for the request exceeded"))
	defer cancel()
	out, errs := h.log.guest(id, "stdout"), h.log.guest(id, "stderr")
	var cpu time.Duration
	defer func() {
		p := recover()
		out.Close()
		errs.Close()
		if p != nil && p != http.ErrAbortHandler {
			h.log.printf("request %d: %s %s: panic: %v\n%s", id, r.Method, quoteURL(r), p, debug.Stack())
		}
		if rec.refused() {
			rec.refuse()
			p = nil
		}
		if h.options.verbose {
			h.log.printf("request %d: %s %s %d %dB %v, CPU time %v", id, r.Method, quoteURL(r), rec.status, rec.bytes,
				time.Since(start).Round(time.Microsecond), cpu.Round(time.Microsecond))
		}
		if p != nil {
			panic(http.ErrAbortHandler)
		}
	}()
	reached := func(e *component.LimitError) { h.log.printf("request %d: %v", id, e) }
	r = r.WithContext(wasi.WithStdio(context.WithValue(ctx, limitLogKey{}, reached), nil, out, errs))
	tooLarge := func() {
		rec.tooLarge.Store(true)
		refuse(fmt.Errorf("the body is over the limit of %s", h.options.maxBody.String()))
	}
	if r.ContentLength > int64(h.options.maxBody) {
		tooLarge()
		h.failed(id, r, nil, context.Cause(ctx))
		return
	}
	if r.Body != http.NoBody {
		r.Body = &limitedBody{http.MaxBytesReader(w, r.Body, int64(h.options.maxBody)), tooLarge}
	}
	begun := false
	wait, stop := context.WithTimeoutCause(r.Context(), queueTime, component.ErrPoolFull)
	defer stop()
	err := h.pool.Do(wait, func(i *component.Instance) error {
		begun = true
		defer func() { cpu = i.CPU() }()
		(&wasihttp.Handler{
			Instantiate: func(context.Context) (wasihttp.Instance, error) { return i, nil },
			Error:       func(r *http.Request, err error) { h.failed(id, r, i, err) },
		}).ServeHTTP(rec, r)
		return nil
	})
	switch {
	case err == nil:
	case begun:
		h.failed(id, r, nil, err)
	case errors.Is(err, component.ErrPoolFull):
		h.log.printf("request %d: %s %s: refused: %d requests are being handled", id, r.Method, quoteURL(r), h.options.maxConcurrent)
		rec.Header().Set("Retry-After", "1")
		http.Error(rec, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
	default:
		h.failed(id, r, nil, err)
		http.Error(rec, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
	}
}

func (h *handler) failed(id uint64, r *http.Request, i *component.Instance, err error) {
	if r.Context().Err() != nil && context.Cause(r.Context()) == context.Canceled {
		return // the client went away
	}
	h.log.failed(id, r, err)
	if i != nil && i.MemoryExceeded() != nil {
		h.log.printf("request %d: memory limit of %s exceeded", id, h.options.memory.String())
	}
}

// limitedBody is a body that tells when there is more of it than may be.
type limitedBody struct {
	io.ReadCloser
	tooLarge func()
}

func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	var over *http.MaxBytesError
	if errors.As(err, &over) {
		b.tooLarge()
	}
	return n, err
}

// recorder notes what was responded, for the access log. Nothing is responded
// any more, but that the request is too large, once that is known.
type recorder struct {
	http.ResponseWriter
	status   int
	bytes    int64
	tooLarge atomic.Bool
}

// Unwrap lets http.ResponseController find what the writer can do.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// refused tells that the request is too large, which the client can be told.
func (r *recorder) refused() bool { return r.status < 200 && r.tooLarge.Load() }

// refuse tells the client.
func (r *recorder) refuse() {
	r.status = http.StatusRequestEntityTooLarge
	clear(r.Header())
	r.Header().Set("Connection", "close")
	http.Error(r.ResponseWriter, http.StatusText(r.status), r.status)
}

func (r *recorder) WriteHeader(status int) {
	if r.refused() {
		return
	}
	if r.status < 200 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.refused() {
		return 0, http.ErrBodyNotAllowed
	}
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	return n, err
}

// FlushError implements what http.ResponseController asks for.
func (r *recorder) FlushError() error {
	if r.refused() {
		return nil
	}
	return http.NewResponseController(r.ResponseWriter).Flush()
}
