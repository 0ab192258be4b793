package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/bindgen"
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
	var world worldFlags
	var out, pkg string
	cmd := &cobra.Command{
		Use:   "host [flags] WIT",
		Short: "Generate what a Go program needs to host a world",
		Long: `Generate a Go package for a program that hosts components of a world: an
interface for each interface that components import, which the program
implements, and callers for what they export.

` + worldHelp,
		Example: "  ashlar bindgen host --world plugin --out internal/plugin ./wit",
		Args:    exactArgs("WIT"),
		RunE: func(c *cobra.Command, args []string) error {
			w, err := world.load(args[0])
			if err != nil {
				return err
			}
			files, err := bindgen.Host(bindgen.Options{World: w, Package: pkg})
			if err != nil {
				return err
			}
			return writeBindings(s, out, files)
		},
	}
	f := cmd.Flags()
	world.flags(cmd)
	f.StringVar(&out, "out", ".", "folder to write to")
	f.StringVar(&pkg, "package", "", "name of the Go package (default: the world's name)")
	return cmd
}

func newBindgenGo(s *streams) *cobra.Command {
	var o bindgen.GuestOptions
	var world worldFlags
	var out string
	cmd := &cobra.Command{
		Use:   "go [flags] WIT",
		Short: "Generate what a component in Go needs to implement a world",
		Long: `Generate Go packages for a component that implements a world: a package for each
interface, with functions and types for those that are imported, and an interface
to implement for those that are exported. 'ashlar build' does this by itself for
projects.

` + worldHelp,
		Example: "  ashlar bindgen go --world app --path example.com/app/internal/bind --out internal/bind ./wit",
		Args:    exactArgs("WIT"),
		RunE: func(c *cobra.Command, args []string) error {
			if o.Path == "" {
				return usageError("say with --path by which import path %s is found", out)
			}
			w, err := world.load(args[0])
			if err != nil {
				return err
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
	world.flags(cmd)
	f.StringVar(&out, "out", ".", "folder to write to")
	f.StringVar(&o.Path, "path", "", "import path of that folder")
	f.StringVar(&o.Runtime, "runtime", "", "import path of the guest packages (default: github.com/ashlar-wasm/ashlar/guest)")
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
