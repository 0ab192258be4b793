package engine

import (
	"context"
	"slices"
	"sync"
	"time"
)

// lendTime is how long a guest keeps its turn while the host works for it, if others
// want it. Host functions that work rarely take as long; those that take longer mostly
// wait.
const lendTime = time.Millisecond

// turns are given to guests that compute for long, or have the host do so: no more of
// them run at a time than there are turns.
type turns struct {
	most int

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

// serve gives turns to those who wait, as far as there are any. t.mu is held.
func (t *turns) serve() {
	for len(t.queue) > 0 && (len(t.holders) < t.most || t.reclaim()) {
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
