package p2

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/ashlar-wasm/ashlar/internal/limit"
	"github.com/ashlar-wasm/ashlar/wasi/internal/bind"
	"github.com/ashlar-wasm/ashlar/wasi/internal/grant"
	"github.com/ashlar-wasm/ashlar/wasi/internal/quota"
	"github.com/ashlar-wasm/ashlar/wasi/internal/sandbox"
	"github.com/ashlar-wasm/ashlar/wasi/internal/stream"
)

// filesystem is wasi:filesystem.
type filesystem struct{ grants *grant.Set }

func (f filesystem) GetDirectories(context.Context) ([]bind.Tuple2[bind.Descriptor, string], error) {
	dirs := make([]bind.Tuple2[bind.Descriptor, string], len(f.grants.Dirs))
	for i, d := range f.grants.Dirs {
		dirs[i] = bind.Tuple2[bind.Descriptor, string]{
			F0: &descriptor{file: d.Dir, grants: f.grants, shared: true},
			F1: d.Guest,
		}
	}
	return dirs, nil
}

func (f filesystem) FilesystemErrorCode(_ context.Context, e bind.Error) (*bind.FilesystemErrorCode, error) {
	if code, ok := errors.AsType[sandbox.Code](Unwrap(e)); ok {
		c := bind.FilesystemErrorCode(code)
		return &c, nil
	}
	return nil, nil
}

// fsError translates an error of the sandbox. Both number the codes alike.
func fsError(err error) error {
	if err == nil {
		return nil
	}
	return bind.FilesystemErrorCode(sandbox.CodeOf(err))
}

// descriptor is the resource wasi:filesystem/types.descriptor.
type descriptor struct {
	file   *sandbox.Descriptor
	grants *grant.Set
	shared bool // granted: it stays open for other guests
	hold   *quota.Hold
	buf    []byte // what the last Read returned is in it
}

// Freeze implements component.Freezer: a directory that was granted is the same one for
// all guests.
func (d *descriptor) Freeze() func(context.Context) (any, error) {
	if !d.shared {
		return nil
	}
	return func(context.Context) (any, error) {
		return &descriptor{file: d.file, grants: d.grants, shared: true}, nil
	}
}

func (d *descriptor) Drop(context.Context) error {
	if d.shared {
		return nil
	}
	defer d.hold.Give()
	return d.file.Close()
}

// take counts one more of what the guest holds.
func (d *descriptor) take(ctx context.Context, r limit.Resource) (*quota.Hold, error) {
	hold, err := d.grants.Book.Take(ctx, r, 1)
	if err != nil {
		// The interface has no code for too many open files.
		return nil, bind.FilesystemErrorCodeInsufficientMemory
	}
	return hold, nil
}

// giving returns what is to be done when a stream is dropped.
func giving(hold *quota.Hold) func() error {
	return func() error {
		hold.Give()
		return nil
	}
}

func (d *descriptor) ReadViaStream(ctx context.Context, offset uint64) (bind.InputStream, error) {
	if err := d.file.Readable(); err != nil {
		return nil, fsError(err)
	}
	hold, err := d.take(ctx, quota.Streams)
	if err != nil {
		return nil, err
	}
	in := stream.NewFileInput(d.file, offset)
	return NewInput(in, func() error {
		hold.Give()
		return in.Close()
	}), nil
}

func (d *descriptor) WriteViaStream(ctx context.Context, offset uint64) (bind.OutputStream, error) {
	if err := d.file.Writable(); err != nil {
		return nil, fsError(err)
	}
	hold, err := d.take(ctx, quota.Streams)
	if err != nil {
		return nil, err
	}
	return NewOutput(stream.NewFileOutput(d.file, offset), giving(hold)), nil
}

func (d *descriptor) AppendViaStream(ctx context.Context) (bind.OutputStream, error) {
	if err := d.file.Writable(); err != nil {
		return nil, fsError(err)
	}
	hold, err := d.take(ctx, quota.Streams)
	if err != nil {
		return nil, err
	}
	return NewOutput(stream.NewFileAppender(d.file), giving(hold)), nil
}

func (d *descriptor) Advise(_ context.Context, offset, length uint64, advice bind.Advice) error {
	return fsError(d.file.Advise(offset, length, sandbox.Advice(advice)))
}

func (d *descriptor) SyncData(context.Context) error { return fsError(d.file.SyncData()) }
func (d *descriptor) Sync(context.Context) error     { return fsError(d.file.Sync()) }

func (d *descriptor) GetFlags(context.Context) (bind.DescriptorFlags, error) {
	var flags bind.DescriptorFlags
	set := func(on bool, f bind.DescriptorFlags) {
		if on {
			flags |= f
		}
	}
	how := d.file.Flags()
	set(how.Read, bind.DescriptorFlagsRead)
	set(how.Write, bind.DescriptorFlagsWrite)
	set(how.Sync, bind.DescriptorFlagsFileIntegritySync)
	set(how.DataSync, bind.DescriptorFlagsDataIntegritySync)
	set(d.file.IsDir() && !d.file.ReadOnly(), bind.DescriptorFlagsMutateDirectory)
	return flags, nil
}

func (d *descriptor) GetType(context.Context) (bind.DescriptorType, error) {
	if d.file.IsDir() {
		return bind.DescriptorTypeDirectory, nil
	}
	return bind.DescriptorTypeRegularFile, nil
}

func (d *descriptor) SetSize(_ context.Context, size uint64) error {
	return fsError(d.file.SetSize(size))
}

// newTime translates a new timestamp.
func newTime(t bind.NewTimestamp) (sandbox.SetTime, error) {
	switch t := t.(type) {
	case bind.NewTimestampNow:
		return sandbox.SetTime{Now: true}, nil
	case bind.NewTimestampTimestamp:
		if t.Value.Nanoseconds >= 1e9 {
			return sandbox.SetTime{}, sandbox.Invalid
		}
		if t.Value.Seconds > math.MaxInt64/uint64(time.Second) {
			return sandbox.SetTime{}, sandbox.Overflow
		}
		return sandbox.SetTime{At: time.Unix(int64(t.Value.Seconds), int64(t.Value.Nanoseconds))}, nil
	}
	return sandbox.SetTime{}, nil
}

func newTimes(atim, mtim bind.NewTimestamp) (a, m sandbox.SetTime, err error) {
	if a, err = newTime(atim); err == nil {
		m, err = newTime(mtim)
	}
	return a, m, err
}

func (d *descriptor) SetTimes(_ context.Context, atim, mtim bind.NewTimestamp) error {
	a, m, err := newTimes(atim, mtim)
	if err == nil {
		err = d.file.SetTimes(a, m)
	}
	return fsError(err)
}

func (d *descriptor) Read(_ context.Context, length, offset uint64) (bind.Tuple2[[]byte, bool], error) {
	// A guest that reads again has what it read before.
	size := int(min(length, stream.ChunkSize))
	if cap(d.buf) < size {
		d.buf = make([]byte, size)
	}
	n, err := d.file.ReadAt(d.buf[:size], offset)
	return bind.Tuple2[[]byte, bool]{F0: d.buf[:n], F1: n == 0 && length > 0}, fsError(err)
}

func (d *descriptor) Write(_ context.Context, p []byte, offset uint64) (uint64, error) {
	n, err := d.file.WriteAt(p, offset)
	return uint64(n), fsError(err)
}

func (d *descriptor) ReadDirectory(ctx context.Context) (bind.DirectoryEntryStream, error) {
	hold, err := d.take(ctx, quota.Files)
	if err != nil {
		return nil, err
	}
	r, err := d.file.ReadDir()
	if err != nil {
		hold.Give()
		return nil, fsError(err)
	}
	return entries{r, hold}, nil
}

func (d *descriptor) CreateDirectoryAt(_ context.Context, path string) error {
	return fsError(d.file.Mkdir(path))
}

func (d *descriptor) Stat(context.Context) (bind.DescriptorStat, error) {
	st, err := d.file.Stat()
	return statOf(st), fsError(err)
}

func statOf(st sandbox.Stat) bind.DescriptorStat {
	optional := func(t time.Time) *bind.Datetime {
		if t.IsZero() || t.Unix() < 0 {
			return nil
		}
		d := datetime(t)
		return &d
	}
	return bind.DescriptorStat{
		Type:                      bind.DescriptorType(st.Type),
		LinkCount:                 st.Links,
		Size:                      st.Size,
		DataAccessTimestamp:       optional(st.Access),
		DataModificationTimestamp: optional(st.Modify),
		StatusChangeTimestamp:     optional(st.Change),
	}
}

func follows(f bind.PathFlags) bool { return f&bind.PathFlagsSymlinkFollow != 0 }

func (d *descriptor) StatAt(_ context.Context, flags bind.PathFlags, path string) (bind.DescriptorStat, error) {
	st, err := d.file.StatAt(path, follows(flags))
	return statOf(st), fsError(err)
}

func (d *descriptor) SetTimesAt(_ context.Context, flags bind.PathFlags, path string, atim, mtim bind.NewTimestamp) error {
	a, m, err := newTimes(atim, mtim)
	if err == nil {
		err = d.file.SetTimesAt(path, follows(flags), a, m)
	}
	return fsError(err)
}

func (d *descriptor) LinkAt(_ context.Context, flags bind.PathFlags, path string, to bind.Descriptor, newPath string) error {
	if follows(flags) {
		return bind.FilesystemErrorCodeInvalid
	}
	return fsError(d.file.Link(path, to.(*descriptor).file, newPath))
}

func (d *descriptor) OpenAt(ctx context.Context, pathFlags bind.PathFlags, path string, open bind.OpenFlags, flags bind.DescriptorFlags) (bind.Descriptor, error) {
	hold, err := d.take(ctx, quota.Files)
	if err != nil {
		return nil, err
	}
	f, err := d.file.Open(path, sandbox.OpenFlags{
		Create:    open&bind.OpenFlagsCreate != 0,
		Exclusive: open&bind.OpenFlagsExclusive != 0,
		Truncate:  open&bind.OpenFlagsTruncate != 0,
		Directory: open&bind.OpenFlagsDirectory != 0,
		Read:      flags&bind.DescriptorFlagsRead != 0,
		Write:     flags&bind.DescriptorFlagsWrite != 0,
		Sync:      flags&(bind.DescriptorFlagsFileIntegritySync|bind.DescriptorFlagsRequestedWriteSync) != 0,
		DataSync:  flags&bind.DescriptorFlagsDataIntegritySync != 0,
		NoFollow:  !follows(pathFlags),
	})
	if err != nil {
		hold.Give()
		return nil, fsError(err)
	}
	return &descriptor{file: f, grants: d.grants, hold: hold}, nil
}

func (d *descriptor) ReadlinkAt(_ context.Context, path string) (string, error) {
	target, err := d.file.Readlink(path)
	return target, fsError(err)
}

func (d *descriptor) RemoveDirectoryAt(_ context.Context, path string) error {
	return fsError(d.file.Rmdir(path))
}

func (d *descriptor) RenameAt(_ context.Context, path string, to bind.Descriptor, newPath string) error {
	return fsError(d.file.Rename(path, to.(*descriptor).file, newPath))
}

func (d *descriptor) SymlinkAt(_ context.Context, target, path string) error {
	return fsError(d.file.Symlink(target, path))
}

func (d *descriptor) UnlinkFileAt(_ context.Context, path string) error {
	return fsError(d.file.Unlink(path))
}

func (d *descriptor) IsSameObject(_ context.Context, other bind.Descriptor) (bool, error) {
	a, err := d.file.Stat()
	if err != nil {
		return false, nil
	}
	b, err := other.(*descriptor).file.Stat()
	return err == nil && a.Same(b), nil
}

// hash says which object it is. The secret keeps the host's numbers from the
// guest; that contents changed is not part of it, since C libraries take the
// hash for an inode number.
func (d *descriptor) hash(st sandbox.Stat) bind.MetadataHashValue {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], st.Device)
	binary.LittleEndian.PutUint64(b[8:], st.Inode)
	sum := sha256.Sum256(append(d.grants.Secret[:], b[:]...))
	return bind.MetadataHashValue{
		Lower: binary.LittleEndian.Uint64(sum[:]),
		Upper: binary.LittleEndian.Uint64(sum[8:]),
	}
}

func (d *descriptor) MetadataHash(context.Context) (bind.MetadataHashValue, error) {
	st, err := d.file.Stat()
	if err != nil {
		return bind.MetadataHashValue{}, fsError(err)
	}
	return d.hash(st), nil
}

func (d *descriptor) MetadataHashAt(_ context.Context, flags bind.PathFlags, path string) (bind.MetadataHashValue, error) {
	st, err := d.file.StatAt(path, follows(flags))
	if err != nil {
		return bind.MetadataHashValue{}, fsError(err)
	}
	return d.hash(st), nil
}

// entries is the resource wasi:filesystem/types.directory-entry-stream.
type entries struct {
	r    *sandbox.DirReader
	hold *quota.Hold
}

func (e entries) ReadDirectoryEntry(context.Context) (*bind.DirectoryEntry, error) {
	entry, ok, err := e.r.Next()
	if err != nil || !ok {
		return nil, fsError(err)
	}
	return &bind.DirectoryEntry{Type: bind.DescriptorType(entry.Type), Name: entry.Name}, nil
}

func (e entries) Drop(context.Context) error {
	defer e.hold.Give()
	return e.r.Close()
}
