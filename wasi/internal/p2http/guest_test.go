package p2http

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/wasi/internal/bind"
)

// A guest here is Go code that uses the resources as a component would. It owns
// what it is given and drops it at its end.
type guest struct {
	t    *testing.T
	ctx  context.Context
	host Host
	own  []interface{ Drop(context.Context) error }
}

func (g *guest) keep(r interface{ Drop(context.Context) error }) { g.own = append(g.own, r) }

func (g *guest) must(err error) {
	if err != nil {
		g.t.Helper()
		g.t.Errorf("guest: %v", err)
		panic(errors.New("guest gave up"))
	}
}

// end is the end of the instance.
func (g *guest) end(ctx context.Context) error {
	for _, r := range g.own {
		_ = r.Drop(ctx)
	}
	return nil
}

func (g *guest) fields(pairs ...string) bind.Fields {
	f, err := g.host.NewFields(g.ctx)
	g.must(err)
	for i := 0; i < len(pairs); i += 2 {
		g.must(f.Append(g.ctx, pairs[i], []byte(pairs[i+1])))
	}
	return f
}

// respond sets a response and returns its body and the stream to write it.
func (g *guest) respond(out bind.ResponseOutparam, status uint16, headers ...string) (bind.OutgoingBody, bind.OutputStream) {
	r, err := g.host.NewOutgoingResponse(g.ctx, g.fields(headers...))
	g.must(err)
	g.must(r.SetStatusCode(g.ctx, status))
	body, err := r.Body(g.ctx)
	g.must(err)
	if _, err := r.Body(g.ctx); err == nil {
		g.t.Error("a body was given twice")
	}
	g.must(g.host.ResponseOutparamSet(g.ctx, out, abi.Result[bind.OutgoingResponse, bind.HTTPErrorCode]{Ok: r}))
	w, err := body.Write(g.ctx)
	g.must(err)
	return body, w
}

func (g *guest) write(w bind.OutputStream, text string) {
	for len(text) > 0 {
		n := min(len(text), 4096)
		g.must(w.BlockingWriteAndFlush(g.ctx, []byte(text[:n])))
		text = text[n:]
	}
}

func (g *guest) finish(body bind.OutgoingBody, w bind.OutputStream, trailers bind.Fields) {
	g.must(w.Drop(g.ctx))
	g.must(g.host.OutgoingBodyFinish(g.ctx, body, trailers))
}

// readAll reads a body and its trailers.
func (g *guest) readAll(body bind.IncomingBody) (string, bind.Trailers, bind.HTTPErrorCode) {
	in, err := body.Stream(g.ctx)
	g.must(err)
	var text []byte
	for {
		b, err := in.BlockingRead(g.ctx, 1<<20)
		if failed, ok := err.(bind.StreamErrorLastOperationFailed); ok {
			code, _ := g.host.HTTPErrorCode(g.ctx, failed.Value)
			g.must(in.Drop(g.ctx))
			g.must(body.Drop(g.ctx))
			return string(text), nil, code
		}
		if _, ok := err.(bind.StreamErrorClosed); ok {
			break
		}
		g.must(err)
		text = append(text, b...)
	}
	g.must(in.Drop(g.ctx))
	future, err := g.host.IncomingBodyFinish(g.ctx, body)
	g.must(err)
	p, err := future.Subscribe(g.ctx)
	g.must(err)
	g.must(p.Block(g.ctx))
	got, err := future.Get(g.ctx)
	g.must(err)
	again, err := future.Get(g.ctx)
	g.must(err)
	if again == nil || !again.IsErr {
		g.t.Error("trailers were given twice")
	}
	g.must(future.Drop(g.ctx))
	if got.Ok.IsErr {
		return string(text), nil, got.Ok.Err
	}
	return string(text), got.Ok.Ok, nil
}

// handler serves with a guest.
func handler(t *testing.T, outcome func(Outcome, error), run func(*guest, bind.IncomingRequest, bind.ResponseOutparam) error) http.Handler {
	var flusher Flusher
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g := &guest{t: t}
		handle := func(ctx context.Context, in bind.IncomingRequest, out bind.ResponseOutparam) (err error) {
			g.ctx = ctx
			g.keep(in)
			defer func() {
				if r := recover(); r != nil {
					err = r.(error)
				}
			}()
			return run(g, in, out)
		}
		what, err := serve(w, r, handle, g.end, &flusher)
		if outcome != nil {
			outcome(what, err)
		} else if what != Whole || err != nil {
			t.Errorf("outcome %v, %v", what, err)
		}
		switch what {
		case NotBegun:
			http.Error(w, "failed", 500)
		case Broken:
			panic(http.ErrAbortHandler)
		}
	})
}

// quiet keeps what servers log of aborted handlers out of the tests' output.
func start(t *testing.T, h http.Handler) *httptest.Server {
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = true
	s.Config.ErrorLog = nil
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Errorf("read response: %v", err)
	}
	r.Body.Close()
	return string(b)
}
