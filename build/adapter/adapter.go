// Package adapter holds the adapter that makes components of core modules that
// were compiled for WASI 0.1: a core module that offers the functions of
// wasi_snapshot_preview1 and asks for those of WASI 0.2. Package componentize
// links it.
//
// The adapter leaves the module's memory alone: it has one of its own, never lets
// that of the module grow, and calls none of its functions but _start. What is read
// and written goes straight between the host and the buffer that the module gave;
// where the result of such a call must be beside it, 16 bytes of the module's
// memory, clear of the buffer, hold that for as long as the call takes.
//
// It does what package wasi does for modules that run as such: an address outside of
// the memory, for one, is EFAULT. The differences are those of the interfaces: files
// have one device number and a hash for the number of the inode; fd_allocate makes a
// file longer but reserves nothing; that too many files are open is ENOMEM and not
// ENFILE where the host says so; exit codes need Options.ExitCodes; and what the host
// can't say but as EIO is EIO. Where reading or writing could not tell how much it
// did, for the address of that is bad, it does nothing.
package adapter

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

//go:generate go run generate.go

// Name is the module name that the adapter stands for.
const Name = "wasi_snapshot_preview1"

// source is what is compiled from c: all features, and a section for each world.
//
//go:embed adapter.wasm
var source []byte

// A feature is a part of the adapter that is left out where it is of no use, and
// with it the interfaces that it needs. Its functions are exported as
// feature:function.
type feature string

const (
	// files are of use to programs that can name a path.
	files feature = "files"
	// pollables are descriptors that wait for pollables.
	pollables feature = "pollables"
	// codes are exit codes other than 0 and 1.
	codes feature = "codes"
	// environment, exit and terminals are for programs that somebody runs.
	environment feature = "environment"
	exit        feature = "exit"
	terminals   feature = "terminals"
)

var features = []feature{files, pollables, codes, environment, exit, terminals}

// Command returns the adapter for modules that export _start, with everything that
// any host of WASI 0.2 has.
func Command() []byte { return build("command", files, pollables, environment, exit, terminals) }

// Reactor returns the adapter for all other modules, with everything that any host
// of WASI 0.2 has.
func Reactor() []byte { return build("reactor", files, pollables, environment, exit, terminals) }

// Options say what the adapter is to be like.
type Options struct {
	// ExitCodes makes proc_exit tell the host any code from 0 to 255, by
	// wasi:cli/exit.exit-with-code: hosts before WASI 0.2.12 refuse such a
	// component. Else there is success and failure.
	ExitCodes bool
	// Proxy is for hosts that offer what wasi:http/proxy lists and nothing else:
	// there are no arguments, variables, terminals and files, and proc_exit is a trap.
	Proxy bool
}

// For returns the adapter for a module: the command if it exports _start, and only
// what it can have a use for. A module that imports no function that takes a path,
// reads a directory or tells of open directories has standard streams only, and all
// other descriptors are closed.
func For(module []byte, o Options) ([]byte, error) {
	m, err := wasm.Decode(module)
	if err != nil {
		return nil, fmt.Errorf("decode module: %w", err)
	}
	use := []feature{environment, exit, terminals}
	if o.ExitCodes {
		use = append(use, codes)
	}
	if o.Proxy {
		use = nil
	}
	for _, im := range m.Imports {
		if im.Module != Name {
			continue
		}
		if f := featureOf(im.Name); f != "" && !(o.Proxy && f == files) {
			use = append(use, f)
		}
	}
	world := "reactor"
	if slices.ContainsFunc(m.Exports, func(x wasm.Export) bool { return x.Kind == wasm.KindFunc && x.Name == "_start" }) {
		world = "command"
	}
	return build(world, use...), nil
}

// featureOf returns the feature that a function of the adapter gives access to.
func featureOf(function string) feature {
	switch {
	case function == "pollable_fd":
		return pollables
	case function == "fd_readdir", strings.HasPrefix(function, "fd_prestat_"), strings.HasPrefix(function, "path_"):
		return files
	}
	return ""
}

// needsFile tells the functions that do nothing for descriptors other than files and
// directories.
func needsFile(function string) bool {
	switch function {
	case "fd_advise", "fd_allocate", "fd_filestat_set_size", "fd_filestat_set_times", "fd_pread", "fd_pwrite":
		return true
	}
	return featureOf(function) == files
}

const (
	exitModule      = "wasi:cli/exit@0.2.0"
	exitCodesModule = "wasi:cli/exit@0.2.12"
)

// build returns the adapter with a world and some of the features.
func build(world string, use ...feature) []byte {
	m, err := wasm.Decode(source)
	if err != nil {
		panic("adapter: " + err.Error()) // it was validated when it was made
	}
	imported := 0
	for _, im := range m.Imports {
		if im.Kind == wasm.KindFunc {
			imported++
		}
	}
	m.Exports = slices.DeleteFunc(m.Exports, func(x wasm.Export) bool {
		of, _, marked := strings.Cut(x.Name, ":")
		marked = marked && slices.Contains(features, feature(of))
		i := int(x.Index) - imported
		switch {
		case marked && !slices.Contains(use, feature(of)):
			m.Code[i].Code = returning(m.Types[m.Functions[i].Type], 0)
		case needsFile(x.Name) && !slices.Contains(use, files):
			m.Code[i].Code = returning(m.Types[m.Functions[i].Type], badf)
		}
		return marked
	})
	worlds := []string{world}
	if slices.Contains(use, codes) {
		worlds = append(worlds, "codes")
	}
	m.RenameImports(func(_ int, im wasm.Import) (string, string) {
		switch {
		case slices.Contains(use, codes) && im.Module == exitModule:
			return exitCodesModule, im.Name
		case !slices.Contains(use, codes) && im.Module == exitCodesModule:
			return exitModule, "exit" // never called
		}
		return im.Module, im.Name
	})
	m.Customs = slices.DeleteFunc(m.Customs, func(c wasm.Custom) bool {
		of, ok := strings.CutPrefix(c.Name, "world:")
		return ok && !slices.Contains(worlds, of)
	})
	for i := range m.Customs {
		if of, ok := strings.CutPrefix(m.Customs[i].Name, "world:"); ok {
			m.Customs[i].Name = "component-type:wasi-0.1-" + of
		}
	}
	if world == "reactor" {
		m.Exports = slices.DeleteFunc(m.Exports, func(x wasm.Export) bool { return strings.HasPrefix(x.Name, "wasi:cli/run@") })
	}
	return m.Encode()
}

// badf is an errno of WASI 0.1.
const badf = 8

// returning is the body of a function that returns a number below 64, or nothing.
func returning(t wasm.FuncType, n byte) []byte {
	body := []byte{0} // no locals
	for range t.Results {
		body = append(body, 0x41, n) // i32.const
	}
	return append(body, 0x0b) // end
}
