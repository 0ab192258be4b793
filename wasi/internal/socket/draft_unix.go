//go:build unix

package socket

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// rawDraft is a draft that is a socket of the operating system.
type rawDraft struct {
	f  *os.File
	v6 bool
}

func newDraft(v6 bool) (draft, error) {
	family := unix.AF_INET
	if v6 {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, err
	}
	unix.CloseOnExec(fd)
	if err := errors.Join(unix.SetNonblock(fd, true), prepare(fd, v6)); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &rawDraft{f: os.NewFile(uintptr(fd), "tcp"), v6: v6}, nil
}

// prepare sets what the interface demands of every socket.
func prepare(fd int, v6 bool) error {
	if v6 {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	return nil
}

// Control reaches the descriptor.
func (d *rawDraft) Control(f func(fd uintptr)) error {
	rc, err := d.f.SyscallConn()
	if err != nil {
		return err
	}
	return rc.Control(f)
}

// use calls f with the descriptor.
func (d *rawDraft) use(f func(fd int) error) error {
	var inner error
	if err := d.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}

func (d *rawDraft) sockaddr(a netip.AddrPort) (unix.Sockaddr, error) {
	if !d.v6 {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}, nil
	}
	sa := &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
	if z := a.Addr().Zone(); z != "" {
		n, err := strconv.ParseUint(z, 10, 32)
		if err != nil {
			return nil, InvalidArgument
		}
		sa.ZoneId = uint32(n)
	}
	return sa, nil
}

func (d *rawDraft) bind(a netip.AddrPort) error {
	sa, err := d.sockaddr(a)
	if err != nil {
		return err
	}
	return d.use(func(fd int) error {
		// A port stays usable while old connections to it linger.
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		err := unix.Bind(fd, sa)
		if err == unix.EAFNOSUPPORT {
			err = unix.EINVAL
		}
		return err
	})
}

func (d *rawDraft) local() (a netip.AddrPort, err error) {
	err = d.use(func(fd int) error {
		sa, err := unix.Getsockname(fd)
		switch sa := sa.(type) {
		case *unix.SockaddrInet4:
			a = netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
		case *unix.SockaddrInet6:
			a = netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
		}
		return err
	})
	if err == nil && a.Port() == 0 {
		err = InvalidState
	}
	return a, err
}

func (d *rawDraft) get(o option) (int, error) { return getOption(d, o, d.v6) }
func (d *rawDraft) put(o option, v int) error { return setOption(d, o, d.v6, v) }
func (d *rawDraft) close()                    { d.f.Close() }

func (d *rawDraft) listen(backlog int) (*net.TCPListener, error) {
	if err := d.use(func(fd int) error { return unix.Listen(fd, backlog) }); err != nil {
		return nil, err
	}
	l, err := net.FileListener(d.f)
	if err != nil {
		return nil, err
	}
	d.close()
	return l.(*net.TCPListener), nil
}

func (d *rawDraft) connect(ctx context.Context, a netip.AddrPort) (*net.TCPConn, error) {
	sa, err := d.sockaddr(a)
	if err != nil {
		return nil, err
	}
	err = d.use(func(fd int) error { return unix.Connect(fd, sa) })
	if err == unix.EINPROGRESS || err == unix.EINTR {
		err = d.connected(ctx)
	}
	if err != nil {
		return nil, err
	}
	options, err := readKeepAlives(d, d.v6)
	if err != nil {
		return nil, err
	}
	made, err := net.FileConn(d.f)
	if err != nil {
		return nil, err
	}
	c := made.(*net.TCPConn)
	rc, err := c.SyscallConn()
	if err == nil {
		err = writeKeepAlives(rc, d.v6, options)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	d.close()
	return c, nil
}

// connected waits for the end of connecting.
func (d *rawDraft) connected(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = d.f.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	rc, err := d.f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	err = rc.Write(func(fd uintptr) bool {
		n, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		switch {
		case err != nil:
			inner = err
			return true
		case n != 0 && unix.Errno(n) != unix.EINPROGRESS:
			inner = unix.Errno(n)
			return true
		}
		_, err = unix.Getpeername(int(fd))
		return err == nil
	})
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.Join(err, inner)
}
