// Package wit reads, resolves and prints the WIT interface definition language
// of the WebAssembly Component Model (design/mvp/WIT.md of the specification).
//
// [ParsePath], [ParseFS] and [ParseText] read WIT text and return a [Resolve]:
// all packages that were found, with every name resolved, every world
// elaborated (the interfaces that imports and exports need are listed), and
// every item removed whose feature gate is closed. The model is a graph of
// plain Go structs that refer to one another by pointer; it is read-only once
// it is returned and may then be shared by any number of goroutines.
//
// [Print] writes a package in the canonical layout of wasm-tools.
package wit
