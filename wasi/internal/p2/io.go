// Package p2 is the host side of WASI 0.2 but for its HTTP: the resources and
// functions that the generated bindings ask for, over the files, streams,
// clocks and sockets that all versions share. It serves every 0.2.x.
package p2

import (
	"context"
	"errors"

	"github.com/ashlar-wasm/ashlar/wasi/internal/bind"
	"github.com/ashlar-wasm/ashlar/wasi/internal/quota"
	"github.com/ashlar-wasm/ashlar/wasi/internal/stream"
)

// ioError is the resource wasi:io/error.error. What it wraps may mean more to
// filesystem-error-code and its like.
type ioError struct{ err error }

// NewError makes the resource of an error.
func NewError(err error) bind.Error { return ioError{err} }

// Unwrap returns what a resource was made of.
func Unwrap(e bind.Error) error {
	if e, ok := e.(ioError); ok {
		return e.err
	}
	return nil
}

func (e ioError) ToDebugString(context.Context) (string, error) { return e.err.Error(), nil }
func (e ioError) Drop(context.Context) error                    { return nil }

// streamError translates an error of a stream to what the guest sees; misuse
// and the end of the call's context stay failures of the host.
func streamError(err error) error {
	if err == nil {
		return nil
	}
	if err == stream.ErrClosed {
		return bind.StreamErrorClosed{}
	}
	if i, ok := errors.AsType[stream.Interrupted](err); ok {
		return i.Err
	}
	if m, ok := errors.AsType[stream.Misuse](err); ok {
		return m
	}
	return bind.StreamErrorLastOperationFailed{Value: ioError{err}}
}

// pollable is the resource wasi:io/poll.pollable.
type pollable struct{ stream.Pollable }

// NewPollable makes the resource of something to wait for.
func NewPollable(p stream.Pollable) bind.Pollable { return pollable{p} }

func (p pollable) Ready(context.Context) (bool, error) { return p.Pollable.Ready(), nil }
func (p pollable) Block(ctx context.Context) error     { return stream.Block(ctx, p.Pollable) }
func (p pollable) Drop(context.Context) error          { return nil }

// maxPoll bounds what one call waits for: the same pollable may be in the list
// any number of times.
const maxPoll = 1 << 16

// pollHost is wasi:io/poll.
type pollHost struct{ book *quota.Book }

func (h pollHost) Poll(ctx context.Context, in []bind.Pollable) ([]uint32, error) {
	if len(in) == 0 {
		return nil, errors.New("poll of an empty list")
	}
	if err := h.book.Check(ctx, quota.Pollables, uint64(len(in)), maxPoll); err != nil {
		return nil, err
	}
	list := make([]stream.Pollable, len(in))
	for i, p := range in {
		list[i] = p.(pollable).Pollable
	}
	return stream.Poll(ctx, list)
}

// input is the resource wasi:io/streams.input-stream.
type input struct {
	in   stream.Input
	done func() error
	thaw thaw
}

// thaw makes a resource like another one for an instance that begins with a handle to
// it: see component.Freezer. Those that have no state but what the host granted have one.
type thaw func(ctx context.Context) (host any, err error)

// Freeze implements component.Freezer.
func (s *input) Freeze() func(ctx context.Context) (any, error) { return s.thaw }

// NewInput makes the resource of an input. done is called when the guest drops
// it; it may be nil.
func NewInput(in stream.Input, done func() error) bind.InputStream { return &input{in: in, done: done} }

func (s *input) Read(_ context.Context, n uint64) ([]byte, error) {
	b, err := s.in.Read(n)
	return b, streamError(err)
}

func (s *input) BlockingRead(ctx context.Context, n uint64) ([]byte, error) {
	b, err := stream.BlockingRead(ctx, s.in, n)
	return b, streamError(err)
}

func (s *input) Skip(_ context.Context, n uint64) (uint64, error) {
	got, err := stream.Skip(s.in, n)
	return got, streamError(err)
}

func (s *input) BlockingSkip(ctx context.Context, n uint64) (uint64, error) {
	got, err := stream.BlockingSkip(ctx, s.in, n)
	return got, streamError(err)
}

func (s *input) Subscribe(context.Context) (bind.Pollable, error) { return pollable{s.in}, nil }

func (s *input) Drop(context.Context) error {
	if s.done == nil {
		return nil
	}
	return s.done()
}

// output is the resource wasi:io/streams.output-stream.
type output struct {
	out  stream.Output
	done func() error
	thaw thaw
}

// Freeze implements component.Freezer.
func (s *output) Freeze() func(ctx context.Context) (any, error) { return s.thaw }

// NewOutput makes the resource of an output. done is called when the guest drops
// it; it may be nil.
func NewOutput(out stream.Output, done func() error) bind.OutputStream {
	return &output{out: out, done: done}
}

// maxBlockingWrite is what the interface lets the blocking writes take.
const maxBlockingWrite = 4096

func (s *output) CheckWrite(context.Context) (uint64, error) {
	n, err := s.out.CheckWrite()
	return n, streamError(err)
}

func (s *output) Write(ctx context.Context, p []byte) error {
	return streamError(s.out.Write(ctx, p))
}

func (s *output) BlockingWriteAndFlush(ctx context.Context, p []byte) error {
	if len(p) > maxBlockingWrite {
		return stream.Misuse("blocking write of more than 4096 bytes")
	}
	return streamError(stream.WriteAll(ctx, s.out, p))
}

func (s *output) Flush(context.Context) error { return streamError(s.out.Flush()) }

func (s *output) BlockingFlush(ctx context.Context) error {
	return streamError(stream.BlockingFlush(ctx, s.out))
}

func (s *output) Subscribe(context.Context) (bind.Pollable, error) { return pollable{s.out}, nil }

func (s *output) WriteZeroes(ctx context.Context, n uint64) error {
	free, err := s.out.CheckWrite()
	if err != nil {
		return streamError(err)
	}
	if n > free {
		return stream.Misuse("write of more than check-write allowed")
	}
	return streamError(stream.WriteZeroes(ctx, s.out, n))
}

func (s *output) BlockingWriteZeroesAndFlush(ctx context.Context, n uint64) error {
	if n > maxBlockingWrite {
		return stream.Misuse("blocking write of more than 4096 bytes")
	}
	return streamError(stream.WriteAll(ctx, s.out, make([]byte, n)))
}

func (s *output) Splice(ctx context.Context, src bind.InputStream, n uint64) (uint64, error) {
	got, err := stream.Splice(ctx, s.out, src.(*input).in, n)
	return got, streamError(err)
}

func (s *output) BlockingSplice(ctx context.Context, src bind.InputStream, n uint64) (uint64, error) {
	got, err := stream.BlockingSplice(ctx, s.out, src.(*input).in, n)
	return got, streamError(err)
}

func (s *output) Drop(context.Context) error {
	if s.done == nil {
		return nil
	}
	return s.done()
}
