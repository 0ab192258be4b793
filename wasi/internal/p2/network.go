package p2

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"

	"github.com/ashlar-wasm/ashlar/wasi/internal/bind"
	"github.com/ashlar-wasm/ashlar/wasi/internal/socket"
	"github.com/ashlar-wasm/ashlar/wasi/internal/stream"
)

// sockets is wasi:sockets but for its resources.
type sockets struct{ policy *socket.Policy }

// network is the resource wasi:sockets/network.network. What it allows is
// decided by address.
type network struct{}

func (network) Drop(context.Context) error { return nil }

// Freeze implements component.Freezer.
func (n network) Freeze() func(context.Context) (any, error) {
	return func(context.Context) (any, error) { return n, nil }
}

func (s sockets) InstanceNetwork(context.Context) (bind.Network, error) { return network{}, nil }

// netError translates an error of a socket. Both number the codes alike; misuse
// stays a failure of the host.
func netError(err error) error {
	if err == nil {
		return nil
	}
	if m, ok := errors.AsType[stream.Misuse](err); ok {
		return m
	}
	return bind.NetworkErrorCode(socket.CodeOf(err))
}

func (s sockets) NetworkErrorCode(_ context.Context, e bind.Error) (*bind.NetworkErrorCode, error) {
	err := Unwrap(e)
	if _, ok := errors.AsType[socket.Code](err); !ok {
		if _, ok := errors.AsType[*net.OpError](err); !ok {
			return nil, nil
		}
	}
	c := bind.NetworkErrorCode(socket.CodeOf(err))
	return &c, nil
}

func (s sockets) CreateTCPSocket(ctx context.Context, family bind.IPAddressFamily) (bind.TCPSocket, error) {
	t, err := socket.NewTCP(ctx, s.policy, family == bind.IPAddressFamilyIPv6)
	if err != nil {
		return nil, netError(err)
	}
	return &tcpSocket{t}, nil
}

func (s sockets) CreateUDPSocket(ctx context.Context, family bind.IPAddressFamily) (bind.UDPSocket, error) {
	u, err := socket.NewUDP(ctx, s.policy, family == bind.IPAddressFamilyIPv6)
	if err != nil {
		return nil, netError(err)
	}
	return &udpSocket{UDP: u}, nil
}

func (s sockets) ResolveAddresses(ctx context.Context, _ bind.Network, name string) (bind.ResolveAddressStream, error) {
	l, err := socket.StartLookup(ctx, s.policy, name)
	if err != nil {
		return nil, netError(err)
	}
	return lookup{l}, nil
}

// lookup is the resource wasi:sockets/ip-name-lookup.resolve-address-stream.
type lookup struct{ l *socket.Lookup }

func (l lookup) ResolveNextAddress(context.Context) (bind.IPAddress, error) {
	a, ok, err := l.l.Next()
	if err != nil || !ok {
		return nil, netError(err)
	}
	if a.Is4() {
		return bind.IPAddressIPv4{Value: ipv4(a)}, nil
	}
	return bind.IPAddressIPv6{Value: ipv6(a)}, nil
}

func (l lookup) Subscribe(context.Context) (bind.Pollable, error) { return pollable{l.l}, nil }

func (l lookup) Drop(context.Context) error {
	l.l.Close()
	return nil
}

func ipv4(a netip.Addr) bind.IPv4Address {
	b := a.As4()
	return bind.IPv4Address{F0: b[0], F1: b[1], F2: b[2], F3: b[3]}
}

func ipv6(a netip.Addr) bind.IPv6Address {
	b := a.As16()
	at := func(i int) uint16 { return uint16(b[2*i])<<8 | uint16(b[2*i+1]) }
	return bind.IPv6Address{F0: at(0), F1: at(1), F2: at(2), F3: at(3), F4: at(4), F5: at(5), F6: at(6), F7: at(7)}
}

// addrPort translates an address of the guest.
func addrPort(a bind.IPSocketAddress) netip.AddrPort {
	switch a := a.(type) {
	case bind.IPSocketAddressIPv4:
		v := a.Value.Address
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{v.F0, v.F1, v.F2, v.F3}), a.Value.Port)
	case bind.IPSocketAddressIPv6:
		v := a.Value.Address
		var b [16]byte
		for i, w := range [8]uint16{v.F0, v.F1, v.F2, v.F3, v.F4, v.F5, v.F6, v.F7} {
			b[2*i], b[2*i+1] = byte(w>>8), byte(w)
		}
		ip := netip.AddrFrom16(b)
		if a.Value.ScopeID != 0 {
			ip = ip.WithZone(strconv.FormatUint(uint64(a.Value.ScopeID), 10))
		}
		return netip.AddrPortFrom(ip, a.Value.Port)
	}
	return netip.AddrPort{}
}

func socketAddress(a netip.AddrPort, err error) (bind.IPSocketAddress, error) {
	if err != nil {
		return nil, netError(err)
	}
	if a.Addr().Is4() {
		return bind.IPSocketAddressIPv4{Value: bind.IPv4SocketAddress{Port: a.Port(), Address: ipv4(a.Addr())}}, nil
	}
	scope, _ := strconv.ParseUint(a.Addr().Zone(), 10, 32)
	return bind.IPSocketAddressIPv6{Value: bind.IPv6SocketAddress{
		Port: a.Port(), Address: ipv6(a.Addr()), ScopeID: uint32(scope),
	}}, nil
}

func familyOf(v6 bool) bind.IPAddressFamily {
	if v6 {
		return bind.IPAddressFamilyIPv6
	}
	return bind.IPAddressFamilyIPv4
}

// value passes a result through with its error translated.
func value[T any](v T, err error) (T, error) { return v, netError(err) }
