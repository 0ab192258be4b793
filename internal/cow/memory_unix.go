//go:build darwin || freebsd

package cow

import (
	"errors"
	"io"
	"math"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Lazy tells whether memory that is mapped takes no room before it is used.
const Lazy = true

// methods is the order in which Auto tries.
var methods = []Method{Copy, Discard}

// recycles is false since a mapping holds pages of the image however fresh it is.
const recycles = false

// defaultMappings is without bound: these systems set none.
func defaultMappings() int { return math.MaxInt }

// kernelMappings returns how many mappings length bytes take.
func kernelMappings(_, length int) int { return min(length, 1) }

// store is that of an image: nothing but the memory.
type store struct{}

// newStore keeps content followed by zeros, length bytes in all.
func newStore(content []byte, length, page int) ([]byte, store, error) {
	memory, err := mapZeros(nil, length)
	if err != nil {
		return nil, store{}, err
	}
	_ = writeRuns(content, page, func(run []byte, at int) error {
		copy(memory[at:], run)
		return nil
	})
	if length > 0 {
		if err := unix.Mprotect(memory, unix.PROT_READ); err != nil {
			_ = unmap(memory)
			return nil, store{}, os.NewSyscallError("mprotect", err)
		}
	}
	return memory, store{}, nil
}

func (store) close(memory []byte) error { return unmap(memory) }

// mapMemory maps a copy of the image followed by zeros.
func mapMemory(image *Image, length int) ([]byte, error) {
	memory, err := mapZeros(nil, length)
	if err != nil {
		return nil, err
	}
	copyImage(image, memory, 0, length)
	return memory, nil
}

// mapZeros maps zeros, in place of what is mapped at an address if that is not nil.
func mapZeros(at unsafe.Pointer, length int) ([]byte, error) {
	if length == 0 {
		return []byte{}, nil
	}
	flags := unix.MAP_PRIVATE | unix.MAP_ANON
	if at != nil {
		flags |= unix.MAP_FIXED
	}
	base, err := unix.MmapPtr(-1, 0, at, uintptr(length), unix.PROT_READ|unix.PROT_WRITE, flags)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	return unsafe.Slice((*byte)(base), length), nil
}

// copyImage writes the image to memory[from:to], which is zero.
func copyImage(image *Image, memory []byte, from, to int) {
	if to = min(to, image.filledBytes()); from < to {
		_ = writeRuns(image.memory[from:to], copyUnit, func(run []byte, at int) error {
			copy(memory[from+at:], run)
			return nil
		})
	}
}

func isOutOfMappings(err error) bool { return errors.Is(err, unix.ENOMEM) }

// unmap gives back what mapZeros returned.
func unmap(memory []byte) error {
	if len(memory) == 0 {
		return nil
	}
	return os.NewSyscallError("munmap", unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(memory)), uintptr(len(memory))))
}

// discard makes memory[from:to] equal to the image followed by zeros again by
// mapping it anew: madvise doesn't promise zeros here.
func discard(image *Image, memory []byte, from, to int) error {
	if from >= to {
		return nil
	}
	if _, err := mapZeros(unsafe.Pointer(&memory[from]), to-from); err != nil {
		return err
	}
	copyImage(image, memory, from, to)
	return nil
}

func newRestorer(m Method, _ int) (restorer, io.Closer, error) {
	switch m {
	case Discard:
		return restoreByDiscard, nil, nil
	case Copy:
		return restoreByCopy, nil, nil
	default:
		return nil, nil, errors.ErrUnsupported
	}
}

func private([]byte, int) (uint64, error) { return 0, errors.ErrUnsupported }
