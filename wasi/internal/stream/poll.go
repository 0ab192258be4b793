// Package stream has the byte streams of WASI and what one waits on: inputs and
// outputs that never block unless asked to, that tell truly whether they are
// ready, and that hold a bounded number of bytes.
package stream

import (
	"context"
	"sync"
)

// A Pollable becomes ready at some time. Its methods may be called from any
// goroutine.
type Pollable interface {
	// Ready reports whether there is something to do now. It may start what
	// leads there, such as reading ahead.
	Ready() bool
	// Watch has wake called when Ready may have turned true after the call. It
	// may be called more than once, from any goroutine, and must not block;
	// stop ends it.
	Watch(wake func()) (stop func())
}

// Poll waits until at least one of the pollables is ready and returns the
// indexes of all that are. It ends early with the cause of ctx's end.
func Poll(ctx context.Context, in []Pollable) ([]uint32, error) {
	if ready := readyOf(in); len(ready) > 0 || len(in) == 0 {
		return ready, nil
	}
	changed := make(chan struct{}, 1)
	wake := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	for _, p := range in {
		defer p.Watch(wake)()
	}
	for {
		if ready := readyOf(in); len(ready) > 0 {
			return ready, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func readyOf(in []Pollable) []uint32 {
	var ready []uint32
	for i, p := range in {
		if p.Ready() {
			ready = append(ready, uint32(i))
		}
	}
	return ready
}

// Block waits until p is ready.
func Block(ctx context.Context, p Pollable) error {
	if p.Ready() {
		return nil
	}
	_, err := Poll(ctx, []Pollable{p})
	return err
}

// Watchers is a set of wake functions. The zero value is empty.
type Watchers struct {
	mu  sync.Mutex
	set map[*func()]struct{}
}

// Watch adds wake until stop is called.
func (w *Watchers) Watch(wake func()) (stop func()) {
	key := &wake
	w.mu.Lock()
	if w.set == nil {
		w.set = map[*func()]struct{}{}
	}
	w.set[key] = struct{}{}
	w.mu.Unlock()
	return func() {
		w.mu.Lock()
		delete(w.set, key)
		w.mu.Unlock()
	}
}

// Wake calls them all.
func (w *Watchers) Wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for wake := range w.set {
		(*wake)()
	}
}

// Immediate is a pollable that is always ready.
type Immediate struct{}

// Ready is true.
func (Immediate) Ready() bool { return true }

// Watch never needs to wake anybody.
func (Immediate) Watch(func()) (stop func()) { return func() {} }

// Future is a pollable that becomes ready once, with a value. The zero value is
// not ready.
type Future[T any] struct {
	Watchers
	mu    sync.Mutex
	done  bool
	value T
}

// Ready reports whether there is a value.
func (f *Future[T]) Ready() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.done
}

// Set gives the value; only the first one counts.
func (f *Future[T]) Set(v T) {
	f.mu.Lock()
	if !f.done {
		f.value, f.done = v, true
	}
	f.mu.Unlock()
	f.Wake()
}

// Get returns the value, if there is one.
func (f *Future[T]) Get() (v T, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.value, f.done
}
