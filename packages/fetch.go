package packages

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ashlar-wasm/ashlar/wit"
)

// FetchOptions are for [Fetch].
type FetchOptions struct {
	// Project is the folder of the manifest and the locks.
	Project string
	// Dir is the folder of WIT, absolute or relative to Project.
	Dir string
	// Manifest may redirect packages; nil redirects none.
	Manifest *Manifest
	// Members are packages that are in folders, absolute or relative to Project: those
	// of the workspace that the folder is in.
	Members map[wit.PackageName]string
	// Resolver chooses versions. Its locks are what is compared with.
	Resolver *Resolver
	// Builtin finds packages that need no registry; nil means that there are none.
	Builtin wit.Lookup
}

// Fetched is a folder of WIT with all that it depends on.
type Fetched struct {
	// Resolve has all packages. Its main one is that of the folder.
	Resolve *wit.Resolve
	// Wkg and Lock are the locks.
	Wkg  *WkgLock
	Lock *Lock

	// dir is the folder, and root what the locks call it.
	dir, root string
	// added are folders below deps that were not there.
	added map[string]bool
	// deps are the files to write, by folder below deps and name.
	deps map[string]map[string][]byte
	// managed are the entries of deps that earlier fetches may have written.
	managed map[string]bool
}

// Bounds of what a package may depend on.
const (
	maxPackages     = 1000
	maxLocalContent = 16 << 20
)

const depsFolder = "deps"

// Fetch finds the packages that a folder of WIT needs, and what these need: in
// folders, where the manifest says so; among those that are built in; in registries.
// A reference needs the version that it names, and several versions of one package may
// be needed. One without a version can only be to a package that is not from a
// registry; the error says what is there.
//
// What is in the subfolder deps, but was not written by an earlier fetch as the locks
// tell, is taken as it is: its packages are neither fetched nor locked.
//
// A package from a registry that needs one which no registry has, takes with it what
// its content has of that.
func Fetch(ctx context.Context, o FetchOptions) (*Fetched, error) {
	f, root, err := newFetcher(o)
	if err != nil {
		return nil, err
	}
	deps, err := f.dependencies(ctx, root, true, nil)
	if err != nil {
		return nil, err
	}
	f.out.Lock.Roots = []LockedRoot{{f.root, deps}}
	for name, p := range f.byName {
		f.out.deps[folderName(name)] = p.files
	}
	root.deps = f.out.deps
	f.out.Resolve, err = wit.ParseFS(root, ".", wit.Options{AllFeatures: true, Lookup: o.Builtin})
	if err != nil {
		return nil, f.in(err)
	}
	if err := f.addBuiltin(); err != nil {
		return nil, err
	}
	for _, p := range f.byName {
		f.out.Lock.Packages = append(f.out.Lock.Packages, p.locked)
	}
	f.out.Lock.keep(o.Resolver.Lock, func(path string) bool {
		_, err := os.Stat(filepath.Join(o.Project, filepath.FromSlash(path)))
		return err == nil
	})
	f.out.Wkg.keep(o.Resolver.Wkg, f.out.Lock, f.root)
	f.out.Lock.sort()
	if err := f.out.Lock.check(); err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	return f.out, nil
}

// Missing returns the packages that a folder of WIT needs and that are neither in its
// subfolder deps nor built in. It returns none for a folder with mistakes that have
// nothing to do with that.
func Missing(dir string, builtin wit.Lookup) ([]wit.PackageName, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("folder of WIT: %w", err)
	}
	names := map[wit.PackageName]bool{}
	_, _ = wit.ParseFS(os.DirFS(dir), ".", wit.Options{AllFeatures: true, Lookup: func(name wit.PackageName) (fs.FS, string) {
		if builtin != nil {
			if fsys, folder := builtin(name); fsys != nil {
				return fsys, folder
			}
		}
		names[name] = true
		return nil, ""
	}})
	return slices.SortedFunc(maps.Keys(names), comparePackages), nil
}

// newFetcher returns what fetches for a folder, and the folder without what earlier
// fetches wrote.
func newFetcher(o FetchOptions) (*fetcher, *overlay, error) {
	dir := o.Dir
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(o.Project, dir)
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, nil, fmt.Errorf("folder of WIT: %w", err)
	}
	f := &fetcher{
		o: o, byName: map[wit.PackageName]*fetchedPackage{},
		out: &Fetched{Wkg: &WkgLock{}, Lock: &Lock{}, dir: dir, deps: map[string]map[string][]byte{}},
	}
	var err error
	if f.root, err = f.relative(dir); err != nil {
		return nil, nil, err
	}
	f.out.root = f.root
	f.out.managed = managedEntries(o.Resolver, f.root)
	if f.own, err = ownPackages(filepath.Join(dir, depsFolder), f.out.managed); err != nil {
		return nil, nil, err
	}
	return f, &overlay{base: os.DirFS(dir), managed: f.out.managed}, nil
}

// fromRegistry reports whether a package is to be taken from a registry.
func (f *fetcher) fromRegistry(name wit.PackageName) bool {
	return !f.own[name] && f.o.Members[name] == "" && !f.builtin(name) && (f.o.Manifest == nil || f.o.Manifest.Overrides[refOf(name)].Path == "")
}

// addBuiltin adds what is built in and needed. It is written with the rest, since
// others who read the folder may not have it.
func (f *fetcher) addBuiltin() error {
	for _, p := range f.out.Resolve.Packages {
		found := f.byName[p.Name]
		if p == f.out.Resolve.Main || found != nil && !found.locked.Builtin || found == nil && !f.builtin(p.Name) || f.own[p.Name] || f.handmade(p.Name) {
			continue
		}
		files := map[string][]byte{"package.wit": []byte(wit.Print(p))}
		names, err := references(&overlay{files: files})
		if err != nil {
			return err
		}
		locked := LockedPackage{Name: p.Name, Builtin: true}
		for _, name := range names {
			v, err := ParseVersion(name.Version)
			if err != nil {
				return fmt.Errorf("package %s: %w", name, err)
			}
			locked.Dependencies = append(locked.Dependencies, LockedDependency{Exactly(v), name})
		}
		f.byName[p.Name] = &fetchedPackage{locked: locked, files: files}
		f.out.deps[folderName(p.Name)] = files
	}
	return nil
}

// handmade reports whether the folder has a package that no fetch wrote, at the place
// where one would.
func (f *fetcher) handmade(name wit.PackageName) bool {
	_, err := os.Lstat(filepath.Join(f.out.dir, depsFolder, folderName(name)))
	return err == nil && !f.out.managed[folderName(name)]
}

// VersionError is the error for a reference to a package that can't be to the version
// that was found for it, since WIT knows packages by their exact version.
type VersionError struct{ Reference, Found wit.PackageName }

func (e *VersionError) Error() string {
	return fmt.Sprintf("WIT refers to %s, and what was found is %s; write that", e.Reference, e.Found)
}

type fetcher struct {
	o FetchOptions
	// root is what the locks call the folder.
	root   string
	out    *Fetched
	byName map[wit.PackageName]*fetchedPackage
	// own are packages of the folder that no fetch wrote.
	own   map[wit.PackageName]bool
	count int
}

type fetchedPackage struct {
	locked LockedPackage
	files  map[string][]byte
	// main is the package, if it is from a registry.
	main *wit.Package
	// embedded is what the contents of dependents have of it, if no registry has it; and
	// from the first of these.
	embedded *wit.Package
	from     wit.PackageName
}

// MixedError is the error for a package of which two others were made with different
// contents, or one with another than there is.
type MixedError struct {
	Package wit.PackageName
	// Dependents are those that were made with it. The second is empty if it is compared
	// with what its registry has.
	Dependents [2]wit.PackageName
	// Difference says what is not the same.
	Difference string
}

func (e *MixedError) Error() string {
	if e.Dependents[1] == (wit.PackageName{}) {
		return fmt.Sprintf("%s was made with another %s than its registry has: %s", e.Dependents[0], e.Package, e.Difference)
	}
	return fmt.Sprintf("%s and %s were made with different packages %s: %s", e.Dependents[0], e.Dependents[1], e.Package, e.Difference)
}

func (f *fetcher) builtin(name wit.PackageName) bool {
	if f.o.Builtin == nil {
		return false
	}
	fsys, _ := f.o.Builtin(name)
	return fsys != nil
}

// in says of an error where it is: positions are relative to the folder.
func (f *fetcher) in(err error) error {
	return fmt.Errorf("%s: %w", filepath.ToSlash(f.o.Dir), err)
}

// relative is a path as locks have it.
func (f *fetcher) relative(target string) (string, error) {
	base, err := filepath.Abs(f.o.Project)
	if err != nil {
		return "", err
	}
	if target, err = filepath.Abs(target); err != nil {
		return "", err
	}
	rel, err := filepath.Rel(base, target)
	if err != nil {
		return "", err
	}
	return parseLockPath(filepath.ToSlash(rel))
}

// dependencies finds what the package in a file system refers to, and all that these
// refer to. direct says that wkg.lock is to have it. content has what the content of the
// package has of others.
func (f *fetcher) dependencies(ctx context.Context, fsys fs.FS, direct bool, content *wit.Resolve) ([]LockedDependency, error) {
	names, err := references(fsys)
	if err != nil {
		return nil, err
	}
	var deps []LockedDependency
	for _, name := range names {
		d, err := f.dependency(ctx, name, direct, content)
		if err != nil {
			return nil, err
		}
		if d != nil && !slices.ContainsFunc(deps, func(o LockedDependency) bool { return o.Name == d.Name && o.Requirement.Equal(d.Requirement) }) {
			deps = append(deps, *d)
		}
	}
	sortDependencies(deps)
	return deps, nil
}

// references returns the packages that the one in a file system refers to, and that
// are not in it, sorted.
func references(fsys fs.FS) ([]wit.PackageName, error) {
	names := map[wit.PackageName]bool{}
	_, err := wit.ParseFS(fsys, ".", wit.Options{AllFeatures: true, Lookup: func(name wit.PackageName) (fs.FS, string) {
		names[name] = true
		return nil, ""
	}})
	if err != nil && len(names) == 0 {
		return nil, err
	}
	return slices.SortedFunc(maps.Keys(names), comparePackages), nil
}

// dependency finds a package that is referred to. It is nil for what is not locked.
func (f *fetcher) dependency(ctx context.Context, name wit.PackageName, direct bool, content *wit.Resolve) (*LockedDependency, error) {
	if f.own[name] {
		return nil, nil
	}
	ref, req := Ref{name.Namespace, name.Name}, AnyVersion
	if name.Version != "" {
		v, err := ParseVersion(name.Version)
		if err != nil {
			return nil, fmt.Errorf("package %s: %w", name, err)
		}
		req = Exactly(v)
	}
	var override Override
	if f.o.Manifest != nil {
		override = f.o.Manifest.Overrides[ref]
	}
	if override.Version != nil {
		req = *override.Version
	}
	var err error
	dep := &LockedDependency{Requirement: req}
	switch {
	case override.Path != "":
		dep.Name, err = f.local(ctx, ref, override.Path)
	case f.o.Members[name] != "":
		dep.Name, err = f.local(ctx, ref, f.o.Members[name])
	case f.builtin(name):
		dep.Name = name
		f.keepWkg(ref, req)
		if f.byName[name] == nil {
			f.byName[name] = &fetchedPackage{locked: LockedPackage{Name: name, Builtin: true}}
		}
	default:
		dep.Name, err = f.registry(ctx, ref, req, direct)
		if err == nil && dep.Name != name {
			err = &VersionError{name, dep.Name}
		}
		switch part := embeddedIn(content, name); {
		case part == nil:
		case isMissing(err):
			dep.Name, err = name, f.embed(ctx, content, part)
		case err == nil:
			if changes := wit.BreakingChanges(part, f.byName[name].main); len(changes) > 0 {
				err = &MixedError{name, [2]wit.PackageName{content.Main.Name}, changes[0].String()}
			}
		}
	}
	return dep, err
}

// embeddedIn returns what the content of a package has of another one, or nil.
func embeddedIn(content *wit.Resolve, name wit.PackageName) *wit.Package {
	if content == nil {
		return nil
	}
	for _, p := range content.Packages {
		if p.Name == name && p != content.Main {
			return p
		}
	}
	return nil
}

// embed takes a part of a package from the content of another one.
func (f *fetcher) embed(ctx context.Context, content *wit.Resolve, part *wit.Package) error {
	p := f.byName[part.Name]
	switch {
	case p == nil:
		p = &fetchedPackage{from: content.Main.Name, locked: LockedPackage{Name: part.Name, Embedded: true}}
		if err := f.add(part.Name, p); err != nil {
			return err
		}
	case p.embedded == nil:
		return nil // it was found meanwhile
	default:
		merged, err := wit.MergePackages(p.embedded, part)
		if err != nil {
			return &MixedError{part.Name, [2]wit.PackageName{p.from, content.Main.Name}, err.Error()}
		}
		part = merged
	}
	p.embedded = part
	text := []byte(wit.Print(part))
	if bytes.Equal(text, p.files["package.wit"]) {
		return nil
	}
	p.files = map[string][]byte{"package.wit": text}
	deps, err := f.dependencies(ctx, &overlay{files: p.files}, false, content)
	for _, d := range deps {
		if !slices.ContainsFunc(p.locked.Dependencies, func(o LockedDependency) bool { return o.Name == d.Name }) {
			p.locked.Dependencies = append(p.locked.Dependencies, d)
		}
	}
	return err
}

// keepWkg keeps what wkg.lock has of what is built in, which wkg takes from a registry.
func (f *fetcher) keepWkg(ref Ref, req Requirement) {
	if f.o.Resolver.Wkg == nil {
		return
	}
	for _, p := range f.o.Resolver.Wkg.Packages {
		for _, v := range p.Versions {
			if p.Name == ref && v.Requirement.Equal(req) {
				f.out.Wkg.Add(ref, p.Registry, v)
			}
		}
	}
}

func (f *fetcher) add(name wit.PackageName, p *fetchedPackage) error {
	if f.count++; f.count > maxPackages {
		return fmt.Errorf("more than %d packages are needed", maxPackages)
	}
	if f.handmade(name) {
		return fmt.Errorf("package %s: %s/%s is there already and has something else", name, depsFolder, folderName(name))
	}
	f.byName[name] = p
	return nil
}

// registry takes a package from a registry.
func (f *fetcher) registry(ctx context.Context, ref Ref, req Requirement, direct bool) (wit.PackageName, error) {
	r, err := f.o.Resolver.Resolve(ctx, ref, req)
	if err != nil {
		return wit.PackageName{}, err
	}
	name := wit.PackageName{Namespace: ref.Namespace, Name: ref.Name, Version: r.Version.String()}
	if direct {
		f.out.Wkg.Add(ref, r.Registry, WkgVersion{req, r.Version, r.Digest})
	}
	if p := f.byName[name]; p != nil && p.embedded == nil {
		return name, nil
	}
	content, err := r.Content(ctx)
	if err != nil {
		return name, err
	}
	decoded, world, err := wit.Decode(content)
	if err != nil {
		return name, fmt.Errorf("%s: %w", name, err)
	}
	if world != nil {
		return name, fmt.Errorf("%s: is a component, not a WIT package", name)
	}
	if decoded.Main.Name != name {
		return name, fmt.Errorf("%s: its content is package %s", name, decoded.Main.Name)
	}
	p := &fetchedPackage{
		locked: LockedPackage{Name: name, Registry: r.Registry, Digest: r.Digest, Manifest: r.Manifest, Signer: r.Signer},
		files:  map[string][]byte{"package.wit": []byte(wit.Print(decoded.Main))},
		main:   decoded.Main,
	}
	if err := f.add(name, p); err != nil {
		return name, err
	}
	p.locked.Dependencies, err = f.dependencies(ctx, &overlay{files: p.files}, false, decoded)
	return name, err
}

// folderName is the name of the folder below deps for a package, as wkg has it.
func folderName(name wit.PackageName) string {
	return strings.NewReplacer(":", "-", "@", "-").Replace(name.String())
}

// managedEntries are the entries of deps that may be of a fetch for a root with these
// locks: what ashlar.lock has for the root, and what only wkg.lock has.
func managedEntries(r *Resolver, root string) map[string]bool {
	names := map[string]bool{}
	add := func(name wit.PackageName) {
		names[folderName(name)] = true
		names[folderName(name)+".wasm"] = true
	}
	if r.Wkg != nil {
		for _, p := range r.Wkg.Packages {
			for _, v := range p.Versions {
				name := wit.PackageName{Namespace: p.Name.Namespace, Name: p.Name.Name, Version: v.Version.String()}
				if r.Lock == nil || r.Lock.Package(name) == nil {
					add(name)
				}
			}
		}
	}
	if r.Lock != nil {
		for name := range r.Lock.reachable(root) {
			add(name)
		}
	}
	return names
}
