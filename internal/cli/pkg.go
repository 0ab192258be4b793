package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/oci"
	"github.com/ashlar-wasm/ashlar/packages"
	"github.com/ashlar-wasm/ashlar/packages/remote"
	"github.com/ashlar-wasm/ashlar/wit"
)

// Environment variables of wkg.
const (
	wkgConfigVariable   = "WKG_CONFIG_FILE"
	wkgCacheVariable    = "WKG_CACHE_DIR"
	wkgRegistryVariable = "WKG_REGISTRY"
	wkgUsernameVariable = "WKG_OCI_USERNAME"
	wkgPasswordVariable = "WKG_OCI_PASSWORD"
)

// packageHelp says how packages are named and found.
const packageHelp = `PACKAGE is namespace:name, or namespace:name@VERSION, where VERSION is a requirement:
1.2 takes what is compatible with it, =1.2.0 that version alone, and ~1.2, >=1, <2, 1.*
are what they are in Cargo. Where packages are is said by wkg's config.toml, which
'ashlar pkg config' shows.`

func newPkg(s *streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pkg COMMAND",
		Short: "Find, get and publish packages by name",
		Long: `Find, get and publish packages by name, in OCI registries and folders. Names, files
and registries are shared with wkg.`,
	}
	cmd.AddCommand(newPkgGet(s), newPkgList(s), newPkgInfo(s), newPkgPublish(s), newPkgYank(s), newPkgTree(s), newPkgWhy(s), newPkgOutdated(s), newPkgUpdate(s), newPkgVendor(s), newPkgConfig(s))
	return cmd
}

// packageFlags say where packages are.
type packageFlags struct {
	registries
	config, registry string
	limit            byteSize // of contents; zero means maxFile
}

func (p *packageFlags) flags(c *cobra.Command) {
	p.readFlags(c)
	c.Flags().StringVar(&p.config, "config", "", "config.toml of wkg (default: $"+wkgConfigVariable+", or wasm-pkg/config.toml in the user's configuration)")
	c.Flags().StringVar(&p.registry, "registry", "", "`name` of the registry that has all packages, or the path of a folder (default: $"+wkgRegistryVariable+", or what config.toml says)")
}

// configPath is the file that is read, which may be none if it was not named.
func (p *packageFlags) configPath() string { return cmp.Or(p.config, os.Getenv(wkgConfigVariable)) }

// chosenRegistry is the name of a registry or the path of a folder that is to have all
// packages, or empty.
func (p *packageFlags) chosenRegistry(config *packages.Config) string {
	word := cmp.Or(p.registry, os.Getenv(wkgRegistryVariable))
	if _, ok := config.Registries[word]; ok || word == "" || packages.IsFolder(word) {
		return word
	}
	if isFolder(word) {
		return "." + string(filepath.Separator) + word
	}
	return word
}

// packages runs f with a client.
func (p *packageFlags) packages(s *streams, f func(*packages.Client) error) error {
	config, err := packages.ReadConfig(p.configPath())
	if err != nil {
		return withCode(exitUsage, err)
	}
	o := packages.ClientOptions{Config: config, Registry: p.chosenRegistry(config), Getenv: os.Getenv, Offline: p.offline}
	if dir := os.Getenv(wkgCacheVariable); dir != "" {
		o.CacheDir = filepath.Join(dir, "ashlar", "packages")
		if p.artifactCache.chosen() == "" {
			p.artifactCache.flag = filepath.Join(dir, "ashlar", "oci")
		}
	} else if dir, err := os.UserCacheDir(); err == nil {
		o.CacheDir = filepath.Join(dir, "ashlar", "packages")
	}
	return p.options(s, cmp.Or(p.limit, maxFile), func(common oci.Options) error {
		user := oci.Credential{Username: os.Getenv(wkgUsernameVariable), Password: os.Getenv(wkgPasswordVariable)}
		o.OpenOCI = func(r packages.OCIRegistry) (packages.Source, error) {
			return remote.Open(r, remote.Options{OCI: common, User: user})
		}
		client, err := packages.NewClient(o)
		if err != nil {
			return withCode(exitUsage, err)
		}
		err = f(client)
		var none *packages.NoRegistryError
		if errors.As(err, &none) {
			err = fmt.Errorf("%w; name one with --registry, or run 'ashlar pkg config set %s REGISTRY'", err, none.Package.Namespace)
		}
		return err
	})
}

// resolver returns what chooses the versions of packages that are taken.
func (p *packageFlags) resolver(client *packages.Client) *packages.Resolver {
	return &packages.Resolver{Client: client, Verify: p.policies.verify(), TrustedKeys: p.policies.yankKeys()}
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func parseSpec(word string) (packages.Spec, error) {
	spec, err := packages.ParseSpec(word)
	if err != nil {
		return spec, withCode(exitUsage, err)
	}
	return spec, nil
}

// get returns the highest version of a package that matches, with its content.
func (p *packageFlags) get(ctx context.Context, s *streams, spec packages.Spec) (r packages.Resolution, b []byte, err error) {
	err = p.packages(s, func(client *packages.Client) (err error) {
		if r, err = p.resolver(client).Resolve(ctx, spec.Ref, spec.Requirement); err != nil {
			return err
		}
		b, err = r.Content(ctx)
		return artifactError(err)
	})
	return r, b, err
}

func newPkgGet(s *streams) *cobra.Command {
	var p packageFlags
	var out string
	cmd := &cobra.Command{
		Use:   "get [flags] PACKAGE",
		Short: "Get the highest version of a package that matches",
		Long: `Get the highest version of a package that matches and is not yanked, and print its
name, version and digest. A file that ends with .wit gets the text of a WIT package.

` + packageHelp,
		Example: `  ashlar pkg get acme:log@1.2
  ashlar pkg get -o log.wit acme:log@=1.2.0`,
		Args: exactArgs("PACKAGE"),
		RunE: func(c *cobra.Command, args []string) error {
			spec, err := parseSpec(args[0])
			if err != nil {
				return err
			}
			r, b, err := p.get(c.Context(), s, spec)
			if err != nil {
				return err
			}
			if err := checkNamed(&r, b); err != nil {
				return err
			}
			if strings.HasSuffix(out, ".wit") {
				if b, err = packageText(spec.Ref, b); err != nil {
					return err
				}
			}
			if out == "-" {
				_, err := s.out.Write(b)
				return err
			}
			name := out
			if name == "" {
				name = fmt.Sprintf("%s_%s@%s.wasm", r.Package.Namespace, r.Package.Name, r.Version)
				if _, err := os.Lstat(name); err == nil {
					return fmt.Errorf("%s is there already; say where to write, with --out", name)
				}
			}
			if err := writeWhole(name, b); err != nil {
				return err
			}
			_, err = fmt.Fprintf(s.out, "%s@%s %s\n", r.Package, r.Version, r.Digest)
			return err
		},
	}
	p.flags(cmd)
	p.policies.flags(cmd)
	cmd.Flags().StringVarP(&out, "out", "o", "", "`file` to write, or - for stdout (default: NAMESPACE_NAME@VERSION.wasm)")
	return cmd
}

// writeWhole writes a file as a whole or not at all.
func writeWhole(name string, b []byte) error {
	return replaceFile(name, func(f *os.File) error {
		_, err := f.Write(b)
		return err
	})
}

// checkNamed refuses a WIT package that is another than was asked for: what signs it
// does not say where it is. A component has no name that could be compared.
func checkNamed(r *packages.Resolution, b []byte) error {
	decoded, world, err := wit.Decode(b)
	if err != nil || world != nil {
		return nil
	}
	name := wit.PackageName{Namespace: r.Package.Namespace, Name: r.Package.Name, Version: r.Version.String()}
	if decoded.Main.Name != name {
		return fmt.Errorf("%s: its content is package %s", name, decoded.Main.Name)
	}
	return nil
}

// packageText returns the WIT of a package or component.
func packageText(p packages.Ref, b []byte) ([]byte, error) {
	r, world, err := wit.Decode(b)
	if err != nil {
		return nil, withCode(exitInvalid, fmt.Errorf("%s: %w", p, err))
	}
	var nested []*wit.Package
	if world != nil {
		for _, n := range r.Packages {
			if n != r.Main {
				nested = append(nested, n)
			}
		}
	}
	return []byte(wit.Print(r.Main, nested...)), nil
}

// maxMarked is for how many versions 'pkg list' asks whether they are yanked without
// being told to: that costs requests for each.
const maxMarked = 50

func newPkgList(s *streams) *cobra.Command {
	var p packageFlags
	var format outputFormat
	var yanked bool
	cmd := &cobra.Command{
		Use:   "list [flags] PACKAGE",
		Short: "List the versions of a package",
		Long:  "List the versions of a package that match, the highest first.\n\n" + packageHelp,
		Args:  exactArgs("PACKAGE"),
		RunE: func(c *cobra.Command, args []string) error {
			spec, err := parseSpec(args[0])
			if err != nil {
				return err
			}
			if err := format.check(); err != nil {
				return err
			}
			return p.packages(s, func(client *packages.Client) error {
				source, where, err := client.Source(c.Context(), spec.Ref)
				if err != nil {
					return err
				}
				trusted, err := p.policies.yankKeys()(spec.Ref, (&packages.Resolution{Package: spec.Ref, Location: where}).Reference())
				if err != nil {
					return err
				}
				all, err := source.Versions(c.Context(), spec.Ref)
				if err != nil {
					return err
				}
				slices.SortFunc(all, func(a, b packages.VersionInfo) int { return b.Version.Compare(a.Version) })
				type version struct {
					Version packages.Version `json:"version"`
					Yanked  bool             `json:"yanked,omitempty"`
				}
				all = slices.DeleteFunc(all, func(v packages.VersionInfo) bool {
					// Who asks for all of them means pre-releases too.
					return !spec.Requirement.Equal(packages.AnyVersion) && !spec.Requirement.Matches(v.Version)
				})
				if len(all) > maxMarked && !yanked {
					fmt.Fprintf(s.err, "which of the %d versions are yanked was not asked for: use --yanked, or name fewer, as %s@1.2\n", len(all), spec.Ref)
				} else if err := markYanked(c.Context(), source, spec.Ref, all, trusted); err != nil {
					return artifactError(err)
				}
				list := []version{}
				for _, v := range all {
					list = append(list, version(v))
				}
				if format.json() {
					return printJSON(s, list)
				}
				for _, v := range list {
					mark := ""
					if v.Yanked {
						mark = " yanked"
					}
					if _, err := fmt.Fprintf(s.out, "%s%s\n", v.Version, mark); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	p.flags(cmd)
	format.flags(cmd)
	cmd.Flags().BoolVar(&yanked, "yanked", false, "ask for all versions whether they are yanked, of however many")
	return cmd
}

func newPkgInfo(s *streams) *cobra.Command {
	var p packageFlags
	var format outputFormat
	cmd := &cobra.Command{
		Use:   "info [flags] PACKAGE",
		Short: "Say where a package is and what its digests are",
		Long:  "Say of the highest version that matches where it is and what its digests are.\n\n" + packageHelp,
		Args:  exactArgs("PACKAGE"),
		RunE: func(c *cobra.Command, args []string) error {
			spec, err := parseSpec(args[0])
			if err != nil {
				return err
			}
			if err := format.check(); err != nil {
				return err
			}
			return p.packages(s, func(client *packages.Client) error {
				r, err := (&packages.Resolver{Client: client, TrustedKeys: p.policies.yankKeys()}).Resolve(c.Context(), spec.Ref, spec.Requirement)
				if err != nil {
					return err
				}
				_, where, err := client.Source(c.Context(), spec.Ref)
				if err != nil {
					return err
				}
				report := struct {
					Name     string           `json:"name"`
					Version  packages.Version `json:"version"`
					Registry string           `json:"registry"`
					Location string           `json:"location"`
					Digest   packages.Digest  `json:"digest"`
					Manifest packages.Digest  `json:"manifest,omitempty"`
				}{r.Package.String(), r.Version, r.Registry, packageLocation(where, r), r.Digest, r.Manifest}
				if format.json() {
					return printJSON(s, report)
				}
				_, err = fmt.Fprintf(s.out, "package   %s\nversion   %s\nregistry  %s\nlocation  %s\ndigest    %s\n", report.Name, r.Version, r.Registry, report.Location, r.Digest)
				if err == nil && r.Manifest != "" {
					_, err = fmt.Fprintf(s.out, "manifest  %s\n", r.Manifest)
				}
				return err
			})
		},
	}
	p.flags(cmd)
	format.flags(cmd)
	return cmd
}

// packageLocation is the file, or the reference of the artifact.
func packageLocation(l packages.Location, r packages.Resolution) string {
	if l.Protocol == packages.ProtocolLocal {
		return filepath.Join(l.Root, r.Package.Namespace, r.Package.Name, r.Version.String()+".wasm")
	}
	return l.String() + r.Package.Namespace + "/" + r.Package.Name + ":" + r.Version.Tag()
}
