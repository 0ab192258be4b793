// Reactor exports functions that use WASI 0.1.
package main

import (
	"fmt"
	"os"
	"time"
)

var started = time.Now()

func init() { fmt.Println("initialized with", len(os.Args), "arguments") }

//go:wasmexport count
func count(n int32) int32 {
	// More than fits without growing the heap.
	kept := make([][]byte, 0, n)
	for i := range n {
		b := make([]byte, 1<<20)
		b[len(b)-1] = byte(i)
		kept = append(kept, b)
	}
	sum := int32(0)
	for i, b := range kept {
		if b[len(b)-1] == byte(i) {
			sum++
		}
	}
	text, err := os.ReadFile("/dir/file")
	fmt.Printf("%d, %s %v, %s\n", sum, text, err, os.Getenv("NAME"))
	time.Sleep(time.Millisecond)
	if time.Since(started) <= 0 {
		return -1
	}
	return sum
}

//go:wasmexport leave
func leave(code int32) { os.Exit(int(code)) }

func main() {}
