package p2http

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/wasi/internal/stream"
)

// countedWriter counts how often it is flushed.
type countedWriter struct {
	http.ResponseWriter
	flushed atomic.Int32
}

func (w *countedWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *countedWriter) FlushError() error           { w.flushed.Add(1); return nil }

func newTestSink(f *Flusher) (*responseSink, *countedWriter) {
	w := &countedWriter{ResponseWriter: httptest.NewRecorder()}
	return &responseSink{w: w, rc: *http.NewResponseController(w), flusher: f}, w
}

// TestFlusher ends some responses before they are due, in any order, and waits for the
// others to be flushed, each write of theirs.
func TestFlusher(t *testing.T) {
	var f Flusher
	var wg sync.WaitGroup
	for n := range 200 {
		wg.Go(func() {
			s, w := newTestSink(&f)
			for round := range int32(3) {
				time.Sleep(rand.N(flushDelay))
				start := time.Now()
				for range 2 {
					if done, err := s.TryWrite([]byte("x")); err != nil || !done {
						t.Errorf("write: %v, %v", done, err)
					}
				}
				if n%2 == 0 && round == 2 {
					s.finish(nil)
					break
				}
				for w.flushed.Load() == round {
					if time.Since(start) > 10*time.Second {
						t.Errorf("not flushed in round %d", round)
						return
					}
					time.Sleep(flushDelay / 10)
				}
				if d := time.Since(start); d < flushDelay {
					t.Errorf("flushed after %v", d)
				}
			}
			s.finish(nil)
			if broken, ok := s.done.Get(); broken || !ok {
				t.Error("not whole")
			}
		})
	}
	wg.Wait()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(flushDelay) {
		f.mu.Lock()
		armed, empty := f.armed, f.first == nil && f.last == nil
		f.mu.Unlock()
		if !empty {
			t.Fatal("it keeps what has ended")
		}
		if !armed {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("its timer does not end")
		}
	}
}

// TestTryWrite writes at once no more than net/http's buffer takes, and nothing while a
// flush may wait for the client.
func TestTryWrite(t *testing.T) {
	var f Flusher
	s, _ := newTestSink(&f)
	defer s.end(false, nil)
	try := func(n int, want bool) {
		t.Helper()
		if done, err := s.TryWrite(make([]byte, n)); done != want || err != nil {
			t.Errorf("%d bytes: %v, %v, want %v", n, done, err, want)
		}
	}
	try(buffered+1, false)
	try(buffered-1, true)
	try(2, false)
	try(1, true)
	try(1, false)
	s.flush()
	try(buffered, true)
	s.flush()
	if _, err := s.Write(make([]byte, buffered+1)); err != nil {
		t.Error(err)
	}
	try(1, false)
	s.flush()
	s.mu.Lock()
	try(1, false)
	s.mu.Unlock()
	try(1, true)
	s.end(true, nil)
	if done, err := s.TryWrite([]byte("x")); done == (err == nil) {
		t.Errorf("after the end: %v, %v", done, err)
	}
}

// TestServerBuffer checks that the server's buffer is as large as responseSink counts on:
// what is written goes nowhere until it is flushed.
func TestServerBuffer(t *testing.T) {
	for _, v2 := range []bool{false, true} {
		written, flush := make(chan bool), make(chan bool)
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			_, _ = w.Write(make([]byte, buffered/2))
			_, _ = w.Write(make([]byte, buffered/2))
			close(written)
			<-flush
		}))
		s.EnableHTTP2 = v2
		if v2 {
			s.StartTLS()
		} else {
			s.Start()
		}
		answered := make(chan bool)
		go func() {
			defer close(answered)
			r, err := s.Client().Get(s.URL)
			if err != nil {
				t.Error(err)
				return
			}
			r.Body.Close()
		}()
		<-written
		select {
		case <-answered:
			t.Errorf("HTTP/2 %v: a response left before it was flushed", v2)
		case <-time.After(50 * time.Millisecond):
		}
		close(flush)
		<-answered
		s.Close()
	}
}

// stuckWriter is one whose client does not read.
type stuckWriter struct {
	countedWriter
	begun, goOn chan struct{}
}

func (w *stuckWriter) FlushError() error {
	close(w.begun)
	<-w.goOn
	return nil
}

// TestEndDoesNotWait ends bodies while a flush waits for the client: whoever ends one, a
// guest, goes on.
func TestEndDoesNotWait(t *testing.T) {
	for _, v := range []struct {
		name     string
		trailers http.Header
		flush    bool // is under way when the body ends
		broken   bool
	}{
		{name: "finish", flush: true},
		{name: "abort", flush: true, broken: true},
		{name: "trailers", trailers: http.Header{"A": {"b"}}},
	} {
		t.Run(v.name, func(t *testing.T) {
			w := &stuckWriter{countedWriter{ResponseWriter: httptest.NewRecorder()}, make(chan struct{}), make(chan struct{})}
			s := &responseSink{w: w, rc: *http.NewResponseController(w), flusher: &Flusher{}}
			if v.flush {
				if _, err := s.TryWrite([]byte("x")); err != nil {
					t.Fatal(err)
				}
				<-w.begun
			}
			if v.broken {
				s.abort()
			} else {
				s.finish(v.trailers)
			}
			<-w.begun
			if s.done.Ready() {
				t.Error("done before the client has read")
			}
			close(w.goOn)
			if err := stream.Block(t.Context(), &s.done); err != nil {
				t.Fatal(err)
			}
			if broken, _ := s.done.Get(); broken != v.broken {
				t.Errorf("broken: %v", broken)
			}
			for name := range v.trailers {
				if w.Header().Get(http.TrailerPrefix+name) == "" {
					t.Errorf("trailer %s is missing", name)
				}
			}
		})
	}
}
