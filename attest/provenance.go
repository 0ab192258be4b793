package attest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/ashlar-wasm/ashlar/build/project"
	"github.com/ashlar-wasm/ashlar/build/toolchain"
	"github.com/ashlar-wasm/ashlar/signature"
	"github.com/ashlar-wasm/ashlar/trust"
)

// BuilderLocal is the builder of who runs 'ashlar build' by hand: as far to be trusted
// as who signs.
const BuilderLocal = "https://ashlar.dev/builders/local/v1"

// Build is how a component was built.
type Build struct {
	Project *project.Project
	// Name is that of the component's file, Content what is in it.
	Name    string
	Content []byte
	// Commands are those that ran in the folder of the project, in order.
	Commands []toolchain.Command
	// Tools are what the language needed.
	Tools []Tool
	// Source is where the project is from; nil if that is not known.
	Source *Source
	// Builder is the URI of who built it; empty means [BuilderLocal].
	Builder string
	// Version is that of Ashlar.
	Version string
}

// Tool is a program that takes part in a build.
type Tool struct{ Name, Version string }

// FindTools asks the programs of a language for their versions.
func FindTools(ctx context.Context, p *project.Project) []Tool {
	var tools []Tool
	t := toolchain.For(p.Language)
	if t == nil || len(p.Build.Command) > 0 {
		return nil // who knows
	}
	for i := range t.Tools {
		tool := Tool{Name: t.Tools[i].Name}
		// What is no version is a path of this machine.
		if found, err := t.Tools[i].Find(ctx, p.Dir); err == nil && !strings.ContainsAny(strings.SplitN(found+" ", " ", 2)[0], `/\`) {
			tool.Version = found
		}
		tools = append(tools, tool)
	}
	return tools
}

// resource is a ResourceDescriptor of in-toto.
type resource struct {
	Name        string            `json:"name,omitempty"`
	URI         string            `json:"uri,omitempty"`
	Digest      map[string]string `json:"digest,omitempty"`
	Annotations map[string]any    `json:"annotations,omitempty"`
}

// Provenance of SLSA, version 1. The type of build is [trust.BuildType]:
// externalParameters are source, where the project is from, with path, its folder
// there; and project, what ashlar.toml says. internalParameters are the commands that
// ran. resolvedDependencies are the sources with their commit, the tools, and the
// packages that the component was made of, by their package URLs.
type provenance struct {
	BuildDefinition struct {
		BuildType            string             `json:"buildType"`
		ExternalParameters   externalParameters `json:"externalParameters"`
		InternalParameters   map[string]any     `json:"internalParameters,omitempty"`
		ResolvedDependencies []resource         `json:"resolvedDependencies,omitempty"`
	} `json:"buildDefinition"`
	RunDetails struct {
		Builder struct {
			ID      string            `json:"id"`
			Version map[string]string `json:"version,omitempty"`
		} `json:"builder"`
	} `json:"runDetails"`
}

type externalParameters struct {
	Source  *sourceParameter `json:"source,omitempty"`
	Project projectParameter `json:"project"`
}

type sourceParameter struct {
	URI  string `json:"uri,omitempty"`
	Path string `json:"path,omitempty"`
}

type projectParameter struct {
	Name       string   `json:"name"`
	Version    string   `json:"version,omitempty"`
	Language   string   `json:"language"`
	World      string   `json:"world"`
	Initialize string   `json:"initialize,omitempty"`
	Proxy      bool     `json:"proxy,omitempty"`
	Command    []string `json:"command,omitempty"`
}

// NewProvenance returns a statement that says how a component was built. It has no
// times: a build that may be repeated has none, and a signature has its own.
func NewProvenance(b Build) (*signature.Statement, error) {
	c := Component{Content: b.Content, Dir: b.Project.Dir, Language: b.Project.Language}
	deps, err := c.dependencies()
	if err != nil {
		return nil, err
	}
	var p provenance
	d := &p.BuildDefinition
	d.BuildType = trust.BuildType
	d.ExternalParameters.Project = projectParameter{
		b.Project.Name, b.Project.Version, b.Project.Language, b.Project.World, b.Project.Initialize, b.Project.Build.Proxy, b.Project.Build.Command,
	}
	if s := b.Source; s != nil {
		d.ExternalParameters.Source = &sourceParameter{s.URI, s.Path}
		r := resource{Name: "source", URI: s.URI, Digest: map[string]string{"gitCommit": s.Commit}}
		if s.Modified {
			r.Annotations = map[string]any{"modified": true}
		}
		d.ResolvedDependencies = append(d.ResolvedDependencies, r)
	}
	if commands, err := portable(b.Project.Dir, b.Commands); err != nil {
		return nil, err
	} else if len(commands) > 0 {
		d.InternalParameters = map[string]any{"commands": commands}
	}
	for _, t := range b.Tools {
		d.ResolvedDependencies = append(d.ResolvedDependencies, t.resource())
	}
	for i := range deps {
		if deps[i].purl != "" {
			d.ResolvedDependencies = append(d.ResolvedDependencies, deps[i].resource())
		}
	}
	p.RunDetails.Builder.ID = BuilderLocal
	if b.Builder != "" {
		p.RunDetails.Builder.ID = b.Builder
	}
	p.RunDetails.Builder.Version = map[string]string{"ashlar": b.Version}
	predicate, err := json.Marshal(&p)
	if err != nil {
		return nil, fmt.Errorf("encode provenance: %w", err)
	}
	return &signature.Statement{
		Subjects:      []signature.Subject{{Name: b.Name, Digest: map[string]string{"sha256": sha256Of(b.Content)}}},
		PredicateType: signature.PredicateProvenance, Predicate: predicate,
	}, nil
}

// versionPattern finds a version in what a program says of itself.
var versionPattern = regexp.MustCompile(`\d+(?:\.\d+)+[0-9A-Za-z.+-]*`)

func (t *Tool) resource() resource {
	name := strings.ReplaceAll(t.Name, " ", "-")
	r := resource{Name: t.Name, URI: purl("generic", "", name, versionPattern.FindString(t.Version))}
	if t.Version != "" {
		r.Annotations = map[string]any{"version": t.Version}
	}
	return r
}

func (d *dependency) resource() resource {
	r := resource{URI: d.purl, Digest: map[string]string{}}
	if d.dirHash != "" {
		r.Digest["dirHash"] = d.dirHash
		return r
	}
	for _, h := range d.hashes {
		if name := digestNames[h.Algorithm]; name != "" {
			r.Digest[name] = h.Content
		}
	}
	return r
}

// portable returns commands without the folder that they ran in.
func portable(dir string, commands []toolchain.Command) ([]string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, c := range commands {
		c = toolchain.Command{Args: slices.Clone(c.Args), Env: slices.Clone(c.Env)}
		for _, words := range [][]string{c.Args, c.Env} {
			for i, w := range words {
				words[i] = filepath.ToSlash(strings.ReplaceAll(w, dir, "."))
			}
		}
		list = append(list, c.String())
	}
	return list, nil
}

// EncodeStatement writes a statement as a file.
func EncodeStatement(st *signature.Statement) ([]byte, error) {
	text, err := st.Encode()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", "  "); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// IsAbout reports whether a statement is about a file with these bytes.
func IsAbout(st *signature.Statement, content []byte) bool {
	sum := sha256Of(content)
	return slices.ContainsFunc(st.Subjects, func(s signature.Subject) bool { return s.Digest["sha256"] == sum })
}
