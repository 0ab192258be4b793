package packages

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/ashlar-wasm/ashlar/wit"
)

// Lock is the file ashlar.lock, version 1. It says what wkg.lock does, and what that
// can't: every package that a project depends on, not only directly, with the edges
// between them; several versions of one package; packages from folders and those
// that come with Ashlar; digests of manifests; who signed. It is TOML:
//
//	version = 1
//
//	# Who asks: a folder of WIT, relative to that of the lock, with '/'.
//	[[root]]
//	path = "wit"
//	dependencies = [
//	    { name = "acme:log", requirement = "=1.2.0", version = "1.2.0" },
//	]
//
//	# From a registry: digest is that of the content, which is the layer in an OCI
//	# registry, manifest that of the OCI manifest. signer is the key whose signature
//	# was checked.
//	[[package]]
//	name = "acme:log"
//	version = "1.2.0"
//	registry = "acme.example"
//	digest = "sha256:..."
//	manifest = "sha256:..."
//	signer = "..."
//	dependencies = [
//	    { name = "acme:time", requirement = "=0.1.0", version = "0.1.0" },
//	    { name = "wasi:io", requirement = "=0.2.0", version = "0.2.0" },
//	]
//
//	# From a folder or file, relative to that of the lock. It has no digest, since it
//	# is edited, and may have no version.
//	[[package]]
//	name = "acme:time"
//	version = "0.1.0"
//	path = "../time/wit"
//
//	# Part of Ashlar.
//	[[package]]
//	name = "wasi:io"
//	version = "0.2.0"
//	builtin = true
//
//	# In no registry: what the contents of packages that depend on it have of it.
//	[[package]]
//	name = "acme:base"
//	version = "1.0.0"
//	embedded = true
//
// Each dependency is a package of the lock, each package is a dependency of some
// other or a root. Packages are sorted by name and version, dependencies by name,
// requirement and version, roots by path; there is one way to write a lock.
type Lock struct {
	Roots    []LockedRoot
	Packages []LockedPackage
}

// LockedRoot is a folder that asks for packages.
type LockedRoot struct {
	Path         string
	Dependencies []LockedDependency
}

// LockedPackage is a package of a [Lock]. It comes from a registry, or a path, or is
// built in, or embedded in others.
type LockedPackage struct {
	// Name has the version, which may be empty if the package is from a path.
	Name     wit.PackageName
	Registry string
	Path     string
	Builtin  bool
	Embedded bool
	Digest   Digest
	Manifest Digest
	// Signer is empty if no signature was checked.
	Signer       string
	Dependencies []LockedDependency
}

// LockedDependency is an edge: what was required, and what it was resolved to.
type LockedDependency struct {
	Requirement Requirement
	Name        wit.PackageName
}

// LockFile is the name of the file.
const LockFile = "ashlar.lock"

// ReadLock reads a file. It is nil if there is none.
func ReadLock(path string) (*Lock, error) {
	b, err := readFile(path, maxLock)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	l, err := ParseLock(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return l, nil
}

// ParseLock reads a lock.
func ParseLock(b []byte) (*Lock, error) {
	top, err := decodeTOML(b, maxLock)
	if err != nil {
		return nil, err
	}
	t := newTOMLTable("", top, &err)
	t.version1()
	l := &Lock{}
	for _, p := range t.tables("package", "") {
		l.Packages = append(l.Packages, readLockedPackage(p))
	}
	for _, r := range t.tables("root", "") {
		l.Roots = append(l.Roots, LockedRoot{required(r, "path", parseLockPath), readDependencies(r)})
		r.end()
	}
	t.end()
	if err != nil {
		return nil, err
	}
	l.sort()
	if err := l.check(); err != nil {
		return nil, err
	}
	return l, nil
}

func readLockedPackage(t *tomlTable) LockedPackage {
	p := LockedPackage{Name: readLockedName(t), Registry: t.text("registry", ""), Builtin: t.flag("builtin"), Embedded: t.flag("embedded"), Signer: t.text("signer", "")}
	p.Path, _ = parseText(t, "path", parseLockPath)
	p.Digest, _ = parseText(t, "digest", ParseDigest)
	p.Manifest, _ = parseText(t, "manifest", ParseDigest)
	p.Dependencies = readDependencies(t)
	t.end()
	from := 0
	for _, is := range []bool{p.Registry != "", p.Path != "", p.Builtin, p.Embedded} {
		if is {
			from++
		}
	}
	switch {
	case from != 1:
		t.fail(errors.New("expected one of registry, path, builtin = true, embedded = true"))
	case p.Name.Version == "" && p.Path == "":
		t.fail(errors.New("has no version"))
	case p.Registry != "" && p.Digest == "":
		t.fail(errors.New("has no digest"))
	case p.Registry == "" && (p.Digest != "" || p.Manifest != "" || p.Signer != ""):
		t.fail(errors.New("has digests or a signer, but is from no registry"))
	}
	return p
}

func readLockedName(t *tomlTable) wit.PackageName {
	ref := required(t, "name", ParseRef)
	name := wit.PackageName{Namespace: ref.Namespace, Name: ref.Name}
	if v, ok := parseText(t, "version", ParseVersion); ok {
		name.Version = v.String()
	}
	return name
}

func readDependencies(t *tomlTable) []LockedDependency {
	var deps []LockedDependency
	for _, d := range t.tables("dependencies", "") {
		deps = append(deps, LockedDependency{required(d, "requirement", ParseRequirement), readLockedName(d)})
		d.end()
	}
	return deps
}

// parseLockPath accepts paths that mean the same everywhere.
func parseLockPath(p string) (string, error) {
	if p == "" || p != path.Clean(p) || strings.Contains(p, `\`) || path.IsAbs(p) {
		return "", fmt.Errorf("%q is no clean relative path with '/'", p)
	}
	return p, nil
}

func (l *Lock) sort() {
	slices.SortStableFunc(l.Roots, func(a, b LockedRoot) int { return strings.Compare(a.Path, b.Path) })
	slices.SortStableFunc(l.Packages, func(a, b LockedPackage) int { return comparePackages(a.Name, b.Name) })
	for _, r := range l.Roots {
		sortDependencies(r.Dependencies)
	}
	for _, p := range l.Packages {
		sortDependencies(p.Dependencies)
	}
}

func sortDependencies(deps []LockedDependency) {
	slices.SortStableFunc(deps, func(a, b LockedDependency) int {
		return cmp.Or(compareRefs(refOf(a.Name), refOf(b.Name)), strings.Compare(a.Requirement.String(), b.Requirement.String()), comparePackages(a.Name, b.Name))
	})
}

// comparePackages orders packages by name and version.
func comparePackages(a, b wit.PackageName) int {
	return cmp.Or(compareRefs(refOf(a), refOf(b)), wit.CompareVersions(a.Version, b.Version), strings.Compare(a.Version, b.Version))
}

func refOf(n wit.PackageName) Ref { return Ref{n.Namespace, n.Name} }

// check looks for what is there twice, and edges that lead nowhere. The lock is sorted.
func (l *Lock) check() error {
	packages := map[wit.PackageName]bool{}
	for _, p := range l.Packages {
		if packages[p.Name] {
			return fmt.Errorf("package %s is there twice", p.Name)
		}
		packages[p.Name] = true
	}
	edges := func(who string, deps []LockedDependency) error {
		for i, d := range deps {
			if !packages[d.Name] {
				return fmt.Errorf("%s depends on %s, which is not there", who, d.Name)
			}
			if i > 0 && d.Name == deps[i-1].Name && d.Requirement.Equal(deps[i-1].Requirement) {
				return fmt.Errorf("%s depends on %s twice", who, d.Name)
			}
		}
		return nil
	}
	for i, r := range l.Roots {
		if i > 0 && r.Path == l.Roots[i-1].Path {
			return fmt.Errorf("root %s is there twice", r.Path)
		}
		if err := edges("root "+r.Path, r.Dependencies); err != nil {
			return err
		}
	}
	for _, p := range l.Packages {
		if err := edges(p.Name.String(), p.Dependencies); err != nil {
			return err
		}
	}
	return nil
}

// Package returns the package of that name, or nil.
func (l *Lock) Package(name wit.PackageName) *LockedPackage {
	for i := range l.Packages {
		if l.Packages[i].Name == name {
			return &l.Packages[i]
		}
	}
	return nil
}

func (l *Lock) byName() map[wit.PackageName]*LockedPackage {
	all := make(map[wit.PackageName]*LockedPackage, len(l.Packages))
	for i := range l.Packages {
		all[l.Packages[i].Name] = &l.Packages[i]
	}
	return all
}

// Encode returns the file.
func (l *Lock) Encode() []byte {
	l.sort()
	var b strings.Builder
	b.WriteString("# This file is written by ashlar. It is not meant to be edited.\nversion = 1\n")
	for _, r := range l.Roots {
		fmt.Fprintf(&b, "\n[[root]]\npath = %s\n", tomlString(r.Path))
		encodeDependencies(&b, r.Dependencies)
	}
	for _, p := range l.Packages {
		fmt.Fprintf(&b, "\n[[package]]\nname = %s\n", tomlString(refOf(p.Name).String()))
		for _, f := range []struct{ key, value string }{
			{"version", p.Name.Version}, {"registry", p.Registry}, {"path", p.Path},
			{"digest", string(p.Digest)}, {"manifest", string(p.Manifest)}, {"signer", p.Signer},
		} {
			if f.value != "" {
				fmt.Fprintf(&b, "%s = %s\n", f.key, tomlString(f.value))
			}
		}
		if p.Builtin {
			b.WriteString("builtin = true\n")
		}
		if p.Embedded {
			b.WriteString("embedded = true\n")
		}
		encodeDependencies(&b, p.Dependencies)
	}
	return []byte(b.String())
}

func encodeDependencies(b *strings.Builder, deps []LockedDependency) {
	if len(deps) == 0 {
		return
	}
	b.WriteString("dependencies = [\n")
	for _, d := range deps {
		fmt.Fprintf(b, "    { name = %s, requirement = %s", tomlString(refOf(d.Name).String()), tomlString(d.Requirement.String()))
		if d.Name.Version != "" {
			fmt.Fprintf(b, ", version = %s", tomlString(d.Name.Version))
		}
		b.WriteString(" },\n")
	}
	b.WriteString("]\n")
}

// Write writes the file if it changes.
func (l *Lock) Write(path string) error { return writeChanged(path, l.Encode()) }
