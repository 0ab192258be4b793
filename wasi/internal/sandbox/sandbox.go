// Package sandbox gives a guest files and directories of the host without
// letting it out of the directories it was granted.
//
// A host directory is opened once and every path is resolved relative to that
// open directory, never by name from the root: no "..", absolute path, symbolic
// link or concurrent rename leads outside. Only regular files and directories
// can be opened. Devices, sockets and named pipes are refused without being
// opened, as far as nobody else changes what is there at that moment, and opening
// never blocks on one.
//
// What else holds of a granted directory is the operating system's: what is
// mounted beneath is part of it, hard links lead to their file wherever else it
// has a name, who moves a directory out of it takes along the guests that have
// it open, and files grow until the disk or its quota is full.
//
// Every error of an operation is a Code.
package sandbox

import (
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"
)

// FileType is what a filesystem object is, numbered like descriptor-type in
// wasi:filesystem/types@0.2.
type FileType uint8

// The types of filesystem objects.
const (
	UnknownType FileType = iota
	BlockDevice
	CharacterDevice
	Directory
	FIFO
	SymbolicLink
	RegularFile
	Socket
)

// Stat describes a filesystem object.
type Stat struct {
	Type    FileType
	Device  uint64 // 0 where the platform has none
	Inode   uint64 // 0 where the platform has none
	Links   uint64
	Size    uint64
	Access  time.Time
	Modify  time.Time
	Change  time.Time
	private fs.FileInfo // identity where there are no inodes
}

// Same reports whether both describe the same object.
func (s Stat) Same(t Stat) bool {
	if s.private != nil && t.private != nil {
		return os.SameFile(s.private, t.private)
	}
	return s.Device == t.Device && s.Inode == t.Inode && s.Inode != 0
}

// SetTime is a new timestamp: the zero value leaves the old one alone.
type SetTime struct {
	Now bool
	At  time.Time // used if not zero and not Now
}

func (t SetTime) omit() bool { return !t.Now && t.At.IsZero() }

// OpenFlags say how to open.
type OpenFlags struct {
	Create    bool // create a regular file if there is nothing
	Exclusive bool // with Create: fail if there is something
	Truncate  bool
	Directory bool // fail if it is no directory

	Read, Write bool
	Sync        bool // writes reach the disk with all metadata
	DataSync    bool // writes reach the disk
	NoFollow    bool // do not follow a symbolic link at the end of the path
}

// Advice is how a file will be used, numbered like advice in
// wasi:filesystem/types@0.2.
type Advice uint8

// The kinds of advice.
const (
	AdviceNormal Advice = iota
	AdviceSequential
	AdviceRandom
	AdviceWillNeed
	AdviceDontNeed
	AdviceNoReuse
)

// maxPath bounds the length of a path in bytes.
const maxPath = 4096

// maxLinks bounds the symbolic links that resolving one path may follow.
const maxLinks = 40

// A directory is an open host directory. Its methods take relative paths that
// passed checkPath, and stay beneath it.
type directory interface {
	// open returns exactly one of a file and a directory.
	open(path string, how OpenFlags) (*os.File, directory, error)
	stat(path string, follow bool) (Stat, error)
	setTimes(path string, follow bool, atime, mtime SetTime) error
	mkdir(path string) error
	rmdir(path string) error
	unlink(path string) error
	symlink(target, path string) error
	readlink(path string) (string, error)
	link(path string, to directory, newPath string) error
	rename(path string, to directory, newPath string) error
	readDir() (dirReader, error)

	// self is the directory as a file, for fstat and fsync.
	self() *os.File
	close() error
}

// Entry is one name in a directory.
type Entry struct {
	Name  string
	Type  FileType
	Inode uint64
}

// A dirReader yields the names in a directory without "." and "..".
type dirReader interface {
	next() (Entry, bool, error)
	close() error
}

// Descriptor is an open file or directory. It is safe for concurrent use.
// After Close every method fails with BadDescriptor.
type Descriptor struct {
	file     *os.File  // a regular file, or nil
	dir      directory // a directory, or nil
	readOnly bool
	flags    OpenFlags
	appendMu sync.Mutex // where appending is not atomic by itself
}

// OpenDir opens a host directory to grant it to a guest. With readOnly nothing
// beneath it can be changed through the descriptor or whatever is opened
// through it. The caller closes it.
func OpenDir(host string, readOnly bool) (*Descriptor, error) {
	return openDir(host, readOnly, openNative)
}

func openDir(host string, readOnly bool, open func(string) (directory, error)) (*Descriptor, error) {
	d, err := open(host)
	if err != nil {
		return nil, fmt.Errorf("open directory: %w", err)
	}
	return &Descriptor{dir: d, readOnly: readOnly, flags: OpenFlags{Directory: true, Read: true}}, nil
}

// Close releases the descriptor. Streams opened from it fail from then on.
func (d *Descriptor) Close() error {
	if d.file != nil {
		return coded(d.file.Close())
	}
	return coded(d.dir.close())
}

// IsDir reports whether the descriptor is a directory.
func (d *Descriptor) IsDir() bool { return d.dir != nil }

// ReadOnly reports whether nothing may be changed through the descriptor.
func (d *Descriptor) ReadOnly() bool { return d.readOnly }

// Flags returns how the descriptor was opened.
func (d *Descriptor) Flags() OpenFlags { return d.flags }

// checkPath refuses what no backend needs to see.
func checkPath(path string) error {
	switch {
	case path == "":
		return NoEntry
	case len(path) >= maxPath:
		return NameTooLong
	case strings.IndexByte(path, 0) >= 0:
		return Invalid
	case path[0] == '/':
		return NotPermitted
	case runtime.GOOS == "windows":
		return checkWindows(path)
	}
	return nil
}

// at checks that the descriptor is a directory, that the path is relative, and
// that changes are allowed if there will be any.
func (d *Descriptor) at(path string, change bool) (directory, error) {
	if d.dir == nil {
		return nil, NotDirectory
	}
	if change && d.readOnly {
		return nil, NotPermitted
	}
	return d.dir, checkPath(path)
}

// Open opens a regular file or a directory.
func (d *Descriptor) Open(path string, how OpenFlags) (*Descriptor, error) {
	dir, err := d.at(path, how.Create || how.Truncate || how.Write)
	if err != nil {
		return nil, err
	}
	if how.Directory && (how.Create || how.Exclusive || how.Truncate) {
		return nil, Invalid
	}
	if !how.Write {
		how.Read = true
	}
	f, sub, err := dir.open(path, how)
	if err != nil {
		return nil, CodeOf(err)
	}
	return &Descriptor{file: f, dir: sub, readOnly: d.readOnly, flags: how}, nil
}

// StatAt describes the object at path.
func (d *Descriptor) StatAt(path string, follow bool) (Stat, error) {
	dir, err := d.at(path, false)
	if err != nil {
		return Stat{}, err
	}
	st, err := dir.stat(path, follow)
	return st, coded(err)
}

// SetTimesAt changes the timestamps of the object at path.
func (d *Descriptor) SetTimesAt(path string, follow bool, atime, mtime SetTime) error {
	dir, err := d.at(path, true)
	if err != nil {
		return err
	}
	return coded(dir.setTimes(path, follow, atime, mtime))
}

// Mkdir creates a directory.
func (d *Descriptor) Mkdir(path string) error {
	dir, err := d.at(path, true)
	if err != nil {
		return err
	}
	return coded(dir.mkdir(path))
}

// Rmdir removes an empty directory.
func (d *Descriptor) Rmdir(path string) error {
	dir, err := d.at(path, true)
	if err != nil {
		return err
	}
	return coded(dir.rmdir(path))
}

// Unlink removes anything but a directory.
func (d *Descriptor) Unlink(path string) error {
	dir, err := d.at(path, true)
	if err != nil {
		return err
	}
	return coded(dir.unlink(path))
}

// Symlink creates a symbolic link with a relative target. The target need not
// exist and may name something outside, which following the link then refuses.
func (d *Descriptor) Symlink(target, path string) error {
	dir, err := d.at(path, true)
	if err != nil {
		return err
	}
	if err := checkPath(target); err != nil {
		return err
	}
	return coded(dir.symlink(target, path))
}

// Readlink returns the target of a symbolic link. An absolute target is not
// told, nor one that could be no path of a guest's: they say something of the
// host.
func (d *Descriptor) Readlink(path string) (string, error) {
	dir, err := d.at(path, false)
	if err != nil {
		return "", err
	}
	target, err := dir.readlink(path)
	if err != nil {
		return "", CodeOf(err)
	}
	if checkPath(target) != nil {
		return "", NotPermitted
	}
	return target, nil
}

// Link creates a hard link to the object at path, which is not followed if it
// is a symbolic link.
func (d *Descriptor) Link(path string, to *Descriptor, newPath string) error {
	from, dest, err := d.pair(path, to, newPath)
	if err != nil {
		return err
	}
	return coded(from.link(path, dest, newPath))
}

// Rename moves the object at path, replacing what is at newPath.
func (d *Descriptor) Rename(path string, to *Descriptor, newPath string) error {
	from, dest, err := d.pair(path, to, newPath)
	if err != nil {
		return err
	}
	return coded(from.rename(path, dest, newPath))
}

func (d *Descriptor) pair(path string, to *Descriptor, newPath string) (from, dest directory, err error) {
	if from, err = d.at(path, true); err != nil {
		return nil, nil, err
	}
	if dest, err = to.at(newPath, true); err != nil {
		return nil, nil, err
	}
	return from, dest, nil
}

// handle is the file or directory as a file.
func (d *Descriptor) handle() *os.File {
	if d.file != nil {
		return d.file
	}
	return d.dir.self()
}

// Stat describes the open object.
func (d *Descriptor) Stat() (Stat, error) {
	st, err := statFile(d.handle())
	return st, coded(err)
}

// SetTimes changes the timestamps of the open object.
func (d *Descriptor) SetTimes(atime, mtime SetTime) error {
	if d.readOnly {
		return NotPermitted
	}
	return coded(setTimesFile(d.handle(), atime, mtime))
}

// Sync writes everything about the object to the disk.
func (d *Descriptor) Sync() error { return coded(syncFile(d.handle(), d.dir != nil, false)) }

// SyncData writes the contents of the object to the disk.
func (d *Descriptor) SyncData() error { return coded(syncFile(d.handle(), d.dir != nil, true)) }

// writable returns the file if it may be written.
func (d *Descriptor) writable() (*os.File, error) {
	switch {
	case d.file == nil:
		return nil, BadDescriptor
	case d.readOnly:
		return nil, NotPermitted
	case !d.flags.Write:
		return nil, BadDescriptor
	}
	return d.file, nil
}

// Readable fails unless the descriptor is a file that may be read.
func (d *Descriptor) Readable() error {
	switch {
	case d.file == nil:
		return IsDirectory
	case !d.flags.Read:
		return BadDescriptor
	}
	return nil
}

// Writable fails unless the descriptor is a file that may be written.
func (d *Descriptor) Writable() error {
	_, err := d.writable()
	return err
}

// ReadAt reads from the file at offset. At the end of the file it returns 0 and
// no error.
func (d *Descriptor) ReadAt(p []byte, offset uint64) (int, error) {
	if err := d.Readable(); err != nil {
		return 0, err
	}
	if offset > 1<<63-1 {
		return 0, Invalid
	}
	return readAt(d.file, p, int64(offset))
}

// WriteAt writes to the file at offset.
func (d *Descriptor) WriteAt(p []byte, offset uint64) (int, error) {
	f, err := d.writable()
	if err != nil {
		return 0, err
	}
	if offset > 1<<63-1-uint64(len(p)) {
		return 0, Invalid
	}
	n, err := f.WriteAt(p, int64(offset))
	if n > 0 {
		return n, nil
	}
	return 0, coded(err)
}

// Append writes to the end of the file.
func (d *Descriptor) Append(p []byte) (int, error) {
	f, err := d.writable()
	if err != nil {
		return 0, err
	}
	n, err := appendFile(f, &d.appendMu, p)
	if n > 0 {
		return n, nil
	}
	return 0, coded(err)
}

// SetSize truncates or extends the file.
func (d *Descriptor) SetSize(size uint64) error {
	f, err := d.writable()
	if err != nil {
		if d.file != nil && err == BadDescriptor {
			return Invalid // as ftruncate says of a file not open for writing
		}
		return err
	}
	if size > 1<<63-1 {
		return Invalid
	}
	return coded(f.Truncate(int64(size)))
}

// Advise tells how the file will be used.
func (d *Descriptor) Advise(offset, length uint64, advice Advice) error {
	if d.file == nil {
		return BadDescriptor
	}
	if offset > 1<<63-1 || length > 1<<63-1 || advice > AdviceNoReuse {
		return Invalid
	}
	return coded(adviseFile(d.file, int64(offset), int64(length), advice))
}

// Allocate makes sure that the file is at least offset+length bytes long.
func (d *Descriptor) Allocate(offset, length uint64) error {
	f, err := d.writable()
	if err != nil {
		return err
	}
	if length == 0 || offset > 1<<63-1 || length > 1<<63-1-offset {
		return Invalid
	}
	return coded(allocateFile(f, int64(offset), int64(length)))
}

// ReadDir starts reading the names in the directory. The caller closes it.
func (d *Descriptor) ReadDir() (*DirReader, error) {
	if d.dir == nil {
		return nil, NotDirectory
	}
	r, err := d.dir.readDir()
	if err != nil {
		return nil, CodeOf(err)
	}
	return &DirReader{r: r}, nil
}

// DirReader yields the entries of a directory in no particular order, without
// "." and "..". It is not safe for concurrent use.
type DirReader struct{ r dirReader }

// Next returns the next entry; ok is false at the end. After the error
// IllegalByteSequence (a name that is not UTF-8) it can be called again.
func (r *DirReader) Next() (e Entry, ok bool, err error) {
	e, ok, err = r.r.next()
	return e, ok, coded(err)
}

// Close releases the reader.
func (r *DirReader) Close() error { return coded(r.r.close()) }

// typeOf translates a mode of package fs.
func typeOf(m fs.FileMode) FileType {
	switch {
	case m.IsRegular():
		return RegularFile
	case m.IsDir():
		return Directory
	case m&fs.ModeSymlink != 0:
		return SymbolicLink
	case m&fs.ModeNamedPipe != 0:
		return FIFO
	case m&fs.ModeSocket != 0:
		return Socket
	case m&fs.ModeCharDevice != 0:
		return CharacterDevice
	case m&fs.ModeDevice != 0:
		return BlockDevice
	}
	return UnknownType
}
