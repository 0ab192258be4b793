// Command witcorpus runs the test corpora of wasm-tools against package wit.
//
//	go run ./internal/tools/witcorpus WASM-TOOLS/crates
//
// It resolves every case of wit-parser's tests/ui and compares the result with
// the JSON beside it, checks that everything under parse-fail is refused, and
// prints the cases of wit-component's tests/interfaces and compares the text.
// All packages also go through their text and their binary form.
// Each failure is printed with its name; the last line is "passed P of N".
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ashlar-wasm/ashlar/wit"
)

// options are those that the corpora were made with.
var options = wit.Options{Features: []string{"active"}}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: witcorpus WASM-TOOLS/crates")
		os.Exit(2)
	}
	root := os.Args[1]
	var passed, total int
	suite := func(dir string, run func(path string) error) {
		cases, err := findCases(filepath.Join(root, dir))
		if err != nil {
			fmt.Println(err)
			total++
			return
		}
		ok := 0
		for _, path := range cases {
			if err := run(path); err != nil {
				fmt.Printf("FAIL %s: %v\n", path, err)
			} else {
				ok++
			}
		}
		fmt.Printf("%s: %d of %d\n", dir, ok, len(cases))
		passed += ok
		total += len(cases)
	}
	suite("wit-parser/tests/ui", resolves)
	suite("wit-parser/tests/ui/parse-fail", refused)
	suite("wit-component/tests/interfaces", prints)
	fmt.Printf("passed %d of %d\n", passed, total)
	if passed != total || total == 0 {
		os.Exit(1)
	}
}

// findCases lists the cases in a folder: WIT files, and folders of them.
func findCases(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var cases []string
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch {
		case e.Name() == "parse-fail":
		case strings.HasSuffix(path, ".wat") && dirHas(dir, e.Name()+".json", strings.TrimSuffix(e.Name(), ".wat")+".wit.json"):
			fmt.Printf("left out %s: it is WebAssembly text\n", path)
		case e.IsDir() && hasText(path):
			fmt.Printf("left out %s: one of its dependencies is WebAssembly text\n", path)
		case e.IsDir(), strings.HasSuffix(path, ".wit"):
			cases = append(cases, path)
		}
	}
	return cases, nil
}

// dirHas reports whether a folder has one of the files.
func dirHas(dir string, names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	})
}

// hasText reports whether a case depends on a component in text form, which
// only wasm-tools reads as WIT.
func hasText(dir string) bool {
	found, err := filepath.Glob(filepath.Join(dir, "deps", "*.wat"))
	return err == nil && len(found) > 0
}

func resolves(path string) error {
	want, err := os.ReadFile(strings.TrimSuffix(path, ".wit") + ".wit.json")
	if err != nil {
		return err
	}
	r, err := wit.ParsePath(path, options)
	if err != nil {
		return err
	}
	wantText, err := outlineJSON(want)
	if err != nil {
		return err
	}
	if err := sameText(wantText, outline(r)); err != nil {
		return err
	}
	if err := reparses(r); err != nil {
		return err
	}
	return redecodes(r)
}

// redecodes checks that the binary form of each package means the same:
// decoded, it prints the same and encodes to the same bytes.
func redecodes(r *wit.Resolve) error {
	for _, p := range r.Packages {
		// An empty package has nothing with its name in it.
		if len(p.Interfaces)+len(p.Worlds) == 0 || hasEmptyRecord(p) {
			continue
		}
		again, _, err := recode(p)
		if err != nil {
			return fmt.Errorf("package %s: %w", p.Name, err)
		}
		// The order of functions is that of the binary form from here on.
		if _, same, err := recode(again); err != nil {
			return fmt.Errorf("package %s again: %w", p.Name, err)
		} else if !same {
			return fmt.Errorf("package %s is encoded differently after it was decoded", p.Name)
		}
	}
	return nil
}

// recode encodes and decodes a package. It reports whether what comes out is
// encoded to the same bytes.
func recode(p *wit.Package) (again *wit.Package, same bool, err error) {
	data, err := wit.Encode(p)
	if err != nil {
		return nil, false, err
	}
	r, world, err := wit.Decode(data)
	if err != nil {
		return nil, false, err
	}
	if world != nil {
		return nil, false, errors.New("was decoded as a component")
	}
	if err := sameText(wit.Print(p), wit.Print(r.Main)); err != nil {
		return nil, false, err
	}
	dataAgain, err := wit.Encode(r.Main)
	return r.Main, bytes.Equal(data, dataAgain), err
}

// hasEmptyRecord reports whether a package has records without fields, which
// text allows and component types do not.
func hasEmptyRecord(p *wit.Package) bool {
	empty := func(t *wit.TypeDef) bool {
		switch k := t.Kind.(type) {
		case *wit.Record:
			return len(k.Fields) == 0
		case *wit.Flags:
			return len(k.Flags) == 0
		}
		return false
	}
	for _, i := range p.Interfaces {
		if slices.ContainsFunc(i.Types, empty) {
			return true
		}
	}
	for _, w := range p.Worlds {
		for _, item := range w.Imports {
			if item.Type != nil && empty(item.Type) {
				return true
			}
		}
	}
	return false
}

// reparses checks that printed text means the same: printing what it parses to
// gives the same text.
func reparses(r *wit.Resolve) error {
	var nested []*wit.Package
	for _, p := range r.Packages {
		if p != r.Main {
			nested = append(nested, p)
		}
	}
	text := wit.Print(r.Main, nested...)
	again, err := wit.ParseText("printed.wit", text, options)
	if err != nil {
		return fmt.Errorf("parse printed text: %w", err)
	}
	var nestedAgain []*wit.Package
	for _, p := range nested {
		nestedAgain = append(nestedAgain, again.Package(p.Name))
	}
	if err := sameText(text, wit.Print(again.Main, nestedAgain...)); err != nil {
		return fmt.Errorf("print again: %w", err)
	}
	return nil
}

func refused(path string) error {
	_, err := wit.ParsePath(path, options)
	if err == nil {
		return errors.New("was accepted")
	}
	if os.Getenv("WITCORPUS_ERRORS") != "" {
		want, _ := os.ReadFile(strings.TrimSuffix(path, ".wit") + ".wit.result")
		fmt.Printf("=== %s\n%v\n--- wasm-tools says\n%s\n", path, err, want)
	}
	return nil
}

func prints(path string) error {
	r, err := wit.ParsePath(path, wit.Options{})
	if err != nil {
		return err
	}
	name := strings.TrimSuffix(path, ".wit") + ".wit.print"
	if !strings.HasSuffix(path, ".wit") {
		name = filepath.Join(path, r.Main.Name.Name+".wit.print")
	}
	want, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if err := sameText(string(want), wit.Print(r.Main)); err != nil {
		return err
	}
	if err := reparses(r); err != nil {
		return err
	}
	if dir := os.Getenv("WITCORPUS_BINARY"); dir != "" {
		data, err := wit.Encode(r.Main)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, strings.TrimSuffix(filepath.Base(path), ".wit")+".wasm"), data, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return redecodes(r)
}

// sameText compares two texts and shows the first line that differs.
func sameText(want, got string) error {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		a, b := "(end)", "(end)"
		if i < len(w) {
			a = strings.TrimSuffix(w[i], "\r")
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			return fmt.Errorf("line %d:\n  want %s\n  got  %s", i+1, a, b)
		}
	}
	return nil
}
