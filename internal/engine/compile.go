package engine

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/tetratelabs/wazero/experimental"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// Origin identifies what modules are made from: what it leads to must depend on
// nothing else but this program.
type Origin struct {
	Digest  [sha256.Size]byte // of the component or module
	Options string            // with which it is rewritten
}

// Source is a core module to compile.
type Source struct {
	// Wasm is the module. It is valid and its import names are non-empty. The
	// engine may append to it.
	Wasm []byte
	// Shell is the same module but for the bodies of its functions, which are
	// unreachable: all that is needed beside native code. The engine decodes it
	// in a fraction of the time.
	Shell []byte
	// Held is what was taken out of the module.
	Held Held
}

// Held is what is to be known of a module beside what the engine has.
type Held struct {
	// Data are active data segments that the module is without, to be copied into its
	// memory when it is instantiated.
	Data []wasm.Data
	// WritesTables tells whether the module has code that changes tables.
	WritesTables bool
}

// CompileError tells which of several modules could not be compiled.
type CompileError struct {
	Index int
	Err   error
}

func (e *CompileError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *CompileError) Unwrap() error { return e.Err }

// CompileCounts counts core modules.
type CompileCounts struct {
	Compiled uint64 // to native code
	Loaded   uint64 // from the cache
}

// Counts returns how many modules were compiled and loaded until now.
func (e *Engine) Counts() CompileCounts {
	return CompileCounts{Compiled: e.compiled.Load(), Loaded: e.loaded.Load()}
}

// CompileAll returns the compiled modules of an origin: from the cache if they
// are there, else sources is called once, what it returns is compiled and left
// in the cache. It ends with ctx. The error is what sources returned, or a
// *CompileError.
func (e *Engine) CompileAll(ctx context.Context, o Origin, sources func() ([]Source, error)) ([]*Module, error) {
	if e.native == nil {
		s, err := sources()
		if err != nil {
			return nil, err
		}
		return e.compileSources(ctx, s, nil)
	}
	key := e.native.key(o)
	// Two that want the same would compile it twice.
	if err := e.native.enter(ctx, key); err != nil {
		return nil, err
	}
	defer e.native.leave(key)
	if modules, ok := e.load(ctx, key); ok {
		return modules, nil
	}
	s, err := sources()
	if err != nil {
		return nil, err
	}
	results := make([]compiled, len(s))
	for i := range s {
		s[i].Wasm, s[i].Shell = mark(s[i].Wasm, key, i), mark(s[i].Shell, key, i)
	}
	modules, err := e.compileSources(ctx, s, func(i int, native []byte) {
		results[i] = compiled{shell: s[i].Shell, held: s[i].Held.encode(), native: native}
	})
	if err != nil {
		return nil, err
	}
	for i := range results {
		if results[i].native == nil {
			// wazero still has it in memory and does not give it away again.
			return modules, nil
		}
	}
	e.native.cache.put(key, entryInfo{digest: o.Digest, build: e.native.build}, encodeCompiled(results))
	return modules, nil
}

// mark appends a custom section that no other module has: wazero takes modules
// of equal bytes for one, and shells of different modules may be equal.
func mark(wasm []byte, key cacheKey, index int) []byte {
	const name = "ashlar:origin"
	wasm = append(wasm, 0, byte(1+len(name)+len(key)+4), byte(len(name)))
	wasm = append(append(wasm, name...), key[:]...)
	return binary.LittleEndian.AppendUint32(wasm, uint32(index))
}

func (e *Engine) compileSources(ctx context.Context, sources []Source, done func(i int, native []byte)) ([]*Module, error) {
	modules := make([]*Module, 0, len(sources))
	for i := range sources {
		var m *Module
		var native []byte
		err := ctx.Err()
		if err == nil && done != nil {
			m, native, err = e.compileAndKeep(ctx, sources[i])
		} else if err == nil {
			m, err = e.Compile(ctx, sources[i])
		}
		if err != nil {
			closeAll(ctx, modules)
			return nil, &CompileError{Index: i, Err: err}
		}
		modules = append(modules, m)
		if done != nil {
			done(i, native)
		}
	}
	return modules, nil
}

func closeAll(ctx context.Context, modules []*Module) {
	for _, m := range modules {
		_ = m.Close(context.WithoutCancel(ctx))
	}
}

// compileAndKeep compiles a module and returns its native code too.
func (e *Engine) compileAndKeep(ctx context.Context, s Source) (*Module, []byte, error) {
	r := e.native.expect(s.Wasm, nil)
	defer e.native.forget(r)
	m, err := e.Compile(ctx, s)
	return m, r.added, err
}

// load returns the modules of an entry, if it is there and wazero takes it.
func (e *Engine) load(ctx context.Context, key cacheKey) ([]*Module, bool) {
	c := e.native.cache
	payload, ok := c.get(key)
	if !ok {
		return nil, false
	}
	entries, err := decodeCompiled(payload)
	var modules []*Module
	for i := range entries {
		if err != nil {
			break
		}
		var m *Module
		if m, err = e.loadShell(ctx, &entries[i]); err == nil {
			modules = append(modules, m)
		}
	}
	if err != nil {
		closeAll(ctx, modules)
		if ctx.Err() == nil {
			c.discard(key, err)
		}
		return nil, false
	}
	e.loaded.Add(uint64(len(modules)))
	return modules, true
}

// loadShell has wazero take the native code for a module's shell.
func (e *Engine) loadShell(ctx context.Context, c *compiled) (*Module, error) {
	held, err := decodeHeld(c.held)
	if err != nil {
		return nil, err
	}
	r := e.native.expect(c.shell, c.native)
	defer e.native.forget(r)
	m, err := e.runtime.CompileModule(experimental.WithCompilationWorkers(ctx, e.workers), c.shell)
	if err != nil {
		return nil, err
	}
	// wazero compiles what it thinks is stale: the shell does nothing but trap.
	if r.stale || r.added != nil {
		return nil, errors.Join(errors.New("the engine refuses the native code"), m.Close(context.WithoutCancel(ctx)))
	}
	return newModule(m, held), nil
}

// buildIdentity tells builds of this module apart whose code may differ. A
// build that is not of a released version or clean commit is known by its file.
func buildIdentity() string {
	const self, wazeroPath = "github.com/ashlar-wasm/ashlar", "github.com/tetratelabs/wazero"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	var b strings.Builder
	exact := true
	describe := func(m *debug.Module) {
		exact = exact && m.Replace == nil && m.Version != "" && m.Version != "(devel)" && !strings.Contains(m.Version, "dirty")
		fmt.Fprintf(&b, "%s %s ", m.Path[strings.LastIndexByte(m.Path, '/')+1:], m.Version)
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Path == self || m.Path == wazeroPath {
			describe(m)
		}
	}
	fmt.Fprintf(&b, "%s %s/%s", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if exact {
		return b.String()
	}
	exe, err := os.Executable()
	if err != nil {
		return ""
	}
	st, err := os.Stat(exe)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%s file %d-%x", b.String(), st.Size(), st.ModTime().UnixNano())
}
