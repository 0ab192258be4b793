//go:build unix

package build

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// tryLock reports whether it locked the file.
func tryLock(f *os.File) (bool, error) {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, syscall.EWOULDBLOCK):
			return false, nil
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.ENOLCK): // some file systems of networks
			return false, errors.ErrUnsupported
		}
		return false, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
}
