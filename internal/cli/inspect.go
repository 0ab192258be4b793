package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/build/metadata"
	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
	"github.com/ashlar-wasm/ashlar/wit"
)

// report is what inspect prints.
type report struct {
	File    string         `json:"file"`
	Kind    string         `json:"kind"` // "component", "wit package" or "core module"
	Size    int            `json:"size"`
	Digest  string         `json:"digest"`
	Imports []string       `json:"imports"`
	Exports []string       `json:"exports"`
	Modules []moduleReport `json:"coreModules,omitempty"`
	// Snapshot is what sandboxes of a component share unless that is said.
	Snapshot  *snapshotReport   `json:"snapshot,omitempty"`
	Producers []wasm.Producer   `json:"producers,omitempty"`
	Metadata  metadata.Metadata `json:"metadata,omitzero"`
	// WIT is the world as text. It is empty for core modules, and for
	// components that import or export what WIT has no words for.
	WIT string `json:"wit,omitempty"`
}

type snapshotReport struct {
	Mode   string `json:"mode"` // "init", or "auto" where it depends on what initialising does
	Reason string `json:"reason"`
}

type moduleReport struct {
	Name      string          `json:"name,omitempty"`
	Offset    int             `json:"offset"`
	Size      int             `json:"size"`
	Producers []wasm.Producer `json:"producers,omitempty"`
}

func newInspect(s *streams) *cobra.Command {
	var output outputFormat
	var regs registries
	var referrers bool
	cmd := &cobra.Command{
		Use:   "inspect [flags] FILE|REF",
		Short: "Show what a component or core module is made of",
		Long: `Show the kind of a WebAssembly file, its digest, what it imports and exports,
the core modules in it, and what its metadata says of who made it. Of an artifact
in a registry or OCI layout, show what its manifest and config say; the file itself
is not downloaded. With --referrers, list the signatures and attestations that are
attached to it, which 'ashlar verify' and 'ashlar trust check' look into.`,
		Example: `  ashlar inspect hello.wasm
  ashlar inspect -o json hello.wasm
  ashlar inspect registry.example/ns/hello:1.2.0
  ashlar inspect ns:hello@1.2`,
		Args: exactArgs("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := output.check(); err != nil {
				return err
			}
			ref, remote, err := remoteReference(args[0])
			if err != nil {
				return err
			}
			if remote {
				return regs.inspect(c.Context(), s, ref, referrers, output.json())
			}
			if referrers {
				return usageError("--referrers is for artifacts: REF is HOST/NAME, or oci:DIR")
			}
			f, err := regs.load(c.Context(), s, args[0], maxFile)
			if err != nil {
				return err
			}
			if err := f.validate(); err != nil {
				return f.invalid(err)
			}
			r, err := f.inspect()
			if err != nil {
				return f.invalid(err)
			}
			if output.json() {
				return printJSON(s, r)
			}
			return r.print(s.out)
		},
	}
	output.flags(cmd)
	regs.readFlags(cmd)
	regs.unchecked = true
	cmd.Flags().BoolVar(&referrers, "referrers", false, "list what is attached to the artifact, which asks the registry")
	return cmd
}

func (f *file) inspect() (*report, error) {
	sum := sha256.Sum256(f.bytes)
	r := &report{File: f.path, Size: len(f.bytes), Digest: "sha256:" + hex.EncodeToString(sum[:]), Imports: []string{}, Exports: []string{}}
	var err error
	if r.Metadata, err = metadata.Read(f.bytes); err != nil {
		return nil, err
	}
	if f.kind == binary.KindModule {
		r.Kind = "core module"
		m, err := wasm.Decode(f.bytes)
		if err != nil {
			return nil, err
		}
		for _, im := range m.Imports {
			r.Imports = append(r.Imports, fmt.Sprintf("%s %s: %s", im.Module, im.Name, im.Kind))
		}
		for _, x := range m.Exports {
			r.Exports = append(r.Exports, fmt.Sprintf("%s: %s", x.Name, x.Kind))
		}
		for _, u := range m.Customs {
			r.producers(u.Name, u.Data)
		}
		return r, nil
	}
	c, err := binary.Decode(f.bytes)
	if err != nil {
		return nil, err
	}
	r.Kind = "component"
	for _, d := range c.Defs {
		switch d := d.(type) {
		case *binary.Import:
			r.Imports = append(r.Imports, d.Name.Name)
		case *binary.Export:
			r.Exports = append(r.Exports, d.Name.Name)
		}
	}
	for _, u := range c.Customs {
		r.producers(u.Name, u.Data)
	}
	r.modules(c)
	snapshot, err := component.SnapshotOf(f.bytes)
	if err != nil {
		return nil, err
	}
	r.Snapshot = &snapshotReport{snapshot.Mode.String(), snapshot.Reason}
	if res, world, err := wit.Decode(f.bytes); err == nil {
		if world == nil {
			r.Kind, r.Snapshot = "wit package", nil
		}
		r.WIT = wit.Print(res.Main)
	}
	return r, nil
}

// modules lists the core modules of a component and those nested in it.
func (r *report) modules(c *binary.Component) {
	for _, d := range c.Defs {
		switch d := d.(type) {
		case *binary.Component:
			r.modules(d)
		case *binary.CoreModule:
			info := moduleReport{Offset: d.Offset, Size: len(d.Bytes)}
			if m, err := wasm.DecodeAt(d.Bytes, d.Offset); err == nil {
				info.Name = m.Names().Module
				if u, ok := m.Custom("producers"); ok {
					// Metadata that can't be read is no reason to show nothing.
					info.Producers, _ = wasm.DecodeProducers(u.Data)
				}
			}
			r.Modules = append(r.Modules, info)
		}
	}
}

// producers notes what a custom section says of who made the file.
func (r *report) producers(section string, data []byte) {
	if section == "producers" {
		r.Producers, _ = wasm.DecodeProducers(data)
	}
}

func (r *report) print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "file        %s\nkind        %s\nsize        %d bytes\ndigest      %s\n", r.File, r.Kind, r.Size, r.Digest)
	if r.Snapshot != nil {
		fmt.Fprintf(&b, "snapshot    %s: %s\n", r.Snapshot.Mode, r.Snapshot.Reason)
	}
	for _, l := range metadataLines(&r.Metadata) {
		if *l.value != "" {
			fmt.Fprintf(&b, "%-11s %q\n", l.name, *l.value)
		}
	}
	producers := func(indent string, ps []wasm.Producer) {
		for _, p := range ps {
			fmt.Fprintf(&b, "%s%s: %q %q\n", indent, p.Field, p.Name, p.Version)
		}
	}
	if len(r.Producers) > 0 {
		b.WriteString("producers\n")
		producers("  ", r.Producers)
	}
	list := func(title string, names []string) {
		fmt.Fprintf(&b, "%s (%d)\n", title, len(names))
		for _, n := range names {
			b.WriteString("  " + printable(n) + "\n")
		}
	}
	list("imports", r.Imports)
	list("exports", r.Exports)
	if len(r.Modules) > 0 {
		fmt.Fprintf(&b, "core modules (%d)\n", len(r.Modules))
		for _, m := range r.Modules {
			fmt.Fprintf(&b, "  at %#x: %d bytes %s\n", m.Offset, m.Size, printable(m.Name))
			producers("    ", m.Producers)
		}
	}
	if r.WIT != "" {
		b.WriteString("\n" + r.WIT)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// printable makes a name that comes from a file safe to print: it moves no cursor and
// does not change the order of what is around it.
func printable(s string) string { return replaceUnprintable(s, "") }

// printableLines is [printable] for a text of several lines, which may have tabs.
func printableLines(s string) string { return replaceUnprintable(s, "\n\t") }

func replaceUnprintable(s, allowed string) string {
	return strings.Map(func(c rune) rune {
		if (unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c)) && !strings.ContainsRune(allowed, c) {
			return '\uFFFD'
		}
		return c
	}, s)
}
