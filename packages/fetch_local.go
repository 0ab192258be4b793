package packages

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/ashlar-wasm/ashlar/wit"
)

// packagePattern finds the declaration of a package in WIT.
var packagePattern = regexp.MustCompile(`(?m)^\x{feff}?[ \t]*package[ \t]+([a-z0-9:-]+)(?:@([0-9A-Za-z.+-]+))?[ \t]*;`)

// local takes a package from a folder or file.
func (f *fetcher) local(ctx context.Context, ref Ref, from string) (name wit.PackageName, err error) {
	if !filepath.IsAbs(from) {
		from = filepath.Join(f.o.Project, from)
	}
	p := &fetchedPackage{}
	if name, p.files, err = readLocalPackage(from); err != nil {
		return name, fmt.Errorf("package %s: %w", ref, err)
	}
	if refOf(name) != ref {
		return name, fmt.Errorf("package %s: %s has package %s", ref, from, refOf(name))
	}
	if f.byName[name] != nil {
		return name, nil
	}
	if p.locked.Path, err = f.relative(from); err != nil {
		return name, fmt.Errorf("package %s: %w", ref, err)
	}
	p.locked.Name = name
	if err := f.add(name, p); err != nil {
		return name, err
	}
	p.locked.Dependencies, err = f.dependencies(ctx, &overlay{files: p.files}, true, nil)
	return name, err
}

// readLocalPackage returns what a folder or file says that it is, and its files.
func readLocalPackage(from string) (name wit.PackageName, files map[string][]byte, err error) {
	if files, err = readWITFiles(from); err != nil {
		return name, nil, err
	}
	declared := false
	for _, file := range sortedKeys(files) {
		m := packagePattern.FindStringSubmatch(blankComments(string(files[file])))
		if m == nil {
			continue
		}
		ref, err := ParseRef(m[1])
		if err != nil {
			return name, nil, fmt.Errorf("%s: %w", from, err)
		}
		if declared && refOf(name) != ref {
			return name, nil, fmt.Errorf("%s has the packages %s and %s", from, refOf(name), ref)
		}
		declared = true
		name = wit.PackageName{Namespace: ref.Namespace, Name: ref.Name, Version: m[2]}
	}
	if !declared {
		return name, nil, fmt.Errorf("%s has no package", from)
	}
	return name, files, nil
}

// ReadPackage reads the WIT package of a folder or file, without what it depends on: its
// interfaces have no types or functions.
func ReadPackage(from string) (wit.PackageName, *wit.Package, error) {
	name, files, err := readLocalPackage(from)
	if err != nil {
		return name, nil, err
	}
	p := &wit.Package{Name: name}
	for _, file := range sortedKeys(files) {
		code := blankComments(string(files[file]))
		for _, m := range interfacePattern.FindAllStringSubmatch(code, -1) {
			p.Interfaces = append(p.Interfaces, &wit.Interface{Name: m[1], Package: p})
		}
		for _, w := range worldsIn(string(files[file])) {
			p.Worlds = append(p.Worlds, &wit.World{Name: w.name, Package: p})
		}
	}
	return name, p, nil
}

var interfacePattern = regexp.MustCompile(`(?m)^\s*interface\s+%?([a-zA-Z][a-zA-Z0-9-]*)\s*\{`)

// readWITFiles returns the WIT of a folder, or of a file, by file names.
func readWITFiles(from string) (map[string][]byte, error) {
	info, err := os.Stat(from)
	if err != nil {
		return nil, err
	}
	names := []string{from}
	if info.IsDir() {
		if names, err = fs.Glob(os.DirFS(from), "*.wit"); err != nil {
			return nil, err
		}
		for i, name := range names {
			names[i] = filepath.Join(from, name)
		}
	}
	files := map[string][]byte{}
	for _, name := range names {
		b, err := readFile(name, maxLocalContent)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() && strings.HasPrefix(string(b), "\x00asm") {
			r, world, err := wit.Decode(b)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", from, err)
			}
			if world != nil {
				return nil, fmt.Errorf("%s: is a component, not a WIT package", from)
			}
			b = []byte(wit.Print(r.Main))
			name = "package.wit"
		}
		files[filepath.Base(name)] = b
	}
	if len(files) == 0 {
		return nil, errors.New("there is no WIT")
	}
	return files, nil
}

// ownPackages returns the packages of a folder deps that no fetch wrote.
func ownPackages(deps string, managed map[string]bool) (map[wit.PackageName]bool, error) {
	entries, err := os.ReadDir(deps)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	own := map[wit.PackageName]bool{}
	for _, e := range entries {
		if managed[e.Name()] {
			continue
		}
		// What can't be read is complained of where it is needed.
		if name, _, err := readLocalPackage(filepath.Join(deps, e.Name())); err == nil {
			own[name] = true
		}
	}
	return own, nil
}
