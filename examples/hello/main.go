// Command hello is a program for WASI: it greets, and lists what it was
// granted.
//
//	GOOS=wasip1 GOARCH=wasm go build -o hello.wasm ./examples/hello
//	ashlar run --dir .::/work hello.wasm you
package main

import (
	"fmt"
	"os"
)

func main() {
	name := "world"
	if len(os.Args) > 1 {
		name = os.Args[1]
	}
	fmt.Printf("Hello, %s!\n", name)
	for _, e := range os.Environ() {
		fmt.Println("environment:", e)
	}
	if entries, err := os.ReadDir("/work"); err == nil {
		fmt.Println("files in /work:", len(entries))
	}
}
