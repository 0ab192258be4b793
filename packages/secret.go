package packages

import (
	"fmt"
	"log/slog"
)

// Secret is a text that is not printed: whatever formats it, by any verb, with any
// logger or encoder, gets a mark in its place. The zero value is empty.
type Secret struct {
	// A function prints as its address, also where a Secret is in a field that is not
	// exported, of which fmt calls no method and follows pointers.
	text func() string
}

const redacted = "[redacted]"

// NewSecret returns a text as a secret.
func NewSecret(s string) Secret { return Secret{func() string { return s }} }

// Reveal returns the text.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return s.text()
}

// String does not tell it.
func (s Secret) String() string { return redacted }

// GoString does not tell it.
func (s Secret) GoString() string { return redacted }

// Format does not tell it.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

// LogValue does not tell it.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText does not tell it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
