package wit

import (
	"bytes"
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

// ParsePath reads a WIT package from a file, text or binary, or a folder of
// the file system; see [ParseFS] for what a folder may hold.
func ParsePath(name string, opts Options) (*Resolve, error) {
	l := &loader{fsys: hostFS{}, opts: opts}
	return l.load(filepath.ToSlash(name))
}

// ParseFS reads a WIT package from a file, text or binary, or a folder of fsys.
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
	return (&loader{opts: opts}).resolve([]*group{g})
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
		case strings.HasSuffix(p, ".wit"), strings.HasSuffix(p, ".wasm"):
			g, err = l.single(p)
		default:
			continue
		}
		if err != nil {
			return nil, err
		}
		groups = append(groups, g)
	}
	return l.resolve(groups)
}

// resolve resolves the packages of all groups, with those that are looked up.
func (l *loader) resolve(groups []*group) (*Resolve, error) {
	groups, err := l.lookUp(groups)
	if err != nil {
		return nil, err
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

// single reads a file on its own: text, or a package in binary form.
func (l *loader) single(name string) (*group, error) {
	data, err := l.read(name)
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(data, []byte("\x00asm")) {
		return binaryGroup(name, data)
	}
	f, err := parseSource(&source{name, string(data)})
	if err != nil {
		return nil, err
	}
	return newGroup([]*file{f}, name)
}

func (l *loader) parse(name string) (*file, error) {
	text, err := l.read(name)
	if err != nil {
		return nil, err
	}
	return parseSource(&source{name, string(text)})
}

// binaryGroup turns a package in binary form, and what it needs of others,
// into syntax, so that it is resolved together with packages from text.
func binaryGroup(name string, data []byte) (*group, error) {
	r, world, err := Decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if world != nil {
		return nil, fmt.Errorf("%s: is a component, not a WIT package", name)
	}
	g := &group{}
	for _, p := range r.Packages {
		f, err := parseSource(&source{name + "#" + p.Name.String(), Print(p)})
		if err != nil {
			return nil, err
		}
		u := &unit{name: p.Name, span: f.header.span, docs: f.header.docs, files: []*file{f}, partial: p != r.Main}
		g.all = append(g.all, u)
		if p == r.Main {
			g.main = u
		}
	}
	return g, nil
}

// joinPartial merges two units of one package, of which at least one is
// partial. A whole one has everything.
func joinPartial(a, b *unit) *unit {
	switch {
	case !a.partial:
		return a
	case !b.partial:
		return b
	}
	ifaces := map[string]*ifaceDecl{}
	for _, d := range a.files[0].decls {
		if d.iface != nil {
			ifaces[d.iface.name.name] = d.iface
		}
	}
	joined := *a
	merged := *a.files[0]
	merged.decls = slices.Clone(merged.decls)
	joined.files = []*file{&merged}
	for _, d := range b.files[0].decls {
		if d.iface == nil {
			continue
		}
		have := ifaces[d.iface.name.name]
		if have == nil {
			merged.decls = append(merged.decls, d)
			continue
		}
		names := map[string]bool{}
		for _, it := range have.items {
			for _, n := range it.names() {
				names[n] = true
			}
		}
		for _, it := range d.iface.items {
			if n := it.names(); len(n) > 0 && !names[n[0]] {
				have.items = append(have.items, it)
			}
		}
	}
	return &joined
}

// names returns the names that an item of an interface defines.
func (it item) names() []string {
	switch {
	case it.typ != nil:
		return []string{it.typ.name.name}
	case it.fn != nil:
		return []string{it.fn.name.name}
	case it.use != nil:
		var names []string
		for _, n := range it.use.names {
			names = append(names, n.local().name)
		}
		return names
	}
	return nil
}

// read reads a file of bounded size.
func (l *loader) read(name string) ([]byte, error) {
	if l.files++; l.files > maxFiles {
		return nil, fmt.Errorf("more than %d WIT files", maxFiles)
	}
	f, err := l.fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxSourceSize+1))
}
