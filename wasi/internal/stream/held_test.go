package stream

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

// A pollable may outlive its stream, whose bytes go all the same.
func TestClosedStreamsHoldNothing(t *testing.T) {
	r := NewReader(strings.NewReader(strings.Repeat("x", 1<<20)), nil)
	if _, err := BlockingRead(t.Context(), r, 10); err != nil {
		t.Fatal(err)
	}
	r.Close()
	if r.buf != nil || r.unread != nil {
		t.Error("a reader holds bytes")
	}
	in, feed := io.Pipe()
	late := NewReader(in, nil)
	if late.Ready() {
		t.Error("ready with nothing there")
	}
	late.Close()
	feed.Write([]byte("late"))
	feed.Close()
	for {
		late.mu.Lock()
		done, held := !late.reading, late.buf != nil || late.unread != nil
		late.mu.Unlock()
		if done {
			if held {
				t.Error("a reader holds bytes that came late")
			}
			break
		}
	}
	released := make(chan bool, 1)
	w := NewWriter(io.Discard, false, func(bool) error { released <- true; return nil })
	if err := w.Write(context.Background(), make([]byte, ChunkSize)); err != nil {
		t.Fatal(err)
	}
	w.Close()
	<-released
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.queue != nil || w.spare != nil {
		t.Error("a writer holds bytes")
	}
}

// Whether it comes before or after, the value that nobody took is disposed of
// once.
func TestAheadClose(t *testing.T) {
	for _, early := range []bool{true, false} {
		next, gone := make(chan int), make(chan int, 2)
		a := NewAhead(func() (int, error) {
			v, ok := <-next
			if !ok {
				return 0, errors.New("closed")
			}
			return v, nil
		})
		a.Ready()
		if early {
			next <- 7
			if err := Block(t.Context(), a); err != nil {
				t.Fatal(err)
			}
			a.Close(func(v int) { gone <- v })
		} else {
			a.Close(func(v int) { gone <- v })
			next <- 7
		}
		if v := <-gone; v != 7 || len(gone) != 0 {
			t.Errorf("early %v: disposed of %d and %d more", early, v, len(gone))
		}
		close(next)
	}
}
