package cli

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/build/project"
	"github.com/ashlar-wasm/ashlar/build/toolchain"
)

// diagnosis is what doctor found of a tool.
type diagnosis struct {
	Language string `json:"language"`
	Tool     string `json:"tool"`
	Found    string `json:"found,omitempty"`
	Missing  string `json:"missing,omitempty"` // why, empty if it is there
	Install  string `json:"install,omitempty"`
}

func newDoctor(s *streams) *cobra.Command {
	var output outputFormat
	var dir string
	cmd := &cobra.Command{
		Use:   "doctor [flags] [LANGUAGE...]",
		Short: "Tell which languages can be built on this machine, and what is missing",
		Long: `Tell which languages components can be built from on this machine: for each what
it needs, what is there, and what installs what is not. Without a LANGUAGE it is
that of the project in the folder, or all of them where there is none.

The exit code is 1 if something is missing for a language that was named, or for
the project.`,
		Example: `  ashlar doctor
  ashlar doctor go rust`,
		ValidArgs: project.Languages(),
		RunE: func(c *cobra.Command, args []string) error {
			if err := output.check(); err != nil {
				return err
			}
			asked := true
			if len(args) == 0 {
				p, err := loadProject(dir)
				switch {
				case err == nil:
					args = []string{p.Language}
				case errors.Is(err, project.ErrNone):
					args, asked = project.Languages(), false
				default:
					return err
				}
			}
			found := []diagnosis{}
			missing := 0
			for _, name := range args {
				t := toolchain.For(name)
				if t == nil {
					return usageError("unknown language %q: expected one of %s", name, strings.Join(project.Languages(), ", "))
				}
				for _, tool := range t.Tools {
					d := diagnosis{Language: name, Tool: tool.Name}
					version, err := tool.Find(c.Context(), dir)
					if err != nil {
						missing++
						d.Missing, d.Install = err.Error(), tool.Install(dir)
					} else {
						d.Found = version
					}
					found = append(found, d)
				}
			}
			if err := printDiagnoses(s, output, found); err != nil {
				return err
			}
			if asked && missing > 0 {
				return withCode(exitFailure, nil)
			}
			return nil
		},
	}
	f := cmd.Flags()
	output.flags(cmd)
	f.StringVarP(&dir, "dir", "C", ".", "folder of the project")
	return cmd
}

func printDiagnoses(s *streams, output outputFormat, found []diagnosis) error {
	if output.json() {
		return printJSON(s, found)
	}
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	language := ""
	for _, d := range found {
		shown := d.Language
		if shown == language {
			shown = ""
		}
		language = d.Language
		if d.Missing == "" {
			fmt.Fprintf(w, "%s\t%s\tok\t%s\n", shown, d.Tool, printable(d.Found))
			continue
		}
		fmt.Fprintf(w, "%s\t%s\tmissing\t%s; install: %s\n", shown, d.Tool, printable(d.Missing), d.Install)
	}
	return w.Flush()
}
