package socket

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"

	"github.com/ashlar-wasm/ashlar/wasi/internal/quota"
	"github.com/ashlar-wasm/ashlar/wasi/internal/stream"
)

// maxDatagram is the longest payload of UDP.
const maxDatagram = 65507

// Datagram is a datagram and where it comes from or goes to.
type Datagram struct {
	Data []byte
	Addr netip.AddrPort
}

// UDP is a UDP socket. Being connected is known here only: datagrams of others
// are dropped, and others can't be sent to. One goroutine at a time uses it.
type UDP struct {
	policy *Policy
	hold   *quota.Hold
	v6     bool
	want   wanted
	under  operation
	conn   *net.UDPConn // once it is bound
	any    bool         // may receive from anywhere
	remote netip.AddrPort
	source netip.Addr // what is sent to remote comes from it
	next   *stream.Ahead[Datagram]
}

// NewUDP makes a socket.
func NewUDP(ctx context.Context, p *Policy, v6 bool) (*UDP, error) {
	if !p.Uses[SendUDP] && !p.Uses[BindUDP] {
		return nil, AccessDenied
	}
	hold, err := p.Book.Take(ctx, quota.Connections, 1)
	if err != nil {
		return nil, NewSocketLimit
	}
	return &UDP{policy: p, hold: hold, v6: v6, want: wanted{v6: v6}}, nil
}

// IPv6 reports the family.
func (u *UDP) IPv6() bool { return u.v6 }

func (u *UDP) open(a netip.AddrPort) (*net.UDPConn, error) {
	lc := net.ListenConfig{Control: func(network, address string, c syscall.RawConn) error {
		// Package net lets every socket send to all of a network.
		return errors.Join(u.want.apply(network, address, c), noBroadcast(c))
	}}
	c, err := lc.ListenPacket(context.Background(), network("udp", u.v6), a.String())
	if err != nil {
		return nil, err
	}
	return c.(*net.UDPConn), nil
}

// StartBind binds the socket.
func (u *UDP) StartBind(a netip.AddrPort) error {
	switch {
	case u.under != idle:
		return ConcurrencyConflict
	case u.conn != nil:
		return InvalidState
	case !validFamily(a.Addr(), u.v6) || !validUnicast(a.Addr()):
		return InvalidArgument
	}
	if err := u.policy.checkBind(BindUDP, SendUDP, a); err != nil {
		return err
	}
	c, err := u.open(a)
	if err != nil {
		return coded(err)
	}
	u.conn, u.under = c, binding
	u.any = u.policy.check(BindUDP, addrOf(c.LocalAddr())) == nil || u.policy.check(BindUDP, a) == nil
	u.next = stream.NewAhead(u.receive)
	return nil
}

// FinishBind ends StartBind.
func (u *UDP) FinishBind() error {
	if u.under != binding {
		return NotInProgress
	}
	u.under = idle
	return nil
}

// receive waits for the next datagram.
func (u *UDP) receive() (Datagram, error) {
	buf := make([]byte, 1<<16)
	n, from, err := u.conn.ReadFromUDPAddrPort(buf)
	if err != nil {
		return Datagram{}, err
	}
	return Datagram{Data: append([]byte(nil), buf[:n]...), Addr: unmap(from)}, nil
}

// Connect makes remote the only peer; the zero value lifts that.
func (u *UDP) Connect(remote netip.AddrPort) error {
	if u.conn == nil || u.under != idle {
		return InvalidState
	}
	var source netip.Addr
	if remote.IsValid() {
		if !validFamily(remote.Addr(), u.v6) || !validRemote(remote) {
			return InvalidArgument
		}
		if err := u.policy.check(SendUDP, remote); err != nil {
			return err
		}
		var err error
		if source, err = u.sourceFor(remote); err != nil {
			return coded(err)
		}
	}
	u.remote, u.source = remote, source
	return nil
}

// sourceFor returns the address from which the system sends to remote.
func (u *UDP) sourceFor(remote netip.AddrPort) (netip.Addr, error) {
	if a := addrOf(u.conn.LocalAddr()).Addr(); !a.IsUnspecified() {
		return a, nil
	}
	// Connecting chooses it, and sends nothing.
	c, err := net.DialUDP(network("udp", u.v6), nil, net.UDPAddrFromAddrPort(remote))
	if err != nil {
		return netip.Addr{}, err
	}
	defer c.Close()
	return addrOf(c.LocalAddr()).Addr(), nil
}

// Receive returns the next datagram from those who may send to the guest; ok is
// false if there is none now.
func (u *UDP) Receive() (d Datagram, ok bool, err error) {
	for {
		d, ok, err = u.next.Take()
		if !ok || err != nil {
			return d, ok, coded(err)
		}
		if u.accepts(d.Addr) {
			return d, true, nil
		}
	}
}

// ReceiveMore is Receive after one that gave a datagram, with nothing else done
// in between: it gives what else is there already.
func (u *UDP) ReceiveMore() (d Datagram, ok bool) {
	buf := make([]byte, 1<<16)
	for {
		n, from, ok := receiveNow(u.conn, buf)
		if !ok {
			return d, false
		}
		if from = unmap(from); u.accepts(from) {
			return Datagram{Data: buf[:n:n], Addr: from}, true
		}
	}
}

func (u *UDP) accepts(from netip.AddrPort) bool {
	if u.remote.IsValid() {
		return from == u.remote
	}
	return u.any || u.policy.check(SendUDP, from) == nil
}

// Arriving is ready when Receive may have something.
func (u *UDP) Arriving() stream.Pollable { return u.next }

// Send sends a datagram: to the peer, or to to if that is valid.
func (u *UDP) Send(data []byte, to netip.AddrPort) error {
	switch {
	case len(data) > maxDatagram:
		return DatagramTooLarge
	case !to.IsValid():
		to = u.remote
	case u.remote.IsValid() && to != u.remote:
		return InvalidArgument
	}
	if !to.IsValid() || !validRemote(to) || !validFamily(to.Addr(), u.v6) {
		return InvalidArgument
	}
	if err := u.policy.check(SendUDP, to); err != nil {
		return err
	}
	_, err := u.conn.WriteToUDPAddrPort(data, to)
	return coded(err)
}

// LocalAddress returns the address the socket is bound to; with a peer, the one
// that it is known by there.
func (u *UDP) LocalAddress() (netip.AddrPort, error) {
	if u.conn == nil || u.under != idle {
		return netip.AddrPort{}, InvalidState
	}
	a := addrOf(u.conn.LocalAddr())
	if u.source.IsValid() {
		a = netip.AddrPortFrom(u.source, a.Port())
	}
	return a, nil
}

// RemoteAddress returns the peer.
func (u *UDP) RemoteAddress() (netip.AddrPort, error) {
	if !u.remote.IsValid() {
		return netip.AddrPort{}, InvalidState
	}
	return u.remote, nil
}

func (u *UDP) get(o option) (int, error) {
	if u.conn != nil {
		return connOption(u.conn, o, u.v6)
	}
	if v, ok := u.want.get(o); ok {
		return v, nil
	}
	// What a new socket would have.
	c, err := u.open(netip.AddrPortFrom(loopback(u.v6), 0))
	if err != nil {
		return 0, coded(err)
	}
	defer c.Close()
	return connOption(c, o, u.v6)
}

func (u *UDP) set(o option, v int) error {
	if u.conn != nil {
		return setConnOption(u.conn, o, u.v6, v)
	}
	u.want.put(o, v)
	return nil
}

// HopLimit is how many routers a packet may pass.
func (u *UDP) HopLimit() (uint8, error) {
	v, err := u.get(hopLimit)
	return uint8(v), err
}

// SetHopLimit sets that.
func (u *UDP) SetHopLimit(n uint8) error {
	if n == 0 {
		return InvalidArgument
	}
	return u.set(hopLimit, int(n))
}

// ReceiveBuffer is the size of the system's buffer, in bytes.
func (u *UDP) ReceiveBuffer() (uint64, error) {
	v, err := u.get(receiveBuffer)
	return uint64(v), err
}

// SetReceiveBuffer sets that, as a hint.
func (u *UDP) SetReceiveBuffer(n uint64) error {
	v, err := bufferSize(n)
	if err != nil {
		return err
	}
	return u.set(receiveBuffer, v)
}

// SendBuffer is the size of the system's buffer, in bytes.
func (u *UDP) SendBuffer() (uint64, error) {
	v, err := u.get(sendBuffer)
	return uint64(v), err
}

// SetSendBuffer sets that, as a hint.
func (u *UDP) SetSendBuffer(n uint64) error {
	v, err := bufferSize(n)
	if err != nil {
		return err
	}
	return u.set(sendBuffer, v)
}

// Close releases the socket.
func (u *UDP) Close() error {
	defer u.hold.Give()
	if u.conn == nil {
		return nil
	}
	defer u.next.Close(func(Datagram) {})
	return coded(u.conn.Close())
}
