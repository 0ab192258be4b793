package cli

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/build"
	"github.com/ashlar-wasm/ashlar/build/project"
	"github.com/ashlar-wasm/ashlar/build/template"
	"github.com/ashlar-wasm/ashlar/build/toolchain"
)

func newNew(s *streams) *cobra.Command {
	o := template.Options{}
	cmd := &cobra.Command{
		Use:   "new [flags] DIR",
		Short: "Make a new project",
		Long: `Make a new project: its sources and ashlar.toml, in a folder that does not exist yet
or is empty. The name of the project is that of the folder, unless --name is given.

` + templateList(),
		Example: `  ashlar new hello --template http && cd hello && ashlar build && ashlar serve
  ashlar new --language rust --template http greeter`,
		Args: exactArgs("DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			dir := filepath.Clean(args[0])
			if o.Name == "" {
				abs, err := filepath.Abs(dir)
				if err != nil {
					return err
				}
				o.Name = filepath.Base(abs)
				if !project.ValidName(o.Name) {
					return usageError("the folder %q gives no name: give one with --name, lower-case words with hyphens", o.Name)
				}
			}
			made, err := template.Files(o)
			if err != nil {
				return withCode(exitUsage, err)
			}
			if err := template.Write(dir, made); err != nil {
				return err
			}
			p, err := loadProject(dir)
			if err != nil {
				return err
			}
			world, err := p.ResolveWorld()
			if err != nil {
				return err
			}
			// So that an editor finds them before the first build.
			if err := build.Bind(p, world); err != nil {
				return err
			}
			fmt.Fprintf(s.err, "made %s in %s, %d files\n", o.Name, dir, len(made))
			steps := []string{}
			if dir != "." {
				steps = append(steps, toolchain.Command{Args: []string{"cd", dir}}.String())
			}
			if o.Language == "javascript" || o.Language == "typescript" {
				steps = append(steps, "npm install")
			}
			steps = append(steps, "ashlar build")
			switch o.Kind {
			case "http":
				steps = append(steps, "ashlar serve")
			case "cli":
				steps = append(steps, "ashlar run")
			default:
				steps = append(steps, "ashlar wit build/"+o.Name+".wasm")
			}
			fmt.Fprintf(s.err, "next: %s\n", strings.Join(steps, " && "))
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.Kind, "template", "t", "http", "what to make")
	f.StringVarP(&o.Language, "language", "l", "go", "language to write in: "+strings.Join(project.Languages(), ", "))
	f.StringVar(&o.Name, "name", "", "name of the project, lower-case words with hyphens (default: that of the folder)")
	f.StringVar(&o.Module, "module", "", "path of the Go module (default: example.com/NAME)")
	return cmd
}

// templateList is what the help says of what there is.
func templateList() string {
	var b strings.Builder
	b.WriteString("Templates:")
	for _, l := range project.Languages() {
		fmt.Fprintf(&b, "\n  %-11s %s", l, strings.Join(template.Kinds(l), ", "))
	}
	return b.String()
}
