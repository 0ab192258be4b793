//go:build unix

package socket

import "golang.org/x/sys/unix"

func (o option) number(v6 bool) (level, name int, ok bool) {
	switch o {
	case keepAlive:
		return unix.SOL_SOCKET, unix.SO_KEEPALIVE, true
	case keepIdle:
		return unix.IPPROTO_TCP, tcpKeepIdle, true
	case keepInterval:
		return unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, true
	case keepCount:
		return unix.IPPROTO_TCP, unix.TCP_KEEPCNT, true
	case hopLimit:
		if v6 {
			return unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, true
		}
		return unix.IPPROTO_IP, unix.IP_TTL, true
	case receiveBuffer:
		return unix.SOL_SOCKET, unix.SO_RCVBUF, true
	case sendBuffer:
		return unix.SOL_SOCKET, unix.SO_SNDBUF, true
	}
	return 0, 0, false
}

func getInt(fd uintptr, level, name int) (int, error) {
	return unix.GetsockoptInt(int(fd), level, name)
}

func setInt(fd uintptr, level, name, v int) error {
	err := unix.SetsockoptInt(int(fd), level, name, v)
	if err == unix.ENOBUFS && level == unix.SOL_SOCKET {
		return nil // a size is a hint, which some systems refuse to shorten
	}
	return err
}

func codeOfErrno(e unix.Errno) Code {
	switch e {
	case unix.EPERM, unix.EACCES:
		return AccessDenied
	case unix.EADDRINUSE:
		return AddressInUse
	case unix.EADDRNOTAVAIL:
		return AddressNotBindable
	case unix.ETIMEDOUT:
		return Timeout
	case unix.ECONNREFUSED:
		return ConnectionRefused
	case unix.ECONNRESET, unix.EPIPE:
		return ConnectionReset
	case unix.ECONNABORTED:
		return ConnectionAborted
	case unix.EINVAL:
		return InvalidArgument
	case unix.EHOSTUNREACH, unix.EHOSTDOWN, unix.ENETDOWN, unix.ENETUNREACH:
		return RemoteUnreachable
	case unix.EISCONN, unix.ENOTCONN, unix.EDESTADDRREQ, unix.EBADF:
		return InvalidState
	case unix.EMSGSIZE:
		return DatagramTooLarge
	case unix.ENOMEM, unix.ENOBUFS:
		return OutOfMemory
	case unix.EMFILE, unix.ENFILE:
		return NewSocketLimit
	case unix.EOPNOTSUPP, unix.ENOPROTOOPT, unix.EPFNOSUPPORT, unix.EPROTONOSUPPORT,
		unix.EPROTOTYPE, unix.ESOCKTNOSUPPORT, unix.EAFNOSUPPORT:
		return NotSupported
	case unix.EAGAIN:
		return WouldBlock
	}
	return Unknown
}
