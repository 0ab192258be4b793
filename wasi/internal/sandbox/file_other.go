//go:build !unix

package sandbox

import (
	"io"
	"os"
	"sync"
	"time"
)

func openNative(host string) (directory, error) { return openRooted(host) }

func statFile(f *os.File) (Stat, error) {
	fi, err := f.Stat()
	if err != nil {
		return Stat{}, err
	}
	return statOfInfo(fi), nil
}

func setTimesFile(f *os.File, atime, mtime SetTime) error {
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	// The handle has no call for it; the name is the one it was opened by.
	old := statOfInfo(fi)
	return os.Chtimes(f.Name(), pickTime(atime, old.Access), pickTime(mtime, old.Modify))
}

func syncFile(f *os.File, dir, _ bool) error {
	if dir {
		return nil // directories have no buffers to flush here
	}
	err := f.Sync()
	if err != nil && CodeOf(err) == Access {
		return nil // not open for writing: nothing to flush
	}
	return err
}

func readAt(f *os.File, p []byte, offset int64) (int, error) {
	n, err := f.ReadAt(p, offset)
	if n > 0 || err == io.EOF {
		return n, nil
	}
	return 0, coded(err)
}

func appendFile(f *os.File, mu *sync.Mutex, p []byte) (int, error) { return appendLocked(f, mu, p) }

// Advice is only a hint, and there is no call that takes it.
func adviseFile(*os.File, int64, int64, Advice) error { return nil }

func allocateFile(f *os.File, offset, length int64) error { return extend(f, offset+length) }

func pickTime(t SetTime, old time.Time) time.Time {
	switch {
	case t.Now:
		return time.Now()
	case t.omit():
		return old
	}
	return t.At
}
