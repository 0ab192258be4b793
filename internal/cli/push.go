package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/oci"
	"github.com/ashlar-wasm/ashlar/oci/bundles"
	"github.com/ashlar-wasm/ashlar/signature"
)

// referenceHelp says how artifacts are named.
const referenceHelp = `REF is HOST/NAME:TAG, HOST/NAME@sha256:..., or oci:DIR[:TAG] for an OCI layout on
disk. Credentials are those of 'ashlar login', Docker and its helpers, and Podman.`

// artifactHelp says how artifacts are named where packages are too.
const artifactHelp = referenceHelp + `
PACKAGE is namespace:name, or with a version, namespace:name@1.2 ('ashlar pkg --help').`

func newPush(s *streams) *cobra.Command {
	var r registries
	var o oci.BuildOptions
	var key string
	var bare bool
	cmd := &cobra.Command{
		Use:   "push [flags] FILE REF",
		Short: "Push a component or core module to an OCI registry",
		Long: `Push a component or core module to an OCI registry, as a Wasm OCI artifact, and
print its reference with the digest.

` + referenceHelp + `

The same file makes the same artifact, to the byte: what it says of itself comes
from the file ('ashlar component metadata' shows and sets that), and its date is
SOURCE_DATE_EPOCH or else 1970.

What 'ashlar build --attest' wrote beside FILE is attached to it: provenance and an SBOM.
With --sign the artifact is signed, and so are these. The tag is set at the end, so that
nobody finds what it means without its signatures.`,
		Example: `  ashlar push hello.wasm registry.example/ns/hello:1.2.0
  ashlar push --sign release hello.wasm registry.example/ns/hello:1.2.0
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
			p := publication{artifact: a}
			if !bare {
				if p.attachments, err = readAttachments(f); err != nil {
					return err
				}
			}
			if key != "" {
				if p.signer, err = signer(c.Context(), s, key); err != nil {
					return err
				}
			}
			r.artifactCache.flag = cacheOff // nothing is pulled
			return r.client(s, maxFile, func(client *oci.Client) error {
				ref, err := p.push(c.Context(), s, client, ref)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(s.out, ref)
				return err
			})
		},
	}
	r.flags(cmd)
	cmd.Flags().StringVar(&key, "sign", "", "sign the artifact and its attestations; "+signerHelp)
	cmd.Flags().BoolVar(&bare, "no-attestations", false, "leave out the attestations that stand beside FILE")
	cmd.Flags().StringVar(&o.Target, "target", "", "`world` that the component was made for, as wasi:http/proxy@0.2.0")
	return cmd
}

// publication is an artifact with what is attached to it.
type publication struct {
	artifact    *oci.Artifact
	attachments []attachment
	signer      signature.Signer // nil if nobody signs
}

// push pushes the artifact, attaches what belongs to it, and then sets the tag.
func (p *publication) push(ctx context.Context, s *streams, client *oci.Client, ref oci.Reference) (oci.Reference, error) {
	if len(p.attachments) == 0 && p.signer == nil {
		return client.Push(ctx, ref, p.artifact)
	}
	pinned := ref
	pinned.Tag, pinned.Digest = "", p.artifact.Descriptor.Digest
	if ref.Digest != "" {
		pinned.Digest = ref.Digest // which is an error if it is another
	}
	pinned, err := client.Push(ctx, pinned, p.artifact)
	if err != nil {
		return ref, err
	}
	manifest := p.artifact.ManifestBytes
	if p.signer == nil {
		for i := range p.attachments {
			st, err := p.attachments[i].statement(manifest)
			if err == nil {
				err = p.attachments[i].attachPlain(ctx, client, pinned, st)
			}
			if err != nil {
				return ref, err
			}
		}
		return client.Push(ctx, ref, p.artifact)
	}
	attached, err := bundles.List(ctx, client, pinned, "")
	if err != nil {
		return ref, err
	}
	have, attach := bundles.Readable(attached), attachTo(client, pinned)
	if err := signAttachments(ctx, p.attachments, manifest, p.signer, have, attach); err != nil {
		return ref, err
	}
	if err := signManifest(ctx, s, manifest, p.signer, have, attach); err != nil {
		return ref, err
	}
	return client.Push(ctx, ref, p.artifact)
}
