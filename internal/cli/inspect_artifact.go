package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ashlar-wasm/ashlar/oci"
	"github.com/ashlar-wasm/ashlar/oci/bundles"
)

// artifactReport is what inspect prints of an artifact in a registry or layout: what
// its manifest and config say.
type artifactReport struct {
	Reference   string            `json:"reference"`
	Kind        string            `json:"kind"` // "component", "core module", or "" if the artifact does not say
	Digest      string            `json:"digest"`
	Manifest    blobReport        `json:"manifest"`
	Config      blobReport        `json:"config"`
	Layer       blobReport        `json:"layer"`
	Created     *time.Time        `json:"created,omitempty"`
	Author      string            `json:"author,omitempty"`
	OS          string            `json:"os,omitempty"`
	Imports     []string          `json:"imports"`
	Exports     []string          `json:"exports"`
	Target      string            `json:"target,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Referrers   []referrerReport  `json:"referrers,omitempty"`
}

// referrerReport is something that is attached to the artifact, as the registry and who
// attached it say.
type referrerReport struct {
	Digest        string `json:"digest"`
	ArtifactType  string `json:"artifactType,omitempty"`
	PredicateType string `json:"predicateType,omitempty"` // of a statement
}

// predicateTypes are annotations that say the type of a statement.
var predicateTypes = []string{bundles.PredicateAnnotation, predicateAnnotation}

func reportReferrers(refs []oci.Referrer) []referrerReport {
	var all []referrerReport
	for _, ref := range refs {
		r := referrerReport{Digest: ref.Descriptor.Digest.String(), ArtifactType: ref.ArtifactType}
		for _, key := range predicateTypes {
			r.PredicateType = cmp.Or(r.PredicateType, ref.Annotations[key])
		}
		all = append(all, r)
	}
	return all
}

type blobReport struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

func reportArtifact(ref oci.Reference, a *oci.Artifact) *artifactReport {
	m := a.Manifest
	ref.Digest = a.Descriptor.Digest
	r := &artifactReport{
		Reference: ref.String(), Digest: a.Descriptor.Digest.String(),
		Manifest:    blobReport{a.Descriptor.MediaType, a.Descriptor.Digest.String(), a.Descriptor.Size},
		Config:      blobReport{m.Config.MediaType, m.Config.Digest.String(), m.Config.Size},
		Layer:       blobReport{m.Layer.MediaType, m.Layer.Digest.String(), m.Layer.Size},
		Annotations: m.Annotations, Imports: []string{}, Exports: []string{},
	}
	c := a.Config
	if c == nil {
		return r
	}
	if !c.Created.IsZero() {
		r.Created = &c.Created
	}
	r.Author, r.OS, r.Kind = c.Author, c.OS, "core module"
	if d := c.Component; d != nil {
		r.Kind, r.Target = "component", d.Target
		r.Imports, r.Exports = append(r.Imports, d.Imports...), append(r.Exports, d.Exports...)
	}
	return r
}

func (r *artifactReport) print(w io.Writer) error {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-11s %s\n", name, printable(value))
		}
	}
	line("reference", r.Reference)
	line("kind", r.Kind)
	line("size", fmt.Sprintf("%d bytes", r.Layer.Size))
	line("layer", r.Layer.Digest)
	if r.Layer.MediaType != oci.MediaTypeLayer {
		line("media type", r.Layer.MediaType)
	}
	line("os", r.OS)
	if r.Created != nil {
		line("created", r.Created.Format(time.RFC3339))
	}
	line("author", r.Author)
	line("target", r.Target)
	list := func(title string, names []string) {
		fmt.Fprintf(&b, "%s (%d)\n", title, len(names))
		for _, n := range names {
			b.WriteString("  " + printable(n) + "\n")
		}
	}
	if r.Kind == "component" {
		list("imports", r.Imports)
		list("exports", r.Exports)
	}
	if len(r.Annotations) > 0 {
		fmt.Fprintf(&b, "annotations (%d)\n", len(r.Annotations))
		for _, k := range slices.Sorted(maps.Keys(r.Annotations)) {
			fmt.Fprintf(&b, "  %s: %q\n", printable(k), r.Annotations[k])
		}
	}
	if len(r.Referrers) > 0 {
		fmt.Fprintf(&b, "attached, not verified (%d)\n", len(r.Referrers))
		for _, a := range r.Referrers {
			fmt.Fprintf(&b, "  %s %s\n", a.Digest, printable(cmp.Or(a.PredicateType, a.ArtifactType)))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// inspect prints what an artifact says of itself, and what is attached to it if that is
// wanted.
func (r *registries) inspect(ctx context.Context, s *streams, ref oci.Reference, referrers, json bool) error {
	return r.client(s, 0, func(c *oci.Client) error {
		a, err := c.Describe(ctx, ref)
		if err != nil {
			return artifactError(err)
		}
		report := reportArtifact(ref, a)
		ref.Digest = a.Descriptor.Digest
		if referrers {
			refs, err := c.Referrers(ctx, ref, "")
			if err != nil {
				return err
			}
			report.Referrers = reportReferrers(refs)
		}
		if json {
			return printJSON(s, report)
		}
		return report.print(s.out)
	})
}
