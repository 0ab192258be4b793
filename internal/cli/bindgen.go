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
	cmd.AddCommand(newBindgenHost(s), newBindgenGo(s))
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
			return writeBindings(s, out, files)
		},
	}
	f := cmd.Flags()
	f.StringVar(&world, "world", "", "world to generate for, where there are several")
	f.StringVar(&out, "out", ".", "folder to write to")
	f.StringVar(&pkg, "package", "", "name of the Go package (default: the world's name)")
	f.StringArrayVar(&features, "features", nil, "feature gates (@unstable) to open")
	return cmd
}

func newBindgenGo(s *streams) *cobra.Command {
	var o bindgen.GuestOptions
	var world, out string
	var features []string
	cmd := &cobra.Command{
		Use:   "go [flags] WIT",
		Short: "Generate what a component in Go needs to implement a world",
		Long: `Generate Go packages for a component that implements a world: a package for each
interface, with functions and types for those that are imported, and an interface
to implement for those that are exported. 'ashlar build' does this by itself for
projects.

WIT is a .wit file, a folder of them with their dependencies in deps/, or a
component. Packages of WASI 0.2 come with ashlar and need not be in deps/.`,
		Example: "  ashlar bindgen go --world app --path example.com/app/internal/bind --out internal/bind ./wit",
		Args:    exactArgs("WIT"),
		RunE: func(c *cobra.Command, args []string) error {
			if o.Path == "" {
				return usageError("say with --path by which import path %s is found", out)
			}
			r, w, err := loadWIT(args[0], features)
			if err != nil {
				return err
			}
			if w == nil {
				if w, err = selectWorld(r, world); err != nil {
					return err
				}
			}
			o.World = w
			files, err := bindgen.Guest(o)
			if err != nil {
				return err
			}
			return writeBindings(s, out, files)
		},
	}
	f := cmd.Flags()
	f.StringVar(&world, "world", "", "world to generate for, where there are several")
	f.StringVar(&out, "out", ".", "folder to write to")
	f.StringVar(&o.Path, "path", "", "import path of that folder")
	f.StringVar(&o.Runtime, "runtime", "", "import path of the guest packages (default: github.com/ashlar-wasm/ashlar/guest)")
	f.StringArrayVar(&features, "features", nil, "feature gates (@unstable) to open")
	return cmd
}

// writeBindings writes generated files to a folder.
func writeBindings(s *streams, dir string, files []bindgen.File) error {
	for _, f := range files {
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.Content, 0o666); err != nil {
			return err
		}
		fmt.Fprintln(s.err, "wrote", path)
	}
	return nil
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
