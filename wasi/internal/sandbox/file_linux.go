package sandbox

import (
	"os"
	"sync"
	"time"
	"unicode/utf8"
	"unsafe"

	"encoding/binary"

	"golang.org/x/sys/unix"
)

const (
	utimeNow  = unix.UTIME_NOW
	utimeOmit = unix.UTIME_OMIT
)

func statOf(st *unix.Stat_t) Stat {
	return Stat{
		Type:   typeOfMode(st.Mode),
		Device: uint64(st.Dev),
		Inode:  st.Ino,
		Links:  uint64(st.Nlink),
		Size:   uint64(st.Size),
		Access: time.Unix(st.Atim.Unix()),
		Modify: time.Unix(st.Mtim.Unix()),
		Change: time.Unix(st.Ctim.Unix()),
	}
}

func setTimesFile(f *os.File, atime, mtime SetTime) error {
	ts := timespecs(atime, mtime)
	return onFD(f, func(fd int) error {
		// futimens is utimensat without a path, which the package has no call for.
		return retry(func() error {
			_, _, errno := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(fd), 0, uintptr(unsafe.Pointer(&ts[0])), 0, 0, 0)
			if errno != 0 {
				return errno
			}
			return nil
		})
	})
}

func dataSync(fd int) error { return unix.Fdatasync(fd) }

func appendFile(f *os.File, mu *sync.Mutex, p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	err = onFD(f, func(fd int) (err error) {
		n, err = retryInt(func() (int, error) {
			return unix.Pwritev2(fd, [][]byte{p}, 0, unix.RWF_APPEND)
		})
		return err
	})
	if err == unix.ENOSYS || err == unix.EOPNOTSUPP {
		return appendLocked(f, mu, p)
	}
	return n, err
}

func adviseFile(f *os.File, offset, length int64, advice Advice) error {
	how := [...]int{
		AdviceNormal: unix.FADV_NORMAL, AdviceSequential: unix.FADV_SEQUENTIAL,
		AdviceRandom: unix.FADV_RANDOM, AdviceWillNeed: unix.FADV_WILLNEED,
		AdviceDontNeed: unix.FADV_DONTNEED, AdviceNoReuse: unix.FADV_NOREUSE,
	}[advice]
	return onFD(f, func(fd int) error {
		return retry(func() error { return unix.Fadvise(fd, offset, length, how) })
	})
}

func allocateFile(f *os.File, offset, length int64) error {
	return onFD(f, func(fd int) error {
		return retry(func() error { return unix.Fallocate(fd, 0, offset, length) })
	})
}

// names reads the records of getdents64: inode and offset of 8 bytes each, the
// record's length in 2, the type in 1, then the name up to a zero.
type names struct {
	f    *os.File
	buf  []byte
	rest []byte
}

func (d *hostDir) readDir() (dirReader, error) {
	fd, err := d.reopen()
	if err != nil {
		return nil, err
	}
	return &names{f: os.NewFile(uintptr(fd), ""), buf: make([]byte, 8192)}, nil
}

func (r *names) close() error { return r.f.Close() }

func (r *names) next() (e Entry, ok bool, err error) {
	for {
		if len(r.rest) == 0 {
			var n int
			err := onFD(r.f, func(fd int) (err error) {
				n, err = retryInt(func() (int, error) { return unix.ReadDirent(fd, r.buf) })
				return err
			})
			if err == unix.ENOENT { // the directory was removed
				return Entry{}, false, nil
			}
			if err != nil || n == 0 {
				return Entry{}, false, err
			}
			r.rest = r.buf[:n]
		}
		rec := r.rest
		size := binary.NativeEndian.Uint16(rec[16:])
		r.rest = rec[size:]
		name := rec[19:size]
		for i, c := range name {
			if c == 0 {
				name = name[:i]
				break
			}
		}
		if string(name) == "." || string(name) == ".." {
			continue
		}
		if !utf8.Valid(name) {
			return Entry{}, false, IllegalByteSequence
		}
		e = Entry{Name: string(name), Inode: binary.NativeEndian.Uint64(rec)}
		if e.Type = typeOfMode(uint32(rec[18]) << 12); e.Type == UnknownType {
			_ = onFD(r.f, func(fd int) error {
				st, err := place{dir: fd, base: e.Name}.lstat()
				e.Type = typeOfMode(st.Mode)
				return err
			})
		}
		return e, true, nil
	}
}
