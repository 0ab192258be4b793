package wasi_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/ashlar-wasm/ashlar/internal/engine"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
	"github.com/ashlar-wasm/ashlar/wasi"
)

// kernels are built from source: C by clang, if it is there, and Go.
func kernels(b *testing.B) map[string][]byte {
	dir := filepath.Join("..", "internal", "guests", "testdata", "kernels")
	out := b.TempDir()
	built := make(map[string][]byte)
	build := func(language string, cmd *exec.Cmd) {
		cmd.Dir = dir
		if text, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, text)
		}
		code, err := os.ReadFile(filepath.Join(out, language))
		if err != nil {
			b.Fatal(err)
		}
		built[language] = code
	}
	goBuild := exec.Command("go", "build", "-buildmode=c-shared", "-o", filepath.Join(out, "Go"), ".")
	goBuild.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	build("Go", goBuild)
	if _, err := exec.LookPath("clang"); err != nil {
		b.Log("clang is not there: the kernels in C are left out")
		return built
	}
	build("C", exec.Command("clang", "--target=wasm32", "-O2", "-nostdlib", "-Wl,--no-entry", "-o", filepath.Join(out, "C"), "kernels.c"))
	return built
}

// kernel is an instance of kernels with its exports.
type kernel struct {
	ctx   context.Context
	inst  *engine.Instance
	meter *engine.Meter
	size  int
	took  time.Duration // to compile
}

func newKernel(b *testing.B, e *engine.Engine, code []byte, metered bool) *kernel {
	start := time.Now()
	m, err := wasm.Decode(code)
	if err == nil {
		err = wasm.Validate(m)
	}
	if err != nil {
		b.Fatal(err)
	}
	m.SetNames(m.Names())
	source := engine.Source{Wasm: m.Encode()}
	if metered {
		source, err = engine.Confine(m, engine.Confinement{TableGrowth: 1e6, Host: func(*wasm.Import) bool { return true }})
		if err != nil {
			b.Fatal(err)
		}
	}
	mod, err := e.Compile(b.Context(), source)
	if err != nil {
		b.Fatal(err)
	}
	took := time.Since(start)
	sys, err := wasi.New(wasi.Options{})
	if err != nil {
		b.Fatal(err)
	}
	host, err := e.InstantiateHost(b.Context(), wasi.P1())
	if err != nil {
		b.Fatal(err)
	}
	ctx, end := sys.StartP1(b.Context())
	b.Cleanup(end)
	meter := e.NewMeter(engine.Bounds{Stack: 64 << 20})
	ctx = engine.WithMeter(ctx, meter)
	if err := meter.Start(ctx); err != nil {
		b.Fatal(err)
	}
	defer meter.Stop()
	mems := e.NewMemories(1 << 30)
	b.Cleanup(mems.Release)
	inst, err := e.Instantiate(ctx, mod, func(string) *engine.Instance { return host }, mems)
	if err != nil {
		b.Fatal(err)
	}
	if f := inst.Func("_initialize"); f != nil {
		if err := f.Call(ctx, nil); err != nil {
			b.Fatal(err)
		}
	}
	return &kernel{ctx, inst, meter, len(source.Wasm), took}
}

// run returns the time that one call takes and the checksum.
func (k *kernel) run(b *testing.B, name string, n uint64) (time.Duration, uint64) {
	f := k.inst.Func(name)
	if f == nil {
		b.Fatalf("no export %q", name)
	}
	stack := []uint64{n}
	if err := k.meter.Start(k.ctx); err != nil {
		b.Fatal(err)
	}
	defer k.meter.Stop()
	start := time.Now()
	if err := f.Call(k.ctx, stack); err != nil {
		b.Fatal(err)
	}
	return time.Since(start), stack[0]
}

// BenchmarkMetering compares kernels with metering and without, in turns; of each
// the fastest turn counts.
//
//	go test -run '^$' -bench Metering -benchtime 100x ./wasi
func BenchmarkMetering(b *testing.B) {
	e := engine.New(engine.Config{})
	b.Cleanup(func() { _ = e.Close(context.Background()) })
	sum, count, worst := 0.0, 0, 0.0
	built := kernels(b)
	for _, language := range []string{"C", "Go"} {
		code, ok := built[language]
		if !ok {
			continue
		}
		plain, metered := newKernel(b, e, code, false), newKernel(b, e, code, true)
		b.Run(language+"/module", func(b *testing.B) {
			for range b.N {
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(metered.size)/float64(plain.size), "size/plain")
			b.ReportMetric(float64(metered.took)/float64(plain.took), "compile/plain")
			b.ReportMetric(metered.took.Seconds()*1000, "ms-compile")
		})
		for _, name := range []string{"fib", "matmul", "sort", "nbody", "sha256", "json"} {
			b.Run(language+"/"+name, func(b *testing.B) {
				n := uint64(1)
				for d := time.Duration(0); d < 2*time.Millisecond; n *= 2 {
					d, _ = plain.run(b, name, n)
				}
				best := [2]time.Duration{math.MaxInt64, math.MaxInt64}
				for range max(b.N, 5) {
					p, x := plain.run(b, name, n)
					m, y := metered.run(b, name, n)
					if x != y {
						b.Fatalf("checksum %d, metered %d", x, y)
					}
					best[0], best[1] = min(best[0], p), min(best[1], m)
				}
				ratio := float64(best[1]) / float64(best[0])
				b.ReportMetric(ratio, "metered/plain")
				if b.N > 1 {
					sum += math.Log(ratio)
					count++
					worst = max(worst, ratio)
				}
			})
		}
	}
	if count > 0 {
		fmt.Printf("metered/plain: geometric mean %.3f, worst %.3f\n", math.Exp(sum/float64(count)), worst)
	}
}
