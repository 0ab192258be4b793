package sandbox

import (
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/windows"
)

func openNative(host string) (directory, error) { return openRooted(host) }

func statFile(f *os.File) (Stat, error) {
	fi, err := f.Stat()
	if err != nil {
		return Stat{}, err
	}
	st := statOfInfo(fi)
	var info windows.ByHandleFileInformation
	err = onHandle(f, func(h windows.Handle) error { return windows.GetFileInformationByHandle(h, &info) })
	if err != nil {
		return Stat{}, err
	}
	st.Device = uint64(info.VolumeSerialNumber)
	st.Inode = uint64(info.FileIndexHigh)<<32 | uint64(info.FileIndexLow)
	st.Links = uint64(info.NumberOfLinks)
	st.Access = time.Unix(0, info.LastAccessTime.Nanoseconds())
	st.Modify = time.Unix(0, info.LastWriteTime.Nanoseconds())
	// The system tells when a file was created, not when its status changed.
	st.Change = st.Modify
	return st, nil
}

func onHandle(f *os.File, op func(windows.Handle) error) error {
	rc, err := f.SyscallConn()
	if err != nil {
		return BadDescriptor
	}
	var inner error
	if err := rc.Control(func(fd uintptr) { inner = op(windows.Handle(fd)) }); err != nil {
		return BadDescriptor
	}
	return inner
}

func setTimesFile(f *os.File, atime, mtime SetTime) error {
	now := time.Now()
	pick := func(t SetTime) *windows.Filetime {
		switch {
		case t.Now:
			ft := windows.NsecToFiletime(now.UnixNano())
			return &ft
		case t.omit():
			return nil
		}
		ft := windows.NsecToFiletime(t.At.UnixNano())
		return &ft
	}
	return onHandle(f, func(h windows.Handle) error {
		return windows.SetFileTime(h, nil, pick(atime), pick(mtime))
	})
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
