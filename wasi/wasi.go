// Package wasi is the host side of WASI: what lets a guest see files, clocks,
// standard streams and the network of this machine, as far as it is granted.
//
// A guest gets nothing by default: no directory, no environment, no network. The
// Options of a System say what it gets. One System serves any number of guests,
// of every version of WASI, at once.
package wasi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/wasi/internal/grant"
	"github.com/ashlar-wasm/ashlar/wasi/internal/p2http"
	"github.com/ashlar-wasm/ashlar/wasi/internal/quota"
	"github.com/ashlar-wasm/ashlar/wasi/internal/sandbox"
)

// Options are what guests are granted. The zero value grants nothing.
type Options struct {
	// Args are the arguments, the name of the program first.
	Args []string
	// Env are the environment variables, as "KEY=VALUE".
	Env []string
	// Stdin, Stdout and Stderr are the standard streams; nil ones are empty or
	// forget what is written. A write of a guest returns when its bytes are
	// written. Reads may run ahead of the guest by up to 64 KiB.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Dirs are the directories that guests find open, at most MaxDirs.
	Dirs []Dir
	// Net lists what guests may do with sockets. Each is
	// [KIND://]HOST[:PORT[-PORT]]. KIND is tcp or udp to reach HOST, tcp-listen
	// or udp-listen to be reached at HOST; none means tcp and udp. HOST is an
	// address (one of IPv6 in brackets if a port follows), a range of addresses
	// such as 10.0.0.0/8, *, or a name, which allows to look it up and to reach
	// the addresses found. No port means any.
	//
	// A name, or * for tcp and udp, stands for public addresses only: those of
	// this machine, of private networks, link-local and all others that IANA
	// lists for special purposes are out of reach, and guests are not told of
	// them, unless a rule has their address or range. The name localhost stands
	// for loopback addresses.
	Net []string
	// HTTP is where guests may send requests to.
	HTTP HTTP
	// Clock tells the time; nil means the host's clock.
	Clock Clock
	// Location is the time zone that guests are told; nil means UTC.
	Location *time.Location
	// Random is the source of secure random bytes; nil means the host's. It
	// must be safe for concurrent use.
	Random io.Reader
	// Resolver looks up names; nil means net.DefaultResolver.
	Resolver *net.Resolver
	// Limits bound what each guest holds of the host.
	Limits Limits
	// Reached, if not nil, is told when a guest meets a limit of this package for
	// the first time, while it is being refused: to log it, say. It must be safe
	// for concurrent use.
	Reached func(context.Context, *component.LimitError)
}

// MaxDirs bounds the directories granted to one guest.
const MaxDirs = 1024

// Dir grants a directory of the host.
type Dir struct {
	Host     string // its path on the host, opened once
	Guest    string // what guests call it
	ReadOnly bool   // whether nothing beneath can be changed
}

// HTTP grants outgoing requests.
type HTTP struct {
	// Allow lists where requests may go. Each is [http://|https://]HOST[:PORT],
	// where HOST is a name, *.NAME for the names below it, an address, a range
	// of addresses such as 10.0.0.0/8, or * for every host. No port means any.
	//
	// As in Options.Net, names and * stand for public addresses only, and
	// localhost for this machine. A range allows requests to the addresses in it;
	// those to a name that resolves into it need a rule for the name, too.
	Allow []string
	// Transport sends the requests that are allowed; nil means one of the
	// System's own, without proxies, that connects only to addresses that are
	// allowed. One given here has to see to that itself.
	Transport http.RoundTripper
}

// Clock tells the time. It is safe for concurrent use.
type Clock interface {
	// Now is the time of day.
	Now() time.Time
	// Monotonic is the time since some fixed moment; it never goes back.
	Monotonic() time.Duration
	// AfterFunc calls f once, in any goroutine, when Monotonic has advanced by
	// d; stop ends that.
	AfterFunc(d time.Duration, f func()) (stop func())
}

// ExitError is how a guest ends itself: the error of the call that was running
// wraps it.
type ExitError = grant.Exit

// System is what guests are granted, made ready. It is safe for concurrent use.
type System struct {
	grants    grant.Set
	client    p2http.Client
	transport *http.Transport // to be closed, or nil
}

// New opens what the options grant. The caller closes the System when no guest
// uses it any more.
func New(o Options) (*System, error) {
	s := &System{grants: grant.Set{
		Args:     o.Args,
		Stdio:    grant.NewStdio(o.Stdin, o.Stdout, o.Stderr),
		Clock:    o.Clock,
		Location: o.Location,
		Random:   o.Random,
		Insecure: insecure{},
	}}
	if s.grants.Clock == nil {
		s.grants.Clock = grant.SystemClock()
	}
	if s.grants.Random == nil {
		s.grants.Random = grant.SystemRandom
	}
	if s.grants.Location == nil {
		s.grants.Location = time.UTC
	}
	if _, err := io.ReadFull(s.grants.Random, s.grants.Secret[:]); err != nil {
		return nil, fmt.Errorf("read random bytes: %w", err)
	}
	for i, a := range o.Args {
		if strings.IndexByte(a, 0) >= 0 {
			return nil, fmt.Errorf("argument %d contains a zero byte", i)
		}
	}
	for _, kv := range o.Env {
		k, v, ok := strings.Cut(kv, "=")
		if !ok || k == "" || strings.IndexByte(kv, 0) >= 0 {
			return nil, fmt.Errorf("environment variable %q is not of the form KEY=VALUE", kv)
		}
		s.grants.Env = append(s.grants.Env, [2]string{k, v})
	}
	network, err := newNetPolicy(o.Net)
	if err != nil {
		return nil, err
	}
	s.grants.Book = quota.NewBook(o.Limits.quota(), o.Reached)
	network.Resolver, network.Book = o.Resolver, s.grants.Book
	s.grants.Network, s.client.Book = network, s.grants.Book
	if err := s.allowHTTP(o.HTTP, o.Resolver); err != nil {
		return nil, err
	}
	if len(o.Dirs) > MaxDirs {
		return nil, fmt.Errorf("%d directories granted, at most %d can be", len(o.Dirs), MaxDirs)
	}
	for _, d := range o.Dirs {
		if d.Guest == "" || strings.IndexByte(d.Guest, 0) >= 0 {
			return nil, errors.Join(fmt.Errorf("directory %q has no valid name for guests: %q", d.Host, d.Guest), s.Close())
		}
		opened, err := sandbox.OpenDir(d.Host, d.ReadOnly)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("grant %q: %w", d.Guest, err), s.Close())
		}
		s.grants.Dirs = append(s.grants.Dirs, grant.Dir{Guest: d.Guest, Dir: opened})
	}
	return s, nil
}

// allowHTTP makes the client for outgoing requests.
func (s *System) allowHTTP(o HTTP, resolver *net.Resolver) error {
	policy, err := newHTTPPolicy(o.Allow)
	if err != nil || len(policy) == 0 {
		return err
	}
	s.client.Allow = policy.allow
	s.client.Transport = o.Transport
	if o.Transport == nil {
		s.transport = p2http.NewTransport(resolver, policy.reach)
		s.client.Transport = s.transport
	}
	return nil
}

// Close releases what New opened.
func (s *System) Close() error {
	if s.transport != nil {
		s.transport.CloseIdleConnections()
	}
	var errs []error
	for _, d := range s.grants.Dirs {
		errs = append(errs, d.Dir.Close())
	}
	return errors.Join(errs...)
}

// WithStdio gives the calls made with the context standard streams of their own
// in place of those of the Options. They count as those of a guest of their own,
// with limits of its own; all calls without count as those of one guest.
func WithStdio(ctx context.Context, in io.Reader, out, errs io.Writer) context.Context {
	return grant.WithStdio(ctx, in, out, errs)
}

// insecure gives fast random bytes that must not protect anything.
type insecure struct{}

func (insecure) Read(p []byte) (int, error) {
	for i := 0; i < len(p); i += 8 {
		n := rand.Uint64()
		for j := i; j < min(i+8, len(p)); j++ {
			p[j] = byte(n)
			n >>= 8
		}
	}
	return len(p), nil
}
