package socket

import (
	"context"
	"net"
	"net/netip"
)

// A draft is a TCP socket that neither listens nor is connected.
type draft interface {
	bind(netip.AddrPort) error
	// local is the address it is bound to.
	local() (netip.AddrPort, error)
	get(option) (int, error)
	put(option, int) error
	// listen and connect use the draft up, unless they fail.
	listen(backlog int) (*net.TCPListener, error)
	connect(context.Context, netip.AddrPort) (*net.TCPConn, error)
	close()
}

// plainDraft is a draft made of what package net has on every system. A bound
// one listens already, so that a peer may connect before the guest listens; the
// length of its queue can't be chosen.
type plainDraft struct {
	want     wanted
	listener *net.TCPListener // once it is bound
}

func newPlainDraft(v6 bool) (draft, error) { return &plainDraft{want: wanted{v6: v6}}, nil }

func (d *plainDraft) open(a netip.AddrPort) (*net.TCPListener, error) {
	lc := net.ListenConfig{Control: d.want.apply, KeepAlive: -1}
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), network("tcp", d.want.v6), a.String())
	if err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil
}

func (d *plainDraft) bind(a netip.AddrPort) (err error) {
	d.listener, err = d.open(a)
	return err
}

func (d *plainDraft) local() (netip.AddrPort, error) {
	if d.listener == nil {
		return netip.AddrPort{}, InvalidState
	}
	return addrOf(d.listener.Addr()), nil
}

func (d *plainDraft) get(o option) (int, error) {
	if d.listener == nil {
		if v, ok := d.want.get(o); ok {
			return v, nil
		}
		// What a new socket would have.
		l, err := d.open(netip.AddrPortFrom(loopback(d.want.v6), 0))
		if err != nil {
			return 0, err
		}
		defer l.Close()
		return connOption(l, o, d.want.v6)
	}
	return connOption(d.listener, o, d.want.v6)
}

func (d *plainDraft) put(o option, v int) error {
	d.want.put(o, v)
	if d.listener == nil {
		return nil
	}
	return setConnOption(d.listener, o, d.want.v6, v)
}

func (d *plainDraft) listen(int) (*net.TCPListener, error) {
	if d.listener == nil {
		return nil, InvalidState
	}
	return d.listener, nil
}

func (d *plainDraft) connect(ctx context.Context, a netip.AddrPort) (*net.TCPConn, error) {
	dialer := net.Dialer{Control: d.want.apply, KeepAlive: -1}
	dialer.SetMultipathTCP(false)
	if d.listener != nil {
		dialer.LocalAddr = d.listener.Addr()
		if err := d.listener.Close(); err != nil {
			return nil, err
		}
	}
	c, err := dialer.DialContext(ctx, network("tcp", d.want.v6), a.String())
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), nil
}

func (d *plainDraft) close() {
	if d.listener != nil {
		d.listener.Close()
	}
}

func loopback(v6 bool) netip.Addr {
	if v6 {
		return netip.IPv6Loopback()
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}
