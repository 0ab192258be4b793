package stream

import (
	"context"

	"github.com/ashlar-wasm/ashlar/wasi/internal/sandbox"
)

// FileInput reads a file from an offset. Files never make one wait for long, so
// it is always ready.
type FileInput struct {
	Immediate
	file   *sandbox.Descriptor
	offset uint64
	buf    []byte
	closed bool
}

// NewFileInput reads from file, which stays the caller's.
func NewFileInput(file *sandbox.Descriptor, offset uint64) *FileInput {
	return &FileInput{file: file, offset: offset}
}

// Read reads the next bytes; they are none only if n is 0.
func (f *FileInput) Read(n uint64) ([]byte, error) {
	if f.closed {
		return nil, ErrClosed
	}
	if n == 0 {
		return nil, nil
	}
	size := int(min(n, ChunkSize))
	if cap(f.buf) < size {
		f.buf = make([]byte, size)
	}
	got, err := f.file.ReadAt(f.buf[:size], f.offset)
	if err != nil || got == 0 {
		f.closed = true
		if err == nil {
			err = ErrClosed
		}
		return nil, err
	}
	f.offset += uint64(got)
	return f.buf[:got], nil
}

// Close ends the stream; the file is the caller's.
func (f *FileInput) Close() error {
	f.closed, f.buf = true, nil
	return nil
}

// FileOutput writes a file from an offset or at its end.
type FileOutput struct {
	Immediate
	file   *sandbox.Descriptor
	offset uint64
	end    bool
	closed bool
}

// NewFileOutput writes from offset on.
func NewFileOutput(file *sandbox.Descriptor, offset uint64) *FileOutput {
	return &FileOutput{file: file, offset: offset}
}

// NewFileAppender writes at the end of the file, wherever that is then.
func NewFileAppender(file *sandbox.Descriptor) *FileOutput {
	return &FileOutput{file: file, end: true}
}

// fileRoom bounds one write to a file.
const fileRoom = 1 << 20

// CheckWrite always has room.
func (f *FileOutput) CheckWrite() (uint64, error) {
	if f.closed {
		return 0, ErrClosed
	}
	return fileRoom, nil
}

// Write writes all of p.
func (f *FileOutput) Write(_ context.Context, p []byte) error {
	if f.closed {
		return ErrClosed
	}
	if len(p) > fileRoom {
		return Misuse("write of more than check-write allowed")
	}
	for len(p) > 0 {
		var n int
		var err error
		if f.end {
			n, err = f.file.Append(p)
		} else {
			n, err = f.file.WriteAt(p, f.offset)
		}
		if err != nil {
			f.closed = true
			return err
		}
		f.offset += uint64(n)
		p = p[n:]
	}
	return nil
}

// Flush does nothing: writes went to the operating system at once.
func (f *FileOutput) Flush() error {
	if f.closed {
		return ErrClosed
	}
	return nil
}

// Close does nothing: the file is the caller's.
func (f *FileOutput) Close() error { return nil }
