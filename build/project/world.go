package project

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	wasiwit "github.com/ashlar-wasm/ashlar/wasi/wit"
	"github.com/ashlar-wasm/ashlar/wit"
)

// ResolveWorld reads the world of the project. The error is a [*wit.Error] for a
// mistake in WIT, and an [*Error] if there is no such world or no folder of WIT.
func (p *Project) ResolveWorld() (*wit.World, error) {
	opts := wit.Options{Lookup: wasiwit.Lookup}
	if p.WIT == "" {
		// A package that needs the world has it found.
		r, err := wit.ParseText(File, "package ashlar:project; world project { include "+p.World+"; }", opts)
		if err != nil && strings.HasPrefix(p.World, "wasi:") && !strings.Contains(p.World, "@") {
			return nil, p.wrong("world", "%q has no version: %s@0.2.0 is what all hosts have", p.World, p.World)
		}
		if err != nil {
			return nil, p.wrong("world", "no world %s in WASI %s or before, as wasi:cli/command@0.2.0 and wasi:http/proxy@0.2.0 are", p.World, wasiwit.Version)
		}
		for _, pkg := range r.Packages {
			for _, w := range pkg.Worlds {
				if w.ID() == p.World {
					return w, nil
				}
			}
		}
		return nil, p.wrong("world", "%q is no name of a world", p.World)
	}
	folder := filepath.Join(p.Dir, filepath.FromSlash(p.WIT))
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		return nil, p.wrong("wit", "there is no %s", folder)
	}
	r, err := wit.ParsePath(folder, opts)
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
	return nil, p.wrong("world", "package %s in %s has no world %q; it has: %s", r.Main.Name, p.WIT, p.World, strings.Join(names, ", "))
}

// wrong is an error of a key.
func (p *Project) wrong(key, format string, args ...any) error {
	path := filepath.Join(p.Dir, File)
	text, _ := os.ReadFile(path) // without it the error has no line
	return &Error{path, lineOf(text, key), fmt.Errorf(key+": "+format, args...)}
}
