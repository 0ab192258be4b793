package bindgen

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/format"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"sync"
)

// A checker finds out whether generated packages would compile, without the go
// command. It asks that once for what they import from elsewhere.
type checker struct{ others types.Importer }

var newChecker = sync.OnceValues(func() (*checker, error) {
	compiled := map[string]string{} // files by import path
	for dir, paths := range map[string][]string{".": {"context", "errors", "fmt", "strings", abiPath}, "../guest": {"./abi"}} {
		list := exec.Command("go", append([]string{"list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}"}, paths...)...)
		list.Dir, list.Stderr = dir, os.Stderr
		out, err := list.Output()
		if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		for line := range strings.Lines(string(out)) {
			path, file, _ := strings.Cut(strings.TrimSpace(line), " ")
			compiled[path] = file
		}
	}
	return &checker{importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		file, ok := compiled[path]
		if !ok {
			return nil, errors.New("there is no such package")
		}
		return os.Open(file)
	})}, nil
})

// check reports what is wrong with the packages in the folder with import path
// root, as they are compiled for wasm or for other platforms.
func (c *checker) check(root string, files []File, wasm bool) error {
	p := &packages{checker: c, fset: token.NewFileSet(), folders: map[string][]*ast.File{}, done: map[string]*types.Package{}}
	seen := map[string]bool{}
	exports := map[string]bool{}
	for _, f := range files {
		if folded := strings.ToLower(f.Name); seen[folded] {
			return fmt.Errorf("%s is written twice", f.Name)
		} else {
			seen[folded] = true
		}
		switch path.Base(f.Name) {
		case "core_wasm.go":
			if !wasm {
				continue
			}
		case "core_other.go":
			if wasm {
				continue
			}
		}
		formatted, err := format.Source(f.Content)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		if !bytes.Equal(formatted, f.Content) {
			return fmt.Errorf("%s is not formatted", f.Name)
		}
		file, err := parser.ParseFile(p.fset, f.Name, f.Content, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		if err := directives(f, file, exports); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		folder := path.Join(root, path.Dir(f.Name))
		for elem := range strings.SplitSeq(folder, "/") {
			if slices.Contains([]string{"aux", "con", "nul", "prn", "com1", "vendor", "internal", "testdata"}, elem) {
				return fmt.Errorf("%s means something as an element of a path", elem)
			}
		}
		p.folders[folder] = append(p.folders[folder], file)
	}
	for folder := range p.folders {
		if _, err := p.Import(folder); err != nil {
			return fmt.Errorf("%s: %w", folder, err)
		}
	}
	return nil
}

// directives checks the comments that mean something to the compiler: they
// stand where the generator puts them, and no two functions are exported under
// one name.
func directives(f File, file *ast.File, exports map[string]bool) error {
	expected := map[*ast.Comment]bool{}
	for _, d := range file.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if fn.Doc == nil {
			if fn.Body == nil {
				return fmt.Errorf("%s has no body", fn.Name.Name)
			}
			continue
		}
		last := fn.Doc.List[len(fn.Doc.List)-1]
		name, exported := strings.CutPrefix(last.Text, "//go:wasmexport ")
		switch imported := strings.HasPrefix(last.Text, "//go:wasmimport "); {
		case imported != (fn.Body == nil):
			return fmt.Errorf("%s is imported and has a body, or has none", fn.Name.Name)
		case imported && len(strings.Fields(last.Text)) != 3:
			return fmt.Errorf("%s: a function is imported from a module by its name", last.Text)
		case exported && (len(strings.Fields(name)) != 1 || exports[name]):
			return fmt.Errorf("%s is no name or is exported twice", name)
		case exported:
			exports[name] = true
		}
		if expected[last] = true; len(fn.Doc.List) != 1 && (exported || fn.Body == nil) {
			return fmt.Errorf("%s has documentation", fn.Name.Name)
		}
	}
	for _, group := range file.Comments {
		for _, comment := range group.List {
			text := comment.Text
			switch {
			case text == "//go:build !wasm" && path.Base(f.Name) == "core_other.go" && comment.Pos() < file.Package:
			case strings.HasPrefix(text, "// +build"), strings.HasPrefix(text, "//line"), strings.HasPrefix(text, "/*"), strings.HasPrefix(text, "//export"):
				return fmt.Errorf("%s is in a comment", text)
			case strings.HasPrefix(text, "//go:") && !expected[comment]:
				return fmt.Errorf("%s is in a comment", text)
			}
		}
	}
	return nil
}

// packages are those that were generated together.
type packages struct {
	*checker
	fset    *token.FileSet
	folders map[string][]*ast.File
	done    map[string]*types.Package // nil for one that is being checked
}

// Import implements types.Importer.
func (p *packages) Import(name string) (*types.Package, error) {
	files, generated := p.folders[name]
	if !generated {
		return p.others.Import(name)
	}
	if pkg, known := p.done[name]; known {
		if pkg == nil {
			return nil, errors.New("import cycle")
		}
		return pkg, nil
	}
	p.done[name] = nil
	conf := types.Config{Importer: p, Sizes: types.SizesFor("gc", "wasm")}
	pkg, err := conf.Check(name, p.fset, files, nil)
	if err != nil {
		return nil, err
	}
	switch n := pkg.Name(); n {
	case "main", "init", "_":
		return nil, fmt.Errorf("a package of the name %s can't be imported", n)
	}
	for _, f := range files {
		if f.Name.Name != pkg.Name() {
			return nil, fmt.Errorf("%s is of package %s", f.Name.Name, pkg.Name())
		}
	}
	p.done[name] = pkg
	return pkg, nil
}
