package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/packages"
	"github.com/ashlar-wasm/ashlar/signature"
)

// releaseSigner signs what is published.
type releaseSigner struct {
	key         string // a word that names it; empty if nobody signs
	bare        bool   // leave out attestations
	signer      signature.Signer
	attachments []attachment
}

func (p *releaseSigner) flags(c *cobra.Command) {
	c.Flags().StringVar(&p.key, "sign", "", "sign what is published, and its attestations; "+signerHelp)
	c.Flags().BoolVar(&p.bare, "no-attestations", false, "leave out the attestations that stand beside FILE")
}

// read reads the attestations that stand beside a file, which are published if they are
// signed.
func (p *releaseSigner) read(f *file) (err error) {
	if p.key != "" && !p.bare {
		p.attachments, err = readAttachments(f)
	}
	return err
}

// load finds the key, before anything is published.
func (p *releaseSigner) load(ctx context.Context, s *streams) (err error) {
	if p.key != "" && p.signer == nil {
		p.signer, err = signer(ctx, s, p.key)
	}
	return err
}

// sign signs a version that is published, and attaches attestations, unless the key has
// done so before.
func (p *releaseSigner) sign(ctx context.Context, s *streams, publication *packages.Publication) error {
	if p.signer == nil {
		return nil
	}
	r, err := publication.Resolution(ctx)
	if err != nil {
		return err
	}
	manifest, err := r.ManifestBytes(ctx)
	if err != nil {
		return err
	}
	have, err := r.Bundles(ctx)
	if err != nil {
		return err
	}
	if err := signAttachments(ctx, p.attachments, manifest, p.signer, have, r.Attach); err != nil {
		return err
	}
	return signManifest(ctx, s, manifest, p.signer, have, r.Attach)
}
