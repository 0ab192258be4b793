package packages

import (
	"context"
	"errors"

	"github.com/ashlar-wasm/ashlar/wit"
)

// Newer is a package of a lock, and what there is that is newer.
type Newer struct {
	Package  Ref     `json:"package"`
	Version  Version `json:"version"`
	Registry string  `json:"registry"`
	// Compatible is the highest version that is compatible with it, and Latest the
	// highest of all. Each is the version itself if there is nothing newer.
	Compatible Version `json:"compatible"`
	Latest     Version `json:"latest"`
	// Yanked says that the version is.
	Yanked bool `json:"yanked,omitempty"`
}

// Outdated returns what of a lock has newer versions, or is yanked. The resolver finds
// registries; what it knows of locks is not asked.
func Outdated(ctx context.Context, r *Resolver, lock *Lock) ([]Newer, error) {
	var all []Newer
	for _, p := range lock.Packages {
		if p.Registry == "" {
			continue
		}
		n := Newer{Package: refOf(p.Name), Version: p.release().Version, Registry: p.Registry}
		var err error
		if n.Compatible, err = r.newest(ctx, n.Package, n.Version, compatibleWith(n.Version)); err != nil {
			return nil, err
		}
		if n.Latest, err = r.newest(ctx, n.Package, n.Compatible, AnyVersion); err != nil {
			return nil, err
		}
		if n.Compatible == n.Version {
			if n.Yanked, err = r.yanked(ctx, n.Package, n.Version); err != nil {
				return nil, err
			}
		}
		if n.Yanked || n.Latest != n.Version {
			all = append(all, n)
		}
	}
	return all, nil
}

func (r *Resolver) yanked(ctx context.Context, p Ref, v Version) (bool, error) {
	source, location, err := r.Client.Source(ctx, p)
	if err != nil {
		return false, err
	}
	var none *NoMatchError
	_, err = r.choose(ctx, source, location, p, Exactly(v))
	if errors.As(err, &none) {
		return none.Yanked > 0, nil
	}
	return false, err
}

// compatibleWith is the requirement ^v.
func compatibleWith(v Version) Requirement {
	v.Build = ""
	return Requirement{[]comparator{{caret, 3, v}}}
}

// newest returns the highest version that matches, or v if there is none that is higher.
func (r *Resolver) newest(ctx context.Context, p Ref, v Version, req Requirement) (Version, error) {
	source, location, err := r.Client.Source(ctx, p)
	if err != nil {
		return v, err
	}
	found, err := r.choose(ctx, source, location, p, req)
	var none *NoMatchError
	switch {
	case errors.As(err, &none):
		return v, nil
	case err != nil:
		return v, err
	case found.Version.Compare(v) > 0:
		return found.Version, nil
	}
	return v, nil
}

// Reference is a package that the text of a folder refers to, and a version that is to
// take its place.
type Reference struct {
	Package wit.PackageName `json:"package"`
	To      Version         `json:"to"`
}

// Upgrades returns which versions that a folder of WIT refers to may be replaced with
// newer ones that are compatible, of the packages that are wanted: those that Fetch would
// take from registries.
func Upgrades(ctx context.Context, o FetchOptions, wanted func(Ref) bool) ([]Reference, error) {
	f, root, err := newFetcher(o)
	if err != nil {
		return nil, err
	}
	names, err := references(root)
	if err != nil {
		return nil, f.in(err)
	}
	var all []Reference
	for _, name := range names {
		ref := refOf(name)
		v, err := ParseVersion(name.Version)
		if err != nil || !wanted(ref) || !f.fromRegistry(name) {
			continue
		}
		to, err := o.Resolver.newest(ctx, ref, v, compatibleWith(v))
		if err != nil {
			return nil, err
		}
		if to != v {
			all = append(all, Reference{name, to})
		}
	}
	return all, nil
}
