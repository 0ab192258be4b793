package component

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
)

// PoolOptions bound a Pool. A zero field takes the default.
type PoolOptions struct {
	// Concurrent is how many instances may be in use at a time; the default is
	// 256.
	Concurrent int
	// Queue is how many callers may wait for their turn; the default is four
	// times Concurrent. Further ones are refused with ErrPoolFull.
	Queue int
}

// ErrPoolFull is returned when as many callers wait for an instance as may.
var ErrPoolFull = errors.New("too many calls are waiting for an instance")

// Pool gives every call a fresh instance, and bounds how many there are. It is
// safe for concurrent use.
type Pool struct {
	prepared *Prepared
	slots    chan struct{}
	queue    int64
	waiting  atomic.Int64
}

// NewPool returns a pool of instances of p, which must stay open as long.
func (p *Prepared) NewPool(o PoolOptions) *Pool {
	if o.Concurrent <= 0 {
		o.Concurrent = 256
	}
	if o.Queue <= 0 {
		o.Queue = 4 * o.Concurrent
	}
	return &Pool{prepared: p, slots: make(chan struct{}, o.Concurrent), queue: int64(o.Queue)}
}

// Do calls f with a fresh instance, which is gone when f returns. It waits for
// its turn if too many are in use; the error is ErrPoolFull if too many wait,
// the cause of ctx if that ends first, or what f returns.
func (p *Pool) Do(ctx context.Context, f func(*Instance) error) (err error) {
	if err := p.acquire(ctx); err != nil {
		return err
	}
	defer func() { <-p.slots }()
	i, err := p.prepared.Instantiate(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if e := i.Close(context.WithoutCancel(ctx)); e != nil {
			err = errors.Join(err, fmt.Errorf("close instance: %w", e))
		}
	}()
	return f(i)
}

func (p *Pool) acquire(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	default:
	}
	if p.waiting.Add(1) > p.queue {
		p.waiting.Add(-1)
		return ErrPoolFull
	}
	defer p.waiting.Add(-1)
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
