package p1

import (
	"errors"

	"github.com/ashlar-wasm/ashlar/wasi/internal/grant"
	"github.com/ashlar-wasm/ashlar/wasi/internal/sandbox"
	"github.com/ashlar-wasm/ashlar/wasi/internal/stream"
)

// maxSubscriptions bounds what one poll waits for.
const maxSubscriptions = 4096

const (
	eventClock = iota
	eventRead
	eventWrite
)

// subscription is one of those given to poll_oneoff.
type subscription struct {
	userdata uint64
	kind     byte
	err      errno // known at once
	file     *descriptor
}

const hangup = 1

func pollOneoff(c *call) errno {
	n := c.args[2]
	if n == 0 || n > maxSubscriptions {
		return inval
	}
	in, e := c.bytes(c.args[0], 48*n)
	if e != success {
		return e
	}
	out, e := c.bytes(c.args[1], 32*n)
	if e != success {
		return e
	}
	subs := make([]subscription, n)
	waits := make([]stream.Pollable, n)
	for i := range subs {
		subs[i], waits[i] = c.subscribe(in[48*i : 48*(i+1)])
	}
	ready, err := stream.Poll(c.ctx, waits)
	if err != nil {
		panic(err)
	}
	for i, which := range ready {
		subs[which].event(out[32*i : 32*(i+1)])
	}
	return c.put32(c.args[3], uint32(len(ready)))
}

func (c *call) subscribe(b []byte) (s subscription, wait stream.Pollable) {
	s = subscription{userdata: le.Uint64(b), kind: b[8]}
	wait = stream.Immediate{}
	switch s.kind {
	case eventClock:
		s.err, wait = c.timer(le.Uint32(b[16:]), le.Uint64(b[24:]), le.Uint16(b[40:]))
	case eventRead, eventWrite:
		var d *descriptor
		if d, s.err = c.get(uint64(le.Uint32(b[16:])), 0); s.err != success {
			break
		}
		switch {
		case d.file != nil && d.file.IsDir():
			s.err = badf
		case d.base&pollFdReadwrite == 0:
			s.err = notcapable
		case d.file != nil:
			s.file = d
		case s.kind == eventRead && d.in != nil:
			wait = d.in
		case s.kind == eventWrite && d.out != nil:
			wait = d.out
		default:
			s.err = badf
		}
	default:
		s.err = inval
	}
	return s, wait
}

func (c *call) timer(clock uint32, timeout uint64, flags uint16) (errno, stream.Pollable) {
	absolute := flags&1 != 0
	switch {
	case clock == clockMonotonic && absolute:
		return success, grant.Timer(c.grants.Clock, timeout)
	case clock == clockRealtime && absolute:
		now := nanos(c.grants.Clock.Now())
		return success, grant.After(c.grants.Clock, max(timeout, now)-now)
	case clock == clockMonotonic, clock == clockRealtime:
		return success, grant.After(c.grants.Clock, timeout)
	}
	return inval, stream.Immediate{}
}

// event writes what became of the subscription.
func (s *subscription) event(b []byte) {
	clear(b)
	le.PutUint64(b, s.userdata)
	le.PutUint16(b[8:], uint16(s.err))
	b[10] = s.kind
	if s.kind == eventClock || s.err != success {
		return
	}
	bytes, flags := uint64(1), uint16(0)
	if s.file != nil && s.kind == eventRead {
		st, err := s.file.file.Stat()
		if code, ok := errors.AsType[sandbox.Code](err); ok {
			le.PutUint16(b[8:], uint16(errnoOf(code)))
			return
		}
		bytes = max(st.Size, s.file.position) - s.file.position
		if bytes == 0 {
			flags = hangup
		}
	}
	le.PutUint64(b[16:], bytes)
	le.PutUint16(b[24:], flags)
}
