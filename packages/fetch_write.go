package packages

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// WriteLocks writes the locks, if they change, into the folder of the project.
func (f *Fetched) WriteLocks(project string) error {
	if err := f.Wkg.Write(filepath.Join(project, WkgLockFile)); err != nil {
		return err
	}
	return f.Lock.Write(filepath.Join(project, LockFile))
}

// WriteDeps writes the subfolder deps. What earlier fetches wrote and is no longer
// needed is removed, and nothing else.
func (f *Fetched) WriteDeps() error {
	deps := filepath.Join(f.dir, depsFolder)
	for _, name := range sortedKeys(f.managed) {
		if f.deps[name] == nil {
			if err := os.RemoveAll(filepath.Join(deps, name)); err != nil {
				return err
			}
		}
	}
	for _, name := range sortedKeys(f.deps) {
		folder := filepath.Join(deps, name)
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
