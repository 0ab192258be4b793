package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/packages"
)

func newPkgOutdated(s *streams) *cobra.Command {
	var p packageFlags
	var format outputFormat
	cmd := &cobra.Command{
		Use:   "outdated [flags]",
		Short: "Say what newer versions there are of packages that a project depends on",
		Long: `Say of packages that ashlar.lock in the current folder has which newer versions there
are: the highest one that is compatible, which 'ashlar pkg update' takes, and the highest
of all. What has none is left out, unless it is yanked.`,
		Args: atMostArgs(0),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := format.check(); err != nil {
				return err
			}
			lock, err := readLock()
			if err != nil {
				return err
			}
			return p.packages(s, func(client *packages.Client) error {
				all, err := packages.Outdated(c.Context(), p.resolver(client), lock)
				if err != nil {
					return err
				}
				if format.json() {
					return printJSON(s, append([]packages.Newer{}, all...))
				}
				for _, n := range all {
					mark := ""
					if n.Yanked {
						mark = " (yanked)"
					}
					if _, err := fmt.Fprintf(s.out, "%s %s%s, compatible %s, latest %s\n", n.Package, n.Version, mark, n.Compatible, n.Latest); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	p.flags(cmd)
	format.flags(cmd)
	return cmd
}

// upgrade is a version that took the place of another in a folder of WIT.
type upgrade struct {
	Dir     string           `json:"dir"`
	Package packages.Ref     `json:"package"`
	From    string           `json:"from"`
	To      packages.Version `json:"to"`
}

func newPkgUpdate(s *streams) *cobra.Command {
	var p packageFlags
	var w witProject
	var format outputFormat
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "update [flags] [NAME...]",
		Short: "Take newer versions of packages that WIT uses",
		Long: `Take the highest compatible versions of the packages that folders of WIT use, all or
those that are named. WIT refers to packages by their exact versions, so that its text is
changed; then it is fetched anew, whatever the locks say. A folder for which that can't
be done stays as it was. 'ashlar wit update' does not change text.

` + witDirHelp,
		RunE: func(c *cobra.Command, args []string) error {
			if err := format.check(); err != nil {
				return err
			}
			var err error
			if w.update, err = namedPackages(args); err != nil {
				return err
			}
			return p.packages(s, func(client *packages.Client) error {
				done, err := w.upgrade(c.Context(), &p, client, dryRun)
				if err != nil {
					return err
				}
				if format.json() {
					return printJSON(s, done)
				}
				for _, u := range done {
					if _, err := fmt.Fprintf(s.out, "%s: %s %s -> %s\n", u.Dir, u.Package, u.From, u.To); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	p.flags(cmd)
	p.policies.flags(cmd)
	format.flags(cmd)
	cmd.Flags().StringVarP(&w.dir, "wit-dir", "d", "", "`folder` of WIT (default: wit, or each member of the workspace)")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would change, and change nothing")
	return cmd
}

// namedPackages returns what tells whether a package is one of those that are named, or
// all packages if none is.
func namedPackages(args []string) (func(packages.Ref) bool, error) {
	names := map[packages.Ref]bool{}
	for _, a := range args {
		ref, err := packages.ParseRef(a)
		if err != nil {
			return nil, withCode(exitUsage, err)
		}
		names[ref] = true
	}
	return func(p packages.Ref) bool { return len(names) == 0 || names[p] }, nil
}

// upgrade replaces versions in the text of folders, and fetches them.
func (w *witProject) upgrade(ctx context.Context, p *packageFlags, client *packages.Client, dryRun bool) ([]upgrade, error) {
	done := []upgrade{}
	folders, err := w.folders()
	if err != nil {
		return nil, err
	}
	for _, folder := range folders {
		o, err := w.options(p, client, folder)
		if err != nil {
			return nil, err
		}
		refs, err := packages.Upgrades(ctx, o, w.update)
		if err != nil {
			return nil, ofWIT(err)
		}
		for _, r := range refs {
			done = append(done, upgrade{filepath.ToSlash(folder.dir), packages.Ref{Namespace: r.Package.Namespace, Name: r.Package.Name}, r.Package.Version, r.To})
		}
		if dryRun {
			continue
		}
		edit, err := packages.ReplaceVersions(w.path(folder), refs)
		if err != nil {
			return nil, ofWIT(err)
		}
		if err := w.fetchEdited(ctx, p, client, folder, edit); err != nil {
			return nil, err
		}
	}
	return done, nil
}

// fetchEdited fetches for a folder whose text is edited before, and is as it was if that
// fails.
func (w *witProject) fetchEdited(ctx context.Context, p *packageFlags, client *packages.Client, folder witFolder, edit *packages.WITEdit) error {
	err := edit.Apply()
	if err == nil {
		_, err = w.fetch(ctx, p, client, folder)
	}
	if err != nil {
		return errors.Join(err, edit.Undo())
	}
	return nil
}
