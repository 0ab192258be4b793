//go:build initialize_once

package abi

import "unsafe"

// All instances of the program begin with the state after initialisation. So what a
// program does when it does something for the first time is done now, or every instance
// would do it.
func init() {
	prime()
}

// primed is written to so that what prime allocates is not left out.
var primed any

// prime has the memory allocator set memory apart for objects of each size, and keeps
// memory for calls.
func prime() {
	for size := 8; size <= 4096; size += max(8, size/8) {
		primed = make([]byte, size)
		primed = make([]*byte, size/8)
	}
	primed = nil
	for range 2 {
		c := &Call{kept: make([]unsafe.Pointer, 0, 16), lent: make([]closer, 0, 4)}
		c.Alloc(8, 8)
		c.Free()
	}
}
