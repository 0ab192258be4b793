package cow

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// known has the private pages of a mapping, as of the last search for them.
type known struct {
	ok     bool
	pages  []run
	upTo   int    // bytes of the mapping that were searched
	faults uint64 // when the search began
}

// maxKnown bounds the runs of pages that are remembered.
const maxKnown = 128

// add notes what was found, if it is not too much.
func (k *known) add(runs []run) {
	if k.ok = k.ok && len(k.pages)+len(runs) <= maxKnown; k.ok {
		k.pages = append(k.pages, runs...)
	}
}

// faultCounter tells how many page faults the process had. A page becomes private by
// one, in whichever thread and whether in the process or in the kernel for it, so where
// there was none since a search there is nothing new to be found. To ask for the number
// takes a fraction of the time of a search.
type faultCounter struct{ counted bool }

// newFaultCounter returns a counter that counts only if the kernel does, which not all
// that look like Linux do.
func newFaultCounter(page int) faultCounter {
	f := faultCounter{true}
	file, err := unix.MemfdCreate("faults", unix.MFD_CLOEXEC)
	if err != nil {
		return faultCounter{}
	}
	defer func() { _ = unix.Close(file) }()
	if err := unix.Ftruncate(file, int64(2*page)); err != nil {
		return faultCounter{}
	}
	b, err := unix.Mmap(file, 0, 2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
	if err != nil {
		return faultCounter{}
	}
	defer func() { _ = unix.Munmap(b) }()
	anonymous, err := unix.Mmap(-1, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return faultCounter{}
	}
	defer func() { _ = unix.Munmap(anonymous) }()
	counts := func(change func()) {
		before, ok1 := f.now()
		change()
		after, ok2 := f.now()
		f.counted = f.counted && ok1 && ok2 && after > before
	}
	counts(func() { b[0] = 1 }) // a page of the file that nobody used
	var read byte
	counts(func() { read = *(*byte)(unsafe.Pointer(&b[page])) })
	counts(func() { b[page] = read + 1 }) // one that was read before
	counts(func() { anonymous[0] = 1 })
	return f
}

// now returns the number of faults; ok is false if they are not counted.
func (f faultCounter) now() (n uint64, ok bool) {
	if !f.counted {
		return 0, false
	}
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0, false
	}
	return uint64(u.Minflt) + uint64(u.Majflt), true
}
