//go:build ignore

// Generate writes the bindings of this package from the WIT of WASI.
package main

import (
	"log"
	"os"

	"github.com/ashlar-wasm/ashlar/bindgen"
	"github.com/ashlar-wasm/ashlar/wit"
)

func main() {
	r, err := wit.ParsePath("../../wit", wit.Options{AllFeatures: true})
	if err != nil {
		log.Fatal(err)
	}
	world := r.Package(wit.PackageName{Namespace: "ashlar", Name: "wasi"}).World("host")
	files, err := bindgen.Host(bindgen.Options{World: world, Package: "bind"})
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range files {
		if err := os.WriteFile(f.Name, f.Content, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}
