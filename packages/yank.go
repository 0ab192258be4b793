package packages

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/ashlar-wasm/ashlar/signature"
)

// Attester is a [Source] that keeps what is said of releases: sigstore bundles. Nothing
// in them is to be believed before it is checked against the release's manifest.
type Attester interface {
	// Manifest returns what signatures of a release are over: the OCI manifest, or the
	// content in registries that have none.
	Manifest(ctx context.Context, p Ref, r Release) ([]byte, error)
	// Bundles returns those with statements of a type, or all if it is empty. What can't
	// be read is left out, since anybody may have put it there. The error is
	// [ErrOffline] if nothing is known of them offline.
	Bundles(ctx context.Context, p Ref, r Release, predicateType string) ([]*signature.Bundle, error)
	// Attach adds a bundle.
	Attach(ctx context.Context, p Ref, r Release, b *signature.Bundle) error
}

// Yank is a record on a version of a package: the predicate of a signed statement of the
// type [signature.PredicateYank].
type Yank struct {
	// Package is the version, as namespace:name@version: several versions may have one
	// content, and so one manifest.
	Package string `json:"package"`
	// Yanked says that the version is not to be chosen any more, or that it is again.
	Yanked bool `json:"yanked"`
	// Reason is for people. It may be empty.
	Reason string `json:"reason,omitempty"`
	// SignedAt says which of several records counts: the latest.
	SignedAt time.Time `json:"signedAt"`
	// PublicKey is that of the signer, in PEM.
	PublicKey string `json:"publicKey"`
}

// maxReason bounds the bytes of a reason.
const maxReason = 1000

// maxClockSkew is how far the clocks of signers may be ahead.
const maxClockSkew = 5 * time.Minute

// Sign returns the record as a signed statement about a version that has this manifest.
// It sets the package and the public key.
func (y Yank) Sign(ctx context.Context, s signature.Signer, p Ref, v Version, manifest []byte) (*signature.Bundle, error) {
	if len(y.Reason) > maxReason {
		return nil, fmt.Errorf("the reason has %d bytes, more than %d", len(y.Reason), maxReason)
	}
	y.Package, y.PublicKey = p.String()+"@"+v.String(), string(s.Public().PEM())
	st, err := signature.NewStatement(manifest, signature.PredicateYank, y)
	if err != nil {
		return nil, err
	}
	return signature.Sign(ctx, s, st)
}

// LatestYank returns the latest of the records on a version that one of the trusted keys
// signed. If trusted is nil, records count that the key which is in them signed: whoever
// may write to the registry may yank. That a version is yanked no more can't be said from
// the future. It returns nil if there is none.
func LatestYank(p Ref, v Version, manifest []byte, bundles []*signature.Bundle, trusted []signature.PublicKey) *Yank {
	var latest *Yank
	for _, b := range bundles {
		y, ok := verifyYank(manifest, b, trusted)
		switch {
		case ok && !y.Yanked && y.SignedAt.After(time.Now().Add(maxClockSkew)):
			// It would outlast every record to come.
		case !ok || y.Package != p.String()+"@"+v.String():
		case latest == nil || y.SignedAt.After(latest.SignedAt), y.SignedAt.Equal(latest.SignedAt) && y.Yanked:
			latest = &y
		}
	}
	return latest
}

// verifyYank returns the record of a bundle, if it is one that counts.
func verifyYank(manifest []byte, b *signature.Bundle, trusted []signature.PublicKey) (Yank, bool) {
	st := b.Unverified()
	if st == nil || st.PredicateType != signature.PredicateYank {
		return Yank{}, false
	}
	y, ok := parseYank(st.Predicate)
	if !ok {
		return y, false
	}
	keys := trusted
	if trusted == nil {
		key, err := signature.ParsePublicKey([]byte(y.PublicKey))
		if err != nil {
			return y, false
		}
		keys = []signature.PublicKey{key}
	}
	v, err := b.Verify(manifest, keys)
	if err != nil {
		return y, false
	}
	y.PublicKey = string(v.Key.PEM())
	return y, true
}

// parseYank reads a predicate. Keys that it does not know are of no concern, as in-toto
// asks for.
func parseYank(predicate []byte) (y Yank, ok bool) {
	if err := json.Unmarshal(predicate, &y); err != nil || y.SignedAt.IsZero() {
		return Yank{}, false
	}
	y.Reason = printableReason(y.Reason)
	return y, true
}

// printableReason leaves nothing of a reason that moves a cursor.
func printableReason(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, " "))
	if len(s) > maxReason {
		s = strings.ToValidUTF8(s[:maxReason], "")
	}
	return strings.TrimSpace(s)
}

// Yanked returns the record that counts on a release, as [LatestYank] does, or nil.
// Offline it is what is known.
func Yanked(ctx context.Context, s Source, p Ref, r Release, trusted []signature.PublicKey) (*Yank, error) {
	a, ok := s.(Attester)
	if !ok {
		return nil, nil
	}
	bundles, err := a.Bundles(ctx, p, r, signature.PredicateYank)
	if errors.Is(err, ErrOffline) || err == nil && len(bundles) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s@%s: is it yanked? %w", p, r.Version, err)
	}
	manifest, err := a.Manifest(ctx, p, r)
	if errors.Is(err, ErrOffline) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s@%s: is it yanked? %w", p, r.Version, err)
	}
	return LatestYank(p, r.Version, manifest, bundles, trusted), nil
}

// SetYank records of a version that it is yanked, or no more, and returns the release
// that it is about.
func SetYank(ctx context.Context, s Source, p Ref, v Version, y Yank, signer signature.Signer) (Release, error) {
	a, ok := s.(Attester)
	if !ok {
		return Release{}, fmt.Errorf("%s@%s: its registry keeps no signed records", p, v)
	}
	r, err := s.Release(ctx, p, v)
	if err != nil {
		return r, err
	}
	manifest, err := a.Manifest(ctx, p, r)
	if err != nil {
		return r, err
	}
	b, err := y.Sign(ctx, signer, p, v, manifest)
	if err != nil {
		return r, err
	}
	return r, a.Attach(ctx, p, r, b)
}

// ManifestBytes returns what signatures of the release are over, as [Attester] has it.
func (r *Resolution) ManifestBytes(ctx context.Context) ([]byte, error) {
	a, ok := r.source.(Attester)
	if !ok {
		return nil, fmt.Errorf("%s@%s: its registry keeps no signatures", r.Package, r.Version)
	}
	return a.Manifest(ctx, r.Package, r.Release)
}

// Bundles returns the sigstore bundles that are attached to the release.
func (r *Resolution) Bundles(ctx context.Context) ([]*signature.Bundle, error) {
	a, ok := r.source.(Attester)
	if !ok {
		return nil, nil
	}
	return a.Bundles(ctx, r.Package, r.Release, "")
}

// Attach attaches a bundle to the release.
func (r *Resolution) Attach(ctx context.Context, b *signature.Bundle) error {
	a, ok := r.source.(Attester)
	if !ok {
		return fmt.Errorf("%s@%s: its registry keeps no signatures", r.Package, r.Version)
	}
	return a.Attach(ctx, r.Package, r.Release, b)
}
