package cli

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/wasi"
)

var (
	densityNames    = flag.Int("names", 1000, "components that BenchmarkDensity deploys")
	densityFiles    = flag.Int("files", 1, "different files among them, where there is no -components")
	benchComponents = flag.String("components", "", "wasi:http components to measure, separated by commas, in place of a small one")
)

// BenchmarkDensity deploys many components in one process, has each answer a request,
// lets them become idle, and has each answer another. It prints what an idle component
// takes, and how long the first response takes of one that was just deployed, of one
// whose sandbox is idle, and of one whose sandbox was given back.
func BenchmarkDensity(b *testing.B) {
	for b.Loop() {
		density(b)
	}
}

func density(b *testing.B) {
	ctx := context.Background()
	cache, err := component.OpenCache(component.CacheOptions{Dir: filepath.Join(b.TempDir(), "cache")})
	if err != nil {
		b.Fatal(err)
	}
	defer cache.Close()
	e := component.NewEngine(component.Options{Cache: cache})
	defer e.Close(ctx)
	var files []*component.Component
	for _, bytes := range densityComponents(b) {
		c, err := e.Compile(ctx, bytes)
		if err != nil {
			b.Fatal(err)
		}
		files = append(files, c)
	}
	empty := resident()
	var handlers []http.Handler
	var pools []*component.Pool
	start := time.Now()
	for n := range *densityNames {
		sys, err := wasi.New(wasi.Options{Env: []string{fmt.Sprintf("NAME=component %d", n)}})
		if err != nil {
			b.Fatal(err)
		}
		defer sys.Close()
		l := e.NewLinker()
		if err := sys.AddTo(l); err != nil {
			b.Fatal(err)
		}
		p, err := l.Prepare(ctx, files[n%len(files)])
		if err != nil {
			b.Fatal(err)
		}
		defer p.Close(ctx)
		pool, err := p.NewPool(component.PoolOptions{IdleTime: time.Hour})
		if err != nil {
			b.Fatal(err)
		}
		defer pool.Close(ctx)
		pools = append(pools, pool)
		o := &serveOptions{maxBody: 64 << 20, requestTimeout: timeLimit(time.Minute)}
		handlers = append(handlers, o.handler(pool, newServeLog(os.Stderr)))
	}
	took := time.Since(start)
	deployed := resident()
	fmt.Printf("%d components of %d files, deployed in %v each; memory of the process before %s\n",
		len(handlers), len(files), (took / time.Duration(len(handlers))).Round(time.Microsecond), mib(empty))
	report := func(state string, memory uint64, times []time.Duration) {
		slices.Sort(times)
		at := func(p float64) time.Duration {
			return times[int(p*float64(len(times)-1))].Round(time.Microsecond)
		}
		fmt.Printf("%-28s %8.1f KiB each, first response p50 %v p99 %v max %v\n",
			state, float64(memory-min(memory, empty))/1024/float64(len(handlers)), at(0.5), at(0.99), at(1))
	}
	first := askAll(b, handlers)
	report("deployed, never asked", deployed, first)
	idle := resident()
	again := askAll(b, handlers)
	report("idle for a moment", idle, again)
	kept := 0
	for _, p := range pools {
		kept += p.Stats().Idle
		p.Trim()
	}
	given := resident()
	report("idle for long", given, askAll(b, handlers))
	fmt.Printf("sandboxes kept when all had answered: %d of %d\n", kept, len(pools))
}

// densityComponents returns the files.
func densityComponents(b *testing.B) (out [][]byte) {
	if *benchComponents != "" {
		for _, f := range benchFiles(b) {
			out = append(out, f.bytes)
		}
		return out
	}
	for n := range *densityFiles {
		c, err := binary.Decode(guests.HelloHTTP())
		if err != nil {
			b.Fatal(err)
		}
		c.Customs = append(c.Customs, binary.Custom{Name: "number", Data: fmt.Append(nil, n)})
		out = append(out, binary.Encode(c))
	}
	return out
}

// askAll sends each a request, and returns how long the answers took.
func askAll(b *testing.B, handlers []http.Handler) (times []time.Duration) {
	for _, h := range handlers {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		w := &response{header: make(http.Header)}
		start := time.Now()
		h.ServeHTTP(w, r)
		times = append(times, time.Since(start))
		if w.status != http.StatusOK {
			b.Fatal(w.status, string(w.body))
		}
	}
	return times
}

// resident returns the bytes of memory that the process has.
func resident() uint64 {
	runtime.GC()
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		var kib uint64
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	return 0
}

func mib(n uint64) string { return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20)) }
