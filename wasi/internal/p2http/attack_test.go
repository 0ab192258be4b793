package p2http

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/internal/limit"
	"github.com/ashlar-wasm/ashlar/wasi/internal/bind"
	"github.com/ashlar-wasm/ashlar/wasi/internal/quota"
)

func TestOneContentLength(t *testing.T) {
	g := &guest{t: t, ctx: t.Context()}
	f, _ := g.host.NewFields(g.ctx)
	bad := error(bind.HeaderErrorInvalidSyntax{})
	for _, v := range []string{"", "+5", "-5", "5 ", " 5", "5,5", "0x5", "1_0", "5\r\nx: y", "9223372036854775808", "18446744073709551616"} {
		if err := f.Append(g.ctx, "Content-Length", []byte(v)); err != bad {
			t.Errorf("content-length %q: %v", v, err)
		}
	}
	g.must(f.Append(g.ctx, "content-LENGTH", []byte("5")))
	for _, v := range []string{"5", "6"} {
		if err := f.Append(g.ctx, "Content-Length", []byte(v)); err != bad {
			t.Errorf("a second content-length: %v", err)
		}
		if err := f.Set(g.ctx, "Content-Length", [][]byte{[]byte("5"), []byte(v)}); err != bad {
			t.Errorf("two content-lengths: %v", err)
		}
	}
	g.must(f.Set(g.ctx, "Content-Length", [][]byte{[]byte("6")}))
	if v, _ := f.Get(g.ctx, "content-length"); len(v) != 1 || string(v[0]) != "6" {
		t.Errorf("values %q", v)
	}
	if _, err := g.host.FieldsFromList(g.ctx, []bind.Tuple2[string, []byte]{{F0: "content-length", F1: []byte("1")}, {F0: "Content-Length", F1: []byte("2")}}); err != bad {
		t.Errorf("two content-lengths of a list: %v", err)
	}
}

func TestHeadersOfTheConnection(t *testing.T) {
	f := fromHeader(http.Header{
		"Connection": {"close, X-Hop", "x-Other ,,keep-alive"}, "X-Hop": {"1"}, "X-Other": {"2"}, "X-End": {"3"}, "Transfer-Encoding": {"chunked"},
		"Proxy-Authorization": {"secret"}, "Upgrade": {"h2c"}, "Te": {"trailers"},
	})
	got := map[string]string{}
	for _, e := range f.list {
		got[e.name] = string(e.value)
	}
	if !reflect.DeepEqual(got, map[string]string{"x-end": "3", "te": "trailers"}) {
		t.Errorf("the guest sees %v", got)
	}
}

func TestHosts(t *testing.T) {
	g := &guest{t: t, ctx: t.Context()}
	r, err := g.host.NewOutgoingRequest(g.ctx, g.fields())
	g.must(err)
	for _, a := range []string{"EXAMPLE.com.", "a_b.example:0", "xn--bcher-kva.example", "user:pw@example.com", "[::ffff:127.0.0.1]:80", "1.2.3.4:65535"} {
		if err := r.SetAuthority(g.ctx, &a); err != nil {
			t.Errorf("authority %q refused", a)
		}
	}
	for _, a := range []string{
		"127.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.0.0.1.", "bücher.example", "１２７.０.０.１", "evil。example", "%31.example", "a%00b", "a%2eb",
		"[fe80::1%25eth0]", "[fe80::1%eth0]", "::1", "::1:80", "[1.2.3.4]", "a\\b", "a\r\nb", "a\tb", "a\x00", "a..b", ".", "a@", "a@:80", "a:80:80", "a;b", "a'b", "*",
		strings.Repeat("a.", 600) + "a",
	} {
		if err := r.SetAuthority(g.ctx, &a); err == nil {
			t.Errorf("authority %q accepted", a)
		}
	}
	for what, err := range map[string]error{
		"method": r.SetMethod(g.ctx, bind.MethodOther{Value: strings.Repeat("A", maxMethod+1)}),
		"scheme": r.SetScheme(g.ctx, bind.SchemeOther{Value: strings.Repeat("a", maxScheme+1)}),
		"path":   r.SetPathWithQuery(g.ctx, text("/"+strings.Repeat("a", maxURI))),
	} {
		if err != failure {
			t.Errorf("a long %s: %v", what, err)
		}
	}
}

func TestConnectIsRefused(t *testing.T) {
	g := &guest{t: t, ctx: t.Context()}
	for _, m := range []bind.Method{bind.MethodConnect{}, bind.MethodOther{Value: "CONNECT"}} {
		r := g.request("GET", "http://127.0.0.1/")
		g.must(r.SetMethod(g.ctx, m))
		if _, err := anywhere().Handle(g.ctx, r, nil); err != (bind.HTTPErrorCodeHTTPRequestMethodInvalid{}) {
			t.Errorf("%v: %v", m, err)
		}
	}
}

// A server that switches protocols without being asked gives no tunnel, and what
// comes with a response is not taken for another one.
func TestHostileServers(t *testing.T) {
	answer := func(text string) string {
		return raw(t, func(c net.Conn) { io.WriteString(c, text); io.Copy(io.Discard, c) })
	}
	for what, c := range map[string]struct {
		text string
		want bind.HTTPErrorCode // or nil
		body string
	}{
		"switch":          {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nraw", bind.HTTPErrorCodeHTTPProtocolError{}, ""},
		"two lengths":     {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", bind.HTTPErrorCodeInternalError{}, ""},
		"length and both": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 99\r\n\r\n1\r\na\r\n0\r\n\r\n", nil, "a"},
		"other coding":    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nab", bind.HTTPErrorCodeHTTPResponseTransferCoding{}, ""},
		"bad length":      {"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na", bind.HTTPErrorCodeInternalError{}, ""},
		"huge chunk":      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\na", bind.HTTPErrorCodeInternalError{}, ""},
		"endless hints":   {strings.Repeat("HTTP/1.1 103 Early Hints\r\nX: "+strings.Repeat("x", 1000)+"\r\n\r\n", 300), bind.HTTPErrorCodeInternalError{}, ""},
	} {
		t.Run(what, func(t *testing.T) {
			g := &guest{t: t, ctx: t.Context()}
			_, body, code := g.call(anywhere(), g.request("GET", answer(c.text)), &requestOptions{firstByte: text(uint64(2 * time.Second)), betweenBytes: text(uint64(2 * time.Second))})
			if (code == nil) != (c.want == nil) || code == nil && body != c.body {
				t.Errorf("%#v, body %q", code, body)
			}
			if _, any := c.want.(bind.HTTPErrorCodeInternalError); !any && !reflect.DeepEqual(code, c.want) {
				t.Errorf("%#v, want %#v", code, c.want)
			}
		})
	}
}

// What a client sends is one request for the guest, read as any other reader
// reads it, or none.
func TestHostileClients(t *testing.T) {
	const ok = "200"
	for what, c := range map[string]struct{ request, status, seen string }{
		"plain":             {"GET /a?b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", ok, "GET h /a?b "},
		"length and coding": {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n1\r\nx\r\n0\r\n\r\n", ok, "POST h / x"},
		"two lengths":       {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy", "400", ""},
		"signed length":     {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\nx", "400", ""},
		"unknown coding":    {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n", "501", ""},
		"two codings":       {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", "501", ""},
		"blank in a name":   {"GET / HTTP/1.1\r\nHost: h\r\nContent-Length : 5\r\n\r\n", "400", ""},
		"bare CR":           {"GET / HTTP/1.1\r\nHost: h\r\nX: a\rY: b\r\n\r\n", "400", ""},
		"NUL":               {"GET / HTTP/1.1\r\nHost: h\r\nX: a\x00b\r\n\r\n", "400", ""},
		"no host":           {"GET / HTTP/1.1\r\n\r\n", "400", ""},
		"two hosts":         {"GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n", "400", ""},
		"bad host":          {"GET / HTTP/1.1\r\nHost: h/../i\r\n\r\n", "400", ""},
		"absolute":          {"GET http://other/p?q HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", ok, "GET other /p?q "},
		"bad chunk":         {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nffffffffffffffffff\r\n", ok, "POST h / "},
		"nominated":         {"GET / HTTP/1.1\r\nHost: h\r\nConnection: close, X-Secret\r\nX-Secret: 1\r\nProxy-Authorization: 2\r\n\r\n", ok, "GET h / "},
	} {
		t.Run(what, func(t *testing.T) {
			seen := ""
			h := handler(t, func(Outcome, error) {}, func(g *guest, in bind.IncomingRequest, out bind.ResponseOutparam) error {
				m, _ := in.Method(g.ctx)
				a, _ := in.Authority(g.ctx)
				p, _ := in.PathWithQuery(g.ctx)
				headers, _ := in.Headers(g.ctx)
				for _, name := range []string{"connection", "x-secret", "proxy-authorization", "transfer-encoding", "host"} {
					if has, _ := headers.Has(g.ctx, name); has {
						t.Errorf("the guest sees %s", name)
					}
				}
				b, err := in.Consume(g.ctx)
				g.must(err)
				text, _, _ := g.readAll(b)
				seen = methodName(m) + " " + *a + " " + *p + " " + text
				body, w := g.respond(out, 200, "content-length", "0")
				g.finish(body, w, nil)
				return nil
			})
			text := exchange(t, h, c.request)
			if !strings.HasPrefix(text, "HTTP/1.1 "+c.status+" ") || seen != c.seen || strings.Count(text, "HTTP/1.1 ") != 1 {
				t.Errorf("the guest saw %q, want %q; the answer is\n%s", seen, c.seen, text)
			}
		})
	}
}

func TestTrailersCanNotFrame(t *testing.T) {
	for _, name := range []string{"content-length", "trailer", "authorization", "content-type", "set-cookie", "te", "if-match"} {
		out := make(chan Outcome, 1)
		s := start(t, handler(t, func(o Outcome, _ error) { out <- o }, func(g *guest, _ bind.IncomingRequest, p bind.ResponseOutparam) error {
			body, w := g.respond(p, 200)
			g.write(w, "x")
			g.must(w.Drop(g.ctx))
			if err := g.host.OutgoingBodyFinish(g.ctx, body, g.fields(name, "5")); err != (bind.HTTPErrorCodeHTTPProtocolError{}) {
				t.Errorf("trailer %s: %v", name, err)
			}
			return nil
		}))
		if r, err := http.Get(s.URL); err == nil {
			io.Copy(io.Discard, r.Body)
			r.Body.Close()
			if len(r.Trailer) > 0 {
				t.Errorf("trailers %v", r.Trailer)
			}
		}
		if o := <-out; o == Whole {
			t.Errorf("a response with the trailer %s is whole", name)
		}
	}
}

func TestQuota(t *testing.T) {
	book := quota.NewBook(quota.Limits{Connections: 2, Streams: 2, Fields: 4 << 10}, nil)
	g := &guest{t: t, ctx: t.Context(), host: Host{Book: book}}
	over := func(what string, err error, r limit.Resource) {
		t.Helper()
		if e, ok := errors.AsType[*limit.Error](err); !ok || e.Resource != r {
			t.Errorf("%s: %v, want a limit of %s", what, err, r)
		}
	}
	// Over and over: whatever is dropped is given back.
	for range 100 {
		f := g.fields("x", strings.Repeat("x", 1000))
		c, err := f.Clone(g.ctx)
		g.must(err)
		g.must(f.Set(g.ctx, "x", [][]byte{[]byte(strings.Repeat("y", 1500))}))
		g.must(f.Set(g.ctx, "x", [][]byte{[]byte("y")}))
		r, err := g.host.NewOutgoingRequest(g.ctx, c)
		g.must(err)
		g.must(r.SetPathWithQuery(g.ctx, text("/"+strings.Repeat("p", 1000))))
		g.must(r.SetPathWithQuery(g.ctx, text("/"+strings.Repeat("q", 1000))))
		b, err := r.Body(g.ctx)
		g.must(err)
		h, err := r.Headers(g.ctx)
		g.must(err)
		g.must(h.Drop(g.ctx))
		g.must(b.Drop(g.ctx))
		g.must(r.Drop(g.ctx))
		g.must(f.Drop(g.ctx))
		p, err := g.host.NewOutgoingResponse(g.ctx, g.fields("x", "y"))
		g.must(err)
		b, err = p.Body(g.ctx)
		g.must(err)
		g.must(p.Drop(g.ctx))
		g.must(b.Drop(g.ctx))
	}
	f := g.fields("x", strings.Repeat("x", 3000))
	_, err := f.Clone(g.ctx)
	over("clone", err, quota.Fields)
	over("append", f.Append(g.ctx, "y", []byte(strings.Repeat("y", 2000))), quota.Fields)
	_, err = g.host.FieldsFromList(g.ctx, []bind.Tuple2[string, []byte]{{F0: "a", F1: []byte(strings.Repeat("x", 600))}, {F0: "b", F1: []byte(strings.Repeat("x", 600))}})
	over("from list", err, quota.Fields)
	r, err := g.host.NewOutgoingRequest(g.ctx, f)
	g.must(err)
	over("path", r.SetPathWithQuery(g.ctx, text("/"+strings.Repeat("p", 2000))), quota.Fields)
	h, _ := r.Headers(g.ctx)
	g.must(h.Drop(g.ctx)) // which gives nothing back
	_, err = g.host.FieldsFromList(g.ctx, []bind.Tuple2[string, []byte]{{F0: "a", F1: []byte(strings.Repeat("x", 2000))}})
	over("more fields", err, quota.Fields)
	g.must(r.Drop(g.ctx))
	for i := range 3 {
		r, err := g.host.NewOutgoingRequest(g.ctx, g.fields())
		g.must(err)
		if _, err := r.Body(g.ctx); i < 2 {
			g.must(err)
		} else {
			over("a third body", err, quota.Streams)
		}
	}
	large := quota.NewBook(quota.Limits{Fields: 1 << 30}, nil)
	f2, _ := Host{Book: large}.NewFields(g.ctx)
	for err = nil; err == nil; {
		err = f2.Append(g.ctx, "big", make([]byte, 0, 1))
	}
	over("one resource", err, quota.Fields)
}

// A request counts until its response is dropped, however it ends.
func TestRequestsAreCounted(t *testing.T) {
	book := quota.NewBook(quota.Limits{Connections: 1, Streams: 10, Fields: 1 << 20}, nil)
	g := &guest{t: t, ctx: t.Context(), host: Host{Book: book}}
	c := anywhere()
	c.Book = book
	held := func() bool {
		h, err := book.Take(g.ctx, quota.Connections, 1)
		h.Give()
		return err != nil
	}
	free := func(what string) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); held(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: still counted", what)
			}
		}
	}
	url := raw(t, func(c net.Conn) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
		io.Copy(io.Discard, c)
	})
	send := func(target string) bind.FutureIncomingResponse { // to one that does not finish
		f, err := c.Handle(g.ctx, g.request("GET", target), nil)
		g.must(err)
		if _, err := c.Handle(g.ctx, g.request("GET", target), nil); err != (bind.HTTPErrorCodeConnectionLimitReached{}) {
			t.Fatal("a second request:", err)
		}
		return f
	}
	g.must(send(url).Drop(g.ctx))
	free("a dropped future")
	r, code := g.wait(send(url))
	if code != nil || !held() {
		t.Fatal(code)
	}
	g.must(r.Drop(g.ctx))
	free("a dropped response")
	r, _ = g.wait(send(url))
	b, err := r.Consume(g.ctx)
	g.must(err)
	g.must(r.Drop(g.ctx))
	if !held() {
		t.Error("a response with its body in use does not count")
	}
	g.must(b.Drop(g.ctx))
	free("a dropped body")
	// Headers may outlive their response, and count.
	before := fieldsHeld(book)
	r, _ = g.wait(send(url))
	h, err := r.Headers(g.ctx)
	g.must(err)
	g.must(r.Drop(g.ctx))
	if held := fieldsHeld(book); held <= before {
		t.Errorf("%d bytes of fields with headers, %d without", held, before)
	}
	g.must(h.Drop(g.ctx))
	if held := fieldsHeld(book); held != before {
		t.Errorf("%d bytes of fields after, %d before", held, before)
	}
	free("a response without its headers")
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	g.must(err)
	closed.Close()
	f, err := c.Handle(g.ctx, g.request("GET", "http://"+closed.Addr().String()), nil)
	g.must(err)
	if _, code := g.wait(f); code == nil {
		t.Error("nobody answered")
	}
	free("a failed request")
	if n := book.Counts()[quota.Connections]; n < 4 {
		t.Errorf("%d refusals counted", n)
	}
}

// fieldsHeld returns what of a MiB of fields is held.
func fieldsHeld(b *quota.Book) (n uint64) {
	for n = 0; n < 1<<20; n++ {
		h, err := b.Take(context.Background(), quota.Fields, 1<<20-n)
		if h.Give(); err == nil {
			break
		}
	}
	return n
}

// wire is what a request of a guest is on the wire.
func wire(t *testing.T, g *guest, r bind.OutgoingRequest) (*http.Request, string) {
	got := make(chan string, 1)
	c := &Client{Allow: func(string, *url.URL) bool { return true }}
	tr := NewTransport(nil, func(*url.URL, netip.AddrPort) bool { return true })
	tr.DialContext = func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go func() {
			defer there.Close()
			var b strings.Builder
			in := bufio.NewReader(io.TeeReader(there, &b))
			if req, err := http.ReadRequest(in); err == nil {
				io.Copy(io.Discard, req.Body)
			}
			got <- b.String()
			io.WriteString(there, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
		}()
		return here, nil
	}
	c.Transport = tr
	f, err := c.Handle(g.ctx, r, nil)
	if err != nil {
		return nil, ""
	}
	defer f.Drop(g.ctx)
	p, _ := f.Subscribe(g.ctx)
	_ = p.Block(g.ctx)
	select {
	case text := <-got:
		req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
		if err != nil {
			t.Fatalf("no request on the wire: %v\n%q", err, text)
		}
		return req, text
	default:
		return nil, ""
	}
}

// Whatever parts a guest gives a request, what is sent is one request with these
// parts, to the host that was asked about.
func FuzzRequest(f *testing.F) {
	for _, s := range [][6]string{
		{"GET", "http", "example.com", "/", "x-a", "1"},
		{"POST", "HTTP", "user@example.com:8080", "/a?b=c", "content-length", "0"},
		{"M-X", "http", "[::1]:80", "//evil.example/%2e%2e?x#", "trailer", "content-length"},
		{"CONNECT", "http", "a", "*", "te", "trailers"},
		{"GET ", "http", "a\r\nHost: b", "/ HTTP/1.1\r\nX: y", "a\r\nb", "c\r\nd: e"},
		{"get", "ws", "127.1", "?q", "host", "b"},
		{"PRI", "http", "a.example.", "/\xff\u00a0", "expect", "100-continue"},
		{"OPTIONS", "http", "b%00.example", "*", "connection", "x"},
	} {
		f.Add(s[0], s[1], s[2], s[3], s[4], s[5])
	}
	f.Fuzz(func(t *testing.T, method, scheme, authority, path, name, value string) {
		g := &guest{t: t, ctx: t.Context()}
		fields, _ := g.host.NewFields(g.ctx)
		named := fields.Append(g.ctx, name, []byte(value)) == nil
		r, err := g.host.NewOutgoingRequest(g.ctx, fields)
		g.must(err)
		sch := bind.Scheme(bind.SchemeHTTP{})
		if !strings.EqualFold(scheme, "http") {
			sch = bind.SchemeOther{Value: scheme}
		}
		if r.SetMethod(g.ctx, methodOf(method)) != nil || r.SetScheme(g.ctx, sch) != nil || r.SetAuthority(g.ctx, &authority) != nil || r.SetPathWithQuery(g.ctx, &path) != nil {
			return
		}
		if strings.EqualFold(scheme, "https") {
			return // encrypted on the wire
		}
		u, err := r.(*outgoingRequest).url()
		if err != nil {
			return
		}
		sent, text := wire(t, g, r)
		if sent == nil {
			return
		}
		line, _, _ := strings.Cut(text, "\r\n")
		if sent.Method != method || strings.Count(line, " ") != 2 || !strings.HasSuffix(line, " HTTP/1.1") {
			t.Fatalf("method %q became %q", method, line)
		}
		if !strings.EqualFold(sent.Host, u.Host) || strings.Contains(sent.Host, "@") {
			t.Fatalf("authority %q became host %q", authority, sent.Host)
		}
		for n := range sent.Header {
			n = strings.ToLower(n)
			if n != "content-length" && !(named && strings.EqualFold(n, name)) {
				t.Fatalf("field %q appeared:\n%s", n, text)
			}
		}
		if strings.Count(strings.ToLower(text), "\r\nhost:") != 1 {
			t.Fatalf("not one host:\n%q", text)
		}
	})
}

// Fields hold what the guest put there, give it back, and never what could end
// one or start another.
func FuzzFields(f *testing.F) {
	f.Add("x-a", []byte("1"), "X-A", []byte("2"), uint8(0))
	f.Add("content-length", []byte("1"), "Content-Length", []byte("2"), uint8(1))
	f.Add("a\r\nb", []byte("1"), "", []byte("\x00"), uint8(2))
	f.Add("set-cookie", []byte("a=\tb"), "host", []byte("\xff"), uint8(3))
	f.Fuzz(func(t *testing.T, n1 string, v1 []byte, n2 string, v2 []byte, how uint8) {
		ctx := t.Context()
		book := quota.NewBook(quota.Limits{Fields: 1 << 16, Streams: 1}, nil)
		h := Host{Book: book}
		fs, err := h.NewFields(ctx)
		if err != nil {
			t.Fatal(err)
		}
		errs := []error{fs.Append(ctx, n1, v1)}
		switch how % 4 {
		case 0:
			errs = append(errs, fs.Append(ctx, n2, v2))
		case 1:
			errs = append(errs, fs.Set(ctx, n2, [][]byte{v2, v1}))
		case 2:
			errs = append(errs, fs.Delete(ctx, n2), fs.Append(ctx, n2, v2))
		case 3:
			c, err := fs.Clone(ctx)
			if err != nil {
				return
			}
			fs.Drop(ctx)
			fs = c
			errs = append(errs, fs.Set(ctx, n2, [][]byte{v2}))
		}
		for _, err := range errs {
			if _, ok := errors.AsType[*limit.Error](err); ok {
				return // the guest is gone
			}
		}
		size, lengths := 0, 0
		entries, _ := fs.Entries(ctx)
		for _, e := range entries {
			if !token(e.F0) || forbidden[e.F0] || strings.ToLower(e.F0) != e.F0 || strings.ContainsAny(string(e.F1), "\r\n\x00") {
				t.Fatalf("field %q: %q", e.F0, e.F1)
			}
			if has, _ := fs.Has(ctx, strings.ToUpper(e.F0)); !has {
				t.Fatalf("%q is not there", e.F0)
			}
			if e.F0 == "content-length" {
				lengths++
			}
			size += len(e.F0) + len(e.F1) + fieldOverhead
		}
		if lengths > 1 || size != fs.(*fields).size {
			t.Fatalf("%d content-lengths; size %d, counted %d", lengths, size, fs.(*fields).size)
		}
		if err := fs.Drop(ctx); err != nil {
			t.Fatal(err)
		}
		if hold, err := book.Take(ctx, quota.Fields, 1<<16); err != nil {
			t.Fatal("something is still counted:", err)
		} else {
			hold.Give()
		}
	})
}

// A response of a guest, with any status, field and trailer, is one response as
// it was meant, or none.
func FuzzResponse(f *testing.F) {
	f.Add(uint16(200), "x-a", "1", "body", "x-sum", "2")
	f.Add(uint16(204), "content-length", "4", "body", "content-length", "9")
	f.Add(uint16(304), "etag", "x", "body", "trailer", "x")
	f.Add(uint16(100), "a", "b", "", "a\r\n", "b")
	f.Add(uint16(999), "content-length", "99", "short", "te", "")
	f.Add(uint16(65535), "transfer-encoding", "chunked", "0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "set-cookie", "x")
	f.Fuzz(func(t *testing.T, status uint16, name, value, content, trailer, trailerValue string) {
		if len(content) > 4096 {
			return
		}
		finished := false
		outcomes := make(chan Outcome, 1)
		h := handler(t, func(o Outcome, _ error) { outcomes <- o }, func(g *guest, _ bind.IncomingRequest, out bind.ResponseOutparam) error {
			fs, _ := g.host.NewFields(g.ctx)
			_ = fs.Append(g.ctx, name, []byte(value))
			r, err := g.host.NewOutgoingResponse(g.ctx, fs)
			if err != nil || r.SetStatusCode(g.ctx, status) != nil {
				return nil
			}
			body, _ := r.Body(g.ctx)
			g.must(g.host.ResponseOutparamSet(g.ctx, out, abi.Result[bind.OutgoingResponse, bind.HTTPErrorCode]{Ok: r}))
			w, _ := body.Write(g.ctx)
			if len(content) > 0 {
				_ = w.BlockingWriteAndFlush(g.ctx, []byte(content))
			}
			g.must(w.Drop(g.ctx))
			ts, _ := g.host.NewFields(g.ctx)
			_ = ts.Append(g.ctx, trailer, []byte(trailerValue))
			finished = g.host.OutgoingBodyFinish(g.ctx, body, ts) == nil
			return nil
		})
		text := exchange(t, h, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		outcome := <-outcomes
		in := bufio.NewReader(strings.NewReader(text))
		var resp *http.Response
		for {
			var err error
			if resp, err = http.ReadResponse(in, nil); err != nil {
				if outcome == Whole {
					t.Fatalf("a whole response is none: %v\n%q", err, text)
				}
				return
			}
			if resp.StatusCode >= 200 {
				break
			}
		}
		got, err := io.ReadAll(resp.Body)
		if outcome != Whole {
			return
		}
		if !finished {
			t.Fatal("whole, but not finished")
		}
		if err != nil || resp.StatusCode != int(status) || string(got) != content && status != 204 && status != 304 {
			t.Fatalf("%v: status %d is %d, body %q is %q\n%q", err, status, resp.StatusCode, content, got, text)
		}
		if rest, _ := io.ReadAll(in); len(rest) > 0 {
			t.Fatalf("after the response came %q", rest)
		}
		for n := range resp.Trailer {
			if !validTrailer(n) {
				t.Fatalf("trailer %q", n)
			}
		}
	})
}

// exchange returns what a server with the handler answers to a request.
func exchange(t *testing.T, h http.Handler, request string) string {
	here, there := net.Pipe()
	s := &http.Server{Handler: h}
	l := &oneConn{conn: there, closed: make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l)
	}()
	go io.WriteString(here, request)
	_ = here.SetReadDeadline(time.Now().Add(10 * time.Second))
	text, err := io.ReadAll(here)
	if err != nil {
		t.Errorf("reading: %v", err)
	}
	here.Close()
	s.Close()
	<-done
	return string(text)
}

// oneConn is a listener with one connection.
type oneConn struct {
	conn   net.Conn
	closed chan struct{}
	taken  bool
}

func (l *oneConn) Accept() (net.Conn, error) {
	if !l.taken {
		l.taken = true
		return l.conn, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }
