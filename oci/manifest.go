package oci

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go/v1"
)

// Layouts of artifacts that were made before there was a specification differ in
// the type of their layer.
var olderLayers = []string{
	"application/vnd.bytecodealliance.wasm.component.layer.v0+wasm",
	"application/vnd.module.wasm.content.layer.v1+wasm",
	"application/vnd.w3c.wasm.module.v1+wasm",
	"application/vnd.wasm.content.layer.v1+wasm",
}

const (
	mediaTypeIndex       = "application/vnd.oci.image.index.v1+json"
	mediaTypeDockerList  = "application/vnd.docker.distribution.manifest.list.v2+json"
	mediaTypeDockerImage = "application/vnd.docker.distribution.manifest.v2+json"
	// maxManifest bounds the size of a manifest; registries have the same bound.
	maxManifest = 4 << 20
	// maxSize is the largest size that a descriptor may claim: 2^53-1, as
	// the image specification bounds JSON numbers.
	maxSize = 1<<53 - 1
)

// Manifest is the manifest of an artifact with one layer, the module or component.
type Manifest struct {
	Config      v1.Descriptor
	Layer       v1.Descriptor
	Annotations map[string]string
}

// ArtifactError is an artifact that is none that can be read: well-formed or not,
// it does not hold one module or component in a known layout.
type ArtifactError struct{ Reason string }

func (e *ArtifactError) Error() string { return e.Reason }

// manifestJSON is what is read of a manifest.
type manifestJSON struct {
	SchemaVersion int                  `json:"schemaVersion"`
	MediaType     string               `json:"mediaType"`
	ArtifactType  string               `json:"artifactType"`
	Subject       *descriptorJSON      `json:"subject"`
	Config        *descriptorJSON      `json:"config"`
	Layers        list[descriptorJSON] `json:"layers"`
	Manifests     list[descriptorJSON] `json:"manifests"` // of an index
	Annotations   map[string]string    `json:"annotations"`
}

type descriptorJSON struct {
	MediaType string    `json:"mediaType"`
	Digest    string    `json:"digest"`
	Size      *int64    `json:"size"`
	Platform  *platform `json:"platform"`
}

type platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
}

// ParseManifest reads the JSON of a manifest. The error wraps an *[ArtifactError]
// if it is a manifest, but not that of a Wasm artifact with one layer.
func ParseManifest(b []byte) (*Manifest, error) {
	if len(b) > maxManifest {
		return nil, fmt.Errorf("manifest: has %d bytes, more than %d", len(b), maxManifest)
	}
	var j manifestJSON
	if err := decodeJSON(b, &j); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	m, err := j.manifest()
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	return m, nil
}

func (j *manifestJSON) manifest() (*Manifest, error) {
	if j.Manifests != nil || j.MediaType == mediaTypeIndex || j.MediaType == mediaTypeDockerList {
		return nil, j.indexError()
	}
	switch {
	case j.SchemaVersion != 2:
		return nil, fmt.Errorf("the schemaVersion is %d, expected 2", j.SchemaVersion)
	case j.MediaType == mediaTypeDockerImage:
		return nil, &ArtifactError{"a Docker image, not a Wasm artifact"}
	case j.MediaType != "" && j.MediaType != MediaTypeManifest:
		return nil, &ArtifactError{fmt.Sprintf("the mediaType is %q, expected %q", clip(j.MediaType), MediaTypeManifest)}
	case j.Config == nil:
		return nil, errors.New("there is no config")
	case len(j.Layers) == 0:
		return nil, &ArtifactError{"there are no layers, expected one with a module or component"}
	}
	config, err := j.Config.descriptor()
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	if len(j.Layers) > 1 {
		return nil, j.layersError()
	}
	layer, err := j.Layers[0].descriptor()
	if err != nil {
		return nil, fmt.Errorf("layers[0]: %w", err)
	}
	switch {
	case layer.MediaType != MediaTypeLayer && !slices.Contains(olderLayers, layer.MediaType):
		return nil, &ArtifactError{fmt.Sprintf("the layer has the mediaType %q, expected %q: not a Wasm artifact", clip(layer.MediaType), MediaTypeLayer)}
	case config.MediaType == MediaTypeConfig && config.Size > maxConfig:
		return nil, fmt.Errorf("the config has %d bytes, more than %d", config.Size, maxConfig)
	}
	return &Manifest{Config: config, Layer: layer, Annotations: j.Annotations}, nil
}

// layersError refuses what the specification calls exploded components.
func (j *manifestJSON) layersError() error {
	const shown = 4
	var names []string
	for _, l := range j.Layers[:min(len(j.Layers), shown)] {
		names = append(names, fmt.Sprintf("%s (%s)", clip(l.Digest), clip(l.MediaType)))
	}
	if len(j.Layers) > shown {
		names = append(names, "...")
	}
	return &ArtifactError{fmt.Sprintf("there are %d layers; an artifact of several layers (an exploded component) can't be used: %s", len(j.Layers), strings.Join(names, ", "))}
}

// indexError refuses an index, and says what is in it: one of its manifests may
// be what is wanted.
func (j *manifestJSON) indexError() error {
	const shown = 8
	var names []string
	for _, d := range j.Manifests[:min(len(j.Manifests), shown)] {
		name := clip(d.Digest)
		if d.MediaType == mediaTypeIndex || d.MediaType == mediaTypeDockerList {
			name += " (an index)"
		} else if p := d.Platform; p != nil {
			name += " (" + clip(p.OS) + "/" + clip(p.Architecture) + ")"
		}
		names = append(names, name)
	}
	if len(j.Manifests) > shown {
		names = append(names, "...")
	}
	return &ArtifactError{fmt.Sprintf("an image index, not a Wasm artifact; name one of its %d manifests by digest: %s", len(j.Manifests), strings.Join(names, ", "))}
}

func (j *descriptorJSON) descriptor() (v1.Descriptor, error) {
	d := digest.Digest(j.Digest)
	if err := checkDigest(d); err != nil {
		return v1.Descriptor{}, err
	}
	switch {
	case j.MediaType == "":
		return v1.Descriptor{}, errors.New("there is no mediaType")
	case j.Size == nil:
		return v1.Descriptor{}, errors.New("there is no size")
	case *j.Size < 0 || *j.Size > maxSize:
		return v1.Descriptor{}, fmt.Errorf("%d is no size", *j.Size)
	}
	return v1.Descriptor{MediaType: j.MediaType, Digest: d, Size: *j.Size}, nil
}

// encode writes the manifest of an artifact as canonical JSON.
func (m *Manifest) encode() ([]byte, error) {
	return canonicalJSON(v1.Manifest{
		Versioned: specsVersion, MediaType: MediaTypeManifest, Config: m.Config, Layers: []v1.Descriptor{m.Layer}, Annotations: m.Annotations,
	})
}
