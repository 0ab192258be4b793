package cow

import (
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Lazy tells whether memory that is mapped takes no room before it is used.
const Lazy = true

// methods is the order in which Auto tries.
var methods = []Method{Scan, Pagemap, Discard, Copy}

// recycles says that a discarded mapping is worth keeping.
const recycles = true

// defaultMappings leaves a quarter of what the system allows to the rest of the
// process.
func defaultMappings() int {
	const usual = 65530
	b, err := os.ReadFile("/proc/sys/vm/max_map_count")
	if err != nil {
		return usual / 4 * 3
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || n < 0 {
		n = usual
	}
	return n / 4 * 3
}

// kernelMappings returns how many mappings the kernel keeps for length bytes of
// which the first filled are of an image.
func kernelMappings(filled, length int) int {
	switch {
	case length == 0:
		return 0
	case filled == 0 || filled == length:
		return 1
	default:
		return 2
	}
}

// store is the memfd of an image, or -1 if all of it is zero.
type store struct{ fd int }

// newStore keeps content followed by zeros, length bytes in all.
func newStore(content []byte, length, page int) ([]byte, store, error) {
	st := store{fd: -1}
	if len(content) > 0 {
		fd, err := sealed(content, page)
		if err != nil {
			return nil, st, err
		}
		st.fd = fd
	}
	filled := (len(content) + page - 1) / page * page
	// A private mapping that nobody can write to is as shared as a shared one,
	// which kernels before 6.7 refuse for a sealed memfd.
	memory, err := mapFile(st.fd, filled, length, unix.PROT_READ)
	if err != nil {
		_ = st.close(nil)
		return nil, store{fd: -1}, err
	}
	return memory, st, nil
}

// sealed returns a memfd of content that nobody can change, not even through
// the descriptor.
func sealed(content []byte, page int) (int, error) {
	const name, flags = "cow", unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate(name, flags|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) {
		// Before Linux 6.3.
		fd, err = unix.MemfdCreate(name, flags)
	}
	if err != nil {
		return -1, os.NewSyscallError("memfd_create", err)
	}
	fill := func() error {
		size := (len(content) + page - 1) / page * page
		if err := unix.Ftruncate(fd, int64(size)); err != nil {
			return os.NewSyscallError("ftruncate", err)
		}
		if err := writeRuns(content, page, func(run []byte, at int) error {
			for len(run) > 0 {
				n, err := unix.Pwrite(fd, run, int64(at))
				if errors.Is(err, unix.EINTR) {
					continue
				}
				if err != nil {
					return os.NewSyscallError("pwrite", err)
				}
				run, at = run[n:], at+n
			}
			return nil
		}); err != nil {
			return err
		}
		_, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS,
			unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE)
		return os.NewSyscallError("fcntl", err)
	}
	if err := fill(); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (st store) close(memory []byte) error {
	err := unmap(memory)
	if st.fd >= 0 {
		err = errors.Join(err, os.NewSyscallError("close", unix.Close(st.fd)))
	}
	return err
}

// mapMemory maps the image followed by zeros.
func mapMemory(image *Image, length int) ([]byte, error) {
	fd := -1
	if image != nil {
		fd = image.store.fd
	}
	return mapFile(fd, image.filledBytes(), length, unix.PROT_READ|unix.PROT_WRITE)
}

// mapFile maps the first filled bytes of a file, followed by zeros.
func mapFile(fd, filled, length, prot int) ([]byte, error) {
	if length == 0 {
		return []byte{}, nil
	}
	const private = unix.MAP_PRIVATE | unix.MAP_NORESERVE
	base, err := unix.MmapPtr(-1, 0, nil, uintptr(length), prot, private|unix.MAP_ANON)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	if filled > 0 {
		// In place of pages that were mapped here just now.
		if _, err := unix.MmapPtr(fd, 0, base, uintptr(filled), prot, private|unix.MAP_FIXED); err != nil {
			_ = unix.MunmapPtr(base, uintptr(length))
			return nil, os.NewSyscallError("mmap", err)
		}
	}
	return unsafe.Slice((*byte)(base), length), nil
}

// isOutOfMappings tells whether the system has no room for another mapping, or for the
// file of an image.
func isOutOfMappings(err error) bool {
	return errors.Is(err, unix.ENOMEM) || errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE)
}

// unmap gives back what mapFile returned.
func unmap(memory []byte) error {
	if len(memory) == 0 {
		return nil
	}
	return os.NewSyscallError("munmap", unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(memory)), uintptr(len(memory))))
}

// The sizes of the pieces that discard works in, since the kernel may let nobody
// else map memory during one: about 1 ms for the smallest if all of it was
// written to. They grow as it gets further, into what is mostly untouched, to
// a few milliseconds.
const (
	minPiece = 16 << 20
	maxPiece = 128 << 20
)

// discard makes memory[from:to] equal to the image followed by zeros again by
// giving up all private pages.
func discard(_ *Image, memory []byte, from, to int) error {
	for at := from; at < to; {
		end := min(at+min(max(minPiece, at-from), maxPiece), to)
		if err := unix.Madvise(memory[at:end], unix.MADV_DONTNEED); err != nil {
			return os.NewSyscallError("madvise", err)
		}
		at = end
	}
	return nil
}

func newRestorer(m Method, page int) (restorer, io.Closer, error) {
	switch m {
	case Scan, Pagemap:
		p, err := openPagemap(m, page, searchRuns, searchEntries)
		if err != nil {
			return nil, nil, err
		}
		if err := p.try(); err != nil {
			return nil, nil, errors.Join(err, p.Close())
		}
		return p.restore, p, nil
	case Discard:
		return restoreByDiscard, nil, nil
	case Copy:
		return restoreByCopy, nil, nil
	default:
		return nil, nil, errors.ErrUnsupported
	}
}
