package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/ashlar-wasm/ashlar/build/project"
	"github.com/ashlar-wasm/ashlar/packages"
	wasiwit "github.com/ashlar-wasm/ashlar/wasi/wit"
)

// fetchMissing fetches what the WIT of a project uses and its deps do not have, and says
// what that is. If nothing is missing it reaches for nothing.
func (w *witProject) fetchMissing(ctx context.Context, s *streams, p *packageFlags, pr *project.Project) error {
	dir := filepath.Join(pr.Dir, filepath.FromSlash(pr.WIT))
	missing, err := packages.Missing(dir, wasiwit.Lookup)
	if err != nil || len(missing) == 0 && !w.locked {
		return nil // the build says what is wrong
	}
	if w.root, w.dir, err = witRoot(pr.Dir, dir); err != nil {
		return err
	}
	if len(missing) == 0 {
		return w.checkLocked(p)
	}
	return p.packages(s, func(client *packages.Client) error {
		folders, err := w.folders()
		if err != nil {
			return err
		}
		f, err := w.fetch(ctx, p, client, folders[0])
		if err != nil {
			var drift *packages.DriftError
			if errors.As(err, &drift) {
				return err
			}
			names := make([]string, len(missing))
			for i, m := range missing {
				names[i] = m.String()
			}
			return fmt.Errorf("%s is not in %s: %w", strings.Join(names, ", "), filepath.Join(dir, "deps"), err)
		}
		for _, l := range f.Added() {
			if !l.Builtin {
				fmt.Fprintf(s.err, "fetched %s (%s)\n", l.Name, lockedFrom(&l))
			}
		}
		return nil
	})
}

// checkLocked compares a lock with what the folder refers to.
func (w *witProject) checkLocked(p *packageFlags) error {
	folders, err := w.folders()
	if err != nil {
		return err
	}
	o, err := w.options(p, nil, folders[0])
	if err != nil {
		return err
	}
	return ofWIT(packages.CheckDirect(o))
}

// maxParents bounds how far up a workspace is looked for.
const maxParents = 32

// witRoot returns the folder with the manifest and the locks for a folder of WIT of a
// project, and the folder of WIT from there: the root of the workspace that it is a
// member of, or else the folder of the project.
func witRoot(project, dir string) (root, rel string, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return "", "", err
	}
	at, err := filepath.Abs(project)
	if err != nil {
		return "", "", err
	}
	for range maxParents {
		manifest, err := packages.ReadManifest(filepath.Join(at, packages.ManifestFile))
		if err != nil {
			return "", "", withCode(exitInvalid, err)
		}
		if manifest.Workspace != nil && manifest.Workspace.Members != nil {
			rel, err := filepath.Rel(at, dir)
			if err != nil {
				return "", "", err
			}
			if manifest.Workspace.Has(filepath.ToSlash(rel)) {
				return at, rel, nil
			}
			break
		}
		up := filepath.Dir(at)
		if up == at {
			break
		}
		at = up
	}
	rel, err = filepath.Rel(cmp.Or(project, "."), dir)
	if err != nil {
		rel = dir
	}
	return project, rel, nil
}
