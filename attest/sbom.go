package attest

import (
	"bytes"
	"crypto/sha1"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ashlar-wasm/ashlar/build/metadata"
)

// BOM is a bill of materials in CycloneDX 1.6, of which it has the part that is
// needed here.
type BOM struct {
	BOMFormat    string         `json:"bomFormat"`
	SpecVersion  string         `json:"specVersion"`
	SerialNumber string         `json:"serialNumber,omitempty"`
	Version      int            `json:"version"`
	Metadata     BOMMetadata    `json:"metadata"`
	Components   []BOMComponent `json:"components"`
	Dependencies []BOMEdges     `json:"dependencies,omitempty"`
}

// BOMMetadata says what a [BOM] is about.
type BOMMetadata struct {
	Timestamp string          `json:"timestamp,omitempty"`
	Tools     json.RawMessage `json:"tools,omitempty"` // two forms are in use
	Component *BOMComponent   `json:"component,omitempty"`
}

// BOMComponent is an entry of a [BOM].
type BOMComponent struct {
	Type               string         `json:"type"`
	Ref                string         `json:"bom-ref,omitempty"`
	Author             string         `json:"author,omitempty"`
	Group              string         `json:"group,omitempty"`
	Name               string         `json:"name"`
	Version            string         `json:"version,omitempty"`
	Description        string         `json:"description,omitempty"`
	Scope              string         `json:"scope,omitempty"`
	Hashes             []hash         `json:"hashes,omitempty"`
	Licenses           []license      `json:"licenses,omitempty"`
	PURL               string         `json:"purl,omitempty"`
	ExternalReferences []bomReference `json:"externalReferences,omitempty"`
	Properties         []property     `json:"properties,omitempty"`
}

// BOMEdges are what an entry depends on.
type BOMEdges struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn,omitempty"`
}

type license struct {
	Expression string          `json:"expression,omitempty"`
	License    json.RawMessage `json:"license,omitempty"`
}

type bomReference struct {
	URL    string `json:"url"`
	Type   string `json:"type"`
	Hashes []hash `json:"hashes,omitempty"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

const (
	bomFormat = "CycloneDX"
	bomTool   = "ashlar"
	rootRef   = "component"
	maxBOM    = 64 << 20
)

// Component is what a bill of materials is made of.
type Component struct {
	// Name is what it is called if it does not say so itself.
	Name    string
	Content []byte
	// Dir is the folder of the project that it was built of, in Language; empty if
	// that is not known. Then what is in it is what it says itself.
	Dir, Language string
	// Tool is the version of Ashlar.
	Tool string
}

// NewBOM makes the bill of materials of a component or core module.
func NewBOM(c Component) (*BOM, error) {
	about, err := metadata.Read(c.Content)
	if err != nil {
		return nil, err
	}
	all, err := c.dependencies()
	if err != nil {
		return nil, err
	}
	timestamp, err := sourceDate()
	if err != nil {
		return nil, err
	}
	tools, err := json.Marshal(map[string]any{"components": []BOMComponent{{Type: "application", Name: bomTool, Version: c.Tool}}})
	if err != nil {
		return nil, err
	}
	root := &BOMComponent{
		Type: "application", Ref: rootRef, Author: about.Authors, Name: about.Name, Version: about.Version, Description: about.Description,
		Hashes: []hash{{"SHA-256", sha256Of(c.Content)}},
	}
	if root.Name == "" {
		root.Name = c.Name
	}
	if about.Licenses != "" {
		root.Licenses = []license{{Expression: about.Licenses}}
	}
	for _, r := range []bomReference{{URL: about.Source, Type: "vcs"}, {URL: about.Homepage, Type: "website"}} {
		if r.URL != "" {
			root.ExternalReferences = append(root.ExternalReferences, r)
		}
	}
	b := &BOM{
		BOMFormat: bomFormat, SpecVersion: "1.6", Version: 1, Components: []BOMComponent{},
		Metadata: BOMMetadata{Timestamp: timestamp, Tools: tools, Component: root},
	}
	b.add(all)
	content, err := b.encode()
	if err != nil {
		return nil, err
	}
	b.SerialNumber = "urn:uuid:" + uuid5(uuidURLs, "https://ashlar.dev/sbom/sha256/"+sha256Of(content))
	return b, nil
}

// add adds dependencies, which are sorted and different, with the edges between them.
// What nothing is known to need, the component needs.
func (b *BOM) add(all []dependency) {
	known, needed := map[string]bool{}, map[string]bool{}
	for i := range all {
		known[all[i].ref()] = true
		for _, r := range all[i].requires {
			if r != all[i].ref() {
				needed[r] = true
			}
		}
	}
	root := BOMEdges{Ref: rootRef}
	var edges []BOMEdges
	for i := range all {
		d := &all[i]
		e := BOMComponent{
			Type: "library", Ref: d.ref(), Group: d.group, Name: d.name, Version: d.version, Scope: d.scope,
			Hashes: d.hashes, PURL: d.purl, Properties: d.properties,
		}
		if d.purl == "" {
			e.Type = "application" // a tool
		}
		for _, f := range d.files {
			e.ExternalReferences = append(e.ExternalReferences, bomReference{f.url, "distribution", f.hashes})
		}
		b.Components = append(b.Components, e)
		if d.direct || !needed[d.ref()] && d.purl != "" {
			root.DependsOn = append(root.DependsOn, d.ref())
		}
		requires := slices.DeleteFunc(slices.Clone(d.requires), func(r string) bool { return !known[r] || r == d.ref() })
		if slices.Sort(requires); len(requires) > 0 {
			edges = append(edges, BOMEdges{d.ref(), slices.Compact(requires)})
		}
	}
	b.Dependencies = append([]BOMEdges{root}, edges...)
}

// Encode returns the file.
func (b *BOM) Encode() ([]byte, error) { return b.encode() }

func (b *BOM) encode() ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(b); err != nil {
		return nil, fmt.Errorf("encode SBOM: %w", err)
	}
	return out.Bytes(), nil
}

// ParseBOM reads a bill of materials in CycloneDX, of any version in JSON.
func ParseBOM(b []byte) (*BOM, error) {
	if len(b) > maxBOM {
		return nil, fmt.Errorf("SBOM: %d bytes, more than %d", len(b), maxBOM)
	}
	bom := &BOM{}
	if err := json.Unmarshal(b, bom); err != nil {
		return nil, fmt.Errorf("SBOM: %w", err)
	}
	if bom.BOMFormat != bomFormat {
		return nil, errors.New("SBOM: not CycloneDX in JSON")
	}
	return bom, nil
}

// IsOf reports whether the bill of materials is that of a component with these bytes.
func (b *BOM) IsOf(content []byte) bool { return b.IsOfDigest(sha256Of(content)) }

// IsOfDigest is IsOf for the SHA-256 of the bytes, in hexadecimal.
func (b *BOM) IsOfDigest(digest string) bool {
	return b.Metadata.Component != nil && slices.Contains(b.Metadata.Component.Hashes, hash{"SHA-256", digest})
}

// sourceDate is the time that SOURCE_DATE_EPOCH says, or nothing.
func sourceDate() (string, error) {
	s := os.Getenv("SOURCE_DATE_EPOCH")
	if s == "" {
		return "", nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	const year9999 = 253402300799
	if err != nil || n < 0 || n > year9999 {
		return "", fmt.Errorf("SOURCE_DATE_EPOCH is %.80q, expected seconds since 1970", s)
	}
	return time.Unix(n, 0).UTC().Format(time.RFC3339), nil
}

// uuidURLs is the name space of URLs (RFC 9562, section 6.6).
var uuidURLs = [16]byte{0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}

// uuid5 is the UUID of version 5 for a name (RFC 9562, section 5.5).
func uuid5(space [16]byte, name string) string {
	u := sha1.Sum(append(space[:], name...))
	u[6], u[8] = u[6]&0x0f|0x50, u[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:16])
}

// Text lists what is in a bill of materials, for people.
func (b *BOM) Text() string {
	var s strings.Builder
	line := func(c *BOMComponent) {
		name := c.PURL
		if name == "" {
			name = strings.Trim(c.Group+"/"+c.Name+"@"+c.Version, "/@")
		}
		s.WriteString(name)
		if c.Scope != "" {
			s.WriteString(" (" + c.Scope + ")")
		}
		for _, h := range c.Hashes {
			s.WriteString(" " + strings.ToLower(h.Algorithm) + ":" + h.Content)
		}
		s.WriteString("\n")
	}
	if b.Metadata.Component != nil {
		line(b.Metadata.Component)
	}
	for i := range b.Components {
		s.WriteString("  ")
		line(&b.Components[i])
	}
	return s.String()
}
