package toolchain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"golang.org/x/mod/modfile"
)

// For returns the toolchain of a language, or nil.
func For(language string) *Toolchain {
	for _, t := range All() {
		if t.Language == language {
			return t
		}
	}
	return nil
}

// All returns the toolchains of all languages.
func All() []*Toolchain {
	node := []Tool{
		{"node", program("node", "--version"), nodePackage.install},
		{"npm", program("npm", "--version"), nodePackage.install},
		{"jco", inProject("jco"), installNpm("@bytecodealliance/jco", "@bytecodealliance/componentize-js")},
	}
	typescript := Tool{"tsc", inProject("tsc"), installNpm("typescript")}
	rust := []Tool{
		{"cargo", program("cargo", "--version"), rustPackage.install},
		{"target wasm32-wasip2", findRustTarget, installRustTarget},
	}
	python := []Tool{{"componentize-py", program("componentize-py", "--version"), installComponentizePy}}
	return []*Toolchain{
		{"go", []Tool{{"go", findGo, installGo}}, goPlan},
		{"tinygo", []Tool{{"tinygo", program("tinygo", "version"), tinygoPackage.install}}, tinygoPlan},
		{"rust", rust, rustPlan},
		{"javascript", node, javascriptPlan},
		{"typescript", append(node[:len(node):len(node)], typescript), typescriptPlan},
		{"python", python, pythonPlan},
		{"c", clangTools, clangPlan("clang", ".c")},
		{"cpp", clangppTools, clangPlan("clang++", ".cpp", ".cc", ".c")},
	}
}

// minGo is the Go release that go.mod of the guest packages asks for.
const minGo = 26

var goRelease = regexp.MustCompile(`\bgo1\.(\d+)`)

func findGo(ctx context.Context, dir string) (string, error) {
	version, err := program("go", "version")(ctx, dir)
	if err != nil {
		return "", err
	}
	if m := goRelease.FindStringSubmatch(version); m != nil {
		if minor, err := strconv.Atoi(m[1]); err == nil && minor < minGo {
			return "", fmt.Errorf("%s is too old: Go 1.%d is needed", version, minGo)
		}
	}
	return version, nil
}

// onceTag is the build tag by which the guest packages do in advance what else every
// instance would do for the first time.
const onceTag = "initialize_once"

// goPlan leaves out of the module what depends on where and when it is built. The names
// of functions stay: they take two hundredths of it.
func goPlan(j Job) (Plan, error) {
	args := []string{"go", "build", "-trimpath", "-buildvcs=false"}
	if !j.Runs {
		args = append(args, "-buildmode=c-shared")
	}
	if j.Once {
		args = append(args, "-tags="+onceTag)
	}
	env := []string{"GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0"}
	foreign, err := inForeignWorkspace(j.Dir)
	if err != nil {
		return Plan{}, err
	}
	if foreign {
		env = append(env, "GOWORK=off")
	}
	return j.plan(Command{Args: append(args, "-o", j.Output, "."), Env: env})
}

// inForeignWorkspace reports whether the module of a folder is below a go.work which does
// not use it, where the go command would build nothing. What the environment says of
// workspaces is what its owner wants.
func inForeignWorkspace(dir string) (bool, error) {
	file := above(dir, "go.work")
	if file == "" || os.Getenv("GOWORK") != "" {
		return false, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return false, err
	}
	work, err := modfile.ParseWork(file, b, nil)
	if err != nil {
		return false, err
	}
	module := filepath.Dir(above(dir, "go.mod"))
	return !slices.ContainsFunc(work.Use, func(u *modfile.Use) bool {
		used := filepath.FromSlash(u.Path)
		if !filepath.IsAbs(used) {
			used = filepath.Join(filepath.Dir(file), used)
		}
		return filepath.Clean(used) == module
	}), nil
}

// above returns the file of that name in a folder, or in the nearest folder above that
// has one, or "".
func above(dir, name string) string {
	for ; ; dir = filepath.Dir(dir) {
		file := filepath.Join(dir, name)
		if _, err := os.Stat(file); err == nil {
			return file
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

func tinygoPlan(j Job) (Plan, error) {
	args := []string{"tinygo", "build", "-target=wasip1", "-no-debug"}
	if !j.Runs {
		args = append(args, "-buildmode=c-shared")
	}
	return j.plan(Command{Args: append(args, "-o", j.Output, ".")})
}

// rustPlan builds the package's library or program, of which cargo alone says where
// it puts it.
func rustPlan(j Job) (Plan, error) {
	b, err := os.ReadFile(filepath.Join(j.Dir, "Cargo.toml"))
	if err != nil {
		return Plan{}, err
	}
	var manifest struct {
		Package struct{ Name string }
		Lib     struct {
			Name      string
			CrateType []string `toml:"crate-type"`
		}
	}
	if err := toml.Unmarshal(b, &manifest); err != nil {
		return Plan{}, fmt.Errorf("read Cargo.toml: %w", err)
	}
	name := manifest.Package.Name
	if slices.Contains(manifest.Lib.CrateType, "cdylib") {
		name = strings.ReplaceAll(cmp.Or(manifest.Lib.Name, name), "-", "_")
	}
	if name == "" {
		return Plan{}, errors.New("read Cargo.toml: package.name is missing")
	}
	return Plan{
		Commands: []Command{{Args: []string{"cargo", "build", "--release", "--target", "wasm32-wasip2", "--target-dir", "target"}}},
		Output:   filepath.Join(j.Dir, "target", "wasm32-wasip2", "release", name+".wasm"),
	}, nil
}

func findRustTarget(ctx context.Context, dir string) (string, error) {
	path, err := exec.LookPath("rustc")
	if err != nil {
		return "", errors.New("rustc is not on the PATH")
	}
	library, err := ask(ctx, dir, path, "--print", "target-libdir", "--target", "wasm32-wasip2")
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(library); err != nil {
		return "", fmt.Errorf("there is no %s", library)
	}
	return library, nil
}

func javascriptPlan(j Job) (Plan, error) {
	c, err := componentizeJS(j, "src/main.js")
	if err != nil {
		return Plan{}, err
	}
	return j.plan(c)
}

func typescriptPlan(j Job) (Plan, error) {
	c, err := componentizeJS(j, "build/js/main.js")
	if err != nil {
		return Plan{}, err
	}
	return j.plan(Command{Args: []string{npmProgram(j.Dir, "tsc"), "--outDir", "build/js"}}, c)
}

func componentizeJS(j Job, main string) (Command, error) {
	if j.WIT == "" {
		return Command{}, errors.New("ashlar.toml needs the key wit: jco reads the world from there")
	}
	return Command{Args: []string{npmProgram(j.Dir, "jco"), "componentize", main, "--wit", j.WIT, "--world-name", j.World, "--out", j.Output}}, nil
}

func pythonPlan(j Job) (Plan, error) {
	if j.WIT == "" {
		return Plan{}, errors.New("ashlar.toml needs the key wit: componentize-py reads the world from there")
	}
	return j.plan(Command{Args: []string{"componentize-py", "--wit-path", j.WIT, "--world", j.World, "componentize", "--python-path", "src", "main", "--output", j.Output}})
}
