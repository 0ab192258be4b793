package adapter_test

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// generator makes arguments that are often, but not always, good.
type generator struct {
	r    *rand.Rand
	both []caller
}

func (g *generator) write(at int, b []byte) {
	for _, c := range g.both {
		c.write(at, b)
	}
}

func (g *generator) fill() {
	b := make([]byte, page)
	for i := range b {
		b[i] = byte(g.r.Uint32())
	}
	g.write(0, b)
}

// address is one within the memory, most times far from its end.
func (g *generator) address() uint64 {
	switch g.r.IntN(20) {
	case 0:
		return uint64(g.r.IntN(40))
	case 1:
		return uint64(page - g.r.IntN(80))
	case 2:
		return uint64(g.r.Uint32())
	}
	return uint64(g.r.IntN(page - 10_000))
}

// place is where a result fits: of what reads and writes, the host that runs modules
// looks at it only afterwards.
func (g *generator) place() uint64 { return min(g.address(), page-4) }

func (g *generator) size() uint64 {
	switch g.r.IntN(12) {
	case 0:
		return uint64(g.r.IntN(page))
	case 1:
		return 0
	case 2:
		return uint64(g.r.Uint32())
	}
	return uint64(g.r.IntN(300))
}

func (g *generator) fd() uint64 {
	if g.r.IntN(3) > 0 {
		return uint64(g.r.IntN(4) + 3)
	}
	return uint64(g.r.IntN(12))
}

var pathNames = []string{
	"a", "b", "b/c", "b/d", "e", "f", "l", "b/../a", ".", "..", "b/", "a/", "a/x", "", "/a", "b/c/../../f", "g/h", "\xff", "n\x00n",
}

// path writes one somewhere and returns its place.
func (g *generator) path() (at, n uint64) {
	p := pathNames[g.r.IntN(len(pathNames))]
	if g.r.IntN(2) == 0 {
		p = pathNames[g.r.IntN(6)]
	}
	if g.r.IntN(40) == 0 {
		p = strings.Repeat("p", 1+g.r.IntN(5000))
	}
	at = uint64(g.r.IntN(page - len(p) - 8))
	g.write(int(at), []byte(p))
	return at, uint64(len(p))
}

// buffers writes a list of them.
func (g *generator) buffers() (at, n uint64) {
	n = uint64(g.r.IntN(4))
	at = uint64(g.r.IntN(page - 100))
	for i := range n {
		var b [8]byte
		p, size := g.address(), g.size()
		if g.r.IntN(10) > 0 { // good ones
			p %= page
			size = min(size, page-p)
		}
		binary.LittleEndian.PutUint32(b[:], uint32(p))
		binary.LittleEndian.PutUint32(b[4:], uint32(size))
		g.write(int(at+8*i), b[:])
	}
	return at, n
}

func (g *generator) arguments(name string, f wasm.FuncType) []uint64 {
	r := g.r
	offset := func() uint64 { return uint64(r.IntN(400)) }
	rights := func() uint64 {
		if r.IntN(3) == 0 {
			return r.Uint64() & (1<<29 - 1)
		}
		return 1<<29 - 1
	}
	switch name {
	case "fd_read", "fd_write":
		at, n := g.buffers()
		return []uint64{g.fd(), at, n, g.place()}
	case "fd_pread", "fd_pwrite":
		at, n := g.buffers()
		return []uint64{g.fd(), at, n, offset(), g.place()}
	case "fd_close":
		return []uint64{uint64(r.IntN(10) + 4)}
	case "fd_renumber":
		return []uint64{uint64(r.IntN(8) + 4), uint64(r.IntN(10) + 3)}
	case "fd_seek":
		return []uint64{g.fd(), uint64(int64(r.IntN(60) - 20)), uint64(r.IntN(4)), g.address()}
	case "fd_allocate", "fd_filestat_set_size":
		return []uint64{g.fd(), offset(), offset()}[:len(f.Params)]
	case "fd_advise":
		return []uint64{g.fd(), offset(), offset(), uint64(r.IntN(7))}
	case "fd_readdir":
		return []uint64{g.fd(), g.address(), g.size(), uint64(r.IntN(6)), g.place()}
	case "fd_fdstat_set_flags":
		return []uint64{g.fd(), uint64(r.IntN(34))}
	case "fd_fdstat_set_rights":
		return []uint64{uint64(r.IntN(6) + 5), rights(), rights()}
	case "fd_filestat_set_times":
		return []uint64{g.fd(), r.Uint64() >> 4, r.Uint64() >> 4, uint64(r.IntN(17))}
	case "path_open":
		at, n := g.path()
		return []uint64{g.fd(), uint64(r.IntN(2)), at, n, uint64(r.IntN(16)), rights(), rights(), uint64(r.IntN(8)), g.address()}
	case "path_filestat_get":
		at, n := g.path()
		return []uint64{g.fd(), uint64(r.IntN(2)), at, n, g.address()}
	case "path_filestat_set_times":
		at, n := g.path()
		return []uint64{g.fd(), uint64(r.IntN(2)), at, n, r.Uint64() >> 4, r.Uint64() >> 4, uint64(r.IntN(17))}
	case "path_link":
		at, n := g.path()
		to, m := g.path()
		return []uint64{g.fd(), uint64(r.IntN(2)), at, n, g.fd(), to, m}
	case "path_rename":
		at, n := g.path()
		to, m := g.path()
		return []uint64{g.fd(), at, n, g.fd(), to, m}
	case "path_symlink":
		at, n := g.path()
		to, m := g.path()
		return []uint64{at, n, g.fd(), to, m}
	case "path_readlink":
		at, n := g.path()
		return []uint64{g.fd(), at, n, g.address(), g.size(), g.address()}
	case "path_create_directory", "path_remove_directory", "path_unlink_file":
		at, n := g.path()
		return []uint64{g.fd(), at, n}
	case "poll_oneoff":
		at, n := uint64(r.IntN(page-1000)), uint64(r.IntN(4))
		for i := range n {
			s := make([]byte, 48)
			binary.LittleEndian.PutUint64(s, r.Uint64())
			s[8] = byte(r.IntN(4))
			if s[8] != 0 { // a clock of today, and at once
				s[16] = byte(1 + r.IntN(8)) // no wait for input
			} else {
				s[16] = byte(r.IntN(3))
			}
			g.write(int(at+48*i), s)
		}
		return []uint64{at, min(g.address(), page-200), n, g.place()}
	case "random_get":
		return []uint64{g.address(), g.size()}
	case "clock_time_get":
		return []uint64{uint64(r.IntN(4)), 0, g.address()}
	case "clock_res_get":
		return []uint64{uint64(r.IntN(4)), g.address()}
	}
	var args []uint64
	for range f.Params {
		args = append(args, g.address())
	}
	if strings.HasPrefix(name, "fd_") || strings.HasPrefix(name, "sock_") {
		args[0] = g.fd()
	}
	if name == "fd_prestat_dir_name" {
		args[2] = g.size()
	}
	return args
}
