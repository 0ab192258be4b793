package wit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// hostFS is the file system of the operating system. Names are slash-separated
// but otherwise any path.
type hostFS struct{}

func (hostFS) Open(name string) (fs.File, error) { return os.Open(filepath.FromSlash(name)) }

// ParsePath reads a WIT package from a file or a folder of the file system;
// see [ParseFS] for what a folder may hold.
func ParsePath(name string, opts Options) (*Resolve, error) {
	l := &loader{fsys: hostFS{}, opts: opts}
	return l.load(filepath.ToSlash(name))
}

// ParseFS reads a WIT package from a file or folder of fsys.
//
// All *.wit files directly in a folder are one package, together with the
// packages nested in them. Its subfolder deps holds what it depends on, in any
// depth of dependency: each entry is a folder of *.wit files, a .wit file, or
// a package in binary form (.wasm). A dependency's own deps folder is ignored.
//
// Errors in the text are of type [*Error].
func ParseFS(fsys fs.FS, name string, opts Options) (*Resolve, error) {
	l := &loader{fsys: fsys, opts: opts}
	return l.load(name)
}

// ParseText reads a package, with packages nested in it, from text. The name
// is used in errors.
func ParseText(name, text string, opts Options) (*Resolve, error) {
	f, err := parseSource(&source{name, text})
	if err != nil {
		return nil, err
	}
	g, err := newGroup([]*file{f}, name)
	if err != nil {
		return nil, err
	}
	return newResolver(opts).resolve([]*group{g})
}

// maxFiles bounds the number of files of a package and its dependencies.
const maxFiles = 10000

type loader struct {
	fsys  fs.FS
	opts  Options
	files int
}

func (l *loader) load(name string) (*Resolve, error) {
	info, err := fs.Stat(l.fsys, name)
	if err != nil {
		return nil, err
	}
	var main *group
	deps := slices.Clone(l.opts.Deps)
	if info.IsDir() {
		if main, err = l.folder(name); err != nil {
			return nil, err
		}
		entries, err := fs.ReadDir(l.fsys, path.Join(name, "deps"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			deps = append(deps, path.Join(name, "deps", e.Name()))
		}
	} else if main, err = l.single(name); err != nil {
		return nil, err
	}
	groups := []*group{main}
	for _, p := range deps {
		// Stat follows symbolic links, which the entry of a folder does not.
		info, err := fs.Stat(l.fsys, p)
		if err != nil {
			return nil, err
		}
		var g *group
		switch {
		case info.IsDir():
			g, err = l.folder(p)
		case strings.HasSuffix(p, ".wit"):
			g, err = l.single(p)
		default:
			continue
		}
		if err != nil {
			return nil, err
		}
		groups = append(groups, g)
	}
	return newResolver(l.opts).resolve(groups)
}

func (l *loader) folder(name string) (*group, error) {
	entries, err := fs.ReadDir(l.fsys, name)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	var files []*file
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".wit") {
			continue
		}
		p := path.Join(name, e.Name())
		if info, err := fs.Stat(l.fsys, p); err != nil {
			return nil, err
		} else if info.IsDir() {
			continue
		}
		f, err := l.parse(p)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return newGroup(files, name)
}

func (l *loader) single(name string) (*group, error) {
	f, err := l.parse(name)
	if err != nil {
		return nil, err
	}
	return newGroup([]*file{f}, name)
}

func (l *loader) parse(name string) (*file, error) {
	if l.files++; l.files > maxFiles {
		return nil, fmt.Errorf("more than %d WIT files", maxFiles)
	}
	text, err := l.read(name)
	if err != nil {
		return nil, err
	}
	return parseSource(&source{name, string(text)})
}

// read reads a file of bounded size.
func (l *loader) read(name string) ([]byte, error) {
	f, err := l.fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxSourceSize+1))
}
