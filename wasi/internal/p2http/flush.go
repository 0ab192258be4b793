package p2http

import (
	"sync"
	"time"
)

// flushDelay is how long bytes may stay in the server's buffer, so that a short
// response leaves in one piece.
const flushDelay = 2 * time.Millisecond

// Flusher flushes what responses leave in the server's buffers. It has one timer for all
// of them: one for each would take longer than the rest of a short response, as it wakes a
// thread to wait for it. The zero value is ready for use, by any number of goroutines.
type Flusher struct {
	mu          sync.Mutex
	first, last *responseSink // by when they are due
	timer       *time.Timer
	armed       bool // the timer will fire
}

// queued is what a Flusher knows of a sink.
type queued struct {
	in         bool
	due        time.Time
	prev, next *responseSink
}

// add has s flushed in a while.
func (f *Flusher) add(s *responseSink) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.queued.in {
		return
	}
	s.queued = queued{in: true, due: time.Now().Add(flushDelay), prev: f.last}
	if f.last == nil {
		f.first = s
	} else {
		f.last.queued.next = s
	}
	f.last = s
	switch {
	case f.armed:
	case f.timer == nil:
		f.timer = time.AfterFunc(flushDelay, f.flush)
	default:
		f.timer.Reset(flushDelay)
	}
	f.armed = true
}

// remove ends that.
func (f *Flusher) remove(s *responseSink) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.take(s)
}

func (f *Flusher) take(s *responseSink) {
	q := s.queued
	if !q.in {
		return
	}
	s.queued = queued{}
	if q.prev == nil {
		f.first = q.next
	} else {
		q.prev.queued.next = q.next
	}
	if q.next == nil {
		f.last = q.prev
	} else {
		q.next.queued.prev = q.prev
	}
}

// flush flushes those that are due.
func (f *Flusher) flush() {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	for f.first != nil {
		s := f.first
		if wait := s.queued.due.Sub(now); wait > 0 {
			f.timer.Reset(wait)
			return
		}
		f.take(s)
		go s.flush() // it may wait for the client
	}
	f.armed = false
}
