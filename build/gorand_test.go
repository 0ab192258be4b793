package build_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/build"
	"github.com/ashlar-wasm/ashlar/build/project"
	"github.com/ashlar-wasm/ashlar/build/template"
	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/wasi"
)

// entropy is the same byte, as long as instances are initialised, and then a byte of its own.
type entropy struct {
	later bool
	value byte
}

func (e *entropy) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 7
		if e.later {
			b[i] = e.value + byte(i)
		}
	}
	return len(b), nil
}

const drawing = `package main

import (
	"fmt"
	"hash/maphash"
	rand1 "math/rand"
	"math/rand/v2"

	"example.com/draws/internal/bind/export/example/draws/greeting"
)

// Initialisation draws too.
var early = rand.Uint64()

type draws struct{}

func (draws) Greet(what string) string {
	switch what {
	case "early":
		return fmt.Sprint(early)
	case "v2":
		return fmt.Sprint(rand.Uint64(), rand.Uint64())
	case "v1":
		return fmt.Sprint(rand1.Int63(), rand1.Int63())
	case "maphash":
		return fmt.Sprint(maphash.String(maphash.MakeSeed(), "x"))
	case "map":
		m := map[int]bool{}
		for i := range 1000 {
			m[i] = true
		}
		order := []int{}
		for i := range m {
			order = append(order, i)
		}
		return fmt.Sprint(order)
	}
	// A million numbers, to look at how they are distributed.
	ones := [64]int{}
	for range 1_000_000 {
		x := rand.Uint64()
		for bit := range ones {
			ones[bit] += int(x >> bit & 1)
		}
	}
	for bit, n := range ones {
		if n < 497_000 || n > 503_000 { // six standard deviations
			return fmt.Sprintf("bit %d: %d of a million", bit, n)
		}
	}
	return "even"
}

func init() { greeting.Export(draws{}) }

func main() {}
`

// Instances whose initialisation saw the same random numbers, as those do that start from
// one snapshot, draw different ones afterwards.
func TestSiblingsDraw(t *testing.T) {
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOWORK", "off")
	dir := t.TempDir()
	made, err := template.Files(template.Options{Name: "draws", Language: "go", Kind: "library"})
	if err != nil {
		t.Fatal(err)
	}
	if err := template.Write(dir, made); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(drawing), 0o666); err != nil {
		t.Fatal(err)
	}
	p, err := project.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	e := component.NewEngine(component.Options{})
	defer e.Close(context.Background())
	compile := func() *component.Component {
		t.Helper()
		var errs strings.Builder
		r, err := build.Project(t.Context(), p, build.Options{Out: io.Discard, Err: &errs})
		if err != nil {
			t.Fatalf("%v\n%s", err, errs.String())
		}
		code, err := os.ReadFile(r.Path)
		if err != nil {
			t.Fatal(err)
		}
		c, err := e.Compile(t.Context(), code)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := compile()
	draw := func(value byte, what string) []string {
		t.Helper()
		random := &entropy{value: value}
		sys, err := wasi.New(wasi.Options{Random: random})
		if err != nil {
			t.Fatal(err)
		}
		defer sys.Close()
		l := e.NewLinker()
		if err := sys.AddTo(l); err != nil {
			t.Fatal(err)
		}
		prepared, err := l.Prepare(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		i, err := prepared.Instantiate(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer i.Close(context.Background())
		random.later = true
		f, ok := i.Func("example:draws/greeting@0.1.0", "greet")
		if !ok {
			t.Fatal("no greet")
		}
		var got []string
		for range 2 {
			v, err := f.Call(t.Context(), []component.Val{component.StringVal(what)})
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(v.(component.StringVal)))
		}
		return got
	}
	for _, what := range []string{"v1", "v2", "maphash", "map"} {
		a, b := draw(1, what), draw(2, what)
		if a[0] == b[0] || a[1] == b[1] || a[0] == a[1] {
			t.Errorf("%s: %.60q and %.60q", what, a, b)
		}
	}
	if a, b := draw(1, "early"), draw(2, "early"); a[0] != b[0] {
		t.Errorf("initialisation drew %q and %q: they are no siblings", a[0], b[0])
	}
	if got := draw(3, "distribution"); got[0] != "even" {
		t.Error(got[0])
	}
	// Without being initialised once, siblings would draw the same.
	p.Initialize = ""
	c = compile()
	if a, b := draw(1, "v2"), draw(2, "v2"); a[0] != b[0] {
		t.Errorf("%q and %q differ without it: this test shows nothing", a, b)
	}
}
