package packages

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// VendorFolder is the folder beside the locks that has the contents of packages. It is a
// registry as [Local] has them, with a config.toml that says so to wkg. It is not called
// vendor, since Go takes that for its own.
const VendorFolder = "wasm-vendor"

// Vendor makes a folder have the contents of all packages from registries that a lock has,
// and no others, and writes its config.toml. It returns what it added. The resolver finds
// the contents of what is not there yet.
func Vendor(ctx context.Context, r *Resolver, folder string) (added []Resolution, err error) {
	if r.Lock == nil {
		return nil, errors.New("there is no lock to take packages from")
	}
	local, keep := Local(folder), map[string]bool{}
	for _, p := range r.Lock.Packages {
		if p.Registry == "" {
			continue
		}
		ref, release := refOf(p.Name), p.release()
		keep[local.file(ref, release.Version)] = true
		if b, err := readFile(local.file(ref, release.Version), MaxContent); err == nil && DigestOf(b) == release.Digest {
			continue
		}
		// What is there is damaged, and not to be asked.
		elsewhere := *r
		elsewhere.Vendor = ""
		found, err := elsewhere.Resolve(ctx, ref, Exactly(release.Version))
		if err != nil {
			return added, err
		}
		content, err := found.Content(ctx)
		if err != nil {
			return added, err
		}
		if d := DigestOf(content); d != release.Digest {
			return added, fmt.Errorf("the lock: %w", &DigestError{ref, release.Version, d, release.Digest})
		}
		if err := os.MkdirAll(local.folder(ref), 0o777); err != nil {
			return added, err
		}
		if err := replaceFile(local.file(ref, release.Version), content); err != nil {
			return added, err
		}
		added = append(added, found)
	}
	if err := local.prune(keep); err != nil {
		return added, err
	}
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return added, err
	}
	return added, writeChanged(filepath.Join(folder, "config.toml"), vendorConfig(r.Lock))
}

// prune removes the contents of versions that are not to be kept.
func (l Local) prune(keep map[string]bool) error {
	files, err := fs.Glob(os.DirFS(string(l)), "*/*/*"+contentSuffix)
	if err != nil {
		return err
	}
	for _, name := range files {
		file := filepath.Join(string(l), filepath.FromSlash(name))
		if keep[file] {
			continue
		}
		if err := os.Remove(file); err != nil {
			return err
		}
		// Folders that are empty now go too; others stay.
		if os.Remove(filepath.Dir(file)) == nil {
			_ = os.Remove(filepath.Dir(filepath.Dir(file)))
		}
	}
	return nil
}

// vendorConfig is a config.toml that finds the packages of a lock in the folder, from the
// folder of the lock.
func vendorConfig(lock *Lock) []byte {
	registries, overrides := map[string]bool{}, map[string]string{}
	for _, p := range lock.Packages {
		if _, err := ParseRegistry(p.Registry); err == nil {
			registries[p.Registry] = true
			overrides[refOf(p.Name).String()] = p.Registry
		}
	}
	var b strings.Builder
	b.WriteString("# Written by 'ashlar pkg vendor', which uses the folder without this file. For wkg:\n#   wkg fetch --config " + VendorFolder + "/config.toml\n")
	if len(overrides) > 0 {
		b.WriteString("\n[package_registry_overrides]\n")
	}
	for _, name := range sortedKeys(overrides) {
		fmt.Fprintf(&b, "%q = %s\n", name, tomlString(overrides[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(registries)) {
		fmt.Fprintf(&b, "\n[registry.%q]\ndefault = \"local\"\n\n[registry.%q.local]\nroot = %q\n", name, name, VendorFolder)
	}
	return []byte(b.String())
}

// vendored returns the release that a lock has, if the folder with contents has it, from
// whatever registry the lock says.
func (r *Resolver) vendored(p Ref, registry string, req Requirement) (Resolution, bool) {
	if r.Vendor == "" {
		return Resolution{}, false
	}
	locked, from, ok := r.locked(p, registry, req)
	if !ok {
		return Resolution{}, false
	}
	if _, err := os.Stat(r.Vendor.file(p, locked.Version)); errors.Is(err, fs.ErrNotExist) {
		return Resolution{}, false
	}
	return Resolution{
		Package: p, Registry: from, Release: locked, Locked: true, source: r.Vendor,
		Location: Location{Registry: from, Protocol: ProtocolLocal, Root: string(r.Vendor)},
	}, true
}
