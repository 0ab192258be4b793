package abi

import "fmt"

// Unit is the value of a side of a result that has none.
type Unit struct{}

// Option is an option whose payload is an option itself. The zero value is none.
type Option[T any] struct {
	Valid bool
	Value T
}

// Some returns an option with a value.
func Some[T any](v T) Option[T] { return Option[T]{true, v} }

// Result is a result that is part of another type. The zero value is ok with
// the zero value of T.
type Result[T, E any] struct {
	Ok    T
	Err   E
	IsErr bool
}

// ErrorValue is an error whose type in WIT is not one that can have methods in
// Go, such as a string.
type ErrorValue[E any] struct{ Value E }

// Error describes the value.
func (e ErrorValue[E]) Error() string {
	if _, ok := any(e.Value).(Unit); ok {
		return "error without a value"
	}
	return fmt.Sprint(e.Value)
}

// Unwrap returns the value if it is an error.
func (e ErrorValue[E]) Unwrap() error {
	err, _ := any(e.Value).(error)
	return err
}
