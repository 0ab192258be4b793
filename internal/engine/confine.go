package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ashlar-wasm/ashlar/internal/wasm"
)

// reserved is what the names begin with that modules get from Confine.
const reserved = "ashlar."

// Confinement tells what Confine needs to know.
type Confinement struct {
	// TableGrowth bounds by how many elements each table that the module defines may
	// grow.
	TableGrowth uint64
	// Host tells which imported functions are host functions, as Metering has it.
	Host func(im *wasm.Import) bool
}

// Confine makes a valid module one that the engine can run without harm: metered,
// with tables that stay within their limit, its start function and data held back for
// Instantiate, and what the engine leaves unchecked checked. The module is
// changed, but not what its fields refer to. The error is a *wasm.UnsupportedError for
// one that catches exceptions, and a *wasm.ComplexityError for one that would take too
// long to compile.
func Confine(m *wasm.Module, c Confinement) (Source, error) {
	for i := range m.Exports {
		if x := &m.Exports[i]; strings.HasPrefix(x.Name, reserved) {
			return Source{}, &wasm.Error{Offset: x.Offset, Rule: "reserved name",
				Detail: fmt.Sprintf("export %q begins with %q, which the runtime uses itself", x.Name, reserved)}
		}
	}
	if err := m.CheckExceptions(); err != nil {
		return Source{}, err
	}
	if err := wasm.CheckComplexity(m); err != nil {
		return Source{}, err
	}
	m.Tables = slices.Clone(m.Tables)
	m.LimitTables(c.TableGrowth)
	m.CheckElements(ElementsFunc)
	m.HoldStart(StartFunc)
	held := Held{WritesTables: m.WritesTables(), Data: m.HoldData()}
	// The name section is written anew with it: the engine refuses a module over
	// names that can't be read.
	m.Meter(wasm.Metering{Module: MeterModule, Name: MeterYield, Counter: MeterCounter, Prefix: reserved, Host: c.Host})
	return Source{Wasm: m.Encode(), Shell: m.Shell(), Held: held}, nil
}
