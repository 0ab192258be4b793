package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/build/project"
	wasiwit "github.com/ashlar-wasm/ashlar/wasi/wit"
	"github.com/ashlar-wasm/ashlar/wit"
)

// worldFlags say which world of the argument WIT is meant.
type worldFlags struct {
	name     string
	features []string
}

func (f *worldFlags) flags(c *cobra.Command) {
	c.Flags().StringVar(&f.name, "world", "", "world of the package, where there are several")
	c.Flags().StringArrayVar(&f.features, "features", nil, "feature gates (@unstable) to open")
}

// worldHelp is what the help says of the argument.
const worldHelp = `WIT is a .wit file, a folder of them with their dependencies in deps/, a component,
or the name of a world of WASI, as wasi:http/proxy@0.2.0. Packages of WASI 0.2 come
with ashlar and need not be in deps/.`

// load returns the world.
func (f *worldFlags) load(where string) (*wit.World, error) {
	if strings.HasPrefix(where, "wasi:") {
		w, err := (&project.Project{World: where}).ResolveWorld()
		if err != nil {
			return nil, usageError("%q: no such world in WASI %s or before", where, wasiwit.Version)
		}
		return w, nil
	}
	r, w, err := loadWIT(where, f.features)
	if err != nil || w != nil {
		return w, err
	}
	return selectWorld(r, f.name)
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
