package oci

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	// MaxAttachment bounds the content of an attachment, in bytes.
	MaxAttachment = 16 << 20
	// maxReferrers bounds the referrers of one artifact.
	maxReferrers = 1000
	// maxReferrerDepth bounds how far referrers of referrers are copied.
	maxReferrerDepth = 4
)

// Attachment is something about an artifact, kept beside it: a signature, a list of
// what is in it, how it was built. In a registry it is a manifest with one layer
// that refers to the artifact's manifest as its subject, as the image specification
// 1.1 has it.
type Attachment struct {
	// ArtifactType is the media type that says what the attachment is.
	ArtifactType string
	// MediaType is that of the content; empty means ArtifactType.
	MediaType string
	// Content has at most [MaxAttachment] bytes.
	Content []byte
	// Annotations are those of the manifest.
	Annotations map[string]string
}

// Referrer is an entry of the list of what refers to an artifact. What it says, the
// registry says; [Client.ReadReferrer] checks it.
type Referrer struct {
	// Descriptor is that of the referrer's manifest.
	Descriptor   v1.Descriptor
	ArtifactType string
	Annotations  map[string]string
}

// fallbackTag is what lists of referrers are called in registries that can't list
// them: "Referrers Tag Schema" of the distribution specification.
var fallbackTag = regexp.MustCompile(`^sha(256-[0-9a-f]{64}|512-[0-9a-f]{128})$`)

// Attach attaches something to an artifact. A registry that does not list referrers
// gets a list, as a tag. The same attachment is attached once, however often that is
// asked for.
func (c *Client) Attach(ctx context.Context, r Reference, a Attachment) (Referrer, error) {
	ref, err := c.attach(ctx, r, a)
	if err != nil {
		return ref, fmt.Errorf("%s: attach %s: %w", r, clip(a.ArtifactType), err)
	}
	return ref, nil
}

func (c *Client) attach(ctx context.Context, r Reference, a Attachment) (Referrer, error) {
	subject, err := c.subject(ctx, r)
	if err != nil {
		return Referrer{}, err
	}
	if a.MediaType == "" {
		a.MediaType = a.ArtifactType
	}
	switch {
	case a.ArtifactType == "":
		return Referrer{}, errors.New("an attachment needs an artifact type")
	case len(a.Content) > MaxAttachment:
		return Referrer{}, fmt.Errorf("it has %d bytes, more than %d", len(a.Content), MaxAttachment)
	}
	config, layer := v1.DescriptorEmptyJSON, describeBytes(a.MediaType, a.Content)
	config.Data = nil
	b, err := canonicalJSON(v1.Manifest{
		Versioned: specsVersion, MediaType: MediaTypeManifest, ArtifactType: a.ArtifactType,
		Config: config, Layers: []v1.Descriptor{layer}, Subject: &subject, Annotations: a.Annotations,
	})
	if err != nil {
		return Referrer{}, err
	}
	if len(b) > maxManifest {
		return Referrer{}, fmt.Errorf("its manifest would have %d bytes, more than %d", len(b), maxManifest)
	}
	m := &referrerManifest{
		Referrer: Referrer{describeBytes(MediaTypeManifest, b), a.ArtifactType, a.Annotations},
		bytes:    b, subject: subject, blobs: []v1.Descriptor{config, layer},
	}
	contents := map[digest.Digest][]byte{config.Digest: v1.DescriptorEmptyJSON.Data, layer.Digest: a.Content}
	return m.Referrer, c.putReferrer(ctx, r, m, Reference{}, func(_ context.Context, d v1.Descriptor) ([]byte, error) {
		return contents[d.Digest], nil
	})
}

// subject returns the descriptor of the artifact that a reference means.
func (c *Client) subject(ctx context.Context, r Reference) (v1.Descriptor, error) {
	src, err := c.source(ctx, r)
	if err != nil {
		return v1.Descriptor{}, err
	}
	defer src.close()
	_, d, err := src.manifest(ctx, r)
	return v1.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}, err
}

// Referrers lists what refers to an artifact, sorted by digest: all, or what has an
// artifact type. There are at most 1000. Offline it is what the cache saw last; so
// it is for a reference with a digest whose registry can't be reached.
func (c *Client) Referrers(ctx context.Context, r Reference, artifactType string) ([]Referrer, error) {
	refs, err := c.referrers(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("%s: referrers: %w", r, err)
	}
	if artifactType != "" {
		refs = slices.DeleteFunc(refs, func(r Referrer) bool { return r.ArtifactType != artifactType })
	}
	return refs, nil
}

func (c *Client) referrers(ctx context.Context, r Reference) ([]Referrer, error) {
	src, err := c.source(ctx, r)
	if err != nil {
		return nil, err
	}
	defer src.close()
	subject := v1.Descriptor{MediaType: MediaTypeManifest, Digest: r.Digest}
	if r.Digest == "" {
		if _, subject, err = src.manifest(ctx, r); err != nil {
			return nil, err
		}
	}
	refs, err := listReferrers(ctx, src, subject, r.Digest != "")
	if err != nil {
		return nil, err
	}
	for i, ref := range refs {
		// Some registries say what the config is, which is nothing.
		if ref.ArtifactType != "" && ref.ArtifactType != v1.MediaTypeEmptyJSON {
			continue
		}
		m, err := readReferrerManifest(ctx, src, r, ref, subject.Digest)
		var other *ArtifactError
		switch {
		case err == nil:
			refs[i].ArtifactType, refs[i].Annotations = m.ArtifactType, m.Annotations
		case !errors.As(err, &other) && !errors.Is(err, ErrNotFound):
			return nil, fmt.Errorf("%s: %w", ref.Descriptor.Digest, err)
		}
	}
	return refs, nil
}

func listReferrers(ctx context.Context, src source, subject v1.Descriptor, pinned bool) ([]Referrer, error) {
	descs, err := src.referrers(ctx, subject, pinned)
	if err != nil {
		return nil, err
	}
	refs := make([]Referrer, 0, len(descs))
	for _, d := range descs {
		if err := checkDigest(d.Digest); err != nil {
			return nil, err
		}
		if d.Size < 0 || d.Size > maxManifest {
			return nil, fmt.Errorf("the manifest %s has %d bytes, more than %d", d.Digest, d.Size, maxManifest)
		}
		refs = append(refs, Referrer{v1.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}, d.ArtifactType, d.Annotations})
	}
	slices.SortFunc(refs, func(a, b Referrer) int {
		return strings.Compare(a.Descriptor.Digest.String(), b.Descriptor.Digest.String())
	})
	return slices.CompactFunc(refs, func(a, b Referrer) bool { return a.Descriptor.Digest == b.Descriptor.Digest }), nil
}

// tooMany refuses a list of referrers that is too long.
func tooMany(n int) error {
	if n > maxReferrers {
		return fmt.Errorf("more than %d manifests refer to it", maxReferrers)
	}
	return nil
}

// ReadReferrer returns an attachment of an artifact. Its bytes have the digests that
// they should, and it refers to the artifact. The error wraps an *[ArtifactError] if
// it is no attachment with one layer.
func (c *Client) ReadReferrer(ctx context.Context, r Reference, ref Referrer) (*Attachment, error) {
	a, err := c.readReferrer(ctx, r, ref)
	if err != nil {
		return nil, fmt.Errorf("%s: referrer %s: %w", r, ref.Descriptor.Digest, err)
	}
	return a, nil
}

func (c *Client) readReferrer(ctx context.Context, r Reference, ref Referrer) (*Attachment, error) {
	src, err := c.source(ctx, r)
	if err != nil {
		return nil, err
	}
	defer src.close()
	subject := r.Digest
	if subject == "" {
		_, d, err := src.manifest(ctx, r)
		if err != nil {
			return nil, err
		}
		subject = d.Digest
	}
	m, err := readReferrerManifest(ctx, src, r, ref, subject)
	if err != nil {
		return nil, err
	}
	if len(m.blobs) != 2 {
		return nil, &ArtifactError{fmt.Sprintf("it has %d layers, expected one", len(m.blobs)-1)}
	}
	layer := m.blobs[1]
	if layer.Size > MaxAttachment {
		return nil, &ArtifactError{fmt.Sprintf("its content has %d bytes, more than %d", layer.Size, MaxAttachment)}
	}
	b, err := src.blob(ctx, layer, false)
	if wrongSize(err) {
		err = &ArtifactError{err.Error()}
	}
	if err != nil {
		return nil, err
	}
	return &Attachment{ArtifactType: m.ArtifactType, MediaType: layer.MediaType, Content: b, Annotations: m.Annotations}, nil
}

// referrerManifest is a manifest that has a subject.
type referrerManifest struct {
	Referrer
	bytes   []byte
	subject v1.Descriptor
	blobs   []v1.Descriptor // the config, and the layers
}

// readReferrerManifest reads the manifest of a referrer, which is to be one of the
// subject.
func readReferrerManifest(ctx context.Context, src source, r Reference, ref Referrer, subject digest.Digest) (*referrerManifest, error) {
	r.Tag, r.Digest = "", ref.Descriptor.Digest
	b, d, err := src.manifest(ctx, r)
	if err != nil {
		return nil, err
	}
	m, err := parseReferrer(b)
	var unfit *ArtifactError
	if err != nil && !errors.As(err, &unfit) {
		err = &ArtifactError{err.Error()} // whoever may push may attach anything
	}
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	if m.subject.Digest != subject {
		return nil, &ArtifactError{fmt.Sprintf("it refers to %s, not to this artifact, which is %s", m.subject.Digest, subject)}
	}
	m.Descriptor = v1.Descriptor{MediaType: MediaTypeManifest, Digest: d.Digest, Size: int64(len(b))}
	return m, nil
}

// parseReferrer reads a manifest that has a subject.
func parseReferrer(b []byte) (*referrerManifest, error) {
	var j manifestJSON
	if err := decodeJSON(b, &j); err != nil {
		return nil, err
	}
	const maxLayers = 100
	switch {
	case j.SchemaVersion != 2:
		return nil, fmt.Errorf("the schemaVersion is %d, expected 2", j.SchemaVersion)
	case j.Subject == nil:
		return nil, &ArtifactError{"it refers to nothing: there is no subject"}
	case j.Manifests != nil || j.MediaType != "" && j.MediaType != MediaTypeManifest:
		return nil, &ArtifactError{"it is no image manifest"}
	case j.Config == nil:
		return nil, errors.New("there is no config")
	case len(j.Layers) > maxLayers:
		return nil, fmt.Errorf("it has %d layers, more than %d", len(j.Layers), maxLayers)
	}
	subject, err := j.Subject.descriptor()
	if err != nil {
		return nil, fmt.Errorf("subject: %w", err)
	}
	m := &referrerManifest{Referrer: Referrer{ArtifactType: j.ArtifactType, Annotations: j.Annotations}, bytes: b, subject: subject}
	for i, l := range append([]descriptorJSON{*j.Config}, j.Layers...) {
		d, err := l.descriptor()
		if err != nil {
			if i == 0 {
				return nil, fmt.Errorf("config: %w", err)
			}
			return nil, fmt.Errorf("layers[%d]: %w", i-1, err)
		}
		m.blobs = append(m.blobs, d)
	}
	if m.ArtifactType == "" {
		m.ArtifactType = m.blobs[0].MediaType
	}
	return m, nil
}

// putReferrer writes a referrer to where its subject is. from is where it is a copy
// of, if it is one.
func (c *Client) putReferrer(ctx context.Context, r Reference, m *referrerManifest, from Reference, content func(context.Context, v1.Descriptor) ([]byte, error)) error {
	if r.Layout != "" {
		return m.pushLayout(ctx, r, content)
	}
	return c.pushReferrer(ctx, r, m, from, content)
}

// referrerCopy copies what refers to an artifact, and what refers to that.
type referrerCopy struct {
	c        *Client
	src      source
	from, to Reference
	skipped  func(digest.Digest, error)
	seen     map[digest.Digest]bool
}

// copy copies what refers to a subject.
func (t *referrerCopy) copy(ctx context.Context, subject v1.Descriptor, depth int) error {
	refs, err := listReferrers(ctx, t.src, subject, t.from.Digest != "")
	if err != nil {
		return err
	}
	for _, ref := range refs {
		d := ref.Descriptor.Digest
		if t.seen[d] {
			continue
		}
		t.seen[d] = true
		if err := tooMany(len(t.seen)); err != nil {
			return err
		}
		err := t.one(ctx, subject, ref)
		var unfit *ArtifactError
		if (errors.As(err, &unfit) || errors.Is(err, ErrNotFound)) && t.skipped != nil {
			t.skipped(d, err)
			continue
		}
		if err != nil {
			return fmt.Errorf("referrer %s: %w", d, err)
		}
		if depth < maxReferrerDepth {
			if err := t.copy(ctx, ref.Descriptor, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// one copies a referrer.
func (t *referrerCopy) one(ctx context.Context, subject v1.Descriptor, ref Referrer) error {
	m, err := readReferrerManifest(ctx, t.src, t.from, ref, subject.Digest)
	if err != nil {
		return err
	}
	for _, d := range m.blobs {
		if d.Size > t.c.maxLayer {
			return &ArtifactError{fmt.Sprintf("%s has %d bytes, more than the %d that are allowed", d.Digest, d.Size, t.c.maxLayer)}
		}
	}
	return t.c.putReferrer(ctx, t.to, m, t.from, func(ctx context.Context, d v1.Descriptor) ([]byte, error) {
		b, err := t.src.blob(ctx, d, false)
		if wrongSize(err) {
			err = &ArtifactError{err.Error()}
		}
		return b, err
	})
}
