package p2

import (
	"context"

	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/wasi/internal/bind"
	"github.com/ashlar-wasm/ashlar/wasi/internal/grant"
)

// cli is wasi:cli but for its types.
type cli struct{ grants *grant.Set }

func (c cli) GetEnvironment(context.Context) ([]bind.Tuple2[string, string], error) {
	env := make([]bind.Tuple2[string, string], len(c.grants.Env))
	for i, kv := range c.grants.Env {
		env[i] = bind.Tuple2[string, string]{F0: kv[0], F1: kv[1]}
	}
	return env, nil
}

func (c cli) GetArguments(context.Context) ([]string, error) { return c.grants.Args, nil }

// InitialCwd is none: guests are granted directories, not a place to be.
func (c cli) InitialCwd(context.Context) (*string, error) { return nil, nil }

func (c cli) Exit(_ context.Context, status abi.Result[abi.Unit, abi.Unit]) error {
	if status.IsErr {
		return grant.Exit{Code: 1}
	}
	return grant.Exit{Code: 0}
}

func (c cli) ExitWithCode(_ context.Context, code uint8) error {
	return grant.Exit{Code: uint32(code)}
}

func (c cli) GetStdin(ctx context.Context) (bind.InputStream, error) {
	return &input{in: c.grants.StdioOf(ctx).In, thaw: func(ctx context.Context) (any, error) { return c.GetStdin(ctx) }}, nil
}

func (c cli) GetStdout(ctx context.Context) (bind.OutputStream, error) {
	return &output{out: c.grants.StdioOf(ctx).Out, thaw: func(ctx context.Context) (any, error) { return c.GetStdout(ctx) }}, nil
}

func (c cli) GetStderr(ctx context.Context) (bind.OutputStream, error) {
	return &output{out: c.grants.StdioOf(ctx).Err, thaw: func(ctx context.Context) (any, error) { return c.GetStderr(ctx) }}, nil
}

// terminal is the resource of either side of a terminal.
type terminal struct{}

func (terminal) Drop(context.Context) error { return nil }

// Freeze implements component.Freezer.
func (t terminal) Freeze() func(context.Context) (any, error) {
	return func(context.Context) (any, error) { return t, nil }
}

func (c cli) GetTerminalStdin(ctx context.Context) (bind.TerminalInput, error) {
	if c.grants.StdioOf(ctx).InTerminal {
		return terminal{}, nil
	}
	return nil, nil
}

func (c cli) GetTerminalStdout(ctx context.Context) (bind.TerminalOutput, error) {
	if c.grants.StdioOf(ctx).OutTerminal {
		return terminal{}, nil
	}
	return nil, nil
}

func (c cli) GetTerminalStderr(ctx context.Context) (bind.TerminalOutput, error) {
	if c.grants.StdioOf(ctx).ErrTerminal {
		return terminal{}, nil
	}
	return nil, nil
}
