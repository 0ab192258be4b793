package cli

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/packages"
)

func newPkgVendor(s *streams) *cobra.Command {
	var p packageFlags
	var w witProject
	cmd := &cobra.Command{
		Use:   "vendor [flags] [DIR]",
		Short: "Put all packages that a project depends on into its folder",
		Long: `Fetch what folders of WIT use into their deps/, and put the contents of all packages that
ashlar.lock has into ` + packages.VendorFolder + `/, and no others. Commands in the current folder take from
there what the locks have: they need no registry, no network and no cache for it.
The folder is a registry as wkg and 'ashlar --registry' know them, with a config.toml.

` + witDirHelp,
		Args: atMostArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			w.setDir(args)
			return p.packages(s, func(client *packages.Client) error {
				folders, err := w.folders()
				if err != nil {
					return err
				}
				for _, folder := range folders {
					if _, err := w.fetch(c.Context(), &p, client, folder); err != nil {
						return err
					}
				}
				o, err := w.options(&p, client, folders[0])
				if err != nil {
					return err
				}
				added, err := packages.Vendor(c.Context(), o.Resolver, filepath.Join(w.root, packages.VendorFolder))
				for _, a := range added {
					fmt.Fprintf(s.out, "%s@%s %s\n", a.Package, a.Version, a.Digest)
				}
				return artifactError(err)
			})
		},
	}
	p.flags(cmd)
	p.policies.flags(cmd)
	w.lockedFlag(cmd)
	return cmd
}
