package quota

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/ashlar-wasm/ashlar/internal/limit"
)

func TestBook(t *testing.T) {
	var told []limit.Error
	b := NewBook(Limits{Connections: 2, Files: 1, Fields: 100}, func(_ context.Context, e *limit.Error) { told = append(told, *e) })
	ctx := t.Context()
	take := func(ctx context.Context, r limit.Resource, n uint64, good bool) *Hold {
		t.Helper()
		h, err := b.Take(ctx, r, n)
		var over *limit.Error
		if (err == nil) != good || err != nil && !errors.As(err, &over) {
			t.Fatalf("take %d %s: %v", n, r, err)
		}
		return h
	}
	first := take(ctx, Connections, 1, true)
	take(ctx, Connections, 1, true)
	take(ctx, Connections, 1, false)
	take(ctx, Connections, 1, false)
	take(WithGuest(ctx), Connections, 2, true) // another guest
	take(WithGuest(ctx), Connections, 3, false)
	take(ctx, Files, 1, true)
	first.Give()
	first.Give()
	take(ctx, Connections, 1, true)
	take(ctx, Connections, 1, false)

	fields := take(ctx, Fields, 60, true)
	if fields.Grow(ctx, 40) != nil || fields.Grow(ctx, 1) == nil {
		t.Error("growing does not stop at the limit")
	}
	fields.Shrink(10)
	fields.Shrink(1000)
	take(ctx, Fields, 100, true)
	if n := b.Counts()[Connections]; n != 4 {
		t.Errorf("%d refusals counted, want 4", n)
	}
	want := []limit.Error{{Resource: Connections, Limit: 2, Requested: 3}, {Resource: Connections, Limit: 2, Requested: 3}, {Resource: Fields, Limit: 100, Requested: 101}}
	if len(told) != len(want) || told[0] != want[0] || told[1] != want[1] || told[2] != want[2] {
		t.Errorf("told %v, want %v", told, want)
	}
	if b.Check(ctx, Random, 5, 5) != nil || b.Check(ctx, Random, 6, 5) == nil || b.Counts()[Random] != 1 {
		t.Error("what is not held is not checked")
	}
	var part struct{ hold Hold }
	part.hold.Give() // nothing yet
	if err := b.Open(WithGuest(ctx), &part.hold, Connections, 3); err == nil {
		t.Error("a part holds more than the limit")
	}
	var none *Book
	h, err := none.Take(ctx, Files, 1<<40)
	if err != nil || h.Grow(ctx, 1) != nil || none.Check(ctx, Random, 2, 1) == nil {
		t.Error("no book counts")
	}
	h.Shrink(1)
	h.Give()
}

func TestAllConnections(t *testing.T) {
	b := NewBook(Limits{Connections: 2, Files: 9, AllConnections: 3}, nil)
	one, two := WithGuest(t.Context()), WithGuest(t.Context())
	first, err := b.Take(one, Connections, 2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Take(two, Connections, 2); err == nil || err.(*limit.Error).Limit != 3 {
		t.Error("more than all may have:", err)
	}
	if _, err := b.Take(two, Connections, 1); err != nil {
		t.Error("what was refused counts:", err)
	}
	if _, err := b.Take(two, Files, 9); err != nil {
		t.Error(err)
	}
	first.Give()
	first.Give()
	if _, err := b.Take(two, Connections, 1); err != nil {
		t.Error(err)
	}
}

// However many ask at once, no more is given than may be, and nothing is lost.
func TestBookIsExact(t *testing.T) {
	b := NewBook(Limits{Files: 7}, nil)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 2000 {
				h, err := b.Take(t.Context(), Files, 3)
				if err != nil {
					continue
				}
				if n := b.shared.held[kindOf(Files)].Load(); n > 7 {
					t.Errorf("%d held", n)
				}
				h.Give()
			}
		})
	}
	wg.Wait()
	if n := b.shared.held[kindOf(Files)].Load(); n != 0 {
		t.Errorf("%d held at the end", n)
	}
}
