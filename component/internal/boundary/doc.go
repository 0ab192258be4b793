// Package boundary has the bindings that the benchmarks of calls between guests
// and the host are made of.
package boundary

//go:generate go run generate.go
