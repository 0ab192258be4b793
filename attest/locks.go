package attest

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"golang.org/x/mod/modfile"

	"github.com/ashlar-wasm/ashlar/packages"
)

// Bounds of locks of languages.
const (
	maxLockFile = 32 << 20
	maxLocked   = 50_000
)

// dependencies are what the component says, and what the locks of its project do.
func (c *Component) dependencies() ([]dependency, error) {
	in, err := readContents(c.Content)
	if err != nil {
		return nil, err
	}
	all := in.dependencies()
	if c.Dir == "" {
		return merge(all), nil
	}
	wit, err := witPackages(c.Dir)
	if err != nil {
		return nil, err
	}
	all = append(all, wit...)
	if len(in.modules) > 0 && c.Language == "go" {
		return merge(all), nil
	}
	for _, l := range locks[c.Language] {
		b, err := readLock(filepath.Join(c.Dir, l.name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found, err := l.read(c.Dir, b)
		if err != nil {
			return nil, pathError(l.name, err)
		}
		if len(found) > maxLocked {
			return nil, pathError(l.name, fmt.Errorf("%d packages, more than %d", len(found), maxLocked))
		}
		all = append(all, found...)
		break
	}
	return merge(all), nil
}

// lock is a file that says which packages of a language a project has.
type lock struct {
	name string
	read func(dir string, b []byte) ([]dependency, error)
}

// locks are those of each language; the first that is there is read.
var locks = map[string][]lock{
	"go":         {{"go.mod", goModules}},
	"tinygo":     {{"go.mod", goModules}},
	"rust":       {{"Cargo.lock", cargoPackages}},
	"javascript": {{"package-lock.json", npmPackages}, {"npm-shrinkwrap.json", npmPackages}},
	"typescript": {{"package-lock.json", npmPackages}, {"npm-shrinkwrap.json", npmPackages}},
	"python":     {{"uv.lock", uvPackages}, {"poetry.lock", poetryPackages}, {"requirements.txt", requirements}},
}

func readLock(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxLockFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxLockFile {
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxLockFile)
	}
	return b, nil
}

// witPackages are those of ashlar.lock, or else of wkg.lock.
func witPackages(dir string) ([]dependency, error) {
	l, err := packages.ReadLock(filepath.Join(dir, packages.LockFile))
	if err != nil {
		return nil, err
	}
	var all []dependency
	if l != nil {
		refs := map[string]string{}
		for _, p := range l.Packages {
			refs[p.Name.String()] = witPURL(p.Name.Namespace, p.Name.Name, p.Name.Version, string(p.Digest))
		}
		for _, p := range l.Packages {
			from := p.Registry
			switch {
			case p.Builtin:
				from = "ashlar"
			case p.Path != "":
				from = "a folder"
			}
			d := witPackage(p.Name.Namespace, p.Name.Name, p.Name.Version, string(p.Digest), from)
			for _, r := range p.Dependencies {
				d.requires = append(d.requires, refs[r.Name.String()])
			}
			all = append(all, d)
		}
		return all, nil
	}
	w, err := packages.ReadWkgLock(filepath.Join(dir, packages.WkgLockFile))
	if err != nil {
		return nil, err
	}
	for _, p := range w.Packages {
		for _, v := range p.Versions {
			all = append(all, witPackage(p.Name.Namespace, p.Name.Name, v.Version.String(), string(v.Digest), p.Registry))
		}
	}
	return all, nil
}

func witPURL(namespace, name, version, digest string) string {
	return purl("generic", namespace, name, version, "checksum", digest)
}

func witPackage(namespace, name, version, digest, from string) dependency {
	d := dependency{
		group: namespace, name: name, version: version, purl: witPURL(namespace, name, version, digest),
		scope: scopeExcluded, hashes: hexHash("SHA-256", strings.TrimPrefix(digest, "sha256:")),
		properties: []property{{"ashlar:wit:registry", from}},
	}
	if from == "" {
		d.properties = nil
	}
	return d
}

// goModules reads go.mod, which names all modules that a program is linked with, and
// go.sum.
func goModules(dir string, b []byte) ([]dependency, error) {
	f, err := modfile.Parse("go.mod", b, nil)
	if err != nil {
		return nil, err
	}
	sums := map[string]string{}
	text, err := readLock(filepath.Join(dir, "go.sum"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		if w := strings.Fields(line); len(w) == 3 && strings.HasPrefix(w[2], "h1:") {
			sums[w[0]+"@"+w[1]] = w[2]
		}
	}
	var all []dependency
	for _, r := range f.Require {
		var replace *debug.Module
		for _, p := range f.Replace {
			if p.Old.Path == r.Mod.Path && (p.Old.Version == "" || p.Old.Version == r.Mod.Version) {
				replace = &debug.Module{Path: p.New.Path, Version: p.New.Version, Sum: sums[p.New.Path+"@"+p.New.Version]}
			}
		}
		all = append(all, goModule(r.Mod.Path, r.Mod.Version, sums[r.Mod.Path+"@"+r.Mod.Version], replace))
	}
	return all, nil
}

const cratesIO = "registry+https://github.com/rust-lang/crates.io-index"

// cargoPackages reads Cargo.lock. Packages without a source are the project's own.
func cargoPackages(_ string, b []byte) ([]dependency, error) {
	type crate struct {
		Name, Version, Source, Checksum string
		Dependencies                    []string
	}
	var file struct{ Package []crate }
	if err := toml.Unmarshal(b, &file); err != nil {
		return nil, err
	}
	refs := map[string]string{} // by how dependencies are named
	describe := func(p crate) dependency {
		d := dependency{name: p.Name, version: p.Version, hashes: hexHash("SHA-256", p.Checksum)}
		switch {
		case p.Source == cratesIO || p.Source == "sparse+https://index.crates.io/":
			d.purl = purl("cargo", "", p.Name, p.Version)
		case strings.HasPrefix(p.Source, "git+"):
			d.purl = purl("cargo", "", p.Name, p.Version, "vcs_url", withoutUser(p.Source))
		default:
			_, url, _ := strings.Cut(p.Source, "+")
			d.purl = purl("cargo", "", p.Name, p.Version, "repository_url", withoutUser(url))
		}
		return d
	}
	for _, p := range file.Package {
		if p.Source != "" {
			ref := describe(p).purl
			refs[p.Name], refs[p.Name+" "+p.Version], refs[p.Name+" "+p.Version+" ("+p.Source+")"] = ref, ref, ref
		}
	}
	direct := map[string]bool{}
	for _, p := range file.Package {
		for _, r := range p.Dependencies {
			direct[refs[r]] = direct[refs[r]] || p.Source == ""
		}
	}
	var all []dependency
	for _, p := range file.Package {
		if p.Source == "" {
			continue
		}
		d := describe(p)
		d.direct = direct[d.purl]
		for _, r := range p.Dependencies {
			if ref := refs[r]; ref != "" {
				d.requires = append(d.requires, ref)
			}
		}
		all = append(all, d)
	}
	return all, nil
}

// npmPackages reads package-lock.json of version 2 or 3.
func npmPackages(_ string, b []byte) ([]dependency, error) {
	type entry struct {
		Name, Version, Resolved, Integrity string
		Dev, Optional, DevOptional, Link   bool
		Dependencies, OptionalDependencies map[string]string
		DevDependencies                    map[string]string // of the project
	}
	var file struct {
		LockfileVersion int
		Packages        map[string]entry
	}
	if err := json.Unmarshal(b, &file); err != nil {
		return nil, err
	}
	if file.Packages == nil {
		return nil, fmt.Errorf("the lockfileVersion is %d, expected 2 or 3", file.LockfileVersion)
	}
	const folder = "node_modules/"
	refOf := func(where string) string {
		i := strings.LastIndex(where, folder)
		e, ok := file.Packages[where]
		if i < 0 || !ok || e.Link || e.Version == "" {
			return ""
		}
		namespace, name := npmName(cmp.Or(e.Name, where[i+len(folder):]))
		if strings.HasPrefix(e.Resolved, "git") {
			return purl("npm", namespace, name, e.Version, "vcs_url", withoutUser(e.Resolved))
		}
		return purl("npm", namespace, name, e.Version)
	}
	// find looks for a package as Node does: in the folder of who needs it, and in
	// those above.
	find := func(who, name string) string {
		for {
			if ref := refOf(path.Join(who, folder+name)); ref != "" || who == "" {
				return ref
			}
			i := strings.LastIndex(strings.TrimSuffix(who, "/"), folder)
			who = strings.TrimSuffix(who[:max(i, 0)], "/")
		}
	}
	direct := map[string]bool{}
	for where, e := range file.Packages {
		if !strings.Contains("/"+where, "/"+folder) { // the project, or a workspace in it
			for _, needs := range []map[string]string{e.Dependencies, e.OptionalDependencies, e.DevDependencies} {
				for name := range needs {
					direct[find(where, name)] = true
				}
			}
		}
	}
	var all []dependency
	for _, where := range slices.Sorted(maps.Keys(file.Packages)) {
		ref, e := refOf(where), file.Packages[where]
		if ref == "" {
			continue // the project itself, or its own folders
		}
		d := dependency{version: e.Version, purl: ref, direct: direct[ref]}
		d.group, d.name = npmName(cmp.Or(e.Name, where[strings.LastIndex(where, folder)+len(folder):]))
		switch {
		case e.Dev:
			d.scope = scopeExcluded
		case e.Optional || e.DevOptional:
			d.scope = scopeOptional
		}
		for i := range strings.FieldsSeq(e.Integrity) {
			d.hashes = append(d.hashes, integrity(i)...)
		}
		for _, needs := range []map[string]string{e.Dependencies, e.OptionalDependencies} {
			for name := range needs {
				if ref := find(where, name); ref != "" {
					d.requires = append(d.requires, ref)
				}
			}
		}
		slices.Sort(d.requires)
		all = append(all, d)
	}
	return all, nil
}

// npmName cuts the scope off the name of a package.
func npmName(s string) (scope, name string) {
	if scope, name, ok := strings.Cut(s, "/"); ok && strings.HasPrefix(s, "@") {
		return scope, name
	}
	return "", s
}

// integrity reads a digest as the W3C's Subresource Integrity has it.
func integrity(s string) []hash {
	algorithm, text, _ := strings.Cut(s, "-")
	text, _, _ = strings.Cut(text, "?")
	sum, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	return newHash(map[string]string{"sha1": "SHA-1", "sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512"}[algorithm], sum)
}

// pythonFile is a file of a package in uv.lock or poetry.lock.
type pythonFile struct{ URL, File, Hash string }

func pythonPackage(name, version string, files []pythonFile) dependency {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	d := dependency{name: name, version: version, purl: purl("pypi", "", name, version)}
	for _, f := range files {
		algorithm, digits, _ := strings.Cut(f.Hash, ":")
		h := hexHash(map[string]string{"sha256": "SHA-256", "sha512": "SHA-512"}[algorithm], digits)
		if where := cmp.Or(withoutUser(f.URL), f.File); h != nil && where != "" {
			d.files = append(d.files, file{where, h})
		}
	}
	slices.SortFunc(d.files, func(a, b file) int { return strings.Compare(a.url, b.url) })
	d.files = slices.CompactFunc(d.files, func(a, b file) bool { return a.url == b.url && slices.Equal(a.hashes, b.hashes) })
	return d
}

// uvPackages reads uv.lock. Packages from folders are the project's own.
func uvPackages(_ string, b []byte) ([]dependency, error) {
	var lock struct {
		Package []struct {
			Name, Version string
			Source        map[string]any
			Sdist         pythonFile
			Wheels        []pythonFile
		}
	}
	if err := toml.Unmarshal(b, &lock); err != nil {
		return nil, err
	}
	var all []dependency
	for _, p := range lock.Package {
		local := false
		for _, kind := range []string{"virtual", "editable", "directory", "path"} {
			local = local || p.Source[kind] != nil
		}
		if !local {
			all = append(all, pythonPackage(p.Name, p.Version, append(p.Wheels, p.Sdist)))
		}
	}
	return all, nil
}

// poetryPackages reads poetry.lock.
func poetryPackages(_ string, b []byte) ([]dependency, error) {
	var lock struct {
		Package []struct {
			Name, Version string
			Optional      bool
			Groups        []string
			Category      string
			Files         []pythonFile
		}
	}
	if err := toml.Unmarshal(b, &lock); err != nil {
		return nil, err
	}
	var all []dependency
	for _, p := range lock.Package {
		d := pythonPackage(p.Name, p.Version, p.Files)
		switch {
		case p.Category == "dev", len(p.Groups) > 0 && !slices.Contains(p.Groups, "main"):
			d.scope = scopeExcluded
		case p.Optional:
			d.scope = scopeOptional
		}
		all = append(all, d)
	}
	return all, nil
}

var pinned = regexp.MustCompile(`^([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?:\[[^\]]*\])?\s*===?\s*([^\s;#,*]+)\s*(?:[;#].*|--hash.*|$)`)

// requirements reads the pinned packages of requirements.txt. Others have no version.
func requirements(_ string, b []byte) ([]dependency, error) {
	text := strings.NewReplacer("\\\r\n", " ", "\\\n", " ").Replace(string(b))
	var all []dependency
	for line := range strings.Lines(text) {
		if m := pinned.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			all = append(all, pythonPackage(m[1], m[2], nil))
		}
	}
	return all, nil
}
