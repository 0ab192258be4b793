//go:build linux || darwin || freebsd

package engine

import "golang.org/x/sys/unix"

// reserve maps n bytes of zeroed memory that take no space until touched.
func reserve(n uint64) ([]byte, error) {
	if n == 0 {
		return nil, unix.EINVAL
	}
	return unix.Mmap(-1, 0, int(n), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
}

// unmapPiece takes the system a fraction of a millisecond.
const unmapPiece = 4 << 20

// unmap gives back what reserve returned, of which the first used bytes may have been
// touched. Those are given back in pieces: until it has freed a range the system lets
// nobody else map memory.
func unmap(b []byte, used int) {
	for at := 0; at+unmapPiece < used; at += unmapPiece {
		_ = unix.Madvise(b[at:at+unmapPiece], unix.MADV_DONTNEED)
	}
	_ = unix.Munmap(b)
}
