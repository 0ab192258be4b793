package cli

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/build/metadata"
	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

func newComponent(s *streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "component",
		Short: "Make components of core modules, and change what they carry",
		Long: `Make components of core modules, and change what they carry. 'ashlar build' does
this for projects; these commands do it for files.`,
	}
	cmd.AddCommand(newComponentEmbed(s), newComponentNew(s), newComponentTargets(), newComponentMetadata(s), newComponentPrint(s), newComponentStrip(s))
	return cmd
}

// outFile is where a command writes a file.
type outFile struct{ path string }

func (o *outFile) flags(c *cobra.Command) {
	c.Flags().StringVarP(&o.path, "out", "o", "", "`file` to write, or - for stdout")
}

// check refuses a command line that does not say where to write.
func (o *outFile) check() error {
	if o.path == "" {
		return usageError("say where to write, with --out")
	}
	return nil
}

func (o *outFile) write(s *streams, b []byte) error {
	if o.path == "-" {
		_, err := s.out.Write(b)
		return err
	}
	return os.WriteFile(o.path, b, 0o666)
}

func newComponentMetadata(s *streams) *cobra.Command {
	var m metadata.Metadata
	var out string
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "metadata [flags] FILE",
		Short: "Show or set what a component or core module says of itself",
		Long: `Show what a component or core module says of itself: its name, and the custom
sections that registries take descriptions from. With --out and at least one of
the others it is written with that in place of what it had.`,
		Example: `  ashlar component metadata hello.wasm
  ashlar component metadata --name hello --version 1.2.0 --licenses Apache-2.0 --out named.wasm hello.wasm`,
		Args: exactArgs("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := output.check(); err != nil {
				return err
			}
			f, err := load(args[0], maxFile)
			if err != nil {
				return err
			}
			changes := m != metadata.Metadata{}
			switch {
			case changes && out == "":
				return usageError("say where to write what is changed, with --out")
			case changes:
				b, err := metadata.Write(f.bytes, m)
				if err != nil {
					return f.invalid(err)
				}
				return (&outFile{out}).write(s, b)
			case out != "":
				return usageError("say what to set, as --name hello")
			}
			have, err := metadata.Read(f.bytes)
			if err != nil {
				return f.invalid(err)
			}
			if output.json() {
				return printJSON(s, have)
			}
			for _, l := range metadataLines(&have) {
				if *l.value != "" {
					fmt.Fprintf(s.out, "%-12s %s\n", l.name, printable(*l.value))
				}
			}
			return nil
		},
	}
	for _, l := range metadataLines(&m) {
		cmd.Flags().StringVar(l.value, l.name, "", l.help)
	}
	cmd.Flags().StringVar(&out, "out", "", "`file` to write, or - for stdout")
	output.flags(cmd)
	return cmd
}

// metadataLine is a field of metadata: the flag that sets it, and how it is shown.
type metadataLine struct {
	name, help string
	value      *string
}

func metadataLines(m *metadata.Metadata) []metadataLine {
	return []metadataLine{
		{"name", "name of the component or module", &m.Name},
		{"version", "semantic version", &m.Version},
		{"description", "what it is for, in a sentence", &m.Description},
		{"authors", "who made it, separated by commas", &m.Authors},
		{"licenses", "SPDX expression", &m.Licenses},
		{"source", "URL of the sources", &m.Source},
		{"homepage", "URL to read more at", &m.Homepage},
		{"revision", "revision of the sources, as a commit", &m.Revision},
	}
}

func newComponentStrip(s *streams) *cobra.Command {
	var out outFile
	var remove []string
	var all bool
	// What is needed to use a component stays.
	kept := []string{"component-type", binary.InitializeSection, binary.TargetSection, "metadata.code.branch_hint", "dylink.0"}
	cmd := &cobra.Command{
		Use:   "strip [flags] FILE",
		Short: "Remove custom sections: debug information, names, producers",
		Long: `Remove custom sections from a component or core module and from what is in it:
debug information, names of functions, who made it. What describes it
('ashlar component metadata') stays, unless --all is given or --delete names it.`,
		Example: `  ashlar component strip --out small.wasm hello.wasm
  ashlar component strip --delete producers --delete name --out out.wasm hello.wasm`,
		Args: exactArgs("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := out.check(); err != nil {
				return err
			}
			f, err := load(args[0], maxFile)
			if err != nil {
				return err
			}
			if all && len(remove) > 0 {
				return usageError("--all and --delete exclude one another")
			}
			b, err := metadata.Strip(f.bytes, func(name string) bool {
				switch {
				case all:
					return false
				case len(remove) > 0:
					return !slices.Contains(remove, name)
				}
				return metadata.Describes(name) || slices.ContainsFunc(kept, func(k string) bool { return strings.HasPrefix(name, k) })
			})
			if err != nil {
				return f.invalid(err)
			}
			return out.write(s, b)
		},
	}
	out.flags(cmd)
	cmd.Flags().StringArrayVarP(&remove, "delete", "d", nil, "name of the sections to remove, and no others")
	cmd.Flags().BoolVar(&all, "all", false, "remove all custom sections")
	return cmd
}

func newComponentPrint(s *streams) *cobra.Command {
	return &cobra.Command{
		Use:   "print FILE",
		Short: "Print a component or core module in the text format",
		Long: `Print a component or core module in the text format. Indices stand for names, which
follow in comments where they are known; custom sections are left out.`,
		Example: "  ashlar component print hello.wasm | less",
		Args:    exactArgs("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			f, err := load(args[0], maxFile)
			if err != nil {
				return err
			}
			if err := f.validate(); err != nil {
				return f.invalid(err)
			}
			return f.print(s.out)
		},
	}
}

// print writes a valid file in the text format.
func (f *file) print(w io.Writer) error {
	if f.kind == binary.KindComponent {
		c, err := binary.Decode(f.bytes)
		if err != nil {
			return err
		}
		return binary.WriteText(w, c)
	}
	m, err := wasm.Decode(f.bytes)
	if err != nil {
		return err
	}
	b := bufio.NewWriter(w)
	if err := (&wasm.Text{W: b}).Module(m, "module"); err != nil {
		return err
	}
	return b.Flush()
}
