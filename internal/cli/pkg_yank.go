package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/ashlar-wasm/ashlar/packages"
	"github.com/ashlar-wasm/ashlar/signature"
	"github.com/ashlar-wasm/ashlar/trust"
)

func newPkgYank(s *streams) *cobra.Command {
	var p packageFlags
	var key, reason string
	var undo bool
	cmd := &cobra.Command{
		Use:   "yank [flags] NAME@VERSION",
		Short: "Say that a version of a package is not to be chosen any more",
		Long: `Say that a version of a package is not to be chosen any more. It stays where it is, and
projects whose locks have it go on using it; nobody else gets it. A signed record of that
is attached to the version in its registry, and the latest record counts.

` + keyHelp,
		Example: `  ashlar pkg yank --reason "loses messages" acme:log@1.2.0
  ashlar pkg yank --undo acme:log@1.2.0`,
		Args: exactArgs("NAME@VERSION"),
		RunE: func(c *cobra.Command, args []string) error {
			ref, v, err := parsePackageVersion(args[0])
			if err != nil {
				return err
			}
			if undo && reason != "" {
				return usageError("--reason says why a version is yanked, and --undo that it is not")
			}
			k, err := signer(c.Context(), s, key)
			if err != nil {
				return err
			}
			p.artifactCache.flag = cacheOff // what is there is asked for, not remembered
			return p.packages(s, func(client *packages.Client) error {
				source, where, err := client.Source(c.Context(), ref)
				if err != nil {
					return err
				}
				y := packages.Yank{Yanked: !undo, Reason: reason, SignedAt: time.Now().UTC()}
				r, err := packages.SetYank(c.Context(), source, ref, v, y, k)
				if err != nil {
					return artifactError(err)
				}
				state := "yanked"
				if undo {
					state = "no longer yanked"
				}
				_, err = fmt.Fprintf(s.out, "%s@%s in %s is %s\n", ref, r.Version, where.Registry, state)
				if err == nil {
					_, err = fmt.Fprintf(s.err, "signed with %s (%s)\n", k.Public().ID(), k.Public().Algorithm())
				}
				return err
			})
		},
	}
	p.flags(cmd)
	cmd.Flags().StringVar(&key, "key", "", signerHelp)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for people")
	cmd.Flags().BoolVar(&undo, "undo", false, "say that the version may be chosen again")
	return cmd
}

// parsePackageVersion reads a package with its full version.
func parsePackageVersion(word string) (ref packages.Ref, v packages.Version, err error) {
	name, version, ok := strings.Cut(word, "@")
	if ref, err = packages.ParseRef(name); err != nil {
		return ref, v, withCode(exitUsage, err)
	}
	if !ok {
		return ref, v, usageError("package %s has no version; expected %s@1.2.0", name, name)
	}
	if v, err = packages.ParseVersion(strings.TrimPrefix(version, "=")); err != nil {
		return ref, v, withCode(exitUsage, err)
	}
	return ref, v, nil
}

// yankKeys returns what finds those whose records say what is yanked: the keys of the
// rules of trust policies that are for a package. Without any it is whoever may write to
// the registry.
func (p *policies) yankKeys() func(packages.Ref, string) ([]signature.PublicKey, error) {
	read := sync.OnceValues(p.read)
	return func(ref packages.Ref, reference string) ([]signature.PublicKey, error) {
		all, err := read()
		if err != nil || reference == "" {
			return nil, err
		}
		var keys []signature.PublicKey
		for _, policy := range all {
			if of, ok := policy.Keys(trust.Artifact{Reference: reference, Package: ref.String()}); ok {
				keys = append(append([]signature.PublicKey{}, keys...), of...)
			}
		}
		return keys, nil
	}
}

// markYanked looks for records on versions that are not known to be yanked, of several at
// a time.
func markYanked(ctx context.Context, source packages.Source, ref packages.Ref, all []packages.VersionInfo, trusted []signature.PublicKey) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i := range all {
		if !all[i].Yanked {
			group.Go(func() error { return markOne(ctx, source, ref, &all[i], trusted) })
		}
	}
	return group.Wait()
}

func markOne(ctx context.Context, source packages.Source, ref packages.Ref, v *packages.VersionInfo, trusted []signature.PublicKey) error {
	r, err := source.Release(ctx, ref, v.Version)
	if errors.Is(err, packages.ErrOffline) {
		return nil // nothing is known of it
	}
	if err != nil {
		return err
	}
	record, err := packages.Yanked(ctx, source, ref, r, trusted)
	if err == nil && record != nil {
		v.Yanked = record.Yanked
	}
	return err
}
