// Package socket has the TCP and UDP sockets of guests, and the lookup of names.
// Each address is checked against a policy before the operating system sees it.
//
// Every error of an operation is a Code, or a stream.Misuse.
package socket

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"

	"github.com/ashlar-wasm/ashlar/wasi/internal/quota"
)

// Code is why a network operation did not happen. Its values are numbered like
// the cases of error-code in wasi:sockets/network@0.2.
type Code uint8

// The codes, in the order of the interface.
const (
	Unknown Code = iota
	AccessDenied
	NotSupported
	InvalidArgument
	OutOfMemory
	Timeout
	ConcurrencyConflict
	NotInProgress
	WouldBlock
	InvalidState
	NewSocketLimit
	AddressNotBindable
	AddressInUse
	RemoteUnreachable
	ConnectionRefused
	ConnectionReset
	ConnectionAborted
	DatagramTooLarge
	NameUnresolvable
	TemporaryResolverFailure
	PermanentResolverFailure
)

var codeNames = [...]string{
	"unknown", "access-denied", "not-supported", "invalid-argument", "out-of-memory",
	"timeout", "concurrency-conflict", "not-in-progress", "would-block", "invalid-state",
	"new-socket-limit", "address-not-bindable", "address-in-use", "remote-unreachable",
	"connection-refused", "connection-reset", "connection-aborted", "datagram-too-large",
	"name-unresolvable", "temporary-resolver-failure", "permanent-resolver-failure",
}

func (c Code) String() string {
	if int(c) < len(codeNames) {
		return codeNames[c]
	}
	return "unknown"
}

func (c Code) Error() string { return "network: " + c.String() }

// CodeOf finds the code of an error; what it does not know is Unknown.
func CodeOf(err error) Code {
	if c, ok := errors.AsType[Code](err); ok {
		return c
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return codeOfErrno(errno)
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		switch {
		case dns.IsNotFound:
			return NameUnresolvable
		case dns.IsTemporary, dns.IsTimeout:
			return TemporaryResolverFailure
		}
		return PermanentResolverFailure
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return Timeout
	case errors.Is(err, net.ErrClosed):
		return InvalidState
	}
	return Unknown
}

func coded(err error) error {
	if err == nil {
		return nil
	}
	return CodeOf(err)
}

// Use is what an address is wanted for.
type Use uint8

// The uses of addresses.
const (
	ConnectTCP Use = iota
	ListenTCP
	SendUDP // and receiving from there
	BindUDP // and receiving from anywhere
)

// Policy decides what guests may do. The zero value denies everything. It must
// be safe for concurrent use.
type Policy struct {
	// Allow decides on an address; nil denies all.
	Allow func(Use, netip.AddrPort) bool
	// Lookup decides whether a name may be looked up; nil denies all.
	Lookup func(name string) bool
	// Found, if not nil, is told what a name was found to be, and returns what of
	// it guests may know.
	Found func(name string, addrs []netip.Addr) []netip.Addr
	// Resolver looks up names; nil means the system's.
	Resolver *net.Resolver
	// Book counts sockets and lookups; nil does not.
	Book *quota.Book
	// Uses has those uses that are allowed for some address at all.
	Uses [BindUDP + 1]bool
}

func (p *Policy) check(u Use, a netip.AddrPort) error {
	if p.Allow == nil || !p.Allow(u, a) {
		return AccessDenied
	}
	return nil
}

// checkBind also lets those bind to any port, for a socket of their own, that
// may use some address from there.
func (p *Policy) checkBind(listen, use Use, a netip.AddrPort) error {
	if p.Uses[use] && a.Port() == 0 && a.Addr().IsUnspecified() {
		return nil
	}
	return p.check(listen, a)
}

// A socket of either family only takes addresses of its own.
func validFamily(a netip.Addr, v6 bool) bool {
	if !v6 {
		return a.Is4()
	}
	if !a.Is6() || a.Is4In6() {
		return false
	}
	// Addresses that are IPv4 with zeroes before it are long deprecated, and
	// systems differ in what they make of them.
	b := a.As16()
	for _, c := range b[:12] {
		if c != 0 {
			return true
		}
	}
	return a == netip.IPv6Unspecified() || a == netip.IPv6LinkLocalAllNodes() || a == netip.IPv6Loopback()
}

func validUnicast(a netip.Addr) bool {
	return !a.IsMulticast() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

func validRemote(a netip.AddrPort) bool { return !a.Addr().IsUnspecified() && a.Port() != 0 }

// network names the family as package net does.
func network(proto string, v6 bool) string {
	if v6 {
		return proto + "6"
	}
	return proto + "4"
}

func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

func addrOf(a net.Addr) netip.AddrPort {
	switch a := a.(type) {
	case *net.TCPAddr:
		return unmap(a.AddrPort())
	case *net.UDPAddr:
		return unmap(a.AddrPort())
	}
	return netip.AddrPort{}
}
