package sandbox

import (
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// pathOnly opens a directory that need not be readable, to go through it.
const pathOnly = unix.O_PATH

// haveOpenat2 reports whether the kernel resolves paths beneath a directory
// (Linux 5.6, and no seccomp filter against it).
var haveOpenat2 = sync.OnceValue(func() bool {
	fd, err := openat2(unix.AT_FDCWD, ".", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	unix.Close(fd)
	return true
})

func openat2(dir int, path string, bits, mode int) (int, error) {
	how := unix.OpenHow{
		Flags:   uint64(bits),
		Mode:    uint64(mode),
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS,
	}
	return retryInt(func() (int, error) { return unix.Openat2(dir, path, &how) })
}

// openBeneath opens path, however many links it goes through, without leaving
// dir.
func openBeneath(dir int, path string, bits, mode int) (int, error) {
	if bits&unix.O_CREAT == 0 {
		mode = 0
	}
	for range 128 {
		fd, err := openat2(dir, path, bits, mode)
		switch err {
		case unix.EAGAIN:
			// A rename elsewhere made the kernel unsure of a "..".
			continue
		case unix.EXDEV:
			return -1, NotPermitted
		}
		return fd, err
	}
	return -1, Busy
}

func resolveKernel(root int, path string, follow bool) (place, error) {
	for range maxLinks + 1 {
		dir, base, slash := splitLast(path)
		if base == "" || base == "." || base == ".." {
			fd, err := openBeneath(root, path, dirFlags|unix.O_PATH, 0)
			return place{dir: fd, owned: true, base: "."}, err
		}
		p := place{dir: root, base: base, slash: slash}
		if dir != "" {
			fd, err := openBeneath(root, dir, dirFlags|unix.O_PATH, 0)
			if err != nil {
				return place{}, err
			}
			p.dir, p.owned = fd, true
		}
		if !follow {
			return p, nil
		}
		target, err := readlinkAt(p.dir, base)
		if err == unix.EINVAL || err == unix.ENOENT {
			return p, nil
		}
		p.release()
		switch {
		case err != nil:
			return place{}, err
		case strings.HasPrefix(target, "/"):
			return place{}, NotPermitted
		case len(dir)+len(target)+1 >= maxPath:
			return place{}, NameTooLong
		}
		path = dir + target
		if slash {
			path += "/"
		}
	}
	return place{}, Loop
}
