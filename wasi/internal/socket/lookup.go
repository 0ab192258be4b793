package socket

import (
	"cmp"
	"context"
	"net/netip"
	"time"

	"github.com/ashlar-wasm/ashlar/wasi/internal/address"
	"github.com/ashlar-wasm/ashlar/wasi/internal/quota"
	"github.com/ashlar-wasm/ashlar/wasi/internal/stream"
)

// Lookup is a lookup of a name that is under way. One goroutine at a time uses
// it.
type Lookup struct {
	stream.Future[found]
	cancel context.CancelFunc
	hold   *quota.Hold
	next   int
}

type found struct {
	addrs []netip.Addr
	err   error
}

// What bounds a lookup.
const (
	lookupTime   = 30 * time.Second
	maxAddresses = 256
)

// StartLookup begins to look up a name, or reads an address.
func StartLookup(ctx context.Context, p *Policy, name string) (*Lookup, error) {
	host, ok := address.ParseHost(name)
	if !ok {
		return nil, InvalidArgument
	}
	if p.Lookup == nil || !p.Lookup(cmp.Or(host.Name, name)) {
		return nil, PermanentResolverFailure
	}
	if host.Addr.IsValid() {
		l := &Lookup{cancel: func() {}}
		l.Set(found{addrs: []netip.Addr{host.Addr}})
		return l, nil
	}
	hold, err := p.Book.Take(ctx, quota.Connections, 1)
	if err != nil {
		return nil, TemporaryResolverFailure
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupTime)
	l := &Lookup{cancel: cancel, hold: hold}
	go func() {
		defer cancel()
		addrs, err := p.Resolver.LookupNetIP(ctx, "ip", name)
		addrs = addrs[:min(len(addrs), maxAddresses)]
		for i := range addrs {
			addrs[i] = addrs[i].Unmap()
		}
		if err == nil && p.Found != nil {
			if addrs = p.Found(host.Name, addrs); len(addrs) == 0 {
				err = AccessDenied
			}
		}
		l.Set(found{addrs, coded(err)})
	}()
	return l, nil
}

// Next returns the next address; ok is false after the last.
func (l *Lookup) Next() (a netip.Addr, ok bool, err error) {
	f, done := l.Get()
	switch {
	case !done:
		return a, false, WouldBlock
	case f.err != nil:
		return a, false, f.err
	case l.next == len(f.addrs):
		return a, false, nil
	}
	l.next++
	return f.addrs[l.next-1], true, nil
}

// Close ends the lookup.
func (l *Lookup) Close() {
	l.cancel()
	l.hold.Give()
}
