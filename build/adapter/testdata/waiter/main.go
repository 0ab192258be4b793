// Waiter waits for pollables in goroutines, none of which holds up the others.
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"
)

//go:wasmimport wasi:clocks/monotonic-clock@0.2.12 subscribe-duration
func subscribeDuration(nanoseconds uint64) uint32

//go:wasmimport wasi_snapshot_preview1 pollable_fd
func pollableFD(pollable uint32) uint32

// after returns a file that can be read a byte from when time has passed.
func after(d time.Duration) *os.File {
	return os.NewFile(uintptr(pollableFD(subscribeDuration(uint64(d)))), "pollable")
}

func main() {
	start := time.Now()
	ticks := 0
	done := make(chan bool)
	go func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(10 * time.Millisecond):
				ticks++
			}
		}
	}()
	var group sync.WaitGroup
	for i := range 10 {
		group.Add(1)
		go func() {
			defer group.Done()
			f := after(time.Duration(500+i) * time.Millisecond)
			defer f.Close()
			b := make([]byte, 8)
			for range 2 { // once it is ready it stays so
				n, err := f.Read(b)
				if n != 1 || b[0] != 0 || err != nil {
					fmt.Println("read", n, err)
				}
			}
		}()
	}
	group.Wait()
	d := time.Since(start)
	done <- true
	fmt.Println("together:", d >= 500*time.Millisecond, d < 3*time.Second)
	fmt.Println("others went on:", ticks > 3)

	f := after(time.Hour)
	if err := f.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		fmt.Println(err)
	}
	_, err := f.Read(make([]byte, 1))
	fmt.Println("deadline:", errors.Is(err, os.ErrDeadlineExceeded))
	if err := f.SetReadDeadline(time.Time{}); err != nil {
		fmt.Println(err)
	}
	time.AfterFunc(20*time.Millisecond, func() { f.Close() })
	_, err = f.Read(make([]byte, 1))
	fmt.Println("closed:", errors.Is(err, fs.ErrClosed))
	_, err = syscall.Read(77, make([]byte, 1))
	fmt.Println("no such:", err)
}
