package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/build/metadata"
	"github.com/ashlar-wasm/ashlar/packages"
	wasiwit "github.com/ashlar-wasm/ashlar/wasi/wit"
	"github.com/ashlar-wasm/ashlar/wit"
)

// witProject is a folder of WIT, with the manifest and the locks of the folder that the
// command runs in.
type witProject struct {
	dir    string
	locked bool
	// update says whose locks are not to be looked at.
	update func(packages.Ref) bool
}

// fetch finds what the folder depends on, and writes that if it may.
func (w *witProject) fetch(ctx context.Context, p *packageFlags, client *packages.Client) (*packages.Fetched, *packages.Manifest, error) {
	manifest, err := packages.ReadManifest(packages.ManifestFile)
	if err != nil {
		return nil, nil, withCode(exitInvalid, err)
	}
	r := p.resolver(client)
	r.Locked, r.Update = w.locked, w.update
	if r.Wkg, err = packages.ReadWkgLock(packages.WkgLockFile); err != nil {
		return nil, nil, withCode(exitInvalid, err)
	}
	if r.Lock, err = packages.ReadLock(packages.LockFile); err != nil {
		return nil, nil, withCode(exitInvalid, err)
	}
	f, err := packages.Fetch(ctx, packages.FetchOptions{Project: ".", Dir: w.dir, Manifest: manifest, Resolver: r, Builtin: wasiwit.Lookup})
	if err != nil {
		var we *wit.Error
		if errors.As(err, &we) {
			err = withCode(exitInvalid, err)
		}
		return nil, nil, err
	}
	if w.locked {
		err = f.CheckLocks(r)
	}
	if err == nil {
		err = f.WriteDeps()
	}
	if err == nil && !w.locked {
		err = f.WriteLocks(".")
	}
	return f, manifest, err
}

// build returns the package of the folder in its binary form.
func (w *witProject) build(ctx context.Context, p *packageFlags, client *packages.Client) (wit.PackageName, []byte, error) {
	f, manifest, err := w.fetch(ctx, p, client)
	if err != nil {
		return wit.PackageName{}, nil, err
	}
	name := f.Resolve.Main.Name
	b, err := wit.Encode(f.Resolve.Main)
	if err != nil {
		return name, nil, withCode(exitInvalid, fmt.Errorf("%s: %w", w.dir, err))
	}
	about := metadata.Metadata{Name: name.Namespace + ":" + name.Name, Version: name.Version}
	if m := manifest.Metadata; m != nil {
		about.Authors, about.Description, about.Licenses = m.Authors, m.Description, m.Licenses
		about.Source, about.Homepage, about.Revision = m.Source, m.Homepage, m.Revision
	}
	if err := about.Validate(); err != nil {
		return name, nil, withCode(exitInvalid, fmt.Errorf("%s: %w", packages.ManifestFile, err))
	}
	b, err = metadata.Write(b, about)
	return name, b, err
}

// witDirHelp says what the commands read and write.
const witDirHelp = `DIR is a folder of WIT (default: wit). wkg.toml in the current folder may redirect
packages; wkg.lock and ashlar.lock there say which versions were taken, and are
written. Packages of WASI 0.2 come with ashlar.`

func (w *witProject) setDir(args []string) {
	w.dir = "wit"
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
	w.lockedFlag(cmd)
	return cmd
}

func (w *witProject) lockedFlag(c *cobra.Command) {
	c.Flags().BoolVar(&w.locked, "locked", false, "fail if a lock would change, and say how")
}

// fetchAndPrint lists what was fetched.
func (w *witProject) fetchAndPrint(ctx context.Context, s *streams, p *packageFlags) error {
	return p.packages(s, func(client *packages.Client) error {
		f, _, err := w.fetch(ctx, p, client)
		if err != nil {
			return err
		}
		for i := range f.Lock.Packages {
			l := &f.Lock.Packages[i]
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
			names := map[packages.Ref]bool{}
			for _, a := range args {
				ref, err := packages.ParseRef(a)
				if err != nil {
					return withCode(exitUsage, err)
				}
				names[ref] = true
			}
			w.update = func(p packages.Ref) bool { return len(names) == 0 || names[p] }
			return w.fetchAndPrint(c.Context(), s, &p)
		},
	}
	p.flags(cmd)
	cmd.Flags().StringVarP(&w.dir, "wit-dir", "d", "wit", "folder of WIT")
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
				name, b, err := w.build(c.Context(), &p, client)
				if err != nil {
					return err
				}
				file := out
				if file == "" {
					file = name.String() + ".wasm"
					if runtime.GOOS == "windows" {
						file = strings.ReplaceAll(file, ":", "-") // it would name a stream of a file
					}
				}
				if err := writeWhole(file, b); err != nil {
					return err
				}
				_, err = fmt.Fprintf(s.out, "%s %s\n", file, packages.DigestOf(b))
				return err
			})
		},
	}
	p.flags(cmd)
	w.lockedFlag(cmd)
	cmd.Flags().StringVarP(&out, "out", "o", "", "`file` to write (default: NAMESPACE:NAME@VERSION.wasm)")
	return cmd
}

func newWitPublish(s *streams) *cobra.Command {
	var p publishFlags
	var w witProject
	cmd := &cobra.Command{
		Use:   "publish [flags] [DIR]",
		Short: "Build a WIT package and publish it",
		Long:  "Build a WIT package and publish it under the name and version that it says.\n\n" + witDirHelp,
		Args:  atMostArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			w.setDir(args)
			return p.packages(s, func(client *packages.Client) error {
				_, b, err := w.build(c.Context(), &p.packageFlags, client)
				if err != nil {
					return err
				}
				return p.publish(c.Context(), s, client, b)
			})
		},
	}
	p.flags(cmd)
	w.lockedFlag(cmd)
	return cmd
}
