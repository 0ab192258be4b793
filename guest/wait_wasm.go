package guest

// pollableFD is a function of Ashlar's adapter: it takes over a pollable and
// returns a descriptor that can be read, without blocking, when it is ready.
//
//go:wasmimport wasi_snapshot_preview1 pollable_fd
func pollableFD(pollable uint32) int32
