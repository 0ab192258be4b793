package wasi_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/wasi"
)

// hostileLimits are small, so that guests reach them soon.
var hostileLimits = component.Limits{
	MemoryBytes: 64 << 20, TableElements: 100_000, Handles: 10_000, Instances: 1000,
	HostBytes: 8 << 20, StackBytes: 2 << 20,
}

// TestHostile runs each of the hostile guests, alone and more of them at once than
// there are processors.
func TestHostile(t *testing.T) {
	sys, err := wasi.New(wasi.Options{Net: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Close()
	settle := func() (heap uint64) {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, files := settle(), openFiles()
	for _, h := range guests.Hostiles() {
		t.Run(h.Name, func(t *testing.T) {
			limits := hostileLimits
			if h.Limit == component.LimitedTime {
				limits.Time = 40 * time.Millisecond
			}
			// What nobody stops ends the test, not with the right error.
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("not stopped"))
			defer cancel()
			e := component.NewEngine(component.Options{Limits: limits})
			defer e.Close(context.Background())
			c, err := e.Compile(ctx, h.Bytes)
			if h.Stage == guests.AtCompile {
				if err == nil {
					t.Fatal("was compiled")
				}
				checkHostile(t, &h, err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			l := e.NewLinker()
			if err := sys.AddTo(l); err != nil {
				t.Fatal(err)
			}
			p, err := l.Prepare(ctx, c)
			if err != nil {
				t.Fatal(err)
			}
			runHostile(ctx, t, &h, p)
			crowd := 2*runtime.GOMAXPROCS(0) + 1
			var group sync.WaitGroup
			memory := watchMemory()
			for range crowd {
				group.Go(func() { runHostile(ctx, t, &h, p) })
			}
			group.Wait()
			// Memories and stacks, which may be there twice while they grow, and what
			// the host holds and has not collected yet.
			if used := memory(); used > uint64(crowd)*(64+2*2+4*8)<<20+64<<20 {
				t.Errorf("%d of them took %d MiB", crowd, used>>20)
			}
			n := uint64(1 + crowd)
			u := p.Usage()
			calls := n
			if h.Stage == guests.AtCall {
				calls *= 2
			}
			if u.Calls != calls || h.Limit != "" && u.Limits[h.Limit] != n {
				t.Errorf("%d were run, counted were %+v", n, u)
			}
			if h.Grows && h.Limit == "" && u.Limits[component.LimitedMemory] != n {
				t.Errorf("%d were refused memory, counted were %+v", n, u)
			}
			if !h.Waits && h.Limit == component.LimitedTime && u.CPU == 0 {
				t.Error("no CPU time was counted")
			}
		})
	}
	if after := settle(); after > before+16<<20 {
		t.Errorf("%d MiB of the heap are in use, %d before", after>>20, before>>20)
	}
	if n := openFiles(); n > files+16 {
		t.Errorf("%d files are open, %d before", n, files)
	}
}

// runHostile runs it once.
func runHostile(ctx context.Context, t *testing.T, h *guests.Hostile, p *component.Prepared) {
	i, err := p.Instantiate(ctx)
	if h.Stage == guests.AtInstantiate {
		if err == nil {
			t.Error("was instantiated")
		}
		checkHostile(t, h, err)
		return
	}
	if err != nil {
		t.Error(err)
		return
	}
	f, _ := i.Func("wasi:cli/run@0.2.0", "run")
	result, err := f.Call(wasi.WithStdio(ctx, nil, nil, nil), nil)
	if err == nil {
		t.Errorf("returned %v", result)
	}
	checkHostile(t, h, err)
	if _, err := f.Call(ctx, nil); !errors.Is(err, component.ErrPoisoned) {
		t.Errorf("called again: %v", err)
	}
	if err := i.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func checkHostile(t *testing.T, h *guests.Hostile, err error) {
	if err == nil {
		return
	}
	if h.Error != "" {
		if !strings.Contains(err.Error(), h.Error) {
			t.Errorf("%v, want %q", err, h.Error)
		}
		return
	}
	var limit *component.LimitError
	if !errors.As(err, &limit) || limit.Resource != h.Limit || limit.Requested < limit.Limit {
		t.Errorf("%v (%#v), want a limit of %s", err, err, h.Limit)
	}
	var trap *component.Trap
	if h.Limit == component.LimitedStack && (!errors.As(err, &trap) || trap.Kind != component.TrapStackExhausted) {
		t.Errorf("%v, want a trap of that kind", err)
	}
}

// watchMemory looks at the memory that the process occupies until its result is
// called, which returns how much it rose. Where the system does not tell it is 0.
func watchMemory() (stop func() uint64) {
	start := resident()
	var most atomic.Uint64
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			if r := resident(); r > start {
				most.Store(max(most.Load(), r-start))
			}
			select {
			case <-done:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	return func() uint64 {
		close(done)
		<-ended
		return most.Load()
	}
}

// resident is the memory that the process occupies, in bytes.
func resident() uint64 {
	text, err := os.ReadFile("/proc/self/statm")
	var size, pages uint64
	if err != nil {
		return 0
	}
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		return 0
	}
	return pages * uint64(os.Getpagesize())
}

func openFiles() int {
	entries, _ := os.ReadDir("/proc/self/fd")
	return len(entries)
}
