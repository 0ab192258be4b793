// Command wast runs test scripts of the component model that `wasm-tools
// json-from-wast` (or a tool with the same output) turned into JSON and
// binaries.
//
//	go run ./internal/tools/wast [-v] DIR...
//
// Folders are searched recursively for .json files. Every command of a script
// counts. Failures are printed with file and line; the last line is
// "passed P of N", and the exit code 1 if anything failed.
//
// With -core the scripts are those of the core specification, in the layout of
// wast2json, and modules run on the engine without components around them. With
// -meter as well they are metered, and run once with each of the budgets:
//
//	go run ./internal/tools/wast -core -meter 0,1,1000000 DIR...
package main

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

func main() {
	texts := flag.Bool("texts", false, "also fail where an invalid component is refused with another text than the script has")
	skip := flag.String("skip-dir", "", "name of folders to leave out")
	core := flag.Bool("core", false, "run scripts of the core specification")
	meter := flag.String("meter", "", "with -core, meter modules; a `list` of budgets that yield returns")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: wast [-texts] [-skip-dir NAME] DIR...")
		fmt.Fprintln(os.Stderr, "       wast -core [-meter BUDGET,...] [-skip-dir NAME] DIR...")
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
	ok := true
	if *core {
		budgets, err := budgets(*meter)
		if err != nil {
			fmt.Fprintln(os.Stderr, "wast:", err)
			os.Exit(2)
		}
		for _, b := range budgets {
			ok = runCores(files, b) && ok
		}
	} else {
		passed, total := 0, 0
		for _, f := range files {
			p, n := runScript(context.Background(), f, *texts)
			passed += p
			total += n
		}
		fmt.Printf("passed %d of %d\n", passed, total)
		ok = passed == total && total > 0
	}
	if !ok {
		os.Exit(1)
	}
}

// budgets reads the list of -meter; nil stands for no metering.
func budgets(list string) ([]*int32, error) {
	if list == "" {
		return []*int32{nil}, nil
	}
	var out []*int32
	for s := range strings.SplitSeq(list, ",") {
		n, err := strconv.ParseInt(s, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("budget %q: %w", s, err)
		}
		b := int32(n)
		out = append(out, &b)
	}
	return out, nil
}

// runCores runs scripts of the core specification and tells whether all passed.
func runCores(files []string, budget *int32) bool {
	passed, total, yields := 0, 0, 0
	for _, f := range files {
		p, n, y := runCore(context.Background(), f, budget)
		passed, total, yields = passed+p, total+n, yields+y
	}
	if budget == nil {
		fmt.Printf("passed %d of %d\n", passed, total)
	} else {
		fmt.Printf("metered with a budget of %d (%d yields): passed %d of %d\n", *budget, yields, passed, total)
	}
	return passed == total && total > 0
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
