//go:build ignore

// Generate writes the bindings that package http of the guest module stands on.
package main

import (
	"log"
	"os"
	"path/filepath"

	"github.com/ashlar-wasm/ashlar/bindgen"
	wasiwit "github.com/ashlar-wasm/ashlar/wasi/wit"
	"github.com/ashlar-wasm/ashlar/wit"
)

// Hosts of every version of WASI 0.2 have what is in the first one.
const world = `
package ashlar:guest;

world http {
	import wasi:http/types@0.2.0;
	import wasi:http/outgoing-handler@0.2.0;
	export wasi:http/incoming-handler@0.2.0;
}
`

const out = "../guest/internal/bind"

func main() {
	r, err := wit.ParseText("guest.wit", world, wit.Options{Lookup: wasiwit.Lookup})
	if err != nil {
		log.Fatal(err)
	}
	files, err := bindgen.Guest(bindgen.GuestOptions{
		World: r.Main.World("http"),
		Path:  "github.com/ashlar-wasm/ashlar/guest/internal/bind",
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := os.RemoveAll(out); err != nil {
		log.Fatal(err)
	}
	for _, f := range files {
		name := filepath.Join(out, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(name, f.Content, 0o666); err != nil {
			log.Fatal(err)
		}
	}
}
