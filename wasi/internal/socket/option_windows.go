package socket

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// Numbers that package windows does not name.
const (
	tcpKeepCount    = 16
	tcpKeepInterval = 17
	tcpKeepIdle     = 3
	ipTTL           = 4
)

// doubledBuffers: the system reports the size that was set.
const doubledBuffers = false

func (o option) number(v6 bool) (level, name int, ok bool) {
	switch o {
	case keepAlive:
		return windows.SOL_SOCKET, windows.SO_KEEPALIVE, true
	case keepIdle:
		return windows.IPPROTO_TCP, tcpKeepIdle, true
	case keepInterval:
		return windows.IPPROTO_TCP, tcpKeepInterval, true
	case keepCount:
		return windows.IPPROTO_TCP, tcpKeepCount, true
	case hopLimit:
		if v6 {
			return windows.IPPROTO_IPV6, windows.IPV6_UNICAST_HOPS, true
		}
		return windows.IPPROTO_IP, ipTTL, true
	case receiveBuffer:
		return windows.SOL_SOCKET, windows.SO_RCVBUF, true
	case sendBuffer:
		return windows.SOL_SOCKET, windows.SO_SNDBUF, true
	}
	return 0, 0, false
}

func getInt(fd uintptr, level, name int) (int, error) {
	return windows.GetsockoptInt(windows.Handle(fd), level, name)
}

func setInt(fd uintptr, level, name, v int) error {
	return windows.SetsockoptInt(windows.Handle(fd), level, name, v)
}

func codeOfErrno(e syscall.Errno) Code {
	switch windows.Errno(e) {
	case windows.WSAEACCES:
		return AccessDenied
	case windows.WSAEADDRINUSE:
		return AddressInUse
	case windows.WSAEADDRNOTAVAIL:
		return AddressNotBindable
	case windows.WSAETIMEDOUT:
		return Timeout
	case windows.WSAECONNREFUSED:
		return ConnectionRefused
	case windows.WSAECONNRESET:
		return ConnectionReset
	case windows.WSAECONNABORTED:
		return ConnectionAborted
	case windows.WSAEINVAL:
		return InvalidArgument
	case windows.WSAEHOSTUNREACH, windows.WSAEHOSTDOWN, windows.WSAENETDOWN, windows.WSAENETUNREACH:
		return RemoteUnreachable
	case windows.WSAEISCONN, windows.WSAENOTCONN, windows.WSAEDESTADDRREQ:
		return InvalidState
	case windows.WSAEMSGSIZE:
		return DatagramTooLarge
	case windows.WSAENOBUFS:
		return OutOfMemory
	case windows.WSAEMFILE:
		return NewSocketLimit
	case windows.WSAEOPNOTSUPP, windows.WSAENOPROTOOPT, windows.WSAEPFNOSUPPORT,
		windows.WSAEPROTONOSUPPORT, windows.WSAEPROTOTYPE, windows.WSAESOCKTNOSUPPORT, windows.WSAEAFNOSUPPORT:
		return NotSupported
	}
	return Unknown
}
