package p2http

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/wasi/internal/bind"
)

func text[T any](v T) *T { return &v }

func anywhere() *Client {
	t := NewTransport(nil, func(*url.URL, netip.AddrPort) bool { return true })
	return &Client{Allow: func(string, *url.URL) bool { return true }, Transport: t}
}

// request makes a request for a URL.
func (g *guest) request(method string, target string, headers ...string) bind.OutgoingRequest {
	r, err := g.host.NewOutgoingRequest(g.ctx, g.fields(headers...))
	g.must(err)
	u, err := url.Parse(target)
	g.must(err)
	g.must(r.SetMethod(g.ctx, methodOf(method)))
	g.must(r.SetAuthority(g.ctx, &u.Host))
	g.must(r.SetPathWithQuery(g.ctx, text(u.RequestURI())))
	if u.Scheme == "http" {
		g.must(r.SetScheme(g.ctx, bind.SchemeHTTP{}))
	}
	return r
}

// wait waits for the response.
func (g *guest) wait(f bind.FutureIncomingResponse) (bind.IncomingResponse, bind.HTTPErrorCode) {
	p, err := f.Subscribe(g.ctx)
	g.must(err)
	g.must(p.Block(g.ctx))
	got, err := f.Get(g.ctx)
	g.must(err)
	if again, _ := f.Get(g.ctx); again == nil || !again.IsErr {
		g.t.Error("a response was given twice")
	}
	g.must(f.Drop(g.ctx))
	if got.Ok.IsErr {
		return nil, got.Ok.Err
	}
	return got.Ok.Ok, nil
}

// call sends a request without a body and returns the response's.
func (g *guest) call(c *Client, r bind.OutgoingRequest, o bind.RequestOptions) (uint16, string, bind.HTTPErrorCode) {
	f, err := c.Handle(g.ctx, r, o)
	if code, ok := err.(bind.HTTPErrorCode); ok {
		return 0, "", code
	}
	g.must(err)
	resp, code := g.wait(f)
	if code != nil {
		return 0, "", code
	}
	status, _ := resp.Status(g.ctx)
	b, err := resp.Consume(g.ctx)
	g.must(err)
	body, _, code := g.readAll(b)
	g.must(resp.Drop(g.ctx))
	return status, body, code
}

func TestSend(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if agent, ok := r.Header["User-Agent"]; ok {
			t.Errorf("user agent %q", agent)
		}
		if r.Header.Get("X-A") != "1" || r.URL.RequestURI() != "/p/%2f?q=1%20" || r.Header.Get("Accept-Encoding") != "" {
			t.Errorf("request %v %v", r.URL, r.Header)
		}
		w.Header().Set("Trailer", "X-Sum")
		w.WriteHeader(201)
		io.WriteString(w, r.Method+" hello")
		w.Header().Set("X-Sum", "9")
	}))
	defer s.Close()
	g := &guest{t: t, ctx: t.Context()}
	f, err := anywhere().Handle(g.ctx, g.request("PATCH", s.URL+"/p/%2f?q=1%20", "x-a", "1"), nil)
	g.must(err)
	r, code := g.wait(f)
	if code != nil {
		t.Fatal(code)
	}
	status, _ := r.Status(g.ctx)
	h, _ := r.Headers(g.ctx)
	if has, _ := h.Has(g.ctx, "connection"); has {
		t.Error("the guest sees a header of the connection")
	}
	b, err := r.Consume(g.ctx)
	g.must(err)
	got, trailers, code := g.readAll(b)
	if status != 201 || got != "PATCH hello" || code != nil {
		t.Errorf("%d %q %v", status, got, code)
	}
	if trailers == nil {
		t.Fatal("no trailers")
	}
	if v, _ := trailers.Get(g.ctx, "x-sum"); len(v) != 1 || string(v[0]) != "9" {
		t.Errorf("trailers %q", v)
	}
}

func TestSendBody(t *testing.T) {
	sum := make(chan string, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		sum <- r.Trailer.Get("X-Sum")
		if err != nil {
			t.Error(err)
		}
		w.Write([]byte(strings.Repeat("x", int(n%1000))))
	}))
	defer s.Close()
	for _, length := range []string{"", "300007"} {
		g := &guest{t: t, ctx: t.Context()}
		headers := []string{"trailer", "X-Sum"}
		if length != "" {
			headers = []string{"content-length", length}
		}
		r := g.request("POST", s.URL, headers...)
		body, err := r.Body(g.ctx)
		g.must(err)
		w, err := body.Write(g.ctx)
		g.must(err)
		g.write(w, "before ") // held until the request is sent
		f, err := anywhere().Handle(g.ctx, r, nil)
		g.must(err)
		g.write(w, strings.Repeat("a", 300_000))
		g.finish(body, w, g.fields("x-sum", "7"))
		resp, code := g.wait(f)
		if code != nil {
			t.Fatal(code)
		}
		b, _ := resp.Consume(g.ctx)
		got, _, code := g.readAll(b)
		if len(got) != 7 || code != nil {
			t.Errorf("%d bytes, %v", len(got), code)
		}
		if got := <-sum; length == "" && got != "7" {
			t.Errorf("trailer %q", got)
		}
	}
}

func TestSendUnfinishedBody(t *testing.T) {
	failed := make(chan error, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		failed <- err
	}))
	defer s.Close()
	g := &guest{t: t, ctx: t.Context()}
	r := g.request("POST", s.URL)
	body, _ := r.Body(g.ctx)
	w, _ := body.Write(g.ctx)
	f, err := anywhere().Handle(g.ctx, r, nil)
	g.must(err)
	g.write(w, "some")
	g.must(w.Drop(g.ctx))
	g.must(body.Drop(g.ctx))
	if _, code := g.wait(f); code == nil {
		t.Error("a broken request got a response")
	}
	if err := <-failed; err == nil {
		t.Error("the server took a broken body for a whole one")
	}
}

func TestSendDenied(t *testing.T) {
	g := &guest{t: t, ctx: t.Context()}
	for _, c := range []*Client{{}, {Allow: func(method string, u *url.URL) bool { return u.Host == "good.example" && method == "GET" }}} {
		_, err := c.Handle(g.ctx, g.request("GET", "http://evil.example/"), nil)
		if err != (bind.HTTPErrorCodeHTTPRequestDenied{}) {
			t.Errorf("denied: %v", err)
		}
	}
}

// raw serves one connection with bytes.
func raw(t *testing.T, serve func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					serve(c)
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

func TestSendErrors(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	tlsServer := httptest.NewUnstartedServer(http.NotFoundHandler())
	tlsServer.Config.ErrorLog = nil
	tlsServer.StartTLS()
	defer tlsServer.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	answer := func(text string) string {
		return raw(t, func(c net.Conn) { io.WriteString(c, text) })
	}
	stall := func(text string) string {
		return raw(t, func(c net.Conn) { io.WriteString(c, text); io.Copy(io.Discard, c) })
	}
	soon := text(uint64(50 * time.Millisecond))
	for name, c := range map[string]struct {
		url     string
		options *requestOptions
		want    bind.HTTPErrorCode
	}{
		"refused":     {"http://" + closed.Addr().String(), nil, bind.HTTPErrorCodeConnectionRefused{}},
		"certificate": {tlsServer.URL, nil, bind.HTTPErrorCodeTLSCertificateError{}},
		"no TLS":      {strings.Replace(plain.URL, "http:", "https:", 1), nil, bind.HTTPErrorCodeTLSProtocolError{}},
		"hung up":     {answer(""), nil, bind.HTTPErrorCodeConnectionTerminated{}},
		"nonsense":    {answer("nonsense\r\n\r\n"), nil, bind.HTTPErrorCodeHTTPProtocolError{}},
		"cut off":     {answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), nil, bind.HTTPErrorCodeHTTPResponseIncomplete{}},
		"big headers": {answer("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 200<<10) + "\r\n\r\n"), nil, bind.HTTPErrorCodeHTTPResponseHeaderSectionSize{}},
		"first byte":  {stall(""), &requestOptions{firstByte: soon}, bind.HTTPErrorCodeConnectionReadTimeout{}},
		"between":     {stall("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), &requestOptions{betweenBytes: soon}, bind.HTTPErrorCodeConnectionReadTimeout{}},
	} {
		t.Run(name, func(t *testing.T) {
			g := &guest{t: t, ctx: t.Context()}
			var o bind.RequestOptions
			if c.options != nil {
				o = c.options
			}
			_, _, code := g.call(anywhere(), g.request("GET", c.url), o)
			if !reflect.DeepEqual(code, c.want) {
				t.Errorf("%#v, want %#v", code, c.want)
			}
		})
	}
	t.Run("unknown name", func(t *testing.T) {
		g := &guest{t: t, ctx: t.Context()}
		switch _, _, code := g.call(anywhere(), g.request("GET", "http://does-not-exist.invalid/"), nil); code.(type) {
		case bind.HTTPErrorCodeDNSError, bind.HTTPErrorCodeDNSTimeout:
		default:
			t.Errorf("%#v", code)
		}
	})
	t.Run("connect timeout", func(t *testing.T) {
		c := anywhere()
		c.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		g := &guest{t: t, ctx: t.Context()}
		_, _, code := g.call(c, g.request("GET", "http://slow.example/"), &requestOptions{connect: soon})
		if code != (bind.HTTPErrorCodeConnectionTimeout{}) {
			t.Errorf("%#v", code)
		}
	})
}

func TestSendDroppedFutureEndsTheRequest(t *testing.T) {
	ended := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		close(ended)
	}))
	defer s.Close()
	g := &guest{t: t, ctx: t.Context()}
	f, err := anywhere().Handle(g.ctx, g.request("GET", s.URL), nil)
	g.must(err)
	time.Sleep(50 * time.Millisecond)
	g.must(f.Drop(g.ctx))
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("the request goes on")
	}
}

func TestRequestParts(t *testing.T) {
	g := &guest{t: t, ctx: t.Context()}
	r, err := g.host.NewOutgoingRequest(g.ctx, g.fields())
	g.must(err)
	for _, a := range []string{"example.com", "example.com:443", "127.0.0.1:80", "[::1]", "[::1]:443", "user@example.com"} {
		if err := r.SetAuthority(g.ctx, &a); err != nil {
			t.Errorf("authority %q refused", a)
		}
	}
	for _, a := range []string{"", "example.com:", "example.com:abc", "example.com:65536", "[::1]:abc", "a b", "a/b", "a?b", ":80", "[::1"} {
		if err := r.SetAuthority(g.ctx, &a); err == nil {
			t.Errorf("authority %q accepted", a)
		}
	}
	for _, p := range []string{"", "/", "/a?b=c", "?q", "*", "/%zz"} {
		if err := r.SetPathWithQuery(g.ctx, &p); err != nil {
			t.Errorf("path %q refused", p)
		}
	}
	for _, p := range []string{"/a b", "/a\r\nX: y", "/#f", "a", "/\x7f"} {
		if err := r.SetPathWithQuery(g.ctx, &p); err == nil {
			t.Errorf("path %q accepted", p)
		}
	}
	for _, m := range []string{"", "a b", "GET\r\n"} {
		if err := r.SetMethod(g.ctx, bind.MethodOther{Value: m}); err == nil {
			t.Errorf("method %q accepted", m)
		}
	}
	for _, s := range []string{"", "1a", "a b", "a:"} {
		if err := r.SetScheme(g.ctx, bind.SchemeOther{Value: s}); err == nil {
			t.Errorf("scheme %q accepted", s)
		}
	}
	g.must(r.SetAuthority(g.ctx, text("example.com")))
	g.must(r.SetPathWithQuery(g.ctx, text("/")))
	g.must(r.SetScheme(g.ctx, bind.SchemeOther{Value: "WS"}))
	if _, err := anywhere().Handle(g.ctx, r, nil); err != (bind.HTTPErrorCodeHTTPProtocolError{}) {
		t.Errorf("another scheme: %v", err)
	}
	r2, _ := g.host.NewOutgoingRequest(g.ctx, g.fields())
	if _, err := anywhere().Handle(g.ctx, r2, nil); err != (bind.HTTPErrorCodeHTTPRequestURIInvalid{}) {
		t.Errorf("no authority: %v", err)
	}
}

func TestFields(t *testing.T) {
	g := &guest{t: t, ctx: t.Context()}
	f, _ := g.host.NewFields(g.ctx)
	for name, want := range map[string]error{
		"ok": nil, "X-Ok!": nil, "": bind.HeaderErrorInvalidSyntax{}, "a b": bind.HeaderErrorInvalidSyntax{},
		"a:b": bind.HeaderErrorInvalidSyntax{}, "ü": bind.HeaderErrorInvalidSyntax{}, "Host": bind.HeaderErrorForbidden{},
		"Connection": bind.HeaderErrorForbidden{}, "transfer-encoding": bind.HeaderErrorForbidden{},
		"Keep-Alive": bind.HeaderErrorForbidden{}, "upgrade": bind.HeaderErrorForbidden{}, "HTTP2-Settings": bind.HeaderErrorForbidden{},
	} {
		if err := f.Append(g.ctx, name, []byte("v")); err != want {
			t.Errorf("append %q: %v, want %v", name, err, want)
		}
		if err := f.Set(g.ctx, name, [][]byte{[]byte("v")}); err != want {
			t.Errorf("set %q: %v, want %v", name, err, want)
		}
	}
	for value, good := range map[string]bool{"": true, "a\tb": true, "\xff": true, "a\nb": false, "a\rb": false, "\x00": false, "\x7f": false} {
		if err := f.Append(g.ctx, "v", []byte(value)); (err == nil) != good {
			t.Errorf("value %q: %v", value, err)
		}
	}
	if err := f.Append(g.ctx, "Content-Length", []byte("-1")); err == nil {
		t.Error("a negative length was accepted")
	}
	g.must(f.Set(g.ctx, "Many", [][]byte{[]byte("1"), []byte("2")}))
	if v, _ := f.Get(g.ctx, "mANY"); len(v) != 2 {
		t.Errorf("values %q", v)
	}
	c, _ := f.Clone(g.ctx)
	g.must(f.Delete(g.ctx, "many"))
	if has, _ := f.Has(g.ctx, "many"); has {
		t.Error("still there")
	}
	if has, _ := c.Has(g.ctx, "many"); !has {
		t.Error("not in the clone")
	}
	list, err := g.host.FieldsFromList(g.ctx, []bind.Tuple2[string, []byte]{{F0: "B", F1: []byte("1")}, {F0: "a", F1: []byte("2")}, {F0: "b", F1: []byte("3")}})
	g.must(err)
	entries, _ := list.Entries(g.ctx)
	if len(entries) != 3 || entries[0].F0 != "b" || entries[2].F0 != "b" || string(entries[1].F1) != "2" {
		t.Errorf("entries %v", entries)
	}
	r, _ := g.host.NewOutgoingResponse(g.ctx, list)
	h, _ := r.Headers(g.ctx)
	if err := h.Append(g.ctx, "x", nil); err != (bind.HeaderErrorImmutable{}) {
		t.Errorf("changing the headers of a response: %v", err)
	}
	var code bind.HeaderError
	for err == nil {
		err = f.Append(g.ctx, "big", make([]byte, 0, 1))
	}
	if errors.As(err, &code) {
		t.Errorf("too many fields gave %v, want a trap", err)
	}
}
