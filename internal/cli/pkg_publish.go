package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/packages"
	"github.com/ashlar-wasm/ashlar/wit"
)

// publishFlags say what is published, and how.
type publishFlags struct {
	packageFlags
	name   string
	dryRun bool
	// allowBreaking publishes what breaks its predecessor.
	allowBreaking bool
	releaseSigner
}

func (p *publishFlags) flags(c *cobra.Command) {
	p.packageFlags.flags(c)
	c.Flags().StringVar(&p.name, "package", "", "`namespace:name@version` to publish as (default: what a WIT package says of itself)")
	c.Flags().BoolVar(&p.dryRun, "dry-run", false, "say what would be published, and write nothing")
	p.releaseSigner.flags(c)
	c.Flags().BoolVar(&p.allowBreaking, "allow-breaking", false, "publish a version even if it is not compatible with the one before")
}

// publish publishes a module, component or WIT package.
func (p *publishFlags) publish(ctx context.Context, s *streams, client *packages.Client, b []byte) error {
	publication, err := p.prepare(ctx, client, b)
	if err != nil {
		return err
	}
	if publication.Published && p.key == "" {
		return fmt.Errorf("%s@%s %w, with the same content", publication.Package, publication.Version, packages.ErrExists)
	}
	if err := p.check(s, publication); err != nil {
		return err
	}
	return p.finish(ctx, s, publication)
}

// prepare compares what is to be published with what there is.
func (p *publishFlags) prepare(ctx context.Context, client *packages.Client, b []byte) (*packages.Publication, error) {
	name := p.name
	switch r, world, err := wit.Decode(b); {
	case err != nil || world != nil:
		if name == "" {
			return nil, usageError("only WIT packages say what they are called; name the package, with --package namespace:name@version")
		}
	case name == "":
		name = r.Main.Name.String()
	case name != r.Main.Name.String():
		return nil, usageError("it is the WIT package %s, and nobody could use it as %s", r.Main.Name, name)
	}
	refText, versionText, ok := strings.Cut(name, "@")
	ref, err := packages.ParseRef(refText)
	if err != nil {
		return nil, withCode(exitUsage, err)
	}
	if !ok {
		return nil, usageError("package %s has no version; write it as package %s@1.0.0;", name, name)
	}
	v, err := packages.ParseVersion(versionText)
	if err != nil {
		return nil, withCode(exitUsage, err)
	}
	return packages.NewPublication(ctx, p.resolver(client), ref, v, b)
}

// check refuses what breaks its predecessor, if that is not allowed.
func (p *publishFlags) check(s *streams, publication *packages.Publication) error {
	err := publication.Compatible()
	switch {
	case err != nil && !p.allowBreaking:
		return fmt.Errorf("%w\npublish it as a version that need not be, or with --allow-breaking", err)
	case err != nil:
		fmt.Fprintf(s.err, "ashlar: %v\n", err)
	}
	return nil
}

// finish publishes, or says what would be.
func (p *publishFlags) finish(ctx context.Context, s *streams, publication *packages.Publication) error {
	name := fmt.Sprintf("%s@%s", publication.Package, publication.Version)
	if !p.dryRun {
		if err := p.load(ctx, s); err != nil {
			return err
		}
	}
	if publication.Published {
		fmt.Fprintf(s.err, "%s is published already, with the same content\n", name)
		return p.sign(ctx, s, publication)
	}
	if p.dryRun {
		where := packageLocation(publication.Location, packages.Resolution{Package: publication.Package, Release: packages.Release{Version: publication.Version}})
		compared := ""
		if before := publication.Predecessor; before != nil && len(publication.Breaking) == 0 {
			compared = fmt.Sprintf(", compatible with %s", before)
		}
		_, err := fmt.Fprintf(s.out, "%s %s would be published to %s%s\n", name, publication.Digest, where, compared)
		return err
	}
	r, err := publication.Publish(ctx)
	if err != nil {
		return err
	}
	if err := p.sign(ctx, s, publication); err != nil {
		return fmt.Errorf("%s is published, but not signed: %w", name, err)
	}
	_, err = fmt.Fprintf(s.out, "%s %s\n", name, r.Digest)
	return err
}

// checkPublished refuses packages that depend on those of folders which are neither
// published nor among them: nobody else could fetch these.
func checkPublished(ctx context.Context, client *packages.Client, built []builtPackage) error {
	for _, b := range built {
		for _, l := range b.local {
			if slices.ContainsFunc(built, func(o builtPackage) bool { return o.name == l.Name }) {
				continue
			}
			if l.Name.Version == "" {
				return fmt.Errorf("%s depends on %s in %s, which has no version and can't be published", b.name, l.Name, l.Path)
			}
			v, err := packages.ParseVersion(l.Name.Version)
			if err != nil {
				return err
			}
			ref := packages.Ref{Namespace: l.Name.Namespace, Name: l.Name.Name}
			source, where, err := client.Source(ctx, ref)
			if err == nil {
				_, err = source.Release(ctx, ref, v)
			}
			if errors.Is(err, packages.ErrNotFound) {
				return fmt.Errorf("%s depends on %s in %s, which is not in %s: publish that before, or both with --workspace", b.name, l.Name, l.Path, where.Registry)
			}
			if err != nil {
				return fmt.Errorf("%s depends on %s in %s: is it published? %w", b.name, l.Name, l.Path, err)
			}
		}
	}
	return nil
}

// publishFolders builds folders of WIT and publishes them. Nothing is published if any of
// them can't be.
func (p *publishFlags) publishFolders(ctx context.Context, s *streams, w *witProject) error {
	w.dry = p.dryRun
	return p.packages(s, func(client *packages.Client) error {
		built, err := w.build(ctx, &p.packageFlags, client)
		if err != nil {
			return err
		}
		if err := checkPublished(ctx, client, built); err != nil {
			return err
		}
		if len(built) == 1 && !w.workspace {
			return p.publish(ctx, s, client, built[0].content)
		}
		if p.name != "" {
			return usageError("--package names one package, and there are %d", len(built))
		}
		var all []*packages.Publication
		for _, b := range built {
			publication, err := p.prepare(ctx, client, b.content)
			if err == nil {
				err = p.check(s, publication)
			}
			if err != nil {
				return err
			}
			all = append(all, publication)
		}
		for i, publication := range all {
			if err := p.finish(ctx, s, publication); err != nil {
				return fmt.Errorf("%w (%d of %d packages were published)", err, i, len(all))
			}
		}
		return nil
	})
}

func newPkgPublish(s *streams) *cobra.Command {
	var p publishFlags
	var w witProject
	cmd := &cobra.Command{
		Use:   "publish [flags] FILE|DIR",
		Short: "Publish a component, a core module or a WIT package",
		Long: `Publish a component, a core module, or a WIT package, which may be a folder of text:
then it is built first, as 'ashlar wit build' does. Versions don't change: one that is
published already is refused. So is one that breaks the highest version below it that
it has to be compatible with: functions, types, interfaces, worlds or exports that are
gone or changed, and what a component or world newly imports.

With --workspace it publishes the members of the workspace that wkg.toml in the current
folder describes, each after those that it needs, or none if one of them can't be.
What is published already with the same content is left out.

With --sign, what is published is signed, and so are the attestations that stand beside
FILE ('ashlar build --attest'), which are attached to it.`,
		Example: `  ashlar pkg publish ./wit
  ashlar pkg publish --sign release ./wit
  ashlar pkg publish --package acme:hello@1.2.0 hello.wasm
  ashlar pkg publish --workspace --dry-run`,
		Args: atMostArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case w.workspace && len(args) > 0:
				return usageError("--workspace publishes all members: say no FILE|DIR with it")
			case w.workspace:
				return p.publishFolders(c.Context(), s, &w)
			case len(args) == 0:
				return usageError("missing argument FILE|DIR, or --workspace")
			}
			info, err := os.Stat(args[0])
			if err != nil {
				return err
			}
			if info.IsDir() {
				w.setDir(args)
				return p.publishFolders(c.Context(), s, &w)
			}
			f, err := load(args[0], maxFile)
			if err != nil {
				return err
			}
			if f.kind == binary.KindUnknown {
				return f.invalid(fmt.Errorf("not WebAssembly: %s", describe(f.bytes)))
			}
			if err := f.validate(); err != nil {
				return f.invalid(err)
			}
			if err := p.releaseSigner.read(f); err != nil {
				return err
			}
			return p.packages(s, func(client *packages.Client) error { return p.publish(c.Context(), s, client, f.bytes) })
		},
	}
	p.flags(cmd)
	p.policies.flags(cmd)
	cmd.Flags().BoolVar(&w.workspace, "workspace", false, "publish all packages of the workspace")
	return cmd
}
