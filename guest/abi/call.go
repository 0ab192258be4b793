// Package abi is what generated bindings for guests are written against: the
// memory of calls, handles, and the Go types that stand for types of WIT
// without a name. Component authors meet the types; the functions are for
// generated code.
//
// # Memory
//
// What the other side reads or writes has to stay where it is and must not be
// collected. Go does not move what is on its heap, so it is enough that a [Call]
// refers to it for as long as that may happen:
//
//   - Arguments of an import, until it has returned. Strings and lists of
//     numbers are passed where they are; everything else is written to memory
//     of the call.
//   - Results of an import, which the other side puts into memory from
//     cabi_realloc, until they are lifted. Strings and lists of numbers stay in
//     that memory, which is from Go's heap, and are owned by the caller then.
//   - Arguments of an export, in the same way.
//   - Results of an export, until post-return, or until the next export is
//     called where there is none.
//
// While cabi_realloc and post-return run, a component must not call its imports,
// the clock included. So Go's scheduler and collector must not run: cabi_realloc
// allocates with the goroutine pinned, which prevents both, and post-return does
// not allocate.
//
// Which call the memory from cabi_realloc is for is clear: while an import is
// called, no other goroutine runs; outside of one, it is for the export to be
// called next, since exports are not re-entered.
package abi

import "unsafe"

// A Call has the memory of one call. It is used by one goroutine.
type Call struct {
	chunk []byte // what is left of the memory that Alloc gives out
	base  []byte // the first chunk, which the next call with this memory uses
	kept  []unsafe.Pointer
	lent  []closer
	next  *Call // of those that are free
}

type closer interface{ Close() }

// A program for WebAssembly runs on one thread, and goroutines give way only
// where they call something that blocks: these need no lock.
var (
	spare    *Call // calls for reuse
	entering *Call // has the arguments of the export that is called next
	returned *Call // has the results of the export that returned last
)

const (
	chunkSize = 1 << 10
	maxSpare  = 1 << 10 // references for which memory is kept for the next call
)

// NewCall begins a call.
func NewCall() *Call {
	c := spare
	if c == nil {
		return new(Call)
	}
	spare, c.next = c.next, nil
	return c
}

// Free ends a call. Nothing is left that refers to its memory, but for what was
// lifted.
func (c *Call) Free() {
	c.chunk = c.base
	clear(c.kept)
	clear(c.lent)
	c.kept, c.lent = c.kept[:0], c.lent[:0]
	if cap(c.kept) > maxSpare {
		c.kept = nil
	}
	spare, c.next = c, spare
}

// Begin is called immediately before an import, and End immediately after it:
// memory that is allocated in between is for the results of the call.
func (c *Call) Begin() { calling = c }

// End ends what Begin began.
func (c *Call) End() { calling = nil }

// Enter begins the call of an export, whose arguments are lifted from memory
// that is kept by the Call.
func Enter() *Call {
	PostReturn()
	c := entering
	if c == nil {
		return NewCall()
	}
	entering = nil
	return c
}

// Return keeps the results of an export until PostReturn or the next call.
func (c *Call) Return() { returned = c }

// PostReturn frees the results of the export that returned last. It does not
// allocate.
func PostReturn() {
	if c := returned; c != nil {
		returned = nil
		c.Free()
	}
}

// Lend notes a resource that is lent to an export for the length of the call.
func Lend[T closer](c *Call, v T) T {
	c.lent = append(c.lent, v)
	return v
}

// EndLoans gives back what was lent.
func (c *Call) EndLoans() {
	for _, v := range c.lent {
		v.Close()
	}
}

// Fail panics: the value that was to be passed on is none of its type.
func (c *Call) Fail(err error) { panic(err) }

// keep keeps what p points to until the end of the call.
func (c *Call) keep(p unsafe.Pointer) { c.kept = append(c.kept, p) }

// Alloc returns the address of memory of the call. Its content is undefined.
func (c *Call) Alloc(size, align uint32) uint32 {
	if size == 0 {
		return align
	}
	if size > chunkSize/2 {
		return c.block(size)
	}
	skip := -address(unsafe.Pointer(unsafe.SliceData(c.chunk))) & (align - 1)
	if uint32(len(c.chunk)) < skip+size {
		c.chunk, skip = make([]byte, chunkSize), 0
		if c.base == nil {
			c.base = c.chunk
		} else {
			c.keep(unsafe.Pointer(unsafe.SliceData(c.chunk)))
		}
	}
	p := address(unsafe.Pointer(unsafe.SliceData(c.chunk))) + skip
	c.chunk = c.chunk[skip+size:]
	return p
}

// block returns memory of its own. Go aligns it by its size, which is a
// multiple of its alignment.
func (c *Call) block(size uint32) uint32 {
	p := unsafe.Pointer(unsafe.SliceData(make([]byte, size)))
	c.keep(p)
	return address(p)
}

// AllocList returns the address of memory for a list of n elements.
func (c *Call) AllocList(n int, size, align uint32) uint32 {
	total := uint64(n) * uint64(size)
	if total >= 1<<32 {
		panic("abi: list is too long for the memory")
	}
	return c.Alloc(uint32(total), align)
}

func address(p unsafe.Pointer) uint32 { return uint32(uintptr(p)) }

// pointer returns what is at an address. Whoever calls it knows that something
// keeps it: see the comment of the package.
func pointer(p uint32) unsafe.Pointer {
	a := uintptr(p)
	return *(*unsafe.Pointer)(unsafe.Pointer(&a))
}
