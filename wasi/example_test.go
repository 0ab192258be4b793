package wasi_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/wasi"
)

// A command is run with its output on this program's, and nothing else.
func Example() {
	ctx := context.Background()
	system, err := wasi.New(wasi.Options{Args: []string{"hello"}, Stdout: os.Stdout})
	if err != nil {
		log.Fatal(err)
	}
	defer system.Close()
	engine := component.NewEngine(component.Options{})
	defer engine.Close(ctx)
	c, err := engine.Compile(ctx, guests.Hello())
	if err != nil {
		log.Fatal(err)
	}
	linker := engine.NewLinker()
	if err := system.AddTo(linker); err != nil {
		log.Fatal(err)
	}
	prepared, err := linker.Prepare(ctx, c)
	if err != nil {
		log.Fatal(err)
	}
	instance, err := prepared.Instantiate(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer instance.Close(ctx)
	fmt.Println("error:", wasi.Run(ctx, instance))
	// Output:
	// Hello from a component!
	// error: <nil>
}
