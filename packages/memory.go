package packages

import (
	"bytes"
	"io"
	"io/fs"
	"path"
	"time"
)

// memoryInfo is a file or folder in memory.
type memoryInfo struct {
	name string
	size int64
	mode fs.FileMode
}

func (i *memoryInfo) Name() string               { return i.name }
func (i *memoryInfo) Size() int64                { return i.size }
func (i *memoryInfo) Mode() fs.FileMode          { return i.mode }
func (i *memoryInfo) Type() fs.FileMode          { return i.mode.Type() }
func (i *memoryInfo) ModTime() time.Time         { return time.Time{} }
func (i *memoryInfo) IsDir() bool                { return i.mode.IsDir() }
func (i *memoryInfo) Sys() any                   { return nil }
func (i *memoryInfo) Info() (fs.FileInfo, error) { return i, nil }

// memoryFile is an open file in memory.
type memoryFile struct {
	*bytes.Reader
	memoryInfo
}

func newMemoryFile(name string, b []byte) *memoryFile {
	return &memoryFile{bytes.NewReader(b), memoryInfo{path.Base(name), int64(len(b)), 0o444}}
}

func (f *memoryFile) Size() int64                { return f.memoryInfo.size }
func (f *memoryFile) Stat() (fs.FileInfo, error) { return &f.memoryInfo, nil }
func (f *memoryFile) Close() error               { return nil }

// memoryFolder is an open folder in memory.
type memoryFolder struct {
	memoryInfo
	entries []fs.DirEntry
}

func newMemoryFolder(name string, files map[string][]byte) *memoryFolder {
	f := &memoryFolder{memoryInfo: memoryInfo{name: path.Base(name), mode: fs.ModeDir | 0o555}}
	for _, file := range sortedKeys(files) {
		f.entries = append(f.entries, &memoryInfo{file, int64(len(files[file])), 0o444})
	}
	return f
}

func (f *memoryFolder) Stat() (fs.FileInfo, error) { return &f.memoryInfo, nil }
func (f *memoryFolder) Close() error               { return nil }

func (f *memoryFolder) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: f.name, Err: fs.ErrInvalid}
}

// ReadDir returns the next n entries, or all if n is not positive.
func (f *memoryFolder) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 || n > len(f.entries) {
		if n > 0 && len(f.entries) == 0 {
			return nil, io.EOF
		}
		n = len(f.entries)
	}
	out := f.entries[:n]
	f.entries = f.entries[n:]
	return out, nil
}
