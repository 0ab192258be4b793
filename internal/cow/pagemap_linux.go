package cow

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A page that was copied back stays with its mapping and is found again at every
// restore, written to or not. To copy it takes about a tenth of the time of the
// fault that writing to it anew costs if it is discarded instead.
const (
	// maxCopied bounds the memory that stays with a mapping, in bytes, for the
	// image and for what is beyond it each. With more, all is discarded.
	maxCopied = 8 << 20
	// lookEvery is the number of restores of which one looks whether private
	// pages were written to since the last. If fewer than half were, they are
	// discarded: copying the others ever again soon costs more than the faults.
	lookEvery = 16
	// fewCopied, in bytes, isn't worth looking at.
	fewCopied = 64 << 10
)

// pagemap finds the private pages of a mapping through /proc/self/pagemap. It
// is safe for concurrent use.
type pagemap struct {
	fd     int
	method Method
	faults faultCounter
	page   uint64
	walks  sync.Pool // of *walk
}

// walk is what one search fills in. The kernel is given addresses of it, so it
// lives on the heap, where nothing moves.
type walk struct {
	args    scanArgs
	runs    []run
	entries []uint64
}

// scanArgs is the kernel's struct pm_scan_arg of <linux/fs.h>.
type scanArgs struct {
	size, flags, start, end, walkEnd, vector, vectorLen, maxPages uint64

	inverted, mask, anyOf, returned uint64
}

// run is a range of addresses: the kernel's struct page_region.
type run struct{ start, end, categories uint64 }

// pagemapScan is the request PAGEMAP_SCAN. Its encoding differs on a few
// processors; there the kernel refuses it.
const pagemapScan = 0xc0606610

// The categories of pages that PAGEMAP_SCAN tells apart.
const (
	scanFile    = 1 << 2 // of a file's cache, so not written to
	scanPresent = 1 << 3
	scanSwapped = 1 << 4
	scanZero    = 1 << 5 // the kernel's one page of zeros
)

// The bits of an entry of /proc/self/pagemap.
const (
	entryFile    = 1 << 61
	entrySwapped = 1 << 62
	entryPresent = 1 << 63
)

// openPagemap returns a searcher by Scan or Pagemap. runs and entries are how
// many of each it looks at in one system call.
func openPagemap(method Method, page, runs, entries int) (*pagemap, error) {
	fd, err := unix.Open("/proc/self/pagemap", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: "/proc/self/pagemap", Err: err}
	}
	p := &pagemap{fd: fd, method: method, faults: newFaultCounter(page), page: uint64(page)}
	p.walks.New = func() any {
		return &walk{runs: make([]run, runs), entries: make([]uint64, entries)}
	}
	return p, nil
}

// Close closes the file. No search may be under way.
func (p *pagemap) Close() error {
	return os.NewSyscallError("close", unix.Close(p.fd))
}

// try reports whether the kernel answers: restore would never tell, since it
// discards if it doesn't.
func (p *pagemap) try() error {
	w := p.walks.Get().(*walk)
	defer p.walks.Put(w)
	at := uint64(uintptr(unsafe.Pointer(w))) / p.page * p.page
	_, next, err := p.find(w, at, at+p.page, p.page, false)
	if err == nil && next != at+p.page {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// restore is the restorer of Scan and Pagemap.
func (p *pagemap) restore(m *Mapping, n int) error {
	m.count++
	k := &m.known
	now, counted := p.faults.now()
	if k.ok && counted && now == k.faults && n <= k.upTo && m.count%lookEvery != 0 {
		p.restoreKnown(m, n)
		return nil
	}
	k.ok, k.pages = counted, k.pages[:0]
	w := p.walks.Get().(*walk)
	defer p.walks.Put(w)
	filled := min(m.image.filledBytes(), n)
	if filled > 0 {
		if err := p.restorePart(w, m, 0, filled, m.image.memory); err != nil {
			return err
		}
	}
	if filled < n {
		if err := p.restorePart(w, m, filled, n, nil); err != nil {
			return err
		}
	}
	k.upTo, k.faults = n, now
	return nil
}

// restoreKnown restores the pages that were private before, of the first n bytes. No
// others are.
func (p *pagemap) restoreKnown(m *Mapping, n int) {
	base := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(m.memory))))
	filled := m.image.filledBytes()
	for _, r := range m.known.pages {
		from, to := int(r.start-base), min(int(r.end-base), n)
		switch {
		case from >= n:
			return
		case from < filled:
			copy(m.memory[from:to], m.image.memory[from:])
		default:
			p.restoreZeros(m.memory[from:to])
		}
	}
}

// restoreZeros clears private pages beyond the image.
func (p *pagemap) restoreZeros(memory []byte) {
	if p.method == Scan {
		clear(memory)
	} else {
		// An entry doesn't tell a page that was only read, and writing would make it
		// a private one.
		p.restoreChanged(memory, nil, 0)
	}
}

// restorePart restores the bytes [from, to) to those of image, or to zeros if it is nil.
func (p *pagemap) restorePart(w *walk, m *Mapping, from, to int, image []byte) error {
	base := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(m.memory))))
	look := m.count%lookEvery == 0
	var private, same uint64
	for at, end := base+uint64(from), base+uint64(to); at < end; {
		runs, next, err := p.find(w, at, end, maxCopied-private, image == nil)
		if err != nil || next <= at {
			m.known.ok = false
			return discard(m.image, m.memory, from, to)
		}
		for _, r := range runs {
			private += r.end - r.start
		}
		if private > maxCopied {
			m.known.ok = false
			return discard(m.image, m.memory, from, to)
		}
		m.known.add(runs)
		for _, r := range runs {
			memory := m.memory[r.start-base : r.end-base]
			switch {
			case look:
				same += p.restoreChanged(memory, image, int(r.start-base))
			case image != nil:
				copy(memory, image[r.start-base:])
			default:
				p.restoreZeros(memory)
			}
		}
		at = next
	}
	if look && private > fewCopied && same > private/2 {
		m.known.ok = false
		return discard(m.image, m.memory, from, to)
	}
	return nil
}

// restoreChanged restores those pages of memory that differ from image[at:], or
// from zeros if image is nil, and returns the bytes of those that don't.
func (p *pagemap) restoreChanged(memory, image []byte, at int) (same uint64) {
	size := int(p.page)
	for ; len(memory) > 0; memory, at = memory[size:], at+size {
		page := memory[:size]
		switch {
		case image == nil && isZero(page), image != nil && bytes.Equal(page, image[at:at+size]):
			same += p.page
		case image == nil:
			clear(page)
		default:
			copy(page, image[at:])
		}
	}
	return same
}

// find returns runs of private pages of [at, end) in ascending order, and the
// address up to which it looked. It may stop once it found more than limit bytes.
// beyond says that untouched pages are zeros, not the image's.
func (p *pagemap) find(w *walk, at, end, limit uint64, beyond bool) ([]run, uint64, error) {
	if p.method == Scan {
		return p.scan(w, at, end, limit, beyond)
	}
	return p.read(w, at, end)
}

func (p *pagemap) scan(w *walk, at, end, limit uint64, beyond bool) ([]run, uint64, error) {
	w.args = scanArgs{
		size: uint64(unsafe.Sizeof(w.args)), start: at, end: end,
		vector: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(w.runs)))), vectorLen: uint64(len(w.runs)),
		maxPages: limit/p.page + 1,
		// A page that was swapped out, or is just being moved, is as private as before.
		inverted: scanFile, mask: scanFile, anyOf: scanPresent | scanSwapped,
		// The same for all that match, so that neighbours are one run.
		returned: scanFile,
	}
	if beyond {
		w.args.inverted |= scanZero
		w.args.mask |= scanZero
	}
	n, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(p.fd), pagemapScan, uintptr(unsafe.Pointer(&w.args)))
	if errno != 0 {
		return nil, 0, os.NewSyscallError("ioctl", errno)
	}
	if n > uintptr(len(w.runs)) {
		return nil, 0, errors.New("more runs than asked for")
	}
	return w.runs[:n], w.args.walkEnd, nil
}

func (p *pagemap) read(w *walk, at, end uint64) ([]run, uint64, error) {
	entries := w.entries[:min(uint64(len(w.entries)), (end-at)/p.page)]
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(entries))), 8*len(entries))
	n, err := unix.Pread(p.fd, b, int64(at/p.page*8))
	if err != nil {
		return nil, 0, os.NewSyscallError("pread", err)
	}
	runs := w.runs[:0]
	for _, e := range entries[:n/8] {
		if e&(entryPresent|entrySwapped) != 0 && e&entryFile == 0 {
			if last := len(runs) - 1; last >= 0 && runs[last].end == at {
				runs[last].end += p.page
			} else if len(runs) == cap(runs) {
				break
			} else {
				runs = append(runs, run{start: at, end: at + p.page})
			}
		}
		at += p.page
	}
	return runs, at, nil
}

// private returns the bytes of private pages of a mapping.
func private(memory []byte, page int) (sum uint64, err error) {
	p, err := openPagemap(Scan, page, searchRuns, searchEntries)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	w := p.walks.Get().(*walk)
	base := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(memory))))
	for at, end := base, base+uint64(len(memory)); at < end; {
		runs, next, err := p.scan(w, at, end, end-at, true)
		if err != nil {
			runs, next, err = p.read(w, at, end)
		}
		if err == nil && next <= at {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return 0, err
		}
		for _, r := range runs {
			sum += r.end - r.start
		}
		at = next
	}
	return sum, nil
}

// What one system call looks at, so that most restores need one or two.
const (
	searchRuns    = 256
	searchEntries = 2048
)
