package cow

import (
	"bytes"
	"fmt"
)

// Mapping is a memory that started as an image. It has one user at a time.
type Mapping struct {
	space  *Space
	image  *Image // or nil
	size   uint64
	memory []byte // in whole pages; nil once released
	broken bool   // what it holds is unknown
}

// Map returns a memory of reserve bytes: the image followed by zeros, or zeros
// alone if img is nil. Address space is taken at once and memory as pages are
// written to; except where each mapping is a copy on the Go heap (neither
// Linux, macOS nor FreeBSD), which takes it all at once.
//
// The error is ErrMappings if there is no room: give idle mappings back and try
// again. The caller releases the mapping.
func (s *Space) Map(img *Image, reserve uint64) (*Mapping, error) {
	m := &Mapping{space: s, image: img, size: reserve}
	if err := m.open(); err != nil {
		return nil, fmt.Errorf("map memory of %d bytes: %w", reserve, err)
	}
	return m, nil
}

func (m *Mapping) open() error {
	s := m.space
	length, ok := s.roundUp(m.size)
	if !ok {
		return fmt.Errorf("too large")
	}
	if m.image != nil {
		if m.image.space != s {
			return fmt.Errorf("image is of another space")
		}
		if m.image.size > m.size {
			return fmt.Errorf("image has %d", m.image.size)
		}
	}
	recycled, err := s.enter(m.image, length)
	if err != nil {
		return err
	}
	if m.memory = recycled; m.memory != nil {
		return nil
	}
	n := kernelMappings(m.image.filledBytes(), length)
	if err = s.reserve(n); err == nil {
		m.memory, err = mapMemory(m.image, length)
		if err != nil && isOutOfMappings(err) {
			// Others in the process may have used up what the system allows.
			s.unmapRecycled(func(*Image) bool { return true })
			if m.memory, err = mapMemory(m.image, length); err != nil {
				err = fmt.Errorf("%w: %w", ErrMappings, err)
			}
		}
		if err != nil {
			s.unreserve(n)
		}
	}
	if err != nil {
		s.leave(m.image)
	}
	return err
}

// enter counts a user of the image and returns a recycled mapping of it if
// there is one.
func (s *Space) enter(img *Image, length int) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || img != nil && img.closed {
		return nil, ErrClosed
	}
	s.users++
	if img != nil {
		img.users++
	}
	// The last one is the most likely to have its page tables in a cache.
	for i := len(s.recycled) - 1; i >= 0; i-- {
		if r := s.recycled[i]; r.image == img && len(r.memory) == length {
			last := len(s.recycled) - 1
			copy(s.recycled[i:], s.recycled[i+1:])
			s.recycled[last] = recycled{}
			s.recycled = s.recycled[:last]
			return r.memory, nil
		}
	}
	return nil, nil
}

// leave counts a user out.
func (s *Space) leave(img *Image) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users--
	if img != nil {
		img.users--
	}
}

// Bytes returns the whole reservation. It is valid until Release.
func (m *Mapping) Bytes() []byte {
	if m.memory == nil {
		return nil
	}
	return m.memory[:m.size:m.size]
}

// Restore makes the mapping equal to the image followed by zeros again, given
// that nothing but its first touched bytes was written to since it was last so.
// Pages that were written may stay with the mapping for the next time. After an
// error the mapping is good for nothing but Release.
func (m *Mapping) Restore(touched uint64) error {
	return m.revert(min(touched, m.size), m.space.restore)
}

// Discard makes the mapping equal to the image followed by zeros again,
// wherever it was written to, and gives its pages back to the system, as far as
// the system takes them. After an error the mapping is good for nothing but Release.
func (m *Mapping) Discard() error {
	return m.revert(m.size, restoreByDiscard)
}

func (m *Mapping) revert(touched uint64, restore restorer) error {
	if m.memory == nil || m.broken {
		return fmt.Errorf("restore memory: %w", ErrClosed)
	}
	n, _ := m.space.roundUp(touched)
	if n == 0 {
		return nil
	}
	if err := restore(m.image, m.memory, n); err != nil {
		m.broken = true
		return fmt.Errorf("restore memory: %w", err)
	}
	return nil
}

// Private returns the bytes of pages that the mapping shares with nobody. It is
// meant for measurement; the error is errors.ErrUnsupported where the system
// doesn't tell.
func (m *Mapping) Private() (uint64, error) {
	if m.memory == nil {
		return 0, ErrClosed
	}
	return private(m.memory, m.space.pageSize)
}

// Release gives the mapping back: nobody may read or write its bytes any more.
// What it was told once it ignores after.
func (m *Mapping) Release() {
	if m.memory == nil {
		return
	}
	s, memory := m.space, m.memory
	m.memory = nil
	reusable := recycles && len(memory) > 0 && !m.broken
	if recycles {
		// Also what is unmapped is given up here, in pieces: until it has freed
		// what it unmaps the system lets nobody else map memory.
		reusable = restoreByDiscard(m.image, memory, len(memory)) == nil && reusable
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users--
	if m.image != nil {
		m.image.users--
	}
	if reusable {
		if len(s.recycled) == maxRecycled {
			s.unmapOldest()
		}
		s.recycled = append(s.recycled, recycled{m.image, memory})
	} else if unmap(memory) == nil {
		s.mappings -= kernelMappings(m.image.filledBytes(), len(memory))
	}
}

// restoreByDiscard is the restorer of Discard.
func restoreByDiscard(image *Image, memory []byte, n int) error {
	return discard(image, memory, 0, n)
}

// copyUnit is what restoreByCopy compares at once, a multiple or a divisor of
// every page size.
const copyUnit = 4 << 10

// restoreByCopy is the restorer of Copy. Comparing first leaves pages shared
// that were not written to.
func restoreByCopy(image *Image, memory []byte, n int) error {
	filled := min(image.filledBytes(), n)
	for at := 0; at < filled; at += copyUnit {
		to, from := memory[at:at+copyUnit], image.memory[at:at+copyUnit]
		if !bytes.Equal(to, from) {
			copy(to, from)
		}
	}
	return discard(image, memory, filled, n)
}
