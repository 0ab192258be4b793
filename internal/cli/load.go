package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// file is a WebAssembly file as it was read.
type file struct {
	path  string
	bytes []byte
	kind  binary.Kind
}

// maxFile is the default bound on the size of a file.
const maxFile byteSize = 256 << 20

// load reads a WebAssembly file and tells what it is.
func load(path string, limit byteSize) (*file, error) {
	f := &file{path: path}
	b, err := readAtMost(path, uint64(limit))
	var size sizeError
	if errors.As(err, &size) {
		return nil, f.invalid(err)
	}
	if err != nil {
		return nil, withCode(exitFailure, err)
	}
	f.bytes, f.kind = b, binary.KindOf(b)
	if f.kind == binary.KindUnknown {
		return nil, f.invalid(fmt.Errorf("not WebAssembly: %s", describe(b)))
	}
	return f, nil
}

// sizeError is a file that is larger than allowed.
type sizeError struct{ size, limit uint64 }

func (e sizeError) Error() string {
	found, limit := byteSize(e.size), byteSize(e.limit)
	return fmt.Sprintf("the file has %s or more, but no more than %s are allowed", found.String(), limit.String())
}

// readAtMost reads a file of up to limit bytes.
func readAtMost(path string, limit uint64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if size := uint64(info.Size()); info.Mode().IsRegular() && size > limit {
		return nil, sizeError{size, limit}
	}
	var b bytes.Buffer
	if info.Mode().IsRegular() {
		b.Grow(int(info.Size()) + bytes.MinRead)
	}
	// What is no regular file, or grows, tells its size only now.
	if _, err := b.ReadFrom(io.LimitReader(f, int64(limit)+1)); err != nil {
		return nil, err
	}
	if uint64(b.Len()) > limit {
		return nil, sizeError{uint64(b.Len()), limit}
	}
	return b.Bytes(), nil
}

// describe says what a file that is no WebAssembly looks like.
func describe(b []byte) string {
	switch {
	case len(b) == 0:
		return "the file is empty"
	case len(b) < 8 && strings.HasPrefix("\x00asm", string(b[:min(4, len(b))])):
		return fmt.Sprintf("the file is cut off after %d bytes, within the 8 that every module and component begins with", len(b))
	case strings.HasPrefix(string(b), "\x00asm"):
		return fmt.Sprintf("at offset 0x4: unknown version %#x, expected a core module (0x1) or a component (0x1000d)",
			uint32(b[4])|uint32(b[5])<<8|uint32(b[6])<<16|uint32(b[7])<<24)
	case strings.HasPrefix(strings.TrimSpace(string(b[:min(64, len(b))])), "("):
		return "at offset 0x0: this looks like the text format; encode it first (wasm-tools parse)"
	default:
		return fmt.Sprintf("at offset 0x0: found %q, expected \"\\x00asm\"", b[:min(4, len(b))])
	}
}

// invalid is the error of a file that can't be used as it is.
func (f *file) invalid(err error) error {
	return withCode(exitInvalid, fmt.Errorf("%s: %w", f.path, err))
}

// wrap gives an error of compiling or linking the file its exit code.
func (f *file) wrap(err error) error {
	var (
		be   *binary.Error
		we   *wasm.Error
		ue   *wasm.UnsupportedError
		xe   *wasm.ComplexityError
		ce   *component.Error
		cu   *component.UnsupportedError
		link *component.LinkError
	)
	switch {
	case errors.As(err, &link):
		return withCode(exitLink, fmt.Errorf("%s: %w", f.path, err))
	case errors.As(err, &be), errors.As(err, &we), errors.As(err, &ue), errors.As(err, &xe), errors.As(err, &ce), errors.As(err, &cu):
		return f.invalid(err)
	default:
		return fmt.Errorf("%s: %w", f.path, err)
	}
}

// wantComponent refuses a file that is no component.
func (f *file) wantComponent(command string) error {
	if f.kind != binary.KindComponent {
		return f.invalid(fmt.Errorf("is a core module, but %s needs a component", command))
	}
	return nil
}

// validate checks the file without compiling it.
func (f *file) validate() error {
	if f.kind == binary.KindModule {
		m, err := wasm.Decode(f.bytes)
		if err == nil {
			err = wasm.Validate(m)
		}
		return err
	}
	c, err := binary.Decode(f.bytes)
	if err == nil {
		err = binary.Validate(c)
	}
	return err
}

// compile compiles a component.
func (f *file) compile(ctx context.Context, e *component.Engine) (*component.Component, error) {
	c, err := e.Compile(ctx, f.bytes)
	if err != nil {
		return nil, f.wrap(err)
	}
	return c, nil
}
