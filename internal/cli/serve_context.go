package cli

import (
	"context"
	"sync/atomic"
	"time"
)

// lazyContext is a context that ends with its parent, at a deadline, or when it is
// cancelled. It costs next to nothing until somebody waits for that, as the contexts of
// most requests never see: then it makes what package context has for it.
//
// Until then Err does not tell that the deadline has passed. Whoever does not wait, as
// guests that compute, is to look at the deadline.
type lazyContext struct {
	context.Context // the parent
	deadline        time.Time
	late            error // the cause when the deadline passes
	made            atomic.Pointer[madeContext]
}

type madeContext struct {
	context.Context
	cancel context.CancelCauseFunc
}

func (c *lazyContext) make() *madeContext {
	if m := c.made.Load(); m != nil {
		return m
	}
	ctx, cancel := context.WithCancelCause(c.Context)
	ctx, stop := context.WithDeadlineCause(ctx, c.deadline, c.late)
	m := &madeContext{ctx, func(cause error) {
		cancel(cause)
		stop()
	}}
	if !c.made.CompareAndSwap(nil, m) {
		m.cancel(nil)
	}
	return c.made.Load()
}

// cancel ends the context with a cause.
func (c *lazyContext) cancel(cause error) { c.make().cancel(cause) }

// release gives back what was made. It is for when nobody waits any more; the parent is
// to end soon.
func (c *lazyContext) release() {
	if m := c.made.Load(); m != nil {
		m.cancel(nil)
	}
}

// Deadline implements context.Context.
func (c *lazyContext) Deadline() (time.Time, bool) {
	if d, ok := c.Context.Deadline(); ok && d.Before(c.deadline) {
		return d, true
	}
	return c.deadline, true
}

// Done implements context.Context.
func (c *lazyContext) Done() <-chan struct{} { return c.make().Done() }

// Err implements context.Context.
func (c *lazyContext) Err() error {
	if m := c.made.Load(); m != nil {
		return m.Err()
	}
	return c.Context.Err()
}

// Value implements context.Context.
func (c *lazyContext) Value(key any) any {
	if m := c.made.Load(); m != nil {
		return m.Value(key) // context.Cause asks for the cause in this way
	}
	return c.Context.Value(key)
}
