//go:build !linux

package sandbox

import "os"

// extend makes the file at least end bytes long.
func extend(f *os.File, end int64) error {
	fi, err := f.Stat()
	if err != nil || fi.Size() >= end {
		return err
	}
	return f.Truncate(end)
}
