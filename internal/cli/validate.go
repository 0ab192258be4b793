package cli

import "github.com/spf13/cobra"

func newValidate() *cobra.Command {
	return &cobra.Command{
		Use:   "validate FILE",
		Short: "Check that a component or core module is valid",
		Long: `Check that a component or core module is valid. Nothing is printed if it is;
otherwise the offset in the file and the rule that is broken.`,
		Example: "  ashlar validate hello.wasm",
		Args:    exactArgs("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			f, err := load(args[0], maxFile)
			if err != nil {
				return err
			}
			if err := f.validate(); err != nil {
				return f.invalid(err)
			}
			return nil
		},
	}
}
