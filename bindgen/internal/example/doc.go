// Package example is what bindgen generates for its example world. Its tests
// run the generated code against the dynamic form of the canonical ABI.
package example
