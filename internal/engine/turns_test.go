package engine

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// What a guest does that has a turn, and one that wants it.
func TestTurnIsLent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		e := &Engine{turns: turns{most: 1}}
		a, b := e.NewMeter(Bounds{}), e.NewMeter(Bounds{})
		if err := a.acquire(ctx); err != nil {
			t.Fatal(err)
		}
		got := make(chan error)
		go func() { got <- b.acquire(ctx) }()
		time.Sleep(time.Second)
		select {
		case <-got:
			t.Fatal("two have the only turn")
		default:
		}

		// The host works for the first one, not for long.
		a.lend()
		time.Sleep(lendTime / 2)
		if a.unlend(); !a.holds {
			t.Error("a turn is lost that was lent for a moment")
		}
		// For long, then.
		a.lend()
		if err := <-got; err != nil || !b.holds {
			t.Fatalf("%v", err)
		}
		if a.unlend(); a.holds {
			t.Error("two have the only turn")
		}

		// It comes back when the other one ends; one that gave up waiting is not in
		// the way.
		why := errors.New("no longer wanted")
		go func() { got <- e.NewMeter(Bounds{}).acquire(ctx) }()
		synctest.Wait()
		cancel(why)
		if err := <-got; !errors.Is(err, why) {
			t.Errorf("%v", err)
		}
		go func() { got <- a.acquire(t.Context()) }()
		synctest.Wait()
		b.Stop()
		if err := <-got; err != nil || !a.holds {
			t.Errorf("%v", err)
		}
		a.Stop()
		if len(e.turns.holders)+len(e.turns.queue) > 0 {
			t.Errorf("left: %+v", &e.turns)
		}
	})
}

// All processors are for long calls while no short ones are made.
func TestRoomForShortCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &Engine{turns: turns{most: 1, all: 2}}
		short := func() {
			m := e.NewMeter(Bounds{})
			if err := m.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			m.Stop()
		}
		for _, c := range []struct {
			do   func()
			want int
		}{
			{func() {}, 2},
			{short, 1},
			{func() { time.Sleep(calm / 2); short(); time.Sleep(calm * 3 / 4) }, 1},
			{func() { time.Sleep(calm) }, 2},
			{func() { m := e.NewMeter(Bounds{}); m.Aside(); m.Stop() }, 2},
			{func() {
				m := e.NewMeter(Bounds{})
				if err := m.acquire(t.Context()); err != nil {
					t.Fatal(err)
				}
				m.Stop()
			}, 2},
		} {
			if c.do(); e.turns.room() != c.want {
				t.Errorf("room for %d, want %d", e.turns.room(), c.want)
			}
		}
	})
}

// The host calls a guest that calls the host, as a destructor may.
func TestTurnInNestedCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &Engine{turns: turns{most: 1}}
		m := e.NewMeter(Bounds{})
		ctx := WithMeter(t.Context(), m)
		if err := m.Start(ctx); err != nil {
			t.Fatal(err)
		}
		if err := m.acquire(ctx); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		paused(func(ctx context.Context, mem Memory, stack []uint64) {
			time.Sleep(time.Minute)
			paused(func(context.Context, Memory, []uint64) { time.Sleep(time.Minute) })(ctx, mem, stack)
			time.Sleep(time.Minute)
		})(ctx, Memory{}, nil)
		if !m.holds {
			t.Error("a turn that nobody wanted is lost")
		}
		m.Stop()
		if m.CPU() != time.Second {
			t.Errorf("CPU time %v", m.CPU())
		}
		if n := len(e.turns.holders); n > 0 {
			t.Errorf("%d turns are held for ever", n)
		}
	})
}
