package p2http

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"github.com/ashlar-wasm/ashlar/wasi/internal/bind"
)

// targetKey is that of the URL a connection is made for, in its context.
type targetKey struct{}

// NewTransport returns a transport that sends requests as guests made them. It
// uses no proxy of the host's environment, and connects to an address only if
// reach allows it for the URL: what a name is found to be is looked up once, and
// just that is checked and connected to. A nil resolver is the system's.
func NewTransport(resolver *net.Resolver, reach func(*url.URL, netip.AddrPort) bool) *http.Transport {
	dialer := &net.Dialer{
		KeepAlive: 30 * time.Second,
		Resolver:  resolver,
		ControlContext: func(ctx context.Context, _, to string, _ syscall.RawConn) error {
			u, ok := ctx.Value(targetKey{}).(*url.URL)
			a, err := netip.ParseAddrPort(to)
			if !ok || err != nil || !reach(u, a) {
				return codedError{bind.HTTPErrorCodeDestinationIPProhibited{}}
			}
			return nil
		},
	}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           100,
		MaxIdleConnsPerHost:    16,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: maxFields,
	}
}
