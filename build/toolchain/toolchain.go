// Package toolchain holds the languages that components are written in: the programs
// that each needs, where they come from, and the command that makes a core module or
// component of sources.
package toolchain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Toolchain is that of a language.
type Toolchain struct {
	Language string
	// Tools are what it needs, each of which the next may need too.
	Tools []Tool

	plan func(Job) (Plan, error)
}

// Job is what a toolchain is to build.
type Job struct {
	Dir    string // of the project, absolute
	World  string // its name
	WIT    string // the folder of its WIT, relative to Dir; empty if there is none
	Output string // where the result is wanted, absolute; the plan may put it elsewhere
	// Runs says that the world exports wasi:cli/run, so that the program has a main
	// function that is the component's.
	Runs bool
	// Once says that all instances begin with the state after initialisation.
	Once bool
}

// Command is a program with its arguments and what is added to its environment.
type Command struct {
	Args []string
	Env  []string
}

// String is the command as it is typed into a shell.
func (c Command) String() string {
	var words []string
	for _, w := range append(append([]string{}, c.Env...), c.Args...) {
		if w == "" || strings.ContainsAny(w, " \t\n'\"\\$&|;<>()[]{}!*?#~`") {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		words = append(words, w)
	}
	return strings.Join(words, " ")
}

// Plan is how a job is built.
type Plan struct {
	Commands []Command
	Output   string // where the result is when all have run, absolute
}

// Plan returns what builds a job. The error names what is missing for it.
func (t *Toolchain) Plan(j Job) (Plan, error) { return t.plan(j) }

// plan is one whose result is where it is wanted.
func (j Job) plan(commands ...Command) (Plan, error) { return Plan{commands, j.Output}, nil }

// Run runs a command in a folder. If ctx ends it, what it started itself ends too.
func (c Command) Run(ctx context.Context, dir string, out, errs io.Writer) error {
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, errs
	cmd.Env = append(os.Environ(), c.Env...)
	// What it started may hold its output open.
	cmd.WaitDelay = 2 * time.Second
	release := together(cmd)
	err := cmd.Run()
	if ctx.Err() != nil {
		release()
	}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &exit):
		return fmt.Errorf("%s: %w", c, err)
	case err != nil:
		return fmt.Errorf("run %s: %w", c.Args[0], err)
	}
	return nil
}

// Tool is a program, or something else that has to be there.
type Tool struct {
	Name string
	// find returns what it is, as a path or version, in a project's folder.
	find func(ctx context.Context, dir string) (string, error)
	// install returns the command that installs it on this machine.
	install func(dir string) string
}

// Install returns the command that installs the tool on this machine, or else says where
// it is to be had. dir is as for Find.
func (t *Tool) Install(dir string) string { return t.install(dir) }

// Find returns what is there of the tool, its version if it tells. dir is the folder of
// a project, or any other. The error says what is missing.
func (t *Tool) Find(ctx context.Context, dir string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return t.find(ctx, dir)
}

// program finds a program on the PATH and asks it for its version.
func program(name string, version ...string) func(context.Context, string) (string, error) {
	return func(ctx context.Context, dir string) (string, error) {
		path, err := exec.LookPath(name)
		if err != nil {
			return "", fmt.Errorf("%s is not on the PATH", name)
		}
		return ask(ctx, dir, path, version...)
	}
}

// inProject finds a program that npm installed into the project.
func inProject(name string) func(context.Context, string) (string, error) {
	return func(ctx context.Context, dir string) (string, error) {
		path, err := exec.LookPath(npmProgram(dir, name))
		if err != nil {
			if _, err := os.Stat(filepath.Join(dir, "package.json")); errors.Is(err, fs.ErrNotExist) {
				return "", fmt.Errorf("each project has its own %s", name)
			}
			return "", fmt.Errorf("%s is not installed in the project", name)
		}
		return ask(ctx, dir, path, "--version")
	}
}

// ask runs a program for the first line that it prints. What is in the folder may decide
// which version of it answers.
func ask(ctx context.Context, dir, path string, args ...string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = dir
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", path, strings.Join(args, " "), err)
	}
	return line, nil
}

// npmProgram is the path of a program that npm installed into a project.
func npmProgram(dir, name string) string {
	return filepath.Join(dir, "node_modules", ".bin", name)
}

// sources lists the files of a project's folder src with one of some extensions,
// relative to dir.
func sources(dir string, extensions ...string) ([]string, error) {
	var files []string
	for _, e := range extensions {
		found, err := fs.Glob(os.DirFS(dir), "src/*"+e) // dir itself is no pattern
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			files = append(files, filepath.FromSlash(f))
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no source file %s", strings.Join(extensions, " or ")+" in "+filepath.Join(dir, "src"))
	}
	return files, nil
}
