package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/net/netutil"
)

// serveOptions are the flags of serve.
type serveOptions struct {
	compiling
	addr      string
	certFile  string
	keyFile   string
	maxHeader byteSize
	maxBody   byteSize
	instanceLimits
	pooling
	maxConnections  int
	requestTimeout  timeLimit
	headerTimeout   timeLimit
	idleTimeout     timeLimit
	shutdownTimeout timeLimit
	verbose         bool
}

func newServe(s *streams) *cobra.Command {
	var g grants
	o := serveOptions{
		maxHeader: 1 << 20, maxBody: 64 << 20, instanceLimits: instanceLimits{cpu: timeLimit(10 * time.Second)},
		requestTimeout: timeLimit(time.Minute), headerTimeout: timeLimit(10 * time.Second), idleTimeout: timeLimit(2 * time.Minute),
		shutdownTimeout: timeLimit(30 * time.Second),
	}
	cmd := &cobra.Command{
		Use:   "serve [flags] [FILE|REF]",
		Short: "Serve HTTP with a wasi:http component",
		Long: `Serve HTTP with a component that exports wasi:http/incoming-handler. Every
request gets an instance of its own, which begins with what all instances share
(--snapshot) and in which no earlier one left anything. HTTP/1.1 and HTTP/2 are spoken, over TLS
where a certificate is given. Without FILE it is what 'ashlar build' made of the
project in the folder.

A guest that traps gives the status 500 and a line in the log; what it prints
appears line by line with the number of its request. On SIGTERM or an interrupt
the server stops accepting, finishes the requests under way and ends.`,
		Example: `  ashlar serve app.wasm
  ashlar serve --addr 127.0.0.1:0 -v --allow-http api.example.com app.wasm
  ashlar serve --addr :8443 --tls-cert cert.pem --tls-key key.pem app.wasm
  ashlar serve --snapshot warm --warm-up "GET /" app.wasm`,
		Args: atMostArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			path, err := fileOrProject(args)
			if err != nil {
				return err
			}
			f, err := o.read(c.Context(), s, path)
			if err != nil {
				return err
			}
			if err := f.wantComponent("serve"); err != nil {
				return err
			}
			if (o.certFile == "") != (o.keyFile == "") {
				return usageError("--tls-cert and --tls-key go together")
			}
			if o.maxConnections < 1 {
				return usageError("--max-connections must be at least 1")
			}
			if err := o.pooling.check(); err != nil {
				return err
			}
			if os.Getenv("GOGC") == "" {
				// Little is alive between requests (guests' memories are not on
				// the heap), so the default would collect all the time.
				defer debug.SetGCPercent(debug.SetGCPercent(400))
			}
			guest := &streams{out: s.err, err: s.err}
			return g.withSystem(guest, []string{f.path}, func(sys *system) error {
				ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
				defer stop()
				// A second signal ends the process.
				context.AfterFunc(ctx, stop)
				return o.serve(ctx, s, f, sys)
			})
		},
	}
	g.flags(cmd)
	o.instanceLimits.flags(cmd)
	fl := cmd.Flags()
	fl.StringVar(&o.addr, "addr", "127.0.0.1:8080", "address to listen on; port 0 picks one")
	fl.StringVar(&o.certFile, "tls-cert", "", "PEM file with the TLS certificate chain")
	fl.StringVar(&o.keyFile, "tls-key", "", "PEM file with the TLS key")
	fl.Var(&o.maxHeader, "max-header", "bytes of a request's headers")
	fl.Var(&o.maxBody, "max-body", "bytes of a request's body")
	fl.IntVar(&o.maxConnections, "max-connections", 4096, "open connections")
	o.pooling.flags(cmd)
	fl.Var(&o.requestTimeout, "timeout", "time for one request")
	o.compiling.flags(cmd)
	fl.Var(&o.headerTimeout, "header-timeout", "time to send a request's headers")
	fl.Var(&o.idleTimeout, "idle-timeout", "time that an unused connection stays open")
	fl.Var(&o.shutdownTimeout, "shutdown-timeout", "time for requests under way when the server is stopped")
	fl.BoolVarP(&o.verbose, "verbose", "v", false, "log every request, with the CPU time that its guest took")
	return cmd
}

func (o *serveOptions) serve(ctx context.Context, s *streams, f *file, sys *system) (err error) {
	// What is compiled outlives a signal that comes early: it is closed below.
	life := context.WithoutCancel(ctx)
	e, end := o.newEngine(s, o.limits(), o.restore.Restore)
	defer func() { err = errors.Join(err, end(life)) }()
	c, p, err := sys.prepare(ctx, f, e, &o.compiling)
	if err != nil {
		return err
	}
	if !c.ExportsInterface(handlerInterface) {
		return f.invalid(fmt.Errorf("exports no wasi:http/incoming-handler, so it can't serve HTTP%s", exportsHint(c)))
	}
	logger := newServeLog(s.err)
	pool, err := o.pool(ctx, p, logger)
	if err != nil {
		return f.wrap(err)
	}
	defer func() { err = errors.Join(err, pool.Close(life)) }()
	if o.verbose {
		info := pool.Snapshot()
		logger.printf("snapshot %v, %d bytes: %s", info.Mode, info.Bytes, info.Reason)
	}
	handler := o.handler(pool, logger)
	listener, err := net.Listen("tcp", o.addr)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           handler,
		MaxHeaderBytes:    int(o.maxHeader),
		ReadHeaderTimeout: time.Duration(o.headerTimeout),
		IdleTimeout:       time.Duration(o.idleTimeout),
		ErrorLog:          log.New(logger, "", 0),
		Protocols:         new(http.Protocols),
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	scheme := "http"
	if o.certFile != "" {
		scheme = "https"
		cert, err := tls.LoadX509KeyPair(o.certFile, o.keyFile)
		if err != nil {
			return errors.Join(err, listener.Close())
		}
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	}
	address := listener.Addr().String()
	limited := netutil.LimitListener(listener, o.maxConnections)
	done := make(chan error, 1)
	go func() {
		if scheme == "https" {
			done <- server.ServeTLS(limited, "", "")
		} else {
			done <- server.Serve(limited)
		}
	}()
	fmt.Fprintf(s.err, "listening on %s://%s\n", scheme, address)
	defer func() { logger.totals(handler.last.Load(), p.Usage(), sys.Usage()) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(life, time.Duration(o.shutdownTimeout))
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		// Handlers see their requests cancelled and end.
		_ = server.Close()
		return fmt.Errorf("requests still under way after %v were broken off", time.Duration(o.shutdownTimeout))
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
