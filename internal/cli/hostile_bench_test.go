package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"runtime/metrics"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/internal/limit"
	"github.com/ashlar-wasm/ashlar/wasi"
)

var (
	hostileOnly   = flag.String("hostile", "", "regular expression for the hostile guests that BenchmarkHostile runs")
	hostileRounds = flag.Int("rounds", 50, "how often BenchmarkHostile runs each for its deadline")
	hostileLoad   = flag.Duration("load", time.Second, "how long BenchmarkHostile has requests sent at a time")
	hostileCrowd  = flag.Int("crowd", runtime.GOMAXPROCS(0)+2, "how many of a hostile guest BenchmarkHostile runs at a time")
	hostileLoads  = flag.Int("loads", 3, "how often BenchmarkHostile does, with each and without it")
)

// loadRate is the requests a second that the neighbour gets, at even distances.
const loadRate = 200

// BenchmarkHostile measures what hostile guests that compute do to others. For each it
// tells how late it ends after its deadline, alone and in a crowd, of two more than
// there are processors if nothing else is said; for how long the garbage collector stops the process, which
// is made to collect 50 times a second, and how late timers of 1 ms are, beside the crowd;
// and how long requests to a well-behaved component take, which another process
// sends at a fixed rate, with the crowd and without it in turns, of which the median
// counts.
//
// Times are in microseconds. The first line is of no guest, to tell what the machine
// does by itself, the last of all together.
//
//	go test -run '^$' -bench Hostile -benchtime 1x ./internal/cli [-args -hostile REGEXP -rounds N -crowd N]
func BenchmarkHostile(b *testing.B) {
	only, err := regexp.Compile(*hostileOnly)
	if err != nil {
		b.Fatal(err)
	}
	sys, err := wasi.New(wasi.Options{Net: []string{"127.0.0.1"}})
	if err != nil {
		b.Fatal(err)
	}
	defer sys.Close()
	e := component.NewEngine(component.Options{})
	defer e.Close(context.Background())
	prepare := func(code []byte) *component.Prepared {
		c, err := e.Compile(b.Context(), code)
		if err != nil {
			b.Fatal(err)
		}
		l := e.NewLinker()
		if err := sys.AddTo(l); err != nil {
			b.Fatal(err)
		}
		if err := l.SetLimits(component.Limits{MemoryBytes: 256 << 20}); err != nil {
			b.Fatal(err)
		}
		p, err := l.Prepare(b.Context(), c)
		if err != nil {
			b.Fatal(err)
		}
		return p
	}
	o := &serveOptions{maxBody: 64 << 20, pooling: pooling{maxConcurrent: 256}, requestTimeout: timeLimit(time.Minute)}
	server := httptest.NewServer(o.handler(newBenchPool(b, o, prepare(guests.HelloHTTP())), newServeLog(os.Stderr)))
	defer server.Close()

	for b.Loop() {
		crowd := *hostileCrowd
		fmt.Printf("%d processors, crowds of %d\n", runtime.GOMAXPROCS(0), crowd)
		fmt.Printf("%-22s %23s %23s %15s %15s %31s\n", "", "alone", "crowd", "GC stop", "timer", "neighbour p99 (p50)")
		fmt.Printf("%-22s %7s %7s %7s %7s %7s %7s %7s %7s %7s %7s %15s %15s %7s\n",
			"", "p50", "p99", "max", "p50", "p99", "max", "p99", "max", "p99", "max", "without", "with", "ratio")
		var all, none hostileResult
		for range *hostileRounds {
			start := time.Now()
			time.Sleep(30 * time.Millisecond)
			none.alone = append(none.alone, micro(time.Since(start)-30*time.Millisecond))
		}
		stop := watchProcess()
		for range *hostileLoads * 2 {
			none.before = append(none.before, requests(b, server.URL))
		}
		none.stops, none.timers = stop()
		none.print("none")
		for _, h := range guests.Hostiles() {
			if h.Waits || h.Limit != limit.Time || !only.MatchString(h.Name) {
				continue
			}
			p := prepare(h.Bytes)
			var r hostileResult
			r.alone = lateness(b, p, 1, *hostileRounds)
			runtime.GC()
			stop := watchProcess()
			r.crowd = lateness(b, p, crowd, *hostileRounds/crowd+1)
			r.stops, r.timers = stop()
			for range *hostileLoads {
				r.before = append(r.before, requests(b, server.URL))
				ctx, cancel := context.WithCancel(b.Context())
				var group sync.WaitGroup
				for range crowd {
					group.Go(func() {
						for ctx.Err() == nil {
							attack(b, ctx, p, time.Second)
						}
					})
				}
				r.beside = append(r.beside, requests(b, server.URL))
				cancel()
				group.Wait()
			}
			r.print(h.Name)
			all.add(&r)
		}
		all.print("all")
	}
}

// hostileResult has times in microseconds.
type hostileResult struct {
	alone, crowd, stops, timers []float64
	before, beside              [][]float64 // for each turn
}

func (r *hostileResult) add(s *hostileResult) {
	r.alone, r.crowd = append(r.alone, s.alone...), append(r.crowd, s.crowd...)
	r.stops, r.timers = append(r.stops, s.stops...), append(r.timers, s.timers...)
	r.before, r.beside = append(r.before, s.before...), append(r.beside, s.beside...)
}

func (r *hostileResult) print(name string) {
	row := []any{name}
	for _, s := range [][]float64{r.alone, r.crowd} {
		row = append(row, quantile(s, 0.5), quantile(s, 0.99), quantile(s, 1))
	}
	for _, s := range [][]float64{r.stops, r.timers} {
		row = append(row, quantile(s, 0.99), quantile(s, 1))
	}
	for _, s := range [][][]float64{r.before, r.beside} {
		row = append(row, fmt.Sprintf("%.0f (%.0f)", median(s, 0.99), median(s, 0.5)))
	}
	row = append(row, median(r.beside, 0.99)/median(r.before, 0.99))
	fmt.Printf("%-22s %7.0f %7.0f %7.0f %7.0f %7.0f %7.0f %7.0f %7.0f %7.0f %7.0f %15s %15s %7.2f\n", row...)
}

func quantile(s []float64, q float64) float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	s = slices.Sorted(slices.Values(s))
	return s[int(math.Ceil(q*float64(len(s))))-1]
}

// median returns that of a quantile of each turn.
func median(turns [][]float64, q float64) float64 {
	var each []float64
	for _, t := range turns {
		each = append(each, quantile(t, q))
	}
	return quantile(each, 0.5)
}

func micro(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// attack runs a guest until its deadline, and returns how late it ended.
func attack(b *testing.B, ctx context.Context, p *component.Prepared, limit time.Duration) time.Duration {
	deadline := time.Now().Add(limit)
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	i, err := p.Instantiate(ctx)
	if err == nil {
		f, _ := i.Func("wasi:cli/run@0.2.0", "run")
		_, err = f.Call(wasi.WithStdio(ctx, nil, nil, nil), nil)
	}
	late := time.Since(deadline)
	if i != nil {
		_ = i.Close(context.Background())
	}
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		b.Errorf("%v", err)
	}
	return late
}

// lateness runs n guests at a time, each so many rounds.
func lateness(b *testing.B, p *component.Prepared, n, rounds int) (late []float64) {
	var mu sync.Mutex
	var group sync.WaitGroup
	for range n {
		group.Go(func() {
			for range rounds {
				d := attack(b, b.Context(), p, 30*time.Millisecond)
				mu.Lock()
				late = append(late, micro(d))
				mu.Unlock()
			}
		})
	}
	group.Wait()
	return late
}

// watchProcess collects garbage all the time until its result is called, which
// returns for how long the process was stopped for it, and how late timers were.
func watchProcess() (stop func() (stops, timers []float64)) {
	sample := []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}}
	metrics.Read(sample)
	before := slices.Clone(sample[0].Value.Float64Histogram().Counts)
	done := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
				runtime.GC()
			}
		}
	})
	var timers []float64
	group.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			start := time.Now()
			time.Sleep(time.Millisecond)
			timers = append(timers, micro(time.Since(start)-time.Millisecond))
		}
	})
	return func() (stops, _ []float64) {
		close(done)
		group.Wait()
		metrics.Read(sample)
		h := sample[0].Value.Float64Histogram()
		for i, n := range h.Counts {
			for range n - before[i] {
				stops = append(stops, min(h.Buckets[i+1], 10)*1e6) // the upper end of its bucket
			}
		}
		return stops, timers
	}
}

const loadURL = "ASHLAR_TEST_LOAD_URL"

// requests has another process, this program again, send requests, and returns how long
// they took.
func requests(b *testing.B, url string) (took []float64) {
	cmd := exec.Command(os.Args[0], "-test.run", "^TestLoad$", "-load", hostileLoad.String())
	cmd.Env = append(os.Environ(), loadURL+"="+url)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err == nil {
		out, _, _ = bytes.Cut(out, []byte("\n"))
		err = json.Unmarshal(out, &took)
	}
	if err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return took
}

// TestLoad is that process: it prints how long each request took, from the moment
// when it was due.
func TestLoad(t *testing.T) {
	url := os.Getenv(loadURL)
	if url == "" {
		t.Skip("is a process of BenchmarkHostile")
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: 10 * time.Second}
	var mu sync.Mutex
	var took []float64
	var group sync.WaitGroup
	get := func(due time.Time) {
		r, err := client.Get(url)
		if err == nil {
			_, err = io.Copy(io.Discard, r.Body)
			_ = r.Body.Close()
		}
		if err != nil || r.StatusCode != http.StatusOK {
			t.Errorf("%v, %v", r, err)
		}
		mu.Lock()
		took = append(took, micro(time.Since(due)))
		mu.Unlock()
	}
	for range 8 { // connections
		group.Go(func() { get(time.Now()) })
	}
	group.Wait()
	took = nil
	start := time.Now()
	for n := range int(hostileLoad.Seconds() * loadRate) {
		due := start.Add(time.Duration(n) * time.Second / loadRate)
		time.Sleep(time.Until(due))
		group.Go(func() { get(due) })
	}
	group.Wait()
	out, err := json.Marshal(took)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("%s\n", out)
}
