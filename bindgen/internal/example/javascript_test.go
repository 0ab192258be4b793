package example

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/component/abi"
	"github.com/ashlar-wasm/ashlar/internal/canon"
	"github.com/ashlar-wasm/ashlar/internal/require"
	"github.com/ashlar-wasm/ashlar/wasi"
)

const javaScript = `const list = (...values) => values;
const same = (value) => value;
export const echo = {
  scalars: list, strings: list, flagLists: list, records: list, shapes: list, options: list, results: list, spilled: list,
  singleU8: same, singleS16: same, singleF32: same, singleChar: same, singleLevel: same, singleAccess: same,
  none() {},
};
`

// jsExporter offers the functions of a guest in JavaScript, and those that its toolchain
// has no types for, maps and lists of fixed length, without it.
type jsExporter struct {
	*component.Instance
	rest echoExporter
}

func (x jsExporter) ExportedFunc(instance, name string, t *abi.FuncType) (abi.Export, error) {
	if name == "fixed" || name == "maps" {
		return x.rest.ExportedFunc(instance, name, t)
	}
	return x.Instance.ExportedFunc(instance, name, t)
}

// startJavaScript builds a guest with the toolchain that ASHLAR_NODE_MODULES names, and
// instantiates it in its host.
func startJavaScript(t *testing.T) *component.Instance {
	t.Helper()
	modules := os.Getenv("ASHLAR_NODE_MODULES")
	if modules == "" {
		require.Missing(t, "ASHLAR_NODE_MODULES does not say where npm installed .ci/js")
	}
	dir := t.TempDir()
	text, err := os.ReadFile("../../testdata/example.wit")
	if err != nil {
		t.Fatal(err)
	}
	interfaces, _, _ := strings.Cut(string(text), "/// Failures")
	var wit strings.Builder
	for line := range strings.Lines(interfaces) {
		if !strings.HasPrefix(line, "  fixed:") && !strings.HasPrefix(line, "  maps:") {
			wit.WriteString(line)
		}
	}
	wit.WriteString("\nworld js { export echo; }\n")
	for name, content := range map[string]string{"echo.wit": wit.String(), "echo.js": javaScript} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(modules, ".bin", "jco"),
		"componentize", "echo.js", "--wit", "echo.wit", "--world-name", "js", "--disable", "all", "--out", "echo.wasm")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	code, err := os.ReadFile(filepath.Join(dir, "echo.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	engine := component.NewEngine(component.Options{})
	t.Cleanup(func() { engine.Close(context.Background()) })
	c, err := engine.Compile(t.Context(), code)
	if err != nil {
		t.Fatal(err)
	}
	system, err := wasi.New(wasi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { system.Close() })
	linker := engine.NewLinker()
	if err := system.AddTo(linker); err != nil {
		t.Fatal(err)
	}
	prepared, err := linker.Prepare(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	i, err := prepared.Instantiate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { i.Close(context.Background()) })
	return i
}

// TestGuestBesideJavaScript sends random values to a guest in Go, which sends them on to a
// guest in JavaScript, and back.
func TestGuestBesideJavaScript(t *testing.T) {
	if require.Race {
		t.Skip("13 MB are compiled without the race detector")
	}
	echo, err := LookupEcho(jsExporter{startJavaScript(t), echoExporter{newGuest()}})
	if err != nil {
		t.Fatal(err)
	}
	guest := startGuest(t, echo, store{}, "1")
	funcs := registry{}
	if err := DefineEcho(funcs, guest.echo); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(5, 6))
	for name, f := range funcs {
		if name == "fixed" || name == "maps" {
			continue
		}
		for range 30 {
			var args []canon.Val
			for _, p := range f.Type.Params {
				args = append(args, randomVal(r, p.Type))
			}
			got, err := newGuest().call(t, f, args...)
			if err != nil {
				t.Fatalf("%s: %v\n%s", name, explain(err), guest.stderr.String())
			}
			if want := echoed(f.Type, args); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s:\n got %#v\nwant %#v", name, got, want)
			}
		}
	}
}
