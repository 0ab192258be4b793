package packages

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"

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
	source, _, err := r.Client.Source(ctx, p)
	if err != nil {
		return false, err
	}
	var none *NoMatchError
	_, err = r.choose(ctx, source, p, Exactly(v))
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
	source, _, err := r.Client.Source(ctx, p)
	if err != nil {
		return v, err
	}
	found, err := r.choose(ctx, source, p, req)
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

// WITEdit is a change to the files of a folder of WIT.
type WITEdit struct{ before, after map[string][]byte }

// ReplaceVersions writes other versions where the files of a folder of WIT refer to
// packages. Nothing is written yet.
func ReplaceVersions(dir string, refs []Reference) (*WITEdit, error) {
	return editWIT(dir, func(files map[string][]byte) error {
		for _, ref := range refs {
			// What follows a version can't be part of one: use a:b/c@1.0.0.{d}; has a
			// dot behind it.
			pattern, err := regexp.Compile(`(` + regexp.QuoteMeta(refOf(ref.Package).String()) + `/%?[a-zA-Z0-9-]+@)` + regexp.QuoteMeta(ref.Package.Version) + `(\.?[^0-9A-Za-z.+-]|$)`)
			if err != nil {
				return err
			}
			for name, b := range files {
				files[name] = pattern.ReplaceAll(b, []byte("${1}"+ref.To.String()+"${2}"))
			}
		}
		return nil
	}, func(before []wit.PackageName) []wit.PackageName {
		after := slices.Clone(before)
		for i, name := range after {
			for _, ref := range refs {
				if name == ref.Package {
					after[i].Version = ref.To.String()
				}
			}
		}
		return after
	})
}

// editWIT edits the files of a folder of WIT, and checks that this changes the packages
// that they refer to as is expected.
func editWIT(dir string, edit func(files map[string][]byte) error, expect func([]wit.PackageName) []wit.PackageName) (*WITEdit, error) {
	files, err := readWITFiles(dir)
	if err != nil {
		return nil, err
	}
	refs, err := references(&overlay{files: files})
	if err != nil {
		return nil, err
	}
	e := &WITEdit{map[string][]byte{}, map[string][]byte{}}
	edited := map[string][]byte{}
	for name, b := range files {
		edited[name] = slices.Clone(b)
	}
	if err := edit(edited); err != nil {
		return nil, err
	}
	got, err := references(&overlay{files: edited})
	if err != nil {
		return nil, fmt.Errorf("%s: after the change: %w", dir, err)
	}
	want := slices.Clone(expect(refs))
	slices.SortFunc(want, comparePackages)
	if want = slices.Compact(want); !slices.Equal(got, want) {
		return nil, fmt.Errorf("%s: can't be edited so that it refers to %s; it would refer to %s: edit it by hand", dir, want, got)
	}
	for name, b := range files {
		if string(edited[name]) != string(b) {
			e.before[filepath.Join(dir, name)], e.after[filepath.Join(dir, name)] = b, edited[name]
		}
	}
	return e, nil
}

// Files are those that change, sorted.
func (e *WITEdit) Files() []string { return sortedKeys(e.after) }

// Apply writes the files.
func (e *WITEdit) Apply() error { return writeAll(e.after) }

// Undo writes them as they were.
func (e *WITEdit) Undo() error { return writeAll(e.before) }

// writeAll writes into files that are there, which may be links.
func writeAll(files map[string][]byte) error {
	for _, name := range sortedKeys(files) {
		if err := os.WriteFile(name, files[name], 0o666); err != nil {
			return err
		}
	}
	return nil
}
