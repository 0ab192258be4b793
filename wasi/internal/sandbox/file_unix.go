//go:build unix

package sandbox

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

func onFD(f *os.File, op func(fd int) error) error {
	rc, err := f.SyscallConn()
	if err != nil {
		return BadDescriptor
	}
	var inner error
	if err := rc.Control(func(fd uintptr) { inner = op(int(fd)) }); err != nil {
		return BadDescriptor
	}
	return inner
}

func statFile(f *os.File) (Stat, error) {
	var st unix.Stat_t
	err := onFD(f, func(fd int) error {
		return retry(func() error { return unix.Fstat(fd, &st) })
	})
	if err != nil {
		return Stat{}, err
	}
	return statOf(&st), nil
}

func typeOfMode(mode uint32) FileType {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return RegularFile
	case unix.S_IFDIR:
		return Directory
	case unix.S_IFLNK:
		return SymbolicLink
	case unix.S_IFIFO:
		return FIFO
	case unix.S_IFSOCK:
		return Socket
	case unix.S_IFCHR:
		return CharacterDevice
	case unix.S_IFBLK:
		return BlockDevice
	}
	return UnknownType
}

func timespecs(atime, mtime SetTime) [2]unix.Timespec {
	return [2]unix.Timespec{timespec(atime), timespec(mtime)}
}

func timespec(t SetTime) unix.Timespec {
	switch {
	case t.Now:
		return unix.Timespec{Nsec: utimeNow}
	case t.omit():
		return unix.Timespec{Nsec: utimeOmit}
	}
	return unix.Timespec{Sec: t.At.Unix(), Nsec: int64(t.At.Nanosecond())}
}

func syncFile(f *os.File, _, dataOnly bool) error {
	if dataOnly {
		return onFD(f, func(fd int) error { return retry(func() error { return dataSync(fd) }) })
	}
	return f.Sync()
}

func readAt(f *os.File, p []byte, offset int64) (int, error) {
	n, err := f.ReadAt(p, offset)
	if n > 0 || err == io.EOF {
		return n, nil
	}
	return 0, coded(err)
}
