package component

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// PoolOptions configure a Pool. A zero field takes the default.
type PoolOptions struct {
	// Concurrent is how many instances may be in use at a time; the default is
	// 256.
	Concurrent int
	// Queue is how many callers may wait for their turn; the default is four
	// times Concurrent. Further ones are refused with ErrPoolFull.
	Queue int
	// Wait is for how long each waits, if its context does not end before; the default
	// is for ever. Who has waited for so long is refused with ErrPoolFull.
	Wait time.Duration
	// Snapshot is what instances share. The default is SnapshotAuto.
	Snapshot SnapshotMode
	// WarmUp makes the call whose state is shared with SnapshotWarm, which needs it.
	WarmUp func(context.Context, *Instance) error
	// Reuse is how many callers get the same instance, one after another; the default is
	// one. With more, each sees what those before it left: memory, files it holds open,
	// all of it. It is for components that are trusted with that.
	Reuse int
	// Idle is how many unused sandboxes are kept for later calls; the default is
	// Concurrent. Below zero none is.
	Idle int
	// IdleTime is for how long; the default is a minute. After a quarter of it they keep
	// no memory of their own. In the end what they begin with is given back, too, and
	// made again when it is needed.
	IdleTime time.Duration
}

// ErrPoolFull is returned when as many callers wait for an instance as may, or one has
// waited for as long as it may.
var ErrPoolFull = errors.New("too many calls are waiting for an instance")

// ErrPoolClosed is returned when a Pool is used that was closed.
var ErrPoolClosed = errors.New("the pool is closed")

// Pool gives every call a fresh instance, and bounds how many there are. It keeps the
// sandboxes of instances that ended, brings them back to where instances begin, and
// gives them to others. It is safe for concurrent use.
type Pool struct {
	prepared *Prepared
	options  PoolOptions
	turns    chan struct{}
	waiting  atomic.Int64
	counts   poolCounts

	making chan struct{} // has a token while nobody makes a snapshot
	mu     sync.Mutex
	snap   *snapshot // or nil
	info   SnapshotInfo
	idle   []*slot // that used last is the last
	timer  *time.Timer
	closed bool
	used   time.Time      // when a slot was kept last, or the snapshot made
	busy   sync.WaitGroup // giving back what is idle; nothing is added once it is closed
}

type poolCounts struct{ made, restored, dropped atomic.Uint64 }

// PoolStats counts what a Pool did.
type PoolStats struct {
	InUse   int // instances
	Waiting int // callers
	Idle    int // sandboxes that are kept
	// Made, Restored and Dropped count sandboxes: those that were made, brought back to
	// their beginning, and given up since something in them could not be brought back.
	Made, Restored, Dropped uint64
}

// NewPool returns a pool of instances of p, which must stay open as long. The error tells
// of options that contradict each other.
func (p *Prepared) NewPool(o PoolOptions) (*Pool, error) {
	if o.Concurrent <= 0 {
		o.Concurrent = 256
	}
	if o.Queue <= 0 {
		o.Queue = 4 * o.Concurrent
	}
	if o.Idle == 0 {
		o.Idle = o.Concurrent
	}
	if o.IdleTime <= 0 {
		o.IdleTime = time.Minute
	}
	if o.Snapshot > SnapshotWarm {
		return nil, fmt.Errorf("unknown %v", o.Snapshot)
	}
	if (o.Snapshot == SnapshotWarm) != (o.WarmUp != nil) {
		return nil, errors.New("a call to warm up, and only that, goes with a snapshot that is warm")
	}
	pool := &Pool{prepared: p, options: o, turns: make(chan struct{}, o.Concurrent), making: make(chan struct{}, 1)}
	pool.making <- struct{}{}
	p.component.engine.pools.add(pool)
	return pool, nil
}

// Do calls f with a fresh instance, which is gone when f returns. It waits for
// its turn if too many are in use; the error is ErrPoolFull if too many wait, or it has
// waited for long enough, the cause of ctx if that ends first, or what f returns.
func (p *Pool) Do(ctx context.Context, f func(*Instance) error) (err error) {
	if err := p.acquire(ctx); err != nil {
		return err
	}
	turn := true
	defer func() {
		if turn {
			<-p.turns
		}
	}()
	i, err := p.take(ctx)
	if err != nil {
		return err
	}
	returned := false
	defer func() {
		if i.phase.Load() == running || !i.again {
			if i.retire(true) == running {
				// The call keeps the turn, and all that it works with, until it ends.
				turn = false
				err = errors.Join(err, fmt.Errorf("close instance: %w", ErrBusy))
				return
			}
			i.again = false
		}
		if e := p.put(context.WithoutCancel(ctx), i, returned); e != nil {
			err = errors.Join(err, fmt.Errorf("close instance: %w", e))
		}
	}()
	err = f(i)
	returned = true
	return err
}

func (p *Pool) acquire(ctx context.Context) error {
	select {
	case p.turns <- struct{}{}:
		return nil
	default:
	}
	if p.waiting.Add(1) > int64(p.options.Queue) {
		p.waiting.Add(-1)
		return ErrPoolFull
	}
	defer p.waiting.Add(-1)
	var late <-chan time.Time
	if p.options.Wait > 0 {
		t := time.NewTimer(p.options.Wait)
		defer t.Stop()
		late = t.C
	}
	select {
	case p.turns <- struct{}{}:
		return nil
	case <-late:
		return ErrPoolFull
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// take returns an instance that has begun.
func (p *Pool) take(ctx context.Context) (*Instance, error) {
	s, err := p.slot(ctx)
	if err != nil {
		return nil, err
	}
	if i := s.instance; i != nil { // to be used once more
		i.uses++
		i.again = i.uses < p.options.Reuse
		return i, nil
	}
	i := s.newInstance()
	i.pool, i.uses, i.again = p, 1, p.options.Reuse > 1
	if err := i.begin(ctx); err != nil {
		i.retire(false)
		return nil, errors.Join(err, p.drop(context.WithoutCancel(ctx), i))
	}
	return i, nil
}

// slot returns one that is idle, or a new one.
func (p *Pool) slot(ctx context.Context) (*slot, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, ErrPoolClosed
	}
	if n := len(p.idle); n > 0 {
		s := p.idle[n-1]
		p.idle[n-1] = nil
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return s, nil
	}
	p.mu.Unlock()
	if p.options.Snapshot == SnapshotOff {
		p.counts.made.Add(1)
		return p.prepared.newSlot(nil, false), nil
	}
	snap, err := p.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	p.counts.made.Add(1)
	return p.prepared.newSlotFrom(ctx, snap)
}

// snapshot returns what instances begin with. Whoever gets it is to release it.
func (p *Pool) snapshot(ctx context.Context) (*snapshot, error) {
	have := func() (*snapshot, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.closed {
			return nil, ErrPoolClosed
		}
		return p.snap.retain(), nil
	}
	if snap, err := have(); snap != nil || err != nil {
		return snap, err
	}
	select {
	case <-p.making:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { p.making <- struct{}{} }()
	if snap, err := have(); snap != nil || err != nil {
		return snap, err
	}
	snap, err := p.prepared.component.shared.get(ctx, p.prepared, &p.options)
	if err != nil {
		return nil, fmt.Errorf("make a snapshot: %w", err)
	}
	p.mu.Lock()
	if !p.closed {
		p.snap, p.info = snap.retain(), snap.info
		p.touch()
	}
	p.mu.Unlock()
	return snap, nil
}

// put takes an instance back, which has ended unless it is for the next caller, too.
// good tells that its caller knows of nothing that speaks against that. The error is what
// its end returned.
func (p *Pool) put(ctx context.Context, i *Instance, good bool) error {
	s := i.slot
	good = good && i.poisoned == nil
	if good && i.again {
		return p.keep(ctx, s)
	}
	if i.retire(false) == running {
		return ErrBusy
	}
	if s.from == nil || !good {
		return p.drop(ctx, i)
	}
	if err := i.dropOwned(ctx); err != nil {
		return errors.Join(err, p.drop(ctx, i))
	}
	if err := s.restore(ctx); err != nil {
		// A memory at its maximum can't be made smaller, for one.
		return p.drop(ctx, i)
	}
	p.counts.restored.Add(1)
	return p.keep(ctx, s)
}

// keep makes a slot idle, or closes it if there are enough.
func (p *Pool) keep(ctx context.Context, s *slot) error {
	s.since, s.quiet = time.Now(), false
	p.mu.Lock()
	if p.closed || len(p.idle) >= p.options.Idle {
		p.mu.Unlock()
		return closeSlot(ctx, s)
	}
	p.idle = append(p.idle, s)
	p.touch()
	p.mu.Unlock()
	return nil
}

// touch notes that the pool, which is locked and not closed, has what is to be given back
// some time.
func (p *Pool) touch() {
	p.used = time.Now()
	if p.timer == nil {
		p.timer = time.AfterFunc(max(p.options.IdleTime/4, time.Millisecond), p.expire)
	}
}

// drop gives an instance that has ended up with its slot.
func (p *Pool) drop(ctx context.Context, i *Instance) error {
	if i.slot.from != nil {
		p.counts.dropped.Add(1)
	}
	return errors.Join(i.dropOwned(ctx), i.slot.close(ctx))
}

// closeSlot closes a slot that is idle.
func closeSlot(ctx context.Context, s *slot) (err error) {
	if i := s.instance; i != nil {
		if i.retire(false) == running {
			return ErrBusy
		}
		err = i.dropOwned(ctx)
	}
	return errors.Join(err, s.close(ctx))
}

// expire gives back what was not used for a while.
func (p *Pool) expire() {
	now := time.Now()
	p.giveBack(now.Add(-p.options.IdleTime), true)
	p.quieten(now.Add(-p.options.IdleTime / 4))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = nil
	if (len(p.idle) > 0 || p.snap != nil) && !p.closed {
		p.timer = time.AfterFunc(max(p.options.IdleTime/4, time.Millisecond), p.expire)
	}
}

// quieten has slots that are idle since before a time give back what they can.
func (p *Pool) quieten(before time.Time) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.busy.Add(1)
	defer p.busy.Done()
	var quiet []*slot
	p.idle = slices.DeleteFunc(p.idle, func(s *slot) bool {
		if s.quiet || s.since.After(before) {
			return false
		}
		quiet = append(quiet, s)
		return true
	})
	p.mu.Unlock()
	good := quiet[:0]
	for _, s := range quiet {
		if s.quieten() {
			good = append(good, s)
		} else {
			_ = closeSlot(context.Background(), s)
		}
	}
	p.mu.Lock()
	room := max(p.options.Idle-len(p.idle), 0)
	if p.closed {
		room = 0
	}
	back := good[:min(room, len(good))]
	p.idle = append(p.idle, back...)
	slices.SortFunc(p.idle, func(a, b *slot) int { return a.since.Compare(b.since) })
	p.mu.Unlock()
	for _, s := range good[len(back):] {
		_ = closeSlot(context.Background(), s)
	}
}

// giveBack closes the slots that are idle since before a time, and the snapshot if that
// is asked for and nobody used the pool since. It returns how many there were.
func (p *Pool) giveBack(before time.Time, snapshot bool) int {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return 0
	}
	p.busy.Add(1)
	defer p.busy.Done()
	n := 0
	for n < len(p.idle) && !p.idle[n].since.After(before) {
		n++
	}
	old := slices.Clone(p.idle[:n])
	p.idle = slices.Delete(p.idle, 0, n)
	snap := p.snap
	if snapshot && p.unused() && !p.used.After(before) {
		p.snap = nil
	} else {
		snap = nil
	}
	p.mu.Unlock()
	// Nobody waits for it; what it would report is that a resource of the host did not
	// close well.
	for _, s := range old {
		_ = closeSlot(context.Background(), s)
	}
	if snap != nil {
		_ = snap.release()
		n++
	}
	return n
}

// unused tells that the pool, which is locked, has no slots.
func (p *Pool) unused() bool { return len(p.idle) == 0 && len(p.turns) == 0 }

// unusedSince returns since when the pool has nothing but a snapshot; ok is false if it
// has more, or not even that.
func (p *Pool) unusedSince() (since time.Time, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used, p.snap != nil && p.unused()
}

// idleSince returns since when a slot is idle at most; ok is false if none is.
func (p *Pool) idleSince() (since time.Time, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		return time.Time{}, false
	}
	return p.idle[0].since, true
}

// Prime makes the snapshot and a number of sandboxes, so that as many calls need not wait
// for that. It returns what instances begin with.
func (p *Pool) Prime(ctx context.Context, sandboxes int) (SnapshotInfo, error) {
	var slots []*slot
	var err error
	for len(slots) < max(sandboxes, 1) && err == nil {
		var s *slot
		if s, err = p.slot(ctx); err == nil {
			slots = append(slots, s)
		}
	}
	for _, s := range slots {
		if s.from == nil {
			err = errors.Join(err, closeSlot(ctx, s))
		} else {
			err = errors.Join(err, p.keep(ctx, s))
		}
	}
	return p.Snapshot(), err
}

// Snapshot returns what instances begin with, as of the last snapshot that was made.
func (p *Pool) Snapshot() SnapshotInfo {
	if p.options.Snapshot == SnapshotOff {
		return SnapshotInfo{Mode: SnapshotOff, Reason: "asked for"}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.info
}

// Trim gives back all that is idle, as after IdleTime.
func (p *Pool) Trim() { p.giveBack(time.Now(), true) }

// Stats returns the counters.
func (p *Pool) Stats() PoolStats {
	p.mu.Lock()
	idle := len(p.idle)
	p.mu.Unlock()
	return PoolStats{InUse: len(p.turns), Waiting: int(p.waiting.Load()), Idle: idle,
		Made: p.counts.made.Load(), Restored: p.counts.restored.Load(), Dropped: p.counts.dropped.Load()}
}

// Close gives back what the pool keeps. Calls that are under way end as they would, and
// what they have is given back then.
func (p *Pool) Close(ctx context.Context) error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
	idle, snap := p.idle, p.snap
	p.idle, p.snap = nil, nil
	p.mu.Unlock()
	p.prepared.component.engine.pools.remove(p)
	var err error
	for _, s := range idle {
		err = errors.Join(err, closeSlot(ctx, s))
	}
	err = errors.Join(err, snap.release())
	p.busy.Wait()
	return err
}
