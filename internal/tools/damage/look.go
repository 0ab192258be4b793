package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"strings"
	"time"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
	"github.com/ashlar-wasm/ashlar/wasi"
	wasihttp "github.com/ashlar-wasm/ashlar/wasi/http"
)

// stage is a step on the way of a component.
type stage string

const (
	atDecode      stage = "decoded"
	atValidate    stage = "validated"
	atCompile     stage = "rewritten and compiled"
	atLink        stage = "linked"
	atInstantiate stage = "instantiated"
	atRun         stage = "run"
	atValid       stage = "" // validated and rewritten, and not wanted any further
)

// outcome is how far a component came.
type outcome struct {
	stage    stage
	err      error
	panicked string
}

// limits are those of components that are run.
var limits = component.Limits{
	MemoryBytes: 64 << 20, TableElements: 100_000, Handles: 1000, Instances: 100, HostBytes: 4 << 20, StackBytes: 4 << 20,
	Time: 2 * time.Second, CPU: 100 * time.Millisecond,
}

// look does with a component what a host does. wanted tells whether one that is valid is
// to be run.
func look(ctx context.Context, b []byte, wanted func() bool) (out outcome) {
	defer func() {
		if r := recover(); r != nil {
			out.panicked = fmt.Sprintf("%s: %v\n%s", out.stage, r, debug.Stack())
		}
		// The engine recovers those of the compiler.
		if out.err != nil && strings.Contains(out.err.Error(), "panicked") {
			out.panicked = out.err.Error()
		}
	}()
	out.stage = atDecode
	if _, out.err = binary.Decode(b); out.err != nil {
		return out
	}
	e := component.NewEngine(component.Options{Limits: limits, CompileWorkers: 1})
	defer func() { out.err = errors.Join(out.err, e.Close(context.WithoutCancel(ctx))) }()
	out.stage = atValidate
	if err := e.Validate(ctx, b); err != nil {
		out.err = err
		var we *wasm.Error
		var be *binary.Error
		var ue *wasm.UnsupportedError
		if !errors.As(err, &we) && !errors.As(err, &be) && !errors.As(err, &ue) {
			out.stage = atCompile
		}
		return out
	}
	out.stage = atValid
	if !wanted() {
		return out
	}
	return run(ctx, e, b)
}

// run compiles a component, links it with WASI that grants nothing, and calls what it
// exports.
func run(ctx context.Context, e *component.Engine, b []byte) (out outcome) {
	out.stage = atCompile
	c, err := e.Compile(ctx, b)
	if err != nil {
		return outcome{stage: atCompile, err: err}
	}
	system, err := wasi.New(wasi.Options{})
	if err != nil {
		panic(err)
	}
	defer system.Close()
	l := e.NewLinker()
	if err := system.AddTo(l); err != nil {
		panic(err)
	}
	p, err := l.Prepare(ctx, c)
	if err != nil {
		return outcome{stage: atLink, err: err}
	}
	defer p.Close(ctx)
	i, err := p.Instantiate(ctx)
	if err != nil {
		return outcome{stage: atInstantiate, err: err}
	}
	err = call(ctx, p, i, c)
	if e := i.Close(ctx); err == nil {
		err = e
	}
	return outcome{stage: atRun, err: err}
}

// call calls the exports of an instance that take nothing or plain numbers, or has it
// serve a request.
func call(ctx context.Context, p *component.Prepared, i *component.Instance, c *component.Component) error {
	if c.ExportsInterface("wasi:http/incoming-handler@0.2.0") {
		var failed error
		h := wasihttp.Handler{
			Instantiate: func(ctx context.Context) (wasihttp.Instance, error) { return p.Instantiate(ctx) },
			Error:       func(_ *http.Request, err error) { failed = err },
		}
		defer func() {
			if r := recover(); r != nil && r != http.ErrAbortHandler {
				panic(r)
			}
		}()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "http://localhost/", nil).WithContext(ctx))
		return failed
	}
	var failed error
	for _, info := range c.Exports() {
		args := make([]component.Val, len(info.Type.Params))
		numbers := true
		for n, param := range info.Type.Params {
			switch param.Type.String() {
			case "u32":
				args[n] = component.U32Val(3)
			case "string":
				args[n] = component.StringVal("text")
			case "list<u8>":
				args[n] = component.BytesVal("bytes")
			default:
				numbers = false
			}
		}
		f, ok := i.Func(info.Interface, info.Name)
		if !numbers || !ok {
			continue
		}
		if _, err := f.Call(ctx, args); err != nil {
			failed = err
			break // it can't be entered again
		}
	}
	return failed
}

// kind is what errors are counted by.
func kind(err error) string {
	var (
		be    *binary.Error
		we    *wasm.Error
		ue    *wasm.UnsupportedError
		xe    *wasm.ComplexityError
		limit *component.LimitError
		link  *component.LinkError
		trap  *component.Trap
		ce    *component.Error
		cu    *component.UnsupportedError
		exit  wasi.ExitError
	)
	switch {
	case err == nil:
		return "no error"
	case errors.As(err, &exit):
		return "exit"
	case errors.As(err, &limit):
		return "limit of " + string(limit.Resource)
	case errors.As(err, &trap):
		return "trap: " + string(trap.Kind)
	case errors.As(err, &be):
		return state(be.Malformed) + " component"
	case errors.As(err, &we):
		return state(we.Malformed) + " core module"
	case errors.As(err, &ue):
		return "core feature that is not supported"
	case errors.As(err, &xe):
		return "too complex"
	case errors.As(err, &link):
		return "imports that nobody offers"
	case errors.As(err, &cu):
		return "feature that is not supported"
	case errors.As(err, &ce):
		return "component that can't be run: " + ce.Err.Error()
	}
	return err.Error()
}

func state(malformed bool) string {
	if malformed {
		return "malformed"
	}
	return "invalid"
}
