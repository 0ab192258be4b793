// Package bind has the bindings of WASI 0.2, generated from the WIT in wasi/wit:
// Go interfaces that package p2 implements.
package bind

//go:generate go run generate.go
