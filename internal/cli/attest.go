package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/attest"
	"github.com/ashlar-wasm/ashlar/build"
	"github.com/ashlar-wasm/ashlar/build/project"
	"github.com/ashlar-wasm/ashlar/oci"
	"github.com/ashlar-wasm/ashlar/signature"
)

// attesting is what build does about attestations.
type attesting struct {
	wanted  bool
	builder string
	source  *attest.Source
}

func (a *attesting) flags(c *cobra.Command) {
	c.Flags().BoolVar(&a.wanted, "attest", false, "write provenance and an SBOM beside the component")
	c.Flags().StringVar(&a.builder, "builder", "", "`URI` of who builds, for provenance (default: "+attest.BuilderLocal+")")
}

// begin looks where the sources are from, before the build writes anything.
func (a *attesting) begin(ctx context.Context, p *project.Project) (err error) {
	if !a.wanted {
		if a.builder != "" {
			return usageError("--builder goes with --attest")
		}
		return nil
	}
	if u, err := url.Parse(a.builder); err != nil || a.builder != "" && u.Scheme == "" {
		return usageError("--builder %q: expected a URI", a.builder)
	}
	a.source, err = attest.FindSource(ctx, p.Dir, project.File)
	return err
}

// ashlarVersion is the version of Ashlar for others to read.
func ashlarVersion() string { return strings.Fields(version())[0] }

// write writes the attestations of what was built.
func (a *attesting) write(ctx context.Context, p *project.Project, r *build.Result) error {
	if !a.wanted {
		return nil
	}
	f, err := load(r.Path, maxFile)
	if err != nil {
		return err
	}
	st, err := attest.NewProvenance(attest.Build{
		Project: p, Name: filepath.Base(r.Path), Content: f.bytes, Commands: r.Commands, Tools: attest.FindTools(ctx, p),
		Source: a.source, Builder: a.builder, Version: ashlarVersion(),
	})
	if err != nil {
		return err
	}
	provenance, err := attest.EncodeStatement(st)
	if err != nil {
		return err
	}
	bom, err := attest.NewBOM(attest.Component{Name: p.Name, Content: f.bytes, Dir: p.Dir, Language: p.Language, Tool: ashlarVersion()})
	if err != nil {
		return err
	}
	sbom, err := bom.Encode()
	if err != nil {
		return err
	}
	provenancePath, sbomPath := attest.Paths(r.Path)
	if err := writeWhole(provenancePath, provenance); err != nil {
		return err
	}
	return writeWhole(sbomPath, sbom)
}

// predicateAnnotation is the annotation of a statement that nobody signed with what it
// is about, as others have it.
const predicateAnnotation = "in-toto.io/predicate-type"

// attachment is an attestation of a file that is pushed.
type attachment struct {
	path          string
	file          signature.Subject
	predicateType string
	predicate     json.RawMessage
	content       []byte // of an SBOM, as it is attached if nobody signs it
}

// staleError is the error of an attestation that is not of the file beside it.
func staleError(path, file string) error {
	return fmt.Errorf("%s is not about %s as it is now: make it anew ('ashlar build --attest'), or remove it, or push without (--no-attestations)", path, file)
}

// readAttachments reads the attestations that stand beside a file.
func readAttachments(f *file) ([]attachment, error) {
	var all []attachment
	subject := signature.Subject{Name: filepath.Base(f.path), Digest: map[string]string{"sha256": fmt.Sprintf("%x", sha256.Sum256(f.bytes))}}
	provenance, sbom := attest.Paths(f.path)
	b, err := readAtMost(provenance, oci.MaxAttachment)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	default:
		st, err := signature.ParseStatement(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", provenance, err)
		}
		if !attest.IsAbout(st, f.bytes) {
			return nil, staleError(provenance, f.path)
		}
		all = append(all, attachment{provenance, subject, st.PredicateType, st.Predicate, nil})
	}
	bom, b, err := readSBOM(sbom)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case !bom.IsOf(f.bytes):
		return nil, staleError(sbom, f.path)
	default:
		all = append(all, attachment{sbom, subject, signature.PredicateSBOM, b, b})
	}
	return all, nil
}

func readSBOM(path string) (*attest.BOM, []byte, error) {
	b, err := readAtMost(path, oci.MaxAttachment)
	if err != nil {
		return nil, nil, err
	}
	bom, err := attest.ParseBOM(b)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return bom, b, nil
}

// statement is what the attestation says of an artifact, which it names by its manifest,
// and of the file, by its bytes.
func (a *attachment) statement(manifest []byte) (*signature.Statement, error) {
	st, err := signature.NewStatement(manifest, a.predicateType, a.predicate)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.path, err)
	}
	st.Subjects = append(st.Subjects, a.file)
	return st, nil
}

// attachPlain attaches an attestation that nobody signs.
func (a *attachment) attachPlain(ctx context.Context, client *oci.Client, ref oci.Reference, st *signature.Statement) (err error) {
	attached := oci.Attachment{ArtifactType: attest.MediaTypeSBOM, Content: a.content}
	if a.content == nil {
		attached.ArtifactType = attest.MediaTypeStatement
		attached.Annotations = map[string]string{predicateAnnotation: a.predicateType}
		if attached.Content, err = st.Encode(); err != nil {
			return err
		}
	}
	_, err = client.Attach(ctx, ref, attached)
	return err
}

// says reports whether one of the bundles has what the key said of an artifact.
func says(bundles []*signature.Bundle, manifest []byte, k signature.PublicKey, is func(*signature.Statement) bool) bool {
	return slices.ContainsFunc(bundles, func(b *signature.Bundle) bool {
		v, err := b.Verify(manifest, []signature.PublicKey{k})
		return err == nil && is(v.Statement)
	})
}

// signAttachments signs attestations, and has those attached that the key has not signed
// before: have is what is attached already.
func signAttachments(ctx context.Context, all []attachment, manifest []byte, k signature.Signer, have []*signature.Bundle, attach attacher) error {
	for i := range all {
		st, err := all[i].statement(manifest)
		if err != nil {
			return err
		}
		text, err := st.Encode()
		if err != nil {
			return err
		}
		if says(have, manifest, k.Public(), func(was *signature.Statement) bool {
			if was == nil {
				return false
			}
			b, err := was.Encode()
			return err == nil && bytes.Equal(b, text)
		}) {
			continue
		}
		b, err := signature.Sign(ctx, k, st)
		if err != nil {
			return err
		}
		if err := attach(ctx, b); err != nil {
			return err
		}
	}
	return nil
}
