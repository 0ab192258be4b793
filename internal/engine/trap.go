package engine

import (
	"errors"
	"strings"

	"github.com/ashlar-wasm/ashlar/internal/limit"
)

// Trap is a core WebAssembly trap.
type Trap struct {
	// Message is the trap's text as the core specification's tests have it,
	// such as "unreachable" or "integer divide by zero".
	Message string
	// Frames are the active guest functions, innermost first, at most 30; none
	// where compiled code exhausted the call stack.
	Frames []Frame
	cause  error
}

// Frame is one function of a wasm stack trace.
type Frame struct {
	Module   string // the module's name from its name section, or ""
	Function string // the function's name from the name section, or "$index"
}

func (f Frame) String() string {
	if f.Module == "" {
		return f.Function
	}
	return f.Module + "." + f.Function
}

func (t *Trap) Error() string { return "wasm trap: " + t.Message }

// Unwrap returns the engine's own error.
func (t *Trap) Unwrap() error { return t.cause }

// Exhausted returns the trap of a guest that called too deep.
func Exhausted(over *limit.Error) *Trap {
	return &Trap{Message: "call stack exhausted", cause: over}
}

// HostError is an error with which a host function unwound the guest, and the
// guest functions that were active then.
type HostError struct {
	Err    error
	Frames []Frame
}

func (e *HostError) Error() string { return e.Err.Error() }

// Unwrap returns the error the host function panicked with.
func (e *HostError) Unwrap() error { return e.Err }

// specText maps wazero's wording to that of the specification's tests where
// they differ.
var specText = map[string]string{
	"stack overflow":                "call stack exhausted",
	"uncaught exception":            "uncaught exception propagated out of component",
	"invalid table access":          "undefined element",
	"invalid conversion to integer": "invalid conversion to integer",
}

// ElementsFunc is what modules that check their element segments by a start
// function call it in their name section.
const ElementsFunc = reserved + "elements"

// trapOf turns an error of a wazero call into a *Trap or a *HostError.
func trapOf(err error) error {
	text := err.Error()
	head, trace, _ := strings.Cut(text, "\nwasm stack trace:\n")
	frames, in := parseFrames(trace)
	if i := strings.LastIndex(head, "wasm error: "); i >= 0 {
		msg := head[i+len("wasm error: "):]
		if s, ok := specText[msg]; ok {
			msg = s
		}
		if reserved+in == ElementsFunc || strings.HasPrefix(in, "table.") {
			msg = "out of bounds table access"
		}
		return &Trap{Message: msg, Frames: frames, cause: err}
	}
	if strings.HasSuffix(head, ": out of bounds memory access") { // an active data segment
		return &Trap{Message: "out of bounds memory access", cause: err}
	}
	if head == "stack overflow" {
		return &Trap{Message: "call stack exhausted", Frames: frames, cause: err}
	}
	if strings.HasSuffix(head, "(recovered by wazero)") {
		if inner := errors.Unwrap(err); inner != nil {
			// A start function wraps once more.
			for strings.Contains(inner.Error(), "(recovered by wazero)") && errors.Unwrap(inner) != nil {
				inner = errors.Unwrap(inner)
			}
			if over, ok := inner.(*limit.Error); ok && over.Resource == limit.Stack {
				return &Trap{Message: "call stack exhausted", Frames: frames, cause: over}
			}
			return &HostError{Err: inner, Frames: frames}
		}
	}
	return err
}

// parseFrames reads a stack trace. What Confine added is left out; in is the
// innermost of that, if it was active innermost.
func parseFrames(trace string) (frames []Frame, in string) {
	for line := range strings.Lines(trace) {
		line, ok := strings.CutPrefix(line, "\t")
		if !ok || strings.HasPrefix(line, "\t") {
			break
		}
		name, _, ok := strings.Cut(line, "(")
		if !ok {
			continue
		}
		module, function, _ := strings.Cut(name, ".")
		if f, ok := strings.CutPrefix(function, reserved); ok || name == hostName+"."+MeterYield {
			if len(frames) == 0 && in == "" {
				in = f
			}
			continue
		}
		frames = append(frames, Frame{Module: module, Function: function})
	}
	return frames, in
}
