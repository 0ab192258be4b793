package adapter_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/build/adapter"
	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/internal/engine"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
	"github.com/ashlar-wasm/ashlar/wasi"
)

// caller is a guest with a page of memory that can be called from outside: to call a
// function of WASI 0.1, and to read or write its memory.
type caller struct {
	call func(function string, args ...uint64) uint64
	peek func(at int) uint64
	poke func(at int, v uint64)
	sum  func() uint64 // of all the memory
}

// callerModule exports a function for each of WASI 0.1, those that a caller has for
// its memory, and a world that says so.
func callerModule(t *testing.T) (module []byte, functions map[string]wasm.FuncType) {
	t.Helper()
	all, err := wasm.Decode(adapter.Command())
	if err != nil {
		t.Fatal(err)
	}
	types, err := all.ExportTypes()
	if err != nil {
		t.Fatal(err)
	}
	m, err := wasm.Decode([]byte("\x00asm\x01\x00\x00\x00"))
	if err != nil {
		t.Fatal(err)
	}
	functions = map[string]wasm.FuncType{}
	for i, x := range all.Exports {
		name, _, _ := strings.Cut(x.Name, "_")
		if slices.Contains([]string{"args", "environ", "clock", "fd", "path", "poll", "random", "sched", "sock"}, name) {
			functions[x.Name] = types[i].Func
			m.Imports = append(m.Imports, wasm.Import{
				Module: adapter.Name, Name: x.Name, Extern: wasm.Extern{Kind: wasm.KindFunc, Type: uint32(len(m.Types))},
			})
			m.Types = append(m.Types, types[i].Func)
		}
	}
	n := uint32(len(m.Imports))
	var world strings.Builder
	define := func(name string, f wasm.FuncType, code []byte) {
		m.Exports = append(m.Exports, wasm.Export{Name: name, Kind: wasm.KindFunc, Index: n + uint32(len(m.Functions))})
		m.Functions = append(m.Functions, wasm.Function{Type: uint32(len(m.Types))})
		m.Types = append(m.Types, f)
		m.Code = append(m.Code, wasm.Body{Code: append(code, 0x0b)})
		wit := map[wasm.ValType]string{wasm.I32: "u32", wasm.I64: "u64"}
		var params []string
		for i, p := range f.Params {
			params = append(params, fmt.Sprintf("p%d: %s", i, wit[p]))
		}
		fmt.Fprintf(&world, "export %s: func(%s)", name, strings.Join(params, ", "))
		if len(f.Results) > 0 {
			fmt.Fprintf(&world, " -> %s", wit[f.Results[0]])
		}
		world.WriteString(";\n")
	}
	for i, im := range m.Imports {
		code := []byte{0} // no locals
		for p := range m.Types[i].Params {
			code = append(code, 0x20, byte(p)) // local.get
		}
		define("call-"+strings.ReplaceAll(im.Name, "_", "-"), m.Types[i], append(code, 0x10, byte(i))) // call
	}
	define("peek", wasm.FuncType{Params: []wasm.ValType{wasm.I32}, Results: []wasm.ValType{wasm.I64}},
		[]byte{0, 0x20, 0, 0x29, 3, 0}) // i64.load
	define("poke", wasm.FuncType{Params: []wasm.ValType{wasm.I32, wasm.I64}}, []byte{0, 0x20, 0, 0x20, 1, 0x37, 3, 0}) // i64.store
	define("sum", wasm.FuncType{Results: []wasm.ValType{wasm.I64}}, []byte{
		2, 1, 0x7f, 1, 0x7e, // locals: the address, the sum
		0x03, 0x40, // loop
		0x20, 1, 0x42, 0xe5, 0, 0x7e, 0x20, 0, 0x29, 3, 0, 0x7c, 0x21, 1, // sum = sum * 101 + load(address)
		0x20, 0, 0x41, 8, 0x6a, 0x22, 0, 0x41, 0x80, 0x80, 4, 0x47, 0x0d, 0, // address += 8, until it is a page
		0x0b, 0x20, 1,
	})
	m.Memories = []wasm.Memory{{MemoryType: wasm.MemoryType{Limits: wasm.Limits{Min: 1}, PageSizeLog2: 16}}}
	m.Exports = append(m.Exports, wasm.Export{Name: "memory", Kind: wasm.KindMemory})
	return embedded(t, m.Encode(), "package test:caller; world caller {\n"+world.String()+"}"), functions
}

// moduleCaller runs the guest as a module.
func moduleCaller(t *testing.T, module []byte, o wasi.Options) caller {
	t.Helper()
	sys, err := wasi.New(o)
	if err != nil {
		t.Fatal(err)
	}
	e := engine.New(engine.Config{})
	ctx, end := sys.StartP1(t.Context())
	mems := e.NewMemories(1 << 20)
	t.Cleanup(func() {
		end()
		e.Close(context.Background())
		mems.Release()
		sys.Close()
	})
	host, err := e.InstantiateHost(ctx, wasi.P1())
	if err != nil {
		t.Fatal(err)
	}
	m, err := e.Compile(ctx, engine.Source{Wasm: module})
	if err != nil {
		t.Fatal(err)
	}
	inst, err := e.Instantiate(ctx, m, func(string) *engine.Instance { return host }, mems)
	if err != nil {
		t.Fatal(err)
	}
	mem, _ := inst.Memory("memory")
	return caller{
		call: func(function string, args ...uint64) uint64 {
			stack := append(slices.Clone(args), 0)
			if err := inst.Func("call-"+strings.ReplaceAll(function, "_", "-")).Call(ctx, stack); err != nil {
				t.Fatalf("module: %s%v: %v", function, args, err)
			}
			return stack[0]
		},
		peek: func(at int) uint64 { return binary.LittleEndian.Uint64(mem.Bytes()[at:]) },
		poke: func(at int, v uint64) { binary.LittleEndian.PutUint64(mem.Bytes()[at:], v) },
		sum: func() uint64 {
			stack := []uint64{0}
			if err := inst.Func("sum").Call(ctx, stack); err != nil {
				t.Fatal(err)
			}
			return stack[0]
		},
	}
}

// componentCaller runs it as a component.
func componentCaller(t *testing.T, module []byte, functions map[string]wasm.FuncType, o wasi.Options) caller {
	t.Helper()
	inst, err := prepared(t, componentOf(t, module, adapter.Options{}), o).Instantiate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { inst.Close(context.Background()) })
	funcs := map[string]*component.Func{}
	call := func(name string, args ...component.Val) component.Val {
		if funcs[name] == nil {
			f, ok := inst.Func("", name)
			if !ok {
				t.Fatalf("%s is not exported", name)
			}
			funcs[name] = f
		}
		v, err := funcs[name].Call(t.Context(), args)
		if err != nil {
			t.Fatalf("component: %s%v: %v", name, args, err)
		}
		return v
	}
	return caller{
		call: func(function string, args ...uint64) uint64 {
			var vals []component.Val
			for i, p := range functions[function].Params {
				if p == wasm.I64 {
					vals = append(vals, component.U64Val(args[i]))
				} else {
					vals = append(vals, component.U32Val(args[i]))
				}
			}
			return uint64(call("call-"+strings.ReplaceAll(function, "_", "-"), vals...).(component.U32Val))
		},
		peek: func(at int) uint64 { return uint64(call("peek", component.U32Val(at)).(component.U64Val)) },
		poke: func(at int, v uint64) { call("poke", component.U32Val(at), component.U64Val(v)) },
		sum:  func() uint64 { return uint64(call("sum").(component.U64Val)) },
	}
}

const page = 1 << 16

func (c caller) read(at, n int) []byte {
	out := make([]byte, 0, n+16)
	first := at &^ 7
	for p := first; p < at+n; p += 8 {
		out = binary.LittleEndian.AppendUint64(out, c.peek(p))
	}
	return out[at-first : at-first+n]
}

func (c caller) write(at int, b []byte) {
	first, last := at&^7, (at+len(b)+7)&^7
	whole := c.read(first, last-first)
	copy(whole[at-first:], b)
	for i := 0; i < len(whole); i += 8 {
		c.poke(first+i, binary.LittleEndian.Uint64(whole[i:]))
	}
}

// mask clears what depends on where and when a call runs.
func (c caller) mask(function string, args []uint64) {
	clear := func(at uint64, n int) {
		if at+uint64(n) <= page {
			c.write(int(at), make([]byte, n))
		}
	}
	switch function {
	case "fd_filestat_get":
		clear(args[1], 16)
		clear(args[1]+40, 24)
	case "path_filestat_get":
		clear(args[4], 16)
		clear(args[4]+40, 24)
	case "clock_time_get":
		clear(args[2], 8)
	case "random_get":
		if args[0]+args[1] <= page {
			clear(args[0], int(args[1]))
		}
	case "fd_readdir":
		used := uint64(binary.LittleEndian.Uint32(c.read(int(args[4]), 4)))
		b := c.read(int(args[1]), int(used))
		for at := 0; at+8 < len(b); {
			for i := at + 8; i < min(at+16, len(b)); i++ {
				b[i] = 0
			}
			if at+24 > len(b) {
				break
			}
			at += 24 + int(binary.LittleEndian.Uint32(b[at+16:]))
		}
		c.write(int(args[1]), b)
	}
}

// A guest that calls anything with any arguments sees the same as a module and as a
// component, in its memory and in the files.
func TestDifferential(t *testing.T) {
	module, functions := callerModule(t)
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { differential(t, module, functions, seed) })
	}
}

func differential(t *testing.T, module []byte, functions map[string]wasm.FuncType, seed uint64) {
	var callers [2]caller
	var dirs [2]string
	var outputs [2]bytes.Buffer
	for i := range callers {
		dirs[i] = t.TempDir()
		if err := os.MkdirAll(filepath.Join(dirs[i], "b", "c"), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dirs[i], "a"), []byte("contents of a"), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("a", filepath.Join(dirs[i], "l")); err != nil {
			t.Skip(err)
		}
		o := wasi.Options{
			Args: []string{"caller", "argument"}, Env: []string{"A=1", "BB=22"},
			Stdin: strings.NewReader(strings.Repeat("input ", 1000)), Stdout: &outputs[i], Stderr: &outputs[i],
			Dirs: []wasi.Dir{{Host: dirs[i], Guest: "/"}, {Host: filepath.Join(dirs[i], "b"), Guest: "/b"}},
		}
		if i == 0 {
			callers[i] = moduleCaller(t, module, o)
		} else {
			callers[i] = componentCaller(t, module, functions, o)
		}
	}
	r := rand.New(rand.NewPCG(seed, 3))
	g := generator{r: r, both: callers[:]}
	names := make([]string, 0, len(functions))
	for name := range functions {
		names = append(names, name)
	}
	slices.Sort(names)
	counts := map[uint64]int{}
	for step := range 1000 {
		if step%50 == 0 {
			g.fill()
		}
		name := names[r.IntN(len(names))]
		if r.IntN(4) == 0 {
			name = "path_open"
		}
		args := g.arguments(name, functions[name])
		var got [2]uint64
		for i, c := range callers {
			if name == "fd_readdir" {
				// What is being read may be as it was when that began.
				if c.call(name, args[0], args[1], args[2], 0, args[4]) == 0 {
					c.mask(name, args)
				}
			}
			got[i] = c.call(name, args...)
			if got[i] == 0 {
				c.mask(name, args)
			}
		}
		counts[got[0]]++
		if got[0] != got[1] {
			t.Fatalf("step %d: %s%v is %d as a module, %d as a component", step, name, args, got[0], got[1])
		}
		if callers[0].sum() != callers[1].sum() {
			at := differ(callers[0].read(0, page), callers[1].read(0, page))
			t.Fatalf("step %d: after %s%v is %d the memories differ at %d: %x, %x", step, name, args, got[0], at,
				callers[0].read(at&^7, 16), callers[1].read(at&^7, 16))
		}
	}
	if !bytes.Equal(outputs[0].Bytes(), outputs[1].Bytes()) {
		t.Error("what was printed differs")
	}
	if counts[0] < 100 || len(counts) < 8 {
		t.Errorf("results are of little variety: %v", counts)
	}
	if a, b := snapshot(t, dirs[0]), snapshot(t, dirs[1]); !slices.Equal(a, b) {
		t.Errorf("the files differ:\n%.2000q\n%.2000q", a, b)
	}
}

func differ(a, b []byte) int {
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}

// snapshot lists what is in a directory.
func snapshot(t *testing.T, dir string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		entry := name + " " + d.Type().String()
		if d.Type().IsRegular() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			entry += " " + string(b)
		}
		out = append(out, entry)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
