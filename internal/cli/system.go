package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/internal/limit"
	"github.com/ashlar-wasm/ashlar/wasi"
)

// grants are the flags that give a guest access to this machine. Without them
// it gets none.
type grants struct {
	dirs      []string
	env       []string
	allowNet  []string
	allowHTTP []string
	heldLimits
}

func (g *grants) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringArrayVar(&g.dirs, "dir", nil, "grant a directory with all that is mounted beneath, as HOST[::GUEST][:ro]")
	f.StringArrayVar(&g.env, "env", nil, "set an environment variable, as NAME=VALUE, or NAME to pass this process's on")
	f.StringArrayVar(&g.allowNet, "allow-net", nil, "allow sockets, as [KIND://]HOST[:PORT[-PORT]]; KIND is tcp, udp, tcp-listen or udp-listen, HOST an address, a range like 10.0.0.0/8, a name or '*'; names and '*' reach public addresses only, localhost this machine")
	f.StringArrayVar(&g.allowHTTP, "allow-http", nil, "allow outgoing HTTP, as [http(s)://]HOST[:PORT]; HOST is a name, *.NAME, an address, a range or '*'; a name that resolves to a private address also needs a rule for that address")
	g.heldLimits.flags(c)
}

// options turns the flags into WASI options. args are the guest's arguments,
// its name first.
func (g *grants) options(s *streams, args []string) (wasi.Options, error) {
	held, err := g.limits()
	if err != nil {
		return wasi.Options{}, err
	}
	o := wasi.Options{Args: args, Stdin: s.in, Stdout: s.out, Stderr: s.err, Limits: held}
	o.Reached = func(ctx context.Context, e *component.LimitError) {
		if log, ok := ctx.Value(limitLogKey{}).(func(*component.LimitError)); ok {
			log(e)
			return
		}
		fmt.Fprintf(s.err, "ashlar: %v\n", e)
	}
	for _, d := range g.dirs {
		dir, err := parseDir(d)
		if err != nil {
			return o, err
		}
		o.Dirs = append(o.Dirs, dir)
	}
	for _, e := range g.env {
		name, _, ok := strings.Cut(e, "=")
		if name == "" {
			return o, usageError("--env %q: expected NAME=VALUE", e)
		}
		if !ok {
			v, set := os.LookupEnv(name)
			if !set {
				return o, usageError("--env %s: this process has no such variable; give a value as %s=VALUE", name, name)
			}
			e = name + "=" + v
		}
		o.Env = append(o.Env, e)
	}
	return o, g.network(&o)
}

// limitLogKey is that of a func(*component.LimitError), in the context of a
// guest's calls, that logs the limits it reaches.
type limitLogKey struct{}

// parseDir reads HOST[::GUEST][:ro].
func parseDir(s string) (wasi.Dir, error) {
	rest, ro := strings.CutSuffix(s, ":ro")
	host, guest, ok := strings.Cut(rest, "::")
	if !ok {
		guest = host
	}
	if host == "" || guest == "" {
		return wasi.Dir{}, usageError("--dir %q: expected HOST[::GUEST][:ro]", s)
	}
	return wasi.Dir{Host: host, Guest: guest, ReadOnly: ro}, nil
}

// system is what a command's guests are granted, and the engine that runs them.
type system struct {
	*wasi.System
	streams *streams
}

// withSystem opens what the flags grant for the duration of run.
func (g *grants) withSystem(s *streams, args []string, run func(*system) error) (err error) {
	o, err := g.options(s, args)
	if err != nil {
		return err
	}
	sys, err := wasi.New(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sys.Close()) }()
	return run(&system{System: sys, streams: s})
}

// engine returns an engine under the limits and what closes it.
func (l *limits) engine(s *streams) (*component.Engine, func(context.Context) error) {
	return l.newEngine(s, l.limits(), component.Restore{})
}

// start begins the time limit.
func (l *limits) start(ctx context.Context) (context.Context, context.CancelFunc) {
	if l.timeout <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, time.Duration(l.timeout), l.timeoutError())
}

func (l *limits) timeoutError() error {
	return withCode(exitTimeout, fmt.Errorf("time limit of %v exceeded", time.Duration(l.timeout)))
}

// result turns the error of running a guest into that of the command.
// exceeded is the memory that it was refused, if any.
func (l *limits) result(ctx context.Context, s *streams, err, exceeded error) error {
	var exit wasi.ExitError
	var trap *component.Trap
	var limit *component.LimitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit):
		if exit.Code == 0 {
			return nil
		}
		if exceeded != nil {
			fmt.Fprintf(s.err, "ashlar: %v\n", l.memoryError(exceeded))
		}
		// The system keeps eight bits of it: a larger one must not become 0.
		return withCode(int(min(exit.Code, 255)), nil)
	case l.timeout > 0 && (errors.Is(ctx.Err(), context.DeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)):
		return l.timeoutError()
	case errors.As(err, &trap):
		switch {
		case errors.As(err, &limit):
			err = fmt.Errorf("%w: %w", err, limit)
		case exceeded != nil: // that is why, most likely
			return withCode(exitMemory, l.memoryError(exceeded))
		}
		return withCode(exitTrap, fmt.Errorf("%w\n%s", err, strings.TrimRight(trap.Backtrace(), "\n")))
	case memoryLimit(err) != nil:
		return withCode(exitMemory, l.memoryError(err))
	case errors.As(err, &limit) && limit.Resource == component.LimitedCPU:
		return withCode(exitTimeout, err)
	}
	return err
}

func (l *limits) memoryError(exceeded error) error {
	var le *limit.Error
	if errors.As(exceeded, &le) {
		return fmt.Errorf("memory limit of %s exceeded: %d bytes were requested", l.memory.String(), le.Requested)
	}
	return exceeded
}

// running is a component in the sandbox of a command.
type running struct {
	ctx       context.Context
	component *component.Component
	instance  *component.Instance
}

// prepare compiles a component within its time limit and links it to what the
// system grants.
func (sys *system) prepare(ctx context.Context, f *file, e *component.Engine, l *compiling) (c *component.Component, p *component.Prepared, err error) {
	err = l.compile(ctx, func(ctx context.Context) error {
		c, err = f.compile(ctx, e)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	linker := e.NewLinker()
	if err := sys.AddTo(linker); err != nil {
		return nil, nil, err
	}
	if p, err = linker.Prepare(ctx, c); err != nil {
		return nil, nil, f.wrap(err)
	}
	return c, p, nil
}

// instantiate compiles and links a component and runs f with an instance of it.
func (sys *system) instantiate(ctx context.Context, f *file, l *limits, run func(*running) error) (err error) {
	e, end := l.engine(sys.streams)
	defer func() { err = errors.Join(err, end(ctx)) }()
	c, p, err := sys.prepare(ctx, f, e, &l.compiling)
	if err != nil {
		return err
	}
	ctx, cancel := l.start(ctx)
	defer cancel()
	inst, err := p.Instantiate(ctx)
	if err != nil {
		return l.result(ctx, sys.streams, err, memoryLimit(err))
	}
	defer inst.Close(context.WithoutCancel(ctx))
	return l.result(ctx, sys.streams, run(&running{ctx, c, inst}), inst.MemoryExceeded())
}
