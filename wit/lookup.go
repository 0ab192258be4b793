package wit

import (
	"fmt"
	"io/fs"
)

// Lookup finds a package: it returns a folder of a file system whose *.wit files are
// the package, or nil if it has none. The folder may hold a later version of the same
// compatibility track than the one that is asked for. Then what is taken of it is what
// had been released by the version that is asked for, by its @since gates.
type Lookup func(name PackageName) (fsys fs.FS, folder string)

// lookUp adds the packages that groups need and do not have, as far as they are found.
func (l *loader) lookUp(groups []*group) ([]*group, error) {
	if l.opts.Lookup == nil {
		return groups, nil
	}
	known := map[PackageName]bool{} // or not to be found
	for _, g := range groups {
		for _, u := range g.all {
			known[u.name] = true
		}
	}
	for i := 0; i < len(groups); i++ {
		for _, u := range groups[i].all {
			for _, f := range u.files {
				err := f.eachPath(func(_ string, p *itemPath) error {
					if p.pkg == nil || known[*p.pkg] {
						return nil
					}
					known[*p.pkg] = true
					g, err := l.find(*p.pkg)
					if g != nil {
						groups = append(groups, g)
					}
					return err
				})
				if err != nil {
					return nil, err
				}
			}
		}
	}
	return groups, nil
}

// find looks a package up. It returns nil if there is none.
func (l *loader) find(name PackageName) (*group, error) {
	fsys, folder := l.opts.Lookup(name)
	if fsys == nil {
		return nil, nil
	}
	from := &loader{fsys: fsys, files: l.files}
	g, err := from.folder(folder)
	l.files = from.files
	if err != nil {
		return nil, fmt.Errorf("look up package %s: %w", name, err)
	}
	found := g.main.name
	if found == name {
		return g, nil
	}
	bare := found
	bare.Version = name.Version
	if bare != name || VersionTrack(found.Version) != VersionTrack(name.Version) || CompareVersions(found.Version, name.Version) < 0 {
		return nil, fmt.Errorf("look up package %s: found %s", name, found)
	}
	for _, u := range g.all {
		u.earlier = true
		if u.name.Version == found.Version {
			u.name.Version = name.Version
		}
		for _, f := range u.files {
			// What was released together depends on one another.
			err := f.eachPath(func(_ string, p *itemPath) error {
				if p.pkg != nil && p.pkg.Version == found.Version {
					earlier := *p.pkg
					earlier.Version = name.Version
					p.pkg = &earlier
				}
				return nil
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return g, nil
}
