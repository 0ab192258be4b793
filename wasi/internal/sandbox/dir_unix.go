//go:build unix

package sandbox

import (
	"os"
	"strings"
	"syscall"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// hostDir is an open directory. Whatever acts on a name first resolves the path
// to an open parent directory and one component, which *at calls then take
// without following links: the kernel never sees a path it could leave by.
type hostDir struct {
	f  *os.File
	rc syscall.RawConn
	// kernel lets openat2 resolve paths; otherwise they are walked here.
	kernel bool
}

func newHostDir(fd int, name string, kernel bool) (*hostDir, error) {
	f := os.NewFile(uintptr(fd), name)
	rc, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &hostDir{f: f, rc: rc, kernel: kernel}, nil
}

func openNative(host string) (directory, error) {
	return openHostDir(host, haveOpenat2())
}

// openWalking is openNative with paths resolved one component at a time.
func openWalking(host string) (directory, error) { return openHostDir(host, false) }

func openHostDir(host string, kernel bool) (directory, error) {
	fd, err := retryInt(func() (int, error) {
		return unix.Open(host, dirFlags, 0)
	})
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: host, Err: err}
	}
	return newHostDir(fd, host, kernel)
}

func (d *hostDir) self() *os.File { return d.f }
func (d *hostDir) close() error   { return d.f.Close() }

// use calls f with the descriptor, which stays open meanwhile.
func (d *hostDir) use(f func(fd int) error) error {
	var inner error
	if err := d.rc.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return BadDescriptor
	}
	return inner
}

// A place is an open directory and one component in it. The component is never
// "..", never contains a slash, and is "." when the path ended at a directory
// that is the place itself.
type place struct {
	dir   int
	owned bool // dir is to be closed
	base  string
	// slash says that the path ended with slashes: it means a directory.
	slash bool
}

func (p place) release() {
	if p.owned {
		unix.Close(p.dir)
	}
}

// at resolves path and calls f with the place. With follow, a symbolic link at
// the end is followed, and base was none a moment ago.
func (d *hostDir) at(path string, follow bool, f func(place) error) error {
	return d.use(func(fd int) error {
		var p place
		var err error
		if d.kernel {
			p, err = resolveKernel(fd, path, follow)
		} else {
			p, err = resolveWalking(fd, path, follow)
		}
		if err != nil {
			return err
		}
		defer p.release()
		return f(p)
	})
}

func (d *hostDir) atBoth(path string, to directory, newPath string, f func(from, to place) error) error {
	dest, ok := to.(*hostDir)
	if !ok {
		return CrossDevice
	}
	return d.at(path, false, func(from place) error {
		return dest.at(newPath, false, func(to place) error { return f(from, to) })
	})
}

// splitLast cuts path before its last component. Slashes at the end are cut off
// and reported.
func splitLast(path string) (dir, base string, slash bool) {
	trimmed := strings.TrimRight(path, "/")
	slash = len(trimmed) < len(path)
	i := strings.LastIndexByte(trimmed, '/')
	return trimmed[:i+1], trimmed[i+1:], slash
}

// endsInSlash says that the path means what a link at its end points to.
func endsInSlash(path string) bool { return strings.HasSuffix(path, "/") }

// lstat describes the component itself.
func (p place) lstat() (unix.Stat_t, error) {
	var st unix.Stat_t
	err := retry(func() error { return unix.Fstatat(p.dir, p.base, &st, unix.AT_SYMLINK_NOFOLLOW) })
	return st, err
}

// mustDir fails unless the component is a directory.
func (p place) mustDir() error {
	st, err := p.lstat()
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return NotDirectory
	}
	return err
}

const dirFlags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC

// maxDepth bounds the directories that are open while a path is walked.
const maxDepth = 256

// resolveWalking opens one component after the other without following links;
// links are expanded here. Going up pops a directory that is already open, so a
// directory moved by somebody else meanwhile can't turn ".." into a way out.
func resolveWalking(root int, path string, follow bool) (place, error) {
	stack := []int{root}
	defer func() {
		for _, fd := range stack[1:] {
			unix.Close(fd)
		}
	}()
	// leave hands the innermost open directory to the caller.
	leave := func(base string, slash bool) (place, error) {
		top := len(stack) - 1
		p := place{dir: stack[top], owned: top > 0, base: base, slash: slash}
		if top > 0 {
			stack = stack[:top]
		}
		return p, nil
	}
	rest, links := path, 0
	for {
		rest = strings.TrimLeft(rest, "/")
		if rest == "" {
			return leave(".", false)
		}
		name, after, more := strings.Cut(rest, "/")
		last := strings.Trim(after, "/") == ""
		top := stack[len(stack)-1]
		switch name {
		case ".":
			rest = after
			continue
		case "..":
			if len(stack) == 1 {
				return place{}, NotPermitted
			}
			unix.Close(top)
			stack = stack[:len(stack)-1]
			rest = after
			continue
		}
		if last && !follow && !more {
			return leave(name, false)
		}
		target, err := readlinkAt(top, name)
		switch {
		case err == nil:
			if links++; links > maxLinks {
				return place{}, Loop
			}
			if last && !follow {
				// A slash after a link asks for what the link means, which
				// only the operation can decide.
				return leave(name, true)
			}
			if strings.HasPrefix(target, "/") {
				return place{}, NotPermitted
			}
			if len(target)+1+len(after) >= maxPath {
				return place{}, NameTooLong
			}
			if more {
				target += "/"
			}
			rest = target + after
			continue
		case last && (err == unix.EINVAL || err == unix.ENOENT):
			return leave(name, more)
		case err != unix.EINVAL:
			return place{}, err
		}
		fd, err := retryInt(func() (int, error) {
			return unix.Openat(top, name, dirFlags|unix.O_NOFOLLOW|pathOnly, 0)
		})
		if err == unix.ELOOP {
			continue // it became a link: look again
		}
		if err != nil {
			return place{}, err
		}
		if len(stack) > maxDepth {
			unix.Close(fd)
			return place{}, NameTooLong
		}
		stack = append(stack, fd)
		rest = after
	}
}

func (d *hostDir) open(path string, how OpenFlags) (*os.File, directory, error) {
	var file *os.File
	var dir directory
	err := d.use(func(root int) error {
		fd, err := d.openFD(root, path, how)
		if err != nil {
			return err
		}
		file, dir, err = d.adopt(fd, how)
		return err
	})
	return file, dir, err
}

func openBits(how OpenFlags) int {
	bits := unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY
	switch {
	case how.Write && how.Read, how.Truncate && !how.Write:
		bits |= unix.O_RDWR
	case how.Write:
		bits |= unix.O_WRONLY
	}
	if how.Create {
		bits |= unix.O_CREAT
	}
	if how.Exclusive {
		bits |= unix.O_EXCL
	}
	if how.Truncate {
		bits |= unix.O_TRUNC
	}
	if how.Directory {
		bits |= unix.O_DIRECTORY
	}
	if how.Sync {
		bits |= unix.O_SYNC
	}
	if how.DataSync {
		bits |= unix.O_DSYNC
	}
	return bits
}

// openFD opens path, whatever it is.
func (d *hostDir) openFD(root int, path string, how OpenFlags) (int, error) {
	bits := openBits(how)
	// With O_CREAT|O_EXCL no link at the end is followed.
	nofollow := (how.NoFollow || how.Create && how.Exclusive) && !endsInSlash(path)
	if d.kernel {
		if nofollow {
			bits |= unix.O_NOFOLLOW
		}
		fd, err := openBeneath(root, path, bits&unix.O_NOFOLLOW|pathOnly|unix.O_CLOEXEC, 0)
		if err == nil {
			err = plainFD(fd)
			unix.Close(fd)
		}
		if err != nil && err != unix.ENOENT {
			return -1, err
		}
		return openBeneath(root, path, bits, 0o666)
	}
	for range maxLinks {
		p, err := resolveWalking(root, path, !nofollow)
		if err != nil {
			return -1, err
		}
		fd, err := p.open(bits, !nofollow)
		p.release()
		if err == unix.ELOOP && !nofollow {
			continue // somebody put a link there since
		}
		return fd, err
	}
	return -1, Loop
}

// open opens the component without following it.
func (p place) open(bits int, followed bool) (int, error) {
	if p.slash {
		if bits&unix.O_CREAT != 0 {
			return -1, IsDirectory
		}
		if err := p.mustDir(); err != nil {
			return -1, err
		}
		bits |= unix.O_DIRECTORY
	}
	if st, err := p.lstat(); err == nil {
		if err := plainMode(uint32(st.Mode)); err != nil {
			return -1, err
		}
	}
	return retryInt(func() (int, error) {
		fd, err := unix.Openat(p.dir, p.base, bits|unix.O_NOFOLLOW, 0o666)
		if err == unix.EMLINK || err == unix.ENOTDIR && followed && p.isLink() {
			err = unix.ELOOP
		}
		return fd, err
	})
}

// plainMode fails for what guests can't open. Opening a device or a named pipe
// may do something already: rewind a tape, wake who waits at the other end.
func plainMode(mode uint32) error {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG, unix.S_IFDIR, unix.S_IFLNK:
		return nil
	}
	return NotPermitted
}

func plainFD(fd int) error {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstat(fd, &st) }); err != nil {
		return err
	}
	return plainMode(uint32(st.Mode))
}

func (p place) isLink() bool {
	st, err := p.lstat()
	return err == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK
}

// adopt takes over a freshly opened descriptor if it is a regular file or a
// directory.
func (d *hostDir) adopt(fd int, how OpenFlags) (*os.File, directory, error) {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstat(fd, &st) }); err != nil {
		unix.Close(fd)
		return nil, nil, err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		dir, err := newHostDir(fd, "", d.kernel)
		return nil, dir, err
	case unix.S_IFREG:
		if err := unix.SetNonblock(fd, false); err != nil {
			unix.Close(fd)
			return nil, nil, err
		}
		return os.NewFile(uintptr(fd), ""), nil, nil
	}
	unix.Close(fd)
	return nil, nil, NotPermitted
}

func (d *hostDir) stat(path string, follow bool) (Stat, error) {
	var out Stat
	err := d.at(path, follow || endsInSlash(path), func(p place) error {
		st, err := p.lstat()
		if err != nil {
			return err
		}
		out = statOf(&st)
		if p.slash && out.Type != Directory {
			return NotDirectory
		}
		return nil
	})
	return out, err
}

func (d *hostDir) setTimes(path string, follow bool, atime, mtime SetTime) error {
	return d.at(path, follow || endsInSlash(path), func(p place) error {
		if p.slash {
			if err := p.mustDir(); err != nil {
				return err
			}
		}
		ts := timespecs(atime, mtime)
		return retry(func() error {
			return unix.UtimesNanoAt(p.dir, p.base, ts[:], unix.AT_SYMLINK_NOFOLLOW)
		})
	})
}

func (d *hostDir) mkdir(path string) error {
	return d.at(path, false, func(p place) error {
		return retry(func() error { return unix.Mkdirat(p.dir, p.base, 0o777) })
	})
}

func (d *hostDir) rmdir(path string) error {
	return d.at(path, false, func(p place) error {
		return retry(func() error { return unix.Unlinkat(p.dir, p.base, unix.AT_REMOVEDIR) })
	})
}

func (d *hostDir) unlink(path string) error {
	return d.at(path, false, func(p place) error {
		if p.slash {
			st, err := p.lstat()
			if err == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
				err = NotDirectory
			}
			if err != nil {
				return err
			}
		}
		return retry(func() error { return unix.Unlinkat(p.dir, p.base, 0) })
	})
}

// vacant fails for a path with slashes at its end, where something that is no
// directory is to be created.
func (p place) vacant() error {
	if !p.slash {
		return nil
	}
	if err := p.mustDir(); err != nil {
		return err
	}
	return Exist
}

func (d *hostDir) symlink(target, path string) error {
	return d.at(path, false, func(p place) error {
		if err := p.vacant(); err != nil {
			return err
		}
		return retry(func() error { return unix.Symlinkat(target, p.dir, p.base) })
	})
}

func (d *hostDir) readlink(path string) (string, error) {
	var target string
	err := d.at(path, endsInSlash(path), func(p place) (err error) {
		if p.slash {
			if err := p.mustDir(); err != nil {
				return err
			}
			return Invalid
		}
		target, err = readlinkAt(p.dir, p.base)
		if err == nil && !utf8.ValidString(target) {
			err = IllegalByteSequence
		}
		return err
	})
	return target, err
}

func (d *hostDir) link(path string, to directory, newPath string) error {
	return d.atBoth(path, to, newPath, func(from, to place) error {
		if from.slash {
			if err := from.mustDir(); err != nil {
				return err
			}
			return NotPermitted
		}
		if err := to.vacant(); err != nil {
			return err
		}
		return retry(func() error { return unix.Linkat(from.dir, from.base, to.dir, to.base, 0) })
	})
}

func (d *hostDir) rename(path string, to directory, newPath string) error {
	return d.atBoth(path, to, newPath, func(from, to place) error {
		if from.slash || to.slash {
			if err := from.mustDir(); err != nil {
				return err
			}
		}
		return retry(func() error { return unix.Renameat(from.dir, from.base, to.dir, to.base) })
	})
}

func readlinkAt(dir int, name string) (string, error) {
	buf := make([]byte, maxPath)
	n, err := retryInt(func() (int, error) { return unix.Readlinkat(dir, name, buf) })
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}

// reopen opens the directory once more, with a position of its own.
func (d *hostDir) reopen() (int, error) {
	fd := -1
	err := d.use(func(self int) (err error) {
		fd, err = retryInt(func() (int, error) { return unix.Openat(self, ".", dirFlags, 0) })
		return err
	})
	return fd, err
}

// retry calls f again for as long as a signal interrupts it.
func retry(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}

func retryInt(f func() (int, error)) (int, error) {
	for {
		if n, err := f(); err != unix.EINTR {
			return n, err
		}
	}
}
