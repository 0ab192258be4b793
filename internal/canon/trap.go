package canon

import "fmt"

// Trap is a trap raised by the Canonical ABI. Lifting, lowering and the
// built-ins raise it as a panic, since they run on the guest's stack.
type Trap struct{ Message string }

func (t *Trap) Error() string { return "wasm trap: " + t.Message }

// Raise panics with a *Trap.
func Raise(format string, args ...any) {
	panic(&Trap{Message: fmt.Sprintf(format, args...)})
}
