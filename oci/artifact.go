package oci

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	"github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ashlar-wasm/ashlar/build/metadata"
	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/wit"
)

var specsVersion = specs.Versioned{SchemaVersion: 2}

// Artifact is a module or component with its manifest and config.
type Artifact struct {
	// Descriptor is that of the manifest. Its digest identifies the artifact.
	Descriptor v1.Descriptor
	Manifest   *Manifest
	// Config is nil for artifacts of a layout that is older than the
	// specification.
	Config *Config
	// Bytes of the manifest and the config, whose digests the descriptors have.
	ManifestBytes, ConfigBytes []byte
	// Layer is the module or component, of an artifact that [New] made.
	Layer []byte
}

// BuildOptions are for [New].
type BuildOptions struct {
	// Created is when the artifact was made. The zero time means the time that the
	// environment variable SOURCE_DATE_EPOCH says, else 1970-01-01T00:00:00Z.
	Created time.Time
	// Target is the world that a component was made for, as wasi:http/proxy@0.2.0;
	// empty means what the component itself says, if it does.
	Target string
}

// New makes an artifact of a module or component, which must be well-formed. The
// same bytes and options give the same artifact. What the binary says of itself
// becomes the standard annotations of the image specification.
func New(wasm []byte, o BuildOptions) (*Artifact, error) {
	created, err := createdTime(o.Created)
	if err != nil {
		return nil, err
	}
	about, err := metadata.Read(wasm)
	if err != nil {
		return nil, err
	}
	a := &Artifact{Layer: wasm}
	layer := describeBytes(MediaTypeLayer, wasm)
	a.Config = &Config{Created: created, Author: about.Authors, Architecture: architecture, OS: osModule, LayerDigests: []digest.Digest{layer.Digest}}
	switch binary.KindOf(wasm) {
	case binary.KindModule:
		if o.Target != "" {
			return nil, errors.New("a core module has no target world")
		}
	case binary.KindComponent:
		a.Config.OS = osComponent
		if a.Config.Component, err = describe(wasm); err != nil {
			return nil, err
		}
		if o.Target != "" {
			a.Config.Component.Target = o.Target
		}
	default:
		return nil, errors.New("neither a core module nor a component")
	}
	if a.ConfigBytes, err = a.Config.encode(); err != nil {
		return nil, fmt.Errorf("encode config: %w", err)
	}
	if len(a.ConfigBytes) > maxConfig {
		return nil, fmt.Errorf("the config would have %d bytes, more than %d", len(a.ConfigBytes), maxConfig)
	}
	a.Manifest = &Manifest{
		Config:      describeBytes(MediaTypeConfig, a.ConfigBytes),
		Layer:       layer,
		Annotations: annotations(&about),
	}
	if a.ManifestBytes, err = a.Manifest.encode(); err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	if len(a.ManifestBytes) > maxManifest {
		return nil, fmt.Errorf("the manifest would have %d bytes, more than %d", len(a.ManifestBytes), maxManifest)
	}
	a.Descriptor = describeBytes(MediaTypeManifest, a.ManifestBytes)
	return a, nil
}

func describeBytes(mediaType string, b []byte) v1.Descriptor {
	return v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(b), Size: int64(len(b))}
}

// createdTime is the time that an artifact says it was made at, in whole seconds.
func createdTime(t time.Time) (time.Time, error) {
	if !t.IsZero() {
		return t.UTC().Truncate(time.Second), nil
	}
	s := os.Getenv("SOURCE_DATE_EPOCH")
	if s == "" {
		return time.Unix(0, 0).UTC(), nil
	}
	const year9999 = 253402300799
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > year9999 {
		return t, fmt.Errorf("SOURCE_DATE_EPOCH is %q, expected seconds since 1970", clip(s))
	}
	return time.Unix(n, 0).UTC(), nil
}

// annotations are those of a manifest.
func annotations(m *metadata.Metadata) map[string]string {
	a := map[string]string{}
	for name, value := range map[string]string{
		v1.AnnotationVersion: m.Version, v1.AnnotationDescription: m.Description, v1.AnnotationLicenses: m.Licenses,
		v1.AnnotationSource: m.Source, v1.AnnotationURL: m.Homepage, v1.AnnotationAuthors: m.Authors,
		v1.AnnotationRevision: m.Revision, v1.AnnotationTitle: m.Name,
	} {
		if value != "" {
			a[name] = value
		}
	}
	return a
}

// describe lists what a component imports and exports. Types are left out: they
// are part of functions that use them.
func describe(b []byte) (*ConfigComponent, error) {
	c, err := binary.Decode(b)
	if err != nil {
		return nil, err
	}
	m := &ConfigComponent{Target: c.Target()}
	for _, d := range c.Defs {
		switch d := d.(type) {
		case *binary.Import:
			if d.Type.Kind.Sort() != binary.SortType {
				m.Imports = append(m.Imports, d.Name.Name)
			}
		case *binary.Export:
			if d.Sort != binary.SortType {
				m.Exports = append(m.Exports, d.Name.Name)
			}
		}
	}
	if res, world, err := wit.Decode(b); err == nil && world == nil {
		m.Imports, m.Exports = nil, packageExports(res.Main)
	}
	return m, nil
}

// packageExports lists what a WIT package in its binary form offers: its
// interfaces and worlds.
func packageExports(p *wit.Package) []string {
	var names []string
	for _, i := range p.Interfaces {
		names = append(names, i.ID())
	}
	for _, w := range p.Worlds {
		names = append(names, w.ID())
	}
	return names
}

// check compares what the config says with the manifest.
func (a *Artifact) check() error {
	if a.Config == nil || a.Config.LayerDigests == nil {
		return nil
	}
	if d := a.Config.LayerDigests; len(d) != 1 || d[0] != a.Manifest.Layer.Digest {
		return fmt.Errorf("config: layerDigests are %v, but the manifest has the layer %s", d[:min(len(d), 4)], a.Manifest.Layer.Digest)
	}
	return nil
}

// readBounded reads all of r, which is to have that digest and size.
func readBounded(r io.Reader, d v1.Descriptor) ([]byte, error) {
	var b bytes.Buffer
	n, err := b.ReadFrom(io.LimitReader(r, d.Size+1))
	if err != nil {
		return nil, err
	}
	if n != d.Size {
		return nil, fmt.Errorf("%d bytes or more, expected %d", n, d.Size)
	}
	if got := d.Digest.Algorithm().FromBytes(b.Bytes()); got != d.Digest {
		return nil, fmt.Errorf("the digest is %s, expected %s", got, d.Digest)
	}
	return b.Bytes(), nil
}
