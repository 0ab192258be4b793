package packages

import (
	"errors"
	"io/fs"
	"path"
	"strings"
)

// overlay is a folder of WIT whose subfolder deps has other contents. As a file system
// it knows what package wit asks for.
type overlay struct {
	base fs.FS // nil if files are all that there is
	// files are those of the folder itself.
	files map[string][]byte
	// deps are folders below deps; managed are entries of the base's that are hidden.
	deps    map[string]map[string][]byte
	managed map[string]bool
}

func (o *overlay) Open(name string) (fs.File, error) {
	parts := strings.Split(name, "/")
	switch {
	case name == "." && o.base == nil:
		return newMemoryFolder(name, o.files), nil
	case o.base == nil && len(parts) == 1 && o.files[name] != nil:
		return newMemoryFile(name, o.files[name]), nil
	case parts[0] == depsFolder && len(parts) == 1:
		return o.openDeps()
	case parts[0] == depsFolder && o.deps[parts[1]] != nil:
		if len(parts) == 2 {
			return newMemoryFolder(name, o.deps[parts[1]]), nil
		}
		if b := o.deps[parts[1]][path.Join(parts[2:]...)]; b != nil {
			return newMemoryFile(name, b), nil
		}
	case o.base != nil && (parts[0] != depsFolder || !o.managed[parts[1]]):
		return o.base.Open(name)
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

func (o *overlay) openDeps() (fs.File, error) {
	folder := newMemoryFolder(depsFolder, nil)
	if o.base != nil {
		entries, err := fs.ReadDir(o.base, depsFolder)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			if !o.managed[e.Name()] && o.deps[e.Name()] == nil {
				folder.entries = append(folder.entries, e)
			}
		}
	}
	for _, name := range sortedKeys(o.deps) {
		if o.deps[name] != nil {
			folder.entries = append(folder.entries, &memoryInfo{name: name, mode: fs.ModeDir | 0o555})
		}
	}
	return folder, nil
}
