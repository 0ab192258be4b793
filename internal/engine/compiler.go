package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"
)

// compiler runs wazero's compiler, which looks whether it is to stop only between
// functions. It is not waited for: it ends by itself after the functions that it is
// at, which wasm.CheckComplexity bounds.
type compiler struct {
	runtime wazero.Runtime
	workers int

	mu      sync.Mutex
	running int
	closed  func() error // to be called by the last that runs
}

var errClosed = errors.New("the engine is closed")

// compile compiles a module. It returns as soon as ctx ends.
func (c *compiler) compile(ctx context.Context, wasm []byte) (wazero.CompiledModule, error) {
	if err := c.begin(); err != nil {
		return nil, err
	}
	type result struct {
		module wazero.CompiledModule
		err    error
	}
	results := make(chan result)
	go func() {
		var r result
		r.module, r.err = c.run(ctx, wasm)
		select {
		case results <- r:
		case <-ctx.Done():
			defer c.end()
			if r.err == nil {
				// Nobody has it, and there is nobody to tell.
				_ = r.module.Close(context.WithoutCancel(ctx))
			}
		}
	}()
	select {
	case r := <-results:
		c.end()
		return r.module, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// run compiles a module. A panic of the compiler is the error of that module.
func (c *compiler) run(ctx context.Context, wasm []byte) (m wazero.CompiledModule, err error) {
	defer func() {
		if r := recover(); r != nil {
			m, err = nil, fmt.Errorf("the compiler panicked: %v", r)
		}
	}()
	return c.runtime.CompileModule(experimental.WithCompilationWorkers(ctx, c.workers), wasm)
}

func (c *compiler) begin() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed != nil {
		return errClosed
	}
	c.running++
	return nil
}

func (c *compiler) end() {
	c.mu.Lock()
	c.running--
	last := c.closed
	if c.running > 0 {
		last = nil
	}
	c.mu.Unlock()
	if last != nil {
		_ = last()
	}
}

// close calls f when nothing is compiled any more: now, or later without its error.
func (c *compiler) close(f func() error) error {
	c.mu.Lock()
	c.closed = f
	running := c.running
	c.mu.Unlock()
	if running > 0 {
		return nil
	}
	return f()
}
