package engine

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/ashlar-wasm/ashlar/internal/cow"
)

// ErrNotFrozen is wrapped by the errors of Freeze and Restore for a state that a
// snapshot can't have.
var ErrNotFrozen = errors.New("the state can't be kept")

// Snapshot is the state of the instances of a sandbox: memories, global variables,
// tables, and which segments were dropped. Sandboxes that begin with it share its
// memory. It is safe for concurrent use.
type Snapshot struct {
	images []*cow.Image
	states []frozenState // by instance
	names  int           // references that can be named
	// references tells that there are any that guests can put elsewhere: tables are part
	// of the snapshot only then.
	references bool
}

// frozenState is the state of an instance. References are counted among those that a
// new sandbox of the same modules has, from 1; 0 is null.
type frozenState struct {
	globals  []frozenGlobal // mutable ones
	tables   [][]uint32
	elements []bool // dropped
	data     []bool // dropped
}

type frozenGlobal struct{ lo, hi uint64 }

// Freeze returns the state of all instances. The sandbox, which must be Freezable, is
// to be closed after that. The error wraps ErrNotFrozen if there is a reference that
// another sandbox has no counterpart of.
func (s *Sandbox) Freeze() (snap *Snapshot, err error) {
	snap = &Snapshot{names: len(s.names)}
	names := make(map[uintptr]uint32, len(s.names)+1)
	for i, r := range s.names {
		names[r] = uint32(i + 1)
	}
	names[0] = 0
	name := func(r uintptr) uint32 {
		n, ok := names[r]
		if !ok {
			err = fmt.Errorf("%w: a reference to a function that is in no table at first", ErrNotFrozen)
		}
		return n
	}
	for _, c := range s.cores {
		var f frozenState
		for _, g := range c.state.globals {
			if !g.mutable {
				continue
			}
			lo, hi := g.Value()
			if g.ref {
				snap.references = true
				lo = uint64(name(uintptr(lo)))
			}
			f.globals = append(f.globals, frozenGlobal{lo, hi})
		}
		snap.references = snap.references || c.writes
		for _, t := range c.state.tables {
			refs := references(t)
			frozen := make([]uint32, len(refs))
			for i, r := range refs {
				frozen[i] = name(r)
			}
			f.tables = append(f.tables, frozen)
		}
		for i := range c.state.elements.Len() {
			f.elements = append(f.elements, c.state.elements.Index(i).Len() == 0)
		}
		for i := range c.state.data.Len() {
			f.data = append(f.data, c.state.data.Index(i).Len() == 0)
		}
		snap.states = append(snap.states, f)
	}
	if err != nil {
		return nil, err
	}
	if !snap.references {
		// They are as they are in every new sandbox.
		for i := range snap.states {
			snap.states[i].tables, snap.states[i].elements = nil, nil
		}
	}
	for _, l := range s.mems.all {
		image, err := s.engine.image(l.buffer)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("keep a memory: %w", err), snap.Close())
		}
		snap.images = append(snap.images, image)
	}
	return snap, nil
}

// Bytes returns the size of the memories.
func (s *Snapshot) Bytes() (n uint64) {
	for _, i := range s.images {
		n += i.Size()
	}
	return n
}

// Instances returns how many instances the snapshot has the state of.
func (s *Snapshot) Instances() int { return len(s.states) }

// Close gives the memory back. No sandbox may have it any more.
func (s *Snapshot) Close() (err error) {
	for _, i := range s.images {
		err = errors.Join(err, i.Close())
	}
	s.images = nil
	return err
}

// restoration is what brings an instance back to a snapshot.
type restoration struct {
	globals  []globalValue
	values   []frozenGlobal
	tables   []reflect.Value
	refs     [][]uintptr
	elements []reflect.Value
	elems    [][]uintptr
	data     []reflect.Value
	bytes    [][]byte
}

// thaw brings the instances, which are new, to the snapshot but for their memories, and
// notes how to do so again.
func (s *Sandbox) thaw() error {
	differs := func(what string) error {
		return fmt.Errorf("%w: an instance has other %s than the snapshot", ErrNotFrozen, what)
	}
	if s.from.references && len(s.names) != s.from.names {
		return differs("references")
	}
	name := func(n uint32) uintptr {
		if n == 0 {
			return 0
		}
		return s.names[n-1]
	}
	s.frozen = make([]restoration, len(s.cores))
	for n, c := range s.cores {
		from, to := &s.from.states[n], &s.frozen[n]
		for _, g := range c.state.globals {
			if !g.mutable {
				continue
			}
			if len(to.globals) == len(from.globals) {
				return differs("globals")
			}
			v := from.globals[len(to.globals)]
			if g.ref {
				v.lo = uint64(name(uint32(v.lo)))
			}
			to.globals = append(to.globals, g.globalValue)
			to.values = append(to.values, v)
		}
		if len(to.globals) != len(from.globals) {
			return differs("globals")
		}
		if s.from.references {
			if len(c.state.tables) != len(from.tables) || c.state.elements.Len() != len(from.elements) {
				return differs("tables")
			}
			for i, t := range c.state.tables {
				refs := make([]uintptr, len(from.tables[i]))
				for k, n := range from.tables[i] {
					refs[k] = name(n)
				}
				to.tables, to.refs = append(to.tables, t), append(to.refs, refs)
			}
			for i, dropped := range from.elements {
				e := c.state.elements.Index(i)
				refs := references(e)
				if dropped {
					refs = nil
				}
				to.elements, to.elems = append(to.elements, e), append(to.elems, refs)
			}
		}
		if c.state.data.Len() != len(from.data) {
			return differs("data segments")
		}
		for i, dropped := range from.data {
			d := c.state.data.Index(i)
			bytes := d.Bytes()
			if dropped {
				bytes = nil
			} else if len(bytes) == 0 {
				return differs("data segments")
			}
			to.data, to.bytes = append(to.data, d), append(to.bytes, bytes)
		}
		to.restore()
	}
	s.names = nil
	return nil
}

// restore brings an instance back, but for its memory.
func (r *restoration) restore() {
	for i, g := range r.globals {
		g.SetValue(r.values[i].lo, r.values[i].hi)
	}
	for i, t := range r.tables {
		refs := references(t)
		if len(refs) != len(r.refs[i]) {
			// A table that has grown does not keep its memory.
			t.Set(reflect.ValueOf(slices.Clone(r.refs[i])))
			continue
		}
		copy(refs, r.refs[i])
	}
	for i, e := range r.elements {
		e.Set(reflect.ValueOf(r.elems[i]))
	}
	for i, d := range r.data {
		d.SetBytes(r.bytes[i])
	}
}

// Restore brings the sandbox back to its snapshot: what was added to it is closed, and
// nothing that guests left is there any more. No call may be under way. After an error
// the sandbox is good for nothing but to be closed.
func (s *Sandbox) Restore(ctx context.Context) error {
	if s.from == nil || len(s.cores) < len(s.from.states) {
		return fmt.Errorf("%w: the sandbox has no snapshot", ErrNotFrozen)
	}
	if err := s.closeFrom(ctx, len(s.from.states)); err != nil {
		return err
	}
	s.mems.releaseFrom(len(s.from.images))
	s.mems.exceeded = 0
	for n, l := range s.mems.all {
		if err := s.restoreMemory(l); err != nil {
			return fmt.Errorf("restore memory %d: %w", n, err)
		}
	}
	for n := range s.frozen {
		s.frozen[n].restore()
	}
	return nil
}

// Quieten gives the pages back that the memories of a sandbox took for themselves, which
// was restored and is not to be used for a while. After an error it is good for nothing
// but to be closed.
func (s *Sandbox) Quieten() error {
	for _, l := range s.mems.all {
		if l.mapping != nil {
			if err := l.mapping.Discard(); err != nil {
				return err
			}
		}
	}
	return nil
}

// restoreMemory brings a memory back, in contents and size.
func (s *Sandbox) restoreMemory(l *linearMemory) error {
	size := uint64(len(l.buffer))
	if l.mapping != nil {
		if err := l.mapping.Restore(size); err != nil {
			return err
		}
	} else {
		copy(l.buffer, l.image.Bytes())
	}
	if size == l.image.Size() {
		return nil
	}
	// The engine takes on whatever it is given when a memory grows.
	l.rewind = true
	if _, ok := l.memory.Grow(1); !ok || l.rewind {
		return fmt.Errorf("%w: a memory has grown to its maximum", ErrNotFrozen)
	}
	return nil
}
