package socket

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ashlar-wasm/ashlar/wasi/internal/quota"
	"github.com/ashlar-wasm/ashlar/wasi/internal/stream"
)

func connOption(c syscall.Conn, o option, v6 bool) (int, error) {
	rc, err := c.SyscallConn()
	if err != nil {
		return 0, coded(err)
	}
	return getOption(rc, o, v6)
}

func setConnOption(c syscall.Conn, o option, v6 bool, v int) error {
	rc, err := c.SyscallConn()
	if err != nil {
		return coded(err)
	}
	return setOption(rc, o, v6, v)
}

// operation is what was started and not finished.
type operation uint8

const (
	idle operation = iota
	binding
	connecting
	listening
)

const defaultBacklog = 128

// TCP is a TCP socket. One goroutine at a time uses it; its Pollable methods may
// be called by others meanwhile.
type TCP struct {
	policy  *Policy
	hold    *quota.Hold // until nothing of the socket is left
	v6      bool
	backlog int
	under   operation

	// Exactly one is set, unless the socket failed with failed.
	draft    draft
	dialing  *stream.Future[dialed]
	conn     *connection
	listener *net.TCPListener
	failed   error

	accepts *stream.Ahead[*net.TCPConn]
	cancel  context.CancelFunc
	mu      sync.Mutex // guards what Ready looks at
}

type dialed struct {
	conn *net.TCPConn
	err  error
}

// connection is closed when the socket and both its streams are.
type connection struct {
	*net.TCPConn
	hold  *quota.Hold
	users atomic.Int32
	in    *stream.Reader
	out   *stream.Writer
}

func (c *connection) leave() error {
	if c.users.Add(-1) == 0 {
		defer c.hold.Give()
		return c.Close()
	}
	return nil
}

// lingering is how long a peer may take to read what a guest left behind.
const lingering = 30 * time.Second

func newConnection(conn *net.TCPConn, hold *quota.Hold) *connection {
	c := &connection{TCPConn: conn, hold: hold}
	c.users.Store(3)
	c.in = stream.NewReader(conn, func() error {
		_ = conn.CloseRead()
		return c.leave()
	})
	c.out = stream.NewWriter(conn, false, func(bool) error {
		_ = conn.CloseWrite()
		return c.leave()
	})
	return c
}

// NewTCP makes a socket.
func NewTCP(ctx context.Context, p *Policy, v6 bool) (*TCP, error) {
	return newTCP(ctx, p, v6, newDraft)
}

func newTCP(ctx context.Context, p *Policy, v6 bool, open func(bool) (draft, error)) (*TCP, error) {
	if !p.Uses[ConnectTCP] && !p.Uses[ListenTCP] {
		return nil, AccessDenied
	}
	hold, err := p.Book.Take(ctx, quota.Connections, 1)
	if err != nil {
		return nil, NewSocketLimit
	}
	d, err := open(v6)
	if err != nil {
		hold.Give()
		return nil, coded(err)
	}
	return &TCP{policy: p, hold: hold, v6: v6, draft: d, backlog: defaultBacklog}, nil
}

// IPv6 reports the family.
func (t *TCP) IPv6() bool { return t.v6 }

// state returns why an operation on a draft can't be done.
func (t *TCP) state() error {
	switch {
	case t.under != idle:
		return ConcurrencyConflict
	case t.draft == nil && t.failed != nil:
		return t.failed
	case t.draft == nil:
		return InvalidState
	}
	return nil
}

// StartBind binds the socket.
func (t *TCP) StartBind(a netip.AddrPort) error {
	if err := t.state(); err != nil {
		return err
	}
	if _, err := t.draft.local(); err == nil {
		return InvalidState
	}
	if !validUnicast(a.Addr()) || !validFamily(a.Addr(), t.v6) {
		return InvalidArgument
	}
	if err := t.policy.checkBind(ListenTCP, ConnectTCP, a); err != nil {
		return err
	}
	if err := t.draft.bind(a); err != nil {
		return coded(err)
	}
	t.under = binding
	return nil
}

// FinishBind ends StartBind.
func (t *TCP) FinishBind() error { return t.finish(binding) }

func (t *TCP) finish(o operation) error {
	if t.under != o {
		return NotInProgress
	}
	t.under = idle
	return nil
}

// StartConnect begins to connect. It ends with ctx only through Close.
func (t *TCP) StartConnect(ctx context.Context, a netip.AddrPort) error {
	if err := t.state(); err != nil {
		return err
	}
	if !validUnicast(a.Addr()) || !validRemote(a) || !validFamily(a.Addr(), t.v6) {
		return InvalidArgument
	}
	if err := t.policy.check(ConnectTCP, a); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	d, f := t.draft, &stream.Future[dialed]{}
	t.mu.Lock()
	t.draft, t.dialing, t.cancel, t.under = nil, f, cancel, connecting
	t.mu.Unlock()
	go func() {
		defer cancel()
		conn, err := d.connect(ctx, a)
		if err != nil {
			d.close()
		} else if ctx.Err() != nil {
			conn.Close()
			err = ctx.Err()
		}
		f.Set(dialed{conn, err})
	}()
	return nil
}

// FinishConnect returns the streams of the connection.
func (t *TCP) FinishConnect() (stream.Input, stream.Output, error) {
	if t.under != connecting {
		return nil, nil, NotInProgress
	}
	d, ok := t.dialing.Get()
	if !ok {
		return nil, nil, WouldBlock
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.under, t.dialing = idle, nil
	if d.err != nil {
		t.failed = CodeOf(d.err)
		return nil, nil, t.failed
	}
	t.conn = newConnection(d.conn, t.hold)
	return t.conn.in, t.conn.out, nil
}

// StartListen makes a bound socket listen.
func (t *TCP) StartListen() error {
	if err := t.state(); err != nil {
		return err
	}
	a, err := t.draft.local()
	if err != nil {
		return InvalidState
	}
	if err := t.policy.check(ListenTCP, a); err != nil {
		return err
	}
	l, err := t.draft.listen(t.backlog)
	if err != nil {
		return coded(err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.draft, t.listener, t.under = nil, l, listening
	t.accepts = stream.NewAhead(func() (*net.TCPConn, error) { return accept(l, t.v6) })
	return nil
}

// accept waits for a connection, which has the options of the listener.
func accept(l *net.TCPListener, v6 bool) (*net.TCPConn, error) {
	c, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	from, err := l.SyscallConn()
	if err != nil {
		return c, nil // it is being closed
	}
	if options, err := readKeepAlives(from, v6); err == nil {
		if to, err := c.SyscallConn(); err == nil {
			_ = writeKeepAlives(to, v6, options)
		}
	}
	return c, nil
}

// FinishListen ends StartListen.
func (t *TCP) FinishListen() error { return t.finish(listening) }

// Accept returns the next connection, if there is one.
func (t *TCP) Accept(ctx context.Context) (*TCP, stream.Input, stream.Output, error) {
	if t.listener == nil || t.under != idle {
		return nil, nil, nil, InvalidState
	}
	if !t.accepts.Ready() {
		return nil, nil, nil, WouldBlock
	}
	// One that there is no room for stays where it is.
	hold, err := t.policy.Book.Take(ctx, quota.Connections, 1)
	if err != nil {
		return nil, nil, nil, NewSocketLimit
	}
	conn, ok, err := t.accepts.Take()
	if !ok {
		err = WouldBlock
	}
	if err != nil {
		hold.Give()
		return nil, nil, nil, coded(err)
	}
	c := newConnection(conn, hold)
	return &TCP{policy: t.policy, hold: hold, v6: t.v6, conn: c, backlog: defaultBacklog}, c.in, c.out, nil
}

// LocalAddress returns the address the socket is bound to.
func (t *TCP) LocalAddress() (netip.AddrPort, error) {
	switch {
	case t.draft != nil:
		a, err := t.draft.local()
		if err == nil && t.under == binding {
			return a, InvalidState
		}
		return a, coded(err)
	case t.conn != nil:
		return addrOf(t.conn.LocalAddr()), nil
	case t.listener != nil:
		return addrOf(t.listener.Addr()), nil
	case t.failed != nil:
		return netip.AddrPort{}, t.failed
	}
	return netip.AddrPort{}, InvalidState
}

// RemoteAddress returns the address the socket is connected to.
func (t *TCP) RemoteAddress() (netip.AddrPort, error) {
	if t.conn == nil {
		return netip.AddrPort{}, InvalidState
	}
	return addrOf(t.conn.RemoteAddr()), nil
}

// Listening reports whether the socket listens.
func (t *TCP) Listening() bool { return t.listener != nil }

// SetBacklog sets how many connections may wait to be accepted.
func (t *TCP) SetBacklog(n uint64) error {
	switch {
	case n == 0:
		return InvalidArgument
	case t.draft != nil:
		t.backlog = int(min(n, 1<<31-1))
		return nil
	case t.listener != nil:
		return NotSupported
	}
	return InvalidState
}

func (t *TCP) get(o option) (int, error) {
	switch {
	case t.draft != nil:
		v, err := t.draft.get(o)
		return v, coded(err)
	case t.conn != nil:
		return connOption(t.conn.TCPConn, o, t.v6)
	case t.listener != nil:
		return connOption(t.listener, o, t.v6)
	case t.failed != nil:
		return 0, t.failed
	}
	return 0, InvalidState
}

func (t *TCP) set(o option, v int) error {
	switch {
	case t.draft != nil:
		return coded(t.draft.put(o, v))
	case t.conn != nil:
		return setConnOption(t.conn.TCPConn, o, t.v6, v)
	case t.listener != nil:
		return setConnOption(t.listener, o, t.v6, v)
	case t.failed != nil:
		return t.failed
	}
	return InvalidState
}

// KeepAlive reports whether the system checks that the peer is there.
func (t *TCP) KeepAlive() (bool, error) {
	v, err := t.get(keepAlive)
	return v != 0, err
}

// SetKeepAlive turns that on or off.
func (t *TCP) SetKeepAlive(on bool) error {
	if on {
		return t.set(keepAlive, 1)
	}
	return t.set(keepAlive, 0)
}

func (t *TCP) seconds(o option) (uint64, error) {
	v, err := t.get(o)
	return uint64(v) * uint64(time.Second), err
}

func (t *TCP) setSeconds(o option, nanos uint64) error {
	if nanos == 0 {
		return InvalidArgument
	}
	// Rounded up, and bounded as Linux has it.
	s := (nanos-1)/uint64(time.Second) + 1
	return t.set(o, int(min(s, 32767)))
}

// KeepAliveIdle is the pause after which the system checks, in nanoseconds.
func (t *TCP) KeepAliveIdle() (uint64, error) { return t.seconds(keepIdle) }

// SetKeepAliveIdle sets that.
func (t *TCP) SetKeepAliveIdle(nanos uint64) error { return t.setSeconds(keepIdle, nanos) }

// KeepAliveInterval is the time between checks, in nanoseconds.
func (t *TCP) KeepAliveInterval() (uint64, error) { return t.seconds(keepInterval) }

// SetKeepAliveInterval sets that.
func (t *TCP) SetKeepAliveInterval(nanos uint64) error { return t.setSeconds(keepInterval, nanos) }

// KeepAliveCount is how many checks must fail.
func (t *TCP) KeepAliveCount() (uint32, error) {
	v, err := t.get(keepCount)
	return uint32(v), err
}

// SetKeepAliveCount sets that.
func (t *TCP) SetKeepAliveCount(n uint32) error {
	if n == 0 {
		return InvalidArgument
	}
	return t.set(keepCount, int(min(n, 127)))
}

// HopLimit is how many routers a packet may pass.
func (t *TCP) HopLimit() (uint8, error) {
	v, err := t.get(hopLimit)
	return uint8(v), err
}

// SetHopLimit sets that.
func (t *TCP) SetHopLimit(n uint8) error {
	if n == 0 {
		return InvalidArgument
	}
	return t.set(hopLimit, int(n))
}

// maxBuffer bounds the sizes of buffers that guests ask for.
const maxBuffer = 64 << 20

func bufferSize(n uint64) (int, error) {
	if n == 0 {
		return 0, InvalidArgument
	}
	return int(min(n, maxBuffer)), nil
}

// ReceiveBuffer is the size of the system's buffer, in bytes.
func (t *TCP) ReceiveBuffer() (uint64, error) {
	v, err := t.get(receiveBuffer)
	return uint64(v), err
}

// SetReceiveBuffer sets that, as a hint.
func (t *TCP) SetReceiveBuffer(n uint64) error {
	v, err := bufferSize(n)
	if err != nil {
		return err
	}
	return t.set(receiveBuffer, v)
}

// SendBuffer is the size of the system's buffer, in bytes.
func (t *TCP) SendBuffer() (uint64, error) {
	v, err := t.get(sendBuffer)
	return uint64(v), err
}

// SetSendBuffer sets that, as a hint.
func (t *TCP) SetSendBuffer(n uint64) error {
	v, err := bufferSize(n)
	if err != nil {
		return err
	}
	return t.set(sendBuffer, v)
}

// pending is what the operation under way waits for.
func (t *TCP) pending() stream.Pollable {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.dialing != nil:
		return t.dialing
	case t.accepts != nil && t.under == idle:
		return t.accepts
	}
	return stream.Immediate{}
}

// Ready reports whether the operation under way can be finished, or a
// connection accepted.
func (t *TCP) Ready() bool { return t.pending().Ready() }

// Watch is that of stream.Pollable.
func (t *TCP) Watch(wake func()) (stop func()) { return t.pending().Watch(wake) }

// Shutdown ends receiving, sending or both.
func (t *TCP) Shutdown(receive, send bool) error {
	if t.conn == nil {
		return InvalidState
	}
	if receive {
		_ = t.conn.CloseRead()
		t.conn.in.Shut()
	}
	if send {
		t.conn.out.Shut(func() { _ = t.conn.CloseWrite() })
	}
	return nil
}

// Close releases the socket; its streams stay.
func (t *TCP) Close() error {
	if t.cancel != nil {
		t.cancel()
	}
	switch {
	case t.dialing != nil:
		go func() {
			// It was cancelled, and ends soon.
			defer t.hold.Give()
			_ = stream.Block(context.Background(), t.dialing)
			if d, _ := t.dialing.Get(); d.conn != nil {
				d.conn.Close()
			}
		}()
		return nil
	case t.conn != nil:
		_ = t.conn.SetWriteDeadline(time.Now().Add(lingering))
		return t.conn.leave()
	}
	defer t.hold.Give()
	switch {
	case t.draft != nil:
		t.draft.close()
	case t.listener != nil:
		err := t.listener.Close()
		t.accepts.Close(func(c *net.TCPConn) { c.Close() })
		return err
	}
	return nil
}
