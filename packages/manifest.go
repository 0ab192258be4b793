package packages

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// Manifest is the file wkg.toml, which a project may have beside its folder of WIT.
type Manifest struct {
	// Workspace is nil outside of workspaces. With it there is nothing else.
	Workspace *Workspace
	// Overrides say where packages are, or which versions to take.
	Overrides map[Ref]Override
	// Metadata describes the package; nil says nothing.
	Metadata *ManifestMetadata
}

// Workspace is several packages in one tree: its root has Members, of which each may
// name the Root.
type Workspace struct {
	// Members are folders, or patterns of such, relative to the root. They are nil
	// in a member.
	Members []string
	// Metadata is for all members; nil says nothing.
	Metadata *ManifestMetadata
	// Root is the folder of the root, in a member. It may be empty.
	Root string
}

// Override takes a package from a folder or file, if Path is not empty, or else the
// versions that match.
type Override struct {
	Path    string
	Version *Requirement
}

// ManifestMetadata describes a package. Empty fields are not there.
type ManifestMetadata struct {
	Authors     string
	Description string
	Licenses    string // an SPDX expression
	Source      string // a URL
	Homepage    string // a URL
	Revision    string
}

// ManifestFile is the name of the file.
const ManifestFile = "wkg.toml"

// maxManifest bounds the bytes of a manifest.
const maxManifest = 256 << 10

// ReadManifest reads a file. It is empty if there is none.
func ReadManifest(path string) (*Manifest, error) {
	b, err := readFile(path, maxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return &Manifest{}, nil
	}
	if err != nil {
		return nil, err
	}
	m, err := ParseManifest(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// ParseManifest reads a manifest. As by wkg, unknown keys are refused, and anything
// beside a workspace.
func ParseManifest(b []byte) (*Manifest, error) {
	top, err := decodeTOML(b, maxManifest)
	if err != nil {
		return nil, err
	}
	t := newTOMLTable("", top, &err)
	workspace, overrides, metadata := t.table("workspace"), t.table("overrides"), t.table("metadata")
	t.end()
	m := &Manifest{}
	if workspace != nil {
		if overrides != nil || metadata != nil {
			t.fail(errors.New("beside [workspace] there can't be [overrides] or [metadata]; [workspace.metadata] is for all members"))
		}
		m.Workspace = readWorkspace(workspace)
	}
	if overrides != nil {
		m.Overrides = map[Ref]Override{}
		for _, name := range sortedKeys(overrides.m) {
			ref, refErr := ParseRef(name)
			if refErr != nil {
				overrides.fail(refErr)
			}
			if o := overrides.table(name); o != nil {
				override := Override{Path: o.text("path", "")}
				if v, ok := parseText(o, "version", ParseRequirement); ok {
					override.Version = &v
				}
				o.end()
				m.Overrides[ref] = override
			}
		}
	}
	m.Metadata = readManifestMetadata(metadata)
	if err != nil {
		return nil, err
	}
	return m, nil
}

// readWorkspace reads the table of a root, which has members, or of a member.
func readWorkspace(t *tomlTable) *Workspace {
	w := &Workspace{}
	v := t.value("members", "")
	if v == nil {
		w.Root = t.text("root", "")
		return w
	}
	list, ok := v.([]any)
	if !ok {
		t.fail(errors.New("members is no list"))
	}
	w.Members = []string{}
	for _, e := range list {
		s, ok := e.(string)
		if !ok {
			t.fail(errors.New("members: expected paths"))
		}
		w.Members = append(w.Members, s)
	}
	w.Metadata = readManifestMetadata(t.table("metadata"))
	return w
}

func readManifestMetadata(t *tomlTable) *ManifestMetadata {
	if t == nil {
		return nil
	}
	defer t.end()
	return &ManifestMetadata{
		Authors: t.text("authors", "author"), Description: t.text("description", ""), Licenses: t.text("licenses", "license"),
		Source: t.text("source", "repository"), Homepage: t.text("homepage", ""), Revision: t.text("revision", ""),
	}
}

// Encode returns the file as wkg writes it, but for the overrides, which are sorted.
func (m *Manifest) Encode() []byte {
	var parts []string
	if w := m.Workspace; w != nil {
		var b strings.Builder
		b.WriteString("[workspace]\n")
		switch {
		case len(w.Members) > 0:
			b.WriteString("members = [\n")
			for _, s := range w.Members {
				fmt.Fprintf(&b, "    %s,\n", tomlString(s))
			}
			b.WriteString("]\n")
		case w.Members != nil:
			b.WriteString("members = []\n")
		case w.Root != "":
			fmt.Fprintf(&b, "root = %s\n", tomlString(w.Root))
		}
		parts = append(parts, b.String())
		if w.Members != nil && w.Metadata != nil {
			parts = append(parts, "[workspace.metadata]\n"+w.Metadata.encode())
		}
	}
	if m.Overrides != nil && len(m.Overrides) == 0 {
		parts = append(parts, "[overrides]\n")
	}
	for _, ref := range slices.SortedFunc(maps.Keys(m.Overrides), compareRefs) {
		s := fmt.Sprintf("[overrides.%q]\n", ref.String())
		o := m.Overrides[ref]
		if o.Path != "" {
			s += "path = " + tomlString(o.Path) + "\n"
		}
		if o.Version != nil {
			s += "version = " + tomlString(o.Version.String()) + "\n"
		}
		parts = append(parts, s)
	}
	if m.Metadata != nil {
		parts = append(parts, "[metadata]\n"+m.Metadata.encode())
	}
	return []byte(strings.Join(parts, "\n"))
}

func (m *ManifestMetadata) encode() string {
	var b strings.Builder
	for _, f := range []struct{ key, value string }{
		{"authors", m.Authors}, {"description", m.Description}, {"licenses", m.Licenses},
		{"source", m.Source}, {"homepage", m.Homepage}, {"revision", m.Revision},
	} {
		if f.value != "" {
			fmt.Fprintf(&b, "%s = %s\n", f.key, tomlString(f.value))
		}
	}
	return b.String()
}

// SetOverride writes into a manifest where a package is, or removes what it says of that
// if o is nil. The rest of the file stays as it is. It returns what undoes that.
func SetOverride(file string, ref Ref, o *Override) (undo func() error, err error) {
	value := ""
	if o != nil {
		var parts []string
		if o.Path != "" {
			parts = append(parts, "path = "+tomlString(o.Path))
		}
		if o.Version != nil {
			parts = append(parts, "version = "+tomlString(o.Version.String()))
		}
		value = "{ " + strings.Join(parts, ", ") + " }"
	}
	return rewriteTOML(file, []string{"overrides", ref.String()}, value, maxManifest)
}
