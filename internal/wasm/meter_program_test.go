package wasm_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/internal/engine"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
	"github.com/ashlar-wasm/ashlar/internal/wasm/wasmgen"
)

// execution tells how to execute a program.
type execution struct {
	interpreter bool
	// rewrite edits each module before it is compiled; nil leaves it as it is.
	rewrite func(*wasm.Module)
	meter   bool
	budget  int32 // what yield returns
	fuel    int64 // units after which a metered program is stopped
	counted bool  // the program counts its work
	// watch is called with the work that was charged and done, where the program
	// counts and is metered: whenever the host is called, and at the end. done has
	// instructions and moved bytes and elements. yield tells whether the call is
	// one of yield.
	watch func(charged, done, moved int64, yield bool)
}

// outcome is what can be observed of an execution.
type outcome struct {
	events  []string // host calls, and results of exported functions
	state   []string // globals, tables and memories at the end
	yields  int
	stopped bool // out of fuel
	// overflow tells that the engine's stack was exhausted. Where that happens is
	// no part of a program's meaning.
	overflow bool
}

var errFuel = errors.New("out of fuel")

const tableTrap = "trap: table access"

// program is a program under execution.
type program struct {
	t         *testing.T
	x         execution
	p         *wasmgen.Program
	out       outcome
	instances []*engine.Instance
	counters  []*engine.Func // of what is left of each module's budget
	given     int64
	work      *engine.Func
	moved     *engine.Func
	depth     int
}

// execute runs a program on an engine of its own.
func execute(t *testing.T, p *wasmgen.Program, x execution) *outcome {
	t.Helper()
	ctx := context.Background()
	e := engine.New(engine.Config{Interpreter: x.interpreter})
	defer func() {
		if err := e.Close(ctx); err != nil {
			t.Fatal(err)
		}
	}()
	r := &program{t: t, x: x, p: p, instances: make([]*engine.Instance, len(p.Modules)), counters: make([]*engine.Func, len(p.Modules))}
	provided := map[string]*engine.Instance{}
	imports := func(name string) *engine.Instance { return provided[name] }
	host, err := e.InstantiateHost(ctx, r.host())
	if err != nil {
		t.Fatal(err)
	}
	provided["env"], provided["meter"] = host, host
	mems := e.NewMemories(64 << 20)
	defer mems.Release()
	instantiate := func(b []byte) (*engine.Instance, error) {
		m, err := e.Compile(ctx, engine.Source{Wasm: b})
		if err != nil {
			t.Fatal(err)
		}
		return e.Instantiate(ctx, m, imports, mems)
	}
	if x.counted {
		clock, err := instantiate(wasmgen.Clock())
		if err != nil {
			t.Fatal(err)
		}
		provided["clock"] = clock
		r.work, r.moved = clock.Func("get work"), clock.Func("get bulk")
	}
	for i, m := range p.Modules {
		inst, err := instantiate(r.binary(i))
		if err != nil {
			r.event("instantiate %s: %s", m.Name, r.errorText(err))
			break
		}
		r.instances[i], provided[m.Name] = inst, inst
		if x.meter {
			b := wasmgen.NewBuilder(false)
			g := b.Import(m.Name, "counter", wasm.Extern{Kind: wasm.KindGlobal, Global: wasm.GlobalType{Val: wasm.I32, Mutable: true}})
			b.Export("get", wasm.KindFunc, b.Func(nil, []wasm.ValType{wasm.I32}, nil, func(c *wasmgen.Code) { c.Op(0x23, g) }))
			probe, err := instantiate(b.Module.Encode())
			if err != nil {
				t.Fatal(err)
			}
			r.counters[i] = probe.Func("get")
		}
	}
	r.calls(ctx)
	r.watch(false)
	if !r.out.stopped && !r.out.overflow {
		r.observe(ctx)
	}
	return &r.out
}

// binary returns module i as it is to be compiled.
func (r *program) binary(i int) []byte {
	r.t.Helper()
	m, err := wasm.Decode(r.p.Modules[i].Wasm.Encode())
	if err == nil {
		err = wasm.Validate(m)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	if r.x.rewrite != nil {
		r.x.rewrite(m)
	}
	if r.x.meter {
		m.Meter(wasm.Metering{Module: "meter", Name: fmt.Sprintf("yield %d", i), Counter: "counter", Prefix: "ashlar.",
			Host: func(im *wasm.Import) bool { return im.Module == "env" }})
	}
	b := m.Encode()
	if out, err := wasm.Decode(b); err != nil {
		r.t.Fatalf("the rewritten module %d: %v", i, err)
	} else if err := wasm.Validate(out); err != nil {
		r.t.Fatalf("the rewritten module %d: %v", i, err)
	}
	return b
}

func (r *program) event(format string, args ...any) {
	r.out.events = append(r.out.events, fmt.Sprintf(format, args...))
}

// errorText words an error so that it can be compared, and notes what stops the
// comparison.
func (r *program) errorText(err error) string {
	if errors.Is(err, errFuel) {
		r.out.stopped = true
	}
	var trap *engine.Trap
	if errors.As(err, &trap) {
		if trap.Message == "call stack exhausted" {
			r.out.overflow = true
		}
		if trap.Message == "undefined element" || trap.Message == "out of bounds table access" {
			// The engine has one trap for both. Of a metered module it is known
			// which one it was.
			return tableTrap
		}
		return "trap: " + trap.Message
	}
	var host *engine.HostError
	if errors.As(err, &host) {
		return "host: " + host.Err.Error()
	}
	return "error: " + err.Error()
}

// watch reports the work charged and done.
func (r *program) watch(yield bool) {
	if r.x.watch == nil {
		return
	}
	ctx := context.Background()
	get := func(f *engine.Func) int64 {
		stack := make([]uint64, 1)
		if err := f.Call(ctx, stack); err != nil {
			r.t.Fatal(err)
		}
		return int64(stack[0])
	}
	charged := r.given
	for _, f := range r.counters {
		if f != nil {
			charged -= int64(int32(get(f)))
		} else if !yield {
			return // in a start function, with the counter out of reach
		}
	}
	r.x.watch(charged, get(r.work), get(r.moved), yield)
}

func (r *program) host() []engine.HostFunc {
	calls := map[string]func(ctx context.Context, stack []uint64){
		"log": func(context.Context, []uint64) {},
		"mix": func(_ context.Context, stack []uint64) { stack[0] = stack[0]*31 + uint64(uint32(stack[1])) },
		"scale": func(_ context.Context, stack []uint64) {
			stack[0] = uint64(uint32(stack[0]>>40)) & 0x3fffffff // some number
		},
		"reenter": r.reenter,
		"fail":    func(context.Context, []uint64) { panic(errors.New("the host fails")) },
	}
	var funcs []engine.HostFunc
	for _, h := range wasmgen.Host() {
		f := engine.HostFunc{Name: h.Name, Params: engineTypes(h.Type.Params), Results: engineTypes(h.Type.Results)}
		call := calls[h.Name]
		f.Call = func(ctx context.Context, _ engine.Memory, stack []uint64) {
			r.watch(false)
			for i, t := range h.Type.Params {
				if t == wasm.I32 || t == wasm.F32 {
					stack[i] = uint64(uint32(stack[i])) // the engine leaves anything above
				}
			}
			r.event("%s%x", h.Name, stack[:len(h.Type.Params)])
			call(ctx, stack)
		}
		funcs = append(funcs, f)
	}
	for i := range r.p.Modules {
		funcs = append(funcs, engine.HostFunc{Name: fmt.Sprintf("yield %d", i), Params: []engine.ValType{engine.I32}, Results: []engine.ValType{engine.I32},
			Call: func(_ context.Context, _ engine.Memory, stack []uint64) {
				r.out.yields++
				left := int64(int32(stack[0]))
				if left >= 0 {
					r.t.Errorf("yield was called with %d left", left)
				}
				r.watch(true)
				// What is left is charged; the counter is set to the budget.
				r.given += int64(r.x.budget) - left
				if r.x.fuel -= int64(r.x.budget) - left; r.x.fuel < 0 {
					panic(errFuel)
				}
				stack[0] = uint64(uint32(r.x.budget))
			}})
	}
	return funcs
}

func engineTypes(types []wasm.ValType) []engine.ValType {
	var out []engine.ValType
	for _, t := range types {
		out = append(out, engine.ValType(t))
	}
	return out
}

// reenter calls back into a module, from its host.
func (r *program) reenter(ctx context.Context, stack []uint64) {
	inst := r.instances[int(uint32(stack[0]))%len(r.instances)]
	if inst == nil || r.depth >= 3 {
		stack[0] = 7
		return
	}
	r.depth++
	defer func() { r.depth-- }()
	if err := inst.Func("callback").Call(ctx, stack[:1]); err != nil {
		text := r.errorText(err)
		if r.out.stopped {
			panic(errFuel)
		}
		r.event("reenter: %s", text)
		stack[0] = 9
	}
	stack[0] = uint64(uint32(stack[0]))
}

func (r *program) calls(ctx context.Context) {
	for _, c := range r.p.Calls {
		if r.out.stopped || r.out.overflow {
			return
		}
		inst := r.instances[c.Module]
		if inst == nil {
			continue
		}
		for _, i := range r.instances {
			if i != nil && i.Func("reset") != nil {
				if err := i.Func("reset").Call(ctx, nil); err != nil {
					r.event("reset: %s", r.errorText(err))
				}
			}
		}
		stack := make([]uint64, max(len(c.Args), slots(c.Type.Results)))
		copy(stack, c.Args)
		if err := inst.Func(c.Name).Call(ctx, stack); err != nil {
			r.event("%s.%s: %s", r.p.Modules[c.Module].Name, c.Name, r.errorText(err))
			continue
		}
		r.event("%s.%s: %s", r.p.Modules[c.Module].Name, c.Name, values(c.Type.Results, stack))
	}
}

func slots(types []wasm.ValType) int {
	n := len(types)
	for _, t := range types {
		if t == wasm.V128 {
			n++
		}
	}
	return n
}

// values words results: of references only whether they are null.
func values(types []wasm.ValType, stack []uint64) string {
	var b strings.Builder
	for _, t := range types {
		switch {
		case t == wasm.V128:
			fmt.Fprintf(&b, " %x:%x", stack[0], stack[1])
			stack = stack[1:]
		case t.IsRef():
			fmt.Fprintf(&b, " null:%v", stack[0] == 0)
		case t == wasm.I32 || t == wasm.F32:
			fmt.Fprintf(&b, " %x", uint32(stack[0]))
		default:
			fmt.Fprintf(&b, " %x", stack[0])
		}
		stack = stack[1:]
	}
	return b.String()
}

// observe notes the state that exports show.
func (r *program) observe(ctx context.Context) {
	note := func(format string, args ...any) { r.out.state = append(r.out.state, fmt.Sprintf(format, args...)) }
	for i, m := range r.p.Modules {
		inst := r.instances[i]
		if inst == nil {
			continue
		}
		sizes := map[string]int{}
		for _, f := range m.Probes {
			stack := make([]uint64, 2)
			if err := inst.Func(f.Name).Call(ctx, stack); err != nil {
				note("%s %s: %s", m.Name, f.Name, r.errorText(err))
				continue
			}
			sizes[f.Name] = int(stack[0])
			note("%s %s: %s", m.Name, f.Name, values(f.Type.Results, stack))
		}
		for k, name := range m.Elements {
			null := make([]byte, sizes[fmt.Sprintf("size %d", k)])
			f := inst.Func(name)
			for n := range null {
				stack := []uint64{uint64(n)}
				if err := f.Call(ctx, stack); err != nil {
					note("%s %s %d: %s", m.Name, name, n, r.errorText(err))
				}
				null[n] = byte(stack[0])
			}
			note("%s %s: %x", m.Name, name, digest(null))
		}
		if m.Memory {
			memory, ok := inst.Memory("memory")
			if !ok {
				r.t.Fatal("the memory is not exported")
			}
			note("%s memory: %d bytes %x", m.Name, len(memory.Bytes()), digest(memory.Bytes()))
		}
	}
}

func digest(b []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(b)
	return h.Sum64()
}
