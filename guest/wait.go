// Package guest is for components that are written in Go with the standard
// toolchain (GOOS=wasip1 GOARCH=wasm, -buildmode=c-shared).
//
// # Goroutines
//
// A component runs on one thread. A call into it runs on one goroutine, and
// while that is blocked in Go (a channel, a mutex, a timer, or [Wait]), other
// goroutines run. While an import is called nothing else runs; so what may take
// long is waited for with Wait, rather than by a function of WASI that blocks.
//
// Goroutines may outlive the call that started them. They stand still from the
// return of that call until the next one, in which they run while it is blocked;
// timers that ended in between fire then. So an exported function that returns a
// result which other goroutines still work on, as a handler of package
// wasihttp may not, has to wait for them. The host may end an instance
// whenever no call is under way: what goroutines had left to do is not done.
//
// If the goroutine of a call is blocked for ever, because none is left that
// could wake it, the runtime ends the instance with a message, as it does for
// any program.
//
// # Panics
//
// A panic that nothing recovers ends the instance: the message and the stacks
// are written to standard error, and the call traps for the caller. So does
// os.Exit. A goroutine's panic does it for the call that is under way.
package guest

import (
	"os"
	"syscall"

	"github.com/ashlar-wasm/ashlar/guest/abi"
)

// Wait returns when a pollable of wasi:io/poll is ready, and drops it. Other
// goroutines run in the meantime. The handle is the field Handle of the type
// that was generated for pollable.
func Wait(pollable *abi.Handle) error {
	w, err := NewWaiter(pollable)
	if err != nil {
		return err
	}
	defer w.Close()
	return w.Wait()
}

// A Waiter waits for a pollable. Its methods may be called by several
// goroutines at the same time.
type Waiter struct{ f *os.File }

// NewWaiter takes over a pollable. It is an error if there is no room for more.
func NewWaiter(pollable *abi.Handle) (*Waiter, error) {
	// A descriptor that is ready to be read when the pollable is ready: the
	// scheduler knows how to wait for it.
	fd := pollableFD(pollable.Take())
	if fd < 0 {
		return nil, &os.PathError{Op: "open", Path: "pollable", Err: syscall.EMFILE}
	}
	return &Waiter{os.NewFile(uintptr(fd), "pollable")}, nil
}

// Wait returns when the pollable is ready. The error is [os.ErrClosed] if the
// Waiter is closed before that.
func (w *Waiter) Wait() error {
	var b [1]byte
	_, err := w.f.Read(b[:])
	return err
}

// Close drops the pollable, and ends calls of Wait.
func (w *Waiter) Close() error { return w.f.Close() }
