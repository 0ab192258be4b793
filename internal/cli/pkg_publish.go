package cli

import (
	"context"
	"fmt"
	"os"
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
}

func (p *publishFlags) flags(c *cobra.Command) {
	p.packageFlags.flags(c)
	c.Flags().StringVar(&p.name, "package", "", "`namespace:name@version` to publish as (default: what a WIT package says of itself)")
	c.Flags().BoolVar(&p.dryRun, "dry-run", false, "do everything but publish")
	c.Flags().BoolVar(&p.allowBreaking, "allow-breaking", false, "publish a version even if it is not compatible with the one before")
}

// publish publishes a module, component or WIT package.
func (p *publishFlags) publish(ctx context.Context, s *streams, client *packages.Client, b []byte) error {
	name := p.name
	if name == "" {
		r, world, err := wit.Decode(b)
		if err != nil || world != nil {
			return usageError("only WIT packages say what they are called; name the package, with --package namespace:name@version")
		}
		name = r.Main.Name.String()
	}
	refText, versionText, ok := strings.Cut(name, "@")
	ref, err := packages.ParseRef(refText)
	if err != nil {
		return withCode(exitUsage, err)
	}
	if !ok {
		return usageError("package %s has no version", name)
	}
	v, err := packages.ParseVersion(versionText)
	if err != nil {
		return withCode(exitUsage, err)
	}
	publication, err := packages.NewPublication(ctx, client, ref, v, b)
	if err != nil {
		return err
	}
	if publication.Published {
		return fmt.Errorf("%s@%s %w, with the same content", ref, v, packages.ErrExists)
	}
	return p.finish(ctx, s, publication)
}

// finish publishes what may be, or says what would be.
func (p *publishFlags) finish(ctx context.Context, s *streams, publication *packages.Publication) error {
	if err := publication.Compatible(); err != nil {
		if !p.allowBreaking {
			return fmt.Errorf("%w\npublish it as a version that need not be, or with --allow-breaking", err)
		}
		fmt.Fprintf(s.err, "ashlar: %v\n", err)
	}
	name := fmt.Sprintf("%s@%s", publication.Package, publication.Version)
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
	_, err = fmt.Fprintf(s.out, "%s %s\n", name, r.Digest)
	return err
}

func newPkgPublish(s *streams) *cobra.Command {
	var p publishFlags
	cmd := &cobra.Command{
		Use:   "publish [flags] FILE|DIR",
		Short: "Publish a component, a core module or a WIT package",
		Long: `Publish a component, a core module, or a WIT package, which may be a folder of text:
then it is built first, as 'ashlar wit build' does. Versions don't change: one that is
published already is refused. So is one that breaks the highest version below it that
it has to be compatible with: functions, types, interfaces, worlds or exports that are
gone or changed, and what a component or world newly imports.`,
		Example: `  ashlar pkg publish ./wit
  ashlar pkg publish --package acme:hello@1.2.0 hello.wasm`,
		Args: exactArgs("FILE|DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			info, err := os.Stat(args[0])
			if err != nil {
				return err
			}
			return p.packages(s, func(client *packages.Client) error {
				if info.IsDir() {
					w := witProject{dir: args[0]}
					_, b, err := w.build(c.Context(), &p.packageFlags, client)
					if err != nil {
						return err
					}
					return p.publish(c.Context(), s, client, b)
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
				return p.publish(c.Context(), s, client, f.bytes)
			})
		},
	}
	p.flags(cmd)
	return cmd
}
