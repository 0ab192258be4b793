package packages

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ashlar-wasm/ashlar/wit"
)

// CheckLocks compares the locks with those that the resolver has. The error is a
// *[DriftError]. A lock that is not there is not compared.
func (f *Fetched) CheckLocks(r *Resolver) error {
	var changes []string
	if r.Lock != nil {
		changes = append(changes, differences(LockFile, string(r.Lock.Encode()), string(f.Lock.Encode()))...)
	}
	if r.Wkg != nil && len(r.Wkg.Packages) > 0 {
		changes = append(changes, differences(WkgLockFile, string(r.Wkg.Encode()), string(f.Wkg.Encode()))...)
	}
	if len(changes) > 0 {
		return &DriftError{changes}
	}
	return nil
}

// differences lists the parts of a lock that only one of two has.
func differences(file, old, now string) []string {
	if old == now {
		return nil
	}
	parts := func(s string) []string { return strings.Split(s, "\n\n") }
	var all []string
	for _, d := range []struct {
		what     string
		in, from []string
	}{{"no longer", parts(old), parts(now)}, {"now", parts(now), parts(old)}} {
		for _, p := range d.in {
			if !slices.Contains(d.from, p) {
				all = append(all, fmt.Sprintf("%s: %s %s", file, d.what, strings.Join(strings.Fields(p), " ")))
			}
		}
	}
	if len(all) == 0 {
		all = append(all, file+": is in another order")
	}
	return all
}

// Write writes the locks into the folder of the project, if they change and are to be
// written, and the subfolder deps. What earlier fetches wrote there and is no longer needed
// is removed, and nothing else. The locks are written before what is new in deps, which
// would count as written by hand if they did not have it; if that fails, both are without it.
func (f *Fetched) Write(project string, locks bool) error {
	deps := filepath.Join(f.dir, depsFolder)
	for _, name := range sortedKeys(f.managed) {
		if f.deps[name] == nil {
			if err := os.RemoveAll(filepath.Join(deps, name)); err != nil {
				return err
			}
		}
	}
	restore := func() error { return nil }
	if locks {
		var err error
		if restore, err = f.writeLocks(project); err != nil {
			return errors.Join(err, restore())
		}
	}
	err := f.writeDeps(deps)
	if err != nil {
		for _, name := range sortedKeys(f.added) {
			_ = os.RemoveAll(filepath.Join(deps, name))
		}
		err = errors.Join(err, restore())
	}
	return err
}

// writeLocks returns what writes the locks as they were.
func (f *Fetched) writeLocks(project string) (restore func() error, err error) {
	wkg, lock := filepath.Join(project, WkgLockFile), filepath.Join(project, LockFile)
	before := map[string][]byte{}
	restore = func() (err error) {
		for _, file := range sortedKeys(before) {
			if before[file] == nil {
				err = errors.Join(err, os.Remove(file))
			} else {
				err = errors.Join(err, writeChanged(file, before[file]))
			}
		}
		return err
	}
	for _, l := range []struct {
		file    string
		content []byte
	}{{wkg, f.Wkg.Encode()}, {lock, f.Lock.Encode()}} {
		old, err := readFile(l.file, maxLock)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return restore, err
		}
		if err := writeChanged(l.file, l.content); err != nil {
			return restore, err
		}
		before[l.file] = old
	}
	return restore, nil
}

// writeDeps writes what is needed.
func (f *Fetched) writeDeps(deps string) error {
	for _, name := range sortedKeys(f.deps) {
		folder := filepath.Join(deps, name)
		info, err := os.Lstat(folder)
		if err == nil && !info.IsDir() {
			// What a link leads to is somebody's.
			if err := os.Remove(folder); err != nil {
				return err
			}
		}
		if err != nil {
			if f.added == nil {
				f.added = map[string]bool{}
			}
			f.added[name] = true
		}
		if err := os.MkdirAll(folder, 0o777); err != nil {
			return err
		}
		old, err := os.ReadDir(folder)
		if err != nil {
			return err
		}
		for _, e := range old {
			if f.deps[name][e.Name()] == nil && strings.HasSuffix(e.Name(), ".wit") {
				if err := os.Remove(filepath.Join(folder, e.Name())); err != nil {
					return err
				}
			}
		}
		for _, file := range sortedKeys(f.deps[name]) {
			if err := writeChanged(filepath.Join(folder, file), f.deps[name][file]); err != nil {
				return err
			}
		}
	}
	return nil
}

// Added returns the packages of the lock that [Fetched.Write] wrote and that were not
// there before.
func (f *Fetched) Added() []LockedPackage {
	return slices.DeleteFunc(slices.Clone(f.Lock.Packages), func(p LockedPackage) bool { return !f.added[folderName(p.Name)] })
}

// Local returns the packages from folders that the folder depends on.
func (f *Fetched) Local() []LockedPackage { return f.Lock.Local(f.root) }

// CheckDirect compares what a folder of WIT refers to with what a lock has for it, without
// looking at contents. What is in deps by hand, and what is built in, counts for nothing.
// The error is a *[DriftError].
func CheckDirect(o FetchOptions) error {
	f, root, err := newFetcher(o)
	if err != nil {
		return err
	}
	names, err := references(root)
	if err != nil {
		return f.in(err)
	}
	locked, file := map[wit.PackageName]bool{}, LockFile
	switch lock, wkg := o.Resolver.Lock, o.Resolver.Wkg; {
	case lock != nil:
		for _, r := range lock.Roots {
			for _, d := range r.Dependencies {
				locked[d.Name] = locked[d.Name] || r.Path == f.root
			}
		}
	case wkg != nil:
		// It does not say which folder of WIT requires what.
		file = WkgLockFile
		for _, p := range wkg.Packages {
			for _, v := range p.Versions {
				locked[wit.PackageName{Namespace: p.Name.Namespace, Name: p.Name.Name, Version: v.Version.String()}] = true
			}
		}
	}
	var changes []string
	for _, name := range names {
		if f.fromRegistry(name) && !locked[name] {
			changes = append(changes, fmt.Sprintf("%s: %s refers to %s, which is not there", file, f.root, name))
		}
		delete(locked, name)
	}
	for name, own := range locked {
		// What is from a folder may have another version than the reference.
		if own && o.Resolver.Lock != nil && o.Resolver.Lock.Package(name).Registry != "" {
			changes = append(changes, fmt.Sprintf("%s: %s does not refer to %s any more", LockFile, f.root, name))
		}
	}
	if len(changes) > 0 {
		slices.Sort(changes)
		return &DriftError{changes}
	}
	return nil
}
