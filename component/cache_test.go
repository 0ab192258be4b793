package component_test

import (
	"errors"
	"os"
	"runtime"
	"testing"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/internal/engine"
	"github.com/ashlar-wasm/ashlar/internal/guests"
)

// TestCacheBetweenStarts has two engines with a cache each in one directory, as
// two processes would: the second compiles nothing, and runs the same.
func TestCacheBetweenStarts(t *testing.T) {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skip("there is no compiler for this platform")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	var traces [2]string
	for start := range traces {
		cache, err := component.OpenCache(component.CacheOptions{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		e := component.NewEngine(component.Options{Cache: cache})
		c, err := e.Compile(t.Context(), guests.Calc())
		if err != nil {
			t.Fatal(err)
		}
		p, err := e.NewLinker().Prepare(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		i, err := p.Instantiate(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		call := func(name string, a, b uint32) (component.Val, error) {
			f, ok := i.Func("", name)
			if !ok {
				t.Fatalf("no function %s", name)
			}
			return f.Call(t.Context(), []component.Val{component.U32Val(a), component.U32Val(b)})
		}
		if sum, err := call("add", 20, 22); err != nil || sum != component.U32Val(42) {
			t.Errorf("start %d: add(20, 22) = %v, %v", start, sum, err)
		}
		var trap *component.Trap
		if _, err := call("div", 1, 0); !errors.As(err, &trap) {
			t.Fatalf("start %d: div(1, 0): %v", start, err)
		}
		traces[start] = trap.Backtrace()
		counts, stats := e.Core().Counts(), cache.Stats()
		want, wantStats := engine.CompileCounts{Compiled: counts.Compiled}, component.CacheStats{Misses: 1, Written: 1}
		if start == 1 {
			want, wantStats = engine.CompileCounts{Loaded: counts.Loaded}, component.CacheStats{Hits: 1}
		}
		if counts != want || counts.Compiled+counts.Loaded == 0 || stats != wantStats {
			t.Errorf("start %d: %+v, %+v", start, counts, stats)
		}
		if err := errors.Join(i.Close(t.Context()), p.Close(t.Context()), c.Close(t.Context()), e.Close(t.Context()), cache.Close()); err != nil {
			t.Error(err)
		}
	}
	if traces[0] != traces[1] || traces[0] == "" {
		t.Errorf("the traces differ:\n%s\n%s", traces[0], traces[1])
	}
	if _, err := component.OpenCache(component.CacheOptions{Dir: "cache_test.go"}); err == nil {
		t.Error("a file was opened as a cache")
	}
}
