package wasm

import "fmt"

// TableLimitError reports a table whose declared minimum is over the limit.
type TableLimitError struct {
	Min, Limit uint64
	Offset     int
}

func (e *TableLimitError) Error() string {
	return fmt.Sprintf("table at offset %#x declares %d elements, the limit is %d", e.Offset, e.Min, e.Limit)
}

// LimitTables lowers the maxima of the tables that the module defines to limit
// elements. It returns a *TableLimitError if a minimum is over it already.
func (m *Module) LimitTables(limit uint64) error {
	for i := range m.Tables {
		l := &m.Tables[i].Limits
		if l.Min > limit {
			return &TableLimitError{Min: l.Min, Limit: limit, Offset: m.Tables[i].Offset}
		}
		if !l.HasMax || l.Max > limit {
			l.HasMax, l.Max = true, limit
		}
	}
	return nil
}
