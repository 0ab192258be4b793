package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/build"
	"github.com/ashlar-wasm/ashlar/build/project"
	"github.com/ashlar-wasm/ashlar/build/toolchain"
	"github.com/ashlar-wasm/ashlar/wit"
)

func newBuild(s *streams) *cobra.Command {
	var dir string
	var quiet bool
	var a attesting
	var p packageFlags
	var w witProject
	cmd := &cobra.Command{
		Use:   "build [flags]",
		Short: "Build the component of a project",
		Long: `Build the component of the project in the folder, which ashlar.toml describes: run
the toolchain of its language, make a component of what that makes, check that it
fits the world, and write it to build/NAME.wasm. Nothing is written if it is there
already. Packages that its WIT uses and that are not in deps/ are fetched before, as
'ashlar wit fetch' does.

With --attest, it also writes how the component was built, build/NAME.provenance.json
(SLSA provenance in an in-toto statement), and what is in it, build/NAME.cdx.json (an SBOM
in CycloneDX). 'ashlar push' attaches them to the artifact.`,
		Example: `  ashlar build
  ashlar build -C examples/hello
  ashlar build --attest`,
		Args: exactArgs(),
		RunE: func(c *cobra.Command, _ []string) error {
			start := time.Now()
			pr, err := loadProject(dir)
			if err != nil {
				return err
			}
			o := build.Options{Out: s.err, Err: s.err}
			if !quiet {
				o.Command = func(c toolchain.Command) { fmt.Fprintln(s.err, "$", c) }
			}
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			// A second signal ends the process.
			context.AfterFunc(ctx, stop)
			if pr.WIT != "" {
				if err := w.fetchMissing(ctx, s, &p, pr); err != nil {
					return err
				}
			}
			if err := a.begin(ctx, pr); err != nil {
				return err
			}
			r, err := build.Project(ctx, pr, o)
			if err != nil {
				return ofProject(err)
			}
			state := "unchanged"
			if r.Changed {
				state = "built"
			}
			if !quiet {
				fmt.Fprintf(s.err, "%s %s: %s in %s\n", state, r.Path, shortSize(int64(r.Size)), time.Since(start).Round(10*time.Millisecond))
			}
			return a.write(ctx, pr, r)
		},
	}
	cmd.Flags().StringVarP(&dir, "dir", "C", ".", "folder of the project")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print only what the toolchain prints, and errors")
	a.flags(cmd)
	p.flags(cmd)
	p.policies.flags(cmd)
	w.lockedFlag(cmd)
	return cmd
}

// loadProject reads the project of a folder.
func loadProject(dir string) (*project.Project, error) {
	p, err := project.Load(dir)
	if errors.Is(err, project.ErrNone) {
		return nil, withCode(exitUsage, err)
	}
	return p, ofProject(err)
}

// ofProject gives an error its exit code if it is a mistake in ashlar.toml or WIT.
func ofProject(err error) error {
	var inFile *project.Error
	var inWIT *wit.Error
	if errors.As(err, &inFile) || errors.As(err, &inWIT) {
		return withCode(exitInvalid, err)
	}
	return err
}

// fileOrProject returns the file that is named, or else what was built of the project in
// the working directory.
func fileOrProject(args []string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	p, err := loadProject(".")
	if errors.Is(err, project.ErrNone) {
		return "", usageError("missing argument FILE, and there is no project here (no %s)", project.File)
	}
	if err != nil {
		return "", err
	}
	path := p.Component()
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s is not built yet: run 'ashlar build'", path)
	}
	return path, nil
}
