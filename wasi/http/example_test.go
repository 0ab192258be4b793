package http_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/internal/guests"
	"github.com/ashlar-wasm/ashlar/wasi"
	wasihttp "github.com/ashlar-wasm/ashlar/wasi/http"
)

// A component becomes an http.Handler that serves every request with an
// instance of its own.
func Example() {
	ctx := context.Background()
	system, err := wasi.New(wasi.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer system.Close()
	engine := component.NewEngine(component.Options{})
	defer engine.Close(ctx)
	c, err := engine.Compile(ctx, guests.HelloHTTP())
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
	server := httptest.NewServer(&wasihttp.Handler{
		Instantiate: func(ctx context.Context) (wasihttp.Instance, error) { return prepared.Instantiate(ctx) },
		Error:       func(r *http.Request, err error) { log.Println(r.Method, r.URL, err) },
	})
	defer server.Close()
	resp, err := http.Get(server.URL)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Printf("%s: %s", resp.Status, body)
	fmt.Println("error:", err)
	// Output:
	// 200 OK: Hello from a component!
	// error: <nil>
}
