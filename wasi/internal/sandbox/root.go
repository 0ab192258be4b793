package sandbox

import (
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"
)

// rootDir is a directory by way of os.Root: the way for systems without *at
// calls. It keeps the guest inside as surely as the others do, but a change
// made at the same moment by somebody else can make an operation act on another
// object inside; and links and renames between two granted directories are
// refused.
type rootDir struct {
	root *os.Root
	f    *os.File
	// top is the granted directory and under the path of this one in it, which
	// links and renames between two directories need.
	top   *os.Root
	under string
}

func openRooted(host string) (directory, error) {
	root, err := os.OpenRoot(host)
	if err != nil {
		return nil, err
	}
	f, err := root.Open(".")
	if err != nil {
		root.Close()
		return nil, err
	}
	return &rootDir{root: root, f: f, top: root, under: "."}, nil
}

func (d *rootDir) self() *os.File { return d.f }

func (d *rootDir) close() error {
	err := d.f.Close()
	if d.under != "." {
		// The granted directory's own root outlives it for the sake of those
		// below, and is closed by the garbage collector.
		if err2 := d.root.Close(); err == nil {
			err = err2
		}
	}
	return err
}

// escape is what os.Root says of a path that leaves it.
const escape = "path escapes from parent"

func rooted(err error) error {
	if err != nil && strings.Contains(err.Error(), escape) {
		return NotPermitted
	}
	return err
}

// plain removes slashes from the end of a path and reports whether there were
// any.
func plain(p string) (string, bool) {
	t := strings.TrimRight(p, "/")
	return t, len(t) < len(p)
}

// lstat describes the object at p, following a link at the end only if asked.
func (d *rootDir) info(p string, follow bool) (fs.FileInfo, error) {
	name, slash := plain(p)
	var fi fs.FileInfo
	var err error
	if follow || slash {
		fi, err = d.root.Stat(name)
	} else {
		fi, err = d.root.Lstat(name)
	}
	if err != nil {
		return nil, rooted(err)
	}
	if slash && !fi.IsDir() {
		return nil, NotDirectory
	}
	return fi, nil
}

func (d *rootDir) open(p string, how OpenFlags) (*os.File, directory, error) {
	name, slash := plain(p)
	fi, err := d.info(p, !how.NoFollow)
	switch {
	case err == nil:
		if how.Create && how.Exclusive {
			return nil, nil, Exist
		}
		switch typeOf(fi.Mode()) {
		case SymbolicLink:
			return nil, nil, Loop
		case Directory:
			return d.openSub(name, how)
		case RegularFile:
			if how.Directory || slash {
				return nil, nil, NotDirectory
			}
		default:
			return nil, nil, NotPermitted
		}
	case CodeOf(err) == NoEntry && how.Create:
		if slash {
			return nil, nil, IsDirectory
		}
	default:
		return nil, nil, err
	}
	f, err := d.root.OpenFile(name, fileBits(how), 0o666)
	if err != nil {
		return nil, nil, rooted(err)
	}
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		f.Close()
		return nil, nil, NotPermitted
	}
	return f, nil, nil
}

func fileBits(how OpenFlags) int {
	bits := syscall.O_NONBLOCK
	switch {
	case how.Write && how.Read, how.Truncate && !how.Write:
		bits |= os.O_RDWR
	case how.Write:
		bits |= os.O_WRONLY
	}
	if how.Create {
		bits |= os.O_CREATE
	}
	if how.Exclusive {
		bits |= os.O_EXCL
	}
	if how.Truncate {
		bits |= os.O_TRUNC
	}
	if how.Sync || how.DataSync {
		bits |= os.O_SYNC
	}
	return bits
}

func (d *rootDir) openSub(name string, how OpenFlags) (*os.File, directory, error) {
	if how.Write || how.Create || how.Truncate {
		return nil, nil, IsDirectory
	}
	root, err := d.root.OpenRoot(name)
	if err != nil {
		return nil, nil, rooted(err)
	}
	f, err := root.Open(".")
	if err != nil {
		root.Close()
		return nil, nil, err
	}
	return nil, &rootDir{root: root, f: f, top: d.top, under: path.Join(d.under, name)}, nil
}

func (d *rootDir) stat(p string, follow bool) (Stat, error) {
	fi, err := d.info(p, follow)
	if err != nil {
		return Stat{}, err
	}
	st := statOfInfo(fi)
	if st.Type == Directory || st.Type == RegularFile {
		// An open handle knows more: links, and the identity.
		if f, err := d.root.OpenFile(p, syscall.O_NONBLOCK, 0); err == nil {
			if full, err := statFile(f); err == nil {
				st = full
			}
			f.Close()
		}
	}
	return st, nil
}

func statOfInfo(fi fs.FileInfo) Stat {
	return Stat{
		Type:    typeOf(fi.Mode()),
		Links:   1,
		Size:    uint64(fi.Size()),
		Access:  fi.ModTime(),
		Modify:  fi.ModTime(),
		Change:  fi.ModTime(),
		private: fi,
	}
}

func (d *rootDir) setTimes(p string, follow bool, atime, mtime SetTime) error {
	fi, err := d.info(p, follow)
	if err != nil {
		return err
	}
	if fi.Mode()&fs.ModeSymlink != 0 {
		return Unsupported
	}
	now := time.Now()
	pick := func(t SetTime) time.Time {
		if t.Now {
			return now
		}
		return t.At // zero leaves the old one alone
	}
	name, _ := plain(p)
	return rooted(d.root.Chtimes(name, pick(atime), pick(mtime)))
}

func (d *rootDir) mkdir(p string) error {
	name, _ := plain(p)
	return rooted(d.root.Mkdir(name, 0o777))
}

func (d *rootDir) rmdir(p string) error {
	name, _ := plain(p)
	if name == "." {
		return Invalid
	}
	fi, err := d.root.Lstat(name)
	if err != nil {
		return rooted(err)
	}
	if !fi.IsDir() {
		return NotDirectory
	}
	return rooted(d.root.Remove(name))
}

func (d *rootDir) unlink(p string) error {
	name, slash := plain(p)
	fi, err := d.root.Lstat(name)
	if err != nil {
		return rooted(err)
	}
	if fi.IsDir() {
		return IsDirectory
	}
	if slash {
		return NotDirectory
	}
	return rooted(d.root.Remove(name))
}

// vacant fails if there is something at p, or if p can only be a directory.
func (d *rootDir) vacant(p string) error {
	name, slash := plain(p)
	fi, err := d.root.Lstat(name)
	switch {
	case err == nil && slash && !fi.IsDir():
		return NotDirectory
	case err == nil:
		return Exist
	case CodeOf(rooted(err)) != NoEntry:
		return rooted(err)
	case slash:
		return NoEntry
	}
	return nil
}

func (d *rootDir) symlink(target, p string) error {
	if err := d.vacant(p); err != nil {
		return err
	}
	return rooted(d.root.Symlink(target, p))
}

func (d *rootDir) readlink(p string) (string, error) {
	if name, slash := plain(p); slash {
		if fi, err := d.root.Stat(name); err != nil {
			return "", rooted(err)
		} else if !fi.IsDir() {
			return "", NotDirectory
		}
		return "", Invalid
	}
	target, err := d.root.Readlink(p)
	if err != nil {
		return "", rooted(err)
	}
	if !utf8.ValidString(target) {
		return "", IllegalByteSequence
	}
	return target, nil
}

// inTop returns the path of p in the granted directory. That is only the truth
// for as long as this directory was not moved, which is checked.
func (d *rootDir) inTop(p string) (string, error) {
	here, err := d.top.Stat(d.under)
	if err != nil {
		return "", rooted(err)
	}
	self, err := d.f.Stat()
	if err != nil {
		return "", err
	}
	if !os.SameFile(here, self) {
		return "", Unsupported
	}
	if d.under == "." {
		return p, nil
	}
	// Joined by hand: cleaning would take ".." for the name before it, which a
	// link makes wrong, and would lead out of this directory.
	if _, err := d.root.Lstat(parentOf(p)); err != nil {
		return "", rooted(err)
	}
	return d.under + "/" + p, nil
}

func parentOf(p string) string {
	i := strings.LastIndexByte(p, '/')
	if i < 0 {
		return "."
	}
	return p[:i+1] + "."
}

func (d *rootDir) pair(p string, to directory, newPath string) (from, dest string, err error) {
	other, ok := to.(*rootDir)
	if !ok || other.top != d.top {
		return "", "", CrossDevice
	}
	if other == d {
		return p, newPath, nil
	}
	if from, err = d.inTop(p); err != nil {
		return "", "", err
	}
	dest, err = other.inTop(newPath)
	return from, dest, err
}

// above is the root that both paths of pair are relative to.
func (d *rootDir) above(to directory) *os.Root {
	if to == directory(d) {
		return d.root
	}
	return d.top
}

func (d *rootDir) link(p string, to directory, newPath string) error {
	name, slash := plain(p)
	fi, err := d.root.Lstat(name)
	if err != nil {
		return rooted(err)
	}
	if fi.IsDir() {
		return NotPermitted
	}
	if slash {
		return NotDirectory
	}
	other, ok := to.(*rootDir)
	if !ok {
		return CrossDevice
	}
	if err := other.vacant(newPath); err != nil {
		return err
	}
	from, dest, err := d.pair(p, to, newPath)
	if err != nil {
		return err
	}
	return rooted(d.above(to).Link(from, dest))
}

func (d *rootDir) rename(p string, to directory, newPath string) error {
	name, slash := plain(p)
	newName, newSlash := plain(newPath)
	fi, err := d.root.Lstat(name)
	if err != nil {
		return rooted(err)
	}
	if (slash || newSlash) && !fi.IsDir() {
		return NotDirectory
	}
	from, dest, err := d.pair(name, to, newName)
	if err != nil {
		return err
	}
	if base := path.Base(from); base == "." || base == ".." {
		return Busy
	}
	if base := path.Base(dest); base == "." || base == ".." {
		return Busy
	}
	if other, ok := to.(*rootDir); ok {
		// Systems differ in what a rename replaces.
		if old, err := other.root.Lstat(newName); err == nil {
			switch {
			case fi.IsDir() && !old.IsDir():
				return NotDirectory
			case !fi.IsDir() && old.IsDir():
				return IsDirectory
			}
		}
	}
	return rooted(d.above(to).Rename(from, dest))
}

type infos struct {
	f    *os.File
	rest []fs.DirEntry
}

func (d *rootDir) readDir() (dirReader, error) {
	f, err := d.root.Open(".")
	if err != nil {
		return nil, rooted(err)
	}
	return &infos{f: f}, nil
}

func (r *infos) close() error { return r.f.Close() }

func (r *infos) next() (Entry, bool, error) {
	if len(r.rest) == 0 {
		rest, err := r.f.ReadDir(128)
		if err == io.EOF {
			return Entry{}, false, nil
		}
		if err != nil {
			return Entry{}, false, err
		}
		r.rest = rest
	}
	e := r.rest[0]
	r.rest = r.rest[1:]
	if !utf8.ValidString(e.Name()) {
		return Entry{}, false, IllegalByteSequence
	}
	return Entry{Name: e.Name(), Type: typeOf(e.Type())}, true, nil
}
