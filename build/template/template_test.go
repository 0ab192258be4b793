package template

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/build/project"
	"github.com/ashlar-wasm/ashlar/wit"
)

// What is made is a project of its language, whose WIT is complete.
func TestProjects(t *testing.T) {
	for _, language := range project.Languages() {
		kinds := Kinds(language)
		if len(kinds) == 0 {
			t.Errorf("no template for %s", language)
		}
		for _, kind := range kinds {
			t.Run(language+"-"+kind, func(t *testing.T) {
				made, err := Files(Options{Name: "my-app", Language: language, Kind: kind})
				if err != nil {
					t.Fatal(err)
				}
				dir := t.TempDir()
				for _, f := range made {
					if strings.Contains(string(f.Content), "{{") {
						t.Errorf("%s is not filled in", f.Path)
					}
				}
				if err := Write(dir, made); err != nil {
					t.Fatal(err)
				}
				p, err := project.Load(dir)
				if err != nil {
					t.Fatal(err)
				}
				if p.Name != "my-app" || p.Language != language {
					t.Errorf("is %s in %s", p.Name, p.Language)
				}
				w, err := p.ResolveWorld()
				if err != nil {
					t.Fatal(err)
				}
				if kind == "http" && w.Export("wasi:http/incoming-handler@0.2.0") == nil && w.Export("wasi:http/incoming-handler@0.2.10") == nil {
					t.Errorf("world %s exports no handler", w.ID())
				}
				if p.WIT == "" || language == "go" {
					return
				}
				// Other tools do not bring packages of WASI along.
				if _, err := wit.ParsePath(filepath.Join(dir, p.WIT), wit.Options{}); err != nil {
					t.Errorf("by itself: %v", err)
				}
			})
		}
	}
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{Name: "My_App", Language: "go", Kind: "http"}, "lower-case words"},
		{Options{Name: "app", Language: "cobol", Kind: "http"}, "expected one of go, tinygo"},
		{Options{Name: "app", Language: "go", Kind: "game"}, `no template "game" for go: expected cli, http, library`},
	} {
		if _, err := Files(c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.o, err)
		}
	}
	made, err := Files(Options{Name: "app", Language: "go", Kind: "cli", Module: "example.com/x/app"})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range made {
		if f.Path == "go.mod" && !strings.HasPrefix(string(f.Content), "module example.com/x/app\n") {
			t.Errorf("go.mod is\n%s", f.Content)
		}
	}
}
