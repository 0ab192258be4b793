package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/oci"
	"github.com/ashlar-wasm/ashlar/oci/bundles"
	"github.com/ashlar-wasm/ashlar/signature"
)

// verifyReport is what verify prints.
type verifyReport struct {
	Reference string `json:"reference"`
	Digest    string `json:"digest"`
	Verified  bool   `json:"verified"`
	Required  int    `json:"required"` // how many keys have to have signed
	// Signatures are those by the keys, one a key.
	Signatures []verifiedBundle `json:"signatures"`
	// Attestations are other statements by the keys.
	Attestations []verifiedBundle `json:"attestations"`
	// Ignored are bundles that count for nothing.
	Ignored []ignoredBundle `json:"ignored"`
}

type verifiedBundle struct {
	Key           string     `json:"key"`  // its ID
	Name          string     `json:"name"` // what the command line called it
	Algorithm     string     `json:"algorithm"`
	PredicateType string     `json:"predicateType,omitempty"`
	SignedAt      *time.Time `json:"signedAt,omitempty"` // as the signer says
	Referrer      string     `json:"referrer"`           // digest of the manifest that attaches it
}

type ignoredBundle struct {
	Referrer string `json:"referrer"`
	Reason   string `json:"reason"`
}

func newVerify(s *streams) *cobra.Command {
	var r registries
	var output outputFormat
	var words []string
	required := 1
	cmd := &cobra.Command{
		Use:   "verify [flags] --key KEY REF",
		Short: "Check who signed an artifact",
		Long: `Check that an artifact in a registry or layout is signed with one of the keys, or with
as many different ones as --signatures says. What counts is a signature over its
manifest, made by 'ashlar sign' or 'cosign sign --key'; other statements by the keys,
as provenance, are listed. Transparency logs, timestamps of others and certificates
are not looked at.

` + artifactHelp + fmt.Sprintf(`

The exit code is %d if too few of the keys signed it.`, exitTrust),
		Example: `  ashlar verify --key release.pub registry.example/ns/hello:1.2.0
  ashlar verify --key alyssa --key ben --key UC3K... --signatures 2 registry.example/ns/hello:1.2.0`,
		Args: exactArgs("REF|PACKAGE"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := output.check(); err != nil {
				return err
			}
			keys, err := namedKeys(words)
			switch {
			case err != nil:
				return err
			case len(keys) == 0:
				return usageError("which keys are trusted? --key names one")
			case required < 1 || required > len(keys):
				return usageError("--signatures %d: expected 1 to %d, which is how many different keys there are", required, len(keys))
			}
			return r.artifact(c.Context(), s, args[0], maxFile, false, func(client *oci.Client, ref oci.Reference) error {
				report, err := verifyArtifact(c.Context(), client, ref, keys, required)
				if err != nil {
					return artifactError(err)
				}
				if output.json() {
					err = printJSON(s, report)
				} else {
					err = report.print(s.out)
				}
				if err == nil && !report.Verified {
					err = withCode(exitTrust, report.refusal(keys))
				}
				return err
			})
		},
	}
	r.readFlags(cmd)
	output.flags(cmd)
	cmd.Flags().StringArrayVar(&words, "key", nil, "trusted `key`: a name of 'ashlar key list', the file of a public key, or an nkey (repeatable)")
	cmd.Flags().IntVar(&required, "signatures", required, "how many of the keys have to have signed")
	return cmd
}

// namedKey is a key as the command line names it.
type namedKey struct {
	word string
	key  signature.PublicKey
}

// namedKeys returns the keys that words mean, each once.
func namedKeys(words []string) ([]namedKey, error) {
	var keys []namedKey
	for _, w := range words {
		k, err := publicKey(w)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(keys, func(n namedKey) bool { return n.key == k }) {
			keys = append(keys, namedKey{w, k})
		}
	}
	return keys, nil
}

func verifyArtifact(ctx context.Context, client *oci.Client, ref oci.Reference, keys []namedKey, required int) (*verifyReport, error) {
	a, err := client.Describe(ctx, ref)
	if err != nil {
		return nil, err
	}
	ref.Digest = a.Descriptor.Digest
	found, err := bundles.List(ctx, client, ref, "")
	if err != nil {
		return nil, err
	}
	publicKeys := make([]signature.PublicKey, len(keys))
	for i, k := range keys {
		publicKeys[i] = k.key
	}
	report := &verifyReport{
		Reference: ref.String(), Digest: ref.Digest.String(), Required: required,
		Signatures: []verifiedBundle{}, Attestations: []verifiedBundle{}, Ignored: []ignoredBundle{},
	}
	for _, f := range found {
		v, err := f.Verify(a.ManifestBytes, publicKeys)
		if err != nil {
			report.Ignored = append(report.Ignored, ignoredBundle{f.Referrer.Descriptor.Digest.String(), err.Error()})
			continue
		}
		report.add(v, f.Referrer, keys)
	}
	report.Verified = len(report.Signatures) >= required
	return report, nil
}

// add notes a statement by one of the keys. Of several signatures by one key the
// latest is noted.
func (r *verifyReport) add(v *signature.Verified, referrer oci.Referrer, keys []namedKey) {
	i := slices.IndexFunc(keys, func(k namedKey) bool { return k.key == v.Key })
	b := verifiedBundle{Key: v.Key.ID(), Name: keys[i].word, Algorithm: v.Key.Algorithm(), Referrer: referrer.Descriptor.Digest.String()}
	if v.Statement != nil {
		b.PredicateType = v.Statement.PredicateType
	}
	if t, ok := v.SignedAt(); ok {
		b.SignedAt = &t
	}
	if !isSignature(v.Statement) {
		r.Attestations = append(r.Attestations, b)
		return
	}
	i = slices.IndexFunc(r.Signatures, func(s verifiedBundle) bool { return s.Key == b.Key })
	switch {
	case i < 0:
		r.Signatures = append(r.Signatures, b)
	case b.SignedAt != nil && (r.Signatures[i].SignedAt == nil || b.SignedAt.After(*r.Signatures[i].SignedAt)):
		r.Signatures[i] = b
	}
}

func (r *verifyReport) print(w io.Writer) error {
	var b strings.Builder
	b.WriteString(r.Reference + "\n")
	line := func(what string, v verifiedBundle) {
		fmt.Fprintf(&b, "%s %s", what, v.Key)
		if v.Name != v.Key {
			fmt.Fprintf(&b, " (%s)", v.Name)
		}
		if v.SignedAt != nil {
			b.WriteString(" at " + v.SignedAt.UTC().Format(time.RFC3339))
		}
		b.WriteString("\n")
	}
	for _, v := range r.Signatures {
		line("signed with", v)
	}
	for _, v := range r.Attestations {
		line(printable(v.PredicateType)+" by", v)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// refusal is the error of an artifact that too few of the keys signed.
func (r *verifyReport) refusal(keys []namedKey) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s is not signed as it has to be: %d of the keys signed it, expected %d\n", r.Reference, len(r.Signatures), r.Required)
	for _, k := range keys {
		state := "did not sign"
		if slices.ContainsFunc(r.Signatures, func(v verifiedBundle) bool { return v.Key == k.key.ID() }) {
			state = "signed"
		}
		fmt.Fprintf(&b, "  %s (%s): %s\n", k.key.ID(), k.word, state)
	}
	const shown = 20
	for i, ignored := range r.Ignored {
		if i == shown {
			fmt.Fprintf(&b, "  and %d more\n", len(r.Ignored)-shown)
			break
		}
		fmt.Fprintf(&b, "  ignored %s: %s\n", ignored.Referrer, printable(ignored.Reason))
	}
	if len(r.Ignored) == 0 && len(r.Signatures) == 0 {
		b.WriteString("  no signature is attached to it\n")
	}
	return errors.New(strings.TrimSuffix(b.String(), "\n"))
}
