package abi

import "unsafe"

//lint:file-ignore U1000 the other side calls cabi_realloc

// calling is the import that is being called, or nil.
var calling *Call

// realloc is cabi_realloc of the canonical ABI.
func realloc(old, oldSize, align, size uint32) uint32 {
	if size <= oldSize && old != 0 {
		return old
	}
	if size == 0 {
		return align
	}
	c := calling
	if c == nil {
		if entering == nil {
			entering = NewCall()
		}
		c = entering
	}
	p := c.block(size)
	if oldSize > 0 {
		copy(unsafe.Slice((*byte)(pointer(p)), oldSize), unsafe.Slice((*byte)(pointer(old)), oldSize))
	}
	return p
}

// The stack does not grow, which is an allocation too, before the clocks are held.
//
//go:wasmexport cabi_realloc
//go:nosplit
func cabiRealloc(old, oldSize, align, size uint32) uint32 {
	clocksHold(1)
	procPin()
	p := realloc(old, oldSize, align, size)
	procUnpin()
	clocksHold(0)
	return p
}

// clocksHold is a function of Ashlar's adapter. While the clocks are held, the time is
// what it was: an allocation that lets the heap grow looks at it, and asking the host
// would be a trap here.
//
//go:wasmimport wasi_snapshot_preview1 clocks_hold
func clocksHold(hold uint32)

// While a goroutine is pinned, the garbage collector does not start, an
// allocation does not help it, and no other goroutine runs.
//
//go:linkname procPin runtime.procPin
func procPin() int

//go:linkname procUnpin runtime.procUnpin
func procUnpin()
