package stream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

func readAll(t *testing.T, in Input, n uint64) string {
	t.Helper()
	var b strings.Builder
	for {
		p, err := BlockingRead(t.Context(), in, n)
		if err == ErrClosed {
			return b.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		if uint64(len(p)) > n || len(p) == 0 {
			t.Fatalf("blocking read of %d gave %d bytes", n, len(p))
		}
		b.Write(p)
	}
}

func TestReader(t *testing.T) {
	text := strings.Repeat("0123456789", 30_000)
	for name, r := range map[string]io.Reader{
		"whole": strings.NewReader(text),
		"bytes": iotest.OneByteReader(strings.NewReader(text[:100])),
		"eof":   iotest.DataErrReader(strings.NewReader(text)),
	} {
		want := text
		if name == "bytes" {
			want = text[:100]
		}
		if got := readAll(t, NewReader(r, nil), 777); got != want {
			t.Errorf("%s: %d bytes, want %d", name, len(got), len(want))
		}
	}
}

func TestReaderDoesNotBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pr, pw := io.Pipe()
		r := NewReader(pr, pr.Close)
		if r.Ready() {
			t.Error("ready with nothing to read")
		}
		if b, err := r.Read(10); len(b) != 0 || err != nil {
			t.Errorf("read: %q, %v", b, err)
		}
		go func() {
			time.Sleep(time.Second)
			pw.Write([]byte("hello"))
			pw.CloseWithError(errors.New("broken"))
		}()
		start := time.Now()
		if err := Block(t.Context(), r); err != nil || time.Since(start) != time.Second {
			t.Errorf("block: %v after %v", err, time.Since(start))
		}
		if !r.Ready() {
			t.Error("not ready after blocking")
		}
		b, err := r.Read(3)
		if string(b) != "hel" || err != nil {
			t.Errorf("read: %q, %v", b, err)
		}
		b, err = r.Read(3)
		if string(b) != "lo" || err != nil {
			t.Errorf("read: %q, %v", b, err)
		}
		if _, err = BlockingRead(t.Context(), r, 3); err == nil || err.Error() != "broken" {
			t.Errorf("the failure: %v", err)
		}
		if _, err = BlockingRead(t.Context(), r, 3); err != ErrClosed {
			t.Errorf("after the failure: %v", err)
		}
	})
}

func TestContextEndsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pr, pw := io.Pipe()
		r := NewReader(pr, pr.Close)
		w := NewWriter(pw, true, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			r2, w2 := io.Pipe()
			defer w2.Close()
			in := NewReader(r2, r2.Close)
			if _, err := BlockingRead(ctx, in, 1); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("read: %v", err)
			}
			in.Close()
		})
		if err := WriteAll(ctx, w, []byte("x")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("write: %v", err)
		}
		var i Interrupted
		if err := WriteAll(ctx, w, []byte("x")); !errors.As(err, &i) {
			t.Errorf("write: %v", err)
		}
		wg.Wait()
		r.Close()
	})
}

func TestPollWithoutSpinning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a, b Future[int]
		go func() { time.Sleep(time.Hour); b.Set(7); b.Set(8) }()
		counted := &counting{Pollable: &b}
		start := time.Now()
		ready, err := Poll(t.Context(), []Pollable{&a, counted, &a, &b})
		if err != nil || len(ready) != 2 || ready[0] != 1 || ready[1] != 3 || time.Since(start) != time.Hour {
			t.Errorf("%v, %v after %v", ready, err, time.Since(start))
		}
		if counted.n > 4 {
			t.Errorf("asked %d times", counted.n)
		}
		if v, ok := b.Get(); v != 7 || !ok {
			t.Errorf("value %d, %v", v, ok)
		}
		if len(a.set)+len(b.set) != 0 {
			t.Error("watchers left behind")
		}
	})
}

type counting struct {
	Pollable
	n int
}

func (c *counting) Ready() bool { c.n++; return c.Pollable.Ready() }

type slowWriter struct {
	bytes.Buffer
	delay time.Duration
}

func (s *slowWriter) Write(p []byte) (int, error) {
	time.Sleep(s.delay)
	return s.Buffer.Write(p)
}

func TestWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &slowWriter{delay: time.Second}
		var released atomic.Bool
		w := NewWriter(sink, false, func(failed bool) error { released.Store(!failed); return nil })
		n, err := w.CheckWrite()
		if n != ChunkSize || err != nil {
			t.Fatal(n, err)
		}
		start := time.Now()
		if err := w.Write(t.Context(), make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		if n, err := w.CheckWrite(); n != 0 || err != nil || w.Ready() {
			t.Errorf("full, but room for %d, %v, ready %v", n, err, w.Ready())
		}
		var m Misuse
		if err := w.Write(t.Context(), []byte("x")); !errors.As(err, &m) {
			t.Errorf("write past the budget: %v", err)
		}
		if time.Since(start) != 0 {
			t.Error("it blocked")
		}
		if err := Block(t.Context(), w); err != nil || time.Since(start) != time.Second {
			t.Errorf("block: %v after %v", err, time.Since(start))
		}
		w.Write(t.Context(), []byte("ab"))
		w.Flush()
		if n, _ := w.CheckWrite(); n != 0 {
			t.Errorf("room for %d while flushing", n)
		}
		if err := BlockingFlush(t.Context(), w); err != nil || sink.Len() != ChunkSize+2 {
			t.Errorf("after the flush %d bytes, %v", sink.Len(), err)
		}
		w.Write(t.Context(), []byte("c"))
		w.Close()
		if released.Load() {
			t.Error("released before the last byte")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !released.Load() || sink.Len() != ChunkSize+3 {
			t.Errorf("after close: released %v, %d bytes", released.Load(), sink.Len())
		}
		if _, err := w.CheckWrite(); err != ErrClosed {
			t.Errorf("after close: %v", err)
		}
	})
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestWriterFails(t *testing.T) {
	for _, wait := range []bool{false, true} {
		w := NewWriter(failing{errors.New("no")}, wait, nil)
		err := WriteAll(t.Context(), w, []byte("x"))
		if err == nil || err.Error() != "no" {
			t.Errorf("failure: %v", err)
		}
		if err := WriteAll(t.Context(), w, []byte("x")); err != ErrClosed {
			t.Errorf("after it: %v", err)
		}
		w = NewWriter(failing{io.ErrClosedPipe}, wait, nil)
		if err := WriteAll(context.Background(), w, []byte("x")); err != ErrClosed {
			t.Errorf("closed pipe: %v", err)
		}
	}
}

func TestSplice(t *testing.T) {
	text := strings.Repeat("abc", 100_000)
	var sink bytes.Buffer
	out := NewWriter(&sink, false, nil)
	in := NewReader(strings.NewReader(text), nil)
	var total uint64
	for {
		n, err := BlockingSplice(t.Context(), out, in, 1<<40)
		if err == ErrClosed {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		total += n
	}
	if err := BlockingFlush(t.Context(), out); err != nil {
		t.Fatal(err)
	}
	if sink.String() != text || total != uint64(len(text)) {
		t.Errorf("%d bytes, told %d, want %d", sink.Len(), total, len(text))
	}
	if n, err := Splice(t.Context(), Discard{}, Empty{}, 5); n != 0 || err != ErrClosed {
		t.Errorf("from nothing: %d, %v", n, err)
	}
}

func TestFlatMemory(t *testing.T) {
	in := NewReader(io.LimitReader(zeroReader{}, 256<<20), nil)
	out := NewWriter(io.Discard, false, nil)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for {
		if _, err := BlockingSplice(t.Context(), out, in, 1<<40); err != nil {
			break
		}
	}
	runtime.ReadMemStats(&after)
	if grew := after.HeapSys - before.HeapSys; int64(grew) > 32<<20 {
		t.Errorf("the heap grew by %d bytes for 256 MiB", grew)
	}
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { clear(p); return len(p), nil }
