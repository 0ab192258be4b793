package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/ashlar-wasm/ashlar/component"
	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/engine"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// script is a script in the layout of json-from-wast.
type script struct {
	Source   string    `json:"source_filename"`
	Commands []command `json:"commands"`
}

type command struct {
	Type       string  `json:"type"`
	Line       int     `json:"line"`
	Name       string  `json:"name"`
	As         string  `json:"as"`
	Filename   string  `json:"filename"`
	Binary     string  `json:"binary_filename"`
	ModuleType string  `json:"module_type"`
	Text       string  `json:"text"`
	Instance   string  `json:"instance"`
	Module     string  `json:"module"`
	Encodes    bool    `json:"encodes"`
	ParseError string  `json:"parse_error"`
	Action     *action `json:"action"`
	Expected   []value `json:"expected"`
}

type action struct {
	Type   string  `json:"type"`
	Module string  `json:"module"`
	Field  string  `json:"field"`
	Args   []value `json:"args"`
}

// instance is what scripts act on: a component instance or a core one.
type instance struct {
	component *component.Instance
	core      *engine.Instance
	types     map[string]wasm.FuncType // of the core one's exports
}

// definition is a component or core module, compiled and not instantiated.
type definition struct {
	component *component.Component
	core      []byte
}

type runner struct {
	dir    string
	texts  bool
	engine *component.Engine
	linker *component.Linker
	last   *instance
	names  map[string]*instance
	defs   map[string]*definition
	def    *definition
	close  []func()
}

// runScript runs one script and returns how many of its commands passed.
func runScript(ctx context.Context, file string, texts bool) (passed, total int) {
	b, err := os.ReadFile(file)
	var s script
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil {
		fmt.Printf("%s: %v\n", file, err)
		return 0, 1
	}
	r := &runner{dir: filepath.Dir(file), texts: texts, names: map[string]*instance{}, defs: map[string]*definition{}}
	r.engine = component.NewEngine(component.Options{Limits: component.Limits{MemoryBytes: 4 << 30}})
	r.linker = r.engine.NewLinker()
	if err := defineHost(r.engine, r.linker); err != nil {
		fmt.Printf("%s: %v\n", file, err)
		return 0, len(s.Commands)
	}
	for _, c := range s.Commands {
		total++
		if err := r.try(ctx, &c); err != nil {
			fmt.Printf("%s:%d: %s: %v\n", s.Source, c.Line, c.Type, err)
			continue
		}
		passed++
	}
	for _, f := range r.close {
		f()
	}
	_ = r.engine.Close(ctx)
	return passed, total
}

// commandTime is how long a command may take; a guest that yields for ever is
// ended by it.
const commandTime = 10 * time.Second

// try runs a command; a panic of the code under test is a failure of it.
func (r *runner) try(ctx context.Context, c *command) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("PANIC: %v\n%s", p, debug.Stack())
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	return r.command(ctx, c)
}

func (r *runner) command(ctx context.Context, c *command) error {
	switch c.Type {
	case "module":
		d, err := r.define(ctx, c.Filename)
		if err != nil {
			return err
		}
		r.def = d
		err = r.instantiate(ctx, d, c.Name)
		var missing *component.LinkError
		if errors.As(err, &missing) && notProvided(missing) {
			// wasm-tools' scripts are there to be validated: they import what
			// no host has. Acting on such a component fails.
			r.last = nil
			return nil
		}
		return err
	case "module_definition":
		d, err := r.define(ctx, c.Filename)
		if err != nil {
			return err
		}
		r.def, r.defs[c.Name] = d, d
		return nil
	case "module_instance":
		d := r.def
		if c.Module != "" {
			d = r.defs[c.Module]
		}
		if d == nil {
			return fmt.Errorf("no definition %q", c.Module)
		}
		return r.instantiate(ctx, d, c.Instance)
	case "register":
		i := r.instance(c.Name)
		if i == nil || i.component == nil {
			return fmt.Errorf("no component instance %q to register", c.Name)
		}
		return r.linker.DefineInstance(c.As, i.component)
	case "assert_invalid", "assert_malformed":
		return r.refused(ctx, c)
	case "assert_unlinkable", "assert_uninstantiable":
		d, err := r.define(ctx, c.Filename)
		if err == nil {
			err = r.instantiate(ctx, d, "")
		}
		if err == nil {
			return errors.New("instantiated, but should not")
		}
		var trap *component.Trap
		if c.Type == "assert_uninstantiable" && (!errors.As(err, &trap) || !strings.Contains(err.Error(), c.Text)) {
			return fmt.Errorf("expected the trap %q, got: %v", c.Text, err)
		}
		return nil
	case "action":
		_, err := r.invoke(ctx, c.Action)
		return err
	case "assert_return":
		got, err := r.invoke(ctx, c.Action)
		if err != nil {
			return err
		}
		return match(got, c.Expected)
	case "assert_trap", "assert_exhaustion":
		_, err := r.invoke(ctx, c.Action)
		var trap *component.Trap
		var core *engine.Trap
		switch {
		case err == nil:
			return fmt.Errorf("expected the trap %q, but it returned", c.Text)
		case !errors.As(err, &trap) && !errors.As(err, &core):
			return fmt.Errorf("expected the trap %q, got: %v", c.Text, err)
		case !sameTrap(err.Error(), c.Text):
			return fmt.Errorf("expected the trap %q, got: %v", c.Text, err)
		}
		return nil
	default:
		return fmt.Errorf("command %q is not known", c.Type)
	}
}

// notProvided tells that what is wrong with the imports is only that nobody
// offers them.
func notProvided(e *component.LinkError) bool {
	for _, m := range e.Missing {
		if m.Reason != "" {
			return false
		}
	}
	return true
}

// sameTrap compares trap texts; wasmtime words those of core instructions in
// its own way.
func sameTrap(got, want string) bool {
	want = strings.TrimPrefix(want, "wasm trap: ")
	if want == "wasm `unreachable` instruction executed" {
		want = "unreachable"
	}
	return strings.Contains(got, want)
}

// refused checks that a binary is refused as malformed or invalid.
func (r *runner) refused(ctx context.Context, c *command) error {
	if c.ModuleType == "text" {
		if !c.Encodes {
			return nil // the text format refuses it before there is a binary
		}
		return errors.New("the text was encoded, but there is no binary to refuse")
	}
	_, err := r.define(ctx, c.Filename)
	if err == nil {
		return fmt.Errorf("accepted, but is invalid: %s", c.Text)
	}
	var be *binary.Error
	var we *wasm.Error
	if !errors.As(err, &be) && !errors.As(err, &we) {
		return fmt.Errorf("expected %q, but it was not found invalid: %v", c.Text, err)
	}
	if r.texts && !strings.Contains(err.Error(), c.Text) {
		return fmt.Errorf("expected %q, got: %v", c.Text, err)
	}
	return nil
}

func (r *runner) define(ctx context.Context, file string) (*definition, error) {
	b, err := os.ReadFile(filepath.Join(r.dir, file))
	if err != nil {
		return nil, err
	}
	if binary.KindOf(b) == binary.KindModule {
		m, err := wasm.Decode(b)
		if err == nil {
			err = wasm.Validate(m)
		}
		return &definition{core: b}, err
	}
	c, err := r.engine.Compile(ctx, b)
	return &definition{component: c}, err
}

func (r *runner) instantiate(ctx context.Context, d *definition, name string) error {
	i := &instance{}
	if d.component == nil {
		if err := i.instantiateCore(ctx, r.engine, d.core); err != nil {
			return err
		}
	} else {
		p, err := r.linker.Prepare(ctx, d.component)
		if err != nil {
			return err
		}
		if i.component, err = p.Instantiate(ctx); err != nil {
			return err
		}
		r.close = append(r.close, func() { _ = i.component.Close(ctx) })
		if name != "" {
			r.linker.Root().Remove(name) // a later instance of a name shadows
			if err := r.linker.DefineInstance(name, i.component); err != nil {
				return err
			}
		}
	}
	r.last = i
	if name != "" {
		r.names[name] = i
	}
	return nil
}

func (i *instance) instantiateCore(ctx context.Context, e *component.Engine, b []byte) error {
	m, err := wasm.Decode(b)
	if err != nil {
		return err
	}
	types, err := m.ExportTypes()
	if err != nil {
		return err
	}
	i.types = map[string]wasm.FuncType{}
	for n, x := range m.Exports {
		i.types[x.Name] = types[n].Func
	}
	code, err := e.Core().Compile(ctx, engine.Source{Wasm: b})
	if err != nil {
		return err
	}
	i.core, err = e.Core().Instantiate(ctx, code, func(string) *engine.Instance { return nil }, e.Core().NewMemories(1<<30))
	return err
}

func (r *runner) instance(name string) *instance {
	if name == "" {
		return r.last
	}
	return r.names[name]
}

func (r *runner) invoke(ctx context.Context, a *action) ([]component.Val, error) {
	i := r.instance(a.Module)
	if i == nil {
		return nil, fmt.Errorf("no instance %q", a.Module)
	}
	if a.Type != "invoke" {
		return nil, fmt.Errorf("action %q is not known", a.Type)
	}
	if i.component == nil {
		return i.invokeCore(ctx, a)
	}
	f, ok := i.component.Func("", a.Field)
	if !ok {
		return nil, fmt.Errorf("no exported function %q", a.Field)
	}
	args := make([]component.Val, len(a.Args))
	for n := range a.Args {
		if n >= len(f.Type().Params) {
			return nil, fmt.Errorf("too many arguments for %s", f.Type())
		}
		v, err := a.Args[n].val(f.Type().Params[n].Type)
		if err != nil {
			return nil, err
		}
		args[n] = v
	}
	result, err := f.Call(ctx, args)
	if err != nil || f.Type().Result == nil {
		return nil, err
	}
	return []component.Val{result}, nil
}

func (i *instance) invokeCore(ctx context.Context, a *action) ([]component.Val, error) {
	f := i.core.Func(a.Field)
	if f == nil {
		return nil, fmt.Errorf("no exported function %q", a.Field)
	}
	t := i.types[a.Field]
	stack := make([]uint64, max(len(t.Params), len(t.Results)))
	for n := range a.Args {
		bits, err := a.Args[n].bits()
		if err != nil {
			return nil, err
		}
		stack[n] = bits
	}
	if err := f.Call(ctx, stack); err != nil {
		return nil, err
	}
	out := make([]component.Val, len(t.Results))
	for n, rt := range t.Results {
		switch rt {
		case wasm.I32:
			out[n] = component.U32Val(stack[n])
		default:
			out[n] = component.U64Val(stack[n])
		}
	}
	return out, nil
}
