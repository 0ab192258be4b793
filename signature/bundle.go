package signature

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// MediaTypeBundle is the media type of a bundle, and the artifact type of the
// manifest that attaches it (BUNDLE_SPEC.md of cosign).
const MediaTypeBundle = "application/vnd.dev.sigstore.bundle.v0.3+json"

// MaxBundle is how many bytes a bundle may have.
const MaxBundle = 16 << 20

// bundleTypes are the media types of bundles that are read.
var bundleTypes = []string{
	MediaTypeBundle,
	"application/vnd.dev.sigstore.bundle+json;version=0.3",
	"application/vnd.dev.sigstore.bundle+json;version=0.2",
	"application/vnd.dev.sigstore.bundle+json;version=0.1",
}

// payloadType is that of in-toto statements in DSSE.
const payloadType = "application/vnd.in-toto+json"

// Bundle is a sigstore bundle: a signature over a statement, in a DSSE envelope, or
// over the artifact's manifest itself. It does not change, and is safe for concurrent
// use. Nothing in it is to be believed before [Bundle.Verify].
type Bundle struct {
	encoded     []byte
	hint        string // of the key
	certificate bool   // signed by what a certificate names
	payload     []byte // of the DSSE envelope; nil if the artifact itself is signed
	statement   *Statement
	sig         []byte
}

// Sign makes a bundle with a statement.
func Sign(ctx context.Context, s Signer, st *Statement) (*Bundle, error) {
	payload, err := st.Encode()
	if err != nil {
		return nil, err
	}
	message := preAuthEncoding(payloadType, payload)
	sig, err := s.Sign(ctx, message)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	key := s.Public()
	if err := key.Verify(message, sig); err != nil {
		return nil, fmt.Errorf("sign: what the signer returned is no signature by its key %s", key.ID())
	}
	b, err := encodeBundle(key.hint(), payload, sig)
	if err != nil {
		return nil, err
	}
	return ParseBundle(b)
}

// preAuthEncoding is what is signed of a DSSE envelope (PAE of its protocol.md).
func preAuthEncoding(payloadType string, payload []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload)
}

// encodeBundle writes a bundle as protobuf-specs' sigstore_bundle.proto has it. The
// envelope has no keyid: cosign writes none, and refuses one that is not the SHA-256
// of the key as SSH encodes it, which the hint is not.
func encodeBundle(hint string, payload, sig []byte) ([]byte, error) {
	type object = map[string]any
	type list = []any
	return encodeJSON(struct {
		MediaType            string `json:"mediaType"`
		VerificationMaterial any    `json:"verificationMaterial"`
		DSSEEnvelope         any    `json:"dsseEnvelope"`
	}{
		MediaTypeBundle,
		object{"publicKey": object{"hint": hint}},
		object{"payload": payload, "payloadType": payloadType, "signatures": list{object{"sig": sig}}},
	})
}

func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// ParseBundle reads a bundle of version 0.1 to 0.3. Fields that are not known are of
// no concern, nor are entries of transparency logs and timestamps: none of them is
// relied on. An artifact may have bundles by anybody, so one that can't be read is no
// reason to refuse others.
func ParseBundle(b []byte) (*Bundle, error) {
	bundle, err := parseBundle(b)
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	return bundle, nil
}

func parseBundle(b []byte) (*Bundle, error) {
	if len(b) > MaxBundle {
		return nil, fmt.Errorf("%d bytes, more than %d", len(b), MaxBundle)
	}
	o, err := parseObject(b)
	if err != nil {
		return nil, err
	}
	mediaType, err := o.text("mediaType")
	if err != nil {
		return nil, err
	}
	if !slices.Contains(bundleTypes, mediaType) {
		return nil, fmt.Errorf("media type %q is none of a bundle that is known", clip(mediaType))
	}
	bundle := &Bundle{encoded: slices.Clone(b)}
	material, err := o.object("verificationMaterial")
	if err != nil {
		return nil, err
	}
	if err := bundle.parseMaterial(material); err != nil {
		return nil, fmt.Errorf("verificationMaterial: %w", err)
	}
	envelope, err := o.object("dsseEnvelope")
	if err != nil {
		return nil, err
	}
	message, err := o.object("messageSignature")
	if err != nil {
		return nil, err
	}
	switch {
	case envelope != nil && message != nil:
		return nil, errors.New("there is both a dsseEnvelope and a messageSignature")
	case envelope != nil:
		if err := bundle.parseEnvelope(envelope); err != nil {
			return nil, fmt.Errorf("dsseEnvelope: %w", err)
		}
	case message != nil:
		if bundle.sig, err = message.bytes("signature"); err != nil {
			return nil, fmt.Errorf("messageSignature: %w", err)
		}
	default:
		return nil, errors.New("there is neither a dsseEnvelope nor a messageSignature")
	}
	if len(bundle.sig) == 0 {
		return nil, errors.New("the signature is empty")
	}
	return bundle, nil
}

// parseMaterial reads what names the signer: exactly one of its three forms.
func (b *Bundle) parseMaterial(o object) error {
	found := 0
	for _, key := range []string{"publicKey", "certificate", "x509CertificateChain"} {
		in, err := o.object(key)
		if err != nil {
			return err
		}
		if in == nil {
			continue
		}
		found++
		if key != "publicKey" {
			b.certificate = true
		} else if b.hint, err = in.text("hint"); err != nil {
			return err
		}
	}
	if found != 1 {
		return errors.New("expected one of publicKey, certificate and x509CertificateChain")
	}
	return nil
}

// parseEnvelope reads a DSSE envelope with a statement. In a bundle it has exactly one
// signature.
func (b *Bundle) parseEnvelope(o object) error {
	kind, err := o.text("payloadType")
	if err != nil {
		return err
	}
	if kind != payloadType {
		return fmt.Errorf("payloadType %q, expected %s", clip(kind), payloadType)
	}
	if b.payload, err = o.bytes("payload"); err != nil {
		return err
	}
	sigs, err := o.objects("signatures", 1)
	if err != nil {
		return err
	}
	if len(sigs) != 1 {
		return errors.New("there is no signature")
	}
	if b.sig, err = sigs[0].bytes("sig"); err != nil {
		return err
	}
	id, err := sigs[0].text("keyid")
	if err != nil {
		return err
	}
	if id != "" && !b.certificate && id != b.hint {
		return errors.New("keyid is not the hint of the key")
	}
	b.statement, err = ParseStatement(b.payload)
	return err
}

// Encode is the bundle in JSON: the bytes that it was read from, if it was. They are
// not to be changed.
func (b *Bundle) Encode() []byte { return b.encoded }

// Annotations are those of the manifest that attaches the bundle (BUNDLE_SPEC.md of
// cosign), without the time.
func (b *Bundle) Annotations() map[string]string {
	if b.statement == nil {
		return map[string]string{"dev.sigstore.bundle.content": "message-signature"}
	}
	return map[string]string{
		"dev.sigstore.bundle.content":       "dsse-envelope",
		"dev.sigstore.bundle.predicateType": b.statement.PredicateType,
	}
}

// Unverified is the statement as it stands in the bundle, which anybody may have
// written; nil if the bundle has a signature over the artifact itself.
func (b *Bundle) Unverified() *Statement { return b.statement }

// Claimed names the signer as the bundle does, for messages: the ID of a key, a hint
// of another form, "a certificate" or "an unnamed key".
func (b *Bundle) Claimed() string {
	id, ok := keyOfHint(b.hint)
	switch {
	case b.certificate:
		return "a certificate"
	case ok:
		return id
	case b.hint == "":
		return "an unnamed key"
	}
	return fmt.Sprintf("key %q", clip(b.hint))
}

// ErrNoKey is the error of a bundle that none of the keys signed.
var ErrNoKey = errors.New("none of the keys signed it")

// Verified is what a bundle says, by whom.
type Verified struct {
	// Statement is what is said of the artifact; nil if the artifact itself is signed,
	// which says as much as [PredicateSign].
	Statement *Statement
	Key       PublicKey
}

// Verify checks that one of the keys signed the bundle and that it is about the
// artifact that has this manifest, given as its bytes. The error wraps [ErrNoKey] or
// [ErrSubject]. A bundle that names its key as sigstore recommends, by the SHA-256 of
// the key, is by that key or refused.
func (b *Bundle) Verify(manifest []byte, keys []PublicKey) (*Verified, error) {
	if b.certificate {
		return nil, fmt.Errorf("signed with a certificate: %w", ErrNoKey)
	}
	message := manifest
	if b.statement != nil {
		message = preAuthEncoding(payloadType, b.payload)
	}
	named, ok := keyOfHint(b.hint)
	i := slices.IndexFunc(keys, func(k PublicKey) bool {
		return (!ok || k.ID() == named) && k.Verify(message, b.sig) == nil
	})
	switch {
	case i < 0 && ok && slices.ContainsFunc(keys, func(k PublicKey) bool { return k.ID() == named }):
		return nil, fmt.Errorf("names %s, but %w: %w", named, ErrSignature, ErrNoKey)
	case i < 0:
		return nil, fmt.Errorf("signed by %s: %w", b.Claimed(), ErrNoKey)
	case b.statement != nil && !b.statement.isAbout(manifest):
		return nil, fmt.Errorf("signed by %s: %w", keys[i].ID(), ErrSubject)
	}
	return &Verified{b.statement, keys[i]}, nil
}

// SignedAt is when the signer says that it signed: the time "signedAt" of the
// predicate, which statements of Ashlar have.
func (v *Verified) SignedAt() (time.Time, bool) {
	if v.Statement == nil || v.Statement.Predicate == nil {
		return time.Time{}, false
	}
	o, err := asObject(v.Statement.Predicate)
	if err != nil {
		return time.Time{}, false
	}
	s, err := o.text("signedAt")
	if err != nil {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339, s)
	return t, err == nil
}
