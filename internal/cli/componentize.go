package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/build/adapter"
	"github.com/ashlar-wasm/ashlar/build/componentize"
	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

func newComponentEmbed(s *streams) *cobra.Command {
	var out outFile
	var world worldFlags
	var encoding string
	cmd := &cobra.Command{
		Use:   "embed [flags] WIT MODULE",
		Short: "Embed a world in a core module",
		Long: `Embed a world in a core module, in a custom section that says what the module wants
to become: 'ashlar component new' and other tools read it. Worlds that are embedded
already stay, and are merged then.

` + worldHelp,
		Example: "  ashlar component embed --world app --out embedded.wasm ./wit core.wasm",
		Args:    exactArgs("WIT", "MODULE"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := out.check(); err != nil {
				return err
			}
			e, err := componentize.ParseEncoding(encoding)
			if err != nil {
				return usageError("--encoding: %w", err)
			}
			w, err := world.load(args[0])
			if err != nil {
				return err
			}
			f, err := loadModule(args[1])
			if err != nil {
				return err
			}
			b, err := componentize.Embed(f.bytes, w, componentize.EmbedOptions{Encoding: e})
			if err != nil {
				return f.invalid(err)
			}
			return out.write(s, b)
		},
	}
	out.flags(cmd)
	world.flags(cmd)
	cmd.Flags().StringVar(&encoding, "encoding", "utf8", "how the module encodes strings: utf8, utf16 or latin1+utf16")
	return cmd
}

func newComponentNew(s *streams) *cobra.Command {
	var out outFile
	var adapt []string
	var exitCodes bool
	cmd := &cobra.Command{
		Use:   "new [flags] MODULE",
		Short: "Make a component of a core module",
		Long: `Make a component of a core module with an embedded world. A module that imports WASI
0.1 is linked with Ashlar's own adapter to 0.2, unless --adapt gives another one for
wasi_snapshot_preview1. A command, which exports _start, needs no world.`,
		Example: `  ashlar component new --out app.wasm embedded.wasm
  ashlar component new --adapt wasi_snapshot_preview1=adapter.wasm --out app.wasm embedded.wasm`,
		Args: exactArgs("MODULE"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := out.check(); err != nil {
				return err
			}
			f, err := loadModule(args[0])
			if err != nil {
				return err
			}
			var o componentize.Options
			given := false
			for _, a := range adapt {
				name, path, found := strings.Cut(a, "=")
				if !found {
					name, path = strings.TrimSuffix(filepath.Base(a), ".wasm"), a
				}
				m, err := loadModule(path)
				if err != nil {
					return err
				}
				given = given || name == adapter.Name
				o.Adapters = append(o.Adapters, componentize.Adapter{Name: name, Module: m.bytes})
			}
			if exitCodes && given {
				return usageError("--exit-codes is for Ashlar's own adapter")
			}
			if !given {
				own, err := adapter.For(f.bytes, adapter.Options{ExitCodes: exitCodes})
				if err != nil {
					return f.invalid(err)
				}
				o.Adapters = append(o.Adapters, componentize.Adapter{Name: adapter.Name, Module: own})
			}
			b, err := componentize.New(f.bytes, o)
			if err != nil {
				return f.invalid(err)
			}
			return out.write(s, b)
		},
	}
	out.flags(cmd)
	cmd.Flags().StringArrayVar(&adapt, "adapt", nil, "`[NAME=]FILE` of an adapter for imports from NAME (default: that of the file)")
	cmd.Flags().BoolVar(&exitCodes, "exit-codes", false, "pass on exit codes other than 0 and 1; needs a host with WASI 0.2.12")
	return cmd
}

func newComponentTargets() *cobra.Command {
	var world worldFlags
	cmd := &cobra.Command{
		Use:   "targets [flags] WIT FILE",
		Short: "Check whether a component fits a world",
		Long: `Check whether a component fits a world: it imports nothing that the world does not
import, and exports all that the world exports. Nothing is printed if it does; else
which function of which interface differs, and how.

` + worldHelp,
		Example: `  ashlar component targets --world app ./wit app.wasm
  ashlar component targets wasi:http/proxy@0.2.0 app.wasm`,
		Args: exactArgs("WIT", "FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			w, err := world.load(args[0])
			if err != nil {
				return err
			}
			f, err := load(args[1], maxFile)
			if err != nil {
				return err
			}
			if err := f.wantComponent("component targets"); err != nil {
				return err
			}
			if err := f.validate(); err != nil {
				return f.invalid(err)
			}
			if err := componentize.Targets(f.bytes, w); err != nil {
				return withCode(exitFailure, fmt.Errorf("%s: %w", f.path, err))
			}
			return nil
		},
	}
	world.flags(cmd)
	return cmd
}

// loadModule reads a core module and validates it.
func loadModule(path string) (*file, error) {
	f, err := load(path, maxFile)
	if err != nil {
		return nil, err
	}
	if f.kind != binary.KindModule {
		return nil, f.invalid(errors.New("is a component, and a core module is needed"))
	}
	if err := f.validate(); err != nil {
		// A module that is not valid would make a component that is not.
		var unsupported *wasm.UnsupportedError
		if !errors.As(err, &unsupported) {
			return nil, f.invalid(err)
		}
	}
	return f, nil
}
