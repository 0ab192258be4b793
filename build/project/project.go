// Package project holds ashlar.toml, the file that says what a component is built
// from.
package project

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/ashlar-wasm/ashlar/build/metadata"
	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/wit"
)

// File is the name of the file in the root of a project.
const File = "ashlar.toml"

// maxFile bounds the size of the file, in bytes.
const maxFile = 1 << 20

// Project is what a component is built from. All paths are slash-separated and
// relative to Dir.
type Project struct {
	// Dir is the folder that the file is in.
	Dir string `toml:"-"`

	// Name is the component's: lower-case words with hyphens. It names the file
	// that is built.
	Name string `toml:"name"`
	// Version is a semantic version; it may be empty.
	Version string `toml:"version,omitempty"`
	// Language is one of [Languages].
	Language string `toml:"language"`
	// World is what the component implements: the name of a world in WIT, or that
	// of one of WASI with its version, as wasi:http/proxy@0.2.12.
	World string `toml:"world"`
	// WIT is the folder with the WIT package of the project, with what it depends
	// on in deps, but for WASI. It is empty if World is all that is needed.
	WIT string `toml:"wit,omitempty"`
	// Initialize is "once" if the component may be initialised once for all of
	// its instances, which then start from there, and empty otherwise.
	Initialize string `toml:"initialize,omitempty"`

	Build    Build    `toml:"build,omitempty"`
	Metadata Metadata `toml:"metadata,omitempty"`
}

// Build is how a core module or component is made of the sources.
type Build struct {
	// Command is run in Dir; if it is empty the language's own is. It finds in the
	// environment variable ASHLAR_OUTPUT where to put what it makes.
	Command []string `toml:"command,omitempty"`
	// Output is where the command puts what it makes, if not there.
	Output string `toml:"output,omitempty"`
	// Proxy is for hosts that offer nothing but the world wasi:http/proxy: a program
	// for WASI 0.1 gets no arguments, environment and files, and may import nothing
	// but what its world does.
	Proxy bool `toml:"proxy,omitempty"`
}

// Metadata describes the component to others. It becomes custom sections.
type Metadata struct {
	Description string   `toml:"description,omitempty"`
	Authors     []string `toml:"authors,omitempty"`
	Licenses    string   `toml:"licenses,omitempty"` // an SPDX expression
	Source      string   `toml:"source,omitempty"`   // a URL
	Homepage    string   `toml:"homepage,omitempty"` // a URL
	Revision    string   `toml:"revision,omitempty"`
}

// Languages are those that a project may be written in.
func Languages() []string {
	return []string{"go", "tinygo", "rust", "javascript", "typescript", "python", "c", "cpp"}
}

// Folders of a project in Go: the packages that generated bindings are written against,
// of which it has a copy, and the bindings of its own WIT.
const (
	RuntimeDir  = "internal/ashlar"
	BindingsDir = "internal/bind"
)

// Error is a mistake in the file.
type Error struct {
	Path string
	Line int // 0 if it is of the whole file
	Err  error
}

func (e *Error) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("%s:%d: %v", e.Path, e.Line, e.Err)
	}
	return fmt.Sprintf("%s: %v", e.Path, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ErrNone is that a folder has no project.
var ErrNone = errors.New("no " + File)

// Load reads the project of a folder. The error is an [*Error] if the file is
// wrong, and wraps [ErrNone] if there is none.
func Load(dir string) (*Project, error) {
	path := filepath.Join(dir, File)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w in %s: make a project with 'ashlar new', or go to the folder of one", ErrNone, dir)
	}
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, &Error{Path: path, Err: fmt.Errorf("has %d bytes, at most %d are expected", info.Size(), maxFile)}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p, err := Parse(path, b)
	if err != nil {
		return nil, err
	}
	p.Dir = dir
	return p, nil
}

// Parse reads the contents of a file; path is for errors, which are [*Error]s.
func Parse(path string, b []byte) (*Project, error) {
	p := &Project{}
	b = bytes.TrimPrefix(b, []byte("\ufeff")) // as some editors begin files
	err := toml.NewDecoder(bytes.NewReader(b)).DisallowUnknownFields().Decode(p)
	var strict *toml.StrictMissingError
	var syntax *toml.DecodeError
	switch {
	case errors.As(err, &strict) && len(strict.Errors) > 0:
		e := &strict.Errors[0]
		line, _ := e.Position()
		return nil, &Error{path, line, fmt.Errorf("unknown key %q", strings.Join(e.Key(), "."))}
	case errors.As(err, &syntax):
		line, _ := syntax.Position()
		return nil, &Error{path, line, inTOML(syntax)}
	case err != nil:
		return nil, &Error{path, 0, err}
	}
	if key, err := p.check(); err != nil {
		return nil, &Error{path, lineOf(b, key), fmt.Errorf("%s: %w", key, err)}
	}
	return p, nil
}

var wrongType = regexp.MustCompile(`^cannot decode TOML (\w+) into .* of type (.*)$`)

// inTOML says a mistake of syntax or type in terms of the file instead of this package.
func inTOML(e *toml.DecodeError) error {
	text := strings.TrimPrefix(e.Error(), "toml: ")
	m := wrongType.FindStringSubmatch(text)
	if m == nil {
		return errors.New(text)
	}
	expected := map[string]string{"string": "a string", "[]string": "an array of strings", "bool": "true or false"}[m[2]]
	return fmt.Errorf("%s: %s where %s is expected", strings.Join(e.Key(), "."), m[1], cmp.Or(expected, "a table"))
}

var validName = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// ValidName reports whether a project may have that name.
func ValidName(name string) bool { return len(name) <= 100 && validName.MatchString(name) }

// check returns the key whose value is wrong, and how.
func (p *Project) check() (key string, err error) {
	switch {
	case p.Name == "":
		return "name", errors.New("is missing")
	case !ValidName(p.Name):
		return "name", fmt.Errorf("%q: expected lower-case words with hyphens, as in hello-world", p.Name)
	case p.Version != "" && !wit.ValidVersion(p.Version):
		return "version", fmt.Errorf("%q: expected a semantic version, as 1.2.0", p.Version)
	case p.Language == "":
		return "language", fmt.Errorf("is missing: one of %s", strings.Join(Languages(), ", "))
	case !slices.Contains(Languages(), p.Language):
		return "language", fmt.Errorf("%q: expected one of %s", p.Language, strings.Join(Languages(), ", "))
	case p.World == "":
		return "world", errors.New("is missing: the name of a world in the project's WIT, or one of WASI, as wasi:http/proxy@0.2.12")
	case p.WIT == "" && !strings.Contains(p.World, ":"):
		return "world", fmt.Errorf("%q: is none of WASI, and there is no key wit with the folder that it is in", p.World)
	case p.WIT != "" && !filepath.IsLocal(filepath.FromSlash(p.WIT)):
		return "wit", fmt.Errorf("%q: expected a folder of the project", p.WIT)
	case p.Initialize != "" && p.Initialize != binary.InitializeOnce:
		return "initialize", fmt.Errorf("%q: expected %q, or nothing", p.Initialize, binary.InitializeOnce)
	case p.Build.Output != "" && !filepath.IsLocal(filepath.FromSlash(p.Build.Output)):
		return "output", fmt.Errorf("%q: expected a file of the project", p.Build.Output)
	case p.Build.Output != "" && p.Build.Command == nil:
		return "output", errors.New("is of no use without command: what the language's own makes is found")
	case p.Build.Command != nil && (len(p.Build.Command) == 0 || p.Build.Command[0] == ""):
		return "command", errors.New("names no program")
	}
	described := metadata.Metadata{Licenses: p.Metadata.Licenses, Source: p.Metadata.Source, Homepage: p.Metadata.Homepage}
	if e, wrong := errors.AsType[*metadata.InvalidError](described.Validate()); wrong {
		return e.Field, e.Err
	}
	return "", nil
}

// lineOf finds the line that sets a key, or 0.
func lineOf(b []byte, key string) int {
	n := 0
	for line := range bytes.Lines(b) {
		n++
		k, _, found := bytes.Cut(line, []byte("="))
		if found && string(bytes.TrimSpace(k)) == key {
			return n
		}
	}
	return 0
}

// Component is the path of what is built.
func (p *Project) Component() string {
	return filepath.Join(p.Dir, "build", p.Name+".wasm")
}
