//go:build !(linux || darwin || freebsd)

package engine

import "errors"

// reserve is refused where address space can't be reserved without committing
// memory to it: memories then live on the Go heap and growth copies.
func reserve(uint64) ([]byte, error) { return nil, errors.ErrUnsupported }

func unmap([]byte, int) {}
