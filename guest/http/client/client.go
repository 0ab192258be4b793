// Package client lets a component send HTTP requests with net/http. It is
// imported for that alone:
//
//	import _ "github.com/ashlar-wasm/ashlar/guest/http/client"
//
// [http.DefaultTransport] stays an [http.Transport]; it is set to dial
// connections on whose other end requests are sent with
// wasi:http/outgoing-handler. Clones of it do the same. Bodies are streamed in
// both directions, trailers, timeouts and cancellation work, and goroutines wait
// at the same time. Errors wrap those of package syscall where there is one for
// the error code, such as [syscall.ECONNREFUSED], and are a [net.Error].
//
// The host opens the true connections. It verifies certificates; tls.Config and
// proxies of the Transport have no effect.
package client

import (
	"context"
	"net"
	"net/http"
	"runtime"
)

func init() {
	if runtime.GOARCH != "wasm" {
		return // a test on the developer's machine has a network
	}
	if t, ok := http.DefaultTransport.(*http.Transport); ok {
		Set(t)
	}
}

// Set makes a transport send its requests with wasi:http. It is done for
// [http.DefaultTransport].
func Set(t *http.Transport) {
	t.DialContext, t.DialTLSContext = dial("http"), dial("https")
	t.Proxy = nil
}

func dial(scheme string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, _, address string) (net.Conn, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		near, far := net.Pipe()
		c := &conn{Conn: near}
		go (&peer{conn: far, scheme: scheme, address: address, fail: c.fail}).serve()
		return c, nil
	}
}

// conn is the end that the transport has.
type conn struct {
	net.Conn
	err error
}

// fail says why there will be nothing more to read: the first cause counts.
func (c *conn) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// Read implements io.Reader.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil && c.err != nil {
		err = c.err
	}
	return n, err
}
