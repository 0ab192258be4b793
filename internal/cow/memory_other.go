//go:build !(linux || darwin || freebsd)

package cow

import (
	"errors"
	"io"
	"math"
)

// Lazy tells whether memory that is mapped takes no room before it is used.
const Lazy = false

// methods is the order in which Auto tries.
var methods = []Method{Copy}

// recycles is false: the garbage collector does it.
const recycles = false

// defaultMappings is without bound: memories are no mappings here.
func defaultMappings() int { return math.MaxInt }

// kernelMappings counts a memory on the heap as one, so that a bound that was
// set holds.
func kernelMappings(_, length int) int { return min(length, 1) }

// store is that of an image: nothing but the memory.
type store struct{}

// newStore keeps content followed by zeros, length bytes in all.
func newStore(content []byte, length, _ int) ([]byte, store, error) {
	memory := make([]byte, length)
	copy(memory, content)
	return memory, store{}, nil
}

func (store) close([]byte) error { return nil }

// mapMemory returns a copy of the image followed by zeros.
func mapMemory(image *Image, length int) ([]byte, error) {
	memory := make([]byte, length)
	if filled := image.filledBytes(); filled > 0 {
		copy(memory, image.memory[:filled])
	}
	return memory, nil
}

func isOutOfMappings(error) bool { return false }

func unmap([]byte) error { return nil }

// discard makes memory[from:to] equal to the image followed by zeros again. The
// system gets nothing back before the garbage collector does.
func discard(image *Image, memory []byte, from, to int) error {
	if filled := min(image.filledBytes(), to); from < filled {
		copy(memory[from:filled], image.memory[from:filled])
		from = filled
	}
	clear(memory[from:to])
	return nil
}

func newRestorer(m Method, _ int) (restorer, io.Closer, error) {
	if m != Copy {
		return nil, nil, errors.ErrUnsupported
	}
	return restoreByCopy, nil, nil
}

func private([]byte, int) (uint64, error) { return 0, errors.ErrUnsupported }
