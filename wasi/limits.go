package wasi

import (
	"cmp"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/wasi/internal/quota"
)

// Limits bound what one guest holds of the host at a time. A zero field takes the
// default, a negative one is as 1. Where an interface has an error that fits, the guest gets that:
// new-socket-limit, temporary-resolver-failure of a lookup,
// HTTP's connection-limit-reached, insufficient-memory of files and their
// streams, and nfile in WASI 0.1. Else the call ends with a
// *component.LimitError.
//
// Which calls are one guest's: those of one process of WASI 0.1, those made with
// one context of WithStdio, and all others with the System.
type Limits struct {
	// Connections bounds sockets, accepted connections, lookups of names and
	// outgoing HTTP requests together, until nothing is left of each: a request
	// counts until the body of its response is dropped, a socket also while a
	// peer takes what is still to be sent. The default is 128.
	Connections int
	// AllConnections bounds those of all guests of the System: what a guest leaves
	// to be sent may outlive it by up to 30 s. The default is 8192.
	AllConnections int
	// Files bounds files and directories that are open, and directories that are
	// being read; those granted do not count. The default is 1024.
	Files int
	// Streams bounds the streams of files and the bodies of messages being sent.
	// Each may hold 192 KiB of the host's memory, as may those of connections. The
	// default is 1024.
	Streams int
	// FieldBytes bounds the HTTP fields that the guest made, with 32 bytes for
	// each, and the messages being made with their methods and URIs, in bytes; the
	// default is 4 MiB. One resource of fields has at most 128 KiB.
	FieldBytes int
}

// DefaultLimits returns the limits that hold where no others are given.
func DefaultLimits() Limits { return Limits{}.withDefaults() }

func (l Limits) withDefaults() Limits {
	return Limits{
		Connections: cmp.Or(l.Connections, 128), AllConnections: cmp.Or(l.AllConnections, 8192), Files: cmp.Or(l.Files, 1024),
		Streams: cmp.Or(l.Streams, 1024), FieldBytes: cmp.Or(l.FieldBytes, 4<<20),
	}
}

func (l Limits) quota() quota.Limits {
	l = l.withDefaults()
	bound := func(n int) uint64 { return uint64(max(n, 1)) }
	return quota.Limits{
		Connections: bound(l.Connections), AllConnections: bound(l.AllConnections), Files: bound(l.Files), Streams: bound(l.Streams), Fields: bound(l.FieldBytes),
	}
}

// What Limits bound, and with fixed limits the random bytes (64 MiB) and the
// pollables (65,536) of one call, beyond which it ends with a
// *component.LimitError.
const (
	LimitedConnections component.Limited = quota.Connections
	LimitedFiles       component.Limited = quota.Files
	LimitedStreams     component.Limited = quota.Streams
	LimitedFields      component.Limited = quota.Fields
	LimitedRandom      component.Limited = quota.Random
	LimitedPollables   component.Limited = quota.Pollables
)

// Usage is what the guests of a System did, until now.
type Usage struct {
	// Limits counts how often a limit was met, by resource. component.Usage
	// counts those of them that ended a call, too.
	Limits map[component.Limited]uint64
}

// Usage returns what all guests did.
func (s *System) Usage() Usage { return Usage{Limits: s.grants.Book.Counts()} }
