package cli

import (
	"encoding/json"

	"github.com/spf13/cobra"
)

// outputFormat is the flag --output: text or json.
type outputFormat struct{ name string }

func (o *outputFormat) flags(c *cobra.Command) {
	c.Flags().StringVarP(&o.name, "output", "o", "text", "text or json")
}

// check refuses what is neither.
func (o *outputFormat) check() error {
	if o.name != "text" && o.name != "json" {
		return usageError("--output %q: expected text or json", o.name)
	}
	return nil
}

func (o *outputFormat) json() bool { return o.name == "json" }

// printJSON writes v for people and programs.
func printJSON(s *streams, v any) error {
	e := json.NewEncoder(s.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
