//go:build ignore

// Generate compiles the adapter with clang and lld of Debian, in the one version
// that makes the same bytes everywhere, and puts the worlds into it that package
// adapter chooses from.
package main

import (
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
	wasiwit "github.com/ashlar-wasm/ashlar/wasi/wit"
	"github.com/ashlar-wasm/ashlar/wit"
)

// What may be needed: every host of WASI 0.2 has it.
const imports = `
	import wasi:cli/environment@0.2.0;
	import wasi:cli/exit@0.2.0;
	import wasi:cli/stdin@0.2.0;
	import wasi:cli/stdout@0.2.0;
	import wasi:cli/stderr@0.2.0;
	import wasi:cli/terminal-input@0.2.0;
	import wasi:cli/terminal-output@0.2.0;
	import wasi:cli/terminal-stdin@0.2.0;
	import wasi:cli/terminal-stdout@0.2.0;
	import wasi:cli/terminal-stderr@0.2.0;
	import wasi:clocks/monotonic-clock@0.2.0;
	import wasi:clocks/wall-clock@0.2.0;
	import wasi:filesystem/preopens@0.2.0;
	import wasi:filesystem/types@0.2.0;
	import wasi:io/error@0.2.0;
	import wasi:io/poll@0.2.0;
	import wasi:io/streams@0.2.0;
	import wasi:random/random@0.2.0;
`

// worlds are what the adapter may be: see package adapter.
var worlds = []struct{ name, items string }{
	{"reactor", imports},
	{"command", imports + "export wasi:cli/run@0.2.0;"},
	{"codes", "import wasi:cli/exit@0.2.12;"},
}

func main() {
	log.SetFlags(0)
	code, err := compile()
	if err != nil {
		log.Fatalf("build/adapter: %v", err)
	}
	m, err := wasm.Decode(code)
	if err == nil {
		err = wasm.Validate(m)
	}
	if err != nil {
		log.Fatalf("build/adapter: %v", err)
	}
	m.Tables = nil // lld makes one for function pointers, of which there are none
	for _, w := range worlds {
		data, err := encode(w.name, w.items)
		if err != nil {
			log.Fatalf("build/adapter: world %s: %v", w.name, err)
		}
		m.Customs = append(m.Customs, wasm.Custom{Name: "world:" + w.name, Data: data})
	}
	if err := os.WriteFile("adapter.wasm", m.Encode(), 0o644); err != nil {
		log.Fatal(err)
	}
}

// compile returns the module that clang and lld make of the sources in c.
func compile() ([]byte, error) {
	for _, tool := range []string{"clang-19", "wasm-ld-19"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("the adapter is compiled with clang 19 and lld 19, and %s is not on PATH; "+
				"on Debian: apt-get install clang-19 lld-19", tool)
		}
	}
	sources, err := filepath.Glob("c/*.c")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "adapter")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "adapter.wasm")
	link := []string{
		"--no-entry", "--stack-first", "-z", "stack-size=8192",
		"--initial-memory=65536", "--strip-all", "--keep-section=name", "-o", out,
	}
	for _, source := range sources {
		object := filepath.Join(dir, filepath.Base(source)+".o")
		if err := run("clang-19", "--target=wasm32-unknown-unknown", "-std=c17", "-Os", "-ffreestanding",
			"-mcpu=mvp", "-mbulk-memory", "-mmutable-globals", "-msign-ext", "-fvisibility=hidden",
			"-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror", "-c", "-o", object, source); err != nil {
			return nil, err
		}
		link = append(link, object)
	}
	if err := run("wasm-ld-19", link...); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
}

func run(tool string, args ...string) error {
	cmd := exec.Command(tool, args...)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", tool, err)
	}
	return nil
}

// encode returns a world as the contents of a component-type section.
func encode(name, items string) ([]byte, error) {
	text := fmt.Sprintf("package ashlar:adapter;\nworld %s {%s}\n", name, items)
	r, err := wit.ParseText(name, text, wit.Options{Lookup: wasiwit.Lookup})
	if err != nil {
		return nil, err
	}
	out, err := wit.Encode(r.Main)
	if err != nil {
		return nil, err
	}
	const encoding = "wit-component-encoding"
	section := append([]byte{byte(len(encoding))}, encoding...)
	section = append(section, 4, 0) // the format's version, UTF-8
	return append(append(out, 0, byte(len(section))), section...), nil
}
