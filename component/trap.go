package component

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/ashlar-wasm/ashlar/internal/canon"
	"github.com/ashlar-wasm/ashlar/internal/engine"
)

// Frame is one function of a wasm stack trace, named by the name section.
type Frame = engine.Frame

// TrapKind tells traps apart.
type TrapKind string

// The kinds of traps: those of core instructions, named by the text that the
// specification's tests have, and one for all that the Canonical ABI raises.
const (
	TrapUnreachable       TrapKind = "unreachable"
	TrapMemoryBounds      TrapKind = "out of bounds memory access"
	TrapTableBounds       TrapKind = "out of bounds table access"
	TrapUndefinedElement  TrapKind = "undefined element"
	TrapIndirectType      TrapKind = "indirect call type mismatch"
	TrapDivideByZero      TrapKind = "integer divide by zero"
	TrapIntegerOverflow   TrapKind = "integer overflow"
	TrapInvalidConversion TrapKind = "invalid conversion to integer"
	TrapStackExhausted    TrapKind = "call stack exhausted"
	TrapUnalignedAtomic   TrapKind = "unaligned atomic"
	TrapException         TrapKind = "uncaught exception propagated out of component"
	TrapCanonicalABI      TrapKind = "canonical ABI"
	TrapOther             TrapKind = "other"
)

// coreTrapKind returns the kind of a trap of the core engine.
func coreTrapKind(message string) TrapKind {
	switch k := TrapKind(message); k {
	case TrapUnreachable, TrapMemoryBounds, TrapTableBounds, TrapUndefinedElement, TrapIndirectType, TrapDivideByZero,
		TrapIntegerOverflow, TrapInvalidConversion, TrapStackExhausted, TrapUnalignedAtomic, TrapException:
		return k
	}
	return TrapOther
}

// Trap is the error of a call in which the guest trapped. The instance can't
// be entered again.
type Trap struct {
	Kind TrapKind
	// Message is the trap's text in the words of the specification's tests,
	// such as "unreachable" or "unknown handle index 1".
	Message string
	// Component is the path of the component instance that was running, as
	// positions of nested components, or "" for the outermost.
	Component string
	// Stack holds the active guest functions, innermost first.
	Stack []Frame
	cause error
}

func (t *Trap) Error() string {
	s := "wasm trap: " + t.Message
	if t.Component != "" {
		s += " (in " + t.Component + ")"
	}
	return s
}

// Unwrap returns the engine's error, if it was one.
func (t *Trap) Unwrap() error { return t.cause }

// Backtrace formats the stack, a line for each function.
func (t *Trap) Backtrace() string { return backtrace(t.Stack) }

func backtrace(frames []Frame) string {
	var b strings.Builder
	for i, f := range frames {
		fmt.Fprintf(&b, "%4d: %s\n", i, f)
	}
	return b.String()
}

// HostError is the error of a call that a host function broke off: it is
// wrapped, so that errors.As and errors.Is see it.
type HostError struct {
	Err   error
	Stack []Frame // active guest functions, innermost first
}

func (e *HostError) Error() string { return e.Err.Error() }

// Unwrap returns the error of the host function.
func (e *HostError) Unwrap() error { return e.Err }

// callError makes the error of a call from what unwound it.
func (i *Instance) callError(err error) error {
	var segments [][]Frame
	for {
		switch e := err.(type) {
		case *engine.HostError:
			segments = append(segments, e.Frames)
			err = e.Err
			continue
		case *engine.Trap:
			segments = append(segments, e.Frames)
			return &Trap{Kind: coreTrapKind(e.Message), Message: e.Message, Component: i.location(), Stack: join(segments), cause: err}
		case *canon.Trap:
			return &Trap{Kind: TrapCanonicalABI, Message: e.Message, Component: i.location(), Stack: join(segments), cause: err}
		case *Trap:
			return &Trap{Kind: e.Kind, Message: e.Message, Component: e.Component, Stack: append(slices.Clone(e.Stack), join(segments)...), cause: e.cause}
		}
		return &HostError{Err: err, Stack: join(segments)}
	}
}

func join(segments [][]Frame) []Frame {
	var out []Frame
	for _, s := range slices.Backward(segments) {
		out = append(out, s...)
	}
	return out
}

// guard runs f, which may panic with an error to unwind, and returns the error.
func guard(f func()) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case runtime.Error:
			panic(r) // a bug here or in a host function, not the guest's doing
		case error:
			err = r
		default:
			panic(r)
		}
	}()
	f()
	return nil
}

// CoreTrap makes the error of a trap in a core module that runs by itself.
func CoreTrap(t *engine.Trap) *Trap {
	return &Trap{Kind: coreTrapKind(t.Message), Message: t.Message, Stack: t.Frames, cause: t}
}

// ErrPoisoned is wrapped by the error of a call into an instance that trapped
// before.
var ErrPoisoned = errors.New("cannot enter component instance: it trapped before")
