// Command hello answers HTTP requests, as a component of wasi:http.
//
//	ashlar build && ashlar serve
package main

import (
	"fmt"
	"net/http"

	wasihttp "github.com/ashlar-wasm/ashlar/guest/http"
)

func init() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "Hello from a component!")
	})
	wasihttp.Handle(mux)
}

// main is not called: the component is a library of its handler.
func main() {}
