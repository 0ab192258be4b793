package cli

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/wasi"
)

// BenchmarkHandler is one request without a network: what serve adds to net/http.
func BenchmarkHandler(b *testing.B) {
	bytes := guests.HelloHTTP()
	if *benchComponent != "" {
		var err error
		if bytes, err = os.ReadFile(*benchComponent); err != nil {
			b.Fatal(err)
		}
	}
	e := component.NewEngine(component.Options{})
	defer e.Close(context.Background())
	c, err := e.Compile(b.Context(), bytes)
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
	p, err := l.Prepare(b.Context(), c)
	if err != nil {
		b.Fatal(err)
	}
	for _, v := range []struct {
		name  string
		mode  component.SnapshotMode
		reuse int
	}{
		{"off", component.SnapshotOff, 1},
		{"data", component.SnapshotData, 1},
		{"init", component.SnapshotInit, 1},
		{"warm", component.SnapshotWarm, 1},
		{"reuse", component.SnapshotInit, 1 << 30},
	} {
		b.Run(v.name, func(b *testing.B) {
			o := &serveOptions{maxBody: 64 << 20, requestTimeout: timeLimit(time.Minute),
				pooling: pooling{maxConcurrent: 256, reuse: v.reuse, snapshot: snapshotMode(v.mode)}}
			if v.mode == component.SnapshotWarm {
				o.warmUp = "GET /"
			}
			h := o.handler(newBenchPool(b, o, p), newServeLog(os.Stderr))
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			b.ReportAllocs()
			for b.Loop() {
				w := &response{header: make(http.Header)}
				h.ServeHTTP(w, r)
				if w.status != http.StatusOK {
					b.Fatal(w.status, string(w.body))
				}
			}
		})
	}
}
