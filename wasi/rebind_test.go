package wasi

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/internal/require"
	"github.com/ashlar-wasm/ashlar/wasi/internal/bind"
	"github.com/ashlar-wasm/ashlar/wasi/internal/p2http"
	"github.com/ashlar-wasm/ashlar/wasi/internal/socket"
	"github.com/ashlar-wasm/ashlar/wasi/internal/stream"
)

// names is a name server whose answers change: each lookup of IPv4 addresses
// takes the next of the name's answers; the last one stays.
type names struct {
	mu      sync.Mutex
	answers map[string][]string // lists of addresses with blanks between
	asked   map[string]int
}

func (n *names) answer(q dnsmessage.Question) []netip.Addr {
	if q.Type != dnsmessage.TypeA {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	name := strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))
	list := n.answers[name]
	if len(list) == 0 {
		return nil
	}
	i := min(n.asked[name], len(list)-1)
	n.asked[name]++
	var addrs []netip.Addr
	for _, s := range strings.Fields(list[i]) {
		addrs = append(addrs, netip.MustParseAddr(s))
	}
	return addrs
}

func (n *names) lookups(name string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked[name]
}

// resolver serves until the end of the test.
func (n *names) resolver(t *testing.T) *net.Resolver {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	n.asked = map[string]int{}
	go func() {
		buf := make([]byte, 1500)
		for {
			size, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:size]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			m.Response, m.Additionals = true, nil
			for _, a := range n.answer(q) {
				m.Answers = append(m.Answers, dnsmessage.Resource{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
					Body:   &dnsmessage.AResource{A: a.As4()},
				})
			}
			if out, err := m.Pack(); err == nil {
				_, _ = c.WriteTo(out, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", c.LocalAddr().String())
	}}
}

// get has a guest send a request and returns the status.
func get(t *testing.T, s *System, target string) (uint16, error) {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	host := p2http.Host{Book: s.grants.Book}
	h, err := host.NewFields(ctx)
	if err != nil {
		t.Fatal(err)
	}
	r, _ := host.NewOutgoingRequest(ctx, h)
	path := u.RequestURI()
	if err := errors.Join(r.SetScheme(ctx, bind.SchemeHTTP{}), r.SetAuthority(ctx, &u.Host), r.SetPathWithQuery(ctx, &path)); err != nil {
		t.Fatal(target, err)
	}
	f, err := s.client.Handle(ctx, r, nil)
	if err != nil {
		return 0, err
	}
	defer f.Drop(ctx)
	p, _ := f.Subscribe(ctx)
	if err := p.Block(ctx); err != nil {
		t.Fatal(err)
	}
	got, _ := f.Get(ctx)
	if got.Ok.IsErr {
		return 0, got.Ok.Err
	}
	defer got.Ok.Ok.Drop(ctx)
	status, _ := got.Ok.Ok.Status(ctx)
	return status, nil
}

// inside is a server of this machine that notes the addresses it is reached at.
func inside(t *testing.T) (port string, reached func() string) {
	l, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var at []string
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		local := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
		at = append(at, local.IP.String())
		w.Header().Set("Connection", "close")
		if to := r.URL.Query().Get("to"); to != "" {
			http.Redirect(w, r, to, http.StatusFound)
		}
	})}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close() })
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port, func() string {
		mu.Lock()
		defer mu.Unlock()
		text := strings.Join(at, " ")
		at = nil
		return text
	}
}

func newSystem(t *testing.T, o Options) *System {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestRebinding(t *testing.T) {
	if l, err := net.Listen("tcp4", "127.0.0.2:0"); err != nil {
		require.Missing(t, "127.0.0.2 is not of this machine:", err)
	} else {
		l.Close()
	}
	port, reached := inside(t)
	prohibited := error(bind.HTTPErrorCodeDestinationIPProhibited{})
	type step struct {
		want error
		at   string
	}
	for what, c := range map[string]struct {
		rules   []string
		answers []string
		steps   []step
	}{
		"a name alone":       {[]string{"evil.example"}, []string{"127.0.0.1"}, []step{{prohibited, ""}}},
		"every host":         {[]string{"*"}, []string{"127.0.0.1", "169.254.169.254", "10.0.0.1", "0.0.0.0"}, []step{{prohibited, ""}, {prohibited, ""}, {prohibited, ""}, {prohibited, ""}}},
		"a name and a range": {[]string{"evil.example", "127.0.0.0/8"}, []string{"127.0.0.1"}, []step{{nil, "127.0.0.1"}}},
		"another port":       {[]string{"evil.example", "127.0.0.1:1"}, []string{"127.0.0.1"}, []step{{prohibited, ""}}},
		"a range alone":      {[]string{"127.0.0.0/8"}, []string{"127.0.0.1"}, []step{{bind.HTTPErrorCodeHTTPRequestDenied{}, ""}}},
		"other the second time": {
			[]string{"evil.example", "127.0.0.2"}, []string{"127.0.0.2", "127.0.0.1", "127.0.0.2"},
			[]step{{nil, "127.0.0.2"}, {prohibited, ""}, {nil, "127.0.0.2"}},
		},
		"one of two":  {[]string{"evil.example", "127.0.0.2"}, []string{"127.0.0.1 127.0.0.2"}, []step{{nil, "127.0.0.2"}}},
		"unspecified": {[]string{"evil.example", "0.0.0.0/0"}, []string{"0.0.0.0", "127.0.0.1"}, []step{{prohibited, ""}, {nil, "127.0.0.1"}}},
	} {
		t.Run(what, func(t *testing.T) {
			n := &names{answers: map[string][]string{"evil.example": c.answers}}
			s := newSystem(t, Options{HTTP: HTTP{Allow: c.rules}, Resolver: n.resolver(t)})
			for i, want := range c.steps {
				_, err := get(t, s, "http://evil.example:"+port+"/")
				if at := reached(); err != want.want || at != want.at {
					t.Errorf("request %d: %v, reached %q; want %v, %q", i+1, err, at, want.want, want.at)
				}
				if asked := n.lookups("evil.example"); want.want != (bind.HTTPErrorCodeHTTPRequestDenied{}) && asked != i+1 {
					t.Errorf("request %d: %d lookups: what is checked is not what is connected to", i+1, asked)
				}
			}
		})
	}
}

func TestLocalhost(t *testing.T) {
	port, reached := inside(t)
	n := &names{answers: map[string][]string{"a.localhost": {"10.0.0.1", "127.0.0.1"}}}
	s := newSystem(t, Options{HTTP: HTTP{Allow: []string{"localhost", "*.localhost"}}, Resolver: n.resolver(t)})
	if _, err := get(t, s, "http://localhost:"+port); err != nil || reached() != "127.0.0.1" {
		t.Error(err)
	}
	if _, err := get(t, s, "http://a.localhost:"+port); err != (bind.HTTPErrorCodeDestinationIPProhibited{}) {
		t.Error(err)
	}
	all := newSystem(t, Options{HTTP: HTTP{Allow: []string{"*"}}})
	if _, err := get(t, all, "http://localhost:"+port); err != (bind.HTTPErrorCodeDestinationIPProhibited{}) || reached() != "" {
		t.Error(err)
	}
}

// A redirect is an answer like any other, and no proxy of the environment is
// used.
func TestNoRedirectNoProxy(t *testing.T) {
	port, reached := inside(t)
	proxy, proxied := inside(t)
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "ALL_PROXY"} {
		t.Setenv(name, "http://127.0.0.1:"+proxy)
	}
	n := &names{answers: map[string][]string{"good.example": {"127.0.0.1"}}}
	s := newSystem(t, Options{HTTP: HTTP{Allow: []string{"good.example", "127.0.0.1:" + port}}, Resolver: n.resolver(t)})
	status, err := get(t, s, "http://good.example:"+port+"/?to=http%3A%2F%2F127.0.0.1%3A"+proxy+"%2F")
	if status != http.StatusFound || err != nil || reached() != "127.0.0.1" || proxied() != "" {
		t.Errorf("status %d, %v", status, err)
	}
	if s.transport.Proxy != nil {
		t.Error("there is a proxy")
	}
}

func TestLookupTellsWhatMayBeReached(t *testing.T) {
	n := &names{answers: map[string][]string{
		"db.example": {"10.0.0.5 93.184.215.14", "10.0.0.5"}, "other.example": {"93.184.215.14"}, "localhost.example": {"127.0.0.1"},
	}}
	s := newSystem(t, Options{Net: []string{"tcp://db.example:5432"}, Resolver: n.resolver(t)})
	look := func(name string) (list []string, err error) {
		l, err := socket.StartLookup(t.Context(), s.grants.Network, name)
		if err != nil {
			return nil, err
		}
		defer l.Close()
		if err := stream.Block(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		for {
			a, ok, err := l.Next()
			if err != nil || !ok {
				return list, err
			}
			list = append(list, a.String())
		}
	}
	if got, err := look("DB.example."); err != nil || len(got) != 1 || got[0] != "93.184.215.14" {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := look("db.example"); err != socket.AccessDenied {
		t.Errorf("the second time: %v, %v", got, err)
	}
	if _, err := look("other.example"); err != socket.PermanentResolverFailure {
		t.Errorf("a name without a rule: %v", err)
	}
	connect := func(to string) error {
		c, err := socket.NewTCP(t.Context(), s.grants.Network, false)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.StartConnect(t.Context(), netip.MustParseAddrPort(to))
	}
	for _, to := range []string{"10.0.0.5:5432", "127.0.0.1:5432", "93.184.215.14:22"} {
		if err := connect(to); err != socket.AccessDenied {
			t.Errorf("connecting to %s: %v", to, err)
		}
	}
}

func TestConnectionLimit(t *testing.T) {
	var told []component.LimitError
	s := newSystem(t, Options{
		Net: []string{"127.0.0.1", "tcp-listen://127.0.0.1", "localhost"}, Limits: Limits{Connections: 3},
		HTTP: HTTP{Allow: []string{"127.0.0.1"}, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Request: r, Body: http.NoBody}, nil
		})},
		Reached: func(_ context.Context, e *component.LimitError) { told = append(told, *e) },
	})
	ctx := t.Context()
	l, err := socket.NewTCP(ctx, s.grants.Network, false)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := errors.Join(l.StartBind(netip.MustParseAddrPort("127.0.0.1:0")), l.FinishBind(), l.StartListen(), l.FinishListen()); err != nil {
		t.Fatal(err)
	}
	u, err := socket.NewUDP(ctx, s.grants.Network, false)
	if err != nil {
		t.Fatal(err)
	}
	c, err := socket.NewTCP(ctx, s.grants.Network, false)
	if err != nil {
		t.Fatal(err)
	}
	addr, _ := l.LocalAddress()
	if err := c.StartConnect(ctx, addr); err != nil {
		t.Fatal(err)
	}
	if err := stream.Block(ctx, l); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := l.Accept(ctx); err != socket.NewSocketLimit {
		t.Errorf("accept: %v", err)
	}
	if _, err := socket.NewUDP(ctx, s.grants.Network, false); err != socket.NewSocketLimit {
		t.Errorf("UDP: %v", err)
	}
	if _, err := get(t, s, "http://127.0.0.1/"); err != (bind.HTTPErrorCodeConnectionLimitReached{}) {
		t.Errorf("HTTP: %v", err)
	}
	if _, err := socket.StartLookup(ctx, s.grants.Network, "localhost"); err != socket.TemporaryResolverFailure {
		t.Errorf("lookup: %v", err)
	}
	// Another guest has limits of its own.
	other := WithStdio(ctx, nil, nil, io.Discard)
	mine, err := socket.NewTCP(other, s.grants.Network, false)
	if err != nil {
		t.Fatal(err)
	}
	mine.Close()
	u.Close()
	for range 10 { // each gives back what it took
		if _, err := get(t, s, "http://127.0.0.1/"); err != nil {
			t.Fatal(err)
		}
	}
	a, in, out, err := l.Accept(ctx)
	if err != nil {
		t.Fatal(err)
	}
	a.Close()
	in.Close()
	if _, err := socket.NewUDP(ctx, s.grants.Network, false); err != socket.NewSocketLimit {
		t.Error("a connection whose stream is open does not count:", err)
	}
	out.Close()
	if u, err = socket.NewUDP(ctx, s.grants.Network, false); err != nil {
		t.Fatal(err)
	}
	u.Close()
	c.Close()
	if n := s.Usage().Limits[LimitedConnections]; n != 5 {
		t.Errorf("%d refusals counted", n)
	}
	if len(told) != 1 || told[0] != (component.LimitError{Resource: LimitedConnections, Limit: 3, Requested: 4}) {
		t.Errorf("told %v", told)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestNoBroadcast(t *testing.T) {
	s := newSystem(t, Options{Net: []string{"0.0.0.0/0"}})
	u, err := socket.NewUDP(t.Context(), s.grants.Network, false)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	if err := errors.Join(u.StartBind(netip.MustParseAddrPort("0.0.0.0:0")), u.FinishBind()); err != nil {
		t.Fatal(err)
	}
	if err := u.Send([]byte("x"), netip.MustParseAddrPort("255.255.255.255:9")); err != socket.AccessDenied && err != socket.RemoteUnreachable {
		t.Errorf("broadcast: %v", err)
	}
}

// A slow name server holds neither the guest nor its account for ever.
func TestLookupEnds(t *testing.T) {
	var open atomic.Int32
	silent := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		open.Add(1)
		defer open.Add(-1)
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	s := newSystem(t, Options{Net: []string{"slow.example"}, Resolver: silent, Limits: Limits{Connections: 1}})
	l, err := socket.StartLookup(t.Context(), s.grants.Network, "slow.example")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := socket.StartLookup(t.Context(), s.grants.Network, "slow.example"); err != socket.TemporaryResolverFailure {
		t.Errorf("a second lookup: %v", err)
	}
	l.Close()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if again, err := socket.StartLookup(t.Context(), s.grants.Network, "slow.example"); err == nil {
			again.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a lookup that was dropped goes on")
		}
	}
}
