package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/oci"
)

// referenceHelp says how artifacts are named.
const referenceHelp = `REF is HOST/NAME:TAG, HOST/NAME@sha256:..., or oci:DIR[:TAG] for an OCI layout on
disk. Credentials are those of 'ashlar login', Docker and its helpers, and Podman.`

func newPush(s *streams) *cobra.Command {
	var r registries
	var o oci.BuildOptions
	cmd := &cobra.Command{
		Use:   "push [flags] FILE REF",
		Short: "Push a component or core module to an OCI registry",
		Long: `Push a component or core module to an OCI registry, as a Wasm OCI artifact, and
print its reference with the digest.

` + referenceHelp + `

The same file makes the same artifact, to the byte: what it says of itself comes
from the file ('ashlar component metadata' shows and sets that), and its date is
SOURCE_DATE_EPOCH or else 1970.`,
		Example: `  ashlar push hello.wasm registry.example/ns/hello:1.2.0
  ashlar push hello.wasm oci:dist:1.2.0`,
		Args: exactArgs("FILE", "REF"),
		RunE: func(c *cobra.Command, args []string) error {
			ref, err := parseReference(args[1])
			if err != nil {
				return err
			}
			f, err := load(args[0], maxFile)
			if err != nil {
				return err
			}
			if err := f.validate(); err != nil {
				return f.invalid(err)
			}
			a, err := oci.New(f.bytes, o)
			if err != nil {
				return f.invalid(err)
			}
			r.artifactCache.flag = cacheOff // nothing is pulled
			return r.client(s, maxFile, func(client *oci.Client) error {
				ref, err := client.Push(c.Context(), ref, a)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(s.out, ref)
				return err
			})
		},
	}
	r.flags(cmd)
	cmd.Flags().StringVar(&o.Target, "target", "", "`world` that the component was made for, as wasi:http/proxy@0.2.0")
	return cmd
}
