package socket

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/internal/require"
	"github.com/ashlar-wasm/ashlar/wasi/internal/stream"
)

// drafts are the ways to make TCP sockets: that of this system, and that of
// systems without raw sockets.
var drafts = map[string]func(bool) (draft, error){"native": newDraft, "plain": newPlainDraft}

func everything() *Policy {
	return &Policy{
		Allow:  func(Use, netip.AddrPort) bool { return true },
		Lookup: func(string) bool { return true },
		Uses:   [BindUDP + 1]bool{true, true, true, true},
	}
}

func wait(t *testing.T, p stream.Pollable) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := stream.Block(ctx, p); err != nil {
		t.Fatal("waiting: ", err)
	}
}

func want(t *testing.T, what string, err error, code Code) {
	t.Helper()
	if err != code {
		t.Errorf("%s: %v, want %v", what, err, code)
	}
}

func ok(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func localhost(v6 bool) netip.AddrPort { return netip.AddrPortFrom(loopback(v6), 0) }

// listenOn makes a listening socket.
func listenOn(t *testing.T, p *Policy, v6 bool, open func(bool) (draft, error)) *TCP {
	t.Helper()
	l, err := newTCP(t.Context(), p, v6, open)
	ok(t, "new", err)
	t.Cleanup(func() { l.Close() })
	ok(t, "start bind", l.StartBind(localhost(v6)))
	want(t, "bind again", l.StartBind(localhost(v6)), ConcurrencyConflict)
	want(t, "finish another operation", l.FinishListen(), NotInProgress)
	ok(t, "finish bind", l.FinishBind())
	want(t, "bind a bound socket", l.StartBind(localhost(v6)), InvalidState)
	ok(t, "backlog", l.SetBacklog(5))
	want(t, "backlog of 0", l.SetBacklog(0), InvalidArgument)
	ok(t, "start listen", l.StartListen())
	ok(t, "finish listen", l.FinishListen())
	if !l.Listening() {
		t.Error("not listening")
	}
	want(t, "listen again", l.StartListen(), InvalidState)
	return l
}

func TestTCP(t *testing.T) {
	for name, open := range drafts {
		for _, v6 := range []bool{false, true} {
			t.Run(name+map[bool]string{false: "4", true: "6"}[v6], func(t *testing.T) {
				if v6 {
					l, err := net.Listen("tcp6", "[::1]:0")
					if err != nil {
						require.Missing(t, "no IPv6 here:", err)
					}
					l.Close()
				}
				testTCP(t, v6, open)
			})
		}
	}
}

func testTCP(t *testing.T, v6 bool, open func(bool) (draft, error)) {
	l := listenOn(t, everything(), v6, open)
	addr, err := l.LocalAddress()
	ok(t, "local address", err)
	if l.Ready() {
		t.Error("ready with nobody there")
	}
	_, _, _, err = l.Accept(t.Context())
	want(t, "accept with nobody there", err, WouldBlock)

	c, err := newTCP(t.Context(), everything(), v6, open)
	ok(t, "new", err)
	defer c.Close()
	_, err = c.LocalAddress()
	want(t, "local address of a new socket", err, InvalidState)
	_, _, err = c.FinishConnect()
	want(t, "finish what was not started", err, NotInProgress)
	want(t, "listen unbound", c.StartListen(), InvalidState)
	want(t, "connect to another family", c.StartConnect(t.Context(), netip.AddrPortFrom(loopback(!v6), 1)), InvalidArgument)
	want(t, "connect to port 0", c.StartConnect(t.Context(), netip.AddrPortFrom(loopback(v6), 0)), InvalidArgument)
	ok(t, "connect", c.StartConnect(t.Context(), addr))
	want(t, "connect twice", c.StartConnect(t.Context(), addr), ConcurrencyConflict)
	wait(t, c)
	in, out, err := c.FinishConnect()
	ok(t, "finish connect", err)
	if remote, err := c.RemoteAddress(); remote != addr || err != nil {
		t.Errorf("remote address %v, %v; want %v", remote, err, addr)
	}

	wait(t, l)
	s, sin, sout, err := l.Accept(t.Context())
	ok(t, "accept", err)
	defer s.Close()
	clientAddr, _ := c.LocalAddress()
	if remote, err := s.RemoteAddress(); remote != clientAddr || err != nil {
		t.Errorf("the client is %v, %v; want %v", remote, err, clientAddr)
	}
	if b, err := in.Read(10); len(b) != 0 || err != nil {
		t.Errorf("read %q, %v from a silent peer", b, err)
	}
	ok(t, "write", stream.WriteAll(t.Context(), sout, []byte("hello")))
	b, err := stream.BlockingRead(t.Context(), in, 3)
	if string(b) != "hel" || err != nil {
		t.Errorf("read %q, %v", b, err)
	}
	b, _ = stream.BlockingRead(t.Context(), in, 30)
	if string(b) != "lo" {
		t.Errorf("then %q", b)
	}
	// Each side can end its half.
	big := strings.Repeat("x", 1<<20)
	go func() {
		_ = stream.WriteAll(context.Background(), out, []byte(big))
		_ = c.Shutdown(false, true)
	}()
	got := 0
	for {
		b, err := stream.BlockingRead(t.Context(), sin, 1<<20)
		if err == stream.ErrClosed {
			break
		}
		ok(t, "read", err)
		got += len(b)
	}
	if got != len(big) {
		t.Errorf("got %d bytes of %d", got, len(big))
	}
	ok(t, "answer", stream.WriteAll(t.Context(), sout, []byte("bye")))
	if b, err := stream.BlockingRead(t.Context(), in, 30); string(b) != "bye" || err != nil {
		t.Errorf("the answer: %q, %v", b, err)
	}
	if _, err := out.CheckWrite(); err != stream.ErrClosed {
		t.Errorf("writing after shutdown: %v", err)
	}
	ok(t, "shutdown", c.Shutdown(true, false))
	if _, err := in.Read(0); err != stream.ErrClosed {
		t.Errorf("reading nothing after shutdown: %v", err)
	}
	if _, err := in.Read(1); err != stream.ErrClosed {
		t.Errorf("reading after shutdown: %v", err)
	}
	// Dropping an output ends the peer's input.
	sout.Close()
	sin.Close()
	in.Close()
	out.Close()
}

func TestConnectFromABoundSocket(t *testing.T) {
	for name, open := range drafts {
		l := listenOn(t, everything(), false, open)
		addr, _ := l.LocalAddress()
		c, err := newTCP(t.Context(), everything(), false, open)
		ok(t, name, err)
		defer c.Close()
		ok(t, "bind", c.StartBind(localhost(false)))
		ok(t, "bind", c.FinishBind())
		local, err := c.LocalAddress()
		ok(t, "local address", err)
		if local.Port() == 0 {
			t.Error("no port")
		}
		ok(t, "connect", c.StartConnect(t.Context(), addr))
		wait(t, c)
		_, _, err = c.FinishConnect()
		ok(t, "connect", err)
		if now, _ := c.LocalAddress(); now != local {
			t.Errorf("%s: connected from %v, bound to %v", name, now, local)
		}
	}
}

func TestRefused(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	ok(t, "listen", err)
	addr := addrOf(l.Addr())
	l.Close()
	for name, open := range drafts {
		c, err := newTCP(t.Context(), everything(), false, open)
		ok(t, "new", err)
		ok(t, "connect", c.StartConnect(t.Context(), addr))
		wait(t, c)
		_, _, err = c.FinishConnect()
		want(t, name, err, ConnectionRefused)
		_, err = c.LocalAddress()
		want(t, name+" afterwards", err, ConnectionRefused)
		c.Close()
	}
}

func TestAddressInUse(t *testing.T) {
	for name, open := range drafts {
		l := listenOn(t, everything(), false, open)
		addr, _ := l.LocalAddress()
		c, err := newTCP(t.Context(), everything(), false, open)
		ok(t, "new", err)
		want(t, name, c.StartBind(addr), AddressInUse)
		want(t, "not ours", c.StartBind(netip.MustParseAddrPort("192.0.2.1:0")), AddressNotBindable)
		want(t, "multicast", c.StartBind(netip.MustParseAddrPort("224.0.0.1:0")), InvalidArgument)
		c.Close()
	}
}

func TestOptions(t *testing.T) {
	for name, open := range drafts {
		t.Run(name, func(t *testing.T) {
			c, err := newTCP(t.Context(), everything(), false, open)
			ok(t, "new", err)
			defer c.Close()
			if n, err := c.HopLimit(); n == 0 || err != nil {
				t.Errorf("hop limit of a new socket: %d, %v", n, err)
			}
			ok(t, "set", c.SetHopLimit(42))
			ok(t, "set", c.SetKeepAlive(true))
			ok(t, "set", c.SetKeepAliveIdle(uint64(30*time.Second)+1))
			ok(t, "set", c.SetKeepAliveInterval(1))
			ok(t, "set", c.SetKeepAliveCount(9))
			ok(t, "set", c.SetReceiveBuffer(65536))
			ok(t, "set", c.SetSendBuffer(65536))
			want(t, "zero", c.SetHopLimit(0), InvalidArgument)
			want(t, "zero", c.SetReceiveBuffer(0), InvalidArgument)
			want(t, "zero", c.SetKeepAliveIdle(0), InvalidArgument)
			check := func(when string) {
				t.Helper()
				n, err := c.HopLimit()
				on, err2 := c.KeepAlive()
				idle, err3 := c.KeepAliveIdle()
				every, err4 := c.KeepAliveInterval()
				count, err5 := c.KeepAliveCount()
				size, err6 := c.ReceiveBuffer()
				if err := errors.Join(err, err2, err3, err4, err5, err6); err != nil {
					t.Errorf("%s: %v", when, err)
				}
				if n != 42 || !on || idle != uint64(31*time.Second) || every != uint64(time.Second) || count != 9 || size != 65536 {
					t.Errorf("%s: %d %v %d %d %d %d", when, n, on, idle, every, count, size)
				}
			}
			check("new")
			l := listenOn(t, everything(), false, open)
			addr, _ := l.LocalAddress()
			ok(t, "connect", c.StartConnect(t.Context(), addr))
			wait(t, c)
			_, _, err = c.FinishConnect()
			ok(t, "connect", err)
			check("connected")
			// A listener's options are those of what it accepts.
			ok(t, "set", l.SetKeepAlive(true))
			ok(t, "set", l.SetKeepAliveCount(3))
			ok(t, "set", l.SetHopLimit(17))
			wait(t, l)
			early, _, _, err := l.Accept(t.Context()) // from before
			ok(t, "accept", err)
			defer early.Close()
			c2, err := newTCP(t.Context(), everything(), false, open)
			ok(t, "new", err)
			defer c2.Close()
			ok(t, "connect", c2.StartConnect(t.Context(), addr))
			wait(t, l)
			s, _, _, err := l.Accept(t.Context())
			ok(t, "accept", err)
			defer s.Close()
			on, _ := s.KeepAlive()
			count, _ := s.KeepAliveCount()
			if n, _ := s.HopLimit(); n != 17 || !on || count != 3 {
				t.Errorf("accepted: %d, %v, %d", n, on, count)
			}
		})
	}
}

func TestPolicy(t *testing.T) {
	for name, open := range drafts {
		_, err := newTCP(t.Context(), &Policy{}, false, open)
		want(t, name+": nothing allowed", err, AccessDenied)
		client := &Policy{Uses: [BindUDP + 1]bool{ConnectTCP: true}, Allow: func(u Use, a netip.AddrPort) bool {
			return u == ConnectTCP && a.Port() == 80
		}}
		c, err := newTCP(t.Context(), client, false, open)
		ok(t, "new", err)
		want(t, "another port", c.StartConnect(t.Context(), netip.MustParseAddrPort("127.0.0.1:81")), AccessDenied)
		want(t, "bind", c.StartBind(netip.MustParseAddrPort("127.0.0.1:0")), AccessDenied)
		want(t, "bind", c.StartBind(netip.MustParseAddrPort("0.0.0.0:8080")), AccessDenied)
		ok(t, "bind to any port, to connect", c.StartBind(netip.MustParseAddrPort("0.0.0.0:0")))
		ok(t, "bind", c.FinishBind())
		want(t, "listen", c.StartListen(), AccessDenied)
		c.Close()
	}
	_, err := NewUDP(t.Context(), &Policy{}, false)
	want(t, "UDP", err, AccessDenied)
	_, err = StartLookup(t.Context(), &Policy{}, "localhost")
	want(t, "lookup", err, PermanentResolverFailure)
}

func TestCancelledConnect(t *testing.T) {
	for _, open := range drafts {
		c, err := newTCP(t.Context(), everything(), false, open)
		ok(t, "new", err)
		// An address of a documentation network, which nobody answers for; where
		// there is no route at all it fails at once.
		ok(t, "connect", c.StartConnect(t.Context(), netip.MustParseAddrPort("192.0.2.1:9")))
		done := make(chan struct{})
		d := c.dialing
		go func() { _ = stream.Block(context.Background(), d); close(done) }()
		c.Close()
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			t.Error("connecting goes on after Close")
		}
	}
}

func TestUDP(t *testing.T) {
	bound := func() (*UDP, netip.AddrPort) {
		u, err := NewUDP(t.Context(), everything(), false)
		ok(t, "new", err)
		t.Cleanup(func() { u.Close() })
		want(t, "connect unbound", u.Connect(netip.MustParseAddrPort("127.0.0.1:9")), InvalidState)
		ok(t, "hop limit", u.SetHopLimit(7))
		ok(t, "bind", u.StartBind(localhost(false)))
		_, err = u.LocalAddress()
		want(t, "address while binding", err, InvalidState)
		ok(t, "bind", u.FinishBind())
		if n, err := u.HopLimit(); n != 7 || err != nil {
			t.Errorf("hop limit %d, %v", n, err)
		}
		a, err := u.LocalAddress()
		ok(t, "address", err)
		return u, a
	}
	a, addrA := bound()
	b, addrB := bound()
	c, addrC := bound()
	if _, ok, err := a.Receive(); ok || err != nil {
		t.Errorf("received nothing: %v, %v", ok, err)
	}
	ok(t, "connect", a.Connect(addrB))
	ok(t, "send", c.Send([]byte("noise"), addrA))
	ok(t, "send", b.Send([]byte("hello"), addrA))
	wait(t, a.Arriving())
	var d Datagram
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		var there bool
		var err error
		if d, there, err = a.Receive(); there || err != nil {
			break
		}
		wait(t, a.Arriving())
	}
	if string(d.Data) != "hello" || d.Addr != addrB {
		t.Errorf("received %q from %v", d.Data, d.Addr)
	}
	want(t, "send to another than the peer", a.Send(nil, addrC), InvalidArgument)
	want(t, "send without a destination", b.Send(nil, netip.AddrPort{}), InvalidArgument)
	want(t, "too much", b.Send(make([]byte, 70000), addrA), DatagramTooLarge)
	ok(t, "reply", a.Send([]byte("back"), netip.AddrPort{}))
	wait(t, b.Arriving())
	if d, there, err := b.Receive(); !there || string(d.Data) != "back" || d.Addr != addrA {
		t.Errorf("the reply: %q from %v, %v", d.Data, d.Addr, err)
	}
}

func TestUDPLocalAddress(t *testing.T) {
	peer, err := net.ListenPacket("udp4", "127.0.0.1:0")
	ok(t, "listen", err)
	defer peer.Close()
	u, err := NewUDP(t.Context(), everything(), false)
	ok(t, "new", err)
	defer u.Close()
	ok(t, "bind", u.StartBind(netip.MustParseAddrPort("0.0.0.0:0")))
	ok(t, "bind", u.FinishBind())
	for _, remote := range []netip.AddrPort{{}, addrOf(peer.LocalAddr()), {}} {
		ok(t, "connect", u.Connect(remote))
		a, err := u.LocalAddress()
		ok(t, "address", err)
		want := netip.IPv4Unspecified()
		if remote.IsValid() {
			want = netip.MustParseAddr("127.0.0.1")
		}
		if a.Addr() != want || a.Port() == 0 {
			t.Errorf("with the peer %v: %v, want %v", remote, a, want)
		}
		if !remote.IsValid() {
			continue
		}
		ok(t, "send", u.Send([]byte("x"), netip.AddrPort{}))
		if _, from, err := peer.ReadFrom(make([]byte, 1)); err != nil || addrOf(from) != a {
			t.Errorf("the peer sees %v, %v; the socket says %v", from, err, a)
		}
	}
}

func TestUDPReceivesWhatIsThere(t *testing.T) {
	u, err := NewUDP(t.Context(), everything(), false)
	ok(t, "new", err)
	defer u.Close()
	ok(t, "bind", u.StartBind(localhost(false)))
	ok(t, "bind", u.FinishBind())
	here, _ := u.LocalAddress()
	for _, text := range []string{"one", "two", "three"} {
		ok(t, "send", u.Send([]byte(text), here))
	}
	wait(t, u.Arriving())
	d, there, err := u.Receive()
	if string(d.Data) != "one" || !there || err != nil {
		t.Fatalf("%q, %v, %v", d.Data, there, err)
	}
	for _, text := range []string{"two", "three"} {
		d, there := u.ReceiveMore()
		if runtime.GOOS == "windows" {
			wait(t, u.Arriving())
			d, there, err = u.Receive()
			ok(t, "receive", err)
		}
		if string(d.Data) != text || !there || d.Addr != here {
			t.Errorf("%q from %v, %v", d.Data, d.Addr, there)
		}
	}
	if d, there := u.ReceiveMore(); there {
		t.Errorf("%q more", d.Data)
	}
}

func TestUDPPolicy(t *testing.T) {
	peer, err := net.ListenPacket("udp4", "127.0.0.1:0")
	ok(t, "listen", err)
	defer peer.Close()
	other, err := net.ListenPacket("udp4", "127.0.0.1:0")
	ok(t, "listen", err)
	defer other.Close()
	allowed := addrOf(peer.LocalAddr())
	u, err := NewUDP(t.Context(), &Policy{Uses: [BindUDP + 1]bool{SendUDP: true}, Allow: func(use Use, a netip.AddrPort) bool {
		return use == SendUDP && a == allowed
	}}, false)
	ok(t, "new", err)
	defer u.Close()
	want(t, "bind to a port", u.StartBind(netip.MustParseAddrPort("0.0.0.0:5353")), AccessDenied)
	ok(t, "bind", u.StartBind(netip.MustParseAddrPort("0.0.0.0:0")))
	ok(t, "bind", u.FinishBind())
	want(t, "send elsewhere", u.Send([]byte("x"), addrOf(other.LocalAddr())), AccessDenied)
	ok(t, "send", u.Send([]byte("x"), allowed))
	here, _ := u.LocalAddress()
	to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback(false), here.Port()))
	other.WriteTo([]byte("unwanted"), to)
	peer.WriteTo([]byte("wanted"), to)
	for {
		wait(t, u.Arriving())
		d, there, err := u.Receive()
		ok(t, "receive", err)
		if there {
			if string(d.Data) != "wanted" {
				t.Errorf("received %q from somebody who may not send", d.Data)
			}
			break
		}
	}
}

func TestLookup(t *testing.T) {
	p := everything()
	var told []netip.Addr
	p.Found = func(_ string, addrs []netip.Addr) []netip.Addr { told = addrs; return addrs }
	all := func(name string) (list []netip.Addr) {
		l, err := StartLookup(t.Context(), p, name)
		ok(t, name, err)
		defer l.Close()
		wait(t, l)
		for {
			a, there, err := l.Next()
			ok(t, name, err)
			if !there {
				return list
			}
			list = append(list, a)
		}
	}
	for _, name := range []string{"127.0.0.1", "::1", "[::1]"} {
		if got := all(name); len(got) != 1 || !got[0].IsLoopback() {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got := all("localhost"); len(got) == 0 || !slices.Equal(got, told) || !got[0].IsLoopback() {
		t.Errorf("localhost: %v, told %v", got, told)
	}
	for _, bad := range []string{"", "a b", "a..b", "exa/mple", strings.Repeat("a", 64) + ".com", "[1.2.3.4]", "name:80", "127.1", "2130706433", "0x7f.1", "::1%1"} {
		_, err := StartLookup(t.Context(), p, bad)
		want(t, bad, err, InvalidArgument)
	}
	l, err := StartLookup(t.Context(), p, "does-not-exist.invalid")
	ok(t, "start", err)
	wait(t, l)
	if _, _, err := l.Next(); err != NameUnresolvable && err != TemporaryResolverFailure && err != PermanentResolverFailure {
		t.Errorf("an unknown name: %v", err)
	}
}
