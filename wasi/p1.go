package wasi

import (
	"context"

	"github.com/ashlar-wasm/ashlar/internal/engine"
	"github.com/ashlar-wasm/ashlar/wasi/internal/p1"
	"github.com/ashlar-wasm/ashlar/wasi/internal/quota"
)

// P1Module is the name from which core modules import the functions of WASI 0.1.
const P1Module = p1.Module

// P1 returns the functions of WASI 0.1 for core modules. They act on the process
// of the context they are called with, which Start makes, so that one set serves
// any number of guests.
func P1() []engine.HostFunc { return p1.Funcs() }

// StartP1 begins a process of WASI 0.1. Every call into one module is made with
// the context returned, by one goroutine at a time; end closes what the module
// left open.
func (s *System) StartP1(ctx context.Context) (run context.Context, end func()) {
	ctx = quota.WithGuest(ctx)
	p := p1.NewProcess(ctx, &s.grants)
	return p.Attach(ctx), p.Close
}
