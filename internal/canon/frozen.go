package canon

import (
	"context"
	"fmt"
)

// FrozenTable is what a handle table contained, to be put into those of other
// instances. It is safe for concurrent use.
type FrozenTable struct {
	entries []frozenEntry
	free    uint32
	live    int
}

type frozenEntry struct {
	entry
	resource int // index of its type
	thaw     Thaw
}

// Thaw makes a resource of the host for an instance that is in the state of another,
// which had one like it.
type Thaw func(ctx context.Context) (host any, err error)

// Freeze returns the contents of the table, outside of any call. resource returns the
// index by which Thaw finds the type of a resource, and how to make another one of the
// host; nil is for those of guests. An error of it ends Freeze.
func (t *Table) Freeze(resource func(rt *ResourceType, rep Rep) (int, Thaw, error)) (*FrozenTable, error) {
	f := &FrozenTable{free: t.free, live: t.live}
	for i := range t.entries {
		e := frozenEntry{entry: t.entries[i]}
		switch {
		case e.kind == entryResource && e.scope == nil && e.lends == 0:
			var err error
			if e.resource, e.thaw, err = resource(e.rt, e.rep); err != nil {
				return nil, err
			}
			e.rt, e.rep.Host = nil, nil
		case e.kind != entryFree:
			return nil, fmt.Errorf("handle %d is in use by a call", i)
		}
		f.entries = append(f.entries, e)
	}
	return f, nil
}

// Live returns the number of handles.
func (f *FrozenTable) Live() int { return f.live }

// Thaw gives an empty table the frozen contents, with types by their index. After an
// error the table has a part of them.
func (f *FrozenTable) Thaw(ctx context.Context, t *Table, types []*ResourceType) error {
	t.entries = t.entries[:0]
	for i := range f.entries {
		from := &f.entries[i]
		e := from.entry
		if e.kind == entryResource {
			e.rt = types[from.resource]
			if from.thaw != nil {
				host, err := from.thaw(ctx)
				if err != nil {
					return err
				}
				e.rep.Host = host
			}
		}
		t.entries = append(t.entries, e)
	}
	t.free, t.live = f.free, f.live
	return nil
}
