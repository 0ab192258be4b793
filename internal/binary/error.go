package binary

import "fmt"

// Error reports a component that is malformed or invalid.
type Error struct {
	// Offset is the position of the fault in bytes from the start of the input.
	Offset int
	// Rule names the rule that is broken.
	Rule string
	// Detail says what was found; it may be empty.
	Detail string
	// Malformed tells a component that cannot be parsed from one that is parsed
	// but invalid.
	Malformed bool
}

func (e *Error) Error() string {
	kind := "invalid"
	if e.Malformed {
		kind = "malformed"
	}
	if e.Detail == "" {
		return fmt.Sprintf("%s component at offset %#x: %s", kind, e.Offset, e.Rule)
	}
	return fmt.Sprintf("%s component at offset %#x: %s: %s", kind, e.Offset, e.Rule, e.Detail)
}
