package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/ashlar-wasm/ashlar/internal/engine"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
	"github.com/ashlar-wasm/ashlar/internal/wasm/wasmgen"
)

// coreScript is a script of the core specification, in the layout of wast2json.
type coreScript struct {
	Commands []coreCommand `json:"commands"`
}

type coreCommand struct {
	Type       string      `json:"type"`
	Line       int         `json:"line"`
	Name       string      `json:"name"`
	As         string      `json:"as"`
	Filename   string      `json:"filename"`
	ModuleType string      `json:"module_type"`
	Text       string      `json:"text"`
	Action     coreAction  `json:"action"`
	Expected   []coreValue `json:"expected"`
}

type coreAction struct {
	Type   string      `json:"type"`
	Module string      `json:"module"`
	Field  string      `json:"field"`
	Args   []coreValue `json:"args"`
}

// coreValue is a constant, or a pattern of them.
type coreValue struct {
	Type  string          `json:"type"`
	Lane  string          `json:"lane_type"`
	Value json.RawMessage `json:"value"`
}

// coreInstance is an instance of a core module.
type coreInstance struct {
	*engine.Instance
	types map[string]wasm.FuncType // of its exported functions
}

// coreRunner runs one script. Where budget is not nil, modules are metered, and
// yield returns that.
type coreRunner struct {
	dir        string
	budget     *int32
	engine     *engine.Engine
	mems       *engine.Memories
	registered map[string]*engine.Instance
	names      map[string]*coreInstance
	last       *coreInstance
	yields     int
}

// runCore runs one script and returns how many of its commands passed, how many
// there are, and how often a metered module yielded.
func runCore(ctx context.Context, file string, budget *int32) (passed, total, yields int) {
	b, err := os.ReadFile(file)
	var s coreScript
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil {
		fmt.Printf("%s: %v\n", file, err)
		return 0, 1, 0
	}
	e := engine.New(engine.Config{})
	r := &coreRunner{dir: filepath.Dir(file), budget: budget, engine: e, mems: e.NewMemories(1 << 33),
		registered: map[string]*engine.Instance{}, names: map[string]*coreInstance{}}
	defer func() {
		_ = e.Close(ctx)
		r.mems.Release()
	}()
	if err := r.start(ctx); err != nil {
		fmt.Printf("%s: %v\n", file, err)
		return 0, len(s.Commands), 0
	}
	for i := range s.Commands {
		c := &s.Commands[i]
		if err := r.command(ctx, c); err != nil {
			fmt.Printf("%s:%d: %s: %v\n", file, c.Line, c.Type, err)
			continue
		}
		passed++
	}
	return passed, len(s.Commands), r.yields
}

// start instantiates what every script may import.
func (r *coreRunner) start(ctx context.Context) error {
	host, err := r.engine.InstantiateHost(ctx, []engine.HostFunc{{
		Name: "yield", Params: []engine.ValType{engine.I32}, Results: []engine.ValType{engine.I32},
		Call: func(_ context.Context, _ engine.Memory, stack []uint64) {
			r.yields++
			stack[0] = uint64(uint32(*r.budget))
		},
	}})
	if err != nil {
		return err
	}
	r.registered["ashlar meter"] = host
	i, err := r.instantiate(ctx, spectest())
	if err != nil {
		return err
	}
	r.registered["spectest"] = i.Instance
	return nil
}

// spectest returns the module "spectest", as the README of the specification's
// tests has it. Its functions do nothing.
func spectest() []byte {
	b := wasmgen.NewBuilder(false)
	for _, params := range [][]wasm.ValType{nil, {wasm.I32}, {wasm.I64}, {wasm.F32}, {wasm.F64}, {wasm.I32, wasm.F32}, {wasm.F64, wasm.F64}} {
		name := "print"
		for _, p := range params {
			name += "_" + p.String()
		}
		b.Export(name, wasm.KindFunc, b.Func(params, nil, nil, func(*wasmgen.Code) {}))
	}
	global := func(name string, t wasm.ValType, init func(*wasmgen.Code)) {
		b.Export(name, wasm.KindGlobal, b.Global(wasm.GlobalType{Val: t}, wasmgen.Expr(init)))
	}
	global("global_i32", wasm.I32, func(c *wasmgen.Code) { c.I32(666) })
	global("global_i64", wasm.I64, func(c *wasmgen.Code) { c.I64(666) })
	global("global_f32", wasm.F32, func(c *wasmgen.Code) { c.F32(math.Float32bits(666.6)) })
	global("global_f64", wasm.F64, func(c *wasmgen.Code) { c.F64(math.Float64bits(666.6)) })
	b.Export("table", wasm.KindTable, b.Table(wasm.FuncRef, 10, 20))
	b.Memory(1, 2)
	b.Export("memory", wasm.KindMemory, 0)
	return b.Module.Encode()
}

func (r *coreRunner) command(ctx context.Context, c *coreCommand) error {
	switch c.Type {
	case "module":
		i, err := r.load(ctx, c.Filename)
		r.last = i
		if err != nil {
			return err
		}
		if c.Name != "" {
			r.names[c.Name] = i
		}
		return nil
	case "register":
		i := r.instance(c.Name)
		if i == nil {
			return fmt.Errorf("no instance %q", c.Name)
		}
		r.registered[c.As] = i.Instance
		return nil
	case "assert_malformed", "assert_invalid":
		if c.ModuleType == "text" {
			return nil
		}
		b, err := os.ReadFile(filepath.Join(r.dir, c.Filename))
		if err != nil {
			return err
		}
		var refused *wasm.Error
		if _, err := decodeCore(b); !errors.As(err, &refused) {
			return fmt.Errorf("expected %q, got: %v", c.Text, err)
		}
		return nil
	case "assert_unlinkable", "assert_uninstantiable":
		_, err := r.load(ctx, c.Filename)
		if c.Type == "assert_uninstantiable" {
			return expectTrap(err, c.Text)
		}
		if err == nil {
			return fmt.Errorf("linked, but expected %q", c.Text)
		}
		return nil
	case "action":
		_, _, err := r.act(ctx, &c.Action)
		return err
	case "assert_return":
		types, got, err := r.act(ctx, &c.Action)
		if err != nil {
			return err
		}
		return matchCore(types, got, c.Expected)
	case "assert_trap", "assert_exhaustion", "assert_exception":
		_, _, err := r.act(ctx, &c.Action)
		return expectTrap(err, c.Text)
	}
	return fmt.Errorf("command %q is not known", c.Type)
}

func expectTrap(err error, text string) error {
	var trap *engine.Trap
	if !errors.As(err, &trap) {
		return fmt.Errorf("expected the trap %q, got: %v", text, err)
	}
	if strings.HasPrefix(trap.Message, text) || strings.HasPrefix(text, trap.Message) {
		return nil
	}
	// The engine has one trap for all that may be wrong with a table.
	table := []string{"undefined", "uninitialized", "out of bounds table access"}
	like := func(s string) bool {
		return slices.ContainsFunc(table, func(t string) bool { return strings.HasPrefix(s, t) })
	}
	if like(trap.Message) && like(text) {
		return nil
	}
	return fmt.Errorf("expected the trap %q, got %q", text, trap.Message)
}

func decodeCore(b []byte) (*wasm.Module, error) {
	m, err := wasm.Decode(b)
	if err == nil {
		err = wasm.Validate(m)
	}
	return m, err
}

func (r *coreRunner) load(ctx context.Context, file string) (*coreInstance, error) {
	b, err := os.ReadFile(filepath.Join(r.dir, file))
	if err != nil {
		return nil, err
	}
	return r.instantiate(ctx, b)
}

// getter is the name of the function that returns the value of an exported global.
func getter(global string) string { return "get of " + global }

func (r *coreRunner) instantiate(ctx context.Context, b []byte) (*coreInstance, error) {
	m, err := decodeCore(b)
	if err != nil {
		return nil, err
	}
	types, err := m.ExportTypes()
	if err != nil {
		return nil, err
	}
	i := &coreInstance{types: map[string]wasm.FuncType{}}
	for n, x := range slices.Clone(m.Exports) {
		switch x.Kind {
		case wasm.KindFunc:
			i.types[x.Name] = types[n].Func
		case wasm.KindGlobal:
			t := wasm.FuncType{Results: []wasm.ValType{types[n].Global.Val}}
			i.types[getter(x.Name)] = t
			m.Exports = append(m.Exports, wasm.Export{Name: getter(x.Name), Kind: wasm.KindFunc, Index: uint32(len(m.Space().Funcs))})
			m.Functions = append(m.Functions, wasm.Function{Type: uint32(len(m.Types))})
			m.Types = append(m.Types, t)
			body := wasmgen.Expr(func(c *wasmgen.Code) { c.Op(0x23, x.Index) })
			m.Code = append(m.Code, wasm.Body{Code: append([]byte{0}, body...)})
		}
	}
	m.CheckElements(engine.ElementsFunc)
	if r.budget != nil {
		m.Meter(wasm.Metering{Module: "ashlar meter", Name: "yield", Prefix: "ashlar.",
			Host: func(im *wasm.Import) bool { return im.Module == "spectest" }})
	}
	b = m.Encode()
	if _, err := decodeCore(b); err != nil {
		return nil, fmt.Errorf("rewritten: %w", err)
	}
	code, err := r.engine.Compile(ctx, engine.Source{Wasm: b})
	if err != nil {
		return nil, err
	}
	i.Instance, err = r.engine.Instantiate(ctx, code, func(name string) *engine.Instance { return r.registered[name] }, r.mems)
	if err != nil {
		return nil, err
	}
	return i, nil
}

func (r *coreRunner) instance(name string) *coreInstance {
	if name == "" {
		return r.last
	}
	return r.names[name]
}

// act calls a function or reads a global, and returns the results with their types.
func (r *coreRunner) act(ctx context.Context, a *coreAction) ([]wasm.ValType, []uint64, error) {
	i := r.instance(a.Module)
	if i == nil {
		return nil, nil, fmt.Errorf("no instance %q", a.Module)
	}
	name := a.Field
	if a.Type == "get" {
		name = getter(name)
	}
	t, ok := i.types[name]
	if !ok {
		return nil, nil, fmt.Errorf("no export %q", a.Field)
	}
	var args []uint64
	for n := range a.Args {
		bits, _, err := a.Args[n].words()
		if err != nil {
			return nil, nil, err
		}
		args = append(args, bits...)
	}
	stack := make([]uint64, max(len(args), 2*len(t.Results)))
	copy(stack, args)
	return t.Results, stack, i.Func(name).Call(ctx, stack)
}

// words returns a value as the engine takes it, and masks of the bits that a result
// must have in common with it: only some, where any NaN will do.
func (v *coreValue) words() (bits, mask []uint64, err error) {
	if v.Type != "v128" {
		var s string
		if err := json.Unmarshal(v.Value, &s); err != nil {
			return nil, nil, err
		}
		b, m, err := laneBits(v.Type, s)
		return []uint64{b}, []uint64{m}, err
	}
	var lanes []string
	if err := json.Unmarshal(v.Value, &lanes); err != nil {
		return nil, nil, err
	}
	bits, mask = make([]uint64, 2), make([]uint64, 2)
	for n, s := range lanes {
		b, m, err := laneBits(v.Lane, s)
		if err != nil {
			return nil, nil, err
		}
		at := n * 128 / len(lanes)
		bits[at/64] |= b << (at % 64)
		mask[at/64] |= m << (at % 64)
	}
	return bits, mask, nil
}

// laneBits reads a number, or a reference by its number.
func laneBits(t, s string) (bits, mask uint64, err error) {
	width := 64
	if n, err := strconv.Atoi(strings.TrimLeft(t, "if")); err == nil {
		width = n
	}
	mask = math.MaxUint64 >> (64 - width)
	quiet := map[string]uint64{"f32": 0x7fc00000, "f64": 0x7ff8000000000000}[t]
	switch {
	case s == "nan:canonical": // of either sign
		return quiet, mask >> 1, nil
	case s == "nan:arithmetic":
		return quiet, quiet, nil
	case s == "null":
		return 0, mask, nil
	}
	bits, err = strconv.ParseUint(s, 10, 64)
	if strings.HasSuffix(t, "ref") {
		bits++ // to the engine, 0 is null
	}
	return bits & mask, mask, err
}

// matchCore compares results with what a script expects.
func matchCore(types []wasm.ValType, got []uint64, want []coreValue) error {
	if len(types) != len(want) {
		return fmt.Errorf("%d results, expected %d", len(types), len(want))
	}
	for n := range want {
		bits, mask, err := want[n].words()
		if err != nil {
			return err
		}
		for i := range bits {
			if (got[i]^bits[i])&mask[i] != 0 {
				return fmt.Errorf("result %d is %#x, expected %s", n, got[:len(bits)], want[n].Value)
			}
		}
		got = got[len(bits):]
	}
	return nil
}
