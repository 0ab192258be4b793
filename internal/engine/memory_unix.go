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

func unmap(b []byte) { _ = unix.Munmap(b) }
