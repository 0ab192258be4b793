package engine

import (
	"context"
	"math"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/ashlar-wasm/ashlar/internal/limit"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// What metered modules import: a function of the engine's own.
const (
	MeterModule = "ashlar"
	MeterYield  = "yield"
	// MeterCounter is the export that holds what is left of a module's budget.
	MeterCounter = "ashlar.budget"
)

const (
	// Of a slow guest the budget shrinks until it takes no longer than this.
	quantum = 200 * time.Microsecond
	// maxBudget is some 30 to 100 microseconds of plain work, and the most that
	// the stack grows between two looks at it, in units of frameBytes.
	maxBudget  = 1 << 18
	minBudget  = 1 << 10
	frameBytes = wasm.FrameBytes
	// surprise is how long no guest takes for a budget that was chosen by what it
	// did until then, unless it does something else now.
	surprise = 4 * quantum
	minDoubt = 20 * time.Millisecond
	// breath is how long a guest keeps other goroutines of its processor waiting.
	breath = 500 * time.Microsecond
	// patience is how long a call may be busy before it has to take turns with
	// others like it, and turn how long it keeps its turn then.
	patience = time.Millisecond
	turn     = 5 * time.Millisecond
	// paidPause is what a unit done inside a call of the host counts, where no
	// clock runs.
	paidPause = time.Nanosecond
	// fuelGrant is the budget where fuel is counted: always the same, so that a
	// guest is stopped at the same place every time.
	fuelGrant = 1 << 14
)

// Bounds of a call into guests. A zero field is no limit.
type Bounds struct {
	// Time is what the call may take on the clock: see WithTime.
	Time time.Duration
	// CPU is what guests may compute in all.
	CPU time.Duration
	// Fuel is how many units of work guests may do. It is the same in every run
	// of the same guest with the same answers of the host.
	Fuel uint64
	// Stack is how many bytes of the host's memory the call stacks of guests may
	// take. The engine doubles a stack that is full, and looks at it from time to
	// time only; for both, frames themselves may take a quarter of it.
	Stack uint64
}

// WithTime returns a context that ends with the time that the call may take.
func (b *Bounds) WithTime(ctx context.Context) (context.Context, context.CancelFunc) {
	if b.Time <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, b.Time, &limit.Error{Resource: limit.Time, Limit: uint64(b.Time), Requested: uint64(b.Time)})
}

// Meter follows one call into guests, with all that they call in turn: it bounds
// and measures their work, and lets the rest of the process live. Guest code is
// not preempted; it gets here when its budget is used up.
//
// A Meter is used by one goroutine at a time.
type Meter struct {
	bounds Bounds
	turns  *turns
	epoch  time.Time

	deadline time.Duration // since epoch
	since    time.Duration // the guest runs since then, or below zero if the host does
	paused   time.Duration // the host runs since then
	used     time.Duration // CPU time before since
	hosted   time.Duration // in calls of the host that did not wait, as far as can be told
	yielded  time.Duration // CPU time at the last yield
	breathed time.Duration // busy when others ran last
	fuel     uint64        // handed out
	budget   int64
	ceiling  int64         // of the budget, or 0 for maxBudget
	doubt    time.Duration // for how long no surprise raises the ceiling
	raise    time.Duration // CPU time at which the ceiling is raised
	aside    bool          // see Aside
	long     bool          // it had a turn
	holds    bool          // a turn, unless it was reclaimed while it was lent
	lent     atomic.Int64  // since when the host runs with the turn, or 0
	turned   time.Duration // busy when it got the turn

	active *Func  // the innermost function that was called
	below  uint64 // bytes of the stacks under it
}

// NewMeter returns a meter for one call, or several that count as one.
func (e *Engine) NewMeter(b Bounds) *Meter {
	m := &Meter{}
	m.Reset(e, b)
	return m
}

// Reset makes m a new meter.
func (m *Meter) Reset(e *Engine, b Bounds) {
	*m = Meter{bounds: b, turns: &e.turns, epoch: time.Now(), since: -1, deadline: math.MaxInt64, budget: maxBudget / 4}
}

// Aside tells that what is metered is not a call for its own sake, such as making an
// instance for one. That it is short does not tell that short calls are being made,
// for which a processor is kept free of long ones.
func (m *Meter) Aside() { m.aside = true }

type meterKey struct{}

// WithMeter returns a context by which guests that are called with it find their
// meter.
func WithMeter(ctx context.Context, m *Meter) context.Context {
	return context.WithValue(ctx, meterKey{}, m)
}

// Metered is a context that has a meter, which is found faster than by Value.
type Metered interface {
	context.Context
	Meter() *Meter
}

func meterOf(ctx context.Context) *Meter {
	if c, ok := ctx.(Metered); ok {
		return c.Meter()
	}
	m, _ := ctx.Value(meterKey{}).(*Meter)
	return m
}

func (m *Meter) now() time.Duration { return time.Since(m.epoch) }

// Start starts the clock: guests run from now on. The error is that of the context
// or a *limit.Error if there is no time left.
func (m *Meter) Start(ctx context.Context) error {
	if d, ok := ctx.Deadline(); ok {
		m.deadline = min(m.deadline, d.Sub(m.epoch))
	}
	m.since = m.now()
	return m.check(ctx, m.since)
}

// Stop stops the clock: no guest runs any more.
func (m *Meter) Stop() {
	m.stop()
	if m.holds {
		m.release()
	}
	if !m.long && !m.aside {
		m.turns.noteShort()
	}
	m.active, m.below = nil, 0
}

// CPU returns the CPU time that guests used up to the last Stop or pause.
func (m *Meter) CPU() time.Duration { return m.used }

// Fuel returns the units of work that were handed out to guests; what is left in
// their modules' counters of it has not been done.
func (m *Meter) Fuel() uint64 { return m.fuel }

// Return gives back what is left of the fuel in a module's counter.
func (m *Meter) Return(left int32) { m.fuel -= uint64(int64(left)) }

// pause stops the clock while the host works for the guest.
func (m *Meter) pause() {
	m.stop()
	m.lend()
}

func (m *Meter) stop() {
	now := m.tick()
	m.since, m.paused = -1, now
}

// tick counts what the guest ran until now, which it returns.
func (m *Meter) tick() time.Duration {
	now := m.now()
	if m.runs() {
		m.used += now - m.since
		m.since = now
	}
	return now
}

// runs reports that the clock runs: the guest does, and not the host for it.
func (m *Meter) runs() bool { return m.since >= 0 }

// lend lets others have the turn while the host runs, if it does for long.
func (m *Meter) lend() {
	if m.holds {
		m.lent.Store(max(1, int64(m.now())))
	}
}

// unlend takes the turn back, unless another has it.
func (m *Meter) unlend() {
	if m.holds && m.lent.Swap(0) == 0 {
		m.holds = false
	}
}

// busy is the time that guests computed, or the host for them.
func (m *Meter) busy() time.Duration { return m.used + m.hosted }

// resume goes on after pause.
func (m *Meter) resume(ctx context.Context) error {
	now := m.now()
	if d := now - m.paused; d < lendTime {
		m.hosted += d
	}
	m.since = now
	m.unlend()
	if err := m.check(ctx, now); err != nil {
		return err
	}
	if m.busy()-m.breathed > breath {
		return m.breathe(ctx)
	}
	return nil
}

// Check reports that the call must end, to what works for long on behalf of a guest.
func (m *Meter) Check(ctx context.Context) error {
	return m.check(ctx, m.tick())
}

// check reports that the call must end.
func (m *Meter) check(ctx context.Context, now time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if now >= m.deadline {
		// The context is about to end, with the cause that its maker gave it.
		late := time.NewTimer(time.Second)
		defer late.Stop()
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-late.C:
			return context.DeadlineExceeded
		}
	}
	if m.bounds.CPU > 0 && m.used > m.bounds.CPU {
		return &limit.Error{Resource: limit.CPU, Limit: uint64(m.bounds.CPU), Requested: uint64(m.used)}
	}
	return nil
}

// yield is what a guest calls when its budget is used up. left is what is left,
// below zero; the result is the next budget. It panics with an error to end the
// guest.
func (m *Meter) yield(ctx context.Context, left int32) int32 {
	now := m.tick()
	if !m.runs() {
		// Inside a call of the host, as its realloc for instance.
		m.used += min(now-m.paused, time.Duration(m.budget-int64(left))*paidPause)
		m.paused = now
	}
	if err := m.check(ctx, now); err != nil {
		panic(err)
	}
	if m.bounds.Stack > 0 {
		if used := m.below + m.active.stackUsed(); used > m.bounds.Stack/4 {
			panic(&limit.Error{Resource: limit.Stack, Limit: m.bounds.Stack, Requested: 4 * used})
		}
	}
	took := m.used - m.yielded
	m.yielded = m.used
	if m.bounds.Fuel > 0 {
		m.fuel += uint64(-int64(left))
		if m.fuel >= m.bounds.Fuel {
			panic(&limit.Error{Resource: limit.Fuel, Limit: m.bounds.Fuel, Requested: m.fuel})
		}
		m.budget = int64(min(fuelGrant, m.bounds.Fuel-m.fuel))
		m.fuel += uint64(m.budget)
	} else {
		m.adapt(took)
	}
	if m.busy()-m.breathed > breath {
		if err := m.breathe(ctx); err != nil {
			panic(err)
		}
	}
	return int32(m.budget)
}

// adapt chooses the next budget: half of it if the last took too long, and a
// little more each time otherwise. A guest that took much longer than it had seemed to
// need, as for the first use of pages of memory, gets no more than it needs at that
// speed, until it has not done so again for a while, which is twice as long each time.
func (m *Meter) adapt(took time.Duration) {
	most := int64(maxBudget)
	if s := m.bounds.Stack; s > 0 {
		// What the stack may grow before it is looked at again.
		most = int64(max(minBudget, min(maxBudget, s/4/frameBytes)))
	}
	switch {
	case took > surprise:
		m.ceiling = m.budget * int64(quantum) / int64(took)
		m.budget = m.ceiling
		m.doubt = max(minDoubt, 2*m.doubt)
		m.raise = m.used + m.doubt
	case took > quantum:
		m.budget /= 2
	default:
		m.budget += m.budget / 8
	}
	if m.ceiling > 0 {
		if m.used > m.raise {
			m.ceiling, m.raise = 2*m.ceiling, m.used+m.doubt
		}
		if m.ceiling = max(minBudget, m.ceiling); m.ceiling > maxBudget {
			m.ceiling = 0
		} else {
			most = min(most, m.ceiling)
		}
	}
	m.budget = max(minBudget, min(m.budget, most))
}

// breathe lets other goroutines run. A guest that computes for long, or has the host
// do so, takes turns with others like it.
func (m *Meter) breathe(ctx context.Context) error {
	m.breathed = m.busy()
	if !m.runs() {
		m.unlend()
	}
	if m.breathed > patience {
		if m.holds && m.breathed-m.turned > turn {
			m.release()
		}
		if !m.holds {
			if err := m.acquire(ctx); err != nil {
				return err
			}
		}
	}
	runtime.Gosched()
	// Waiting is not computing.
	if m.runs() {
		m.since = m.now()
	} else {
		m.lend()
		m.paused = m.now()
	}
	return nil
}

func (m *Meter) release() {
	m.holds = false
	m.lent.Store(0)
	m.turns.release(m)
}

func (m *Meter) acquire(ctx context.Context) error {
	var due <-chan time.Time
	if m.deadline != math.MaxInt64 {
		t := time.NewTimer(m.deadline - m.now())
		defer t.Stop()
		due = t.C
	}
	if !m.turns.acquire(ctx, m, due) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return m.check(ctx, max(m.now(), m.deadline))
	}
	m.holds, m.long, m.turned = true, true, m.busy()
	return nil
}

// instantiateMeter makes the module that metered modules import.
func (e *Engine) instantiateMeter() (*Instance, error) {
	return e.InstantiateHost(context.Background(), []HostFunc{{
		Name: MeterYield, Params: []ValType{I32}, Results: []ValType{I32},
		Call: func(ctx context.Context, _ Memory, stack []uint64) {
			if m := meterOf(ctx); m != nil {
				stack[0] = uint64(uint32(m.yield(ctx, int32(stack[0]))))
				return
			}
			if ctx.Err() != nil {
				panic(context.Cause(ctx))
			}
			runtime.Gosched()
			stack[0] = maxBudget
		},
	}})
}

// paused makes a host function whose work does not count as the guest's.
func paused(call func(ctx context.Context, mem Memory, stack []uint64)) func(ctx context.Context, mem Memory, stack []uint64) {
	return func(ctx context.Context, mem Memory, stack []uint64) {
		m := meterOf(ctx)
		switch {
		case m == nil:
			call(ctx, mem, stack)
		case !m.runs():
			// A function of the host called a guest, as a destructor, which calls
			// the host again.
			call(ctx, mem, stack)
			if err := m.Check(ctx); err != nil {
				panic(err)
			}
		default:
			m.pause()
			call(ctx, mem, stack)
			if err := m.resume(ctx); err != nil {
				panic(err)
			}
		}
	}
}
