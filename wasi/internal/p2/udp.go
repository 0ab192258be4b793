package p2

import (
	"context"
	"net/netip"
	"sync/atomic"

	"github.com/ashlar-wasm/ashlar/wasi/internal/bind"
	"github.com/ashlar-wasm/ashlar/wasi/internal/socket"
	"github.com/ashlar-wasm/ashlar/wasi/internal/stream"
)

// maxDatagrams bounds the datagrams of one call.
const maxDatagrams = 16

// udpSocket is the resource wasi:sockets/udp.udp-socket. It closes when its
// streams are dropped, too.
type udpSocket struct {
	*socket.UDP
	streams atomic.Int32
	dropped bool
}

func (s *udpSocket) StartBind(_ context.Context, _ bind.Network, a bind.IPSocketAddress) error {
	return netError(s.UDP.StartBind(addrPort(a)))
}

func (s *udpSocket) FinishBind(context.Context) error { return netError(s.UDP.FinishBind()) }

func (s *udpSocket) Stream(_ context.Context, remote bind.IPSocketAddress) (bind.Tuple2[bind.IncomingDatagramStream, bind.OutgoingDatagramStream], error) {
	var none bind.Tuple2[bind.IncomingDatagramStream, bind.OutgoingDatagramStream]
	if s.streams.Load() > 0 {
		return none, stream.Misuse("new datagram streams before the old ones are dropped")
	}
	var peer netip.AddrPort
	if remote != nil {
		peer = addrPort(remote)
	}
	if err := s.Connect(peer); err != nil {
		return none, netError(err)
	}
	s.streams.Store(2)
	none.F0, none.F1 = &incomingDatagrams{s}, &outgoingDatagrams{socket: s}
	return none, nil
}

func (s *udpSocket) LocalAddress(context.Context) (bind.IPSocketAddress, error) {
	return socketAddress(s.UDP.LocalAddress())
}

func (s *udpSocket) RemoteAddress(context.Context) (bind.IPSocketAddress, error) {
	return socketAddress(s.UDP.RemoteAddress())
}

func (s *udpSocket) AddressFamily(context.Context) (bind.IPAddressFamily, error) {
	return familyOf(s.IPv6()), nil
}

func (s *udpSocket) UnicastHopLimit(context.Context) (uint8, error) { return value(s.HopLimit()) }

func (s *udpSocket) SetUnicastHopLimit(_ context.Context, n uint8) error {
	return netError(s.SetHopLimit(n))
}

func (s *udpSocket) ReceiveBufferSize(context.Context) (uint64, error) {
	return value(s.ReceiveBuffer())
}

func (s *udpSocket) SetReceiveBufferSize(_ context.Context, n uint64) error {
	return netError(s.SetReceiveBuffer(n))
}

func (s *udpSocket) SendBufferSize(context.Context) (uint64, error) { return value(s.SendBuffer()) }

func (s *udpSocket) SetSendBufferSize(_ context.Context, n uint64) error {
	return netError(s.SetSendBuffer(n))
}

// Subscribe is ready at once: nothing that a socket starts takes time.
func (s *udpSocket) Subscribe(context.Context) (bind.Pollable, error) {
	return pollable{stream.Immediate{}}, nil
}

func (s *udpSocket) Drop(context.Context) error {
	s.dropped = true
	s.release()
	return nil
}

func (s *udpSocket) release() {
	if s.dropped && s.streams.Load() == 0 {
		_ = s.Close() // a guest has no way to hear of it
	}
}

func (s *udpSocket) leave() {
	s.streams.Add(-1)
	s.release()
}

// incomingDatagrams is the resource wasi:sockets/udp.incoming-datagram-stream.
type incomingDatagrams struct{ socket *udpSocket }

func (s *incomingDatagrams) Receive(_ context.Context, n uint64) ([]bind.IncomingDatagram, error) {
	if n == 0 {
		return nil, nil
	}
	d, ok, err := s.socket.Receive()
	if err != nil {
		return nil, netError(err)
	}
	var list []bind.IncomingDatagram
	for size := 0; ok; d, ok = s.socket.ReceiveMore() {
		from, _ := socketAddress(d.Addr, nil)
		list = append(list, bind.IncomingDatagram{Data: d.Data, RemoteAddress: from})
		size += len(d.Data)
		if uint64(len(list)) == min(n, maxDatagrams) || size >= stream.ChunkSize {
			break
		}
	}
	return list, nil
}

func (s *incomingDatagrams) Subscribe(context.Context) (bind.Pollable, error) {
	return pollable{s.socket.Arriving()}, nil
}

func (s *incomingDatagrams) Drop(context.Context) error {
	s.socket.leave()
	return nil
}

// outgoingDatagrams is the resource wasi:sockets/udp.outgoing-datagram-stream.
type outgoingDatagrams struct {
	socket *udpSocket
	permit int
}

func (s *outgoingDatagrams) CheckSend(context.Context) (uint64, error) {
	s.permit = maxDatagrams
	return maxDatagrams, nil
}

func (s *outgoingDatagrams) Send(_ context.Context, list []bind.OutgoingDatagram) (uint64, error) {
	if len(list) == 0 {
		return 0, nil
	}
	if len(list) > s.permit {
		return 0, stream.Misuse("more datagrams than check-send allowed")
	}
	s.permit = 0
	for i, d := range list {
		var to netip.AddrPort
		if d.RemoteAddress != nil {
			to = addrPort(d.RemoteAddress)
		}
		if err := s.socket.Send(d.Data, to); err != nil {
			if i > 0 {
				return uint64(i), nil
			}
			return 0, netError(err)
		}
	}
	return uint64(len(list)), nil
}

// Subscribe is ready at once: datagrams are given to the system or lost.
func (s *outgoingDatagrams) Subscribe(context.Context) (bind.Pollable, error) {
	return pollable{stream.Immediate{}}, nil
}

func (s *outgoingDatagrams) Drop(context.Context) error {
	s.socket.leave()
	return nil
}
