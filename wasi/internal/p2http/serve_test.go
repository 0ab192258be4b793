package p2http

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/wasi/internal/bind"
)

func TestServeRequest(t *testing.T) {
	s := start(t, handler(t, nil, func(g *guest, in bind.IncomingRequest, out bind.ResponseOutparam) error {
		m, _ := in.Method(g.ctx)
		path, _ := in.PathWithQuery(g.ctx)
		authority, _ := in.Authority(g.ctx)
		scheme, _ := in.Scheme(g.ctx)
		h, _ := in.Headers(g.ctx)
		values, _ := h.Get(g.ctx, "X-Two")
		if m != (bind.MethodOther{Value: "PURGE"}) || *path != "/a%20b?c=d" || scheme != (bind.SchemeHTTP{}) || *authority == "" {
			t.Errorf("%v %v %v %v", m, *path, scheme, *authority)
		}
		if len(values) != 2 || string(values[1]) != "2" {
			t.Errorf("values %q", values)
		}
		for _, name := range []string{"connection", "host", "keep-alive", "transfer-encoding"} {
			if has, _ := h.Has(g.ctx, name); has {
				t.Errorf("the guest sees %s", name)
			}
		}
		if err := h.Append(g.ctx, "x", nil); err != (bind.HeaderErrorImmutable{}) {
			t.Errorf("changing a request's headers: %v", err)
		}
		b, w := g.respond(out, 418, "x-answer", "a", "X-Answer", "b")
		g.write(w, "short and stout")
		g.finish(b, w, nil)
		return nil
	}))
	req, _ := http.NewRequest("PURGE", s.URL+"/a%20b?c=d", strings.NewReader("ignored"))
	req.Header["X-Two"] = []string{"1", "2"}
	req.Header.Set("Keep-Alive", "timeout=5")
	r, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if got := body(t, r); got != "short and stout" || r.StatusCode != 418 {
		t.Errorf("%d %q", r.StatusCode, got)
	}
	if got := r.Header.Values("X-Answer"); len(got) != 2 || got[0] != "a" || got[1] != "b" {
		t.Errorf("headers %v", r.Header)
	}
	if _, guessed := r.Header["Content-Type"]; guessed || r.ContentLength != 15 {
		t.Errorf("headers %v, length %d", r.Header, r.ContentLength)
	}
}

// echo answers with the request's body as it comes.
func echo(g *guest, in bind.IncomingRequest, out bind.ResponseOutparam) error {
	b, w := g.respond(out, 200)
	g.keep(b)
	body, err := in.Consume(g.ctx)
	g.must(err)
	if _, err := in.Consume(g.ctx); err == nil {
		g.t.Error("a body was given twice")
	}
	src, err := body.Stream(g.ctx)
	g.must(err)
	for {
		_, err := w.BlockingSplice(g.ctx, src, 1<<30)
		if _, closed := err.(bind.StreamErrorClosed); closed {
			break
		}
		if err != nil {
			return err
		}
	}
	g.must(w.BlockingFlush(g.ctx))
	g.must(src.Drop(g.ctx))
	future, err := g.host.IncomingBodyFinish(g.ctx, body)
	g.must(err)
	p, _ := future.Subscribe(g.ctx)
	g.must(p.Block(g.ctx))
	got, _ := future.Get(g.ctx)
	g.finish(b, w, got.Ok.Ok)
	return nil
}

func TestServeEchoStreams(t *testing.T) {
	s := start(t, handler(t, nil, echo))
	pr, pw := io.Pipe()
	req, _ := http.NewRequest("POST", s.URL, pr)
	req.Trailer = http.Header{"X-Sum": nil}
	done := make(chan struct{})
	var r *http.Response
	go func() {
		defer close(done)
		var err error
		if r, err = s.Client().Do(req); err != nil {
			t.Error(err)
		}
	}()
	// The answer to each piece comes before the next piece is sent.
	pw.Write([]byte("one"))
	<-done
	if r == nil {
		return
	}
	buf := make([]byte, 100)
	for _, piece := range []string{"one", "two", "three"} {
		if piece != "one" {
			pw.Write([]byte(piece))
		}
		if n, err := io.ReadFull(r.Body, buf[:len(piece)]); string(buf[:n]) != piece || err != nil {
			t.Fatalf("%q, %v; want %q", buf[:n], err, piece)
		}
	}
	req.Trailer.Set("X-Sum", "42")
	pw.Close()
	if rest := body(t, r); rest != "" {
		t.Errorf("rest %q", rest)
	}
	if got := r.Trailer.Get("X-Sum"); got != "42" {
		t.Errorf("trailers %v", r.Trailer)
	}
}

func TestServeFlatMemory(t *testing.T) {
	s := start(t, handler(t, nil, echo))
	const size = 256 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	req, _ := http.NewRequest("POST", s.URL, io.LimitReader(zeroes{}, size))
	r, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, r.Body)
	runtime.ReadMemStats(&after)
	if n != size || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	if grew := int64(after.HeapSys) - int64(before.HeapSys); grew > 48<<20 {
		t.Errorf("the heap grew by %d bytes", grew)
	}
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestServeKeepsConnections(t *testing.T) {
	s := start(t, handler(t, nil, func(g *guest, in bind.IncomingRequest, out bind.ResponseOutparam) error {
		b, w := g.respond(out, 200)
		g.write(w, "hello")
		g.finish(b, w, nil)
		return nil
	}))
	for _, size := range []int{0, 5, 100_000, 5 << 20} {
		reused := 0
		for range 5 {
			req, _ := http.NewRequest("POST", s.URL, bytes.NewReader(make([]byte, size)))
			trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
				if i.Reused {
					reused++
				}
			}}
			r, err := s.Client().Do(req.WithContext(httptrace.WithClientTrace(t.Context(), trace)))
			if err != nil {
				t.Errorf("%d bytes: %v", size, err)
				continue
			}
			if got := body(t, r); got != "hello" {
				t.Errorf("%d bytes: %q", size, got)
			}
		}
		if size <= maxDrain && reused < 4 {
			t.Errorf("%d bytes unread: connection reused %d times", size, reused)
		}
	}
}

func TestServeClientThatWaits(t *testing.T) {
	s := start(t, handler(t, nil, func(g *guest, in bind.IncomingRequest, out bind.ResponseOutparam) error {
		b, w := g.respond(out, 403)
		g.write(w, "no")
		g.finish(b, w, nil)
		return nil
	}))
	client := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Minute}}
	req, _ := http.NewRequest("POST", s.URL, strings.NewReader("never sent"))
	req.Header.Set("Expect", "100-continue")
	began := time.Now()
	r, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if got := body(t, r); got != "no" || r.StatusCode != 403 || time.Since(began) > 10*time.Second {
		t.Errorf("%d %q after %v", r.StatusCode, got, time.Since(began))
	}
}

// A client that sends its body slowly gets its answer, though the guest did not
// wait for the body, and the connection serves the next request.
func TestServeSlowBody(t *testing.T) {
	s := start(t, handler(t, nil, func(g *guest, _ bind.IncomingRequest, out bind.ResponseOutparam) error {
		b, w := g.respond(out, 200)
		g.write(w, "early")
		g.finish(b, w, nil)
		return nil
	}))
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	for range 2 {
		io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n"+strings.Repeat("x", 1000))
		time.Sleep(drainTimeout + 100*time.Millisecond)
		io.WriteString(conn, strings.Repeat("x", 1000))
		r, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := body(t, r); got != "early" || r.StatusCode != 200 {
			t.Errorf("%d %q", r.StatusCode, got)
		}
	}
}

func TestServeInformational(t *testing.T) {
	s := start(t, handler(t, nil, func(g *guest, in bind.IncomingRequest, out bind.ResponseOutparam) error {
		g.must(out.SendInformational(g.ctx, 103, g.fields("link", "</x.css>")))
		if err := out.SendInformational(g.ctx, 200, g.fields()); err == nil {
			t.Error("200 passed as informational")
		}
		b, w := g.respond(out, 200)
		g.finish(b, w, nil)
		return nil
	}))
	var hint string
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		if code == 103 {
			hint = h.Get("Link")
		}
		return nil
	}}
	req, _ := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", s.URL, nil)
	r, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body(t, r)
	if hint != "</x.css>" || r.Header.Get("Link") != "" {
		t.Errorf("hint %q, then headers %v", hint, r.Header)
	}
}

func TestServeOutcomes(t *testing.T) {
	boom := errors.New("unreachable")
	for name, c := range map[string]struct {
		run     func(g *guest, in bind.IncomingRequest, out bind.ResponseOutparam) error
		outcome Outcome
		err     error
		status  int // 0 for a broken connection
	}{
		"trap before": {func(*guest, bind.IncomingRequest, bind.ResponseOutparam) error { return boom }, NotBegun, boom, 500},
		"no response": {func(*guest, bind.IncomingRequest, bind.ResponseOutparam) error { return nil }, NotBegun, ErrNoResponse, 500},
		"error": {func(g *guest, _ bind.IncomingRequest, out bind.ResponseOutparam) error {
			return g.host.ResponseOutparamSet(g.ctx, out, abi.Result[bind.OutgoingResponse, bind.HTTPErrorCode]{
				IsErr: true, Err: bind.HTTPErrorCodeLoopDetected{},
			})
		}, NotBegun, nil, 500},
		"trap after": {func(g *guest, _ bind.IncomingRequest, out bind.ResponseOutparam) error {
			b, w := g.respond(out, 200)
			g.keep(b)
			g.write(w, "some")
			return boom
		}, Broken, boom, 0},
		"unfinished": {func(g *guest, _ bind.IncomingRequest, out bind.ResponseOutparam) error {
			b, w := g.respond(out, 200)
			g.keep(b)
			g.write(w, "some")
			return nil
		}, Broken, ErrIncomplete, 0},
		"too short": {func(g *guest, _ bind.IncomingRequest, out bind.ResponseOutparam) error {
			b, w := g.respond(out, 200, "content-length", "10")
			g.write(w, "some")
			w.Drop(g.ctx)
			err := g.host.OutgoingBodyFinish(g.ctx, b, nil)
			if size, ok := err.(bind.HTTPErrorCodeHTTPResponseBodySize); !ok || *size.Value != 4 {
				t.Errorf("finishing a short body: %v", err)
			}
			return nil
		}, Broken, ErrIncomplete, 0},
		"too long": {func(g *guest, _ bind.IncomingRequest, out bind.ResponseOutparam) error {
			b, w := g.respond(out, 200, "content-length", "3")
			g.keep(b)
			err := w.BlockingWriteAndFlush(g.ctx, []byte("some"))
			failed, ok := err.(bind.StreamErrorLastOperationFailed)
			if !ok {
				t.Errorf("writing too much: %v", err)
				return nil
			}
			code, _ := g.host.HTTPErrorCode(g.ctx, failed.Value)
			if size, ok := code.(bind.HTTPErrorCodeHTTPResponseBodySize); !ok || *size.Value != 4 {
				t.Errorf("writing too much: %v", code)
			}
			return nil
		}, Broken, ErrIncomplete, 0},
		"trap when done": {func(g *guest, _ bind.IncomingRequest, out bind.ResponseOutparam) error {
			b, w := g.respond(out, 201)
			g.write(w, "all")
			g.finish(b, w, nil)
			return boom
		}, Whole, boom, 201},
		"no body": {func(g *guest, _ bind.IncomingRequest, out bind.ResponseOutparam) error {
			r, _ := g.host.NewOutgoingResponse(g.ctx, g.fields())
			g.must(r.SetStatusCode(g.ctx, 204))
			return g.host.ResponseOutparamSet(g.ctx, out, abi.Result[bind.OutgoingResponse, bind.HTTPErrorCode]{Ok: r})
		}, Whole, nil, 204},
		"informational status": {func(g *guest, _ bind.IncomingRequest, out bind.ResponseOutparam) error {
			g.respond(out, 101)
			return nil
		}, NotBegun, nil, 500},
	} {
		t.Run(name, func(t *testing.T) {
			var outcome Outcome
			var err error
			served := make(chan struct{})
			s := start(t, handler(t, func(o Outcome, e error) { outcome, err = o, e; close(served) }, c.run))
			r, callErr := http.Get(s.URL)
			if callErr == nil {
				_, callErr = io.ReadAll(r.Body)
				r.Body.Close()
			}
			<-served
			if outcome != c.outcome || c.err != nil && !errors.Is(err, c.err) {
				t.Errorf("outcome %v, %v; want %v, %v", outcome, err, c.outcome, c.err)
			}
			if (callErr != nil) != (c.status == 0) || c.status != 0 && r.StatusCode != c.status {
				t.Errorf("the client got %v, %v; want %d", r, callErr, c.status)
			}
		})
	}
}

func TestServeHead(t *testing.T) {
	s := start(t, handler(t, nil, func(g *guest, in bind.IncomingRequest, out bind.ResponseOutparam) error {
		b, w := g.respond(out, 200, "content-length", "1000")
		g.must(w.Drop(g.ctx))
		_ = g.host.OutgoingBodyFinish(g.ctx, b, nil)
		return nil
	}))
	r, err := http.Head(s.URL)
	if err != nil || r.ContentLength != 1000 {
		t.Errorf("%v, %v", r, err)
	}
}

func TestServeClientGoesAway(t *testing.T) {
	served := make(chan error, 1)
	s := start(t, handler(t, func(_ Outcome, err error) { served <- err }, func(g *guest, in bind.IncomingRequest, out bind.ResponseOutparam) error {
		b, w := g.respond(out, 200)
		g.keep(b)
		for {
			if err := w.BlockingWriteAndFlush(g.ctx, make([]byte, 4096)); err != nil {
				return err
			}
		}
	}))
	ctx, cancel := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, "GET", s.URL, nil)
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	io.ReadFull(r.Body, make([]byte, 10_000))
	cancel()
	select {
	case err := <-served:
		if err == nil {
			t.Error("no error")
		}
	case <-time.After(10 * time.Second):
		t.Error("the guest still runs")
	}
}

func TestServeHTTP2(t *testing.T) {
	s := httptest.NewUnstartedServer(handler(t, nil, echo))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	r, err := s.Client().Post(s.URL, "", io.LimitReader(zeroes{}, 3<<20))
	if err != nil {
		t.Fatal(err)
	}
	if got := body(t, r); len(got) != 3<<20 || r.ProtoMajor != 2 {
		t.Errorf("%d bytes by %s", len(got), r.Proto)
	}
}

// A client that waits for the answer before it sends the rest of its body gets it, whether
// the guest reads the body, has begun to, or leaves it alone.
func TestServeAnswerFirst(t *testing.T) {
	for _, begin := range []bool{false, true} {
		s := start(t, handler(t, nil, func(g *guest, in bind.IncomingRequest, out bind.ResponseOutparam) error {
			if begin {
				body, err := in.Consume(g.ctx)
				g.must(err)
				src, err := body.Stream(g.ctx)
				g.must(err)
				_, err = src.BlockingRead(g.ctx, 1000)
				g.must(err)
				_, err = src.Read(g.ctx, 1000) // waits for more, behind the guest's back
				g.must(err)
				g.must(src.Drop(g.ctx))
				g.must(body.Drop(g.ctx))
			}
			b, w := g.respond(out, 200)
			g.write(w, "early")
			g.finish(b, w, nil)
			return nil
		}))
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(time.Minute))
		answers := bufio.NewReader(conn)
		for range 2 {
			io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n"+strings.Repeat("x", 1000))
			r, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatalf("begun %v: %v", begin, err)
			}
			got := make([]byte, 5)
			if _, err := io.ReadFull(r.Body, got); err != nil || string(got) != "early" || r.StatusCode != 200 {
				t.Errorf("begun %v: %d %q, %v", begin, r.StatusCode, got, err)
			}
			io.WriteString(conn, strings.Repeat("x", 1000))
			if rest := body(t, r); rest != "" {
				t.Errorf("rest %q", rest)
			}
		}
	}
}

// Trailers that nothing announced arrive behind a short body too.
func TestServeTrailersOfShortBody(t *testing.T) {
	s := start(t, handler(t, nil, func(g *guest, in bind.IncomingRequest, out bind.ResponseOutparam) error {
		b, w := g.respond(out, 200)
		g.write(w, "short")
		g.finish(b, w, g.fields("x-sum", "5"))
		return nil
	}))
	r, err := s.Client().Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	if got := body(t, r); got != "short" || r.Trailer.Get("X-Sum") != "5" {
		t.Errorf("%q, trailers %v", got, r.Trailer)
	}
}
