package cli

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

func TestLazyContext(t *testing.T) {
	type key struct{}
	late, refused := errors.New("late"), errors.New("refused")
	parent, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, "value"))
	in := func(d time.Duration) *lazyContext {
		return &lazyContext{Context: parent, deadline: time.Now().Add(d), late: late}
	}
	ends := func(c context.Context, err, cause error) {
		t.Helper()
		select {
		case <-c.Done():
		case <-time.After(10 * time.Second):
			t.Error("it does not end")
		}
		if c.Err() != err || context.Cause(c) != cause {
			t.Errorf("ended with %v because of %v, want %v because of %v", c.Err(), context.Cause(c), err, cause)
		}
		child, stop := context.WithCancel(c)
		defer stop()
		if child.Err() != err || context.Cause(child) != cause || c.Value(key{}) != "value" {
			t.Errorf("a child ended with %v because of %v", child.Err(), context.Cause(child))
		}
	}

	ends(in(10*time.Millisecond), context.DeadlineExceeded, late)
	ends(in(-time.Second), context.DeadlineExceeded, late)

	c := in(time.Hour)
	if c.Err() != nil || context.Cause(c) != nil || c.Value(key{}) != "value" || c.made.Load() != nil {
		t.Error("it is made before anybody waits")
	}
	if d, ok := c.Deadline(); !ok || time.Until(d) > time.Hour || time.Until(d) < 59*time.Minute {
		t.Errorf("deadline %v, %v", d, ok)
	}
	c.cancel(refused)
	c.cancel(late)
	ends(c, context.Canceled, refused)

	// Two that are nested, as those of a request are.
	outer := in(10 * time.Millisecond)
	inner := &lazyContext{Context: outer, deadline: time.Now().Add(time.Hour), late: refused}
	if d, _ := inner.Deadline(); d != outer.deadline {
		t.Errorf("deadline %v, want that of the parent, %v", d, outer.deadline)
	}
	ends(inner, context.DeadlineExceeded, late)

	// Many that wait at once, and its end.
	c = in(time.Hour)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { <-c.Done() })
	}
	unseen := in(time.Hour)
	cancel(refused)
	wg.Wait()
	ends(c, context.Canceled, refused)
	if unseen.Err() != context.Canceled || context.Cause(unseen) != refused || unseen.made.Load() != nil {
		t.Errorf("ended with %v because of %v", unseen.Err(), context.Cause(unseen))
	}
	c.release()
	unseen.release()
	if unseen.made.Load() != nil {
		t.Error("releasing makes it")
	}
	ends(unseen, context.Canceled, refused)
}
