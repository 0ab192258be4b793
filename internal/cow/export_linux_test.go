package cow

import (
	"os"

	"golang.org/x/sys/unix"
)

// NewNarrowSpace returns a space whose searches look at as many runs of pages,
// and as many entries, in one system call.
func NewNarrowSpace(m Method, runs, entries int) (*Space, error) {
	s, err := NewSpace(Options{Method: m})
	if err != nil {
		return nil, err
	}
	p, err := openPagemap(m, os.Getpagesize(), runs, entries)
	if err != nil {
		return nil, err
	}
	if err := s.closer.Close(); err != nil {
		return nil, err
	}
	s.restore, s.closer = p.restore, p
	return s, nil
}

// FailSearches makes searches for private pages fail from now on.
func (s *Space) FailSearches() {
	s.closer.(*pagemap).fd = -1
}

// TrySearch tries a search, of something that the kernel refuses if that is said.
func TrySearch(m Method, refused bool) error {
	p, err := openPagemap(m, os.Getpagesize(), 1, 1)
	if err != nil {
		return err
	}
	fd := p.fd
	if refused {
		if p.fd, err = unix.MemfdCreate("empty", unix.MFD_CLOEXEC); err != nil {
			return nil
		}
		defer func() { _ = unix.Close(fd) }()
	}
	err = p.try()
	_ = p.Close()
	return err
}

// WriteToFile tries to change the image by each way that the descriptor offers.
// It returns nil if one of them works.
func (i *Image) WriteToFile(b []byte) error {
	fd := i.store.fd
	_, err := unix.Pwrite(fd, b, 0)
	shared, mapped := unix.Mmap(fd, 0, i.filled, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if mapped == nil {
		_ = unix.Munmap(shared)
	}
	truncated := unix.Ftruncate(fd, 1<<20)
	_, unsealed := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, 0)
	for _, err := range []error{err, mapped, truncated, unsealed} {
		if err == nil {
			return nil
		}
	}
	return err
}
