// Package p1 is the host side of WASI 0.1, the module wasi_snapshot_preview1: a
// layer over the files, streams and clocks that all versions share.
//
// Rights are those of the granted directory, as far as they mean something for
// the kind of file; reading and writing are given when asked for. A guest can
// take rights from its own descriptors and gets notcapable from then on.
package p1

import (
	"context"
	"math"
	"time"

	"github.com/ashlar-wasm/ashlar/wasi/internal/grant"
	"github.com/ashlar-wasm/ashlar/wasi/internal/quota"
	"github.com/ashlar-wasm/ashlar/wasi/internal/sandbox"
	"github.com/ashlar-wasm/ashlar/wasi/internal/stream"
)

// Process is the state of one running module: its open descriptors. One
// goroutine at a time uses it.
type Process struct {
	grants *grant.Set
	fds    map[uint32]*descriptor
	// lowest number from which on one may be free.
	free uint32
}

// NewProcess opens the standard streams as 0, 1 and 2 and the granted
// directories after them. ctx decides on the standard streams.
func NewProcess(ctx context.Context, g *grant.Set) *Process {
	p := &Process{grants: g, fds: map[uint32]*descriptor{}, free: firstFree}
	std := g.StdioOf(ctx)
	p.fds[0] = &descriptor{in: std.In, terminal: std.InTerminal, base: rightsStdin}
	p.fds[1] = &descriptor{out: std.Out, terminal: std.OutTerminal, base: rightsStdout}
	p.fds[2] = &descriptor{out: std.Err, terminal: std.ErrTerminal, base: rightsStdout}
	for _, d := range g.Dirs {
		// What was granted stays open for other processes.
		p.add(&descriptor{
			file: d.Dir, shared: true, preopen: true, name: d.Guest,
			base: rightsDirectory, inheriting: rightsDirectory | rightsFile,
		})
	}
	return p
}

type processKey struct{}

// Attach returns a context with which the functions of the module act on p.
func (p *Process) Attach(ctx context.Context) context.Context {
	return context.WithValue(ctx, processKey{}, p)
}

// Close closes every descriptor.
func (p *Process) Close() {
	for fd := range p.fds {
		p.remove(fd)
	}
}

// descriptor is an open file, directory or standard stream.
type descriptor struct {
	file *sandbox.Descriptor
	in   stream.Input
	out  stream.Output

	shared           bool // file is not ours to close
	preopen          bool
	hold             *quota.Hold
	name             string // of a preopened directory
	terminal         bool
	base, inheriting rights
	flags            fdflags
	position         uint64
	dir              dirPosition
}

// firstFree keeps the numbers of the standard streams from being used again.
const firstFree = 3

func (p *Process) add(d *descriptor) uint32 {
	for p.fds[p.free] != nil {
		p.free++
	}
	p.fds[p.free] = d
	return p.free
}

func (p *Process) remove(fd uint32) {
	d := p.fds[fd]
	delete(p.fds, fd)
	if fd >= firstFree {
		p.free = min(p.free, fd)
	}
	d.dir.close()
	if d.file != nil && !d.shared {
		d.file.Close()
	}
	d.hold.Give()
}

// get returns an open descriptor that has the rights.
func (p *Process) get(fd uint64, need rights) (*descriptor, errno) {
	d := p.fds[uint32(fd)]
	switch {
	case d == nil:
		return nil, badf
	case d.base&need != need:
		return nil, notcapable
	}
	return d, success
}

// file returns an open descriptor of a file.
func (p *Process) file(fd uint64, need rights) (*descriptor, errno) {
	d, e := p.get(fd, 0)
	switch {
	case e != success:
		return nil, e
	case d.file == nil:
		return nil, badf
	case d.file.IsDir():
		return nil, badf
	case d.base&need != need:
		return nil, lacking(need)
	}
	return d, success
}

// lacking is the error of missing rights. Reading and writing are what a file
// was opened for, so that the error is that of POSIX.
func lacking(need rights) errno {
	if need&(fdRead|fdWrite) != 0 {
		return badf
	}
	return notcapable
}

// dir returns an open descriptor of a directory.
func (p *Process) dir(fd uint64, need rights) (*descriptor, errno) {
	d, e := p.get(fd, 0)
	switch {
	case e != success:
		return nil, e
	case d.file == nil || !d.file.IsDir():
		return nil, notdir
	case d.base&need != need:
		return nil, notcapable
	}
	return d, success
}

type rights uint64

const (
	fdDatasync rights = 1 << iota
	fdRead
	fdSeek
	fdFdstatSetFlags
	fdSync
	fdTell
	fdWrite
	fdAdvise
	fdAllocate
	pathCreateDirectory
	pathCreateFile
	pathLinkSource
	pathLinkTarget
	pathOpen
	fdReaddir
	pathReadlink
	pathRenameSource
	pathRenameTarget
	pathFilestatGet
	pathFilestatSetSize
	pathFilestatSetTimes
	fdFilestatGet
	fdFilestatSetSize
	fdFilestatSetTimes
	pathSymlink
	pathRemoveDirectory
	pathUnlinkFile
	pollFdReadwrite
)

const (
	rightsStdin  = fdRead | fdFdstatSetFlags | fdFilestatGet | pollFdReadwrite
	rightsStdout = fdWrite | fdFdstatSetFlags | fdFilestatGet | pollFdReadwrite | fdDatasync | fdSync
	rightsFile   = fdDatasync | fdRead | fdSeek | fdFdstatSetFlags | fdSync | fdTell | fdWrite |
		fdAdvise | fdAllocate | fdFilestatGet | fdFilestatSetSize | fdFilestatSetTimes | pollFdReadwrite
	rightsDirectory = fdFdstatSetFlags | fdDatasync | fdSync |
		pathCreateDirectory | pathCreateFile | pathLinkSource | pathLinkTarget | pathOpen |
		fdReaddir | pathReadlink | pathRenameSource | pathRenameTarget | pathFilestatGet |
		pathFilestatSetSize | pathFilestatSetTimes | fdFilestatGet | fdFilestatSetTimes |
		pathSymlink | pathRemoveDirectory | pathUnlinkFile
)

type fdflags uint16

const (
	flagAppend fdflags = 1 << iota
	flagDsync
	flagNonblock
	flagRsync
	flagSync
)

type filetype uint8

const (
	typeUnknown         filetype = 0
	typeCharacterDevice filetype = 2
)

var filetypeOf = [...]filetype{
	sandbox.UnknownType: typeUnknown, sandbox.BlockDevice: 1, sandbox.CharacterDevice: typeCharacterDevice,
	sandbox.Directory: 3, sandbox.RegularFile: 4, sandbox.Socket: 6, sandbox.SymbolicLink: 7,
	sandbox.FIFO: typeUnknown,
}

// nanos is a time as the interface has it; what it can't say becomes the
// nearest it can.
func nanos(t time.Time) uint64 {
	switch s := t.Unix(); {
	case s < 0:
		return 0
	case s > math.MaxInt64/int64(time.Second)-1:
		return math.MaxInt64
	}
	return uint64(t.UnixNano())
}
