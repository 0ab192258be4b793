// Package template makes the files of new projects.
package template

import (
	"archive/zip"
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"github.com/ashlar-wasm/ashlar/build/project"
	wasiwit "github.com/ashlar-wasm/ashlar/wasi/wit"
	"github.com/ashlar-wasm/ashlar/wit"
)

// files has a folder for each template, named by language and kind. The names of its
// files end in .tmpl.
//
//go:embed files
var files embed.FS

// guest has the packages that Go programs are linked with: see the folder guest.
//
//go:generate go run generate.go
//go:embed guest.zip
var guest []byte

// guestModule is the path of the module that they are in.
const guestModule = "github.com/ashlar-wasm/ashlar/guest"

// wasiVersion is the version of WASI that new projects are written against: what runs
// on it runs on all of 0.2.
const wasiVersion = "0.2.0"

// Options say what to make.
type Options struct {
	Name     string // of the project: see project.ValidName
	Language string // one of project.Languages
	Kind     string // one of Kinds
	Module   string // path of the Go module; the default is example.com/Name
}

// File is one of a new project.
type File struct {
	Path    string // slash-separated, in the folder of the project
	Content []byte
}

// Kinds lists the templates that there are for a language.
func Kinds(language string) []string {
	var kinds []string
	entries, _ := files.ReadDir("files")
	for _, e := range entries {
		if l, kind, _ := strings.Cut(e.Name(), "-"); l == language {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// Files returns the files of a new project, in the order of their paths.
func Files(o Options) ([]File, error) {
	if !project.ValidName(o.Name) {
		return nil, fmt.Errorf("%q: expected lower-case words with hyphens, as in hello-world", o.Name)
	}
	kinds := Kinds(o.Language)
	if len(kinds) == 0 {
		return nil, fmt.Errorf("unknown language %q: expected one of %s", o.Language, strings.Join(project.Languages(), ", "))
	}
	if !slices.Contains(kinds, o.Kind) {
		return nil, fmt.Errorf("no template %q for %s: expected %s", o.Kind, o.Language, strings.Join(kinds, ", "))
	}
	if o.Module == "" {
		// A name without a dot may mean something to the go command: tool, std, time.
		o.Module = "example.com/" + o.Name
	}
	data := struct {
		Options
		WASI    string
		Package string // the name in folders of Go packages
	}{o, wasiVersion, strings.ReplaceAll(o.Name, "-", "")}
	var made []File
	folder := path.Join("files", o.Language+"-"+o.Kind)
	err := fs.WalkDir(files, folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		t, err := template.New(name).Option("missingkey=error").Parse(string(text))
		if err != nil {
			return err
		}
		var b bytes.Buffer
		if err := t.Execute(&b, data); err != nil {
			return err
		}
		target := strings.TrimSuffix(strings.TrimPrefix(name, folder+"/"), ".tmpl")
		if target == "gitignore" {
			target = ".gitignore" // which go:embed would leave out
		}
		made = append(made, File{target, b.Bytes()})
		return nil
	})
	if err != nil {
		return nil, err
	}
	more := dependencies
	if o.Language == "go" || o.Language == "tinygo" {
		more = o.runtime
	}
	others, err := more(made)
	if err != nil {
		return nil, err
	}
	made = append(made, others...)
	slices.SortFunc(made, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return made, nil
}

// Write writes files to a folder that does not exist yet or is empty.
func Write(dir string, made []File) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		// A repository that was made for it first is no obstacle.
		if e.Name() != ".git" {
			return fmt.Errorf("%s is not empty: there is %s; choose another folder", dir, e.Name())
		}
	}
	for _, f := range made {
		name := filepath.Join(dir, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(name, f.Content, 0o666); err != nil {
			return err
		}
	}
	return nil
}

// runtime returns the packages that Go programs are linked with, as packages of the
// project, so that it needs no other module.
func (o *Options) runtime([]File) ([]File, error) {
	z, err := zip.NewReader(bytes.NewReader(guest), int64(len(guest)))
	if err != nil {
		return nil, err
	}
	var made []File
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		content = bytes.ReplaceAll(content, []byte(`"`+guestModule), []byte(`"`+o.Module+"/"+project.RuntimeDir))
		made = append(made, File{path.Join(project.RuntimeDir, f.Name), content})
	}
	return made, nil
}

// dependencies returns the WIT packages that the project's own needs, for toolchains
// that do not bring those of WASI along: their interfaces, as far as these need no
// other package.
func dependencies(made []File) ([]File, error) {
	i := slices.IndexFunc(made, func(f File) bool { return f.Path == "wit/world.wit" })
	if i < 0 {
		return nil, nil
	}
	r, err := wit.ParseText(made[i].Path, string(made[i].Content), wit.Options{Lookup: wasiwit.Lookup, AllFeatures: true})
	if err != nil {
		return nil, err
	}
	needed := map[*wit.Package]bool{r.Main: true}
	for _, w := range r.Main.Worlds {
		for _, item := range slices.Concat(w.Imports, w.Exports) {
			if item.Interface != nil {
				needed[item.Interface.Package] = true
			}
		}
	}
	var deps []File
	for _, p := range r.Packages {
		if p == r.Main || !needed[p] {
			continue
		}
		part := &wit.Package{Name: p.Name, Docs: p.Docs}
		for _, i := range p.Interfaces {
			if !slices.ContainsFunc(i.Dependencies(), func(d *wit.Interface) bool { return !needed[d.Package] }) {
				part.Interfaces = append(part.Interfaces, i)
			}
		}
		name := fmt.Sprintf("wit/deps/%s-%s-%s.wit", p.Name.Namespace, p.Name.Name, p.Name.Version)
		deps = append(deps, File{name, []byte(wit.Print(part))})
	}
	return deps, nil
}
