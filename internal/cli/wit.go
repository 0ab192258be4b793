package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/internal/binary"
	wasiwit "github.com/ashlar-wasm/ashlar/wasi/wit"
	"github.com/ashlar-wasm/ashlar/wit"
)

func newWit(s *streams) *cobra.Command {
	var features []string
	var out string
	cmd := &cobra.Command{
		Use:   "wit [flags] FILE|DIR",
		Short: "Print the WIT of a component or a package",
		Long: `Print the WIT of a component, of a package in binary form, or of a package as
text: a .wit file, or a folder of them with dependencies in deps/. Text is
checked, resolved and printed in its canonical layout. Packages of WASI 0.2 come
with ashlar, in every version; they need not be in deps/. A folder whose name is
that of a command is ./fetch, ./build and so on.`,
		Example: `  ashlar wit hello.wasm
  ashlar wit ./wit
  ashlar wit --wasm package.wasm ./wit`,
		Args: exactArgs("FILE|DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			r, world, err := loadWIT(args[0], features)
			if err != nil {
				return err
			}
			if out != "" {
				if world != nil {
					return usageError("--wasm writes a WIT package, and %s is a component that was built", args[0])
				}
				b, err := wit.Encode(r.Main)
				if err != nil {
					return withCode(exitInvalid, fmt.Errorf("%s: %w", args[0], err))
				}
				return os.WriteFile(out, b, 0o666)
			}
			// A component's packages are known from it alone; those of a
			// package are elsewhere.
			var nested []*wit.Package
			if world != nil {
				for _, p := range r.Packages {
					if p != r.Main {
						nested = append(nested, p)
					}
				}
			}
			_, err = fmt.Fprint(s.out, wit.Print(r.Main, nested...))
			return err
		},
	}
	cmd.AddCommand(newWitFetch(s), newWitUpdate(s), newWitAdd(s), newWitRemove(s), newWitBuild(s), newWitPublish(s))
	cmd.Flags().StringArrayVar(&features, "features", nil, "feature gates (@unstable) to open")
	cmd.Flags().StringVar(&out, "wasm", "", "write the package in binary form to this file instead")
	return cmd
}

// loadWIT reads WIT from text or a binary. world is that of a component that
// was built, and nil for a package.
func loadWIT(path string, features []string) (r *wit.Resolve, world *wit.World, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if !info.IsDir() {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, nil, err
		}
		switch binary.KindOf(b) {
		case binary.KindComponent:
			if r, world, err = wit.Decode(b); err != nil {
				return nil, nil, withCode(exitInvalid, fmt.Errorf("%s: %w", path, err))
			}
			return r, world, nil
		case binary.KindModule:
			return nil, nil, withCode(exitInvalid, fmt.Errorf("%s: is a core module, which has no WIT", path))
		}
	}
	r, err = wit.ParsePath(path, wit.Options{Features: features, Lookup: wasiwit.Lookup})
	if err != nil {
		return nil, nil, withCode(exitInvalid, err)
	}
	return r, nil, nil
}
