package engine

import (
	"fmt"

	"github.com/ashlar-wasm/ashlar/internal/limit"
	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// Footprint is what instances of modules take of the host, beside their memories and
// what tables grow by.
type Footprint struct {
	elements uint64 // of tables
	growing  uint64 // tables that may grow
	bytes    uint64 // of all else, about
}

// maxFootprint bounds the bytes. Modules by compilers need some thousand.
const maxFootprint = 32 << 20

// What the engine allocates for an instance, in bytes, rounded up.
const (
	importBytes  = 96
	globalBytes  = 128
	tableBytes   = 128
	elementBytes = 56 // of a segment, with the reference to a function that it may be
)

// FootprintOf returns the footprint of one instance of a valid module.
func FootprintOf(m *wasm.Module) Footprint {
	f := Footprint{bytes: uint64(len(m.Imports))*importBytes + uint64(len(m.Globals))*globalBytes + uint64(len(m.Tables))*tableBytes}
	for i := range m.Tables {
		l := &m.Tables[i].Limits
		f.elements += min(l.Min, 1<<32)
		if !l.HasMax || l.Max > l.Min {
			f.growing++
		}
	}
	for i := range m.Elements {
		f.bytes += uint64(len(m.Elements[i].Funcs)+len(m.Elements[i].Exprs)+1) * elementBytes
	}
	return f
}

// Add adds that of another instance. The error is a *limit.Error if tables have more
// than so many elements together, or tells that the rest is too much.
func (f *Footprint) Add(g Footprint, elements uint64) error {
	f.elements += g.elements
	f.growing += g.growing
	f.bytes += g.bytes
	if f.elements > elements {
		return &limit.Error{Resource: limit.Tables, Limit: elements, Requested: f.elements}
	}
	if f.bytes > maxFootprint {
		return fmt.Errorf("imports, globals and elements of the core instances take %d bytes or more of the host, at most %d are allowed", f.bytes, maxFootprint)
	}
	return nil
}

// Reserve sets a share apart, as large as that of one table, for an instance of a module
// that is not known yet.
func (f *Footprint) Reserve() { f.growing++ }

// Growth returns by how many elements each table may grow, such that there are never
// more than so many together.
func (f *Footprint) Growth(elements uint64) uint64 {
	return (elements - f.elements) / max(f.growing, 1)
}
