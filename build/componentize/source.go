package componentize

import (
	"github.com/ashlar-wasm/ashlar/internal/binary"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
	"github.com/ashlar-wasm/ashlar/wit"
)

// source is where an import of a core module comes from.
type source struct {
	// key is the same for sources that are the same.
	key string
	// debug is a name for people.
	debug string
	sort  binary.Sort
	typ   wasm.FuncType // of functions
	// after are the modules whose instances it needs. Where one of them is not there
	// yet, the import goes through the shim's table.
	after []*coreModule
	// define defines it in the component and returns its index.
	define func(*assembler) (uint32, error)
	// What it uses of the world's imports.
	item     *wit.WorldItem
	function *wit.Function
	types    []wit.Type
}

// options are the canonical options of a function.
type options struct {
	needs    needs
	memory   *coreExport
	realloc  *coreExport
	encoding Encoding
	async    bool
}

// coreExport is an export of a module that is linked. Where module is nil it is one of
// the shim.
type coreExport struct {
	module *coreModule
	name   string
}

// after returns the modules whose instances the options need.
func (o *options) after() []*coreModule {
	var out []*coreModule
	if o.needs&needMemory != 0 && o.memory.module != nil {
		out = append(out, o.memory.module)
	}
	if o.needs&needRealloc != 0 {
		out = append(out, o.realloc.module)
	}
	return out
}
