package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/packages"
	wasiwit "github.com/ashlar-wasm/ashlar/wasi/wit"
	"github.com/ashlar-wasm/ashlar/wit"
)

// witAddition is what a package is to be used for.
type witAddition struct {
	imports, exports, includes []string
	world, path                string
}

func newWitAdd(s *streams) *cobra.Command {
	var p packageFlags
	var w witProject
	var add witAddition
	cmd := &cobra.Command{
		Use:   "add [flags] PACKAGE",
		Short: "Use a package in a world",
		Long: `Use a package in a world: write what it imports, exports or includes of the package
into its text, with the highest version that matches, and fetch that into deps/. If the
package has one interface alone, it is imported. With --path the package is in a folder,
which wkg.toml is told. What can't be fetched leaves everything as it was.

` + packageHelp,
		Example: `  ashlar wit add acme:log@1.2
  ashlar wit add --import types,outgoing-handler wasi:http@0.2
  ashlar wit add --world app --export handler --path ../api/wit acme:api`,
		Args: exactArgs("PACKAGE"),
		RunE: func(c *cobra.Command, args []string) error {
			spec, err := parseSpec(args[0])
			if err != nil {
				return err
			}
			return p.packages(s, func(client *packages.Client) error {
				folder, err := w.folder()
				if err != nil {
					return err
				}
				name, statements, err := w.add(c.Context(), &p, client, folder, spec, &add)
				if err != nil {
					return err
				}
				for _, st := range statements {
					if _, err := fmt.Fprintf(s.out, "%s: %s\n", filepath.ToSlash(folder.dir), st); err != nil {
						return err
					}
				}
				_, err = fmt.Fprintf(s.err, "added %s\n", name)
				return err
			})
		},
	}
	p.flags(cmd)
	p.policies.flags(cmd)
	f := cmd.Flags()
	f.StringVarP(&w.dir, "wit-dir", "d", "", "`folder` of WIT (default: wit)")
	f.StringVarP(&add.world, "world", "w", "", "`name` of the world to add to, if there are several")
	f.StringSliceVar(&add.imports, "import", nil, "`interfaces` of the package to import")
	f.StringSliceVar(&add.exports, "export", nil, "`interfaces` of the package to export")
	f.StringSliceVar(&add.includes, "include", nil, "`worlds` of the package to include")
	f.StringVar(&add.path, "path", "", "`folder` or file that the package is in")
	return cmd
}

// folder returns the only folder to work on.
func (w *witProject) folder() (witFolder, error) {
	folders, err := w.folders()
	if err != nil {
		return witFolder{}, err
	}
	if len(folders) > 1 {
		var names []string
		for _, f := range folders {
			names = append(names, f.dir)
		}
		return witFolder{}, usageError("which member of the workspace? Say it with --wit-dir, of %s", strings.Join(names, ", "))
	}
	return folders[0], nil
}

// add writes statements into a world, and fetches.
func (w *witProject) add(ctx context.Context, p *packageFlags, client *packages.Client, folder witFolder, spec packages.Spec, add *witAddition) (name wit.PackageName, _ []packages.Statement, err error) {
	undo := func() error { return nil }
	defer func() {
		if err != nil {
			err = errors.Join(err, undo())
		}
	}()
	var pkg *wit.Package
	if add.path != "" {
		path, err := pathFrom(filepath.Dir(folder.manifestFile), add.path)
		if err != nil {
			return name, nil, err
		}
		if undo, err = packages.SetOverride(folder.manifestFile, spec.Ref, &packages.Override{Path: path}); err != nil {
			undo = func() error { return nil }
			return name, nil, withCode(exitInvalid, err)
		}
		if name, pkg, err = packages.ReadPackage(add.path); err != nil {
			return name, nil, ofWIT(err)
		}
		if refOf := (packages.Ref{Namespace: name.Namespace, Name: name.Name}); refOf != spec.Ref {
			return name, nil, fmt.Errorf("%s has package %s, not %s", add.path, refOf, spec.Ref)
		}
		if folder, err = w.folder(); err != nil {
			return name, nil, err
		}
	} else if pkg, err = w.member(folder, spec); err == nil && pkg == nil {
		pkg, err = p.findWIT(ctx, client, spec)
	}
	if err != nil {
		return name, nil, err
	}
	name = pkg.Name
	statements, err := add.statements(pkg)
	if err != nil {
		return name, nil, err
	}
	edit, err := packages.AddStatements(w.path(folder), add.world, statements)
	if err != nil {
		return name, nil, ofWIT(err)
	}
	return name, statements, w.fetchEdited(ctx, p, client, folder, edit)
}

// member returns the package of the workspace that matches, or nil.
func (w *witProject) member(folder witFolder, spec packages.Spec) (*wit.Package, error) {
	for name, dir := range folder.members {
		v, err := packages.ParseVersion(name.Version)
		if name.Namespace == spec.Namespace && name.Name == spec.Name && (spec.Requirement.Equal(packages.AnyVersion) || err == nil && spec.Requirement.Matches(v)) {
			_, pkg, err := packages.ReadPackage(filepath.Join(w.root, filepath.FromSlash(dir)))
			return pkg, ofWIT(err)
		}
	}
	return nil, nil
}

// pathFrom returns a path relative to a folder, with '/', or as it is if it is absolute.
func pathFrom(folder, path string) (string, error) {
	if filepath.IsAbs(path) {
		return filepath.ToSlash(path), nil
	}
	base, err := filepath.Abs(folder)
	if err != nil {
		return "", err
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", err
	}
	rel, err := filepath.Rel(base, path)
	return filepath.ToSlash(rel), err
}

// findWIT returns the highest version of a WIT package that matches: of those that are
// built in, or in a registry.
func (p *packageFlags) findWIT(ctx context.Context, client *packages.Client, spec packages.Spec) (*wit.Package, error) {
	latest := wit.PackageName{Namespace: spec.Namespace, Name: spec.Name, Version: wasiwit.Version}
	if fsys, _ := wasiwit.Lookup(latest); fsys != nil {
		return builtinWIT(spec)
	}
	r, err := p.resolver(client).Resolve(ctx, spec.Ref, spec.Requirement)
	if err != nil {
		return nil, err
	}
	b, err := r.Content(ctx)
	if err != nil {
		return nil, artifactError(err)
	}
	decoded, world, err := wit.Decode(b)
	name := wit.PackageName{Namespace: r.Package.Namespace, Name: r.Package.Name, Version: r.Version.String()}
	switch {
	case err == nil && world != nil:
		err = errors.New("is a component, not a WIT package")
	case err == nil && decoded.Main.Name != name:
		err = fmt.Errorf("its content is package %s", decoded.Main.Name)
	}
	if err != nil {
		return nil, withCode(exitInvalid, fmt.Errorf("%s@%s: %w", r.Package, r.Version, err))
	}
	return decoded.Main, nil
}

// builtinWIT returns the highest version of a package of WASI that matches.
func builtinWIT(spec packages.Spec) (*wit.Package, error) {
	v, err := packages.ParseVersion(wasiwit.Version)
	if err != nil {
		return nil, err
	}
	for ; ; v.Patch-- {
		if spec.Requirement.Matches(v) {
			break
		}
		if v.Patch == 0 {
			return nil, fmt.Errorf("no version of %s matches %s; ashlar has 0.2.0 to %s", spec.Ref, spec.Requirement, wasiwit.Version)
		}
	}
	name := wit.PackageName{Namespace: spec.Namespace, Name: spec.Name, Version: v.String()}
	fsys, folder := wasiwit.Lookup(name)
	r, err := wit.ParseFS(fsys, folder, wit.Options{Lookup: wasiwit.Lookup})
	if err != nil {
		return nil, err
	}
	found := *r.Main
	found.Name = name
	return &found, nil
}

// statements are those to add for a package.
func (a *witAddition) statements(pkg *wit.Package) ([]packages.Statement, error) {
	var interfaces, worlds []string
	for _, i := range pkg.Interfaces {
		interfaces = append(interfaces, i.Name)
	}
	for _, w := range pkg.Worlds {
		worlds = append(worlds, w.Name)
	}
	list := func(names []string) string {
		if len(names) == 0 {
			return "none"
		}
		return strings.Join(names, ", ")
	}
	imports := a.imports
	if len(a.imports)+len(a.exports)+len(a.includes) == 0 {
		if len(interfaces) != 1 {
			return nil, usageError("say what of %s to use, with --import, --export or --include; its interfaces: %s; its worlds: %s", pkg.Name, list(interfaces), list(worlds))
		}
		imports = interfaces
	}
	var all []packages.Statement
	for _, use := range []struct {
		verb  string
		names []string
		world bool
	}{{"import", imports, false}, {"export", a.exports, false}, {"include", a.includes, true}} {
		for _, n := range use.names {
			if use.world && pkg.World(n) == nil {
				return nil, usageError("%s has no world %s; it has: %s", pkg.Name, n, list(worlds))
			}
			if !use.world && pkg.Interface(n) == nil {
				return nil, usageError("%s has no interface %s; it has: %s", pkg.Name, n, list(interfaces))
			}
			all = append(all, packages.Statement{Verb: use.verb, Of: pkg.Name.Item(n)})
		}
	}
	return all, nil
}

func newWitRemove(s *streams) *cobra.Command {
	var p packageFlags
	var w witProject
	cmd := &cobra.Command{
		Use:   "remove [flags] NAME",
		Short: "Use a package in worlds no more",
		Long: `Remove what worlds import, export or include of a package from their text, what wkg.toml
says of where it is, and what is no longer needed from deps/ and the locks. It is an error
if types of the package are in use.`,
		Example: "  ashlar wit remove acme:log",
		Args:    exactArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			ref, err := packages.ParseRef(args[0])
			if err != nil {
				return withCode(exitUsage, err)
			}
			return p.packages(s, func(client *packages.Client) error {
				folder, err := w.folder()
				if err != nil {
					return err
				}
				edit, err := packages.RemoveStatements(w.path(folder), ref)
				if err != nil {
					return ofWIT(err)
				}
				_, overridden := folder.manifest.Overrides[ref]
				if len(edit.Files()) == 0 && !overridden {
					return fmt.Errorf("%s does not use %s", folder.dir, ref)
				}
				undo, err := packages.SetOverride(folder.manifestFile, ref, nil)
				if err != nil {
					return withCode(exitInvalid, err)
				}
				if folder, err = w.folder(); err == nil {
					err = w.fetchEdited(c.Context(), &p, client, folder, edit)
				}
				if err != nil {
					return errors.Join(err, undo())
				}
				_, err = fmt.Fprintf(s.err, "removed %s\n", ref)
				return err
			})
		},
	}
	p.flags(cmd)
	p.policies.flags(cmd)
	cmd.Flags().StringVarP(&w.dir, "wit-dir", "d", "", "`folder` of WIT (default: wit)")
	return cmd
}
