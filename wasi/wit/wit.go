// Package wasiwit holds the WIT packages of WASI 0.2.
package wasiwit

import (
	"embed"
	"io/fs"
	"path"

	"github.com/ashlar-wasm/ashlar/wit"
)

//go:embed deps
var deps embed.FS

// Version is the version of the packages.
const Version = "0.2.12"

// Lookup finds the packages of WASI 0.2.0 to [Version]. It is a [wit.Lookup].
func Lookup(name wit.PackageName) (fsys fs.FS, folder string) {
	if name.Namespace != "wasi" || wit.VersionTrack(name.Version) != "0.2" || wit.CompareVersions(name.Version, Version) > 0 {
		return nil, ""
	}
	folder = path.Join("deps", name.Name)
	if _, err := fs.Stat(deps, folder); err != nil {
		return nil, ""
	}
	return deps, folder
}
