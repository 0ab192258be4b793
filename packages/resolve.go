package packages

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ashlar-wasm/ashlar/signature"
	"github.com/ashlar-wasm/ashlar/wit"
)

// Resolver chooses the version of a package for a requirement: the one that a lock
// has for it, or else the highest one that matches and is not yanked. It is for one
// goroutine.
type Resolver struct {
	// Client finds registries.
	Client *Client
	// Lock and Wkg are asked first, in this order. They may be nil.
	Lock *Lock
	Wkg  *WkgLock
	// Vendor is a folder that has contents of what the locks have ([Vendor]), which is
	// taken from there without asking a registry. It may be empty.
	Vendor Local
	// Locked takes nothing that is not in a lock.
	Locked bool
	// Update says of which packages the locks are not to be asked; nil means of none.
	Update func(Ref) bool
	// TrustedKeys returns those whose records say what is yanked of a package, in the
	// repository of an OCI registry that [Resolution.Reference] returns, or an empty one.
	// If it is nil or returns nil, whoever may write to the registry says it. What a lock
	// has is taken even if it is yanked.
	TrustedKeys func(p Ref, reference string) ([]signature.PublicKey, error)
	// Verify says whether a release may be taken from an OCI registry, and whose
	// signature was checked for that, which may be nobody's. It is asked once for each
	// release, before its content is, whether a lock has it or not: a lock is the
	// project's, and whom to trust is not for the project to say. Nil accepts all.
	Verify func(ctx context.Context, r *Resolution) (signer string, err error)

	known    map[string]Resolution
	verified map[string]string // signers, by package, registry and digest
}

// Resolution is what a requirement was resolved to.
type Resolution struct {
	Package Ref
	// Registry is the name of the registry.
	Registry string
	Release
	// Location is where the registry has its packages.
	Location Location
	// Locked says that a lock had it.
	Locked bool
	// Signer is whose signature [Resolver.Verify] checked, or what the lock says of
	// that if it checked none. It may be empty.
	Signer string

	source Source
}

// Reference returns the repository of the package in an OCI registry, HOST/NAME
// without tag and digest. It is empty in other registries.
func (r *Resolution) Reference() string {
	if r.Location.Protocol != ProtocolOCI {
		return ""
	}
	return r.Location.String() + r.Package.Namespace + "/" + r.Package.Name
}

// RefusedError is the error for a release that [Resolver.Verify] does not accept.
type RefusedError struct {
	Package  Ref
	Version  Version
	Registry string
	Err      error
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("package %s@%s from %s is refused: %v", e.Package, e.Version, e.Registry, e.Err)
}

// Unwrap returns why it is refused.
func (e *RefusedError) Unwrap() error { return e.Err }

// Content returns the content of the release, which has its digest.
func (r *Resolution) Content(ctx context.Context) ([]byte, error) {
	return r.source.Content(ctx, r.Package, r.Release)
}

// NoMatchError is the error for a requirement that no version matches.
type NoMatchError struct {
	Package     Ref
	Requirement Requirement
	// Versions are those that there are, highest first, without yanked ones.
	Versions []Version
	// Yanked is the number of versions that match and are yanked, and Reason why the
	// highest of them is, if that is said.
	Yanked int
	Reason string
}

func (e *NoMatchError) Error() string {
	s := fmt.Sprintf("no version of %s matches %s", e.Package, e.Requirement)
	switch {
	case e.Yanked == 1:
		s += " but one that is yanked"
	case e.Yanked > 1:
		s += fmt.Sprintf(" but %d that are yanked", e.Yanked)
	}
	if e.Reason != "" {
		s += fmt.Sprintf(" (%s)", e.Reason)
	}
	if len(e.Versions) == 0 {
		return s
	}
	texts := []string{}
	for _, v := range e.Versions[:min(len(e.Versions), 5)] {
		texts = append(texts, v.String())
	}
	if len(e.Versions) > 5 {
		texts = append(texts, "...")
	}
	return s + "; there are " + strings.Join(texts, ", ")
}

// DriftError is the error for a lock that is not what it would be if it were written
// now, and may not be.
type DriftError struct {
	// Changes say what would change, one each.
	Changes []string
}

func (e *DriftError) Error() string {
	return "the lock is out of date:\n  " + strings.Join(e.Changes, "\n  ")
}

// Resolve resolves one requirement.
func (r *Resolver) Resolve(ctx context.Context, p Ref, req Requirement) (Resolution, error) {
	key := Spec{p, req}.String()
	if out, ok := r.known[key]; ok {
		return out, nil
	}
	out, err := r.resolve(ctx, p, req)
	if err == nil {
		err = r.verify(ctx, &out)
	}
	if err != nil {
		return out, err
	}
	if r.known == nil {
		r.known = map[string]Resolution{}
	}
	r.known[key] = out
	return out, nil
}

// verify asks whether a release may be taken.
func (r *Resolver) verify(ctx context.Context, out *Resolution) error {
	if out.Locked && r.Lock != nil {
		name := wit.PackageName{Namespace: out.Package.Namespace, Name: out.Package.Name, Version: out.Version.String()}
		if l := r.Lock.Package(name); l != nil && l.Digest == out.Digest {
			out.Signer = l.Signer
		}
	}
	if r.Verify == nil || out.Location.Protocol != ProtocolOCI {
		return nil
	}
	key := out.Reference() + "@" + out.Version.String() + " " + string(out.Manifest) + " " + string(out.Digest)
	signer, ok := r.verified[key]
	if !ok {
		var err error
		if signer, err = r.Verify(ctx, out); err != nil {
			return &RefusedError{out.Package, out.Version, out.Registry, err}
		}
		if r.verified == nil {
			r.verified = map[string]string{}
		}
		r.verified[key] = signer
	}
	// Who has other rules than the one who wrote a lock does not change it by that.
	if signer != "" && !(out.Locked && r.Locked) {
		out.Signer = signer
	}
	return nil
}

func (r *Resolver) resolve(ctx context.Context, p Ref, req Requirement) (Resolution, error) {
	registry, err := r.Client.Registry(p)
	if out, ok := r.vendored(p, registry, req); ok {
		return out, nil
	}
	if err != nil {
		return Resolution{}, err
	}
	locked, _, ok := r.locked(p, registry, req)
	if !ok && r.Locked {
		return Resolution{}, &DriftError{[]string{fmt.Sprintf("%s is not locked", Spec{p, req})}}
	}
	source, location, err := r.Client.Source(ctx, p)
	if err != nil {
		return Resolution{}, err
	}
	out := Resolution{Package: p, Registry: registry, Release: locked, Location: location, Locked: ok, source: source}
	if !ok {
		out.Release, err = r.choose(ctx, source, location, p, req)
		return out, err
	}
	if _, local := source.(Local); local || locked.Manifest != "" {
		return out, nil // its content is checked against the lock
	}
	if out.Release, err = source.Release(ctx, p, locked.Version); err != nil {
		return out, fmt.Errorf("locked: %w", err)
	}
	if out.Digest != locked.Digest {
		return out, fmt.Errorf("the lock: %w", &DigestError{p, locked.Version, out.Digest, locked.Digest})
	}
	return out, nil
}

// locked returns what a lock has for a requirement, and the registry it is from: by the
// requirement itself, or else the highest version that matches. An empty registry stands
// for any.
func (r *Resolver) locked(p Ref, registry string, req Requirement) (Release, string, bool) {
	if r.Update != nil && r.Update(p) {
		return Release{}, "", false
	}
	from := func(locked string) bool {
		return locked != "" && (registry == "" || strings.EqualFold(locked, registry))
	}
	if r.Lock != nil {
		deps := []LockedDependency{}
		for _, root := range r.Lock.Roots {
			deps = append(deps, root.Dependencies...)
		}
		for _, p := range r.Lock.Packages {
			deps = append(deps, p.Dependencies...)
		}
		for _, d := range deps {
			if refOf(d.Name) == p && d.Requirement.Equal(req) {
				if l := r.Lock.Package(d.Name); from(l.Registry) {
					return l.release(), l.Registry, true
				}
			}
		}
		for _, l := range slices.Backward(r.Lock.Packages) {
			if refOf(l.Name) == p && from(l.Registry) && req.Matches(l.release().Version) {
				return l.release(), l.Registry, true
			}
		}
	}
	if r.Wkg != nil {
		var best Release
		var bestFrom string
		for _, l := range r.Wkg.Packages {
			if l.Name != p || !from(l.Registry) {
				continue
			}
			for _, v := range l.Versions {
				release := Release{Version: v.Version, Digest: v.Digest}
				if v.Requirement.Equal(req) {
					return release, l.Registry, true
				}
				if req.Matches(v.Version) && (bestFrom == "" || v.Version.Compare(best.Version) > 0) {
					best, bestFrom = release, l.Registry
				}
			}
		}
		return best, bestFrom, bestFrom != ""
	}
	return Release{}, "", false
}

// release is that of a package from a registry, which has a valid version.
func (p *LockedPackage) release() Release {
	v, _ := ParseVersion(p.Name.Version)
	return Release{v, p.Digest, p.Manifest}
}

// trustedKeys are those whose records say what is yanked; nil are anybody's.
func (r *Resolver) trustedKeys(p Ref, location Location) ([]signature.PublicKey, error) {
	if r.TrustedKeys == nil {
		return nil, nil
	}
	where := Resolution{Package: p, Location: location}
	return r.TrustedKeys(p, where.Reference())
}

// choose returns the highest version that matches and is not yanked, or the one that the
// requirement names. The error may be a
// *[NoMatchError].
func (r *Resolver) choose(ctx context.Context, source Source, location Location, p Ref, req Requirement) (Release, error) {
	versions, err := source.Versions(ctx, p)
	if v, one := req.Version(); one && errors.Is(err, ErrOffline) {
		// There is only one that it can be, and it may have been fetched before.
		versions, err = []VersionInfo{{Version: v}}, nil
	}
	if err != nil {
		return Release{}, err
	}
	trusted, err := r.trustedKeys(p, location)
	if err != nil {
		return Release{}, err
	}
	versions = slices.Clone(versions)
	slices.SortFunc(versions, func(a, b VersionInfo) int { return b.Version.Compare(a.Version) })
	if v, one := req.Version(); one {
		// =1.0.0 matches 1.0.0+x too, which must not take the place of 1.0.0.
		if i := slices.IndexFunc(versions, func(o VersionInfo) bool { return o.Version == v }); i > 0 {
			named := versions[i]
			versions = slices.Insert(slices.Delete(versions, i, i+1), 0, named)
		}
	}
	e := &NoMatchError{Package: p, Requirement: req}
	for _, v := range versions {
		if !req.Matches(v.Version) {
			if !v.Yanked {
				e.Versions = append(e.Versions, v.Version)
			}
			continue
		}
		if v.Yanked {
			e.Yanked++
			continue
		}
		release, err := source.Release(ctx, p, v.Version)
		if err != nil {
			return Release{}, err
		}
		record, err := Yanked(ctx, source, p, release, trusted)
		if err != nil {
			return Release{}, err
		}
		if record == nil || !record.Yanked {
			return release, nil
		}
		if e.Yanked++; e.Reason == "" {
			e.Reason = record.Reason
		}
	}
	return Release{}, e
}

// isMissing reports whether an error says that a package is in no registry, or is not
// to be taken from one since no lock has it.
func isMissing(err error) bool {
	var none *NoRegistryError
	var match *NoMatchError
	var drift *DriftError
	var refused *RefusedError
	if errors.As(err, &refused) {
		return false // whatever was missing to accept it
	}
	return errors.Is(err, ErrNotFound) || errors.As(err, &none) || errors.As(err, &match) || errors.As(err, &drift)
}
