package stream

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
)

// ErrClosed says that a stream is at its end or was closed. Every other error
// of a stream, a Misuse aside, means that an operation failed; the next one
// gives ErrClosed.
var ErrClosed = errors.New("stream closed")

// Misuse is a call that the interface does not allow; the guest traps.
type Misuse string

func (m Misuse) Error() string { return "stream misused: " + string(m) }

// ChunkSize bounds the bytes that one call moves and that one stream holds.
const ChunkSize = 64 << 10

// Input is a stream of bytes to read. One goroutine at a time uses it; its
// Pollable methods may be called by others meanwhile.
type Input interface {
	// Pollable is ready when Read has bytes or an error.
	Pollable
	// Read returns at most n bytes, none if there are none yet. They are valid
	// until the next call. The error is ErrClosed at the end.
	Read(n uint64) ([]byte, error)
	// Close releases the stream, and ends a read that is under way if it can.
	Close() error
}

// Output is a stream of bytes to write. One goroutine at a time uses it; its
// Pollable methods may be called by others meanwhile.
type Output interface {
	// Pollable is ready when CheckWrite gives room or an error.
	Pollable
	// CheckWrite returns how many bytes the next Write may have; 0 if none now.
	CheckWrite() (uint64, error)
	// Write takes p, of at most the length CheckWrite gave. Where it has to
	// wait it ends with ctx.
	Write(ctx context.Context, p []byte) error
	// Flush starts to push out what was written; until that is done CheckWrite
	// gives no room.
	Flush() error
	// Close releases the stream. What was written before is still pushed out.
	Close() error
}

// BlockingRead is Read, but waits for the first byte.
func BlockingRead(ctx context.Context, in Input, n uint64) ([]byte, error) {
	for {
		b, err := in.Read(n)
		if err != nil || len(b) > 0 || n == 0 {
			return b, err
		}
		if err := Block(ctx, in); err != nil {
			return nil, Interrupted{err}
		}
	}
}

// Skip reads at most n bytes that are there and tells how many.
func Skip(in Input, n uint64) (uint64, error) {
	b, err := in.Read(n)
	return uint64(len(b)), err
}

// BlockingSkip is Skip, but waits for the first byte.
func BlockingSkip(ctx context.Context, in Input, n uint64) (uint64, error) {
	b, err := BlockingRead(ctx, in, n)
	return uint64(len(b)), err
}

// Interrupted is the end of a call's context while it waited. The guest is not
// told: it traps.
type Interrupted struct{ Err error }

func (e Interrupted) Error() string { return "interrupted: " + e.Err.Error() }

// Unwrap returns the cause.
func (e Interrupted) Unwrap() error { return e.Err }

// room waits until out takes bytes.
func room(ctx context.Context, out Output) (uint64, error) {
	for {
		n, err := out.CheckWrite()
		if err != nil || n > 0 {
			return n, err
		}
		if err := Block(ctx, out); err != nil {
			return 0, Interrupted{err}
		}
	}
}

// WriteAll writes all of p and waits until it is pushed out.
func WriteAll(ctx context.Context, out Output, p []byte) error {
	for len(p) > 0 {
		n, err := room(ctx, out)
		if err != nil {
			return err
		}
		n = min(n, uint64(len(p)))
		if err := out.Write(ctx, p[:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	return BlockingFlush(ctx, out)
}

// BlockingFlush flushes and waits until it is done.
func BlockingFlush(ctx context.Context, out Output) error {
	if err := out.Flush(); err != nil {
		return err
	}
	_, err := room(ctx, out)
	return err
}

var zeroes [4096]byte

// WriteZeroes writes n zero bytes, at most what CheckWrite gave.
func WriteZeroes(ctx context.Context, out Output, n uint64) error {
	for n > 0 {
		c := min(n, uint64(len(zeroes)))
		if err := out.Write(ctx, zeroes[:c]); err != nil {
			return err
		}
		n -= c
	}
	return nil
}

// Splice moves at most n bytes that are there from in to out, as far as out has
// room, and tells how many.
func Splice(ctx context.Context, out Output, in Input, n uint64) (uint64, error) {
	free, err := out.CheckWrite()
	if err != nil {
		return 0, err
	}
	if n = min(n, free); n == 0 {
		return 0, nil
	}
	b, err := in.Read(n)
	if err != nil {
		return 0, err
	}
	return uint64(len(b)), out.Write(ctx, b)
}

// BlockingSplice is Splice, but waits for room and for the first byte.
func BlockingSplice(ctx context.Context, out Output, in Input, n uint64) (uint64, error) {
	if n == 0 {
		return 0, nil
	}
	free, err := room(ctx, out)
	if err != nil {
		return 0, err
	}
	b, err := BlockingRead(ctx, in, min(n, free))
	if err != nil {
		return 0, err
	}
	return uint64(len(b)), out.Write(ctx, b)
}

// closedBy tells the errors that mean an end from those that are failures.
func closedBy(err error) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrClosedPipe),
		errors.Is(err, os.ErrClosed), errors.Is(err, syscall.EPIPE):
		return ErrClosed
	}
	return err
}

// Empty is an input that is at its end, and Discard an output that forgets.
type (
	Empty   struct{ Immediate }
	Discard struct{ Immediate }
)

// Read is at the end.
func (Empty) Read(uint64) ([]byte, error) { return nil, ErrClosed }

// Close does nothing.
func (Empty) Close() error { return nil }

// CheckWrite always has room.
func (Discard) CheckWrite() (uint64, error) { return ChunkSize, nil }

// Write forgets p.
func (Discard) Write(context.Context, []byte) error { return nil }

// Flush does nothing.
func (Discard) Flush() error { return nil }

// Close does nothing.
func (Discard) Close() error { return nil }
