package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// options say how a component is damaged.
type options struct {
	bits     bool // flip each bit of a byte, else one
	every    int  // damage one byte of so many
	runEvery int  // run one valid component of so many
	workers  int
	deadline time.Duration
	memory   uint64
	dir      string
}

// report counts what became of damaged components.
type report struct {
	variants int
	refused  map[stage]map[string]int // by kind of error
	valid    int
	run      int
	ended    map[string]int // those that ran, by how they ended
	panics   int
	slowest  time.Duration // that one took
	peak     uint64        // memory, in bytes
	found    []string      // what panicked
}

func (r *report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "  variants %d, valid %d, run %d, panics %d, slowest %v, peak memory %d MiB\n",
		r.variants, r.valid, r.run, r.panics, r.slowest.Round(time.Millisecond), r.peak>>20)
	for _, s := range []stage{atDecode, atValidate, atCompile, atLink, atInstantiate} {
		writeCounts(&b, "refused when it is "+string(s), r.refused[s])
	}
	writeCounts(&b, "run", r.ended)
	for _, f := range r.found {
		fmt.Fprintf(&b, "  PANIC %s\n", f)
	}
	return b.String()
}

func writeCounts(b *strings.Builder, what string, counts map[string]int) {
	if len(counts) == 0 {
		return
	}
	total := 0
	for _, n := range counts {
		total += n
	}
	fmt.Fprintf(b, "  %s: %d\n", what, total)
	kinds := slices.SortedFunc(maps.Keys(counts), func(x, y string) int { return counts[y] - counts[x] })
	for i, k := range kinds {
		if i == 20 {
			fmt.Fprintf(b, "    ... and %d more\n", len(kinds)-i)
			break
		}
		fmt.Fprintf(b, "    %7d %s\n", counts[k], k)
	}
}

// variant is one way to damage a component: a byte set to a value, or all from
// there on cut off.
type variant struct {
	at    int
	value byte
	cut   bool
}

func (v variant) apply(b []byte) []byte {
	if v.cut {
		return b[:v.at:v.at]
	}
	out := slices.Clone(b)
	out[v.at] = v.value
	return out
}

func (v variant) String() string {
	if v.cut {
		return fmt.Sprintf("cut-%#x", v.at)
	}
	return fmt.Sprintf("%#x-%#02x", v.at, v.value)
}

// variants yields the ways to damage b.
func variants(b []byte, o *options, yield func(variant) bool) {
	for at := 0; at < len(b); at += o.every {
		have := b[at]
		values := []byte{have ^ 1<<(at/o.every%8), 0x00, 0xff}
		for bit := 0; o.bits && bit < 8; bit++ {
			values = append(values, have^1<<bit)
		}
		slices.Sort(values)
		for _, v := range slices.Compact(values) {
			if v != have && !yield(variant{at: at, value: v}) {
				return
			}
		}
		if !yield(variant{at: at, cut: true}) {
			return
		}
	}
}

// worker looks at one component after the other.
type worker struct {
	mu      sync.Mutex
	current variant
	since   time.Time // zero when it looks at none
}

func (w *worker) begin(v variant) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.current, w.since = v, time.Now()
	return w.since
}

func (w *worker) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.since = time.Time{}
}

// damageAll looks at all variants of b. The error tells that one of them took too
// long or too much memory: it could not be stopped, so the others were left out.
func damageAll(ctx context.Context, b []byte, o options) (*report, error) {
	r := &report{refused: map[stage]map[string]int{}, ended: map[string]int{}}
	var mu sync.Mutex // of r
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	todo := make(chan variant)
	go func() {
		defer close(todo)
		variants(b, &o, func(v variant) bool {
			select {
			case todo <- v:
				return true
			case <-ctx.Done():
				return false
			}
		})
	}()
	workers := make([]worker, o.workers)
	var valid atomic.Int64
	done := make(chan struct{})
	var group sync.WaitGroup
	for i := range workers {
		w := &workers[i]
		group.Go(func() {
			for v := range todo {
				start := w.begin(v)
				out := look(ctx, v.apply(b), func() bool { return (valid.Add(1)-1)%int64(o.runEvery) == 0 })
				took := time.Since(start)
				w.end()
				mu.Lock()
				r.add(v, out, took)
				mu.Unlock()
				if out.panicked != "" {
					o.keep(b, v)
				}
			}
		})
	}
	go func() { group.Wait(); close(done) }()
	err := watch(ctx, done, workers, b, &o, r, &mu)
	stop(err)
	mu.Lock()
	defer mu.Unlock()
	slices.Sort(r.found)
	return r, err
}

// add counts what became of a variant.
func (r *report) add(v variant, out outcome, took time.Duration) {
	r.variants++
	r.slowest = max(r.slowest, took)
	if out.panicked != "" {
		r.panics++
		if len(r.found) < 100 {
			r.found = append(r.found, v.String()+": "+out.panicked)
		}
		return
	}
	if out.stage != atDecode && out.stage != atValidate {
		r.valid++
	}
	switch out.stage {
	case atValid:
	case atRun:
		r.run++
		r.ended[kind(out.err)]++
	default:
		if r.refused[out.stage] == nil {
			r.refused[out.stage] = map[string]int{}
		}
		r.refused[out.stage][kind(out.err)]++
	}
}

// watch waits for the workers and stops waiting where one of them, or all together,
// take more than they may.
func watch(ctx context.Context, done <-chan struct{}, workers []worker, b []byte, o *options, r *report, mu *sync.Mutex) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return context.Cause(ctx)
		case <-tick.C:
		}
		used := occupied()
		mu.Lock()
		r.peak = max(r.peak, used)
		mu.Unlock()
		for i := range workers {
			w := &workers[i]
			w.mu.Lock()
			current, since := w.current, w.since
			w.mu.Unlock()
			if since.IsZero() {
				continue
			}
			if d := time.Since(since); d > o.deadline {
				stacks := make([]byte, 1<<20)
				stacks = stacks[:runtime.Stack(stacks, true)]
				return fmt.Errorf("HANG after %v: %s\n%s", d, o.keep(b, current), stacks)
			}
			if used > o.memory {
				return fmt.Errorf("MEMORY of %d MiB: %s", used>>20, o.keep(b, current))
			}
		}
	}
}

// keep writes a damaged component and returns its path.
func (o *options) keep(b []byte, v variant) string {
	path := filepath.Join(o.dir, "damaged-"+v.String()+".wasm")
	if err := os.WriteFile(path, v.apply(b), 0o600); err != nil {
		return errors.Join(fmt.Errorf("%s", v), err).Error()
	}
	return path
}

// occupied is the memory that the process occupies, in bytes: that of the runtime,
// or what the system tells where that is more.
func occupied() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	n := s[0].Value.Uint64() - s[1].Value.Uint64()
	var size, pages uint64
	if text, err := os.ReadFile("/proc/self/statm"); err == nil {
		if _, err := fmt.Sscan(string(text), &size, &pages); err == nil {
			n = max(n, pages*uint64(os.Getpagesize()))
		}
	}
	return n
}
