package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/build/metadata"
	"github.com/ashlar-wasm/ashlar/packages"
	wasiwit "github.com/ashlar-wasm/ashlar/wasi/wit"
	"github.com/ashlar-wasm/ashlar/wit"
)

// witProject is the folders of WIT that a command works on, with their manifest and locks.
type witProject struct {
	// root is the folder with the manifest and the locks; empty means the current one.
	root string
	// dir is the folder; empty means all members of the workspace, if there is one.
	dir string
	// workspace insists on that.
	workspace bool
	locked    bool
	// dry writes nothing.
	dry bool
	// update says whose locks are not to be looked at.
	update func(packages.Ref) bool
}

// witFolder is a folder of WIT, and what is said of it.
type witFolder struct {
	// dir is relative to the root of the project.
	dir      string
	manifest *packages.Manifest
	// manifestFile is where that is, or would be.
	manifestFile string
	// members are folders of the workspace's packages.
	members map[wit.PackageName]string
}

// path is where a folder of WIT is.
func (w *witProject) path(f witFolder) string {
	if filepath.IsAbs(f.dir) {
		return f.dir
	}
	return filepath.Join(w.root, f.dir)
}

// folders returns the folders to work on, each behind those that it needs.
func (w *witProject) folders() ([]witFolder, error) {
	manifest, err := packages.ReadManifest(filepath.Join(w.root, packages.ManifestFile))
	if err != nil {
		return nil, withCode(exitInvalid, err)
	}
	isRoot := manifest.Workspace != nil && manifest.Workspace.Members != nil
	if w.workspace && !isRoot {
		return nil, usageError("this folder is no workspace: it has no %s with [workspace] and members", packages.ManifestFile)
	}
	if !isRoot && w.root == "" {
		// It may be a member of a workspace further up.
		root, dir, err := witRoot(".", cmp.Or(w.dir, "wit"))
		if err != nil {
			return nil, err
		}
		if root != "." {
			w.root, w.dir = root, dir
			return w.folders()
		}
	}
	if !isRoot {
		return []witFolder{{dir: cmp.Or(w.dir, "wit"), manifest: manifest, manifestFile: filepath.Join(w.root, packages.ManifestFile)}}, nil
	}
	members, err := manifest.Workspace.MembersIn(cmp.Or(w.root, "."))
	if err != nil {
		return nil, withCode(exitInvalid, fmt.Errorf("%s: %w", packages.ManifestFile, err))
	}
	dirs := map[wit.PackageName]string{}
	for _, m := range members {
		dirs[m.Name] = m.Dir
	}
	var all []witFolder
	for _, m := range members {
		f := witFolder{filepath.FromSlash(m.Dir), m.Manifest, filepath.Join(w.root, filepath.FromSlash(m.ManifestFile)), maps.Clone(dirs)}
		delete(f.members, m.Name)
		if w.dir == "" || filepath.Clean(w.dir) == f.dir {
			all = append(all, f)
		}
	}
	if len(all) == 0 {
		all = []witFolder{{w.dir, &packages.Manifest{Metadata: manifest.Workspace.Metadata}, filepath.Join(w.root, packages.ManifestFile), dirs}}
	}
	return all, nil
}

// options say what to fetch for a folder.
func (w *witProject) options(p *packageFlags, client *packages.Client, folder witFolder) (packages.FetchOptions, error) {
	r := p.resolver(client)
	if vendor := filepath.Join(w.root, packages.VendorFolder); isFolder(vendor) {
		r.Vendor = packages.Local(vendor)
	}
	r.Locked, r.Update = w.locked, w.update
	o := packages.FetchOptions{Project: cmp.Or(w.root, "."), Dir: folder.dir, Manifest: folder.manifest, Members: folder.members, Resolver: r, Builtin: wasiwit.Lookup}
	var err error
	if r.Wkg, err = packages.ReadWkgLock(filepath.Join(w.root, packages.WkgLockFile)); err != nil {
		return o, withCode(exitInvalid, err)
	}
	if r.Lock, err = packages.ReadLock(filepath.Join(w.root, packages.LockFile)); err != nil {
		return o, withCode(exitInvalid, err)
	}
	return o, nil
}

// ofWIT gives an error its exit code if it is a mistake in WIT.
func ofWIT(err error) error {
	var we *wit.Error
	if errors.As(err, &we) {
		return withCode(exitInvalid, err)
	}
	return err
}

// fetch finds what a folder depends on, and writes that if it may.
func (w *witProject) fetch(ctx context.Context, p *packageFlags, client *packages.Client, folder witFolder) (*packages.Fetched, error) {
	o, err := w.options(p, client, folder)
	if err != nil {
		return nil, err
	}
	f, err := packages.Fetch(ctx, o)
	if err != nil {
		return nil, ofWIT(err)
	}
	if w.locked {
		err = f.CheckLocks(o.Resolver)
	}
	if err != nil || w.dry {
		return f, err
	}
	return f, f.Write(w.root, !w.locked)
}

// builtPackage is a WIT package in its binary form.
type builtPackage struct {
	name    wit.PackageName
	content []byte
	// local are packages from folders that it depends on.
	local []packages.LockedPackage
}

// build returns the packages of the folders in their binary form, each behind those that
// it needs.
func (w *witProject) build(ctx context.Context, p *packageFlags, client *packages.Client) ([]builtPackage, error) {
	folders, err := w.folders()
	if err != nil {
		return nil, err
	}
	var all []builtPackage
	for _, folder := range folders {
		f, err := w.fetch(ctx, p, client, folder)
		if err != nil {
			return nil, err
		}
		b, err := folder.encode(f.Resolve.Main)
		if err != nil {
			return nil, err
		}
		all = append(all, builtPackage{f.Resolve.Main.Name, b, f.Local()})
	}
	return all, nil
}

// encode returns a package in its binary form, with the metadata of the manifest.
func (w *witFolder) encode(p *wit.Package) ([]byte, error) {
	b, err := wit.Encode(p)
	if err != nil {
		return nil, withCode(exitInvalid, fmt.Errorf("%s: %w", w.dir, err))
	}
	about := metadata.Metadata{Name: p.Name.Namespace + ":" + p.Name.Name, Version: p.Name.Version}
	if m := w.manifest.Metadata; m != nil {
		about.Authors, about.Description, about.Licenses = m.Authors, m.Description, m.Licenses
		about.Source, about.Homepage, about.Revision = m.Source, m.Homepage, m.Revision
	}
	if err := about.Validate(); err != nil {
		return nil, withCode(exitInvalid, fmt.Errorf("%s: %w", packages.ManifestFile, err))
	}
	return metadata.Write(b, about)
}

// witDirHelp says what the commands read and write.
const witDirHelp = `DIR is a folder of WIT (default: wit, or each member of the workspace that wkg.toml in
the current folder describes). wkg.toml may redirect packages; wkg.lock and ashlar.lock
beside it say which versions were taken, and are written. Packages of WASI 0.2 come
with ashlar.`

func (w *witProject) setDir(args []string) {
	if len(args) > 0 {
		w.dir = filepath.Clean(args[0])
	}
}

func newWitFetch(s *streams) *cobra.Command {
	var p packageFlags
	var w witProject
	cmd := &cobra.Command{
		Use:   "fetch [flags] [DIR]",
		Short: "Fetch the packages that a folder of WIT uses into its deps/",
		Long: `Fetch the packages that a folder of WIT uses and imports, and those that they use, into
its subfolder deps/. What is there by hand stays, and counts.

` + witDirHelp,
		Args: atMostArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			w.setDir(args)
			return w.fetchAndPrint(c.Context(), s, &p)
		},
	}
	p.flags(cmd)
	p.policies.flags(cmd)
	w.lockedFlag(cmd)
	return cmd
}

func (w *witProject) lockedFlag(c *cobra.Command) {
	c.Flags().BoolVar(&w.locked, "locked", false, "fail if a lock would change, and say how")
}

// fetchAndPrint lists what was fetched.
func (w *witProject) fetchAndPrint(ctx context.Context, s *streams, p *packageFlags) error {
	return p.packages(s, func(client *packages.Client) error {
		folders, err := w.folders()
		if err != nil {
			return err
		}
		var lock *packages.Lock
		for _, folder := range folders {
			f, err := w.fetch(ctx, p, client, folder)
			if err != nil {
				return err
			}
			lock = f.Lock
		}
		for i := range lock.Packages {
			l := &lock.Packages[i]
			if _, err := fmt.Fprintf(s.out, "%s (%s)\n", l.Name, lockedFrom(l)); err != nil {
				return err
			}
		}
		return nil
	})
}

func newWitUpdate(s *streams) *cobra.Command {
	var p packageFlags
	var w witProject
	cmd := &cobra.Command{
		Use:   "update [flags] [NAME...]",
		Short: "Fetch packages anew, whatever the locks say",
		Long:  "Fetch the packages that a folder of WIT uses anew, all or those that are named, whatever the\nlocks say.\n\n" + witDirHelp,
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			if w.update, err = namedPackages(args); err != nil {
				return err
			}
			return w.fetchAndPrint(c.Context(), s, &p)
		},
	}
	p.flags(cmd)
	p.policies.flags(cmd)
	cmd.Flags().StringVarP(&w.dir, "wit-dir", "d", "", "`folder` of WIT (default: wit, or each member of the workspace)")
	return cmd
}

func newWitBuild(s *streams) *cobra.Command {
	var p packageFlags
	var w witProject
	var out string
	cmd := &cobra.Command{
		Use:   "build [flags] [DIR]",
		Short: "Build a WIT package in its binary form",
		Long: `Fetch what a folder of WIT uses, and write its package in binary form, with the metadata
that wkg.toml has.

` + witDirHelp,
		Args: atMostArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			w.setDir(args)
			return p.packages(s, func(client *packages.Client) error {
				built, err := w.build(c.Context(), &p, client)
				if err != nil {
					return err
				}
				for _, b := range built {
					file := b.name.String() + ".wasm"
					if runtime.GOOS == "windows" {
						file = strings.ReplaceAll(file, ":", "-") // it would name a stream of a file
					}
					if info, err := os.Stat(out); out != "" && (err == nil && info.IsDir() || len(built) > 1) {
						file = filepath.Join(out, file)
					} else if out != "" {
						file = out
					}
					if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
						return err
					}
					if err := writeWhole(file, b.content); err != nil {
						return err
					}
					if _, err := fmt.Fprintf(s.out, "%s %s\n", file, packages.DigestOf(b.content)); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	p.flags(cmd)
	p.policies.flags(cmd)
	w.lockedFlag(cmd)
	cmd.Flags().StringVarP(&out, "out", "o", "", "`file` or folder to write (default: NAMESPACE:NAME@VERSION.wasm)")
	return cmd
}

func newWitPublish(s *streams) *cobra.Command {
	var p publishFlags
	var w witProject
	cmd := &cobra.Command{
		Use:   "publish [flags] [DIR]",
		Short: "Build a WIT package and publish it",
		Long: `Build a WIT package and publish it under the name and version that it says. Of a
workspace all members are published, each after those that it needs; what is published
already with the same content is left out.

` + witDirHelp,
		Args: atMostArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			w.setDir(args)
			return p.publishFolders(c.Context(), s, &w)
		},
	}
	p.flags(cmd)
	p.policies.flags(cmd)
	w.lockedFlag(cmd)
	return cmd
}
