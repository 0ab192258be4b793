// Command witcorpus runs the test corpora of wasm-tools against package wit.
//
//	go run ./internal/tools/witcorpus WASM-TOOLS/crates
//
// It resolves every case of wit-parser's tests/ui and compares the result with
// the JSON beside it, checks that everything under parse-fail is refused, and
// prints the cases of wit-component's tests/interfaces and compares the text.
// Each failure is printed with its name; the last line is "passed P of N".
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
		if e.IsDir() && e.Name() != "parse-fail" || strings.HasSuffix(e.Name(), ".wit") {
			cases = append(cases, filepath.Join(dir, e.Name()))
		}
	}
	return cases, nil
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
	return reparses(r)
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
	return reparses(r)
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
