package cli

import (
	"fmt"

	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/oci"
)

func newCopy(s *streams) *cobra.Command {
	var r registries
	var alone bool
	limit := maxFile
	cmd := &cobra.Command{
		Use:   "copy [flags] REF|PACKAGE REF",
		Short: "Copy an artifact from one registry or layout to another",
		Long: `Copy an artifact from one registry or OCI layout to another, byte by byte, and
print the reference of the copy with the digest, which stays the same. What is
there already is not transferred. What refers to the artifact is copied with it:
signatures and attestations. What somebody attached that is no good is left out.

` + artifactHelp,
		Example: `  ashlar copy staging.example/ns/app:1.2.0 registry.example/ns/app:1.2.0
  ashlar copy registry.example/ns/app:1.2.0 oci:app:1.2.0`,
		Args: exactArgs("REF|PACKAGE", "REF"),
		RunE: func(c *cobra.Command, args []string) error {
			to, err := parseReference(args[1])
			if err != nil {
				return err
			}
			return r.artifact(c.Context(), s, args[0], limit, false, func(client *oci.Client, from oci.Reference) error {
				o := oci.CopyOptions{Referrers: !alone, Skipped: func(d digest.Digest, err error) {
					fmt.Fprintf(s.err, "ashlar: not copied: referrer %s: %s\n", d, printable(err.Error()))
				}}
				ref, err := client.Copy(c.Context(), from, to, o)
				if err != nil {
					return artifactError(err)
				}
				_, err = fmt.Fprintln(s.out, ref)
				return err
			})
		},
	}
	r.readFlags(cmd)
	cmd.Flags().Var(&limit, "max-file", "bytes that the artifact's layer may have")
	cmd.Flags().BoolVar(&alone, "no-referrers", false, "leave signatures and attestations where they are")
	return cmd
}

func newTags(s *streams) *cobra.Command {
	var r registries
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "tags [flags] REF",
		Short: "List the tags of a repository in an OCI registry",
		Long: `List the tags of a repository in an OCI registry, or of an OCI layout on disk,
sorted. A tag or digest in REF is of no concern.

` + referenceHelp,
		Example: `  ashlar tags registry.example/ns/app
  ashlar tags oci:dist`,
		Args: exactArgs("REF"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := output.check(); err != nil {
				return err
			}
			ref, err := parseReference(args[0])
			if err != nil {
				return err
			}
			r.artifactCache.flag = cacheOff // tags are asked for, never remembered
			return r.client(s, maxFile, func(client *oci.Client) error {
				tags, err := client.Tags(c.Context(), ref)
				if err != nil {
					return err
				}
				if output.json() {
					return printJSON(s, tags)
				}
				for _, t := range tags {
					fmt.Fprintln(s.out, printable(t))
				}
				return nil
			})
		},
	}
	r.flags(cmd)
	output.flags(cmd)
	return cmd
}
