package cli

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/wasi"
)

var benchComponent = flag.String("component", "", "wasi:http component that BenchmarkServe serves, in place of a small one")

// BenchmarkServe compares the handler of serve, a fresh instance for every
// request, with a plain net/http handler that gives the same answer. Servers
// and client share the process. ns/op is the time for a request to the
// component.
func BenchmarkServe(b *testing.B) {
	ctx := b.Context()
	bytes := guests.HelloHTTP()
	if *benchComponent != "" {
		var err error
		if bytes, err = os.ReadFile(*benchComponent); err != nil {
			b.Fatal(err)
		}
	}
	e := component.NewEngine(component.Options{})
	defer e.Close(context.Background())
	c, err := e.Compile(ctx, bytes)
	if err != nil {
		b.Fatal(err)
	}
	sys, err := wasi.New(wasi.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer sys.Close()
	l := e.NewLinker()
	if err := sys.AddTo(l); err != nil {
		b.Fatal(err)
	}
	p, err := l.Prepare(ctx, c)
	if err != nil {
		b.Fatal(err)
	}
	o := &serveOptions{maxBody: 64 << 20, pooling: pooling{maxConcurrent: 256}, requestTimeout: timeLimit(time.Minute)}
	guest := httptest.NewServer(o.handler(newBenchPool(b, o, p), newServeLog(os.Stderr)))
	defer guest.Close()
	response, err := http.Get(guest.URL)
	if err != nil {
		b.Fatal(err)
	}
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		b.Fatal(response.Status, err)
	}
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(answer) }))
	defer plain.Close()
	for _, connections := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("connections=%d", connections), func(b *testing.B) {
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}}
			defer client.CloseIdleConnections()
			fetchAll(b, client, plain.URL, connections, connections, answer) // connect
			fetchAll(b, client, guest.URL, connections, connections, answer)
			b.ResetTimer()
			var spent [2]time.Duration
			for n := b.N; n > 0; { // in turn, so that both meet the same machine
				part := min(n, 2000)
				n -= part
				for s, url := range []string{plain.URL, guest.URL} {
					start := time.Now()
					fetchAll(b, client, url, connections, part, answer)
					spent[s] += time.Since(start)
				}
			}
			n := float64(b.N)
			b.ReportMetric(float64(spent[1].Nanoseconds())/n, "ns/op")
			b.ReportMetric(float64(spent[0].Nanoseconds())/n, "plain-ns/op")
			b.ReportMetric(spent[0].Seconds()/spent[1].Seconds(), "of-plain-rate")
		})
	}
}

func newBenchPool(b *testing.B, o *serveOptions, p *component.Prepared) *component.Pool {
	pool, err := o.pool(b.Context(), p, newServeLog(os.Stderr))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := pool.Close(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return pool
}

// fetchAll makes n requests over so many connections.
func fetchAll(b *testing.B, client *http.Client, url string, connections, n int, answer []byte) {
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				r, err := client.Get(url)
				if err != nil {
					b.Error(err)
					return
				}
				body, err := io.ReadAll(r.Body)
				_ = r.Body.Close()
				if err != nil || string(body) != string(answer) {
					b.Errorf("%s: %q, %v", r.Status, body, err)
					return
				}
			}
		})
	}
	wg.Wait()
}
