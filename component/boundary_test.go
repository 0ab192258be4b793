package component_test

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/component/internal/boundary"
	"github.com/ashlar-wasm/ashlar/internal/guests"
)

// kindsHost takes values and gives values of its own.
type kindsHost struct {
	boundary.KindsHost
	text  string
	bytes []byte
	words []uint32
	taken int // elements of what was taken last
}

func newKindsHost(n int) *kindsHost {
	return &kindsHost{text: strings.Repeat("x", n), bytes: make([]byte, n), words: make([]uint32, n)}
}

type thing struct{}

func (thing) Get(context.Context) (uint32, error) { return 7, nil }
func (thing) Drop(context.Context) error          { return nil }

func (h *kindsHost) Number(_ context.Context, n uint32) (uint32, error) { return n + 1, nil }
func (h *kindsHost) Swap(_ context.Context, p boundary.Point) (boundary.Point, error) {
	return p, nil
}
func (h *kindsHost) Make(context.Context) (boundary.Thing, error) { return thing{}, nil }
func (h *kindsHost) WriteText(_ context.Context, s string) error {
	h.taken = len(s)
	return nil
}
func (h *kindsHost) WriteBytes(_ context.Context, b []byte) error {
	h.taken = len(b)
	return nil
}
func (h *kindsHost) WriteWords(_ context.Context, w []uint32) error {
	h.taken = len(w)
	return nil
}
func (h *kindsHost) ReadText(_ context.Context, n uint32) (string, error)    { return h.text[:n], nil }
func (h *kindsHost) ReadBytes(_ context.Context, n uint32) ([]byte, error)   { return h.bytes[:n], nil }
func (h *kindsHost) ReadWords(_ context.Context, n uint32) ([]uint32, error) { return h.words[:n], nil }

func offer(h *kindsHost) func(*component.Linker) error {
	return func(l *component.Linker) error { return boundary.Imports{Kinds: h}.Define(l) }
}

var (
	bulkFrom, bulkTo = make([]byte, 1<<20), make([]byte, 1<<20)
	made             []byte
)

func copyBulk() { copy(bulkTo, bulkFrom) }

func makeBulk() {
	made = make([]byte, len(bulkFrom))
	copy(made, bulkFrom)
}

// ratio runs one beside the other, taking turns, and reports how much longer it
// takes, by the medians.
func ratio(b *testing.B, one, other func()) {
	var ones, others []time.Duration
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // as serve sets it
	for b.Loop() {
		start := time.Now()
		one()
		mid := time.Now()
		other()
		ones, others = append(ones, mid.Sub(start)), append(others, time.Since(mid))
	}
	slices.Sort(ones)
	slices.Sort(others)
	b.ReportMetric(float64(ones[len(ones)/2])/float64(others[len(others)/2]), "x-copy")
	b.ReportMetric(float64(ones[len(ones)/2].Nanoseconds()), "ns/call")
	b.ReportMetric(0, "ns/op") // of both together
}

// BenchmarkBoundary is one call with or for a value of each kind: of a host
// function by its generated bindings, and of another component's function. A
// bulk value, of 1 MiB, is told by how long it takes beside copying as much, and
// where it ends up in the host making the memory for it.
func BenchmarkBoundary(b *testing.B) {
	const bulk = 1 << 20
	kinds := []struct {
		name  string
		times uint32
		len   uint32
	}{
		{"number", 1000, 1}, {"swap", 1000, 1}, {"get", 1000, 1},
		{"write-text", 1000, 1 << 10}, {"write-bytes", 100, 10000}, {"write-words", 100, 10000},
		{"read-text", 1000, 1 << 10}, {"read-bytes", 100, 10000}, {"read-words", 100, 10000},
		{"write-bytes", 1, bulk}, {"read-bytes", 1, bulk},
	}
	host := newKindsHost(bulk)
	for _, c := range []struct {
		name     string
		instance *component.Instance
	}{
		{"host", benchInstance(b, guests.Boundary().Bytes(), offer(host))},
		{"component", benchInstance(b, guests.BoundaryPair(), nil)},
	} {
		for _, k := range kinds {
			name := c.name + "/" + k.name
			if k.len == bulk {
				name += "-bulk"
			}
			b.Run(name, func(b *testing.B) {
				f, ok := c.instance.Func("", "run-"+k.name)
				if !ok {
					b.Fatal("no function run-" + k.name)
				}
				args := []component.Val{component.U32Val(k.times), component.U32Val(k.len)}
				call := func() {
					if _, err := f.Call(b.Context(), args); err != nil {
						b.Fatal(err)
					}
				}
				if k.len == bulk {
					base := copyBulk
					if c.name == "host" && k.name == "write-bytes" {
						base = makeBulk
					}
					ratio(b, call, base)
					return
				}
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				for b.Loop() {
					call()
				}
				runtime.ReadMemStats(&after)
				n := float64(b.N) * float64(k.times)
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/n, "ns/call")
				b.ReportMetric(float64(after.Mallocs-before.Mallocs)/n, "allocs/call")
			})
		}
	}
}

// BenchmarkExported is the host calling a guest by generated bindings.
func BenchmarkExported(b *testing.B) {
	i := benchInstance(b, guests.Boundary().Bytes(), offer(newKindsHost(0)))
	x, err := boundary.LookupGuest(i)
	if err != nil {
		b.Fatal(err)
	}
	ctx := b.Context()
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		call func()
	}{
		{"number", func() { _, err := x.Number(ctx, 1); must(err) }},
		{"write-bytes", func() { must(x.WriteBytes(ctx, bulkFrom[:10000])) }},
		{"read-bytes", func() { _, err := x.ReadBytes(ctx, 10000); must(err) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.call()
			}
		})
	}
	for _, c := range []struct {
		name       string
		call, base func()
	}{
		{"write-bytes-bulk", func() { must(x.WriteBytes(ctx, bulkFrom)) }, copyBulk},
		{"read-bytes-bulk", func() { _, err := x.ReadBytes(ctx, 1<<20); must(err) }, makeBulk},
	} {
		b.Run(c.name, func(b *testing.B) {
			ratio(b, c.call, c.base)
		})
	}
}

// What a guest passes is bounded by what it takes of the host, in both
// directions; what it passes to another component is not.
func TestHostBytes(t *testing.T) {
	const limit = 1 << 20
	opts := component.Options{Limits: component.Limits{HostBytes: limit}}
	fresh := func() *component.Instance {
		return instantiate(t, opts, guests.Boundary().Bytes(), func(l *component.Linker) {
			if err := offer(newKindsHost(2 * limit))(l); err != nil {
				t.Fatal(err)
			}
		})
	}
	run := func(i *component.Instance, name string, n uint32) error {
		f, ok := i.Func("", "run-"+name)
		if !ok {
			t.Fatal("no function run-" + name)
		}
		_, err := f.Call(t.Context(), []component.Val{component.U32Val(3), component.U32Val(n)})
		return err
	}
	for _, c := range []struct {
		name string
		n    uint32
		over bool
	}{
		{"write-bytes", limit, false}, {"write-bytes", limit + 1, true},
		{"write-words", limit / 4, false}, {"write-words", limit/4 + 1, true},
		{"write-text", limit, false}, {"write-text", limit + 1, true},
		{"read-bytes", 2 * limit, false}, // which is the guest's memory
	} {
		i := fresh()
		err := run(i, c.name, c.n)
		var exceeded *component.LimitError
		if errors.As(err, &exceeded) != c.over || c.over && (exceeded.Resource != component.LimitedHost || exceeded.Limit != limit) || !c.over && err != nil {
			t.Errorf("%s of %d: %v", c.name, c.n, err)
		}
		pair := instantiate(t, opts, guests.BoundaryPair(), nil)
		if err := run(pair, c.name, c.n); err != nil {
			t.Errorf("%s of %d between components: %v", c.name, c.n, err)
		}
	}
	x, err := boundary.LookupGuest(fresh())
	if err != nil {
		t.Fatal(err)
	}
	if b, err := x.ReadBytes(t.Context(), limit); err != nil || len(b) != limit {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	var exceeded *component.LimitError
	if _, err := x.ReadBytes(t.Context(), limit+1); !errors.As(err, &exceeded) {
		t.Errorf("result: %v", err)
	}
}
