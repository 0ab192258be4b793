//go:build unix

package engine

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// checkPrivate refuses a directory that others can get at.
func checkPrivate(info fs.FileInfo) error {
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%w: it belongs to another user", ErrCacheNotPrivate)
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return fmt.Errorf("%w: its mode is %#o, which lets others in; it must be 0700", ErrCacheNotPrivate, perm)
	}
	return nil
}
