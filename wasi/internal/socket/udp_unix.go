//go:build unix

package socket

import (
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// receiveNow returns a datagram that is there already; ok is false if none is.
// No other read may be under way.
func receiveNow(c *net.UDPConn, buf []byte) (n int, from netip.AddrPort, ok bool) {
	rc, err := c.SyscallConn()
	if err != nil {
		return 0, from, false
	}
	_ = rc.Read(func(fd uintptr) bool {
		var sa unix.Sockaddr
		n, sa, err = unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT)
		switch sa := sa.(type) {
		case *unix.SockaddrInet4:
			from, ok = netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)), err == nil
		case *unix.SockaddrInet6:
			from, ok = netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port)), err == nil
		}
		return true
	})
	return n, from, ok
}
