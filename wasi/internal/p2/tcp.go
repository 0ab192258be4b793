package p2

import (
	"context"

	"github.com/ashlar-wasm/ashlar/wasi/internal/bind"
	"github.com/ashlar-wasm/ashlar/wasi/internal/socket"
	"github.com/ashlar-wasm/ashlar/wasi/internal/stream"
)

// tcpSocket is the resource wasi:sockets/tcp.tcp-socket.
type tcpSocket struct{ t *socket.TCP }

func (s *tcpSocket) StartBind(_ context.Context, _ bind.Network, a bind.IPSocketAddress) error {
	return netError(s.t.StartBind(addrPort(a)))
}

func (s *tcpSocket) FinishBind(context.Context) error { return netError(s.t.FinishBind()) }

func (s *tcpSocket) StartConnect(ctx context.Context, _ bind.Network, a bind.IPSocketAddress) error {
	return netError(s.t.StartConnect(ctx, addrPort(a)))
}

func tcpStreams(in stream.Input, out stream.Output) (bind.InputStream, bind.OutputStream) {
	quietly := func(end func() error) func() error {
		return func() error {
			_ = end() // a guest has no way to hear of it
			return nil
		}
	}
	return NewInput(in, quietly(in.Close)), NewOutput(out, quietly(out.Close))
}

func (s *tcpSocket) FinishConnect(context.Context) (bind.Tuple2[bind.InputStream, bind.OutputStream], error) {
	in, out, err := s.t.FinishConnect()
	if err != nil {
		return bind.Tuple2[bind.InputStream, bind.OutputStream]{}, netError(err)
	}
	i, o := tcpStreams(in, out)
	return bind.Tuple2[bind.InputStream, bind.OutputStream]{F0: i, F1: o}, nil
}

func (s *tcpSocket) StartListen(context.Context) error  { return netError(s.t.StartListen()) }
func (s *tcpSocket) FinishListen(context.Context) error { return netError(s.t.FinishListen()) }

func (s *tcpSocket) Accept(ctx context.Context) (bind.Tuple3[bind.TCPSocket, bind.InputStream, bind.OutputStream], error) {
	t, in, out, err := s.t.Accept(ctx)
	if err != nil {
		return bind.Tuple3[bind.TCPSocket, bind.InputStream, bind.OutputStream]{}, netError(err)
	}
	i, o := tcpStreams(in, out)
	return bind.Tuple3[bind.TCPSocket, bind.InputStream, bind.OutputStream]{F0: &tcpSocket{t}, F1: i, F2: o}, nil
}

func (s *tcpSocket) LocalAddress(context.Context) (bind.IPSocketAddress, error) {
	return socketAddress(s.t.LocalAddress())
}

func (s *tcpSocket) RemoteAddress(context.Context) (bind.IPSocketAddress, error) {
	return socketAddress(s.t.RemoteAddress())
}

func (s *tcpSocket) IsListening(context.Context) (bool, error) { return s.t.Listening(), nil }

func (s *tcpSocket) AddressFamily(context.Context) (bind.IPAddressFamily, error) {
	return familyOf(s.t.IPv6()), nil
}

func (s *tcpSocket) SetListenBacklogSize(_ context.Context, n uint64) error {
	return netError(s.t.SetBacklog(n))
}

func (s *tcpSocket) KeepAliveEnabled(context.Context) (bool, error) { return value(s.t.KeepAlive()) }

func (s *tcpSocket) SetKeepAliveEnabled(_ context.Context, on bool) error {
	return netError(s.t.SetKeepAlive(on))
}

func (s *tcpSocket) KeepAliveIdleTime(context.Context) (uint64, error) {
	return value(s.t.KeepAliveIdle())
}

func (s *tcpSocket) SetKeepAliveIdleTime(_ context.Context, d uint64) error {
	return netError(s.t.SetKeepAliveIdle(d))
}

func (s *tcpSocket) KeepAliveInterval(context.Context) (uint64, error) {
	return value(s.t.KeepAliveInterval())
}

func (s *tcpSocket) SetKeepAliveInterval(_ context.Context, d uint64) error {
	return netError(s.t.SetKeepAliveInterval(d))
}

func (s *tcpSocket) KeepAliveCount(context.Context) (uint32, error) {
	return value(s.t.KeepAliveCount())
}

func (s *tcpSocket) SetKeepAliveCount(_ context.Context, n uint32) error {
	return netError(s.t.SetKeepAliveCount(n))
}

func (s *tcpSocket) HopLimit(context.Context) (uint8, error) { return value(s.t.HopLimit()) }

func (s *tcpSocket) SetHopLimit(_ context.Context, n uint8) error {
	return netError(s.t.SetHopLimit(n))
}

func (s *tcpSocket) ReceiveBufferSize(context.Context) (uint64, error) {
	return value(s.t.ReceiveBuffer())
}

func (s *tcpSocket) SetReceiveBufferSize(_ context.Context, n uint64) error {
	return netError(s.t.SetReceiveBuffer(n))
}

func (s *tcpSocket) SendBufferSize(context.Context) (uint64, error) { return value(s.t.SendBuffer()) }

func (s *tcpSocket) SetSendBufferSize(_ context.Context, n uint64) error {
	return netError(s.t.SetSendBuffer(n))
}

func (s *tcpSocket) Subscribe(context.Context) (bind.Pollable, error) { return pollable{s.t}, nil }

func (s *tcpSocket) Shutdown(_ context.Context, how bind.ShutdownType) error {
	return netError(s.t.Shutdown(how != bind.ShutdownTypeSend, how != bind.ShutdownTypeReceive))
}

func (s *tcpSocket) Drop(context.Context) error {
	_ = s.t.Close() // a guest has no way to hear of it
	return nil
}
