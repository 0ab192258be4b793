package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ashlar-wasm/ashlar/oci/blob"
)

const (
	indexFile = "index.json"
	// lockFile is held while the index is changed.
	lockFile = ".index.lock"
	lockWait = 10 * time.Second
	// maxIndex bounds the size of an index, and maxLayoutFile that of oci-layout.
	maxIndex      = 16 << 20
	maxLayoutFile = 4 << 10
	// layoutPerm is that of files in a layout, which is for others to read too.
	layoutPerm = 0o666
)

// layout is an OCI layout on disk.
type layout struct {
	root  *os.Root
	blobs *blob.Store
	index layoutIndex
}

// layoutIndex is index.json. What is not understood of it is kept.
type layoutIndex struct {
	SchemaVersion int                 `json:"schemaVersion"`
	MediaType     string              `json:"mediaType,omitempty"`
	ArtifactType  string              `json:"artifactType,omitempty"`
	Manifests     list[v1.Descriptor] `json:"manifests"`
	Subject       *v1.Descriptor      `json:"subject,omitempty"`
	Annotations   map[string]string   `json:"annotations,omitempty"`
}

// openLayout opens a layout, which is made if it is not there and create says so.
func openLayout(dir string, create bool) (*layout, error) {
	if create {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return nil, err
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		if missing(err) {
			return nil, fmt.Errorf("%w: there is no folder %s", ErrNotFound, dir)
		}
		return nil, err
	}
	l := &layout{root: root, blobs: blob.New(root, layoutPerm)}
	if err := l.open(create); err != nil {
		_ = root.Close()
		return nil, err
	}
	return l, nil
}

func (l *layout) open(create bool) error {
	b, err := l.readFile(v1.ImageLayoutFile, maxLayoutFile)
	switch {
	case missing(err) && create:
		if err := l.begin(); err != nil {
			return err
		}
	case missing(err):
		// Who began to write one may have been stopped.
		return fmt.Errorf("%w: no OCI layout: there is no file %s", ErrNotFound, v1.ImageLayoutFile)
	case err != nil:
		return err
	default:
		var header v1.ImageLayout
		if err := decodeJSON(b, &header); err != nil {
			return fmt.Errorf("%s: %w", v1.ImageLayoutFile, err)
		}
		if header.Version != v1.ImageLayoutVersion {
			return fmt.Errorf("%s: the imageLayoutVersion is %q, expected %q", v1.ImageLayoutFile, clip(header.Version), v1.ImageLayoutVersion)
		}
	}
	return l.readIndex()
}

// begin makes a layout of a folder that has nothing, so that nothing in it is lost.
func (l *layout) begin() error {
	entries, err := fs.ReadDir(l.root.FS(), ".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != "blobs" && !strings.HasPrefix(e.Name(), ".") && e.Name() != v1.ImageLayoutFile {
			return fmt.Errorf("no OCI layout: there is %s, but no file %s", e.Name(), v1.ImageLayoutFile)
		}
	}
	b, err := canonicalJSON(v1.ImageLayout{Version: v1.ImageLayoutVersion})
	if err != nil {
		return err
	}
	return blob.WriteFile(l.root, v1.ImageLayoutFile, b, layoutPerm)
}

// readFile reads a file of at most limit bytes.
func (l *layout) readFile(name string, limit int64) ([]byte, error) {
	info, err := l.root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", name)
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s has %d bytes, more than %d", name, info.Size(), limit)
	}
	f, err := l.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

func (l *layout) readIndex() error {
	l.index = layoutIndex{SchemaVersion: 2, MediaType: mediaTypeIndex}
	b, err := l.readFile(indexFile, maxIndex)
	if missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	var index layoutIndex
	if err := decodeJSON(b, &index); err != nil {
		return fmt.Errorf("%s: %w", indexFile, err)
	}
	if index.SchemaVersion != 2 {
		return fmt.Errorf("%s: the schemaVersion is %d, expected 2", indexFile, index.SchemaVersion)
	}
	for i, d := range index.Manifests {
		if err := checkDigest(d.Digest); err != nil {
			return fmt.Errorf("%s: manifests[%d]: %w", indexFile, i, err)
		}
	}
	l.index = index
	return nil
}

func (l *layout) close() { _ = l.root.Close() }

// manifest returns the manifest that a reference means: that of the tag, or the only
// one.
func (l *layout) manifest(_ context.Context, r Reference) ([]byte, v1.Descriptor, error) {
	d := v1.Descriptor{Digest: r.Digest, MediaType: MediaTypeManifest}
	if d.Digest == "" {
		var found []digest.Digest
		for _, m := range l.index.Manifests {
			if name := m.Annotations[v1.AnnotationRefName]; r.Tag == "" && !attached(m) || r.Tag != "" && name == r.Tag {
				found = append(found, m.Digest)
				d.MediaType = m.MediaType
			}
		}
		switch {
		case len(found) == 0 && r.Tag == "":
			return nil, d, fmt.Errorf("%w: the layout is empty", ErrNotFound)
		case len(found) == 0:
			return nil, d, fmt.Errorf("%w: the layout has no tag %s", ErrNotFound, r.Tag)
		case len(sorted(texts(found))) > 1:
			return nil, d, fmt.Errorf("the layout has %d artifacts, so say which, as %s:TAG or @DIGEST", len(found), r)
		}
		d.Digest = found[0]
	}
	b, err := l.blobs.Read(d.Digest, maxManifest)
	if missing(err) {
		return nil, d, fmt.Errorf("%w: the layout has no blob %s", ErrNotFound, d.Digest)
	}
	d.Size = int64(len(b))
	return b, d, err
}

// attached reports whether an entry of an index is something that is attached to an
// artifact, or a list of such.
func attached(d v1.Descriptor) bool {
	return d.ArtifactType != "" && d.ArtifactType != MediaTypeConfig || fallbackTag.MatchString(d.Annotations[v1.AnnotationRefName])
}

func texts(ds []digest.Digest) []string {
	s := make([]string, len(ds))
	for i, d := range ds {
		s[i] = d.String()
	}
	return s
}

func (l *layout) blob(_ context.Context, d v1.Descriptor, _ bool) ([]byte, error) {
	b, err := l.blobs.Read(d.Digest, d.Size)
	if missing(err) {
		return nil, fmt.Errorf("%w: the layout has no blob %s", ErrNotFound, d.Digest)
	}
	if err == nil && int64(len(b)) != d.Size {
		return nil, &blob.SizeError{Digest: d.Digest, Size: int64(len(b)), Want: fmt.Sprint(d.Size)}
	}
	return b, err
}

func (l *layout) copyTo(_ context.Context, d v1.Descriptor, out *os.File) error {
	err := l.blobs.CopyTo(d.Digest, d.Size, out)
	if missing(err) {
		return fmt.Errorf("%w: the layout has no blob %s", ErrNotFound, d.Digest)
	}
	return err
}

func (l *layout) tags() map[string]bool {
	tags := map[string]bool{}
	for _, m := range l.index.Manifests {
		if t := m.Annotations[v1.AnnotationRefName]; t != "" {
			tags[t] = true
		}
	}
	return tags
}

// pushLayout writes an artifact to a layout, which is made if it is not there.
func pushLayout(ctx context.Context, r Reference, a *Artifact, layer func(context.Context) ([]byte, error)) (err error) {
	l, err := openLayout(r.Layout, true)
	if err != nil {
		return err
	}
	defer l.close()
	if info, err := l.blobs.Stat(a.Manifest.Layer.Digest); err != nil || info.Size != a.Manifest.Layer.Size {
		b, err := layer(ctx)
		if err != nil {
			return err
		}
		if err := l.blobs.Put(a.Manifest.Layer.Digest, b); err != nil {
			return err
		}
	}
	if err := l.blobs.Put(a.Manifest.Config.Digest, a.ConfigBytes); err != nil {
		return err
	}
	if err := l.blobs.Put(a.Descriptor.Digest, a.ManifestBytes); err != nil {
		return err
	}
	return l.list(ctx, a.Descriptor, r.Tag)
}

// list adds a manifest to the index.
func (l *layout) list(ctx context.Context, d v1.Descriptor, tag string) (err error) {
	unlock, err := blob.Lock(ctx, l.root, lockFile, lockWait)
	if err != nil {
		return fmt.Errorf("change %s: %w", indexFile, err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	// Another process may have changed it.
	if err := l.readIndex(); err != nil {
		return err
	}
	l.index.add(d, tag)
	b, err := canonicalJSON(&l.index)
	if err != nil {
		return err
	}
	return blob.WriteFile(l.root, indexFile, b, layoutPerm)
}

// add adds a manifest to the index, in place of the one that had the tag.
func (x *layoutIndex) add(d v1.Descriptor, tag string) {
	kept := list[v1.Descriptor]{}
	for _, m := range x.Manifests {
		name := m.Annotations[v1.AnnotationRefName]
		if tag != "" && name == tag || tag == "" && name == "" && m.Digest == d.Digest {
			continue
		}
		kept = append(kept, m)
	}
	if tag != "" {
		d.Annotations = map[string]string{v1.AnnotationRefName: tag}
	}
	x.Manifests = append(kept, d)
}

// referrers looks through the manifests that are listed.
func (l *layout) referrers(ctx context.Context, subject v1.Descriptor, _ bool) ([]v1.Descriptor, error) {
	var found []v1.Descriptor
	seen := map[digest.Digest]bool{}
	for _, d := range l.index.Manifests {
		if seen[d.Digest] || d.Digest == subject.Digest || d.Size > maxManifest {
			continue
		}
		seen[d.Digest] = true
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		b, err := l.blobs.Read(d.Digest, maxManifest)
		if missing(err) || wrongSize(err) {
			continue // an index may list what is elsewhere, or no manifest
		}
		if err != nil {
			return nil, err
		}
		m, err := parseReferrer(b)
		if err != nil || m.subject.Digest != subject.Digest {
			continue
		}
		found = append(found, v1.Descriptor{MediaType: MediaTypeManifest, Digest: d.Digest, Size: int64(len(b)), ArtifactType: m.ArtifactType, Annotations: m.Annotations})
		if err := tooMany(len(found)); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// pushLayout writes a referrer to the layout that its subject is in.
func (m *referrerManifest) pushLayout(ctx context.Context, r Reference, content func(context.Context, v1.Descriptor) ([]byte, error)) error {
	l, err := openLayout(r.Layout, false)
	if err != nil {
		return err
	}
	defer l.close()
	for _, d := range m.blobs {
		if info, err := l.blobs.Stat(d.Digest); err == nil && info.Size == d.Size {
			continue
		}
		b, err := content(ctx, d)
		if err != nil {
			return err
		}
		if err := l.blobs.Put(d.Digest, b); err != nil {
			return err
		}
	}
	if err := l.blobs.Put(m.Descriptor.Digest, m.bytes); err != nil {
		return err
	}
	d := m.Descriptor
	d.ArtifactType, d.Annotations = m.ArtifactType, maps.Clone(m.Annotations)
	delete(d.Annotations, v1.AnnotationRefName) // it would be a tag of the layout
	return l.list(ctx, d, "")
}
