//go:build !wasm

package guest

func pollableFD(uint32) int32 { panic("pollables are for wasm") }
