//go:build unix

package blob

import (
	"os"
	"syscall"
)

// closeToRename is whether a file can be renamed only when it is closed.
const closeToRename = false

// lock locks a file until it is closed, by this process or by its end, or fails at
// once.
func lock(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}
