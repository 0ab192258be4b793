package wasm

import (
	"fmt"

	"github.com/ashlar-wasm/ashlar/internal/limit"
)

// TableLimitError reports a table whose declared minimum is over the limit.
type TableLimitError struct {
	Min, Limit uint64
	Offset     int
}

// Unwrap returns a *limit.Error.
func (e *TableLimitError) Unwrap() error {
	return &limit.Error{Resource: limit.Tables, Limit: e.Limit, Requested: e.Min}
}

func (e *TableLimitError) Error() string {
	return fmt.Sprintf("table at offset %#x declares %d elements, the limit is %d", e.Offset, e.Min, e.Limit)
}

// LimitTables lowers the maxima of the tables that the module defines to a number of
// elements. It returns a *TableLimitError if a minimum is over it already.
func (m *Module) LimitTables(elements uint64) error {
	for i := range m.Tables {
		l := &m.Tables[i].Limits
		if l.Min > elements {
			return &TableLimitError{Min: l.Min, Limit: elements, Offset: m.Tables[i].Offset}
		}
		if !l.HasMax || l.Max > elements {
			l.HasMax, l.Max = true, elements
		}
	}
	return nil
}
