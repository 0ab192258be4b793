package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/wasi"
)

// serveLog writes whole lines from many requests.
type serveLog struct {
	mu sync.Mutex
	w  io.Writer
}

func newServeLog(w io.Writer) *serveLog { return &serveLog{w: w} }

// Write implements io.Writer for one or more whole lines.
func (l *serveLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func (l *serveLog) printf(format string, args ...any) {
	fmt.Fprintf(l, "%s "+format+"\n", append([]any{time.Now().UTC().Format("2006-01-02T15:04:05.000Z")}, args...)...)
}

// failed logs why a request was not served.
func (l *serveLog) failed(id uint64, r *http.Request, err error) {
	stack := ""
	if t, ok := asTrap(err); ok {
		stack = "\n" + strings.TrimRight(t.Backtrace(), "\n")
	}
	l.printf("request %d: %s %s: %v%s", id, r.Method, quoteURL(r), err, stack)
}

// totals logs what all requests took, and how often limits were reached.
func (l *serveLog) totals(requests uint64, u component.Usage, w wasi.Usage) {
	var limits []string
	for _, counts := range []map[component.Limited]uint64{u.Limits, w.Limits} {
		for r, n := range counts {
			limits = append(limits, fmt.Sprintf("%s %d", r, n))
		}
	}
	slices.Sort(limits)
	reached := "no limit was reached"
	if len(limits) > 0 {
		reached = "limits reached: " + strings.Join(limits, ", ")
	}
	l.printf("%d requests, CPU time of guests %v, %s", requests, u.CPU.Round(time.Microsecond), reached)
}

func quoteURL(r *http.Request) string {
	// What a client sent must not be able to forge lines of the log.
	return strings.Trim(fmt.Sprintf("%q", r.URL.RequestURI()), `"`)
}

// maxGuestOutput bounds what one request may print.
const maxGuestOutput = 64 << 10

// guestLog writes what a guest prints, line by line with the request's number.
// It is safe for concurrent use.
type guestLog struct {
	log     *serveLog
	request uint64 // or 0 before there are any
	stream  string
	mu      sync.Mutex
	line    []byte
	total   int
}

func (l *serveLog) guest(request uint64, stream string) guestLog {
	return guestLog{log: l, request: request, stream: stream}
}

// initialising returns a context for guests that are made before there are requests,
// and what writes the last line that they print.
func (l *serveLog) initialising(ctx context.Context) (_ context.Context, end func()) {
	out, errs := l.guest(0, "stdout"), l.guest(0, "stderr")
	return wasi.WithStdio(ctx, nil, &out, &errs), func() {
		out.Close()
		errs.Close()
	}
}

// maxGuestLine bounds one line; a longer one is broken.
const maxGuestLine = 4 << 10

// Write implements io.Writer. What is over the bound is dropped.
func (g *guestLog) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := len(p)
	for len(p) > 0 && g.total < maxGuestOutput {
		i := bytes.IndexByte(p, '\n')
		take := len(p)
		if i >= 0 {
			take = i
		}
		take = min(take, maxGuestLine-len(g.line), maxGuestOutput-g.total)
		g.line = append(g.line, p[:take]...)
		g.total += take
		p = p[take:]
		if len(p) > 0 && p[0] == '\n' {
			p = p[1:]
			g.total++
			g.flush()
		} else if len(g.line) == maxGuestLine {
			g.flush()
		}
		if g.total >= maxGuestOutput {
			g.flush()
			g.printf("[output of this request is cut off after %d bytes]", maxGuestOutput)
		}
	}
	return n, nil
}

func (g *guestLog) flush() {
	g.printf("%s", strings.ToValidUTF8(strings.TrimSuffix(string(g.line), "\r"), "\uFFFD"))
	g.line = g.line[:0]
}

func (g *guestLog) printf(format string, args ...any) {
	who := "initialisation"
	if g.request > 0 {
		who = fmt.Sprintf("request %d", g.request)
	}
	g.log.printf("%s %s: "+format, append([]any{who, g.stream}, args...)...)
}

// Close writes what is left of the last line.
func (g *guestLog) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.line) > 0 {
		g.flush()
	}
}

func asTrap(err error) (*component.Trap, bool) {
	var t *component.Trap
	ok := errors.As(err, &t)
	return t, ok
}
