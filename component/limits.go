package component

import (
	"context"
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ashlar-wasm/ashlar/internal/canon"
	"github.com/ashlar-wasm/ashlar/internal/engine"
	"github.com/ashlar-wasm/ashlar/internal/limit"
)

// Limits bound what a component may use. A zero field takes the default. All hold
// for one instance; those of calls hold for each call into it from outside, with
// all that it calls in turn.
type Limits struct {
	// MemoryBytes bounds the linear memories of one instance together; the
	// default is 1 GiB. The most that counts is 4 GiB less one page.
	MemoryBytes uint64
	// TableElements bounds the elements of the core tables of one instance together;
	// the default is 100,000. What they leave of it at first is divided among the
	// tables that may grow.
	TableElements uint64
	// Handles bounds the handles of each component instance; the default is
	// 1,000,000.
	Handles int
	// Instances bounds the core instances that an instance consists of; the
	// default is 1,000.
	Instances int
	// HostBytes bounds the memory of the host, in bytes, that the values take which
	// a guest passes to the host in one call of a function, or returns from one;
	// the default is 128 MiB. What host functions make of the values is theirs to
	// bound. Between components values are copied from guest to guest, at most 1 GiB
	// in a call.
	HostBytes uint64
	// StackBytes bounds the memory of the host that the call stacks of guests take
	// in a call; the default is 32 MiB. Stacks are doubled when they are full, and
	// looked at from time to time only; for both, frames themselves may take a
	// quarter of it. The interpreter has a limit of its own instead.
	StackBytes uint64
	// Time bounds a call on the clock, waiting included; the default is no limit.
	// The deadline of the call's context counts as well.
	Time time.Duration
	// CPU bounds the time that guests compute in a call, without that of host
	// functions; the default is no limit.
	CPU time.Duration
	// Fuel bounds the work of guests in a call, in units of about one plain
	// instruction; the default is no limit. Where it ends a call is the same each
	// time, as long as the host answers the same, but not in each version of this
	// package: it is for tests.
	Fuel uint64
}

const maxMemoryBytes = 65535 << 16

// DefaultLimits returns the limits that hold where no others are given.
func DefaultLimits() Limits { return Limits{}.withDefaults() }

func (l Limits) withDefaults() Limits {
	if l.MemoryBytes == 0 {
		l.MemoryBytes = 1 << 30
	}
	l.MemoryBytes = min(l.MemoryBytes, maxMemoryBytes)
	if l.TableElements == 0 {
		l.TableElements = 100_000
	}
	if l.Handles == 0 {
		l.Handles = 1_000_000
	}
	if l.Instances == 0 {
		l.Instances = 1000
	}
	if l.HostBytes == 0 {
		l.HostBytes = canon.DefaultHostBytes
	}
	if l.StackBytes == 0 {
		l.StackBytes = 32 << 20
	}
	return l
}

// bounds are those of one call.
func (l *Limits) bounds() engine.Bounds {
	return engine.Bounds{Time: l.Time, CPU: l.CPU, Fuel: l.Fuel, Stack: l.StackBytes}
}

// LimitError reports that a guest reached a limit. It is wrapped by the error of
// the call that it ended.
type LimitError = limit.Error

// Limited is something of which a guest may have only so much.
type Limited = limit.Resource

// What Limits bound.
const (
	LimitedSize      = limit.Size      // of what is compiled, in bytes: see Options
	LimitedMemory    = limit.Memory    // in bytes
	LimitedTables    = limit.Tables    // elements of all tables of an instance
	LimitedHandles   = limit.Handles   // of a component instance
	LimitedInstances = limit.Instances // core instances
	LimitedStack     = limit.Stack     // in bytes
	LimitedDepth     = limit.Depth     // calls that leave guests and enter them again: 500 at most
	LimitedHost      = limit.Host      // in bytes
	LimitedPassed    = limit.Passed    // in bytes: those copied between components in a call, 1 GiB at most
	LimitedCPU       = limit.CPU       // in nanoseconds
	LimitedTime      = limit.Time      // in nanoseconds
	LimitedFuel      = limit.Fuel      // in units of work
)

// Usage is what calls into instances used, until now.
type Usage struct {
	// Calls counts instantiations and calls from outside.
	Calls uint64
	// CPU is the time that guests computed.
	CPU time.Duration
	// Limits counts calls in which a limit was reached, by resource. Those of
	// memory need not have ended: memory.grow fails, and guests may live with it.
	Limits map[Limited]uint64
}

// usage is the account of a Prepared.
type usage struct {
	calls atomic.Uint64
	cpu   atomic.Int64
	mu    sync.Mutex
	limit map[Limited]uint64
}

func (u *usage) reached(r Limited) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.limit == nil {
		u.limit = make(map[Limited]uint64)
	}
	u.limit[r]++
}

// Usage returns what all instances used.
func (p *Prepared) Usage() Usage {
	u := &p.usage
	u.mu.Lock()
	defer u.mu.Unlock()
	return Usage{Calls: u.calls.Load(), CPU: time.Duration(u.cpu.Load()), Limits: maps.Clone(u.limit)}
}

// metered runs f, a call into the instance, within the limits of a call, and
// accounts for it. f finds the call in i.cc. For aside see engine.Meter.
func (i *Instance) metered(ctx context.Context, aside bool, f func() error) error {
	p := i.prepared
	bounds := p.limits.bounds()
	ctx, cancel := bounds.WithTime(ctx)
	defer cancel()
	cc := &callContext{Context: ctx, instance: i}
	defer cc.over.Store(true)
	i.cc = cc
	refused := i.slot.sandbox.Memories().Exceeded() != nil
	i.meter.Reset(p.component.engine.core, bounds)
	if aside {
		i.meter.Aside()
	}
	err := i.started(ctx, f)
	if p.limits.Fuel > 0 {
		for n := range i.slot.sandbox.Len() {
			c := i.slot.sandbox.Instance(n)
			if left, ok := c.Counter(); ok {
				i.meter.Return(left)
				c.ResetCounter()
			}
		}
		i.fuel = i.meter.Fuel()
	}
	i.cpu += i.meter.CPU()
	p.usage.calls.Add(1)
	p.usage.cpu.Add(int64(i.meter.CPU()))
	var limit *LimitError
	if errors.As(err, &limit) {
		p.usage.reached(limit.Resource)
	} else if !refused && i.slot.sandbox.Memories().Exceeded() != nil {
		p.usage.reached(LimitedMemory)
	}
	return err
}

// started runs f while the meter's clock runs.
func (i *Instance) started(ctx context.Context, f func() error) error {
	if err := i.meter.Start(ctx); err != nil {
		return err
	}
	defer i.meter.Stop()
	return guard(func() {
		if err := f(); err != nil {
			panic(err)
		}
	})
}

// CPU returns the time that guests computed in the instance until the last call
// ended.
func (i *Instance) CPU() time.Duration { return i.cpu }

// Fuel returns the units of work that the last call did, if Limits.Fuel is set.
func (i *Instance) Fuel() uint64 { return i.fuel }
