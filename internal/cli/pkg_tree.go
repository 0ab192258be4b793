package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/packages"
	"github.com/ashlar-wasm/ashlar/wit"
)

func newPkgTree(s *streams) *cobra.Command {
	return &cobra.Command{
		Use:   "tree",
		Short: "Show what packages a project depends on, and through which",
		Long: `Show the packages that ashlar.lock in the current folder has, below those that depend on
them. What depends on packages that were shown already is marked with (*).`,
		Args: atMostArgs(0),
		RunE: func(*cobra.Command, []string) error {
			lock, err := packages.ReadLock(packages.LockFile)
			if err != nil {
				return withCode(exitInvalid, err)
			}
			if lock == nil {
				return fmt.Errorf("there is no %s; 'ashlar wit fetch' writes it", packages.LockFile)
			}
			t := lockTree{lock, s.out, map[wit.PackageName]bool{}}
			for _, r := range lock.Roots {
				if _, err := fmt.Fprintln(s.out, r.Path); err != nil {
					return err
				}
				if err := t.print(r.Dependencies, 1); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// lockTree prints the packages of a lock.
type lockTree struct {
	lock  *packages.Lock
	out   io.Writer
	shown map[wit.PackageName]bool
}

func (t *lockTree) print(deps []packages.LockedDependency, depth int) error {
	for _, d := range deps {
		p := t.lock.Package(d.Name)
		mark := ""
		if t.shown[d.Name] && len(p.Dependencies) > 0 {
			mark = " (*)"
		}
		if _, err := fmt.Fprintf(t.out, "%s%s (%s)%s\n", strings.Repeat("  ", depth), d.Name, lockedFrom(p), mark); err != nil {
			return err
		}
		if t.shown[d.Name] {
			continue
		}
		t.shown[d.Name] = true
		if err := t.print(p.Dependencies, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// lockedFrom says where a package of a lock is from.
func lockedFrom(p *packages.LockedPackage) string {
	switch {
	case p.Builtin:
		return "comes with ashlar"
	case p.Embedded:
		return "part of what depends on it"
	case p.Path != "":
		return p.Path
	}
	return p.Registry
}
