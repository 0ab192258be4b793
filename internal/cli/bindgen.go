package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/bindgen"
	"github.com/ashlar-wasm/ashlar/wit"
)

func newBindgen(s *streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bindgen",
		Short: "Generate Go code from WIT",
	}
	cmd.AddCommand(newBindgenHost(s))
	return cmd
}

func newBindgenHost(s *streams) *cobra.Command {
	var world, out, pkg string
	var features []string
	cmd := &cobra.Command{
		Use:   "host [flags] WIT",
		Short: "Generate what a Go program needs to host a world",
		Long: `Generate a Go package for a program that hosts components of a world: an
interface for each interface that components import, which the program
implements, and callers for what they export.

WIT is a .wit file, a folder of them with their dependencies in deps/, or a
component. Packages of WASI 0.2 come with ashlar and need not be in deps/.`,
		Example: "  ashlar bindgen host --world plugin --out internal/plugin ./wit",
		Args:    exactArgs("WIT"),
		RunE: func(c *cobra.Command, args []string) error {
			r, w, err := loadWIT(args[0], features)
			if err != nil {
				return err
			}
			if w == nil {
				if w, err = selectWorld(r, world); err != nil {
					return err
				}
			}
			files, err := bindgen.Host(bindgen.Options{World: w, Package: pkg})
			if err != nil {
				return err
			}
			if err := os.MkdirAll(out, 0o777); err != nil {
				return err
			}
			for _, f := range files {
				if err := os.WriteFile(filepath.Join(out, f.Name), f.Content, 0o666); err != nil {
					return err
				}
				fmt.Fprintln(s.err, "wrote", filepath.Join(out, f.Name))
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&world, "world", "", "world to generate for, where there are several")
	f.StringVar(&out, "out", ".", "folder to write to")
	f.StringVar(&pkg, "package", "", "name of the Go package (default: the world's name)")
	f.StringArrayVar(&features, "features", nil, "feature gates (@unstable) to open")
	return cmd
}

// selectWorld returns the world of that name, or the only one.
func selectWorld(r *wit.Resolve, name string) (*wit.World, error) {
	var all []*wit.World
	for _, w := range r.Main.Worlds {
		if w.Name == name || w.ID() == name {
			return w, nil
		}
		all = append(all, w)
	}
	switch {
	case name != "":
		return nil, usageError("package %s has no world %q%s", r.Main.Name, name, worldList(all))
	case len(all) == 0:
		return nil, usageError("package %s has no world", r.Main.Name)
	case len(all) > 1:
		return nil, usageError("package %s has several worlds: choose one with --world%s", r.Main.Name, worldList(all))
	}
	return all[0], nil
}

func worldList(ws []*wit.World) string {
	s := ""
	for _, w := range ws {
		s += "\n  " + w.Name
	}
	return s
}
