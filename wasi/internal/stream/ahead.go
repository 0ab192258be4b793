package stream

import "sync"

// Ahead is a pollable over a function that may block: a goroutine calls it once
// ahead when somebody asks, and ends when it returns.
type Ahead[T any] struct {
	watchers Watchers
	next     func() (T, error)

	mu      sync.Mutex
	running bool
	have    bool
	value   T
	err     error
	dispose func(T) // once it is closed
}

// NewAhead calls next for each value. Whoever owns it must be able to make next
// return.
func NewAhead[T any](next func() (T, error)) *Ahead[T] { return &Ahead[T]{next: next} }

// Ready reports whether there is a value or an error, and else calls for one.
func (a *Ahead[T]) Ready() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.have && !a.running {
		a.running = true
		go a.run()
	}
	return a.have
}

func (a *Ahead[T]) run() {
	v, err := a.next()
	a.mu.Lock()
	a.have, a.running = true, false
	dispose := a.dispose
	if a.err = err; dispose == nil {
		a.value = v
	}
	a.mu.Unlock()
	if dispose != nil && err == nil {
		dispose(v)
	}
	a.watchers.Wake()
}

// Take returns what there is, once; ok is false if there is nothing yet.
func (a *Ahead[T]) Take() (v T, ok bool, err error) {
	if !a.Ready() {
		return v, false, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	v, err = a.value, a.err
	var zero T
	a.value, a.err, a.have = zero, nil, false
	return v, true, err
}

// Close gives the value that nobody took, or that is still to come, to dispose.
// Nothing is to be taken any more.
func (a *Ahead[T]) Close(dispose func(T)) {
	a.mu.Lock()
	v, have := a.value, a.have && a.err == nil && a.dispose == nil
	var zero T
	a.value, a.dispose = zero, dispose
	a.mu.Unlock()
	if have {
		dispose(v)
	}
}

// Watch is that of Pollable.
func (a *Ahead[T]) Watch(wake func()) (stop func()) { return a.watchers.Watch(wake) }
