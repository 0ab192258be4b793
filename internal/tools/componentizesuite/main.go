// Command componentizesuite runs wit-component's tests against package
// componentize.
//
//	go run ./internal/tools/componentizesuite [-v] [-run CASE] [-libdl FILE] CASES
//
// CASES is a folder with the folders of tests/components of wasm-tools, in which
// prepare.mjs turned the .wat files into .wasm, and what comments in the text say into
// files: NAME.name has the module name of an adapter, config.toml the options of
// a case. Each module gets the world of its name embedded. The component that is
// made must import and export the same with the same types as component.wasm, and
// pass the validator; of a case that begins with error- none must be made.
//
// Cases with libraries (lib-*.wasm, dlopen-lib-*.wasm) are linked. Each failure is
// printed with its name; the last line is "passed P of N, left out L".
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ashlar-wasm/ashlar/build/componentize"
	"github.com/ashlar-wasm/ashlar/wit"
)

func main() {
	verbose := flag.Bool("v", false, "print the errors of cases that are refused")
	only := flag.String("run", "", "run this case only")
	out := flag.String("o", "", "write the components to this folder")
	libdl := flag.String("libdl", "", "libdl.so of wit-component, for cases that use it")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: componentizesuite [-v] [-run CASE] [-libdl FILE] CASES")
		os.Exit(2)
	}
	entries, err := os.ReadDir(flag.Arg(0))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var passed, total, left int
	for _, e := range entries {
		if !e.IsDir() || *only != "" && e.Name() != *only {
			continue
		}
		dir := filepath.Join(flag.Arg(0), e.Name())
		if reason := leftOut(dir, *libdl); reason != "" {
			fmt.Printf("LEFT OUT %s: %s\n", e.Name(), reason)
			left++
			continue
		}
		total++
		component, err := build(dir, *libdl)
		if err == nil && *out != "" {
			if err := os.WriteFile(filepath.Join(*out, e.Name()+".wasm"), component, 0o644); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
		if strings.HasPrefix(e.Name(), "error-") {
			if *verbose {
				want, _ := os.ReadFile(filepath.Join(dir, "error.txt"))
				fmt.Printf("%s:\n  %v\n  wit-component: %s\n", e.Name(), err, want)
			}
			if err == nil {
				fmt.Printf("FAIL %s: was accepted\n", e.Name())
				continue
			}
			passed++
			continue
		}
		if err == nil {
			err = same(dir, component)
		}
		if err != nil {
			fmt.Printf("FAIL %s: %v\n", e.Name(), err)
			continue
		}
		passed++
	}
	fmt.Printf("passed %d of %d, left out %d\n", passed, total, left)
	if passed != total || total == 0 {
		os.Exit(1)
	}
}

// leftOut says why a case can't be run, or "".
func leftOut(dir, libdl string) string {
	if option(dir, "use-built-in-libdl") && libdl == "" {
		return "needs a library that is part of wit-component (-libdl)"
	}
	if filepath.Base(dir) == "threading-wasm-ld-symbols64" {
		return "uses a 64-bit context.get, which the validator has switched off"
	}
	return ""
}

// option reports whether the configuration of a case sets an option.
func option(dir, name string) bool {
	config, _ := os.ReadFile(filepath.Join(dir, "config.toml"))
	return strings.Contains(string(config), name+" = true")
}

// build makes the component of a case.
func build(dir, libdl string) ([]byte, error) {
	resolve, err := wit.ParsePath(dir, wit.Options{})
	if err != nil {
		return nil, err
	}
	var opts componentize.LinkOptions
	for _, path := range files(dir, "adapt-*.wasm") {
		m, err := embed(dir, resolve, stem(path))
		if err != nil {
			return nil, err
		}
		opts.Adapters = append(opts.Adapters, componentize.Adapter{Name: moduleName(dir, stem(path), "adapt-"), Module: m})
	}
	if _, err := os.Stat(filepath.Join(dir, "module.wasm")); err == nil {
		module, err := embed(dir, resolve, "module")
		if err != nil {
			return nil, err
		}
		return componentize.New(module, opts.Options)
	}
	opts.StubMissing = option(dir, "stub-missing-functions")
	var libraries []componentize.Library
	for _, path := range append(files(dir, "lib-*.wasm"), files(dir, "dlopen-lib-*.wasm")...) {
		m, err := embed(dir, resolve, stem(path))
		if err != nil {
			return nil, err
		}
		open := strings.HasPrefix(stem(path), "dlopen-")
		prefix := "lib-"
		if open {
			prefix = "dlopen-lib-"
		}
		libraries = append(libraries, componentize.Library{Name: moduleName(dir, stem(path), prefix), Module: m, Open: open})
	}
	if option(dir, "use-built-in-libdl") {
		m, err := os.ReadFile(libdl)
		if err != nil {
			return nil, err
		}
		libraries = append(libraries, componentize.Library{Name: "libdl.so", Module: m})
	}
	return componentize.Link(libraries, opts)
}

func files(dir, pattern string) []string {
	paths, _ := filepath.Glob(filepath.Join(dir, pattern))
	slices.Sort(paths)
	return paths
}

func stem(path string) string { return strings.TrimSuffix(filepath.Base(path), ".wasm") }

// moduleName is the name of an adapter or library.
func moduleName(dir, stem, prefix string) string {
	if b, err := os.ReadFile(filepath.Join(dir, stem+".name")); err == nil {
		return string(b)
	}
	return strings.TrimPrefix(stem, prefix)
}

// embed reads a module and embeds the world of its name.
func embed(dir string, resolve *wit.Resolve, name string) ([]byte, error) {
	module, err := os.ReadFile(filepath.Join(dir, name+".wasm"))
	if err != nil {
		return nil, err
	}
	world := resolve.Main.World(name)
	if world == nil {
		return nil, fmt.Errorf("there is no world %q", name)
	}
	return componentize.Embed(module, world, componentize.EmbedOptions{})
}

// same compares the interface of a component with that of the expected one, or where
// that is not there (jco can't parse the text) with the world that is beside it.
func same(dir string, component []byte) error {
	whole := true
	expected, err := os.ReadFile(filepath.Join(dir, "component.wasm"))
	want := ""
	if err == nil {
		want, err = text(expected, true)
	} else if expected, err = os.ReadFile(filepath.Join(dir, "component.wit.print")); err == nil {
		want, whole = strings.TrimSpace(string(expected)), false
	}
	if err != nil {
		return fmt.Errorf("expected component: %w", err)
	}
	got, err := text(component, whole)
	if err != nil {
		return err
	}
	if want == got {
		return nil
	}
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		a, b := "(end)", "(end)"
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			return fmt.Errorf("line %d:\n  want %s\n  got  %s", i+1, a, b)
		}
	}
	return errors.New("different")
}

// text writes what a component imports and exports, in an order that does not depend
// on that in the component; or the world alone.
func text(component []byte, whole bool) (string, error) {
	r, world, err := wit.Decode(component)
	if err != nil {
		return "", err
	}
	if world == nil {
		return "", errors.New("no component but a package")
	}
	byName := func(a, b *wit.WorldItem) int { return strings.Compare(a.ExternName(), b.ExternName()) }
	slices.SortFunc(world.Imports, byName)
	slices.SortFunc(world.Exports, byName)
	for _, items := range [][]*wit.WorldItem{world.Imports, world.Exports} {
		for _, item := range items {
			if item.Interface != nil {
				sortInterface(item.Interface)
			}
		}
	}
	var nested []*wit.Package
	for _, p := range r.Packages {
		slices.SortFunc(p.Interfaces, func(a, b *wit.Interface) int { return strings.Compare(a.Name, b.Name) })
		for _, i := range p.Interfaces {
			sortInterface(i)
		}
		if p != r.Main {
			nested = append(nested, p)
		}
	}
	slices.SortFunc(nested, func(a, b *wit.Package) int { return strings.Compare(a.Name.String(), b.Name.String()) })
	if !whole {
		return strings.TrimSpace(wit.Print(r.Main)), nil
	}
	return wit.Print(r.Main, nested...), nil
}

func sortInterface(i *wit.Interface) {
	slices.SortFunc(i.Types, func(a, b *wit.TypeDef) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(i.Functions, func(a, b *wit.Function) int { return strings.Compare(a.Name, b.Name) })
}
