package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/attest"
	"github.com/ashlar-wasm/ashlar/oci"
	"github.com/ashlar-wasm/ashlar/oci/bundles"
	"github.com/ashlar-wasm/ashlar/signature"
)

func newSBOM(s *streams) *cobra.Command {
	var r registries
	var output outputFormat
	var words []string
	cmd := &cobra.Command{
		Use:   "sbom [flags] FILE|REF|PACKAGE",
		Short: "Print what is in a component: its SBOM in CycloneDX",
		Long: `Print what is in a component, as a bill of materials (SBOM) in CycloneDX: the one that
is attached to an artifact, or stands beside a file ('ashlar build --attest' writes it),
or else one made of what the component says of itself. Where it is from, and by whom it is
signed, is said on stderr. With --key only an SBOM that one of the keys signed is taken.

` + artifactHelp,
		Example: `  ashlar sbom build/hello.wasm
  ashlar sbom -o text registry.example/ns/hello:1.2.0
  ashlar sbom --key release.pub registry.example/ns/hello:1.2.0 >hello.cdx.json`,
		Args: exactArgs("FILE|REF|PACKAGE"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := output.check(); err != nil {
				return err
			}
			keys, err := namedKeys(words)
			if err != nil {
				return err
			}
			_, isRemote, err := remoteReference(args[0])
			if err != nil {
				return err
			}
			var found *foundSBOM
			switch {
			case isRemote, namesPackage(args[0]):
				found, err = r.sbom(c.Context(), s, args[0], keys)
			case len(keys) > 0:
				return usageError("--key is for artifacts: files are not signed")
			default:
				found, err = sbomOfFile(args[0])
			}
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintln(s.err, found.origin); err != nil {
				return err
			}
			if output.json() {
				_, err = s.out.Write(found.content)
				return err
			}
			bom, err := attest.ParseBOM(found.content)
			if err != nil {
				return err
			}
			for line := range strings.Lines(bom.Text()) {
				if _, err := fmt.Fprintln(s.out, printable(strings.TrimSuffix(line, "\n"))); err != nil {
					return err
				}
			}
			return nil
		},
	}
	r.readFlags(cmd)
	cmd.Flags().StringVarP(&output.name, "output", "o", "json", "text or json")
	cmd.Flags().StringArrayVar(&words, "key", nil, "trusted `key`: a name of 'ashlar key list', the file of a public key, or an nkey (repeatable)")
	return cmd
}

// foundSBOM is an SBOM, and where it is from.
type foundSBOM struct {
	content []byte
	origin  string // for people
}

// sbomOfFile returns the SBOM beside a file if it is of that, or else makes one.
func sbomOfFile(path string) (*foundSBOM, error) {
	f, err := load(path, maxFile)
	if err != nil {
		return nil, err
	}
	_, beside := attest.Paths(path)
	note := ""
	bom, b, err := readSBOM(beside)
	switch {
	case err == nil && bom.IsOf(f.bytes):
		return &foundSBOM{b, "from " + beside}, nil
	case err == nil:
		note = " (" + beside + " is about another file)"
	case !errors.Is(err, fs.ErrNotExist):
		note = fmt.Sprintf(" (%v)", err)
	}
	return f.sbom(note)
}

// sbom makes an SBOM of what a component says of itself.
func (f *file) sbom(note string) (*foundSBOM, error) {
	bom, err := attest.NewBOM(attest.Component{Name: strings.TrimSuffix(filepath.Base(f.path), ".wasm"), Content: f.bytes, Tool: ashlarVersion()})
	if err != nil {
		return nil, f.invalid(err)
	}
	b, err := bom.Encode()
	return &foundSBOM{b, "made of what the component says of itself, which may not be all" + note}, err
}

// sbom returns the SBOM that is attached to an artifact: one that a known key signed
// if there is one, or else any.
func (r *registries) sbom(ctx context.Context, s *streams, word string, keys []namedKey) (found *foundSBOM, err error) {
	err = r.artifact(ctx, s, word, maxFile, false, func(client *oci.Client, ref oci.Reference) error {
		a, err := client.Describe(ctx, ref)
		if err != nil {
			return artifactError(err)
		}
		ref.Digest = a.Descriptor.Digest
		known := keys
		if len(known) == 0 {
			known = ownKeys()
		}
		if found, err = signedSBOM(ctx, client, ref, a, known, len(keys) > 0); found != nil || err != nil {
			return err
		}
		if len(keys) > 0 {
			return fmt.Errorf("%s has no SBOM that one of the keys signed", ref)
		}
		if found, err = plainSBOM(ctx, client, ref, a); found != nil || err != nil {
			return err
		}
		if a, err = client.Pull(ctx, ref); err != nil {
			return artifactError(err)
		}
		f := &file{path: ref.String(), bytes: a.Layer}
		found, err = f.sbom("; none is attached")
		return err
	})
	return found, err
}

// ownKeys are those of the user's store, which may be none.
func ownKeys() []namedKey {
	store, err := openKeys()
	if err != nil {
		return nil
	}
	list, err := store.List()
	if err != nil {
		return nil
	}
	var keys []namedKey
	for _, k := range list {
		if public, err := store.Public(k.Name); err == nil {
			keys = append(keys, namedKey{k.Name, public})
		}
	}
	return keys
}

// signedSBOM returns an SBOM that somebody signed, one of these keys if possible. It is
// nil if there is none. known asks for one of the keys.
func signedSBOM(ctx context.Context, client *oci.Client, ref oci.Reference, a *oci.Artifact, keys []namedKey, known bool) (*foundSBOM, error) {
	attached, err := bundles.List(ctx, client, ref, signature.PredicateSBOM)
	if err != nil {
		return nil, err
	}
	var other *foundSBOM
	for _, b := range bundles.Readable(attached) {
		st := b.Unverified()
		if !attest.IsAbout(st, a.ManifestBytes) {
			continue
		}
		for _, k := range keys {
			if _, err := b.Verify(a.ManifestBytes, []signature.PublicKey{k.key}); err == nil {
				return newFoundSBOM(st.Predicate, fmt.Sprintf("attached to %s, signed with %s (%s)", ref, k.key.ID(), k.word))
			}
		}
		if other == nil && !known {
			// What a stranger wrote may be anything.
			other, _ = newFoundSBOM(st.Predicate, fmt.Sprintf("attached to %s, NOT verified: it names %s, of which the public key is not here (--key names it)", ref, printable(b.Claimed())))
		}
	}
	return other, nil
}

// newFoundSBOM indents an SBOM, which is in one line in a statement.
func newFoundSBOM(b json.RawMessage, origin string) (*foundSBOM, error) {
	if _, err := attest.ParseBOM(b); err != nil {
		return nil, err
	}
	var text bytes.Buffer
	if err := json.Indent(&text, b, "", "  "); err != nil {
		return nil, err
	}
	text.WriteByte('\n')
	return &foundSBOM{text.Bytes(), origin}, nil
}

// maxPlainSBOMs is how many of the SBOMs that nobody signed are looked at.
const maxPlainSBOMs = 16

// plainSBOM returns an SBOM that nobody signed, one that says that it is about the
// component if there is one, or nil if there is none. Anybody may have attached anything,
// so that what can't be read is none.
func plainSBOM(ctx context.Context, client *oci.Client, ref oci.Reference, a *oci.Artifact) (*foundSBOM, error) {
	refs, err := client.Referrers(ctx, ref, attest.MediaTypeSBOM)
	if err != nil {
		return nil, err
	}
	origin := fmt.Sprintf("attached to %s, NOT signed", ref)
	var other *foundSBOM
	for _, r := range refs[:min(len(refs), maxPlainSBOMs)] {
		attached, err := client.ReadReferrer(ctx, ref, r)
		var unfit *oci.ArtifactError
		if errors.As(err, &unfit) || errors.Is(err, oci.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		bom, err := attest.ParseBOM(attached.Content)
		switch {
		case err != nil:
		case bom.IsOfDigest(a.Manifest.Layer.Digest.Encoded()):
			return &foundSBOM{attached.Content, origin}, nil
		case other == nil:
			other = &foundSBOM{attached.Content, origin + ", and it does not say that it is about this component"}
		}
	}
	return other, nil
}
