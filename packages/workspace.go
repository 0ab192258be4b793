package packages

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ashlar-wasm/ashlar/wit"
)

// Member is a package of a workspace: a folder of WIT.
type Member struct {
	// Dir is the folder, relative to the root of the workspace.
	Dir string
	// Name is what the package is called there.
	Name wit.PackageName
	// ManifestFile is the manifest for the folder, which need not be there: in the folder,
	// or else in the one that it is in; relative to the root.
	ManifestFile string
	// Manifest is that of the folder, or of the one that it is in, with paths relative to
	// the root, and metadata of the workspace where it has none.
	Manifest *Manifest
	// Needs are other members that it refers to.
	Needs []wit.PackageName
}

// CycleError is the error for packages that need one another.
type CycleError struct {
	// Packages are each needed by the one before; the first is the last one too.
	Packages []wit.PackageName
}

func (e *CycleError) Error() string {
	names := make([]string, len(e.Packages))
	for i, p := range e.Packages {
		names[i] = p.String()
	}
	return "packages need one another: " + strings.Join(names, " needs ")
}

// MembersIn returns the members of a workspace whose root is a folder, each behind those
// that it needs, and by name where that leaves a choice. Patterns are those of path.Match,
// and ** stands for any number of folders. A folder that a pattern matches is a member
// if there is WIT in it; one that is named has to have some. The error may be a
// *[CycleError].
func (w *Workspace) MembersIn(root string) ([]Member, error) {
	dirs, err := w.folders(root)
	if err != nil {
		return nil, err
	}
	byName := map[wit.PackageName]*Member{}
	references := map[wit.PackageName][]wit.PackageName{}
	for _, dir := range dirs {
		m, refs, err := readMember(root, dir, w)
		if err != nil {
			return nil, fmt.Errorf("workspace member %s: %w", dir, err)
		}
		if other := byName[m.Name]; other != nil {
			return nil, fmt.Errorf("workspace members %s and %s are both %s", other.Dir, dir, m.Name)
		}
		byName[m.Name], references[m.Name] = m, refs
	}
	var out []Member
	const visiting, done = 1, 2
	state := map[wit.PackageName]int{}
	var stack []wit.PackageName
	var visit func(m *Member) error
	visit = func(m *Member) error {
		stack = append(stack, m.Name)
		defer func() { stack = stack[:len(stack)-1] }()
		switch state[m.Name] {
		case done:
			return nil
		case visiting:
			return &CycleError{slices.Clone(stack[slices.Index(stack, m.Name):])}
		}
		state[m.Name] = visiting
		for _, name := range references[m.Name] {
			if other := byName[name]; other != nil {
				m.Needs = append(m.Needs, name)
				if err := visit(other); err != nil {
					return err
				}
			}
		}
		state[m.Name] = done
		out = append(out, *m)
		return nil
	}
	names := []wit.PackageName{}
	for name := range byName {
		names = append(names, name)
	}
	slices.SortFunc(names, comparePackages)
	for _, name := range names {
		if err := visit(byName[name]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Has reports whether a folder, relative to the root with '/', is one that a pattern of
// the workspace matches.
func (w *Workspace) Has(dir string) bool {
	return slices.ContainsFunc(w.Members, func(pattern string) bool {
		clean := path.Clean(filepath.ToSlash(pattern))
		return clean == dir || strings.Count(clean, "**") <= maxDoubleStars && matchSegments(strings.Split(clean, "/"), strings.Split(dir, "/"))
	})
}

// maxFolders bounds how many folders a pattern with ** may look at.
const maxFolders = 100_000

// maxDoubleStars bounds the work of matching a pattern.
const maxDoubleStars = 4

// folders returns the folders of members, relative to the root, sorted.
func (w *Workspace) folders(root string) ([]string, error) {
	var dirs []string
	for _, pattern := range w.Members {
		clean := path.Clean(filepath.ToSlash(pattern))
		if pattern == "" || path.IsAbs(clean) || filepath.IsAbs(pattern) {
			return nil, fmt.Errorf("workspace member %q: expected a path relative to the workspace", pattern)
		}
		found, err := []string{clean}, error(nil)
		if strings.ContainsAny(clean, "*?[") {
			found, err = matchFolders(root, clean)
		}
		if err != nil {
			return nil, fmt.Errorf("workspace member %q: %w", pattern, err)
		}
		dirs = append(dirs, found...)
	}
	slices.Sort(dirs)
	if dirs = slices.Compact(dirs); len(dirs) == 0 {
		return nil, errors.New("the workspace has no members")
	}
	if len(dirs) > maxPackages {
		return nil, fmt.Errorf("the workspace has more than %d members", maxPackages)
	}
	return dirs, nil
}

// matchFolders returns the folders with WIT that a pattern matches.
func matchFolders(root, pattern string) ([]string, error) {
	if pattern == ".." || strings.HasPrefix(pattern, "../") {
		return nil, errors.New("a pattern can't leave the workspace")
	}
	if _, err := path.Match(pattern, ""); err != nil {
		return nil, err
	}
	if strings.Count(pattern, "**") > maxDoubleStars {
		return nil, fmt.Errorf("a pattern has ** %d times at most", maxDoubleStars)
	}
	var dirs []string
	count := 0
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, e fs.DirEntry, err error) error {
		if count++; count > maxFolders {
			return fmt.Errorf("there are more than %d files to look at", maxFolders)
		}
		switch {
		case err != nil:
			return err
		case !e.IsDir():
			return nil
		case name != "." && !matchesPrefix(strings.Split(pattern, "/"), strings.Split(name, "/")):
			return fs.SkipDir
		case !matchSegments(strings.Split(pattern, "/"), strings.Split(name, "/")):
			return nil
		}
		files, err := fs.Glob(os.DirFS(filepath.Join(root, name)), "*.wit")
		if len(files) > 0 {
			dirs = append(dirs, name)
		}
		return err
	})
	return dirs, err
}

// matchSegments matches a path with a pattern that may have **. A folder deps is never
// found by that: what is in it is no member.
func matchSegments(pattern, name []string) bool {
	if len(pattern) == 0 {
		return len(name) == 0
	}
	if pattern[0] == "**" {
		return matchSegments(pattern[1:], name) || len(name) > 0 && name[0] != depsFolder && matchSegments(pattern, name[1:])
	}
	if len(name) == 0 {
		return false
	}
	ok, _ := path.Match(pattern[0], name[0])
	return ok && matchSegments(pattern[1:], name[1:])
}

// matchesPrefix reports whether something below a folder may match.
func matchesPrefix(pattern, name []string) bool {
	for i, n := range name {
		if i >= len(pattern) {
			return false
		}
		if pattern[i] == "**" {
			return true
		}
		if ok, _ := path.Match(pattern[i], n); !ok {
			return false
		}
	}
	return true
}

// readMember reads a folder of WIT, and what it refers to.
func readMember(root, dir string, w *Workspace) (*Member, []wit.PackageName, error) {
	from := filepath.Join(root, filepath.FromSlash(dir))
	name, files, err := readLocalPackage(from)
	if err != nil {
		return nil, nil, err
	}
	refs, err := references(&overlay{files: files})
	if err != nil {
		return nil, nil, err
	}
	m := &Member{Dir: dir, Name: name, Manifest: &Manifest{}}
	for _, folder := range []string{dir, path.Dir(dir)} {
		if folder == "." || strings.HasSuffix(folder, "..") {
			continue // the root's is that of the workspace
		}
		m.ManifestFile = path.Join(folder, ManifestFile)
		file := filepath.Join(root, filepath.FromSlash(folder), ManifestFile)
		if _, err := os.Stat(file); err != nil {
			continue
		}
		if m.Manifest, err = ReadManifest(file); err != nil {
			return nil, nil, err
		}
		for ref, o := range m.Manifest.Overrides {
			if o.Path != "" && !filepath.IsAbs(o.Path) {
				o.Path = path.Join(folder, filepath.ToSlash(o.Path))
				m.Manifest.Overrides[ref] = o
			}
		}
		break
	}
	if m.Manifest.Metadata == nil {
		m.Manifest.Metadata = w.Metadata
	}
	return m, refs, nil
}
