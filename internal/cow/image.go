package cow

import (
	"bytes"
	"fmt"
)

// Image is the initial content of memories. It never changes and is safe for
// concurrent use.
type Image struct {
	space  *Space
	size   uint64
	filled int    // bytes up to the end of the last page that is not all zero
	memory []byte // the content, read-only, in whole pages
	store  store
	// Of the space's lock:
	users  int
	closed bool
}

// Image makes an image of a copy of content. On Linux pages of zeros take no
// space before they are touched, here or in a mapping, and those at the end
// take none for a mapping that only reads them. The error is ErrMappings if there is no room for
// the mapping of it. Close it after use.
func (s *Space) Image(content []byte) (*Image, error) {
	length, ok := s.roundUp(uint64(len(content)))
	if !ok {
		return nil, fmt.Errorf("image of %d bytes: too large", len(content))
	}
	filled, _ := s.roundUp(uint64(trimZeros(content)))
	img := &Image{space: s, size: uint64(len(content)), filled: filled}
	n := kernelMappings(filled, length)
	if err := s.reserve(n); err != nil {
		return nil, fmt.Errorf("image of %d bytes: %w", len(content), err)
	}
	var err error
	if img.memory, img.store, err = newStore(content[:min(filled, len(content))], length, s.pageSize); err != nil {
		s.unreserve(n)
		if isOutOfMappings(err) {
			err = fmt.Errorf("%w: %w", ErrMappings, err)
		}
		return nil, fmt.Errorf("image of %d bytes: %w", len(content), err)
	}
	return img, nil
}

// Size returns the length of the content in bytes.
func (i *Image) Size() uint64 { return i.size }

// Bytes returns the content, which must not be written to: that is a fault
// where the image is mapped. It is valid until Close.
func (i *Image) Bytes() []byte {
	if i.memory == nil {
		return nil
	}
	return i.memory[:i.size:i.size]
}

// Close gives the image back. It is ErrInUse, and nothing happens, while there
// are mappings of it that were not released.
func (i *Image) Close() error {
	s := i.space
	s.mu.Lock()
	if i.users > 0 {
		s.mu.Unlock()
		return fmt.Errorf("close image: %w", ErrInUse)
	}
	closed := i.closed
	i.closed = true
	s.mu.Unlock()
	if closed {
		return nil
	}
	s.unmapRecycled(i)
	length := len(i.memory)
	err := i.store.close(i.memory)
	i.memory = nil
	s.unreserve(kernelMappings(i.filled, length))
	return err
}

// filledBytes is zero for the nil image, which is all zeros.
func (i *Image) filledBytes() int {
	if i == nil {
		return 0
	}
	return i.filled
}

// zeros is compared with. Nothing writes to it.
var zeros [64 << 10]byte

// isZero reports whether b has only zeros.
func isZero(b []byte) bool {
	for len(b) > len(zeros) {
		if !bytes.Equal(b[:len(zeros)], zeros[:]) {
			return false
		}
		b = b[len(zeros):]
	}
	return bytes.Equal(b, zeros[:len(b)])
}

// trimZeros returns the length of b without the zeros at its end.
func trimZeros(b []byte) int {
	n := len(b)
	for n >= len(zeros) && isZero(b[n-len(zeros):n]) {
		n -= len(zeros)
	}
	for n > 0 && b[n-1] == 0 {
		n--
	}
	return n
}

// writeRuns calls write for runs of pages of b that are not all zero.
func writeRuns(b []byte, page int, write func(run []byte, at int) error) error {
	for at := 0; at < len(b); {
		end := at
		for end < len(b) && !isZero(b[end:min(end+page, len(b))]) {
			end = min(end+page, len(b))
		}
		if end == at {
			at += page
			continue
		}
		if err := write(b[at:end], at); err != nil {
			return err
		}
		at = end
	}
	return nil
}
