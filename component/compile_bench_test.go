package component_test

import (
	"context"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/internal/guests"
)

var benchComponent = flag.String("component", "", "component that BenchmarkCompile compiles, in place of a small one")

// BenchmarkCompile compiles a component without a cache (cold), and as a second
// start does that finds it there (warm). Each has an engine of its own.
func BenchmarkCompile(b *testing.B) {
	bytes := guests.Calc()
	if *benchComponent != "" {
		var err error
		if bytes, err = os.ReadFile(*benchComponent); err != nil {
			b.Fatal(err)
		}
	}
	ctx := context.Background()
	dir := b.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		b.Fatal(err)
	}
	cache, err := component.OpenCache(component.CacheOptions{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	defer cache.Close()
	start := func(b *testing.B, cache *component.Cache) {
		e := component.NewEngine(component.Options{Cache: cache})
		if _, err := e.Compile(ctx, bytes); err != nil {
			b.Fatal(err)
		}
		if err := e.Close(ctx); err != nil {
			b.Fatal(err)
		}
	}
	var cold time.Duration
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			start(b, nil)
		}
		cold = b.Elapsed() / time.Duration(b.N)
	})
	begin := time.Now()
	start(b, cache)
	b.Logf("the first start with a cache took %v", time.Since(begin))
	b.Run("warm", func(b *testing.B) {
		for b.Loop() {
			start(b, cache)
		}
		if cold > 0 {
			b.ReportMetric(float64(cold)*float64(b.N)/float64(b.Elapsed()), "cold/warm")
		}
	})
	if s := cache.Stats(); s.Misses != 1 || s.Hits == 0 {
		b.Errorf("cache: %+v", s)
	}
}
