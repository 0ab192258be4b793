package stream

import (
	"io"
	"sync"
)

// Reader is an Input over an io.Reader, which may block. A goroutine reads one
// chunk ahead when somebody asks for bytes or for readiness, and ends when the
// io.Reader returns.
type Reader struct {
	watchers Watchers
	source   io.Reader
	release  func() error

	mu      sync.Mutex
	buf     []byte
	unread  []byte // part of buf
	err     error  // what follows unread
	reading bool
	closed  bool
	shut    bool
}

// NewReader reads from source. Close calls release, which may be nil and should
// make a read that is under way return.
func NewReader(source io.Reader, release func() error) *Reader {
	return &Reader{source: source, release: release}
}

// Read returns what was read ahead.
func (r *Reader) Read(n uint64) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.shut {
		return nil, ErrClosed
	}
	if len(r.unread) > 0 {
		b := r.unread[:min(n, uint64(len(r.unread)))]
		r.unread = r.unread[len(b):]
		return b, nil
	}
	if r.err != nil {
		err := r.err
		r.err = ErrClosed
		return nil, err
	}
	if n > 0 {
		r.ahead(n)
	}
	return nil, nil
}

// ahead starts to read the next chunk.
func (r *Reader) ahead(n uint64) {
	if r.reading {
		return
	}
	r.reading = true
	size := int(min(max(n, 4096), ChunkSize))
	if cap(r.buf) < size {
		r.buf = make([]byte, size)
	}
	go r.fill(r.buf[:size])
}

func (r *Reader) fill(buf []byte) {
	var n int
	var err error
	// An io.Reader may return nothing at all a few times.
	for try := 0; n == 0 && err == nil; try++ {
		if try == 100 {
			err = io.ErrNoProgress
			break
		}
		n, err = r.source.Read(buf)
	}
	r.mu.Lock()
	r.reading = false
	if r.unread = buf[:n]; r.closed {
		r.buf, r.unread = nil, nil
	}
	if err != nil {
		r.err = closedBy(err)
	}
	r.mu.Unlock()
	r.watchers.Wake()
}

// Ready reports whether there are bytes or an error, and else reads ahead.
func (r *Reader) Ready() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.shut || len(r.unread) > 0 || r.err != nil {
		return true
	}
	r.ahead(0)
	return false
}

// Watch is that of Pollable.
func (r *Reader) Watch(wake func()) (stop func()) { return r.watchers.Watch(wake) }

// Shut ends the stream for its reader: there is nothing more to read. Close is
// still due.
func (r *Reader) Shut() {
	r.mu.Lock()
	r.shut = true
	r.mu.Unlock()
	r.watchers.Wake()
}

// Close ends the stream.
func (r *Reader) Close() error {
	r.mu.Lock()
	was := r.closed
	r.closed = true
	if !r.reading {
		r.buf, r.unread = nil, nil // somebody may still hold what it is polled by
	}
	r.mu.Unlock()
	r.watchers.Wake()
	if was || r.release == nil {
		return nil
	}
	return r.release()
}
