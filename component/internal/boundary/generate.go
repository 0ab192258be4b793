//go:build ignore

// Generate writes the bindings of this package.
package main

import (
	"log"
	"os"

	"github.com/ashlar-wasm/ashlar/bindgen"
	"github.com/ashlar-wasm/ashlar/wit"
)

func main() {
	r, err := wit.ParsePath("boundary.wit", wit.Options{})
	if err != nil {
		log.Fatal(err)
	}
	files, err := bindgen.Host(bindgen.Options{World: r.Main.World("guest"), Package: "boundary"})
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range files {
		if err := os.WriteFile(f.Name, f.Content, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}
