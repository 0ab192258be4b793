package project

import (
	"fmt"
	"path/filepath"
	"strings"

	wasiwit "github.com/ashlar-wasm/ashlar/wasi/wit"
	"github.com/ashlar-wasm/ashlar/wit"
)

// ResolveWorld reads the world of the project. The error is a [*wit.Error] for a
// mistake in WIT, and an [*Error] if there is no such world.
func (p *Project) ResolveWorld() (*wit.World, error) {
	opts := wit.Options{Lookup: wasiwit.Lookup}
	if p.WIT == "" {
		// A package that needs the world has it found.
		r, err := wit.ParseText(File, "package ashlar:project; world project { include "+p.World+"; }", opts)
		if err != nil {
			return nil, p.wrong("no world %s in WASI %s or before", p.World, wasiwit.Version)
		}
		for _, pkg := range r.Packages {
			for _, w := range pkg.Worlds {
				if w.ID() == p.World {
					return w, nil
				}
			}
		}
		return nil, p.wrong("%q is no name of a world", p.World)
	}
	r, err := wit.ParsePath(filepath.Join(p.Dir, filepath.FromSlash(p.WIT)), opts)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, w := range r.Main.Worlds {
		if w.Name == p.World || w.ID() == p.World {
			return w, nil
		}
		names = append(names, w.Name)
	}
	return nil, p.wrong("package %s in %s has no world %q; it has: %s", r.Main.Name, p.WIT, p.World, strings.Join(names, ", "))
}

// wrong is an error of the key world.
func (p *Project) wrong(format string, args ...any) error {
	return &Error{Path: filepath.Join(p.Dir, File), Err: fmt.Errorf("world: "+format, args...)}
}
