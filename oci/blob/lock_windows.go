package blob

import (
	"os"

	"golang.org/x/sys/windows"
)

// closeToRename is whether a file can be renamed only when it is closed.
const closeToRename = true

// lock locks a file until it is closed, by this process or by its end, or fails at
// once.
func lock(f *os.File) error {
	// A byte far behind the contents, which can then still be read and written.
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	return windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, &windows.Overlapped{OffsetHigh: 1 << 30})
}
