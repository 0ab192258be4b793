//go:build !unix

package socket

import (
	"net"
	"net/netip"
)

// receiveNow never has a datagram where nothing can be read without waiting:
// one is received at a time then.
func receiveNow(*net.UDPConn, []byte) (n int, from netip.AddrPort, ok bool) { return }
