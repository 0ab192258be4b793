package packages

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/signature"
	"github.com/ashlar-wasm/ashlar/wit"
)

// Publication is a version of a package that is to be published, and was compared with
// what the registry has.
type Publication struct {
	Package Ref
	Version Version
	// Digest is that of the content.
	Digest Digest
	// Location is where it goes.
	Location Location
	// Published says that the registry has the version already, with this content.
	Published bool
	// Predecessor is the version that it was compared with: the highest lower one of the
	// same compatibility track that is not yanked. It is nil if there is none.
	Predecessor *Version
	// Breaking is what it breaks of its predecessor.
	Breaking []wit.BreakingChange

	source  Source
	content []byte
}

// BreakingError is the error for a version that breaks its predecessor.
type BreakingError struct {
	Package              Ref
	Version, Predecessor Version
	Changes              []wit.BreakingChange
}

func (e *BreakingError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s@%s breaks %s, which has to be compatible:", e.Package, e.Version, e.Predecessor)
	for _, c := range e.Changes {
		b.WriteString("\n  " + c.String())
	}
	return b.String()
}

// NewPublication compares what is to be published with what there is. The error wraps
// [ErrExists] if the version is there with other content. A registry without the package
// is none. Of the resolver it is the client that finds the registry, and TrustedKeys that
// say whose records of what is yanked are believed.
func NewPublication(ctx context.Context, r *Resolver, p Ref, v Version, content []byte) (*Publication, error) {
	out := &Publication{Package: p, Version: v, Digest: DigestOf(content), content: content}
	var err error
	if out.source, out.Location, err = r.Client.Source(ctx, p); err != nil {
		return nil, err
	}
	switch there, err := out.source.Release(ctx, p, v); {
	case err == nil && there.Digest == out.Digest:
		out.Published = true
		return out, nil
	case err == nil:
		return nil, fmt.Errorf("%s@%s %w with other content, %s: versions do not change", p, v, ErrExists, there.Digest)
	case !errors.Is(err, ErrNotFound):
		return nil, err
	}
	versions, err := out.source.Versions(ctx, p)
	if err != nil {
		if errors.Is(err, ErrNotFound) {
			err = nil
		}
		return out, err
	}
	trusted, err := r.trustedKeys(p, out.Location)
	if err != nil {
		return nil, err
	}
	before, err := out.predecessor(ctx, versions, trusted)
	if before == nil || err != nil {
		return out, err
	}
	out.Predecessor = &before.Version
	if out.Breaking, err = out.compare(ctx, *before); err != nil {
		return nil, fmt.Errorf("compare %s@%s with its predecessor %s: %w", p, v, before.Version, err)
	}
	return out, nil
}

// predecessor is the highest of the versions that a version promises to be compatible
// with, or nil.
func (p *Publication) predecessor(ctx context.Context, versions []VersionInfo, trusted []signature.PublicKey) (*Release, error) {
	lower := slices.DeleteFunc(slices.Clone(versions), func(o VersionInfo) bool {
		return o.Yanked || o.Version.precedence(p.Version) >= 0 || wit.VersionTrack(o.Version.String()) != wit.VersionTrack(p.Version.String())
	})
	slices.SortFunc(lower, func(a, b VersionInfo) int { return b.Version.Compare(a.Version) })
	for _, o := range lower {
		release, err := p.source.Release(ctx, p.Package, o.Version)
		if err != nil {
			return nil, err
		}
		record, err := Yanked(ctx, p.source, p.Package, release, trusted)
		if err != nil {
			return nil, err
		}
		if record == nil || !record.Yanked {
			return &release, nil
		}
	}
	return nil, nil
}

// compare tells what the content breaks of a release.
func (p *Publication) compare(ctx context.Context, before Release) ([]wit.BreakingChange, error) {
	content, err := p.source.Content(ctx, p.Package, before)
	if err != nil {
		return nil, err
	}
	return compareContents(content, p.content), nil
}

// compareContents tells what one version of a package breaks of an earlier one. Of core
// modules nothing is known. What can't be compared counts as broken.
func compareContents(earlier, later []byte) []wit.BreakingChange {
	var packages [2]*wit.Package
	var worlds [2]*wit.World
	var kinds [2]string
	for i, b := range [][]byte{earlier, later} {
		if kinds[i] = "core module"; binary.KindOf(b) == binary.KindModule {
			continue
		}
		r, world, err := wit.Decode(b)
		if err != nil {
			// Not every component can be described in WIT.
			which := []string{"the one before", "this version"}[i]
			return []wit.BreakingChange{{Item: "package", Change: fmt.Sprintf("can't be compared, since %s has no WIT: %v", which, err)}}
		}
		packages[i], worlds[i] = r.Main, world
		if kinds[i] = "WIT package"; world != nil {
			kinds[i] = "component"
		}
	}
	switch {
	case kinds[0] != kinds[1]:
		return []wit.BreakingChange{{Item: "package", Change: fmt.Sprintf("was a %s and is a %s", kinds[0], kinds[1])}}
	case worlds[0] != nil:
		return wit.BreakingComponentChanges(worlds[0], worlds[1])
	case packages[0] != nil:
		return wit.BreakingChanges(packages[0], packages[1])
	}
	return nil
}

// Compatible returns a *[BreakingError] if the publication breaks its predecessor.
func (p *Publication) Compatible() error {
	if len(p.Breaking) == 0 {
		return nil
	}
	return &BreakingError{p.Package, p.Version, *p.Predecessor, p.Breaking}
}

// Publish publishes the version. The error wraps [ErrExists] if somebody did meanwhile.
func (p *Publication) Publish(ctx context.Context) (Release, error) {
	return p.source.Publish(ctx, p.Package, p.Version, p.content)
}

// Resolution returns the version as the registry has it, once it is published. The error
// is a *[DigestError] if it has other content.
func (p *Publication) Resolution(ctx context.Context) (*Resolution, error) {
	r, err := p.source.Release(ctx, p.Package, p.Version)
	if err != nil {
		return nil, err
	}
	if r.Digest != p.Digest {
		return nil, &DigestError{p.Package, p.Version, r.Digest, p.Digest}
	}
	return &Resolution{Package: p.Package, Registry: p.Location.Registry, Release: r, Location: p.Location, source: p.source}, nil
}
