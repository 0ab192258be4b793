package canon

import (
	"context"

	"github.com/ashlar-wasm/ashlar/internal/limit"
)

// ResourceType is the runtime type of resources. Its identity is its address.
type ResourceType struct {
	Name string
	// Guest tells that representations are 32-bit integers given by a
	// component, else they are values of the host.
	Guest bool
	// Owner identifies the component instance that implements the resource, as
	// far as lowering a borrow must know it; nil for one of the host.
	Owner any
	// Drop destroys a resource when its last owning handle is dropped. It may
	// be nil. An error or panic unwinds whoever dropped the handle.
	Drop func(ctx context.Context, rep Rep) error
}

// Rep is the representation of a resource: Core for those of a guest, Host for
// those of the host.
type Rep struct {
	Core uint32
	Host any
}

// Resource handle kinds in a table.
type entryKind uint8

const (
	entryFree entryKind = iota
	entryResource
	entryOther
)

type entry struct {
	kind  entryKind
	own   bool
	lends uint32
	next  uint32 // of the free list
	rt    *ResourceType
	rep   Rep
	scope *Scope // that a borrow must be dropped in
	other any    // waitables and the like
}

// MaxTableLength is the Canonical ABI's bound on handles in one table.
const MaxTableLength = 1<<28 - 1

// Table is the handle table of a component instance (Table in
// CanonicalABI.md). The zero value is empty. Not safe for concurrent use.
type Table struct {
	entries []entry
	free    uint32 // first free index, or 0
	live    int
	// Limit bounds the live handles; 0 means MaxTableLength.
	Limit int
	// flight has the resources that are on their way from a guest or to one, from
	// landed on: no table has them, nor does anyone else know of them if the call
	// ends now.
	flight []flight
	landed int
}

// flight is a resource on its way.
type flight struct {
	rt     *ResourceType
	rep    Rep
	handle *Handle // that stands for it, or nil
}

// hold keeps a resource that left the table until what it was taken for is done.
// Those of guests end with their instance.
func (t *Table) hold(f flight) {
	if !f.rt.Guest {
		t.flight = append(t.flight, f)
	}
}

// Hold keeps a resource that no table has until Owned gives it away.
func (t *Table) Hold(rt *ResourceType, rep Rep) { t.hold(flight{rt: rt, rep: rep}) }

// land lets go of the resource that is held longest: another table has it.
func (t *Table) land(rt *ResourceType) {
	if rt.Guest {
		return
	}
	t.flight[t.landed] = flight{}
	if t.landed++; t.landed == len(t.flight) {
		t.release()
	}
}

// maxSpare is for how many resources on their way memory is kept.
const maxSpare = 64

// release lets go of all resources that are held.
func (t *Table) release() {
	if len(t.flight) == 0 {
		return
	}
	if len(t.flight) > maxSpare {
		t.flight = nil
	}
	clear(t.flight)
	t.flight, t.landed = t.flight[:0], 0
}

// Len returns the number of live handles.
func (t *Table) Len() int { return t.live }

func (t *Table) full() bool { return t.Limit > 0 && t.live >= t.Limit || t.live >= MaxTableLength }

func (t *Table) add(e entry) uint32 {
	if t.Limit > 0 && t.live >= t.Limit {
		panic(&limit.Error{Resource: limit.Handles, Limit: uint64(t.Limit), Requested: uint64(t.live) + 1})
	}
	if t.live >= MaxTableLength {
		Raise("resource table has no free keys: %d handles are the most there can be", MaxTableLength)
	}
	t.live++
	if i := t.free; i != 0 {
		t.free = t.entries[i].next
		t.entries[i] = e
		return i
	}
	if len(t.entries) == 0 {
		t.entries = append(t.entries, entry{}) // index 0 is never a handle
	}
	t.entries = append(t.entries, e)
	return uint32(len(t.entries) - 1)
}

func (t *Table) get(i uint32) *entry {
	if uint64(i) >= uint64(len(t.entries)) || t.entries[i].kind == entryFree {
		Raise("unknown handle index %d", i)
	}
	return &t.entries[i]
}

func (t *Table) remove(i uint32) {
	t.entries[i] = entry{next: t.free}
	t.free = i
	t.live--
}

func (t *Table) resource(i uint32, rt *ResourceType) *entry {
	e := t.get(i)
	if e.kind != entryResource {
		Raise("handle index %d used with the wrong type, expected %s but found something else", i, describe(rt))
	}
	if e.rt != rt {
		Raise("handle index %d used with the wrong type, expected %s but found %s", i, describe(rt), describeOther(e.rt, rt))
	}
	return e
}

func describe(rt *ResourceType) string {
	if rt.Guest {
		return "guest-defined resource"
	}
	return "host-defined resource"
}

func describeOther(rt, expected *ResourceType) string {
	if rt.Guest == expected.Guest {
		return "a different " + describe(rt)
	}
	return describe(rt)
}

// AddOwn adds an owning handle.
func (t *Table) AddOwn(rt *ResourceType, rep Rep) uint32 {
	return t.add(entry{kind: entryResource, own: true, rt: rt, rep: rep})
}

// AddBorrow adds a borrowed handle that must be dropped before scope ends.
func (t *Table) AddBorrow(rt *ResourceType, rep Rep, scope *Scope) uint32 {
	scope.borrows++
	return t.add(entry{kind: entryResource, rt: rt, rep: rep, scope: scope})
}

// Rep returns the representation of a handle (resource.rep).
func (t *Table) Rep(i uint32, rt *ResourceType) Rep { return t.resource(i, rt).rep }

// TakeOwn removes an owning handle, as lifting own does.
func (t *Table) TakeOwn(i uint32, rt *ResourceType) Rep {
	e := t.resource(i, rt)
	if e.lends != 0 {
		Raise("cannot remove owned resource while borrowed")
	}
	if !e.own {
		Raise("cannot lift own resource from a borrow")
	}
	rep := e.rep
	t.remove(i)
	return rep
}

// Lend returns the representation of a handle and counts it as lent until
// scope ends, as lifting borrow does.
func (t *Table) Lend(i uint32, rt *ResourceType, scope *Scope) Rep {
	e := t.resource(i, rt)
	e.lends++
	if scope.lent == nil {
		scope.lent = scope.few[:0]
	}
	scope.lent = append(scope.lent, lent{t, i})
	return e.rep
}

// Drop removes a handle (resource.drop). destroy tells that it owned the
// resource, which the caller must destroy.
func (t *Table) Drop(i uint32, rt *ResourceType) (rep Rep, destroy bool) {
	e := t.resource(i, rt)
	if e.lends != 0 {
		Raise("cannot remove owned resource while borrowed")
	}
	rep, destroy = e.rep, e.own
	if e.scope != nil {
		e.scope.borrows--
	}
	t.remove(i)
	return rep, destroy
}

// Add adds an entry that is no resource handle.
func (t *Table) Add(v any) uint32 { return t.add(entry{kind: entryOther, other: v}) }

// Get returns what Add added at the index, or traps.
func (t *Table) Get(i uint32) any {
	e := t.get(i)
	if e.kind != entryOther {
		Raise("handle index %d used with the wrong type, found a resource", i)
	}
	return e.other
}

// Remove removes what Add added.
func (t *Table) Remove(i uint32) any {
	v := t.Get(i)
	t.remove(i)
	return v
}

// Owned calls yield for every resource that an owning handle still holds, or that
// was on its way when a call trapped, emptying the table; for the end of an
// instance.
func (t *Table) Owned(yield func(rt *ResourceType, rep Rep)) {
	entries, held, flight := t.entries, t.flight, t.flight[t.landed:]
	*t = Table{Limit: t.Limit}
	for i := range entries {
		if e := &entries[i]; e.kind == entryResource && e.own {
			yield(e.rt, e.rep)
		}
	}
	for i := range flight {
		f := &flight[i]
		if f.handle == nil {
			yield(f.rt, f.rep)
		} else if !f.handle.Gone {
			f.handle.Gone = true
			yield(f.rt, f.rep)
		}
	}
	if t.entries == nil && len(entries) <= maxSpare {
		clear(entries)
		t.entries = entries[:0]
	}
	if t.flight == nil && len(held) <= maxSpare {
		clear(held)
		t.flight = held[:0]
	}
}

type lent struct {
	table *Table
	index uint32
}

// Scope is the extent of a call as far as borrows go: what is lent in it is
// returned at its end, and borrowed handles must be dropped by then. The zero
// value is ready.
type Scope struct {
	lent    []lent
	few     [2]lent // the memory of lent, at first
	borrows int
}

// Borrows returns how many borrowed handles are still alive.
func (s *Scope) Borrows() int { return s.borrows }

// Return gives back what was lent.
func (s *Scope) Return() {
	for _, l := range s.lent {
		if int(l.index) < len(l.table.entries) {
			l.table.entries[l.index].lends--
		}
	}
	s.lent = s.lent[:0]
}
