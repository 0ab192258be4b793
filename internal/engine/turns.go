package engine

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// lendTime is how long a guest keeps its turn while the host works for it, if others
// want it. Host functions that work rarely take as long; those that take longer mostly
// wait.
const lendTime = time.Millisecond

// calm is how long no short call must have been made for all processors to be given
// to long ones.
const calm = time.Second

// turns are given to guests that compute for long, or have the host do so: no more of
// them run at a time than there are turns. While short calls are made too, one
// processor is kept free for them: the Go runtime looks at the network only where a
// processor has nothing to do.
type turns struct {
	most int // beside short calls
	all  int // otherwise

	short atomic.Int64 // when a short call ended last, in Unix nanoseconds

	mu      sync.Mutex
	holders []*Meter
	queue   []*turnWaiter // first come, first served
}

type turnWaiter struct {
	meter *Meter
	ready chan struct{} // closed when the meter is a holder
}

// acquire waits for a turn. It returns false if ctx ends or due is ready before.
func (t *turns) acquire(ctx context.Context, m *Meter, due <-chan time.Time) bool {
	w := &turnWaiter{meter: m, ready: make(chan struct{})}
	t.mu.Lock()
	t.queue = append(t.queue, w)
	t.serve()
	t.mu.Unlock()
	select {
	case <-w.ready:
		return true
	default:
	}
	lent := time.NewTicker(turn)
	defer lent.Stop()
	for {
		select {
		case <-w.ready:
			return true
		case <-lent.C:
			t.mu.Lock()
			t.serve()
			t.mu.Unlock()
			continue
		case <-ctx.Done():
		case <-due:
		}
		t.release(m)
		return false
	}
}

// noteShort notes that a short call ended.
func (t *turns) noteShort() {
	now := time.Now().UnixNano()
	if last := t.short.Load(); now-last > int64(calm/8) { // not to contend for it
		t.short.Store(now)
	}
}

// room returns how many may have a turn now.
func (t *turns) room() int {
	if time.Now().UnixNano()-t.short.Load() > int64(calm) {
		return max(t.most, t.all)
	}
	return t.most
}

// serve gives turns to those who wait, as far as there are any. t.mu is held.
func (t *turns) serve() {
	for room := t.room(); len(t.queue) > 0 && (len(t.holders) < room || t.reclaim()); {
		w := t.queue[0]
		t.queue = slices.Delete(t.queue, 0, 1)
		t.holders = append(t.holders, w.meter)
		close(w.ready)
	}
}

// reclaim takes the turn of a guest that the host has kept for long.
func (t *turns) reclaim() bool {
	for i, m := range t.holders {
		if at := m.lent.Load(); at != 0 && m.now()-time.Duration(at) > lendTime && m.lent.CompareAndSwap(at, 0) {
			t.holders = slices.Delete(t.holders, i, i+1)
			return true
		}
	}
	return false
}

// release gives back a turn, or stops waiting for one.
func (t *turns) release(m *Meter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.holders = slices.DeleteFunc(t.holders, func(h *Meter) bool { return h == m })
	t.queue = slices.DeleteFunc(t.queue, func(w *turnWaiter) bool { return w.meter == m })
	t.serve()
}
