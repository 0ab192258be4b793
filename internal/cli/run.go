package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/limit"
	"github.com/ashlar-wasm/ashlar/wasi"
)

const runInterface = "wasi:cli/run@0.2.0"

func newRun(s *streams) *cobra.Command {
	var g grants
	var l limits
	cmd := &cobra.Command{
		Use:   "run [flags] [FILE|REF [ARGS...]]",
		Short: "Run a command: a wasi:cli component or a WASI 0.1 module",
		Long: `Run a command: a component that exports wasi:cli/run, or a core module of WASI
0.1 that exports _start. Its standard streams are this process's; it gets no
directory, environment or network but what a flag grants. Without FILE it is what
'ashlar build' made of the project in the folder.

` + exitCodes,
		Example: `  ashlar run hello.wasm
  ashlar run --dir ./data::/data:ro --env LANG wc.wasm /data/a.txt
  ashlar run --timeout 500ms --max-memory 64MiB untrusted.wasm`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			path, err := fileOrProject(args)
			if err != nil {
				return err
			}
			args = append([]string{path}, args[min(1, len(args)):]...)
			f, err := l.read(c.Context(), s, path)
			if err != nil {
				return err
			}
			return g.withSystem(s, args, func(sys *system) error {
				if f.kind == binary.KindModule {
					return runModule(c.Context(), f, sys, &l)
				}
				return runComponent(c.Context(), f, sys, &l)
			})
		},
	}
	// Flags behind FILE are the guest's.
	cmd.Flags().SetInterspersed(false)
	g.flags(cmd)
	l.flags(cmd)
	return cmd
}

func runModule(ctx context.Context, f *file, sys *system, l *limits) (err error) {
	e, end := l.engine(sys.streams)
	defer func() { err = errors.Join(err, end(ctx)) }()
	var m *wasi.Module
	err = l.compile(ctx, func(ctx context.Context) error {
		m, err = wasi.CompileModule(ctx, e, f.bytes)
		return err
	})
	if err != nil {
		return f.wrap(err)
	}
	ctx, cancel := l.start(ctx)
	defer cancel()
	var exceeded error
	err = m.Run(ctx, sys.System, func(e error) { exceeded = e })
	if errors.Is(err, wasi.ErrReactor) {
		return f.invalid(err)
	}
	if exceeded == nil {
		exceeded = memoryLimit(err)
	}
	return l.result(ctx, sys.streams, err, exceeded)
}

// memoryLimit returns the error if it is that of the memory limit.
func memoryLimit(err error) error {
	var le *limit.Error
	if errors.As(err, &le) && le.Resource == "memory" {
		return le
	}
	return nil
}

func runComponent(ctx context.Context, f *file, sys *system, l *limits) error {
	return sys.instantiate(ctx, f, l, func(r *running) error {
		if !r.component.ExportsInterface(runInterface) {
			return f.invalid(fmt.Errorf("exports no wasi:cli/run, so it is no command%s", otherUse(r.component)))
		}
		return wasi.Run(r.ctx, r.instance)
	})
}

// otherUse says what a component that is no command is good for.
func otherUse(c *component.Component) string {
	if c.ExportsInterface(handlerInterface) {
		return "; it handles HTTP requests: use 'ashlar serve'"
	}
	return exportsHint(c) + "\nCall one of them with 'ashlar invoke'."
}
