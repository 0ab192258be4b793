package oci

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
)

// Media types of the Wasm OCI artifact.
const (
	MediaTypeManifest = "application/vnd.oci.image.manifest.v1+json"
	MediaTypeConfig   = "application/vnd.wasm.config.v0+json"
	MediaTypeLayer    = "application/wasm"
)

const (
	architecture = "wasm"
	// Values of os.
	osModule    = "wasip1"
	osComponent = "wasip2"
	// maxConfig bounds the size of a config.
	maxConfig = 1 << 20
)

// Config is the configuration of a Wasm OCI artifact, of the media type
// [MediaTypeConfig].
type Config struct {
	Created      time.Time // zero if it is not known
	Author       string    // "" if it is not known
	Architecture string    // "wasm"
	OS           string    // "wasip1" for core modules, "wasip2" for components
	LayerDigests []digest.Digest
	Component    *ConfigComponent // nil for core modules
}

// ConfigComponent is what a config says of a component.
type ConfigComponent struct {
	// Exports and Imports are names of interfaces, with their versions, and of
	// functions.
	Exports, Imports []string
	// Target is the world that it was made for, or "" if that is not known.
	Target string
}

// configJSON has the null that other tools write for what they do not know.
type configJSON struct {
	Created      *time.Time       `json:"created,omitempty"`
	Author       *string          `json:"author,omitempty"`
	Architecture string           `json:"architecture"`
	OS           string           `json:"os"`
	LayerDigests list[string]     `json:"layerDigests"`
	Component    *configComponent `json:"component,omitempty"`
}

type configComponent struct {
	Exports list[string] `json:"exports"`
	Imports list[string] `json:"imports"`
	Target  *string      `json:"target,omitempty"`
}

// encode writes the config as canonical JSON.
func (c *Config) encode() ([]byte, error) {
	created := c.Created.UTC()
	j := configJSON{Created: &created, Author: optional(c.Author), Architecture: c.Architecture, OS: c.OS}
	for _, d := range c.LayerDigests {
		j.LayerDigests = append(j.LayerDigests, d.String())
	}
	if m := c.Component; m != nil {
		j.Component = &configComponent{Exports: sorted(m.Exports), Imports: sorted(m.Imports), Target: optional(m.Target)}
	}
	return canonicalJSON(j)
}

// sorted returns the names sorted, each once. It is never nil.
func sorted(names []string) []string {
	s := append([]string{}, names...)
	slices.Sort(s)
	return slices.Compact(s)
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// ParseConfig reads the JSON of a config and checks the rules of the
// specification. Null is taken for what is not known.
func ParseConfig(b []byte) (*Config, error) {
	if len(b) > maxConfig {
		return nil, fmt.Errorf("config: has %d bytes, more than %d", len(b), maxConfig)
	}
	var j configJSON
	if err := decodeJSON(b, &j); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	c, err := j.config()
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return c, nil
}

func (j *configJSON) config() (*Config, error) {
	c := &Config{Architecture: j.Architecture, OS: j.OS}
	if j.Created != nil {
		c.Created = *j.Created
	}
	if j.Author != nil {
		c.Author = *j.Author
	}
	if j.Architecture != architecture {
		return nil, fmt.Errorf("the architecture is %q, expected %q", clip(j.Architecture), architecture)
	}
	if j.OS != osModule && j.OS != osComponent {
		return nil, fmt.Errorf("the os is %q, expected %q or %q", clip(j.OS), osModule, osComponent)
	}
	for i, s := range j.LayerDigests {
		d, err := parseDigest(s)
		if err != nil {
			return nil, fmt.Errorf("layerDigests[%d]: %w", i, err)
		}
		c.LayerDigests = append(c.LayerDigests, d)
	}
	if m := j.Component; m != nil {
		c.Component = &ConfigComponent{Exports: m.Exports, Imports: m.Imports}
		if m.Target != nil {
			c.Component.Target = *m.Target
		}
	} else if j.OS == osComponent {
		return nil, errors.New("component is missing, which must be there where the os is " + osComponent)
	}
	return c, nil
}
