// Package cli is the ashlar command: one file for each of its subcommands,
// which parse flags, call a room below and print.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Exit codes of Ashlar's own failures. Codes of a guest pass unchanged.
const (
	exitFailure = 1 // anything that has no code of its own
	exitUsage   = 2 // the command line is wrong
	exitInvalid = 3 // the file is no valid component or module, or needs what is not supported
	exitLink    = 4 // an import of the component is not provided
	exitTrap    = 5 // the guest trapped
	exitTimeout = 6 // the limit of time or CPU time was exceeded
	exitMemory  = 7 // the memory limit was exceeded
	exitTrust   = 8 // the artifact is not signed as it has to be, or a trust policy refuses it
)

// exitCodes is what the help says about them.
const exitCodes = `Exit codes: the guest's own, or 1 failure, 2 usage, 3 invalid or unsupported
file, 4 missing import, 5 trap, 6 limit of time or CPU time exceeded, 7 memory
limit exceeded, 8 not signed as it has to be, or refused by a trust policy.`

// codeError is an error with the exit code that it ends the command with. A
// nil err prints nothing.
type codeError struct {
	code int
	err  error
}

func (e *codeError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *codeError) Unwrap() error { return e.err }

// withCode gives err an exit code.
func withCode(code int, err error) error { return &codeError{code, err} }

// usageError is a mistake on the command line.
func usageError(format string, args ...any) error {
	return withCode(exitUsage, fmt.Errorf(format, args...))
}

// streams are the standard streams of the command.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// Main runs the command and ends the process.
func Main() {
	// Guest code is never preempted: with one processor nothing else, not even
	// the clock of a time limit, would run beside it.
	if runtime.GOMAXPROCS(0) < 2 {
		runtime.GOMAXPROCS(2)
	}
	os.Exit(Run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// Run runs the command line and returns the exit code.
func Run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	root := newRoot(&streams{in, out, errs})
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var ce *codeError
	if !errors.As(err, &ce) {
		ce = &codeError{exitFailure, err}
	}
	if ce.err != nil {
		fmt.Fprintf(errs, "ashlar: %s\n", printableLines(err.Error()))
	}
	return ce.code
}

func newRoot(s *streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "ashlar",
		Short: "Run WebAssembly components in deny-by-default sandboxes",
		Long: `Ashlar runs WebAssembly components, which reach nothing of this machine but
what a flag grants them.

` + exitCodes,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError("%w\nSee '%s --help'.", err, c.CommandPath())
	})
	root.AddCommand(newNew(s), newBuild(s), newRun(s), newServe(s), newInvoke(s), newInspect(s), newValidate(), newWit(s), newBindgen(s), newComponent(s), newPkg(s), newPush(s), newPull(s), newCopy(s), newTags(s), newKey(s), newSign(s), newVerify(s), newTrust(s), newSBOM(s), newLogin(s), newLogout(s), newDoctor(s), newCache(s))
	root.InitDefaultCompletionCmd()
	for _, c := range append(root.Commands(), root) {
		if c.HasSubCommands() && !c.Runnable() {
			onlyCommands(c)
		}
	}
	return root
}

// onlyCommands has a command that only holds others refuse what is none of them.
func onlyCommands(c *cobra.Command) {
	c.Args, c.DisableFlagsInUseLine, c.SuggestionsMinimumDistance = cobra.ArbitraryArgs, true, 2
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		hint := ""
		if s := c.SuggestionsFor(args[0]); len(s) > 0 {
			hint = fmt.Sprintf("; did you mean %q?", s[0])
		}
		return usageError("unknown command %q%s\nSee '%s --help'.", args[0], hint, c.CommandPath())
	}
}

// version is what the Go toolchain noted of the build.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return info.Main.Version + " " + info.GoVersion + " " + runtime.GOOS + "/" + runtime.GOARCH
}

// exactArgs is cobra.ExactArgs with an error that says what is missing.
func exactArgs(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return usageError("missing argument %s\nUsage: %s", names[len(args)], c.UseLine())
		}
		return atMostArgs(len(names))(c, args)
	}
}

func atMostArgs(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > n {
			return usageError("unexpected argument %q\nUsage: %s", args[n], c.UseLine())
		}
		return nil
	}
}
