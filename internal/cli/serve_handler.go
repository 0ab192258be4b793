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

var errRequestTime = errors.New("time limit for the request exceeded")

// handler serves requests with a component under the options' bounds.
type handler struct {
	options *serveOptions
	pool    *component.Pool
	log     *serveLog
	guest   wasihttp.Handler
	last    atomic.Uint64 // number of the last request
}

func (o *serveOptions) handler(pool *component.Pool, log *serveLog) *handler {
	return &handler{options: o, log: log, pool: pool, guest: wasihttp.Handler{
		Instantiate: func(ctx context.Context) (wasihttp.Instance, error) { return exchangeOf(ctx).instance, nil },
		Error:       func(r *http.Request, err error) { exchangeOf(r.Context()).failed(err) },
	}}
}

// exchange is a request with its response. What one needs is here in one piece, and the
// parts that few need are made when they do.
type exchange struct {
	*handler
	id        uint64
	start     time.Time
	request   *http.Request
	response  recorder
	context   exchangeContext
	out, errs guestLog
	instance  *component.Instance // once it has one
}

// exchangeContext is the context of a guest's calls.
type exchangeContext struct {
	lazyContext
	exchange *exchange
}

type exchangeKey struct{}

// Value implements context.Context.
func (c *exchangeContext) Value(key any) any {
	switch key.(type) {
	case exchangeKey:
		return c.exchange
	case limitLogKey:
		return c.exchange.reached
	}
	return c.lazyContext.Value(key)
}

func exchangeOf(ctx context.Context) *exchange { return ctx.Value(exchangeKey{}).(*exchange) }

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{handler: h, id: h.last.Add(1), start: time.Now(), request: r}
	x.response.ResponseWriter = w
	x.out, x.errs = h.log.guest(x.id, "stdout"), h.log.guest(x.id, "stderr")
	x.context.exchange = x
	x.context.Context, x.context.late = r.Context(), errRequestTime
	x.context.deadline = x.start.Add(time.Duration(h.options.requestTimeout))
	defer x.context.release()
	defer func() { x.end(recover()) }()
	x.request = r.WithContext(wasi.WithStdio(&x.context, nil, &x.out, &x.errs))
	if r.ContentLength > int64(h.options.maxBody) {
		x.tooLarge()
		x.failed(context.Cause(&x.context))
		return
	}
	if r.Body != http.NoBody {
		x.request.Body = &limitedBody{http.MaxBytesReader(w, r.Body, int64(h.options.maxBody)), x.tooLarge}
	}
	err := h.pool.Do(x.request.Context(), x.serve)
	switch {
	case err == nil:
	case x.instance != nil:
		x.failed(err)
	case errors.Is(err, component.ErrPoolFull):
		h.log.printf("request %d: %s %s: refused: %d requests are being handled", x.id, r.Method, quoteURL(r), h.options.maxConcurrent)
		x.response.Header().Set("Retry-After", "1")
		http.Error(&x.response, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
	default:
		x.failed(err)
		http.Error(&x.response, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
	}
}

// serve has an instance of the pool's respond.
func (x *exchange) serve(i *component.Instance) error {
	x.instance = i
	x.guest.ServeHTTP(&x.response, x.request)
	return nil
}

// end ends an exchange, in which there was a panic with p if that is not nil.
func (x *exchange) end(p any) {
	x.out.Close()
	x.errs.Close()
	r := x.request
	if p != nil && p != http.ErrAbortHandler {
		x.log.printf("request %d: %s %s: panic: %v\n%s", x.id, r.Method, quoteURL(r), p, debug.Stack())
	}
	if x.response.refused() {
		x.response.refuse()
		p = nil
	}
	if x.options.verbose {
		var cpu time.Duration
		if x.instance != nil {
			cpu = x.instance.CPU()
		}
		x.log.printf("request %d: %s %s %d %dB %v, CPU time %v", x.id, r.Method, quoteURL(r), x.response.status, x.response.bytes,
			time.Since(x.start).Round(time.Microsecond), cpu.Round(time.Microsecond))
	}
	if p != nil {
		panic(http.ErrAbortHandler)
	}
}

// reached logs that the guest met a limit.
func (x *exchange) reached(e *component.LimitError) { x.log.printf("request %d: %v", x.id, e) }

// tooLarge ends an exchange whose request has too large a body.
func (x *exchange) tooLarge() {
	x.response.tooLarge.Store(true)
	x.context.cancel(fmt.Errorf("the body is over the limit of %s", x.options.maxBody.String()))
}

// failed logs why a request was not served.
func (x *exchange) failed(err error) {
	if ctx := x.request.Context(); ctx.Err() != nil && context.Cause(ctx) == context.Canceled {
		return // the client went away
	}
	x.log.failed(x.id, x.request, err)
	if x.instance != nil && x.instance.MemoryExceeded() != nil {
		x.log.printf("request %d: memory limit of %s exceeded", x.id, x.options.memory.String())
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
