package cow

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
)

// Options configure a Space. The zero value suits most.
type Options struct {
	// Method forces a way of restoring; Auto chooses.
	Method Method
	// MaxMappings bounds what images and mappings, also recycled ones, take of
	// the number of mappings that the system allows the process: up to two
	// each. Zero means a part of the system's bound that leaves room for
	// everything else.
	MaxMappings int
}

// maxRecycled bounds the mappings kept for reuse. They hold no pages of their own.
const maxRecycled = 256

// Space holds images and their mappings under one bound. It is safe for
// concurrent use.
type Space struct {
	method   Method
	restore  restorer
	closer   io.Closer // of what restore uses, or nil
	pageSize int
	max      int

	mu       sync.Mutex
	closed   bool
	mappings int // kernel mappings counted against max
	users    int // mappings handed out
	recycled []recycled
}

// recycled is a discarded mapping, free for the next Map of its image and size.
type recycled struct {
	image  *Image
	memory []byte
}

// restorer makes the first n bytes of a mapping equal to its image followed by
// zeros. n is a multiple of the page size. It allocates nothing.
type restorer func(m *Mapping, n int) error

// NewSpace returns an empty space. It is an error if the method is not
// available here, which is found out by trying it. Close it after use.
func NewSpace(o Options) (*Space, error) {
	s := &Space{pageSize: os.Getpagesize(), max: o.MaxMappings}
	if s.max == 0 {
		s.max = defaultMappings()
	}
	if s.max < 0 {
		return nil, fmt.Errorf("bound of %d mappings", s.max)
	}
	candidates := methods
	if o.Method != Auto {
		candidates = []Method{o.Method}
	}
	var failed error
	for _, m := range candidates {
		err := s.use(m)
		if err == nil {
			return s, nil
		}
		failed = errors.Join(failed, fmt.Errorf("restore memories by %s: %w", m, err))
	}
	return nil, failed
}

// use sets the method and tries it.
func (s *Space) use(m Method) error {
	restore, closer, err := newRestorer(m, s.pageSize)
	if err != nil {
		return err
	}
	// The trial is not bound by what the caller set.
	trial := &Space{method: m, restore: restore, pageSize: s.pageSize, max: 64}
	if err := trial.try(); err != nil {
		if closer != nil {
			_ = closer.Close()
		}
		return err
	}
	s.method, s.restore, s.closer = m, restore, closer
	return nil
}

var errNotRestored = errors.New("a written page was not restored")

// try restores a small mapping that has pages of every kind: image pages that
// are untouched, read and written, and the same beyond the image.
func (s *Space) try() (err error) {
	page := s.pageSize
	content := make([]byte, 4*page)
	for i := range content {
		content[i] = byte(i/page + 1)
	}
	img, err := s.Image(content)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, img.Close()) }()
	m, err := s.Map(img, uint64(8*page))
	if err != nil {
		return err
	}
	defer func() {
		m.Release()
		s.unmapRecycled(nil)
	}()
	b := m.Bytes()
	seen := b[page] + b[5*page]
	b[2*page+1], b[6*page+1] = seen+1, seen+1
	if err := m.Restore(uint64(len(b))); err != nil {
		return err
	}
	for i, c := range b {
		if i < len(content) && c != content[i] || i >= len(content) && c != 0 {
			return errNotRestored
		}
	}
	return nil
}

// Method returns the method in use, which is never Auto.
func (s *Space) Method() Method { return s.method }

// Close gives back what the space holds. It is ErrInUse, and nothing happens,
// while there are mappings that were not released. Images may be closed later.
func (s *Space) Close() error {
	s.mu.Lock()
	if s.users > 0 {
		s.mu.Unlock()
		return fmt.Errorf("close space: %w", ErrInUse)
	}
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	if closed {
		return nil
	}
	s.unmapRecycled(nil)
	if s.closer != nil {
		return s.closer.Close()
	}
	return nil
}

// Mappings returns how many of the system's mappings are counted now against
// Options.MaxMappings, and that bound.
func (s *Space) Mappings() (used, limit int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mappings, s.max
}

// reserve counts n kernel mappings, in place of recycled ones if there is no room.
func (s *Space) reserve(n int) error {
	for {
		r, err := s.tryReserve(n)
		if err != nil || r.memory == nil {
			return err
		}
		s.unmap(r)
	}
}

// tryReserve counts n kernel mappings or, if there is no room, returns a recycled
// mapping to unmap before trying again.
func (s *Space) tryReserve(n int) (recycled, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return recycled{}, ErrClosed
	case n <= s.max-s.mappings:
		s.mappings += n
		return recycled{}, nil
	case len(s.recycled) > 0:
		return s.takeRecycled(0), nil
	default:
		return recycled{}, fmt.Errorf("%w: %d of %d in use", ErrMappings, s.mappings, s.max)
	}
}

// unreserve takes back what reserve counted.
func (s *Space) unreserve(n int) {
	s.mu.Lock()
	s.mappings -= n
	s.mu.Unlock()
}

// takeRecycled removes a recycled mapping; they are in the order of their
// release. The lock is held.
func (s *Space) takeRecycled(i int) recycled {
	r := s.recycled[i]
	s.recycled = slices.Delete(s.recycled, i, i+1)
	return r
}

// unmap gives a mapping that nobody uses back to the system. Should the system
// refuse, it stays counted. The lock is not held: this takes a while.
func (s *Space) unmap(r recycled) {
	if unmap(r.memory) == nil {
		s.unreserve(kernelMappings(r.image.filledBytes(), len(r.memory)))
	}
}

// unmapRecycled gives recycled mappings back to the system: those of one image,
// or all if that is nil.
func (s *Space) unmapRecycled(of *Image) {
	var chosen []recycled
	s.mu.Lock()
	s.recycled = slices.DeleteFunc(s.recycled, func(r recycled) bool {
		if of == nil || of == r.image {
			chosen = append(chosen, r)
			return true
		}
		return false
	})
	s.mu.Unlock()
	for _, r := range chosen {
		s.unmap(r)
	}
}

// roundUp rounds n up to whole pages. It reports false if that is no int.
func (s *Space) roundUp(n uint64) (int, bool) {
	const maxInt = uint64(^uint(0) >> 1)
	page := uint64(s.pageSize)
	if n > maxInt-page {
		return 0, false
	}
	return int((n + page - 1) / page * page), true
}
