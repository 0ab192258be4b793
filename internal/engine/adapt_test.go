package engine

import (
	"testing"
	"time"
)

// A guest is slow, by a factor of a hundred, whenever that hurts most.
func TestSurprises(t *testing.T) {
	for _, slow := range []time.Duration{100, 500} { // nanoseconds for a unit
		e := &Engine{}
		m := e.NewMeter(Bounds{})
		long, worst := 0, time.Duration(0)
		for m.used < time.Second {
			took := time.Duration(m.budget)
			if at := took * slow; at > surprise {
				long++
				worst = max(worst, at)
				took = at
			}
			m.used += took
			m.adapt(took)
		}
		// Time without one doubles each time, so that 1 s has room for six of them,
		// but for the time that they take themselves.
		if long == 0 || long > 6 {
			t.Errorf("at %d ns, %d times longer than %v, up to %v", slow, long, surprise, worst)
		}
	}
}

// A guest that is as fast as ever gets the largest budget back.
func TestSurpriseForgiven(t *testing.T) {
	e := &Engine{}
	m := e.NewMeter(Bounds{})
	m.used += 50 * time.Millisecond
	m.adapt(50 * time.Millisecond)
	if m.budget > maxBudget/100 {
		t.Errorf("budget %d after a surprise", m.budget)
	}
	for m.used < 2*time.Second {
		took := time.Duration(m.budget / 4)
		m.used += took
		m.adapt(took)
	}
	if m.budget != maxBudget {
		t.Errorf("budget %d after two seconds without another", m.budget)
	}
}
