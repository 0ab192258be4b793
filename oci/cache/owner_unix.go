//go:build unix

package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// checkOwner refuses a directory that others can write to: blobs are checked when
// they are read, but what tags meant and what referred to them is taken from it.
func checkOwner(info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(st.Uid) != os.Geteuid() && st.Uid != 0 {
		return errors.New("it belongs to another user; choose another directory")
	}
	if perm := info.Mode().Perm(); perm&0o022 != 0 {
		return fmt.Errorf("its mode is %#o, which lets others write to it; 'chmod go-w' mends that", perm)
	}
	return nil
}
