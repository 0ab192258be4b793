package stream

import (
	"context"
	"io"
	"sync"
)

// Writer is an Output over an io.Writer, which may block. It holds at most
// ChunkSize bytes; a goroutine writes them and ends when they are written.
type Writer struct {
	watchers Watchers
	sink     io.Writer
	release  func(failed bool) error
	wait     bool

	mu       sync.Mutex
	queue    []byte
	spare    []byte
	inFlight int
	working  bool
	flushing bool
	closed   bool
	shut     func() // called when the rest is written; nothing more is taken
	err      error
}

// A TryWriter is a sink that may take bytes at once, which needs no goroutine.
type TryWriter interface {
	io.Writer
	// TryWrite writes all of p, or nothing where that might wait. It does not wait
	// for the Writer either, nor call it.
	TryWrite(p []byte) (done bool, err error)
}

// NewWriter writes to sink. With wait, Write only returns when its bytes are
// written, so that nothing is left when the guest ends. After Close, and when
// everything is written, release is called if it is not nil; failed tells
// whether some write failed.
func NewWriter(sink io.Writer, wait bool, release func(failed bool) error) *Writer {
	w := &Writer{}
	w.Init(sink, wait, release)
	return w
}

// Init is NewWriter for a Writer that is a part of something else: it was not used
// before.
func (w *Writer) Init(sink io.Writer, wait bool, release func(failed bool) error) {
	w.sink, w.wait, w.release = sink, wait, release
}

func (w *Writer) fail() error {
	if w.err != nil {
		err := w.err
		w.err = ErrClosed
		return err
	}
	if w.closed || w.shut != nil {
		return ErrClosed
	}
	return nil
}

func (w *Writer) free() uint64 {
	if w.flushing {
		return 0
	}
	return uint64(ChunkSize - len(w.queue) - w.inFlight)
}

// CheckWrite returns the room in the buffer.
func (w *Writer) CheckWrite() (uint64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.fail(); err != nil {
		return 0, err
	}
	return w.free(), nil
}

// Write takes p.
func (w *Writer) Write(ctx context.Context, p []byte) error {
	w.mu.Lock()
	if err := w.fail(); err != nil {
		w.mu.Unlock()
		return err
	}
	if uint64(len(p)) > w.free() {
		w.mu.Unlock()
		return Misuse("write of more than check-write allowed")
	}
	if len(p) == 0 {
		w.mu.Unlock()
		return nil
	}
	if w.wait && !w.working && ctx.Done() == nil {
		w.mu.Unlock()
		_, err := w.sink.Write(p)
		if err == nil {
			return nil
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.err = ErrClosed
		return closedBy(err)
	}
	if t, ok := w.sink.(TryWriter); ok && !w.working {
		done, err := t.TryWrite(p)
		if err != nil {
			w.err, err = ErrClosed, closedBy(err)
		}
		if done {
			w.mu.Unlock()
			return err
		}
	}
	w.queue = append(w.queue, p...)
	if !w.working {
		w.working = true
		go w.drain()
	}
	w.mu.Unlock()
	if !w.wait {
		return nil
	}
	return BlockingFlush(ctx, w)
}

// drain writes until nothing is left.
func (w *Writer) drain() {
	w.mu.Lock()
	for len(w.queue) > 0 && w.err == nil {
		chunk := w.queue
		w.queue, w.inFlight = w.spare[:0], len(chunk)
		w.mu.Unlock()
		_, err := w.sink.Write(chunk)
		w.mu.Lock()
		w.spare, w.inFlight = chunk, 0
		if err != nil {
			w.err = closedBy(err)
			w.queue = nil
		}
		if len(w.queue) == 0 {
			w.flushing = false
		}
		w.mu.Unlock()
		w.watchers.Wake()
		w.mu.Lock()
	}
	w.working = false
	w.flushing = false
	finish, shut := w.closed, w.shut
	failed := w.err != nil
	if finish {
		w.queue, w.spare = nil, nil // somebody may still hold what it is polled by
	}
	w.mu.Unlock()
	w.watchers.Wake()
	if shut != nil {
		shut()
	}
	if finish && w.release != nil {
		w.release(failed)
	}
}

// Flush keeps further writes back until the buffer is empty.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.fail(); err != nil {
		return err
	}
	w.flushing = w.working
	return nil
}

// Ready reports whether there is room or an error.
func (w *Writer) Ready() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err != nil || w.closed || w.shut != nil || w.free() > 0
}

// Watch is that of Pollable.
func (w *Writer) Watch(wake func()) (stop func()) { return w.watchers.Watch(wake) }

// Shut takes no more bytes and calls done when the rest is written. Close is
// still due.
func (w *Writer) Shut(done func()) {
	w.mu.Lock()
	working := w.working
	if w.shut != nil {
		done = func() {}
	} else {
		w.shut = done
	}
	w.mu.Unlock()
	w.watchers.Wake()
	if !working {
		done()
	}
}

// Close ends the stream once everything is written.
func (w *Writer) Close() error {
	w.mu.Lock()
	was, working, failed := w.closed, w.working, w.err != nil
	w.closed = true
	if !working {
		w.queue, w.spare = nil, nil
	}
	w.mu.Unlock()
	w.watchers.Wake()
	if was || working || w.release == nil {
		return nil
	}
	return w.release(failed)
}
