package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/wasi"
)

// handlerModes are the ways in which requests get their sandboxes. The last has no
// isolation between requests.
var handlerModes = []struct {
	name  string
	mode  component.SnapshotMode
	reuse int
}{
	{"off", component.SnapshotOff, 1},
	{"data", component.SnapshotData, 1},
	{"init", component.SnapshotInit, 1},
	{"warm", component.SnapshotWarm, 1},
	{"reuse", component.SnapshotInit, 1 << 30},
}

// benchFile is a component to be measured.
type benchFile struct {
	name  string
	bytes []byte
}

// benchFiles returns those that -components names, or a small one.
func benchFiles(b *testing.B) (files []benchFile) {
	if *benchComponents == "" {
		return []benchFile{{"small", guests.HelloHTTP()}}
	}
	for path := range strings.SplitSeq(*benchComponents, ",") {
		bytes, err := os.ReadFile(path)
		if err != nil {
			b.Fatal(err)
		}
		files = append(files, benchFile{filepath.Base(path), bytes})
	}
	return files
}

// newHandlers returns a handler for each way, nil where a component does not allow it.
func newHandlers(b *testing.B, file benchFile) []*handler {
	ctx := context.Background()
	e := component.NewEngine(component.Options{})
	b.Cleanup(func() { e.Close(ctx) })
	c, err := e.Compile(ctx, file.bytes)
	if err != nil {
		b.Fatal(err)
	}
	sys, err := wasi.New(wasi.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { sys.Close() })
	l := e.NewLinker()
	if err := sys.AddTo(l); err != nil {
		b.Fatal(err)
	}
	p, err := l.Prepare(ctx, c)
	if err != nil {
		b.Fatal(err)
	}
	var handlers []*handler
	for _, m := range handlerModes {
		o := &serveOptions{maxBody: 64 << 20, requestTimeout: timeLimit(time.Minute),
			pooling: pooling{maxConcurrent: 256, reuse: m.reuse, snapshot: snapshotMode(m.mode)}}
		if m.mode == component.SnapshotWarm {
			o.warmUp = "GET /"
		}
		pool, err := o.pool(ctx, p, newServeLog(os.Stderr))
		if err != nil {
			b.Logf("%s, %s: %v", file.name, m.name, err)
			handlers = append(handlers, nil)
			continue
		}
		b.Cleanup(func() { pool.Close(ctx) })
		h := o.handler(pool, newServeLog(os.Stderr))
		if ask(h, 3) != nil { // some languages' instances handle one request only
			b.Logf("%s, %s: requests fail", file.name, m.name)
			h = nil
		}
		handlers = append(handlers, h)
	}
	return handlers
}

// ask makes n requests, of which all are to be answered.
func ask(h *handler, n int) error {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for range n {
		w := &response{header: make(http.Header)}
		h.ServeHTTP(w, r)
		if w.status != http.StatusOK {
			return fmt.Errorf("status %d: %s", w.status, w.body)
		}
	}
	return nil
}

// BenchmarkHandler is one request without a network: what serve adds to net/http.
func BenchmarkHandler(b *testing.B) {
	for _, file := range benchFiles(b) {
		for n, h := range newHandlers(b, file) {
			if h == nil {
				continue
			}
			b.Run(file.name+"/"+handlerModes[n].name, func(b *testing.B) {
				b.ReportAllocs()
				if err := ask(h, b.N); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}

// BenchmarkSandboxes compares the ways, in turn, so that all meet the same machine, and
// prints the median of what a request takes.
func BenchmarkSandboxes(b *testing.B) {
	for b.Loop() {
		fmt.Printf("%-24s", "")
		for _, m := range handlerModes {
			fmt.Printf(" %10s", m.name)
		}
		fmt.Printf(" %10s\n", "init/reuse")
		for _, file := range benchFiles(b) {
			handlers := newHandlers(b, file)
			times := make([][]time.Duration, len(handlers))
			for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
				for n, h := range handlers {
					if h == nil {
						continue
					}
					// As many as take some milliseconds.
					k := 1
					if t := times[n]; len(t) > 0 {
						k = int(max(1, min(1000, 5*time.Millisecond/max(1, t[len(t)-1]))))
					}
					start := time.Now()
					if err := ask(h, k); err != nil {
						b.Fatal(err)
					}
					times[n] = append(times[n], time.Since(start)/time.Duration(k))
				}
			}
			fmt.Printf("%-24s", fmt.Sprintf("%s %d KB", file.name, len(file.bytes)/1000))
			medians := make([]float64, len(times))
			for n, t := range times {
				if len(t) == 0 {
					fmt.Printf(" %10s", "-")
					continue
				}
				slices.Sort(t)
				medians[n] = float64(t[len(t)/2].Nanoseconds()) / 1000
				fmt.Printf(" %7.1f µs", medians[n])
			}
			if medians[4] > 0 {
				fmt.Printf(" %10.2f", medians[2]/medians[4])
			}
			fmt.Println()
		}
	}
}
