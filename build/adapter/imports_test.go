package adapter_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/ashlar-wasm/ashlar/build/adapter"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// using is a module that imports functions of WASI 0.1 and does nothing with them.
func using(t *testing.T, start string, functions ...string) []byte {
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
	for i, f := range functions {
		at := slices.IndexFunc(all.Exports, func(x wasm.Export) bool { return x.Name == f })
		if at < 0 {
			t.Fatalf("the adapter does not export %s", f)
		}
		m.Types = append(m.Types, types[at].Func)
		m.Imports = append(m.Imports, wasm.Import{
			Module: adapter.Name, Name: f, Extern: wasm.Extern{Kind: wasm.KindFunc, Type: uint32(i)},
		})
	}
	n := uint32(len(functions))
	m.Types = append(m.Types, wasm.FuncType{})
	m.Functions = []wasm.Function{{Type: n}}
	m.Code = []wasm.Body{{Code: []byte{0, 0x0b}}}
	m.Memories = []wasm.Memory{{MemoryType: wasm.MemoryType{Limits: wasm.Limits{Min: 1}, PageSizeLog2: 16}}}
	m.Exports = []wasm.Export{{Name: "memory", Kind: wasm.KindMemory}, {Name: start, Kind: wasm.KindFunc, Index: n}}
	return m.Encode()
}

// A component imports what its program has a use for.
func TestImports(t *testing.T) {
	const (
		environment = "wasi:cli/environment "
		exit        = "wasi:cli/exit "
		stdin       = "wasi:cli/stdin "
		stdout      = "wasi:cli/stderr wasi:cli/stdout "
		terminals   = "wasi:cli/terminal-input wasi:cli/terminal-output wasi:cli/terminal-stderr wasi:cli/terminal-stdin wasi:cli/terminal-stdout "
		monotonic   = "wasi:clocks/monotonic-clock "
		wall        = "wasi:clocks/wall-clock "
		preopens    = "wasi:filesystem/preopens "
		files       = "wasi:filesystem/types "
		ioError     = "wasi:io/error "
		poll        = "wasi:io/poll "
		streams     = "wasi:io/streams "
		random      = "wasi:random/random "
	)
	for _, test := range []struct{ functions, imports string }{
		{"", ""},
		{"sched_yield proc_raise sock_send", ""},
		{"fd_tell fd_renumber", streams},
		{"args_get args_sizes_get", environment},
		{"environ_get", environment},
		{"proc_exit", exit},
		{"random_get", random},
		{"clock_time_get clock_res_get", monotonic + wall},
		{"fd_write", stdout + ioError + streams},
		{"fd_read", stdin + ioError + streams},
		// A greeting in Rust, and in C.
		{"environ_get environ_sizes_get fd_write proc_exit", environment + exit + stdout + ioError + streams},
		{"fd_close fd_fdstat_get fd_seek fd_write proc_exit", exit + stdout + terminals + ioError + streams},
		{"poll_oneoff", stdin + stdout + monotonic + wall + poll + streams},
		{"path_create_directory", preopens + files},
		{"fd_prestat_get fd_prestat_dir_name path_filestat_get", wall + preopens + files},
	} {
		module := using(t, "_start", strings.Fields(test.functions)...)
		got := imports(t, componentOf(t, module, adapter.Options{}))
		want := strings.Fields(test.imports)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("with %s imports are\n%s, want\n%s", test.functions, got, want)
		}
	}
}

// What is embedded is valid, and asks for nothing but WASI 0.2.0 and the guest.
func TestModules(t *testing.T) {
	for name, code := range map[string][]byte{"command": adapter.Command(), "reactor": adapter.Reactor()} {
		m, err := wasm.Decode(code)
		if err != nil {
			t.Fatal(err)
		}
		if err := wasm.Validate(m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(m.Memories) != 1 || m.Memories[0].Limits.Min != 1 || m.Start != nil || len(m.Elements) > 0 {
			t.Errorf("%s: memories %v, start function %v, %d element segments", name, m.Memories, m.Start, len(m.Elements))
		}
		for _, im := range m.Imports {
			of := strings.TrimPrefix(im.Module, "__main_memory__|")
			ok := strings.HasPrefix(of, "wasi:") && strings.HasSuffix(of, "@0.2.0") && !strings.HasPrefix(of, "wasi:sockets") ||
				im.Module == "__main_memory__" || im.Module == "__main_module__" && im.Name == "_start"
			if im.Kind != wasm.KindFunc || !ok {
				t.Errorf("%s imports %s %s of %s", name, im.Kind, im.Name, im.Module)
			}
		}
		runs := slices.ContainsFunc(m.Exports, func(x wasm.Export) bool { return x.Name == "wasi:cli/run@0.2.0#run" })
		if runs != (name == "command") {
			t.Errorf("%s: exports run is %t", name, runs)
		}
	}
	if _, err := adapter.For([]byte("\x00asm\x01"), adapter.Options{}); err == nil {
		t.Error("a damaged module has an adapter")
	}
}
