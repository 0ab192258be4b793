package socket

import (
	"context"
	"net"
	"net/netip"
	"strings"

	"github.com/ashlar-wasm/ashlar/wasi/internal/stream"
)

// Lookup is a lookup of a name that is under way. One goroutine at a time uses
// it.
type Lookup struct {
	stream.Future[found]
	cancel context.CancelFunc
	next   int
}

type found struct {
	addrs []netip.Addr
	err   error
}

// StartLookup begins to look up a name, or reads an address.
func StartLookup(ctx context.Context, p *Policy, name string) (*Lookup, error) {
	addr, literal := parseLiteral(name)
	if !literal && !validName(name) {
		return nil, InvalidArgument
	}
	if p.Lookup == nil || !p.Lookup(strings.ToLower(strings.TrimSuffix(name, "."))) {
		return nil, PermanentResolverFailure
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l := &Lookup{cancel: cancel}
	if literal {
		l.Set(found{addrs: []netip.Addr{addr}})
		return l, nil
	}
	go func() {
		defer cancel()
		addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		for i := range addrs {
			addrs[i] = addrs[i].Unmap()
		}
		if err == nil && p.Found != nil {
			p.Found(strings.ToLower(strings.TrimSuffix(name, ".")), addrs)
		}
		l.Set(found{addrs, coded(err)})
	}()
	return l, nil
}

func parseLiteral(name string) (netip.Addr, bool) {
	inner, bracketed := strings.CutPrefix(name, "[")
	if bracketed {
		inner = strings.TrimSuffix(inner, "]")
	}
	a, err := netip.ParseAddr(inner)
	return a, err == nil && a.Zone() == "" && (!bracketed || a.Is6())
}

func validName(name string) bool {
	if name == "" || len(name) > 255 {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for _, c := range []byte(label) {
			switch {
			case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '-', c == '_':
			default:
				return false
			}
		}
	}
	return true
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
func (l *Lookup) Close() { l.cancel() }
