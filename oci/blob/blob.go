// Package blob keeps content-addressed blobs as plain files in a folder: the blobs
// of an OCI layout, blobs/ALGORITHM/HEX.
package blob

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "crypto/sha256" // the digests that the image specification registers
	_ "crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// Store is a folder of blobs. Any number of processes may use the same folder at
// once: a blob is a complete file that is renamed into place and never changes.
// What is read is checked against its digest every time. It is safe for concurrent
// use.
type Store struct {
	root *os.Root
	perm fs.FileMode
}

// DamagedError is a blob whose contents are not what its digest says.
type DamagedError struct {
	Digest digest.Digest
	Reason string
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("blob %s is damaged: %s", e.Digest, e.Reason)
}

// SizeError is a blob that is whole, but has another size than somebody says.
type SizeError struct {
	Digest digest.Digest
	Size   int64  // that it has
	Want   string // that it should have
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("blob %s has %d bytes, expected %s", e.Digest, e.Size, e.Want)
}

// Info describes a blob.
type Info struct {
	Digest digest.Digest
	Size   int64
	Used   time.Time // when it was last used or written
}

const (
	folder = "blobs"
	// partial ends the name of a file that is being written and of one whose
	// writing can go on; scratch begins that of one whose writing can't.
	partial = ".part"
	scratch = ".tmp-"
	// staleAfter is the time after which an unfinished file is left behind.
	staleAfter = 24 * time.Hour
)

// algorithms of digests that blobs may have.
var algorithms = []digest.Algorithm{digest.SHA256, digest.SHA512}

// New returns the store in a folder that the caller goes on owning. Folders below
// are made when they are needed. Files get these permissions, before the umask.
func New(root *os.Root, perm fs.FileMode) *Store { return &Store{root, perm} }

// folderPerm is the permission of a folder with files of that permission: who reads
// and writes them may look into it.
func folderPerm(perm fs.FileMode) fs.FileMode { return perm | perm&0o444>>2 }

// file is the name of a blob's file. The digest is to be valid.
func file(d digest.Digest) string {
	return path.Join(folder, d.Algorithm().String(), d.Encoded())
}

// Stat describes a blob without reading it. The error wraps [fs.ErrNotExist] if it
// is not there.
func (s *Store) Stat(d digest.Digest) (Info, error) {
	if err := d.Validate(); err != nil {
		return Info{}, err
	}
	info, err := s.root.Lstat(file(d))
	if err != nil {
		return Info{}, err
	}
	return Info{d, info.Size(), info.ModTime()}, nil
}

// Read returns the contents of a blob of at most limit bytes, and notes that it was
// used. The error is a *[DamagedError] if they are wrong, a *[SizeError] if they are
// not, but are more, and wraps [fs.ErrNotExist] if it is not there.
func (s *Store) Read(d digest.Digest, limit int64) ([]byte, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	name := file(d)
	info, err := s.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &DamagedError{d, "not a regular file"}
	}
	if info.Size() > limit {
		return nil, s.wrongSize(d, fmt.Sprintf("at most %d", limit))
	}
	f, err := s.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var b bytes.Buffer
	b.Grow(int(info.Size()) + bytes.MinRead)
	if _, err := b.ReadFrom(io.LimitReader(f, limit+1)); err != nil {
		return nil, err
	}
	if got := d.Algorithm().FromBytes(b.Bytes()); got != d {
		return nil, &DamagedError{d, fmt.Sprintf("its contents have the digest %s", got)}
	}
	now := time.Now()
	// One that can't be touched leaves earlier, no more.
	_ = s.root.Chtimes(name, now, now)
	return b.Bytes(), nil
}

// CopyTo writes a blob of that size to a file, and checks it on the way: after an
// error, as of [Store.Read], the file has nothing that is of use.
func (s *Store) CopyTo(d digest.Digest, size int64, out *os.File) error {
	if err := d.Validate(); err != nil {
		return err
	}
	name := file(d)
	info, err := s.root.Lstat(name)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return &DamagedError{d, "not a regular file"}
	}
	if info.Size() != size {
		return s.wrongSize(d, fmt.Sprint(size))
	}
	f, err := s.root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	h := d.Algorithm().Hash()
	buf := make([]byte, 256<<10)
	if _, err := io.CopyBuffer(struct{ io.Writer }{out}, io.TeeReader(io.LimitReader(f, size), h), buf); err != nil {
		return err
	}
	if got := digest.NewDigest(d.Algorithm(), h); got != d {
		return &DamagedError{d, fmt.Sprintf("its contents have the digest %s", got)}
	}
	now := time.Now()
	_ = s.root.Chtimes(name, now, now)
	return nil
}

// wrongSize returns the error for a blob that has another size than expected. Whoever
// expects it may be wrong, so its contents say whether it is damaged.
func (s *Store) wrongSize(d digest.Digest, want string) error {
	f, err := s.root.Open(file(d))
	if err != nil {
		return err
	}
	defer f.Close()
	h := d.Algorithm().Hash()
	size, err := io.Copy(h, f)
	if err != nil {
		return err
	}
	if got := digest.NewDigest(d.Algorithm(), h); got != d {
		return &DamagedError{d, fmt.Sprintf("it has %d bytes, expected %s, and its contents have the digest %s", size, want, got)}
	}
	return &SizeError{d, size, want}
}

// Put adds a blob with these contents.
func (s *Store) Put(d digest.Digest, b []byte) error {
	if err := d.Validate(); err != nil {
		return err
	}
	if got := d.Algorithm().FromBytes(b); got != d {
		return fmt.Errorf("the digest is %s, expected %s", got, d)
	}
	return WriteFile(s.root, file(d), b, s.perm)
}

// WriteFile writes a file as a whole or not at all, in place of what was there, and
// makes its folder. Others see what it was or what it is.
func WriteFile(root *os.Root, name string, b []byte, perm fs.FileMode) error {
	dir := path.Dir(name)
	if err := root.MkdirAll(dir, folderPerm(perm)); err != nil {
		return err
	}
	tmp := path.Join(dir, scratch+rand.Text())
	err := root.WriteFile(tmp, b, perm)
	if err == nil {
		err = root.Rename(tmp, name)
	}
	if err != nil {
		_ = root.Remove(tmp)
	}
	return err
}

// Remove removes a blob, and what was written of it. It is no error if there is
// nothing.
func (s *Store) Remove(d digest.Digest) error {
	if err := d.Validate(); err != nil {
		return err
	}
	if err := s.root.Remove(file(d)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// List lists the blobs. Files that were left behind unfinished are removed.
func (s *Store) List() ([]Info, error) {
	var all []Info
	for _, a := range algorithms {
		dir := path.Join(folder, a.String())
		entries, err := fs.ReadDir(s.root.FS(), dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil {
				continue // gone
			}
			d := digest.NewDigestFromEncoded(a, e.Name())
			switch unfinished := strings.HasPrefix(e.Name(), scratch) || strings.HasSuffix(e.Name(), partial); {
			case d.Validate() == nil && info.Mode().IsRegular():
				all = append(all, Info{d, info.Size(), info.ModTime()})
			case unfinished && time.Since(info.ModTime()) > staleAfter:
				_ = s.root.Remove(path.Join(dir, e.Name()))
			}
		}
	}
	return all, nil
}

// Writer writes a blob, which is there when [Writer.Commit] has succeeded and
// not before. It is for one goroutine.
type Writer struct {
	store  *Store
	f      *os.File
	name   string // of the file that is written
	digest digest.Digest
	size   int64
	offset int64
	hash   hash.Hash
	kept   bool // after Close, for another attempt
}

// Create begins to write a blob of that size, or goes on where another writer, maybe
// of another process, stopped: [Writer.Offset] says where.
func (s *Store) Create(d digest.Digest, size int64) (*Writer, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	dir := path.Join(folder, d.Algorithm().String())
	if err := s.root.MkdirAll(dir, folderPerm(s.perm)); err != nil {
		return nil, err
	}
	w := &Writer{store: s, digest: d, size: size, hash: d.Algorithm().Hash(), name: path.Join(dir, d.Encoded()+partial), kept: true}
	var err error
	if w.f, err = s.openExclusive(w.name); errors.Is(err, errLocked) {
		// Somebody else is at it: waiting for what may never come is worse than
		// doing it twice.
		w.name, w.kept = path.Join(dir, scratch+rand.Text()), false
		w.f, err = s.root.OpenFile(w.name, os.O_RDWR|os.O_CREATE|os.O_EXCL, s.perm)
	}
	if err != nil {
		return nil, err
	}
	if w.offset, err = io.Copy(w.hash, io.LimitReader(w.f, size)); err == nil {
		// More than the size is no part of it.
		if end, e := w.f.Seek(0, io.SeekEnd); e != nil || end > size {
			err = errors.Join(e, w.Reset())
		}
	}
	if err != nil {
		_ = w.Close()
		return nil, err
	}
	return w, nil
}

var errLocked = errors.New("another process writes this")

// openExclusive opens a file to write it, which nobody else does at the same time.
func (s *Store) openExclusive(name string) (*os.File, error) {
	f, err := s.root.OpenFile(name, os.O_RDWR|os.O_CREATE, s.perm)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		_ = f.Close()
		return nil, errLocked
	}
	// Before it was locked, it may have become the blob, or been removed.
	opened, err := f.Stat()
	named, e := s.root.Lstat(name)
	if err != nil || e != nil || !os.SameFile(opened, named) {
		_ = f.Close()
		return nil, errLocked
	}
	return f, nil
}

// Offset returns how many bytes there are.
func (w *Writer) Offset() int64 { return w.offset }

// Write appends to the blob. More than its size is refused.
func (w *Writer) Write(p []byte) (int, error) {
	if int64(len(p)) > w.size-w.offset {
		return 0, fmt.Errorf("more than %d bytes", w.size)
	}
	n, err := w.f.Write(p)
	w.hash.Write(p[:n])
	w.offset += int64(n)
	return n, err
}

// Reset begins anew.
func (w *Writer) Reset() error {
	w.offset = 0
	w.hash.Reset()
	if err := w.f.Truncate(0); err != nil {
		return err
	}
	_, err := w.f.Seek(0, io.SeekStart)
	return err
}

// Check returns a *[DamagedError] if what was written is not the blob.
func (w *Writer) Check() error {
	if w.offset != w.size {
		return &DamagedError{w.digest, fmt.Sprintf("it has %d bytes, expected %d", w.offset, w.size)}
	}
	if got := digest.NewDigest(w.digest.Algorithm(), w.hash); got != w.digest {
		return &DamagedError{w.digest, fmt.Sprintf("its contents have the digest %s", got)}
	}
	return nil
}

// Commit makes the blob of what was written, copies it to out unless that is nil, and
// closes the writer. If what was written is not the blob, nothing is left of it and
// the error is a *[DamagedError].
func (w *Writer) Commit(out *os.File) error {
	err := w.Check()
	if err != nil {
		w.kept = false
		return errors.Join(err, w.Close())
	}
	if out != nil {
		// The kernel copies between files, where it can. They are the bytes that
		// were just written, by this writer alone.
		if _, err := w.f.Seek(0, io.SeekStart); err != nil {
			return errors.Join(err, w.Close())
		}
		if _, err := out.ReadFrom(w.f); err != nil {
			return errors.Join(err, w.Close())
		}
	}
	to := file(w.digest)
	if closeToRename {
		err = w.f.Close()
		w.f = nil
	}
	if err == nil {
		err = w.store.root.Rename(w.name, to)
	}
	if err != nil {
		// Another writer may have been faster, and where files can't be replaced
		// while they are read, that is an error here.
		if info, e := w.store.Stat(w.digest); e == nil && info.Size == w.size {
			err = nil
		}
		w.kept = false
		return errors.Join(err, w.Close())
	}
	w.name = ""
	return w.Close()
}

// Close ends the writer. What was written is kept for another attempt unless it
// was committed. Closing it again does nothing.
func (w *Writer) Close() error {
	var failed error
	remove := func() {
		if w.name != "" && !w.kept {
			if err := w.store.root.Remove(w.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				failed = errors.Join(failed, err)
			}
			w.name = ""
		}
	}
	if !closeToRename {
		// While it is locked: afterwards it may be somebody else's.
		remove()
	}
	if w.f != nil {
		failed = errors.Join(failed, w.f.Close())
		w.f = nil
	}
	remove()
	w.name = ""
	return failed
}

// Lock takes a lock that a file stands for, and waits for whoever has it. It is
// released by the function that is returned, or the end of the process.
func Lock(ctx context.Context, root *os.Root, name string, wait time.Duration) (unlock func() error, err error) {
	f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(wait); ; {
		if err = lock(f); err == nil {
			return f.Close, nil
		}
		if ctx.Err() != nil || time.Now().After(end) {
			return nil, errors.Join(fmt.Errorf("another process has the lock %s", name), ctx.Err(), f.Close())
		}
		time.Sleep(10 * time.Millisecond)
	}
}
