// Command wast runs test scripts of the component model that `wasm-tools
// json-from-wast` (or a tool with the same output) turned into JSON and
// binaries.
//
//	go run ./internal/tools/wast [-v] DIR...
//
// Folders are searched recursively for .json files. Every command of a script
// counts. Failures are printed with file and line; the last line is
// "passed P of N", and the exit code 1 if anything failed.
package main

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	texts := flag.Bool("texts", false, "also fail where an invalid component is refused with another text than the script has")
	skip := flag.String("skip-dir", "", "name of folders to leave out")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: wast [-texts] [-skip-dir NAME] DIR...")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	files, err := scripts(flag.Args(), *skip)
	if err != nil {
		fmt.Fprintln(os.Stderr, "wast:", err)
		os.Exit(2)
	}
	passed, total := 0, 0
	for _, f := range files {
		p, n := runScript(context.Background(), f, *texts)
		passed += p
		total += n
	}
	fmt.Printf("passed %d of %d\n", passed, total)
	if passed != total || total == 0 {
		os.Exit(1)
	}
}

func scripts(roots []string, skip string) ([]string, error) {
	var files []string
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() && skip != "" && d.Name() == skip {
				return filepath.SkipDir
			}
			if err == nil && !d.IsDir() && strings.HasSuffix(path, ".json") {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(files)
	return files, nil
}
