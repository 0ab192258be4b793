package packages

import (
	"slices"

	"github.com/ashlar-wasm/ashlar/wit"
)

// keep takes over what another lock has of other roots, of which exists tells whether they
// are still there. A package that both have is the one of this lock.
func (l *Lock) keep(old *Lock, exists func(path string) bool) {
	if old == nil {
		return
	}
	have, packages := map[wit.PackageName]bool{}, old.byName()
	for _, p := range l.Packages {
		have[p.Name] = true
	}
	var add func([]LockedDependency)
	add = func(deps []LockedDependency) {
		for _, d := range deps {
			if p := packages[d.Name]; p != nil && !have[d.Name] {
				have[d.Name] = true
				l.Packages = append(l.Packages, *p)
				add(p.Dependencies)
			}
		}
	}
	for _, r := range old.Roots {
		if !slices.ContainsFunc(l.Roots, func(o LockedRoot) bool { return o.Path == r.Path }) && exists(r.Path) {
			l.Roots = append(l.Roots, r)
			add(r.Dependencies)
		}
	}
}

// direct visits what a root requires itself, or what it takes from folders does.
func (l *Lock) direct(r LockedRoot, visit func(LockedDependency)) {
	seen, packages := map[wit.PackageName]bool{}, l.byName()
	var walk func([]LockedDependency)
	walk = func(deps []LockedDependency) {
		for _, d := range deps {
			visit(d)
			if p := packages[d.Name]; p != nil && p.Path != "" && !seen[d.Name] {
				seen[d.Name] = true
				walk(p.Dependencies)
			}
		}
	}
	walk(r.Dependencies)
}

// reachable returns the packages that a root depends on.
func (l *Lock) reachable(root string) map[wit.PackageName]bool {
	seen, packages := map[wit.PackageName]bool{}, l.byName()
	var walk func([]LockedDependency)
	walk = func(deps []LockedDependency) {
		for _, d := range deps {
			if p := packages[d.Name]; p != nil && !seen[d.Name] {
				seen[d.Name] = true
				walk(p.Dependencies)
			}
		}
	}
	for _, r := range l.Roots {
		if r.Path == root {
			walk(r.Dependencies)
		}
	}
	return seen
}

// Way is how a root of a lock comes to depend on a package.
type Way struct {
	// Root is the path of the root.
	Root string
	// Packages are each required by the one before, the first by the root.
	Packages []wit.PackageName
}

// Why returns the shortest way from each root to each package that is meant.
func (l *Lock) Why(meant func(wit.PackageName) bool) []Way {
	var ways []Way
	packages := l.byName()
	for _, root := range l.Roots {
		seen := map[wit.PackageName]bool{}
		next := []Way{{Root: root.Path}}
		for len(next) > 0 {
			way := next[0]
			next = next[1:]
			deps := root.Dependencies
			if n := len(way.Packages); n > 0 {
				if meant(way.Packages[n-1]) {
					ways = append(ways, way)
				}
				deps = packages[way.Packages[n-1]].Dependencies
			}
			for _, d := range deps {
				if !seen[d.Name] {
					seen[d.Name] = true
					next = append(next, Way{way.Root, append(slices.Clip(way.Packages), d.Name)})
				}
			}
		}
	}
	return ways
}

// Local returns the packages from folders that a root depends on, sorted.
func (l *Lock) Local(root string) []LockedPackage {
	reachable := l.reachable(root)
	return slices.DeleteFunc(slices.Clone(l.Packages), func(p LockedPackage) bool { return p.Path == "" || !reachable[p.Name] })
}
