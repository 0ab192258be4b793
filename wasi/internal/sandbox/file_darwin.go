package sandbox

import (
	"io"
	"os"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// Values of Darwin's <sys/stat.h>.
const (
	utimeNow  = -1
	utimeOmit = -2
)

func statOf(st *unix.Stat_t) Stat {
	return Stat{
		Type:   typeOfMode(uint32(st.Mode)),
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
	st, err := statFile(f)
	if err != nil {
		return err
	}
	now := time.Now()
	pick := func(t SetTime, old time.Time) time.Time {
		switch {
		case t.Now:
			return now
		case t.omit():
			return old
		}
		return t.At
	}
	a, m := pick(atime, st.Access), pick(mtime, st.Modify)
	return onFD(f, func(fd int) error {
		return retry(func() error {
			return unix.Futimes(fd, []unix.Timeval{
				unix.NsecToTimeval(a.UnixNano()), unix.NsecToTimeval(m.UnixNano()),
			})
		})
	})
}

func dataSync(fd int) error { return unix.Fsync(fd) }

func appendFile(f *os.File, mu *sync.Mutex, p []byte) (int, error) { return appendLocked(f, mu, p) }

// Advice is only a hint, and Darwin takes none of the kinds by this call.
func adviseFile(*os.File, int64, int64, Advice) error { return nil }

func allocateFile(f *os.File, offset, length int64) error { return extend(f, offset+length) }

type names struct {
	f    *os.File
	rest []string
}

func (d *hostDir) readDir() (dirReader, error) {
	fd, err := d.reopen()
	if err != nil {
		return nil, err
	}
	return &names{f: os.NewFile(uintptr(fd), "")}, nil
}

func (r *names) close() error { return r.f.Close() }

func (r *names) next() (e Entry, ok bool, err error) {
	for {
		if len(r.rest) == 0 {
			r.rest, err = r.f.Readdirnames(128)
			if err == io.EOF {
				return Entry{}, false, nil
			}
			if err != nil {
				return Entry{}, false, err
			}
		}
		name := r.rest[0]
		r.rest = r.rest[1:]
		if !utf8.ValidString(name) {
			return Entry{}, false, IllegalByteSequence
		}
		var st unix.Stat_t
		err := onFD(r.f, func(fd int) (err error) {
			st, err = place{dir: fd, base: name}.lstat()
			return err
		})
		if err == unix.ENOENT {
			continue
		}
		if err != nil {
			return Entry{}, false, err
		}
		return Entry{Name: name, Type: typeOfMode(uint32(st.Mode)), Inode: st.Ino}, true, nil
	}
}
