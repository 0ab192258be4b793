package cli

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/packages"
)

func newPkgConfig(s *streams) *cobra.Command {
	var p packageFlags
	cmd := &cobra.Command{
		Use:   "config [flags] [PACKAGE]",
		Short: "Show where packages are, or where one is",
		Long: `Show what wkg's config.toml says of where packages are, without its secrets; or where
one package is, for which its registry may be asked.`,
		Example: `  ashlar pkg config
  ashlar pkg config wasi:http`,
		Args: atMostArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return p.show(s)
			}
			spec, err := parseSpec(args[0])
			if err != nil {
				return err
			}
			return p.packages(s, func(client *packages.Client) error {
				_, l, err := client.Source(c.Context(), spec.Ref)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(s.out, "package   %s\nregistry  %s\nprotocol  %s\nlocation  %s\n", spec.Ref, l.Registry, l.Protocol, l)
				return err
			})
		},
	}
	p.flags(cmd)
	cmd.AddCommand(newPkgConfigSet(s))
	return cmd
}

func newPkgConfigSet(s *streams) *cobra.Command {
	var p packageFlags
	cmd := &cobra.Command{
		Use:   "set [flags] NAMESPACE|NAMESPACE:NAME|default REGISTRY",
		Short: "Say where packages are",
		Long: `Write into wkg's config.toml in which registry the packages of a namespace, one package,
or all others (default) are. The rest of the file stays as it is. REGISTRY is the host
of an OCI registry, or of what says where its packages are, or the path of a folder.`,
		Example: `  ashlar pkg config set acme registry.example
  ashlar pkg config set default ./packages`,
		Args: exactArgs("NAME", "REGISTRY"),
		RunE: func(_ *cobra.Command, args []string) error {
			path, err := p.configPath(), error(nil)
			if path == "" {
				if path, err = packages.DefaultConfigPath(); err != nil {
					return err
				}
			}
			registry := args[1]
			if !packages.IsFolder(registry) && isFolder(registry) {
				registry = "." + string(filepath.Separator) + registry
			}
			name, err := packages.SetRegistry(path, args[0], registry)
			if err != nil {
				return withCode(exitUsage, err)
			}
			_, err = fmt.Fprintf(s.out, "%s: %s is in %s\n", path, args[0], name)
			return err
		},
	}
	cmd.Flags().StringVar(&p.config, "config", "", "config.toml of wkg (default: $"+wkgConfigVariable+", or wasm-pkg/config.toml in the user's configuration)")
	return cmd
}

// show prints the configuration.
func (p *packageFlags) show(s *streams) error {
	path := p.configPath()
	config, err := packages.ReadConfig(path)
	if err != nil {
		return withCode(exitUsage, err)
	}
	if path == "" {
		if path, err = packages.DefaultConfigPath(); err != nil {
			return err
		}
		if _, err := os.Stat(path); err != nil {
			path += " (not there)"
		}
	}
	print := func(format string, args ...any) {
		if err == nil {
			_, err = fmt.Fprintf(s.out, format, args...)
		}
	}
	print("config    %s\ndefault   %s\n", path, cmp.Or(config.DefaultRegistry, "none"))
	for _, n := range slices.Sorted(maps.Keys(config.Namespaces)) {
		print("namespace %s is in %s\n", n, mappingText(config.Namespaces[n]))
	}
	for _, ref := range slices.SortedFunc(maps.Keys(config.Packages), func(a, b packages.Ref) int { return cmp.Compare(a.String(), b.String()) }) {
		print("package   %s is in %s\n", ref, mappingText(config.Packages[ref]))
	}
	for _, r := range slices.Sorted(maps.Keys(config.Registries)) {
		print("registry  %s: %s\n", r, config.Registries[r])
	}
	return err
}

func mappingText(m packages.Mapping) string {
	if m.Metadata == nil {
		return m.Registry
	}
	o, err := m.Metadata.OCI()
	if err != nil {
		return m.Registry + ", " + err.Error()
	}
	return m.Registry + ", which is " + cmp.Or(o.Registry, m.Registry) + "/" + o.NamespacePrefix
}
