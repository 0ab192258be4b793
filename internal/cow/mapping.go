package cow

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// Mapping is a memory that started as an image. It has one user at a time.
type Mapping struct {
	space  *Space
	image  *Image // or nil
	size   uint64
	memory []byte // in whole pages; nil once released
	broken bool   // what it holds is unknown
	count  uint   // of restores
	known  known
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
		return errors.New("too large")
	}
	if m.image != nil {
		if m.image.space != s {
			return errors.New("image is of another space")
		}
		if m.image.size > m.size {
			return fmt.Errorf("image has %d bytes", m.image.size)
		}
	}
	var err error
	if m.memory, err = s.enter(m.image, length); err != nil || m.memory != nil {
		return err
	}
	n := kernelMappings(m.image.filledBytes(), length)
	if err = s.reserve(n); err == nil {
		m.memory, err = mapMemory(m.image, length)
		if err != nil && isOutOfMappings(err) {
			// Others in the process may have used up what the system allows.
			s.unmapRecycled(nil)
			if m.memory, err = mapMemory(m.image, length); err != nil {
				err = fmt.Errorf("%w: %w", ErrMappings, err)
			}
		}
		if err != nil {
			s.unreserve(n)
		}
	}
	if err != nil {
		s.recycle(recycled{image: m.image}, false)
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
	for i, r := range slices.Backward(s.recycled) {
		if r.image == img && len(r.memory) == length {
			return s.takeRecycled(i).memory, nil
		}
	}
	return nil, nil
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
// Written pages may stay with the mapping for the next time, 16 MiB at most by Scan
// and Pagemap; an idle mapping is better discarded. After an
// error the mapping is good for nothing but Release.
func (m *Mapping) Restore(touched uint64) error {
	return m.revert(min(touched, m.size), m.space.restore)
}

// Discard makes the mapping equal to the image followed by zeros again,
// wherever it was written to, and gives its pages back to the system, as far as
// the system takes them. After an error the mapping is good for nothing but Release.
func (m *Mapping) Discard() error {
	m.known = known{}
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
	if err := restore(m, n); err != nil {
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
// A second call does nothing.
func (m *Mapping) Release() {
	if m.memory == nil {
		return
	}
	reusable := recycles && len(m.memory) > 0 && !m.broken
	if recycles {
		// Also what is unmapped is given up here, in pieces: until it has freed
		// what it unmaps the system lets nobody else map memory.
		reusable = restoreByDiscard(m, len(m.memory)) == nil && reusable
	}
	last := recycled{m.image, m.memory}
	m.memory = nil
	if last = m.space.recycle(last, reusable); last.memory != nil {
		m.space.unmap(last)
	}
}

// recycle counts a user out, keeps what it had if that is reusable, and returns
// what is to be unmapped.
func (s *Space) recycle(r recycled, reusable bool) recycled {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users--
	if r.image != nil {
		r.image.users--
	}
	if !reusable {
		return r
	}
	s.recycled = append(s.recycled, r)
	if len(s.recycled) > maxRecycled {
		return s.takeRecycled(0)
	}
	return recycled{}
}

// restoreByDiscard is the restorer of Discard.
func restoreByDiscard(m *Mapping, n int) error {
	return discard(m.image, m.memory, 0, n)
}

// copyUnit is what restoreByCopy compares at once, a multiple or a divisor of
// every page size.
const copyUnit = 4 << 10

// restoreByCopy is the restorer of Copy. Comparing first leaves pages shared
// that were not written to.
func restoreByCopy(m *Mapping, n int) error {
	filled := min(m.image.filledBytes(), n)
	for at := 0; at < filled; at += copyUnit {
		to, from := m.memory[at:at+copyUnit], m.image.memory[at:at+copyUnit]
		if !bytes.Equal(to, from) {
			copy(to, from)
		}
	}
	return discard(m.image, m.memory, filled, n)
}
