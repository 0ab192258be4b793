package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/packages"
	"github.com/ashlar-wasm/ashlar/wit"
)

func newPkgWhy(s *streams) *cobra.Command {
	var format outputFormat
	cmd := &cobra.Command{
		Use:   "why [flags] NAME[@VERSION]",
		Short: "Say why a project depends on a package",
		Long: `Say why a project depends on a package: for each folder of WIT and each version that
ashlar.lock in the current folder has, the shortest way from the one to the other.`,
		Example: "  ashlar pkg why wasi:io",
		Args:    exactArgs("NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			spec, err := parseSpec(args[0])
			if err != nil {
				return err
			}
			if err := format.check(); err != nil {
				return err
			}
			lock, err := readLock()
			if err != nil {
				return err
			}
			ways := lock.Why(func(name wit.PackageName) bool {
				v, err := packages.ParseVersion(name.Version)
				return name.Namespace == spec.Namespace && name.Name == spec.Name && (err != nil || spec.Requirement.Equal(packages.AnyVersion) || spec.Requirement.Matches(v))
			})
			if len(ways) == 0 {
				return fmt.Errorf("nothing in %s depends on %s", packages.LockFile, spec)
			}
			type way struct {
				Root     string   `json:"root"`
				Packages []string `json:"packages"`
			}
			all := []way{}
			for _, w := range ways {
				one := way{Root: w.Root}
				for _, n := range w.Packages {
					one.Packages = append(one.Packages, n.String())
				}
				all = append(all, one)
			}
			if format.json() {
				return printJSON(s, all)
			}
			for _, w := range all {
				names := append([]string{w.Root}, w.Packages...)
				if _, err := fmt.Fprintln(s.out, strings.Join(names, " -> ")); err != nil {
					return err
				}
			}
			return nil
		},
	}
	format.flags(cmd)
	return cmd
}

// readLock reads the lock of the current folder, or of the workspace that it is in, which
// has to be there.
func readLock() (*packages.Lock, error) {
	root := "."
	if _, err := os.Stat(packages.LockFile); err != nil {
		if root, _, err = witRoot(".", "wit"); err != nil {
			return nil, err
		}
	}
	lock, err := packages.ReadLock(filepath.Join(root, packages.LockFile))
	if err != nil {
		return nil, withCode(exitInvalid, err)
	}
	if lock == nil {
		return nil, fmt.Errorf("there is no %s; 'ashlar wit fetch' writes it", packages.LockFile)
	}
	return lock, nil
}
