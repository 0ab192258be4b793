package wasi

import (
	"context"

	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/wasi/internal/bind"
	"github.com/ashlar-wasm/ashlar/wasi/internal/p2"
	"github.com/ashlar-wasm/ashlar/wasi/internal/p2http"
)

// AddTo offers all of WASI 0.2 to components: to a component.Linker. The System
// must outlive what is linked to it.
func (s *System) AddTo(r abi.Registry) error {
	imports := p2.Imports(&s.grants)
	imports.HTTPTypes = p2http.Host{Book: s.grants.Book}
	imports.OutgoingHandler = &s.client
	return imports.Define(r)
}

// Run calls the run function of a component instance that is a command. The
// error wraps an ExitError where the command ended itself with a code; a command
// whose run function returned a failure gives one with code 1.
func Run(ctx context.Context, instance abi.Exporter) error {
	run, err := bind.LookupRun(instance)
	if err != nil {
		return err
	}
	err = run.Run(ctx)
	if _, failed := err.(abi.ErrorValue[abi.Unit]); failed {
		return ExitError{Code: 1}
	}
	return err
}
