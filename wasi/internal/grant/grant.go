// Package grant holds what a host grants to guests, shared by every version of
// WASI: arguments, environment, directories, standard streams, clocks and random
// bytes. Nothing is granted unless it is here.
package grant

import (
	"context"
	crand "crypto/rand"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/ashlar-wasm/ashlar/wasi/internal/quota"
	"github.com/ashlar-wasm/ashlar/wasi/internal/sandbox"
	"github.com/ashlar-wasm/ashlar/wasi/internal/socket"
	"github.com/ashlar-wasm/ashlar/wasi/internal/stream"
)

// Set is what one or more guests are granted. It is not changed while guests
// run.
type Set struct {
	Args  []string
	Env   [][2]string
	Dirs  []Dir
	Stdio *Stdio
	Clock Clock
	// Location is the time zone that guests are told.
	Location *time.Location
	Random   io.Reader
	// Insecure is for guests that only want different numbers, and for the seeds
	// of their hash maps.
	Insecure io.Reader
	// Network decides on sockets and lookups.
	Network *socket.Policy
	// Book counts what guests hold; nil does not.
	Book *quota.Book
	// Secret goes into whatever guests are told a hash of.
	Secret [16]byte
}

// Dir is a directory that guests find open when they start.
type Dir struct {
	Guest string
	Dir   *sandbox.Descriptor
}

// Stdio are the standard streams. Guests share them, with what was read ahead.
type Stdio struct {
	In       stream.Input
	Out, Err stream.Output
	// Whether each is a terminal.
	InTerminal, OutTerminal, ErrTerminal bool
}

// NewStdio makes streams of readers and writers; nil ones are empty or forget.
func NewStdio(in io.Reader, out, errs io.Writer) *Stdio {
	s := &Stdio{In: stream.Empty{}, Out: stream.Discard{}, Err: stream.Discard{}}
	if in != nil {
		s.In, s.InTerminal = stream.NewReader(in, nil), isTerminal(in)
	}
	if out != nil {
		s.Out, s.OutTerminal = stream.NewWriter(out, true, nil), isTerminal(out)
	}
	if errs != nil {
		s.Err, s.ErrTerminal = stream.NewWriter(errs, true, nil), isTerminal(errs)
	}
	return s
}

// guestContext is the context of the calls of a guest with an account and standard
// streams of its own. Most guests never use those, so they are made when one does.
type guestContext struct {
	context.Context
	account   quota.Guest
	in        io.Reader
	out, errs io.Writer
	once      sync.Once
	stdio     *Stdio
}

type guestKey struct{}

// Value implements context.Context.
func (c *guestContext) Value(key any) any {
	switch key.(type) {
	case guestKey:
		return c
	case quota.GuestKey:
		return &c.account
	}
	return c.Context.Value(key)
}

// WithStdio gives the calls made with the context standard streams of their own, as
// NewStdio makes them, and counts what they hold apart from others.
func WithStdio(ctx context.Context, in io.Reader, out, errs io.Writer) context.Context {
	return &guestContext{Context: ctx, in: in, out: out, errs: errs}
}

// StdioOf returns the standard streams for calls with ctx.
func (s *Set) StdioOf(ctx context.Context) *Stdio {
	c, ok := ctx.Value(guestKey{}).(*guestContext)
	if !ok {
		return s.Stdio
	}
	c.once.Do(func() { c.stdio = NewStdio(c.in, c.out, c.errs) })
	return c.stdio
}

// Exit is how a guest ends itself with a status: the error of the call that was
// running.
type Exit struct{ Code uint32 }

func (e Exit) Error() string { return fmt.Sprintf("guest exited with status %d", e.Code) }

// Clock tells the time. It is safe for concurrent use.
type Clock interface {
	// Now is the time of day.
	Now() time.Time
	// Monotonic is the time since some fixed moment; it never goes back.
	Monotonic() time.Duration
	// AfterFunc calls f once, in any goroutine, when Monotonic has advanced by
	// d. Stop ends that.
	AfterFunc(d time.Duration, f func()) (stop func())
}

// SystemClock returns the host's clock, whose monotonic time starts now.
func SystemClock() Clock { return systemClock{time.Now()} }

type systemClock struct{ start time.Time }

func (systemClock) Now() time.Time             { return time.Now() }
func (c systemClock) Monotonic() time.Duration { return time.Since(c.start) }

func (systemClock) AfterFunc(d time.Duration, f func()) func() {
	t := time.AfterFunc(d, f)
	return func() { t.Stop() }
}

// Timer returns a pollable that is ready when the clock's monotonic time, in
// nanoseconds, reaches at.
func Timer(c Clock, at uint64) stream.Pollable { return timer{c, at} }

type timer struct {
	clock Clock
	at    uint64
}

func (t timer) Ready() bool { return uint64(t.clock.Monotonic()) >= t.at }

func (t timer) Watch(wake func()) (stop func()) {
	left := int64(0)
	if now := uint64(t.clock.Monotonic()); now < t.at {
		left = int64(min(t.at-now, 1<<63-1))
	}
	return t.clock.AfterFunc(time.Duration(left), wake)
}

// After returns a pollable that is ready when nanos have passed.
func After(c Clock, nanos uint64) stream.Pollable {
	at := uint64(c.Monotonic()) + nanos
	if at < nanos {
		at = 1<<64 - 1
	}
	return Timer(c, at)
}

// SystemRandom is the host's secure source of random bytes.
var SystemRandom io.Reader = crand.Reader
